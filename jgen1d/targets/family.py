"""The functions that targets of one form share, and inverse transform sampling, which draws from all 1-D ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key


class Family(NamedTuple):
    """The functions that targets of one form share; each takes the target's parameters first.

    They are functions of modules, so that targets can be pickled.

    Attributes:
      moved: `(params, shift: f64[dim], scale: f64[]) -> params` of (X − shift)/scale.
      log_prob: `(params, x: f32[n, dim]) -> f32[n]` in nats, or None without a density.
      cdf: `(params, x: f32[...]) -> f32[...]`, or None unless dim is 1.
      quantile: `(params, u: f32[...]) -> f32[...]` for u in (0, 1), or None unless dim is 1.
      own_sample: `(params, key, num_samples) -> f32[num_samples, dim]`; None in 1-D, for inverse transform sampling.
      cdf_along: `(params, x: f32[d, n], directions: f32[d, dim]) -> f32[d, n]`, the distribution functions of the
        projections on unit vectors; None if unknown, and in 1-D, where the cdf tells.
      ends: `params -> (low, high)`, f32[] each, the least and the greatest value of a sample; None if it is not of one.
      root: `params -> f32[dim, dim]`, the symmetric square root of a signal's covariance; None for dim 1 and 2.
      factors: `(params, x: f32[n, dim]) -> (f32[n, k], residual: f32[n])`: the factors of the noiseless signal that is
        nearest to each row, and the root mean square of what it leaves; None for a family without factors.
      class_weights: `params -> f32[k]`, how frequent labels are; None where the modes are the labels.
      class_log_probs: `(params, x: f32[n, dim]) -> f32[n, k]`, log p(label | x).
    """

    moved: Callable[[Any, Any, Any], Any]
    log_prob: Callable[[Any, jax.Array], jax.Array] | None = None
    cdf: Callable[[Any, jax.Array], jax.Array] | None = None
    quantile: Callable[[Any, jax.Array], jax.Array] | None = None
    own_sample: Callable[[Any, Key, int], jax.Array] | None = None
    cdf_along: Callable[[Any, jax.Array, jax.Array], jax.Array] | None = None
    ends: Callable[[Any], tuple[Any, Any]] | None = None
    root: Callable[[Any], Any] | None = None
    factors: Callable[[Any, jax.Array], tuple[jax.Array, jax.Array]] | None = None
    class_weights: Callable[[Any], Any] | None = None
    class_log_probs: Callable[[Any, jax.Array], jax.Array] | None = None

    def sample(self, params: Any, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]; in 1-D by inverse transform sampling."""
        if self.own_sample is not None:
            return self.own_sample(params, key, num_samples)
        assert self.quantile is not None
        return self.quantile(params, uniforms(key, (num_samples, 1)))


def uniforms(key: Key, shape: Sequence[int]) -> jax.Array:
    """Uniform numbers in the open interval (0, 1): midpoints of the cells that `jax.random.uniform` draws from."""
    u = jax.random.uniform(key, tuple(shape))
    return u + 0.5 * jnp.finfo(u.dtype).eps
