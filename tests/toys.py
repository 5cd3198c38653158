"""A method with a network and a density, whose programs compile in seconds: for tests of what sweeps do with sizes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jgen1d import nets
from jgen1d.core import Method, pytree_dataclass, static, traced


@pytree_dataclass
class Config:
    """The model is N(net(1), exp(log_std)²): it has every kind of size, and a density."""

    dim: int = static(default=1, at_least=1)
    latent_dim: int = static(default=4, at_least=1)
    widths: tuple[int, ...] = static(default=(4, 4, 4), at_least=1)
    activation: str = static(default="tanh", choices=nets.ACTIVATIONS)
    learning_rate: float = traced(default=0.02, above=0, help="Adam's step size")
    decay: float | None = traced(default=None, at_least=0, optional=True, help="of the weights")


class State(NamedTuple):
    """The network's parameters and log standard deviations, f32[dim], and the optimiser's state."""

    params: dict[str, Any]
    opt: optax.OptState


def init(key, config):
    params = {"net": _net(config).init(key), "log_std": jnp.zeros(config.dim)}
    return State(params, optax.adam(config.learning_rate).init(params))


def step(key, state, batch, config):
    del key
    loss, gradients = jax.value_and_grad(lambda params: -jnp.mean(_log_prob(params, batch, config)))(state.params)
    updates, opt = optax.adam(config.learning_rate).update(gradients, state.opt)
    return State(optax.apply_updates(state.params, updates), opt), {"loss": loss}


def sample(key, state, num_samples, config):
    noise = jax.random.normal(key, (num_samples, config.dim))
    return _mean(state.params, config) + jnp.exp(state.params["log_std"])[None] * noise


def log_prob(state, x, config):
    return _log_prob(state.params, x, config)


def _net(config):
    return nets.mlp(config.latent_dim, config.dim, config.widths, activation=config.activation)


def _mean(params, config):
    return _net(config).apply(params["net"], jnp.ones((1, config.latent_dim)))


def _log_prob(params, x, config):
    std = jnp.exp(params["log_std"])[None]
    return jnp.sum(jax.scipy.stats.norm.logpdf(x, _mean(params, config), std), axis=1)


METHOD = Method(Config, init, step, sample, log_prob)
