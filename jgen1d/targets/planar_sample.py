"""The distribution of a finite sample of points in the plane, such as two columns of a user's data."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Key
from jgen1d.targets.family import Family
from jgen1d.targets.target import Target, as_leaf, no_modes
from jgen1d.targets.units import Chart, Units, moments

PARALLEL = 1e-9
"""How far from ±1 a correlation is, at least: nearer, the points lie on a line."""


def _moved(points: Any, shift: Any, scale: Any) -> Any:
    return (points - shift[None]) / scale


def _sample(points: Any, key: Key, num_samples: int) -> jax.Array:
    points = jnp.asarray(points, dtype=float)
    return points[jax.random.randint(key, (num_samples,), 0, len(points))]


def _cdf_along(points: Any, x: jax.Array, directions: jax.Array) -> jax.Array:
    ordered = jnp.sort(directions @ jnp.asarray(points, x.dtype).T, axis=1)
    below = jax.vmap(lambda row, at: jnp.searchsorted(row, at, side="right"))(ordered, x)
    return below / ordered.shape[1]


def _ends(points: Any) -> tuple[Any, Any]:
    return jnp.min(points, axis=0), jnp.max(points, axis=0)


PLANAR_SAMPLE = Family(_moved, None, own_sample=_sample, cdf_along=_cdf_along, ends=_ends)


def planar(values: np.ndarray, name: str) -> Target:
    """The distribution of points, all equally likely.

    Training units are (x − mean)/std of each axis, because two columns have units of their own. Distances are in these.

    Args:
      values: f64[n, 2], in data units, finite.
      name: for tables and plots.

    Raises:
      ValueError: if an axis is constant, or if the points lie on a line.
    """
    if len(values) < 2 or not (values != values[:1]).any(axis=0).all():
        raise ValueError("empirical: each of the two columns needs at least two different values")
    mean, std = zip(*(moments(np.sort(axis)) for axis in values.T), strict=True)
    units = Units(0.0, 1.0, Chart("axes", mean, std))
    one, other = units.to_training(values).T
    if 1 - abs(float(np.mean(one * other))) < PARALLEL:
        raise ValueError("empirical: the points lie on a line: one of the two columns tells the other")
    return Target(as_leaf(values), as_leaf(mean), as_leaf(std), no_modes(2), PLANAR_SAMPLE, 2, name, units)
