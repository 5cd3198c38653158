"""Convolutional networks from signals or images to features, and from features to signals or images.

They take and give rows of f32[n, channels·length], channel by channel, like every other network. Inside, an array is
f32[channels, *shape, n]. A convolution is one matrix product with slices of its input, shifted and stacked: under
`vmap`, `lax.conv` becomes a grouped convolution, which XLA's CPU code runs several times slower (BUILD.md has figures).
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.nets import layers
from jgen1d.nets.layers import INITIALIZERS, Activation, CannotPad, Layers, Net, Padded, Size

KERNEL, STRIDE = 4, 2
"""Of the convolutions that change the resolution, which it halves or doubles (Radford et al. 2015)."""


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """The convolution, as networks call the correlation, with a kernel of at least the stride, which pads with zeros.

    Args:
      x: f32[in, *shape, n], in one or two dimensions whose sizes are multiples of the stride.
      kernel: f32[*size, in, out], as Flax has it.
      stride: in each dimension.

    Returns:
      f32[out, *(shape/stride), n].
    """
    sizes = kernel.shape[:-2]
    padded = jnp.pad(x, [(0, 0), *(_margins(size, stride) for size in sizes), (0, 0)])
    outer = [length // stride for length in x.shape[1:-1]]
    parts = []
    for offsets in np.ndindex(*sizes):
        cut = (slice(o, o + (count - 1) * stride + 1, stride) for o, count in zip(offsets, outer, strict=True))
        parts.append(padded[(slice(None), *cut)])
    stacked = jnp.concatenate(parts).reshape(-1, math.prod(outer) * x.shape[-1])
    return (kernel.reshape(-1, kernel.shape[-1]).T @ stacked).reshape(-1, *outer, x.shape[-1])


def transpose_convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """The transposed convolution: the adjoint of `convolve` with the same kernel, its last two axes exchanged.

    Every input place adds its multiple of the kernel to the output. Of a kernel of a strides, these overlap a-fold.

    Args:
      x: f32[in, *shape, n].
      kernel: f32[*size, in, out], whose sizes are multiples of the stride.
      stride: in each dimension.

    Returns:
      f32[out, *(shape·stride), n].

    References:
      Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, chapter 4.
    """
    *sizes, fan_in, fan_out = kernel.shape
    shape, rows, dim = x.shape[1:-1], x.shape[-1], len(sizes)
    folds = [size // stride for size in sizes]
    weights = jnp.moveaxis(kernel, -2, -1).reshape(-1, fan_in)
    laid = weights @ x.reshape(fan_in, -1)
    laid = laid.reshape(*itertools.chain(*((f, stride) for f in folds)), fan_out, *shape, rows)
    total = None
    for offsets in np.ndindex(*folds):
        phases = laid[tuple(itertools.chain(*((o, slice(None)) for o in offsets)))]
        order = [dim, *itertools.chain(*((dim + 1 + axis, axis) for axis in range(dim))), 2 * dim + 1]
        woven = phases.transpose(order).reshape(fan_out, *(stride * length for length in shape), rows)
        ends = [(stride * o, stride * (f - 1 - o)) for o, f in zip(offsets, folds, strict=True)]
        part = jnp.pad(woven, [(0, 0), *ends, (0, 0)])
        total = part if total is None else total + part
    assert total is not None
    starts = [_margins(size, stride)[0] for size in sizes]
    cut = (slice(start, start + stride * length) for start, length in zip(starts, shape, strict=True))
    return total[(slice(None), *cut)]


def _margins(size: int, stride: int) -> tuple[int, int]:
    """The zeros on both sides, with which a convolution divides the length by the stride."""
    return (size - stride) // 2, size - stride - (size - stride) // 2


def conv_net(
    in_dim: Size,
    out_dim: Size,
    widths: tuple[Size, ...],
    *,
    shape: tuple[int, ...],
    upwards: bool,
    activation: str | Activation = "leaky_relu",
    initializer: str = "he_normal",
    spectral_norm: bool = False,
    num_classes: int = 0,
    batch_norm: bool = False,
) -> Net:
    """A network of strided convolutions with kernel 4 and stride 2, without pooling, between signals and features.

    Downwards, convolutions take the signal to `widths` channels at half the length each, and one affine map takes these
    to the output. Upwards, an affine map makes `widths[0]` channels, and transposed convolutions double their length,
    one for each width, the last to the signal.

    Args:
      in_dim: features of the input; downwards a multiple of the signal's, its channels.
      out_dim: features of the output; upwards a multiple of the signal's, its channels.
      widths: channels at each resolution, at least one.
      shape: of the signal or image, in one or two dimensions; each a multiple of 2 to the power of the widths' number.
      upwards: whether the output is the signal.
      activation: a name in `ACTIVATIONS`, or a function f32[...] -> f32[...].
      initializer: a name in `INITIALIZERS`.
      spectral_norm: divide every weight matrix by its largest singular value.
      num_classes: the number of classes whose labels the first layer takes, one-hot; 0 for none.
      batch_norm: normalise every hidden channel but the first from the signal over rows and places.

    Raises:
      ValueError: for a shape that the strides do not divide.

    References:
      Radford et al. 2015, Unsupervised representation learning with deep convolutional generative adversarial networks.
    """
    parts = (layers.activation(activation), INITIALIZERS[initializer], spectral_norm, num_classes, batch_norm)
    inputs, outputs, channels = as_ints(in_dim, out_dim, widths)
    if not channels:
        raise ValueError("widths=(): a convolutional network needs at least one")
    check_shape(shape, len(channels))
    channels_of(outputs if upwards else inputs, shape)
    return layers.as_net((_Upwards if upwards else _Downwards)(inputs, outputs, channels, *parts, shape))


def as_ints(in_dim: Size, out_dim: Size, widths: tuple[Size, ...]) -> tuple[int, int, tuple[int, ...]]:
    """The sizes as numbers. Raises CannotPad for sizes that differ between lanes."""
    if any(isinstance(size, Padded) for size in (in_dim, out_dim, *widths)):
        raise CannotPad("convolutions of different sizes get programs of their own")
    return operator.index(in_dim), operator.index(out_dim), tuple(map(operator.index, widths))


def check_shape(shape: Sequence[int], stages: int) -> None:
    """Raises ValueError, in one line, unless convolutions can halve a shape so often."""
    if len(shape) not in (1, 2):
        raise ValueError(f"shape={tuple(shape)}: convolutions are of signals and images, in one or two dimensions")
    if any(size % 2**stages for size in shape):
        raise ValueError(
            f"shape={tuple(shape)}: convolutions halve it {stages} time{'s' * (stages > 1)}, so that its sizes must be "
            f"multiples of {2**stages}: use fewer widths, or the network 'mlp'"
        )


def channels_of(features: int, shape: Sequence[int]) -> int:
    """How many channels of a shape there are. Raises ValueError unless it divides the features."""
    if features % math.prod(shape):
        raise ValueError(f"{features} features are no channels of shape {tuple(shape)}")
    return features // math.prod(shape)


class Convolutional(Layers):
    """Draws and applies convolutions; `shape` is the signal's."""

    num_classes: int = 0
    batch_norm: bool = False
    shape: tuple[int, ...] = ()

    def strided(self, name: str, h: jax.Array, fan_out: int) -> jax.Array:
        """A convolution to half the resolution, with biases."""
        kernel, bias = self._kernel(name, KERNEL, len(h), fan_out)
        return convolve(h, kernel, STRIDE) + bias

    def transposed(self, name: str, h: jax.Array, fan_out: int) -> jax.Array:
        """A transposed convolution to double the resolution, with biases."""
        kernel, bias = self._kernel(name, KERNEL, len(h), fan_out)
        return transpose_convolve(h, kernel, STRIDE) + bias

    def same(self, name: str, h: jax.Array, fan_out: int, size: int = 3) -> jax.Array:
        """A convolution at the same resolution, with biases."""
        kernel, bias = self._kernel(name, size, len(h), fan_out)
        return convolve(h, kernel) + bias

    def _kernel(self, name: str, size: int, fan_in: int, fan_out: int) -> tuple[jax.Array, jax.Array]:
        dim = len(self.shape)
        kernel, bias = self.layer(name, size**dim * fan_in, fan_out)
        return kernel.reshape(*(size,) * dim, fan_in, fan_out), bias.reshape(-1, *(1,) * (dim + 1))

    def normalize(self, name: str, h: jax.Array) -> jax.Array:
        """Batch normalisation of each channel, where it is asked for."""
        if not self.batch_norm:
            return h
        training = self.is_mutable_collection("batch_stats") and not self.is_initializing()
        return nn.BatchNorm(
            use_running_average=not training, momentum=0.95, use_fast_variance=False, axis=0, param_dtype=h.dtype,
            name=f"norm_{name}",
        )(h)  # fmt: skip

    def of_labels(self, condition: jax.Array | None, units: int) -> jax.Array | float:
        """What labels i32[n] add to each unit, f32[units, n]; 0 without classes, and for negative labels."""
        if not self.num_classes:
            return 0.0
        kernel = self.kernel("class", self.num_classes, units)
        return 0.0 if condition is None else kernel.T @ jax.nn.one_hot(condition, self.num_classes, axis=0)


class _Downwards(Convolutional):
    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        first, *others = map(operator.index, self.widths)
        h = self.strided("0", x.T.reshape(-1, *self.shape, len(x)), first)
        if self.num_classes:
            h = h + jnp.reshape(self.of_labels(condition, first), (-1, *(1,) * len(self.shape), h.shape[-1]))
        h = self.activation(h)
        for i, width in enumerate(others, 1):
            h = self.activation(self.normalize(f"{i}", self.strided(f"{i}", h, width)))
        kernel, bias = self.layer("out", h[..., 0].size, self.out_dim)
        return (kernel.T @ h.reshape(-1, len(x)) + bias).T


class _Upwards(Convolutional):
    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        first, *others = map(operator.index, self.widths)
        small = [size // 2 ** len(self.widths) for size in self.shape]
        kernel, bias = self.layer("in", self.in_dim, first * math.prod(small))
        h = kernel.T @ x.T + bias + self.of_labels(condition, first * math.prod(small))
        h = self.activation(self.normalize("in", h.reshape(first, *small, len(x))))
        for i, width in enumerate(others):
            h = self.activation(self.normalize(f"{i}", self.transposed(f"{i}", h, width)))
        channels = operator.index(self.out_dim) // math.prod(self.shape)
        return self.transposed("out", h, channels).reshape(-1, len(x)).T
