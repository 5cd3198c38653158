"""How does an agent come to its policy? In reality, in dreams once or again and again, or behind a filter.

Each is one pure function of a key, for the caller's own `jit`, `vmap` and `shard_map`; traced fields of the configs and
the number of real steps, may differ between the lanes of a program.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key, PyTree
from jgen1d.core.door import vary
from jgen1d.methods import vae
from jgen1d.worlds import fidelity, ppo, rollout, world_model
from jgen1d.worlds.environment import Environment
from jgen1d.worlds.fidelity import Fidelity
from jgen1d.worlds.rollout import Act
from jgen1d.worlds.world_model import Experience

NUM_EPISODES = 20
"""Greedy episodes that a return is the mean of."""

HELD_OUT = 64
"""Steps in each of the agent's environments that a model is compared with reality on."""


class Outcome(NamedTuple):
    """What a run came to.

    Attributes:
      agent: the PPO state at the end.
      model: the last world model; None of an agent without one.
      real_return: f32[], the mean return of greedy episodes in reality.
      dream_return: f32[], the same in the last model; NaN without one.
      fidelity: of the last model, where the agent goes in reality; None without one.
      curve: f32[num_updates], the mean return of each environment's last episode, where the agent learned.
      diverged: bool[], whether a parameter or a return is not finite.
    """

    agent: ppo.State
    model: PyTree
    real_return: jax.Array
    dream_return: jax.Array
    fidelity: Fidelity | None
    curve: jax.Array
    diverged: jax.Array


def in_reality(key: Key, config: ppo.Config, *, environment: Environment, num_updates: int) -> Outcome:
    """PPO in the environment itself. Updates after `config.num_updates` move nothing: their learning rate is 0."""
    key_init, key_learn, key_score = jax.random.split(key, 3)
    agent, curve = _learn(key_learn, ppo.init(key_init, environment, config), environment, config, num_updates)
    real_return = score(key_score, agent, environment, config)
    finite = _finite(agent, real_return)
    return Outcome(agent, None, real_return, jnp.array(jnp.nan), None, curve=curve, diverged=~finite)


def in_dreams(
    key: Key,
    num_real: jax.Array | int,
    model_config: world_model.Config,
    config: ppo.Config,
    *,
    environment: Environment,
    most_real: int,
    num_rounds: int,
    num_updates: int,
) -> Outcome:
    """PPO in dreams: collect with the present policy, fit a model to all that was seen, and learn in it; and again.

    One round is World Models' way (Ha & Schmidhuber 2018): the first policy is nearly uniform, so its data are random.
    Several are Dyna's (Sutton 1990; Janner et al. 2019), at as many real steps and updates in all.

    Args:
      key: of the run.
      num_real: i32[], steps in reality, in all rounds together; at least one in each.
      model_config: of the world model, which every round fits anew.
      config: of the agent.
      environment: reality.
      most_real: steps in reality that there is room for.
      num_rounds: how often.
      num_updates: of the agent, in all rounds together.
    """
    n, per_round = config.num_environments, jnp.asarray(num_real) // num_rounds
    length = -(-most_real // (num_rounds * n))
    room = length * n
    key_init, key_rounds, key_dream, key_score, key_error = jax.random.split(key, 5)
    first = agent = ppo.init(key_init, environment, config)
    shapes = jax.eval_shape(lambda agent: _collect(jax.random.key(0), agent, environment, config, length), agent)
    memory = jax.tree.map(lambda leaf: jnp.zeros((num_rounds * room, *leaf.shape[1:]), leaf.dtype), shapes)

    def one(carry: tuple[ppo.State, Experience, jax.Array], key: Key) -> tuple[Any, Any]:
        agent, memory, index = carry
        key_collect, key_fit, key_begin, key_learn = jax.random.split(key, 4)
        seen = _collect(key_collect, agent, environment, config, length)
        memory = jax.tree.map(
            lambda all_of, new: jax.lax.dynamic_update_slice_in_dim(all_of, new, index * room, 0), memory, seen
        )
        model = fit(key_fit, memory, index + 1, per_round, room, environment, model_config)
        dream = world_model.dream(model, environment, model_config)
        # The curve goes on from the last round's episodes until new ones have ended.
        agent = agent._replace(episodes=rollout.begin(key_begin, dream, n)._replace(last=agent.episodes.last))
        agent, curve = _learn(key_learn, agent, dream, config, num_updates // num_rounds)
        # The next round's agent starts in reality, where its episodes have states of another kind.
        agent = agent._replace(episodes=carry[0].episodes._replace(last=agent.episodes.last))
        return (agent, memory, index + 1), (model, curve)

    start = vary((key, agent, memory, jnp.zeros((), int)))[1:]
    (agent, _, _), (models, curves) = rollout.scan(one, start, key_rounds, num_rounds)
    model = jax.tree.map(lambda leaf: leaf[-1], models)
    real_return = score(key_score, agent, environment, config)
    dream_return = score(key_dream, agent, world_model.dream(model, environment, model_config), config)
    key_seen, key_random, key_paths = jax.random.split(key_error, 3)
    seen = _collect(key_seen, agent, environment, config, HELD_OUT)
    at_random = _collect(key_random, first, environment, config, HELD_OUT)
    found = fidelity.measure(
        key_paths, model, lambda key, given: ppo.act(key, agent, given, config), seen, at_random, environment,
        model_config, n,
    )  # fmt: skip
    finite = _finite(agent.params, model, real_return)
    return Outcome(agent, model, real_return, dream_return, found, curves.reshape(-1), ~finite)


def behind_a_filter(
    key: Key, config: ppo.Config, filter_config: vae.Config, *, environment: Environment, num_real: int,
    num_fit: int, num_updates: int,
) -> Outcome:  # fmt: skip
    """PPO in reality, on what a VAE of random observations makes of each observation: a filter, no model of the world.

    Args:
      key: of the run.
      config: of the agent; one environment, rollouts of one step, one epoch and one minibatch make its updates
        those of single transitions, in which no ratio is ever clipped.
      filter_config: of the VAE, in standardised units.
      environment: reality.
      num_real: random steps that the VAE is fitted to.
      num_fit: its steps.
      num_updates: of the agent.
    """
    n = config.num_environments
    key_collect, key_start, key_fit, key_init, key_learn, key_score = jax.random.split(key, 6)
    key_agent, key_init = jax.random.split(key_init)
    seen = _collect(key_collect, ppo.init(key_agent, environment, config), environment, config, -(-num_real // n))
    mean, std = jnp.mean(seen.observation, axis=0), jnp.std(seen.observation, axis=0)
    rows = (seen.observation - mean[None]) / std[None]

    def improve(state: vae.State, key: Key) -> tuple[vae.State, None]:
        key_rows, key_step = jax.random.split(key)
        batch = rows[jax.random.randint(key_rows, (128,), 0, len(rows))]
        return vae.step(key_step, state, batch, filter_config)[0], None

    state, _ = rollout.scan(improve, vae.init(key_start, filter_config), key_fit, num_fit)

    def observe(real: PyTree) -> jax.Array:
        given = (environment.observe(real) - mean) / std
        return mean + std * vae.decode(state, vae.encode(state, given[None], filter_config)[0], filter_config)[0][0]

    filtered = environment._replace(observe=observe)
    agent, curve = _learn(key_learn, ppo.init(key_init, filtered, config), filtered, config, num_updates)
    real_return = score(key_score, agent, filtered, config)
    finite = _finite(agent.params, state, real_return)
    return Outcome(agent, state, real_return, jnp.array(jnp.nan), None, curve=curve, diverged=~finite)


def fit(
    key: Key,
    memory: Experience,
    num_rounds: jax.Array,
    per_round: jax.Array,
    room: int,
    environment: Environment,
    config: world_model.Config,
) -> world_model.State:
    """Fits a world model.

    Args:
      key: of the fit.
      memory: rounds of `room` transitions each, one after the other.
      num_rounds: i32[], how many rounds count.
      per_round: i32[], how many transitions count of each.
      room: of a round.
      environment: that they are of.
      config: of the model.
    """
    rows = jnp.arange(len(memory.reward))
    counts = (rows % room < per_round) & (rows < num_rounds * room)
    key_init, key_steps = jax.random.split(key)
    state = world_model.init(key_init, memory, counts.astype(float), environment, config)

    def improve(state: world_model.State, key: Key) -> tuple[world_model.State, None]:
        key_round, key_row, key_step = jax.random.split(key, 3)
        shape = (config.ensemble * config.batch_size,)
        chosen = jax.random.randint(key_round, shape, 0, num_rounds) * room
        chosen += jax.random.randint(key_row, shape, 0, per_round)
        batch = jax.tree.map(lambda leaf: leaf[chosen], memory)
        return world_model.step(key_step, state, batch, environment, config)[0], None

    return rollout.scan(improve, state, key_steps, config.num_steps)[0]


def score(key: Key, agent: ppo.State, environment: Environment, config: ppo.Config) -> jax.Array:
    """The mean return, f32[], of `NUM_EPISODES` greedy episodes."""
    return jnp.mean(rollout.returns(key, environment, _greedy(agent, config), NUM_EPISODES))


def episode(key: Key, agent: ppo.State, environment: Environment, config: ppo.Config) -> jax.Array:
    """What there is to see after each step of a greedy episode, f32[max_steps, d]; NaN once it has ended."""
    key_begin, key_steps = jax.random.split(key)
    start = rollout.begin(key_begin, environment, 1)
    _, seen = rollout.advance(key_steps, environment, _greedy(agent, config), start, environment.max_steps)
    ended = jnp.cumsum(seen.done[:, 0]) - seen.done[:, 0] > 0
    return jnp.where(ended[:, None], jnp.nan, seen.next_observation[:, 0])


def _greedy(agent: ppo.State, config: ppo.Config) -> Act:
    return lambda key, seen: ppo.act(key, agent, seen, config, greedy=True)


def _learn(
    key: Key, agent: ppo.State, environment: Environment, config: ppo.Config, num_updates: int
) -> tuple[ppo.State, jax.Array]:
    def step(agent: ppo.State, key: Key) -> tuple[ppo.State, jax.Array]:
        agent, info = ppo.step(key, agent, environment, config)
        return agent, info["episode_return"]

    return rollout.scan(step, agent, key, num_updates)


def _collect(key: Key, agent: ppo.State, environment: Environment, config: ppo.Config, length: int) -> Experience:
    """What the agent sees in so many steps of its environments, the first steps first."""
    key_begin, key_steps = jax.random.split(key)
    start = rollout.begin(key_begin, environment, config.num_environments)
    _, seen = rollout.advance(
        key_steps, environment, lambda key, given: ppo.act(key, agent, given, config), start, length
    )
    rows = (getattr(seen, name) for name in Experience._fields)
    return Experience(*(leaf.reshape(-1, *leaf.shape[2:]) for leaf in rows))


def _finite(*trees: PyTree) -> jax.Array:
    """Whether all real numbers are finite, bool[]."""
    leaves = [leaf for leaf in jax.tree.leaves(trees) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
