"""Networks that grow: at both ends of a fade-in they are the smaller and the larger network; GANs that train them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgen1d import nets
from jgen1d.core import replace
from jgen1d.methods import gan
from jgen1d.nets import growing

SHAPES = [(16,), (8, 4)]
WIDTHS = (6, 5, 4)


def built(widths, shape, progress, upwards):
    size = int(np.prod(shape))
    ends = (3, size) if upwards else (size, 3)
    return nets.build("growing", *ends, widths, shape=shape, upwards=upwards, progress=progress)


@functools.cache
def drawn(upwards, shape):
    """Parameters of the network of three levels, and inputs."""
    params = jax.jit(built(WIDTHS, shape, 1.0, upwards).init)(jax.random.key(0))
    return randomised(params), jax.random.normal(jax.random.key(1), (5, 3 if upwards else int(np.prod(shape))))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def output(widths, shape, upwards, progress, params, inputs):
    return built(widths, shape, progress, upwards)(params, inputs)


def randomised(params):
    """Other biases than 0."""
    return jax.tree.map(lambda leaf: leaf + 0.1 * jnp.sin(7.0 * jnp.arange(leaf.size).reshape(leaf.shape)), params)


def renamed(params, by):
    """The parameters of the levels after the first `by`, numbered from 0."""
    found = {}
    for name, leaf in params["params"].items():
        head, _, number = name.rpartition("_")
        if not number.isdecimal():
            found[name] = leaf
        elif int(number) >= by:
            found[f"{head}_{int(number) - by}"] = leaf
    return {"params": found}


def test_resolutions_come_in_one_after_the_other():
    at = {0: [1, 0, 0], 0.25: [1, 0, 0], 0.375: [1, 0.5, 0], 0.5: [1, 1, 0], 0.75: [1, 1, 0], 0.9: [1, 1, 0.6]}
    for progress, expected in (at | {1: [1, 1, 1]}).items():
        np.testing.assert_allclose(growing.growth(progress, 3), expected, atol=1e-6)
    np.testing.assert_array_equal(growing.growth(0.0, 1), [1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("upwards", [True, False])
def test_at_the_ends_of_a_fade_it_is_the_network_of_so_many_levels(shape, levels, upwards):
    missing = len(WIDTHS) - levels
    small = tuple(size // 2**missing for size in shape)
    params, inputs = drawn(upwards, shape)
    if upwards:
        expected = np.asarray(output(WIDTHS[:levels], small, True, 1.0, params, inputs)).reshape(5, *small)
        for axis in range(len(shape)):
            expected = expected.repeat(2**missing, axis + 1)
        expected = expected.reshape(5, -1)
    else:
        cells = [size for length in small for size in (length, 2**missing)]
        means = inputs.reshape(5, *cells).mean(axis=tuple(range(2, 2 * len(shape) + 1, 2))).reshape(5, -1)
        expected = output(WIDTHS[missing:], small, False, 1.0, renamed(params, missing), means)
    for progress in {1: (0.0, 0.25), 2: (0.5, 0.75), 3: (1.0,)}[levels]:
        found = output(WIDTHS, shape, upwards, progress, params, inputs)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("upwards", [True, False])
def test_only_levels_that_have_come_in_have_gradients(upwards):
    """With two of three in, neither the finest level counts nor the coarsest one's own signal, which has been left."""

    def loss(params, inputs):
        return jnp.sum(built(WIDTHS, (16,), 0.5, upwards)(params, inputs) ** 2)

    gradients = jax.jit(jax.grad(loss))(*drawn(upwards, (16,)))["params"]
    missing = ("2" if upwards else "1", "signal_0", "signal_2")
    for name, leaf in gradients.items():
        assert bool(jnp.any(leaf != 0)) == (name.partition("_")[2] not in missing)


def test_in_a_fade_both_ends_are_mixed():
    ends = [output(WIDTHS, (16,), True, progress, *drawn(True, (16,))) for progress in (0.75, 0.85, 1.0)]
    np.testing.assert_allclose(ends[1], 0.6 * ends[0] + 0.4 * ends[2], rtol=1e-4, atol=1e-5)


SMALL = gan.Config(
    network_g="growing", network_d="growing", widths_g=(4, 3), widths_d=(3, 4), latent_dim=2, dim=8,
    progressive=0.5, num_steps=8, r1=0.1, activation="leaky_relu",
)  # fmt: skip


init = jax.jit(gan.init)


def test_a_gan_grows_with_its_steps():
    batch = jax.random.normal(jax.random.key(0), (6, 8))
    state, step, sample = init(jax.random.key(1), SMALL), jax.jit(gan.step), jax.jit(gan.sample, static_argnums=2)
    coarse = sample(jax.random.key(2), state, 5, SMALL).reshape(5, 4, 2)
    np.testing.assert_array_equal(coarse[:, :, 0], coarse[:, :, 1])
    fine_kernels = {"params_g": "kernel_1", "params_d": "kernel_1"}
    started = {name: np.asarray(getattr(state, name)["params"][kernel]) for name, kernel in fine_kernels.items()}
    for number in range(4):
        same = {
            name: np.array_equal(getattr(state, name)["params"][fine_kernels[name]], started[name]) for name in started
        }
        assert set(same.values()) == {number <= 3}  # it fades in from half of the way, a quarter of the run, on
        state, info = step(jax.random.key(number), state, batch, SMALL)
        assert all(bool(jnp.isfinite(value)) for value in info.values())
    fine = sample(jax.random.key(2), state, 5, SMALL).reshape(5, 4, 2)
    assert (np.asarray(fine[:, :, 0]) != np.asarray(fine[:, :, 1])).all()


def test_the_share_of_the_run_has_a_gradient():
    state, batch = init(jax.random.key(1), SMALL), jax.random.normal(jax.random.key(0), (6, 8))

    def loss(progressive):
        config = replace(SMALL, progressive=progressive)
        return gan.step(jax.random.key(2), state._replace(step=jnp.asarray(3)), batch, config)[1]["loss_d"]

    found = jax.jit(jax.vmap(jax.grad(loss)))(jnp.array([0.5, 0.25, 0.0]))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found != 0, [True, False, False])  # only what fades in at this step depends on it


def test_a_grown_gan_is_the_one_that_does_not_grow():
    state = init(jax.random.key(1), SMALL)._replace(step=jnp.asarray(4))
    whole = replace(SMALL, progressive=None)
    z, x = jax.random.normal(jax.random.key(2), (4, 2)), jax.random.normal(jax.random.key(3), (4, 8))
    for one in (state, state._replace(step=jnp.asarray(0))):
        config = SMALL if one.step else replace(SMALL, progressive=0.0)
        np.testing.assert_allclose(gan.generate(one, z, config), gan.generate(one, z, whole), rtol=1e-6)
        np.testing.assert_allclose(gan.discriminate(one, x, config), gan.discriminate(one, x, whole), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_d": "conv"}, "progressive needs network_g='growing' and network_d='growing'"),
        ({"dim": 9}, "must be multiples of 2"),
        ({"num_classes": 2}, "num_classes does not go with a network 'growing'"),
        ({"widths_g": ()}, "at least one"),
    ],
)
def test_what_cannot_grow_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        gan.init(jax.random.key(0), replace(SMALL, **changes))
