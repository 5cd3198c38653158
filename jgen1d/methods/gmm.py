"""A mixture of normals by expectation–maximization: a step is the E and the M step on one minibatch.

The M step works with running averages of the sufficient statistics, to which a minibatch contributes the less the later
it comes (online EM). With `decay` 0 it alone counts: steps on one and the same batch are plain EM.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Info, Key, Method, door, pytree_dataclass, static, traced
from jgen1d.maths import densities

LEAST_WEIGHT = 1e-8
"""What a component's weight counts for at least where moments are divided by it: none may become NaN."""


@pytree_dataclass
class Config:
    """Hyper-parameters."""

    dim: int = static(default=1, at_least=1, help="dimension of the data; set by fit and sweep")
    num_components: int = static(default=32, at_least=1, help="of the mixture")
    covariance: str = static(default="full", choices=("full", "diagonal"), help="of each component")
    decay: float = traced(
        default=0.6, at_least=0, at_most=1, help="e in the step size (t + 2)^−e: 0 plain EM, 1 all data alike"
    )
    variance_floor: float = traced(default=1e-6, above=0, help="added to variances, in squared training units")


class State(NamedTuple):
    """The components' weights, f32[k], means, f32[k, dim], and covariances, f32[k, dim, dim], and the step count."""

    weights: jax.Array
    means: jax.Array
    covariances: jax.Array
    step: jax.Array


@door.init
def init(key: Key, config: Config) -> State:
    """Equal weights, and means drawn from N(0, I); the first step replaces them by a start from its data."""
    k, dim = config.num_components, config.dim
    covariances = jnp.broadcast_to(jnp.eye(dim)[None], (k, dim, dim))
    return State(jnp.full(k, 1 / k), jax.random.normal(key, (k, dim)), covariances, jnp.zeros((), int))


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """One step of online EM on f32[n, dim]; the first one uses its key for the start.

    The info has `loss`, the batch's mean negative log-likelihood in nats, before the model has seen it, and
    `num_effective`, the exponential of the entropy of the weights, that is how many components matter.

    References:
      Dempster, Laird & Rubin 1977, Maximum likelihood from incomplete data via the EM algorithm.
      Cappé & Moulines 2009, Online expectation–maximization algorithm for latent data models, equations 9 to 11.
    """
    state = _start(key, state, batch)
    joint = jnp.log(jnp.maximum(state.weights, LEAST_WEIGHT))[:, None] + _components(state, batch, config)
    evidence = jax.nn.logsumexp(joint, axis=0)
    shares = jnp.exp(joint - evidence[None]) / len(batch)

    # Moments about the old means: the usual ones about 0 lose the digits of small variances.
    rate = (state.step + 2.0) ** -config.decay  # the start counts for one minibatch
    centred = batch.T[None] - state.means[:, :, None]
    weights = (1 - rate) * state.weights + rate * jnp.sum(shares, axis=1)
    divisor = jnp.maximum(weights, LEAST_WEIGHT)
    weighted = rate * shares[:, None] * centred
    shift = jnp.sum(weighted, axis=2) / divisor[:, None]
    second = jnp.sum(weighted[:, :, None] * centred[:, None], axis=3)
    kept = ((1 - rate) * state.weights)[:, None, None] * state.covariances
    covariances = (kept + second) / divisor[:, None, None] - shift[:, :, None] * shift[:, None]
    variances = jnp.maximum(jnp.diagonal(covariances, axis1=1, axis2=2), 0)  # rounding may carry them below
    eye = jnp.eye(config.dim, dtype=bool)[None]
    covariances = jnp.where(eye, variances[:, None], covariances if config.covariance == "full" else 0)

    entropy = -jnp.sum(weights * jnp.log(jnp.maximum(weights, LEAST_WEIGHT)))
    info = {"loss": -jnp.mean(evidence), "num_effective": jnp.exp(entropy)}
    return State(weights, state.means + shift, covariances, state.step + 1), info


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]: a component, and a draw from it."""
    key_index, key_noise = jax.random.split(key)
    index = densities.sample_index(key_index, state.weights, num_samples)
    factors = densities.cholesky(_covariances(state, config))
    return densities.sample_normal(key_noise, state.means[index], factors[index])


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The log density, f32[n], at f32[n, dim]."""
    log_weights = jnp.log(jnp.maximum(state.weights, LEAST_WEIGHT))
    log_weights -= jax.nn.logsumexp(log_weights)
    return densities.mixture_log_prob(log_weights, _components(state, x, config))


def _covariances(state: State, config: Config) -> jax.Array:
    return densities.with_floor(state.covariances, config.variance_floor)


def _components(state: State, x: jax.Array, config: Config) -> jax.Array:
    return densities.normal_log_prob(x, state.means, _covariances(state, config))


def _start(key: Key, state: State, batch: jax.Array) -> State:
    """In the first step the start from its data, later the state as it is.

    The means are data, drawn one by one in proportion to the squared distance from the nearest one drawn before; the
    weights and the covariances are equal. No hyper-parameter enters it, so derivatives go round it: those with respect
    to a batch miss what the first one does by way of the start.

    References:
      Arthur & Vassilvitskii 2007, k-means++: the advantages of careful seeding.
    """
    k, dim = state.means.shape

    def draw(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        number, means, squares = carry
        index = jax.random.categorical(jax.random.fold_in(key, number), jnp.log(squares))
        squares = jnp.minimum(squares, jnp.sum((rows - rows[index][None]) ** 2, axis=1))
        return number + 1, means.at[number].set(rows[index]), squares

    # A loop without turns costs nothing; `cond` would compute both sides in the lanes of one program.
    first = state.step == 0
    # Reverse mode has no rule for such a loop.
    means, rows = jax.lax.stop_gradient((state.means, batch.astype(state.means.dtype)))
    carry = (jnp.zeros_like(state.step), means, jnp.ones_like(rows[:, 0]))
    _, means, squares = jax.lax.while_loop(lambda carry: first & (carry[0] < k), draw, carry)
    # With as many components as data no distance is left, but a variance of 0 is no start.
    least = jnp.mean(jnp.var(batch, axis=0)) / k**2
    covariance = jnp.maximum(jnp.mean(squares) / dim, least) * jnp.eye(dim)
    covariances = jnp.where(first, covariance[None], state.covariances)
    return state._replace(means=jnp.where(first, means, state.means), covariances=covariances)


METHOD = Method(Config, init, step, sample, log_prob)
