"""Which of a target's modes samples cover, and how their mass is shared out.

Pure functions, arrays in and scalars out, for one set of samples; `vmap` outside.
"""

from __future__ import annotations

import math

import chex
import jax
import jax.numpy as jnp

from jgen1d.evaluation.distances import relative_entropy
from jgen1d.targets import Modes

COVERED_SHARE = 0.2
"""A mode is covered if it holds at least this share of its expected mass."""
RADIUS = 3.0
"""A sample belongs to a mode if it is at most this many of the mode's scales away."""


def mode_mass(samples: jax.Array, modes: Modes) -> jax.Array:
    """The share of samples f32[n, dim] for which each mode is the nearest, within `RADIUS` scales: f32[k]."""
    distance = _distance(samples, modes)
    nearest = jnp.argmin(distance, axis=1)
    inside = jnp.min(distance, axis=1) <= RADIUS
    return jnp.mean(jax.nn.one_hot(nearest, len(modes.scales)) * inside[:, None], axis=0)


def _distance(samples: jax.Array, modes: Modes) -> jax.Array:
    """From each of f32[n, dim] to each mode, in its scales: f32[n, k]."""
    chex.assert_shape(samples, (None, modes.centers.shape[1]), custom_message="samples [n, dim] of the modes' dim")
    return jnp.linalg.norm(samples[:, None] - modes.centers[None], axis=2) / modes.scales[None]


def expected_high_quality(dim: int) -> float:
    """The share of a normal's mass within `RADIUS` scales: 99.73 % in 1-D, 98.89 % in 2-D."""
    return math.erf(RADIUS / math.sqrt(2)) if dim == 1 else 1 - math.exp(-(RADIUS**2) / 2)


def covered(mass: jax.Array, modes: Modes) -> jax.Array:
    """Which modes hold at least `COVERED_SHARE` of their expected mass, bool[k], given `mode_mass`, f32[k]."""
    chex.assert_equal_shape([mass, modes.weights], custom_message="covered: mass and weights [k]")
    return mass >= COVERED_SHARE * modes.weights


def hit(samples: jax.Array, modes: Modes) -> jax.Array:
    """Which modes have at least one of f32[n, dim] within `RADIUS` scales: bool[k] (Lin et al. 2018).

    Only for comparison with published tables: a mode that keeps one sample in thousands counts as found.
    """
    distance = _distance(samples, modes)
    return jnp.any(distance <= RADIUS, axis=0)


def mode_tv(mass: jax.Array, modes: Modes) -> jax.Array:
    """The total variation distance between observed and expected masses, f32[] in [0, 1], given `mode_mass`, f32[k].

    The mass outside of all modes counts as one more cell.
    """
    chex.assert_equal_shape([mass, modes.weights], custom_message="mode_tv: mass and weights [k]")
    high_quality = expected_high_quality(modes.centers.shape[1])
    expected = high_quality * modes.weights
    return 0.5 * (jnp.sum(jnp.abs(mass - expected)) + jnp.abs(jnp.sum(mass) - high_quality))


def reverse_kl(mass: jax.Array, modes: Modes) -> jax.Array:
    """KL in nats of the normalised `mode_mass`, f32[k], from the modes' weights; infinite if all masses are 0.

    A perfect sampler scores about (k − 1)/2n.
    """
    chex.assert_equal_shape([mass, modes.weights], custom_message="reverse_kl: mass and weights [k]")
    total = jnp.sum(mass)
    return jnp.where(total > 0, relative_entropy(mass / jnp.where(total > 0, total, 1), modes.weights), jnp.inf)
