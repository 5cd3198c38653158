"""Markov chains that sample from a density by its gradient, and draws by weight that they may start from."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.core import Key


def langevin(
    key: Key, score: Callable[[jax.Array], jax.Array], x: jax.Array, step_size: ArrayLike, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """Unadjusted Langevin dynamics, x ← x + η/2·score(x) + √η·ξ.

    Args:
      key: for the noise ξ, which is N(0, I).
      score: f32[n, dim] -> f32[n, dim], the gradient of a log density.
      x: f32[n, dim], the chains' starting points.
      step_size: η, above 0: f32[], or f32[num_steps]. On N(0, s²) the chains' variance becomes s²/(1 − η/4s²).
      num_steps: of each chain, at least 1.

    Returns:
      The chains' ends, f32[n, dim], and all states after the start, f32[num_steps, n, dim].

    References:
      Roberts & Tweedie 1996, Exponential convergence of Langevin distributions, section 1.4.
    """

    def step(x: jax.Array, move: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        number, step_size = move
        noise = jax.random.normal(jax.random.fold_in(key, number), x.shape, x.dtype)
        x = x + 0.5 * step_size * score(x) + jnp.sqrt(step_size) * noise
        return x, x

    return jax.lax.scan(step, x, _moves(num_steps, step_size))


def mala(
    key: Key, log_density: Callable[[jax.Array], jax.Array], x: jax.Array, step_size: ArrayLike, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """The Metropolis-adjusted Langevin algorithm: `langevin`'s steps as proposals, which makes the density exact.

    Args:
      key: for proposals and acceptance.
      log_density: f32[n, dim] -> f32[n], in nats, up to a constant.
      x: f32[n, dim], the chains' starting points.
      step_size: η, above 0: f32[], or f32[num_steps].
      num_steps: of each chain, at least 1.

    Returns:
      The chains' ends, f32[n, dim], and the mean acceptance rate, f32[] in [0, 1].

    References:
      Roberts & Tweedie 1996, Exponential convergence of Langevin distributions, section 1.4.
    """

    def evaluate(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, pull_back = jax.vjp(log_density, x)
        return values, pull_back(jnp.ones_like(values))[0]

    def log_proposal(to: jax.Array, start: jax.Array, gradient: jax.Array, step_size: jax.Array) -> jax.Array:
        return -jnp.sum((to - start - 0.5 * step_size * gradient) ** 2, axis=1) / (2 * step_size)

    def step(chain: tuple, move: tuple[jax.Array, jax.Array]) -> tuple[tuple, jax.Array]:
        (x, value, gradient), (number, step_size) = chain, move
        key_noise, key_accept = jax.random.split(jax.random.fold_in(key, number))
        noise = jax.random.normal(key_noise, x.shape, x.dtype)
        proposal = x + 0.5 * step_size * gradient + jnp.sqrt(step_size) * noise
        new_value, new_gradient = evaluate(proposal)
        forward = log_proposal(proposal, x, gradient, step_size)
        back = log_proposal(x, proposal, new_gradient, step_size)
        accept = jnp.log(jax.random.uniform(key_accept, value.shape)) < new_value - value + back - forward
        chain = (
            jnp.where(accept[:, None], proposal, x),
            jnp.where(accept, new_value, value),
            jnp.where(accept[:, None], new_gradient, gradient),
        )
        return chain, jnp.mean(accept, dtype=value.dtype)

    (x, _, _), rates = jax.lax.scan(step, (x, *evaluate(x)), _moves(num_steps, step_size))
    return x, jnp.mean(rates)


def _moves(num_steps: int, step_size: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """The number and the step size of each move."""
    return jnp.arange(num_steps), jnp.broadcast_to(jnp.asarray(step_size, float), (num_steps,))


def systematic_resample(key: Key, log_weights: jax.Array, num_draws: int) -> jax.Array:
    """Indices drawn with probabilities proportional to weights, i32[num_draws], in random order.

    One uniform number serves all draws, so each index comes as often as expected, rounded up or down.

    Args:
      key: for the number and the order.
      log_weights: f32[n], up to a constant.
      num_draws: how many.

    References:
      Kitagawa 1996, Monte Carlo filter and smoother for non-Gaussian nonlinear state space models, appendix.
    """
    key_shift, key_order = jax.random.split(key)
    cumulative = jnp.cumsum(jax.nn.softmax(log_weights))
    levels = cumulative[-1] * (jnp.arange(num_draws) + jax.random.uniform(key_shift)) / num_draws
    drawn = jnp.minimum(jnp.searchsorted(cumulative, levels, side="right"), len(log_weights) - 1)
    return jax.random.permutation(key_order, drawn)
