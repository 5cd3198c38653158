"""Normal densities in a few dimensions, and mixtures: what they are in logarithms, and how to draw from them.

Loops over dimensions are unrolled, and the long axis, of points, comes last: on a CPU LAPACK is called for each of many
small matrices, one by one.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.core import Key

LEAST_SHARE = 1e-7
"""Of a variance, which the coordinates before leave unexplained: about what rounding leaves in float32."""


def cholesky(covariance: jax.Array) -> jax.Array:
    """The lower triangular factor L, L Lᵀ = covariance: f32[..., dim, dim] of positive definite f32[..., dim, dim].

    The factor is finite even where the covariance is singular but for rounding; its diagonal has to be positive.
    """
    dim = covariance.shape[-1]
    rows: list[list[jax.Array]] = []
    for i in range(dim):
        row: list[jax.Array] = []
        for j in range(i):
            row.append((covariance[..., i, j] - _dot(row, rows[j])) / rows[j][j])
        variance = covariance[..., i, i]
        row.append(jnp.sqrt(jnp.maximum(variance - _dot(row, row), LEAST_SHARE * variance)))
        rows.append(row)
    zero = jnp.zeros_like(covariance[..., 0, 0])
    return jnp.stack([jnp.stack(row + [zero] * (dim - len(row)), axis=-1) for row in rows], axis=-2)


def whiten(factor: jax.Array, points: jax.Array) -> jax.Array:
    """L⁻¹ x, f32[..., dim, n], of the factors f32[..., dim, dim] and points f32[..., dim, n]."""
    solved: list[jax.Array] = []
    for i in range(factor.shape[-1]):
        known = _dot([factor[..., i, j, None] for j in range(i)], solved)
        solved.append((points[..., i, :] - known) / factor[..., i, i, None])
    return jnp.stack(solved, axis=-2)


def log_determinant(factor: jax.Array) -> jax.Array:
    """log det L, f32[...], of lower triangular f32[..., dim, dim]."""
    return jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)


def normal_log_prob(x: jax.Array, means: jax.Array, covariances: jax.Array) -> jax.Array:
    """log N(x; mean, covariance) in nats of each point under each of k normals.

    Args:
      x: f32[n, dim].
      means: f32[k, dim].
      covariances: f32[k, dim, dim], positive definite.

    Returns:
      f32[k, n].
    """
    factor = cholesky(covariances)
    squares = jnp.sum(whiten(factor, x.T[None] - means[:, :, None]) ** 2, axis=1)
    constant = 0.5 * x.shape[1] * math.log(2 * math.pi)
    return -0.5 * squares - (log_determinant(factor) + constant)[:, None]


def sample_normal(key: Key, means: jax.Array, factors: jax.Array) -> jax.Array:
    """One draw from each of n normals, f32[n, dim]: means f32[n, dim], factors of covariances f32[n, dim, dim]."""
    noise = jax.random.normal(key, means.T.shape)
    dim = means.shape[1]
    return means + jnp.stack([_dot([factors[:, i, j] for j in range(dim)], list(noise)) for i in range(dim)], axis=1)


def mixture_log_prob(log_weights: jax.Array, components: jax.Array) -> jax.Array:
    """log Σ w p(x) in nats, f32[n], of log weights f32[k] and the components' log densities, f32[k, n]."""
    return jax.nn.logsumexp(log_weights[:, None] + components, axis=0)


def sample_index(key: Key, weights: jax.Array, num_samples: int) -> jax.Array:
    """Draws i32[num_samples] with probabilities in proportion to f32[k], by inverse transform sampling."""
    cdf = jnp.cumsum(weights)
    drawn = jnp.searchsorted(cdf, cdf[-1] * jax.random.uniform(key, (num_samples,)), side="right")
    return jnp.minimum(drawn, len(weights) - 1)  # rounding may carry a draw past the end


def with_floor(covariances: jax.Array, floor: ArrayLike) -> jax.Array:
    """Adds a floor to the variances on the diagonals of f32[..., dim, dim]."""
    eye = jnp.eye(covariances.shape[-1], dtype=covariances.dtype)
    return covariances + floor * eye[(None,) * (covariances.ndim - 2)]


def _dot(a: list[jax.Array], b: list[jax.Array]) -> jax.Array:
    """Σ aᵢ bᵢ over the entries that both have, 0 where there are none."""
    return sum((x * y for x, y in zip(a, b, strict=False)), jnp.zeros(()))
