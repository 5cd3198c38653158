"""Mixtures of isotropic normals as targets: any in 1-D and 2-D, a single normal, a ring and a grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from jgen1d.targets.normals import NORMAL_MIXTURE, PLANAR_MIXTURE, MixtureParams, Modes
from jgen1d.targets.target import Target, as_leaf


def mixture(weights: npt.ArrayLike, centers: npt.ArrayLike, scales: npt.ArrayLike, *, name: str = "mixture") -> Target:
    """Σ wₖ N(cₖ, sₖ² I), in one or two dimensions.

    Args:
      weights: f[k], k ≥ 1, positive; they are divided by their sum.
      centers: f[k], f[k, 1] or f[k, 2], in data units.
      scales: f[k], or f[] for all, the standard deviation per axis in data units, positive.
      name: for tables and plots.

    Raises:
      ValueError: if shapes do not match, a value is not finite, or a weight or scale is not positive.
    """
    w, c = np.array(weights, np.float64), np.array(centers, np.float64)
    c = c[:, None] if c.ndim == 1 else c
    s = np.array(scales, np.float64)
    s = np.broadcast_to(s, w.shape) if s.ndim == 0 else s
    if w.ndim != 1 or not len(w) or c.ndim != 2 or len(c) != len(w) or s.shape != w.shape:
        raise ValueError(
            f"mixture: weights [k], centers [k] or [k, dim] and scales [k] must agree in k ≥ 1, "
            f"not {list(w.shape)}, {list(np.shape(centers))} and {list(np.shape(scales))}"
        )
    dim = c.shape[1]
    if dim not in (1, 2):
        raise ValueError(f"mixture: centers [k, dim] must have dim 1 or 2, not {dim}")
    for what, values in {"weights": w, "scales": s}.items():
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(f"mixture: {what} must be positive and finite, not {values.tolist()}")
    if not np.isfinite(c).all():
        raise ValueError(f"mixture: centers must be finite, not {c.tolist()}")
    w = w / w.sum()
    mean = w @ c
    std = np.sqrt(w @ (s[:, None] ** 2 + (c - mean) ** 2))
    # The knots are quantiles of every component, so their cells are as narrow as the density is sharp.
    knots = np.sort((c[:, :1] + s[:, None] * np.linspace(-9, 9, 145)).ravel()) if dim == 1 else np.zeros(0)
    knots_cdf = w @ special.ndtr((knots - c[:, :1]) / s[:, None])
    leaves = MixtureParams(*map(as_leaf, (w, c, s, knots, knots_cdf)))
    modes = Modes(leaves.centers, leaves.scales, leaves.weights)
    family = NORMAL_MIXTURE if dim == 1 else PLANAR_MIXTURE
    return Target(leaves, as_leaf(mean), as_leaf(std), modes, family, dim, name)


def normal(mean: float = 0.0, std: float = 1.0, *, name: str = "normal") -> Target:
    """N(mean, std²).

    Args:
      mean: in data units.
      std: in data units, positive.
      name: for tables and plots.
    """
    return mixture([1.0], [mean], [std], name=name)


def ring(num_modes: int = 8, radius: float = 1.0, scale: float = 0.01, *, name: str = "ring") -> Target:
    """Normals of equal weight, evenly spaced on a circle around the origin, in 2-D.

    Args:
      num_modes: the number of normals, at least 1. All centres differ, unlike those of linspace(0, 2π, k).
      radius: of the circle, in data units.
      scale: the standard deviation per axis, in data units, positive.
      name: for tables and plots.
    """
    angles = np.linspace(0, 2 * np.pi, num_modes, endpoint=False)
    centers = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return mixture(np.ones(num_modes), centers, scale, name=name)


def grid(num_per_axis: int = 5, spacing: float = 2.0, scale: float = 0.05, *, name: str = "grid") -> Target:
    """Normals of equal weight on a square grid around the origin, in 2-D.

    Args:
      num_per_axis: the number of normals along each axis, at least 1.
      spacing: between neighbours, in data units.
      scale: the standard deviation per axis, in data units, positive.
      name: for tables and plots.
    """
    axis = spacing * (np.arange(num_per_axis) - (num_per_axis - 1) / 2)
    centers = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return mixture(np.ones(len(centers)), centers, scale, name=name)
