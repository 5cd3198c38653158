"""Signals as targets: Gaussian processes, sines and pulses of known factors, and a user's own.

A signal is one row of f32[n, dim], its values at dim places. All laws are of (x − location)/scale, so that training
units need no law of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.scipy.special import ndtr

from jgen1d.core import Key, replace
from jgen1d.targets import factors, processes
from jgen1d.targets.family import Family
from jgen1d.targets.rows import Rows, as_signals
from jgen1d.targets.target import Target, as_leaf, no_modes

LENGTH = 64
"""Places of the registered signals."""


class SignalParams(NamedTuple):
    """A law of signals, moved and stretched.

    Attributes:
      location: f32[dim], in data units.
      scale: f32[], in data units, above 0.
      law: the distribution of (x − location)/scale, one of the NamedTuples of `processes`, `factors` and `rows`.
    """

    location: Any
    scale: Any
    law: Any

    @classmethod
    def of(cls, law: Callable[..., Any], location: Any, scale: Any, *leaves: Any) -> SignalParams:
        """The parameters from their leaves."""
        return cls(location, scale, law(*leaves))


def _moved(params: SignalParams, shift: Any, scale: Any) -> SignalParams:
    return SignalParams((params.location - shift) / scale, params.scale / scale, params.law)


def _inner(params: SignalParams, x: jax.Array) -> jax.Array:
    return (x - jnp.asarray(params.location)[None]) / params.scale


def _sample(params: SignalParams, key: Key, num_samples: int) -> jax.Array:
    law = jax.tree.map(jnp.asarray, params.law)
    return jnp.asarray(params.location)[None] + params.scale * law.sample(key, num_samples)


def _log_prob(params: SignalParams, x: jax.Array) -> jax.Array:
    return params.law.log_prob(_inner(params, x)) - x.shape[1] * jnp.log(params.scale)


def _cdf_along_gaussian(params: SignalParams, x: jax.Array, directions: jax.Array) -> jax.Array:
    std = params.scale * jnp.linalg.norm(directions @ params.law.root, axis=1)
    return ndtr((x - (directions @ params.location)[:, None]) / std[:, None])


def _cdf_along_rows(params: SignalParams, x: jax.Array, directions: jax.Array) -> jax.Array:
    return params.law.cdf_along((x - (directions @ params.location)[:, None]) / params.scale, directions)


def _root(params: SignalParams) -> Any:
    return params.scale * params.law.root


def _factors(params: SignalParams, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    found, residual = params.law.factors(_inner(params, x))
    return found, params.scale * residual


def _class_weights(params: SignalParams) -> Any:
    return params.law.class_weights()


def _class_log_probs(params: SignalParams, x: jax.Array) -> jax.Array:
    return params.law.class_log_probs(_inner(params, x))


PROCESS = Family(_moved, _log_prob, own_sample=_sample, cdf_along=_cdf_along_gaussian, root=_root)
FACTORED = Family(_moved, own_sample=_sample, root=_root, factors=_factors)
LABELLED = Family(
    _moved, own_sample=_sample, root=_root, class_weights=_class_weights, class_log_probs=_class_log_probs
)
ROWS = Family(_moved, own_sample=_sample, cdf_along=_cdf_along_rows, root=_root)


def gaussian_process(
    covariance: npt.ArrayLike, mean: npt.ArrayLike | None = None, *, name: str = "gaussian_process"
) -> Target:
    """Signals from N(mean, covariance).

    Args:
      covariance: f[dim, dim], symmetric and positive definite, dim ≥ 3, in squared data units.
      mean: f[dim], in data units; None for 0.
      name: for tables and plots.

    Raises:
      ValueError: for another shape, or a matrix that is not symmetric, positive definite and finite.
    """
    found = processes.as_covariance(covariance, name)
    center = np.zeros(len(found)) if mean is None else np.array(mean, np.float64)
    if center.shape != (len(found),) or not np.isfinite(center).all():
        raise ValueError(f"{name}: mean must be finite and have shape [{len(found)}], not {list(center.shape)}")
    return _target(processes.gaussian(found), PROCESS, center, found, name)


def ornstein_uhlenbeck(length: int = LENGTH, correlation: float = 0.9, *, name: str = "ornstein_uhlenbeck") -> Target:
    """The stationary Ornstein–Uhlenbeck process with variance 1: covariance correlation^|i − j|.

    Args:
      length: the number of places, at least 3.
      correlation: of neighbours, in (0, 1).
      name: for tables and plots.
    """
    _require_length(length, name)
    if not 0 < correlation < 1:
        raise ValueError(f"{name}: correlation must be in (0, 1), not {correlation}")
    covariance = correlation ** np.abs(_gaps(length))
    law = processes.OrnsteinUhlenbeck(processes.root_of(covariance), as_leaf(correlation))
    return _target(law, PROCESS, np.zeros(length), covariance, name)


def smooth(length: int = LENGTH, reach: float = 6.0, noise: float = 0.1, *, name: str = "smooth") -> Target:
    """The Gaussian process with covariance exp(−(i − j)²/(2·reach²)), plus noise.

    Args:
      length: the number of places, at least 3.
      reach: over how many places values are alike, above 0.
      noise: the standard deviation of the noise, above 0.
      name: for tables and plots.
    """
    _require_length(length, name)
    _require_positive(name, reach=reach, noise=noise)
    covariance = np.exp(-0.5 * (_gaps(length) / reach) ** 2) + noise**2 * np.eye(length)
    return gaussian_process(covariance, name=name)


def periodic(
    length: int = LENGTH, period: float = 16.0, reach: float = 1.0, noise: float = 0.1, *, name: str = "periodic"
) -> Target:
    """The Gaussian process with covariance exp(−2·sin²(π(i − j)/period)/reach²), plus noise.

    Args:
      length: the number of places, at least 3.
      period: in places, above 0.
      reach: how smooth a period is, above 0.
      noise: the standard deviation of the noise, above 0.
      name: for tables and plots.

    References:
      MacKay 1998, Introduction to Gaussian processes, equation 47.
    """
    _require_length(length, name)
    _require_positive(name, period=period, reach=reach, noise=noise)
    waves = np.sin(np.pi * _gaps(length) / period)
    return gaussian_process(np.exp(-2 * (waves / reach) ** 2) + noise**2 * np.eye(length), name=name)


def sine(
    length: int = LENGTH, cycles: int = 3, low: float = 0.5, high: float = 1.5, noise: float = 0.05, *,
    name: str = "sine",
) -> Target:  # fmt: skip
    """Sines with an amplitude between `low` and `high` and any phase, both uniform, plus noise.

    Args:
      length: the number of places, at least 3.
      cycles: of each signal, from 1 to below half of the length.
      low: the least amplitude, above 0.
      high: the greatest, above `low`.
      noise: the standard deviation of the noise, above 0.
      name: for tables and plots.
    """
    _require_length(length, name)
    _require_positive(name, low=low, noise=noise, **{"high - low": high - low})
    if not (isinstance(cycles, int) and 0 < 2 * cycles < length):
        raise ValueError(f"{name}: cycles must be an integer from 1 to below {length / 2:g}, not {cycles}")
    power = (low**2 + low * high + high**2) / 3
    covariance = power / 2 * np.cos(2 * np.pi * cycles * _gaps(length) / length) + noise**2 * np.eye(length)
    law = factors.Sine(processes.root_of(covariance), *map(as_leaf, (cycles, low, high, noise)))
    return _target(law, FACTORED, np.zeros(length), covariance, name)


def pulse(
    length: int = LENGTH, heights: tuple[float, float] = (1.0, 3.0), widths: tuple[float, float] = (8.0, 40.0),
    noise: float = 0.05, *, name: str = "pulse",
) -> Target:  # fmt: skip
    """Rectangles in the middle of a signal, of random height and width, both uniform, plus noise.

    Args:
      length: the number of places, even, at least 4.
      heights: the least and the greatest, above 0.
      widths: the least and the greatest, in places, at least 2 and at most the length.
      noise: the standard deviation of the noise, above 0.
      name: for tables and plots.
    """
    law, mean, covariance = _of_pulses(factors.Pulse, [factors.rectangle], length, heights, widths, noise, name)
    return _target(law, FACTORED, mean, covariance, name)


def two_shapes(
    length: int = LENGTH, heights: tuple[float, float] = (1.0, 3.0), widths: tuple[float, float] = (8.0, 24.0),
    noise: float = 0.05, *, name: str = "two_shapes",
) -> Target:  # fmt: skip
    """Rectangles (label 0) and triangles (label 1), as often; arguments as of `pulse`. Models may be given the labels.

    A triangle has the area of the rectangle of its height and width. A signal's label is the shape that fits it better;
    the noise leaves no doubt.
    """
    shapes = [factors.rectangle, factors.triangle]
    law, mean, covariance = _of_pulses(factors.TwoShapes, shapes, length, heights, widths, noise, name)
    return _target(law, LABELLED, mean, covariance, name)


def signals(array: Any, *, name: str = "signals") -> Target:
    """The distribution of a finite sample of signals, in which all rows are equally likely.

    Args:
      array: f[n, length], n ≥ 2 and length ≥ 3, finite; every place takes at least two values. It is copied.
      name: for tables and plots.

    Raises:
      ValueError: in one line, for another shape, rows of different lengths, objects, masks, a value that is not finite,
        or a place that is constant.
    """
    found = as_signals(array, name)
    return from_rows(Rows(found, processes.root_of(np.cov(found.T, bias=True)), as_leaf(0.0)), ROWS, name)


def from_rows(law: Any, family: Family, name: str, shape: tuple[int, ...] | None = None) -> Target:
    """The target of a law of rows that are kept as they are."""
    covariance = law.root @ law.root
    found = _target(law, family, np.zeros(len(covariance)), covariance, name, shape)
    return replace(found, mean=as_leaf(law.rows.mean(axis=0)))


def _of_pulses(
    kind: Any, shapes: list[Any], length: int, heights: Any, widths: Any, noise: float, name: str
) -> tuple[Any, np.ndarray, np.ndarray]:
    """The law, its mean and its covariance, by Gauss–Legendre between whole widths, where shapes are polynomials."""
    _require_length(length, name)
    if length % 2:
        raise ValueError(f"{name}: length must be even, not {length}")
    for what, (low, high), least in (("heights", heights, 0.0), ("widths", widths, 2.0)):
        if not (least <= low < high < np.inf) or low <= 0:
            raise ValueError(f"{name}: {what} must be (low, high), {least:g} < low < high, not {(low, high)}")
    if widths[1] > length:
        raise ValueError(f"{name}: widths must be at most length={length}, not {widths[1]:g}")
    _require_positive(name, noise=noise)
    cuts = np.unique(np.clip(np.r_[widths[0], np.arange(np.ceil(widths[0]), widths[1]), widths[1]], *widths))
    nodes, weights = np.polynomial.legendre.leggauss(6)
    at = (cuts[:-1, None] + np.diff(cuts)[:, None] * (nodes + 1) / 2).ravel()[:, None]
    shares = (np.diff(cuts)[:, None] * weights / 2).ravel() / (widths[1] - widths[0]) / len(shapes)
    low, high = heights
    rows = [shape(at, length) for shape in shapes]
    mean = (low + high) / 2 * sum(shares @ row for row in rows)
    second = (low**2 + low * high + high**2) / 3 * sum((row.T * shares) @ row for row in rows)
    covariance = second - np.outer(mean, mean) + noise**2 * np.eye(length)
    ends = as_leaf(heights), as_leaf(widths), as_leaf(noise)
    return kind(processes.root_of(covariance), *ends), np.asarray(mean), covariance


def _target(
    law: Any, family: Family, mean: np.ndarray, covariance: np.ndarray, name: str, shape: tuple[int, ...] | None = None
) -> Target:
    """The target of a law; a process's law is of mean 0, the others hold their mean themselves."""
    dim = len(covariance)
    params = SignalParams(as_leaf(mean if family is PROCESS else np.zeros(dim)), as_leaf(1.0), law)
    std = np.sqrt(np.diag(covariance))
    return Target(params, as_leaf(mean), as_leaf(std), no_modes(dim), family, dim, name, own_shape=shape)


def _gaps(length: int) -> np.ndarray:
    return np.subtract.outer(np.arange(length), np.arange(length)).astype(float)


def _require_length(length: Any, name: str) -> None:
    if not isinstance(length, int) or isinstance(length, bool) or length < 3:
        raise ValueError(f"{name}: length must be an integer of at least 3, not {length!r}")


def _require_positive(name: str, **values: float) -> None:
    for what, value in values.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name}: {what} must be above 0 and finite, not {value}")
