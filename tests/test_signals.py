"""Signals: what is exact about them, how they are measured, and what is said of bad input."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, stats

import jgen1d
from jgen1d import data, targets
from jgen1d.evaluation import metrics, signals, verdict
from jgen1d.maths import densities
from jgen1d.targets import TARGETS, processes

GAUSSIAN = ("ornstein_uhlenbeck", "smooth", "periodic")
SIGNALS = (*GAUSSIAN, "sine", "pulse", "two_shapes")


def drawn(target, count, seed=0):
    return np.asarray(target.sample(jax.random.key(seed), count))


# --- what is exact ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_log_density_of_a_process_is_that_of_its_normal(name):
    """That of `ornstein_uhlenbeck` is a product of transitions, that of the others of whitened values."""
    target = TARGETS[name].moved(np.linspace(-1, 1, 64), np.float64(2.0))
    x = drawn(target, 20)
    known = stats.multivariate_normal(np.asarray(target.mean), np.asarray(TARGETS[name].covariance, float) / 4)
    np.testing.assert_allclose(target.log_prob(x), known.logpdf(x), rtol=1e-4, atol=2e-2)


def test_the_entropy_of_a_process_has_its_closed_form():
    """Of n places it is ½·log(2πe) + (n − 1)·½·log(2πe·(1 − ρ²)); the mean of −log p is as much."""
    target = targets.ornstein_uhlenbeck(32, 0.8)
    expected = 0.5 * np.log(2 * np.pi * np.e) + 31 * 0.5 * np.log(2 * np.pi * np.e * (1 - 0.8**2))
    assert targets.entropy(np.asarray(target.covariance, float)) == pytest.approx(expected, rel=1e-5)
    n = 20_000
    assert float(-jnp.mean(target.log_prob(drawn(target, n)))) == pytest.approx(expected, abs=5 * np.sqrt(16 / n))


def test_the_score_of_a_process_is_the_gradient_of_its_log_density():
    covariance = np.asarray(targets.smooth(12, reach=2.0, noise=0.3).covariance, float)
    target = targets.gaussian_process(covariance)
    x = jnp.asarray(drawn(target, 5))
    gradient = jax.grad(lambda x: jnp.sum(target.log_prob(x)))(x)
    np.testing.assert_allclose(gradient, target.params.law.score(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradient, -np.linalg.solve(covariance, np.asarray(x).T).T, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", SIGNALS)
def test_mean_covariance_and_spectrum_are_those_of_samples(name):
    target, n = TARGETS[name], 20_000
    x = drawn(target, n)
    std = np.asarray(target.std)
    np.testing.assert_allclose(x.mean(0), target.mean, atol=5 * std.max() / np.sqrt(n))
    np.testing.assert_allclose(np.cov(x.T), target.covariance, atol=8 * std.max() ** 2 / np.sqrt(n))
    np.testing.assert_allclose(np.sqrt(np.diag(target.covariance)), std, rtol=1e-4)
    found = (np.abs(np.fft.rfft(x - np.asarray(target.mean), axis=1)) ** 2).mean(0) / target.dim
    np.testing.assert_allclose(found, target.spectrum, rtol=0.06)


def test_the_distribution_functions_along_directions_are_those_of_samples():
    target = TARGETS["smooth"]
    direction = np.eye(64)[[3]] * 0.6 + np.eye(64)[[40]] * 0.8
    x = drawn(target, 10_000) @ direction[0]
    found = stats.kstest(x, lambda at: np.asarray(target.cdf_along(at[None], direction))[0])
    assert found.pvalue > 1e-3


# --- factors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "low", "high"), [("pulse", (1, 8), (3, 40)), ("sine", (0.5, 0), (1.5, 2 * np.pi))])
def test_factors_of_noiseless_signals_are_recovered(name, low, high):
    target = TARGETS[name]
    wanted = np.random.default_rng(0).uniform(low, high, (200, 2))
    found, residual = target.factors(target.params.law.clean(wanted))
    np.testing.assert_allclose(found, wanted, atol=1e-5 * max(high))
    np.testing.assert_allclose(residual, 0, atol=1e-4)  # a root: of what float32 leaves of a difference


def test_the_factors_of_a_pulse_are_the_best_of_a_fine_search():
    target = TARGETS["pulse"]
    x = drawn(target, 20)
    found, residual = map(np.asarray, target.factors(x))
    widths = np.linspace(0.01, 64, 64_000)[:, None]
    shapes = targets.Pulse.clean(target.params.law, np.hstack([np.ones_like(widths), widths]))
    explained = (x @ shapes.T) ** 2 / (shapes**2).sum(1)
    best = explained.argmax(1)
    least = np.sqrt(np.maximum((x**2).sum(1) - explained.max(1), 0) / 64)
    np.testing.assert_allclose(residual, least, rtol=1e-3)
    np.testing.assert_allclose(found[:, 1], widths[best, 0], atol=5e-3)


def test_a_residual_is_the_noise_and_moves_with_the_target():
    target = TARGETS["pulse"]
    x = drawn(target, 2_000)
    factors, residual = target.factors(x)
    assert float(jnp.mean(residual)) == pytest.approx(0.05, rel=0.03)
    moved = target.standardized()
    z = (x - np.asarray(target.mean)) / float(target.units.scale)
    found, scaled = moved.factors(z)
    np.testing.assert_allclose(found, factors, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(scaled * float(target.units.scale), residual, rtol=1e-3)


def test_labels_of_two_shapes_are_the_shapes():
    target = TARGETS["two_shapes"]
    assert target.num_classes == 2
    factors = np.random.default_rng(1).uniform((1, 8), (3, 24), (100, 2))
    for label, shape in enumerate((targets.factors.rectangle, targets.factors.triangle)):
        x = factors[:, :1] * shape(factors[:, 1:], 64)
        np.testing.assert_array_equal(target.standardized().most_probable_label(_standard(target, x)), label)
    shares = np.bincount(np.asarray(target.label(jax.random.key(0), drawn(target, 4_000))), minlength=2) / 4_000
    np.testing.assert_allclose(shares, 0.5, atol=5 * 0.5 / np.sqrt(4_000))


def _standard(target, x):
    return jnp.asarray((x - np.asarray(target.mean)) / float(target.units.scale), float)


# --- a user's own, and images -------------------------------------------------------------------------------------


def test_signals_of_an_array_are_its_rows():
    rows = np.random.default_rng(3).normal(size=(20, 8))
    target = targets.signals(rows)
    x = drawn(target, 500)
    assert {tuple(row) for row in x.astype(np.float32)} == {tuple(row) for row in rows.astype(np.float32)}
    np.testing.assert_allclose(target.mean, rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(target.covariance, np.cov(rows.T, bias=True), atol=1e-5)
    direction = np.ones((1, 8)) / np.sqrt(8)
    at = np.array([[-0.3, 0.0, 0.7]])
    expected = (rows @ direction[0] <= at.T).mean(1)
    np.testing.assert_allclose(target.cdf_along(at, direction)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), "must have shape [n, length] with n ≥ 2 and 3 ≤ length ≤ 4096, not [5]"),
        (np.zeros((4, 2)), "not [4, 2]"),
        ([[1.0, 2, 3], [1.0, 2]], "not rows of different lengths"),
        (np.array([[1.0, 2, 3], None], dtype=object), "not objects, such as rows of other lengths"),
        ([[1.0, 2, 3], [1.0, np.nan, 3], [4, 5, 6]], "must be finite, but [1, 1] is nan"),
        ([[1.0, 2, 3], [4, 2, 3]], "place 1 and 1 more: all signals are 2 there"),
        (np.ma.masked_greater(np.arange(9.0).reshape(3, 3), 7), "some values are masked"),
    ],
)
def test_bad_signals_are_refused_in_one_line(array, words):
    with pytest.raises(ValueError, match=r"^signals: ") as error:
        targets.signals(array)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("covariance", "words"),
    [
        (np.eye(2), "must have shape [dim, dim] with dim ≥ 3, not [2, 2]"),
        (np.full((3, 3), np.nan), "must be finite, but [0, 0] is nan"),
        (np.ones((3, 3)), "must be positive definite, but its least eigenvalue is"),
        (np.eye(3) + np.eye(3, k=1), "must be symmetric, but [0, 1] is not [1, 0]"),
        ([[1.0], [1.0, 2.0]], "must be a matrix of real numbers"),
    ],
)
def test_bad_covariances_are_refused_in_one_line(covariance, words):
    with pytest.raises(ValueError, match=r"^gaussian_process: covariance") as error:
        targets.gaussian_process(covariance)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: targets.pulse(15), "pulse: length must be even, not 15"),
        (lambda: targets.pulse(16), "pulse: widths must be at most length=16, not 40"),
        (lambda: targets.pulse(heights=(3, 1)), "pulse: heights must be"),
        (lambda: targets.sine(cycles=32), "sine: cycles must be an integer from 1 to below 32, not 32"),
        (lambda: targets.smooth(noise=0), "smooth: noise must be above 0 and finite, not 0"),
        (lambda: targets.ornstein_uhlenbeck(correlation=1.0), "correlation must be in (0, 1), not 1.0"),
        (lambda: targets.periodic(2), "periodic: length must be an integer of at least 3, not 2"),
    ],
)
def test_bad_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=r"\w+: ") as error:
        make()
    assert words in str(error.value)


def test_digits_are_half_of_the_images_and_their_labels():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn, the extra `images`")
    from sklearn.datasets import load_digits

    target, all_images = TARGETS["digits"], load_digits()
    law = target.params.law
    assert target.shape == (8, 8)
    assert target.num_classes == 10
    both = np.concatenate([law.rows, law.held_out])
    np.testing.assert_array_equal(both[np.lexsort(both.T)], all_images.data[np.lexsort(all_images.data.T)])
    by_image = {image.tobytes(): label for image, label in zip(all_images.data, all_images.target, strict=True)}
    x = drawn(target, 300)
    nearest = law.rows[((x[:, None] - law.rows[None]) ** 2).sum(2).argmin(1)]
    assert np.abs(x - nearest).max() <= 0.5
    wanted = [by_image[image.tobytes()] for image in nearest]
    np.testing.assert_array_equal(target.label(jax.random.key(1), jnp.asarray(x)), wanted)
    given = np.asarray(law.classify(jnp.asarray(law.held_out, float)))
    assert np.mean(given == [by_image[image.tobytes()] for image in law.held_out]) > 0.9


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    targets.digits.cache_clear()
    monkeypatch.delitem(TARGETS, "digits", raising=False)
    with pytest.raises(ValueError, match=r"needs scikit-learn: pip install 'jgen1d\[images\]'"):
        targets.get("digits")
    with pytest.raises(ValueError, match="no target 'digts'; did you mean 'digits'"):
        targets.get("digts")


def test_a_run_on_signals_knows_their_shape_and_keeps_their_form():
    """Coordinates are divided by one number, so that places without signal stay small."""
    task = jgen1d.Task(jgen1d.METHODS["gaussian"], TARGETS["pulse"], jgen1d.METHODS["gaussian"].Config())
    shift, scale = task.units
    assert len(set(np.asarray(scale))) == 1
    np.testing.assert_allclose(scale[0], np.sqrt(np.trace(TARGETS["pulse"].covariance) / 64), rtol=1e-5)
    np.testing.assert_allclose(shift, TARGETS["pulse"].mean, rtol=1e-6)
    assert processes.root_of(np.diag([4.0, 9, 16])) == pytest.approx(np.diag([2.0, 3, 4]))


# --- methods in many dimensions -----------------------------------------------------------------------------------


def test_factors_of_large_covariances_are_numpys():
    covariance = np.asarray(targets.smooth(20, reach=3.0, noise=0.3).covariance, float)
    stacked = jnp.asarray(np.stack([covariance, 4 * covariance]), float)
    factor = densities.cholesky(stacked)
    np.testing.assert_allclose(factor[0], np.linalg.cholesky(covariance), atol=1e-5)
    np.testing.assert_allclose(factor[1], 2 * np.linalg.cholesky(covariance), atol=1e-5)
    x = np.random.default_rng(0).normal(size=(5, 20))
    known = stats.multivariate_normal(np.ones(20), covariance)
    found = densities.normal_log_prob(jnp.asarray(x, float), jnp.ones((2, 20)), stacked)
    np.testing.assert_allclose(found[0], known.logpdf(x), rtol=1e-4)
    draws = densities.sample_normal(jax.random.key(0), jnp.zeros((20_000, 20)), factor[:1])
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.06)


# --- metrics ------------------------------------------------------------------------------------------------------


def random_covariance(dim, seed):
    roots = np.random.default_rng(seed).normal(size=(dim, 2 * dim)) / np.sqrt(2 * dim)
    return roots @ roots.T


def test_the_frechet_distance_is_that_of_scipys_root():
    one, other = random_covariance(12, 0), random_covariance(12, 1)
    gap = np.random.default_rng(2).normal(size=12)
    root = linalg.sqrtm(one)
    cross = np.trace(linalg.sqrtm(root @ other @ root)).real
    expected = np.sqrt(gap @ gap + np.trace(one) + np.trace(other) - 2 * cross)
    roots = (jnp.asarray(np.linalg.cholesky(some), float) for some in (one, other))
    assert float(signals.frechet(jnp.asarray(gap, float), *roots)) == pytest.approx(expected, rel=1e-4)
    assert float(signals.frechet(jnp.zeros(12), *(jnp.asarray(root.real, float),) * 2)) < 2e-3


@pytest.mark.parametrize("n", [500, 10_000])
def test_the_frechet_distance_of_collapsed_samples_is_finite(n):
    """Of signals with one factor, whose covariance has rank one: tr √ of it and another's is √(vᵀΣv)."""
    target = TARGETS["pulse"]
    rng = np.random.default_rng(4)
    x = 1 + 0.3 * rng.normal(size=(n, 1)) @ rng.normal(size=(1, 64))
    found = signals.measures(jnp.asarray(x, float), target, None)["frechet"]
    (*_, variance), vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    covariance, gap = np.asarray(target.covariance, np.float64), x.mean(axis=0) - target.mean
    cross = np.sqrt(variance * vectors[:, -1] @ covariance @ vectors[:, -1])
    expected = np.sqrt(gap @ gap + variance + np.trace(covariance) - 2 * cross)
    assert float(found) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", ["ornstein_uhlenbeck", "smooth"])
def test_the_frechet_floor_is_that_of_perfect_samples(name):
    """The closed form, the floor of the reference and SciPy's distances of other draws agree within 5 %."""
    target, n = TARGETS[name], 1_000
    known = jax.jit(metrics.reference, static_argnums=1)(target, n)
    covariance = np.asarray(target.covariance, float)
    root = linalg.sqrtm(covariance).real
    found = []
    for seed in range(10):
        x = drawn(target, n, seed + 100)
        cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ np.cov(x.T, bias=True) @ root), 0)).sum()
        found.append((x.mean(0) ** 2).sum() + np.trace(covariance) + np.cov(x.T, bias=True).trace() - 2 * cross)
    simulated = np.mean(np.sqrt(found))
    assert float(known.signal.floors["frechet"]) == pytest.approx(simulated, rel=0.05)
    assert float(signals.frechet_floor(target.covariance, n)) == pytest.approx(simulated, rel=0.05)


@pytest.fixture(scope="module")
def scored():
    """Metrics by target, averaged over draws, of a perfect sampler and of the normal with the target's moments."""

    def both(target):
        normal = targets.gaussian_process(target.covariance, target.mean)
        known = jax.jit(metrics.reference, static_argnums=1)(target, 1_000)
        compiled = jax.jit(metrics.evaluate)
        draws = [[some.sample(jax.random.key(seed), 1_000) for seed in range(4)] for some in (target, normal)]
        values = [[jax.device_get(compiled(x, target, known)) for x in some] for some in draws]
        return [{name: np.mean([value[name] for value in some]) for name in some[0]} for some in values]

    return {name: both(TARGETS[name]) for name in ("smooth", "pulse")}


@pytest.mark.parametrize("name", ["smooth", "pulse"])
def test_a_perfect_sampler_is_at_every_floor(scored, name):
    perfect = scored[name][0]
    of_factors = {"factor_w1_over_floor", "off_manifold_over_floor"}
    ratios = {metric: float(v) for metric, v in perfect.items() if metric.endswith("_over_floor")}
    assert of_factors <= ratios.keys() if name == "pulse" else not of_factors & ratios.keys()
    assert all(0.5 < ratio < 2 for ratio in ratios.values()), ratios
    assert perfect["ks_p"] > 0.01


def test_metrics_tell_a_normal_with_the_right_moments_from_pulses(scored):
    """Mean, covariance and spectrum are right, and every projection nearly so; factors and residual are not."""
    normal = scored["pulse"][1]
    assert normal["frechet_over_floor"] < 2
    assert normal["factor_w1_over_floor"] > 3
    assert normal["off_manifold"] > 5
    assert scored["smooth"][1]["frechet_over_floor"] < 2
    history = {"w1_over_std": np.zeros(3)}
    fine = {"w1_over_std": 0.01, "tv": 0.05, "std_ratio": 1.0, "ks_p": 0.5, "factor_w1": 0.03, "off_manifold": 1.1}
    for changes, expected in (
        ({}, "indistinguishable"),
        ({"off_manifold": 1.6}, "not_converged"),
        ({"factor_w1": 0.06}, "not_converged"),
        ({"ks_p": 0.0}, "converged"),
    ):
        assert verdict.classify(history, fine | changes, None, 0) == expected


def test_moments_of_samples_are_measured_as_numpy_does():
    target, n = targets.sine(16, cycles=2), 500
    x = drawn(target, n, 5) * 1.3 + 0.2
    known = jax.jit(metrics.reference, static_argnums=1)(target, n)
    found = jax.jit(metrics.evaluate)(jnp.asarray(x), target, known)
    exact = np.asarray(target.covariance, float)
    wrong = np.linalg.norm(np.cov(x.T, bias=True) - exact) / np.linalg.norm(exact)
    assert float(found["covariance_error"]) == pytest.approx(wrong, rel=1e-3)
    power = (np.abs(np.fft.rfft(x, axis=1)) ** 2).mean(0) / 16
    wrong = np.linalg.norm(power - target.spectrum) / np.linalg.norm(target.spectrum)
    assert float(found["spectrum_error"]) == pytest.approx(wrong, rel=1e-3)
    other = drawn(target, 20_000, 9)
    places = np.mean([stats.wasserstein_distance(x[:, i], other[:, i]) for i in range(16)])
    assert float(found["pointwise_w1"]) == pytest.approx(places, rel=0.05)
    directions = np.asarray(metrics.directions(16))
    np.testing.assert_allclose((directions**2).sum(1), 1, rtol=1e-5)
    gaps = [stats.ks_2samp(x @ d, points).statistic for d, points in zip(directions, known.points, strict=True)]
    assert float(found["ks"]) == pytest.approx(max(gaps), abs=2e-3)


def test_images_are_measured_against_those_held_out():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn, the extra `images`")
    target = TARGETS["digits"]
    law = target.params.law
    measured = jax.jit(lambda x: signals.image_measures(x, target))
    trained = measured(target.sample(jax.random.key(0), 899))
    held_out = measured(jnp.asarray(law.held_out + np.random.default_rng(0).uniform(-0.5, 0.5, law.held_out.shape)))
    collapsed = measured(jnp.tile(jnp.asarray(law.rows[:1], float), (899, 1)) + jnp.linspace(0, 0.1, 899)[:, None])
    assert float(trained["memorised"]) > 0.99
    assert 0.4 < float(held_out["memorised"]) < 0.6
    assert trained["classes_covered"] == held_out["classes_covered"] == 10
    assert collapsed["classes_covered"] == 1
    assert float(trained["pca_frechet_over_floor"]) == pytest.approx(1, abs=0.5)
    assert float(held_out["pca_w1_over_floor"]) < 0.2
    assert float(collapsed["pca_frechet_over_floor"]) > 5


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_of_signals_is_a_target_and_a_named_column_is_one_of_numbers(tmp_path):
    rows = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    np.save(tmp_path / "waves.npy", rows)
    np.savez(tmp_path / "archive.npz", x=rows)
    for name in ("waves.npy", "archive.npz"):
        target = data.read(tmp_path / name)
        assert (target.dim, target.name) == (8, name.partition(".")[0])
        np.testing.assert_array_equal(target.params.law.rows, rows.astype(np.float64))
        assert data.read(tmp_path / name, column=3).dim == 1


@pytest.mark.parametrize(
    ("array", "options", "words"),
    [
        (np.full((4, 5), np.nan), {}, "signals: signals must be finite, but [0, 0] is nan"),
        (np.ones((4, 5)), {}, "place 0 and 4 more: all signals are 1 there"),
        (np.array([[1, 2, 3], [1]], dtype=object), {}, "must be integers or floats of shape [n] or [n, k]"),
        (np.random.default_rng(0).normal(size=(4, 5)), {"atom": 0.0}, "atom=0.0 is of a column, but the file holds"),
    ],
)
def test_a_bad_file_of_signals_is_one_line(tmp_path, array, options, words):
    np.save(tmp_path / "signals.npy", array)
    with pytest.raises(ValueError, match=r"signals\.npy: ") as error:
        data.read(tmp_path / "signals.npy", **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
