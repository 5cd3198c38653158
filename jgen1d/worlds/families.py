"""Which conditional densities can a world model be made of? The registry of families, and how each is drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Info, Key, PyTree
from jgen1d.methods import flow_matching, vae
from jgen1d.worlds import mixture_density

if TYPE_CHECKING:
    from jgen1d.worlds import world_model


class Family(NamedTuple):
    """A conditional density as a world model uses it.

    Attributes:
      configure: `(config of the world model, dim, condition_dim) -> config of the family`.
      init: `(key, config) -> state`.
      step: `(key, state, batch, config, condition) -> (state, info)`.
      draw: `(key, state, condition: f32[n, condition_dim], temperature, config) -> f32[n, dim]`.
    """

    configure: Callable[..., Any]
    init: Callable[..., PyTree]
    step: Callable[..., tuple[PyTree, Info]]
    draw: Callable[..., jax.Array]


def _shared(config: world_model.Config, dim: int, condition_dim: int) -> dict[str, Any]:
    return {
        "dim": dim, "condition_dim": condition_dim, "widths": config.widths, "num_steps": float(config.num_steps),
        "learning_rate": config.learning_rate, "ema_decay": config.ema_decay,
    }  # fmt: skip


def _mixture(count: Callable[[world_model.Config], int]) -> Family:
    def configure(config: world_model.Config, *dims: int) -> mixture_density.Config:
        own: dict[str, Any] = {"num_components": count(config), "min_std": config.min_std, "max_grad_norm": 1.0}
        return mixture_density.Config(**_shared(config, *dims), **own)

    return Family(configure, mixture_density.init, mixture_density.step, mixture_density.draw)


def _vae_config(config: world_model.Config, *dims: int) -> vae.Config:
    own: dict[str, Any] = {"prior_components": 0, "latent_dim": config.latent_dim, "min_std": config.min_std}
    return vae.Config(**_shared(config, *dims), **own)


def _vae_draw(key: Key, state: PyTree, condition: jax.Array, temperature: jax.Array, config: vae.Config) -> jax.Array:
    """The temperature multiplies the variances of latents and of the decoder."""
    key_latents, key_noise = jax.random.split(key)
    root, n = jnp.sqrt(temperature), len(condition)
    z = root * jax.random.normal(key_latents, (n, config.latent_dim))
    mean, std = vae.decode(state, z, config, condition)
    return mean + root * std * jax.random.normal(key_noise, mean.shape)


def _flow_config(config: world_model.Config, *dims: int) -> flow_matching.Config:
    own: dict[str, Any] = {"num_integration_steps": config.num_integration_steps, "fourier_features": 0}
    return flow_matching.Config(**_shared(config, *dims), **own)


def _flow_draw(
    key: Key, state: PyTree, condition: jax.Array, temperature: jax.Array, config: flow_matching.Config
) -> jax.Array:
    """The temperature multiplies the variance of the noise that is carried to data."""
    noise = jnp.sqrt(temperature) * jax.random.normal(key, (len(condition), config.dim))
    return flow_matching.transport(state, noise, config, condition)[0]


FAMILIES: dict[str, Family] = {
    "gaussian": _mixture(lambda config: 1),
    "mixture": _mixture(lambda config: config.num_components),
    "vae": Family(_vae_config, vae.init, vae.step, _vae_draw),
    "flow_matching": Family(_flow_config, flow_matching.init, flow_matching.step, _flow_draw),
}
