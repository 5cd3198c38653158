"""Every loss at its optimum and in its tails, its optimal critic by brute force, and the gradient penalties."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from jgen1d import nets
from jgen1d.evaluation import theory
from jgen1d.maths import losses
from jgen1d.maths.losses import DISCRIMINATOR, GENERATOR

OPTIMA = {  # by hand: name -> the discriminator's output everywhere at q = p, its loss, the generator's losses
    "log": (0.0, 2 * math.log(2), {"non_saturating": math.log(2), "saturating": -math.log(2)}),
    "half_log": (0.0, math.log(2), {"non_saturating": math.log(2), "saturating": -math.log(2)}),
    "least_squares": (0.5, 0.25, {"least_squares": 0.125}),
    "hinge": (0.0, 2.0, {"hinge": None}),
    "double_sigmoid": (-50.0, 2 * math.log(2), {"double_sigmoid": math.log(2)}),  # a probability of 0
    "wasserstein": (0.0, 0.0, {"wasserstein": None}),
    "relativistic": (0.0, math.log(2), {"relativistic": math.log(2)}),
}
NUMPY = {  # in float64, from the definitions
    "log": lambda real, fake: -np.mean(np.log(sigmoid(real))) - np.mean(np.log(1 - sigmoid(fake))),
    "half_log": lambda real, fake: -np.mean(np.log(sigmoid(real))) / 2 - np.mean(np.log(1 - sigmoid(fake))) / 2,
    "least_squares": lambda real, fake: np.mean((real - 1) ** 2) / 2 + np.mean(fake**2) / 2,
    "hinge": lambda real, fake: np.mean(np.maximum(0, 1 - real)) + np.mean(np.maximum(0, 1 + fake)),
    "double_sigmoid": lambda real, fake: (
        -np.mean(np.log(sigmoid(sigmoid(real)))) - np.mean(np.log(1 - sigmoid(sigmoid(fake))))
    ),
    "wasserstein": lambda real, fake: np.mean(fake) - np.mean(real),
    "relativistic": lambda real, fake: -np.mean(np.log(sigmoid(real - fake))),
}
NUMPY_G = {
    "non_saturating": lambda fake: -np.mean(np.log(sigmoid(fake))),
    "saturating": lambda fake: np.mean(np.log(1 - sigmoid(fake))),
    "least_squares": lambda fake: np.mean((fake - 1) ** 2) / 2,
    "hinge": lambda fake: -np.mean(fake),
    "double_sigmoid": lambda fake: -np.mean(np.log(sigmoid(sigmoid(fake)))),
    "wasserstein": lambda fake: -np.mean(fake),
}
NUMPY_PAIRED = {"relativistic": lambda fake, real: -np.mean(np.log(sigmoid(fake - real)))}
each_discriminator = pytest.mark.parametrize("name", DISCRIMINATOR)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def logits(seed, shape=(40, 1)):
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


@jax.jit
def discriminator_losses(real, fake):
    return {name: entry.loss(real, fake) for name, entry in DISCRIMINATOR.items()}


@jax.jit
def generator_losses(fake, real):
    return {name: entry.loss(fake, *[real] * entry.paired) for name, entry in GENERATOR.items()}


# --- values -------------------------------------------------------------------------------------------------------


def test_every_loss_has_its_known_answer_here():
    assert DISCRIMINATOR.keys() == OPTIMA.keys() == NUMPY.keys()
    assert GENERATOR.keys() == NUMPY_G.keys() | NUMPY_PAIRED.keys()
    assert {name for name, entry in GENERATOR.items() if entry.paired} == NUMPY_PAIRED.keys()
    for name, (_, _, opponents) in OPTIMA.items():
        assert set(DISCRIMINATOR[name].opponents) == opponents.keys()


def test_losses_are_their_definitions():
    real, fake = logits(0), logits(1)
    for name, value in discriminator_losses(real, fake).items():
        expected = NUMPY[name](real.astype(float), fake.astype(float))
        np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=name)
    for name, value in generator_losses(fake, real).items():
        pair = (fake.astype(float), real.astype(float))
        expected = NUMPY_PAIRED[name](*pair) if name in NUMPY_PAIRED else NUMPY_G[name](pair[0])
        np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("shape", [(), (12,), (12, 1), (3, 4)])
def test_losses_are_scalars_of_logits_of_any_shape(shape):
    value = np.full(shape, 0.3, np.float32)
    results = jax.eval_shape(discriminator_losses, value, value) | jax.eval_shape(generator_losses, value, value)
    assert {(result.shape, result.dtype) for result in results.values()} == {((), np.dtype(np.float32))}


def test_real_and_generated_batches_may_differ_in_size():
    single = [entry.loss for name, entry in DISCRIMINATOR.items() if name != "relativistic"]  # which takes pairs
    assert all(jax.eval_shape(loss, logits(0), logits(1, (7, 1))).shape == () for loss in single)


@each_discriminator
def test_losses_at_their_optimum(name):
    output, optimum, opponents = OPTIMA[name]
    constant = np.full((40, 1), output, np.float32)
    assert DISCRIMINATOR[name].optimum == pytest.approx(optimum, rel=1e-12, abs=0)
    np.testing.assert_allclose(discriminator_losses(constant, constant)[name], optimum, rtol=1e-6)
    for opponent, optimum_g in opponents.items():
        assert GENERATOR[opponent].optimum == (None if optimum_g is None else pytest.approx(optimum_g, rel=1e-12))
        if optimum_g is not None:
            np.testing.assert_allclose(generator_losses(constant, constant)[opponent], optimum_g, rtol=1e-6)


def test_every_generator_loss_has_a_discriminator_to_play_against():
    assert {opponent for entry in DISCRIMINATOR.values() for opponent in entry.opponents} == GENERATOR.keys()


def test_no_constant_discriminator_beats_the_optimum_at_equilibrium():
    constants = np.linspace(-20, 20, 801).astype(np.float32)
    for name, values in jax.jit(jax.vmap(discriminator_losses))(constants, constants).items():
        np.testing.assert_allclose(np.min(values), DISCRIMINATOR[name].optimum, atol=1e-6, err_msg=name)


# --- slopes and tails ---------------------------------------------------------------------------------------------


TAIL = np.array([-1e4, -200.0, -50.0, -20.0, 20.0, 50.0, 200.0, 1e4], np.float32)
# softplus(x) = log(1 + eˣ), in float64; float32 may give 0 for values below 1e-37.
SOFTPLUS = np.logaddexp(0, TAIL.astype(float))
SOFTPLUS_OF_MINUS = np.logaddexp(0, -TAIL.astype(float))


@jax.jit
def losses_and_slopes(logit):
    """Each loss of one logit, the discriminator's with that of the opposite generated sample, and its derivative."""
    functions = {name: lambda x, g=entry: g.loss(x, *[-x] * g.paired) for name, entry in GENERATOR.items()}
    functions |= {f"{name}_d": lambda x, d=entry.loss: d(x, -x) for name, entry in DISCRIMINATOR.items()}
    return {name: jax.vmap(jax.value_and_grad(function))(logit) for name, function in functions.items()}


def test_log_losses_in_the_tails():
    results = losses_and_slopes(TAIL)
    expected = {
        "log_d": (2 * SOFTPLUS_OF_MINUS, -2 * np.exp(-SOFTPLUS)),
        "half_log_d": (SOFTPLUS_OF_MINUS, -np.exp(-SOFTPLUS)),
        "non_saturating": (SOFTPLUS_OF_MINUS, -np.exp(-SOFTPLUS)),  # slope −1 if D is sure of a fake
        "saturating": (-SOFTPLUS, -np.exp(-SOFTPLUS_OF_MINUS)),  # slope 0 there: it saturates
        "relativistic": (
            np.logaddexp(0, -2 * TAIL.astype(float)),
            -2 * np.exp(-np.logaddexp(0, 2 * TAIL.astype(float))),
        ),
        "relativistic_d": (
            np.logaddexp(0, -2 * TAIL.astype(float)),
            -2 * np.exp(-np.logaddexp(0, 2 * TAIL.astype(float))),
        ),
    }
    for name, known in expected.items():
        for found, exact in zip(results[name], known, strict=True):
            np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-37, err_msg=name)


def test_losses_fall_as_the_logit_rises():
    for name, (_, slope) in losses_and_slopes(np.linspace(-3, 0.4, 8).astype(np.float32)).items():
        assert (np.asarray(slope) < 0).all(), name


# --- the optimal discriminator, found from the loss alone -----------------------------------------------------------

REAL, FAKE = np.array([1, 2, 3, 4]), np.array([5, 2, 2, 1])  # how often each of four points 0, 1, 2, 3 occurs
P, Q = REAL / REAL.sum(), FAKE / FAKE.sum()
SUPPORT = np.arange(4)


def expected_loss(name):
    """The discriminator's loss on the two samples, as a function of its outputs f32[4] at the four points."""
    real, fake = np.repeat(SUPPORT, REAL), np.repeat(SUPPORT, FAKE)
    return jax.jit(lambda outputs: DISCRIMINATOR[name].loss(outputs[real], outputs[fake]))


@pytest.mark.parametrize(
    ("name", "optimal"), [("log", np.log(P / Q)), ("half_log", np.log(P / Q)), ("least_squares", P / (P + Q))]
)
def test_minimum_of_a_smooth_discriminator_loss(name, optimal):
    with jax.enable_x64(True):
        value_and_grad = jax.jit(jax.value_and_grad(expected_loss(name)))

        def function(outputs):
            return tuple(np.asarray(part) for part in value_and_grad(outputs))

        found = optimize.minimize(function, np.zeros(4), jac=True, tol=1e-10)
    np.testing.assert_allclose(found.x, optimal, atol=1e-6)
    if name != "least_squares":
        np.testing.assert_allclose(theory.optimal_logit(np.log(P), np.log(Q)), optimal, atol=1e-6)
        middle = (P + Q) / 2
        js = (P @ np.log(P / middle) + Q @ np.log(Q / middle)) / 2
        np.testing.assert_allclose(found.fun, theory.discriminator_loss(js, half=name == "half_log"), rtol=1e-6)


def test_minimum_of_the_hinge_loss():
    loss = expected_loss("hinge")
    # Piecewise linear with kinks at ±1: some vertex of the cube is the minimum, and outside it nothing is lower.
    candidates = np.stack(np.meshgrid(*[np.array([-2.0, -1.0, 0.0, 1.0, 2.0])] * 4), axis=-1).reshape(-1, 4)
    values = np.asarray(jax.jit(jax.vmap(loss))(candidates.astype(np.float32)))
    at_sign = loss(np.sign(P - Q).astype(np.float32))
    np.testing.assert_allclose(values.min(), at_sign, rtol=1e-6)
    np.testing.assert_allclose(at_sign, 2 * np.minimum(P, Q).sum(), rtol=1e-6)  # 2·(1 − total variation)
    assert at_sign < DISCRIMINATOR["hinge"].optimum


def test_minimum_of_the_wasserstein_loss_over_lipschitz_critics():
    slopes = np.stack(np.meshgrid(*[np.array([-1.0, 0.0, 1.0])] * 3), axis=-1).reshape(-1, 3)
    critics = np.concatenate([np.zeros((len(slopes), 1)), np.cumsum(slopes, axis=1)], axis=1).astype(np.float32)
    values = jax.jit(jax.vmap(expected_loss("wasserstein")))(critics)
    np.testing.assert_allclose(np.min(values), -stats.wasserstein_distance(SUPPORT, SUPPORT, P, Q), rtol=1e-5)


# --- input gradients and penalties --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dim", "activation", "other_mode"),
    [(1, "tanh", jax.jacrev), (2, "leaky_relu", jax.jacfwd), (9, "tanh", jax.jacfwd)],
)
def test_input_gradients_against_the_other_mode(dim, activation, other_mode):
    net = nets.mlp(dim, 1, (8, 8), activation=activation)
    shapes, rng = jax.eval_shape(net.init, jax.random.key(0)), np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    x = logits(3, (20, dim))

    @jax.jit
    def both(params, x):
        expected = jax.vmap(other_mode(lambda row: net.apply(params, row[None])[0, 0]))(x)
        return losses.input_gradients(lambda x: net.apply(params, x), x), expected

    gradients, expected = both(params, x)
    assert gradients.shape == x.shape
    np.testing.assert_allclose(gradients, expected, rtol=1e-5, atol=1e-6)


def test_input_gradients_of_a_known_function():
    x = logits(4, (10, 2))
    gradients = jax.jit(lambda x: losses.input_gradients(lambda x: x[:, :1] ** 2 * x[:, 1:], x))(x)
    np.testing.assert_allclose(gradients, np.stack([2 * x[:, 0] * x[:, 1], x[:, 0] ** 2], axis=1), rtol=1e-5)


def test_penalties_can_be_differentiated_in_the_parameters():
    rng = np.random.default_rng(0)
    params, direction = ((rng.normal(size=(2, 8)), rng.normal(size=(8, 1))) for _ in range(2))
    x, step = rng.normal(size=(16, 2)), 1e-6

    def penalties(params):
        gradients = losses.input_gradients(lambda x: jnp.tanh(x @ params[0]) @ params[1], x)
        return jnp.stack([losses.zero_centred_penalty(gradients), losses.one_centred_penalty(gradients)])

    @jax.jit
    def along(t):
        return penalties(jax.tree.map(lambda leaf, change: leaf + t * change, params, direction))

    with jax.enable_x64(True):
        slopes = jax.jit(jax.jacrev(along))(0.0)
        differences = (np.asarray(along(step)) - np.asarray(along(-step))) / (2 * step)
    np.testing.assert_allclose(slopes, differences, rtol=1e-4)


@jax.jit
def penalties(gradients):
    return losses.zero_centred_penalty(gradients), losses.one_centred_penalty(gradients)


def test_penalties_are_their_definitions():
    gradients = logits(6, (50, 2))
    norms = np.linalg.norm(gradients.astype(float), axis=1)
    for scale in (1.0, 0.0, 1 / norms[:, None]):
        scaled = (gradients * scale).astype(np.float32)
        expected = np.mean((norms * np.squeeze(scale)) ** 2) / 2, np.mean((norms * np.squeeze(scale) - 1) ** 2)
        # A norm of 0 counts as 1e-6, so that it has a gradient.
        np.testing.assert_allclose(penalties(scaled), expected, rtol=1e-5, atol=1e-11)


def test_penalties_have_finite_gradients_where_the_gradient_is_zero():
    gradients = jax.jit(jax.jacrev(lambda gradients: jnp.stack(penalties(gradients))))(np.zeros((3, 2), np.float32))
    assert np.isfinite(gradients).all()


def test_best_discriminator_of_the_double_sigmoid_is_the_clipped_log_ratio():
    """By brute force over D at single points, where p and q have the weights of a mean."""
    for log_ratio in (-2.0, -0.1, 0.3, 0.9, 1.7):
        p, q = math.exp(log_ratio), 1.0
        d = np.linspace(1e-6, 1 - 1e-6, 200_001)
        values = p * np.logaddexp(0, -d) + q * np.logaddexp(0, d)
        np.testing.assert_allclose(d[values.argmin()], np.clip(log_ratio, 0, 1), atol=1e-4)
    logit = jnp.array([0.4])
    probability = 1 / (1 + math.exp(-0.4))
    np.testing.assert_allclose(
        losses.double_sigmoid_loss_d(logit, logit), np.logaddexp(0, -probability) + np.logaddexp(0, probability), 1e-6
    )
    np.testing.assert_allclose(losses.double_sigmoid_loss_g(logit), np.logaddexp(0, -probability), 1e-6)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: losses.zero_centred_penalty(jnp.ones(3)), r"zero_centred_penalty: gradients \[n, dim\]"),
        (lambda: losses.one_centred_penalty(jnp.ones((2, 3, 1))), r"one_centred_penalty: gradients \[n, dim\]"),
        (lambda: losses.input_gradients(jnp.sin, jnp.ones(3)), r"x \[n, dim\]"),
        (lambda: losses.input_gradients(jnp.sin, jnp.ones((3, 2))), r"apply\(x\) \[n, 1\]"),
    ],
)
def test_wrong_shapes_are_refused_in_one_line(compute, message):
    for call in (compute, jax.jit(compute)):
        with pytest.raises(AssertionError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
