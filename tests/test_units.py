"""Data at any place and scale, with heavy tails, bounds, steps and atoms: training units, and the way back."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jgen1d
from jgen1d import targets
from jgen1d.methods import gan, gaussian
from jgen1d.targets import Chart, Units
from jgen1d.targets.units import KNEE

PLACES = (0.0, 1e3, -1e3, 1e8, -1e8, 1e12)
SCALES = (1e-30, 1e-6, 1.0, 1e6, 1e30)
RNG = np.random.default_rng(3)
COLUMN = RNG.normal(size=400)
LATTICE = np.round(RNG.normal(0, 3, 400))

# For each family, the distribution of a + b·X for its X at (0, 1).
FAMILIES = {
    "normal": lambda a, b: targets.normal(a, b),
    "mixture": lambda a, b: targets.mixture([1, 2], [a - 2 * b, a + 3 * b], [b, b / 2]),
    "uniform": lambda a, b: targets.uniform(a - b, a + 2 * b),
    "piecewise": lambda a, b: targets.piecewise_linear([a - b, a, a + 3 * b], [0, 1, 0]),
    "empirical": lambda a, b: targets.empirical(a + b * COLUMN),
    "dequantized": lambda a, b: targets.empirical(a + b * LATTICE, step=b),
    "ring": lambda a, b: targets.mixture([1, 1, 1], a + b * np.array([[0, 1], [1, 0], [-1, -2]]), b / 10),
}
CHARTS = {
    "line": Units(np.array([3.0]), 2.0),
    "bent": Units(0.3, 1.7, Chart("bent", 2.0, 0.5)),
    "positive": Units(0.3, 1.7, Chart("positive", -1.0)),
    "interval": Units(0.3, 1.7, Chart("interval", -1.0, 3.0)),
}


def held(a, b):
    """How finely float64 holds a + b·x, in units of b."""
    return np.spacing(abs(a)) / b


@pytest.mark.parametrize("name", FAMILIES)
def test_a_standardized_target_does_not_depend_on_place_and_scale(name):
    wanted = FAMILIES[name](0.0, 1.0).standardized()
    count = 0
    for a, b in itertools.product(PLACES, SCALES):
        if held(a, b) > 1e-3:
            continue
        found = FAMILIES[name](a, b).standardized()
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        for leaf, expected in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            # Differences of neighbouring values are those that float64 has left of a + b·x.
            np.testing.assert_allclose(leaf, expected, rtol=1e-9, atol=1e-12 + 20 * held(a, b))
        count += 1
    assert count == 22


@pytest.mark.parametrize("name", FAMILIES)
def test_a_standardized_target_has_mean_0_and_std_1(name):
    target = FAMILIES[name](5.0, 3.0).standardized()
    x = np.asarray(target.sample(jax.random.key(0), 40_000), np.float64)
    np.testing.assert_allclose(target.mean, 0, atol=1e-12)
    np.testing.assert_allclose(target.std.mean(), 1, rtol=1e-12)
    np.testing.assert_allclose(x.mean(0), 0, atol=5 / 200)
    np.testing.assert_allclose(x.std(0), target.std, rtol=0.03)


def test_moving_a_target_moves_its_functions():
    for name, target in jgen1d.TARGETS.items():
        moved = target.moved(target.mean + 0.5, np.float64(3.0))
        x = np.asarray(target.sample(jax.random.key(1), 50), np.float64)
        z = (x - target.mean - 0.5) / 3
        if target.has_density:
            np.testing.assert_allclose(
                moved.log_prob(z), target.log_prob(x) + target.dim * math.log(3), rtol=1e-4, atol=1e-3, err_msg=name
            )
        if target.dim == 1:
            np.testing.assert_allclose(moved.cdf(z), target.cdf(x), rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(
            np.asarray(moved.sample(jax.random.key(2), 9)) * 3 + target.mean + 0.5,
            target.sample(jax.random.key(2), 9), rtol=1e-4, atol=1e-3, err_msg=name,
        )  # fmt: skip


def test_a_column_at_any_place_and_scale_gives_the_same_run():
    """An integer column, whose standardised values are the same floats where b is a power of 2."""

    def fit(a, b):
        target = targets.empirical(a + b * LATTICE)
        return jgen1d.fit(jax.random.key(0), gaussian.METHOD, target, gaussian.Config(), 4, num_samples=1_000)

    wanted = fit(0.0, 1.0)
    for a, b in [(1e8, 1.0), (-1e12, 1.0), (0.0, 2.0**-100), (1e3, 2.0**100), (0.0, 2.0**-900), (0.0, 2.0**900)]:
        found = fit(a, b)
        assert found.verdict == wanted.verdict
        for name in ("ks", "ks_p", "tv", "js", "w1_over_std", "w1_over_floor", "std_ratio", "out_of_range"):
            np.testing.assert_allclose(found.metrics[name], wanted.metrics[name], rtol=1e-5, atol=1e-7, err_msg=name)
        back = (np.asarray(found.sample(jax.random.key(1), 100), np.float64) - a) / b
        np.testing.assert_allclose(back, wanted.sample(jax.random.key(1), 100), rtol=1e-5, atol=1e-5 + 2 * held(a, b))


def test_data_units_are_float64_where_float32_does_not_hold_them():
    samples = {}
    for mean in (4.0, 1e8):
        result = jgen1d.fit(
            jax.random.key(0), gaussian.METHOD, targets.normal(mean, 1.0), gaussian.Config(), 4, num_samples=1_000
        )
        samples[mean] = result.sample(jax.random.key(1), 1_000)
    assert isinstance(samples[4.0], jax.Array)
    assert samples[1e8].dtype == np.float64
    assert len(np.unique(samples[1e8])) > 990
    np.testing.assert_allclose(samples[1e8] - 1e8, samples[4.0] - 4, atol=1e-5)


def test_a_method_on_raw_data_refuses_what_float32_does_not_hold():
    config = gan.preset("textbook")
    problem = r"trains on data units, and float32 does not hold .* set standardize=True"
    for target in (targets.normal(1e8, 1.0), targets.normal(0.0, 1e-30), targets.normal(0.0, 1e30)):
        with pytest.raises(ValueError, match=problem):
            jgen1d.fit(jax.random.key(0), gan.METHOD, target, config, num_steps=4)
    bounded = targets.empirical(np.exp(COLUMN), support=(0, math.inf))
    with pytest.raises(ValueError, match="has a support, which needs training units: set standardize=True"):
        jgen1d.fit(jax.random.key(0), gan.METHOD, bounded, config, num_steps=4)


@pytest.mark.parametrize("name", CHARTS)
def test_units_go_there_and_back_and_know_their_slope(name):
    units = CHARTS[name]
    low, high = {"positive": (-1.0, 40.0), "interval": (-1.0, 3.0)}.get(name, (-40.0, 40.0))
    x = np.linspace(low, high, 203)[1:-1, None]
    z = units.to_training(x)
    assert (np.diff(z[:, 0]) > 0).all()
    np.testing.assert_allclose(units.to_data(z), x, rtol=1e-12, atol=1e-12)
    step = 1e-6
    slopes = (units.to_training(x + step) - units.to_training(x - step)) / (2 * step)
    np.testing.assert_allclose(units.log_slope(x), np.log(slopes[:, 0]), atol=1e-5)
    # Under a trace it is JAX that computes them.
    np.testing.assert_allclose(jax.jit(units.to_training)(x), z, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(jax.jit(units.to_data)(z), x, rtol=1e-3, atol=1e-3)
    derivative = jax.vmap(jax.grad(lambda x: units.to_training(x[None, None])[0, 0]))(jnp.asarray(x[:, 0], float))
    np.testing.assert_allclose(jax.jit(units.log_slope)(x), np.log(derivative), rtol=1e-3, atol=1e-3)


def test_samples_never_leave_the_support():
    z = np.array([[-1e6], [-50.0], [0.0], [50.0], [1e6]])
    assert (CHARTS["positive"].to_data(z) >= -1).all()
    between = CHARTS["interval"].to_data(z)
    assert (between >= -1).all()
    assert (between <= 3).all()
    assert np.isfinite(CHARTS["bent"].to_data(z)).all()


# --- heavy tails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (stats.norm.ppf((np.arange(2_000) + 0.5) / 2_000), "line"),
        (stats.expon.ppf((np.arange(2_000) + 0.5) / 2_000), "line"),
        (np.r_[np.full(900, 0.0) + RNG.normal(size=900), 20 + RNG.normal(size=100)], "line"),
        (np.r_[RNG.normal(size=1_990), 1e4 + RNG.normal(size=10)], "bent"),
        (np.r_[RNG.normal(size=1_990), -1e30 * np.ones(10)], "bent"),
        (stats.t(1.5).ppf((np.arange(2_000) + 0.5) / 2_000), "bent"),
        (stats.cauchy.ppf((np.arange(2_000) + 0.5) / 2_000), "bent"),
        (stats.lognorm(2).ppf((np.arange(2_000) + 0.5) / 2_000), "bent"),
    ],
    ids=["normal", "exponential", "a far mode", "outliers", "outliers at -1e30", "t of 1.5", "cauchy", "log-normal"],
)
def test_few_values_do_not_own_the_scale(column, kind):
    target = targets.empirical(column)
    assert target.units.chart.kind == kind
    z = target.standardized().params
    assert np.abs(z).max() < 60
    assert 0.2 < np.subtract(*np.quantile(z, [0.75, 0.25])) < 4  # the bulk keeps a width
    inside = np.abs(column - np.median(column)) < KNEE * target.units.chart.b if kind == "bent" else column > -np.inf
    ranks = stats.spearmanr(column[inside], np.ravel(target.units.to_training(column[inside, None]))).statistic
    np.testing.assert_allclose(ranks, 1)


def test_a_gaussian_learns_the_bulk_beside_outliers_and_its_density_is_normalised():
    column = np.r_[RNG.normal(size=1_990), 1e4 + RNG.normal(size=10)]
    result = jgen1d.fit(
        jax.random.key(0), gaussian.METHOD, targets.empirical(column), gaussian.Config(), 200, num_samples=1_000
    )
    samples = result.sample(jax.random.key(1), 2_000)
    assert np.std(samples) < 5
    edges = np.sort(np.r_[np.linspace(-60, 60, 4_001), -np.geomspace(61, 1e9, 3_000), np.geomspace(61, 1e9, 3_000)])
    middles = (edges[1:] + edges[:-1]) / 2
    density = np.exp(np.asarray(result.log_prob(middles[:, None]), np.float64))
    np.testing.assert_allclose((density * np.diff(edges)).sum(), 1, atol=2e-3)


# --- bounds, steps and atoms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("support", [(0.0, math.inf), (0.0, 1.0)])
def test_a_support_is_kept_and_its_density_is_normalised(support):
    column = np.exp(-1 + 1.2 * COLUMN) if math.isinf(support[1]) else stats.norm.cdf(2 * COLUMN)
    result = jgen1d.fit(
        jax.random.key(0), gaussian.METHOD, targets.empirical(column, support=support), gaussian.Config(), 200,
        num_samples=1_000,
    )  # fmt: skip
    samples = result.sample(jax.random.key(1), 5_000)
    assert samples.min() >= support[0]
    assert samples.max() <= support[1]
    edges = np.r_[0, np.geomspace(1e-6, 0.5, 4_000)]
    edges = np.r_[edges, np.geomspace(0.501, 1e3, 4_000)] if math.isinf(support[1]) else np.r_[edges, 1 - edges[-2::-1]]
    middles = (edges[1:] + edges[:-1]) / 2
    density = np.exp(np.asarray(result.log_prob(middles[:, None]), np.float64))
    np.testing.assert_allclose((density * np.diff(edges)).sum(), 1, atol=1e-2)
    outside = result.log_prob(np.array([[-0.1], [support[0]]]))
    np.testing.assert_array_equal(outside, [-np.inf, -np.inf])
    np.testing.assert_allclose(np.log(samples).mean(), np.log(column).mean(), atol=0.3)


def test_a_column_with_a_step_becomes_a_density_and_samples_have_the_step():
    column = np.repeat([1.0, 2.0, 3.0, 5.0], [10, 20, 30, 40])
    target = targets.empirical(column, step=1.0, support=(1.0, 5.0))
    u = (np.arange(100_000) + 0.5) / 100_000
    x = np.asarray(target.quantile(u), np.float64)
    np.testing.assert_allclose([target.mean[0], target.std[0]], [x.mean(), x.std()], rtol=1e-4)
    np.testing.assert_allclose(np.bincount(np.round(x).astype(int))[1:], [10_000, 20_000, 30_000, 0, 40_000], atol=2)
    np.testing.assert_allclose(target.cdf(target.quantile(u)), u, atol=1e-5)
    where = np.array([[0.4], [0.6], [2.0], [4.0], [5.2], [5.6]])
    np.testing.assert_allclose(np.exp(target.log_prob(where)), [0, 0.1, 0.2, 0, 0.4, 0], atol=1e-6)
    result = jgen1d.fit(jax.random.key(0), gaussian.METHOD, target, gaussian.Config(), 200, num_samples=1_000)
    assert set(np.unique(result.sample(jax.random.key(1), 2_000))) == {1, 2, 3, 4, 5}
    # The mean of the density's logarithm over the noise, and log(step), bound a value's log probability from below.
    noise = np.linspace(-0.5, 0.5, 201)
    log_q = np.asarray(result.log_prob((3 + noise)[:, None]), np.float64)
    assert log_q.mean() <= np.log(np.exp(log_q).mean())


def test_an_atom_is_a_probability_of_its_own():
    column = np.r_[np.zeros(600), np.exp(COLUMN)]
    target = targets.empirical(column, atom=0.0, support=(0.0, math.inf))
    assert target.discrete.share == 0.6
    result = jgen1d.fit(jax.random.key(0), gaussian.METHOD, target, gaussian.Config(), 200, num_samples=1_000)
    samples = np.asarray(result.sample(jax.random.key(1), 10_000))
    zeros = (samples == 0).mean()
    assert abs(zeros - 0.6) < 4 * math.sqrt(0.24 / 10_000)
    np.testing.assert_allclose(np.log(samples[samples > 0]).mean(), COLUMN.mean(), atol=0.1)


@pytest.mark.parametrize(
    ("values", "options", "problem"),
    [
        ([1.0, 2.0], {"atom": 3.0}, "atom=3: no value is"),
        ([1.0, 2.0, 2.0], {"atom": 1.0}, "two different values are needed, not 2 equal"),
        ([0.0, 1.0, 2.0], {"support": (0.0, math.inf)}, "support from 0 to inf: the value 0 is not inside"),
        ([0.5, 1.0], {"support": (0.0, 1.0)}, "the value 1 is not inside"),
        ([0.5, 1.0], {"support": (-math.inf, 1.0)}, "low finite and below high"),
        ([1e6, 1e6 + 1], {"support": (0.0, math.inf)}, "too far from the values to matter"),
        ([1.0, 2.5], {"step": 1.0}, "values must be whole steps apart"),
        ([1.0, 2.0], {"step": 0.0}, "step=0: must be above 0"),
        ([1e16, 1e16 + 4], {"step": 2.0}, "float64 cannot tell such steps apart"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_column_is_refused(values, options, problem):
    with pytest.raises(ValueError, match=problem):
        targets.empirical(values, **options)
