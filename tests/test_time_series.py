"""The scores of time series in the literature: networks, floors, what they can tell, each by an independent route."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jgen1d.evaluation import time_series

QUICK = time_series.Training(True, 2, 20, 32, 3e-2)
SHORT = {"recurrent": QUICK, "feedforward": QUICK._replace(is_recurrent=False, num_steps=200, units=16)}


def test_sines_have_uniform_frequencies_and_phases():
    curves = np.asarray(time_series.sines(jax.random.key(0), 400, 6, 3), float)
    angles = np.arcsin(2 * curves - 1)  # up to 0.1·5 + 0.1, where it inverts the sine
    steps = np.diff(angles, axis=1)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape), atol=1e-5)
    for drawn in (angles[:, 0], steps[:, 0]):
        assert scipy.stats.kstest(drawn.ravel() / 0.1, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(angles[:, 0].ravel(), steps[:, 0].ravel())[0, 1]) < 4 / np.sqrt(1_200)
    assert np.abs(np.corrcoef(angles[:, 0].T) - np.eye(3)).max() < 4 / np.sqrt(400)


def test_a_fixed_phase_is_that_of_all_curves():
    curves = np.asarray(time_series.sines(jax.random.key(0), 50, 4, 2, 0.05))
    np.testing.assert_allclose(curves[:, 0], (1 + np.sin(0.05)) / 2, rtol=1e-6)
    assert curves[:, 1].std() > 0.01


@pytest.mark.parametrize("m", [400, 4_000])
def test_the_discriminative_floor_is_that_of_a_coin(m):
    right = np.arange(m + 1)
    exact = float(scipy.stats.binom.pmf(right, m, 0.5) @ np.abs(right / m - 0.5))
    assert time_series.discriminative_floor(m) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("length", [3, 24, 64])
def test_the_predictive_floor_is_the_error_of_the_median_of_drawn_curves(length):
    rng = np.random.default_rng(0)
    f, phase = rng.uniform(0, 0.1, (2, 20_000, 1))
    x = (1 + np.sin(f * np.arange(1, length) + phase)) / 2
    drawn = np.abs(x - np.median(x, axis=0)).mean(axis=1)
    error = drawn.std() / np.sqrt(len(drawn))
    assert time_series.predictive_floor(length) == pytest.approx(drawn.mean(), abs=4 * error)


def test_no_constant_at_each_place_predicts_better_than_the_median():
    x = np.asarray(time_series.sines(jax.random.key(1), 20_000, 24, 1))[:, 1:, 0]
    other = np.abs(x - x.mean(axis=0)).mean()
    assert time_series.predictive_floor(24) < other


def test_correlations_are_those_of_numpy():
    rng = np.random.default_rng(0)
    real, samples = rng.normal(size=(2, 30, 5, 4)) @ rng.normal(size=(2, 1, 4, 4))
    expected = sum(
        abs(np.corrcoef(real.reshape(-1, 4).T)[i, j] - np.corrcoef(samples.reshape(-1, 4).T)[i, j])
        for i in range(4) for j in range(4)
    ) / 10  # fmt: skip
    found = time_series.correlational_score(jnp.asarray(real, float), jnp.asarray(samples, float))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_the_correlational_floor_falls_with_the_root_of_the_number_of_curves():
    few, many = (time_series.correlational_floor(n, 4, 3) for n in (100, 1_600))
    assert few / many == pytest.approx(4, rel=0.25)


def test_the_recurrent_network_is_a_gated_recurrent_unit():
    params = time_series._init(jax.random.key(0), 3, 2)
    curves = np.random.default_rng(0).normal(size=(4, 5, 3))
    w, u, b = (np.asarray(params[name], float) for name in ("in", "state", "bias"))
    h, outputs = np.zeros((4, 2)), []
    for t in range(5):
        a, s = curves[:, t] @ w + b, h @ u
        z, r = (1 / (1 + np.exp(-(a[:, k : k + 2] + s[:, k : k + 2]))) for k in (0, 2))
        h = z * h + (1 - z) * np.tanh(a[:, 4:] + r * s[:, 4:])
        outputs.append(h @ np.asarray(params["out"], float))
    np.testing.assert_allclose(time_series._run(params, jnp.asarray(curves, float)), outputs, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def scored():
    """Eight seeds' scores by network, of a perfect sampler and of one whose phase is fixed."""

    def score(seed, phase, training):
        keys = jax.random.split(jax.random.key(seed), 3)
        real, samples = time_series.sines(keys[0], 900, 5, 2), time_series.sines(keys[1], 900, 5, 2, phase)
        return time_series.discriminative_score(keys[2], real, samples, 500, training)

    return {
        (name, phase): np.asarray(jax.jit(jax.vmap(lambda s, p=phase, t=training: score(s, p, t)))(np.arange(8)))
        for name, training in SHORT.items()
        for phase in (None, 0.05)
    }


@pytest.mark.parametrize("name", SHORT)
def test_a_perfect_sampler_scores_at_the_floor(scored, name):
    # The score is |N|·½/√m or less: its mean is at most the floor, but for four standard errors.
    most = time_series.discriminative_floor(1_000)
    assert scored[name, None].mean() < most + 4 * most * np.sqrt(np.pi / 2 - 1) / np.sqrt(8)


def test_a_fixed_phase_is_seen_by_the_feedforward_classifier(scored):
    assert scored["feedforward", 0.05].min() > 20 * time_series.discriminative_floor(1_000)
    assert scored["recurrent", 0.05].mean() < 10 * time_series.discriminative_floor(1_000)


def test_curves_are_predicted_with_at_least_the_floor():
    real, samples = (time_series.sines(key, 2_000, 6, 3) for key in jax.random.split(jax.random.key(3)))
    trained = time_series.predictive_score(jax.random.key(4), real, samples, QUICK._replace(num_steps=200))
    floor = time_series.predictive_floor(6)
    assert 0.95 * floor < float(trained) < 1.3 * floor


def test_there_are_four_scores_and_they_depend_on_the_key(monkeypatch):
    monkeypatch.setattr(time_series, "TRAININGS", SHORT)
    samples = time_series.sines(jax.random.key(0), 60, 4, 2)
    score = jax.jit(lambda seed: time_series.scores(jax.random.key(seed), samples, 20))
    first, other = score(1), score(2)
    assert set(first) == {"recurrent", "feedforward", "predictive", "correlational"}
    assert all(0 <= float(value) < 1 for value in first.values())
    assert float(first["predictive"]) != float(other["predictive"])
