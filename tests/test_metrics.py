"""Every metric against scipy, plain NumPy or a closed form.

The oracles are float64 and the library float32: 1e-5 where both compute one number by two routes. What is random is
held to four standard errors under fixed seeds.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.spatial.distance import jensenshannon

from jgen1d import targets
from jgen1d.evaluation import metrics
from jgen1d.targets import TARGETS

NUM_SAMPLES = 500
FINE = (np.arange(200_000) + 0.5) / 200_000
LOG_2 = math.log(2)


class Distribution(NamedTuple):
    """A registered target by NumPy and scipy, in float64; `cdf` and `ppf` in 1-D."""

    draw: Callable  # (rng, num_sets) -> [num_sets, NUM_SAMPLES, dim]
    cdf: Callable | None
    ppf: Callable | None
    std: float  # the mean over coordinates
    modes: tuple | None = None  # weights [k], centers [k, dim], scales [k]


def mixture_cdf(weights, centers, scales, x):
    return stats.norm.cdf((np.asarray(x)[..., None] - centers) / scales) @ weights


def mixture_ppf(weights, centers, scales, u):
    x = np.unique((centers + scales * np.linspace(-8, 8, 4_001)[:, None]).ravel())
    return np.interp(u, mixture_cdf(weights, centers, scales, x), x)


def mixture_distribution(weights, centers, scales):
    weights, centers, scales = np.array(weights, float), np.array(centers, float), np.array(scales, float)
    weights /= weights.sum()
    centers = centers.reshape(len(weights), -1)
    dim = centers.shape[1]

    def draw(rng, num_sets):
        mode = rng.choice(len(weights), (num_sets, NUM_SAMPLES), p=weights)
        return centers[mode] + scales[mode][..., None] * rng.normal(size=(num_sets, NUM_SAMPLES, dim))

    std = np.sqrt(weights @ (scales[:, None] ** 2 + (centers - weights @ centers) ** 2)).mean()
    cdf, ppf = (functools.partial(f, weights, centers[:, 0], scales) for f in (mixture_cdf, mixture_ppf))
    return Distribution(draw, *((cdf, ppf) if dim == 1 else (None, None)), std, (weights, centers, scales))


def scipy_distribution(distribution):
    def draw(rng, num_sets):
        return distribution.rvs(size=(num_sets, NUM_SAMPLES, 1), random_state=rng)

    return Distribution(draw, distribution.cdf, distribution.ppf, distribution.std())


def draw_disk(rng, num_sets):
    u = rng.uniform(size=(2, num_sets, NUM_SAMPLES))
    radius, angle = 10 * np.sqrt(u[0]), 2 * np.pi * u[1]
    disk = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return disk + rng.normal(size=disk.shape)


ANGLES = 2 * np.pi * np.arange(8) / 8
AXIS = np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
DISTRIBUTIONS = {
    "normal": mixture_distribution([1], [4], [0.5]),
    "bimodal": mixture_distribution([1, 1], [2, 6], [0.4, 0.4]),
    "uniform": scipy_distribution(stats.uniform(2, 4)),
    "exponential": scipy_distribution(stats.expon(scale=2)),
    "mixture": mixture_distribution([0.33, 0.33, 0.34], [1.5, 4, 7], [0.3, 0.4, 0.25]),
    "two_normals": mixture_distribution([1, 3], [-5, 2], [1, 1]),
    "ring": mixture_distribution(np.ones(8), np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1), np.full(8, 0.01)),
    "grid": mixture_distribution(np.ones(25), [(x, y) for x in AXIS for y in AXIS], np.full(25, 0.05)),
    "disk": Distribution(draw_disk, None, None, math.sqrt(26)),
}
ONE_D = [name for name in DISTRIBUTIONS if TARGETS[name].dim == 1]
WITH_MODES = [name for name in DISTRIBUTIONS if DISTRIBUTIONS[name].modes]
each_target = pytest.mark.parametrize("name", DISTRIBUTIONS)
each_1d = pytest.mark.parametrize("name", ONE_D)
each_with_modes = pytest.mark.parametrize("name", WITH_MODES)

evaluate_sets = jax.jit(jax.vmap(metrics.evaluate, in_axes=(0, None, None)))
reference = jax.jit(metrics.reference, static_argnums=1, static_argnames="num_points")
w1_floor = jax.jit(metrics.w1_floor, static_argnums=1)
energy, ks, hit = jax.jit(metrics.energy), jax.jit(metrics.ks), jax.jit(metrics.hit)


def target_of(name):
    return dataclasses.replace(TARGETS[name], name="")  # targets of one form then share compiled programs


def num_sets(name):
    return 64 if TARGETS[name].dim == 1 else 16


@functools.cache
def reference_of(name):
    return reference(target_of(name), NUM_SAMPLES, num_points=8192 if TARGETS[name].dim == 1 else 2000)


def evaluate(name, sets):
    """The metrics of sets [num_sets(name), NUM_SAMPLES, dim], as float64 arrays by name; one compilation per target."""
    assert sets.shape == (num_sets(name), NUM_SAMPLES, TARGETS[name].dim)
    values = evaluate_sets(jnp.asarray(sets, dtype=float), target_of(name), reference_of(name))
    return {metric: np.asarray(value, np.float64) for metric, value in values.items()}


@functools.cache
def perfect(name):
    """Samples of the target itself, rounded as the library sees them, and their metrics."""
    sets = DISTRIBUTIONS[name].draw(np.random.default_rng(0), num_sets(name)).astype(np.float32)
    return sets.astype(np.float64), evaluate(name, sets)


@functools.cache
def wrong(name):
    """Samples that are off in location and spread, some a little and some a lot, and their metrics."""
    rng = np.random.default_rng(1)
    sets = DISTRIBUTIONS[name].draw(rng, num_sets(name))
    center, std = sets.mean((0, 1)), DISTRIBUTIONS[name].std
    stretch, shift = (rng.uniform(low, high, (len(sets), 1, sets.shape[2])) for low, high in [(0.3, 1.8), (-std, std)])
    sets = (center + stretch * (sets - center) + shift * rng.choice([0, 0.01, 1], (len(sets), 1, 1))).astype(np.float32)
    return sets.astype(np.float64), evaluate(name, sets)


def some(name, count=4):
    """A few sets of each kind with their metrics: pairs ([n, dim], {name: value})."""
    for sets, values in (perfect(name), wrong(name)):
        for i in range(count):
            yield sets[i], {metric: value[i] for metric, value in values.items()}


def standard_error(values):
    return values.std(ddof=1) / math.sqrt(len(values))


def numpy_directions(dim):
    angles = np.pi * np.arange(32) / 32
    return np.ones((1, 1)) if dim == 1 else np.stack([np.cos(angles), np.sin(angles)], axis=1)


# --- the reference ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_samples", "num_cells"), [(500, 8500), (8192, 4 * 8192), (3, 8193), (8193, 4 * 8193)])
def test_reference_has_a_multiple_of_the_samples_and_at_least_four_each(num_samples, num_cells):
    points = jax.eval_shape(functools.partial(metrics.reference, num_samples=num_samples), TARGETS["uniform"]).points
    assert points.shape == (1, num_cells)


@each_1d
def test_reference_is_the_target_by_its_quantiles(name):
    points = np.asarray(reference_of(name).points, np.float64)[0]
    u = (np.arange(len(points)) + 0.5) / len(points)
    assert (np.diff(points) >= 0).all()
    np.testing.assert_allclose(
        DISTRIBUTIONS[name].cdf(points), u, atol=2e-6
    )  # a float32's worth of quantile, times the density
    discretization = stats.wasserstein_distance(points, DISTRIBUTIONS[name].ppf(FINE))
    assert discretization < 0.02 * float(reference_of(name).floor)


def test_reference_in_2d_holds_the_projections_on_directions_over_half_a_turn():
    weights, centers, scales = DISTRIBUTIONS["ring"].modes
    points, floor, of_signals = reference_of("ring")
    assert of_signals is None
    assert points.shape == (32, 2000)
    assert (np.diff(points, axis=1) >= 0).all()
    distances = []
    for direction, projected in list(zip(numpy_directions(2), np.asarray(points, np.float64), strict=True))[3::16]:
        distribution = mixture_ppf(weights, centers @ direction, scales, FINE[::50])
        distances.append(stats.wasserstein_distance(projected, distribution))
    # The reference is itself a sample, of four times as many points: its error is half as large.
    assert np.mean(distances) < 2 * float(floor) / 2


# --- Wasserstein-1 ------------------------------------------------------------------------------------------------


@each_target
def test_w1_against_scipy_on_numpy_projections(name):
    points = np.asarray(reference_of(name).points, np.float64)
    for samples, values in some(name, 4 if TARGETS[name].dim == 1 else 2):
        projections = samples @ numpy_directions(samples.shape[1]).T
        oracle = np.mean([stats.wasserstein_distance(a, b) for a, b in zip(projections.T, points, strict=True)])
        np.testing.assert_allclose(values["w1"], oracle, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(values["w1_over_std"], oracle / DISTRIBUTIONS[name].std, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(values["w1_over_floor"], oracle / float(reference_of(name).floor), rtol=2e-5)


@each_1d
def test_w1_against_scipy_on_the_exact_distribution(name):
    distribution = DISTRIBUTIONS[name].ppf(FINE)
    for samples, values in some(name, 2):
        floor = float(reference_of(name).floor)
        assert values["w1"] == pytest.approx(stats.wasserstein_distance(samples[:, 0], distribution), abs=0.02 * floor)


def mean_absolute(mean, std):
    """E|N(mean, std²)|, also the W1 of normals whose means and standard deviations differ by these."""
    mean, std = abs(mean), abs(std)
    if std == 0:
        return mean
    folded = std * math.sqrt(2 / math.pi) * math.exp(-(mean**2) / (2 * std**2))
    return folded + mean * (1 - 2 * stats.norm.cdf(-mean / std))


@pytest.mark.parametrize(("mean", "std"), [(4.0, 0.5), (4.5, 0.5), (4.0, 1.0), (5.0, 0.2), (3.8, 0.8)])
def test_distances_between_gaussians(mean, std):
    quantiles = stats.norm.ppf((np.arange(NUM_SAMPLES) + 0.5) / NUM_SAMPLES)
    draws = np.random.default_rng(2).normal(size=(num_sets("normal") - 1, NUM_SAMPLES))
    values = evaluate("normal", (mean + std * np.concatenate([quantiles[None], draws]))[..., None])
    expected = mean_absolute(mean - 4, std - 0.5)
    assert values["w1"][0] == pytest.approx(expected, abs=5e-3)  # the quantiles' own distance from their distribution
    floor = math.sqrt(2 / math.pi / NUM_SAMPLES) * 1.6147 * std
    assert values["w1"][1:].mean() == pytest.approx(expected, abs=4 * standard_error(values["w1"][1:]) + floor)
    expected = 2 * mean_absolute(mean - 4, math.hypot(std, 0.5)) - mean_absolute(0, math.sqrt(2) * std)
    expected -= mean_absolute(0, math.sqrt(0.5))
    assert values["energy"][0] == pytest.approx(expected, rel=1e-3, abs=1e-4)  # of every third point of the reference


def test_sliced_w1_of_a_far_shift_is_its_mean_projection():
    sets = perfect("ring")[0] + 30 * np.array([math.cos(0.3), math.sin(0.3)])
    mean_projection = np.abs(numpy_directions(2) @ [math.cos(0.3), math.sin(0.3)]).mean()
    assert mean_projection == pytest.approx(2 / math.pi, rel=2e-3)  # 32 directions stand for all
    # The shape matters only along the two nearly orthogonal directions, and the sample's own mean by 0.1.
    np.testing.assert_allclose(evaluate("ring", sets)["w1"], 30 * mean_projection, rtol=5e-3)


# --- the noise floor ----------------------------------------------------------------------------------------------


@each_1d
def test_floor_is_the_integral_over_the_cdf(name):
    cdf = DISTRIBUTIONS[name].cdf
    knots = DISTRIBUTIONS[name].ppf(
        np.array([1e-12, 1e-6, 0.01, *np.linspace(0.05, 0.95, 19), 0.99, 1 - 1e-6, 1 - 1e-12])
    )
    quad = functools.partial(integrate.quad, lambda x: np.sqrt(cdf(x) * (1 - cdf(x))), limit=200)
    integral = sum(quad(a, b)[0] for a, b in itertools.pairwise(knots))
    closed = {"normal": 1.6147 * 0.5, "uniform": 4 * math.pi / 8, "exponential": 2 * math.pi / 2}
    assert integral == pytest.approx(closed.get(name, integral), rel=1e-4)
    expected = math.sqrt(2 / math.pi / NUM_SAMPLES) * integral
    assert float(reference_of(name).floor) == pytest.approx(expected, rel=2e-3)  # cut at the quantiles of 1e-6


def test_floor_falls_with_the_root_of_the_samples():
    floor = w1_floor(TARGETS["uniform"], 100)
    assert float(floor) == pytest.approx(math.sqrt(2 / math.pi) * 4 * math.pi / 8 / 10, rel=1e-4)
    assert float(w1_floor(TARGETS["uniform"], 400)) == pytest.approx(float(floor) / 2, rel=1e-5)


def test_floor_of_a_finite_sample_is_a_sum_over_its_gaps():
    values = np.sort(np.random.default_rng(3).exponential(size=40))
    cdf = np.arange(1, 40) / 40
    expected = math.sqrt(2 / math.pi / 100) * np.sum(np.sqrt(cdf * (1 - cdf)) * np.diff(values))
    assert float(w1_floor(targets.empirical(values), 100)) == pytest.approx(expected, rel=5e-3)


@each_target
def test_floor_is_what_a_perfect_sampler_scores(name):
    over_floor = perfect(name)[1]["w1_over_floor"]
    error = standard_error(over_floor)
    if TARGETS[name].dim == 2:  # the floor is a mean too, over eight sets
        error *= math.sqrt(1 + len(over_floor) / 8)
    assert over_floor.mean() == pytest.approx(1, abs=4 * error)
    assert error < 0.2


# --- Kolmogorov–Smirnov -------------------------------------------------------------------------------------------


@each_1d
def test_ks_against_scipy(name):
    for samples, values in some(name):
        assert values["ks"] == pytest.approx(stats.kstest(samples[:, 0], DISTRIBUTIONS[name].cdf).statistic, abs=1e-5)


def test_ks_of_samples_with_ties_against_scipy():
    sets = np.round(4 * wrong("uniform")[0]) / 4
    values = evaluate("uniform", sets)["ks"]
    for i in range(5):
        assert values[i] == pytest.approx(stats.kstest(sets[i, :, 0], DISTRIBUTIONS["uniform"].cdf).statistic, abs=1e-5)


def greatest_gap(samples, data):
    """sup |Fₙ − F| over all steps of either, on both of their sides."""
    gaps = [abs((samples <= x).mean() - (data <= x).mean()) for x in np.union1d(samples, data)]
    gaps += [abs((samples < x).mean() - (data < x).mean()) for x in np.union1d(samples, data)]
    return max(gaps)


GRIDS = {
    "integers": np.arange(1, 10),
    "around zero": np.arange(-4, 5),
    "counts": np.arange(0, 9),
    "eighths": np.arange(9, 18) / 8,
    "far": 1e4 + np.arange(9) / 64,
}


@pytest.mark.parametrize("values", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("seed", range(4))
def test_ks_to_a_finite_sample_with_ties_by_brute_force(values, seed):
    rng = np.random.default_rng(seed)
    data, samples = rng.choice(values, 40, p=rng.dirichlet(np.ones(9))), rng.choice(values, 60)
    target = targets.empirical(data)
    distance = float(ks(jnp.asarray(samples, dtype=float)[:, None], target))
    assert distance == pytest.approx(greatest_gap(samples, data), abs=1e-6)


@pytest.mark.parametrize("values", GRIDS.values(), ids=GRIDS)
def test_ks_of_a_finite_sample_to_itself_is_zero(values):
    target = targets.empirical(np.repeat(values, 5))
    samples = jnp.asarray(np.repeat(values, 7), dtype=float)
    assert float(ks(samples[:, None], target)) == pytest.approx(0, abs=1e-6)


# --- Jensen–Shannon and Kullback–Leibler --------------------------------------------------------------------------


def histogram_js(samples, distribution, edges):
    open_edges = np.concatenate([[-np.inf], edges, [np.inf]])
    observed = np.histogram(samples, open_edges)[0] / len(samples)
    return jensenshannon(observed, np.diff(distribution.cdf(edges), prepend=0, append=1)) ** 2


@each_1d
def test_js_against_scipy_on_a_histogram(name):
    edges = np.linspace(*DISTRIBUTIONS[name].ppf(np.array([1e-3, 1 - 1e-3])), 101)
    # Skips samples so near an edge that rounding decides on their bin.
    clear = [(x, v) for x, v in some(name, 6) if np.abs(x - edges).min() > 1e-5]
    assert len(clear) >= 6
    for samples, values in clear:
        assert values["js"] == pytest.approx(histogram_js(samples[:, 0], DISTRIBUTIONS[name], edges), abs=1e-5)


def test_js_of_disjoint_distributions_is_almost_log_2():
    values = evaluate("normal", perfect("normal")[0] + 50)["js"]
    masses = np.array([0.999, 0.001]), np.array([0.0, 1.0])  # a thousandth lies in the last bin too
    np.testing.assert_allclose(values, jensenshannon(*masses) ** 2, rtol=1e-4)
    assert 0.98 * LOG_2 < values[0] < LOG_2


def test_js_of_a_perfect_sampler():
    values = perfect("uniform")[1]["js"]
    assert values.mean() == pytest.approx(metrics.NUM_BINS / (8 * NUM_SAMPLES), rel=0.15)  # leading order in bins/n


def test_kl_of_two_gaussians():
    x = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000, 1.0, 0.5)
    log_p, log_q = stats.norm.logpdf(x, 1.0, 0.5), stats.norm.logpdf(x, 0.2, 1.3)
    expected = math.log(1.3 / 0.5) + (0.5**2 + 0.8**2) / (2 * 1.3**2) - 0.5
    assert float(metrics.kl(jnp.asarray(log_p), jnp.asarray(log_q))) == pytest.approx(expected, rel=1e-3)
    assert float(metrics.kl(jnp.asarray(log_p), jnp.asarray(log_p))) == 0


# --- energy -------------------------------------------------------------------------------------------------------


@each_1d
def test_energy_against_scipy_on_the_exact_distribution(name):
    """scipy's distance is the square root of 2∫(F − G)²."""
    distribution = DISTRIBUTIONS[name].ppf(FINE)
    for samples, values in some(name, 2):
        oracle = stats.energy_distance(samples[:, 0], distribution) ** 2
        assert values["energy"] == pytest.approx(
            oracle, rel=1e-2, abs=1e-5 * DISTRIBUTIONS[name].std
        )  # every third point


@pytest.mark.parametrize("dim", [1, 2])
def test_energy_by_all_pairs(dim):
    rng = np.random.default_rng(4)
    samples, points = rng.normal(size=(30, dim)), np.sort(rng.normal(0.4, 1.5, (32 if dim == 2 else 1, 50)), axis=1)

    def pairs(a, b):
        return np.abs(a[:, None] - b[None]).mean()

    projections = (samples @ numpy_directions(dim).T).T
    oracle = np.mean([2 * pairs(x, y) - pairs(x, x) - pairs(y, y) for x, y in zip(projections, points, strict=True)])
    value = energy(jnp.asarray(samples, dtype=float), jnp.asarray(points, dtype=float))
    np.testing.assert_allclose(value, oracle, rtol=1e-5)


@pytest.mark.parametrize("name", ["ring", "disk"])
def test_energy_in_2d_against_scipy_on_numpy_projections(name):
    points = np.asarray(reference_of(name).points, np.float64)
    samples, values = wrong(name)[0][0], wrong(name)[1]["energy"][0]
    oracle = [stats.energy_distance(samples @ d, p) ** 2 for d, p in zip(numpy_directions(2), points, strict=True)]
    assert values == pytest.approx(np.mean(oracle), rel=1e-4)


# --- moments ------------------------------------------------------------------------------------------------------


@each_target
def test_moments(name):
    target = TARGETS[name]
    for samples, values in some(name):
        mean, std = samples.mean(0), samples.std(0)
        tolerance = {"abs": 1e-5 * DISTRIBUTIONS[name].std, "rel": 1e-5}
        assert values["mean_error"] == pytest.approx(np.linalg.norm(mean - target.mean), **tolerance)
        assert values["std_error"] == pytest.approx(np.linalg.norm(std - target.std), **tolerance)
        assert values["std_ratio"] == pytest.approx(np.linalg.norm(std) / np.linalg.norm(target.std), rel=1e-5)
        if target.dim == 1:
            assert (values["mean"], values["std"]) == pytest.approx((mean[0], std[0]), rel=1e-5)


# --- modes --------------------------------------------------------------------------------------------------------


def mode_metrics(samples, modes):
    """All metrics of modes, by plain loops."""
    weights, centers, scales = modes
    count, hit = np.zeros(len(weights)), np.zeros(len(weights), bool)
    for x in samples:
        distances = [math.dist(x, center) / scale for center, scale in zip(centers, scales, strict=True)]
        nearest = int(np.argmin(distances))
        if distances[nearest] <= 3:
            count[nearest] += 1
        for k, distance in enumerate(distances):
            hit[k] |= distance <= 3
    mass = count / len(samples)
    perfect_share = stats.chi2(centers.shape[1]).cdf(9)
    rest = abs((1 - mass.sum()) - (1 - perfect_share))
    found = mass / mass.sum() if mass.sum() else mass
    return {
        "mode_mass": mass,
        "modes_covered": sum(m >= 0.2 * w for m, w in zip(mass, weights, strict=True)),
        "high_quality": mass.sum(),
        "mode_tv": (sum(abs(m - perfect_share * w) for m, w in zip(mass, weights, strict=True)) + rest) / 2,
        "reverse_kl": sum(p * math.log(p / w) for p, w in zip(found, weights, strict=True) if p)
        if mass.any()
        else math.inf,
    }, hit


@each_with_modes
def test_modes_by_plain_loops(name):
    modes = DISTRIBUTIONS[name].modes
    for samples, values in some(name):
        expected, hits = mode_metrics(samples, modes)
        for metric, value in expected.items():
            np.testing.assert_allclose(values[metric], value, rtol=1e-4, atol=2e-6, err_msg=metric)
        found = hit(jnp.asarray(samples, dtype=float), jax.tree.map(jnp.asarray, TARGETS[name].modes))
        np.testing.assert_array_equal(found, hits)


def test_overlapping_modes_share_no_sample():
    samples = np.random.default_rng(5).uniform(-8, 8, (NUM_SAMPLES, 1)).astype(np.float32)
    modes = (np.array([0.2, 0.5, 0.3]), np.array([[0.0], [1.0], [-2.0]]), np.array([2.0, 0.5, 0.25]))
    leaves = metrics.Modes(*(jnp.asarray(modes[i], dtype=float) for i in (1, 2, 0)))
    mass = jax.jit(metrics.mode_mass)(jnp.asarray(samples), leaves)
    expected, hits = mode_metrics(samples.astype(float), modes)
    np.testing.assert_allclose(mass, expected["mode_mass"], rtol=1e-5)
    assert float(jnp.sum(mass)) < 1
    np.testing.assert_array_equal(hit(jnp.asarray(samples), leaves), hits)


@each_with_modes
def test_perfect_sampler_in_the_modes(name):
    dim, num_modes = TARGETS[name].dim, len(DISTRIBUTIONS[name].modes[0])
    values = perfect(name)[1]
    share = {1: 0.9973, 2: 0.9889}[dim]
    assert metrics.expected_high_quality(dim) == pytest.approx(share, abs=5e-5)
    error = math.sqrt(share * (1 - share) / (num_sets(name) * NUM_SAMPLES))
    assert values["high_quality"].mean() == pytest.approx(share, abs=4 * error + 1e-4)  # neighbours' tails
    assert (values["modes_covered"] == num_modes).all()
    # χ² of K − 1 degrees of freedom over 2N, where N counts the samples in modes; the next order is K/12N·Σ1/weight.
    expected = (num_modes - 1) / (2 * NUM_SAMPLES)
    error = math.sqrt(2 * (num_modes - 1) / num_sets(name)) / (2 * NUM_SAMPLES)
    assert values["reverse_kl"].mean() == pytest.approx(expected, abs=4 * error + 0.03 * expected + 1e-6)
    # Half the sum over modes and rest of E|binomial − its mean|, each √(2/π) of a standard deviation.
    masses = np.append(share * DISTRIBUTIONS[name].modes[0], 1 - share)
    expected = np.sum(np.sqrt(masses * (1 - masses))) * math.sqrt(2 / math.pi / NUM_SAMPLES) / 2
    assert values["mode_tv"].mean() == pytest.approx(
        expected, abs=4 * standard_error(values["mode_tv"]) + 0.05 * expected
    )


def bimodal_sets(num_right):
    """Sets with the first `num_right` samples around 6, at most 2.9 scales off, and all others around 2."""
    z = np.clip(np.random.default_rng(6).normal(size=(num_sets("bimodal"), NUM_SAMPLES, 1)), -2.9, 2.9)
    return np.where(np.arange(NUM_SAMPLES)[:, None] < num_right, 6.0, 2.0) + 0.4 * z


def test_half_collapsed_sampler():
    values = {name: value[0] for name, value in evaluate("bimodal", bimodal_sets(0)).items()}
    np.testing.assert_array_equal(values["mode_mass"], [1, 0])
    assert values["modes_covered"] == 1
    assert values["high_quality"] == 1
    assert values["reverse_kl"] == pytest.approx(LOG_2, rel=1e-6)
    share = metrics.expected_high_quality(1)
    assert values["mode_tv"] == pytest.approx(1 - share / 2, rel=1e-5)
    # All mass of the mode at 6 comes from 4 units away.
    assert values["w1"] == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(("num_right", "covered"), [(0, 1), (1, 1), (49, 1), (50, 2), (250, 2)])
def test_mode_is_covered_by_a_fifth_of_its_mass_and_hit_by_one_sample(num_right, covered):
    sets = bimodal_sets(num_right)
    values = evaluate("bimodal", sets)
    assert (values["modes_covered"] == covered).all()
    assert (values["modes_hit"] == 1 + (num_right > 0)).all()
    found = hit(jnp.asarray(sets[0], dtype=float), jax.tree.map(jnp.asarray, TARGETS["bimodal"].modes))
    np.testing.assert_array_equal(found, [True, num_right > 0])


def test_no_sample_in_any_mode():
    values = evaluate("bimodal", np.full((num_sets("bimodal"), NUM_SAMPLES, 1), 4.0))
    assert (values["reverse_kl"] == np.inf).all()
    assert not values["modes_covered"].any()
    assert not values["mode_mass"].any()
    np.testing.assert_allclose(values["mode_tv"], metrics.expected_high_quality(1), rtol=1e-6)


@pytest.mark.parametrize("name", ["mixture", "ring"])
def test_shrunken_variance_raises_high_quality_above_a_perfect_samplers(name):
    weights, centers, scales = DISTRIBUTIONS[name].modes
    shrunk = mixture_distribution(weights, centers, 0.7 * scales).draw(np.random.default_rng(7), num_sets(name))
    dim = centers.shape[1]
    values = evaluate(name, shrunk)["high_quality"].mean()
    expected = stats.chi2(dim).cdf((3 / 0.7) ** 2)
    assert values == pytest.approx(expected, abs=4 * math.sqrt(1 - expected) / math.sqrt(shrunk[..., 0].size) + 1e-6)
    assert values > metrics.expected_high_quality(dim) + 0.002


# --- all of them --------------------------------------------------------------------------------------------------

EVERYWHERE = {"w1", "w1_over_std", "w1_over_floor", "std_ratio", "energy", "mean_error", "std_error"}
EVERYWHERE |= {"tv", "tv_over_floor", "ks", "ks_p"}
IN_1D = {"mean", "std", "js", "js_over_floor"}
OF_MODES = {"mode_mass", "modes_covered", "modes_hit", "high_quality", "mode_tv", "reverse_kl"}


@each_target
def test_evaluate_gives_each_target_its_metrics_and_all_are_finite(name):
    values = perfect(name)[1]
    assert values.keys() == EVERYWHERE | (IN_1D if TARGETS[name].dim == 1 else set()) | (
        OF_MODES if DISTRIBUTIONS[name].modes else set()
    )
    assert {metric: value.shape for metric, value in values.items()} == {
        metric: (num_sets(name), len(DISTRIBUTIONS[name].modes[0])) if metric == "mode_mass" else (num_sets(name),)
        for metric in values
    }
    for metric, value in (values | wrong(name)[1]).items():
        assert np.isfinite(value).all() or metric == "reverse_kl", metric
        assert metric == "mean" or (value >= -1e-6).all(), metric
    assert np.isfinite(values.get("reverse_kl", 0)).all()


def test_evaluate_on_a_finite_sample():
    rng = np.random.default_rng(8)
    data = np.round(rng.exponential(2, 300), 1)
    target = targets.empirical(data)
    samples = rng.choice(data, (NUM_SAMPLES, 1))
    values = jax.jit(metrics.evaluate)(jnp.asarray(samples, dtype=float), target, reference(target, NUM_SAMPLES))
    assert values.keys() == EVERYWHERE | IN_1D | {"out_of_range"}
    assert all(np.isfinite(value) for value in values.values())
    assert float(values["w1"]) == pytest.approx(stats.wasserstein_distance(samples[:, 0], data), abs=2e-3)
    assert float(values["energy"]) == pytest.approx(stats.energy_distance(samples[:, 0], data) ** 2, abs=1e-4)
    assert 0.2 < float(values["w1_over_floor"]) < 3


def test_vmapped_metrics_are_those_of_each_set():
    single = jax.jit(metrics.evaluate)
    for samples, values in some("normal"):
        alone = single(jnp.asarray(samples, dtype=float), target_of("normal"), reference_of("normal"))
        assert alone.keys() == values.keys()
        for metric, value in alone.items():
            np.testing.assert_allclose(values[metric], value, rtol=1e-4, atol=2e-6, err_msg=metric)


@pytest.mark.parametrize("name", ["normal", "disk"])
def test_one_sample_that_is_not_finite_shows_in_what_the_verdict_reads(name):
    sets = perfect(name)[0].copy()
    sets[::2, 3], sets[1::2, 3] = np.nan, np.inf
    values = evaluate(name, sets)
    for metric in ("w1", "w1_over_std", "std_ratio"):
        assert not np.isfinite(values[metric]).any(), metric


# --- the table of metrics -------------------------------------------------------------------------------------------


def test_a_new_metric_is_one_entry(monkeypatch):
    samples, target = jnp.asarray(perfect("normal")[0][0], dtype=float), target_of("normal")
    spread = metrics.Metric(
        "range", lambda s: jnp.max(s.samples) - jnp.min(s.samples), lambda target: target.dim == 1, in_history=True
    )
    monkeypatch.setitem(metrics.METRICS, "range", spread)
    for compute in (metrics.evaluate, metrics.curves):
        assert compute(samples, target, reference_of("normal"))["range"] == pytest.approx(np.ptp(samples))
    planar = jnp.asarray(perfect("disk")[0][0], dtype=float)
    assert "range" not in metrics.curves(planar, target_of("disk"), reference_of("disk"))


def test_a_run_has_the_metrics_that_its_model_gives_material_for():
    kinds = {name: metric.needs for name, metric in metrics.METRICS.items()}
    of_samples = {name for name, needs in kinds.items() if needs is metrics.Samples}
    of_signals = {name for name in of_samples if not metrics.METRICS[name].applies(TARGETS["mixture"])} - {
        "out_of_range"
    }
    assert {"frechet", "factor_w1_over_floor", "memorised"} <= of_signals
    assert perfect("mixture")[1].keys() == of_samples - {"out_of_range"} - of_signals
    log_p = jnp.array([0.5, 1.0, 1.5])
    assert metrics.evaluate_density(log_p, log_p - 0.25, target_of("normal")) == {"kl": 0.25}
    gap = metrics.evaluate_gap(jnp.asarray(0.5), target_of("normal"), 10_000)
    assert gap == {"samples_to_tell": metrics.samples_to_tell(0.5, 1, 10_000)}
    assert kinds.keys() - of_samples == {
        "kl", "kl_per_dim", "samples_to_tell", "class_w1_over_floor", "class_accuracy"
    }  # fmt: skip


def test_curves_are_the_metrics_of_the_same_name():
    samples = jnp.asarray(wrong("ring")[0][0], dtype=float)
    cheap = metrics.curves(samples, target_of("ring"), reference_of("ring"))
    assert list(cheap) == ["w1", "w1_over_std", "std_ratio"]
    for name, value in cheap.items():
        assert value == pytest.approx(wrong("ring")[1][name][0], rel=1e-5), name


def test_titles_are_one_line_each_and_differ():
    titles = [metric.title for metric in metrics.METRICS.values()]
    assert len(set(titles)) == len(titles)
    assert all(title and title.isprintable() for title in titles)


# --- shapes ---------------------------------------------------------------------------------------------------------

LINE, PLANE = jnp.zeros((8, 1)), jnp.zeros((8, 2))
RING = jax.tree.map(jnp.asarray, TARGETS["ring"].modes)
WRONG_SHAPES = {
    "w1 of 2-D samples to 1-D points": (lambda: metrics.w1(PLANE, jnp.zeros((1, 8 * 32))), "points"),
    "energy of 2-D samples to 1-D points": (lambda: metrics.energy(PLANE, jnp.zeros((1, 64))), "points"),
    "ks of 2-D samples": (lambda: metrics.ks(PLANE, target_of("normal")), r"ks: samples \[n, dim\]"),
    "js of 2-D samples": (lambda: metrics.js(PLANE, target_of("normal")), r"js: samples \[n, 1\]"),
    "kl of a row and a column": (lambda: metrics.kl(jnp.zeros(8), LINE), "log_p and log_q"),
    "kl of columns": (lambda: metrics.kl(LINE, LINE), r"log_p \[n\]"),
    "mass of 1-D samples in 2-D modes": (lambda: metrics.mode_mass(LINE, RING), "of the modes' dim"),
    "1-D samples that hit 2-D modes": (lambda: metrics.hit(LINE, RING), "of the modes' dim"),
    "one mass for all modes": (lambda: metrics.covered(jnp.ones(1), RING), r"covered: mass and weights \[k\]"),
    "tv of one mass": (lambda: metrics.mode_tv(jnp.ones(1), RING), "mode_tv: mass"),
    "reverse kl of one mass": (lambda: metrics.reverse_kl(jnp.ones(1), RING), "reverse_kl: mass"),
}


@pytest.mark.parametrize("mistake", WRONG_SHAPES)
def test_shapes_that_would_broadcast_are_refused_in_one_line(mistake):
    compute, message = WRONG_SHAPES[mistake]
    for call in (compute, jax.jit(compute)):
        with pytest.raises(AssertionError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_checks_of_shapes_leave_no_trace_in_a_program():
    def program():
        return str(
            jax.make_jaxpr(metrics.evaluate)(PLANE, target_of("ring"), metrics.Reference(jnp.zeros((32, 32)), 1.0))
        )

    checked = program()
    chex.disable_asserts()
    try:
        assert program() == checked
    finally:
        chex.enable_asserts()
