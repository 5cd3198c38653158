"""What is an environment? Pure functions of a key, a state and an action, for one example; `vmap` is the caller's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jgen1d.core import Key

State = Any
"""An environment's NamedTuple of f32[] (or, of a dream, its last observation)."""


class Environment(NamedTuple):
    """A Markov decision process: of the real world, or of a model of it.

    Attributes:
      reset: `key -> state`, the first of an episode.
      step: `(key, state, action) -> (state, reward: f32[], done: bool[])`. `done` ends the episode for good, so that
        nothing is earned after it. The limit of `max_steps` is no part of it: it only cuts an episode off.
      observe: `state -> f32[observation_dim]`, what the agent is told.
      observation_dim: entries of an observation.
      max_steps: after which an episode is cut off.
      num_actions: of a choice, i32[] from 0; 0 for actions f32[action_dim].
      action_dim: entries of a continuous action.
      solved_at: the mean return from which on the task counts as solved; infinite if there is no such convention.
    """

    reset: Callable[[Key], State]
    step: Callable[[Key, State, jax.Array], tuple[State, jax.Array, jax.Array]]
    observe: Callable[[State], jax.Array]
    observation_dim: int
    max_steps: int
    num_actions: int = 0
    action_dim: int = 1
    solved_at: float = math.inf
