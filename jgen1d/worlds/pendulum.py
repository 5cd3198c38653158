"""Pendulum: a weak motor has to swing a pendulum up and hold it there.

References:
  Constants, the clipped speed and the limit of 200 steps are those of gymnasium's Pendulum-v1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key
from jgen1d.worlds.environment import Environment

GRAVITY, MASS, LENGTH = 10.0, 1.0, 1.0  # m/s², kg, m
SECONDS = 0.05  # per step
MAX_SPEED, MAX_TORQUE = 8.0, 2.0  # rad/s, Nm


class State(NamedTuple):
    """The angle from upright in rad and its velocity in rad/s, f32[] each."""

    angle: jax.Array
    velocity: jax.Array


def reset(key: Key) -> State:
    """Draws any angle, and a velocity within ± 1 rad/s."""
    return State(*(jnp.array([math.pi, 1.0]) * jax.random.uniform(key, (2,), minval=-1, maxval=1)))


def step(key: Key, state: State, action: jax.Array) -> tuple[State, jax.Array, jax.Array]:
    """Applies a torque, f32[1] in Nm, clipped to ± 2, for 0.05 s. The reward is minus the cost of the state before.

    The cost is angle² + 0.1·velocity² + 0.001·torque², with the angle within ± π. An episode is never done.
    """
    del key
    torque = jnp.clip(action[0], -MAX_TORQUE, MAX_TORQUE)
    angle = jnp.mod(state.angle + math.pi, 2 * math.pi) - math.pi
    cost = angle**2 + 0.1 * state.velocity**2 + 0.001 * torque**2
    acceleration = 3 * GRAVITY / (2 * LENGTH) * jnp.sin(state.angle) + 3 / (MASS * LENGTH**2) * torque
    velocity = jnp.clip(state.velocity + SECONDS * acceleration, -MAX_SPEED, MAX_SPEED)
    return State(state.angle + SECONDS * velocity, velocity), -cost, jnp.zeros_like(cost, bool)


def observe(state: State) -> jax.Array:
    """Cosine and sine of the angle, and the velocity, f32[3]."""
    return jnp.stack([jnp.cos(state.angle), jnp.sin(state.angle), state.velocity])


ENVIRONMENT = Environment(reset, step, observe, observation_dim=3, max_steps=200)
