"""How mixtures of isotropic normals are computed; every mode of a target is one of their components."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp, ndtr

from jgen1d.core import Key
from jgen1d.targets.family import Family, uniforms

LOG_2PI = math.log(2 * math.pi)


class Modes(NamedTuple):
    """A target's modes; k = 0 if it has none.

    Attributes:
      centers: f32[k, dim], in data units.
      scales: f32[k], the standard deviation per axis, in data units, above 0.
      weights: f32[k], above 0, with sum 1.
    """

    centers: jax.Array
    scales: jax.Array
    weights: jax.Array


class MixtureParams(NamedTuple):
    """The parameters of Σ wₖ N(cₖ, sₖ² I).

    Attributes:
      weights: f32[k], above 0, with sum 1.
      centers: f32[k, dim], in data units.
      scales: f32[k], in data units, above 0.
      knots: f32[m], in data units, sorted: they bracket the quantiles. Empty in 2-D and in `Target.mode`.
      knots_cdf: f32[m], the distribution function at the knots.
    """

    weights: jax.Array
    centers: jax.Array
    scales: jax.Array
    knots: jax.Array
    knots_cdf: jax.Array


def component_log_probs(params: MixtureParams | Modes, x: jax.Array) -> jax.Array:
    """log wₖ N(x; cₖ, sₖ² I), f32[n, k], at x, f32[n, dim]."""
    z = (x[:, None, :] - params.centers[None]) / params.scales[None, :, None]
    normalizer = jnp.log(params.weights) - x.shape[1] * (jnp.log(params.scales) + 0.5 * LOG_2PI)
    return normalizer[None] - 0.5 * jnp.sum(z**2, axis=2)


def _log_prob(params: MixtureParams, x: jax.Array) -> jax.Array:
    return logsumexp(component_log_probs(params, x), axis=1)


def _cdf(params: MixtureParams, x: jax.Array) -> jax.Array:
    return _mixture_cdf(params, params.centers[:, 0], x)


def _cdf_along(params: MixtureParams, x: jax.Array, directions: jax.Array) -> jax.Array:
    return jax.vmap(functools.partial(_mixture_cdf, params))(directions @ params.centers.T, x)


def _mixture_cdf(params: MixtureParams, centers: jax.Array, x: jax.Array) -> jax.Array:
    cdf = jnp.zeros_like(x)
    for weight, center, scale in zip(params.weights, centers, params.scales, strict=True):
        cdf += weight * ndtr((x - center) / scale)
    return cdf


def _density(params: MixtureParams, x: jax.Array) -> jax.Array:
    density = jnp.zeros_like(x)
    for weight, center, scale in zip(params.weights, params.centers[:, 0], params.scales, strict=True):
        density += weight / scale * jnp.exp(-0.5 * (((x - center) / scale) ** 2 + LOG_2PI))
    return density


def _quantile(params: MixtureParams, u: jax.Array) -> jax.Array:
    """Newton's method, clipped to the knots around the root so that it converges in the flattest gap."""
    if len(params.weights) == 1:
        return params.centers[0, 0] + params.scales[0] * jax.scipy.special.ndtri(u)
    cell = jnp.clip(jnp.searchsorted(params.knots_cdf, u), 1, len(params.knots) - 1)
    low, high = params.knots[cell - 1], params.knots[cell]
    cdf_low, cdf_high = params.knots_cdf[cell - 1], params.knots_cdf[cell]
    tiny = jnp.finfo(u.dtype).tiny
    x = low + (high - low) * jnp.clip((u - cdf_low) / jnp.maximum(cdf_high - cdf_low, tiny), 0, 1)
    for _ in range(2):
        x = jnp.clip(x - (_cdf(params, x) - u) / (_density(params, x) + tiny), low, high)
    return x


def _sample_plane(params: MixtureParams, key: Key, num_samples: int) -> jax.Array:
    key_mode, key_noise = jax.random.split(key)
    mode = jnp.searchsorted(jnp.cumsum(params.weights)[:-1], uniforms(key_mode, (num_samples,)))
    noise = jax.random.normal(key_noise, (num_samples, params.centers.shape[1]))
    return params.centers[mode] + params.scales[mode][:, None] * noise


def _moved(params: MixtureParams, shift: Any, scale: Any) -> MixtureParams:
    centers, knots = (params.centers - shift[None]) / scale, (params.knots - shift[0]) / scale
    return MixtureParams(params.weights, centers, params.scales / scale, knots, params.knots_cdf)


NORMAL_MIXTURE = Family(_moved, _log_prob, _cdf, _quantile)
PLANAR_MIXTURE = Family(_moved, _log_prob, own_sample=_sample_plane, cdf_along=_cdf_along)
