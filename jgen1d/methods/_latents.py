"""The random inputs of a GAN's generator: normal or uniform ones, and binary ones."""

from __future__ import annotations

import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from jgen1d.core import Config, Key
from jgen1d.nets import active


def latents(key: Key, num_samples: int, config: Config) -> jax.Array:
    """The generator's random inputs, f32[num_samples, latent_dim], of which the last `binary_latents` are −1 or 1.

    A continuous generator of a connected distribution has connected samples, so it joins the modes that it makes. With
    b binary latents it is 2ᵇ generators that share their weights.

    References:
      Khayatkhoei et al. 2018, Disconnected manifold learning for generative adversarial networks, section 3; Brock et
      al. 2019, Large scale GAN training for high fidelity natural image synthesis, appendix E, for Bernoulli latents.
    """
    shape = (config.latent_dim, num_samples)  # drawn along the long axis: twice as fast as along a short one on CPU
    z = jax.random.normal(key, shape) if config.latent == "normal" else jax.random.uniform(key, shape, minval=-1)
    if config.binary_latents:
        binary = jnp.arange(len(z)) >= active(config.latent_dim) - config.binary_latents
        z = jnp.where(binary[:, None], jnp.where(z < 0, -1.0, 1.0), z)
    return z.T


def quantile(config: Config) -> Callable[[jax.Array], jax.Array]:
    """The quantile function of the first latent, f32[n] in (0, 1) -> f32[n]."""
    if config.binary_latents == operator.index(config.latent_dim):
        return lambda u: jnp.where(u < 0.5, -1.0, 1.0)
    return ndtri if config.latent == "normal" else lambda u: 2 * u - 1
