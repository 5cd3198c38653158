"""In which units is a target trained, and how do these come from data units?

Training and every metric work in training units, in which the target's mean is 0 and its standard deviation 1: float32
holds them, wherever the data lie and however large they are. The maps are computed in float64 on the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

KNEE = 4.0
"""Scales from the median beyond which `bent` counts logarithmically."""
LARGEST_SHIFT = 1_000.0
"""Scales between 0 and the data, up to which float32 resolves data units: to 10⁻⁴ scales."""
SCALES_HELD = (1e-15, 1e15)
"""Scales of which float32 holds the squares, too."""


def _numpy_for(x: Any) -> Any:
    """NumPy, in float64, or JAX's for a value that is traced."""
    return jnp if isinstance(x, jax.core.Tracer) else np


class Chart(NamedTuple):
    """A monotone map of a line, or of each axis of a plane, that comes before the shift and the scale.

    Attributes:
      kind: `line`, the identity; `bent`, (x − a)/b, logarithmic beyond `KNEE`; `positive`, log(x − a); `interval`,
        log((x − a)/(b − x)); `axes`, (x − a)/b, with a and b of each axis.
      a: in data units: the median, the lower bound, or the mean of each axis.
      b: in data units: the scale of the bulk, the upper bound, or the standard deviation of each axis.
    """

    kind: str = "line"
    a: float | tuple[float, ...] = 0.0
    b: float | tuple[float, ...] = 1.0


class _Maps(NamedTuple):
    """A kind of chart: the map, its inverse, and the log of its slope at x; each takes the array, a and b."""

    forward: Callable[[Any, Any, Any], Any]
    inverse: Callable[[Any, Any, Any], Any]
    log_slope: Callable[[Any, Any, Any], Any]


def _bend(x: Any, a: float, b: float) -> Any:
    np_ = _numpy_for(x)
    z = (x - a) / b
    beyond = np_.maximum(np_.abs(z) - KNEE, 0)
    return np_.sign(z) * (np_.minimum(np_.abs(z), KNEE) + np_.log1p(beyond))


def _unbend(z: Any, a: float, b: float) -> Any:
    np_ = _numpy_for(z)
    beyond = np_.minimum(np_.maximum(np_.abs(z) - KNEE, 0), 600.0)  # exp overflows above 709
    return a + b * np_.sign(z) * (np_.minimum(np_.abs(z), KNEE) + np_.expm1(beyond))


def _bend_log_slope(x: Any, a: float, b: float) -> Any:
    np_ = _numpy_for(x)
    return -np_.log1p(np_.maximum(np_.abs((x - a) / b) - KNEE, 0)) - np.log(b)


def _exp_above(z: Any, a: float, b: float) -> Any:
    del b
    np_ = _numpy_for(z)
    return a + np_.exp(np_.minimum(z, 600.0))


def _sigmoid_between(z: Any, a: float, b: float) -> Any:
    np_ = _numpy_for(z)
    tail = np_.exp(-np_.abs(z))  # of the nearer bound, so that nothing cancels there
    return np_.where(z < 0, a + (b - a) * tail / (1 + tail), b - (b - a) * tail / (1 + tail))


def _log_in(x: Any, low: float, high: float, function: Callable[[Any], Any], outside: float) -> Any:
    """The function of x where low < x < high, and `outside` elsewhere."""
    np_ = _numpy_for(x)
    inside = (x > low) & (x < high)
    return np_.where(inside, function(np_.where(inside, x, low + 1 if np.isinf(high) else (low + high) / 2)), outside)


def _row(values: tuple[float, ...]) -> np.ndarray:
    """Beside f[n, dim]."""
    return np.asarray(values, np.float64)[None]


_CHARTS = {
    "axes": _Maps(
        lambda x, a, b: (x - _row(a)) / _row(b),
        lambda z, a, b: _row(a) + _row(b) * z,
        lambda x, a, b: _numpy_for(x).zeros(x.shape) - np.log(_row(b)),
    ),
    "bent": _Maps(_bend, _unbend, _bend_log_slope),
    "positive": _Maps(
        lambda x, a, b: _log_in(x, a, np.inf, lambda x: _numpy_for(x).log(x - a), -np.inf),
        _exp_above,
        lambda x, a, b: _log_in(x, a, np.inf, lambda x: -_numpy_for(x).log(x - a), -np.inf),
    ),
    "interval": _Maps(
        lambda x, a, b: _log_in(x, a, b, lambda x: _numpy_for(x).log((x - a) / (b - x)), -np.inf),
        _sigmoid_between,
        lambda x, a, b: _log_in(x, a, b, lambda x: _numpy_for(x).log((b - a) / ((x - a) * (b - x))), -np.inf),
    ),
}


class Units(NamedTuple):
    """Training units: (chart(x) − shift)/scale.

    Attributes:
      shift: f64[dim], in data units; after a chart a number, in the chart's units.
      scale: f64[], above 0, in data units or the chart's; one for all axes.
      chart: what is applied to x first.
    """

    shift: Any
    scale: Any
    chart: Chart = Chart()

    @property
    def _row(self) -> Any:
        """The shift beside f[n, dim]."""
        return self.shift if np.ndim(self.shift) == 0 else self.shift[None]

    @property
    def are_held(self) -> bool:
        """Whether float32 resolves data units."""
        low, high = SCALES_HELD
        shift, scale = np.max(np.abs(self.shift)), float(self.scale)
        return self.chart.kind == "line" and low <= scale <= high and bool(shift <= LARGEST_SHIFT * scale)

    def to_training(self, x: npt.ArrayLike) -> Any:
        """Training units, f64[n, dim], of data units, f64[n, dim]. What the chart excludes becomes −∞."""
        x = x if isinstance(x, jax.core.Tracer) else np.asarray(x, np.float64)
        if self.chart.kind != "line":
            x = _CHARTS[self.chart.kind].forward(x, self.chart.a, self.chart.b)
        return (x - self._row) / self.scale

    def to_data(self, z: npt.ArrayLike) -> Any:
        """Data units, f64[n, dim], of training units, f64[n, dim]; float32 as traced if z is."""
        z = z if isinstance(z, jax.core.Tracer) else np.asarray(z, np.float64)
        x = self._row + self.scale * z
        if self.chart.kind == "line":
            return x
        return _CHARTS[self.chart.kind].inverse(x, self.chart.a, self.chart.b)

    def log_slope(self, x: npt.ArrayLike) -> Any:
        """The log of the volume that training units give to a unit of volume of data, f64[n], at x, f64[n, dim].

        A log density in training units and this make the log density in data units.
        """
        x = x if isinstance(x, jax.core.Tracer) else np.asarray(x, np.float64)
        slope = _numpy_for(x).zeros(x.shape) - np.log(self.scale)
        if self.chart.kind != "line":
            slope = slope + _CHARTS[self.chart.kind].log_slope(x, self.chart.a, self.chart.b)
        return slope.sum(axis=-1)

    def lengths(self) -> tuple[Any, Any]:
        """The shift, f64[], and the scale, f64[], that take a metric to data units; 0 and 1 after a chart."""
        return (0.0, 1.0) if self.chart.kind != "line" else (self.shift[0], self.scale)


def moments(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """The mean and the standard deviation of sorted values, whose squares may overflow or vanish."""
    start, reach = values[0], values[-1] / 2 - values[0] / 2
    inner = (values / 2 - start / 2) / reach  # from 0 to 1
    mean = np.average(inner, weights=weights)
    std = math.sqrt(np.average((inner - mean) ** 2, weights=weights))
    return float(start + 2 * reach * mean), float(2 * reach * std)
