"""The exact optima of jgen1d.theory, against scipy's quadrature, logistic regression and automatic differentiation."""

import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit

from jgen1d import targets
from jgen1d.evaluation import theory
from jgen1d.maths import densities, losses, paths, quadrature
from jgen1d.maths.losses import LOG_2

P, Q = (1.0, 0.5), (0.2, 1.3)  # mean and standard deviation of the data and of the generator
GRID = np.linspace(-14, 14, 8001)

js, kl = jax.jit(theory.js), jax.jit(theory.kl)


def log_normal(x, mean, std):
    return -0.5 * ((x - mean) / std) ** 2 - jnp.log(std) - 0.5 * math.log(2 * math.pi)


def on_grid(distribution):
    return stats.norm.logpdf(GRID, *distribution)


def by_quadrature(integrand, low=-14.0, high=14.0):
    return integrate.quad(integrand, low, high, points=[P[0], Q[0]], limit=400, epsabs=1e-12, epsrel=1e-12)[0]


# --- the optimal discriminator ------------------------------------------------------------------------------------


def test_optimal_logit_and_discriminator_where_a_density_is_zero():
    log_p = jnp.array([0.5, -jnp.inf, 0.5, -jnp.inf, -1000.0])
    log_q = jnp.array([0.5, 0.5, -jnp.inf, -jnp.inf, -1001.0])
    np.testing.assert_array_equal(theory.optimal_logit(log_p, log_q), [0.0, -np.inf, np.inf, 0.0, 1.0])
    discriminator = theory.optimal_discriminator(log_p, log_q)
    np.testing.assert_allclose(discriminator, [0.5, 0.0, 1.0, 0.5, expit(1.0)], rtol=1e-6)


def test_optimal_logit_where_both_densities_are_zero_has_a_finite_gradient():
    gradient = jax.grad(lambda log_p: theory.optimal_logit(log_p, -jnp.inf))(-jnp.inf)
    assert gradient == 0.0


def test_optimal_discriminator_is_the_share_of_the_data():
    x = np.linspace(-3, 3, 101).astype(np.float32)
    p, q = stats.norm.pdf(x.astype(float), *P), stats.norm.pdf(x.astype(float), *Q)
    discriminator = theory.optimal_discriminator(log_normal(x, *P), log_normal(x, *Q))
    np.testing.assert_allclose(discriminator, p / (p + q), rtol=1e-5)


@pytest.mark.parametrize(("p", "q"), [(P, Q), (Q, P), (P, P), ((4.0, 0.01), (-3.0, 20.0))])
def test_gaussian_logit_is_the_difference_of_the_log_densities(p, q):
    x = np.linspace(-6, 6, 101)
    with jax.enable_x64(True):
        logit = jax.jit(theory.gaussian_logit)(x, *p, *q)
    np.testing.assert_allclose(logit, stats.norm.logpdf(x, *p) - stats.norm.logpdf(x, *q), rtol=1e-10, atol=1e-10)


def logistic_regression(features, is_real):
    """The maximum-likelihood coefficients by Newton's method, and their information matrix."""
    coefficients = np.zeros(features.shape[1])
    for _ in range(25):
        probability = expit(features @ coefficients)
        information = features.T @ (features * (probability * (1 - probability))[:, None])
        step = np.linalg.solve(information, features.T @ (is_real - probability))
        coefficients += step
        if np.abs(step).max() < 1e-10:
            return coefficients, information
    raise AssertionError("Newton's method did not converge")


def test_logistic_regression_recovers_the_gaussian_logit_at_rate_one_over_root_n():
    below, centre, above = (float(theory.gaussian_logit(x, *P, *Q)) for x in (-1.0, 0.0, 1.0))
    exact = np.array([centre, (above - below) / 2, (above + below) / 2 - centre])
    rng, num_fits, rms = np.random.default_rng(0), 100, {}
    for n in (500, 8000):
        errors, z_scores = [], []
        for _ in range(num_fits):
            x = np.concatenate([rng.normal(*P, n), rng.normal(*Q, n)])
            fit, information = logistic_regression(np.stack([x**0, x, x**2], axis=1), np.repeat([1.0, 0.0], n))
            errors.append(fit - exact)
            z_scores.append(errors[-1] / np.sqrt(np.diag(np.linalg.inv(information))))
        rms[n] = np.sqrt(np.mean(np.square(errors), axis=0))
        # k = 4.5 standard errors for the worst of 300; their mean square is 1 ± 4 √(2/100).
        assert np.abs(z_scores).max() < 4.5
        np.testing.assert_allclose(np.mean(np.square(z_scores), axis=0), 1.0, atol=4 * math.sqrt(2 / num_fits))
    # √(8000/500) = 4; the log of a ratio of two RMS errors of 100 fits has standard error √(1/100).
    np.testing.assert_allclose(np.log(rms[500] / rms[8000]), math.log(4), atol=4 * math.sqrt(1 / num_fits))


# --- divergences and the game -------------------------------------------------------------------------------------


def js_by_quadrature(p, q):
    def integrand(x):
        density_p, density_q = stats.norm.pdf(x, *p), stats.norm.pdf(x, *q)
        middle = (density_p + density_q) / 2
        terms = (d * math.log(d / middle) if d > 0 else 0.0 for d in (density_p, density_q))
        return 0.5 * sum(terms)

    return by_quadrature(integrand)


@pytest.mark.parametrize(("p", "q"), [(P, Q), ((0.0, 1.0), (0.1, 1.0)), ((-3.0, 0.5), (3.0, 0.5))])
def test_js_of_normals(p, q):
    value = js(on_grid(p), on_grid(q), GRID)
    np.testing.assert_allclose(value, js_by_quadrature(p, q), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("p", "q"), [(P, Q), (Q, P), ((0.0, 1.0), (0.1, 1.0))])
def test_kl_of_normals(p, q):
    closed_form = math.log(q[1] / p[1]) + (p[1] ** 2 + (p[0] - q[0]) ** 2) / (2 * q[1] ** 2) - 0.5
    by_quad = by_quadrature(lambda x: stats.norm.pdf(x, *p) * (stats.norm.logpdf(x, *p) - stats.norm.logpdf(x, *q)))
    value = kl(on_grid(p), on_grid(q), GRID)
    np.testing.assert_allclose(closed_form, by_quad, rtol=1e-9)
    np.testing.assert_allclose(value, closed_form, rtol=1e-4, atol=1e-6)


def test_divergences_of_equal_distributions_are_zero():
    log_p = on_grid(P)
    assert js(log_p, log_p, GRID) == pytest.approx(0.0, abs=1e-6)
    assert kl(log_p, log_p, GRID) == 0.0


def test_divergences_of_uniform_distributions():
    def uniform(low, high):
        return stats.uniform(low, high - low).logpdf(GRID)

    base, shifted, apart, inside = uniform(0, 2), uniform(1, 3), uniform(2.5, 4.5), uniform(0.5, 1.5)
    trapezoid = 2 * (GRID[1] - GRID[0])  # half a cell times the jump of the integrand, at each of its up to 4 jumps
    assert js(base, shifted, GRID) == pytest.approx(LOG_2 / 2, abs=trapezoid)  # half of each lies under the other
    assert js(base, apart, GRID) == pytest.approx(LOG_2, abs=trapezoid)
    assert kl(inside, base, GRID) == pytest.approx(LOG_2, abs=trapezoid)
    assert kl(base, shifted, GRID) == np.inf


def test_divergences_have_finite_gradients_where_densities_are_zero():
    log_p = stats.uniform(-1, 2).logpdf(GRID)
    for divergence in (theory.js, theory.kl):
        gradient = jax.jit(jax.grad(lambda mean, d=divergence: d(log_p, log_normal(GRID, mean, 1.0), GRID)))(0.5)
        assert np.isfinite(gradient)
        assert gradient > 0


def test_divergences_are_vmappable():
    log_p, log_q = on_grid(P), np.stack([on_grid((mean, 1.0)) for mean in (0.0, 0.5, 2.0)])
    for divergence in (js, kl):
        together = jax.jit(jax.vmap(divergence, in_axes=(None, 0, None)))(log_p, log_q, GRID)
        alone = [divergence(log_p, row, GRID) for row in log_q]
        np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_loss_of_the_optimal_discriminator_by_quadrature():
    def integrand(x):
        p, q = stats.norm.pdf(x, *P), stats.norm.pdf(x, *Q)
        discriminator = float(expit(stats.norm.logpdf(x, *P) - stats.norm.logpdf(x, *Q)))
        return -sum(d * math.log(s) for d, s in ((p, discriminator), (q, 1 - discriminator)) if d > 0)

    loss = by_quadrature(integrand)
    divergence = js(on_grid(P), on_grid(Q), GRID)
    np.testing.assert_allclose(theory.discriminator_loss(divergence), loss, rtol=1e-5)
    np.testing.assert_allclose(theory.discriminator_loss(divergence, half=True), loss / 2, rtol=1e-5)
    np.testing.assert_allclose(theory.game_value(divergence), -loss, rtol=1e-5)


def test_library_losses_at_the_optimal_logit():
    # 20,000 equally likely quantiles stand for each distribution: the mean over them errs by about log n / n = 5e-4.
    u = ((np.arange(20_000) + 0.5) / 20_000)[:, None]
    logits = [
        stats.norm.logpdf(x, *P) - stats.norm.logpdf(x, *Q)
        for x in (stats.norm.ppf(u, *distribution) for distribution in (P, Q))
    ]
    divergence = js_by_quadrature(P, Q)
    assert jax.jit(losses.log_loss_d)(*logits) == pytest.approx(2 * LOG_2 - 2 * divergence, abs=1e-3)
    assert jax.jit(losses.half_log_loss_d)(*logits) == pytest.approx(LOG_2 - divergence, abs=1e-3)


def test_equilibrium():
    @jax.jit
    def values(log_p):
        logits = theory.optimal_logit(log_p, log_p)
        losses_d = losses.log_loss_d(logits, logits), losses.half_log_loss_d(logits, logits)
        return *losses_d, losses.non_saturating_loss_g(logits), losses.saturating_loss_g(logits)

    log_4, log_2 = math.log(4), math.log(2)
    np.testing.assert_allclose(values(on_grid(P)), [log_4, log_2, log_2, -log_2], rtol=1e-6)
    game = theory.discriminator_loss(0.0), theory.discriminator_loss(0.0, half=True), theory.game_value(0.0)
    np.testing.assert_allclose(game, [log_4, log_2, -log_4], rtol=1e-6)
    np.testing.assert_allclose(theory.game_value(LOG_2), 0.0, atol=1e-6)


# --- the generator's gradient -------------------------------------------------------------------------------------

GENERATOR_GRID = np.linspace(-20, 24, 10_001)
PLACES = {  # a target, and a location-scale generator that has not reached it
    "normal": (targets.normal(1.0, 0.5), {"mean": 0.3, "std": 1.2}),
    "mixture": (targets.get("mixture"), {"mean": 3.0, "std": 2.5}),
}


def location_scale(params, z):
    return params["mean"] + params["std"] * z


def frozen_optimal_logit(target, params):
    def logit(x):
        return theory.optimal_logit(target.log_prob(x)[:, None], log_normal(x, params["mean"], params["std"]))

    return logit


@pytest.mark.parametrize("place", PLACES)
def test_generator_gradients_are_gradients_of_divergences(place):
    target, params = PLACES[place]
    params = jax.tree.map(jnp.asarray, params)

    def divergences(params):
        log_p = target.log_prob(GENERATOR_GRID[:, None])
        log_q = log_normal(GENERATOR_GRID, params["mean"], params["std"])
        two_js = 2 * theory.js(log_p, log_q, GENERATOR_GRID)
        return {"saturating": two_js, "non_saturating": theory.kl(log_q, log_p, GENERATOR_GRID) - two_js}

    @jax.jit
    def both(params):
        logit = frozen_optimal_logit(target, params)
        generators = {name: losses.GENERATOR[name].loss for name in ("saturating", "non_saturating")}
        return jax.jacrev(divergences)(params), {
            name: theory.generator_gradient(location_scale, params, logit, loss) for name, loss in generators.items()
        }

    expected, found = both(params)
    for name, gradient in expected.items():
        size = max(abs(float(value)) for value in gradient.values())
        for field, value in gradient.items():
            np.testing.assert_allclose(found[name][field], value, rtol=1e-4, atol=1e-4 * size)


def test_generator_gradient_of_a_quadratic_loss_in_closed_form():
    # ½·E(G − 1)² = ½·((mean − 1)² + std²)
    params = {"mean": jnp.float32(3.0), "std": jnp.float32(0.7)}
    gradient = jax.jit(partial(theory.generator_gradient, location_scale, logit=lambda x: x), static_argnames="loss")
    gradient = gradient(params, loss=losses.least_squares_loss_g)
    np.testing.assert_allclose([gradient["mean"], gradient["std"]], [2.0, 0.7], rtol=1e-5)


def test_generator_gradient_of_an_elementwise_loss_and_of_its_mean_agree():
    target, params = PLACES["normal"]
    logit = frozen_optimal_logit(target, params)
    params = jax.tree.map(jnp.asarray, params)
    gradient = jax.jit(partial(theory.generator_gradient, location_scale, logit=logit), static_argnames="loss")
    of_mean = gradient(params, loss=losses.non_saturating_loss_g)
    elementwise = gradient(params, loss=lambda logit: jax.nn.softplus(-logit))
    assert of_mean == elementwise


def test_generator_gradient_vanishes_at_the_target_and_nowhere_near_it():
    target = targets.normal(1.0, 0.5)
    for loss in (losses.saturating_loss_g, losses.non_saturating_loss_g):

        @jax.jit
        def gradient(params, loss=loss):
            return theory.generator_gradient(location_scale, params, frozen_optimal_logit(target, params), loss)

        for mean, is_optimal in ((1.0, True), (0.9, False)):
            values = gradient({"mean": jnp.float32(mean), "std": jnp.float32(0.5)}).values()
            assert (max(abs(float(value)) for value in values) < 1e-4) is is_optimal


def test_generator_gradient_is_vmappable():
    target = PLACES["normal"][0]
    lanes = {"mean": jnp.array([1.0, 4.0]), "std": jnp.array([0.5, 2.0])}

    def gradient(params):
        logit = frozen_optimal_logit(target, params)
        return theory.generator_gradient(location_scale, params, logit, losses.non_saturating_loss_g)

    together, gradient = jax.jit(jax.vmap(gradient))(lanes), jax.jit(gradient)
    for lane in range(2):
        alone = gradient(jax.tree.map(lambda leaf, lane=lane: leaf[lane], lanes))
        for field in lanes:
            np.testing.assert_allclose(together[field][lane], alone[field], rtol=1e-4, atol=1e-5)


# --- the optimal generator ----------------------------------------------------------------------------------------

CDFS = {
    "normal": stats.norm(4.0, 0.5).cdf,
    "uniform": stats.uniform(2.0, 4.0).cdf,
    "exponential": stats.expon(scale=2.0).cdf,
    "two_normals": lambda x: 0.25 * stats.norm(-5.0, 1.0).cdf(x) + 0.75 * stats.norm(2.0, 1.0).cdf(x),
    "bimodal": lambda x: 0.5 * stats.norm(2.0, 0.4).cdf(x) + 0.5 * stats.norm(6.0, 0.4).cdf(x),
}


optimal_generator = jax.jit(theory.optimal_generator, static_argnums=2)


@pytest.mark.parametrize("name", CDFS)
def test_optimal_generator_turns_normal_latents_into_the_target(name):
    latents = jnp.concatenate([jax.random.normal(jax.random.key(0), (20_000, 1)), jnp.array([[-40.0], [40.0]])])
    samples = optimal_generator(dataclasses.replace(targets.get(name), name=""), latents)  # one program per family
    assert samples.shape == latents.shape
    assert np.isfinite(samples).all()  # the two extreme latents' too
    assert stats.kstest(np.asarray(samples[:-2, 0], float), CDFS[name]).pvalue > 1e-3
    assert (np.diff(np.asarray(samples[:, 0])[np.argsort(latents[:, 0])]) >= 0).all()


def test_optimal_generator_of_uniform_latents_is_the_quantile_function():
    target, u = targets.get("exponential"), jnp.linspace(0.1, 0.9, 9)
    np.testing.assert_array_equal(theory.optimal_generator(target, u, "uniform"), target.quantile(u))


def test_optimal_generator_of_a_normal_is_affine():
    z = jnp.linspace(-4, 4, 101)
    np.testing.assert_allclose(optimal_generator(targets.normal(4.0, 0.5), z), 4.0 + 0.5 * z, rtol=1e-3)
    with jax.enable_x64(True):
        z = jnp.linspace(-4, 4, 101)
        np.testing.assert_allclose(optimal_generator(targets.normal(4.0, 0.5), z), 4.0 + 0.5 * z, rtol=1e-10)


def test_optimal_generator_of_an_empirical_target_gives_each_value_its_share():
    samples = optimal_generator(targets.empirical([3.0, 1.0, 2.0]), stats.norm.ppf((np.arange(9) + 0.5) / 9))
    np.testing.assert_array_equal(samples, np.repeat([1.0, 2.0, 3.0], 3))


def test_optimal_generator_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"latent: 'norml'; did you mean 'normal'\? \(there are: normal, uniform\)"):
        theory.optimal_generator(targets.normal(), jnp.zeros(3), "norml")
    with pytest.raises(ValueError, match="'ring'"):
        theory.optimal_generator(targets.get("ring"), jnp.zeros(3))


@pytest.mark.parametrize(("dm", "ds"), [(1.5, 0.5), (0.3, 1.2)])
def test_kantorovich_potential_attains_the_wasserstein_distance_of_normals(dm, ds):
    x = np.linspace(-30, 30, 60_001)
    p, q = stats.norm(dm, 1 + ds), stats.norm(0, 1)
    potential = np.asarray(theory.kantorovich_potential(x, p.cdf(x), q.cdf(x)), np.float64)
    assert np.abs(np.diff(potential) / np.diff(x)).max() <= 1 + 1e-2  # but for rounding
    attained = np.trapezoid(potential * (p.pdf(x) - q.pdf(x)), x)
    exact = ds * np.sqrt(2 / np.pi) * np.exp(-(dm**2) / (2 * ds**2)) + dm * (1 - 2 * stats.norm.cdf(-dm / ds))
    np.testing.assert_allclose(attained, exact, rtol=1e-3)


# --- quadrature -----------------------------------------------------------------------------------------------------


def test_midpoints_integrate_lines_exactly():
    u = np.asarray(quadrature.midpoints(8), float)
    np.testing.assert_allclose(u, np.arange(1, 16, 2) / 16, rtol=1e-6)
    assert np.mean(3 * u + 1) == pytest.approx(2.5)


def test_graded_nodes_integrate_what_is_narrow_at_the_middle_and_broad_outside():
    nodes, widths = (np.asarray(values, float) for values in quadrature.graded_nodes(512, 0.75, 8.0))
    np.testing.assert_allclose(nodes[[0, -1]], [-8, 8], rtol=1e-5)
    for mean, std in ((0.0, 0.02), (1.4, 0.02), (0.0, 1.2)):
        np.testing.assert_allclose(stats.norm.pdf(nodes, mean, std) @ widths, 1, atol=1e-4)
    # As narrow as the ring's modes, at the energy's scale: each of two axes may be off by half of 0.2 %.
    for mean in np.linspace(0, 1, 41):
        np.testing.assert_allclose(stats.norm.pdf(nodes, mean, 0.014 / 1.5) @ widths, 1, atol=1e-3)


def test_normal_nodes_give_the_moments_of_the_standard_normal():
    nodes, weights = (np.asarray(values, float) for values in quadrature.normal_nodes(129))
    moments = [weights @ nodes**n for n in range(7)]
    np.testing.assert_allclose(moments, [stats.norm.moment(n) for n in range(7)], rtol=1e-5, atol=1e-5)


# --- shapes ---------------------------------------------------------------------------------------------------------

ROW, COLUMN = jnp.full(3, 0.5), jnp.full((3, 1), 0.5)
BIMODAL, LINEAR = targets.get("bimodal"), paths.FLOWS["linear"]
WRONG_SHAPES = {
    "optimal_logit": (lambda: theory.optimal_logit(ROW, COLUMN), "log_p and log_q"),
    "optimal_discriminator": (lambda: theory.optimal_discriminator(ROW, COLUMN), "log_p and log_q"),
    "js": (lambda: theory.js(COLUMN, COLUMN, ROW), "js: log_p and log_q"),
    "kl": (lambda: theory.kl(ROW, ROW, COLUMN), "kl: log_p and log_q"),
    "kantorovich_potential": (lambda: theory.kantorovich_potential(ROW, ROW, ROW[:1]), "x, cdf_p and cdf_q"),
    "denoise of a row": (lambda: theory.denoise(BIMODAL, ROW, 1.0, 0.5), r"denoise: x \[n, dim\]"),
    "denoise in the wrong dimension": (lambda: theory.denoise(BIMODAL, jnp.ones((3, 2)), 1.0, 0.5), "denoise: x"),
    "score at a row of noises": (lambda: theory.score(BIMODAL, COLUMN, 1.0, ROW), r"score: sigma \[\] or \[n, 1\]"),
    "velocity at a row of times": (lambda: theory.velocity(BIMODAL, COLUMN, LINEAR, ROW), "velocity: t"),
    "transport at a row of times": (lambda: theory.transport_velocity(BIMODAL, COLUMN, ROW), "transport_velocity: t"),
    "noised_quantile": (lambda: theory.noised_quantile(BIMODAL, COLUMN, 1.0, 0.5), r"noised_quantile: u \[n\]"),
    "generator_gradient": (
        lambda: theory.generator_gradient(lambda mu, z: z + mu[None], jnp.zeros(2), lambda x: x, jnp.mean, num_nodes=9),
        "generator_gradient",
    ),
    "standard_normal_log_prob": (lambda: densities.standard_normal_log_prob(ROW), r"x \[n, dim\]"),
    "normal_log_prob": (
        lambda: densities.normal_log_prob(COLUMN, jnp.zeros((4, 2)), jnp.tile(jnp.eye(2)[None], (4, 1, 1))),
        r"x \[n, dim\]",
    ),
    "normal_log_prob with one covariance": (
        lambda: densities.normal_log_prob(COLUMN, jnp.zeros((4, 1)), jnp.ones((1, 1, 1))),
        r"\[k, dim, dim\]",
    ),
    "mixture_log_prob": (lambda: densities.mixture_log_prob(jnp.zeros(1), jnp.zeros((4, 3))), r"components \[k, n\]"),
    "sample_normal": (
        lambda: densities.sample_normal(jax.random.key(0), jnp.zeros((5, 2)), jnp.tile(jnp.eye(2), (3, 1, 1))),
        "factors",
    ),
    "sample_index": (lambda: densities.sample_index(jax.random.key(0), COLUMN, 4), r"weights \[k\]"),
}


@pytest.mark.parametrize("mistake", WRONG_SHAPES)
def test_shapes_that_would_broadcast_are_refused_in_one_line(mistake):
    compute, message = WRONG_SHAPES[mistake]
    for call in (compute, jax.jit(compute)):
        with pytest.raises(AssertionError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
