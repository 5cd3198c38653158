"""How are the results of many seeds summarised? Shares with intervals, medians with quantiles, means with errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike


def rate(hits: ArrayLike) -> dict[str, float]:
    """The share of true entries, with its 95 % interval.

    Args:
      hits: bool[n], n at least 1.

    Returns:
      `count`, `share`, and the ends `low` and `high` of the share's Wilson interval.

    References:
      Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    from scipy import stats  # imported here because it takes as long as JAX

    array = np.asarray(hits, bool)
    count = int(array.sum())
    interval = stats.binomtest(count, array.size).proportion_ci(0.95, "wilson")
    return {"count": count, "share": count / array.size, "low": float(interval.low), "high": float(interval.high)}


def spread(values: ArrayLike) -> dict[str, float] | None:
    """The `median` and the 5th and 95th percentiles, `p05` and `p95`, of the finite entries of f[n].

    None if no entry is finite.
    """
    array = _finite(values)
    if not array.size:
        return None
    low, median, high = np.percentile(array, [5, 50, 95])
    return {"median": float(median), "p05": float(low), "p95": float(high)}


def mean(values: ArrayLike) -> dict[str, float] | None:
    """The `mean` of the finite entries of f[n] and its `standard_error`; None if fewer than two are finite."""
    array = _finite(values)
    if array.size < 2:
        return None
    return {"mean": float(array.mean()), "standard_error": float(array.std(ddof=1) / np.sqrt(array.size))}


def mean_and_deviation(values: ArrayLike) -> dict[str, float] | None:
    """The `mean` of the finite entries of f[n] and their `standard_deviation`; None if fewer than two are finite."""
    array = _finite(values)
    if array.size < 2:
        return None
    return {"mean": float(array.mean()), "standard_deviation": float(array.std(ddof=1))}


def correlation(a: ArrayLike, b: ArrayLike) -> dict[str, float] | None:
    """Spearman's rank `correlation` of f[n] and f[n], with the ends `low` and `high` of its 95 % interval.

    None for fewer than four pairs, or if all entries of one are equal. Infinite entries rank last.

    References:
      Bonett & Wright 2000, Sample size requirements for estimating Pearson, Kendall and Spearman correlations.
    """
    from scipy import stats  # imported here because it takes as long as JAX

    first, second = np.asarray(a, float), np.asarray(b, float)
    if len(first) < 4 or np.ptp(stats.rankdata(first)) == 0 or np.ptp(stats.rankdata(second)) == 0:
        return None
    found = float(np.clip(stats.spearmanr(first, second).statistic, -1, 1))
    with np.errstate(divide="ignore"):
        ends = np.tanh(np.arctanh(found) + 1.96 * np.sqrt((1 + found**2 / 2) / (len(first) - 3)) * np.array([-1, 1]))
    return {"correlation": found, "low": float(ends[0]), "high": float(ends[1])}


def wrong_ranking(better: float, worse: float, num_runs: int) -> float:
    """The probability that the worse of two recipes has more successes in `num_runs` runs of each; ties count half.

    Args:
      better: the probability of a success of one recipe.
      worse: that of the other.
      num_runs: of each.
    """
    from scipy import stats  # imported here because it takes as long as JAX

    first, second = (stats.binom.pmf(np.arange(num_runs + 1), num_runs, share) for share in (better, worse))
    joint = np.outer(second, first)  # the worse one's successes in rows
    return float(np.tril(joint, -1).sum() + 0.5 * np.trace(joint))


def variance_shares(values: ArrayLike) -> tuple[float, float, float]:
    """The shares of the variance of f[rows, columns] that rows explain, that columns explain, and that only both do.

    It is the analysis of variance of two factors without replication: the sums of squares of the rows' means, of the
    columns' means, and of the rest, over that of all entries. NaN if all entries are equal.

    Args:
      values: f[rows, columns], finite, at least two of each.

    References:
      Fisher 1925, Statistical methods for research workers, chapter 7.
    """
    array = np.asarray(values, float)
    centred = array - array.mean()
    rows, columns = centred.mean(axis=1, keepdims=True), centred.mean(axis=0, keepdims=True)
    parts = (np.broadcast_to(rows, array.shape), np.broadcast_to(columns, array.shape), centred - rows - columns)
    total = np.sum(centred**2)
    first, second, both = (float(np.sum(part**2) / total) if total else np.nan for part in parts)
    return first, second, both


def median(spread: Mapping[str, float] | None) -> float:
    """The median of a `spread`; infinite if there is none."""
    return np.inf if spread is None else spread["median"]


def median_index(values: ArrayLike) -> int:
    """The index of the median entry of f[n]; entries that are not finite count as the greatest."""
    array = np.asarray(values, np.float64)
    return int(np.argsort(np.where(np.isfinite(array), array, np.inf), kind="stable")[(len(array) - 1) // 2])


def is_smaller(values: ArrayLike, than: ArrayLike) -> bool:
    """Whether one sample is significantly smaller than another, by a one-sided test at the 1 % level.

    Args:
      values: f[n], n at least 1; NaN counts as infinite.
      than: f[m], m at least 1; NaN counts as infinite.

    References:
      Mann & Whitney 1947, On a test of whether one of two random variables is stochastically larger than the other.
    """
    from scipy import stats  # imported here because it takes as long as JAX

    a, b = (np.nan_to_num(x, nan=np.inf) for x in (values, than))
    return bool(stats.mannwhitneyu(a, b, alternative="less").pvalue < 0.01)


def _finite(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, np.float64)
    return array[np.isfinite(array)]
