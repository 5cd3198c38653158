"""Variational autoencoders: a Gaussian decoder of latents, learnt with a Gaussian encoder by way of the ELBO.

p(x) = ∫ N(x; m(z), s(z)²) p(z) dz, and log p(x) ≥ E log p(x|z) − KL(q(z|x) ‖ p(z)) for z ~ q(z|x), the ELBO
(Kingma & Welling 2014; Rezende et al. 2014). With several latents per row the bound is tighter (Burda et al. 2016). The
prior p(z) is N(0, I), or a mixture of normals that is learnt with the rest: a smooth decoder then need not tear N(0, I)
apart to make separate modes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jgen1d import nets
from jgen1d.core import (
    Info,
    Key,
    Method,
    PyTree,
    check_condition,
    door,
    num_classes,
    pytree_dataclass,
    shape_of,
    static,
    traced,
)
from jgen1d.maths.losses import LOG_2
from jgen1d.maths.quadrature import lattice
from jgen1d.methods import _adam, _prior
from jgen1d.methods._adam import State

ACTIVE_VARIANCE = 0.01
"""A latent is active where its posterior mean varies more than this over the data (Burda et al. 2016, section 5.2)."""

PRIOR_NODES = 16
"""For each latent from the encoder, how many from the prior go into `log_prob`."""


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters. Networks and standard deviations are sized for standardised data."""

    latent_dim: int = static(default=2, at_least=1, help="dimension of the latents")
    prior_components: int = static(
        default=64, at_least=0, help="normals in the mixture that is the latents' prior; 0: N(0, I), not learnt"
    )
    num_classes: int = static(default=0, at_least=0, help="classes of labelled data, the target's modes; 0: no labels")
    condition_dim: int = static(default=0, at_least=0, help="entries of a real-valued condition; 0: none")
    encoder: Any = static(
        default="mlp", choices=("mlp", "conv"), own=nets.Net, help="from data to the latents' moments"
    )
    decoder: Any = static(
        default="mlp", choices=("mlp", "conv"), own=nets.Net, help="from latents to the data's moments"
    )
    widths: tuple[int, ...] = static(default=(64,) * 3, at_least=1, help="units of every network's hidden layers")
    activation: Any = static(default="tanh", choices=nets.ACTIVATIONS, own=Callable, help="of every hidden layer")
    decoder_variance: str = static(
        default="network", choices=("fixed", "global", "network"), help="constant, per dimension, or per latent"
    )
    objective: str = static(default="iwae", choices=("elbo", "iwae"), help="what is maximised")
    num_latents: int = static(default=4, at_least=1, help="drawn for each row of a training batch")
    num_importance: int = static(default=64, at_least=1, help="latents from the encoder in log_prob")
    max_grad_norm: float | None = traced(default=1.0, above=0, optional=True, help="bound on the gradient's norm")
    decoder_std: float = traced(default=0.5, above=0, help="its value if it is fixed, else about its initial value")
    min_std: float = traced(default=0.01, above=0, help="bound on the decoder's learnt standard deviation")
    beta: float = traced(default=1.0, at_least=0, help="weight of the KL term in the loss; the ELBO's is 1")
    beta_warmup: float = traced(default=0.3, at_least=0, at_most=1, help="share of the run in which beta rises from 0")


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the parameters of encoder and decoder. The mixture of the prior starts near N(0, I)."""
    parts = _nets(config)
    params: dict[str, Any] = {
        name: net.init(key) for (name, net), key in zip(parts.items(), jax.random.split(key, len(parts)), strict=True)
    }
    if config.decoder_variance == "global":
        params["decoder_std"] = jnp.zeros(config.dim)
    if config.prior_components:
        params["prior"] = _prior.init(config.prior_components, config.latent_dim)
    return _adam.start(params, config)


@door.step
def step(
    key: Key, state: State, batch: jax.Array, config: Config, condition: jax.Array | None = None
) -> tuple[State, Info]:
    """One step of descent on the negative bound of log p at f32[n, dim], whose KL term is weighted by β.

    With classes, p and q are given the labels i32[n], or else a real-valued condition, f32[n, condition_dim]; the prior
    of the latents is not (Sohn et al. 2015).

    The bound is the ELBO, or the importance-weighted one of `num_latents` latents. A Gaussian encoder makes the ELBO
    prefer models whose posteriors are Gaussian, and no distribution with separate modes has such posteriors: latents
    near the border of two modes belong to one of them only. The tighter bound forgives the encoder this.

    Returns:
      The next state, and beside `loss` and `grad_norm` in nats per row `reconstruction`, −E log p(x|z), and
      `kl_latent`, KL(q(z|x) ‖ p(z)), for a mixture by sampling, whose sum is the negative ELBO; with `active_units`,
      how many latents the encoder uses on this batch. With the ELBO 0 is posterior collapse; with the tighter bound
      the encoder may idle while the decoder uses its latents.

    References:
      Kingma & Welling 2014, Auto-encoding variational Bayes, equation 10; Burda et al. 2016, Importance weighted
      autoencoders, equation 8; Higgins et al. 2017, β-VAE, equation 4; Bowman et al. 2016, Generating sentences from a
      continuous space, section 3.1, for the warm-up.
    """
    beta = config.beta * jnp.minimum(1, (state.step + 1) / jnp.maximum(config.beta_warmup * config.num_steps, 1))
    x, labels = jnp.tile(batch, (config.num_latents, 1)), check_condition(config, condition, len(batch))
    labels = None if labels is None else jnp.tile(labels, (config.num_latents, *[1] * (labels.ndim - 1)))
    noise = _spread_noise(key, len(batch), config)

    def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
        mean, std = _encode(params, batch, config, condition)
        all_mean, all_std = (jnp.tile(value, (config.num_latents, 1)) for value in (mean, std))
        z = all_mean + all_std * noise
        log_likelihood = _log_likelihood(params, x, z, config, labels)
        prior = _prior.get(params, config)
        reconstruction, kl = -jnp.mean(log_likelihood), jnp.mean(_prior.kl(prior, z, all_mean, all_std))
        if config.objective == "elbo":
            loss = reconstruction + beta * kl
        else:
            log_ratio = _prior.log_ratio(prior, z, all_mean, all_std)
            log_weights = (log_likelihood - beta * log_ratio).reshape(config.num_latents, -1)
            loss = math.log(config.num_latents) - jnp.mean(jax.nn.logsumexp(log_weights, axis=0))
        active = jnp.sum(jnp.var(mean, axis=0) > ACTIVE_VARIANCE).astype(kl.dtype)
        return loss, {"reconstruction": reconstruction, "kl_latent": kl, "active_units": active}

    return _adam.descend(loss_of, state, config)


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """Draws f32[num_samples, dim]: latents from the prior, then data from the decoder, with its noise.

    With classes it is for given labels, i32[num_samples].
    """
    condition = check_condition(config, condition, num_samples)
    key_latents, key_noise = jax.random.split(key)
    z = _prior.sample(key_latents, _prior.get(state.eval_params, config), num_samples, config.latent_dim)
    mean, std = decode(state, z, config, condition)
    return mean + std * jax.random.normal(key_noise, (config.dim, num_samples)).T


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """The log density, f32[n], by an importance-weighted sum over `num_importance` latents from the encoder and more.

    The nodes are quasi-random, not drawn, so that the result is a function of x; with one latent they are a quadrature.
    `PRIOR_NODES` times as many come from the prior, which is cheap, for they are decoded once for all x. Both proposals
    share one sum: the encoder's nodes are dense where the posterior is, the prior's cover what the encoder misses.
    With classes it is log p(x|label), of labels i32[n].

    References:
      Burda et al. 2016, Importance weighted autoencoders, equation 8; Veach & Guibas 1995, Optimally combining sampling
      techniques for Monte Carlo rendering, equation 9.
    """
    params, condition = state.eval_params, check_condition(config, condition, len(x))
    mean, std = _encode(params, x, config, condition)
    prior, count = _prior.get(params, config), config.num_importance

    def log_weight(log_share: jax.Array, z: jax.Array) -> jax.Array:
        log_odds = _prior.log_ratio(prior, z, mean, std) - math.log(PRIOR_NODES)
        return log_share + _log_likelihood(params, x, z, config, condition) - jax.nn.softplus(log_odds)

    def log_sum(inputs: tuple[jax.Array, ...]) -> jax.Array:
        node, share, prior_nodes, prior_shares = inputs
        from_encoder = log_weight(share - math.log(PRIOR_NODES), mean + std * node[None])
        from_prior = jax.vmap(log_weight)(prior_shares, prior_nodes[:, None])
        return jnp.logaddexp(from_encoder, jax.nn.logsumexp(from_prior, axis=0))

    from_prior = _prior.quadrature(prior, count * PRIOR_NODES, config.latent_dim)
    rows = (values.reshape(count, PRIOR_NODES, *values.shape[1:]) for values in from_prior)
    return jax.nn.logsumexp(jax.lax.map(log_sum, (*_prior.nodes(count, config.latent_dim), *rows)), axis=0)


def importance_weighted_bound(
    key: Key, state: State, x: jax.Array, num_importance: int, config: Config, condition: jax.Array | None = None
) -> jax.Array:
    """A lower bound of log p(x) on average over keys, f32[n]: the tighter, the more latents; with one, the ELBO.

    Args:
      key: for the latents.
      state: of the model.
      x: f32[n, dim].
      num_importance: how many latents for each row.
      config: the hyper-parameters.
      condition: with classes, the rows' labels i32[n].

    References:
      Burda et al. 2016, Importance weighted autoencoders, equation 8.
    """
    params, condition = state.eval_params, check_condition(config, condition, len(x))
    mean, std = _encode(params, x, config, condition)
    prior = _prior.get(params, config)
    noise = jnp.transpose(jax.random.normal(key, (config.latent_dim, num_importance, len(x))), (1, 2, 0))

    def log_weight(noise: jax.Array) -> jax.Array:
        z = mean + std * noise
        return _log_likelihood(params, x, z, config, condition) - _prior.log_ratio(prior, z, mean, std)

    return jax.nn.logsumexp(jax.lax.map(log_weight, noise), axis=0) - math.log(num_importance)


def elbo(key: Key, state: State, x: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """The evidence lower bound, f32[n], of f32[n, dim]: one latent per row, the KL term as `_prior.kl` has it.

    References:
      Kingma & Welling 2014, Auto-encoding variational Bayes, equation 10.
    """
    condition = check_condition(config, condition, len(x))
    mean, std = _encode(state.eval_params, x, config, condition)
    z = mean + std * jax.random.normal(key, (config.latent_dim, len(x))).T
    kl = _prior.kl(_prior.get(state.eval_params, config), z, mean, std)
    return _log_likelihood(state.eval_params, x, z, config, condition) - kl


def encode(
    state: State, x: jax.Array, config: Config, condition: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation, f32[n, latent_dim] each, of q(z|x) at f32[n, dim]."""
    return _encode(state.eval_params, x, config, check_condition(config, condition, len(x)))


def decode(
    state: State, z: jax.Array, config: Config, condition: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation, f32[n, dim] each, of p(x|z) at f32[n, latent_dim]."""
    return _decode(state.eval_params, z, config, check_condition(config, condition, len(z)))


def _nets(config: Config) -> dict[str, nets.Net]:
    outputs = 2 * config.dim if config.decoder_variance == "network" else config.dim
    options: dict[str, Any] = {name: getattr(config, name) for name in ("activation", "num_classes", "condition_dim")}
    options["shape"] = shape_of(config)
    encoder = nets.build(config.encoder, config.dim, config.latent_dim, config.widths, **options)
    upwards = nets.mirrored(config.decoder, config.widths)
    decoder = nets.build(config.decoder, config.latent_dim, outputs, upwards, upwards=True, **options)
    return {"encoder_mean": encoder, "encoder_std": encoder, "decoder": decoder}


def _encode(params: PyTree, x: jax.Array, config: Config, condition: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    parts = _nets(config)
    raw = parts["encoder_std"](params["encoder_std"], x, condition)
    mean = parts["encoder_mean"](params["encoder_mean"], x, condition)
    # At most linear in the network, so never infinite, and 1, as in the prior, where the network's output is 0.
    return mean, jax.nn.softplus(jnp.maximum(raw, -12)) / LOG_2


def _decode(params: PyTree, z: jax.Array, config: Config, condition: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    output = _nets(config)["decoder"](params["decoder"], z, condition)
    mean, raw = output[:, : config.dim], output[:, config.dim :]
    if config.decoder_variance == "fixed":
        return mean, jnp.full_like(mean, config.decoder_std)
    if config.decoder_variance == "global":
        raw = jnp.broadcast_to(params["decoder_std"][None], mean.shape)
    return mean, config.min_std + config.decoder_std * jax.nn.softplus(raw) / LOG_2


def _log_likelihood(
    params: PyTree, x: jax.Array, z: jax.Array, config: Config, condition: jax.Array | None
) -> jax.Array:
    """log p(x|z), f32[n], for f32[n, dim] and f32[n, latent_dim], or f32[1, latent_dim] for one z for all rows."""
    mean, std = _decode(params, z, config, condition)
    return jnp.sum(jax.scipy.stats.norm.logpdf(x, mean, std), axis=1)


def _spread_noise(key: Key, num_rows: int, config: Config) -> jax.Array:
    """Draws of N(0, I), f32[num_latents·num_rows, latent_dim]: independent between rows, and far apart within one.

    Each row's points are a lattice with a random shift. They make the importance-weighted bound tighter than
    independent ones do, and leave it a bound, because each has the right distribution (Domke & Sheldon 2019, Divide
    and couple: using Monte Carlo variational objectives for posterior approximation, section 3).
    """
    shift = jax.random.uniform(key, (config.latent_dim, 1, num_rows))
    points = jnp.asarray(lattice(config.num_latents, config.latent_dim), shift.dtype)
    uniform = jnp.mod(shift + points[:, :, None], 1)
    return jax.scipy.special.ndtri(jnp.clip(uniform, 1e-6, 1 - 1e-6)).reshape(len(points), -1).T


def num_evaluations(config: Config) -> int:
    """The encoder once for each row, and the decoder for each of its latents."""
    return 1 + config.num_latents


METHOD = Method(Config, init, step, sample, log_prob, num_evaluations=num_evaluations, num_classes=num_classes)
