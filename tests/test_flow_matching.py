"""Flow matching and its paths against closed forms, and what a trained flow does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from scipy import optimize, stats

import jgen1d
from jgen1d import core, nets, targets
from jgen1d.evaluation import theory
from jgen1d.maths import integrate, paths
from jgen1d.methods import _denoiser
from jgen1d.methods import flow_matching as fm

MEAN, STD = 1.5, 0.4
GAUSSIAN = targets.normal(MEAN, STD)
SMALL = fm.Config(widths=(8,), num_frequencies=2, num_integration_steps=8)
init, step, log_prob, transport, velocity, path_energy = map(
    jax.jit, (fm.init, fm.step, fm.log_prob, fm.transport, fm.velocity, fm.path_energy)
)


def column(*values):
    return jnp.array(values, float)[:, None]


@pytest.fixture(scope="module")
def trained():
    """A small flow that has seen the bimodal target for a short while."""
    config = fm.Config(widths=(32,), num_frequencies=3, num_integration_steps=25, ema_decay=0.9)
    return jgen1d.fit(jax.random.key(0), fm.METHOD, jgen1d.TARGETS["bimodal"], config, num_steps=400, eval_every=400)


# --- paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [paths.FLOWS, paths.SCHEDULES])
def test_paths_run_between_noise_and_data_and_know_their_rates(table):
    ends = [0.0, 1.0] if table is paths.SCHEDULES else [1.0, 0.0]
    for name, path in table.items():
        data, noise = (path.rates(end) for end in ends)
        np.testing.assert_allclose([data[0], data[1]], [1, 0], atol=2e-3, err_msg=name)
        np.testing.assert_allclose([noise[0], noise[1]], [0, 1], atol=7e-3, err_msg=name)
        t, h = np.array([0.2, 0.5, 0.8], np.float32), 1e-2
        for value, rate in zip((path.alpha, path.sigma), path.rates(t)[2:], strict=True):
            np.testing.assert_allclose(rate, (value(t + h) - value(t - h)) / (2 * h), rtol=5e-3, err_msg=name)


def test_variance_preserving_paths_keep_the_variance():
    t = jnp.linspace(0.01, 0.99, 9)
    for path in (*paths.SCHEDULES.values(), paths.FLOWS["variance_preserving"]):
        np.testing.assert_allclose(path.alpha(t) ** 2 + path.sigma(t) ** 2, 1, rtol=1e-5)


def test_schedules_are_the_papers():
    t = 0.3
    beta_integral = scipy.integrate.quad(lambda s: 0.1 + s * (20 - 0.1), 0, t)[0]  # Song et al. 2021, equation 32
    np.testing.assert_allclose(paths.SCHEDULES["linear"].alpha(jnp.array(t)), np.exp(-beta_integral / 2), rtol=1e-5)
    cosine = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(paths.SCHEDULES["cosine"].alpha(jnp.array(t)) ** 2, cosine, rtol=2e-3)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_integrators_have_their_order(name, order):
    """dy/dt = y·cos t, whose solution is exp(sin t)."""
    errors = []
    for steps in (20, 40):
        end, way = integrate.solve(lambda y, t: y * jnp.cos(t), jnp.ones(()), jnp.linspace(0, 2, steps + 1), name)
        np.testing.assert_array_equal(way[-1], end)
        assert len(way) == steps
        errors.append(abs(float(end) - np.exp(np.sin(2))))
    assert 0.75 < np.log2(errors[0] / errors[1]) / order < 1.35


def test_divergence_is_exact():
    x = jax.random.normal(jax.random.key(0), (5, 2))
    value, divergence = integrate.divergence(lambda x: jnp.stack([x[:, 0] * x[:, 1], jnp.sin(x[:, 1])], axis=1), x)
    np.testing.assert_allclose(value[:, 0], x[:, 0] * x[:, 1], rtol=1e-6)
    np.testing.assert_allclose(divergence, x[:, 1] + jnp.cos(x[:, 1]), rtol=1e-5)


def test_log_prob_by_flow_of_a_linear_field_is_a_normal():
    """dx/dt = x carries N(0, 1) to N(0, e²)."""
    x = column(-3.0, 0.5, 4.0)
    found = integrate.log_prob_by_flow(lambda x, t: x, x, jnp.linspace(1, 0, 101))
    np.testing.assert_allclose(found, stats.norm(0, np.e).logpdf(x[:, 0]), atol=1e-3)


# --- exact velocities -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.0, 0.3, 0.9])
def test_exact_velocity_of_a_normal_is_the_closed_form(t):
    """KNOWN_ANSWERS 7 and 8."""
    x = np.linspace(-2, 3, 7)[:, None]
    variance = (1 - t) ** 2 + t**2 * STD**2
    independent = MEAN + (t * STD**2 - (1 - t)) / variance * (x - t * MEAN)
    found = theory.velocity(GAUSSIAN, jnp.array(x, jnp.float32), paths.FLOWS["linear"], t)
    np.testing.assert_allclose(found, independent, rtol=1e-4, atol=1e-4)
    if t > 0:  # at 0 the noise itself is x, and far out where float32 has no quantiles
        transport = MEAN + (STD - 1) / (1 - t + t * STD) * (x - t * MEAN)
        found = theory.transport_velocity(GAUSSIAN, jnp.array(x, jnp.float32), t)
        inside = np.abs((x - t * MEAN) / (1 - t + t * STD)) < 4
        np.testing.assert_allclose(np.asarray(found)[inside], transport[inside], atol=2e-3)


def test_exact_velocity_carries_noise_to_the_target():
    bimodal = jgen1d.TARGETS["bimodal"]
    noise = stats.norm.ppf((np.arange(400) + 0.5) / 400)[:, None]

    def field(x, t):
        return theory.velocity(bimodal, x, paths.FLOWS["linear"], t, shift=bimodal.mean, scale=bimodal.std)

    end, _ = integrate.solve(field, jnp.array(noise, jnp.float32), jnp.linspace(0, 0.9999, 200))
    exact = (np.asarray(bimodal.quantile(stats.norm.cdf(noise))) - bimodal.mean) / bimodal.std
    np.testing.assert_allclose(end[5:-5], exact[5:-5], atol=0.02)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_noised_quantiles_of_a_mixture_are_those_of_the_noised_mixture(sigma):
    bimodal, alpha, u = jgen1d.TARGETS["bimodal"], 0.8, np.array([0.01, 0.3, 0.5, 0.9], np.float32)
    noised = targets.mixture([0.5, 0.5], alpha * np.array([2.0, 6.0]), np.hypot(alpha * 0.4, sigma))
    found = theory.noised_quantile(bimodal, jnp.array(u), alpha, sigma)
    np.testing.assert_allclose(found, noised.quantile(u), atol=3e-3)


# --- the method -----------------------------------------------------------------------------------------------------


def test_no_loss_is_below_the_irreducible_one():
    """KNOWN_ANSWERS 7: π·s/2 for data from N(μ, s²), met by the exact field, which the initial skip is for s = 1."""
    config = SMALL.replace(learning_rate=0.0, time_power=1.0)
    state = init(jax.random.key(0), config)
    zero = state._replace(params=jax.tree.map(jnp.zeros_like, state.params))
    data = jax.random.normal(jax.random.key(1), (200_000, 1))
    _, info = step(jax.random.key(2), zero, data, config)
    np.testing.assert_allclose(info["loss"], np.pi / 2, rtol=0.01)
    _, info = step(jax.random.key(2), zero, data, config.replace(coupling="transport"))
    assert info["loss"] > 0.5  # the skip is the field of independent pairs, and transport's pairs have another


@pytest.mark.parametrize("dim", [1, 2])
def test_coupling_is_optimal_transport(dim):
    keys = jax.random.split(jax.random.key(0), 3)
    noise, data = jax.random.normal(keys[0], (128, dim)), 2 + jax.random.normal(keys[1], (128, dim))
    config = SMALL.replace(dim=dim, coupling="transport", num_sinkhorn=200)
    paired, kept = fm.couple(keys[2], noise, data, config)
    np.testing.assert_array_equal(kept, data)
    cost = np.sum((np.asarray(data)[:, None] - np.asarray(noise)[None]) ** 2, axis=2)
    best = cost[optimize.linear_sum_assignment(cost)].mean()
    found = np.mean(np.sum((np.asarray(paired) - np.asarray(data)) ** 2, axis=1))
    np.testing.assert_allclose(found, best, rtol=1e-5 if dim == 1 else 0.1)
    assert cost.mean() > 1.3 * best


def test_likelihood_agrees_with_the_learnt_flow_map(trained):
    """The density of what the flow makes of N(0, 1): φ(z)·dz/dx, with the flow map's own numerical derivative."""
    fine = trained.config.replace(num_integration_steps=400)
    z = jnp.linspace(-3, 3, 3001)[:, None]
    x = np.asarray(transport(trained.state, z, fine)[0], np.float64)[:, 0]
    z = np.asarray(z, np.float64)[:, 0]
    middle = slice(1, -1)
    log_density = stats.norm.logpdf(z[middle]) - np.log((x[2:] - x[:-2]) / (z[2:] - z[:-2]))
    found = np.asarray(log_prob(trained.state, jnp.array(x[middle, None], jnp.float32), trained.config))
    assert np.mean(np.abs(found - log_density)) < 0.02


def test_training_approaches_the_exact_velocity(trained):
    target, start = trained.target, init(jax.random.key(3), trained.config)
    x, t = jnp.linspace(-1.5, 1.5, 31)[:, None], jnp.full((31, 1), 0.5)
    exact = theory.velocity(target, x, paths.FLOWS["linear"], t, shift=target.mean, scale=target.std)
    errors = [
        float(jnp.sqrt(jnp.mean((velocity(state, x, t, trained.config) - exact) ** 2)))
        for state in (trained.state, start)
    ]
    assert errors[0] < 0.4 * errors[1]


def test_path_energy_is_at_least_the_squared_wasserstein_distance(trained):
    """Benamou & Brenier 2000; the flow of the skip alone, for data N(0, 1), moves nothing in the end."""
    noise = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)[:, None]
    noise = jnp.array(noise, jnp.float32)
    end = transport(trained.state, noise, trained.config)[0]
    squared_distance = float(jnp.mean((jnp.sort(end, axis=0) - noise) ** 2))
    assert float(path_energy(trained.state, noise, trained.config)) > squared_distance > 0


def test_reflow_straightens_the_paths(trained):
    config = trained.config
    noise = jax.random.normal(jax.random.key(5), (500, 1))

    def error_of_one_step(state):
        curved, _ = transport(state, noise, config)
        return float(jnp.mean((transport(state, noise, config.replace(num_integration_steps=1))[0] - curved) ** 2))

    def reflow(state, key):
        return fm.reflow_step(key, state, trained.state, 128, config.replace(integrator="euler"))

    start = init(jax.random.key(1), config.replace(num_steps=300))
    student, _ = jax.jit(lambda s, keys: jax.lax.scan(reflow, s, keys))(start, jax.random.split(jax.random.key(6), 300))
    assert error_of_one_step(student) < 0.5 * error_of_one_step(trained.state)
    ends = [transport(state, noise, config)[0] for state in (student, trained.state)]
    assert float(jnp.mean(jnp.abs(ends[0] - ends[1]))) < 0.2


def test_variance_preserving_path_trains():
    config = core.bind(SMALL.replace(path="variance_preserving"), dim=1, num_steps=5)
    state = init(jax.random.key(0), config)
    _, info = step(jax.random.key(1), state, jax.random.normal(jax.random.key(2), (64, 1)), config)
    assert np.isfinite(float(info["loss"]))


# --- what it shares with diffusion ------------------------------------------------------------------------------------


def test_fourier_features_are_what_the_noise_leaves_of_them():
    """Each is the mean, over the noise, of the sine or cosine of the data plus noise: here by Gauss–Hermite nodes."""
    inputs = nets.Net(lambda key: {}, lambda params, x: x)
    config = fm.Config(network=inputs, fourier_features=4, num_frequencies=1)
    x, noise = np.array([[-1.3], [0.2], [0.9]]), np.array([[0.0], [0.4], [1.1]])
    seen = _denoiser.predict({}, jnp.float32(x), jnp.float32(noise), jnp.full((3, 1), 0.25), config, None)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    blurred = x + noise * nodes
    mean = [wave(f * blurred) @ weights / weights.sum() for f in (1, 2, 4, 8) for wave in (np.sin, np.cos)]
    np.testing.assert_allclose(seen[:, 0], x[:, 0])
    np.testing.assert_allclose(seen[:, 1:9], np.stack(mean, axis=1), atol=1e-5)
    np.testing.assert_allclose(seen[:, 9:], [[0, 1]] * 3, atol=1e-6)  # cosine and sine of π·√t


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_training_times_are_powers_of_uniform_ones(power):
    t = np.asarray(_denoiser.times(jax.random.key(0), 4_000, fm.Config(time_power=power)))[:, 0]
    assert stats.kstest(t, lambda t: t ** (1 / power)).statistic < 1 / 4_000 + 1e-5  # one in each cell


def test_integration_steps_are_even_in_the_root_of_the_time_that_is_left():
    times = np.asarray(fm.METHOD.trajectory.times(fm.Config(num_integration_steps=10)))
    np.testing.assert_allclose(np.sqrt(1 - times), np.linspace(1, 0, 11), atol=1e-6)
    np.testing.assert_allclose(
        fm.METHOD.trajectory.times(fm.Config(num_integration_steps=10, spacing="time")),
        np.linspace(0, 1, 11),
        atol=1e-6,
    )


def test_steps_that_are_closer_towards_the_data_resolve_narrow_modes():
    """The exact velocity of the grid's 25 modes, integrated by Heun's method: KL by quadratic and by even steps."""
    target = jgen1d.TARGETS["grid"]
    x = target.sample(jax.random.key(0), 500)
    standard = (x - target.mean[None]) / target.std[None]
    path = paths.FLOWS["linear"]

    def kl(spacing):
        times = fm.METHOD.trajectory.times(fm.Config(spacing=spacing)).at[-1].set(1 - 1e-3)  # the velocity at 1 is 0/0

        def field(x, t):
            return theory.velocity(target, x, path, t, shift=target.mean, scale=target.std)

        found = integrate.log_prob_by_flow(field, standard, times[::-1]) - jnp.sum(jnp.log(target.std))
        return jnp.mean(target.log_prob(x) - found)

    quadratic, even = abs(jax.jit(kl, static_argnums=0)("quadratic")), abs(jax.jit(kl, static_argnums=0)("time"))
    assert quadratic < 0.03 < even
