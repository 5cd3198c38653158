"""What all networks are made of: sizes, activations, initialisers and layers, behind a pair of pure functions.

Data is `[n, features]` at the interface and `[features, n]` inside: XLA's CPU matrix product is fastest with the long
batch axis last.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jgen1d.core import Key, PyTree, unknown

Activation = Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, Activation] = {
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),  # the slope of the GAN literature (Radford et al. 2015)
    "tanh": jnp.tanh,
    "silu": nn.silu,
}


def activation(which: str | Activation) -> Activation:
    """The activation that a config names: an entry of `ACTIVATIONS`, or the user's own function, returned as it is.

    Raises:
      ValueError: for a name that is not in `ACTIVATIONS`.
    """
    if not isinstance(which, str):
        return which
    if which not in ACTIVATIONS:
        raise ValueError(f"no activation {unknown(which, ACTIVATIONS)}")
    return ACTIVATIONS[which]


class Initializer(NamedTuple):
    """How weights and biases are drawn.

    Attributes:
      kernel: `(key, size, fan_in) -> f32[size]`, the weights that lead to one unit.
      bias: `(key, size, fan_in) -> f32[size]`, the unit's bias; size is 1.
    """

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
    "he_normal": Initializer(_he_normal, _zeros),  # He et al. 2015
    "default": Initializer(_uniform, _uniform),  # PyTorch's: U(±1/√fan_in)
    "small_normal": Initializer(_small_normal, _zeros),  # N(0, 0.02²): Radford et al. 2015
}


class Net(NamedTuple):
    """A network as pure functions. `Net(init, apply)` with functions of your own is a network, too.

    Attributes:
      init: `key -> params`, any pytree.
      apply: `(params, x: f32[n, in_dim]) -> f32[n, out_dim]`. A network with classes also takes labels i32[n], one with
        a real-valued condition f32[n, condition_dim]: `apply(params, x, condition)`. Without a condition, or in rows
        with a negative label, it gets no information.
      apply_in_training: `(params, x) -> (f32[n, out_dim], seen)`, for networks with batch normalisation; see `train`.
    """

    init: Callable[[Key], PyTree]
    apply: Callable[..., jax.Array]
    apply_in_training: Callable[..., tuple[jax.Array, PyTree]] | None = None

    def __call__(self, params: PyTree, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """The output, f32[n, out_dim]; a network without classes is never passed labels."""
        return self.apply(params, x, *(() if condition is None else (condition,)))

    def train(self, params: PyTree, x: jax.Array, condition: jax.Array | None = None) -> tuple[jax.Array, PyTree]:
        """The output in training, and what training adds to the parameters.

        With batch normalisation, the rows are normalised by their own moments, and `params | seen` holds the updated
        running moments that `apply` uses. Without it, the output is that of `apply`, and `seen` is empty.
        """
        if self.apply_in_training is None:
            return self(params, x, condition), {}
        return self.apply_in_training(params, x, *(() if condition is None else (condition,)))


class CannotPad(TypeError):
    """A method calculates with a size that differs between the lanes of one program."""


class Padded:
    """A size that differs between the lanes of one program; `sweep` puts it in place of an int.

    As an index, for instance in a shape, it is the largest of these sizes; a network ignores all units after the first
    `active`. Arithmetic and comparisons raise `CannotPad`, and such a method's lanes get programs of their own.

    Attributes:
      size: the size of the arrays.
      active: i32[], how many of them count; 0 for a hidden layer that this lane does not have.
      optional: whether `active` may be 0.
    """

    def __init__(self, size: int, active: jax.Array, optional: bool = False):
        self.size, self.active, self.optional = size, active, optional

    def __index__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Padded):
            raise CannotPad("a padded size cannot be compared with a number")
        return self is other

    __hash__ = object.__hash__  # JAX and Flax use it as part of a program's cache key

    def _refuse(self, *_: object) -> Any:
        raise CannotPad("a padded size is not a number")

    __int__ = __float__ = __bool__ = __neg__ = __abs__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __pow__ = __rpow__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse


Size = int | Padded


def active(size: Size) -> ArrayLike:
    """How many of the units count, i32[] or an int."""
    return size.active if isinstance(size, Padded) else size


def mask(rows: jax.Array, size: Size) -> jax.Array:
    """Sets the padded rows of f32[size, ...] to zero."""
    if not isinstance(size, Padded):
        return rows
    return jnp.where((jnp.arange(size.size) < size.active)[:, None], rows, 0)


def skip_absent(layer: Size, new: jax.Array, old: jax.Array) -> jax.Array:
    """A hidden layer's output, or its input in lanes that do not have this layer."""
    return jnp.where(layer.active > 0, new, old) if isinstance(layer, Padded) and layer.optional else new


class Layers(nn.Module):
    """Draws and holds the weights of a network's layers.

    Padded weights start at zero and stay there: the weights into a padded unit and those out of it are zero, so their
    gradients are too. Only padded inputs, which need not be zero, and padded outputs need a mask.
    """

    in_dim: Size
    out_dim: Size
    widths: tuple[Size, ...]
    activation: Activation
    initializer: Initializer
    spectral_norm: bool = False

    def layer(self, name: int | str, fan_in: Size, fan_out: Size) -> tuple[jax.Array, jax.Array]:
        """One layer's weights f32[in, out] and biases f32[out, 1]."""
        kernel = self.kernel(name, fan_in, fan_out)
        bias = self.param(f"bias_{name}", lambda key: self._draw(key, self.initializer.bias, 1, fan_in, fan_out))
        if self.spectral_norm:  # of ones in place of an absent layer's zeros, whose gradients would be NaN
            kernel = kernel / largest_singular_value(jnp.where(jnp.greater(active(fan_out), 0), kernel, 1))
        return kernel, bias

    def kernel(self, name: int | str, fan_in: Size, fan_out: Size) -> jax.Array:
        """One layer's weights f32[in, out], without biases or normalisation."""
        rows = operator.index(fan_in)
        return self.param(
            f"kernel_{name}",
            lambda key: mask(self._draw(key, self.initializer.kernel, rows, fan_in, fan_out).T, fan_in),
        )

    def _draw(
        self, key: Key, make: Callable[[Key, int, ArrayLike], jax.Array], size: int, fan_in: Size, fan_out: Size
    ) -> jax.Array:
        """f32[out, size], with a key for every unit, so that the first units do not depend on how many there are."""
        units = jnp.arange(operator.index(fan_out))
        return mask(jax.vmap(lambda unit: make(jax.random.fold_in(key, unit), size, active(fan_in)))(units), fan_out)


def as_net(module: Layers) -> Net:
    """The pure functions of a Flax module."""

    def init(key: Key) -> PyTree:
        params = module.init(key, jnp.zeros((1, operator.index(module.in_dim))))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params)  # Flax keeps moments in float32 otherwise

    return Net(init, module.apply, functools.partial(module.apply, mutable=["batch_stats"]))


def largest_singular_value(kernel: jax.Array) -> jax.Array:
    """The largest singular value of a matrix, with its gradient.

    Stateless: 64 power iterations at once, as six squarings of the smaller Gram matrix, replace the usual running
    estimate with one iteration per step (Miyato et al. 2018, algorithm 1).

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
