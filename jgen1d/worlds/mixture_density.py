"""A mixture of normals whose weights, means and deviations are functions of a condition: with one normal, a Gaussian.

p(x|c) = Σ w_k(c) N(x; m_k(c), diag s_k(c)²) by one network (Bishop 1994, Mixture density networks). Its functions are
those of a method of `jgen1d.methods` with a condition, f32[n, condition_dim].
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jgen1d import nets
from jgen1d.core import Info, Key, PyTree, door, pytree_dataclass, static, traced
from jgen1d.methods import _adam
from jgen1d.methods._adam import State


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters. The network is sized for standardised data and conditions."""

    condition_dim: int = static(default=1, at_least=1, help="entries of the condition")
    num_components: int = static(default=1, at_least=1, help="of the mixture")
    widths: tuple[int, ...] = static(default=(64, 64), at_least=1, help="units of the hidden layers")
    activation: Any = static(default="tanh", choices=nets.ACTIVATIONS, help="of every hidden layer")
    min_std: float = traced(default=0.01, above=0, help="bound on the standard deviations")


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the network's parameters."""
    return _adam.start(_net(config).init(key), config)


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config, condition: jax.Array) -> tuple[State, Info]:
    """One step of descent on the negative log-likelihood, `loss` in nats per row, of f32[n, dim] given conditions."""
    del key
    return _adam.descend(lambda params: (-jnp.mean(_log_prob(params, batch, config, condition)), {}), state, config)


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config, condition: jax.Array) -> jax.Array:
    """The log density, f32[n], of f32[n, dim] given f32[n, condition_dim]."""
    return _log_prob(state.eval_params, x, config, condition)


def draw(key: Key, state: State, condition: jax.Array, temperature: jax.Array | float, config: Config) -> jax.Array:
    """Draws f32[n, dim] given f32[n, condition_dim].

    The temperature τ divides the logits of the components and multiplies the variances: at 0 this is the mean of the
    likeliest component, at 1 the model itself.

    References:
      Ha & Schmidhuber 2018, World models, appendix A.1.
    """
    log_weights, means, stds = parameters(state.eval_params, condition, config)
    key_component, key_noise = jax.random.split(key)
    gumbel = jax.random.gumbel(key_component, log_weights.shape)
    chosen = jnp.argmax(log_weights + temperature * gumbel, axis=1)
    mean, std = (jnp.take_along_axis(x, chosen[:, None, None], axis=1)[:, 0] for x in (means, stds))
    return mean + jnp.sqrt(temperature) * std * jax.random.normal(key_noise, mean.shape)


def parameters(params: PyTree, condition: jax.Array, config: Config) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log weights, f32[n, k], means and standard deviations, f32[n, k, dim] each, given f32[n, condition_dim]."""
    k, dim = config.num_components, config.dim
    output = _net(config)(params, condition)
    means, raw = output[:, k:].reshape(-1, 2, k, dim).swapaxes(0, 1)
    return jax.nn.log_softmax(output[:, :k]), means, config.min_std + jax.nn.softplus(raw)


def _log_prob(params: PyTree, x: jax.Array, config: Config, condition: jax.Array) -> jax.Array:
    log_weights, means, stds = parameters(params, condition, config)
    components = jnp.sum(jax.scipy.stats.norm.logpdf(x[:, None], means, stds), axis=2)
    return jax.nn.logsumexp(log_weights + components, axis=1)


def _net(config: Config) -> nets.Net:
    outputs = config.num_components * (1 + 2 * config.dim)
    return nets.mlp(config.condition_dim, outputs, config.widths, activation=config.activation)
