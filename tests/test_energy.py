"""Energy-based models: each objective and both samplers against closed forms and quadrature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jgen1d
from jgen1d.evaluation import theory
from jgen1d.maths import mcmc
from jgen1d.methods import _adam, energy

SCALE = 2.0
TILTED = energy.Config(widths=(), noise_scale=SCALE, fourier_features=0)
"""Without hidden layers f(x) = a·x + b, and the model is N(s²a, s²I), with normaliser exp(b + s²‖a‖²/2)."""


def with_weights(config, weights):
    """The state before the first step of a network with these weights."""
    return energy.State(_adam.start({"params": jax.tree.map(jnp.float32, weights)}, config), None)


def tilted(slope, offset):
    kernel = np.array(slope)[:, None]
    return with_weights(TILTED.replace(dim=len(slope)), {"kernel_out": kernel, "bias_out": np.array([[offset]])})


@pytest.mark.parametrize("slope", [[0.4], [0.3, -0.5]], ids=["1-D", "2-D"])
def test_density_of_a_tilted_normal_is_its_closed_form(slope):
    config, state = TILTED.replace(dim=len(slope)), tilted(slope, 0.7)
    expected = 0.7 + SCALE**2 * np.sum(np.square(slope)) / 2
    np.testing.assert_allclose(energy.log_normalizer(state, config), expected, atol=2e-4)  # f is constant from 10 on
    x = np.random.default_rng(0).normal(size=(50, len(slope)))
    exact = stats.norm.logpdf(x, SCALE**2 * np.array(slope), SCALE).sum(1)
    np.testing.assert_allclose(energy.log_prob(state, x, config), exact, atol=3e-4)
    np.testing.assert_allclose(energy.energy(state, x, config), -exact - expected, atol=1e-4)


def test_density_is_refused_in_more_than_two_dimensions():
    config = TILTED.replace(dim=3)
    state = jax.eval_shape(energy.init, jax.random.key(0), config)
    with pytest.raises(ValueError, match=r"dim=3: the energy.s normaliser is known in 1 and 2 dimensions only"):
        jax.eval_shape(lambda state, x: energy.log_prob(state, x, config), state, jnp.zeros((4, 3)))


def wavy(dim=1):
    """A network whose density has several bumps, and its config."""
    config = energy.Config(dim=dim, widths=(12,), activation="tanh", step_size=2e-3, fourier_features=0)
    random = np.random.default_rng(3)
    weights = {
        "kernel_0": random.normal(size=(dim, 12)) * 2,
        "bias_0": random.normal(size=(12, 1)) * 3,
        "kernel_out": random.normal(size=(12, 1)) * 1.5,
        "bias_out": np.ones((1, 1)),
    }
    return with_weights(config, weights), config


@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one(dim):
    state, config = wavy(dim)
    axis = np.linspace(-12, 12, {1: 20_001, 2: 301}[dim])
    x = np.stack([a.ravel() for a in np.meshgrid(*[axis] * dim)], axis=1)
    density = np.exp(np.float64(energy.log_prob(state, x, config)))
    np.testing.assert_allclose(density.sum() * (axis[1] - axis[0]) ** dim, 1, atol=1e-4)


@pytest.mark.parametrize("sampler", energy.SAMPLERS)
def test_samples_follow_the_density(sampler):
    state, config = wavy()
    config = config.replace(sampler=sampler)
    draws = np.asarray(jax.jit(energy.sample, static_argnums=2)(jax.random.key(0), state, 20_000, config))[:, 0]
    grid = np.linspace(-12, 12, 20_001)
    density = np.exp(np.float64(energy.log_prob(state, grid[:, None], config)))
    assert np.sum(np.diff(np.sign(np.diff(density))) < 0) >= 3  # a law with bumps
    cdf = np.concatenate([[0], np.cumsum(density[1:] + density[:-1]) * (grid[1] - grid[0]) / 2])
    distance = stats.kstest(draws, lambda x: np.interp(x, grid, cdf)).statistic
    assert distance < 1.95 / np.sqrt(len(draws))  # exceeded with a probability of 0.001


def test_samples_in_two_dimensions_follow_the_density():
    """The marginals along an axis and a diagonal against sums of the density over a fine grid."""
    state, config = wavy(dim=2)
    n = 20_000
    draws = np.asarray(jax.jit(energy.sample, static_argnums=2)(jax.random.key(0), state, n, config))
    axis = np.linspace(-9, 9, 361)
    x = np.stack([a.ravel() for a in np.meshgrid(axis, axis)], axis=1)
    mass = np.exp(np.float64(energy.log_prob(state, x, config))) * (axis[1] - axis[0]) ** 2
    for direction in ([1.0, 0.0], [0.6, -0.8]):
        along = x @ np.array(direction)
        order = np.argsort(along)
        cdf = np.cumsum(mass[order])
        distance = stats.kstest(draws @ direction, lambda t, a=along[order], c=cdf: np.interp(t, a, c)).statistic
        assert distance < 1.95 / np.sqrt(n) + 0.005, direction  # the sums jump by the mass of a row


def test_resampling_is_systematic():
    """Each index comes as often as expected, rounded up or down, and on average over keys just as often."""
    weights = np.array([0.5, 0.0, 0.031, 0.269, 0.2])
    draw = jax.jit(jax.vmap(lambda key: mcmc.systematic_resample(key, jnp.log(weights), 10)))
    counts = np.array(
        [np.bincount(row, minlength=5) for row in np.asarray(draw(jax.random.split(jax.random.key(0), 2_000)))]
    )
    assert np.all(np.abs(counts - 10 * weights) < 1)
    np.testing.assert_allclose(counts.mean(0), 10 * weights, atol=0.05)


def test_separate_modes_have_their_shares_although_chains_do_not_cross():
    # f has a valley of depth 40 between −1 and 1, and a step that makes the right side three times as likely.
    step = np.log(3) / 2
    weights = {
        "kernel_0": np.full((1, 3), 10),
        "bias_0": np.array([[10], [-10], [0]]),
        "kernel_out": np.array([[-20], [20], [step]]),
        "bias_out": np.zeros((1, 1)),
    }
    config = energy.Config(widths=(3,), activation="tanh", fourier_features=0)
    state = with_weights(config, weights)
    n = 20_000
    draws = np.asarray(jax.jit(energy.sample, static_argnums=2)(jax.random.key(0), state, n, config))
    np.testing.assert_allclose((draws > 0).mean(), 0.75, atol=5 * np.sqrt(0.75 * 0.25 / n))
    assert (np.abs(draws) < 0.9).sum() == 0
    walk = jax.jit(energy.walk, static_argnums=3)
    ends = walk(jax.random.key(1), state.eval_params, jnp.full((500, 1), -1.5), 200, config)
    assert np.all(np.asarray(ends) < -0.9)


@pytest.fixture(scope="module")
def chains():
    """Langevin chains on N(0, s²) that have forgotten their start, and what their variance is divided by."""
    s, eta, n = 0.5, 0.3, 100_000
    start = jnp.zeros((n, 1))
    unadjusted, _ = mcmc.langevin(jax.random.key(0), lambda x: -x / s**2, start, eta, 40)
    adjusted, rate = mcmc.mala(jax.random.key(1), lambda x: -0.5 * jnp.sum(x**2, axis=1) / s**2, start, eta, 40)
    return s, eta, np.asarray(unadjusted)[:, 0], np.asarray(adjusted)[:, 0], float(rate)


def test_langevin_steps_have_sizes_of_their_own():
    """On N(0, s²) a step of size η makes of a variance v (1 − η/2s²)²·v + η, so their order shows."""
    s, sizes, n = 0.5, np.array([0.3, 0.01, 0.1]), 100_000
    ends, _ = mcmc.langevin(jax.random.key(2), lambda x: -x / s**2, jnp.zeros((n, 1)), sizes, 3)
    variance = 0.0
    for eta in sizes:
        variance = (1 - eta / (2 * s**2)) ** 2 * variance + eta
    np.testing.assert_allclose(np.var(ends), variance, rtol=5 * np.sqrt(2 / n))


def test_fourier_features_are_for_noise_contrastive_estimation():
    shapes = {
        objective: jax.eval_shape(energy.init, jax.random.key(0), energy.Config(objective=objective, widths=(4,)))
        for objective in energy.OBJECTIVES
    }
    inputs = {name: state.eval_params["params"]["kernel_0"].shape[0] for name, state in shapes.items()}
    assert inputs == dict.fromkeys(energy.OBJECTIVES, 1) | {"noise_contrastive": 15}


def test_unadjusted_langevin_has_its_own_stationary_variance(chains):
    s, eta, ends, _, _ = chains
    expected = s**2 / (1 - eta / (4 * s**2))
    np.testing.assert_allclose(ends.var(), expected, rtol=5 * np.sqrt(2 / len(ends)))
    assert expected / s**2 > 1.4
    np.testing.assert_allclose(ends.mean(), 0, atol=5 * np.sqrt(expected / len(ends)))


def test_unadjusted_langevin_approaches_it_at_the_rate_of_its_recursion():
    s, eta, n = 0.5, 0.3, 50_000
    _, path = mcmc.langevin(jax.random.key(3), lambda x: -x / s**2, jnp.full((n, 1), 2.0), eta, 3)
    shrink = 1 - eta / (2 * s**2)
    variance = eta * np.cumsum(shrink ** (2 * np.arange(3)))
    np.testing.assert_allclose(np.mean(path, axis=(1, 2)), 2 * shrink ** np.arange(1, 4), atol=5 * 0.6 / np.sqrt(n))
    np.testing.assert_allclose(np.var(path, axis=(1, 2)), variance, rtol=5 * np.sqrt(2 / n))


def test_metropolis_adjustment_makes_the_law_exact(chains):
    s, _, _, ends, rate = chains
    np.testing.assert_allclose(ends.var(), s**2, rtol=5 * np.sqrt(2 / len(ends)))
    assert stats.kstest(ends, "norm", (0, s)).statistic < 1.95 / np.sqrt(len(ends))
    assert 0.3 < rate < 0.99


def test_noise_has_its_law_and_is_stratified_in_one_dimension():
    n = 1000
    x = np.asarray(energy.noise(jax.random.key(0), n, TILTED))[:, 0]
    np.testing.assert_allclose(stats.norm.cdf(x, scale=SCALE) * n, np.arange(n) + 0.5, atol=0.51)
    pairs = np.asarray(energy.noise(jax.random.key(0), 20_000, TILTED.replace(dim=2)))
    np.testing.assert_allclose(np.cov(pairs.T), SCALE**2 * np.eye(2), atol=5 * SCALE**2 * np.sqrt(2 / len(pairs)))


def test_noise_contrastive_estimation_of_two_normals_recovers_their_log_ratio():
    (m, s), (mu, sigma), n, ratio = (1.0, 0.8), (0.0, 2.0), 20_000, 3
    data = m + s * jax.random.normal(jax.random.key(0), (n,))
    noise = mu + sigma * jax.random.normal(jax.random.key(1), (ratio * n,))

    def loss(w):
        return energy.noise_contrastive(*(w[0] + w[1] * x + w[2] * x**2 for x in (data, noise)))

    slopes = jax.jit(lambda w: (jax.grad(loss)(w), jax.hessian(loss)(w)))
    w = np.zeros(3, np.float32)
    for _ in range(12):
        gradient, curvature = map(np.float64, slopes(w))
        w = w - np.float32(np.linalg.solve(curvature, gradient))
    # log(σ/s) + (x − μ)²/2σ² − (x − m)²/2s², by powers of x
    exact = [np.log(sigma / s) + mu**2 / 2 / sigma**2 - m**2 / 2 / s**2, m / s**2 - mu / sigma**2]
    exact += [1 / 2 / sigma**2 - 1 / 2 / s**2]
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)) / n)
    assert np.all(errors < 0.03)
    np.testing.assert_array_less(np.abs(w - np.array(exact)), 5 * errors)


def test_score_matching_of_a_quadratic_energy_is_least_at_mean_and_covariance():
    x = jax.random.normal(jax.random.key(0), (500, 2)) @ jnp.array([[1.0, 0.4], [0.0, 0.7]]) + 0.5

    def loss(mean, precision):
        def log_density(x):
            return -0.5 * jnp.sum((x - mean[None]) @ precision * (x - mean[None]), axis=1)

        return energy.score_matching(log_density, x)

    precision = np.linalg.inv(np.cov(np.float64(x).T, bias=True))
    best = np.float32(x.mean(0)), np.float32(precision)
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(*best)
    np.testing.assert_allclose(value, -np.trace(precision) / 2, rtol=1e-4)
    for gradient in gradients:
        np.testing.assert_allclose(gradient, np.zeros_like(gradient), atol=1e-4)
    assert loss(best[0] + 0.1, best[1]) > value
    assert loss(best[0], 1.1 * best[1]) > value


def test_denoising_score_matching_learns_the_smoothed_variance():
    s, scale, n = 0.7, 0.5, 100_000
    x = s * jax.random.normal(jax.random.key(0), (n, 1))

    @jax.jit
    def loss(precision):
        return energy.denoising_score_matching(
            jax.random.key(1), lambda x: -0.5 * precision * jnp.sum(x**2, axis=1), x, scale
        )

    low, middle, high = (float(loss(p)) for p in (0.0, 1.0, 2.0))  # a parabola in the precision
    best = 1 + 0.5 * (low - high) / (low - 2 * middle + high)
    np.testing.assert_allclose(best, 1 / (s**2 + scale**2), rtol=0.03)
    np.testing.assert_allclose(low, 0.5, rtol=5 * np.sqrt(2 / n))


LEARNT = {
    "noise_contrastive": {"objective": "noise_contrastive", "noise_ratio": 2},
    "contrastive_divergence": {"objective": "contrastive_divergence"},
    "persistent": {"objective": "contrastive_divergence", "persistent": True, "sampler": "langevin"},
    "score_matching": {"objective": "score_matching"},
    "denoising_score_matching": {"objective": "denoising_score_matching", "smoothing": 1.0},
}


@functools.cache
def learn(name):
    """A tilted normal that has been trained on N(1, s²)."""
    config = TILTED.replace(**LEARNT[name], step_size=0.5, learning_rate=0.02, ema_decay=0.98, num_steps=300)

    def run(key):
        key_init, key_train = jax.random.split(key)

        def train(state, key):
            key_data, key_step = jax.random.split(key)
            batch = 1 + SCALE * jax.random.normal(key_data, (512, 1))
            return energy.step(key_step, state, batch, config)

        return jax.lax.scan(train, energy.init(key_init, config), jax.random.split(key_train, config.num_steps))

    return *jax.device_get(jax.jit(run)(jax.random.key(0))), config


@pytest.mark.parametrize("name", LEARNT)
def test_every_objective_learns_the_mean_of_a_normal(name):
    state, infos, config = learn(name)
    assert set(infos) == {"loss", "grad_norm", "energy_data"}
    slope = state.eval_params["params"]["kernel_out"][0, 0]
    np.testing.assert_allclose(slope * SCALE**2, 1, atol=0.05)  # 2.5 % of the data's standard deviation
    x = np.linspace(-4, 4, 9)[:, None]
    exact = stats.norm.logpdf(x[:, 0], 1, SCALE)
    np.testing.assert_allclose(energy.log_prob(state, x, config), exact, atol=0.05)
    assert (state.chains is None) == (not config.persistent)


def test_noise_contrastive_estimation_learns_the_normaliser():
    state, infos, config = learn("noise_contrastive")
    np.testing.assert_allclose(energy.log_normalizer(state, config), 0, atol=0.02)
    x = jnp.linspace(-4, 4, 9)[:, None]
    ratio = theory.gaussian_logit(x[:, 0], 1, SCALE, 0, SCALE)  # the learnt one, with its constant
    learnt = -energy.energy(state, x, config) - stats.norm.logpdf(x[:, 0], 0, SCALE)
    np.testing.assert_allclose(learnt, ratio, atol=0.05)
    entropy = 0.5 * np.log(2 * np.pi * np.e * SCALE**2)
    np.testing.assert_allclose(infos["energy_data"][-100:].mean(), entropy, atol=0.05)


def test_persistent_chains_go_on_where_they_ended():
    config = energy.Config(widths=(4,), **LEARNT["persistent"], num_chains=8, step_size=1e-10, learning_rate=0.0)
    state = jax.jit(energy.init)(jax.random.key(0), config)
    after, _ = jax.jit(energy.step)(jax.random.key(1), state, jnp.zeros((16, 1)), config)
    np.testing.assert_allclose(after.chains, state.chains, atol=1e-3)
    assert not np.array_equal(after.chains, state.chains)


OPTIONS = [
    {"noise_ratio": 3, "ema_decay": None},
    {"objective": "contrastive_divergence", "persistent": True, "num_chains": 10, "num_chain_steps": 3},
    {"objective": "score_matching", "activation": "tanh", "max_grad_norm": 1.0},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_options_train_and_keep_finite_in_two_dimensions(options):
    config = energy.Config(dim=2, num_steps=4, widths=(6,), num_sampling_steps=3, **options)

    def run(key):
        key_init, key_train, key_sample = jax.random.split(key, 3)

        def train(state, key):
            key_data, key_step = jax.random.split(key)
            return energy.step(key_step, state, jax.random.normal(key_data, (16, 2)), config)

        state, infos = jax.lax.scan(train, energy.init(key_init, config), jax.random.split(key_train, 3))
        return state.eval_params, infos, energy.sample(key_sample, state, 5, config)

    weights, infos, samples = jax.device_get(jax.jit(run)(jax.random.key(1)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((weights, infos, samples)))
    assert samples.shape == (5, 2)
    assert np.all(infos["grad_norm"] > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"persistent": True}, "persistent=True needs objective='contrastive_divergence', not 'noise_contrastive'"),
        ({"objective": "score_matching", "activation": "relu"}, "needs a smooth activation, not 'relu'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        energy.init(jax.random.key(0), energy.Config(**options))


def test_learnt_energy_is_the_negative_log_density():
    target = jgen1d.TARGETS["two_normals"]
    config = energy.Config(widths=(16, 16), learning_rate=0.02, ema_decay=0.98, num_steps=800)

    def run(key):
        def train(state, key):
            key_data, key_step = jax.random.split(key)
            batch = (target.sample(key_data, 256) - target.mean[None]) / target.std[None]
            return energy.step(key_step, state, batch, config)

        key_init, key_train = jax.random.split(key)
        return jax.lax.scan(train, energy.init(key_init, config), jax.random.split(key_train, config.num_steps))[0]

    state = jax.jit(run)(jax.random.key(0))
    x = target.quantile(jnp.linspace(0.01, 0.99, 99))[:, None]
    learnt = energy.energy(state, (x - target.mean[None]) / target.std[None], config) + np.log(target.std[0])
    errors = np.abs(learnt + target.log_prob(x))
    assert errors.mean() < 0.1, errors.mean()
