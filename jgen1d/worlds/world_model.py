"""What follows a state and an action? A generative model of next observation, reward and end, and its dreams.

p(o′, r, done | o, a) = p(o′ − o, r | o, a) · p(done | o, a, o′ − o, r): a conditional density of the library, and a
network for the logit of `done`, of an ensemble of which each member has its own minibatches. A dream is an environment
like the real one, but its steps are draws from the model, of a member that is drawn anew for each (Chua et al. 2018,
PETS, section 5.2, TS1).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d import nets
from jgen1d.core import Info, Key, PyTree, pytree_dataclass, static, traced, validate
from jgen1d.methods import _adam
from jgen1d.worlds import mixture_density
from jgen1d.worlds.environment import Environment
from jgen1d.worlds.families import FAMILIES, Family

LEAST_SCALE = 1e-3
"""What a quantity that never changes, such as CartPole's reward, is divided by, in its own units."""


@pytree_dataclass
class Config:
    """Hyper-parameters of a world model and of its fit."""

    family: str = static(default="gaussian", choices=tuple(FAMILIES), help="of the density of what comes next")
    ensemble: int = static(default=1, at_least=1, help="models, of which each step in a dream follows one at random")
    widths: tuple[int, ...] = static(default=(64, 64), at_least=1, help="units of every network's hidden layers")
    num_components: int = static(default=4, at_least=1, help="of the mixture")
    latent_dim: int = static(default=2, at_least=1, help="dimension of the VAE's latents")
    num_integration_steps: int = static(default=4, at_least=1, help="of flow matching, from noise to data")
    batch_size: int = static(default=128, at_least=1, help="transitions in each member's minibatch")
    num_steps: int = static(default=2_000, at_least=1, help="of a fit")
    learning_rate: float = traced(default=1e-2, at_least=0, help="Adam's step size at the start; it falls by a cosine")
    ema_decay: float | None = traced(default=0.99, at_least=0, below=1, optional=True, help="weight averaging")
    min_std: float = traced(default=0.03, above=0, help="bound on learnt deviations, in those of the data")
    temperature: float = traced(
        default=1.0, at_least=0, help="of dreams: 0 follows the model's mode, above 1 it is noisier than the model"
    )


class Experience(NamedTuple):
    """Transitions in one row each: f32[n, d], i32[n] or f32[n, action_dim], f32[n], f32[n, d], bool[n]."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    next_observation: jax.Array
    done: jax.Array


class Scales(NamedTuple):
    """Means and standard deviations of conditions, f32[condition_dim] each, and of outcomes, f32[d + 1] each."""

    condition_mean: jax.Array
    condition_std: jax.Array
    outcome_mean: jax.Array
    outcome_std: jax.Array


class State(NamedTuple):
    """The members' densities and networks for `done`, with a leading axis [ensemble], and what they are scaled by."""

    densities: PyTree
    ends: PyTree
    scales: Scales


def init(key: Key, seen: Experience, weights: jax.Array, environment: Environment, config: Config) -> State:
    """Draws the members, and measures the scales of what was seen.

    Args:
      key: for the parameters.
      seen: n transitions.
      weights: f32[n], 1 for those that count and 0 for the others, not all of them.
      environment: that they are of.
      config: the hyper-parameters.

    Raises:
      ValueError: for a field out of range, in one line.
    """
    validate(config)
    family, own, ends = _parts(environment, config)
    share = (weights / jnp.sum(weights))[:, None]

    def moments(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = jnp.sum(share * rows, axis=0)
        return mean, jnp.maximum(jnp.sqrt(jnp.sum(share * (rows - mean[None]) ** 2, axis=0)), LEAST_SCALE)

    scales = Scales(*moments(_condition(seen, environment)), *moments(_outcome(seen)))
    keys, keys_end = (jax.random.split(key, config.ensemble) for key in jax.random.split(key))
    densities = jax.vmap(lambda key: family.init(key, own))(keys)
    net = _end_net(environment, config)
    return State(densities, jax.vmap(lambda key: _adam.start(net.init(key), ends))(keys_end), scales)


def step(key: Key, state: State, batch: Experience, environment: Environment, config: Config) -> tuple[State, Info]:
    """One step of every member, each on its own part of the batch.

    Args:
      key: for what the densities draw.
      state: of the model.
      batch: ensemble·n transitions.
      environment: that they are of.
      config: the hyper-parameters.

    Returns:
      The next state, and the info: `loss`, the densities' own, and `loss_done`, the cross-entropy of `done` in nats,
      as means over members.
    """
    family, own, ends = _parts(environment, config)
    net = _end_net(environment, config)
    condition, outcome = _scaled(batch, state.scales, environment)

    def split(rows: jax.Array) -> jax.Array:
        return rows.reshape(config.ensemble, -1, *rows.shape[1:])

    def one(key: Key, density: PyTree, end: Any, condition: jax.Array, outcome: jax.Array, done: jax.Array) -> Any:
        density, info = family.step(key, density, outcome, own, condition)

        def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
            logits = net(params, jnp.concatenate([condition, outcome], axis=1))[:, 0]
            return jnp.mean(jax.nn.softplus(logits) - done * logits), {}

        end, info_end = _adam.descend(loss_of, end, ends)
        return density, end, {"loss": info["loss"], "loss_done": info_end["loss"]}

    keys = jax.random.split(key, config.ensemble)
    parts = (split(condition), split(outcome), split(batch.done))
    densities, members, infos = jax.vmap(one)(keys, state.densities, state.ends, *parts)
    return State(densities, members, state.scales), jax.tree.map(jnp.mean, infos)


def predict(
    key: Key, state: State, observation: jax.Array, action: jax.Array, environment: Environment, config: Config
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draws the next observations, f32[n, d], rewards, f32[n], and ends, bool[n], of observations and actions.

    The temperature is that of the config; it divides the logits of `done`, too.
    """
    family, own, _ = _parts(environment, config)
    net, scales, n = _end_net(environment, config), state.scales, len(observation)
    key_draw, key_end, key_member = jax.random.split(key, 3)
    given = _condition_of(observation, action, environment)
    condition = (given - scales.condition_mean[None]) / scales.condition_std[None]

    def one(key: Key, density: PyTree, end: Any) -> tuple[jax.Array, jax.Array]:
        outcome = family.draw(key, density, condition, config.temperature, own)
        return outcome, net(end.eval_params, jnp.concatenate([condition, outcome], axis=1))[:, 0]

    outcomes, logits = jax.vmap(one)(jax.random.split(key_draw, config.ensemble), state.densities, state.ends)
    member = jax.random.randint(key_member, (n,), 0, config.ensemble)
    outcome, logit = outcomes[member, jnp.arange(n)], logits[member, jnp.arange(n)]
    outcome = scales.outcome_mean[None] + scales.outcome_std[None] * outcome
    done = logit > config.temperature * jax.random.logistic(key_end, (n,))
    return observation + outcome[:, :-1], outcome[:, -1], done


def end_probability(state: State, seen: Experience, environment: Environment, config: Config) -> jax.Array:
    """The probability, f32[n], that the model gives to an end of each of n transitions, whatever the temperature."""
    net, given = _end_net(environment, config), jnp.concatenate(_scaled(seen, state.scales, environment), axis=1)
    logits = jax.vmap(lambda end: net(end.eval_params, given)[:, 0])(state.ends)
    return jnp.mean(jax.nn.sigmoid(logits), axis=0)


def belief(
    state: State, observation: jax.Array, action: jax.Array, environment: Environment, config: Config
) -> tuple[jax.Array, jax.Array]:
    """Means and standard deviations, f32[ensemble, n, d] each, of next observations in Gaussian models."""
    if config.family != "gaussian":
        raise ValueError(f"family={config.family!r}: must be 'gaussian'")
    own, scales = _parts(environment, config)[1], state.scales
    given = _condition_of(observation, action, environment)
    condition = (given - scales.condition_mean[None]) / scales.condition_std[None]
    densities = state.densities.eval_params
    found = jax.vmap(lambda params: mixture_density.parameters(params, condition, own))(densities)[1:]
    means, stds = (scales.outcome_std[None, None] * leaf[:, :, 0] for leaf in found)
    return observation[None] + (scales.outcome_mean[None, None] + means)[..., :-1], stds[..., :-1]


def dream(state: State, environment: Environment, config: Config) -> Environment:
    """The environment that the model believes in. Its states are observations; it starts where the real one does."""

    def reset(key: Key) -> jax.Array:
        return environment.observe(environment.reset(key))

    def step(key: Key, observation: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        after, reward, done = predict(key, state, observation[None], action[None], environment, config)
        return after[0], reward[0], done[0]

    return environment._replace(reset=reset, step=step, observe=lambda observation: observation)


def _parts(environment: Environment, config: Config) -> tuple[Family, Any, _adam.DescentConfig]:
    """The family, its config, and the optimizer of the networks for `done`."""
    family, dims = FAMILIES[config.family], (environment.observation_dim + 1, _condition_dim(environment))
    ends = _adam.DescentConfig(
        num_steps=float(config.num_steps),
        learning_rate=config.learning_rate,
        ema_decay=config.ema_decay,
        max_grad_norm=1.0,
    )
    return family, family.configure(config, *dims), ends


def _end_net(environment: Environment, config: Config) -> nets.Net:
    inputs = _condition_dim(environment) + environment.observation_dim + 1
    return nets.mlp(inputs, 1, config.widths, activation="tanh")


def _condition_dim(environment: Environment) -> int:
    return environment.observation_dim + (environment.num_actions or environment.action_dim)


def _condition_of(observation: jax.Array, action: jax.Array, environment: Environment) -> jax.Array:
    """Observations beside actions, those of a choice as one-hot vectors: f32[n, condition_dim]."""
    given = jax.nn.one_hot(action, environment.num_actions) if environment.num_actions else action
    return jnp.concatenate([observation, given], axis=1)


def _condition(seen: Experience, environment: Environment) -> jax.Array:
    return _condition_of(seen.observation, seen.action, environment)


def _outcome(seen: Experience) -> jax.Array:
    """Changes of the observation beside rewards, f32[n, d + 1]."""
    return jnp.concatenate([seen.next_observation - seen.observation, seen.reward[:, None]], axis=1)


def _scaled(seen: Experience, scales: Scales, environment: Environment) -> tuple[jax.Array, jax.Array]:
    condition = (_condition(seen, environment) - scales.condition_mean[None]) / scales.condition_std[None]
    return condition, (_outcome(seen) - scales.outcome_mean[None]) / scales.outcome_std[None]
