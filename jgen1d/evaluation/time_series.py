"""How does the literature score samples of time series, and what would a perfect sampler score?

Curves are f32[n, length, channels]. The discriminative and the predictive score train a recurrent network afresh on
each set of samples: pure functions of a key, to be vmapped over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jgen1d import nets
from jgen1d.core import Key, PyTree

RATE = 0.1
"""The frequency, in radians per place, and the phase of the sines are uniform between 0 and this."""
NUM_PAIRS = 64
"""Pairs of exact samples in the correlational score's floor."""


class Training(NamedTuple):
    """How an evaluating network is trained.

    Attributes:
      is_recurrent: whether it is a gated recurrent unit; else it has two hidden layers.
      units: of each layer.
      num_steps: of Adam.
      batch_size: curves of each step, half of them real for a classifier.
      learning_rate: Adam's, at the start; it falls to 0 along a cosine.
    """

    is_recurrent: bool
    units: int
    num_steps: int
    batch_size: int
    learning_rate: float


TRAININGS = {"recurrent": Training(True, 2, 500, 128, 3e-2), "feedforward": Training(False, 64, 1_000, 128, 3e-3)}
"""The literature's network for five channels, for fewer steps at a higher rate, and one that sees more."""


def sines(key: Key, num_samples: int, length: int, channels: int, phase: float | None = None) -> jax.Array:
    """Draws (1 + sin(f·t + φ))/2 at t = 0, 1, …, f32[n, length, channels], with f and φ from U(0, 0.1) in each channel.

    Args:
      key: determines the curves.
      num_samples: n.
      length: places of each curve.
      channels: independent of each other.
      phase: φ of all curves, for a sampler that is broken; None to draw it.

    References:
      Yoon, Jarrett & van der Schaar 2019, Time-series generative adversarial networks, as in `sine_data_generation` of
      their code, which differs from the paper's section 5.1.
    """
    drawn = RATE * jax.random.uniform(key, (2, num_samples, 1, channels))
    angles = drawn[0] * jnp.arange(length, dtype=drawn.dtype)[None, :, None]
    return (1 + jnp.sin(angles + (drawn[1] if phase is None else phase))) / 2


def scores(key: Key, samples: jax.Array, num_test: int) -> dict[str, jax.Array]:
    """The scores of samples of sines, f32[n, length, channels], against as many fresh exact curves, f32[] by name.

    They are `recurrent` and `feedforward`, the discriminative score by the names in `TRAININGS`, `predictive` and
    `correlational`.

    Args:
      key: of the exact curves and the evaluating networks.
      samples: f32[n, length, channels].
      num_test: curves of either kind, below n, that no classifier is trained on.
    """
    key_real, key_predict, *keys = jax.random.split(key, 2 + len(TRAININGS))
    real, found = sines(key_real, *samples.shape), {}
    for key, (network, training) in zip(keys, TRAININGS.items(), strict=True):
        found[network] = discriminative_score(key, real, samples, num_test, training)
    found["predictive"] = predictive_score(key_predict, real[:num_test], samples)
    return found | {"correlational": correlational_score(real[:num_test], samples[:num_test])}


def discriminative_score(
    key: Key, real: jax.Array, samples: jax.Array, num_test: int, training: Training = TRAININGS["recurrent"]
) -> jax.Array:
    """``|accuracy − ½|`` of a classifier of real against generated curves, f32[], on curves it has not seen.

    A recurrent classifier sees the values as they are, as in the literature, and answers at the last place. A
    feedforward one sees the whole curve, each value over its spread among real curves.

    Args:
      key: of the network and its minibatches.
      real: f32[n, length, channels].
      samples: f32[n, length, channels].
      num_test: curves of either kind, the last ones, that are kept for the test.
      training: of the classifier.

    References:
      Yoon, Jarrett & van der Schaar 2019, section 5, for the recurrent one.
    """
    num_train, (_, length, channels) = len(real) - num_test, real.shape
    key_init, key_train = jax.random.split(key)
    if training.is_recurrent:
        params = _init(key_init, channels, training.units)
    else:
        center, spread = jnp.mean(real[:num_train], axis=0)[None], jnp.std(real[:num_train], axis=0)[None] + 1e-6
        real, samples = ((curves - center) / spread for curves in (real, samples))
        net = nets.build("mlp", length * channels, 1, (training.units,) * 2, activation="relu")
        params = net.init(key_init)

    def logits(params: PyTree, curves: jax.Array) -> jax.Array:
        if training.is_recurrent:
            return _run(params, curves)[-1][:, 0]
        return net(params, curves.reshape(len(curves), -1))[:, 0]

    def loss_of(params: PyTree, real: jax.Array, samples: jax.Array) -> jax.Array:
        return jnp.mean(jax.nn.softplus(-logits(params, real))) + jnp.mean(jax.nn.softplus(logits(params, samples)))

    halves = training._replace(batch_size=training.batch_size // 2)
    params = _train(key_train, loss_of, (real[:num_train], samples[:num_train]), params, halves)
    is_right = jnp.stack([logits(params, real[num_train:]) > 0, logits(params, samples[num_train:]) <= 0])
    return jnp.abs(jnp.mean(is_right) - 0.5)


def discriminative_floor(num_test: int) -> float:
    """√(2/π)·½/√m, a perfect sampler's mean score on m test curves in all, that of a fair coin for large m.

    The accuracy of a classifier that says "real" at the rate r has the variance r·(1 − r)/m, so that this is the floor
    of one that says it as often as not, and else an upper bound.
    """
    return math.sqrt(2 / math.pi) * 0.5 / math.sqrt(num_test)


def predictive_score(
    key: Key, real: jax.Array, samples: jax.Array, training: Training = TRAININGS["recurrent"]
) -> jax.Array:
    """The mean absolute error, f32[], with which a recurrent network that has learnt on samples predicts real curves.

    It sees all channels but the last up to each place, and predicts the last one at the next place.

    Args:
      key: of the network and its minibatches.
      real: f32[m, length, channels].
      samples: f32[n, length, channels].
      training: of the network.

    References:
      Yoon, Jarrett & van der Schaar 2019, section 5, as in `predictive_score_metrics` of their code.
    """

    def errors(params: PyTree, curves: jax.Array) -> jax.Array:
        predicted = jax.nn.sigmoid(_run(params, curves[:, :-1, :-1]))
        return jnp.mean(jnp.abs(predicted[:, :, 0] - curves[:, 1:, -1].T))

    key_init, key_train = jax.random.split(key)
    params = _init(key_init, real.shape[2] - 1, training.units)
    return errors(_train(key_train, errors, (samples,), params, training), real)


def predictive_floor(length: int) -> float:
    """The least predictive score on `sines` of any predictor: the mean of ``|x_t − median|`` over t = 1, 2, …

    Channels are independent, so that the others tell nothing about the last one, and the best guess is its median at
    each place. The mean is over a grid of 400 × 400 frequencies and phases.
    """
    u = (np.arange(400) + 0.5) / 400
    angles = RATE * (u[:, None, None] * np.arange(1, length) + u[None, :, None])
    values = (1 + np.sin(angles)).reshape(-1, length - 1) / 2
    return float(np.mean(np.abs(values - np.median(values, axis=0))))


def correlational_score(real: jax.Array, samples: jax.Array) -> jax.Array:
    """``Σᵢⱼ |rᵢⱼ − r′ᵢⱼ|/10`` over pairs of channels, f32[], of the correlations over all curves and places.

    Args:
      real: f32[m, length, channels].
      samples: f32[n, length, channels].

    References:
      Liao et al. 2020, Conditional Sig-Wasserstein GANs for time series generation; Yuan & Qiao 2024, Diffusion-TS,
      appendix, for the sum and the 10.
    """
    return jnp.sum(jnp.abs(_correlations(real) - _correlations(samples))) / 10


def correlational_floor(num_samples: int, length: int, channels: int) -> float:
    """The mean correlational score of two exact samples of `sines`, over `NUM_PAIRS` pairs of that size."""

    def score(key: Key) -> jax.Array:
        real, samples = (sines(key, num_samples, length, channels) for key in jax.random.split(key))
        return correlational_score(real, samples)

    return float(jnp.mean(jax.lax.map(score, jax.random.split(jax.random.key(0), NUM_PAIRS))))


def _correlations(curves: jax.Array) -> jax.Array:
    centred = curves - jnp.mean(curves, axis=(0, 1), keepdims=True)
    covariance = jnp.einsum("nti,ntj->ij", centred, centred)
    scale = jnp.sqrt(jnp.maximum(jnp.diag(covariance), 1e-12))
    return covariance / (scale[:, None] * scale[None])


def _train(
    key: Key, loss_of: Callable[..., jax.Array], data: tuple[jax.Array, ...], params: PyTree, training: Training
) -> PyTree:
    """The parameters after Adam has seen minibatches of each array in `data`."""
    optimizer = optax.adam(optax.cosine_decay_schedule(training.learning_rate, training.num_steps))

    def step(carry: tuple[PyTree, Any], number: jax.Array) -> tuple[tuple[PyTree, Any], None]:
        params, opt_state = carry
        keys = jax.random.split(jax.random.fold_in(key, number), len(data))
        batches = (
            rows[jax.random.randint(key, (training.batch_size,), 0, len(rows))]
            for key, rows in zip(keys, data, strict=True)
        )
        updates, opt_state = optimizer.update(jax.grad(loss_of)(params, *batches), opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(training.num_steps))[0][0]


def _init(key: Key, inputs: int, units: int) -> PyTree:
    key_in, key_state, key_out = jax.random.split(key, 3)
    draw = jax.nn.initializers.glorot_uniform()
    return {
        "in": draw(key_in, (inputs, 3 * units)), "state": draw(key_state, (units, 3 * units)),
        "bias": jnp.zeros(3 * units), "out": draw(key_out, (units, 1)), "out_bias": jnp.zeros(1),
    }  # fmt: skip


def _run(params: PyTree, curves: jax.Array) -> jax.Array:
    """A gated recurrent unit (Cho et al. 2014) along curves f32[n, length, inputs]; its outputs f32[length, n, 1]."""
    inputs = jnp.einsum("nti,ij->tnj", curves, params["in"]) + params["bias"][None, None]
    units = len(params["state"])

    def step(state: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        from_state = state @ params["state"]
        update, reset = (jax.nn.sigmoid(x[:, part] + from_state[:, part]) for part in parts[:2])
        new = jnp.tanh(x[:, parts[2]] + reset * from_state[:, parts[2]])
        state = update * state + (1 - update) * new
        return state, state

    parts = [slice(k * units, (k + 1) * units) for k in range(3)]
    states = jax.lax.scan(step, jnp.zeros((len(curves), units)), inputs)[1]
    return states @ params["out"] + params["out_bias"][None, None]
