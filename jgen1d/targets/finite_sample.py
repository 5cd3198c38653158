"""The distribution of a finite sample, such as a user's data, as a target."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy import special

from jgen1d.targets.discrete import Discrete
from jgen1d.targets.family import Family
from jgen1d.targets.planar_sample import planar
from jgen1d.targets.steps import STEPS, StepsParams
from jgen1d.targets.target import Target, as_leaf, no_modes
from jgen1d.targets.units import Chart, Units, moments

BULK = 0.05
"""The probability on either side of the bulk, whose standard deviation outliers cannot change."""
HEAVY = 3.0
"""How many times as large as that of the bulk the standard deviation is at most, before a column is bent."""
LEAST_SPREAD = 1e-3
"""Of the logarithm or logit of a bounded column: below, the bound is too far away to matter."""


def _levels(values: jax.Array) -> jax.Array:
    """The cdf just after each of n sorted values. The cdf and the quantile share it, so they invert each other."""
    return jnp.arange(1, len(values) + 1, dtype=values.dtype) / len(values)


def _cdf(values: jax.Array, x: jax.Array) -> jax.Array:
    below = jnp.searchsorted(values, x, side="right")
    return jnp.where(below > 0, _levels(values)[below - 1], 0)


def _quantile(values: jax.Array, u: jax.Array) -> jax.Array:
    """The least value v with F(v) ≥ u."""
    return values[jnp.clip(jnp.searchsorted(_levels(values), u), 0, len(values) - 1)]


def _moved(values: Any, shift: Any, scale: Any) -> Any:
    return (values - shift[0]) / scale


def _ends(values: Any) -> tuple[Any, Any]:
    return values[0], values[-1]


EMPIRICAL = Family(_moved, None, _cdf, _quantile, ends=_ends)


def empirical(
    values: npt.ArrayLike,
    *,
    name: str = "data",
    support: tuple[float, float] | None = None,
    step: float | None = None,
    atom: float | None = None,
) -> Target:
    """The distribution of a finite sample, in which all values are equally likely; its cdf and quantiles are exact.

    Of two columns it is that of points in the plane: their training units are (x − mean)/std of each column, and so are
    those of all distances.

    Training units are (x − mean)/std. If few values own the standard deviation (it is more than `HEAVY` times that of
    the values moved to between the 5 % and 95 % quantiles), they are those of the bulk, and logarithmic far outside of
    it. With a `support` they are the logarithm or the logit. In all but the first, distances are in training units.

    Args:
      values: f[n], f[n, 1] or f[n, 2], n ≥ 2, in data units, finite, not all equal. The array is copied.
      name: for tables and plots.
      support: (low, high), between which all values lie and samples stay; high may be ∞. With a `step` the ends are
        values that samples may take; else values must not be at the ends, where a density has no room.
      step: the values are whole steps apart, in data units. The target is then that of the values plus noise, uniform
        within a step, and samples are rounded back (dequantization; Theis et al. 2016, section 3.1).
      atom: a value that is taken again and again. It is left out, and samples are it as often as the values are.

    Raises:
      ValueError: for another shape, a value that is not finite or outside of the support, values that are not whole
        steps apart, or fewer than two different values.
    """
    v = _as_numbers(values)
    if v.ndim == 2 and v.shape[1] == 1:
        v = v[:, 0]
    if v.shape[1:] not in ((), (2,)) or v.ndim == 0:
        raise ValueError(f"empirical: values must have shape [n], [n, 1] or [n, 2], not {list(v.shape)}")
    if not np.isfinite(v).all():
        place = np.argwhere(~np.isfinite(v))[0].tolist()
        raise ValueError(f"empirical: values must be finite, but values{place} is {v[tuple(place)]}")
    if v.ndim == 2:
        for option, value in {"support": support, "step": step, "atom": atom}.items():
            if value is not None:
                raise ValueError(f"empirical: {option} is for one column, not for two")
        return planar(v, name)
    v.sort()
    discrete = Discrete()
    if atom is not None:
        share = float(np.mean(v == atom))
        if not share:
            raise ValueError(f"empirical: atom={atom:g}: no value is")
        v, discrete = v[v != atom], discrete._replace(atom=float(atom), share=share)
    if not len(v) or v[0] == v[-1]:
        raise ValueError(f"empirical: at least two different values are needed, not {len(v)} equal ones")
    low, high = (-math.inf, math.inf) if support is None else map(float, support)
    if support is not None and not (math.isfinite(low) and low < high):
        raise ValueError(f"empirical: support must be (low, high), low finite and below high, not {support}")
    for end in (v[0], v[-1]):
        if not (low <= end <= high if step is not None else low < end < high):
            raise ValueError(f"empirical: support from {low:g} to {high:g}: the value {end:g} is not inside")
    if step is not None:
        discrete = discrete._replace(step=float(step), origin=float(v[0]), low=low, high=high)
        return _dequantized(v, name, discrete)
    mean, std = moments(v)
    units = _own_units(v, std, low, high)
    kept = discrete if discrete.share else None
    return Target(as_leaf(v), as_leaf([mean]), as_leaf([std]), no_modes(1), EMPIRICAL, 1, name, units, kept)


def _as_numbers(values: npt.ArrayLike) -> np.ndarray:
    """A float64 copy. Raises ValueError for what a cast would lose: masks, imaginary parts, dates, texts, booleans."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError("empirical: some values are masked: leave them out, as values.compressed() does")
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(
            "empirical: values must have shape [n], [n, 1] or [n, 2], not rows of different lengths"
        ) from None
    if array.dtype.kind not in "iuf":
        kinds = {"c": "complex numbers", "M": "dates", "m": "time spans", "b": "booleans", "U": "texts", "O": "objects"}
        raise ValueError(
            f"empirical: values must be integers or floats, not {kinds.get(array.dtype.kind, array.dtype)}"
        )
    return np.array(array, np.float64)


def bulk_std(values: np.ndarray) -> float:
    """The standard deviation of sorted values that are moved to between the quantiles `BULK` and 1 − `BULK`."""
    start, end = np.quantile(values, [BULK, 1 - BULK])
    return moments(np.clip(values, start, end))[1] if start < end else 0.0


def _own_units(values: np.ndarray, std: float, low: float, high: float) -> Units | None:
    """The training units of sorted values that mean and standard deviation do not suit; None for these."""
    if math.isfinite(low):
        chart = Chart("interval", low, high) if math.isfinite(high) else Chart("positive", low)
    else:
        bulk = bulk_std(values)
        if not 0 < HEAVY * bulk < std:
            return None
        q25, middle, q75 = np.quantile(values, [0.25, 0.5, 0.75])
        chart = Chart("bent", float(middle), float((q75 - q25) / (2 * special.ndtri(0.75)) or bulk))
    charted = Units(0.0, 1.0, chart).to_training(values)
    shift, scale = moments(charted)
    if scale < LEAST_SPREAD:
        raise ValueError(
            f"empirical: support from {low:g} to {high:g}: too far from the values to matter; leave it out"
        )
    return Units(shift, scale, chart)


def _dequantized(values: np.ndarray, name: str, discrete: Discrete) -> Target:
    """The target of sorted values plus noise, uniform within a step."""
    step, origin = discrete.step, discrete.origin
    distinct = np.unique(values)
    if not step > 0:
        raise ValueError(f"empirical: step={step:g}: must be above 0")
    places, counts = np.unique(np.round((values - origin) / step), return_counts=True)
    if len(places) != len(distinct) or np.abs(origin + step * places - distinct).max() > 1e-3 * step:
        raise ValueError(f"empirical: step={step:g}: values must be whole steps apart")
    if step <= 4 * np.spacing(np.abs(values).max()):
        raise ValueError(f"empirical: step={step:g}: float64 cannot tell such steps apart at {values[-1]:g}")
    masses = counts / counts.sum()
    # A cell around each value, and one without mass wherever a value is missing.
    edges = np.unique(np.concatenate([2 * places - 1, 2 * places + 1])) / 2
    cdf = np.concatenate([[0], np.cumsum(masses)])[np.searchsorted(places, edges)]
    mean, std = moments(distinct, masses)
    params = StepsParams(as_leaf(origin + step * edges), as_leaf(cdf))
    std = math.hypot(std, step / math.sqrt(12))
    return Target(params, as_leaf([mean]), as_leaf([std]), no_modes(1), STEPS, 1, name, None, discrete)
