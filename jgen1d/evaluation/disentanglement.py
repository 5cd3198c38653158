"""What do latents stand for? Scores of codes, f[n, latents], against the known factors, f[n, factors], and charts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

NUM_BINS = 20
"""Intervals that every latent and every factor is cut into, equally full, for mutual information."""


class Chart(NamedTuple):
    """What two latents stand for.

    Attributes:
      lines: f[2, lines, points, 2], the factors along lines on which one latent varies, the first or the second.
      traversals: f[2, signals, dim], what is decoded while one latent varies and the other is at its median.
    """

    lines: np.ndarray
    traversals: np.ndarray


def mutual_information(a: jax.Array, b: jax.Array, num_bins: int = NUM_BINS) -> jax.Array:
    """The mutual information of f[n] and f[n] in nats, f32[], of their ranks in `num_bins` equally full intervals.

    It is at most log(num_bins), that of a value with itself, and the same for any monotone map of either. Independent
    values have about (num_bins − 1)²/(2n), the bias of the plug-in estimate.

    Args:
      a: f[n], n at least `num_bins`.
      b: f[n].
      num_bins: at least 2.

    References:
      Miller 1955, Note on the bias of information estimates, for the bias.
    """
    n = len(a)
    first, second = (jnp.argsort(jnp.argsort(values)) * num_bins // n for values in (a, b))
    joint = jnp.bincount(first * num_bins + second, length=num_bins**2).reshape(num_bins, num_bins) / n
    return jnp.sum(jax.scipy.special.rel_entr(joint, joint.sum(axis=1)[:, None] * joint.sum(axis=0)[None]))


def mig(codes: ArrayLike, factors: ArrayLike, num_bins: int = NUM_BINS) -> jax.Array:
    """The mutual information gap, f32[]: 1 if each factor is in one latent alone, 0 if two tell as much about it.

    For each factor it is the information of the latent that tells most about it less that of the next, over the
    factor's entropy, log(num_bins); the mean over factors is returned.

    Args:
      codes: f[n, latents], at least two latents.
      factors: f[n, factors], continuous.
      num_bins: of `mutual_information`.

    References:
      Chen et al. 2018, Isolating sources of disentanglement in VAEs, equation 6.
    """
    over_codes = jax.vmap(mutual_information, (1, None, None))
    told = jax.vmap(over_codes, (None, 1, None), out_axes=1)(jnp.asarray(codes), jnp.asarray(factors), num_bins)
    most, next_most = jax.lax.top_k(told.T, 2)[0].T
    return jnp.mean(most - next_most) / jnp.log(num_bins)


def monotone_r2(codes: ArrayLike, factors: ArrayLike) -> np.ndarray:
    """How much of each factor's variance the best monotone function of each latent explains, f64[latents, factors].

    It is NaN for a latent that is not finite.

    Args:
      codes: f[n, latents].
      factors: f[n, factors], none of them constant.
    """
    from scipy.optimize import isotonic_regression  # imported here because it takes as long as JAX

    latents, known = np.asarray(codes, float), np.asarray(factors, float)
    found = np.full((latents.shape[1], known.shape[1]), np.nan)
    for i, order in enumerate(np.argsort(latents, axis=0, kind="stable").T):
        for j, values in enumerate(known[order].T if np.isfinite(latents[:, i]).all() else ()):
            rests = [values - isotonic_regression(values, increasing=rising).x for rising in (True, False)]
            found[i, j] = 1 - min(np.mean(rest**2) for rest in rests) / np.var(values)
    return found


def known_codes(factors: ArrayLike) -> dict[str, np.ndarray]:
    """Codes by name whose scores calibrate those of models, f64[n, 2] each, of two factors, f[n, 2].

    They are the factors, these over their standard deviations and turned by 15° and by 45°, and normal noise.
    """
    exact = np.asarray(factors, float)
    known = {"exact factors": exact}
    for degrees in (15, 45):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.array([[cos, sin], [-sin, cos]])
        known[f"factors turned by {degrees}°"] = exact / exact.std(axis=0) @ turn
    return known | {"independent code": np.random.default_rng(0).normal(size=exact.shape)}


def chart(codes: ArrayLike, decode: Callable[[jax.Array], jax.Array], factors_of: Callable) -> Chart:
    """What latents stand for: 7 lines along each, and 5 signals, all between the 5th and the 95th percentile of codes.

    Args:
      codes: f[n, 2].
      decode: the signals, f[n, dim], of codes f[n, 2].
      factors_of: the factors, f[n, 2], of signals, and anything more, as `Target.factors`.
    """
    few, some, many = (
        jnp.quantile(jnp.asarray(codes), jnp.linspace(0.05, 0.95, count), axis=0) for count in (5, 7, 41)
    )
    lines = (jnp.meshgrid(many[:, 0], some[:, 1]), jnp.meshgrid(some[:, 0], many[:, 1], indexing="ij"))
    grids = [factors_of(decode(jnp.stack(one, axis=-1).reshape(-1, 2)))[0].reshape(7, 41, 2) for one in lines]
    varied = (few.at[:, 1].set(some[3, 1]), few.at[:, 0].set(some[3, 0]))
    return Chart(np.stack(grids), np.stack([decode(one) for one in varied]))
