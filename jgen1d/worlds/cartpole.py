"""CartPole: a cart is pushed left or right so that the pole on it does not fall.

References:
  Barto, Sutton & Anderson 1983, Neuronlike adaptive elements that can solve difficult learning control problems.
  Constants, Euler steps and the limit of 500 steps are those of gymnasium's CartPole-v1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key
from jgen1d.worlds.environment import Environment

GRAVITY = 9.8  # m/s²
MASS_CART, MASS_POLE = 1.0, 0.1  # kg
HALF_LENGTH = 0.5  # m, of the pole
FORCE = 10.0  # N
SECONDS = 0.02  # per step
LIMIT_POSITION = 2.4  # m
LIMIT_ANGLE = 12 * 2 * math.pi / 360  # rad
START = 0.05  # episodes start uniformly within ± this, in all four units


class State(NamedTuple):
    """The cart's position in m and velocity in m/s, and the pole's angle in rad and velocity in rad/s, f32[] each."""

    position: jax.Array
    velocity: jax.Array
    angle: jax.Array
    angular_velocity: jax.Array


def reset(key: Key) -> State:
    """Draws a start: all four within ± 0.05."""
    return State(*jax.random.uniform(key, (4,), minval=-START, maxval=START))


def step(key: Key, state: State, action: jax.Array) -> tuple[State, jax.Array, jax.Array]:
    """Pushes for 0.02 s: to the right if `action`, i32[], is 1, else to the left. The reward is 1.

    Done once the pole leans more than 12° or the cart is more than 2.4 m away.
    """
    del key
    force = jnp.where(action == 1, FORCE, -FORCE)
    mass = MASS_CART + MASS_POLE
    cos, sin = jnp.cos(state.angle), jnp.sin(state.angle)
    push = (force + MASS_POLE * HALF_LENGTH * state.angular_velocity**2 * sin) / mass
    turn = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - MASS_POLE * cos**2 / mass))
    acceleration = push - MASS_POLE * HALF_LENGTH * turn * cos / mass
    after = State(
        state.position + SECONDS * state.velocity,
        state.velocity + SECONDS * acceleration,
        state.angle + SECONDS * state.angular_velocity,
        state.angular_velocity + SECONDS * turn,
    )
    done = (jnp.abs(after.position) > LIMIT_POSITION) | (jnp.abs(after.angle) > LIMIT_ANGLE)
    return after, jnp.ones_like(after.position), done


def observe(state: State) -> jax.Array:
    """The whole state, f32[4]."""
    return jnp.stack(state)


ENVIRONMENT = Environment(reset, step, observe, observation_dim=4, max_steps=500, num_actions=2, solved_at=475.0)
