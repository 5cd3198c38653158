"""Probability paths between noise and data, x_t = α(t)·data + σ(t)·noise, and integrators for fields along them.

Two directions of time are in use, each as its literature has it: a **flow** starts at noise (t = 0) and ends at data
(t = 1); a **diffusion** starts at data (t = 0) and ends at noise (t = 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.core import Key

Field = Callable[[jax.Array, jax.Array], jax.Array]
"""A velocity or drift: `(x: f32[n, dim], t: f32[]) -> f32[n, dim]`, each row on its own."""


class Path(NamedTuple):
    """How much data, `alpha(t)`, and noise, `sigma(t)`, there is at time t in [0, 1]; functions of arrays."""

    alpha: Callable[[jax.Array], jax.Array]
    sigma: Callable[[jax.Array], jax.Array]

    def rates(self, t: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """α, σ and their time derivatives at t, f32[] or f32[n, 1] as t is."""
        t = jnp.asarray(t, dtype=float)
        (alpha, d_alpha), (sigma, d_sigma) = (jax.jvp(f, (t,), (jnp.ones_like(t),)) for f in self)
        return alpha, sigma, d_alpha, d_sigma


FLOWS: dict[str, Path] = {
    # Lipman et al. 2023, example II, with its least standard deviation at 0; Liu et al. 2023, equation 1.
    "linear": Path(lambda t: t, lambda t: 1 - t),
    # Albergo & Vanden-Eijnden 2023, equation 5: the variance of standardised data stays 1.
    "variance_preserving": Path(lambda t: jnp.sin(0.5 * math.pi * t), lambda t: jnp.cos(0.5 * math.pi * t)),
}

BETA_MIN, BETA_MAX = 0.1, 20.0
COSINE_OFFSET = 8e-3
_MOST_NOISE = 0.999
"""The cosine schedule ends here, as Nichol & Dhariwal bound its last steps: at 1 no data would be left at all."""


def _linear_log_alpha(t: jax.Array) -> jax.Array:
    return -0.25 * t**2 * (BETA_MAX - BETA_MIN) - 0.5 * t * BETA_MIN


_COSINE_START = 0.5 * math.pi * COSINE_OFFSET / (1 + COSINE_OFFSET)
_COSINE_SPAN = 0.5 * math.pi * _MOST_NOISE - _COSINE_START


def _cosine_alpha(t: jax.Array) -> jax.Array:
    return jnp.cos(_COSINE_START + t * _COSINE_SPAN) / math.cos(_COSINE_START)


def _cosine_sigma(t: jax.Array) -> jax.Array:
    """The root of 1 − α², without the difference: near 0 nothing would be left of it in float32."""
    product = jnp.sin(t * _COSINE_SPAN) * jnp.sin(2 * _COSINE_START + t * _COSINE_SPAN)
    return jnp.sqrt(jnp.maximum(product, 1e-12)) / math.cos(_COSINE_START)


SCHEDULES: dict[str, Path] = {
    # Ho et al. 2020, whose β grows linearly, in its continuous limit: Song et al. 2021, equation 33.
    "linear": Path(
        lambda t: jnp.exp(_linear_log_alpha(t)),
        lambda t: jnp.sqrt(jnp.maximum(-jnp.expm1(2 * _linear_log_alpha(t)), 1e-12)),  # no root of 0: its slope is ∞
    ),
    # Nichol & Dhariwal 2021, equation 17.
    "cosine": Path(_cosine_alpha, _cosine_sigma),
}


def stratified_times(key: Key, count: int) -> jax.Array:
    """Times in [0, 1), f32[count, 1], one in each of as many cells: a mean over them varies less than over random ones.

    For rows that are independent, for the times are in order.
    """
    return ((jnp.arange(count) + jax.random.uniform(key)) / count)[:, None]


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
    """A rule `(field, y, t, h) -> y at t + h`, and how many evaluations of the field it takes."""

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
      field: `(y, t: f32[]) -> ` a pytree like y.
      y: where it starts, at the first time.
      times: f32[m + 1], in either direction.
      integrator: a name in `INTEGRATORS`.

    Returns:
      y at the last time, and y at all times but the first, on a new leading axis [m].

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
    """A field and its exact divergence at each row: one forward derivative per dimension.

    Args:
      field: f32[n, dim] -> f32[n, dim], each row on its own.
      x: f32[n, dim].

    Returns:
      f32[n, dim] and f32[n].
    """
    value, derivative_along = jax.linearize(field, x)
    axes = jnp.eye(x.shape[1], dtype=x.dtype)
    parts = [derivative_along(jnp.broadcast_to(axis[None], x.shape))[:, i] for i, axis in enumerate(axes)]
    return value, sum(parts[1:], parts[0])


def log_prob_by_flow(field: Field, x: jax.Array, times: jax.Array, integrator: str = "heun") -> jax.Array:
    """The log density of what a field carries N(0, I) to, by the instantaneous change of variables.

    Args:
      field: the velocity.
      x: f32[n, dim], at the first of the times: the end of the flow.
      times: f32[m + 1], from the end of the flow back to the noise.
      integrator: a name in `INTEGRATORS`.

    Returns:
      f32[n], nats.

    References:
      Chen et al. 2018, Neural ordinary differential equations, theorem 1.
    """

    def with_divergence(y: tuple[jax.Array, jax.Array], t: jax.Array) -> tuple[jax.Array, jax.Array]:
        return divergence(lambda x: field(x, t), y[0])

    (noise, volume), _ = solve(with_divergence, (x, jnp.zeros(len(x), x.dtype)), times, integrator)
    return standard_normal_log_prob(noise) + volume


def standard_normal_log_prob(x: jax.Array) -> jax.Array:
    """log N(x; 0, I) in nats, f32[n], of f32[n, dim]."""
    return -0.5 * jnp.sum(x**2 + math.log(2 * math.pi), axis=1)


def langevin(
    key: Key, score: Callable[[jax.Array], jax.Array], x: jax.Array, step_size: ArrayLike, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """Unadjusted Langevin dynamics, x ← x + η/2·score(x) + √η·ξ.

    Args:
      key: for the noise ξ.
      score: f32[n, dim] -> f32[n, dim], the gradient of a log density.
      x: f32[n, dim], where the chains start.
      step_size: η. On N(0, s²) the chains' variance becomes s²/(1 − η/4s²).
      num_steps: of each chain.

    Returns:
      f32[n, dim], where they end, and f32[num_steps, n, dim], all states after the start.

    References:
      Roberts & Tweedie 1996, Exponential convergence of Langevin distributions, section 1.4.
    """

    def step(x: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise = jax.random.normal(jax.random.fold_in(key, number), x.shape, x.dtype)
        x = x + 0.5 * step_size * score(x) + jnp.sqrt(step_size) * noise
        return x, x

    return jax.lax.scan(step, x, jnp.arange(num_steps))


def mala(
    key: Key, log_density: Callable[[jax.Array], jax.Array], x: jax.Array, step_size: ArrayLike, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """The Metropolis-adjusted Langevin algorithm: `langevin`'s proposals, accepted so that the law is exact.

    Args:
      key: for proposals and acceptance.
      log_density: f32[n, dim] -> f32[n], up to a constant.
      x: f32[n, dim], where the chains start.
      step_size: η.
      num_steps: of each chain.

    Returns:
      f32[n, dim], where they end, and f32[], the mean acceptance rate.

    References:
      Roberts & Tweedie 1996, Exponential convergence of Langevin distributions, section 1.4.
    """

    def evaluate(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, pull_back = jax.vjp(log_density, x)
        return values, pull_back(jnp.ones_like(values))[0]

    def log_proposal(to: jax.Array, start: jax.Array, gradient: jax.Array) -> jax.Array:
        return -jnp.sum((to - start - 0.5 * step_size * gradient) ** 2, axis=1) / (2 * step_size)

    def step(chain: tuple, number: jax.Array) -> tuple[tuple, jax.Array]:
        x, value, gradient = chain
        key_noise, key_accept = jax.random.split(jax.random.fold_in(key, number))
        noise = jax.random.normal(key_noise, x.shape, x.dtype)
        proposal = x + 0.5 * step_size * gradient + jnp.sqrt(step_size) * noise
        new_value, new_gradient = evaluate(proposal)
        forward, back = log_proposal(proposal, x, gradient), log_proposal(x, proposal, new_gradient)
        accept = jnp.log(jax.random.uniform(key_accept, value.shape)) < new_value - value + back - forward
        chain = (
            jnp.where(accept[:, None], proposal, x),
            jnp.where(accept, new_value, value),
            jnp.where(accept[:, None], new_gradient, gradient),
        )
        return chain, jnp.mean(accept)

    (x, _, _), rates = jax.lax.scan(step, (x, *evaluate(x)), jnp.arange(num_steps))
    return x, jnp.mean(rates)
