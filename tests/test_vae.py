"""The VAE against closed forms of linear-Gaussian models and quadrature over latents; the autoencoder against PCA."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jgen1d.methods import _adam, _prior, autoencoder, vae
from jgen1d.targets import mixture

ELBO = vae.Config(
    objective="elbo", latent_dim=1, num_latents=1, prior_components=0, beta_warmup=0.0, max_grad_norm=None,
    learning_rate=1e-2, ema_decay=None,
)  # fmt: skip
LINEAR = ELBO.replace(widths=(), decoder_variance="fixed")
DRAWS = 20_000
log_prob = jax.jit(vae.log_prob)
bound_of = jax.jit(vae.importance_weighted_bound, static_argnums=3)
vae_step, autoencoder_step = jax.jit(vae.step), jax.jit(autoencoder.step)


def softplus_inverse(std):
    """The network's output that makes the encoder's standard deviation `std`."""
    return np.log(np.expm1(std * np.log(2)))


def linear_state(w, b, slope, intercept, std, config):
    """The model x = wz + b + τ·noise with encoder N(slope·x + intercept, std²), all latents and dimensions alike."""
    values = {"encoder_mean": (slope, intercept), "encoder_std": (0.0, softplus_inverse(std)), "decoder": (w, b)}
    params = {
        name: {"params": {"kernel_out": jnp.full((1, 1), kernel), "bias_out": jnp.full((1, 1), bias)}}
        for name, (kernel, bias) in values.items()
    }
    return _adam.start(params, config)


def test_linear_vae_learns_the_known_slope_and_collapses_exactly_when_the_noise_explains_the_data():
    # β in front of the KL term acts as a factor of τ²: divide the loss by β.
    tau, beta = np.array([0.5, 0.5, 0.8, 0.8, 1.2]), np.array([1.0, 2.0, 1.0, 2.0, 1.0])
    batch = stats.norm.ppf((np.arange(512) + 0.5) / 512)[:, None]
    expected = np.maximum(batch.var() - beta * tau**2, 0)
    base = LINEAR.replace(num_steps=2_000, learning_rate=0.05)

    def run(tau, beta):
        config = base.replace(decoder_std=tau, beta=beta)
        state = vae.init(jax.random.key(0), config)
        keys = jax.random.split(jax.random.key(1), config.num_steps)
        return jax.lax.scan(lambda state, key: vae.step(key, state, jnp.asarray(batch), config), state, keys)

    state, info = jax.device_get(jax.jit(jax.vmap(run))(tau, beta))
    slope = state.params["decoder"]["params"]["kernel_out"][:, 0, 0]
    np.testing.assert_allclose(slope**2, expected, atol=0.02)
    np.testing.assert_array_equal(info["active_units"][:, -1], expected > 0)
    collapsed = expected == 0
    assert collapsed.sum() == 2
    np.testing.assert_allclose(info["kl_latent"][collapsed, -1], 0, atol=1e-3)
    # An exact encoder has KL ½·log(1 + w²/τ²) on average over the data, at β = 1.
    plain = ~collapsed & (beta == 1)
    np.testing.assert_allclose(
        info["kl_latent"][plain, -1], 0.5 * np.log1p(expected[plain] / tau[plain] ** 2), atol=0.02
    )


def test_with_the_exact_encoder_every_bound_is_the_likelihood():
    w, b, tau = 0.8, 0.3, 0.4
    config = LINEAR.replace(decoder_std=tau)
    total = w**2 + tau**2
    state = linear_state(w, b, w / total, -b * w / total, tau / np.sqrt(total), config)
    x = np.linspace(-3, 3, 31)[:, None]
    truth = stats.norm.logpdf(x[:, 0], b, np.sqrt(total))
    for count in (1, 5):  # all importance weights are equal
        bound = bound_of(jax.random.key(count), state, jnp.asarray(x), count, config)
        np.testing.assert_allclose(bound, truth, atol=1e-4)
    np.testing.assert_allclose(log_prob(state, jnp.asarray(x), config), truth, atol=1e-3)
    draws = np.asarray(vae.sample(jax.random.key(1), state, DRAWS, config))[:, 0]
    assert stats.kstest(draws, stats.norm(b, np.sqrt(total)).cdf).pvalue > 1e-3


@functools.cache
def poor_encoder():
    """A model whose encoder is wrong, a point, copies of it, and its likelihood, ELBO and KL by NumPy."""
    w, b, tau, slope, intercept, std, x = 0.8, 0.3, 0.4, 0.7, 0.1, 0.6, 1.1
    config = LINEAR.replace(decoder_std=tau)
    state = linear_state(w, b, slope, intercept, std, config)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = slope * x + intercept + std * nodes
    weights = weights / weights.sum()
    kl = weights @ (stats.norm.logpdf(z, slope * x + intercept, std) - stats.norm.logpdf(z))
    elbo = weights @ stats.norm.logpdf(x, w * z + b, tau) - kl
    return config, state, jnp.full((DRAWS, 1), x), stats.norm.logpdf(x, b, np.hypot(w, tau)), elbo, kl


def test_elbo_is_the_quadrature_of_its_terms_and_below_the_likelihood():
    config, state, x, truth, elbo, kl = poor_encoder()
    draws = np.asarray(vae.elbo(jax.random.key(0), state, x, config))
    error = draws.std() / np.sqrt(len(draws))
    np.testing.assert_allclose(draws.mean(), elbo, atol=4 * error)
    assert elbo + 10 * error < truth
    _, info = vae_step(jax.random.key(1), state, x, config)
    np.testing.assert_allclose(info["kl_latent"], kl, rtol=1e-5)
    np.testing.assert_allclose(info["reconstruction"], -elbo - kl, atol=4 * error)
    np.testing.assert_allclose(info["loss"], info["reconstruction"] + info["kl_latent"], rtol=1e-6)
    assert info["active_units"] == 0  # one point: the posterior means do not vary


def test_more_importance_samples_tighten_the_bound():
    config, state, x, truth, elbo, _ = poor_encoder()
    draws = [np.asarray(bound_of(jax.random.key(k), state, x[:5_000], k, config)) for k in (1, 4, 32)]
    means, errors = [d.mean() for d in draws], [d.std() / np.sqrt(len(d)) for d in draws]
    np.testing.assert_allclose(means[0], elbo, atol=4 * errors[0])
    assert means[0] + 5 * errors[1] < means[1]
    assert means[1] + 5 * errors[2] < means[2]
    assert means[2] < truth + 4 * errors[2]
    np.testing.assert_allclose(means[2], truth, atol=0.05)


def test_training_bound_with_spread_latents_is_tighter_than_with_independent_ones():
    config, state, x, truth, _, _ = poor_encoder()
    independent = np.asarray(bound_of(jax.random.key(4), state, x, 4, config))
    error = independent.std() / np.sqrt(len(independent))
    _, info = vae_step(jax.random.key(0), state, x, config.replace(objective="iwae", num_latents=4))
    assert independent.mean() + 5 * error < -info["loss"] < truth + error
    _, single = vae_step(jax.random.key(0), state, x, config.replace(objective="iwae", num_latents=1))
    _, info = vae_step(jax.random.key(0), state, x, config)
    # One latent: the ELBO, with its KL term by sampling.
    np.testing.assert_allclose(single["loss"], info["loss"], atol=0.03)


def test_each_spread_latent_follows_the_prior():
    config = vae.Config(latent_dim=3, num_latents=5, prior_components=0)
    noise = np.asarray(vae._spread_noise(jax.random.key(0), 4_000, config)).reshape(5, 4_000, 3)
    for column in np.moveaxis(noise, 1, 2).reshape(15, 4_000):
        assert stats.kstest(column, stats.norm.cdf).pvalue > 1e-4
    assert not np.allclose(noise[0, :, 0], noise[0, :, 1])
    # Sorted along the first axis, a row's points lie in different fifths.
    uniform = np.sort(stats.norm.cdf(noise[:, :, 0]), axis=0)
    np.testing.assert_allclose(np.diff(uniform, axis=0), 0.2, atol=1e-4)


def test_log_prob_forgives_a_poor_encoder():
    config, state, _, truth, _, _ = poor_encoder()
    np.testing.assert_allclose(log_prob(state, jnp.full((1, 1), 1.1), config), [truth], atol=1e-3)


WEIGHTS, CENTERS, SCALES = np.array([0.2, 0.5, 0.3]), np.array([-2.0, 0.5, 3.0]), np.array([0.3, 0.6, 1.1])
PRIOR = {"logits": np.log(WEIGHTS) + 2, "mean": CENTERS[None], "log_std": np.log(SCALES)[None]}


def test_a_mixture_as_prior_is_drawn_and_integrated_over_as_one_from_scipy():
    exact = mixture(WEIGHTS, CENTERS, SCALES)
    z = np.linspace(-4, 6, 50)
    density = stats.norm.pdf(z[:, None], CENTERS, SCALES) @ WEIGHTS
    np.testing.assert_allclose(_prior.log_prob(PRIOR, jnp.asarray(z)[:, None]), np.log(density), rtol=1e-4, atol=1e-4)
    draws = np.asarray(_prior.sample(jax.random.key(0), jax.tree.map(jnp.asarray, PRIOR), DRAWS, 1))
    assert stats.kstest(draws[:, 0], lambda z: stats.norm.cdf(z[:, None], CENTERS, SCALES) @ WEIGHTS).pvalue > 1e-3
    points, log_shares = _prior.quadrature(jax.tree.map(jnp.asarray, PRIOR), 4_096, 1)
    shares = np.exp(log_shares)
    np.testing.assert_allclose(shares.sum(), 1, rtol=1e-5)
    mean = shares @ points[:, 0]
    np.testing.assert_allclose(mean, exact.mean[0], atol=0.01)
    np.testing.assert_allclose(np.sqrt(shares @ (points[:, 0] - mean) ** 2), exact.std[0], rtol=0.01)


def test_a_new_mixture_is_about_standard_normal():
    z = np.asarray(_prior.sample(jax.random.key(0), _prior.init(64, 2), DRAWS, 2))
    np.testing.assert_allclose(z.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(z.T), np.eye(2) * (1 + 0.4**2), atol=0.1)


def test_a_linear_decoder_of_a_mixture_makes_a_mixture():
    w, b, tau = 0.8, 0.3, 0.4
    config = LINEAR.replace(decoder_std=tau, prior_components=3, num_importance=1_000)
    state = linear_state(w, b, 0.9, -0.2, 0.5, config)
    state = state._replace(params=state.params | {"prior": jax.tree.map(jnp.asarray, PRIOR)})
    x = np.linspace(-2.5, 3.5, 31)
    center, scale = w * CENTERS + b, np.sqrt((w * SCALES) ** 2 + tau**2)
    truth = np.log(stats.norm.pdf(x[:, None], center, scale) @ WEIGHTS)
    np.testing.assert_allclose(log_prob(state, jnp.asarray(x)[:, None], config), truth, atol=2e-3)
    draws = np.asarray(vae.sample(jax.random.key(1), state, DRAWS, config))[:, 0]
    assert stats.kstest(draws, lambda x: stats.norm.cdf(x[:, None], center, scale) @ WEIGHTS).pvalue > 1e-3
    ones = jnp.ones((DRAWS, 1))
    bounds = vae.elbo(jax.random.key(2), state, ones, config), bound_of(jax.random.key(3), state, ones, 32, config)
    bounds = [np.asarray(bound) for bound in bounds]
    means, errors = [v.mean() for v in bounds], [v.std() / np.sqrt(DRAWS) for v in bounds]
    exact = np.log(stats.norm.pdf(1.0, center, scale) @ WEIGHTS)
    assert means[0] + 5 * errors[0] < means[1] < exact + 4 * errors[1]
    np.testing.assert_allclose(means[1], exact, atol=0.05)


def test_a_mixture_of_one_standard_normal_is_the_fixed_prior():
    config, state, x, _, elbo, kl = poor_encoder()
    prior = {"logits": jnp.zeros(1), "mean": jnp.zeros((1, 1)), "log_std": jnp.zeros((1, 1))}
    state = _adam.start(state.params | {"prior": prior}, config)
    _, info = vae_step(jax.random.key(1), state, x, config.replace(prior_components=1))
    np.testing.assert_allclose(info["kl_latent"], kl, atol=0.02)  # by sampling
    np.testing.assert_allclose(info["loss"], -elbo, atol=0.03)


@pytest.mark.parametrize(("latent_dim", "count", "tolerance"), [(1, 64, 1e-3), (2, 2_000, 2e-2)])
def test_log_prob_of_a_network_is_the_integral_over_latents(latent_dim, count, tolerance):
    config = vae.Config(widths=(8,), latent_dim=latent_dim, prior_components=0, decoder_std=0.5, num_importance=count)
    state = jax.jit(vae.init)(jax.random.key(3), config)
    x = np.linspace(-1.5, 1.5, 25)
    axis = np.linspace(-7, 7, 4_001 if latent_dim == 1 else 301)
    z = np.stack([a.ravel() for a in np.meshgrid(*[axis] * latent_dim, indexing="ij")], axis=1)
    mean, std = (np.float64(v) for v in jax.jit(vae.decode)(state, jnp.asarray(z, dtype=jnp.float32), config))
    prior = np.prod(stats.norm.pdf(z), axis=1) * (axis[1] - axis[0]) ** latent_dim
    truth = np.log([prior @ stats.norm.pdf(value, mean[:, 0], std[:, 0]) for value in x])
    np.testing.assert_allclose(log_prob(state, jnp.asarray(x)[:, None], config), truth, atol=tolerance)


def test_global_variance_and_slope_share_the_variance_of_the_data():
    # With as many latents as dimensions w² + τ² is the variance; how it is shared does not matter to the ELBO.
    config = ELBO.replace(widths=(), decoder_variance="global", num_steps=2_000, learning_rate=0.05)
    batch = 0.7 * stats.norm.ppf((np.arange(512) + 0.5) / 512)[:, None]

    def run(key):
        state = vae.init(key, config)
        keys = jax.random.split(jax.random.key(1), config.num_steps)
        return jax.lax.scan(lambda state, key: vae.step(key, state, jnp.asarray(batch), config), state, keys)[0]

    state = jax.jit(run)(jax.random.key(0))
    _, std = vae.decode(state, jnp.zeros((1, 1)), config)
    slope = state.params["decoder"]["params"]["kernel_out"][0, 0]
    np.testing.assert_allclose(slope**2 + std[0, 0] ** 2, batch.var(), rtol=0.03)


def test_beta_rises_over_its_warmup():
    config = LINEAR.replace(num_steps=10, beta=2.0, beta_warmup=0.5)
    state = jax.jit(vae.init)(jax.random.key(0), config)
    for number, beta in [(0, 0.4), (3, 1.6), (4, 2.0), (9, 2.0)]:
        at = state._replace(step=jnp.full((), number))
        _, info = vae_step(jax.random.key(1), at, jnp.ones((8, 1)), config)
        np.testing.assert_allclose(info["loss"], info["reconstruction"] + beta * info["kl_latent"], rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"decoder_variance": "fixed", "dim": 2, "objective": "elbo", "num_latents": 2},
        {"decoder_variance": "global", "latent_dim": 2, "num_latents": 1, "beta_warmup": 0.5},
        {"decoder_variance": "network", "dim": 2, "latent_dim": 3, "prior_components": 0},
    ],
    ids=lambda options: options["decoder_variance"],
)
def test_options_train_and_keep_finite(options):
    config = vae.Config(widths=(8,), prior_components=4, num_steps=10, num_importance=8).replace(**options)

    def run(key):
        key_init, key_train, key_sample = jax.random.split(key, 3)
        batch = jax.random.normal(key, (64, config.dim))
        state, info = jax.lax.scan(
            lambda state, key: vae.step(key, state, batch, config),
            vae.init(key_init, config), jax.random.split(key_train, 5),
        )  # fmt: skip
        far = jnp.full((3, config.dim), 1e4)
        return info, vae.sample(key_sample, state, 5, config), vae.log_prob(state, far, config)

    with jax.debug_key_reuse(False):
        info, samples, far = jax.device_get(jax.jit(run)(jax.random.key(1)))
    assert all(np.isfinite(values).all() for values in info.values())
    assert samples.shape == (5, config.dim)
    assert np.isfinite(samples).all()
    assert not np.isnan(far).any()
    assert (far < -20).all()
    assert info["active_units"].max() <= config.latent_dim


def test_autoencoder_is_the_deterministic_limit_of_a_vae_without_kl():
    config = LINEAR.replace(decoder_std=0.3, beta=0.0)
    state = linear_state(0.8, 0.3, 0.7, 0.1, 1e-30, config)
    x = jax.random.normal(jax.random.key(0), (64, 1))
    _, info = vae_step(jax.random.key(1), state, x, config)
    plain = autoencoder.Config(widths=(), ema_decay=None)
    params = {"encoder": state.params["encoder_mean"], "decoder": state.params["decoder"]}
    start = jax.jit(autoencoder.init)(jax.random.key(2), plain)
    start = start._replace(descent=start.descent._replace(params=params))
    _, deterministic = autoencoder_step(jax.random.key(3), start, x, plain)
    constant = 0.5 * np.log(2 * np.pi * 0.3**2)
    np.testing.assert_allclose(info["loss"], deterministic["loss"] / (2 * 0.3**2) + constant, rtol=1e-4)


def test_linear_autoencoder_finds_the_first_principal_component():
    # Baldi & Hornik 1989: what is left is the variance along the other components.
    x = np.random.default_rng(0).normal(size=(512, 2)) @ np.array([[1.0, 0.5], [0.0, 0.6]])
    x -= x.mean(0)
    config = autoencoder.Config(widths=(), dim=2, num_steps=500, learning_rate=0.03, ema_decay=None)

    def run(key):
        keys = jax.random.split(jax.random.key(1), config.num_steps)
        return jax.lax.scan(
            lambda state, key: autoencoder.step(key, state, jnp.asarray(x, dtype=jnp.float32), config),
            autoencoder.init(key, config), keys,
        )  # fmt: skip

    state, info = jax.jit(run)(jax.random.key(0))
    values, vectors = np.linalg.eigh(np.cov(x.T, ddof=0))
    np.testing.assert_allclose(info["loss"][-1], values[0], rtol=1e-3)
    # So the samples follow the normal law of the data's projection.
    draws = np.asarray(autoencoder.sample(jax.random.key(2), state, DRAWS, config))
    along, across = draws @ vectors[:, 1], draws @ vectors[:, 0]
    np.testing.assert_allclose(across.std(), 0, atol=0.01)
    np.testing.assert_allclose(along.var(), values[1], rtol=5 * np.sqrt(2 / DRAWS) + 0.01)


def test_autoencoder_keeps_running_moments_of_the_codes():
    config = autoencoder.Config(widths=(), dim=2, latent_dim=2, learning_rate=0.0, latent_decay=0.6)
    state = jax.jit(autoencoder.init)(jax.random.key(0), config)
    first = second = 0.0
    for number, scale in enumerate([1.0, 3.0, 0.5, 2.0]):
        batch = scale * (1 + jax.random.normal(jax.random.key(number), (16, 2)))
        state, _ = autoencoder_step(jax.random.key(9), state, batch, config)
        codes = np.float64(autoencoder.encode(state, batch, config))
        rate = max(0.4, 1 / (number + 1))
        first = (1 - rate) * first + rate * codes.mean(0)
        second = (1 - rate) * second + rate * codes.T @ codes / len(codes)
    np.testing.assert_allclose(state.mean, first, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state.covariance, second - np.outer(first, first), rtol=1e-4, atol=1e-4)
