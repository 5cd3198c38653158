"""What metrics are computed from: a model's samples, samples of one class, densities, or the largest gap."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.evaluation import signals
from jgen1d.evaluation.bins import js, tv
from jgen1d.evaluation.coverage import mode_mass
from jgen1d.evaluation.distances import Reference, w1
from jgen1d.evaluation.gaps import ks, ks_of_two, ks_p
from jgen1d.targets import Modes, Target


class Samples:
    """Samples of a model, and what several metrics need of them, computed once.

    Attributes:
      samples: f32[n, dim], in data units.
      target: what the model was to learn.
      reference: from `reference(target, n)`.
    """

    def __init__(self, samples: jax.Array, target: Target, reference: Reference):
        self.samples, self.target, self.reference = samples, target, reference

    @functools.cached_property
    def w1(self) -> jax.Array:
        """f32[], in data units."""
        return w1(self.samples, self.reference.points)

    @functools.cached_property
    def ks(self) -> jax.Array:
        """f32[] in [0, 1]."""
        if self.target.dim > 2 and not self.target.has_cdf:
            return ks_of_two(self.samples, self.reference.points)
        return ks(self.samples, self.target)

    @functools.cached_property
    def ks_p(self) -> jax.Array:
        """f32[] in [0, 1]; a signal's whose distribution functions are unknown is that of two samples."""
        n, m = len(self.samples), self.reference.points.shape[1]
        alone = self.target.has_cdf
        return ks_p(self.ks, n if alone else n * m / (n + m), self.target.dim)

    @functools.cached_property
    def of_signals(self) -> dict[str, jax.Array]:
        """f32[] by name: see `signals.measures`."""
        return signals.measures(self.samples, self.target, self.reference.signal)

    @functools.cached_property
    def of_images(self) -> dict[str, jax.Array]:
        """f32[] by name: see `signals.image_measures`."""
        return signals.image_measures(self.samples, self.target)

    @functools.cached_property
    def tv(self) -> jax.Array:
        """f32[] in [0, 1]."""
        return tv(self.samples, self.target, self.reference)

    @functools.cached_property
    def js(self) -> jax.Array:
        """f32[], in nats."""
        return js(self.samples, self.target)

    @functools.cached_property
    def std(self) -> jax.Array:
        """f32[dim], in data units."""
        return jnp.std(self.samples, axis=0)

    @functools.cached_property
    def target_std(self) -> jax.Array:
        """f32[dim], in data units."""
        return jnp.asarray(self.target.std)

    @functools.cached_property
    def modes(self) -> Modes:
        """The target's."""
        return jax.tree.map(jnp.asarray, self.target.modes)

    @functools.cached_property
    def mode_mass(self) -> jax.Array:
        """f32[k]."""
        return mode_mass(self.samples, self.modes)


class ClassSamples(NamedTuple):
    """Samples f32[n, dim] that a model with labels drew of one of the target's modes, `label`, i32[]."""

    samples: jax.Array
    target: Target
    label: jax.Array


class Densities(NamedTuple):
    """The log densities in nats, f32[n] each, of the target and of a model, at the same draws of the target."""

    log_p: jax.Array
    log_q: jax.Array
    target: Target


class Gap(NamedTuple):
    """The largest gap, f32[], between a model's distribution function and the target's, on `num_samples` samples."""

    gap: jax.Array
    target: Target
    num_samples: int
