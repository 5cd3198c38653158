"""Neural networks as pairs of pure functions; the only file that knows Flax.

Data is `[n, features]` at the door and `[features, n]` inside: XLA's CPU matrix product is fastest with the long batch
axis last.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jgen1d.core import Key, PyTree

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),  # the slope of the GAN literature (Radford et al. 2015)
    "tanh": jnp.tanh,
    "silu": nn.silu,
}


CLOSENESS_DIM = 3
"""Dimensions of the spaces in which minibatch discrimination measures distances."""


class Initializer(NamedTuple):
    """How the weights that lead to one unit, f32[in], and its bias, f32[1], are drawn: `(key, size, in) -> array`."""

    kernel: Callable[[Key, int, ArrayLike], jax.Array]
    bias: Callable[[Key, int, ArrayLike], jax.Array]


def _he_normal(key: Key, size: int, fan_in: ArrayLike) -> jax.Array:
    return jnp.sqrt(2 / jnp.asarray(fan_in, float)) * jax.random.normal(key, (size,))


def _zeros(key: Key, size: int, fan_in: ArrayLike) -> jax.Array:
    del key, fan_in
    return jnp.zeros((size,))


def _small_normal(key: Key, size: int, fan_in: ArrayLike) -> jax.Array:
    del fan_in
    return 0.02 * jax.random.normal(key, (size,))


def _uniform(key: Key, size: int, fan_in: ArrayLike) -> jax.Array:
    return jax.random.uniform(key, (size,), minval=-1, maxval=1) / jnp.sqrt(jnp.asarray(fan_in, float))


INITIALIZERS: dict[str, Initializer] = {
    "he_normal": Initializer(_he_normal, _zeros),
    "default": Initializer(_uniform, _uniform),
    "small_normal": Initializer(_small_normal, _zeros),
}


class Net(NamedTuple):
    """A network: `init(key) -> params` and `apply(params, x: f32[n, in_dim]) -> f32[n, out_dim]`.

    One with classes takes labels i32[n], too: `apply(params, x, condition)`; without them, or where one is negative, it
    is told nothing.

    `train(params, x) -> (f32[n, out_dim], seen)` is for training where there is batch normalisation: the rows are
    normalised by their own moments, and `params | seen` has these in the running ones that `apply` takes.
    """

    init: Callable[[Key], PyTree]
    apply: Callable[..., jax.Array]
    train: Callable[..., tuple[jax.Array, PyTree]]


class Padded:
    """A size that stands for different sizes in different lanes of one program; `sweep` puts it where an int was.

    As an index, in a shape for instance, it is the largest of these sizes; a network ignores all units but the first
    `active`. It knows no arithmetic: a method that calculates with it gets a TypeError, and its lanes programs of their
    own.

    Attributes:
      size: the size of the arrays.
      active: i32[], how many of them count; 0 for a hidden layer that this lane does not have.
      optional: whether `active` may be 0.
    """

    def __init__(self, size: int, active: jax.Array, optional: bool = False):
        self.size, self.active, self.optional = size, active, optional

    def __index__(self) -> int:
        return self.size

    def __float__(self) -> float:
        raise TypeError("a padded size is no number")  # without this, math.sqrt takes __index__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Padded):
            raise TypeError("a padded size is no number to compare with")
        return self is other

    __hash__ = object.__hash__  # JAX and Flax keep it among what a program depends on


Size = int | Padded


def mlp(
    in_dim: Size,
    out_dim: Size,
    widths: tuple[Size, ...],
    *,
    activation: str = "leaky_relu",
    initializer: str = "he_normal",
    spectral_norm: bool = False,
    num_classes: int = 0,
    minibatch_features: int = 0,
    batch_norm: bool = False,
    maxout_pieces: int = 0,
) -> Net:
    """A multi-layer perceptron with a linear last layer.

    Args:
      in_dim: features of the input.
      out_dim: features of the output.
      widths: units of each hidden layer; empty for an affine map.
      activation: a name in `ACTIVATIONS`.
      initializer: a name in `INITIALIZERS`: `he_normal` (He et al. 2015) with zero biases; `default` is what PyTorch
        does, U(±1/√in) for weights and biases; `small_normal` N(0, 0.02²) with zero biases (Radford et al. 2015).
      spectral_norm: divide every weight matrix by its largest singular value (Miyato et al. 2018), which makes the
        network 1-Lipschitz where its activations are.
      num_classes: of the labels that it takes beside the input, one-hot, into its first layer.
      minibatch_features: how many features of the last layer's input tell how near a row is to the others (minibatch
        discrimination, Salimans et al. 2016).
      batch_norm: normalise every hidden unit over the rows before its activation (Ioffe & Szegedy 2015).
      maxout_pieces: a hidden unit is the largest of this many affine maps, in place of an activation (Goodfellow et al.
        2013, Maxout networks); 0 for the activation.
    """
    parts = (ACTIVATIONS[activation], INITIALIZERS[initializer], spectral_norm, num_classes, minibatch_features)
    return _net(_MLP(in_dim, out_dim, widths, *parts, batch_norm, maxout_pieces))


def _net(module: _MLP) -> Net:
    return Net(
        lambda key: module.init(key, jnp.zeros((1, operator.index(module.in_dim)))),
        module.apply,
        functools.partial(module.apply, mutable=["batch_stats"]),
    )


class _MLP(nn.Module):
    """Padded weights start at zero, and stay there: what leads to a padded unit and what leads away from it are both
    zero, so its gradients are too. Only padded inputs, which need not be zero, and padded outputs take a mask.
    """

    in_dim: Size
    out_dim: Size
    widths: tuple[Size, ...]
    activation: Callable[[jax.Array], jax.Array]
    initializer: Initializer
    spectral_norm: bool
    num_classes: int = 0
    minibatch_features: int = 0
    batch_norm: bool = False
    maxout_pieces: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        # Flax numbers the draws in this order: the last layer comes first, for its number must not depend on the depth.
        out = self._layer("out", self._last_width(), self.out_dim)
        pieces = [f"_{piece}" for piece in range(self.maxout_pieces)] or [""]
        hidden = [
            [self._layer(f"{i}{piece}", *sizes) for piece in pieces]
            for i, sizes in enumerate(itertools.pairwise((self.in_dim, *self.widths)))
        ]
        if self.num_classes:
            first, *others = [*hidden, [out]]
            class_bias = self._class_bias(condition)
            *hidden, (out,) = [[(kernel, bias + class_bias) for kernel, bias in first], *others]
        h = _mask(x.T, self.in_dim)
        for i, (layers, width) in enumerate(zip(hidden, self.widths, strict=True)):
            each = [self._affine(f"norm_{i}{piece}", *layer, h) for piece, layer in zip(pieces, layers, strict=True)]
            units = functools.reduce(jnp.maximum, each) if self.maxout_pieces else self.activation(*each)
            h = jnp.where(width.active > 0, units, h) if isinstance(width, Padded) and width.optional else units
        kernel, bias = out
        output = kernel.T @ h + bias
        if self.minibatch_features:
            output += self._kernel("minibatch", self.minibatch_features, self.out_dim).T @ self._closeness(h)
        return _mask(output, self.out_dim).T

    def _class_bias(self, condition: jax.Array | None) -> jax.Array | float:
        """What the labels i32[n] add to the first layer, f32[units, n]: their one-hot times weights of their own."""
        units = (*self.widths, self.out_dim)[0]
        if isinstance(units, Padded) and units.optional:
            raise TypeError("labels need a first layer that all lanes have")
        kernel = self._kernel("class", self.num_classes, units)
        return 0.0 if condition is None else kernel.T @ jax.nn.one_hot(condition, self.num_classes, axis=0)

    def _affine(self, name: str, kernel: jax.Array, bias: jax.Array | float, h: jax.Array) -> jax.Array:
        """kernel.T @ h + bias, the product normalised over the rows where there is batch normalisation."""
        units = kernel.T @ h
        if self.batch_norm:
            training = self.is_mutable_collection("batch_stats") and not self.is_initializing()
            units = nn.BatchNorm(
                use_running_average=not training, momentum=0.95, use_bias=False, use_fast_variance=False, axis=0,
                param_dtype=units.dtype, name=name,
            )(units)  # fmt: skip
        return units + bias

    def _closeness(self, h: jax.Array) -> jax.Array:
        """How near each of n rows is to all, f32[minibatch_features, n] in (0, 1], from f32[units, n].

        It is the mean over rows of exp(−L1 distance) in spaces of `CLOSENESS_DIM` dimensions; the sum in Salimans et
        al. 2016, Improved techniques for training GANs, section 3.2.
        """
        kernel = self._kernel("closeness", self._last_width(), self.minibatch_features * CLOSENESS_DIM)
        places = (kernel.T @ h).reshape(self.minibatch_features, CLOSENESS_DIM, -1)

        def of_one(feature: jax.Array) -> jax.Array:
            return jnp.mean(jnp.exp(-sum(jnp.abs(x[:, None] - x[None]) for x in feature)), axis=1)

        return jax.lax.map(of_one, places)  # all at once are twice as slow on CPU: n² distances leave the cache

    def _last_width(self) -> Size:
        """The units that lead to the last layer."""
        last, *before = reversed((self.in_dim, *self.widths))
        if not (isinstance(last, Padded) and last.optional):
            return last
        active = last.active
        for width in before[: len(self.widths) - 1]:
            active = jnp.where(active > 0, active, _active(width))
        return Padded(last.size, active)

    def _layer(self, name: int | str, fan_in: Size, fan_out: Size) -> tuple[jax.Array, jax.Array]:
        """One layer's weights f32[in, out] and biases f32[out, 1]."""
        kernel = self._kernel(name, fan_in, fan_out)
        bias = self.param(f"bias_{name}", lambda key: self._draw(key, self.initializer.bias, 1, fan_in, fan_out))
        if self.spectral_norm:  # not of zeros, for a layer that the lane does not have: its gradients would be NaN
            kernel = kernel / largest_singular_value(jnp.where(jnp.greater(_active(fan_out), 0), kernel, 1))
        return kernel, bias

    def _kernel(self, name: int | str, fan_in: Size, fan_out: Size) -> jax.Array:
        rows = operator.index(fan_in)
        return self.param(
            f"kernel_{name}",
            lambda key: _mask(self._draw(key, self.initializer.kernel, rows, fan_in, fan_out).T, fan_in),
        )

    def _draw(
        self, key: Key, make: Callable[[Key, int, ArrayLike], jax.Array], size: int, fan_in: Size, fan_out: Size
    ) -> jax.Array:
        """f32[out, size], with a key for every unit: the first ones do not depend on how many there are."""
        units = jnp.arange(operator.index(fan_out))
        return _mask(jax.vmap(lambda unit: make(jax.random.fold_in(key, unit), size, _active(fan_in)))(units), fan_out)


def _active(size: Size) -> ArrayLike:
    return size.active if isinstance(size, Padded) else size


def _mask(rows: jax.Array, size: Size) -> jax.Array:
    """Zeros in the padded rows of f32[size, ...]."""
    if not isinstance(size, Padded):
        return rows
    return jnp.where((jnp.arange(size.size) < size.active)[:, None], rows, 0)


def masked_mlp(
    in_dim: int, outputs: int, widths: tuple[Size, ...], *, activation: str = "silu", initializer: str = "he_normal"
) -> Net:
    """A multi-layer perceptron whose output number k depends on the inputs before number k only, and starts at zero.

    Args:
      in_dim: features of the input, in the order in which they are to be predicted.
      outputs: numbers that predict one feature: the output is f32[n, in_dim·outputs], feature by feature.
      widths: units of each hidden layer; empty for an affine map.
      activation: a name in `ACTIVATIONS`.
      initializer: a name in `INITIALIZERS`, for all layers but the last.

    References:
      Germain et al. 2015, MADE: masked autoencoder for distribution estimation, section 4.
    """
    parts = (ACTIVATIONS[activation], INITIALIZERS[initializer], False)
    return _net(_MaskedMLP(in_dim, in_dim * outputs, widths, *parts))


class _MaskedMLP(_MLP):
    """A hidden unit of degree m sees the inputs up to number m; output k sees the units of degrees below k."""

    @nn.compact
    def __call__(self, x: jax.Array, condition: None = None) -> jax.Array:
        inputs = operator.index(self.in_dim)
        h, degrees = x.T, np.arange(inputs)
        for i, (fan_in, width) in enumerate(itertools.pairwise((self.in_dim, *self.widths))):
            # Golden-ratio steps (Weyl's sequence) spread the degrees evenly, however many of the units count.
            fractions = np.arange(operator.index(width)) * (np.sqrt(5) - 1) / 2 % 1
            new_degrees = np.floor(fractions * max(inputs - 1, 1)).astype(int)
            kernel, bias = self._layer(i, fan_in, width)
            units = self.activation((kernel * (degrees[:, None] <= new_degrees[None])).T @ h + bias)
            skip = isinstance(width, Padded) and width.optional
            h = jnp.where(jnp.greater(_active(width), 0), units, h) if skip else units
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
    activation: str = "silu",
    initializer: str = "he_normal",
) -> Net:
    """A causal transformer over the input's features, with the inputs and outputs of `masked_mlp`; it starts at zero.

    Args:
      in_dim: features of the input, in the order in which they are to be predicted.
      outputs: numbers that predict one feature: the output is f32[n, in_dim·outputs], feature by feature.
      widths: units of each block's feed-forward network: as many blocks as entries.
      embedding_dim: features of each position, a multiple of `num_heads`.
      num_heads: of the attention.
      activation: of the feed-forward networks, a name in `ACTIVATIONS`.
      initializer: a name in `INITIALIZERS`, for all layers but the last.

    References:
      Vaswani et al. 2017, Attention is all you need, section 3.
      Radford et al. 2019, Language models are unsupervised multitask learners, section 2.3: normalisation comes first.
    """
    parts = (ACTIVATIONS[activation], INITIALIZERS[initializer], False)
    sizes = {"embedding_dim": embedding_dim, "num_heads": num_heads}
    return _net(_Transformer(in_dim, in_dim * outputs, widths, *parts, **sizes))


class _Transformer(_MLP):
    """Activations are f32[embedding_dim, positions, n]; every position's prediction is the same map of its own."""

    embedding_dim: int = 0
    num_heads: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        positions, shape = operator.index(self.in_dim), (self.embedding_dim, operator.index(self.in_dim), 1)
        # A position sees what comes before the feature that it predicts: the first one nothing.
        before = jnp.concatenate([jnp.zeros((1, len(x)), x.dtype), x.T[:-1]])
        place = self.param("place", nn.initializers.normal(1.0), shape)
        h = place + self.param("value", nn.initializers.normal(1.0), shape) * before[None]
        for i, width in enumerate(self.widths):
            attended = h + self._attention(i, self._normalize(f"attention_{i}", h))
            hidden = self.activation(self._dense(f"in_{i}", shape[0], width, self._normalize(f"in_{i}", attended)))
            block = attended + self._dense(f"out_{i}", width, shape[0], hidden)
            skip = isinstance(width, Padded) and width.optional
            h = jnp.where(jnp.greater(_active(width), 0), block, h) if skip else block
        outputs = operator.index(self.out_dim) // positions
        kernel = self.param("kernel_out", nn.initializers.zeros, (shape[0], outputs))
        bias = self.param("bias_out", nn.initializers.zeros, (outputs, 1))
        predicted = kernel.T @ self._normalize("out", h).reshape(shape[0], -1) + bias
        return predicted.reshape(outputs, positions, -1).transpose(2, 1, 0).reshape(len(x), -1)

    def _dense(self, name: str, fan_in: Size, fan_out: Size, h: jax.Array) -> jax.Array:
        """An affine map of every position's features."""
        kernel, bias = self._layer(name, fan_in, fan_out)
        return (kernel.T @ h.reshape(len(h), -1) + bias).reshape(-1, *h.shape[1:])

    def _normalize(self, name: str, h: jax.Array) -> jax.Array:
        """Every position's features with mean 0 and variance 1, then scaled and shifted (Ba et al. 2016)."""
        gain = self.param(f"gain_{name}", nn.initializers.ones, (len(h), 1, 1))
        shift = self.param(f"shift_{name}", nn.initializers.zeros, (len(h), 1, 1))
        centered = h - jnp.mean(h, axis=0, keepdims=True)
        return gain * centered * jax.lax.rsqrt(jnp.mean(centered**2, axis=0, keepdims=True) + 1e-5) + shift

    def _attention(self, number: int, h: jax.Array) -> jax.Array:
        size, positions, n = h.shape
        heads = self._dense(f"attention_{number}", size, 3 * size, h)
        query, key, value = heads.reshape(3, self.num_heads, size // self.num_heads, positions, n)
        # Products and sums rather than matrix products: these are tiny, and the long batch axis stays last.
        scores = jnp.sum(query[:, :, :, None] * key[:, :, None], axis=1) / np.sqrt(size // self.num_heads)
        causal = np.tril(np.ones((positions, positions), bool))[None, :, :, None]
        shares = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=2)
        mixed = jnp.sum(shares[:, None] * value[:, :, None], axis=3).reshape(size, positions, n)
        return self._dense(f"mixed_{number}", size, size, mixed)


def with_time(x: jax.Array, t: jax.Array, num_frequencies: int) -> jax.Array:
    """x and its time's features, cos(πkt) and sin(πkt) for k = 1 … `num_frequencies`: a network's input.

    Args:
      x: f32[n, dim].
      t: f32[n, 1] or f32[], in [0, 1].
      num_frequencies: how many.

    Returns:
      f32[n, dim + 2·num_frequencies].
    """
    angles = jnp.pi * jnp.reshape(t, (-1, 1)) * jnp.arange(1, num_frequencies + 1, dtype=x.dtype)[None]
    features = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=1)
    return jnp.concatenate([x, jnp.broadcast_to(features, (len(x), features.shape[1]))], axis=1)


def largest_singular_value(kernel: jax.Array) -> jax.Array:
    """The largest singular value of a matrix, with its gradient.

    Stateless: 64 power iterations at once, as six squarings of the smaller Gram matrix, take the place of the usual
    running estimate of one per step (Miyato et al. 2018, algorithm 1).

    Args:
      kernel: f32[m, n].

    Returns:
      f32[], too small by at most a factor (s2/s1)^128 of the part in the second singular direction.
    """
    small = kernel if kernel.shape[0] <= kernel.shape[1] else kernel.T
    gram = small @ small.T
    for _ in range(6):
        gram = gram / jnp.trace(gram)
        gram = gram @ gram
    left = gram[:, jnp.argmax(jnp.diagonal(gram))]
    left = jax.lax.stop_gradient(left / jnp.linalg.norm(left))
    right = jax.lax.stop_gradient(left @ small)
    return left @ small @ (right / jnp.linalg.norm(right))
