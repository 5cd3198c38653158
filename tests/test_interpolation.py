"""Paths between latents against float64 formulas, and at the angles where those break down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgen1d import lerp, slerp

T = np.linspace(0, 1, 9)


def shoemake(start, end, t):
    start, end = np.float64(start), np.float64(end)
    angle = np.arccos(start @ end / np.linalg.norm(start) / np.linalg.norm(end))
    return (np.sin((1 - t) * angle)[:, None] * start + np.sin(t * angle)[:, None] * end) / np.sin(angle)


@pytest.mark.parametrize("d", [2, 3, 512])
def test_slerp_of_vectors_of_one_norm_is_shoemakes(d):
    start, end = np.random.default_rng(d).normal(size=(2, d))
    end *= np.linalg.norm(start) / np.linalg.norm(end)
    np.testing.assert_allclose(slerp(start, end, T), shoemake(start, end, T), rtol=1e-4, atol=1e-5)


def test_lerp_is_the_chord():
    start, end = np.random.default_rng(0).normal(size=(2, 4))
    np.testing.assert_allclose(lerp(start, end, T), start + T[:, None] * (end - start), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tilt", [0, 1e-9, 1e-7, 1e-6, 1e-5, 1e-3])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scale", [1, 7.5])
def test_nearly_parallel_and_opposite_vectors_keep_norm_speed_and_ends(tilt, sign, scale):
    start = np.array([0.6, -0.8, 0.1, 2.0])
    side = np.array([0.8, 0.6, 0.0, 0.0])  # at a right angle to the first two
    end = scale * (sign * start + tilt * side)
    path = np.float64(slerp(start, end, T))
    norms = np.linalg.norm(path, axis=1)
    expected = (1 - T) * np.linalg.norm(start) + T * np.linalg.norm(end)
    np.testing.assert_allclose(norms, expected, rtol=1e-5)
    np.testing.assert_allclose(path[[0, -1]], [start, end], rtol=1e-5, atol=1e-5 * scale)
    units = path / norms[:, None]
    turns = 2 * np.arcsin(np.linalg.norm(np.diff(units, axis=0), axis=1) / 2)
    total = np.pi if sign < 0 else tilt / np.linalg.norm(start)
    np.testing.assert_allclose(turns, total / 8, rtol=2e-3, atol=2e-7)


def test_what_is_zero_gets_a_straight_path():
    end = np.array([3.0, 4.0])
    np.testing.assert_allclose(slerp(np.zeros(2), end, T), T[:, None] * end, rtol=1e-6)
    np.testing.assert_allclose(slerp(end, np.zeros(2), T), (1 - T)[:, None] * end, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(slerp(np.zeros(2), np.zeros(2), T), np.zeros((9, 2)))


def test_opposite_numbers_have_but_one_way():
    np.testing.assert_allclose(slerp([2.0], [-2.0], np.array([0.0, 0.5, 1.0])), [[2], [0], [-2]], atol=1e-6)


def test_norms_between_draws_of_a_normal():
    """A chord's middle has norm √(d/2), an arc's √d."""
    d = 4_096
    start, end = np.random.default_rng(1).normal(size=(2, 50, d))
    for path, wanted in ((lerp, np.sqrt(d / 2)), (slerp, np.sqrt(d))):
        norms = np.linalg.norm(path(start, end, 0.5), axis=-1)
        np.testing.assert_allclose(norms.mean(), wanted, rtol=0.01)


def test_shapes_broadcast_and_gradients_are_finite():
    start, end = np.ones((5, 1, 3)), np.arange(6.0).reshape(2, 3)
    assert slerp(start, end, 0.3).shape == lerp(start, end, 0.3).shape == (5, 2, 3)
    assert slerp(end[0], end[1], T).shape == (9, 3)
    gradient = jax.grad(lambda x: jnp.sum(slerp(x, end[1], 0.5) ** 2))(jnp.ones(3))
    assert np.isfinite(gradient).all()
    with pytest.raises(ValueError, match=r"must agree in their last axis, not \[2\] and \[3\]"):
        slerp(np.ones(2), np.ones(3), 0.5)
