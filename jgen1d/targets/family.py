"""The functions that targets of one form share, and inverse transform sampling, which draws from all 1-D ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key


class Family(NamedTuple):
    """The functions that targets of one form share; each takes the target's parameters first.

    Attributes:
      sample: `(params, key, num_samples) -> f32[num_samples, dim]`.
      log_prob: `(params, x: f32[n, dim]) -> f32[n]` in nats, or None without a density.
      cdf: `(params, x: f32[...]) -> f32[...]`, or None unless dim is 1.
      quantile: `(params, u: f32[...]) -> f32[...]` for u in (0, 1), or None unless dim is 1.
      moved: `(params, shift: f64[dim], scale: f64[]) -> params` of (X − shift)/scale.
      ends: `params -> (low, high)`, f32[] each, between which all of a 1-D distribution lies; None if it has no ends.
      cdf_along: `(params, x: f32[d, n], directions: f32[d, dim]) -> f32[d, n]`, the distribution functions of the
        projections on unit vectors; None if unknown, and in 1-D, where the cdf tells.
    """

    sample: Callable[[Any, Key, int], jax.Array]
    log_prob: Callable[[Any, jax.Array], jax.Array] | None
    moved: Callable[[Any, Any, Any], Any]
    cdf: Callable[[Any, jax.Array], jax.Array] | None = None
    quantile: Callable[[Any, jax.Array], jax.Array] | None = None
    cdf_along: Callable[[Any, jax.Array, jax.Array], jax.Array] | None = None
    ends: Callable[[Any], tuple[Any, Any]] | None = None


def uniforms(key: Key, shape: Sequence[int]) -> jax.Array:
    """Uniform numbers in the open interval (0, 1): midpoints of the cells that `jax.random.uniform` draws from."""
    u = jax.random.uniform(key, tuple(shape))
    return u + 0.5 * jnp.finfo(u.dtype).eps


def sample_by_quantile(quantile: Callable[[Any, jax.Array], jax.Array]) -> Callable[[Any, Key, int], jax.Array]:
    """Inverse transform sampling: the `sample` of a 1-D family with this quantile function."""

    def sample(params: Any, key: Key, num_samples: int) -> jax.Array:
        return quantile(params, uniforms(key, (num_samples, 1)))

    return sample
