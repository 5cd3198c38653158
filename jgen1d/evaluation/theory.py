"""What the best discriminator, generator, score and velocity are, and what they score: exact optima of known laws.

p is the law of the data, q that of the generator. All logarithms are natural. Scores and velocities are in training
units: the data are (x − shift)/scale, as `train.units` has it.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.typing import ArrayLike

from jgen1d.core import PyTree, unknown
from jgen1d.maths.losses import LOG_2
from jgen1d.maths.paths import Path
from jgen1d.targets import MixtureParams, Target

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


def kantorovich_potential(x: ArrayLike, cdf_p: ArrayLike, cdf_q: ArrayLike) -> jax.Array:
    """The best Wasserstein critic of two 1-D laws, E_p f − E_q f = W1: f′ = sign(F_q − F_p), and f = 0 at the first x.

    Where F_p = F_q any slope of at most 1 will do; it is 0 here.

    Args:
      x: f32[m], rising.
      cdf_p: f32[m], the distribution function of the data there; likewise `cdf_q`, of the generated samples.
      cdf_q: see above.

    Returns:
      f32[m]; within a step of x that a crossing of F_p and F_q lies in, the slope is the mean of its ends'.

    References:
      Villani 2003, Topics in optimal transportation, theorems 1.14 and 2.18.
    """
    x, gap = jnp.asarray(x, dtype=float), jnp.asarray(cdf_q, dtype=float) - jnp.asarray(cdf_p, dtype=float)
    slope = jnp.sign(gap)
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


NUM_QUANTILES = 4096
"""Points that stand for a 1-D law that is no mixture of normals."""


def denoise(
    target: Target, x: jax.Array, alpha: ArrayLike, sigma: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """E[data | α·data + σ·noise = x], noise ~ N(0, I): exact for mixtures of normals, else by quadrature in 1-D.

    Args:
      target: the law of the data, in data units.
      x: f32[n, dim], in training units.
      alpha: f32[] or f32[n, 1], likewise `sigma`, above 0.
      sigma: see above.
      shift: f32[] or f32[dim], from training units to data units; likewise `scale`.
      scale: see above.

    Returns:
      f32[n, dim], in training units.

    Raises:
      ValueError: for a law in more dimensions that is no mixture.

    References:
      Efron 2011, Tweedie's formula and selection bias, section 2.
    """
    shift, scale = (jnp.broadcast_to(jnp.asarray(v, dtype=float), (target.dim,)) for v in (shift, scale))
    if isinstance(target.params, MixtureParams):
        log_weights = jnp.log(jnp.asarray(target.params.weights, dtype=float))
        centers = (jnp.asarray(target.params.centers, dtype=float) - shift[None]) / scale[None]
        variances = (jnp.asarray(target.params.scales, dtype=float)[:, None] / scale[None]) ** 2
    else:
        u = (jnp.arange(NUM_QUANTILES) + 0.5) / NUM_QUANTILES
        centers = (target.quantile(u)[:, None] - shift[None]) / scale[None]
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
    """The score ∇ log p of α·data + σ·noise, f32[n, dim] (Tweedie's formula); arguments as of `denoise`.

    References:
      Efron 2011, Tweedie's formula and selection bias, equation 1.4.
    """
    return (jnp.asarray(alpha) * denoise(target, x, alpha, sigma, shift=shift, scale=scale) - x) / jnp.square(sigma)


def velocity(
    target: Target, x: jax.Array, path: Path, t: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """The marginal velocity of a path with independent noise and data, E[α′·data + σ′·noise | x_t = x].

    Args:
      target: the law of the data, in data units.
      x: f32[n, dim], in training units.
      path: from `paths.FLOWS` or `paths.SCHEDULES`.
      t: f32[] or f32[n, 1], where σ(t) > 0.
      shift: as of `denoise`, likewise `scale`.
      scale: see above.

    Returns:
      f32[n, dim], in training units.

    References:
      Lipman et al. 2023, Flow matching for generative modeling, equation 8.
    """
    alpha, sigma, d_alpha, d_sigma = path.rates(t)
    data = denoise(target, x, alpha, sigma, shift=shift, scale=scale)
    return d_alpha * data + d_sigma * (x - alpha * data) / sigma


def transport_velocity(
    target: Target, x: jax.Array, t: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """The velocity G*(z) − z of the linear path whose noise z and data are coupled by optimal transport, in 1-D.

    Args:
      target: the law of the data, 1-D, in data units.
      x: f32[n, 1], in training units: the z with (1 − t)·z + t·G*(z) = x is found by bisection.
      t: f32[] or f32[n, 1], in [0, 1).
      shift: as of `denoise`, likewise `scale`.
      scale: see above.

    Returns:
      f32[n, 1], in training units.

    References:
      McCann 1997, A convexity principle for interacting gases, equation 7.
    """
    shift, scale = (jnp.reshape(jnp.asarray(v, dtype=float), (1, 1)) for v in (shift, scale))

    def transport(z: jax.Array) -> jax.Array:
        return (optimal_generator(target, z) - shift) / scale

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        middle = 0.5 * (ends[0] + ends[1])
        below = (1 - t) * middle + t * transport(middle) < x
        return jnp.where(below, middle, ends[0]), jnp.where(below, ends[1], middle)

    low, high = jax.lax.fori_loop(0, 40, halve, (jnp.full_like(x, -9), jnp.full_like(x, 9)))
    z = 0.5 * (low + high)
    return transport(z) - z


def noised_quantile(
    target: Target, u: jax.Array, alpha: ArrayLike, sigma: ArrayLike, *, shift: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> jax.Array:
    """The quantiles of α·data + σ·noise in 1-D, which are also the lines of every exact probability flow there.

    A flow in one dimension keeps the order of its points, so each stays at its quantile.

    Args:
      target: the law of the data, 1-D, in data units.
      u: f32[n], in (0, 1).
      alpha: f32[], likewise `sigma`; found by bisection on the cdf of `NUM_QUANTILES` points with noise, where σ > 0.
      sigma: see above.
      shift: as of `denoise`, likewise `scale`.
      scale: see above.

    Returns:
      f32[n], in training units.

    References:
      Song et al. 2021, Score-based generative modeling through stochastic differential equations, section 4.3.
    """
    alpha, sigma, shift, scale = (jnp.reshape(jnp.asarray(v, dtype=float), ()) for v in (alpha, sigma, shift, scale))
    nodes = (target.quantile((jnp.arange(NUM_QUANTILES) + 0.5) / NUM_QUANTILES) - shift) / scale
    reach = alpha * jnp.max(jnp.abs(nodes)) + 9 * sigma

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        middle = 0.5 * (ends[0] + ends[1])
        gap = middle[:, None] - alpha * nodes[None]
        below = jnp.mean(ndtr(gap / jnp.maximum(sigma, 1e-6)), axis=1) < u
        return jnp.where(below, middle, ends[0]), jnp.where(below, ends[1], middle)

    low, high = jax.lax.fori_loop(0, 40, halve, (jnp.full_like(u, -reach), jnp.full_like(u, reach)))
    return jnp.where(sigma > 0, 0.5 * (low + high), alpha * (target.quantile(u) - shift) / scale)
