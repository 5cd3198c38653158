"""How do two shares, or two medians, differ? Intervals and a test, for independent seeds and for the same ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from jgen1d.report.stats import rate

NUM_RESAMPLES = 4_000
"""Of the bootstrap: its 95 % interval's ends are then known to about a tenth of their distance."""


def of_rates(first: ArrayLike, second: ArrayLike, is_paired: bool) -> dict[str, float]:
    """The share of true entries in the second, minus that in the first, with its 95 % interval.

    Args:
      first: bool[n].
      second: bool[m]; if they are paired, m = n.
      is_paired: whether entry i of both is of the same seed.

    Returns:
      `difference`, and the ends `low` and `high` of Newcombe's hybrid score interval.

    References:
      Newcombe 1998, Interval estimation for the difference between independent proportions, method 10; and Improved
      confidence intervals for the difference between binomial proportions based on paired data, method 10.
    """
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    one, other = rate(a), rate(b)
    difference = other["share"] - one["share"]
    correlation = _correlation(a, b) if is_paired else 0.0
    below, above = other["share"] - other["low"], one["high"] - one["share"]
    low = difference - _hypotenuse(below, above, correlation)
    below, above = other["high"] - other["share"], one["share"] - one["low"]
    return {"difference": difference, "low": low, "high": difference + _hypotenuse(below, above, correlation)}


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """The p-value of McNemar's exact test: whether as many pairs have changed to true as have changed to false.

    Args:
      first: bool[n].
      second: bool[n], of the same seeds.

    References:
      McNemar 1947, Note on the sampling error of the difference between correlated proportions or percentages.
    """
    from scipy import stats  # imported here because it takes as long as JAX

    a, b = np.asarray(first, bool), np.asarray(second, bool)
    gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def of_medians(first: ArrayLike, second: ArrayLike, is_paired: bool) -> dict[str, float] | None:
    """The median of the second minus that of the first, with a 95 % interval by the percentiles of a bootstrap.

    Args:
      first: f[n]; what is not finite counts as infinite.
      second: f[m]; if they are paired, m = n, and a resample takes the same seeds of both.
      is_paired: whether entry i of both is of the same seed.

    Returns:
      `difference`, `low` and `high`; None if one of them is not finite.

    References:
      Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 13.
    """
    a, b = (np.where(np.isfinite(values), values, np.inf) for values in (np.asarray(first), np.asarray(second)))
    random = np.random.default_rng(0)
    rows = random.integers(len(a), size=(NUM_RESAMPLES, len(a)))
    others = rows if is_paired else random.integers(len(b), size=(NUM_RESAMPLES, len(b)))
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        difference = float(np.median(b) - np.median(a))
        resampled = np.median(b[others], axis=1) - np.median(a[rows], axis=1)
    unknown = np.isnan(resampled)  # they may be anything, and so widen the interval
    low = float(np.quantile(np.where(unknown, -np.inf, resampled), 0.025, method="inverted_cdf"))
    high = float(np.quantile(np.where(unknown, np.inf, resampled), 0.975, method="inverted_cdf"))
    found = {"difference": difference, "low": low, "high": high}
    return found if all(map(math.isfinite, found.values())) else None


def _hypotenuse(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Of the estimates, from the pairs; a positive one is corrected for continuity, as in Newcombe's method 10."""
    n = len(first)
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    product = both * neither - gained * lost
    margins = float(first.sum()) * float((~first).sum()) * float(second.sum()) * float((~second).sum())
    if not margins:
        return 0.0
    return (max(product - n / 2, 0.0) if product > 0 else product) / math.sqrt(margins)
