"""The networks against plain loops, numpy.linalg and the laws that their parameters are drawn from."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgen1d import nets

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
}
# The standard deviations of weights and of biases, and the kurtosis of the weights' law, as functions of the fan-in.
INITIALIZERS = {
    "he_normal": (lambda fan_in: math.sqrt(2 / fan_in), lambda fan_in: 0.0),
    "default": (lambda fan_in: math.sqrt(1 / (3 * fan_in)), lambda fan_in: math.sqrt(1 / (3 * fan_in))),
}
IN, WIDTHS, OUT = 3, (7, 5), 2


@functools.cache
def network(widths=WIDTHS, **options):
    """A network, its functions compiled."""
    net = nets.mlp(IN, OUT, widths, **options)
    return nets.Net(net.init, jax.jit(net.apply))


def parameters(seed, widths=WIDTHS):
    """Parameters of the right shapes, none of them zero."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(network(widths).init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), dtype=float), shapes)


def layers(params):
    """(weights [in, out], biases [out]) of each layer, as float64 NumPy arrays."""
    named = params["params"]
    assert len(named) % 2 == 0
    return [
        (np.asarray(named[f"kernel_{i}"], np.float64), np.asarray(named[f"bias_{i}"], np.float64)[:, 0])
        for i in range(len(named) // 2)
    ]


def forward(params, x, activation):
    """One row, one unit at a time."""
    outputs = []
    for row in np.asarray(x, np.float64):
        values = list(row)
        for i, (kernel, bias) in enumerate(layers(params)):
            if i:
                values = [float(ACTIVATIONS[activation](value)) for value in values]
            values = [
                sum(value * weight for value, weight in zip(values, column, strict=True)) + b
                for column, b in zip(kernel.T, bias, strict=True)
            ]
        outputs.append(values)
    return np.array(outputs)


def rows(num_rows, seed=0):
    return np.random.default_rng(seed).normal(size=(num_rows, IN)).astype(np.float32)


# --- the network --------------------------------------------------------------------------------------------------


def test_every_activation_has_its_formula_here():
    assert nets.ACTIVATIONS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_activations(name):
    x = np.linspace(-4, 4, 81).astype(np.float32)
    expected = ACTIVATIONS[name](x.astype(float))
    np.testing.assert_allclose(nets.ACTIVATIONS[name](jnp.asarray(x)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_forward_pass_by_plain_loops(activation):
    params, x = parameters(1), rows(6)
    out = network(activation=activation).apply(params, x)
    np.testing.assert_allclose(out, forward(params, x, activation), rtol=1e-5, atol=1e-5)


def test_default_activation_is_leaky_relu():
    out = network().apply(parameters(1), rows(6))
    np.testing.assert_array_equal(out, network(activation="leaky_relu").apply(parameters(1), rows(6)))


@pytest.mark.parametrize("widths", [(), (1,), (7, 5), (4, 4, 4, 4)])
def test_parameter_count(widths):
    sizes = (IN, *widths, OUT)
    expected = sum(fan_in * fan_out + fan_out for fan_in, fan_out in itertools.pairwise(sizes))
    shapes = jax.eval_shape(nets.mlp(IN, OUT, widths).init, jax.random.key(0))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == expected
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("num_rows", [1, 2, 6, 50])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_rows_in_rows_out(num_rows, spectral_norm):
    net = network(spectral_norm=spectral_norm)
    params = jax.eval_shape(net.init, jax.random.key(0))
    out = jax.eval_shape(net.apply, params, jax.ShapeDtypeStruct((num_rows, IN), jnp.float32))
    assert (out.shape, out.dtype) == ((num_rows, OUT), jnp.float32)


def test_rows_do_not_see_each_other():
    net, params, x = network(), parameters(2), rows(6)
    together = net.apply(params, x)
    np.testing.assert_allclose(together[::-1], net.apply(params, x[::-1]), rtol=1e-5, atol=1e-6)
    x[3] = 1e3
    np.testing.assert_allclose(np.delete(net.apply(params, x), 3, 0), np.delete(together, 3, 0), rtol=1e-5, atol=1e-6)


def test_no_hidden_layer_is_an_affine_map():
    params = parameters(3, widths=())
    ((kernel, bias),) = layers(params)
    np.testing.assert_allclose(network(()).apply(params, rows(6)), rows(6) @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_rows_of_another_width_are_refused():
    with pytest.raises(Exception, match="shape"):
        network().apply(parameters(0), np.zeros((6, IN + 1), np.float32))


def test_vmapped_networks_are_those_of_each_parameter_set():
    each = [parameters(seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    together = jax.jit(jax.vmap(network().apply, in_axes=(0, None)))(stacked, rows(6))
    for out, params in zip(together, each, strict=True):
        np.testing.assert_allclose(out, network().apply(params, rows(6)), rtol=1e-5, atol=1e-5)


# --- the initial parameters ---------------------------------------------------------------------------------------


@functools.cache
def drawn(name):
    return layers(jax.jit(nets.mlp(40, 50, (300, 120), initializer=name).init)(jax.random.key(5)))


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initial_weights_have_mean_zero_and_their_standard_deviation(name):
    weight_std, bias_std = INITIALIZERS[name]
    for (kernel, bias), fan_in, fan_out in zip(drawn(name), (40, 300, 120), (300, 120, 50), strict=True):
        assert (kernel.shape, bias.shape) == ((fan_in, fan_out), (fan_out,))
        for values, std in [(kernel, weight_std(fan_in)), (bias, bias_std(fan_in))]:
            if not std:
                np.testing.assert_array_equal(values, 0)
                continue
            assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
            # No law here has heavier tails than the normal, whose sample std has an error of σ/√2n.
            assert values.std() == pytest.approx(std, abs=4 * std / math.sqrt(2 * values.size))


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initial_layers_are_independent(name):
    (first, _), (second, _), _ = drawn(name)
    correlation = np.corrcoef(first.ravel(), second.ravel()[: first.size])[0, 1]
    assert abs(correlation) < 4 / math.sqrt(first.size)


def test_initial_parameters_are_a_function_of_the_key():
    init = jax.jit(nets.mlp(IN, OUT, WIDTHS).init)
    first, again, other = (layers(init(jax.random.key(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert (first[1][0] != other[1][0]).all()


# --- spectral normalisation ---------------------------------------------------------------------------------------


def with_singular_values(values, shape, seed):
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.normal(size=(n, len(values))))[0] for n in shape)
    return ((u * values) @ v.T).astype(np.float32)


largest = jax.jit(nets.largest_singular_value)
largest_and_gradient = jax.jit(jax.value_and_grad(nets.largest_singular_value))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (1, 9), (9, 1), (1, 1)])
def test_largest_singular_value_and_its_gradient(shape, scale):
    values = scale * np.array([1.0, 0.8, 0.5, 0.5, 0.1, 0.0])[: min(shape)]
    kernel = with_singular_values(values, shape, seed=sum(shape))
    value, gradient = largest_and_gradient(kernel)
    u, singular, vt = np.linalg.svd(kernel.astype(float))
    np.testing.assert_allclose(value, np.linalg.norm(kernel, 2), rtol=1e-5)
    np.testing.assert_allclose(value, singular[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, np.outer(u[:, 0], vt[0]), atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_largest_singular_value_of_a_random_matrix(seed):
    kernel = np.random.default_rng(seed).normal(size=(6, 9)).astype(np.float32)
    np.testing.assert_allclose(largest(kernel), np.linalg.norm(kernel, 2), rtol=2e-3)
    assert float(largest(kernel)) < np.linalg.norm(kernel.astype(float), 2) * (1 + 1e-6)


@pytest.mark.parametrize("second", [0.9, 0.97, 0.99, 0.995, 0.999, 1.0])
def test_largest_singular_value_is_never_too_large_and_hardly_too_small(second):
    """With the ratio r of the first two, the estimate is short by at most r^256·(1 − r²)/2 of a like share: 1.5e-3."""
    for seed in range(5):
        kernel = with_singular_values(np.array([1, second, second, 0.3, 0.2, 0.1]), (6, 9), seed)
        value = float(largest(kernel))
        assert 1 - 5e-3 < value < 1 + 1e-6


@pytest.mark.parametrize("activation", ["leaky_relu", "tanh"])
def test_a_network_with_spectral_norm_is_1_lipschitz(activation):
    params = jax.tree.map(lambda leaf: 20 * leaf, parameters(4))
    x, y = rows(2000, 5), rows(2000, 5) + np.float32(0.1) * rows(2000, 6)
    slopes = {}
    for name, spectral_norm in [("normalised", True), ("plain", False)]:
        apply = network(activation=activation, spectral_norm=spectral_norm).apply
        moved = np.linalg.norm(np.asarray(apply(params, x) - apply(params, y), np.float64), axis=1)
        slopes[name] = np.max(moved / np.linalg.norm(x - y, axis=1))
    assert slopes["normalised"] < 1 + 3 * 2e-3  # three layers, each divided by hardly too little
    assert slopes["plain"] > 10


def test_spectral_norm_of_an_affine_map_is_one():
    params = parameters(7, widths=())
    out = network((), spectral_norm=True).apply(params, np.concatenate([np.zeros((1, IN)), np.eye(IN)]))
    applied = np.asarray(out[1:] - out[:1])
    assert np.linalg.norm(applied, 2) == pytest.approx(1, rel=2e-3)
    ((kernel, _),) = layers(params)
    np.testing.assert_allclose(applied, kernel / np.linalg.norm(kernel, 2), rtol=5e-3)


def test_a_network_with_spectral_norm_ignores_the_scale_of_its_weights():
    net, params = network(spectral_norm=True), parameters(8)
    scaled = {
        "params": {name: 7 * leaf if name.startswith("kernel") else leaf for name, leaf in params["params"].items()}
    }
    np.testing.assert_allclose(net.apply(params, rows(6)), net.apply(scaled, rows(6)), rtol=1e-4, atol=1e-5)
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(net.apply(params, rows(6)) ** 2)))(params)
    for i, (kernel, _) in enumerate(layers(params)):  # so no gradient points along them
        along = np.asarray(gradient["params"][f"kernel_{i}"], np.float64)
        assert abs(np.sum(along * kernel)) < 1e-4 * np.linalg.norm(along) * np.linalg.norm(kernel)
