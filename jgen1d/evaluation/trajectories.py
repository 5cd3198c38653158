"""Where flows carry points on their way from noise to data: learnt ones, and the exact one, in 1-D."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jgen1d.core import State, replace
from jgen1d.engine import run as train
from jgen1d.evaluation import theory
from jgen1d.maths import paths
from jgen1d.methods import _samplers, diffusion, flow_matching
from jgen1d.targets import Target

CONFIGS = (diffusion.Config, flow_matching.Config)
"""Of the methods whose samples travel."""
LEAST_NOISE = 1e-3


class Clock(NamedTuple):
    """The stops of a way, f32[stops] each: how far, from 0 to 1; the method's own time; how much data and noise."""

    progress: np.ndarray
    t: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray


def clock(config: Any) -> Clock:
    """The stops of a diffusion's or flow matching's sampler."""
    if isinstance(config, flow_matching.Config):
        t = jnp.linspace(0, 1, config.num_integration_steps + 1)
        path, progress = paths.FLOWS[config.path], t
    else:
        path = paths.SCHEDULES[config.noise_schedule]
        t = _samplers.time_grid(path, config.spacing, config.num_sampling_steps + 1)
        progress = 1 - t
    return Clock(*map(np.asarray, (progress, t, path.alpha(t), path.sigma(t))))


def exact_lines(
    target: Target, u: jax.Array, alpha: ArrayLike, sigma: ArrayLike, standardize: bool = True
) -> np.ndarray:
    """The quantiles u: f32[lines] of α·data + σ·noise at each stop, f32[stops, lines], in training units."""
    shift, scale = train.units(target, standardize)

    def at(rates: tuple[jax.Array, jax.Array]) -> jax.Array:
        return theory.noised_quantile(target, u, *rates, shift=shift, scale=scale)

    return np.asarray(jax.lax.map(at, (jnp.asarray(alpha), jnp.asarray(sigma))))


def learnt_lines(state: State, noise: jax.Array, config: Any) -> np.ndarray:
    """Where a model carries the points f32[lines], by its ODE: f32[stops, lines], in training units."""
    x = noise[:, None]
    if isinstance(config, flow_matching.Config):
        way = flow_matching.transport(state, x, config)[1]
    else:
        ode = replace(config, sampler="ode")
        way = _samplers.generate(
            jax.random.key(0), lambda x, t: diffusion.estimate(state, x, t, ode).noise, x, ode
        )[1]  # fmt: skip
    return np.asarray(jnp.concatenate([x[None], way]))[:, :, 0]


def fields(
    target: Target, state: State, x: jax.Array, config: Any, standardize: bool
) -> tuple[str, np.ndarray, np.ndarray]:
    """What carries the points, learnt and exact, f32[stops, n] each, at f32[n]: a diffusion's score, a flow's velocity.

    The exact one is NaN at stops without noise, where it is not defined.
    """
    units = dict(zip(("shift", "scale"), train.units(target, standardize), strict=True))
    stops, rows = clock(config), x[:, None]
    times = jnp.asarray(stops.t)
    if isinstance(config, diffusion.Config):
        kind, learnt = "score", jax.lax.map(lambda t: diffusion.score(state, rows, t, config), times)
        exact = jax.lax.map(
            lambda rates: theory.score(target, rows, *rates, **units),
            (jnp.asarray(stops.alpha), jnp.asarray(stops.sigma)),
        )
    else:
        kind, learnt = "velocity", jax.lax.map(lambda t: flow_matching.velocity(state, rows, t, config), times)
        path = paths.FLOWS[config.path]
        exact = jax.lax.map(lambda t: theory.velocity(target, rows, path, t, **units), times)
        if config.coupling == "transport":
            exact = jax.lax.map(lambda t: theory.transport_velocity(target, rows, t, **units), times)
    known = jnp.asarray(stops.sigma)[:, None] > LEAST_NOISE
    return kind, np.asarray(learnt[:, :, 0]), np.asarray(jnp.where(known, exact[:, :, 0], jnp.nan))
