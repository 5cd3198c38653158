"""The square root, with a slope that does not become infinite at 0."""

from __future__ import annotations

import jax
import jax.numpy as jnp


@jax.custom_jvp
def flat_sqrt(x: jax.Array) -> jax.Array:
    """√x, whose derivative at 0 counts as 0: what is multiplied by it there is 0, and 0·∞ would be NaN."""
    return jnp.sqrt(x)


@flat_sqrt.defjvp
def _flat_sqrt_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (rate,) = primals, tangents
    root = flat_sqrt(x)
    return root, jnp.where(x > 0, 0.5 / jnp.where(x > 0, root, 1), 0) * rate
