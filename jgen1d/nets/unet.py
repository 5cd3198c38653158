"""A UNet: a network from signals to signals of the same shape, which sees them at every resolution."""

from __future__ import annotations

import math
import operator

import flax.linen as nn
import jax
import jax.numpy as jnp

from jgen1d.nets import layers
from jgen1d.nets.conv import Convolutional, as_ints, channels_of, check_shape, convolve
from jgen1d.nets.layers import INITIALIZERS, Activation, Net, Size


def u_net(
    in_dim: Size,
    out_dim: Size,
    widths: tuple[Size, ...],
    *,
    shape: tuple[int, ...],
    context: int = 0,
    activation: str | Activation = "silu",
    initializer: str = "he_normal",
    num_classes: int = 0,
) -> Net:
    """A UNet with a residual block at each resolution on the way down and on the way up. It starts at zero.

    Args:
      in_dim: features of the input: a multiple of the signal's, its channels, then the context.
      out_dim: features of the output, a multiple of the signal's.
      widths: channels at each resolution, from the finest, at least one; each resolution is half of the one before.
      shape: of the signal or image, in one or two dimensions; each a multiple of 2 to the power of the widths' number
        less one.
      context: how many of the inputs, the last ones, are about the whole row, such as features of the time.
      activation: a name in `ACTIVATIONS`, or a function f32[...] -> f32[...].
      initializer: a name in `INITIALIZERS`, for all layers but the last.
      num_classes: the number of classes whose labels are told beside the context; 0 for none.

    Raises:
      ValueError: for a shape that the strides do not divide.

    References:
      Ronneberger et al. 2015, U-Net: convolutional networks for biomedical image segmentation, figure 1.
      Ho et al. 2020, Denoising diffusion probabilistic models, appendix B: the time enters every residual block.
    """
    inputs, outputs, channels = as_ints(in_dim, out_dim, widths)
    check_shape(shape, len(channels) - 1)
    channels_of(inputs - context, shape)
    channels_of(outputs, shape)
    parts = (layers.activation(activation), INITIALIZERS[initializer], False, num_classes, False, shape, context)
    return layers.as_net(_UNet(inputs, outputs, channels, *parts))


class _UNet(Convolutional):
    context: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        rows, widths = len(x), tuple(map(operator.index, self.widths))
        size = operator.index(self.in_dim) - self.context
        signal = x[:, :size].T.reshape(-1, *self.shape, rows)
        told = self._told(x[:, size:].T, condition, 2 * widths[-1])
        h = self.same("first", signal, widths[0])
        kept = []
        for i, width in enumerate(widths):
            h = self._block(f"down_{i}", h, width, told)
            if i < len(widths) - 1:
                kept.append(h)
                h = self.strided(f"half_{i}", h, widths[i + 1])
        for i, width in reversed(list(enumerate(widths[:-1]))):
            h = jnp.concatenate([self.transposed(f"double_{i}", h, width), kept.pop()])
            h = self._block(f"up_{i}", h, width, told)
        h = self.activation(self._normalize("out", h))
        channels = operator.index(self.out_dim) // math.prod(self.shape)
        kernel = self.param("kernel_out", nn.initializers.zeros, (*(3,) * len(self.shape), len(h), channels))
        bias = self.param("bias_out", nn.initializers.zeros, (channels, *(1,) * (len(self.shape) + 1)))
        return (convolve(h, kernel) + bias).reshape(-1, rows).T

    def _told(self, context: jax.Array, condition: jax.Array | None, units: int) -> jax.Array:
        """What is told of whole rows, f32[units, n], of f32[context, n] and labels i32[n]."""
        told = self.of_labels(condition, units) * jnp.ones((units, context.shape[1]))
        if self.context:
            for name, fan_in in (("context", self.context), ("told", units)):
                kernel, bias = self.layer(name, fan_in, units)
                context = self.activation(kernel.T @ context + bias)
            told = told + context
        return told

    def _block(self, name: str, h: jax.Array, width: int, told: jax.Array) -> jax.Array:
        """A residual block of two convolutions, between which every channel is shifted by what is told."""
        new = self.same(f"{name}_in", self.activation(self._normalize(f"{name}_in", h)), width)
        if self.context or self.num_classes:
            kernel, bias = self.layer(f"{name}_told", len(told), width)
            new = new + (kernel.T @ told + bias).reshape(width, *(1,) * len(self.shape), -1)
        new = self.same(f"{name}_out", self.activation(self._normalize(f"{name}_out", new)), width)
        return new + (h if len(h) == width else self.same(f"{name}_skip", h, width, 1))

    def _normalize(self, name: str, h: jax.Array) -> jax.Array:
        """Each row's channels and places, normalised to mean 0 and variance 1; then each channel has its own scale.

        References:
          Wu & He 2018, Group normalization, with one group.
        """
        shape, axes = (len(h), *(1,) * (h.ndim - 1)), tuple(range(h.ndim - 1))
        gain = self.param(f"gain_{name}", nn.initializers.ones, shape)
        shift = self.param(f"shift_{name}", nn.initializers.zeros, shape)
        centred = h - jnp.mean(h, axis=axes, keepdims=True)
        return gain * centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=axes, keepdims=True) + 1e-5) + shift
