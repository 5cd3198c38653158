"""Signals that a few random factors and a little noise make, and how the factors are read off a signal again."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Key
from jgen1d.targets.family import uniforms

NUM_WIDTHS = 128
"""The widths of each shape at which `TwoShapes` compares a signal with it."""


class Sine(NamedTuple):
    """a·sin(2πki/dim + φ) + noise, with a uniform between `low` and `high`, and φ uniform on the circle.

    Attributes:
      root: f32[dim, dim], the symmetric square root of the covariance.
      cycles: k, f32[], an integer.
      low: f32[], the least amplitude, above 0.
      high: f32[], the greatest.
      noise: f32[], the standard deviation of the noise.
    """

    root: Any
    cycles: Any
    low: Any
    high: Any
    noise: Any

    def clean(self, factors: Any) -> Any:
        """The signals f[n, dim] without noise of amplitudes and phases, f[n, 2]."""
        np_ = jnp if isinstance(factors, jax.Array) else np
        angles = 2 * np.pi * self.cycles * np_.arange(len(self.root)) / len(self.root)
        return factors[:, :1] * np_.sin(angles[None] + factors[:, 1:])

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]."""
        key_factors, key_noise = jax.random.split(key)
        u = uniforms(key_factors, (num_samples, 2))
        drawn = jnp.stack([self.low + (self.high - self.low) * u[:, 0], 2 * jnp.pi * u[:, 1]], axis=1)
        return self.clean(drawn) + self.noise * jax.random.normal(key_noise, (len(self.root), num_samples)).T

    def factors(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Amplitude and phase of the nearest sine, f32[n, 2]: cosines and sines of whole cycles are orthogonal."""
        angles = 2 * jnp.pi * self.cycles * jnp.arange(len(self.root), dtype=x.dtype) / len(self.root)
        along_sine, along_cosine = (2 * x @ wave(angles) / len(self.root) for wave in (jnp.sin, jnp.cos))
        phase = jnp.mod(jnp.arctan2(along_cosine, along_sine), 2 * jnp.pi)
        found = jnp.stack([jnp.hypot(along_sine, along_cosine), phase], axis=1)
        return found, _rms(x - self.clean(found))


class Pulse(NamedTuple):
    """A rectangle of random height and width in the middle of a signal, and noise; both factors are uniform.

    The value at a place is the height times the share of the place's cell that the rectangle covers.

    Attributes:
      root: f32[dim, dim], the symmetric square root of the covariance; dim is even.
      heights: f32[2], the least and the greatest.
      widths: f32[2], the least and the greatest, in cells, between 0 and dim.
      noise: f32[], the standard deviation of the noise.
    """

    root: Any
    heights: Any
    widths: Any
    noise: Any

    def clean(self, factors: Any) -> Any:
        """The signals f[n, dim] without noise of heights and widths, f[n, 2]."""
        return factors[:, :1] * rectangle(factors[:, 1:], len(self.root))

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]."""
        key_factors, key_noise = jax.random.split(key)
        clean = self.clean(_heights_and_widths(key_factors, num_samples, self.heights, self.widths))
        return clean + self.noise * jax.random.normal(key_noise, (len(self.root), num_samples)).T

    def factors(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Height and width of the nearest rectangle, f32[n, 2].

        With j cells on each side of the middle inside and a share f of the next, the rectangle's best height leaves
        ‖x‖² − (A + fB)²/(2j + 2f²), where A is the sum of x inside and B that of the two cells at the edges. Its least
        value in f is at jB/A, clipped to [0, 1]; the best of all j is the exact least-squares fit.
        """
        half = len(self.root) // 2
        pairs = x[:, half:] + x[:, half - 1 :: -1]
        inside = jnp.cumsum(pairs, axis=1) - pairs
        j = jnp.arange(half, dtype=x.dtype)[None]
        share = jnp.clip(j * pairs / jnp.where(inside == 0, 1, inside), 0, 1)
        share = jnp.where(j == 0, 1, jnp.where(inside == 0, 0, share))  # without cells inside, all f explain as much
        explained = (inside + share * pairs) ** 2 / (2 * j + 2 * share**2)
        best = jnp.argmax(explained, axis=1)[:, None]
        share, inside, pair = (jnp.take_along_axis(v, best, axis=1)[:, 0] for v in (share, inside, pairs))
        full = best[:, 0].astype(x.dtype)
        height = (inside + share * pair) / (2 * full + 2 * share**2)
        found = jnp.stack([height, 2 * (full + share)], axis=1)
        return found, _rms(x - self.clean(found))


class TwoShapes(NamedTuple):
    """A rectangle (label 0) or a triangle (label 1) as often, of random height and width, with noise; see `Pulse`.

    Attributes:
      root: f32[dim, dim], the symmetric square root of the covariance.
      heights: f32[2], the least and the greatest.
      widths: f32[2], the least and the greatest, in cells; a triangle is twice as wide at its base.
      noise: f32[], the standard deviation of the noise.
    """

    root: Any
    heights: Any
    widths: Any
    noise: Any

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]."""
        key_label, key_factors, key_noise = jax.random.split(key, 3)
        drawn = _heights_and_widths(key_factors, num_samples, self.heights, self.widths)
        is_pulse = jax.random.bernoulli(key_label, shape=(num_samples, 1))
        shapes = [shape(drawn[:, 1:], len(self.root)) for shape in (rectangle, triangle)]
        noise = self.noise * jax.random.normal(key_noise, (len(self.root), num_samples)).T
        return drawn[:, :1] * jnp.where(is_pulse, *shapes) + noise

    def class_weights(self) -> jax.Array:
        """How frequent the labels are, f32[2]."""
        return jnp.full(2, 0.5)

    def class_log_probs(self, x: jax.Array) -> jax.Array:
        """log p(label | x) with each shape's best height and width in place of the mean over them, f32[n, 2]."""
        low, high = jnp.asarray(self.widths)
        widths = jnp.linspace(low, high, NUM_WIDTHS)[:, None]
        explained = []
        for shape in (rectangle, triangle):
            templates = shape(widths, len(self.root))
            explained.append(jnp.max((x @ templates.T) ** 2 / jnp.sum(templates**2, axis=1)[None], axis=1))
        return jax.nn.log_softmax(jnp.stack(explained, axis=1) / (2 * self.noise**2), axis=1)


def rectangle(widths: Any, length: int) -> Any:
    """The share of each cell, f[n, length], that a rectangle in the middle covers, of widths f[n, 1]."""
    np_ = jnp if isinstance(widths, jax.Array) else np
    return np_.clip(widths / 2 - np_.abs(_places(np_, length)) + 0.5, 0, 1)


def triangle(widths: Any, length: int) -> Any:
    """A triangle of height 1 in the middle, f[n, length], with the rectangle's area: its base is 2·width."""
    np_ = jnp if isinstance(widths, jax.Array) else np
    return np_.maximum(1 - np_.abs(_places(np_, length)) / widths, 0)


def _heights_and_widths(key: Key, num_samples: int, heights: Any, widths: Any) -> jax.Array:
    """Draws uniform heights and widths, f32[num_samples, 2], between the ends f32[2] of each."""
    ends = jnp.stack([jnp.asarray(heights), jnp.asarray(widths)])
    return ends[None, :, 0] + (ends[:, 1] - ends[:, 0])[None] * uniforms(key, (num_samples, 2))


def _places(np_: Any, length: int) -> Any:
    """Each cell's distance from the middle, f[1, length]."""
    return (np_.arange(length) - (length - 1) / 2)[None]


def _rms(residual: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(residual**2, axis=1))
