"""How far is a world model from the world, and for how many steps does it follow it? By comparison with the truth."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key, replace
from jgen1d.core.door import vary
from jgen1d.worlds import rollout, world_model
from jgen1d.worlds.environment import Environment
from jgen1d.worlds.rollout import Act
from jgen1d.worlds.world_model import Experience

NUM_BINS = 10
"""Of predicted probabilities."""
OPEN_LOOP = 200
"""Steps of an open-loop rollout."""


class Fidelity(NamedTuple):
    """What a model misses, at temperature 0.

    Attributes:
      one_step: f32[d], `one_step_error`.
      horizon: f32[], the median `horizon` of open-loop rollouts.
      done: f32[], `calibration_error` of `done`.
      paths: f32[2, OPEN_LOOP, d], observations of one of them, those of reality first; NaN after its end there.
    """

    one_step: jax.Array
    horizon: jax.Array
    done: jax.Array
    paths: jax.Array


def measure(
    key: Key,
    model: world_model.State,
    act: Act,
    seen: Experience,
    at_random: Experience,
    environment: Environment,
    config: world_model.Config,
    num_episodes: int,
) -> Fidelity:
    """What a model misses.

    Args:
      key: of the rollouts.
      model: one model.
      act: whose actions the rollouts take.
      seen: where the model's next observations are compared.
      at_random: transitions of other actions; `done` is compared there, too, as a good agent hardly meets an end.
      environment: reality.
      config: of the model.
      num_episodes: rollouts.
    """
    cold = replace(config, temperature=0.0)
    dream = world_model.dream(model, environment, cold)
    real, imagined, alive = open_loop(key, environment, dream, act, num_episodes, OPEN_LOOP)
    steps = horizon(real, imagined, alive, model.scales.condition_std[: environment.observation_dim])
    both: Experience = jax.tree.map(lambda *parts: jnp.concatenate(parts), seen, at_random)
    done = calibration_error(world_model.end_probability(model, both, environment, config), both.done)
    paths = jnp.where(alive[None, :, :1], jnp.stack([real[:, 0], imagined[:, 0]]), jnp.nan)
    return Fidelity(one_step_error(seen, model, environment, cold), jnp.median(steps), done, paths)


def one_step_error(
    seen: Experience, model: world_model.State, environment: Environment, config: world_model.Config
) -> jax.Array:
    """The root mean square error, f32[d], of next observations, in standard deviations of a step's changes.

    At temperature 0 they are the likeliest ones, and of an ensemble those of a member drawn for each row. Where reality
    is noisy, the noise is part of the error.
    """
    guessed = world_model.predict(jax.random.key(0), model, seen.observation, seen.action, environment, config)[0]
    squares = jnp.mean((guessed - seen.next_observation) ** 2, axis=0)
    return jnp.sqrt(squares) / model.scales.outcome_std[:-1]


def open_loop(
    key: Key, environment: Environment, dream: Environment, act: Act, num_episodes: int, num_steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Takes the same actions from the same starts in reality and in a dream, which is told of nothing after the start.

    Args:
      key: of starts, actions and steps.
      environment: reality.
      dream: a model of it, whose states are observations.
      act: chooses by what it sees in reality.
      num_episodes: n.
      num_steps: of each.

    Returns:
      Observations in reality and in the dream after each step, f32[num_steps, n, d] each, and bool[num_steps, n],
      whether the episode was under way in reality before it.
    """
    key_start, key_steps = jax.random.split(key)
    state = jax.vmap(environment.reset)(jax.random.split(key_start, num_episodes))

    def one(carry: tuple[Any, jax.Array, jax.Array], key: Key) -> tuple[Any, Any]:
        state, imagined, alive = carry
        key_act, key_real, key_dream = jax.random.split(key, 3)
        action = act(key_act, jax.vmap(environment.observe)(state))
        keys_real, keys_dream = (jax.random.split(key, num_episodes) for key in (key_real, key_dream))
        state, _, done = jax.vmap(environment.step)(keys_real, state, action)
        imagined = jax.vmap(dream.step)(keys_dream, imagined, action)[0]
        return (state, imagined, alive & ~done), (jax.vmap(environment.observe)(state), imagined, alive)

    start = vary((state, jax.vmap(environment.observe)(state), jnp.ones(num_episodes, bool)))
    return rollout.scan(one, start, key_steps, num_steps)[1]


def horizon(real: jax.Array, imagined: jax.Array, alive: jax.Array, scale: jax.Array) -> jax.Array:
    """The steps, f32[n], before a rollout is further than `scale`, f32[d], from reality in some coordinate.

    At most those until the episode ends in reality, or the rollout does.
    """
    near = alive & jnp.all(jnp.abs(imagined - real) <= scale[None, None], axis=2)
    return jnp.sum(jnp.cumprod(near, axis=0), axis=0).astype(float)


def calibration_error(probability: jax.Array, happened: jax.Array, num_bins: int = NUM_BINS) -> jax.Array:
    """By how much predicted probabilities, f32[n], miss the frequencies of what happened, bool[n]: f32[] in [0, 1].

    The mean over bins of equal width of |mean probability − frequency|, weighted by the rows in them.

    References:
      Guo et al. 2017, On calibration of modern neural networks, equation 3.
    """
    number = jnp.clip((num_bins * probability).astype(int), 0, num_bins - 1)
    surplus = jax.ops.segment_sum(probability - happened, number, num_bins)
    return jnp.sum(jnp.abs(surplus)) / len(probability)
