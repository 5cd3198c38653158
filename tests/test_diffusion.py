"""Diffusion against quadrature, exact linear recursions and exact scores; and these, `theory.score`, themselves."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jgen1d import core, targets
from jgen1d.evaluation import theory
from jgen1d.maths import paths
from jgen1d.methods import _samplers, diffusion

MIXTURE = {"weights": (0.33, 0.33, 0.34), "centers": (1.5, 4.0, 7.0), "scales": (0.3, 0.4, 0.25)}
MEAN, STD = 0.7, 0.6  # of the normal data that samplers are tested on
TIMES = (0.1, 0.4, 0.8)
SMOOTH = targets.mixture([0.5, 0.5], [[-0.9], [0.9]], [0.44, 0.44])  # of variance 1


def config_of(**options):
    return diffusion.Config(**{"widths": (8,), **options})


def schedule(name, t):
    """ᾱ = α² in float64, from the papers' own formulas."""
    t = np.float64(t)
    if name == "linear":  # Song et al. 2021, equation 33: exp(−∫β)
        return np.exp([-integrate.quad(lambda u: 0.1 + u * (20 - 0.1), 0, float(end))[0] for end in np.atleast_1d(t)])
    end = (math.pi / 2 * 0.999 - math.pi / 2 * 0.008 / 1.008) / (math.pi / 2 / 1.008)  # stops short of no data at all
    f = [np.cos((u * end + 0.008) / 1.008 * math.pi / 2) ** 2 for u in (t, 0.0)]
    return f[0] / f[1]


def close_within_errors(draws, mean, variance):
    """Five standard errors of the mean and of a normal's variance."""
    n = len(draws)
    np.testing.assert_allclose(draws.mean(dtype=float), mean, atol=5 * np.sqrt(variance / n))
    np.testing.assert_allclose(draws.var(dtype=float), variance, rtol=5 * np.sqrt(2 / n))


# --- exact scores -------------------------------------------------------------------------------------------------

DENSITIES = {
    "mixture": (
        lambda x: sum(w * stats.norm.pdf(x, m, s) for w, m, s in zip(*MIXTURE.values(), strict=True)),
        (0.0, 8.5),
        (1.5, 2.75, 4.0, 5.5, 7.0),
    ),
    "uniform": (lambda x: 0.25 if 2 <= x <= 6 else 0.0, (2.0, 6.0), ()),
    "exponential": (lambda x: 0.5 * math.exp(-0.5 * x), (0.0, 60.0), (1.0, 4.0, 10.0)),
}


@pytest.mark.parametrize("t", [0.05, 0.5])
@pytest.mark.parametrize("name", DENSITIES)
def test_exact_denoiser_and_score_against_quadrature(name, t):
    target, (density, (low, high), points) = targets.TARGETS[name], DENSITIES[name]
    alpha, sigma = np.sqrt(schedule("cosine", t)), np.sqrt(1 - schedule("cosine", t))
    shift, scale = float(target.mean[0]), float(target.std[0])

    def moment(x, power):
        def integrand(data):
            unit = (data - shift) / scale
            return unit**power * density(data) * stats.norm.pdf(x, alpha * unit, sigma)

        peak = np.clip(x / alpha * scale + shift, low, high)
        knots = np.unique(
            np.clip([low, *points, peak, *(peak + sigma / alpha * scale * np.arange(-6, 7, 3)), high], low, high)
        )
        return sum(integrate.quad(integrand, *ends)[0] for ends in itertools.pairwise(knots))

    xs = np.float32([-1.5, -0.6, 0.1, 1.3])
    wanted = [moment(float(x), 1) / moment(float(x), 0) for x in xs]
    slopes = [(np.log(moment(x + 1e-4, 0)) - np.log(moment(x - 1e-4, 0))) / 2e-4 for x in map(float, xs)]
    units = {"shift": target.mean, "scale": target.std}
    np.testing.assert_allclose(theory.denoise(target, xs[:, None], alpha, sigma, **units)[:, 0], wanted, atol=1e-3)
    np.testing.assert_allclose(
        theory.score(target, xs[:, None], alpha, sigma, **units)[:, 0], slopes, rtol=2e-3, atol=2e-3 / sigma
    )


def test_exact_score_of_a_mixture_in_two_dimensions_is_the_slope_of_its_noised_density():
    target, alpha, sigma = targets.TARGETS["ring"], 0.8, 0.6
    variances = alpha**2 * np.float64(target.params.scales) ** 2 + sigma**2
    centers = alpha * np.float64(target.params.centers)

    def log_density(x):
        gaps = jnp.sum((x[None] - centers) ** 2, axis=1)
        return jax.nn.logsumexp(jnp.log(target.params.weights) - 0.5 * gaps / variances - jnp.log(variances))

    x = jax.random.normal(jax.random.key(0), (50, 2))
    np.testing.assert_allclose(
        theory.score(target, x, alpha, sigma), jax.vmap(jax.grad(log_density))(x), rtol=1e-4, atol=1e-4
    )


def test_least_epsilon_loss_of_normal_data():
    """With the exact noise predictor it is ᾱs²/(ᾱs² + 1 − ᾱ), and for mixtures less than without knowing the data."""
    target = targets.mixture([1.0], [[MEAN]], [STD])
    key_data, key_noise = jax.random.split(jax.random.key(0))
    data, noise = target.sample(key_data, 100_000), jax.random.normal(key_noise, (100_000, 1))
    for t in TIMES:
        alpha_bar = schedule("cosine", t).item()
        alpha, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
        errors = (noise + sigma * theory.score(target, alpha * data + sigma * noise, alpha, sigma)) ** 2
        wanted = alpha_bar * STD**2 / (alpha_bar * STD**2 + 1 - alpha_bar)
        np.testing.assert_allclose(errors.mean(), wanted, rtol=5 * np.sqrt(2 / len(data)))


# --- the loss -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "noise_schedule"),
    [("epsilon", "cosine"), ("x0", "linear"), ("v", "cosine"), ("v", "linear"), ("score", "linear")],
)
def test_weightings_are_the_errors_that_they_are_named_for(prediction, noise_schedule):
    config = config_of(prediction=prediction, noise_schedule=noise_schedule, dim=2)
    state = diffusion.init(jax.random.key(0), config)
    keys = jax.random.split(jax.random.key(1), 3)
    data, noise = (jax.random.normal(key, (40, 2)) for key in keys[:2])
    t = jax.random.uniform(keys[2], (40, 1), minval=0.02, maxval=0.97)
    alpha_bar = schedule(noise_schedule, t[:, 0])[:, None]
    alpha, sigma = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
    x = jnp.float32(alpha * np.float64(data) + sigma * np.float64(noise))
    learnt = diffusion.Estimate(*map(np.float64, diffusion.estimate(state, x, t, config)))

    # One output tells all: data and noise are what x is made of, v is their mixture.
    np.testing.assert_allclose(alpha * learnt.data + sigma * learnt.noise, x, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(learnt.v, alpha * learnt.noise - sigma * learnt.data, rtol=1e-3, atol=1e-3)

    error_of_data = np.sum((learnt.data - np.float64(data)) ** 2, axis=1)
    snr = (alpha_bar / (1 - alpha_bar))[:, 0]
    bars = [schedule(noise_schedule, np.float64(t[:, 0]) + h) for h in (-1e-5, 1e-5)]
    slope = (bars[1] / (1 - bars[1]) - bars[0] / (1 - bars[0])) / 2e-5
    wanted = {
        "simple": np.sum((learnt.noise - np.float64(noise)) ** 2, axis=1),
        "x0": error_of_data,
        "v": np.sum((learnt.v - (alpha * noise - sigma * data)) ** 2, axis=1),
        "elbo": -0.5 * slope * error_of_data,
        "min_snr": np.minimum(snr, 5.0) * error_of_data,
        "denoising_score_matching": np.sum(
            (np.float64(diffusion.score(state, x, t, config)) + noise / sigma) ** 2, axis=1
        ),
    }
    assert set(wanted) == set(diffusion.WEIGHTINGS)
    for weighting, losses in wanted.items():
        got = diffusion.losses(state.params, data, noise, t, config.replace(weighting=weighting))
        np.testing.assert_allclose(got, losses, rtol=2e-3, err_msg=weighting)


# --- samplers, on normal data, for which each is a linear recursion --------------------------------------------------


def exact_epsilon(name):
    path = paths.SCHEDULES[name]

    def epsilon(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        return sigma * (x - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2)

    return epsilon


@functools.partial(jax.jit, static_argnums=2)
def generated(key, noise, name, config):
    return _samplers.generate(key, exact_epsilon(name), noise, config)


@pytest.mark.parametrize("name", paths.SCHEDULES)
@pytest.mark.parametrize("spacing", _samplers.SPACINGS)
def test_time_grids_are_uniform_in_what_they_say(name, spacing):
    times = np.float64(_samplers.time_grid(paths.SCHEDULES[name], spacing, 12))
    bars = schedule(name, times)
    angle = np.arccos(np.sqrt(bars))
    measures = {"time": times, "angle": angle, "quadratic": angle**0.5, "log_snr": np.log(bars / (1 - bars))}
    measure = measures[spacing]
    np.testing.assert_allclose(times[[0, -1]], [1, _samplers.MIN_TIME], rtol=1e-5)
    assert np.all(np.diff(times) < 0)
    np.testing.assert_allclose(measure, np.linspace(measure[0], measure[-1], 12), atol=2e-3 * np.abs(measure).max())


def ddpm(bar, bar_s, last, beta_tilde):
    """Ho et al. 2020, algorithm 2, as x ← a·x + b·ε + c·z."""
    beta = 1 - bar / bar_s
    variance = beta * (1 - bar_s) / (1 - bar) if beta_tilde else beta
    return [1 / np.sqrt(1 - beta), -beta / np.sqrt(1 - bar) / np.sqrt(1 - beta), 0 if last else np.sqrt(variance)]


def ddim(bar, bar_s, last, eta):
    """Song, Meng & Ermon 2021, equations 12 and 16; their α is ᾱ."""
    del last
    new = eta * np.sqrt((1 - bar_s) / (1 - bar)) * np.sqrt(1 - bar / bar_s)
    return [np.sqrt(bar_s / bar), np.sqrt(1 - bar_s - new**2) - np.sqrt(bar_s) * np.sqrt(1 - bar) / np.sqrt(bar), new]


def euler_maruyama(bar, bar_s, last):
    """dx = (½x + score)dτ + dw backwards over τ = ∫β dt = −log ᾱ."""
    tau = np.log(bar_s / bar)
    return [1 + tau / 2, -tau / np.sqrt(1 - bar), 0 if last else np.sqrt(tau)]


def langevin(bar, snr):
    """x ← x + e·score + √(2e)·z with e = 2(snr·σ)²: Song et al. 2021, algorithm 5."""
    e = 2 * snr**2 * (1 - bar)
    return [1, -e / np.sqrt(1 - bar), np.sqrt(2 * e)]


SAMPLERS = {
    "beta": ({"sampler": "ancestral", "posterior_variance": "beta"}, functools.partial(ddpm, beta_tilde=False)),
    "beta_tilde": ({"sampler": "ancestral"}, functools.partial(ddpm, beta_tilde=True)),
    "ddim 0": ({"sampler": "ddim"}, functools.partial(ddim, eta=0.0)),
    "ddim 0.6": ({"sampler": "ddim", "eta": 0.6}, functools.partial(ddim, eta=0.6)),
    "ddim 1": ({"sampler": "ddim", "eta": 1.0}, functools.partial(ddim, eta=1.0)),
    "sde": ({"sampler": "reverse_sde"}, euler_maruyama),
    "corrector": ({"sampler": "langevin", "num_langevin_steps": 2}, functools.partial(ddpm, beta_tilde=True)),
    "annealed": ({"sampler": "langevin", "num_langevin_steps": 2, "predictor": False}, None),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_of_normal_data_have_the_exact_mean_and_variance(name):
    options, rule = SAMPLERS[name]
    schedule_name = "linear" if name in ("beta", "ddim 0.6") else "cosine"
    config = config_of(**options, num_sampling_steps=12, spacing="log_snr", noise_schedule=schedule_name)
    times = np.float64(_samplers.time_grid(paths.SCHEDULES[schedule_name], config.spacing, 12))
    bars = np.append(schedule(schedule_name, times), 1.0)

    mean, variance = 0.0, 1.0
    for i, (bar, bar_s) in enumerate(itertools.pairwise(bars)):
        updates = [langevin(bar, 0.16)] * 2 if config.sampler == "langevin" else []
        updates += [rule(bar, bar_s, i == 11)] if rule else []
        for a, b, c in updates:  # ε = √(1 − ᾱ)·(x − √ᾱ·μ)/v
            slope = np.sqrt(1 - bar) / (bar * STD**2 + 1 - bar)
            mean = a * mean + b * slope * (mean - np.sqrt(bar) * MEAN)
            variance = (a + b * slope) ** 2 * variance + c**2

    key, key_noise = jax.random.split(jax.random.key(3))
    noise = jax.random.normal(key_noise, (100_000, 1))
    end, way = generated(key, noise, schedule_name, config)
    assert way.shape == (12, 100_000, 1)
    np.testing.assert_array_equal(way[-1], end)
    close_within_errors(np.asarray(end), mean, variance)
    if name.startswith("ddim 0.6"):  # η is traced, and beyond its largest value it is that
        assert np.isfinite(generated(key, noise, schedule_name, config.replace(eta=9.0))[0]).all()


@pytest.mark.parametrize("name", paths.SCHEDULES)
def test_probability_flow_of_normal_data_is_the_closed_form(name):
    config = config_of(sampler="ode", num_sampling_steps=40, spacing="angle", noise_schedule=name)
    start = jnp.linspace(-3, 3, 13)[:, None]
    _, way = generated(jax.random.key(0), start, name, config)
    times = np.float64(_samplers.time_grid(paths.SCHEDULES[name], "angle", 41))
    bars = schedule(name, times)[:, None]
    variances = bars * STD**2 + 1 - bars
    wanted = np.sqrt(bars) * MEAN + np.sqrt(variances / variances[0]) * (start[:, 0] - np.sqrt(bars[0]) * MEAN)[None]
    np.testing.assert_allclose(way[..., 0], wanted[1:], atol=2e-3)


@pytest.mark.parametrize("sampler", _samplers.SAMPLERS)
def test_samplers_with_the_exact_score_draw_the_mixture(sampler):
    """Kolmogorov–Smirnov within the 0.1 % point of a perfect sampler, 1.95/√n, and 0.02 for the finite steps."""
    config = config_of(sampler=sampler, num_sampling_steps=60, spacing="log_snr" if sampler == "ddim" else "angle")
    path, n = paths.SCHEDULES["cosine"], 5_000

    @jax.jit
    def draw(key):
        key_noise, key_sampler = jax.random.split(key)

        def epsilon(x, t):
            return -path.sigma(t) * theory.score(SMOOTH, x, path.alpha(t), path.sigma(t))

        return _samplers.generate(key_sampler, epsilon, jax.random.normal(key_noise, (n, 1)), config)[0]

    draws = np.asarray(draw(jax.random.key(2)))[:, 0]
    ks = stats.ks_1samp(draws, lambda x: 0.5 * (stats.norm.cdf(x, -0.9, 0.44) + stats.norm.cdf(x, 0.9, 0.44))).statistic
    assert ks < 1.95 / math.sqrt(n) + 0.02


# --- learnt models ------------------------------------------------------------------------------------------------

CONFIG = config_of(widths=(32, 32), num_steps=600, ema_decay=0.99)


@pytest.fixture(scope="module")
def learnt():
    """A model of the smooth mixture after 600 steps."""

    @jax.jit
    def train(key):
        def step(state, key):
            key_data, key_step = jax.random.split(key)
            return diffusion.step(key_step, state, SMOOTH.sample(key_data, 256), CONFIG)

        key_init, key_steps = jax.random.split(key)
        return jax.lax.scan(step, diffusion.init(key_init, CONFIG), jax.random.split(key_steps, CONFIG.num_steps))[0]

    return train(jax.random.key(0))


def test_learnt_score_is_near_the_exact_one_and_the_loss_above_its_least(learnt):
    n = 20_000
    key_data, key_noise = jax.random.split(jax.random.key(1))
    data = SMOOTH.sample(key_data, n)
    noise = jax.random.normal(key_noise, (n, 1))
    for t in TIMES:
        alpha_bar = schedule("cosine", t).item()
        alpha, sigma = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
        x = alpha * data + sigma * noise
        exact = theory.score(SMOOTH, x, alpha, sigma)
        excess = jnp.mean((sigma * (diffusion.score(learnt, x, jnp.float32(t), CONFIG) - exact)) ** 2)
        assert excess < 0.01
        rows = diffusion.losses(
            learnt.eval_params, data, noise, jnp.full((n, 1), t), CONFIG.replace(weighting="simple")
        )
        least = (noise + sigma * exact)[:, 0] ** 2
        difference = np.asarray(rows - least)  # in the mean, the learnt score's squared error: Vincent 2011
        np.testing.assert_allclose(difference.mean(), excess, atol=5 * difference.std() / math.sqrt(n))


def test_likelihood_is_the_push_forward_of_the_learnt_flow(learnt):
    """The flow map by an adaptive solver on a grid of noise, and the density from its numerical derivative."""
    z = np.linspace(-3.5, 3.5, 3001)
    field = jax.jit(lambda x, t: diffusion.velocity(learnt, x[:, None], t, CONFIG)[:, 0])
    solution = integrate.solve_ivp(
        lambda t, x: field(jnp.float32(x), jnp.float32(t)), (1, _samplers.MIN_TIME), z, rtol=1e-5, atol=1e-6
    )
    x = solution.y[:, -1]
    wanted = stats.norm.logpdf(z) - np.log(np.gradient(x, z))
    got = jax.jit(diffusion.log_prob)(learnt, jnp.float32(x)[:, None], CONFIG)
    np.testing.assert_allclose(got[1:-1], wanted[1:-1], atol=0.02)


def test_sample_path_runs_from_the_noise_to_the_samples(learnt):
    config = CONFIG.replace(sampler="ddim", num_sampling_steps=5)
    key = jax.random.key(4)
    way = diffusion.sample_path(key, learnt, 300, config)
    assert way.shape == (6, 300, 1)
    np.testing.assert_array_equal(way[-1], diffusion.sample(jax.random.clone(key), learnt, 300, config))
    close_within_errors(np.asarray(way[0]), 0.0, 1.0)


@pytest.mark.parametrize("prediction", diffusion.PREDICTIONS)
def test_predictions_train_and_sample_in_two_dimensions(prediction):
    config = config_of(prediction=prediction, weighting="min_snr", dim=2, num_sampling_steps=3, sampler="langevin")

    @jax.jit
    def run(key):
        keys = jax.random.split(key, 4)
        batch = jax.random.normal(keys[0], (16, 2))
        state, info = diffusion.step(keys[1], diffusion.init(keys[2], config), batch, config)
        return info, diffusion.sample(keys[3], state, 4, config)

    info, draws = run(jax.random.key(0))
    assert info["loss"] > 0
    assert np.isfinite(info["grad_norm"])
    assert np.isfinite(draws).all()


def test_what_is_not_allowed_is_named():
    with pytest.raises(ValueError, match=r"eta=-0\.1: must be at least 0"):
        core.validate(diffusion.Config(eta=-0.1))
    with pytest.raises(ValueError, match="did you mean 'ancestral'"):
        core.validate(diffusion.Config(sampler="ancestrl"))
