"""One normal distribution with full covariance: the maximum of the likelihood of all data so far, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Info, Key, Method, door, pytree_dataclass, static, traced
from jgen1d.maths import densities


@pytree_dataclass
class Config:
    """Hyper-parameters."""

    dim: int = static(default=1, at_least=1, help="dimension of the data; set by fit and sweep")
    variance_floor: float = traced(default=1e-6, above=0, help="added to the variances, in squared training units")


class State(NamedTuple):
    """How many data there were, i32[], their mean, f32[dim], and their covariance, f32[dim, dim], divided by n."""

    num_seen: jax.Array
    mean: jax.Array
    covariance: jax.Array


@door.init
def init(key: Key, config: Config) -> State:
    """The state before any data, when the model is N(0, I)."""
    del key
    return State(jnp.zeros((), int), jnp.zeros(config.dim), jnp.zeros((config.dim, config.dim)))


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """Takes f32[n, dim] into the mean and the covariance.

    The info has `loss`, the batch's mean negative log-likelihood in nats, before the model has seen it.

    References:
      Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance, equation 2.1.
    """
    del key
    loss = -jnp.mean(log_prob(state, batch, config))
    count = state.num_seen + len(batch)
    share = len(batch) / count
    mean = jnp.mean(batch, axis=0)
    centred = batch - mean[None]
    gap = mean - state.mean
    between = state.covariance + share * gap[:, None] * gap[None]
    covariance = (1 - share) * between + share * (centred.T @ centred) / len(batch)
    return State(count, state.mean + share * gap, covariance), {"loss": loss}


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]."""
    factor = densities.cholesky(_covariance(state, config))
    means = jnp.broadcast_to(state.mean[None], (num_samples, config.dim))
    return densities.sample_normal(key, means, factor[None])


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The log density, f32[n], at f32[n, dim]."""
    return densities.normal_log_prob(x, state.mean[None], _covariance(state, config)[None])[0]


def _covariance(state: State, config: Config) -> jax.Array:
    seen = jnp.where(state.num_seen > 0, state.covariance, jnp.eye(config.dim))
    return densities.with_floor(seen, config.variance_floor)


METHOD = Method(Config, init, step, sample, log_prob)
