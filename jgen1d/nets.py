"""Neural networks as pairs of pure functions; the only file that knows Flax.

Data is `[n, features]` at the door and `[features, n]` inside: XLA's CPU matrix product is fastest with the long batch
axis last.
"""

from __future__ import annotations

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
INITIALIZERS: dict[str, Callable] = {
    "he_normal": nn.initializers.he_normal(in_axis=0, out_axis=1),
    "default": nn.initializers.lecun_normal(in_axis=0, out_axis=1),
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
    """A multi-layer perceptron with zero biases at the start and a linear last layer.

    Args:
      in_dim: features of the input.
      out_dim: features of the output.
      widths: units of each hidden layer; empty for an affine map.
      activation: a name in `ACTIVATIONS`.
      initializer: a name in `INITIALIZERS`: `he_normal` (He et al. 2015), or `default`, Flax's own (LeCun normal).
      spectral_norm: divide every weight matrix by its largest singular value (Miyato et al. 2018), which makes the
        network 1-Lipschitz where its activations are.
    """
    module = _MLP((*widths, out_dim), ACTIVATIONS[activation], INITIALIZERS[initializer], spectral_norm)
    return Net(lambda key: module.init(key, jnp.zeros((1, in_dim))), module.apply)


class _MLP(nn.Module):
    features: tuple[int, ...]
    activation: Callable[[jax.Array], jax.Array]
    kernel_init: Callable
    spectral_norm: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = x.T
        for i, width in enumerate(self.features):
            kernel = self.param(f"kernel_{i}", self.kernel_init, (h.shape[0], width))
            bias = self.param(f"bias_{i}", nn.initializers.zeros_init(), (width, 1))
            if self.spectral_norm:
                kernel = kernel / largest_singular_value(kernel)
            if i:
                h = self.activation(h)
            h = kernel.T @ h + bias
        return h.T


def largest_singular_value(kernel: jax.Array) -> jax.Array:
    """The largest singular value of a matrix, with its gradient.

    Stateless: the usual running estimate of one power iteration per step (Miyato et al. 2018, algorithm 1) is replaced by
    64 of them at once, as six squarings of the smaller Gram matrix.

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
