"""What happens to an agent in an environment? Transitions with automatic resets, and returns of whole episodes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key, PyTree
from jgen1d.core.door import vary
from jgen1d.worlds.environment import Environment

Act = Callable[[Key, jax.Array], jax.Array]
"""`(key, observations: f32[n, observation_dim]) -> actions`, i32[n] or f32[n, action_dim]."""


class Episodes(NamedTuple):
    """Episodes that are under way, in n copies of an environment.

    Attributes:
      state: of the environments, with a leading axis [n].
      elapsed: i32[n], steps since the start.
      total: f32[n], what was earned since the start.
      last: f32[n], the return of the last episode that ended, 0 before.
    """

    state: PyTree
    elapsed: jax.Array
    total: jax.Array
    last: jax.Array


class Transitions(NamedTuple):
    """What was seen, each with leading axes [num_steps, n].

    Attributes:
      observation: f32[..., observation_dim].
      action: i32[...] or f32[..., action_dim].
      reward: f32[...].
      next_observation: f32[..., observation_dim], before any reset.
      done: bool[...], whether the episode ended for good.
      truncated: bool[...], whether it was cut off by the limit of steps.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    next_observation: jax.Array
    done: jax.Array
    truncated: jax.Array


def scan(step: Callable[[Any, Key], tuple[Any, Any]], start: Any, key: Key, num_steps: int) -> tuple[Any, Any]:
    """`lax.scan` of `(carry, key) -> (carry, output)` over so many keys, split from one."""
    keys = jax.random.split(key, num_steps)
    as_key = functools.partial(jax.random.wrap_key_data, impl=jax.random.key_impl(keys))
    # Words, because JAX's check of key reuse takes a key in a loop for one that is used twice.
    return jax.lax.scan(lambda carry, words: step(carry, as_key(words)), start, jax.random.key_data(keys))


def begin(key: Key, environment: Environment, num_environments: int) -> Episodes:
    """Starts so many episodes."""
    state = jax.vmap(environment.reset)(jax.random.split(key, num_environments))
    zeros = jnp.zeros(num_environments)
    return vary(Episodes(state, jnp.zeros(num_environments, int), zeros, zeros))


def advance(
    key: Key, environment: Environment, act: Act, episodes: Episodes, num_steps: int
) -> tuple[Episodes, Transitions]:
    """Takes `num_steps` steps in each environment; an episode that ends is followed by a new one."""
    n = len(episodes.elapsed)

    def one(episodes: Episodes, key: Key) -> tuple[Episodes, Transitions]:
        key_act, key_step, key_reset = jax.random.split(key, 3)
        observation = jax.vmap(environment.observe)(episodes.state)
        action = act(key_act, observation)
        state, reward, done = jax.vmap(environment.step)(jax.random.split(key_step, n), episodes.state, action)
        elapsed, total = episodes.elapsed + 1, episodes.total + reward
        truncated = ~done & (elapsed >= environment.max_steps)
        seen = Transitions(observation, action, reward, jax.vmap(environment.observe)(state), done, truncated)
        ended, fresh = done | truncated, begin(key_reset, environment, n)
        state = jax.tree.map(lambda new, old: _where(ended, new, old), fresh.state, state)
        last = jnp.where(ended, total, episodes.last)
        return Episodes(state, jnp.where(ended, 0, elapsed), jnp.where(ended, 0, total), last), seen

    return scan(one, episodes, key, num_steps)


def returns(key: Key, environment: Environment, act: Act, num_episodes: int) -> jax.Array:
    """The sums of rewards, f32[num_episodes], of whole episodes."""
    key_start, key_steps = jax.random.split(key)
    start = jax.vmap(environment.reset)(jax.random.split(key_start, num_episodes))

    def one(carry: tuple[PyTree, jax.Array, jax.Array], key: Key) -> tuple[tuple, None]:
        state, alive, total = carry
        key_act, key_step = jax.random.split(key)
        action = act(key_act, jax.vmap(environment.observe)(state))
        new, reward, done = jax.vmap(environment.step)(jax.random.split(key_step, num_episodes), state, action)
        state = jax.tree.map(lambda new, old: _where(alive, new, old), new, state)
        return (state, alive & ~done, total + jnp.where(alive, reward, 0)), None

    carry = vary((start, jnp.ones(num_episodes, bool), jnp.zeros(num_episodes)))
    return scan(one, carry, key_steps, environment.max_steps)[0][2]


def _where(which: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """Selects rows, bool[n], of arrays [n, ...]."""
    return jnp.where(which.reshape(-1, *[1] * (old.ndim - 1)), new, old)
