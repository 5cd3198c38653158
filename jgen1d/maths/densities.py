"""Log densities of normals in a few dimensions and of their mixtures, and draws from them.

Loops over few dimensions are unrolled, and the long axis, of points, comes last: on a CPU, LAPACK would be called once
for each of many small matrices. Loops over many dimensions are loops: unrolled, they would take minutes to compile.
"""

from __future__ import annotations

import math

import chex
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.core import Key, door

LEAST_SHARE = 1e-7
"""The least share of a variance that earlier coordinates leave unexplained: about float32's rounding error."""
MOST_UNROLLED = 8
"""Dimensions up to which loops over them are unrolled."""


def cholesky(covariance: jax.Array) -> jax.Array:
    """The lower triangular factor L, L Lᵀ = covariance: f32[..., dim, dim] of positive definite f32[..., dim, dim].

    The factor is finite even if rounding makes the covariance singular; its diagonal must be positive.
    """
    dim = covariance.shape[-1]
    if dim > MOST_UNROLLED:
        return _cholesky_by_columns(covariance)
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


def _cholesky_by_columns(covariance: jax.Array) -> jax.Array:
    dim = covariance.shape[-1]

    def add(j: jax.Array, factor: jax.Array) -> jax.Array:
        known = jnp.sum(factor * factor[..., j, None, :], axis=-1)
        column = covariance[..., :, j] - known
        variance = covariance[..., j, j]
        pivot = jnp.sqrt(jnp.maximum(column[..., j], LEAST_SHARE * variance))[..., None]
        places = jnp.arange(dim).reshape((1,) * (column.ndim - 1) + (dim,))
        below = jnp.where(places > j, column / pivot, 0)
        return factor.at[..., :, j].set(jnp.where(places == j, pivot, below))

    return jax.lax.fori_loop(0, dim, add, jnp.zeros_like(covariance))


def whiten(factor: jax.Array, points: jax.Array) -> jax.Array:
    """L⁻¹ x, f32[..., dim, n], for factors L, f32[..., dim, dim], and points x, f32[..., dim, n]."""
    if factor.shape[-1] > MOST_UNROLLED:

        def solve(i: jax.Array, z: jax.Array) -> jax.Array:
            known = jnp.sum(factor[..., i, :, None] * z, axis=-2)
            return z.at[..., i, :].set((points[..., i, :] - known) / factor[..., i, i, None])

        shape = jnp.broadcast_shapes(factor.shape[:-2], points.shape[:-2])
        *_, zeros = door.vary((factor, points, jnp.zeros((*shape, *points.shape[-2:]), points.dtype)))
        return jax.lax.fori_loop(0, factor.shape[-1], solve, zeros)
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
    k, dim = means.shape
    chex.assert_shape(x, (None, dim), custom_message="normal_log_prob: x [n, dim]")
    chex.assert_shape(covariances, (k, dim, dim), custom_message="normal_log_prob: covariances [k, dim, dim]")
    factor = cholesky(covariances)
    squares = jnp.sum(whiten(factor, x.T[None] - means[:, :, None]) ** 2, axis=1)
    constant = 0.5 * dim * math.log(2 * math.pi)
    return -0.5 * squares - (log_determinant(factor) + constant)[:, None]


def standard_normal_log_prob(x: jax.Array) -> jax.Array:
    """log N(x; 0, I) in nats, f32[n], at x, f32[n, dim]."""
    chex.assert_rank(x, 2, custom_message="standard_normal_log_prob: x [n, dim]")
    return -0.5 * jnp.sum(x**2 + math.log(2 * math.pi), axis=1)


def sample_normal(key: Key, means: jax.Array, factors: jax.Array) -> jax.Array:
    """Draws once from each of n normals.

    Args:
      key: for the draws.
      means: f32[n, dim].
      factors: f32[n, dim, dim], the lower triangular factors of the covariances, or f32[1, dim, dim] of all of them.

    Returns:
      f32[n, dim].
    """
    n, dim = means.shape
    noise = jax.random.normal(key, means.T.shape)
    if len(factors) == 1:
        return means + (factors[0] @ noise).T
    chex.assert_shape(factors, (n, dim, dim), custom_message="sample_normal: factors [n, dim, dim]")
    if dim > MOST_UNROLLED:
        return means + jnp.einsum("nij,jn->ni", factors, noise)
    return means + jnp.stack([_dot([factors[:, i, j] for j in range(dim)], list(noise)) for i in range(dim)], axis=1)


def mixture_log_prob(log_weights: jax.Array, components: jax.Array) -> jax.Array:
    """log Σ w p(x) in nats, f32[n], from log weights, f32[k], and the components' log densities, f32[k, n]."""
    chex.assert_shape(components, (*log_weights.shape, None), custom_message="mixture_log_prob: components [k, n]")
    return jax.nn.logsumexp(log_weights[:, None] + components, axis=0)


def sample_index(key: Key, weights: jax.Array, num_samples: int) -> jax.Array:
    """Draws i32[num_samples] with probabilities proportional to weights, f32[k], by inverse transform sampling."""
    chex.assert_rank(weights, 1, custom_message="sample_index: weights [k]")
    cdf = jnp.cumsum(weights)
    drawn = jnp.searchsorted(cdf, cdf[-1] * jax.random.uniform(key, (num_samples,)), side="right")
    return jnp.minimum(drawn, len(weights) - 1)  # rounding may carry a draw past the end


def with_floor(covariances: jax.Array, floor: ArrayLike) -> jax.Array:
    """Adds a floor, f32[], to the diagonals of covariances, f32[..., dim, dim]."""
    eye = jnp.eye(covariances.shape[-1], dtype=covariances.dtype)
    return covariances + floor * eye[(None,) * (covariances.ndim - 2)]


def _dot(a: list[jax.Array], b: list[jax.Array]) -> jax.Array:
    """Σ aᵢ bᵢ over the entries that both lists have; 0 if there are none."""
    return sum((x * y for x, y in zip(a, b, strict=False)), jnp.zeros(()))
