"""What is an entry of the table of metrics, and which targets does it apply to?"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

from jgen1d.evaluation.material import Samples
from jgen1d.targets import Digits, SignalParams, Target


def always(target: Target) -> bool:
    """All targets."""
    del target
    return True


def in_1d(target: Target) -> bool:
    """Columns of numbers."""
    return target.dim == 1


def with_ks(target: Target) -> bool:
    """Those with a Kolmogorov–Smirnov test; without a distribution function it is one of two samples."""
    return target.has_cdf or target.dim > 2


def with_planar_cdf(target: Target) -> bool:
    """Those with distribution functions, up to 2-D."""
    return target.has_cdf and target.dim <= 2


def with_labels(target: Target) -> bool:
    """Those whose samples have labels, for models of classes."""
    return target.num_classes > 0


def of_signals(target: Target) -> bool:
    """Signals and images."""
    return target.dim > 2


def with_factors(target: Target) -> bool:
    """Signals of known factors."""
    return target.family.factors is not None


def with_held_out(target: Target) -> bool:
    """Images of which some were held out."""
    return isinstance(target.params, SignalParams) and isinstance(target.params.law, Digits)


def with_modes(target: Target) -> bool:
    """Those with modes."""
    return len(target.modes.scales) > 0


class Metric(NamedTuple):
    """An entry of `METRICS`.

    Attributes:
      title: what tables and plots call it.
      compute: `needs -> f32[]`, or f32[k] of the target's modes.
      applies: whether a target has this metric, from its dimension, number of modes and family alone.
      in_history: whether it is cheap enough for every point of a history.
      needs: what it is computed from, `Samples`, `ClassSamples`, `Densities` or `Gap`.
      unit: `length` or `place` in data units, or "" for a number without unit.
      least: the least value that it can have.
    """

    title: str
    compute: Callable[..., jax.Array]
    applies: Callable[[Target], bool] = always
    in_history: bool = False
    needs: type = Samples
    unit: str = ""
    least: float = 0.0
