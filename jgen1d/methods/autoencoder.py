"""Autoencoders: what is left of a variational one when neither encoder nor decoder is random and nothing weighs the KL.

It is the limit β = 0 of `vae`: the loss is the squared error of the reconstruction. Nothing makes the latents follow a
distribution that one could sample, so a normal is fitted to them: the mean and covariance of the data's codes, kept in
the state as a running average. Samples are as good as that fit: they are right only if the codes happen to be normal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d import nets
from jgen1d.core import Info, Key, Method, PyTree, door, pytree_dataclass, shape_of, static, traced
from jgen1d.methods import _adam


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters. The networks are sized for standardised data."""

    latent_dim: int = static(default=1, at_least=1, help="dimension of the latents")
    encoder: Any = static(default="mlp", choices=("mlp", "conv"), own=nets.Net, help="from data to codes")
    decoder: Any = static(default="mlp", choices=("mlp", "conv"), own=nets.Net, help="from codes to data")
    widths: tuple[int, ...] = static(default=(32, 32), at_least=1, help="units of every network's hidden layers")
    activation: Any = static(default="silu", choices=nets.ACTIVATIONS, own=Callable, help="of every hidden layer")
    latent_decay: float = traced(default=0.99, at_least=0, below=1, help="of the codes' running mean and covariance")


class State(NamedTuple):
    """The networks and their optimizer; the codes' mean, f32[latent_dim], and covariance, f32[latent_dim]²."""

    descent: _adam.State
    mean: jax.Array
    covariance: jax.Array


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the parameters of encoder and decoder; the codes' distribution starts as N(0, I)."""
    key_encoder, key_decoder = jax.random.split(key)
    params = {"encoder": _encoder(config).init(key_encoder), "decoder": _decoder(config).init(key_decoder)}
    return State(_adam.start(params, config), jnp.zeros(config.latent_dim), jnp.eye(config.latent_dim))


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """One step on f32[n, dim]: `loss` is the mean squared error of the reconstruction, summed over dimensions.

    Then the codes of the batch, from the weights that samples are decoded with, enter the running averages.
    """
    del key

    def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
        codes = _encoder(config)(params["encoder"], batch)
        return jnp.mean(jnp.sum((_decoder(config)(params["decoder"], codes) - batch) ** 2, axis=1)), {}

    trained, info = _adam.descend(loss_of, state.descent, config)
    codes = _encoder(config)(trained.eval_params["encoder"], batch)
    # The first batches count alike, so that nothing of the start is left after one.
    rate = jnp.maximum(1 - config.latent_decay, 1 / trained.step)
    old_gap = (jnp.mean(codes, axis=0) - state.mean)[:, None]
    mean = state.mean + rate * old_gap[:, 0]
    gaps = codes - jnp.mean(codes, axis=0)[None]
    # The covariance of the average of two distributions: theirs averaged, plus what their means differ by.
    covariance = (1 - rate) * (state.covariance + rate * old_gap * old_gap.T) + rate * gaps.T @ gaps / len(codes)
    return State(trained, mean, covariance), info


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]: latents from the fitted normal, decoded without noise."""
    noise = jax.random.normal(key, (config.latent_dim, num_samples))
    # Codes may lie on a plane, where the covariance is singular.
    ridge = (1e-6 * jnp.trace(state.covariance) + 1e-12) * jnp.eye(config.latent_dim)
    root = jnp.linalg.cholesky(state.covariance + ridge)
    return decode(state, (state.mean[:, None] + root @ noise).T, config)


def encode(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The codes, f32[n, latent_dim], of f32[n, dim]."""
    return _encoder(config)(state.descent.eval_params["encoder"], x)


def decode(state: State, z: jax.Array, config: Config) -> jax.Array:
    """What f32[n, latent_dim] stands for, f32[n, dim]."""
    return _decoder(config)(state.descent.eval_params["decoder"], z)


def _encoder(config: Config) -> nets.Net:
    return nets.build(
        config.encoder, config.dim, config.latent_dim, config.widths,
        activation=config.activation, shape=shape_of(config),
    )  # fmt: skip


def _decoder(config: Config) -> nets.Net:
    return nets.build(
        config.decoder, config.latent_dim, config.dim, nets.mirrored(config.decoder, config.widths),
        activation=config.activation, shape=shape_of(config), upwards=True,
    )  # fmt: skip


def _num_evaluations(config: Config) -> int:
    """The encoder's and the decoder's."""
    del config
    return 2


METHOD = Method(Config, init, step, sample, num_evaluations=_num_evaluations)
