"""Neural networks as pairs of pure functions; the only file that knows Flax.

Data is `[n, features]` at the door and `[features, n]` inside: XLA's CPU matrix product is fastest with the long batch
axis last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jgen1d.core import Key, PyTree

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),  # the slope of the GAN literature (Radford et al. 2015)
    "tanh": jnp.tanh,
    "silu": nn.silu,
}


class Initializer(NamedTuple):
    """How one layer's weights f32[in, out] and biases f32[out, 1] are drawn: `(key, shape, in) -> array` each."""

    kernel: Callable[[Key, tuple[int, ...], int], jax.Array]
    bias: Callable[[Key, tuple[int, ...], int], jax.Array]


def _he_normal(key: Key, shape: tuple[int, ...], fan_in: int) -> jax.Array:
    return math.sqrt(2 / fan_in) * jax.random.normal(key, shape)


def _zeros(key: Key, shape: tuple[int, ...], fan_in: int) -> jax.Array:
    del key, fan_in
    return jnp.zeros(shape)


def _uniform(key: Key, shape: tuple[int, ...], fan_in: int) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-1, maxval=1) / math.sqrt(fan_in)


INITIALIZERS: dict[str, Initializer] = {
    "he_normal": Initializer(_he_normal, _zeros),
    "default": Initializer(_uniform, _uniform),
}


class Net(NamedTuple):
    """A network: `init(key) -> params` and `apply(params, x: f32[n, in_dim]) -> f32[n, out_dim]`."""

    init: Callable[[Key], PyTree]
    apply: Callable[[PyTree, jax.Array], jax.Array]


def mlp(
    in_dim: int,
    out_dim: int,
    widths: tuple[int, ...],
    *,
    activation: str = "leaky_relu",
    initializer: str = "he_normal",
    spectral_norm: bool = False,
) -> Net:
    """A multi-layer perceptron with a linear last layer.

    Args:
      in_dim: features of the input.
      out_dim: features of the output.
      widths: units of each hidden layer; empty for an affine map.
      activation: a name in `ACTIVATIONS`.
      initializer: a name in `INITIALIZERS`: `he_normal` (He et al. 2015) with zero biases; `default` is what PyTorch
        does, U(±1/√in) for weights and biases.
      spectral_norm: divide every weight matrix by its largest singular value (Miyato et al. 2018), which makes the
        network 1-Lipschitz where its activations are.
    """
    module = _MLP((*widths, out_dim), ACTIVATIONS[activation], INITIALIZERS[initializer], spectral_norm)
    return Net(lambda key: module.init(key, jnp.zeros((1, in_dim))), module.apply)


class _MLP(nn.Module):
    features: tuple[int, ...]
    activation: Callable[[jax.Array], jax.Array]
    initializer: Initializer
    spectral_norm: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = x.T
        for i, width in enumerate(self.features):
            kernel = self.param(f"kernel_{i}", self.initializer.kernel, (h.shape[0], width), h.shape[0])
            bias = self.param(f"bias_{i}", self.initializer.bias, (width, 1), h.shape[0])
            if self.spectral_norm:
                kernel = kernel / largest_singular_value(kernel)
            if i:
                h = self.activation(h)
            h = kernel.T @ h + bias
        return h.T


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
