"""The networks against plain loops, numpy.linalg and the distributions that their parameters are drawn from."""

import functools
import itertools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jgen1d import nets
from jgen1d.maths import losses

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
}
# Standard deviations of weights and of biases, as functions of the fan-in.
INITIALIZERS = {
    "he_normal": (lambda fan_in: math.sqrt(2 / fan_in), lambda fan_in: 0.0),
    "default": (lambda fan_in: math.sqrt(1 / (3 * fan_in)), lambda fan_in: math.sqrt(1 / (3 * fan_in))),
    "small_normal": (lambda fan_in: 0.02, lambda fan_in: 0.0),
}
IN, WIDTHS, OUT = 3, (7, 5), 2


@functools.cache
def network(widths=WIDTHS, **options):
    """A network, its functions compiled."""
    net = nets.mlp(IN, OUT, widths, **options)
    return net._replace(apply=jax.jit(net.apply))


def parameters(seed, widths=WIDTHS):
    """Parameters of the right shapes, none of them zero."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(network(widths).init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), dtype=float), shapes)


def layer_names(params):
    """From the input to the output."""
    names = [*map(str, range(len(params["params"]) // 2 - 1)), "out"]
    assert params["params"].keys() == {f"{kind}_{name}" for kind in ("kernel", "bias") for name in names}
    return names


def layers(params):
    """(weights [in, out], biases [out]) of each layer, as float64 NumPy arrays."""
    named = params["params"]
    return [
        (np.asarray(named[f"kernel_{name}"], np.float64), np.asarray(named[f"bias_{name}"], np.float64)[:, 0])
        for name in layer_names(params)
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
            # No distribution here has heavier tails than the normal, whose sample std has an error of σ/√2n.
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
    """For a ratio r of the first two, the estimate is too small by a share of at most r^256·(1 − r²)/2: 1.5e-3."""
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
    assert slopes["normalised"] < 1 + 3 * 2e-3  # three layers, each divided by slightly too little
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
    for (along, _), (kernel, _) in zip(
        layers(gradient), layers(params), strict=True
    ):  # so no gradient has a component along them
        assert abs(np.sum(along * kernel)) < 1e-4 * np.linalg.norm(along) * np.linalg.norm(kernel)


# --- padded networks ----------------------------------------------------------------------------------------------

LARGEST = (4, 3, (8, 8, 8))
OWN = {"narrower": (4, 3, (3, 8, 5)), "shallower": (2, 3, (8,)), "smaller in all": (1, 2, (5, 6))}
"""Input, output and widths of the lanes that share a program for the largest of each."""
COMBINATIONS = [*[(activation, "he_normal", False) for activation in nets.ACTIVATIONS], ("silu", "default", True)]
combinations = pytest.mark.parametrize(("activation", "initializer", "spectral_norm"), COMBINATIONS)
INPUTS = np.random.default_rng(0).normal(size=(16, LARGEST[0])).astype(np.float32)


def active_sizes():
    """The lanes' sizes, one array per size; 0 for a layer that a lane does not have."""
    own = [(i, o, (*widths, 0, 0, 0)[:3]) for i, o, widths in OWN.values()]
    return jax.tree.map(lambda *sizes: np.array(sizes), *own)


def padded_net(active, **options):
    fan_in, fan_out, widths = jax.tree.map(nets.Padded, LARGEST, active)
    return nets.mlp(
        fan_in, fan_out, tuple(nets.Padded(w.size, w.active, i > 0) for i, w in enumerate(widths)), **options
    )


def unpadded_shapes(own):
    return jax.eval_shape(nets.mlp(*own).init, jax.random.key(0))["params"]


def part(params, own):
    """A padded network's parameters without the padding: those that the lane's own network has."""
    return {"params": {n: params["params"][n][tuple(map(slice, s.shape))] for n, s in unpadded_shapes(own).items()}}


def padding(params, own):
    """The values of the padded entries of parameters, or of gradients, moments, ... of parameters."""
    shapes = unpadded_shapes(own)
    for name, values in params["params"].items():
        rest = np.ones(values.shape, bool)
        if name in shapes:
            rest[tuple(map(slice, shapes[name].shape))] = False
        yield values[rest]


def assert_padding_is_zero(params, own):
    values = np.concatenate(list(padding(params, own)))
    assert values.size == sum(leaf.size for leaf in jax.tree.leaves(params)) - sum(
        math.prod(shape.shape) for shape in unpadded_shapes(own).values()
    )
    np.testing.assert_array_equal(values, 0)


def lanes(tree):
    """Each lane of a vmapped program's result, with the lane's sizes."""
    tree = jax.device_get(tree)
    return [(own, jax.tree.map(lambda leaf, i=i: leaf[i], tree)) for i, own in enumerate(OWN.values())]


@functools.cache
def padded_parameters(initializer):
    """The parameters of all lanes."""
    return jax.jit(jax.vmap(lambda active: padded_net(active, initializer=initializer).init(jax.random.key(3))))(
        active_sizes()
    )


@pytest.mark.parametrize("initializer", nets.INITIALIZERS)
def test_a_padded_network_draws_what_the_unpadded_one_draws_and_zeros(initializer):
    def init_unpadded():
        return [nets.mlp(*own, initializer=initializer).init(jax.random.key(3)) for own in OWN.values()]

    unpadded = jax.device_get(jax.jit(init_unpadded)())
    for (own, params), expected in zip(lanes(padded_parameters(initializer)), unpadded, strict=True):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), part(params, own), expected)
        assert all(np.any(leaf) for name, leaf in expected["params"].items() if name.startswith("kernel"))
        assert_padding_is_zero(params, own)


@combinations
def test_a_padded_network_computes_what_the_unpadded_one_computes(activation, initializer, spectral_norm):
    options = {"activation": activation, "initializer": initializer, "spectral_norm": spectral_norm}
    params = padded_parameters(initializer)

    def apply_unpadded(each):
        own = OWN.values()
        return [nets.mlp(*o, **options).apply(p, INPUTS[:, : o[0]]) for o, p in zip(own, each, strict=True)]

    unpadded = jax.device_get(jax.jit(apply_unpadded)([part(params, own) for own, params in lanes(params)]))
    padded = jax.jit(jax.vmap(lambda active, params: padded_net(active, **options).apply(params, INPUTS)))
    for (own, out), expected in zip(lanes(padded(active_sizes(), params)), unpadded, strict=True):
        np.testing.assert_allclose(out[:, : own[1]], expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(out[:, own[1] :], 0)
        assert np.ptp(expected) > 1e-3


def penalised(apply, x):
    """A loss with derivatives of the output with respect to the input, as R1 and WGAN-GP have them."""
    values, slopes = losses.value_and_input_gradients(lambda x: jnp.sum(apply(x), axis=1, keepdims=True), x)
    return jnp.mean(values**2) + losses.zero_centred_penalty(slopes) + losses.one_centred_penalty(slopes)


def gradients_of(net, params, x):
    return jax.grad(lambda params: penalised(functools.partial(net.apply, params), x))(params)


@functools.cache
def trained(activation, initializer, spectral_norm):
    """All lanes' parameters before and after four steps of Adam, its moments, and the steps' gradients."""
    adam = optax.adam(0.05)

    def train(active, params):
        net = padded_net(active, activation=activation, spectral_norm=spectral_norm)

        def step(carry, x):
            params, opt = carry
            gradients = gradients_of(net, params, x)
            updates, opt = adam.update(gradients, opt)
            return (optax.apply_updates(params, updates), opt), gradients

        batches = np.stack([INPUTS, -INPUTS, 2 * INPUTS, INPUTS[:, ::-1]])
        (after, opt), gradients = jax.lax.scan(step, (params, adam.init(params)), batches)
        return params, after, (opt[0].mu, opt[0].nu), gradients

    return lanes(jax.jit(jax.vmap(train))(active_sizes(), padded_parameters(initializer)))


@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_a_padded_unit_puts_out_zero(activation):
    """This keeps padding zero: every activation is 0 at 0 and has a finite slope there."""
    value, slope = jax.value_and_grad(nets.ACTIVATIONS[activation])(0.0)
    assert value == 0
    assert np.isfinite(slope)


@pytest.mark.parametrize(("activation", "initializer", "spectral_norm"), [COMBINATIONS[1], COMBINATIONS[-1]])
def test_padding_has_no_gradient_and_stays_zero(activation, initializer, spectral_norm):
    for own, (before, after, moments, gradients) in trained(activation, initializer, spectral_norm):
        each_gradient = [jax.tree.map(lambda leaf, i=i: leaf[i], gradients) for i in range(4)]
        for tree in (after, *moments, *each_gradient):
            assert_padding_is_zero(tree, own)
        for (name, old), new in zip(
            part(before, own)["params"].items(), jax.tree.leaves(part(after, own)), strict=True
        ):
            assert np.isfinite(new).all(), name
            assert (new != old).any(), name


def test_a_padded_network_has_the_unpadded_ones_gradients():
    activation, initializer, spectral_norm = COMBINATIONS[-1]
    own, (params, _, _, gradients) = trained(activation, initializer, spectral_norm)[-1]
    net = nets.mlp(*own, activation=activation, spectral_norm=spectral_norm)
    expected = jax.jit(functools.partial(gradients_of, net))(part(params, own), INPUTS[:, : own[0]])
    first = jax.tree.map(lambda leaf: leaf[0], gradients)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)  # two routes to second derivatives
    jax.tree.map(close, part(first, own), jax.device_get(expected))


def test_sizes_that_are_padded_mix_with_numbers():
    own, key = (3, 2, (6, 4)), jax.random.key(0)
    sizes = [(nets.Padded(6, jnp.array(3)), 2, (6, 4)), (3, 2, (6, nets.Padded(6, jnp.array(4), True)))]
    expected, *padded = jax.device_get(jax.jit(lambda: [nets.mlp(*s).init(key) for s in (own, *sizes)])())
    for params in padded:
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), part(params, own), expected)
        assert_padding_is_zero(params, own)


def test_a_padded_size_is_an_index():
    size = nets.Padded(5, jnp.array(2))
    assert operator.index(size) == 5
    assert jnp.zeros((3, size)).shape == (3, 5)
    assert jax.random.normal(jax.random.key(0), (size, 4)).shape == (5, 4)
    assert jnp.zeros((10, 2)).reshape(-1, size).shape == (4, 5)
    assert jnp.arange(8)[:size].tolist() == [0, 1, 2, 3, 4]
    assert len(range(size)) == 5
    assert not size.optional


@pytest.mark.parametrize(
    "calculate",
    {
        "p * 2": lambda p: p * 2,
        "p + 1": lambda p: p + 1,
        "1 - p": lambda p: 1 - p,
        "p // 2": lambda p: p // 2,
        "1 / p": lambda p: 1 / p,
        "2**p": lambda p: 2**p,
        "-p": lambda p: -p,
        "p > 1": lambda p: p > 1,
        "p == 5": lambda p: p == 5,
        "max": lambda p: max(p, 3),
        "sum": lambda p: sum((p, p)),
        "len": len,
        "iter": iter,
        "float": float,
        "sqrt": math.sqrt,
        "log": math.log,
        "jnp.sqrt": jnp.sqrt,
        "np.sqrt": np.sqrt,
        "np.float32": np.float32,
        "array / p": lambda p: jnp.ones(3) / p,
        "p * array": lambda p: p * jnp.ones(3),
        "asarray": jnp.asarray,
        "round": round,
    }.items(),
    ids=lambda item: item[0],
)
def test_a_padded_size_is_no_number(calculate):
    with pytest.raises(TypeError) as error:
        calculate[1](nets.Padded(5, jnp.array(2)))
    assert isinstance(error.value, nets.CannotPad) or "Padded" in str(error.value)  # how plans tell it from other bugs


def test_minibatch_features_are_mean_closeness_to_all_rows():
    net = nets.mlp(2, 1, (5,), activation="tanh", minibatch_features=3)
    params = net.init(jax.random.key(0))
    x = np.random.default_rng(1).normal(size=(6, 2))
    layers = {name: np.float64(value) for name, value in params["params"].items()}
    h = np.tanh(x @ layers["kernel_0"] + layers["bias_0"][:, 0])
    want = h @ layers["kernel_out"] + layers["bias_out"][:, 0]
    for i, j in itertools.product(range(6), range(6)):
        for k in range(3):
            space = layers["kernel_closeness"].reshape(5, 3, nets.CLOSENESS_DIM)[:, k]
            closeness = np.exp(-np.abs(h[i] @ space - h[j] @ space).sum())
            want[i] += closeness / 6 * layers["kernel_minibatch"][k]
    np.testing.assert_allclose(net.apply(params, jnp.asarray(x, jnp.float32)), want, rtol=1e-5, atol=1e-5)
    plain = nets.mlp(2, 1, (5,), activation="tanh").init(jax.random.key(0))
    for name, weights in plain["params"].items():
        np.testing.assert_array_equal(weights, params["params"][name])


def test_maxout_units_are_the_largest_of_affine_maps():
    net = nets.mlp(2, 1, (4, 3), maxout_pieces=3, initializer="default")
    params = net.init(jax.random.key(0))
    layers = {name: np.float64(value) for name, value in params["params"].items()}
    h = x = np.random.default_rng(1).normal(size=(6, 2))
    for i in range(2):
        pieces = [h @ layers[f"kernel_{i}_{p}"] + layers[f"bias_{i}_{p}"][:, 0] for p in range(3)]
        h = np.max(pieces, axis=0)
        assert {int(k) for k in np.unique(np.argmax(pieces, axis=0))} == {0, 1, 2}
    want = h @ layers["kernel_out"] + layers["bias_out"][:, 0]
    np.testing.assert_allclose(net.apply(params, jnp.asarray(x, jnp.float32)), want, rtol=1e-5, atol=1e-5)


def test_batch_normalisation_is_by_the_rows_in_training_and_by_running_moments_after_it():
    net = nets.mlp(2, 1, (4,), activation="tanh", batch_norm=True)
    params = net.init(jax.random.key(0))
    layers = {name: np.float64(value) for name, value in params["params"].items() if name != "norm_0"}
    layers["bias_0"] = np.linspace(-1, 1, 4)[:, None]
    gain = np.linspace(0.5, 2, 4)
    params["params"] |= {"bias_0": jnp.asarray(layers["bias_0"], float), "norm_0": {"scale": jnp.asarray(gain, float)}}
    x = np.random.default_rng(1).normal(3, 2, size=(50, 2))
    mean, var = (moment(x @ layers["kernel_0"], axis=0) for moment in (np.mean, np.var))

    def normalised_by(mean, var):
        units = (x @ layers["kernel_0"] - mean) / np.sqrt(var) * gain + layers["bias_0"][:, 0]
        return np.tanh(units) @ layers["kernel_out"] + layers["bias_out"][:, 0]

    rows = jnp.asarray(x, jnp.float32)
    out, seen = net.train(params, rows)
    np.testing.assert_allclose(out, normalised_by(mean, var), atol=1e-4)
    np.testing.assert_allclose(net.apply(params, rows), normalised_by(0, 1), atol=1e-4)
    want = normalised_by(0.05 * mean, 0.95 + 0.05 * var)
    np.testing.assert_allclose(net.apply(params | seen, rows), want, atol=1e-4)


@pytest.mark.parametrize("options", [{"batch_norm": True}, {"maxout_pieces": 3}], ids=["batch_norm", "maxout"])
def test_a_padded_network_trains_as_the_unpadded_one(options):
    rows = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)

    def trained(width):
        net = nets.mlp(3, 1, (width, 4), **options)
        params = net.init(jax.random.key(0))
        gradients = jax.grad(lambda params: jnp.mean(net.train(params, rows)[0] ** 2))(params)
        params = optax.apply_updates(params, optax.tree.scale(-0.1, gradients))
        return net.train(params, rows)[0]

    own, padded = jax.jit(lambda: [trained(width) for width in (5, nets.Padded(8, jnp.array(5)))])()
    np.testing.assert_allclose(own, padded, rtol=1e-5, atol=1e-6)


# --- by name, or the user's own ------------------------------------------------------------------------------------

CAUSAL = {"masked_mlp": {}, "transformer": {"embedding_dim": 8, "num_heads": 2}}


def test_a_network_by_name_is_the_one_that_its_function_builds():
    def drawn(net):
        return net.init(jax.random.key(0))

    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), float)
    ours, theirs = nets.build("mlp", 3, 6, (4,), activation="tanh"), nets.mlp(3, 6, (4,), activation="tanh")
    np.testing.assert_array_equal(ours.apply(drawn(ours), x), theirs.apply(drawn(theirs), x))
    for name, options in CAUSAL.items():
        ours, theirs = nets.build(name, 3, 6, (4,), **options), getattr(nets, name)(3, 2, (4,), **options)
        params = jax.tree.map(lambda leaf: leaf + 0.1, drawn(ours))
        np.testing.assert_array_equal(ours.apply(params, x), theirs.apply(params, x))
    assert nets.NETWORKS.keys() == {"mlp", *CAUSAL, *nets.OF_SIGNALS}  # the latter: test_conv and test_growing


def test_a_network_or_activation_of_the_users_own_is_returned_as_it_is():
    own = nets.Net(lambda key: jnp.ones(1), lambda params, x: params[None] * x)
    assert nets.build(own, 3, 6, (4,), activation="tanh") is own
    assert hash(own) == hash(nets.Net(*own))
    assert nets.activation(jnp.sin) is jnp.sin
    assert nets.activation("tanh") is jnp.tanh


def test_an_activation_of_the_users_own_is_applied():
    by_name = nets.mlp(3, 2, (4,), activation="tanh")
    own = nets.mlp(3, 2, (4,), activation=lambda x: 2 * jax.nn.sigmoid(2 * x) - 1)  # tanh by another route
    params, x = by_name.init(jax.random.key(0)), jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), float)
    np.testing.assert_allclose(own.apply(params, x), by_name.apply(params, x), rtol=1e-5, atol=1e-6)


def test_a_network_without_a_training_pass_trains_as_it_is_applied():
    own = nets.Net(lambda key: jnp.ones(1), lambda params, x, *labels: params[None] * x + sum(labels))
    out, seen = own.train(jnp.full(1, 3.0), jnp.ones((2, 1)))
    assert out.tolist() == [[3.0], [3.0]]
    assert seen == {}
    out, _ = own.train(jnp.full(1, 3.0), jnp.ones((2, 1)), jnp.ones((2, 1)))
    assert out.tolist() == [[4.0], [4.0]]


@pytest.mark.parametrize(
    ("build", "message"),
    {
        "network": (lambda: nets.build("mpl", 1, 1, ()), "no network 'mpl'; did you mean 'mlp'?.*transformer"),
        "causal": (lambda: nets.build("masked_mlp", 2, 3, ()), "out_dim=3: a causal network needs a multiple of in_d"),
        "activation": (lambda: nets.mlp(1, 1, (), activation="tahn"), "no activation 'tahn'; did you mean 'tanh'?"),
    }.values(),
)
def test_wrong_names_and_sizes_are_one_clear_line(build, message):
    with pytest.raises(ValueError, match=message) as error:
        build()
    assert "\n" not in str(error.value)
