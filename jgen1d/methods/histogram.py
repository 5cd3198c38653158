"""A histogram with equal bins, and exponential tails beyond them: counts, and nothing else to learn.

All data so far are counted. A cell is a bin or a tail along each axis; its share of the data is spread evenly over the
bin, and exponentially over the tail, whose mean excess is the data's.
"""

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
    num_bins: int = static(default=256, at_least=1, help="along each axis")
    limit: float = traced(default=4.0, above=0, help="the bins cover [−limit, limit], in training units")
    pseudo_count: float = traced(default=0.1, above=0, help="added to the count of each cell (Laplace smoothing)")


class State(NamedTuple):
    """Data per cell, i32[(num_bins + 2)^dim], and summed excess over the limit, f32[dim, 2], on the left and right."""

    counts: jax.Array
    excess: jax.Array


@door.init
def init(key: Key, config: Config) -> State:
    """The state before any data, when all cells are equally likely and the tails have mean excess 1."""
    del key
    return State(jnp.zeros((config.num_bins + 2) ** config.dim, int), jnp.zeros((config.dim, 2)))


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """Counts f32[n, dim]; `loss` is the batch's mean negative log-likelihood in nats, before the model has seen it."""
    del key
    loss = -jnp.mean(log_prob(state, batch, config))
    beyond = jnp.stack([-batch - config.limit, batch - config.limit], axis=2)
    excess = state.excess + jnp.sum(jnp.maximum(beyond, 0), axis=0)
    return State(state.counts.at[_flat(_cells(batch, config), config)].add(1), excess), {"loss": loss}


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]: a cell, and a place in it."""
    key_cell, key_place = jax.random.split(key)
    flat = densities.sample_index(key_cell, state.counts + config.pseudo_count, num_samples)
    places = jax.random.uniform(key_place, (config.dim, num_samples))
    cells = jnp.stack(jnp.unravel_index(flat, _shape(config)))
    inside = -config.limit + (cells - 1 + places) * _bin_width(config)
    left, right = _tail_means(state, config)[:, :, None].swapaxes(0, 1) * -jnp.log1p(-places)[None]
    beyond = jnp.where(cells == 0, -config.limit - left, config.limit + right)
    return jnp.where((cells == 0) | (cells > config.num_bins), beyond, inside).T


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The log density, f32[n], at f32[n, dim]."""
    total = jnp.sum(state.counts) + config.pseudo_count * state.counts.size
    cells = _cells(x, config)
    counts = state.counts[_flat(cells, config)] + config.pseudo_count
    means = _tail_means(state, config)
    scale = jnp.where(cells == 0, means[None, :, 0], means[None, :, 1])
    in_tail = -jnp.log(scale) - (jnp.abs(x) - config.limit) / scale
    is_tail = (cells == 0) | (cells > config.num_bins)
    within = jnp.where(is_tail, in_tail, -jnp.log(_bin_width(config)))
    return jnp.log(counts) - jnp.log(total) + jnp.sum(within, axis=1)


def _shape(config: Config) -> tuple[int, ...]:
    return (config.num_bins + 2,) * config.dim


def _bin_width(config: Config) -> jax.Array:
    return jnp.asarray(2 * config.limit / config.num_bins)


def _cells(x: jax.Array, config: Config) -> jax.Array:
    """Each value's cell along its axis, i32[n, dim]: 0 for the left tail, num_bins + 1 for the right one."""
    bins = jnp.floor((x + config.limit) / _bin_width(config))
    return (jnp.clip(bins, -1, config.num_bins) + 1).astype(int)


def _flat(cells: jax.Array, config: Config) -> jax.Array:
    """The number of each row's cell among all, i32[n]."""
    flat = jnp.zeros(len(cells), int)
    for axis in range(config.dim):
        flat = flat * (config.num_bins + 2) + cells[:, axis]
    return flat


def _tail_means(state: State, config: Config) -> jax.Array:
    """The mean excess over the limit, f32[dim, 2]: the data's, with `pseudo_count` more of excess 1."""
    grid = state.counts.reshape(_shape(config))
    sides = [[jnp.sum(jnp.take(grid, end, axis)) for end in (0, config.num_bins + 1)] for axis in range(config.dim)]
    numbers = jnp.array(sides)
    return (state.excess + config.pseudo_count) / (numbers + config.pseudo_count)


METHOD = Method(Config, init, step, sample, log_prob)
