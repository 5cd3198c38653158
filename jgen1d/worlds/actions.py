"""What does an agent choose among? Distributions of actions, as functions of a network's outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key


class Actions(NamedTuple):
    """A family of distributions, each row's with parameters of its own, f32[n, k].

    Attributes:
      sample: `(key, parameters) -> actions`, i32[n] or f32[n, action_dim].
      mode: `parameters -> actions`, the most likely ones.
      log_prob: `(parameters, actions) -> f32[n]`, in nats.
      entropy: `parameters -> f32[n]`, in nats.
    """

    sample: Callable[[Key, jax.Array], jax.Array]
    mode: Callable[[jax.Array], jax.Array]
    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    entropy: Callable[[jax.Array], jax.Array]


def _categorical_log_prob(logits: jax.Array, actions: jax.Array) -> jax.Array:
    chosen = jax.nn.one_hot(actions, logits.shape[1], dtype=logits.dtype)
    return jnp.sum(chosen * jax.nn.log_softmax(logits), axis=1)


def _categorical_entropy(logits: jax.Array) -> jax.Array:
    log_p = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=1)


CATEGORICAL = Actions(
    lambda key, logits: jax.random.categorical(key, logits),
    lambda logits: jnp.argmax(logits, axis=1),
    _categorical_log_prob,
    _categorical_entropy,
)
"""One of k actions; the parameters are logits, f32[n, k]."""


def _split(parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean, log_std = jnp.split(parameters, 2, axis=1)
    return mean, log_std


def _normal_sample(key: Key, parameters: jax.Array) -> jax.Array:
    mean, log_std = _split(parameters)
    return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)


def _normal_log_prob(parameters: jax.Array, actions: jax.Array) -> jax.Array:
    mean, log_std = _split(parameters)
    squares = ((actions - mean) * jnp.exp(-log_std)) ** 2
    return -jnp.sum(0.5 * squares + log_std + 0.5 * math.log(2 * math.pi), axis=1)


NORMAL = Actions(
    _normal_sample,
    lambda parameters: _split(parameters)[0],
    _normal_log_prob,
    lambda parameters: jnp.sum(_split(parameters)[1] + 0.5 * math.log(2 * math.pi * math.e), axis=1),
)
"""Independent normals; the parameters are means and log standard deviations, f32[n, 2·action_dim]."""
