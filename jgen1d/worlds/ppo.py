"""Proximal policy optimization: an actor and a critic, trained on rollouts of the actor itself.

It is a method like those of `jgen1d.methods`, with an environment in the place of data: `step` takes one rollout and
its update (Schulman et al. 2017, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jgen1d import nets
from jgen1d.core import Info, Key, PyTree, pytree_dataclass, replace, static, traced, validate
from jgen1d.core.door import vary
from jgen1d.nets.orthogonal import orthogonalise
from jgen1d.worlds import rollout
from jgen1d.worlds.actions import CATEGORICAL, NORMAL, Actions
from jgen1d.worlds.environment import Environment
from jgen1d.worlds.rollout import Episodes, Transitions

GAIN = 2**0.5
"""Of the hidden layers' orthogonal weights; the actor's last layer has 0.01, the critic's 1 (Engstrom et al. 2020)."""


@pytree_dataclass
class Config:
    """Hyper-parameters, of which `bind` sets those that the environment and the length of the run decide."""

    observation_dim: int = static(default=4, at_least=1, help="entries of an observation; set by bind")
    num_actions: int = static(default=2, at_least=0, help="of a choice; 0: actions are real numbers; set by bind")
    action_dim: int = static(default=1, at_least=1, help="entries of an action of real numbers; set by bind")
    num_updates: float = traced(default=200.0, at_least=1, help="after which the learning rate is 0; set by bind")
    num_environments: int = static(default=8, at_least=1, help="in which the actor acts side by side")
    rollout_length: int = static(default=64, at_least=1, help="steps in each of them per update")
    num_epochs: int = static(default=4, at_least=1, help="passes over a rollout")
    num_minibatches: int = static(default=4, at_least=1, help="of each pass; they must divide a rollout's transitions")
    widths: tuple[int, ...] = static(default=(64, 64), at_least=1, help="units of hidden layers of actor and critic")
    activation: Any = static(default="tanh", choices=nets.ACTIVATIONS, own=Callable, help="of every hidden layer")
    linear_actor: bool = static(default=False, help="no hidden layers in the actor: its output is affine in its input")
    normalize_advantages: bool = static(default=True, help="to mean 0 and variance 1 within a minibatch")
    learning_rate: float = traced(default=2.5e-3, at_least=0, help="Adam's step size at the start; it falls linearly")
    reward_scale: float = traced(default=1.0, above=0, help="of what the critic learns; should bring values near 1")
    discount: float = traced(default=0.99, at_least=0, at_most=1, help="γ, what the next step's reward is worth")
    gae_lambda: float = traced(default=0.95, at_least=0, at_most=1, help="λ of the advantages: 0 one step, 1 all")
    clip: float = traced(default=0.2, above=0, help="how far a ratio of probabilities may usefully move from 1")
    entropy_weight: float = traced(default=0.01, at_least=0, help="of the actor's entropy, which is maximised")
    value_weight: float = traced(default=0.5, at_least=0, help="of the critic's squared error")
    max_grad_norm: float = traced(default=0.5, above=0, help="bound on the gradient's norm")


class State(NamedTuple):
    """Parameters of actor and critic, the optimizer's state, the episodes under way, and the count of updates."""

    params: PyTree
    opt_state: optax.OptState
    episodes: Episodes
    step: jax.Array


class Batch(NamedTuple):
    """What an update learns from: f32[n, observation_dim], actions, and f32[n] each."""

    observation: jax.Array
    action: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    target: jax.Array


def bind(config: Config, environment: Environment, num_steps: int) -> Config:
    """The config for an environment and a run of at least so many steps in it.

    Raises:
      ValueError: for a field out of range, or if minibatches do not divide a rollout; in one line.
    """
    validate(config)
    per_update = config.num_environments * config.rollout_length
    if per_update % config.num_minibatches:
        raise ValueError(f"num_minibatches={config.num_minibatches}: must divide the {per_update} steps of a rollout")
    return replace(
        config, observation_dim=environment.observation_dim, num_actions=environment.num_actions,
        action_dim=environment.action_dim, num_updates=float(-(-num_steps // per_update)),
    )  # fmt: skip


def init(key: Key, environment: Environment, config: Config) -> State:
    """Draws actor and critic, and starts episodes."""
    keys = dict(zip(("actor", "critic"), jax.random.split(key, 2), strict=True))
    params: dict[str, Any] = {}
    for (name, net), last_gain in zip(_nets(config).items(), (0.01, 1.0), strict=True):
        key_init, keys[name] = jax.random.split(keys[name])
        key_weights, keys[name] = jax.random.split(keys[name])
        params[name] = orthogonalise(key_weights, net.init(key_init), GAIN, last_gain)
    if not config.num_actions:
        params["log_std"] = jnp.zeros(config.action_dim)
    step = jnp.zeros((), int)
    episodes = rollout.begin(keys["actor"], environment, config.num_environments)
    return vary(State(params, _optimizer(config, step).init(params), episodes, step))


def step(key: Key, state: State, environment: Environment, config: Config) -> tuple[State, Info]:
    """One rollout, and its update.

    Returns:
      The next state, and the info: `loss`, of which `loss_policy` and `loss_value` are parts, `entropy` in nats,
      `kl`, an estimate of KL(old ‖ new) in nats, `clipped`, the share of ratios beyond the clip, `grad_norm`, all as
      means over the update, and `episode_return`, the mean return of each environment's last whole episode, 0 before.
    """
    key_rollout, key_order = jax.random.split(key)

    def choose(key: Key, observations: jax.Array) -> jax.Array:
        return act(key, state, observations, config)

    episodes, seen = rollout.advance(key_rollout, environment, choose, state.episodes, config.rollout_length)
    params, opt_state, info = update(key_order, state, batch_of(state.params, seen, config), config)
    info["episode_return"] = jnp.mean(episodes.last)
    return State(params, opt_state, episodes, state.step + 1), info


def act(key: Key, state: State, observations: jax.Array, config: Config, greedy: bool = False) -> jax.Array:
    """Actions, i32[n] or f32[n, action_dim], at f32[n, observation_dim]: drawn, or the most likely ones."""
    parameters = _parameters(state.params, observations, config)
    return _actions(config).mode(parameters) if greedy else _actions(config).sample(key, parameters)


def value(state: State, observations: jax.Array, config: Config) -> jax.Array:
    """The critic's value, f32[n], of f32[n, observation_dim]: the expected discounted sum of scaled rewards to come."""
    return _value(state.params, observations, config)


def advantages(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    done: jax.Array,
    truncated: jax.Array,
    discount: jax.Array | float,
    gae_lambda: jax.Array | float,
) -> jax.Array:
    """Generalized advantage estimates, f32[num_steps, n].

    What comes after an episode that is done is worth 0; after one that was cut off it is worth what the critic says.

    Args:
      rewards: f32[num_steps, n].
      values: f32[num_steps, n], the critic's, of the observations.
      next_values: f32[num_steps, n], of the observations after them, before any reset.
      done: bool[num_steps, n].
      truncated: bool[num_steps, n].
      discount: γ.
      gae_lambda: λ.

    References:
      Schulman et al. 2016, High-dimensional continuous control using generalized advantage estimation, equation 16;
      Pardo et al. 2018, Time limits in reinforcement learning, section 3, for the two kinds of end.
    """
    errors = rewards + discount * next_values * ~done - values
    kept = discount * gae_lambda * ~(done | truncated)

    def back(after: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        error, keep = now
        estimate = error + keep * after
        return estimate, estimate

    start, errors, kept = vary((jnp.zeros_like(errors[0]), errors, kept))
    return jax.lax.scan(back, start, (errors, kept), reverse=True)[1]


def batch_of(params: PyTree, seen: Transitions, config: Config) -> Batch:
    """A rollout's transitions in one row each, with the actor's probabilities and the critic's targets."""

    def flat(x: jax.Array) -> jax.Array:
        return x.reshape(-1, *x.shape[2:])

    observation, action = flat(seen.observation), flat(seen.action)
    values, next_values = (
        _value(params, flat(x), config).reshape(seen.reward.shape) for x in (seen.observation, seen.next_observation)
    )
    ends = (seen.done, seen.truncated)
    estimates = advantages(
        config.reward_scale * seen.reward, values, next_values, *ends, config.discount, config.gae_lambda
    )
    log_prob = _actions(config).log_prob(_parameters(params, observation, config), action)
    return Batch(observation, action, log_prob, flat(estimates), flat(estimates + values))


def loss(params: PyTree, batch: Batch, config: Config) -> tuple[jax.Array, Info]:
    """The loss of a minibatch, and its parts.

    References:
      Schulman et al. 2017, Proximal policy optimization algorithms, equations 7 and 9.
    """
    parameters = _parameters(params, batch.observation, config)
    log_ratio = _actions(config).log_prob(parameters, batch.action) - batch.log_prob
    ratio, advantage = jnp.exp(log_ratio), batch.advantage
    if config.normalize_advantages:
        advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
    clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
    loss_policy = -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
    loss_value = 0.5 * jnp.mean((_value(params, batch.observation, config) - batch.target) ** 2)
    entropy = jnp.mean(_actions(config).entropy(parameters))
    total = loss_policy + config.value_weight * loss_value - config.entropy_weight * entropy
    info = {"loss": total, "loss_policy": loss_policy, "loss_value": loss_value, "entropy": entropy}
    # Schulman 2020, Approximating KL divergence: unbiased and never negative.
    info |= {"kl": jnp.mean(ratio - 1 - log_ratio), "clipped": jnp.mean(jnp.abs(ratio - 1) > config.clip, dtype=float)}
    return total, info


def update(key: Key, state: State, batch: Batch, config: Config) -> tuple[PyTree, optax.OptState, Info]:
    """Passes over a rollout in minibatches. Returns parameters, the optimizer's state, and the mean info."""
    optimizer = _optimizer(config, state.step)

    def minibatch(carry: tuple[PyTree, optax.OptState], rows: jax.Array) -> tuple[tuple, Info]:
        params, opt_state = carry
        part = jax.tree.map(lambda leaf: leaf[rows], batch)
        (_, info), gradients = jax.value_and_grad(loss, has_aux=True)(params, part, config)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), info | {"grad_norm": optax.tree.norm(gradients)}

    keys = jax.random.split(key, config.num_epochs)
    order = jax.vmap(lambda key: jax.random.permutation(key, len(batch.advantage)))(keys)
    rows = order.reshape(config.num_epochs * config.num_minibatches, -1)
    (params, opt_state), infos = jax.lax.scan(minibatch, (state.params, state.opt_state), rows)
    return params, opt_state, jax.tree.map(jnp.mean, infos)


def _nets(config: Config) -> dict[str, nets.Net]:
    sizes = {
        "actor": (config.num_actions or config.action_dim, () if config.linear_actor else config.widths),
        "critic": (1, config.widths),
    }
    options = {"activation": config.activation}
    return {name: nets.mlp(config.observation_dim, *size, **options) for name, size in sizes.items()}


def _actions(config: Config) -> Actions:
    return CATEGORICAL if config.num_actions else NORMAL


def _parameters(params: PyTree, observations: jax.Array, config: Config) -> jax.Array:
    """Of the distributions of actions, f32[n, k]."""
    output = _nets(config)["actor"](params["actor"], observations)
    if config.num_actions:
        return output
    return jnp.concatenate([output, jnp.broadcast_to(params["log_std"][None], output.shape)], axis=1)


def _value(params: PyTree, observations: jax.Array, config: Config) -> jax.Array:
    return _nets(config)["critic"](params["critic"], observations)[:, 0]


def _optimizer(config: Config, step: jax.Array) -> optax.GradientTransformation:
    rate = config.learning_rate * jnp.maximum(1 - step / config.num_updates, 0)
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.adam(rate, eps=1e-5))
