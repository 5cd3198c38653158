"""What the best discriminator or critic of two known distributions is, and what the losses are against it.

p is the distribution of the data, q that of the generator. All logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jgen1d.core import PyTree
from jgen1d.maths.losses import LOG_2
from jgen1d.maths.quadrature import normal_nodes


def optimal_logit(log_p: ArrayLike, log_q: ArrayLike) -> jax.Array:
    """The logit of the optimal discriminator, log p − log q; 0 where both densities are 0.

    Args:
      log_p: f32[...], the data's log density in nats at some points, −inf where the density is 0.
      log_q: f32[...], the generator's log density at the same points.

    Returns:
      f32[...], infinite where exactly one of the densities is 0.

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 2.
    """
    log_p, log_q = jnp.asarray(log_p, dtype=float), jnp.asarray(log_q, dtype=float)
    chex.assert_equal_shape([log_p, log_q], custom_message="optimal_logit: log_p and log_q")
    neither = jnp.isneginf(log_p) & jnp.isneginf(log_q)
    return jnp.where(neither, 0.0, log_p) - jnp.where(neither, 0.0, log_q)


def optimal_discriminator(log_p: ArrayLike, log_q: ArrayLike) -> jax.Array:
    """The optimal discriminator D* = p/(p + q); ½ where both densities are 0.

    Args:
      log_p: f32[...], the data's log density in nats at some points, −inf where the density is 0.
      log_q: f32[...], the generator's log density at the same points.

    Returns:
      f32[...], in [0, 1].

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 2.
    """
    return jax.nn.sigmoid(optimal_logit(log_p, log_q))


def gaussian_logit(x: ArrayLike, mean_p: ArrayLike, std_p: ArrayLike, mean_q: ArrayLike, std_q: ArrayLike) -> jax.Array:
    """`optimal_logit` of two normals: log(std_q/std_p) + (x − mean_q)²/2std_q² − (x − mean_p)²/2std_p².

    It is linear in (1, x, x²), so logistic regression on these features is a well-specified discriminator.

    Args:
      x: f32[...].
      mean_p: f32[], the data's mean.
      std_p: f32[], the data's standard deviation, above 0.
      mean_q: f32[], the generator's mean.
      std_q: f32[], the generator's standard deviation, above 0.

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
      log_p: f32[m], the data's log density in nats at the grid's points, −inf where the density is 0.
      log_q: f32[m], the generator's log density at the same points.
      grid: f32[m], increasing, over the mass of both.

    Returns:
      f32[], in nats: from 0 for p = q to log 2 for disjoint supports.

    References:
      Lin 1991, Divergence measures based on the Shannon entropy, equation 4.1, with weights ½.
    """
    chex.assert_shape([log_p, log_q], np.shape(grid), custom_message="js: log_p and log_q [m] on grid [m]")
    logit = optimal_logit(log_p, log_q)
    integrand = _times(log_p, LOG_2 - jax.nn.softplus(-logit)) + _times(log_q, LOG_2 - jax.nn.softplus(logit))
    return 0.5 * jnp.trapezoid(integrand, jnp.asarray(grid, dtype=float))


def kl(log_p: ArrayLike, log_q: ArrayLike, grid: ArrayLike) -> jax.Array:
    """The Kullback–Leibler divergence ∫ p (log p − log q), by the trapezoid rule.

    Args:
      log_p: f32[m], the log density of p in nats at the grid's points, −inf where the density is 0.
      log_q: f32[m], the log density of q at the same points.
      grid: f32[m], increasing, over the mass of p.

    Returns:
      f32[], in nats; infinite where q is 0 at a point with p > 0.

    References:
      Kullback & Leibler 1951, On information and sufficiency, section 2.
    """
    chex.assert_shape([log_p, log_q], np.shape(grid), custom_message="kl: log_p and log_q [m] on grid [m]")
    return jnp.trapezoid(_times(log_p, optimal_logit(log_p, log_q)), jnp.asarray(grid, dtype=float))


def _times(log_density: ArrayLike, values: jax.Array) -> jax.Array:
    """exp(log_density)·values, 0 where the density is 0; its gradients are finite there, too."""
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
      half: whether the loss is `losses.half_log_loss_d` instead of `losses.log_loss_d`.

    Returns:
      f32[...].

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 6.
    """
    return -game_value(js) * (0.5 if half else 1.0)


def kantorovich_potential(x: ArrayLike, cdf_p: ArrayLike, cdf_q: ArrayLike) -> jax.Array:
    """The best Wasserstein critic f in 1-D, E_p f − E_q f = W1: f′ = sign(F_q − F_p), and f = 0 at the first x.

    Where F_p = F_q, any slope of at most 1 is optimal; here it is 0.

    Args:
      x: f32[m], increasing.
      cdf_p: f32[m], in [0, 1], the data's distribution function at x.
      cdf_q: f32[m], in [0, 1], the generator's distribution function at x.

    Returns:
      f32[m]. In a step of x in which F_p and F_q cross, the slope is the mean of those at the step's ends.

    References:
      Villani 2003, Topics in optimal transportation, theorems 1.14 and 2.18.
    """
    x, cdf_p, cdf_q = (jnp.asarray(values, dtype=float) for values in (x, cdf_p, cdf_q))
    chex.assert_rank(x, 1, custom_message="kantorovich_potential: x [m]")
    chex.assert_equal_shape([x, cdf_p, cdf_q], custom_message="kantorovich_potential: x, cdf_p and cdf_q")
    slope = jnp.sign(cdf_q - cdf_p)
    steps = 0.5 * (slope[1:] + slope[:-1]) * jnp.diff(x)
    return jnp.concatenate([jnp.zeros(1, x.dtype), jnp.cumsum(steps)])


def generator_gradient(
    generator: Callable[[PyTree, jax.Array], jax.Array],
    params: PyTree,
    logit: Callable[[jax.Array], jax.Array],
    loss: Callable[[jax.Array], jax.Array],
    *,
    num_nodes: int = 4097,
) -> PyTree:
    """The exact gradient of E loss(logit(G(z))), z ~ N(0, 1), with respect to `params`; the discriminator is fixed.

    With the optimal logit of the current p and q, the saturating loss gives ∇ 2·JS(p, q) and the non-saturating one
    ∇ [KL(q‖p) − 2·JS(p, q)].

    Args:
      generator: `(params, z: f32[m, 1]) -> f32[m, 1]`.
      params: the generator's parameters.
      logit: the discriminator, f32[m, 1] -> f32[m, 1].
      loss: the loss of one generated sample, f32[] -> f32[], or any mean of such losses, as in `losses.GENERATOR`.
      num_nodes: nodes of the trapezoid rule in z, at least 2; see `quadrature.normal_nodes`.

    Returns:
      A pytree like `params`.

    References:
      Goodfellow et al. 2014, Generative adversarial nets, equation 6: the saturating loss.
      Arjovsky & Bottou 2017, Towards principled methods for training generative adversarial networks, theorem 2.5: the
      non-saturating loss.
    """
    z, weights = normal_nodes(num_nodes)

    def expected_loss(params: PyTree) -> jax.Array:
        samples = generator(params, z[:, None])
        logits = logit(samples)
        chex.assert_shape(
            [samples, logits], (num_nodes, 1), custom_message="generator_gradient: G(z) and logits [m, 1]"
        )
        return weights @ jax.vmap(loss)(logits[:, 0])

    return jax.grad(expected_loss)(params)
