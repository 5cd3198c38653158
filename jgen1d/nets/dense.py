"""A multi-layer perceptron, with what GANs add to it: labels, batch normalisation, maxout, minibatch features."""

from __future__ import annotations

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jgen1d.nets import layers
from jgen1d.nets.layers import INITIALIZERS, Activation, CannotPad, Layers, Net, Padded, Size, mask, skip_absent

CLOSENESS_DIM = 3
"""Dimensions of the spaces in which minibatch discrimination measures distances."""


def mlp(
    in_dim: Size,
    out_dim: Size,
    widths: tuple[Size, ...],
    *,
    activation: str | Activation = "leaky_relu",
    initializer: str = "he_normal",
    spectral_norm: bool = False,
    num_classes: int = 0,
    condition_dim: int = 0,
    minibatch_features: int = 0,
    batch_norm: bool = False,
    maxout_pieces: int = 0,
) -> Net:
    """A multi-layer perceptron with a linear last layer.

    Args:
      in_dim: features of the input, at least 1.
      out_dim: features of the output, at least 1.
      widths: units of each hidden layer; empty for an affine map.
      activation: a name in `ACTIVATIONS`, or a function f32[...] -> f32[...].
      initializer: a name in `INITIALIZERS`.
      spectral_norm: divide every weight matrix by its largest singular value (Miyato et al. 2018). The network is then
        1-Lipschitz if its activations are.
      num_classes: the number of classes whose labels the first layer takes, one-hot, beside the input; 0 for none.
      condition_dim: the entries of a real-valued condition, f32[n, condition_dim], which the first layer takes beside
        the input; 0 for none. It excludes `num_classes`.
      minibatch_features: how many features, added to the last layer's input, measure how near a row is to the others
        (minibatch discrimination, Salimans et al. 2016); 0 for none.
      batch_norm: normalise every hidden unit over the rows before its activation (Ioffe & Szegedy 2015).
      maxout_pieces: affine maps per hidden unit, whose maximum replaces the activation (Goodfellow et al. 2013, Maxout
        networks); 0 for the activation.

    Raises:
      ValueError: if both `num_classes` and `condition_dim` are given.
    """
    if num_classes and condition_dim:
        raise ValueError(
            f"condition_dim={condition_dim} does not go with num_classes={num_classes}: one is the condition"
        )
    parts = (layers.activation(activation), INITIALIZERS[initializer], spectral_norm, num_classes, condition_dim)
    return layers.as_net(_MLP(in_dim, out_dim, widths, *parts, minibatch_features, batch_norm, maxout_pieces))


class _MLP(Layers):
    num_classes: int = 0
    condition_dim: int = 0
    minibatch_features: int = 0
    batch_norm: bool = False
    maxout_pieces: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        # Flax numbers draws in order of creation. The last layer comes first: its number must not depend on the depth.
        out = self.layer("out", self._last_width(), self.out_dim)
        pieces = [f"_{piece}" for piece in range(self.maxout_pieces)] or [""]
        hidden = [
            [self.layer(f"{i}{piece}", *sizes) for piece in pieces]
            for i, sizes in enumerate(itertools.pairwise((self.in_dim, *self.widths)))
        ]
        if self.num_classes or self.condition_dim:
            first, *others = [*hidden, [out]]
            given = self._given(condition)
            *hidden, (out,) = [[(kernel, bias + given) for kernel, bias in first], *others]
        h = mask(x.T, self.in_dim)
        for i, (parts, width) in enumerate(zip(hidden, self.widths, strict=True)):
            each = [self._affine(f"norm_{i}{piece}", *part, h) for piece, part in zip(pieces, parts, strict=True)]
            units = functools.reduce(jnp.maximum, each) if self.maxout_pieces else self.activation(*each)
            h = skip_absent(width, units, h)
        kernel, bias = out
        output = kernel.T @ h + bias
        if self.minibatch_features:
            output += self.kernel("minibatch", self.minibatch_features, self.out_dim).T @ self._closeness(h)
        return mask(output, self.out_dim).T

    def _given(self, condition: jax.Array | None) -> jax.Array | float:
        """What a condition adds to the first layer's input, f32[units, n]: its vectors times weights.

        The vectors of labels i32[n] are one-hot; those of real numbers f32[n, condition_dim] are its rows.
        """
        units = (*self.widths, self.out_dim)[0]
        if isinstance(units, Padded) and units.optional:
            raise CannotPad("num_classes needs a first layer that all lanes have")
        kernel = self.kernel("class", self.num_classes or self.condition_dim, units)
        if condition is None:
            return 0.0
        return kernel.T @ (condition.T if self.condition_dim else jax.nn.one_hot(condition, self.num_classes, axis=0))

    def _affine(self, name: str, kernel: jax.Array, bias: jax.Array | float, h: jax.Array) -> jax.Array:
        """kernel.T @ h + bias, f32[units, n]; with batch normalisation, the product is normalised over the rows."""
        units = kernel.T @ h
        if self.batch_norm:
            training = self.is_mutable_collection("batch_stats") and not self.is_initializing()
            units = nn.BatchNorm(
                use_running_average=not training, momentum=0.95, use_bias=False, use_fast_variance=False, axis=0,
                param_dtype=units.dtype, name=name,
            )(units)  # fmt: skip
        return units + bias

    def _closeness(self, h: jax.Array) -> jax.Array:
        """How near each of n rows is to all n, f32[minibatch_features, n] in (0, 1], from f32[units, n].

        The mean over rows of exp(−L1 distance) in spaces of `CLOSENESS_DIM` dimensions; it is the sum in Salimans
        et al. 2016, Improved techniques for training GANs, section 3.2.
        """
        kernel = self.kernel("closeness", self._last_width(), self.minibatch_features * CLOSENESS_DIM)
        places = (kernel.T @ h).reshape(self.minibatch_features, CLOSENESS_DIM, -1)

        def of_one(feature: jax.Array) -> jax.Array:
            return jnp.mean(jnp.exp(-sum(jnp.abs(x[:, None] - x[None]) for x in feature)), axis=1)

        return jax.lax.map(of_one, places)  # all at once is twice as slow on CPU: n² distances leave the cache

    def _last_width(self) -> Size:
        """The size of the last layer's input."""
        last, *before = reversed((self.in_dim, *self.widths))
        if not (isinstance(last, Padded) and last.optional):
            return last
        active = last.active
        for width in before[: len(self.widths) - 1]:
            active = jnp.where(active > 0, active, layers.active(width))
        return Padded(last.size, active)
