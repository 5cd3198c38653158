"""Where a method carries points on their way from noise to data, and where the exact flow does, in 1-D."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jgen1d.core import State, Trajectory
from jgen1d.evaluation import theory
from jgen1d.targets import Target

LEAST_NOISE = 1e-3
"""Below this σ the exact field is not defined."""


class Stops(NamedTuple):
    """The stops of a sampler, f32[stops] each.

    Attributes:
      progress: from 0 at noise to 1 at data.
      t: the method's own time.
      alpha: how much data there is.
      sigma: how much noise there is.
    """

    progress: np.ndarray
    t: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray


def stops(trajectory: Trajectory, config: Any) -> Stops:
    """The stops of a method's sampler."""
    t, path = trajectory.times(config), trajectory.path(config)
    return Stops(*map(np.asarray, (jnp.abs(t - t[0]), t, path.alpha(t), path.sigma(t))))


def exact_lines(
    target: Target,
    u: jax.Array,
    alpha: ArrayLike,
    sigma: ArrayLike,
    shift: ArrayLike | None = None,
    scale: ArrayLike | None = None,
) -> np.ndarray:
    """Quantiles of α·data + σ·noise at each stop, in training units: the lines of the exact flow.

    Args:
      target: in 1-D.
      u: f32[lines], in (0, 1).
      alpha: f32[stops].
      sigma: f32[stops].
      shift: f32[1], from training units to data units; None for the target's mean.
      scale: f32[1], from training units to data units; None for the target's std.

    Returns:
      f32[stops, lines].
    """
    shift = jnp.asarray(target.mean, float) if shift is None else shift
    scale = jnp.asarray(target.std, float) if scale is None else scale

    def at(rates: tuple[jax.Array, jax.Array]) -> jax.Array:
        return theory.noised_quantile(target, u, *rates, shift=shift, scale=scale)

    return np.asarray(jax.lax.map(at, (jnp.asarray(alpha), jnp.asarray(sigma))))


def learned_lines(trajectory: Trajectory, state: State, noise: jax.Array, config: Any) -> np.ndarray:
    """Where a model's deterministic sampler carries points f32[lines]: f32[stops, lines], in training units."""
    return np.asarray(trajectory.points(state, noise[:, None], config))[:, :, 0]


def fields(
    trajectory: Trajectory, target: Target, state: State, x: jax.Array, config: Any, shift: ArrayLike, scale: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """The field that carries the points at each stop, learned and exact, f32[stops, n] each.

    Args:
      trajectory: the method's.
      target: in 1-D.
      state: the method's.
      x: f32[n], in training units.
      config: the method's.
      shift: f32[1], from training units to data units.
      scale: f32[1], from training units to data units.

    Returns:
      The learned field, and the exact one: NaN at stops with less noise than `LEAST_NOISE`.
    """
    at, rows, path = stops(trajectory, config), x[:, None], trajectory.path(config)
    exact_fields = {
        "score": lambda t: theory.score(target, rows, path.alpha(t), path.sigma(t), shift=shift, scale=scale),
        "velocity": lambda t: theory.velocity(target, rows, path, t, shift=shift, scale=scale),
        "transport_velocity": lambda t: theory.transport_velocity(target, rows, t, shift=shift, scale=scale),
    }
    times = jnp.asarray(at.t)
    learned = jax.lax.map(lambda t: trajectory.field(state, rows, t, config), times)
    exact = jax.lax.map(exact_fields[trajectory.kind(config)], times)
    known = jnp.asarray(at.sigma)[:, None] > LEAST_NOISE
    return np.asarray(learned[:, :, 0]), np.asarray(jnp.where(known, exact[:, :, 0], jnp.nan))
