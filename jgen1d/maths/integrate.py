"""Integrators for ordinary differential equations with fixed steps, and the density that a flow carries along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core.door import vary
from jgen1d.maths.densities import standard_normal_log_prob

MOST_EXACT = 8
"""Dimensions up to which a divergence is exact."""
NUM_PROBES = 8
"""Directions along which it is estimated beyond."""
Field = Callable[[jax.Array, jax.Array], jax.Array]
"""A velocity or drift: `(x: f32[n, dim], t: f32[]) -> f32[n, dim]`, each row on its own."""


def _euler(field: Callable, y: Any, t: jax.Array, h: jax.Array) -> Any:
    return _add(y, h, field(y, t))


def _midpoint(field: Callable, y: Any, t: jax.Array, h: jax.Array) -> Any:
    return _add(y, h, field(_add(y, h / 2, field(y, t)), t + h / 2))


def _heun(field: Callable, y: Any, t: jax.Array, h: jax.Array) -> Any:
    first = field(y, t)
    second = field(_add(y, h, first), t + h)
    return _add(_add(y, h / 2, first), h / 2, second)


def _add(y: Any, h: jax.Array, slope: Any) -> Any:
    return jax.tree.map(lambda value, rate: value + h * rate, y, slope)


class Integrator(NamedTuple):
    """One step of a solver.

    Attributes:
      rule: `(field, y, t, h) -> y at t + h`.
      evaluations: of the field, per step.
    """

    rule: Callable[[Callable, Any, jax.Array, jax.Array], Any]
    evaluations: int


INTEGRATORS: dict[str, Integrator] = {
    "euler": Integrator(_euler, 1),
    "midpoint": Integrator(_midpoint, 2),
    "heun": Integrator(_heun, 2),
}


def solve(field: Callable, y: Any, times: jax.Array, integrator: str = "heun") -> tuple[Any, Any]:
    """Integrates dy/dt = field(y, t) with fixed steps.

    Args:
      field: `(y, t: f32[]) -> dy/dt`, a pytree like y.
      y: the state at the first time, a pytree of arrays.
      times: f32[m + 1], increasing or decreasing.
      integrator: a name in `INTEGRATORS`.

    Returns:
      y at the last time, and y at all times after the first, on a new leading axis [m].

    References:
      Hairer, Nørsett & Wanner 1993, Solving ordinary differential equations I, section II.1.
    """
    rule = INTEGRATORS[integrator].rule

    def step(y: Any, interval: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
        start, end = interval
        y = rule(field, y, start, end - start)
        return y, y

    return jax.lax.scan(step, y, (times[:-1], times[1:]))


def divergence(field: Callable[[jax.Array], jax.Array], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A field and its divergence at each row, by one forward derivative per dimension.

    Beyond `MOST_EXACT` dimensions it is estimated, without bias, from derivatives along `NUM_PROBES` directions v of
    random signs, which are always the same: E[vᵀ(∂field/∂x)v] is the divergence.

    Args:
      field: f32[n, dim] -> f32[n, dim], each row on its own.
      x: f32[n, dim].

    Returns:
      The field, f32[n, dim], and its divergence, f32[n].

    References:
      Hutchinson 1989, A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines.
    """
    value, derivative_along = jax.linearize(field, x)
    if x.shape[1] > MOST_EXACT:
        probes = np.random.default_rng(0).choice([-1.0, 1.0], (NUM_PROBES, 1, x.shape[1]))
        _, probes = vary((x, jnp.asarray(probes, x.dtype)))

        def along(probe: jax.Array) -> jax.Array:
            return jnp.sum(probe * derivative_along(jnp.broadcast_to(probe, x.shape)), axis=1)

        return value, jnp.mean(jax.lax.map(along, probes), axis=0)
    _, axes = vary((x, jnp.eye(x.shape[1], dtype=x.dtype)))
    parts = [derivative_along(jnp.broadcast_to(axis[None], x.shape))[:, i] for i, axis in enumerate(axes)]
    return value, sum(parts[1:], parts[0])


def log_prob_by_flow(field: Field, x: jax.Array, times: jax.Array, integrator: str = "heun") -> jax.Array:
    """The log density of the distribution that a flow makes of N(0, I), by the instantaneous change of variables.

    Args:
      field: the flow's velocity.
      x: f32[n, dim], points at the end of the flow.
      times: f32[m + 1], from the end of the flow back to the noise.
      integrator: a name in `INTEGRATORS`.

    Returns:
      f32[n], in nats.

    References:
      Chen et al. 2018, Neural ordinary differential equations, theorem 1.
    """

    def with_divergence(y: tuple[jax.Array, jax.Array], t: jax.Array) -> tuple[jax.Array, jax.Array]:
        return divergence(lambda x: field(x, t), y[0])

    (noise, volume), _ = solve(with_divergence, (x, jnp.zeros_like(x[:, 0])), times, integrator)
    return standard_normal_log_prob(noise) + volume
