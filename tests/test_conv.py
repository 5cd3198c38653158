"""Convolutions and the networks made of them, against `lax`, SciPy-free adjoints and flax.linen."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgen1d
from jgen1d import nets, targets
from jgen1d.engine import task
from jgen1d.maths import integrate
from jgen1d.methods import autoencoder, diffusion, energy, flow_matching, gan, vae
from jgen1d.nets.layers import CannotPad, Padded

SHAPES = {"signal": (16,), "image": (8, 8)}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def random(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def rows_last(x):
    """f[channels, *shape, n] from f[n, *shape, channels]."""
    return jnp.moveaxis(jnp.moveaxis(x, -1, 0), 1, -1)


def by_lax(x, kernel, stride):
    names = "HW"[: kernel.ndim - 2]
    form = (f"C{names}N", f"{names}IO", f"C{names}N")
    return jax.lax.conv_general_dilated(x, kernel, (stride,) * len(names), "SAME", dimension_numbers=form)


@each_shape
@pytest.mark.parametrize(("size", "stride"), [(4, 2), (3, 1), (1, 1)])
def test_stacked_slices_are_the_convolution_of_lax_under_vmap_forwards_and_backwards(shape, size, stride):
    x, kernel = random(0, 3, 2, *shape, 5), random(1, 3, *(size,) * len(shape), 2, 4)

    def both(convolve):
        loss = jax.vmap(lambda x, kernel: jnp.sum(jnp.sin(convolve(x, kernel, stride))))
        return convolve(x[0], kernel[0], stride), jax.grad(lambda *args: jnp.sum(loss(*args)), (0, 1))(x, kernel)

    found, expected = both(nets.convolve), both(by_lax)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * float(jnp.max(jnp.abs(other))))


@each_shape
@pytest.mark.parametrize(("size", "stride"), [(4, 2), (2, 2), (6, 2), (3, 1)])
def test_the_transposed_convolution_is_the_adjoint(shape, size, stride):
    """⟨Kx, y⟩ = ⟨x, Kᵀy⟩, and the derivative of x ↦ Kx pulls back to it."""
    kernel = random(2, *(size,) * len(shape), 3, 4)
    x, y = random(3, 3, *shape, 2), random(4, 4, *(length // stride for length in shape), 2)
    transposed = nets.transpose_convolve(y, jnp.swapaxes(kernel, -1, -2), stride)
    assert transposed.shape == x.shape
    products = float(jnp.sum(nets.convolve(x, kernel, stride) * y)), float(jnp.sum(x * transposed))
    assert products[0] == pytest.approx(products[1], rel=1e-4)
    pulled = jax.vjp(lambda x: nets.convolve(x, kernel, stride), x)[1](y)[0]
    np.testing.assert_allclose(transposed, pulled, atol=1e-5 * float(jnp.max(jnp.abs(pulled))))


def flax_params(params, name, shape, size, fan_in):
    kernel = params[f"kernel_{name}"]
    return {"kernel": kernel.reshape(*(size,) * len(shape), fan_in, -1), "bias": params[f"bias_{name}"].ravel()}


@each_shape
def test_the_network_downwards_is_that_of_flax(shape):
    net = nets.build("conv", 2 * math.prod(shape), 3, (4, 6), shape=shape)
    params = jax.jit(net.init)(jax.random.key(0))
    x = random(1, 7, *shape, 2)
    rows = rows_last(x).reshape(-1, 7).T
    p, h, fan_in = params["params"], x, 2
    for i, width in enumerate((4, 6)):
        layer = nn.Conv(width, (4,) * len(shape), strides=2, padding="SAME")
        wanted = jax.eval_shape(layer.init, jax.random.key(0), h)["params"]
        given = flax_params(p, i, shape, 4, fan_in)
        assert jax.tree.map(jnp.shape, given) == jax.tree.map(lambda leaf: leaf.shape, wanted)
        h, fan_in = nn.leaky_relu(layer.apply({"params": given}, h), 0.2), width
    flat = rows_last(h).reshape(-1, 7)
    np.testing.assert_allclose(net(params, rows), (p["kernel_out"].T @ flat + p["bias_out"]).T, atol=1e-5)


@each_shape
def test_the_network_upwards_is_that_of_flax(shape):
    net = nets.build("conv", 3, 2 * math.prod(shape), (6, 4), shape=shape, upwards=True, activation="relu")
    params = jax.jit(net.init)(jax.random.key(0))
    z = random(1, 7, 3)
    p, small = params["params"], tuple(size // 4 for size in shape)
    h = nn.relu(z @ p["kernel_in"] + p["bias_in"].T).reshape(7, 6, *small)
    h, fan_in = jnp.moveaxis(h, 1, -1), 6
    for name, width in (("0", 4), ("out", 2)):
        layer = nn.ConvTranspose(width, (4,) * len(shape), strides=(2,) * len(shape), padding="SAME")
        wanted = jax.eval_shape(layer.init, jax.random.key(0), h)["params"]
        given = flax_params(p, name, shape, 4, fan_in)
        assert jax.tree.map(jnp.shape, given) == jax.tree.map(lambda leaf: leaf.shape, wanted)
        # Flax correlates where an adjoint convolves: its kernel is the mirror image.
        mirrored = given | {"kernel": jnp.flip(given["kernel"], range(len(shape)))}
        h, fan_in = layer.apply({"params": mirrored}, h), width
        h = h if name == "out" else nn.relu(h)
    np.testing.assert_allclose(net(params, z), rows_last(h).reshape(-1, 7).T, atol=1e-5)


def test_batch_normalisation_leaves_out_the_first_layer_of_a_discriminator():
    net = nets.build("conv", 16, 1, (4, 6), shape=(16,), batch_norm=True)
    params = jax.jit(net.init)(jax.random.key(0))
    assert set(params["batch_stats"]) == {"norm_1"}
    generator = nets.build("conv", 3, 16, (6, 4), shape=(16,), upwards=True, batch_norm=True)
    params = jax.jit(generator.init)(jax.random.key(0))
    assert set(params["batch_stats"]) == {"norm_in", "norm_0"}
    out, seen = jax.jit(generator.train)(params, random(2, 200, 3))
    assert out.shape == (200, 16)
    moved = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), seen["batch_stats"], params["batch_stats"])
    assert min(jax.tree.leaves(moved)) > 0


@each_shape
def test_a_unet_starts_at_zero_and_uses_place_context_and_label(shape):
    size = math.prod(shape)
    net = nets.build("unet", 2 * size + 3, size, (4, 6), shape=shape, context=3, num_classes=2)
    params = jax.jit(net.init)(jax.random.key(0))
    apply = jax.jit(net.apply)
    x, labels = random(1, 3, 2 * size + 3), jnp.array([0, 1, -1])
    np.testing.assert_array_equal(apply(params, x, labels), np.zeros((3, size)))
    params["params"]["kernel_out"] = random(2, *params["params"]["kernel_out"].shape)
    base = apply(params, x, labels)
    assert np.std(base) > 0.1
    for changed in ((x.at[:, -1].add(1.0), labels), (x.at[:, 0].add(1.0), labels), (x, labels[::-1])):
        assert float(jnp.max(jnp.abs(apply(params, *changed) - base))) > 1e-3
    np.testing.assert_allclose(
        apply(params, x[2:], labels[2:]), net(params, x[2:]), atol=1e-5
    )  # a negative label: none
    jacobian = jax.jit(jax.jacobian(lambda row: net(params, row[None], labels[:1])[0]))(x[0])
    assert (np.abs(jacobian[:, :size]).max(0) > 0).all()  # every place is seen
    along = np.abs(jacobian[0, :size]).reshape(shape)
    assert along.ravel()[0] > along.ravel()[-1]  # near ones most


def test_residual_blocks_have_the_widths_and_skips_that_they_are_given():
    net = nets.build("unet", 16, 16, (4, 6), shape=(16,))
    params = jax.eval_shape(net.init, jax.random.key(0))["params"]
    assert params["kernel_first"].shape == (3, 4)
    assert params["kernel_half_0"].shape == (4 * 4, 6)
    assert params["kernel_double_0"].shape == (4 * 6, 4)
    assert params["kernel_up_0_skip"].shape == (8, 4)  # what is kept is beside it
    assert "kernel_down_0_skip" not in params
    assert "kernel_context" not in params


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        ("conv", {"shape": (12,), "in_dim": 12, "widths": (4, 4, 4)}, "must be multiples of 8: use fewer widths"),
        ("unet", {"shape": (12,), "in_dim": 12, "out_dim": 12, "widths": (4,) * 4}, "halve it 3 times"),
        ("conv", {"shape": (12,), "in_dim": 13}, "13 features are no channels of shape (12,)"),
        ("conv", {"shape": (4, 4, 4), "in_dim": 64}, "in one or two dimensions"),
        ("conv", {"widths": ()}, "needs at least one"),
        ("conv", {"minibatch_features": 3}, "minibatch_features does not go with a network 'conv'"),
        ("convv", {}, "no network 'convv'; did you mean 'conv'"),
    ],
)
def test_what_does_not_fit_is_one_line(network, options, words):
    options = {"in_dim": 16, "out_dim": 1, "widths": (4, 4), "shape": (16,)} | options
    with pytest.raises(ValueError, match=r"\w") as error:
        nets.build(network, options.pop("in_dim"), options.pop("out_dim"), options.pop("widths"), **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_convolutions_of_padded_sizes_are_refused():
    with pytest.raises(CannotPad, match="programs of their own"):
        nets.build("conv", 16, 1, (Padded(8, jnp.asarray(4)),), shape=(16,))


# --- in methods ---------------------------------------------------------------------------------------------------

PULSE = targets.pulse(16, widths=(2, 12))
TINY = {
    "dcgan": (gan.METHOD, gan.preset("dcgan").replace(widths_g=(4, 4), widths_d=(4, 4), latent_dim=3)),
    "fourier gan": (gan.METHOD, gan.Config(network_d="conv", widths_d=(4,), fourier_features=2, packing=2)),
    "vae": (vae.METHOD, vae.Config(encoder="conv", decoder="conv", widths=(4, 6), num_importance=2)),
    "autoencoder": (autoencoder.METHOD, autoencoder.Config(encoder="conv", decoder="conv", widths=(4, 6))),
    "diffusion": (diffusion.METHOD, diffusion.Config(network="unet", widths=(4, 6), fourier_features=2)),
    "flow_matching": (flow_matching.METHOD, flow_matching.Config(network="unet", widths=(4, 6), fourier_features=0)),
    "energy": (energy.METHOD, energy.Config(network="conv", widths=(4,))),
}


@pytest.mark.parametrize("name", TINY)
def test_a_method_trains_convolutions_and_keeps_shapes(name):
    method, config = TINY[name]
    config = task.prepare((method, PULSE, config), 4, 8, 8).config
    assert config.shape == (16,)
    state = jax.eval_shape(method.init, jax.random.key(0), config)
    batch = jax.ShapeDtypeStruct((8 * method.num_minibatches(config), 16), jnp.float32)
    after, info = jax.eval_shape(lambda *args: method.step(*args, config), jax.random.key(1), state, batch)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )
    assert info
    assert jax.eval_shape(lambda k, s: method.sample(k, s, 5, config), jax.random.key(2), state).shape == (5, 16)


def test_a_dcgan_is_fitted_and_its_generator_keeps_running_moments():
    method, config = TINY["dcgan"]
    result = jgen1d.fit(1, method, PULSE, config, num_steps=2, batch_size=8, num_samples=64, eval_every=2)
    assert result.sample(jax.random.key(0), 3).shape == (3, 16)
    assert result.config.shape == (16,)
    params = result.state.params_g["params"]
    assert np.abs(params["kernel_in"]).max() < 0.2  # N(0, 0.02²) and two small steps
    assert not np.array_equal(result.state.params_g["batch_stats"]["norm_in"]["mean"], np.zeros(4))


def test_a_length_that_strides_do_not_divide_is_one_line_before_anything_is_compiled():
    with pytest.raises(ValueError, match=r"shape=\(12,\): convolutions halve it 3 times, so that its sizes must be"):
        jgen1d.fit(0, gan.METHOD, targets.smooth(12), gan.preset("dcgan"), num_steps=2)


def test_the_divergence_of_many_dimensions_is_estimated_without_bias():
    """It is exact for a diagonal derivative; the estimate's error for others is that of its probes."""
    x = random(0, 6, 20)
    value, found = integrate.divergence(lambda x: jnp.sin(x), x)
    np.testing.assert_allclose(found, jnp.sum(jnp.cos(x), axis=1), rtol=1e-4)
    np.testing.assert_allclose(value, jnp.sin(x))
    matrix = np.asarray(random(1, 20, 20))
    _, estimate = integrate.divergence(lambda x: x @ matrix, x)
    off = matrix + matrix.T - 2 * np.diag(np.diag(matrix))
    error = np.sqrt((off**2).sum() / 2 / integrate.NUM_PROBES)
    np.testing.assert_allclose(estimate, np.trace(matrix), atol=4 * error)
