"""What the best generator, score, velocity and discriminator are: exact optima for known distributions.

Scores and velocities are in training units: the data are (x − shift)/scale.
"""

from __future__ import annotations

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.typing import ArrayLike

from jgen1d.core import unknown
from jgen1d.evaluation.games import (
    discriminator_loss,
    game_value,
    gaussian_logit,
    generator_gradient,
    js,
    kantorovich_potential,
    kl,
    optimal_discriminator,
    optimal_logit,
)
from jgen1d.maths.paths import Path
from jgen1d.maths.quadrature import midpoints
from jgen1d.targets import MixtureParams, Target

__all__ = [
    "LATENTS",
    "NUM_QUANTILES",
    "denoise",
    "discriminator_loss",
    "game_value",
    "gaussian_logit",
    "generator_gradient",
    "js",
    "kantorovich_potential",
    "kl",
    "noised_quantile",
    "optimal_discriminator",
    "optimal_generator",
    "optimal_logit",
    "score",
    "transport_velocity",
    "velocity",
]

LATENTS = ("normal", "uniform")
NUM_QUANTILES = 4096
"""Points that stand for a 1-D distribution other than a mixture of normals."""


def optimal_generator(target: Target, latents: ArrayLike, latent: str = "normal") -> jax.Array:
    """The monotone generator whose samples follow a 1-D target: G* = F⁻¹∘Φ for normal latents, F⁻¹ for uniform ones.

    Φ(z) is clipped to (0, 1), where F⁻¹ is finite: in float32, G* is constant above z = 5.4.

    Args:
      target: 1-D, with distribution function F.
      latents: f32[...]; in (0, 1) if they are uniform.
      latent: their distribution, `normal` for N(0, 1) or `uniform` for U(0, 1).

    Returns:
      f32[...], the sample of each latent, in data units.

    Raises:
      ValueError: for another latent distribution, or a target in more dimensions.

    References:
      Devroye 1986, Non-uniform random variate generation, theorem 2.1.
    """
    if latent not in LATENTS:
        raise ValueError(f"latent: {unknown(latent, LATENTS)}")
    latents = jnp.asarray(latents, dtype=float)
    if latent == "uniform":
        return target.quantile(latents)
    limits = jnp.finfo(latents.dtype)
    return target.quantile(jnp.clip(ndtr(latents), limits.tiny, 1 - limits.epsneg))


def denoise(
    target: Target, x: jax.Array, alpha: ArrayLike, sigma: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """E[data | α·data + σ·noise = x], noise ~ N(0, I): exact for mixtures of normals, else by quadrature in 1-D.

    Args:
      target: the distribution of the data, in data units.
      x: f32[n, dim], in training units.
      alpha: f32[] or f32[n, 1], above 0.
      sigma: f32[] or f32[n, 1], above 0.
      shift: f32[] or f32[dim]: data units = shift + scale · training units.
      scale: f32[] or f32[dim], above 0.

    Returns:
      f32[n, dim], in training units.

    Raises:
      ValueError: for a target in more dimensions that is not a mixture of normals.

    References:
      Efron 2011, Tweedie's formula and selection bias, section 2.
    """
    _check_shapes("denoise", target, x, alpha=alpha, sigma=sigma)
    shift, scale = (jnp.broadcast_to(jnp.asarray(v, dtype=float), (target.dim,)) for v in (shift, scale))
    if isinstance(target.params, MixtureParams):
        log_weights = jnp.log(jnp.asarray(target.params.weights, dtype=float))
        centers = (jnp.asarray(target.params.centers, dtype=float) - shift[None]) / scale[None]
        variances = (jnp.asarray(target.params.scales, dtype=float)[:, None] / scale[None]) ** 2
    else:
        centers = (target.quantile(midpoints(NUM_QUANTILES))[:, None] - shift[None]) / scale[None]
        log_weights, variances = jnp.zeros(NUM_QUANTILES), jnp.zeros((NUM_QUANTILES, 1))
    alpha, sigma = (jnp.reshape(jnp.asarray(v, dtype=float), (-1, 1, 1)) for v in (alpha, sigma))
    total = alpha**2 * variances[None] + sigma**2
    gap = x[:, None] - alpha * centers[None]
    log_share = log_weights[None] - 0.5 * jnp.sum(gap**2 / total + jnp.log(total), axis=2)
    share = jax.nn.softmax(log_share, axis=1)
    means = centers[None] + alpha * variances[None] / total * gap
    return jnp.sum(share[:, :, None] * means, axis=1)


def score(
    target: Target, x: jax.Array, alpha: ArrayLike, sigma: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """The score ∇ log p of α·data + σ·noise at x, by Tweedie's formula.

    Args:
      target: the distribution of the data, in data units.
      x: f32[n, dim], in training units.
      alpha: f32[] or f32[n, 1], above 0.
      sigma: f32[] or f32[n, 1], above 0.
      shift: f32[] or f32[dim]: data units = shift + scale · training units.
      scale: f32[] or f32[dim], above 0.

    Returns:
      f32[n, dim], per training unit.

    Raises:
      ValueError: for a target in more dimensions that is not a mixture of normals.

    References:
      Efron 2011, Tweedie's formula and selection bias, equation 1.4.
    """
    _check_shapes("score", target, x, alpha=alpha, sigma=sigma)
    return (jnp.asarray(alpha) * denoise(target, x, alpha, sigma, shift=shift, scale=scale) - x) / jnp.square(sigma)


def velocity(
    target: Target, x: jax.Array, path: Path, t: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """The marginal velocity of a path with independent noise and data, E[α′·data + σ′·noise | x_t = x].

    Args:
      target: the distribution of the data, in data units.
      x: f32[n, dim], in training units.
      path: a path in `paths.FLOWS` or `paths.SCHEDULES`.
      t: f32[] or f32[n, 1], in [0, 1], with σ(t) > 0.
      shift: f32[] or f32[dim]: data units = shift + scale · training units.
      scale: f32[] or f32[dim], above 0.

    Returns:
      f32[n, dim], in training units per unit of time.

    References:
      Lipman et al. 2023, Flow matching for generative modeling, equation 8.
    """
    _check_shapes("velocity", target, x, t=t)
    alpha, sigma, d_alpha, d_sigma = path.rates(t)
    data = denoise(target, x, alpha, sigma, shift=shift, scale=scale)
    return d_alpha * data + d_sigma * (x - alpha * data) / sigma


def transport_velocity(
    target: Target, x: jax.Array, t: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """The velocity G*(z) − z of the linear path between noise z and data coupled by optimal transport, in 1-D.

    Args:
      target: the distribution of the data, 1-D, in data units.
      x: f32[n, 1], in training units. The z with (1 − t)·z + t·G*(z) = x is found by bisection.
      t: f32[] or f32[n, 1], in [0, 1).
      shift: f32[] or f32[1]: data units = shift + scale · training units.
      scale: f32[] or f32[1], above 0.

    Returns:
      f32[n, 1], in training units per unit of time.

    References:
      McCann 1997, A convexity principle for interacting gases, equation 7.
    """
    _check_shapes("transport_velocity", target, x, t=t)
    shift, scale = (jnp.reshape(jnp.asarray(v, dtype=float), (1, 1)) for v in (shift, scale))

    def transport(z: jax.Array) -> jax.Array:
        return (optimal_generator(target, z) - shift) / scale

    z = _bisect(lambda z: jnp.less((1 - t) * z + t * transport(z), x), jnp.full_like(x, 9))
    return transport(z) - z


def noised_quantile(
    target: Target, u: jax.Array, alpha: ArrayLike, sigma: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """The quantiles of α·data + σ·noise in 1-D, which are also the trajectories of every exact probability flow.

    A flow in one dimension keeps the order of its points, so each point stays at its quantile.

    Args:
      target: the distribution of the data, 1-D, in data units.
      u: f32[n], in (0, 1).
      alpha: f32[], at least 0.
      sigma: f32[], at least 0. Above 0, by bisection on the cdf of `NUM_QUANTILES` points with noise.
      shift: f32[] or f32[1]: data units = shift + scale · training units.
      scale: f32[] or f32[1], above 0.

    Returns:
      f32[n], in training units.

    References:
      Song et al. 2021, Score-based generative modeling through stochastic differential equations, section 4.3.
    """
    chex.assert_rank(u, 1, custom_message="noised_quantile: u [n]")
    alpha, sigma, shift, scale = (jnp.reshape(jnp.asarray(v, dtype=float), ()) for v in (alpha, sigma, shift, scale))
    nodes = (target.quantile(midpoints(NUM_QUANTILES)) - shift) / scale
    reach = alpha * jnp.max(jnp.abs(nodes)) + 9 * sigma

    def below(x: jax.Array) -> jax.Array:
        gap = x[:, None] - alpha * nodes[None]
        return jnp.mean(ndtr(gap / jnp.maximum(sigma, 1e-6)), axis=1) < u

    found = _bisect(below, jnp.full_like(u, reach))
    return jnp.where(sigma > 0, found, alpha * (target.quantile(u) - shift) / scale)


def _check_shapes(function: str, target: Target, x: jax.Array, **per_row: ArrayLike) -> None:
    """Checks x, f32[n, dim], and what is f32[] or f32[n, 1]: f32[n] would broadcast to f32[n, n]."""
    chex.assert_shape(x, (None, target.dim), custom_message=f"{function}: x [n, dim]")
    for name, values in per_row.items():
        if jnp.ndim(values):
            chex.assert_shape(values, (len(x), 1), custom_message=f"{function}: {name} [] or [n, 1]")


def _bisect(below: Callable[[jax.Array], jax.Array], reach: jax.Array) -> jax.Array:
    """Where `below` turns from True to False between −reach and reach, f32[...]."""

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        middle = 0.5 * (ends[0] + ends[1])
        is_below = below(middle)
        return jnp.where(is_below, middle, ends[0]), jnp.where(is_below, ends[1], middle)

    low, high = jax.lax.fori_loop(0, 40, halve, (-reach, reach))
    return 0.5 * (low + high)
