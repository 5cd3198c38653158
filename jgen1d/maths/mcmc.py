"""Markov chains that sample from a density by its gradient: Langevin dynamics, unadjusted and Metropolis-adjusted."""

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
      step_size: η, f32[], above 0. On N(0, s²) the chains' variance becomes s²/(1 − η/4s²).
      num_steps: of each chain, at least 1.

    Returns:
      The chains' ends, f32[n, dim], and all states after the start, f32[num_steps, n, dim].

    References:
      Roberts & Tweedie 1996, Exponential convergence of Langevin distributions, section 1.4.
    """

    def step(x: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise = jax.random.normal(jax.random.fold_in(key, number), x.shape, x.dtype)
        x = x + 0.5 * step_size * score(x) + jnp.sqrt(step_size) * noise
        return x, x

    return jax.lax.scan(step, x, jnp.arange(num_steps))


def mala(
    key: Key, log_density: Callable[[jax.Array], jax.Array], x: jax.Array, step_size: ArrayLike, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """The Metropolis-adjusted Langevin algorithm: `langevin`'s steps as proposals, which makes the density exact.

    Args:
      key: for proposals and acceptance.
      log_density: f32[n, dim] -> f32[n], in nats, up to a constant.
      x: f32[n, dim], the chains' starting points.
      step_size: η, f32[], above 0.
      num_steps: of each chain, at least 1.

    Returns:
      The chains' ends, f32[n, dim], and the mean acceptance rate, f32[] in [0, 1].

    References:
      Roberts & Tweedie 1996, Exponential convergence of Langevin distributions, section 1.4.
    """

    def evaluate(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, pull_back = jax.vjp(log_density, x)
        return values, pull_back(jnp.ones_like(values))[0]

    def log_proposal(to: jax.Array, start: jax.Array, gradient: jax.Array) -> jax.Array:
        return -jnp.sum((to - start - 0.5 * step_size * gradient) ** 2, axis=1) / (2 * step_size)

    def step(chain: tuple, number: jax.Array) -> tuple[tuple, jax.Array]:
        x, value, gradient = chain
        key_noise, key_accept = jax.random.split(jax.random.fold_in(key, number))
        noise = jax.random.normal(key_noise, x.shape, x.dtype)
        proposal = x + 0.5 * step_size * gradient + jnp.sqrt(step_size) * noise
        new_value, new_gradient = evaluate(proposal)
        forward, back = log_proposal(proposal, x, gradient), log_proposal(x, proposal, new_gradient)
        accept = jnp.log(jax.random.uniform(key_accept, value.shape)) < new_value - value + back - forward
        chain = (
            jnp.where(accept[:, None], proposal, x),
            jnp.where(accept, new_value, value),
            jnp.where(accept[:, None], new_gradient, gradient),
        )
        return chain, jnp.mean(accept)

    (x, _, _), rates = jax.lax.scan(step, (x, *evaluate(x)), jnp.arange(num_steps))
    return x, jnp.mean(rates)
