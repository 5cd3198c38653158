"""The distribution of a finite sample, such as a user's data, as a target."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from jgen1d.targets.family import Family, sample_by_quantile
from jgen1d.targets.target import Target, as_leaf, no_modes


def _steps(values: jax.Array) -> jax.Array:
    """The cdf just after each of n sorted values. The cdf and the quantile share it, so they invert each other."""
    return jnp.arange(1, len(values) + 1, dtype=values.dtype) / len(values)


def _cdf(values: jax.Array, x: jax.Array) -> jax.Array:
    below = jnp.searchsorted(values, x, side="right")
    return jnp.where(below > 0, _steps(values)[below - 1], 0)


def _quantile(values: jax.Array, u: jax.Array) -> jax.Array:
    """The least value v with F(v) ≥ u."""
    return values[jnp.clip(jnp.searchsorted(_steps(values), u), 0, len(values) - 1)]


EMPIRICAL = Family(sample_by_quantile(_quantile), None, _cdf, _quantile)


def empirical(values: npt.ArrayLike, *, name: str = "data") -> Target:
    """The distribution of a finite sample, in which all values are equally likely; its cdf and quantiles are exact.

    Args:
      values: f[n] or f[n, 1], n ≥ 2, in data units, finite, not all equal. The array is copied.
      name: for tables and plots.

    Raises:
      ValueError: for another shape, a value that is not finite, or fewer than two different values.
    """
    v = np.array(values, np.float64)
    if v.ndim == 2 and v.shape[1] == 1:
        v = v[:, 0]
    if v.ndim != 1:
        raise ValueError(f"empirical: values must have shape [n] or [n, 1], not {list(v.shape)}")
    if not np.isfinite(v).all():
        row = int(np.argmin(np.isfinite(v)))
        raise ValueError(f"empirical: values must be finite, but values[{row}] is {v[row]}")
    v.sort()
    if not len(v) or v[0] == v[-1]:
        raise ValueError(f"empirical: at least two different values are needed, not {len(v)} equal ones")
    return Target(as_leaf(v), as_leaf([v.mean()]), as_leaf([v.std()]), no_modes(1), EMPIRICAL, 1, name)
