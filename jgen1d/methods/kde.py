"""Kernel density estimation: a normal kernel on each of the latest data, with their covariance times a bandwidth².

The bandwidth is Silverman's rule, or that times a factor which gradient ascent fits to the likelihood of fresh data.
They are not among the kernels yet, so this is cross-validation.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Info, Key, Method, PyTree, door, pytree_dataclass, static, traced
from jgen1d.maths import densities
from jgen1d.methods import _adam

LEAST_FACTOR = 1e-3
"""Of Silverman's bandwidth: data with ties have no likeliest bandwidth but 0."""
ROWS_AT_A_TIME = 32
"""Of the matrix of distances between points and kernels, which would not fit into memory as a whole."""


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters; those of the descent are for the cross-validated bandwidth."""

    learning_rate: float = traced(default=0.02, at_least=0, help="Adam's step size, for the logarithm of the bandwidth")
    num_points: int = static(default=10_000, at_least=2, help="the latest data, on which kernels are placed")
    bandwidth: str = static(
        default="cross_validated", choices=("cross_validated", "silverman"), help="how it is chosen"
    )
    num_held_out: int = static(default=8, at_least=1, help="of each minibatch, for cross-validation")
    variance_floor: float = traced(default=1e-6, above=0, help="added to the variances, in squared training units")


class State(NamedTuple):
    """The latest data, f32[num_points, dim], newest last, how many are real, i32[], and the descent of the factor.

    `tuning` is None with Silverman's bandwidth.
    """

    points: jax.Array
    num_seen: jax.Array
    tuning: _adam.State | None


@door.init
def init(key: Key, config: Config) -> State:
    """The state before any data, when there is one kernel, at 0."""
    del key
    params = {"log_factor": jnp.zeros(())}
    tuning = _adam.start(params, config) if config.bandwidth == "cross_validated" else None
    return State(jnp.zeros((config.num_points, config.dim)), jnp.zeros((), int), tuning)


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """One step for the bandwidth, then the oldest points make way for f32[n, dim].

    The info has `bandwidth`, in units of the data's standard deviation; with cross-validation also `loss`, the mean
    negative log-likelihood of the held-out data in nats, and `grad_norm`.
    """
    del key
    info: Info = {}
    tuning = state.tuning
    if tuning is not None:
        held_out = batch[: config.num_held_out]

        def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
            return -jnp.mean(_log_prob(state, params, held_out, config)), {}

        tuning, info = _adam.descend(loss_of, tuning, config)
    points = jnp.concatenate([state.points, batch])[-config.num_points :]
    state = State(points, jnp.minimum(state.num_seen + len(batch), config.num_points), tuning)
    return state, {"bandwidth": _bandwidth(state, _weights(state), config), **info}


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]: a kernel's centre, and noise."""
    key_index, key_noise = jax.random.split(key)
    latest = jax.random.randint(key_index, (num_samples,), 0, jnp.maximum(state.num_seen, 1))
    factor = _factor(state, config) * _bandwidth(state, _weights(state), config)
    factors = jnp.broadcast_to(factor[None], (num_samples, *factor.shape))
    return densities.sample_normal(key_noise, state.points[config.num_points - 1 - latest], factors)


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The log density, f32[n], at f32[n, dim]."""
    rows = functools.partial(_log_prob, state, _weights(state), config=config)
    return jax.lax.map(lambda row: rows(row[None])[0], x, batch_size=ROWS_AT_A_TIME)


def _weights(state: State) -> PyTree:
    return {"log_factor": jnp.zeros(())} if state.tuning is None else state.tuning.eval_params


def _log_prob(state: State, params: PyTree, x: jax.Array, config: Config) -> jax.Array:
    factor, bandwidth = _factor(state, config), _bandwidth(state, params, config)
    points, x = densities.whiten(factor, state.points.T), densities.whiten(factor, x.T)
    squares = sum((a[:, None] - b[None]) ** 2 for a, b in zip(x, points, strict=True))
    kernels = jnp.where(_is_real(state)[None], -0.5 * squares / bandwidth**2, -jnp.inf)
    constant = 0.5 * config.dim * math.log(2 * math.pi) + densities.log_determinant(factor)
    count = jnp.maximum(state.num_seen, 1)
    return jax.nn.logsumexp(kernels, axis=1) - jnp.log(count) - constant - config.dim * jnp.log(bandwidth)


def _bandwidth(state: State, params: PyTree, config: Config) -> jax.Array:
    """In units of the data's standard deviation: Silverman's rule, times the learnt factor.

    References:
      Silverman 1986, Density estimation for statistics and data analysis, equation 4.14.
    """
    count = jnp.maximum(state.num_seen, 1)
    silverman = (count * (config.dim + 2) / 4) ** (-1 / (config.dim + 4))
    return silverman * jnp.exp(jnp.maximum(params["log_factor"], math.log(LEAST_FACTOR)))


def _is_real(state: State) -> jax.Array:
    """Which points carry kernels, bool[num_points]: the data seen, or one zero while there are none."""
    num_points = len(state.points)
    return jnp.arange(num_points) >= num_points - jnp.maximum(state.num_seen, 1)


def _factor(state: State, config: Config) -> jax.Array:
    """The Cholesky factor, f32[dim, dim], of the points' covariance, I while there are too few."""
    is_real = _is_real(state)[:, None]
    mean = jnp.sum(jnp.where(is_real, state.points, 0), axis=0) / jnp.maximum(state.num_seen, 1)
    centred = jnp.where(is_real, state.points - mean[None], 0)
    covariance = centred.T @ centred / jnp.maximum(state.num_seen - 1, 1)
    covariance = jnp.where(state.num_seen > 1, covariance, jnp.eye(config.dim))
    return densities.cholesky(densities.with_floor(covariance, config.variance_floor))


METHOD = Method(Config, init, step, sample, log_prob)
