"""Flows against autodiff, quadrature, SciPy and flowjax; maximum likelihood against closed forms."""

import functools

import flowjax.bijections
import jax
import jax.numpy as jnp
import numpy as np
import paramax
import pytest
import scipy.stats

import jgen1d
from jgen1d.maths import bijections
from jgen1d.methods import normalizing_flow as nf

INTERVAL, BINS = 3.0, 5
MAPS = {name: make(BINS, INTERVAL) for name, make in bijections.BIJECTIONS.items()}
SMALL = nf.Config(num_bins=BINS, num_bins_coupling=4, num_couplings=2, widths=(8,), num_steps=300)


def random_params(bijection, rows, scale=0.8):
    return scale * jax.random.normal(jax.random.key(3), (bijection.num_params, 2, rows))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", MAPS)
def test_maps_have_their_inverse_and_their_derivative(name, shared):
    bijection, n = MAPS[name], 200
    params = random_params(bijection, 1 if shared else n)
    if shared:
        x = jnp.stack([jnp.linspace(-8, 8, n), jnp.linspace(-2, 30, n)])
    else:
        x = 3 * jax.random.normal(jax.random.key(4), (2, n))
    y, log_slope = jax.jit(bijection.forward)(params, x)
    error = jax.jit(bijection.inverse)(params, y) - x
    # Where the map is flat, the rounding of y is magnified by 1/slope.
    np.testing.assert_allclose(error * np.minimum(np.exp(log_slope), 1) / (1 + np.abs(x)), 0, atol=1e-5)
    _, slope = jax.jit(lambda x: jax.jvp(lambda x: bijection.forward(params, x)[0], (x,), (jnp.ones_like(x),)))(x)
    np.testing.assert_allclose(log_slope, np.log(slope), atol=1e-4)
    if shared:
        assert (np.diff(y, axis=1) > 0).all()


def test_tails_of_a_spline_are_straight_and_meet_it():
    bijection, edge = MAPS["spline"], INTERVAL
    params = random_params(bijection, 1).at[:2].set(0)
    x = jnp.broadcast_to(jnp.asarray([-3, -2, -1.001, -0.999, 0.999, 1.001, 2, 3])[None] * edge, (2, 8))
    y, log_slope = jax.jit(bijection.forward)(params, x)
    for side in (slice(0, 3), slice(5, 8)):
        np.testing.assert_allclose(
            np.diff(y[:, side]) / np.diff(x[:, side]), np.exp(log_slope[:, side][:, :2]), rtol=1e-3
        )
        np.testing.assert_allclose(np.ptp(log_slope[:, side], axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(log_slope[:, [2, 5]], log_slope[:, [3, 4]], atol=0.05)  # the slope is continuous
    np.testing.assert_allclose(y[:, [2, 5]], np.broadcast_to([-edge, edge], (2, 2)), atol=0.1)


def free_params(knots_x, knots_y, slopes, interval):
    """Unbounded parameters, f[3·bins + 1], of a spline with these knots, in float64: what `spline_knots` undoes."""
    widths, heights = np.diff(np.float64(knots_x)), np.diff(np.float64(knots_y))
    shares = np.concatenate([widths, heights]) / (2 * interval)
    logits = np.log((shares - bijections.LEAST_BIN) / (1 - bijections.LEAST_BIN * len(widths)))
    mean = np.sqrt((heights / widths)[:-1] * (heights / widths)[1:])
    relative = np.log(slopes / np.concatenate([[heights[0] / widths[0]], mean, [heights[-1] / widths[-1]]]))
    return np.concatenate([logits, bijections.STEEPEST * np.arctanh(relative / bijections.STEEPEST)])


def flowjax_spline(knots=4):
    return flowjax.bijections.RationalQuadraticSpline(knots=knots, interval=INTERVAL)


def test_spline_agrees_with_flowjax():
    knots_x = np.asarray([-3, -1.7, -0.2, 0.1, 1.9, 3])
    knots_y = np.asarray([-3, -2.9, -1.0, 1.2, 1.5, 3])
    slopes = np.asarray([1, 0.3, 4.0, 2.0, 0.7, 1])  # flowjax's tails are the identity

    def replace(module, **changes):
        for name, value in changes.items():
            object.__setattr__(module, name, jnp.asarray(value, jnp.float32))
        return module

    theirs = replace(paramax.unwrap(flowjax_spline()), x_pos=knots_x, y_pos=knots_y, derivatives=slopes)
    params = np.concatenate([[0, 0], free_params(knots_x, knots_y, slopes, INTERVAL)])[:, None, None]
    x = jnp.linspace(-4.01, 4.02, 201)
    bijection, params = bijections.spline(5, INTERVAL), jnp.asarray(params, jnp.float32)
    y, log_slope = jax.jit(bijection.forward)(params, x[None])
    expected, expected_log_slope = jax.jit(jax.vmap(theirs.transform_and_log_det))(x)
    np.testing.assert_allclose(y[0], expected, atol=1e-4)
    np.testing.assert_allclose(log_slope[0], expected_log_slope, atol=1e-4)
    expected, _ = jax.jit(jax.vmap(theirs.inverse_and_log_det))(x)
    np.testing.assert_allclose(jax.jit(bijection.inverse)(params, x[None])[0], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["affine", "spline"])
def test_couplings_agree_with_flowjax(name):
    transformer = flowjax.bijections.Affine() if name == "affine" else flowjax_spline()
    theirs = flowjax.bijections.Coupling(
        jax.random.key(2), transformer=transformer, untransformed_dim=1, dim=3, nn_width=8, nn_depth=1
    )
    x = jax.random.uniform(jax.random.key(1), (3, 64), minval=-2.9, maxval=2.9)

    @jax.jit
    @jax.vmap
    def bounded_params(held):
        maps = paramax.unwrap(theirs._flat_params_to_transformer(theirs.conditioner(held))).bijection
        return (maps.loc, maps.scale) if name == "affine" else (maps.x_pos, maps.y_pos, maps.derivatives)

    def conditioner(held):
        """flowjax's network and its bounds of the parameters, in this project's parameters."""
        values = [np.asarray(value, np.float64) for value in bounded_params(held.T)]
        params = np.empty((2 if name == "affine" else 18, 2, len(values[0])))
        for row, dim in np.ndindex(len(values[0]), 2):
            one = [value[row, dim] for value in values]
            if name == "affine":
                params[:, dim, row] = one[0], bijections.STEEPEST * np.arctanh(np.log(one[1]) / bijections.STEEPEST)
            else:
                params[:, dim, row] = np.concatenate([[0, 0], free_params(*one, INTERVAL)])
        return jnp.asarray(params, jnp.float32)

    bijection = MAPS["affine"] if name == "affine" else bijections.spline(5, INTERVAL)
    y, log_det = bijections.couple(lambda held, moved: bijection.forward(conditioner(held), moved), x, first=True)
    expected, expected_log_det = jax.jit(jax.vmap(theirs.transform_and_log_det))(x.T)
    np.testing.assert_allclose(y, expected.T, atol=1e-4)
    np.testing.assert_allclose(log_det, expected_log_det, atol=1e-4)
    back = bijections.uncouple(lambda held, moved: bijection.inverse(conditioner(held), moved), y, first=True)
    np.testing.assert_allclose(back, x, atol=1e-4)


def test_one_dimension_with_logistics_is_a_mixture_of_logistics():
    config = SMALL.replace(transform="logistics", num_bins=3, interval=2.0)
    values = np.random.default_rng(0).normal(size=(3, 3))
    state = nf.init(jax.random.key(0), config)
    params = jnp.concatenate([jnp.zeros(2), jnp.asarray(values, jnp.float32).ravel()])[:, None, None]
    state = state._replace(ema_params=[params])
    weights = np.exp(values[0]) / np.exp(values[0]).sum()
    # The components' standard deviation is 1/√K at the start.
    scales = np.sqrt(3) / np.pi / np.sqrt(3) * np.exp(6 * np.tanh(values[2] / 6))
    x = np.linspace(-6, 6, 101)
    density = weights @ scipy.stats.logistic.pdf(
        x, np.asarray([[-2 / 3], [0], [2 / 3]]) + values[1][:, None], scales[:, None]
    )
    log_prob = jax.jit(nf.log_prob)(state, jnp.asarray(x[:, None], jnp.float32), config)
    np.testing.assert_allclose(log_prob, np.log(density), atol=1e-4)


@functools.cache
def start(config, seed=0):
    """A state far from the identity."""
    state = jax.jit(nf.init)(jax.random.key(seed), config)
    # The networks' weights, which are matrices, are large enough.
    return state._replace(ema_params=jax.tree.map(lambda leaf: leaf * (4 if leaf.ndim == 3 else 1), state.params))


@pytest.mark.parametrize("base", nf.BASES)
@pytest.mark.parametrize("transform", bijections.BIJECTIONS)
def test_density_integrates_to_one_and_belongs_to_the_samples(transform, base):
    config = SMALL.replace(transform=transform, base=base)
    x = jnp.linspace(-40, 40, 40_001)
    density = np.exp(jax.jit(nf.log_prob)(start(config), x[:, None], config))
    np.testing.assert_allclose(np.trapezoid(density, x), 1, atol=1e-3)
    samples = jax.jit(nf.sample, static_argnums=2)(jax.random.key(5), start(config), 4_000, config)[:, 0]
    cdf = np.cumsum(density) * float(x[1] - x[0])
    assert scipy.stats.kstest(samples, lambda at: np.interp(at, x, cdf)).pvalue > 1e-3


@pytest.mark.parametrize(("coupling", "base"), [("affine", "normal"), ("logistics", "normal"), ("spline", "logistic")])
def test_flow_in_two_dimensions_is_a_density_with_its_inverse(coupling, base):
    config = SMALL.replace(dim=2, coupling=coupling, base=base)
    state, points = start(config), 2 * jax.random.normal(jax.random.key(1), (40, 2))
    noise, log_det = jax.jit(nf.forward)(state, points, config)
    assert np.abs(noise - points).mean() > 0.1
    np.testing.assert_allclose(jax.jit(nf.inverse)(state, noise, config), points, atol=1e-3)
    jacobian = jax.jit(jax.vmap(jax.jacfwd(lambda x: nf.forward(state, x[None], config)[0][0])))(points)
    sign, expected = np.linalg.slogdet(jacobian)
    np.testing.assert_array_equal(sign, 1)
    np.testing.assert_allclose(log_det, expected, atol=1e-3)
    axis = jnp.linspace(-20, 20, 401)
    grid = jnp.stack([g.ravel() for g in jnp.meshgrid(axis, axis)], axis=1)
    density = np.exp(jax.jit(nf.log_prob)(state, grid, config))
    np.testing.assert_allclose(density.sum() * float(axis[1] - axis[0]) ** 2, 1, atol=5e-3)


def test_couplings_hold_either_half_in_turn():
    config = SMALL.replace(dim=3, transform="affine")
    state, x = start(config), jax.random.normal(jax.random.key(1), (1, 3))
    jacobian = jax.jit(jax.jacfwd(lambda x: nf.forward(state, x[None], config)[0][0]))(x[0])
    # The first dimension alone is held first: the other two follow it, and then it follows them.
    assert (np.abs(jacobian[0]) > 1e-6).all()
    np.testing.assert_allclose([jacobian[1, 2], jacobian[2, 1]], 0, atol=1e-6)


def train(config, batch_of, num_steps):
    def one(state, number):
        return nf.step(jax.random.key(0), state, batch_of(jax.random.fold_in(jax.random.key(1), number)), config)

    return jax.jit(lambda state: jax.lax.scan(one, state, jnp.arange(num_steps)))(nf.init(jax.random.key(0), config))


def test_affine_flow_with_a_normal_base_fits_mean_and_deviation():
    config = nf.Config(transform="affine", base="normal", learning_rate=0.05, num_steps=400, ema_decay=None)
    batch = 0.4 + 1.7 * jax.random.normal(jax.random.key(0), (64, 1))
    state, info = train(config, lambda key: batch, 400)
    data = np.asarray(batch, np.float64)
    np.testing.assert_allclose(info["loss"][-1], 0.5 * np.log(2 * np.pi * np.e * data.var()), atol=1e-4)
    noise, log_det = jax.jit(nf.forward)(state, batch, config)
    np.testing.assert_allclose(noise, (data - data.mean()) / data.std(), atol=1e-3)
    np.testing.assert_allclose(log_det, -np.log(data.std()), atol=1e-3)


ENTROPIES = {"uniform": np.log(4), "exponential": 1 - np.log(0.5)}


@pytest.mark.parametrize("name", ENTROPIES)
@pytest.mark.parametrize("transform", ["logistics", "spline"])
def test_likelihood_comes_near_the_entropy_and_stays_on_its_side(transform, name):
    target = jgen1d.TARGETS[name]
    shift, scale = target.mean.item(), target.std.item()
    config = nf.Config(transform=transform, num_bins=16, num_steps=300, learning_rate=0.03, ema_decay=0.98)
    state, info = train(config, lambda key: (target.sample(key, 128) - shift) / scale, 300)
    u = (np.arange(20_000) + 0.5) / 20_000
    x = (target.quantile(jnp.asarray(u, jnp.float32)) - shift) / scale
    cross_entropy = -np.mean(np.float64(jax.jit(nf.log_prob)(state, x[:, None], config))) + np.log(scale)
    assert ENTROPIES[name] - 1e-4 < cross_entropy < ENTROPIES[name] + 0.1
    assert np.isfinite(info["grad_norm"]).all()


def test_loss_is_the_mean_negative_log_likelihood():
    state, batch = jax.jit(nf.init)(jax.random.key(0), SMALL), jax.random.normal(jax.random.key(1), (16, 1))
    _, info = jax.jit(nf.step)(jax.random.key(2), state, batch, SMALL)
    np.testing.assert_allclose(info["loss"], -np.mean(jax.jit(nf.log_prob)(state, batch, SMALL)), rtol=1e-5)
