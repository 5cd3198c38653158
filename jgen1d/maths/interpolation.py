"""Paths between latents: straight, and along the sphere near which latents of many dimensions lie."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def lerp(start: ArrayLike, end: ArrayLike, t: ArrayLike) -> jax.Array:
    """(1 − t)·start + t·end.

    Halfway between two independent draws of N(0, I) the norm is about √(d/2), while that of draws is about √d: in many
    dimensions a straight path leaves the shell that a generator was trained on.

    Args:
      start: f32[..., d].
      end: f32[..., d].
      t: f32[...], broadcast against the leading axes of both; 0 gives start, 1 gives end.

    Returns:
      f32[..., d].

    References:
      White 2016, Sampling generative networks, section 2.1.
    """
    start, end, t = _broadcast(start, end, t)
    return (1 - t) * start + t * end


def slerp(start: ArrayLike, end: ArrayLike, t: ArrayLike) -> jax.Array:
    """From start to end at constant angular speed, with the norm interpolated linearly.

    For vectors of equal norm it is sin((1 − t)θ)/sin θ·start + sin(tθ)/sin θ·end, with θ the angle between them.
    Between draws of N(0, I) the norm stays near √d. Between parallel vectors, and from or to 0, the path is
    straight. Between opposite vectors all half circles are equally short: the path takes the one through the coordinate
    axis along which start is least; in one dimension there is no such axis, and the path runs through 0.

    Args:
      start: f32[..., d].
      end: f32[..., d].
      t: f32[...], broadcast against the leading axes of both; 0 gives start, 1 gives end.

    Returns:
      f32[..., d].

    References:
      Shoemake 1985, Animating rotation with quaternion curves, section 3.3; White 2016, Sampling generative networks,
      section 2.1.
    """
    start, end, t = _broadcast(start, end, t)
    norms = [jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (start, end)]
    a, b = (x / jnp.where(norm > 0, norm, 1) for x, norm in zip((start, end), norms, strict=True))
    a, b = jnp.where(norms[0] > 0, a, b), jnp.where(norms[1] > 0, b, a)  # 0 takes the direction of the other vector
    # From half the chords: arccos(a·b) loses digits for angles near 0 and π.
    angle = 2 * jnp.arctan2(*(jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (a - b, a + b)))
    axis = jax.nn.one_hot(jnp.argmin(jnp.abs(a), axis=-1), a.shape[-1], dtype=a.dtype)
    side, other = _unit(_without(b, a)), _unit(_without(axis, a))
    # If b is nearly ±a, rounding leaves some of a in the rest of b; a second subtraction removes it.
    side = _unit(_without(jnp.where(jnp.any(side != 0, axis=-1, keepdims=True), side, other), a))
    return ((1 - t) * norms[0] + t * norms[1]) * (jnp.cos(t * angle) * a + jnp.sin(t * angle) * side)


def _broadcast(start: ArrayLike, end: ArrayLike, t: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    start, end, t = (jnp.asarray(value, dtype=float) for value in (start, end, t))
    leading = jnp.broadcast_shapes(start.shape[:-1], end.shape[:-1], t.shape)
    if start.shape[-1:] != end.shape[-1:]:
        raise ValueError(f"start and end must agree in their last axis, not {list(start.shape)} and {list(end.shape)}")
    shape = leading + start.shape[-1:]
    return jnp.broadcast_to(start, shape), jnp.broadcast_to(end, shape), jnp.broadcast_to(t, leading)[..., None]


def _without(x: jax.Array, unit: jax.Array) -> jax.Array:
    return x - jnp.sum(x * unit, axis=-1, keepdims=True) * unit


def _unit(x: jax.Array) -> jax.Array:
    """x over its norm; 0 if it is only the rounding error of a unit vector."""
    norm = jnp.linalg.norm(x, axis=-1, keepdims=True)
    return jnp.where(norm > 2 * jnp.finfo(x.dtype).eps, x / jnp.where(norm > 0, norm, 1), 0)
