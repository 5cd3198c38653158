"""Targets whose densities have a closed form: the uniform and the exponential distribution, and a noisy disk in 2-D."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import i0e, logsumexp

from jgen1d.core import Key
from jgen1d.targets.family import Family, uniforms
from jgen1d.targets.target import Target, as_leaf, no_modes


class UniformParams(NamedTuple):
    """The ends of the interval, f32[] each, in data units."""

    low: jax.Array
    high: jax.Array


def _uniform_log_prob(params: UniformParams, x: jax.Array) -> jax.Array:
    inside = (x[:, 0] >= params.low) & (x[:, 0] <= params.high)
    return jnp.where(inside, -jnp.log(params.high - params.low), -jnp.inf)


def _uniform_cdf(params: UniformParams, x: jax.Array) -> jax.Array:
    return jnp.clip((x - params.low) / (params.high - params.low), 0, 1)


def _uniform_quantile(params: UniformParams, u: jax.Array) -> jax.Array:
    return params.low + (params.high - params.low) * u


def _uniform_moved(params: UniformParams, shift: Any, scale: Any) -> UniformParams:
    return UniformParams((params.low - shift[0]) / scale, (params.high - shift[0]) / scale)


UNIFORM = Family(_uniform_moved, _uniform_log_prob, _uniform_cdf, _uniform_quantile)


def uniform(low: float = 0.0, high: float = 1.0, *, name: str = "uniform") -> Target:
    """U(low, high).

    Args:
      low: the lower end, in data units, finite.
      high: the upper end, in data units, finite, above `low`.
      name: for tables and plots.

    Raises:
      ValueError: if an end is not finite or `low` is not below `high`.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"uniform: low must be below high, and both finite, not {low} and {high}")
    params = UniformParams(as_leaf(low), as_leaf(high))
    mean, std = as_leaf([(low + high) / 2]), as_leaf([(high - low) / math.sqrt(12)])
    return Target(params, mean, std, no_modes(1), UNIFORM, 1, name)


class ExponentialParams(NamedTuple):
    """Where the distribution begins, f32[] in data units, and its rate, f32[] per data unit."""

    low: jax.Array
    rate: jax.Array


def _exponential_log_prob(params: ExponentialParams, x: jax.Array) -> jax.Array:
    above = x[:, 0] - params.low
    return jnp.where(above >= 0, jnp.log(params.rate) - params.rate * above, -jnp.inf)


def _exponential_cdf(params: ExponentialParams, x: jax.Array) -> jax.Array:
    return -jnp.expm1(-params.rate * jnp.maximum(x - params.low, 0))


def _exponential_quantile(params: ExponentialParams, u: jax.Array) -> jax.Array:
    return params.low - jnp.log1p(-u) / params.rate


def _exponential_moved(params: ExponentialParams, shift: Any, scale: Any) -> ExponentialParams:
    return ExponentialParams((params.low - shift[0]) / scale, params.rate * scale)


EXPONENTIAL = Family(_exponential_moved, _exponential_log_prob, _exponential_cdf, _exponential_quantile)


def exponential(rate: float = 1.0, *, name: str = "exponential") -> Target:
    """The exponential distribution: density rate·exp(−rate·x) on x ≥ 0.

    Args:
      rate: per data unit, positive and finite.
      name: for tables and plots.

    Raises:
      ValueError: if `rate` is not positive and finite.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"exponential: rate must be positive and finite, not {rate}")
    params = ExponentialParams(as_leaf(0.0), as_leaf(rate))
    return Target(params, as_leaf([1 / rate]), as_leaf([1 / rate]), no_modes(1), EXPONENTIAL, 1, name)


class DiskParams(NamedTuple):
    """The disk's center, f32[2], its radius and the noise's standard deviation per axis, f32[] each, in data units."""

    center: jax.Array
    radius: jax.Array
    noise: jax.Array


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_NOISE = np.polynomial.hermite_e.hermegauss(24) / np.array([[1], [math.sqrt(2 * math.pi)]])
"""Nodes and weights of an expectation under N(0, 1)."""


def _disk_log_prob(params: DiskParams, x: jax.Array) -> jax.Array:
    """log of (1/πR²) ∫₀ᴿ s/σ² exp(−(r² + s²)/2σ²) I₀(rs/σ²) ds, by Gauss–Legendre where the integrand is not 0."""
    radius, noise = params.radius, params.noise
    squares = jnp.sum((x - params.center[None]) ** 2, axis=1)
    r = jnp.sqrt(jnp.maximum(squares, jnp.finfo(x.dtype).tiny))  # the root has no gradient at zero
    low = jnp.clip(r - 9 * noise, 0, jnp.maximum(radius - 9 * noise, 0))
    high = jnp.clip(r + 9 * noise, jnp.minimum(9 * noise, radius), radius)
    half = (high - low) / 2
    s = low[:, None] + half[:, None] * (1 + jnp.asarray(_NODES, x.dtype)[None])
    z = (r[:, None] - s) / noise
    # exp(−(r² + s²)/2σ²)·I₀(rs/σ²) = exp(−(r − s)²/2σ²)·i0e(rs/σ²)
    log_integrand = jnp.log(s) - 2 * jnp.log(noise) - 0.5 * z**2 + jnp.log(i0e(r[:, None] * s / noise**2))
    log_weights = jnp.log(jnp.asarray(_WEIGHTS, x.dtype))[None] + jnp.log(half)[:, None]
    return logsumexp(log_integrand + log_weights, axis=1) - jnp.log(jnp.pi * radius**2)


def _disk_sample(params: DiskParams, key: Key, num_samples: int) -> jax.Array:
    key_disk, key_noise = jax.random.split(key)
    u = uniforms(key_disk, (2, num_samples))
    radius, angle = params.radius * jnp.sqrt(u[0]), 2 * jnp.pi * u[1]
    on_disk = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=1)
    return params.center[None] + on_disk + params.noise * jax.random.normal(key_noise, (num_samples, 2))


def _disk_cdf_along(params: DiskParams, x: jax.Array, directions: jax.Array) -> jax.Array:
    """½ + (t√(1 − t²) + asin t)/π at t = x/R without noise, of which this is the mean over the noise."""
    x = x - (directions @ params.center)[:, None]
    nodes, weights = (jnp.asarray(values, x.dtype) for values in _NOISE)

    def add(i: jax.Array, cdf: jax.Array) -> jax.Array:
        t = jnp.clip((x - params.noise * nodes[i]) / params.radius, -1, 1)
        return cdf + weights[i] * (0.5 + (t * jnp.sqrt(1 - t**2) + jnp.arcsin(t)) / jnp.pi)

    return jax.lax.fori_loop(0, len(nodes), add, jnp.zeros_like(x))


def _disk_moved(params: DiskParams, shift: Any, scale: Any) -> DiskParams:
    return DiskParams((params.center - shift) / scale, params.radius / scale, params.noise / scale)


DISK = Family(_disk_moved, _disk_log_prob, own_sample=_disk_sample, cdf_along=_disk_cdf_along)


def disk(radius: float = 10.0, noise: float = 1.0, *, name: str = "disk") -> Target:
    """Uniform on a disk around the origin, plus N(0, noise²) on each axis, in 2-D.

    Args:
      radius: in data units, positive and finite.
      noise: the standard deviation per axis, in data units, positive and finite.
      name: for tables and plots.

    Raises:
      ValueError: if `radius` or `noise` is not positive and finite.
    """
    for what, value in {"radius": radius, "noise": noise}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"disk: {what} must be positive and finite, not {value}")
    std = math.sqrt(radius**2 / 4 + noise**2)
    origin = as_leaf([0.0, 0.0])
    params = DiskParams(origin, as_leaf(radius), as_leaf(noise))
    return Target(params, origin, as_leaf([std, std]), no_modes(2), DISK, 2, name)
