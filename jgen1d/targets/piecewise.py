"""A density drawn as straight lines between points, as a target with exact quantiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from jgen1d.targets.family import Family
from jgen1d.targets.target import Target, as_leaf, no_modes


class PiecewiseLinearParams(NamedTuple):
    """The density's corners.

    Attributes:
      knots: f32[k], in data units, increasing.
      heights: f32[k], the density at the knots, at least 0.
      knots_cdf: f32[k], the distribution function at the knots.
    """

    knots: jax.Array
    heights: jax.Array
    knots_cdf: jax.Array


def _piece(params: PiecewiseLinearParams, below: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The start of the piece after `below` knots, the cdf and the density at the start, and the density's slope."""
    i = jnp.clip(below - 1, 0, len(params.knots) - 2)
    start, height = params.knots[i], params.heights[i]
    slope = (params.heights[i + 1] - height) / (params.knots[i + 1] - start)
    return start, params.knots_cdf[i], height, slope


def _log_prob(params: PiecewiseLinearParams, x: jax.Array) -> jax.Array:
    return jnp.log(jnp.interp(x[:, 0], params.knots, params.heights, left=0, right=0))


def _cdf(params: PiecewiseLinearParams, x: jax.Array) -> jax.Array:
    inside = jnp.clip(x, params.knots[0], params.knots[-1])
    start, cdf, height, slope = _piece(params, jnp.searchsorted(params.knots, inside, side="right"))
    return jnp.clip(cdf + (inside - start) * (height + slope * (inside - start) / 2), 0, 1)


def _quantile(params: PiecewiseLinearParams, u: jax.Array) -> jax.Array:
    start, cdf, height, slope = _piece(params, jnp.searchsorted(params.knots_cdf, u, side="left"))
    rest = jnp.maximum(u - cdf, 0)
    # The root of slope/2·t² + height·t = rest, in the form that does not cancel if the slope is small.
    root = height + jnp.sqrt(jnp.maximum(height**2 + 2 * slope * rest, 0))
    return jnp.minimum(start + 2 * rest / jnp.where(root > 0, root, 1), params.knots[-1])


def _moved(params: PiecewiseLinearParams, shift: Any, scale: Any) -> PiecewiseLinearParams:
    return PiecewiseLinearParams((params.knots - shift[0]) / scale, params.heights * scale, params.knots_cdf)


PIECEWISE_LINEAR = Family(_moved, _log_prob, _cdf, _quantile)


def piecewise_linear(knots: npt.ArrayLike, heights: npt.ArrayLike, *, name: str = "drawn") -> Target:
    """The density that joins the given points by straight lines and is 0 outside of them; its quantiles are exact.

    Args:
      knots: f[k], k ≥ 2, in data units, finite, increasing.
      heights: f[k], at least 0, not all 0; they are divided by the area under the line.
      name: for tables and plots.

    Raises:
      ValueError: for other shapes or values.
    """
    x, h = np.array(knots, np.float64), np.array(heights, np.float64)
    if x.ndim != 1 or len(x) < 2 or h.shape != x.shape:
        raise ValueError(
            f"piecewise_linear: knots and heights must be [k], k ≥ 2, not {list(x.shape)} and {list(h.shape)}"
        )
    widths = np.diff(x)
    if not np.isfinite(x).all() or not (widths > 0).all():
        raise ValueError("piecewise_linear: knots must be finite and increasing")
    if not np.isfinite(h).all() or (h < 0).any() or not h.any():
        raise ValueError("piecewise_linear: heights must be finite, at least 0, and not all 0")
    h = h / (widths @ (h[1:] + h[:-1]) / 2)
    cdf = np.concatenate([[0], np.cumsum(widths * (h[1:] + h[:-1]) / 2)])
    # Moments of z = (x − start)/reach by Simpson's rule on every piece, which is exact for cubics.
    reach = x[-1] - x[0]
    z = (x - x[0]) / reach
    middle, between = (z[1:] + z[:-1]) / 2, (h[1:] + h[:-1]) / 2
    first, second = (widths @ (h[:-1] * z[:-1] ** n + 4 * between * middle**n + h[1:] * z[1:] ** n) / 6 for n in (1, 2))
    params = PiecewiseLinearParams(*map(as_leaf, (x, h, cdf / cdf[-1])))
    mean, std = x[0] + reach * first, reach * np.sqrt(second - first**2)
    return Target(params, as_leaf([mean]), as_leaf([std]), no_modes(1), PIECEWISE_LINEAR, 1, name)
