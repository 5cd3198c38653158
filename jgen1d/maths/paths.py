"""Probability paths between noise and data, x_t = α(t)·data + σ(t)·noise, and times along them.

Time has two directions, each following its literature: a **flow** starts at noise (t = 0) and ends at data (t = 1); a
**diffusion** starts at data (t = 0) and ends at noise (t = 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.core import Key


class Path(NamedTuple):
    """The amounts of data and noise at each time.

    Attributes:
      alpha: the factor of the data, f32[...] -> f32[...], at times in [0, 1].
      sigma: the factor of the noise, f32[...] -> f32[...], at times in [0, 1].
    """

    alpha: Callable[[jax.Array], jax.Array]
    sigma: Callable[[jax.Array], jax.Array]

    def rates(self, t: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """α, σ and their time derivatives at t, each of the shape of t, f32[] or f32[n, 1]."""
        t = jnp.asarray(t, dtype=float)
        (alpha, d_alpha), (sigma, d_sigma) = (jax.jvp(f, (t,), (jnp.ones_like(t),)) for f in self)
        return alpha, sigma, d_alpha, d_sigma


FLOWS: dict[str, Path] = {
    # Lipman et al. 2023, example II, with σ_min = 0; Liu et al. 2023, equation 1.
    "linear": Path(lambda t: t, lambda t: 1 - t),
    # Albergo & Vanden-Eijnden 2023, equation 5: the variance of standardised data stays 1.
    "variance_preserving": Path(lambda t: jnp.sin(0.5 * math.pi * t), lambda t: jnp.cos(0.5 * math.pi * t)),
}

BETA_MIN, BETA_MAX = 0.1, 20.0
COSINE_OFFSET = 8e-3
_MOST_NOISE = 0.999
"""Where the cosine schedule ends: at 1 no data would be left. Nichol & Dhariwal bound its last steps."""


def _linear_log_alpha(t: jax.Array) -> jax.Array:
    return -0.25 * t**2 * (BETA_MAX - BETA_MIN) - 0.5 * t * BETA_MIN


_COSINE_START = 0.5 * math.pi * COSINE_OFFSET / (1 + COSINE_OFFSET)
_COSINE_SPAN = 0.5 * math.pi * _MOST_NOISE - _COSINE_START


def _cosine_alpha(t: jax.Array) -> jax.Array:
    return jnp.cos(_COSINE_START + t * _COSINE_SPAN) / math.cos(_COSINE_START)


def _cosine_sigma(t: jax.Array) -> jax.Array:
    """√(1 − α²) without the difference, which cancels in float32 near t = 0."""
    product = jnp.sin(t * _COSINE_SPAN) * jnp.sin(2 * _COSINE_START + t * _COSINE_SPAN)
    return jnp.sqrt(jnp.maximum(product, 1e-12)) / math.cos(_COSINE_START)


SCHEDULES: dict[str, Path] = {
    # Ho et al. 2020, whose β grows linearly, in its continuous limit: Song et al. 2021, equation 33.
    "linear": Path(
        lambda t: jnp.exp(_linear_log_alpha(t)),
        lambda t: jnp.sqrt(
            jnp.maximum(-jnp.expm1(2 * _linear_log_alpha(t)), 1e-12)
        ),  # the root of 0 has an infinite slope
    ),
    # Nichol & Dhariwal 2021, equation 17.
    "cosine": Path(_cosine_alpha, _cosine_sigma),
}


def stratified_times(key: Key, count: int) -> jax.Array:
    """Times in [0, 1), f32[count, 1], one in each of `count` equal cells: means over them have a lower variance.

    The times are sorted, so use them for independent rows only.
    """
    return ((jnp.arange(count) + jax.random.uniform(key)) / count)[:, None]
