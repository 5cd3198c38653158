"""Points and weights that replace an expectation by a sum."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def midpoints(count: int) -> jax.Array:
    """The midpoints of `count` equal cells of (0, 1), f32[count]: the quantiles of U(0, 1) with equal weights."""
    return (jnp.arange(count) + 0.5) / count


def normal_nodes(count: int) -> tuple[jax.Array, jax.Array]:
    """The trapezoid rule for expectations under N(0, 1).

    It converges fast for smooth functions. For those that bend within a few hundredths, such as the logits of separate
    modes, it converges long before the Gauss–Hermite rule does.

    Args:
      count: how many nodes, at least 2.

    Returns:
      Nodes f32[count], evenly spaced over ±9 (2e-19 of the mass lies outside), and weights f32[count] with sum 1.
    """
    nodes = np.linspace(-9, 9, count)
    density = np.exp(-0.5 * nodes**2)
    return jnp.asarray(nodes, dtype=float), jnp.asarray(density / density.sum(), dtype=float)
