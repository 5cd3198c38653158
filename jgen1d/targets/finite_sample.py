"""The distribution of a finite sample, such as a user's data, as a target."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy import special

from jgen1d.targets.discrete import Discrete
from jgen1d.targets.family import Family, sample_by_quantile
from jgen1d.targets.target import Target, as_leaf, no_modes
from jgen1d.targets.units import Chart, Units

BULK = 0.05
"""The probability on either side of the bulk, whose width outliers cannot change."""
HEAVY = 1.5
"""How much larger than the bulk says the standard deviation may be, before a column is bent."""
LEAST_SPREAD = 1e-3
"""Of the logarithm or logit of a bounded column: below, the bound is too far away to matter."""


def _steps(values: jax.Array) -> jax.Array:
    """The cdf just after each of n sorted values. The cdf and the quantile share it, so they invert each other."""
    return jnp.arange(1, len(values) + 1, dtype=values.dtype) / len(values)


def _cdf(values: jax.Array, x: jax.Array) -> jax.Array:
    below = jnp.searchsorted(values, x, side="right")
    return jnp.where(below > 0, _steps(values)[below - 1], 0)


def _quantile(values: jax.Array, u: jax.Array) -> jax.Array:
    """The least value v with F(v) ≥ u."""
    return values[jnp.clip(jnp.searchsorted(_steps(values), u), 0, len(values) - 1)]


EMPIRICAL = Family(
    sample_by_quantile(_quantile), None, lambda values, shift, scale: (values - shift[0]) / scale, _cdf, _quantile,
    ends=lambda values: (values[0], values[-1]),
)  # fmt: skip


class StepsParams(NamedTuple):
    """A density that is constant in each of k cells: their edges, f32[k + 1], and the cdf there, f32[k + 1].

    The edges are in data units, increasing.
    """

    edges: jax.Array
    edges_cdf: jax.Array


def _cell(params: StepsParams, cell: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The start, the width, the cdf at the start and the mass of the cells with these numbers, i32[...]."""
    i = jnp.clip(cell, 0, len(params.edges) - 2)
    start, cdf = params.edges[i], params.edges_cdf[i]
    return start, params.edges[i + 1] - start, cdf, params.edges_cdf[i + 1] - cdf


def _steps_log_prob(params: StepsParams, x: jax.Array) -> jax.Array:
    cell = jnp.searchsorted(params.edges, x[:, 0], side="right") - 1
    _, width, _, mass = _cell(params, cell)
    inside = (x[:, 0] >= params.edges[0]) & (x[:, 0] <= params.edges[-1]) & (mass > 0)
    return jnp.where(inside, jnp.log(jnp.where(mass > 0, mass, 1) / width), -jnp.inf)


def _steps_cdf(params: StepsParams, x: jax.Array) -> jax.Array:
    start, width, cdf, mass = _cell(params, jnp.searchsorted(params.edges, x, side="right") - 1)
    return cdf + mass * jnp.clip((x - start) / width, 0, 1)


def _steps_quantile(params: StepsParams, u: jax.Array) -> jax.Array:
    start, width, cdf, mass = _cell(params, jnp.searchsorted(params.edges_cdf, u, side="left") - 1)
    return start + width * jnp.clip((u - cdf) / jnp.where(mass > 0, mass, 1), 0, 1)


def _steps_moved(params: StepsParams, shift: Any, scale: Any) -> StepsParams:
    return StepsParams((params.edges - shift[0]) / scale, params.edges_cdf)


STEPS = Family(
    sample_by_quantile(_steps_quantile), _steps_log_prob, _steps_moved, _steps_cdf, _steps_quantile,
    ends=lambda params: (params.edges[0], params.edges[-1]),
)  # fmt: skip


def empirical(
    values: npt.ArrayLike,
    *,
    name: str = "data",
    support: tuple[float, float] | None = None,
    step: float | None = None,
    atom: float | None = None,
) -> Target:
    """The distribution of a finite sample, in which all values are equally likely; its cdf and quantiles are exact.

    Training units are (x − mean)/std. If few values own the standard deviation (it is more than `HEAVY` times what the
    bulk between the 5 % and 95 % quantiles says), they are those of the bulk, and logarithmic far outside of it. With a
    `support` they are the logarithm or the logit. In all but the first, distances are in training units, too.

    Args:
      values: f[n] or f[n, 1], n ≥ 2, in data units, finite, not all equal. The array is copied.
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
    v = np.array(values, np.float64)
    if v.ndim == 2 and v.shape[1] == 1:
        v = v[:, 0]
    if v.ndim != 1:
        raise ValueError(f"empirical: values must have shape [n] or [n, 1], not {list(v.shape)}")
    if not np.isfinite(v).all():
        row = int(np.argmin(np.isfinite(v)))
        raise ValueError(f"empirical: values must be finite, but values[{row}] is {v[row]}")
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
            raise ValueError(f"empirical: support=({low:g}, {high:g}): the value {end:g} is not inside")
    if step is not None:
        discrete = discrete._replace(step=float(step), origin=float(v[0]), low=low, high=high)
        return _dequantized(v, name, discrete)
    mean, std = _moments(v)
    units = _own_units(v, std, low, high)
    kept = discrete if discrete.share else None
    return Target(as_leaf(v), as_leaf([mean]), as_leaf([std]), no_modes(1), EMPIRICAL, 1, name, units, kept)


def _moments(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """The mean and the standard deviation of sorted values, whose squares may overflow or vanish."""
    start, reach = values[0], values[-1] / 2 - values[0] / 2
    inner = (values / 2 - start / 2) / reach  # in [0, 1]·2
    mean = np.average(inner, weights=weights)
    std = math.sqrt(np.average((inner - mean) ** 2, weights=weights))
    return float(start + 2 * reach * mean), float(2 * reach * std)


def _own_units(values: np.ndarray, std: float, low: float, high: float) -> Units | None:
    """The training units of sorted values that mean and standard deviation do not suit; None for these."""
    if math.isfinite(low):
        chart = Chart("interval", low, high) if math.isfinite(high) else Chart("positive", low)
    else:
        q05, q25, middle, q75, q95 = np.quantile(values, [BULK, 0.25, 0.5, 0.75, 1 - BULK])
        width, spread = (q95 - q05) / (2 * special.ndtri(1 - BULK)), (q75 - q25) / (2 * special.ndtri(0.75))
        if not 0 < HEAVY * width < std:
            return None
        chart = Chart("bent", float(middle), float(spread or width))
    charted = Units(0.0, 1.0, chart).to_training(values)
    shift, scale = _moments(charted)
    if scale < LEAST_SPREAD:
        raise ValueError(f"empirical: support=({low:g}, {high:g}): too far from the values to matter; leave it out")
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
    mean, std = _moments(distinct, masses)
    params = StepsParams(as_leaf(origin + step * edges), as_leaf(cdf))
    std = math.hypot(std, step / math.sqrt(12))
    return Target(params, as_leaf([mean]), as_leaf([std]), no_modes(1), STEPS, 1, name, None, discrete)
