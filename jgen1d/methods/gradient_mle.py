"""Maximum likelihood by gradient ascent: a location–scale family, or a mixture of some, its axes independent."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import stats

from jgen1d.core import Info, Key, Method, PyTree, door, pytree_dataclass, static, traced
from jgen1d.maths import densities
from jgen1d.methods import _adam
from jgen1d.methods._adam import State


class Family(NamedTuple):
    """A distribution with location 0 and scale 1; only Student's t reads `dof`, the degrees of freedom."""

    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    sample: Callable[[Key, jax.Array], jax.Array]


FAMILIES: dict[str, Family] = {
    "normal": Family(lambda z, dof: stats.norm.logpdf(z), lambda key, dof: jax.random.normal(key, dof.shape)),
    "laplace": Family(lambda z, dof: stats.laplace.logpdf(z), lambda key, dof: jax.random.laplace(key, dof.shape)),
    "logistic": Family(lambda z, dof: stats.logistic.logpdf(z), lambda key, dof: jax.random.logistic(key, dof.shape)),
    "student_t": Family(stats.t.logpdf, lambda key, dof: jax.random.t(key, dof, dof.shape)),
}


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters."""

    learning_rate: float = traced(default=0.02, at_least=0, help="Adam's step size")
    family: str = static(default="normal", choices=FAMILIES, help="of each component along each axis")
    num_components: int = static(default=16, at_least=1, help="of the mixture; 1 for the family itself")


@door.init
def init(key: Key, config: Config) -> State:
    """Draws locations from N(0, I); the scales shrink with the number of components, the weights are equal."""
    shape = (config.num_components, config.dim)
    params = {
        "logits": jnp.zeros(config.num_components),
        "location": jax.random.normal(key, shape),
        "log_scale": jnp.full(shape, -jnp.log(config.num_components)),
    }
    if config.family == "student_t":
        params["log_dof"] = jnp.full(shape, jnp.log(4.0))
    return _adam.start(params, config)


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """One step of Adam on f32[n, dim]: `loss` is the mean negative log-likelihood in nats, before it."""
    del key
    return _adam.descend(lambda params: (-jnp.mean(_log_prob(params, batch, config)), {}), state, config)


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]: a component, and a draw from it."""
    key_index, key_noise = jax.random.split(key)
    params = state.eval_params
    index = densities.sample_index(key_index, jax.nn.softmax(params["logits"]), num_samples)
    noise = FAMILIES[config.family].sample(key_noise, _dof(params)[index].T).T
    return params["location"][index] + jnp.exp(params["log_scale"])[index] * noise


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The log density, f32[n], at f32[n, dim]."""
    return _log_prob(state.eval_params, x, config)


def _dof(params: PyTree) -> jax.Array:
    """Degrees of freedom, f32[k, dim]; ones where the family has none."""
    return jnp.exp(params["log_dof"]) if "log_dof" in params else jnp.ones_like(params["log_scale"])


def _log_prob(params: PyTree, x: jax.Array, config: Config) -> jax.Array:
    location, log_scale, dof = (a[:, :, None] for a in (params["location"], params["log_scale"], _dof(params)))
    z = (x.T[None] - location) * jnp.exp(-log_scale)
    components = jnp.sum(FAMILIES[config.family].log_prob(z, dof) - log_scale, axis=1)
    return densities.mixture_log_prob(jax.nn.log_softmax(params["logits"]), components)


METHOD = Method(Config, init, step, sample, log_prob)
