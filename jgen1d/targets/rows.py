"""The distribution of a finite sample of signals or images, in which all rows are equally likely."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Key

MAX_DIM = 4096
"""Places of the longest signal: a covariance of float32 then takes 64 MiB."""


class Rows(NamedTuple):
    """Rows that are equally likely, each with noise that is uniform within ±½ of a width.

    Attributes:
      rows: f32[n, dim].
      root: f32[dim, dim], the symmetric square root of the covariance, noise included.
      width: f32[], of the noise; 0 for none.
    """

    rows: Any
    root: Any
    width: Any

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim]."""
        return draw(self, key, num_samples)[0]

    def cdf_along(self, x: jax.Array, directions: jax.Array) -> jax.Array:
        """The distribution functions, f32[d, n], of the rows' projections on f32[d, dim], at f32[d, n]; no noise."""
        along = jnp.sort(directions @ jnp.asarray(self.rows).T, axis=1)
        below = jax.vmap(lambda row, at: jnp.searchsorted(row, at, side="right"))(along, x)
        return below / along.shape[1]


def draw(law: Any, key: Key, num_samples: int) -> tuple[jax.Array, jax.Array]:
    """Draws rows with their noise, f32[num_samples, dim], and which rows they are, i32[num_samples]."""
    key_row, key_noise = jax.random.split(key)
    rows = jnp.asarray(law.rows)
    which = jax.random.randint(key_row, (num_samples,), 0, len(rows))
    noise = jax.random.uniform(key_noise, (num_samples, rows.shape[1]), minval=-0.5, maxval=0.5)
    return rows[which] + law.width * noise, which


def as_signals(array: Any, name: str) -> np.ndarray:
    """A float64 copy of signals, f[n, length].

    Raises:
      ValueError: in one line, for another shape, rows of different lengths, objects, masks, a value that is not finite,
        or a place that is constant.
    """
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(f"{name}: some values are masked: leave such rows out")
    try:
        found = np.asarray(array)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: signals must have shape [n, length], not rows of different lengths") from None
    if found.dtype.kind not in "iuf":
        kinds = {"c": "complex numbers", "b": "booleans", "U": "texts", "O": "objects, such as rows of other lengths"}
        raise ValueError(f"{name}: signals must be integers or floats, not {kinds.get(found.dtype.kind, found.dtype)}")
    if found.ndim != 2 or found.shape[0] < 2 or not 3 <= found.shape[1] <= MAX_DIM:
        raise ValueError(
            f"{name}: signals must have shape [n, length] with n ≥ 2 and 3 ≤ length ≤ {MAX_DIM}, not "
            f"{list(found.shape)}"
        )
    found = np.array(found, np.float64)
    if not np.isfinite(found).all():
        row, place = np.argwhere(~np.isfinite(found))[0]
        raise ValueError(f"{name}: signals must be finite, but [{row}, {place}] is {found[row, place]}")
    constant = np.flatnonzero(np.ptp(found, axis=0) == 0)
    if len(constant):
        places = f"place {constant[0]}" + (f" and {len(constant) - 1} more" if len(constant) > 1 else "")
        raise ValueError(f"{name}: {places}: all signals are {found[0, constant[0]]:g} there: leave it out")
    return found
