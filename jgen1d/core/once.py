"""What XLA computes once, however often it is read."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def computed_once(x: jax.Array) -> jax.Array:
    """x as it is, computed before what reads it; numbers below float32's normal range are 0, as elsewhere in XLA.

    On CPUs XLA computes cheap operations within their readers, and anew for each element that these broadcast to: the
    polynomial of a normal draw once for each Fourier feature of it, or each unit of a layer. It drops
    `jax.lax.optimization_barrier` before that. It keeps divisions apart, so this divides by ones that only a running
    program knows to be ones.
    """
    return x / jnp.where(jnp.isfinite(x), 1.0, 2.0)  # half of what is not finite is the same again
