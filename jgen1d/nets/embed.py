"""What a network is told beside its input, or of it: the time, or Fourier features."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jgen1d.core.once import computed_once


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


FREQUENCIES: dict[str, Callable[[int], jax.Array]] = {
    "harmonic": lambda count: jnp.arange(1, count + 1, dtype=float),
    "octave": lambda count: 2.0 ** jnp.arange(count),
}
"""Of Fourier features, by name: 1, 2, 3, … or 1, 2, 4, …; in radians per unit of the input."""


def with_fourier(x: jax.Array, frequencies: jax.Array, weights: jax.Array) -> jax.Array:
    """A network's input: x beside Fourier features of each coordinate, wₖ·sin(fₖx) and wₖ·cos(fₖx).

    A network of few units learns high frequencies late or never; with them as inputs it is sharp from the start.

    Args:
      x: f32[n, dim].
      frequencies: f, f32[k], in radians per unit of x.
      weights: w, f32[k] or, for each row, f32[k, n]; in [0, 1].

    Returns:
      f32[n, dim·(1 + 2k)].

    References:
      Tancik et al. 2020, Fourier features let networks learn high frequency functions in low dimensional domains.
    """
    angles = frequencies[:, None, None] * computed_once(x).T[None]
    waves = computed_once(weights).reshape(len(frequencies), 1, 1, -1) * jnp.stack(_sine_and_cosine(angles), axis=1)
    return jnp.concatenate([x.T, waves.reshape(-1, len(x))]).T


@jax.custom_jvp
def _sine_and_cosine(angles: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each is computed once, for the derivatives as well."""
    return computed_once(jnp.sin(angles)), computed_once(jnp.cos(angles))


@_sine_and_cosine.defjvp
def _derivatives(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    sine, cosine = _sine_and_cosine(*primals)
    return (sine, cosine), (cosine * tangents[0], -sine * tangents[0])


def coarse_to_fine(progress: jax.Array | float, count: int) -> jax.Array:
    """The weights of `count` Fourier features, f32[count]: each rises from 0 to 1, one after the other.

    Args:
      progress: f32[], in [0, 1]: at 0 no feature counts, at 1 all do.
      count: at least 1.

    References:
      Park et al. 2021, Nerfies: deformable neural radiance fields, equation 8.
    """
    return 0.5 * (1 - jnp.cos(jnp.pi * jnp.clip(progress * count - jnp.arange(count), 0, 1)))
