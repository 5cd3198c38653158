"""How a network is told what is not data, such as the time."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def with_time(x: jax.Array, t: jax.Array, num_frequencies: int) -> jax.Array:
    """A network's input: x beside features of the time, cos(πkt) and sin(πkt) for k = 1 … `num_frequencies`.

    Args:
      x: f32[n, dim].
      t: f32[n, 1] or f32[], in [0, 1].
      num_frequencies: at least 1.

    Returns:
      f32[n, dim + 2·num_frequencies].
    """
    angles = jnp.pi * jnp.reshape(t, (-1, 1)) * jnp.arange(1, num_frequencies + 1, dtype=x.dtype)[None]
    features = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=1)
    return jnp.concatenate([x, jnp.broadcast_to(features, (len(x), features.shape[1]))], axis=1)
