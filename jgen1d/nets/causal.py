"""Networks whose prediction of each feature depends on the features before it only."""

from __future__ import annotations

import itertools
import operator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.nets import layers
from jgen1d.nets.layers import INITIALIZERS, Activation, Layers, Net, Size, skip_absent


def masked_mlp(
    in_dim: int,
    outputs: int,
    widths: tuple[Size, ...],
    *,
    activation: str | Activation = "silu",
    initializer: str = "he_normal",
) -> Net:
    """A multi-layer perceptron whose prediction of feature k depends on the features before k only. It starts at zero.

    Args:
      in_dim: features of the input, in the order in which they are predicted, at least 1.
      outputs: numbers that predict one feature, at least 1: the output is f32[n, in_dim·outputs], feature by feature.
      widths: units of each hidden layer; empty for an affine map.
      activation: a name in `ACTIVATIONS`, or a function f32[...] -> f32[...].
      initializer: a name in `INITIALIZERS`, for all layers but the last.

    References:
      Germain et al. 2015, MADE: masked autoencoder for distribution estimation, section 4.
    """
    parts = (layers.activation(activation), INITIALIZERS[initializer], False)
    return layers.as_net(_MaskedMLP(in_dim, in_dim * outputs, widths, *parts))


class _MaskedMLP(Layers):
    """A hidden unit of degree m sees the inputs up to number m; output k sees the units of degrees below k."""

    @nn.compact
    def __call__(self, x: jax.Array, condition: None = None) -> jax.Array:
        inputs = operator.index(self.in_dim)
        h, degrees = x.T, np.arange(inputs)
        for i, (fan_in, width) in enumerate(itertools.pairwise((self.in_dim, *self.widths))):
            # Golden-ratio steps (Weyl's sequence) spread the degrees evenly, however many of the units count.
            fractions = np.arange(operator.index(width)) * (np.sqrt(5) - 1) / 2 % 1
            new_degrees = np.floor(fractions * max(inputs - 1, 1)).astype(int)
            kernel, bias = self.layer(i, fan_in, width)
            units = self.activation((kernel * (degrees[:, None] <= new_degrees[None])).T @ h + bias)
            h = skip_absent(width, units, h)
            degrees = new_degrees
        outputs = operator.index(self.out_dim)
        kernel = self.param("kernel_out", nn.initializers.zeros, (len(degrees), outputs))
        bias = self.param("bias_out", nn.initializers.zeros, (outputs, 1))
        seen = degrees[:, None] < np.repeat(np.arange(inputs), outputs // inputs)[None]
        return ((kernel * seen).T @ h + bias).T


def transformer(
    in_dim: int,
    outputs: int,
    widths: tuple[Size, ...],
    *,
    embedding_dim: int,
    num_heads: int,
    activation: str | Activation = "silu",
    initializer: str = "he_normal",
) -> Net:
    """A causal transformer over the input's features, with the inputs and outputs of `masked_mlp`; it starts at zero.

    Args:
      in_dim: features of the input, in the order in which they are predicted, at least 1.
      outputs: numbers that predict one feature, at least 1: the output is f32[n, in_dim·outputs], feature by feature.
      widths: units of each block's feed-forward network, one block per entry.
      embedding_dim: features of each position, a multiple of `num_heads`.
      num_heads: attention heads, at least 1.
      activation: of the feed-forward networks; a name in `ACTIVATIONS`, or a function f32[...] -> f32[...].
      initializer: a name in `INITIALIZERS`, for all layers but the last.

    References:
      Vaswani et al. 2017, Attention is all you need, section 3.
      Radford et al. 2019, Language models are unsupervised multitask learners, section 2.3: normalisation comes first.
    """
    parts = (layers.activation(activation), INITIALIZERS[initializer], False)
    sizes = {"embedding_dim": embedding_dim, "num_heads": num_heads}
    return layers.as_net(_Transformer(in_dim, in_dim * outputs, widths, *parts, **sizes))


class _Transformer(Layers):
    """Activations are f32[embedding_dim, positions, n]; the same affine map predicts every position."""

    embedding_dim: int = 0
    num_heads: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        positions, shape = operator.index(self.in_dim), (self.embedding_dim, operator.index(self.in_dim), 1)
        # A position sees the features before the one that it predicts; the first position sees none.
        before = jnp.concatenate([jnp.zeros((1, len(x)), x.dtype), x.T[:-1]])
        place = self.param("place", nn.initializers.normal(1.0), shape)
        h = place + self.param("value", nn.initializers.normal(1.0), shape) * before[None]
        for i, width in enumerate(self.widths):
            attended = h + self._attention(i, self._normalize(f"attention_{i}", h))
            hidden = self.activation(self._dense(f"in_{i}", shape[0], width, self._normalize(f"in_{i}", attended)))
            block = attended + self._dense(f"out_{i}", width, shape[0], hidden)
            h = skip_absent(width, block, h)
        outputs = operator.index(self.out_dim) // positions
        kernel = self.param("kernel_out", nn.initializers.zeros, (shape[0], outputs))
        bias = self.param("bias_out", nn.initializers.zeros, (outputs, 1))
        predicted = kernel.T @ self._normalize("out", h).reshape(shape[0], -1) + bias
        return predicted.reshape(outputs, positions, -1).transpose(2, 1, 0).reshape(len(x), -1)

    def _dense(self, name: str, fan_in: Size, fan_out: Size, h: jax.Array) -> jax.Array:
        """The same affine map of every position's features."""
        kernel, bias = self.layer(name, fan_in, fan_out)
        return (kernel.T @ h.reshape(len(h), -1) + bias).reshape(-1, *h.shape[1:])

    def _normalize(self, name: str, h: jax.Array) -> jax.Array:
        """Every position's features, normalised to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016)."""
        gain = self.param(f"gain_{name}", nn.initializers.ones, (len(h), 1, 1))
        shift = self.param(f"shift_{name}", nn.initializers.zeros, (len(h), 1, 1))
        centered = h - jnp.mean(h, axis=0, keepdims=True)
        return gain * centered * jax.lax.rsqrt(jnp.mean(centered**2, axis=0, keepdims=True) + 1e-5) + shift

    def _attention(self, number: int, h: jax.Array) -> jax.Array:
        size, positions, n = h.shape
        heads = self._dense(f"attention_{number}", size, 3 * size, h)
        query, key, value = heads.reshape(3, self.num_heads, size // self.num_heads, positions, n)
        # Products and sums rather than matrix products, which would be tiny here; the long batch axis stays last.
        scores = jnp.sum(query[:, :, :, None] * key[:, :, None], axis=1) / np.sqrt(size // self.num_heads)
        causal = np.tril(np.ones((positions, positions), bool))[None, :, :, None]
        shares = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=2)
        mixed = jnp.sum(shares[:, None] * value[:, :, None], axis=3).reshape(size, positions, n)
        return self._dense(f"mixed_{number}", size, size, mixed)
