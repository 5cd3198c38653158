"""What the best discriminator and the best generator are, and what they score: exact optima for one-dimensional laws.

p is the law of the data, q that of the generator. All logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.typing import ArrayLike

from jgen1d.core import PyTree, unknown
from jgen1d.losses import LOG_2
from jgen1d.targets import Target

LATENTS = ("normal", "uniform")


def optimal_logit(log_p: ArrayLike, log_q: ArrayLike) -> jax.Array:
    """The logit of the optimal discriminator, log p − log q; 0 where both densities are 0.

    Args:
      log_p: f32[...], the data's log density in nats at some points, −inf where it is 0.
      log_q: f32[...], the generator's at the same points.

    Returns:
      f32[...], infinite where just one of the densities is 0.

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 2.
    """
    log_p, log_q = jnp.asarray(log_p, dtype=float), jnp.asarray(log_q, dtype=float)
    neither = jnp.isneginf(log_p) & jnp.isneginf(log_q)
    return jnp.where(neither, 0.0, log_p) - jnp.where(neither, 0.0, log_q)


def optimal_discriminator(log_p: ArrayLike, log_q: ArrayLike) -> jax.Array:
    """The optimal discriminator D* = p/(p + q); ½ where both densities are 0.

    Args:
      log_p: f32[...], the data's log density in nats at some points, −inf where it is 0.
      log_q: f32[...], the generator's at the same points.

    Returns:
      f32[...], in [0, 1].

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 2.
    """
    return jax.nn.sigmoid(optimal_logit(log_p, log_q))


def gaussian_logit(x: ArrayLike, mean_p: ArrayLike, std_p: ArrayLike, mean_q: ArrayLike, std_q: ArrayLike) -> jax.Array:
    """`optimal_logit` of two normals: log(std_q/std_p) + (x − mean_q)²/2std_q² − (x − mean_p)²/2std_p².

    It is linear in (1, x, x²): logistic regression on these features is a well-specified discriminator.

    Args:
      x: f32[...].
      mean_p: f32[], the data's mean, likewise its standard deviation `std_p`.
      mean_q: f32[], the generator's mean, likewise its standard deviation `std_q`.

    Returns:
      f32[...].

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 2.
    """
    x, std_p, std_q = (jnp.asarray(value, dtype=float) for value in (x, std_p, std_q))
    return jnp.log(std_q / std_p) + 0.5 * ((x - mean_q) / std_q) ** 2 - 0.5 * ((x - mean_p) / std_p) ** 2


def js(log_p: ArrayLike, log_q: ArrayLike, grid: ArrayLike) -> jax.Array:
    """The Jensen–Shannon divergence ½·KL(p‖m) + ½·KL(q‖m) with m = (p + q)/2, by the trapezoid rule.

    Args:
      log_p: f32[m], the data's log density in nats at the grid's points, −inf where it is 0.
      log_q: f32[m], the generator's.
      grid: f32[m], increasing, over all that matters of both.

    Returns:
      f32[], in nats: from 0, where p = q, to log 2, where no point has both.

    References:
      Lin 1991, Divergence measures based on the Shannon entropy, equation 4.1, with weights ½.
    """
    logit = optimal_logit(log_p, log_q)
    integrand = _times(log_p, LOG_2 - jax.nn.softplus(-logit)) + _times(log_q, LOG_2 - jax.nn.softplus(logit))
    return 0.5 * jnp.trapezoid(integrand, jnp.asarray(grid, dtype=float))


def kl(log_p: ArrayLike, log_q: ArrayLike, grid: ArrayLike) -> jax.Array:
    """The Kullback–Leibler divergence ∫ p (log p − log q), by the trapezoid rule.

    Args:
      log_p: f32[m], the first law's log density in nats at the grid's points, −inf where it is 0.
      log_q: f32[m], the second's.
      grid: f32[m], increasing, over all that matters of p.

    Returns:
      f32[], in nats; infinite where q is 0 at a point with p > 0.

    References:
      Kullback & Leibler 1951, On information and sufficiency, section 2.
    """
    return jnp.trapezoid(_times(log_p, optimal_logit(log_p, log_q)), jnp.asarray(grid, dtype=float))


def _times(log_density: ArrayLike, values: jax.Array) -> jax.Array:
    """exp(log_density)·values, 0 where the density is, with gradients that are finite there too."""
    density = jnp.exp(jnp.asarray(log_density, dtype=float))
    positive = density > 0
    return jnp.where(positive, density * jnp.where(positive, values, 0.0), 0.0)


def game_value(js: ArrayLike) -> jax.Array:
    """The value of the game E log D*(x) + E log(1 − D*(G(z))) = −log 4 + 2·`js` against the optimal discriminator.

    Args:
      js: f32[...], the Jensen–Shannon divergence of data and generator in nats.

    Returns:
      f32[...], from −log 4 to 0.

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 6.
    """
    return 2.0 * jnp.asarray(js, dtype=float) - 2 * LOG_2


def discriminator_loss(js: ArrayLike, half: bool = False) -> jax.Array:
    """The optimal discriminator's loss: 2·log 2 − 2·`js`, or log 2 − `js` for the half loss.

    Args:
      js: f32[...], the Jensen–Shannon divergence of data and generator in nats.
      half: whether the loss is `losses.half_log_loss_d`, rather than `losses.log_loss_d`.

    Returns:
      f32[...].

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 6.
    """
    return -game_value(js) * (0.5 if half else 1.0)


def generator_gradient(
    generator: Callable[[PyTree, jax.Array], jax.Array],
    params: PyTree,
    logit: Callable[[jax.Array], jax.Array],
    loss: Callable[[jax.Array], jax.Array],
    *,
    num_nodes: int = 4097,
) -> PyTree:
    """The exact gradient ∇ E loss(logit(G(z))) in `params`, z ~ N(0, 1), the discriminator held fixed.

    With the optimal logit of the present p and q, the saturating loss gives ∇ 2·JS(p, q) and the non-saturating one
    ∇ [KL(q‖p) − 2·JS(p, q)].

    Args:
      generator: `(params, z: f32[m, 1]) -> f32[m, 1]`.
      params: the generator's parameters.
      logit: the discriminator, f32[m, 1] -> f32[m, 1], its own parameters bound.
      loss: of the logits of generated samples, the mean of a function of each, as all in `losses.GENERATOR` are; it is
        called on one logit at a time.
      num_nodes: points of the trapezoid rule in z. For the smooth logits of separate modes, which bend within a few
        hundredths of a unit of z, it converges long before Gauss–Hermite's rule does.

    Returns:
      A pytree like `params`.

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 6: the saturating loss.
      Arjovsky & Bottou 2017, Towards principled methods for training generative adversarial networks, theorem 2.5: the
      non-saturating loss.
    """
    nodes = np.linspace(-9, 9, num_nodes)  # of N(0, 1), 2e-19 lies outside
    density = np.exp(-0.5 * nodes**2)
    z, weights = jnp.asarray(nodes[:, None], dtype=float), jnp.asarray(density / density.sum(), dtype=float)

    def expected_loss(params: PyTree) -> jax.Array:
        return weights @ jax.vmap(loss)(logit(generator(params, z))[:, 0])

    return jax.grad(expected_loss)(params)


def optimal_generator(target: Target, latents: ArrayLike, latent: str = "normal") -> jax.Array:
    """The monotone generator whose samples follow a 1-D target: G* = F⁻¹∘Φ for normal latents, F⁻¹ for uniform ones.

    Φ(z) is kept inside (0, 1), where F⁻¹ is finite: in float32 G* is constant from z = 5.4 upwards.

    Args:
      target: in 1-D, with distribution function F.
      latents: f32[...], in (0, 1) where they are uniform.
      latent: their law, `normal` for N(0, 1) or `uniform` for U(0, 1).

    Returns:
      f32[...], the samples, each at its latent's place.

    Raises:
      ValueError: for another latent law, or a target in more dimensions.

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
