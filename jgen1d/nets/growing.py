"""Convolutional networks that grow: from the coarsest resolution of a signal to the finest, one after the other."""

from __future__ import annotations

import math
import operator

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.nets import layers
from jgen1d.nets.conv import STRIDE, Convolutional, as_ints, channels_of, check_shape
from jgen1d.nets.layers import INITIALIZERS, Activation, Net, Size


def growing_net(
    in_dim: Size,
    out_dim: Size,
    widths: tuple[Size, ...],
    *,
    shape: tuple[int, ...],
    upwards: bool,
    progress: ArrayLike = 1.0,
    activation: str | Activation = "leaky_relu",
    initializer: str = "he_normal",
    spectral_norm: bool = False,
) -> Net:
    """A network between signals and features with an input or an output at every resolution, weighted by `growth`.

    Upwards, an affine map makes `widths[0]` channels at the coarsest resolution; transposed convolutions with kernel 4
    double it, to one width at each. Each resolution has a signal of its own, from a convolution with kernel 1, and a
    level that fades in mixes it with that of the next coarser one, every value repeated. Downwards is the mirror image:
    `widths` are from the finest resolution, at which a signal enters by a convolution with kernel 1, and a level that
    fades in mixes what it hands down with the signal's own means of neighbours. What has not come in has no gradient.

    Args:
      in_dim: features of the input; downwards a multiple of the signal's, its channels.
      out_dim: features of the output; upwards a multiple of the signal's, its channels.
      widths: channels at each resolution, at least one.
      shape: of the signal or image, in one or two dimensions; each a multiple of 2 to the power of the widths' number
        less one.
      upwards: whether the output is the signal.
      progress: f32[], how far it has grown, from 0, the coarsest resolution alone, to 1, the whole network.
      activation: a name in `ACTIVATIONS`, or a function f32[...] -> f32[...].
      initializer: a name in `INITIALIZERS`.
      spectral_norm: divide every weight matrix by its largest singular value.

    Raises:
      ValueError: for a shape that the strides do not divide.

    References:
      Karras et al. 2018, Progressive growing of GANs for improved quality, stability, and variation, figure 2.
    """
    inputs, outputs, channels = as_ints(in_dim, out_dim, widths)
    if not channels:
        raise ValueError("widths=(): a growing network needs at least one")
    check_shape(shape, len(channels) - 1)
    channels_of(outputs if upwards else inputs, shape)
    parts = (layers.activation(activation), INITIALIZERS[initializer], spectral_norm, 0, False, shape)
    return layers.as_net((_Upwards if upwards else _Downwards)(inputs, outputs, channels, *parts, progress))


def growth(progress: ArrayLike, levels: int) -> jax.Array:
    """How far each resolution has come in, f32[levels] in [0, 1], from the coarsest, which is always there.

    The run up to `progress` 1 has 2·levels − 2 equal parts: the coarsest resolution alone, the next one fades in, both,
    the third one fades in, and so on.

    Args:
      progress: f32[], in [0, 1].
      levels: the number of resolutions, at least 1.
    """
    level = jnp.arange(levels)
    return jnp.where(level, jnp.clip((2 * levels - 2) * jnp.asarray(progress) - 2 * level + 1, 0, 1), 1)


class _Growing(Convolutional):
    progress: ArrayLike = 1.0

    def weights(self) -> jax.Array:
        return growth(self.progress, len(self.widths))


class _Upwards(_Growing):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        first, *others = map(operator.index, self.widths)
        small = [size // STRIDE ** len(others) for size in self.shape]
        channels = operator.index(self.out_dim) // math.prod(self.shape)
        kernel, bias = self.layer("in", self.in_dim, first * math.prod(small))
        h = self.activation((kernel.T @ x.T + bias).reshape(first, *small, len(x)))
        signal = self.same("signal_0", h, channels, 1)
        for i, (width, weight) in enumerate(zip(others, self.weights()[1:], strict=True), 1):
            h = self.activation(self.transposed(f"{i}", h, width))
            signal = (1 - weight) * doubled(signal) + weight * self.same(f"signal_{i}", h, channels, 1)
        return signal.reshape(-1, len(x)).T


class _Downwards(_Growing):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        widths = tuple(map(operator.index, self.widths))
        signal = x.T.reshape(-1, *self.shape, len(x))
        h = self.activation(self.same("signal_0", signal, widths[0], 1))
        for i, (width, weight) in enumerate(zip(widths[1:], self.weights()[:0:-1], strict=True), 1):
            signal = halved(signal)
            coarse = self.activation(self.same(f"signal_{i}", signal, width, 1))
            h = weight * self.activation(self.strided(f"{i}", h, width)) + (1 - weight) * coarse
        kernel, bias = self.layer("out", h[..., 0].size, self.out_dim)
        return (kernel.T @ h.reshape(-1, len(x)) + bias).T


def doubled(x: jax.Array) -> jax.Array:
    """Repeats every value in each direction of the shape: f32[channels, *(2·shape), n] of f32[channels, *shape, n]."""
    for axis in range(1, x.ndim - 1):
        x = jnp.repeat(x, STRIDE, axis)
    return x


def halved(x: jax.Array) -> jax.Array:
    """The means of neighbours, f32[channels, *(shape/2), n], of f32[channels, *shape, n]."""
    for axis in range(1, x.ndim - 1):
        x = jnp.mean(x.reshape(*x.shape[:axis], -1, STRIDE, *x.shape[axis + 1 :]), axis + 1)
    return x
