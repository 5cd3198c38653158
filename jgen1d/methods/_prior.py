"""The prior of a VAE's latents, N(0, I) or a learnt mixture of normals, and quasi-random points to integrate over."""

from __future__ import annotations

import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from scipy.special import ndtri

from jgen1d.core import Config, Key, PyTree
from jgen1d.maths.quadrature import centred_lattice
from jgen1d.nets import mask

INITIAL_STD = 0.4
"""Standard deviation of each normal of a new mixture, which together are about N(0, I)."""


def init(num_components: int, dim: int) -> PyTree:
    """Parameters of a mixture of k normals: `logits` f32[k] of their weights, `mean` and `log_std`, f32[dim, k].

    References:
      Tomczak & Welling 2018, VAE with a VampPrior, section 2, where it is the baseline MoG.
    """
    mean, log_shares = nodes(num_components, dim)
    return {"logits": log_shares, "mean": mean.T, "log_std": jnp.full(mean.T.shape, math.log(INITIAL_STD))}


def get(params: PyTree, config: Config) -> PyTree | None:
    """The mixture in a VAE's parameters, or None for N(0, I), which is also that of latents that a lane lacks."""
    prior = params.get("prior")
    return prior and prior | {name: mask(prior[name], config.latent_dim) for name in ("mean", "log_std")}


def log_ratio(prior: PyTree | None, z: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """log q(z) − log p(z), f32[n], of q = N(mean, std²) and the prior p, which without parameters is N(0, I)."""
    if prior is None:  # exactly 0 for the latents that a smaller lane of a padded program lacks
        return jnp.sum(0.5 * (z**2 - ((z - mean) / std) ** 2) - jnp.log(std), axis=1)
    return jnp.sum(norm.logpdf(z, mean, std), axis=1) - log_prob(prior, z)


def kl(prior: PyTree | None, z: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """KL(q ‖ p), f32[n], of q = N(mean, std²): exact for N(0, I), else estimated from one z ~ q for each row.

    References:
      Kingma & Welling 2014, Auto-encoding variational Bayes, appendix B.
    """
    if prior is None:
        return jnp.sum(0.5 * (mean**2 + std**2 - 1) - jnp.log(std), axis=1)
    return log_ratio(prior, z, mean, std)


def log_prob(prior: PyTree, z: jax.Array) -> jax.Array:
    """The log density of the mixture, f32[n], at f32[n, dim]."""
    each = jnp.sum(norm.logpdf(z[:, :, None], prior["mean"][None], jnp.exp(prior["log_std"])[None]), axis=1)
    return jax.nn.logsumexp(each + jax.nn.log_softmax(prior["logits"])[None], axis=1)


def sample(key: Key, prior: PyTree | None, num_samples: int, dim: int) -> jax.Array:
    """Draws f32[num_samples, dim]."""
    if prior is None:
        return jax.random.normal(key, (dim, num_samples)).T
    key, key_component = jax.random.split(key)
    component = jax.random.categorical(key_component, prior["logits"], shape=(num_samples,))
    return _place(prior, component, jax.random.normal(key, (dim, num_samples)).T)


def quadrature(prior: PyTree | None, count: int, dim: int) -> tuple[jax.Array, jax.Array]:
    """Quasi-random points of the prior, f32[count, dim], and the logs of their shares of 1, f32[count]."""
    if prior is None:
        return nodes(count, dim)
    wide, log_shares = nodes(count, operator.index(dim) + 1)  # its second coordinate chooses the component
    points, level = jnp.delete(wide, 1, axis=1), norm.cdf(wide[:, 1])
    component = jnp.searchsorted(jnp.cumsum(jax.nn.softmax(prior["logits"]))[:-1], level)
    return _place(prior, component, points), log_shares


def nodes(count: int, dim: int) -> tuple[jax.Array, jax.Array]:
    """Quasi-random points of N(0, I), f32[count, dim], and the logs of their shares of 1, f32[count].

    The first coordinate takes a midpoint rule that is dense in the tails (Sloan & Joe 1994, Lattice methods for
    multiple integration, section 2.12).
    """
    first, *others = centred_lattice(count, dim)
    weights = 6 * first * (1 - first)  # the derivative of what follows
    uniform = np.stack([first**2 * (3 - 2 * first), *others], axis=1)
    points = ndtri(np.clip(uniform, 1e-9, 1 - 1e-9))
    return jnp.asarray(points, dtype=float), jnp.asarray(np.log(weights / weights.sum()), dtype=float)


def _place(prior: PyTree, component: jax.Array, z: jax.Array) -> jax.Array:
    """Standard normal f32[n, dim], moved to the components i32[n]."""
    return (prior["mean"][:, component] + jnp.exp(prior["log_std"])[:, component] * z.T).T
