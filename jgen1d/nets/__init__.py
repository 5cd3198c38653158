"""Neural networks as pairs of pure functions, by name or the user's own. Only this package imports Flax."""

import operator
from collections.abc import Callable
from typing import Any

from jgen1d.core import unknown
from jgen1d.nets.causal import masked_mlp, transformer
from jgen1d.nets.dense import CLOSENESS_DIM, mlp
from jgen1d.nets.embed import FREQUENCIES, coarse_to_fine, with_fourier, with_time
from jgen1d.nets.layers import (
    ACTIVATIONS,
    INITIALIZERS,
    Activation,
    CannotPad,
    Initializer,
    Net,
    Padded,
    Size,
    activation,
    active,
    largest_singular_value,
    mask,
)

Builder = Callable[..., Net]
"""`(in_dim, out_dim, widths, **options) -> Net`, with options of its own."""


def _of_each_feature(build_causal: Callable[..., Net]) -> Builder:
    """A causal network by its number of outputs, which must be a multiple of its inputs."""

    def build(in_dim: Size, out_dim: Size, widths: tuple[Size, ...], /, **options: Any) -> Net:
        inputs, outputs = operator.index(in_dim), operator.index(out_dim)
        if outputs % inputs:
            raise ValueError(f"out_dim={outputs}: a causal network needs a multiple of in_dim={inputs}")
        return build_causal(inputs, outputs // inputs, widths, **options)

    return build


NETWORKS: dict[str, Builder] = {
    "mlp": mlp,
    "masked_mlp": _of_each_feature(masked_mlp),
    "transformer": _of_each_feature(transformer),
}


def build(network: str | Net, in_dim: Size, out_dim: Size, widths: tuple[Size, ...], **options: Any) -> Net:
    """The network that a config names: an entry of `NETWORKS`, or the user's own, returned as it is.

    Args:
      network: a name in `NETWORKS`, or a `Net`, which sets its own sizes: the other arguments are then ignored.
      in_dim: features of the input, at least 1.
      out_dim: features of the output, at least 1; of a causal network, a multiple of `in_dim`.
      widths: units of each hidden layer.
      **options: keywords of the function that builds the network: `mlp`, `masked_mlp` or `transformer`.

    Raises:
      ValueError: for a name that is not in `NETWORKS`, or sizes that do not fit.

    Example:
      >>> import jax.numpy as jnp
      >>> line = Net(lambda key: {"slope": jnp.ones(())}, lambda params, x: params["slope"] * x)
      >>> build(line, 1, 1, (32, 32)) is line
      True
    """
    if isinstance(network, Net):
        return network
    if network not in NETWORKS:
        raise ValueError(f"no network {unknown(network, NETWORKS)}")
    return NETWORKS[network](in_dim, out_dim, widths, **options)


__all__ = [
    "ACTIVATIONS",
    "CLOSENESS_DIM",
    "FREQUENCIES",
    "INITIALIZERS",
    "NETWORKS",
    "Activation",
    "Builder",
    "CannotPad",
    "Initializer",
    "Net",
    "Padded",
    "Size",
    "activation",
    "active",
    "build",
    "coarse_to_fine",
    "largest_singular_value",
    "mask",
    "masked_mlp",
    "mlp",
    "transformer",
    "with_fourier",
    "with_time",
]
