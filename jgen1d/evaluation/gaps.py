"""The largest gap between distribution functions (Kolmogorov–Smirnov), its p-value, and how many samples show it.

Pure functions, arrays in and scalars out, for one set of samples; `vmap` outside. In 2-D the gap is the largest over
the `directions` that samples are projected on, and p-values are Bonferroni-corrected: multiplied by their number.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from scipy import special

from jgen1d.evaluation.distances import directions, ordered_along, projections
from jgen1d.maths.quadrature import midpoints
from jgen1d.targets import Target

LEVEL = 0.01
"""Of the Kolmogorov–Smirnov test, in the verdict and in `samples_to_tell`."""
NUM_EDGES = {1: 4096, 2: 512}
"""By dimension: the points, of equal probability in between, at which `Steps` compare distribution functions."""
MEDIAN_EXCESS = 0.42
"""By how much, of √n times the gap, the noise around it raises the median of the Kolmogorov–Smirnov statistic.

For a shifted or widened distribution; simulated: 0.43 in 1-D and 0.40 in 2-D. For gaps of another shape it is less, and
it takes more samples to tell: 1.3 times as many for wrong weights of two modes, 1.6 for a narrow bump.
"""


def ks(samples: jax.Array, target: Target) -> jax.Array:
    """The Kolmogorov–Smirnov distance sup |Fₙ − F|, f32[] in [0, 1], of samples f32[n, dim] from a target with a cdf.

    In 2-D it is the largest over directions.
    """
    chex.assert_shape(samples, (None, target.dim), custom_message="ks: samples [n, dim]")
    ordered, along = ordered_along(samples), directions(target.dim)
    n = ordered.shape[1]
    # F may jump, as a finite sample's does.
    upper = (jnp.arange(n) + 1)[None] / n - target.cdf_along(ordered, along)
    lower = target.cdf_along(_just_below(ordered), along) - jnp.arange(n)[None] / n
    # Equal samples make one jump: the first of them begins it and the last ends it.
    rises, edge = ordered[:, 1:] > ordered[:, :-1], jnp.ones((len(ordered), 1), bool)
    last, first = jnp.concatenate([rises, edge], axis=1), jnp.concatenate([edge, rises], axis=1)
    return jnp.maximum(jnp.max(jnp.where(last, jnp.abs(upper), 0)), jnp.max(jnp.where(first, jnp.abs(lower), 0)))


def ks_of_two(samples: jax.Array, points: jax.Array) -> jax.Array:
    """The largest gap between the distribution functions of two samples over directions, f32[] in [0, 1].

    Args:
      samples: f32[n, dim].
      points: f32[directions, m], the other's projections, sorted.
    """
    ordered = ordered_along(samples)
    n, m = ordered.shape[1], points.shape[1]

    def along(x: jax.Array, y: jax.Array) -> jax.Array:
        upper = (jnp.arange(n) + 1) / n - jnp.searchsorted(y, x, side="right") / m
        lower = jnp.searchsorted(y, x, side="left") / m - jnp.arange(n) / n
        return jnp.maximum(jnp.max(upper), jnp.max(lower))

    return jnp.max(jax.vmap(along)(ordered, points))


def _just_below(x: jax.Array) -> jax.Array:
    """The next smaller floats. For 0 that would be a subnormal number, which is flushed to 0."""
    return jnp.where(x == 0, -jnp.finfo(x.dtype).tiny, jnp.nextafter(jax.lax.stop_gradient(x), -jnp.inf))


def ks_p(distance: jax.Array, num_samples: float, dim: int) -> jax.Array:
    """The p-value of `ks`: the chance that a perfect sampler's is at least as large, f32[] in [0, 1].

    Kolmogorov's limit at (√n + 0.12 + 0.11/√n)·D (Stephens 1970), times the number of directions. It is an upper bound
    beyond 1-D, where directions are correlated, and for a target with atoms. Of two samples of n and m,
    `num_samples` is nm/(n + m).
    """
    root = math.sqrt(num_samples)
    z = jnp.maximum((root + 0.12 + 0.11 / root) * distance, 0.3)  # below, the probability is 1 to four digits
    k = jnp.arange(1, 21)
    tail = 2 * jnp.sum(jnp.where(k % 2, 1, -1) * jnp.exp(-2 * (k * z) ** 2))
    return jnp.where(jnp.isnan(distance), jnp.nan, jnp.clip(len(directions(dim)) * tail, 0, 1))


class Steps(NamedTuple):
    """A distribution function with steps: the shares below each edge and at most there, f32[directions, edges]."""

    below: jax.Array
    at_most: jax.Array


def edges(target: Target) -> jax.Array:
    """Where `Steps` are taken, f32[directions, m], in data units: quantiles, or a sample's projections in 2-D."""
    m = NUM_EDGES[target.dim]
    if target.dim == 1:
        return target.quantile(midpoints(m))[None]
    points = target.sample(jax.random.key(0), m)
    return jnp.sort(directions(target.dim) @ points.T, axis=1)


def steps(samples: jax.Array, edges: jax.Array) -> Steps:
    """The distribution function of f32[n, dim]."""

    def along(values: jax.Array, row: jax.Array) -> Steps:
        def shares(places: jax.Array) -> jax.Array:
            return jnp.cumsum(jnp.zeros(len(row) + 1, int).at[places].add(1))[:-1] / len(values)

        # Each sample looks for its place among the edges: to sort all samples takes 8 times as long.
        first = jnp.searchsorted(row, values)
        nearest = jnp.minimum(first, len(row) - 1)
        beyond = jnp.searchsorted(row, row, side="right")[nearest]  # of edges that are equal to the sample
        return Steps(below=shares(jnp.where(row[nearest] == values, beyond, first)), at_most=shares(first))

    return jax.vmap(along)(projections(samples), edges)


def largest_gap(steps: Steps, target: Target, edges: jax.Array) -> jax.Array:
    """The largest gap between a distribution function and a target's, f32[]."""
    along = directions(target.dim)
    upper = steps.at_most - target.cdf_along(edges, along)
    lower = steps.below - target.cdf_along(_just_below(edges), along)
    return jnp.maximum(jnp.max(jnp.abs(upper)), jnp.max(jnp.abs(lower)))


def samples_to_tell(gap: jax.Array, dim: int, num_samples: float = math.inf) -> jax.Array:
    """The sample size at which a Kolmogorov–Smirnov test at 1 % rejects half of the draws, f32[], at least 1.

    The test rejects where √n·D exceeds Kolmogorov's quantile K. The median of √n·D is √n times the gap, and
    `MEDIAN_EXCESS`, so n = ((K − excess)/gap)².

    Args:
      gap: the largest gap between the model's distribution function and the target's, f32[] in [0, 1].
      dim: the target's dimension; the level is divided by the number of directions.
      num_samples: how many samples the gap was measured on; also the result if that many cannot tell.
    """
    critical = float(special.kolmogi(LEVEL / len(directions(dim))))
    told = gap > critical / math.sqrt(num_samples)
    n = ((critical - MEDIAN_EXCESS) / jnp.where(told, gap, 1)) ** 2
    return jnp.where(jnp.isnan(gap), jnp.nan, jnp.where(told, jnp.maximum(n, 1), num_samples))
