"""Gaussian processes on a grid: how signals are drawn from them, and their exact density."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Key
from jgen1d.targets.normals import LOG_2PI


class Gaussian(NamedTuple):
    """N(0, Σ).

    Attributes:
      root: f32[dim, dim], the symmetric square root of Σ.
      whitening: f32[dim, dim], the inverse of the root.
      log_det: f32[], of Σ.
    """

    root: Any
    whitening: Any
    log_det: Any

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]."""
        return (self.root @ jax.random.normal(key, (len(self.root), num_samples))).T

    def log_prob(self, x: jax.Array) -> jax.Array:
        """The log density in nats, f32[n], at f32[n, dim]."""
        z = x @ self.whitening
        return -0.5 * (jnp.sum(z**2, axis=1) + self.log_det + x.shape[1] * LOG_2PI)

    def score(self, x: jax.Array) -> jax.Array:
        """The gradient of the log density, −Σ⁻¹x, f32[n, dim]."""
        return -(x @ self.whitening) @ self.whitening


class OrnsteinUhlenbeck(NamedTuple):
    """The stationary process xᵢ = ρ·xᵢ₋₁ + √(1 − ρ²)·εᵢ with variance 1, whose covariance is ρ^|i − j|.

    Attributes:
      root: f32[dim, dim], the symmetric square root of the covariance.
      correlation: ρ, f32[], of neighbours.
    """

    root: Any
    correlation: Any

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]."""
        return (self.root @ jax.random.normal(key, (len(self.root), num_samples))).T

    def log_prob(self, x: jax.Array) -> jax.Array:
        """The log density in nats, f32[n], by the Markov factorisation p(x₁) Π p(xᵢ | xᵢ₋₁)."""
        variance = 1 - self.correlation**2
        innovations = x[:, 1:] - self.correlation * x[:, :-1]
        quadratic = x[:, 0] ** 2 + jnp.sum(innovations**2, axis=1) / variance
        return -0.5 * (quadratic + (x.shape[1] - 1) * jnp.log(variance) + x.shape[1] * LOG_2PI)


def as_covariance(covariance: Any, name: str) -> np.ndarray:
    """A float64 copy of a covariance matrix.

    Raises:
      ValueError: in one line, unless it is a symmetric, positive definite, finite matrix [dim, dim] with dim ≥ 3.
    """
    try:
        found = np.array(covariance, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: covariance must be a matrix of real numbers, with rows of one length") from None
    if found.ndim != 2 or found.shape[0] != found.shape[1] or len(found) < 3:
        raise ValueError(f"{name}: covariance must have shape [dim, dim] with dim ≥ 3, not {list(found.shape)}")
    if not np.isfinite(found).all():
        row, column = np.argwhere(~np.isfinite(found))[0]
        raise ValueError(f"{name}: covariance must be finite, but [{row}, {column}] is {found[row, column]}")
    gap = np.abs(found - found.T)
    if gap.max() > 1e-6 * np.abs(found).max():
        row, column = np.unravel_index(gap.argmax(), gap.shape)
        raise ValueError(f"{name}: covariance must be symmetric, but [{row}, {column}] is not [{column}, {row}]")
    least = float(np.linalg.eigvalsh(found)[0])
    if least <= 1e-9 * np.trace(found) / len(found):
        raise ValueError(
            f"{name}: covariance must be positive definite, but its least eigenvalue is {least:.2g}: add a little "
            f"noise to its diagonal"
        )
    return (found + found.T) / 2


def root_of(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix, f64[dim, dim]."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def gaussian(covariance: np.ndarray) -> Gaussian:
    """N(0, Σ) of a positive definite covariance, computed in float64."""
    values, vectors = np.linalg.eigh(covariance)
    whitening = (vectors / np.sqrt(values)) @ vectors.T
    return Gaussian(root_of(covariance), whitening, np.asarray(np.log(values).sum()))


def entropy(covariance: np.ndarray) -> float:
    """The differential entropy of N(·, Σ) in nats: ½ log det(2πe Σ)."""
    return float(0.5 * (np.linalg.slogdet(covariance)[1] + len(covariance) * math.log(2 * math.pi * math.e)))
