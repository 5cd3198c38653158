"""What tells samples from a target: misplaced probability, the Kolmogorov–Smirnov test, and the samples it takes."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from jgen1d.engine import evaluate
from jgen1d.engine.run import start
from jgen1d.engine.task import prepare
from jgen1d.evaluation import metrics, verdict
from jgen1d.maths.quadrature import binomial_mean, centred_lattice
from jgen1d.methods import autoregressive, diffusion, energy, flow_matching, gaussian, normalizing_flow
from jgen1d.targets import TARGETS, empirical

NUM_DRAWS = 2_000
SIZES = {1: 1_000, 2: 250}
"""Samples of each draw, by dimension."""


def standard_errors(share, count):
    return math.sqrt(share * (1 - share) / count)


# --- the test ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_samples", [20, 1_000, 10_000])
def test_p_value_against_scipy(num_samples):
    distances = np.linspace(0.2, 2.5, 24) / math.sqrt(num_samples)
    expected = stats.kstwo.sf(distances, num_samples)
    p = [metrics.ks_p(distance, num_samples, 1) for distance in distances]
    np.testing.assert_allclose(p, expected, atol=0.02 if num_samples == 20 else 5e-3)  # of Stephens's correction
    assert math.isnan(metrics.ks_p(math.nan, num_samples, 1))


def p_values(target, num_draws=NUM_DRAWS):
    n = SIZES[target.dim]

    def one(key):
        return metrics.ks_p(metrics.ks(target.sample(key, n), target), n, target.dim)

    return np.asarray(
        jax.jit(functools.partial(jax.lax.map, one, batch_size=20))(jax.random.split(jax.random.key(7), num_draws))
    )


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("name", [name for name in TARGETS if TARGETS[name].dim <= 2])
def test_a_perfect_sampler_passes_in_99_percent_of_draws(name):
    """At least: in 2-D the Bonferroni correction counts 32 directions, which are correlated, as 32 tests."""
    target = TARGETS[name]
    rejected = np.mean(p_values(target) < verdict.Thresholds().ks_p)
    error = 4 * standard_errors(0.01, NUM_DRAWS)
    assert rejected < 0.01 + error
    assert rejected > 0.01 - error or target.dim == 2


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(("shift", "scale"), [(0.05, 1.0), (0.0, 1.15)])
def test_small_errors_of_a_normal_are_rejected(shift, scale):
    """N(4, 0.5²) shifted by 0.1σ or 15 % too wide, in draws of 10,000."""
    target, n = TARGETS["normal"], 10_000

    def one(key):
        samples = 4 + shift + 0.5 * scale * jax.random.normal(key, (n, 1))
        return metrics.ks_p(metrics.ks(samples, target), n, 1)

    p = jax.jit(functools.partial(jax.lax.map, one))(jax.random.split(jax.random.key(0), 400))
    assert np.mean(np.asarray(p) < 0.01) > 0.95


@pytest.mark.parametrize("name", ["ring", "disk"])
def test_projections_have_the_distribution_function_of_a_large_sample(name):
    target, n = TARGETS[name], 200_000
    along = np.array([[1.0, 0.0], [0.6, 0.8]])
    projected = np.sort(along @ np.asarray(target.sample(jax.random.key(3), n)).T, axis=1)
    x = projected[:, :: n // 50]
    error = target.cdf_along(x, along) - np.arange(0, n, n // 50)[None] / n
    np.testing.assert_allclose(error, 0, atol=2 / math.sqrt(n))


def test_projections_of_the_disk_against_scipy():
    def cdf(x):
        return integrate.quad(lambda s: np.sqrt(100 - s * s) / (50 * np.pi) * stats.norm.cdf(x - s), -10, 10)[0]

    x = np.linspace(-13, 13, 14)
    found = TARGETS["disk"].cdf_along(x[None], np.array([[0.6, 0.8]]))[0]
    np.testing.assert_allclose(found, [cdf(one) for one in x], atol=1e-4)


def test_projections_in_1d_are_the_target_and_unknown_ones_are_refused():
    target = TARGETS["mixture"]
    x = np.linspace(0, 8, 7)[None]
    np.testing.assert_array_equal(target.cdf_along(x, np.ones((1, 1))), target.cdf(x))
    unknown = TARGETS["ring"].replace(family=TARGETS["ring"].family._replace(cdf_along=None))
    assert not unknown.has_cdf
    with pytest.raises(ValueError, match="has no cdf of projections"):
        unknown.cdf_along(x, np.ones((1, 2)))
    found = metrics.evaluate(unknown.sample(jax.random.key(0), 400), unknown, metrics.reference(unknown, 400))
    assert "ks_p" not in found
    assert 0 < found["tv"] < 0.3


# --- bins -------------------------------------------------------------------------------------------------------------


def tv_by_numpy(samples, ppf):
    num_bins = min(max(len(samples) // 100, 2), 100)
    counts = np.histogram(samples, [-np.inf, *ppf(np.arange(1, num_bins) / num_bins), np.inf])[0]
    return 0.5 * np.abs(counts / len(samples) - 1 / num_bins).sum()


@pytest.mark.parametrize("num_samples", [150, 1_000, 20_000])
def test_tv_against_numpy(num_samples):
    target = TARGETS["normal"]
    samples = stats.norm(4.1, 0.6).rvs(num_samples, random_state=0)
    reference = metrics.reference(target, num_samples)
    found = metrics.tv(jnp.asarray(samples[:, None]), target, reference)
    np.testing.assert_allclose(found, tv_by_numpy(samples, stats.norm(4, 0.5).ppf), atol=4 / num_samples)


def test_tv_of_far_outliers_sees_the_bulk():
    """1,990 rows of N(0, 1) and ten at 10,000: W1 and an even grid hide what happens to the bulk."""
    rows = np.concatenate([np.random.default_rng(0).normal(size=1_990), np.full(10, 1e4)])
    target = empirical(rows)
    wide = np.concatenate([3 * np.random.default_rng(1).normal(size=1_990), np.full(10, 1e4)])
    reference = metrics.reference(target, 2_000)
    found = metrics.evaluate(jnp.asarray(wide, jnp.float32)[:, None], target, reference)
    assert found["w1_over_std"] < 0.05
    assert found["tv"] > 0.3
    assert metrics.evaluate(jnp.asarray(rows, jnp.float32)[:, None], target, reference)["tv"] < 1e-3


def test_tv_of_a_column_with_an_atom():
    """Six in ten rows are 0; a model without the atom has 0.6 of its probability in the wrong place, less one bin."""
    rows = np.concatenate([np.zeros(600), np.random.default_rng(0).exponential(size=400)])
    target = empirical(rows)
    reference = metrics.reference(target, 1_000)
    smooth = jnp.asarray(np.random.default_rng(1).exponential(size=(1_000, 1)), jnp.float32)
    assert metrics.tv(smooth, target, reference) == pytest.approx(0.6, abs=0.03)
    assert metrics.tv(jnp.asarray(rows[:, None], jnp.float32), target, reference) == 0


@pytest.mark.parametrize("probability", [1e-5, 1e-3, 0.01, 0.3, 0.999])
@pytest.mark.parametrize("num_draws", [100, 10_000])
def test_binomial_means_against_scipy(num_draws, probability):
    found = binomial_mean(lambda share: jnp.abs(share - probability), num_draws, jnp.array([probability]))[0]
    expected = stats.binom(num_draws, probability).expect(lambda x: np.abs(x / num_draws - probability))
    np.testing.assert_allclose(found, expected, rtol=2e-3)


@pytest.mark.parametrize("name", ["mixture", "exponential", "ring"])
def test_floors_are_what_a_perfect_sampler_scores(name):
    target, n, num_sets = TARGETS[name], 2_000, 200
    reference = metrics.reference(target, n)

    def one(key):
        samples = target.sample(key, n)
        return metrics.tv(samples, target, reference), metrics.js(samples, target) if target.dim == 1 else 0.0

    tv, js = jax.jit(functools.partial(jax.lax.map, one))(jax.random.split(jax.random.key(1), num_sets))
    for values, floor in [(tv, metrics.tv_floor(n)), (js, metrics.js_floor(target, n) if target.dim == 1 else 0.0)]:
        assert abs(np.mean(values) - floor) <= 4 * np.std(values) / math.sqrt(num_sets)


# --- how many samples it takes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.1, 0.3])
def test_samples_to_tell_a_shifted_normal_by_simulation(shift):
    """At that size the test rejects about half of the draws."""
    gap = 2 * stats.norm.cdf(shift / 2) - 1
    n = int(metrics.samples_to_tell(gap, 1))
    draws = stats.norm(shift, 1).rvs((600, n), random_state=0)
    ordered = stats.norm.cdf(np.sort(draws, axis=1))
    distance = np.maximum(np.arange(1, n + 1) / n - ordered, ordered - np.arange(n) / n).max(axis=1)
    rejected = np.mean(stats.kstwo.sf(distance, n) < 0.01)
    assert 0.4 < rejected < 0.6


def test_samples_to_tell_ends_at_the_samples_that_measured_the_gap():
    critical = special.kolmogi(0.01)
    for n in (1e4, 1e6):
        assert metrics.samples_to_tell(0.99 * critical / math.sqrt(n), 1, n) == n
        assert metrics.samples_to_tell(1.01 * critical / math.sqrt(n), 1, n) < n
    assert metrics.samples_to_tell(0.0, 1) == math.inf
    assert metrics.samples_to_tell(1.0, 1) < 2
    assert math.isnan(metrics.samples_to_tell(math.nan, 1))
    assert metrics.samples_to_tell(0.05, 2) > metrics.samples_to_tell(0.05, 1)  # a stricter test needs more


@pytest.mark.parametrize("name", ["mixture", "ring"])
def test_the_gap_of_steps_is_that_of_all_samples(name):
    target, n = TARGETS[name], 4_000
    edges = metrics.edges(target)
    samples = 1.05 * target.sample(jax.random.key(0), n)
    gap = metrics.largest_gap(metrics.steps(samples, edges), target, edges)
    exact = float(metrics.ks(samples, target))
    assert float(gap) == pytest.approx(exact, abs=0.01 if target.dim == 2 else 1e-3)
    assert gap <= exact + 1e-6


def test_steps_against_numpy():
    """With samples at edges, edges that coincide, and no numbers: these lie above all edges."""
    edges = np.array([[-1.0, 0, 0, 0, 0.5, 2]], np.float32)
    samples = np.array([-2, -1, 0, 0, 0.1, 0.5, 3, np.nan, np.inf, -np.inf], np.float32)
    steps = metrics.steps(jnp.asarray(samples[:, None]), jnp.asarray(edges))
    np.testing.assert_allclose(steps.below[0], [np.mean(samples < edge) for edge in edges[0]])
    np.testing.assert_allclose(steps.at_most[0], [np.mean(samples <= edge) for edge in edges[0]])


def test_the_gap_of_an_atom_is_seen_from_both_sides():
    target = empirical(np.concatenate([np.zeros(600), np.linspace(1, 2, 400)]))
    edges = metrics.edges(target)
    assert metrics.largest_gap(metrics.steps(jnp.full((100, 1), -1.0), edges), target, edges) == 1.0


# --- models -----------------------------------------------------------------------------------------------------------


def model_of(method, target, config, num_samples, state=None):
    """An untrained model, or one with this state, as the engine measures it."""
    task = prepare((method, target, config), 100, 10, num_samples).in_training_units
    run = start(task, jax.random.key(0))
    return task, run if state is None else run._replace(state=state)


@pytest.mark.parametrize("shift", [0.03, 0.1])
def test_samples_to_tell_of_a_shifted_normal_model_by_formula(shift):
    """The smaller shift takes 10,000 samples to tell."""
    state = gaussian.State(jnp.array(1), jnp.array([shift]), jnp.ones((1, 1)))
    task, run = model_of(gaussian.METHOD, TARGETS["normal"], gaussian.Config(), 10_000, state)
    found = evaluate.measure_gap(task, run, 10_000, evaluate.directly)["samples_to_tell"]
    gap = 2 * stats.norm.cdf(shift / 2) - 1
    noise = 0.5 / math.sqrt(1e6) / gap  # of the gap, where half of the samples lie on either side
    assert float(found) == pytest.approx(((special.kolmogi(0.01) - 0.42) / gap) ** 2, rel=2 * 3 * noise)


def test_samples_to_tell_ends_at_a_hundred_times_the_samples():
    state = gaussian.State(jnp.array(1), jnp.zeros(1), jnp.ones((1, 1)))
    task, run = model_of(gaussian.METHOD, TARGETS["normal"], gaussian.Config(), 500, state)
    assert evaluate.measure_gap(task, run, 500, evaluate.directly)["samples_to_tell"] == 50_000


def noisy_model_of(method, target, config, num_samples):
    """A model of which all parameters are drawn at random, far from what they are at the start."""
    task, run = model_of(method, target, config, num_samples)
    leaves, structure = jax.tree.flatten(run.state)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    moved = [
        leaf + 0.5 * jax.random.normal(key, leaf.shape) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return task, run._replace(state=jax.tree.unflatten(structure, moved))


@pytest.mark.parametrize(
    ("method", "config", "name"),
    [
        (flow_matching.METHOD, flow_matching.Config(widths=(8,)), "mixture"),
        (flow_matching.METHOD, flow_matching.Config(widths=(8,), num_classes=3, guidance=1.0), "mixture"),
        (diffusion.METHOD, diffusion.Config(widths=(8,)), "ring"),
        (diffusion.METHOD, diffusion.Config(widths=(8,), num_classes=8, guidance=1.0), "ring"),
        (normalizing_flow.METHOD, normalizing_flow.Config(num_bins=4), "mixture"),
        (normalizing_flow.METHOD, normalizing_flow.Config(num_bins_coupling=4, widths=(8,), base="logistic"), "ring"),
        (autoregressive.METHOD, autoregressive.Config(num_bits=4, widths=(8,)), "mixture"),
        (autoregressive.METHOD, autoregressive.Config(num_bits=4, widths=(8,)), "ring"),
        (energy.METHOD, energy.Config(widths=(8,)), "mixture"),
    ],
)
def test_a_lattice_gives_the_distribution_of_draws(method, config, name):
    task, run = noisy_model_of(method, TARGETS[name], config, 4_000)
    assert method.from_uniform(task.config) is not None
    edges = metrics.edges(task.target)
    by_lattice = evaluate.sample_steps(task, run, edges, num_samples=4_000)
    drawn = metrics.steps(evaluate.draw_samples(task, jax.random.key(3), run.state, num_samples=40_000), edges)
    for side, other in zip(by_lattice, drawn, strict=True):
        worst = jnp.max(jnp.abs(side - other))
        assert worst < stats.kstwobign.isf(1e-4) / math.sqrt(40_000)
        assert worst > 1e-4


@pytest.mark.parametrize(
    ("method", "config"),
    [
        (diffusion.METHOD, diffusion.Config(sampler="ancestral")),
        (autoregressive.METHOD, autoregressive.Config(conditionals="mixture")),
        (energy.METHOD, energy.Config(dim=2)),
        (energy.METHOD, energy.Config(sampler="langevin")),
        (gaussian.METHOD, gaussian.Config()),
    ],
)
def test_other_samplers_are_measured_by_draws(method, config):
    assert method.from_uniform(config) is None


# --- lattices ---------------------------------------------------------------------------------------------------------


def test_a_lattice_on_a_line_is_of_midpoints():
    np.testing.assert_allclose(centred_lattice(4, 1).T, [[0.125], [0.375], [0.625], [0.875]])


@pytest.mark.parametrize("dim", [2, 3])
def test_a_lattice_fills_the_cube_as_evenly_as_a_sobol_sequence(dim):
    """Nearly, by SciPy's centred discrepancy, a squared error; that of random points is over ten times as large."""
    points = centred_lattice(4_096, dim).T
    sobol = stats.qmc.discrepancy(stats.qmc.Sobol(dim, seed=0).random(4_096))
    assert stats.qmc.discrepancy(points) < 5 * sobol
    drawn = stats.qmc.discrepancy(np.random.default_rng(0).uniform(size=(4_096, dim)))
    assert stats.qmc.discrepancy(points) < 0.1 * drawn


def test_a_tenth_as_many_points_of_a_lattice_beat_draws():
    """On what `LATTICE_PARTS` relies on: the normal distribution along 16 directions, folded seven times around 0."""
    n, angles = 100_000, np.arange(16) * math.pi / 16

    def gap(u):
        x, y = special.ndtri(u).T
        radius, angle = np.hypot(x, y), 7 * np.arctan2(y, x)
        along = [radius * np.cos(angle - at) for at in angles]
        return max(stats.ks_1samp(values, stats.norm.cdf, method="asymp").statistic for values in along)

    assert gap(centred_lattice(n, 2).T) < gap(np.random.default_rng(0).uniform(size=(10 * n, 2)))
