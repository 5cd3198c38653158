"""The players of an adversarial method beside their optima, in 1-D."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jgen1d.core import Key, Players, State
from jgen1d.targets import Target

FEWEST = 10
"""Samples' worth of mass in a bin below which its optimal discriminator is noise."""


def discriminator(
    players: Players,
    state: State,
    config: Any,
    target: Target,
    edges: jax.Array,
    fake: jax.Array,
    num_fake: int,
    shift: jax.Array,
    scale: jax.Array,
) -> dict[str, jax.Array]:
    """The discriminator in each bin, and the optimal one for the generator's samples.

    The optimum D* = p/(p + q) is taken bin by bin, with q from the samples; it is NaN where both are rare, where the
    target has no density, and for losses whose optimum is unknown.

    Args:
      players: the method's.
      state: the method's.
      config: the method's.
      target: in 1-D.
      edges: f32[bins + 1], in data units.
      fake: f32[bins], the share of the generator's samples in each bin.
      num_fake: how many samples these are, at least 1.
      shift: f32[1], from training units to data units.
      scale: f32[1], from training units to data units.

    Returns:
      `x`, the middles of the bins, `learnt` and `optimal`, f32[bins] each: probabilities, or raw outputs.

    References:
      Goodfellow et al. 2014, Generative adversarial nets, proposition 1.
    """
    x = (edges[1:] + edges[:-1]) / 2
    logits, kind = players.discriminate(state, ((x - shift) / scale)[:, None], config), players.optimal_output(config)
    if not kind:
        return {"x": x, "learnt": logits, "optimal": jnp.full_like(x, jnp.nan)}
    real = jnp.diff(target.cdf(edges))
    known = (real + fake > FEWEST / num_fake) & target.has_density
    optimal = jnp.where(known, real / jnp.where(known, real + fake, 1), jnp.nan)
    if kind == "double_sigmoid":  # what the loss takes for logits are probabilities
        optimal = jnp.clip(jnp.log(optimal / (1 - optimal)), 0, 1)
    return {"x": x, "learnt": jax.nn.sigmoid(logits), "optimal": optimal}


def latent_dim(players: Players, config: Any) -> int:
    """How many latents the generator has."""
    return jax.eval_shape(lambda key: players.latents(key, 1, config), jax.random.key(0)).shape[1]


def generator(
    players: Players, state: State, config: Any, target: Target, shift: jax.Array, scale: jax.Array, num_points: int
) -> dict[str, jax.Array]:
    """A generator of one latent over that latent, and the optimal one G* = F⁻¹∘F_z, mirrored if the learned one falls.

    Args:
      players: the method's.
      state: the method's.
      config: the method's.
      target: in 1-D, with distribution function F.
      shift: f32[1], from training units to data units.
      scale: f32[1], from training units to data units.
      num_points: at least 2, at evenly spaced levels of the latent's distribution function F_z.

    Returns:
      `z`, `learnt` and `optimal`, f32[num_points] each.

    References:
      Devroye 1986, Non-uniform random variate generation, theorem 2.1.
    """
    levels = (jnp.arange(num_points) + 0.5) / num_points
    z = players.quantile(config)(levels)
    learned = shift + scale * players.generate(state, z[:, None], config)[:, 0]
    rises = jnp.mean((z - jnp.mean(z)) * learned) >= 0
    return {"z": z, "learnt": learned, "optimal": target.quantile(jnp.where(rises, levels, 1 - levels))}


def generator_of_two(
    players: Players, key: Key, state: State, config: Any, shift: jax.Array, scale: jax.Array, num_points: int
) -> dict[str, jax.Array]:
    """A generator over its first two latents, at random ones.

    Returns:
      `z1`, `z2` and `x`, f32[num_points] each; `x` in data units.
    """
    latents = players.latents(key, num_points, config)
    output = shift + scale * players.generate(state, latents, config)[:, 0]
    return {"z1": latents[:, 0], "z2": latents[:, 1], "x": output}
