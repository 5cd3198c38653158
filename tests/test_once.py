"""What is computed once is the same, and is computed once."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgen1d.core.once import computed_once
from jgen1d.nets import with_fourier

ROWS, UNITS = 48, 40


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_it_is_the_same_bit_for_bit(dtype):
    x = jnp.array([0.0, -0.0, 1.1, -2e-38, 3e38, jnp.inf, -jnp.inf, jnp.nan], dtype)
    once = jax.jit(computed_once)(x)
    assert once.dtype == x.dtype
    np.testing.assert_array_equal(np.signbit(once), np.signbit(x))
    np.testing.assert_array_equal(once.astype(float), x.astype(float))
    assert jax.grad(lambda x: computed_once(x) ** 2)(1.5) == 3


def loops_over_units(function):
    """The loops over rows and units of its compiled program, as text."""
    if jax.default_backend() != "cpu":
        pytest.skip("what XLA fuses on a CPU is looked at")
    text = jax.jit(function).lower(jax.random.key(0), jnp.ones(UNITS)).compile().as_text()
    bodies = [body for body in text.split("\n}") if re.search(rf"ROOT .*f32\[{UNITS},{ROWS}\]", body)]
    assert bodies
    return "\n".join(bodies)


def test_without_it_the_units_compute_a_draw_again():
    """If this fails, XLA has learnt it, and `computed_once` may go."""

    def again(key, weights):
        return jnp.outer(weights, jax.random.normal(key, (ROWS,)))

    def once(key, weights):
        return jnp.outer(weights, computed_once(jax.random.normal(key, (ROWS,))))

    assert "erf_inv" in loops_over_units(again)
    assert "erf_inv" not in loops_over_units(once)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_fourier_features_have_the_derivatives_of_sines_and_cosines(order):
    frequencies, weights, x = np.array([1.0, 3.0]), np.array([1.0, 0.5]), np.linspace(-2, 2, 5)

    def features(x):
        return with_fourier(jnp.reshape(x, (1, 1)), jnp.array(frequencies), jnp.array(weights))[0]

    derivative = features
    for _ in range(order):
        derivative = jax.jacfwd(derivative)
    shifted = np.multiply.outer(x, frequencies) + order * np.pi / 2  # each derivative turns by a quarter
    waves = weights * frequencies**order * np.array([np.sin(shifted), np.cos(shifted)])
    expected = np.stack([waves[0, :, 0], waves[1, :, 0], waves[0, :, 1], waves[1, :, 1]], axis=1)
    np.testing.assert_allclose(jax.vmap(derivative)(jnp.array(x))[:, 1:], expected, atol=2e-6)
