"""Differences of shares and of medians: against published tables, and against every outcome counted one by one."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from jgen1d.report import differences

PUBLISHED = {
    (56, 70, 48, 80): (0.0524, 0.3339), (9, 10, 3, 10): (0.1705, 0.8090), (6, 7, 2, 7): (0.0582, 0.8062),
    (5, 56, 0, 29): (-0.0381, 0.1926), (0, 10, 0, 20): (-0.1611, 0.2775), (0, 10, 0, 10): (-0.2775, 0.2775),
    (10, 10, 0, 20): (0.6791, 1.0), (10, 10, 0, 10): (0.6075, 1.0),
}  # fmt: skip
"""Newcombe 1998, table II, method 10: hits and numbers of the two samples, and the ends of the interval."""


def hits(count, num):
    return np.arange(num) < count


def pairs(both, gained, lost, neither):
    """Two columns of which so many rows are true in both, in the second alone, in the first alone, in none."""
    parts = [(1, 1)] * both + [(0, 1)] * gained + [(1, 0)] * lost + [(0, 0)] * neither
    return np.array(parts, bool).T


@pytest.mark.parametrize("counts", PUBLISHED, ids=str)
def test_intervals_of_independent_shares_are_the_published_ones(counts):
    a, n, b, m = counts
    found = differences.of_rates(hits(b, m), hits(a, n), is_paired=False)
    assert found["difference"] == pytest.approx(a / n - b / m)
    assert (found["low"], found["high"]) == pytest.approx(PUBLISHED[counts], abs=6e-5)


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.3, 0.7), (0.9, 0.95)])
def test_intervals_of_independent_shares_hold_the_truth_in_95_of_100(p, q):
    covered, n = 0.0, 14
    for a, b in itertools.product(range(n + 1), repeat=2):
        found = differences.of_rates(hits(a, n), hits(b, n), is_paired=False)
        chance = scipy_stats.binom.pmf(a, n, p) * scipy_stats.binom.pmf(b, n, q)
        covered += chance * (found["low"] <= q - p <= found["high"])
    assert 0.93 <= covered <= 0.99


@pytest.mark.parametrize("cells", [(0.5, 0.1, 0.1, 0.3), (0.3, 0.4, 0.1, 0.2), (0.7, 0.1, 0.05, 0.15)])
def test_intervals_of_paired_shares_hold_the_truth_in_95_of_100(cells):
    covered, total, n = 0.0, 0.0, 16
    for both, gained, lost in itertools.product(range(n + 1), repeat=3):
        if (neither := n - both - gained - lost) < 0:
            continue
        found = differences.of_rates(*pairs(both, gained, lost, neither), is_paired=True)
        chance = scipy_stats.multinomial.pmf((both, gained, lost, neither), n, cells)
        covered += chance * (found["low"] <= cells[1] - cells[2] <= found["high"])
        total += chance
    assert total == pytest.approx(1)
    assert 0.93 <= covered <= 0.99


def test_pairs_that_agree_have_a_narrower_interval():
    first, second = pairs(10, 3, 1, 10)
    widths = [
        found["high"] - found["low"]
        for found in (differences.of_rates(first, second, is_paired=p) for p in (True, False))
    ]
    assert widths[0] < 0.8 * widths[1]
    assert differences.of_rates(second, first, is_paired=True)["low"] == pytest.approx(
        -differences.of_rates(first, second, is_paired=True)["high"]
    )


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 0), (1, 6), (4, 3), (2, 9)])
def test_mcnemar_counts_the_signs_that_are_as_unlikely(gained, lost):
    """If nothing differs, each pair that has changed could as well have changed the other way."""
    n = gained + lost
    outcomes = [abs(sum(signs)) for signs in itertools.product((-1, 1), repeat=n)]
    expected = sum(outcome >= abs(gained - lost) for outcome in outcomes) / 2**n
    assert differences.mcnemar(*pairs(7, gained, lost, 2)) == pytest.approx(expected, abs=1e-12)


def exact_quantiles(first, second, is_paired):
    """The percentiles of the difference over all resamples, each once."""
    rows = list(itertools.product(range(len(first)), repeat=len(first)))
    a = np.median(np.asarray(first)[rows], axis=1)
    b = np.median(np.asarray(second)[rows], axis=1)
    return np.sort(b - a if is_paired else (b[:, None] - a[None]).ravel())


@pytest.mark.parametrize("is_paired", [True, False])
def test_the_bootstrap_of_medians_has_the_percentiles_of_all_resamples(is_paired):
    random = np.random.default_rng(0)
    first = random.normal(size=5)
    second = first + random.normal(1.0, 0.5, size=5)
    found = differences.of_medians(first, second, is_paired)
    assert found["difference"] == pytest.approx(np.median(second) - np.median(first))
    everything = exact_quantiles(first, second, is_paired)
    error = 4 * math.sqrt(0.025 * 0.975 / differences.NUM_RESAMPLES)
    for name, level in (("low", 0.025), ("high", 0.975)):
        below, up_to = (np.searchsorted(everything, found[name], side) / len(everything) for side in ("left", "right"))
        assert below - error <= level <= up_to + error


def test_medians_that_are_not_finite_have_no_difference():
    assert differences.of_medians([1.0, np.inf, np.nan], [1.0, 2.0, 3.0], is_paired=True) is None
    assert differences.of_medians([1.0] * 9 + [np.inf], [2.0] * 10, is_paired=True)["low"] == 1.0
