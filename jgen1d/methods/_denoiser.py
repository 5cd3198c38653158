"""The network of diffusion models and flows: a function of noisy data and of how much noise is in them.

Its times run from data (0) to noise (1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jgen1d import nets
from jgen1d.core import Key, PyTree, pytree_dataclass, shape_of, static, traced
from jgen1d.maths import paths
from jgen1d.maths.roots import flat_sqrt
from jgen1d.methods import _guidance


@pytree_dataclass
class DenoiserConfig(_guidance.GuidedConfig):
    """The hyper-parameters of the network and of the times that it is trained at; a method's config extends it."""

    learning_rate: float = traced(default=1e-2, at_least=0, help="Adam's step size")
    network: Any = static(
        default="mlp",
        choices=("mlp", "unet"),
        own=nets.Net,
        help="of noisy data, their Fourier features and those of time",
    )
    widths: tuple[int, ...] = static(default=(64, 64), at_least=1, help="units, or channels, of the hidden layers")
    activation: Any = static(default="silu", choices=nets.ACTIVATIONS, own=Callable, help="of every hidden layer")
    num_frequencies: int = static(default=4, at_least=1, help="of the time embedding")
    fourier_features: int = static(
        default=7, at_least=0, help="octaves of sines and cosines of the noisy data that the network is given, too"
    )
    time_power: float = traced(
        default=2.0, above=0, help="training draws times u^power with u uniform; above 1 little noise is trained more"
    )


def times(key: Key, num_rows: int, config: DenoiserConfig) -> jax.Array:
    """Times to train at, f32[num_rows, 1] in [0, 1): stratified, and u to the power of `time_power`."""
    return paths.stratified_times(key, num_rows) ** config.time_power


def net(config: DenoiserConfig) -> nets.Net:
    """The network, of as many inputs as `predict` gives it."""
    features = config.dim * (1 + 2 * config.fourier_features) + 2 * config.num_frequencies
    return nets.build(
        config.network, features, config.dim, config.widths,
        activation=config.activation, num_classes=config.num_classes, condition_dim=config.condition_dim,
        shape=shape_of(config), context=2 * config.num_frequencies,
    )  # fmt: skip


def predict(
    params: PyTree, x: jax.Array, noise: jax.Array, t: jax.Array, config: DenoiserConfig, condition: jax.Array | None
) -> jax.Array:
    """What the network makes of noisy data, f32[n, dim].

    Noise of standard deviation s damps a sine of frequency f by exp(−½f²s²), on average. The Fourier features have this
    height, so the network gets no features of details that the noise has wiped out; it would fit noise with them.
    The time enters by its root, which tells low noise levels apart, where the best output changes fastest.

    Args:
      params: the network's.
      x: f32[n, dim], scaled to variance 1.
      noise: f32[n, 1] or f32[], the standard deviation of the noise in x.
      t: f32[n, 1] or f32[], in [0, 1].
      config: `network`, `widths`, `num_frequencies`, `fourier_features`, ...
      condition: labels i32[n], f32[n, condition_dim], or None.

    References:
      Barron et al. 2021, Mip-NeRF: a multiscale representation for anti-aliasing neural radiance fields, equation 13.
    """
    inputs = x
    if config.fourier_features:
        frequencies = nets.FREQUENCIES["octave"](config.fourier_features)
        heights = jnp.exp(-0.5 * (frequencies[:, None] * jnp.reshape(noise, (1, -1))) ** 2)
        inputs = nets.with_fourier(x, frequencies, heights)
    root = flat_sqrt(jnp.maximum(t, 0))  # rounding can take 1 − t to 0 and below
    return net(config)(params, nets.with_time(inputs, root, config.num_frequencies), condition)
