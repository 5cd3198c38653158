"""How are weights drawn as orthogonal matrices? By Gram and Schmidt's method, without LAPACK.

A program that lies over several CPU devices and calls LAPACK, as `jnp.linalg.qr` does, can wait for itself for ever
(seen with jax 0.10.1); products of matrices cannot.
"""

from __future__ import annotations

import zlib
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.core import Key, PyTree
from jgen1d.core.door import vary


def orthogonal(key: Key, rows: int, columns: int) -> jax.Array:
    """Draws a matrix f32[rows, columns] uniformly among those whose shorter side is orthonormal.

    References:
      Saxe, McClelland & Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep linear networks.
    """
    short, long = sorted((rows, columns))
    drawn = jax.random.normal(key, (short, long))

    def one(i: jax.Array, known: jax.Array) -> jax.Array:
        row = drawn[i]
        for _ in range(2):  # once leaves the rounding errors of what it takes away
            row -= (known @ row) @ known
        return known.at[i].set(row / jnp.sqrt(jnp.sum(row**2)))

    start = vary((drawn, jnp.zeros_like(drawn)))[1]
    found = jax.lax.fori_loop(0, short, one, start)
    return found if rows <= columns else found.T


def orthogonalise(key: Key, params: PyTree, gain: ArrayLike, last_gain: ArrayLike) -> PyTree:
    """The parameters of a network of `jgen1d.nets.mlp` with its weights drawn anew: multiples of orthogonal matrices.

    Args:
      key: for the draws.
      params: from the network's `init`.
      gain: the hidden layers' multiple.
      last_gain: the last layer's multiple.
    """

    def draw(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        name = path[-1].key
        if not name.startswith("kernel"):
            return leaf
        own = jax.random.fold_in(key, zlib.crc32(name.encode()))
        return jnp.asarray(last_gain if name == "kernel_out" else gain) * orthogonal(own, *leaf.shape)

    return jax.tree_util.tree_map_with_path(draw, params)
