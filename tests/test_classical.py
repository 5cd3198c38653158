"""The classical estimators against NumPy, SciPy and scikit-learn, and against what is known of each."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from sklearn.mixture import GaussianMixture

from jgen1d.maths import densities
from jgen1d.methods import box, gaussian, gmm, gradient_mle, histogram, kde

RNG = np.random.default_rng(0)
MIXING = np.array([[1.5, 0.0], [-0.7, 0.4]])
PLANE = RNG.standard_normal((4, 64, 2)) @ MIXING.T + [3.0, -1.0]
"""Four minibatches of correlated data, float64."""


@functools.partial(jax.jit, static_argnums=0)
def train(method, key, batches, config):
    """The state after a step on each of f32[steps, n, dim], and the infos."""
    key_init, key_step = jax.random.split(key)
    words = jax.random.key_data(jax.random.split(key_step, len(batches)))

    def step(state, inputs):
        return method.step(jax.random.wrap_key_data(inputs[0]), state, inputs[1], config)

    return jax.lax.scan(step, method.init(key_init, config), (words, batches))


def trained(module, data, **options):
    data = np.asarray(data, np.float32)
    config = module.METHOD.Config(**{"dim": data.shape[2], **options})
    return *train(module.METHOD, jax.random.key(0), jnp.asarray(data), config), config


def draws(module, state, config, num_samples=20_000):
    sample = jax.jit(module.METHOD.sample, static_argnums=2)
    return np.float64(sample(jax.random.key(1), state, num_samples, config))


def log_prob(module, state, x, config):
    return np.float64(jax.jit(module.METHOD.log_prob)(state, jnp.asarray(x, jnp.float32), config))


def assert_same_law(samples, cdf):
    """By Kolmogorov–Smirnov; a right sampler fails one seed in 1,000."""
    assert scipy.stats.kstest(samples, cdf).pvalue > 1e-3


# --- normals -------------------------------------------------------------------------------------------------------


def test_normal_densities_are_scipys():
    roots = RNG.standard_normal((3, 3, 3))
    covariances, means, x = roots @ roots.swapaxes(1, 2) + np.eye(3), RNG.standard_normal((3, 3)), PLANE[0]
    x = np.concatenate([x, x[:, :1] ** 2], axis=1)
    got = densities.normal_log_prob(*(jnp.asarray(a, jnp.float32) for a in (x, means, covariances)))
    want = [scipy.stats.multivariate_normal(mean, cov).logpdf(x) for mean, cov in zip(means, covariances, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-4)
    factor = densities.cholesky(jnp.asarray(covariances, jnp.float32))
    np.testing.assert_allclose(factor, np.linalg.cholesky(covariances), rtol=1e-4, atol=1e-5)
    assert np.isfinite(densities.cholesky(jnp.array([[1.0, 1.001], [1.001, 1.0]]))).all()  # not quite a covariance


def test_indices_are_drawn_in_proportion_to_their_weights():
    weights = np.array([0.0, 3.0, 1.0, 0.0, 4.0, 0.0])
    index = densities.sample_index(jax.random.key(0), jnp.asarray(weights, jnp.float32), 20_000)
    counts = np.bincount(index, minlength=6)
    assert counts[weights == 0].sum() == 0
    assert scipy.stats.chisquare(counts[weights > 0], 20_000 * weights[weights > 0] / 8).pvalue > 1e-3


def test_gaussian_is_the_likeliest_of_all_data_so_far():
    state, info, config = trained(gaussian, PLANE)
    seen = PLANE.reshape(-1, 2)
    mean, covariance = seen.mean(0), np.cov(seen.T, bias=True)
    np.testing.assert_allclose(state.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(state.covariance, covariance, rtol=1e-4)
    law = scipy.stats.multivariate_normal(mean, covariance)
    np.testing.assert_allclose(log_prob(gaussian, state, seen, config), law.logpdf(seen), rtol=1e-4)
    before = PLANE[:3].reshape(-1, 2)
    fitted = scipy.stats.multivariate_normal(before.mean(0), np.cov(before.T, bias=True))
    np.testing.assert_allclose(info["loss"][3], -fitted.logpdf(PLANE[3]).mean(), rtol=1e-4)
    samples = draws(gaussian, state, config)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), (samples - mean).T)
    for axis in whitened:
        assert_same_law(axis, "norm")
    assert abs(np.corrcoef(whitened)[0, 1]) < 5 / math.sqrt(len(samples))  # standard errors


# --- box -----------------------------------------------------------------------------------------------------------


def test_box_ends_at_the_extremes_and_holds_uniform_samples():
    state, info, config = trained(box, PLANE)
    seen = PLANE.reshape(-1, 2).astype(np.float32)
    low, high = seen.min(0), seen.max(0)
    np.testing.assert_allclose(np.stack(box.ends(state, config)), [low, high], rtol=1e-6)
    expected = -np.log(high - low).sum()
    np.testing.assert_allclose(log_prob(box, state, seen, config), expected, rtol=1e-5)  # all inside
    np.testing.assert_allclose(info["loss"][-1], -expected, rtol=1e-5)
    outside = np.stack([low - np.array([0.01, 0]), high + np.array([0, 0.01])])
    np.testing.assert_array_equal(log_prob(box, state, outside, config), -np.inf)
    samples = draws(box, state, config)
    for axis in range(2):
        assert_same_law(samples[:, axis], scipy.stats.uniform(low[axis], high[axis] - low[axis]).cdf)


def test_box_is_biased_inward_by_its_width_over_n_plus_1():
    n, a, b = 20, 2.0, 6.0
    data = jax.random.uniform(jax.random.key(3), (4_000, 2, n // 2, 1), minval=a, maxval=b)
    for estimator, bias in [("maximum_likelihood", (b - a) / (n + 1)), ("unbiased", 0)]:
        config = box.Config(estimator=estimator)
        run = functools.partial(train, box.METHOD, jax.random.key(0), config=config)
        states, _ = jax.vmap(run)(data)
        low, high = (np.float64(end[:, 0]) for end in jax.vmap(functools.partial(box.ends, config=config))(states))
        for end, expected in [(low, a + bias), (high, b - bias)]:
            np.testing.assert_allclose(end.mean(), expected, atol=4 * end.std() / math.sqrt(len(end)))


# --- histogram -----------------------------------------------------------------------------------------------------


def test_histogram_is_numpys_inside_and_exponential_outside():
    data = RNG.exponential(1.0, (4, 64, 1)) * RNG.choice([-1, 1, 1], (4, 64, 1))
    state, _, config = trained(histogram, data, num_bins=10, limit=1.5, pseudo_count=1e-6)
    seen = data.ravel().astype(np.float32)
    counts, edges = np.histogram(seen, bins=10, range=(-1.5, 1.5))
    np.testing.assert_array_equal(state.counts[1:-1], counts)
    assert counts.min() > 0
    density, _ = np.histogram(seen, bins=10, range=(-1.5, 1.5), density=True)
    share = counts.sum() / len(seen)
    middles = (edges[1:] + edges[:-1]) / 2
    got = np.exp(log_prob(histogram, state, middles[:, None], config))
    np.testing.assert_allclose(got, density * share, rtol=1e-4)
    right = seen[seen > 1.5]
    _, scale = scipy.stats.expon.fit(right, floc=1.5)
    x = np.array([1.6, 2.0, 4.0])
    expected = len(right) / len(seen) * scipy.stats.expon(1.5, scale).pdf(x)
    np.testing.assert_allclose(np.exp(log_prob(histogram, state, x[:, None], config)), expected, rtol=1e-4)
    grid = np.linspace(-15, 15, 300_001)
    cdf = np.cumsum(np.exp(log_prob(histogram, state, grid[:, None], config))) * (grid[1] - grid[0])
    np.testing.assert_allclose(cdf[-1], 1, atol=1e-3)
    assert_same_law(draws(histogram, state, config)[:, 0], lambda x: np.interp(x, grid, cdf))


def test_histogram_smooths_and_is_a_density_in_the_plane():
    data = 0.5 * (PLANE - PLANE.mean((0, 1)))
    state, _, config = trained(histogram, data, num_bins=4, limit=1.0, pseudo_count=0.5)
    seen = data.reshape(-1, 2).astype(np.float32)
    edges = np.array([-np.inf, -1, -0.5, 0, 0.5, 1, np.inf])
    counts = np.histogram2d(*seen.T, bins=[edges, edges])[0]
    np.testing.assert_array_equal(np.asarray(state.counts).reshape(6, 6), counts)
    got = np.exp(log_prob(histogram, state, np.array([[0.25, -0.75]]), config))[0]
    np.testing.assert_allclose(got, (counts[3, 1] + 0.5) / (len(seen) + 0.5 * 36) / 0.25, rtol=1e-5)
    samples = draws(histogram, state, config)
    sampled = np.histogram2d(*samples.T, bins=[edges, edges])[0]
    expected = (counts + 0.5) / (len(seen) + 18) * len(samples)
    assert scipy.stats.chisquare(sampled.ravel(), expected.ravel()).pvalue > 1e-3
    axis = np.linspace(-6.95, 6.95, 140)  # middles of cells of 0.1: no edge of a bin falls into one
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    total = np.exp(log_prob(histogram, state, grid, config)).sum() * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(total, 1, atol=5e-3)


# --- kernels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2])
def test_silvermans_estimate_is_scipys(dim):
    data = PLANE[:, :, :dim]
    state, _, config = trained(kde, data, num_points=200, bandwidth="silverman")
    latest = data.reshape(-1, dim)[-200:]
    oracle = scipy.stats.gaussian_kde(latest.T, bw_method="silverman")
    x = RNG.uniform(latest.min(0) - 1, latest.max(0) + 1, (50, dim))
    np.testing.assert_allclose(log_prob(kde, state, x, config), oracle.logpdf(x.T), rtol=1e-3, atol=1e-3)
    samples = draws(kde, state, config)
    # The law of one coordinate is the mixture of its kernels.
    scale = math.sqrt(oracle.covariance[0, 0])
    assert_same_law(samples[:, 0], lambda x: np.mean([scipy.stats.norm.cdf(x, p, scale) for p in latest[:, 0]], axis=0))


def test_kernels_stand_on_the_data_seen_while_there_are_few():
    state, info, config = trained(kde, PLANE[:2, :, :1], num_points=1_000, bandwidth="silverman")
    seen = PLANE[:2, :, 0].ravel()
    oracle = scipy.stats.gaussian_kde(seen, bw_method="silverman")
    np.testing.assert_allclose(log_prob(kde, state, seen[:9, None], config), oracle.logpdf(seen[:9]), rtol=1e-3)
    np.testing.assert_allclose(info["bandwidth"], [(64 * 3 / 4) ** -0.2, (128 * 3 / 4) ** -0.2], rtol=1e-5)
    cdf = np.vectorize(lambda x: oracle.integrate_box_1d(-np.inf, x))
    assert_same_law(draws(kde, state, config, 2_000)[:, 0], cdf)
    empty = kde.init(jax.random.key(0), config)
    x = np.linspace(-9, 9, 1_001)
    np.testing.assert_allclose(np.trapezoid(np.exp(log_prob(kde, empty, x[:, None], config)), x), 1, atol=1e-4)


def test_cross_validated_bandwidth_is_the_likeliest_of_fresh_data():
    modes = np.concatenate([RNG.normal(-1, 0.15, 5_000), RNG.normal(1, 0.15, 5_000)])
    data = RNG.permutation(modes)[:9_600].reshape(300, 32, 1)
    options = {"num_points": 32, "learning_rate": 0.05, "num_steps": 300, "ema_decay": 0.98}
    state, _, _ = trained(kde, np.concatenate([data[:1], data]), **options)
    # The kernels move on in every step; what is likeliest for a set of 32 is so in the mean over many sets.
    kernels, fresh = data[:-1, :, 0], data[1:, :, 0]

    def loss_of(log_factor):
        scale = np.exp(log_factor) * (32 * 3 / 4) ** -0.2 * kernels.std(1, ddof=1)
        z = (fresh[:, :, None] - kernels[:, None]) / scale[:, None, None]
        return -np.mean(scipy.special.logsumexp(-0.5 * z**2, axis=2) - np.log(scale)[:, None])

    best = scipy.optimize.minimize_scalar(loss_of, bounds=(-4, 1), method="bounded").x
    learnt = float(state.tuning.eval_params["log_factor"])
    assert best < -0.8  # far from Silverman's rule, which is for one mode
    np.testing.assert_allclose(learnt, best, atol=0.2)
    assert loss_of(learnt) < loss_of(0) - 0.1
    ties = np.ones((60, 32, 1))
    state, info, _ = trained(kde, ties, num_points=64, learning_rate=0.5, num_steps=60)
    assert np.isfinite(info["loss"]).all()
    assert float(info["bandwidth"][-1]) >= 1e-3 * (64 * 3 / 4) ** -0.2 * 0.999


# --- mixtures of normals -------------------------------------------------------------------------------------------


def two_modes(n, dim):
    centers = RNG.choice([-1.0, 1.5], (n, 1)) * np.ones(dim)
    return centers + RNG.standard_normal((n, dim)) @ MIXING[:dim, :dim].T * 0.6


@pytest.mark.parametrize(("dim", "covariance", "k"), [(1, "full", 3), (2, "full", 2), (2, "diagonal", 2)])
def test_em_is_scikit_learns_and_never_lowers_the_likelihood(dim, covariance, k):
    data = two_modes(400, dim)
    config = gmm.Config(dim=dim, num_components=k, covariance=covariance, decay=0.0, variance_floor=1e-6)
    means = np.float64(np.float32(data[:k]))
    state = gmm.State(
        jnp.full(k, 1 / k), jnp.asarray(means, jnp.float32), jnp.tile(jnp.eye(dim), (k, 1, 1)), jnp.ones((), int)
    )

    @jax.jit
    def run(state):
        def step(state, _):
            return gmm.step(jax.random.key(0), state, jnp.asarray(data, jnp.float32), config)

        return jax.lax.scan(step, state, length=30)

    state, info = run(state)
    likelihoods = -np.asarray(info["loss"])
    assert likelihoods[-1] > likelihoods[0] + 0.05
    assert (np.diff(likelihoods) > -2e-6).all()  # but for rounding
    precisions = np.tile(np.eye(dim), (k, 1, 1)) if covariance == "full" else np.ones((k, dim))
    oracle = GaussianMixture(
        k, covariance_type={"full": "full", "diagonal": "diag"}[covariance], tol=0, max_iter=30,
        weights_init=np.full(k, 1 / k), means_init=means, precisions_init=precisions,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="did not converge"):
        oracle.fit(data)
    np.testing.assert_allclose(state.weights, oracle.weights_, atol=1e-4)
    np.testing.assert_allclose(state.means, oracle.means_, atol=1e-3)
    theirs = oracle.covariances_ if covariance == "full" else [np.diag(c) for c in oracle.covariances_]
    np.testing.assert_allclose(state.covariances, theirs, atol=1e-3)
    np.testing.assert_allclose(log_prob(gmm, state, data[:50], config), oracle.score_samples(data[:50]), atol=2e-3)


def test_online_em_keeps_running_means_of_the_sufficient_statistics():
    data = two_modes(3 * 64, 2).reshape(3, 64, 2)
    state, info, _ = trained(gmm, data, num_components=3, decay=0.7)
    assert np.isfinite(info["num_effective"]).all()
    after_first, _, _ = trained(gmm, data[:1], num_components=3, decay=0.7)
    weights, means, covariances = (np.float64(a) for a in after_first[:3])
    s0, s1 = weights, weights[:, None] * means
    s2 = weights[:, None, None] * (covariances + means[:, :, None] * means[:, None])
    for t in (1, 2):
        laws = [
            scipy.stats.multivariate_normal(m, c + 1e-6 * np.eye(2)).pdf(data[t])
            for m, c in zip(means, covariances, strict=True)
        ]
        shares = (s0 * np.stack(laws, 1)) / (np.stack(laws, 1) @ s0)[:, None]
        rate = (t + 2) ** -0.7
        s0 = (1 - rate) * s0 + rate * shares.mean(0)
        s1 = (1 - rate) * s1 + rate * shares.T @ data[t] / 64
        s2 = (1 - rate) * s2 + rate * np.einsum("nk,ni,nj->kij", shares, data[t], data[t]) / 64
        means = s1 / s0[:, None]
        covariances = s2 / s0[:, None, None] - means[:, :, None] * means[:, None]
    np.testing.assert_allclose(state.weights, s0, rtol=1e-3)
    np.testing.assert_allclose(state.means, means, atol=1e-3)
    np.testing.assert_allclose(state.covariances, covariances, atol=1e-3)


def test_em_starts_from_data_of_every_mode():
    centers = 10.0 * np.arange(6)
    data = (RNG.choice(centers, (64, 1)) + 0.01 * RNG.standard_normal((64, 1))).astype(np.float32)
    config = gmm.Config(num_components=6)

    def start(key):
        key_init, key_step = jax.random.split(key)
        return gmm.step(key_step, gmm.init(key_init, config), jnp.asarray(data), config)[0]

    states = jax.jit(jax.vmap(start))(jax.random.split(jax.random.key(0), 20))
    found = np.sort(np.round(np.asarray(states.means[:, :, 0])), axis=1)
    np.testing.assert_array_equal(found, np.tile(centers, (20, 1)))
    assert len(np.unique(np.asarray(states.means[:, 0, 0]).round())) > 1  # in an order that the key decides


def test_mixture_samples_follow_its_density_and_equal_data_stay_finite():
    state, _, config = trained(gmm, two_modes(256, 1).reshape(4, 64, 1), num_components=3)
    means, scales = np.float64(state.means[:, 0]), np.sqrt(np.float64(state.covariances[:, 0, 0]))
    weights = np.float64(state.weights)
    samples = draws(gmm, state, config)[:, 0]
    assert_same_law(samples, lambda x: scipy.stats.norm.cdf(x[:, None], means, scales) @ weights)
    state, info, config = trained(gmm, np.ones((4, 64, 1)), num_components=3)
    assert np.isfinite(info["loss"]).all()
    assert np.isfinite(draws(gmm, state, config)).all()


# --- by gradient ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", gradient_mle.FAMILIES)
def test_gradient_ascent_finds_what_scipy_fits(family):
    law = {"student_t": scipy.stats.t}.get(family) or getattr(scipy.stats, {"normal": "norm"}.get(family, family))
    data = scipy.stats.t(4).rvs(256, random_state=1) * 0.8 + 0.5
    batches = np.tile(data[None, :, None], (1_500, 1, 1))
    state, _, config = trained(gradient_mle, batches, family=family, num_components=1, num_steps=1_500, ema_decay=0.9)
    expected = law.logpdf(data, *law.fit(data)).mean()
    got = log_prob(gradient_mle, state, data[:, None], config).mean()
    np.testing.assert_allclose(got, expected, atol=2e-4)
    params = {name: float(value.ravel()[0]) for name, value in state.eval_params.items()}
    shape = (math.exp(params["log_dof"]),) if family == "student_t" else ()
    fitted = law(*shape, params["location"], math.exp(params["log_scale"]))
    np.testing.assert_allclose(log_prob(gradient_mle, state, data[:, None], config), fitted.logpdf(data), atol=1e-3)
    assert_same_law(draws(gradient_mle, state, config, 5_000)[:, 0], fitted.cdf)


def test_mixtures_by_gradient_are_mixtures_of_products():
    data = two_modes(256, 2).reshape(4, 64, 2)
    state, _, config = trained(gradient_mle, data, family="logistic", num_components=3, num_steps=4)
    params = {name: np.float64(value) for name, value in state.eval_params.items()}
    weights, scales = scipy.special.softmax(params["logits"]), np.exp(params["log_scale"])
    x = data[0]
    components = scipy.stats.logistic.logpdf(x[:, None], params["location"], scales).sum(2)
    want = scipy.special.logsumexp(components, axis=1, b=weights)
    np.testing.assert_allclose(log_prob(gradient_mle, state, x, config), want, rtol=1e-4, atol=1e-4)
    samples = draws(gradient_mle, state, config)
    for axis in range(2):

        def cdf(x, axis=axis):
            return scipy.stats.logistic.cdf(x[:, None], params["location"][:, axis], scales[:, axis]) @ weights

        assert_same_law(samples[:, axis], cdf)
