"""How samples in bins differ from a target's masses: total variation, Jensen–Shannon, and a perfect sampler's scores.

Pure functions, arrays in and scalars out, for one set of samples; `vmap` outside.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from jgen1d.evaluation.distances import Reference, directions, ordered_along, relative_entropy_terms
from jgen1d.maths.quadrature import binomial_mean
from jgen1d.targets import Target

NUM_BINS = 100
"""Bins of the grid on which the Jensen–Shannon divergence is computed, and the most on which TV is."""
SAMPLES_PER_BIN = 100
"""Samples in each bin of equal probability, on average, from 200 samples on: a perfect sampler's TV is then 0.04."""


def num_equal_bins(num_samples: int) -> int:
    """How many bins of equal probability `tv` lays out for so many samples: from 2 to `NUM_BINS`."""
    return min(max(num_samples // SAMPLES_PER_BIN, 2), NUM_BINS)


def tv(samples: jax.Array, target: Target, reference: Reference) -> jax.Array:
    """The share of probability that lies in the wrong bin: ½ Σ |observed − expected|; in 2-D its mean over directions.

    The bins have equal probability under the target, because on an even grid a few outliers hide the bulk in one bin.

    Args:
      samples: f32[n, dim], in data units.
      target: what the model was to learn.
      reference: from `reference(target, n)`.

    Returns:
      f32[] in [0, 1]; a perfect sampler scores about `tv_floor(n)`.
    """
    ordered = ordered_along(samples)
    num_bins, num_points = num_equal_bins(len(samples)), reference.points.shape[1]
    inner = [(2 * k * num_points + num_bins) // (2 * num_bins) for k in range(1, num_bins)]
    edges = reference.points[:, jnp.array(inner)]
    if target.has_cdf:
        cdf = target.cdf_along(edges, directions(target.dim))
    else:
        cdf = jnp.broadcast_to(jnp.array(inner) / num_points, edges.shape)
    expected, observed = _masses(cdf), _masses(_share_up_to(edges, ordered))
    return jnp.mean(0.5 * jnp.sum(jnp.abs(expected - observed), axis=1))


def tv_floor(num_samples: int) -> jax.Array:
    """The expected `tv` of a perfect sampler, f32[]: each bin's count is binomial. Less for a target with atoms."""
    num_bins = num_equal_bins(num_samples)
    share = jnp.full(1, 1 / num_bins)
    return 0.5 * num_bins * binomial_mean(lambda observed: jnp.abs(observed - 1 / num_bins), num_samples, share)[0]


def js(samples: jax.Array, target: Target) -> jax.Array:
    """The Jensen–Shannon divergence in nats between the binned samples f32[n, 1] and the binned 1-D target.

    There are `NUM_BINS` equal bins over the target's central 99.8 % and one on each side for the rest. The target's
    masses are differences of its cdf. A perfect sampler scores `js_floor`, about NUM_BINS/8n, not 0.
    """
    chex.assert_shape(samples, (None, 1), custom_message="js: samples [n, 1]")
    edges = _even_edges(target)
    terms = _js_terms(_masses(target.cdf(edges)), _masses(_share_up_to(edges, ordered_along(samples))))
    return jnp.maximum(jnp.sum(terms), 0)  # rounding can make a difference of logarithms negative


def js_floor(target: Target, num_samples: int) -> jax.Array:
    """The expected `js` of a perfect sampler of a 1-D target, f32[] in nats: each bin's count is binomial."""
    expected = _masses(target.cdf(_even_edges(target)))[0]
    return jnp.sum(binomial_mean(lambda observed: _js_terms(expected[:, None], observed), num_samples, expected))


def _even_edges(target: Target) -> jax.Array:
    """f32[1, NUM_BINS + 1], in data units."""
    return jnp.linspace(target.quantile(1e-3), target.quantile(1 - 1e-3), NUM_BINS + 1)[None]


def _share_up_to(edges: jax.Array, ordered: jax.Array) -> jax.Array:
    """The share of samples, sorted in f32[d, n], that are at most each edge: f32[d, k]."""
    below = jax.vmap(lambda row, at: jnp.searchsorted(row, at, side="right"))(ordered, edges)
    return below / ordered.shape[1]


def _masses(cdf: jax.Array) -> jax.Array:
    """The masses of the bins between k edges and beyond them, f32[d, k + 1], from the cdf at the edges, f32[d, k]."""
    return jnp.diff(cdf, prepend=0.0, append=1.0, axis=1)


def _js_terms(expected: jax.Array, observed: jax.Array) -> jax.Array:
    """What each bin contributes to the Jensen–Shannon divergence, in nats."""
    middle = (expected + observed) / 2
    return 0.5 * (relative_entropy_terms(expected, middle) + relative_entropy_terms(observed, middle))
