"""How far samples are from a target: Wasserstein-1 with its floor, the energy distance, and KL.

Pure functions, arrays in and scalars out, for one set of samples; `vmap` outside.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.evaluation import signals
from jgen1d.maths.quadrature import midpoints
from jgen1d.targets import Target

NUM_DIRECTIONS = 32
"""Directions of the sliced distance in 2-D, evenly spaced over half a turn."""
NUM_SIGNAL_DIRECTIONS = 128
"""Directions of the sliced distance of signals, drawn once and for all."""
NUM_ENERGY_POINTS = 2_500
"""How many of the reference's points, about, the energy distance sorts together with the samples."""


class Reference(NamedTuple):
    """What samples are compared with, computed once per target and number of samples.

    Attributes:
      points: f32[directions, m], sorted, in data units: in 1-D the target's quantiles at the midpoints of m cells, else
        a large sample's projections on each direction. m is a multiple of the number of samples.
      floor: f32[], the expected W1 of a perfect sampler of the same size, in data units.
      signal: what more there is to compare of signals; None up to 2-D.
    """

    points: jax.Array
    floor: jax.Array
    signal: signals.SignalReference | None = None


def reference(target: Target, num_samples: int, *, num_points: int = 8192, for_curves: bool = False) -> Reference:
    """Prepares the comparison of `num_samples` samples with a target.

    Args:
      target: what samples are compared with.
      num_samples: the number of samples in each comparison, at least 1.
      num_points: the least number of points to compare with; it is rounded up to a multiple of `num_samples`, at least
        4 per sample.
      for_curves: leave out what only final metrics need.
    """
    cells = num_samples * max(4, math.ceil(num_points / num_samples))
    if target.dim == 1:
        points = target.quantile(midpoints(cells))[None]
        return Reference(points, w1_floor(target, num_samples))
    key_points, key_perfect = jax.random.split(jax.random.key(0))
    sample = target.sample(key_points, cells)
    points = jnp.sort(directions(target.dim) @ sample.T, axis=1)
    perfect = jax.lax.map(lambda key: target.sample(key, num_samples), jax.random.split(key_perfect, 8))
    floor = jnp.mean(jax.lax.map(lambda samples: w1(samples, points), perfect))
    return Reference(
        points, floor, None if for_curves or target.dim == 2 else signals.reference(target, sample, perfect)
    )


def directions(dim: int) -> jax.Array:
    """The unit vectors that samples are projected on.

    Returns:
      f32[1, 1] in 1-D, f32[NUM_DIRECTIONS, 2] in 2-D, f32[NUM_SIGNAL_DIRECTIONS, dim] beyond.
    """
    if dim == 1:
        return jnp.ones((1, 1))
    if dim > 2:
        drawn = np.random.default_rng(dim).normal(size=(NUM_SIGNAL_DIRECTIONS, dim))
        return jnp.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=float)
    angles = jnp.arange(NUM_DIRECTIONS) * (math.pi / NUM_DIRECTIONS)
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


def projections(samples: jax.Array) -> jax.Array:
    """Those of f32[n, dim] on each direction, f32[directions, n]."""
    return samples.T if samples.shape[1] == 1 else directions(samples.shape[1]) @ samples.T


def ordered_along(samples: jax.Array) -> jax.Array:
    """The `projections` of f32[n, dim], sorted: f32[directions, n]."""
    return jnp.sort(projections(samples), axis=1)


def w1(samples: jax.Array, points: jax.Array) -> jax.Array:
    """The Wasserstein-1 distance ∫₀¹ |Fₙ⁻¹(u) − F⁻¹(u)| du; beyond 1-D its mean over directions (sliced).

    Args:
      samples: f32[n, dim], in data units.
      points: f32[directions, n·k], from `reference`: the integral uses k ≥ 4 quantiles per sample.

    Returns:
      f32[], in data units.
    """
    ordered = ordered_along(samples)
    chex.assert_shape(points, (len(ordered), None), custom_message="w1: points [directions, n·k]")
    return jnp.mean(jnp.abs(points.reshape(*ordered.shape, -1) - ordered[:, :, None]))


def w1_floor(target: Target, num_samples: int) -> jax.Array:
    """E[W1] of `num_samples` samples of a 1-D target against the target itself: √(2/π)·∫√(F(1−F))/√n.

    The limit for large n (del Barrio, Giné & Matrán 1999); between two samples of n each it is √2 times as large.
    """
    ends = target.quantile(jnp.array([1e-6, 1 - 1e-6]))
    x = jnp.linspace(ends[0], ends[1], 4097)
    cdf = target.cdf(x)
    return math.sqrt(2 / math.pi / num_samples) * jnp.trapezoid(jnp.sqrt(cdf * (1 - cdf)), x)


def energy(samples: jax.Array, points: jax.Array) -> jax.Array:
    """The energy distance 2E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖ = 2∫(Fₙ − F)²; in 2-D its mean over directions.

    Args:
      samples: f32[n, dim], in data units.
      points: f32[directions, m], from `reference`.

    Returns:
      f32[], in data units.

    References:
      Székely & Rizzo 2013, Energy statistics; sliced in 2-D.
    """
    ordered = ordered_along(samples)
    chex.assert_shape(points, (len(ordered), None), custom_message="energy: points [directions, m]")
    most = max(1, points.shape[1] // NUM_ENERGY_POINTS)
    stride = next(stride for stride in range(most, 0, -1) if points.shape[1] % stride == 0)

    def along(x: jax.Array, y: jax.Array) -> jax.Array:
        both = jnp.concatenate([x, y])
        order = jnp.argsort(both)
        steps = jnp.where(order < len(x), 1 / len(x), -1 / len(y))
        return 2 * jnp.sum(jnp.cumsum(steps)[:-1] ** 2 * jnp.diff(both[order]))

    return jnp.mean(jax.vmap(along)(ordered, points[:, stride // 2 :: stride]))


def kl(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """KL(p‖q) in nats: the mean of log p − log q, f32[n] each, over the same draws of p."""
    chex.assert_rank(log_p, 1, custom_message="kl: log_p [n]")
    chex.assert_equal_shape([log_p, log_q], custom_message="kl: log_p and log_q [n]")
    return jnp.mean(log_p - log_q)


def relative_entropy(p: jax.Array, q: jax.Array) -> jax.Array:
    """Σ p log(p/q) over bins, 0 where p is 0."""
    return jnp.sum(relative_entropy_terms(p, q))


def relative_entropy_terms(p: jax.Array, q: jax.Array) -> jax.Array:
    """p log(p/q) of each bin, 0 where p is 0."""
    return jnp.where(p > 0, p * (jnp.log(jnp.where(p > 0, p, 1)) - jnp.log(jnp.where(q > 0, q, 1))), 0)
