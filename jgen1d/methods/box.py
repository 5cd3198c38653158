"""The uniform distribution on a box: what is likeliest ends at the least and the greatest value seen."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Info, Key, Method, door, pytree_dataclass, static

LEAST_WIDTH = 1e-6
"""Of a box, in training units: that of equal data has a density all the same."""


@pytree_dataclass
class Config:
    """Hyper-parameters."""

    dim: int = static(default=1, at_least=1, help="dimension of the data; set by fit and sweep")
    estimator: str = static(
        default="maximum_likelihood",
        choices=("maximum_likelihood", "unbiased"),
        help="of the ends: the extremes, or moved out by their expected distance from the true ends",
    )


class State(NamedTuple):
    """How many data there were, i32[], and the least and the greatest value along each axis, f32[dim]."""

    num_seen: jax.Array
    low: jax.Array
    high: jax.Array


@door.init
def init(key: Key, config: Config) -> State:
    """The state before any data, when the box is [−1, 1] along each axis."""
    del key
    return State(jnp.zeros((), int), jnp.zeros(config.dim), jnp.zeros(config.dim))


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """Takes f32[n, dim] into the box.

    The info has `loss`, the batch's mean negative log-likelihood in nats, after the box has grown to hold it (it may be
    infinite before), and `width`, the mean length of the box's sides.
    """
    del key
    low, high = jnp.min(batch, axis=0), jnp.max(batch, axis=0)
    is_first = state.num_seen == 0
    low = jnp.where(is_first, low, jnp.minimum(state.low, low))
    high = jnp.where(is_first, high, jnp.maximum(state.high, high))
    state = State(state.num_seen + len(batch), low, high)
    low, high = ends(state, config)
    return state, {"loss": jnp.sum(jnp.log(high - low)), "width": jnp.mean(high - low)}


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]."""
    low, high = ends(state, config)
    return low[None] + (high - low)[None] * jax.random.uniform(key, (config.dim, num_samples)).T


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The log density, f32[n], at f32[n, dim]; −inf outside of the box."""
    low, high = ends(state, config)
    inside = jnp.all((x >= low[None]) & (x <= high[None]), axis=1)
    return jnp.where(inside, -jnp.sum(jnp.log(high - low)), -jnp.inf)


def ends(state: State, config: Config) -> tuple[jax.Array, jax.Array]:
    """The box's ends, f32[dim] each.

    The extremes of n draws from U(a, b) lie (b − a)/(n + 1) inside of a and b in the mean. Their distance from one
    another, divided by n − 1, has the same mean; the `unbiased` ends are so much further out.
    """
    half = jnp.maximum(jnp.where(state.num_seen == 0, 2.0, state.high - state.low), LEAST_WIDTH) / 2
    middle = state.low + (state.high - state.low) / 2
    if config.estimator == "unbiased":
        half = half * (1 + 2 / jnp.maximum(state.num_seen - 1, 1))
        return middle - half, middle + half
    return jnp.minimum(state.low, middle - half), jnp.maximum(state.high, middle + half)


METHOD = Method(Config, init, step, sample, log_prob)
