"""What latents stand for: information, gaps and monotone fits against NumPy, SciPy and codes that are known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jgen1d.evaluation import disentanglement

N = 3_000


@pytest.fixture(scope="module")
def factors():
    return np.random.default_rng(0).uniform(size=(N, 2))


mutual_information = jax.jit(disentanglement.mutual_information, static_argnums=2)
mig = jax.jit(disentanglement.mig)


@pytest.mark.parametrize("num_bins", [2, 20])
def test_information_is_the_entropies_of_the_margins_less_the_joint_one(factors, num_bins):
    a, b = factors[:, 0], factors[:, 0] ** 2 + 0.3 * factors[:, 1]
    ends = np.linspace(0, 1, num_bins + 1)
    ranks = [scipy.stats.rankdata(values) / N - 0.5 / N for values in (a, b)]
    joint = np.histogram2d(*ranks, bins=(ends, ends))[0] / N
    expected = sum(map(scipy.stats.entropy, (joint.sum(0), joint.sum(1)))) - scipy.stats.entropy(joint.ravel())
    assert mutual_information(a, b, num_bins) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_information_of_normals_is_nearly_the_closed_form(correlation):
    x, noise = np.random.default_rng(1).normal(size=(2, N * 10))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    bias = 19**2 / (2 * len(x))
    # Intervals hide some of it: 2 and 7 % here, of what the bias leaves.
    exact = -0.5 * np.log(1 - correlation**2)
    assert 0.9 * exact < mutual_information(x, y, 20) - bias < exact + 4 * np.sqrt(bias / len(x)) + 0.003


def test_independent_values_have_the_bias_of_the_estimate():
    pairs = np.random.default_rng(2).normal(size=(40, 2, N))
    found = np.array([mutual_information(a, b, 20) for a, b in pairs])
    assert abs(found.mean() - 19**2 / (2 * N)) < 4 * found.std() / np.sqrt(len(found)) + 2e-3


def test_a_gap_is_one_for_factors_and_their_monotone_maps_and_nothing_for_turned_ones(factors):
    known = disentanglement.known_codes(factors)
    exact, slightly, half, independent = (float(mig(codes, factors)) for codes in known.values())
    assert 0.9 < exact <= 1
    assert exact > slightly > 0.2
    assert max(half, independent) < 0.02
    assert mig(np.stack([-np.exp(factors[:, 1]), factors[:, 0] ** 3], axis=1), factors) == pytest.approx(exact)
    # A third latent that repeats one leaves no gap in that factor.
    assert mig(np.column_stack([factors, factors[:, 0]]), factors) == pytest.approx(exact / 2, abs=0.02)


def test_turned_factors_keep_their_plane_and_their_spread(factors):
    turned = disentanglement.known_codes(factors * [1, 5])["factors turned by 45°"]
    a, b = (factors / factors.std(axis=0)).T
    np.testing.assert_allclose(turned, np.stack([a - b, a + b], axis=1) / np.sqrt(2), rtol=1e-6)


def test_a_monotone_fit_explains_what_the_best_of_all_step_functions_does():
    codes, factors = np.random.default_rng(3).normal(size=(2, 9, 1))
    values = factors[np.argsort(codes[:, 0]), 0]
    least = np.inf
    for sign in (1, -1):
        for cuts in range(2 ** (len(values) - 1)):  # all ways to cut the row into runs
            ends = [0, *(i + 1 for i in range(len(values) - 1) if cuts >> i & 1), len(values)]
            means = np.concatenate([np.full(b - a, values[a:b].mean()) for a, b in itertools.pairwise(ends)])
            if (np.diff(sign * means) >= 0).all():
                least = min(least, np.mean((values - means) ** 2))
    expected = 1 - least / values.var()
    assert disentanglement.monotone_r2(codes, factors)[0, 0] == pytest.approx(expected)


def test_a_monotone_fit_knows_falling_maps_and_no_others(factors):
    codes = np.stack([-(factors[:, 0] ** 3), np.abs(factors[:, 1] - 0.5)], axis=1)
    found = disentanglement.monotone_r2(np.column_stack([codes, np.where(factors[:, 0] > 0.5, np.nan, 1)]), factors)
    assert np.isnan(found[2]).all()
    found = found[:2]
    assert found[0, 0] == pytest.approx(1)
    assert found.max(axis=0)[1] < 0.05


def test_a_chart_has_straight_lines_where_codes_are_factors(factors):
    def decode(codes):
        return jnp.stack([codes[:, 0] + codes[:, 1], codes[:, 0] - codes[:, 1], codes[:, 0]], axis=1)

    def factors_of(signals):
        return jnp.stack([signals[:, 0] + signals[:, 1], signals[:, 0] - signals[:, 1]], axis=1) / 2, None

    chart = disentanglement.chart(factors, decode, factors_of)
    low, high = np.quantile(factors, (0.05, 0.95), axis=0)
    for k in range(2):
        lines = chart.lines[k]
        assert lines.shape == (7, 41, 2)
        np.testing.assert_allclose(lines[:, [0, -1], k], [[low[k], high[k]]] * 7, rtol=1e-5)
        np.testing.assert_allclose(np.ptp(lines[:, :, 1 - k], axis=1), 0, atol=1e-6)
        assert (np.diff(lines[:, 0, 1 - k]) > 0).all()
        found = factors_of(chart.traversals[k])[0]
        np.testing.assert_allclose(found[[0, -1], k], [low[k], high[k]], rtol=1e-5)
        np.testing.assert_allclose(found[:, 1 - k], np.median(factors[:, 1 - k]), rtol=1e-4)
