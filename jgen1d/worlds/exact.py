"""What do agents and models of the linear quadratic task miss? Gains, costs and nats, by formulas."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jgen1d.core import Key
from jgen1d.worlds import linear_quadratic, ppo, rollout, world_model
from jgen1d.worlds.environment import Environment
from jgen1d.worlds.rollout import Act


def of_agents(agents: ppo.State, discount: float) -> dict[str, np.ndarray]:
    """What S agents with linear actors miss: `gain`, f64[S, 2], `gain_error` and `cost_excess`, f64[S].

    The greedy action of such an actor is u = −K s + b. The error is |K − K*|/|K*|, the excess that of `regret`.
    """
    layer = agents.params["actor"]["params"]
    gain = -np.swapaxes(np.asarray(layer["kernel_out"], float), 1, 2)
    return _against_the_best(gain, discount, np.asarray(layer["bias_out"], float).reshape(-1))


def of_models(
    models: world_model.State, environment: Environment, config: world_model.Config, discount: float
) -> dict[str, np.ndarray]:
    """What S Gaussian models miss.

    Returns:
      `gap` and `gap_at_best`, f64[S], the `likelihood_gap` along trajectories of random actions and of the best agent,
      and with `model_` before their names the entries of `of_agents` for the agents that are the best ones in the
      models' `dynamics`, fitted along those of random actions.
    """
    best = np.asarray(linear_quadratic.optimum(discount).gain, np.float32)
    values, acts = {}, {"gap": _at_random, "gap_at_best": lambda key, states: -states @ best.T}
    for name, act in acts.items():
        states, actions = jax.jit(lambda key, act=act: visited(key, act, environment))(jax.random.key(0))
        gap = functools.partial(likelihood_gap, states=states, actions=actions, environment=environment, config=config)
        values[name] = np.asarray(jax.jit(jax.vmap(gap))(models), float)
    states, actions = jax.jit(lambda key: visited(key, _at_random, environment))(jax.random.key(0))

    def mean(model: world_model.State) -> jax.Array:
        return jnp.mean(world_model.belief(model, states, actions, environment, config)[0], axis=0)

    gain = [_gain_in(after, states, actions, discount) for after in np.asarray(jax.jit(jax.vmap(mean))(models))]
    planned = _against_the_best(np.array(gain), discount, np.zeros(len(gain)))
    return values | {f"model_{name}": values for name, values in planned.items()}


def regret(gain: np.ndarray, discount: float, offset: float = 0.0) -> float:
    """By which share of it the cost of u = −K s + b exceeds the best agent's; infinite if it does not converge.

    Args:
      gain: K, f64[1, 2].
      discount: γ.
      offset: b.
    """
    best = linear_quadratic.optimum(discount)
    return linear_quadratic.cost_of(gain, discount, offset) / (np.trace(best.matrix) + best.constant) - 1


def visited(key: Key, act: Act, environment: Environment, num_environments: int = 64) -> tuple[jax.Array, jax.Array]:
    """States and actions, f32[n, 2] and f32[n, 1], along the trajectories of `act` through whole episodes."""
    key_begin, key_steps = jax.random.split(key)
    start = rollout.begin(key_begin, environment, num_environments)
    _, seen = rollout.advance(key_steps, environment, act, start, environment.max_steps)
    return seen.observation.reshape(-1, 2), seen.action.reshape(-1, 1)


def likelihood_gap(
    model: world_model.State,
    states: jax.Array,
    actions: jax.Array,
    environment: Environment,
    config: world_model.Config,
) -> jax.Array:
    """The nats, f32[], by which a Gaussian model's expected log-likelihood of a next state falls short of the truth's.

    It is the mean over rows of KL(N(A s + B u, σ²) ‖ N(m, diag v²)), and of an ensemble that over members.

    Args:
      model: one model.
      states: f32[n, 2].
      actions: f32[n, 1].
      environment: that it is of.
      config: of the model.
    """
    mean, std = world_model.belief(model, states, actions, environment, config)
    a, b = (jnp.asarray(matrix, states.dtype) for matrix in (linear_quadratic.A, linear_quadratic.B))
    miss = (states @ a.T + actions @ b.T)[None] - mean
    ratio = linear_quadratic.NOISE / std
    return jnp.mean(jnp.sum(0.5 * (ratio**2 + (miss / std) ** 2 - 1) - jnp.log(ratio), axis=2))


def dynamics(after: ArrayLike, states: ArrayLike, actions: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The A, f64[2, 2], and B, f64[2, 1], with which A s + B u + c is nearest to a model's mean next states.

    Args:
      after: f[n, 2], the means.
      states: f[n, 2].
      actions: f[n, 1].
    """
    given = np.hstack([np.asarray(states, float), np.asarray(actions, float)])
    rows = np.hstack([given, np.ones((len(given), 1))])
    found = np.linalg.lstsq(rows, np.asarray(after, float), rcond=None)[0]
    return found[:2].T, found[2:3].T


def _at_random(key: Key, states: jax.Array) -> jax.Array:
    return jax.random.normal(key, (len(states), 1))


def _gain_in(after: np.ndarray, states: ArrayLike, actions: ArrayLike, discount: float) -> np.ndarray:
    """The best agent's gain in a model, f64[1, 2]; NaN if Riccati's equation has no solution for its dynamics."""
    try:
        return linear_quadratic.optimum(discount, *dynamics(after, states, actions)).gain
    except (ValueError, np.linalg.LinAlgError):
        return np.full((1, 2), np.nan)


def _against_the_best(gain: np.ndarray, discount: float, offset: np.ndarray) -> dict[str, np.ndarray]:
    best = linear_quadratic.optimum(discount).gain
    excess = [regret(k, discount, float(b)) for k, b in zip(gain, offset, strict=True)]
    error = np.linalg.norm(gain - best, axis=(1, 2)) / np.linalg.norm(best)
    return {"gain": gain[:, 0], "gain_error": error, "cost_excess": np.array(excess)}
