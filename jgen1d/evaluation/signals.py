"""How far samples of signals are from a target: moments, spectrum, single places, factors, and real images kept apart.

Pure functions, arrays in and scalars out, for one set of samples; `vmap` outside. Each distance has a floor, what a
perfect sampler of the same size scores, by simulation: see `reference`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.maths import densities
from jgen1d.maths.quadrature import midpoints
from jgen1d.targets import Digits, Target
from jgen1d.targets.images import squared_distances
from jgen1d.targets.target import power

NUM_POLAR_STEPS = 30
"""Newton–Schulz steps: singular values from 1e-5 of the largest on have converged."""
COVERED_SHARE = 0.2
"""A class is covered if it has at least this share of the samples that it should have."""
NUM_LEVELS = 512
"""Quantiles of images' principal components that are compared."""


class SignalReference(NamedTuple):
    """What samples of signals are compared with.

    Attributes:
      places: f32[dim, m], a large sample's values at each place, sorted.
      factors: f32[k, m], its factors, sorted; None without factors.
      residual: f32[], the root mean square of what its factors leave; None without factors.
      floors: the expected score of a perfect sampler of the same size, f32[] by the names of `measures`.
    """

    places: jax.Array
    factors: jax.Array | None
    residual: jax.Array | None
    floors: dict[str, jax.Array]


def reference(target: Target, points: jax.Array, perfect: jax.Array) -> SignalReference:
    """Prepares the comparison with a target.

    Args:
      target: of signals.
      points: f32[m, dim], a large sample of it.
      perfect: f32[sets, n, dim], samples of it of the size that is to be compared; m is a multiple of n.
    """
    factors = residual = None
    if target.family.factors is not None:
        found, left = target.factors(points)
        factors, residual = jnp.sort(found.T, axis=1), jnp.sqrt(jnp.mean(left**2))
    bare = SignalReference(jnp.sort(points.T, axis=1), factors, residual, {})
    floors = jax.lax.map(lambda samples: measures(samples, target, bare), perfect)
    return bare._replace(floors=jax.tree.map(lambda values: jnp.mean(values), floors))


def measures(samples: jax.Array, target: Target, known: SignalReference | None) -> dict[str, jax.Array]:
    """The distances of samples f32[n, dim] from a target, f32[] by name; `METRICS` has their titles.

    Without a reference they are those that need the target's exact moments alone.
    """
    mean, covariance = jnp.asarray(target.mean), _covariance(samples)
    gap, root = jnp.mean(samples, axis=0) - mean, densities.cholesky(_lifted(covariance))
    found = {
        "frechet": frechet(gap, root, target.root),
        "covariance_error": _relative(covariance, target.covariance),
        "spectrum_error": _relative(power(samples - mean[None], target.shape), target.spectrum),
    }
    if known is None:
        return found
    found["pointwise_w1"] = _mean_w1(samples.T, known.places)
    if known.factors is not None and known.residual is not None:
        factors, residual = target.factors(samples)
        each = jax.vmap(lambda x, points: _mean_w1(x[None], points[None]) / jnp.std(points))(factors.T, known.factors)
        found["factor_w1"] = jnp.max(each)
        found["off_manifold"] = jnp.sqrt(jnp.mean(residual**2)) / known.residual
    return found


def frechet(gap: jax.Array, root: jax.Array, other_root: jax.Array) -> jax.Array:
    """The Wasserstein-2 distance of two normals, of Bures and Fréchet, f32[] in data units.

    W₂² = ‖gap‖² + tr Σ + tr Σ′ − 2·tr (Σ^½ Σ′ Σ^½)^½, and the last trace is the nuclear norm of RᵀR′ for any roots
    R Rᵀ = Σ and R′ R′ᵀ = Σ′.

    Args:
      gap: f32[dim], of the means.
      root: R, f32[dim, dim].
      other_root: R′, f32[dim, dim].

    References:
      Dowson & Landau 1982, The Fréchet distance between multivariate normal distributions, equation 4.
    """
    traces = jnp.sum(root**2) + jnp.sum(other_root**2)
    return jnp.sqrt(jnp.maximum(jnp.sum(gap**2) + traces - 2 * nuclear_norm(root.T @ other_root), 0))


def nuclear_norm(matrix: jax.Array) -> jax.Array:
    """The sum of a matrix's singular values, f32[], of f32[m, n]: tr PᵀA with the orthogonal part P of A.

    P is the limit of the Newton–Schulz iteration X ← (3X − X Xᵀ X)/2: products only, because programs that call LAPACK
    many times on several devices can hang.

    References:
      Higham 2008, Functions of matrices, section 8.3.
    """
    norm = jnp.linalg.norm(matrix)

    def step(_: int, x: jax.Array) -> jax.Array:
        return 1.5 * x - 0.5 * x @ (x.T @ x)

    polar = jax.lax.fori_loop(0, NUM_POLAR_STEPS, step, matrix / jnp.where(norm > 0, norm, 1))
    return jnp.sum(polar * matrix)


def frechet_floor(covariance: jax.Array, num_samples: int) -> jax.Array:
    """√E[W₂²] between N(m, Σ) and the normal with the moments of `num_samples` draws of it, f32[], for large n.

    With the eigenvalues λ of Σ: E[W₂²] = (Σᵢ λᵢ + ½ Σᵢ λᵢ + ½ Σ_{i≠j} λᵢλⱼ/(λᵢ + λⱼ))/n. The first term is that of the
    mean; the rest is the metric ½ Σ |Eᵢⱼ|²/(λᵢ + λⱼ) of Bures at Σ, of errors E with variance (1 + [i = j])·λᵢλⱼ/n.

    References:
      Bhatia, Jain & Lim 2019, On the Bures–Wasserstein distance between positive definite matrices, section 4.
    """
    values = jnp.linalg.eigvalsh(covariance)
    pairs = values[:, None] * values[None] / (values[:, None] + values[None])
    off_diagonal = jnp.sum(pairs) - jnp.sum(values) / 2
    return jnp.sqrt((1.5 * jnp.sum(values) + 0.5 * off_diagonal) / num_samples)


def image_measures(samples: jax.Array, target: Target) -> dict[str, jax.Array]:
    """The distances of images f32[n, dim] from those that were held out, f32[] by name.

    `pca_w1` and `pca_frechet` are in the space of the training images' first principal components, over those of the
    training images themselves; `memorised` is the share of samples nearer to their nearest training image than a
    held-out image is to its own: 50 % for images as new as these, and all for copies of training images.
    """
    law, scale, location = target.params.law, target.params.scale, jnp.asarray(target.params.location)
    assert isinstance(law, Digits)
    images = (samples - location[None]) / scale
    key_train, key_held = jax.random.split(jax.random.key(0))
    train, held_out = (
        jnp.asarray(rows) + law.width * jax.random.uniform(key, rows.shape, minval=-0.5, maxval=0.5)
        for key, rows in ((key_train, law.rows), (key_held, law.held_out))
    )
    seen, trained, wanted = (x @ jnp.asarray(law.components).T for x in (images, train, held_out))
    shares = jnp.mean(jax.nn.one_hot(law.classify(images), len(law.shares)), axis=0)
    near, fresh = (
        jnp.sqrt(jnp.maximum(jnp.min(squared_distances(x, jnp.asarray(law.rows)), axis=1), 0))
        for x in (images, held_out)
    )
    nearer = jnp.mean(jnp.searchsorted(jnp.sort(near), fresh) / len(near))
    return {
        "pca_w1_over_floor": _w1_of(seen, wanted) / _w1_of(trained, wanted),
        "pca_frechet_over_floor": _frechet_of(seen, wanted) / _frechet_of(trained, wanted),
        "classes_covered": jnp.sum(shares >= COVERED_SHARE * jnp.asarray(law.shares)).astype(float),
        "memorised": nearer,
    }


def _w1_of(x: jax.Array, y: jax.Array) -> jax.Array:
    """The W1 of each column of f32[n, k] and f32[m, k], averaged."""
    levels = midpoints(NUM_LEVELS)
    return jnp.mean(jnp.abs(jnp.quantile(x, levels, axis=0) - jnp.quantile(y, levels, axis=0)))


def _frechet_of(x: jax.Array, y: jax.Array) -> jax.Array:
    """The Fréchet distance of the normals with the moments of f32[n, k] and f32[m, k]."""
    roots = (densities.cholesky(_lifted(_covariance(rows))) for rows in (x, y))
    return frechet(jnp.mean(x, axis=0) - jnp.mean(y, axis=0), *roots)


def _covariance(samples: jax.Array) -> jax.Array:
    centred = samples - jnp.mean(samples, axis=0)[None]
    return centred.T @ centred / len(samples)


def _lifted(covariance: jax.Array) -> jax.Array:
    """The covariance with as much on its diagonal as rounding takes, without which collapsed samples have no root."""
    rounding = 8 * jnp.finfo(covariance.dtype).eps * jnp.trace(covariance)
    return densities.with_floor(covariance, rounding + 1e-12)


def _mean_w1(values: jax.Array, points: jax.Array) -> jax.Array:
    """The W1 of each row of f32[k, n] from sorted points f32[k, n·c], averaged."""
    ordered = jnp.sort(values, axis=1)
    return jnp.mean(jnp.abs(points.reshape(*ordered.shape, -1) - ordered[:, :, None]))


def _relative(found: Any, exact: Any) -> jax.Array:
    return jnp.linalg.norm(found - exact) / jnp.linalg.norm(exact)
