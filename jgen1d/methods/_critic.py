"""The discriminator's side of a GAN: its network, its loss with penalties and noise, and its update."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jgen1d import nets
from jgen1d.core import Config, Info, Key, PyTree, lookup
from jgen1d.maths import losses
from jgen1d.methods import _optimizer

Player = tuple[PyTree, PyTree]
"""Parameters and optimizer state."""


def net(config: Config) -> nets.Net:
    """The discriminator's network, of `packing` points at a time."""
    return nets.build(
        config.network_d, config.dim * config.packing, 1, config.widths_d,
        activation=config.activation, initializer=config.initializer, num_classes=config.num_classes,
        spectral_norm=config.spectral_norm, minibatch_features=config.minibatch_features,
        maxout_pieces=config.maxout_pieces,
    )  # fmt: skip


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
) -> tuple[Player, Info, jax.Array | float]:
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
      The player, its part of the step's info, and the instance noise that was added to `fake`.
    """
    key_noise, key_between = jax.random.split(key)
    noise: jax.Array | float = 0.0
    if config.instance_noise is not None:
        left = jnp.maximum(1 - step / config.num_steps, 0) if config.anneal_noise else 1.0
        noise_real, noise = config.instance_noise * left * jax.random.normal(key_noise, (2, *real.shape))
        real = real + noise_real
    real, fake = pack(real, config), pack(fake + noise, config)
    kind = lookup(losses.DISCRIMINATOR, config.discriminator_loss)
    params, opt_state = player

    def loss_of(params: PyTree) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
        def logits_of(x: jax.Array) -> jax.Array:
            # Of both, x holds the real points and as many generated ones.
            return net(config)(params, x, None if labels is None else jnp.tile(labels, len(x) // len(labels)))

        penalty: jax.Array | float = 0.0
        if config.minibatch_features:  # each kind is a minibatch of its own
            logits_real, logits_fake = logits_of(real), logits_of(fake)
        elif config.r1 is None and config.r2 is None:
            logits = logits_of(jnp.concatenate([real, fake]))
            logits_real, logits_fake = jnp.split(logits, [real.shape[0]])
        else:
            logits_real, gradients_real = losses.value_and_input_gradients(logits_of, real)
            logits_fake, gradients_fake = losses.value_and_input_gradients(logits_of, fake)
            for weight, gradients in [(config.r1, gradients_real), (config.r2, gradients_fake)]:
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
