"""The discriminator's side of a GAN: its network, its loss with penalties and noise, and its update."""

from __future__ import annotations

import operator
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jgen1d import nets
from jgen1d.core import Config, Info, Key, PyTree, lookup, replace, shape_of
from jgen1d.maths import losses
from jgen1d.methods import _optimizer

LARGEST_RATE = 2.0
"""By which a short run multiplies its learning rates, at most; see `fitted_to_length`."""
Player = tuple[PyTree, PyTree]
"""Parameters and optimizer state."""


def check(config: Config) -> None:
    """Raises ValueError for options of a GAN that do not go together."""
    losses.check_opponents(config.discriminator_loss, config.generator_loss)
    bounded = config.weight_clip is not None or config.gradient_penalty is not None or config.spectral_norm
    if config.discriminator_loss == "wasserstein" and not bounded:
        raise ValueError(
            "discriminator_loss='wasserstein' needs weight_clip, gradient_penalty or spectral_norm to bound the critic"
        )
    penalties = (config.r1, config.r2, config.gradient_penalty)
    for option in ("minibatch_features", "batch_norm_d"):
        if getattr(config, option) and (config.spectral_norm or any(weight is not None for weight in penalties)):
            raise ValueError(
                f"{option} needs r1, r2 and gradient_penalty to be none, and no spectral_norm: "
                "these are of a discriminator of single points"
            )
    if config.binary_latents > (most := operator.index(config.latent_dim)):
        raise ValueError(f"binary_latents={config.binary_latents}: at most latent_dim={most} latents can be binary")
    if config.progressive is not None and not config.network_g == config.network_d == "growing":
        raise ValueError("progressive needs network_g='growing' and network_d='growing'")
    if config.num_classes and config.packing > 1:
        raise ValueError("packing does not go with num_classes: samples that are seen together have different labels")


def net(config: Config, step: jax.Array) -> nets.Net:
    """The discriminator's network at this step, of `packing` points at a time, with their Fourier features if any."""
    count = config.fourier_features
    plain = nets.build(
        config.network_d, config.dim * config.packing * (1 + 2 * count), 1, config.widths_d,
        activation=config.activation if config.activation_d == "same" else config.activation_d,
        initializer=config.initializer, num_classes=config.num_classes, spectral_norm=config.spectral_norm,
        minibatch_features=config.minibatch_features, maxout_pieces=config.maxout_pieces,
        batch_norm=config.batch_norm_d, shape=shape_of(config), **progress(config, step),
    )  # fmt: skip
    if config.batch_norm_d:  # its rows are always normalised by their own moments, so that no others are needed
        batched = plain

        def apply_to_batch(params: PyTree, x: jax.Array, *labels: jax.Array) -> jax.Array:
            return batched.train(params, x, *labels)[0]

        plain = nets.Net(batched.init, apply_to_batch)
    if not count:
        return plain
    frequencies, weights = nets.FREQUENCIES[config.frequencies](count), jnp.ones(count)
    if config.coarse_to_fine is not None:
        weights = nets.coarse_to_fine(jnp.minimum(step / (config.coarse_to_fine * config.num_steps), 1), count)

    def apply(params: PyTree, x: jax.Array, *labels: jax.Array) -> jax.Array:
        return plain.apply(params, nets.with_fourier(x, frequencies, weights), *labels)

    return nets.Net(plain.init, apply)


def progress(config: Config, step: jax.Array) -> dict[str, Any]:
    """How far both networks have grown at this step, as an option of `nets.growing_net`; nothing if they do not."""
    if config.progressive is None:
        return {}
    end = config.progressive * config.num_steps
    return {"progress": jnp.where(step < end, step / jnp.where(end > 0, end, 1), 1.0)}


def fitted_to_length(config: Config) -> Config:
    """The config with its step sizes and decays as they are in a run of `num_steps`; see `reference_steps`."""
    if config.reference_steps is None:
        return config
    ratio = config.reference_steps / config.num_steps
    rate = jnp.minimum(jnp.sqrt(ratio), LARGEST_RATE)  # in short runs the root would be too large a step
    rates = {name: getattr(config, name) * rate for name in ("learning_rate_g", "learning_rate_d")}
    decays = {name: getattr(config, name) ** ratio for name in ("beta2_g", "beta2_d")}
    if config.ema_decay is not None:
        decays["ema_decay"] = config.ema_decay**ratio
    return replace(config, **rates, **decays)


def optimizer(learning_rate: Any, beta1: Any, beta2: Any, step: jax.Array, config: Config) -> Any:
    """A player's optimizer at this step."""
    # Unrolling differentiates through Adam, whose root has an infinite derivative at 0.
    root = {"eps_root": 1e-12} if config.unrolled_steps else {}
    return _optimizer.build(config.optimizer, learning_rate, beta1, beta2, step, config, **root)


def own_optimizer(step: jax.Array, config: Config) -> optax.GradientTransformation:
    """The discriminator's optimizer at this step."""
    return optimizer(config.learning_rate_d, config.beta1_d, config.beta2_d, step, config)


def pack(x: jax.Array, config: Config) -> jax.Array:
    """f32[n·packing, dim] -> f32[n, packing·dim]."""
    return x.reshape(-1, config.packing * config.dim)


def update(
    key: Key,
    player: Player,
    real: jax.Array,
    fake: jax.Array,
    labels: jax.Array | None,
    step: jax.Array,
    config: Config,
) -> tuple[Player, Info, tuple[jax.Array, jax.Array]]:
    """One update.

    Args:
      key: for noise and the gradient penalty's points.
      player: parameters and optimizer state.
      real: f32[n·packing, dim], data.
      fake: f32[n·packing, dim], generated samples.
      labels: i32[n], of `real` and of `fake`, or None.
      step: i32[], how many steps the run has taken, for the schedules.
      config: the GAN's.

    Returns:
      The player, its part of the step's info, and the instance noise that was added to `real` and to `fake`.
    """
    key_noise, key_between = jax.random.split(key)
    noise = (jnp.zeros(()), jnp.zeros(()))
    if config.instance_noise is not None:
        end = config.noise_until * config.num_steps
        left = jnp.maximum(1 - step / end, 0) if config.anneal_noise else 1.0
        noise_real, noise_fake = config.instance_noise * left * jax.random.normal(key_noise, (2, *real.shape))
        noise = noise_real, noise_fake
    real, fake = pack(real + noise[0], config), pack(fake + noise[1], config)
    kind = lookup(losses.DISCRIMINATOR, config.discriminator_loss)
    params, opt_state = player

    def loss_of(params: PyTree) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
        def logits_of(x: jax.Array) -> jax.Array:
            # Of both, x holds the real points and as many generated ones.
            return net(config, step)(params, x, None if labels is None else jnp.tile(labels, len(x) // len(labels)))

        penalty: jax.Array | float = 0.0
        if config.minibatch_features or config.batch_norm_d:  # each kind is a minibatch of its own
            logits_real, logits_fake = logits_of(real), logits_of(fake)
        elif config.r1 is None and config.r2 is None:
            logits = logits_of(jnp.concatenate([real, fake]))
            logits_real, logits_fake = jnp.split(logits, [real.shape[0]])
        else:
            logits, slopes = losses.value_and_input_gradients(logits_of, jnp.concatenate([real, fake]))
            logits_real, logits_fake = jnp.split(logits, [real.shape[0]])
            for weight, gradients in zip((config.r1, config.r2), jnp.split(slopes, [real.shape[0]]), strict=True):
                if weight is not None:
                    penalty += weight * losses.zero_centred_penalty(gradients)
        if config.gradient_penalty is not None:
            share = jax.random.uniform(key_between, (real.shape[0], 1))
            between = losses.input_gradients(logits_of, share * real + (1 - share) * fake)
            penalty += config.gradient_penalty * losses.one_centred_penalty(between)
        loss = kind.loss(logits_real, logits_fake)
        return loss + penalty, (loss, logits_real, logits_fake)

    gradients, (loss, logits_real, logits_fake) = jax.grad(loss_of, has_aux=True)(params)
    updates, opt_state = own_optimizer(step, config).update(gradients, opt_state, params)
    params = optax.apply_updates(params, updates)
    if (bound := config.weight_clip) is not None:
        params = jax.tree.map(lambda w: jnp.clip(w, -bound, bound), params)
    info = {
        "loss_d": loss,
        "d_real": jnp.mean(kind.output(logits_real)),
        "d_fake": jnp.mean(kind.output(logits_fake)),
        "grad_norm_d": optax.tree.norm(gradients),
    }
    return (params, opt_state), info, noise


def unroll(
    key: Key,
    player: Player,
    real: jax.Array,
    fake: jax.Array,
    labels: jax.Array | None,
    step: jax.Array,
    config: Config,
) -> PyTree:
    """The parameters after `unrolled_steps` more updates against the same points; arguments as of `update`.

    Its derivative with respect to `fake` tells how the discriminator will answer.

    References:
      Metz et al. 2017, Unrolled generative adversarial networks, equations 8 to 11.
    """

    def ahead(player: Player, words: jax.Array) -> tuple[Player, None]:
        key_step = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
        return update(key_step, player, real, fake, labels, step, config)[0], None

    # Words, because JAX's check of key reuse takes keys of a scan within another loop for used ones.
    return jax.lax.scan(ahead, player, jax.random.key_data(jax.random.split(key, config.unrolled_steps)))[0][0]
