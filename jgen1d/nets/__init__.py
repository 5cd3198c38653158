"""Neural networks as pairs of pure functions, by name or the user's own. Only this package imports Flax."""

import inspect
import operator
from collections.abc import Callable
from typing import Any

from jgen1d.core import unknown
from jgen1d.nets.causal import masked_mlp, transformer
from jgen1d.nets.conv import conv_net, convolve, transpose_convolve
from jgen1d.nets.dense import CLOSENESS_DIM, mlp
from jgen1d.nets.embed import FREQUENCIES, coarse_to_fine, with_fourier, with_time
from jgen1d.nets.growing import growing_net
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
from jgen1d.nets.unet import u_net

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
    "conv": conv_net,
    "growing": growing_net,
    "unet": u_net,
}

OF_SIGNALS = ("conv", "growing", "unet")
"""The networks whose input or output has a shape."""


def build(
    network: str | Net,
    in_dim: Size,
    out_dim: Size,
    widths: tuple[Size, ...],
    *,
    shape: tuple[int, ...] | None = None,
    upwards: bool = False,
    context: int = 0,
    **options: Any,
) -> Net:
    """The network that a config names: an entry of `NETWORKS`, or the user's own, returned as it is.

    Args:
      network: a name in `NETWORKS`, or a `Net`, which sets its own sizes: the other arguments are then ignored.
      in_dim: features of the input, at least 1.
      out_dim: features of the output, at least 1; of a causal network, a multiple of `in_dim`.
      widths: units of each hidden layer, or channels at each resolution.
      shape: of the signals, for the networks of signals; None for one dimension.
      upwards: whether it is the output of a `conv` or `growing` that has this shape, and not its input.
      context: how many of the inputs, the last ones, are not of the signal, for `unet`.
      **options: more keywords of the function that builds the network: `mlp`, `masked_mlp`, `conv`, ... Options that it
        does not have must be off.

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
    if network in OF_SIGNALS:
        if shape is None:
            shape = (operator.index(out_dim if upwards else in_dim) - context,)
        options |= {"shape": shape, **({"context": context} if network == "unet" else {"upwards": upwards})}
        for name in options.keys() - inspect.signature(NETWORKS[network]).parameters.keys():
            if options.pop(name):
                raise ValueError(f"{name} does not go with a network {network!r}")
    return NETWORKS[network](in_dim, out_dim, widths, **options)


def mirrored(network: str | Net, widths: tuple[Size, ...]) -> tuple[Size, ...]:
    """The widths of a decoder beside an encoder's: convolutions upwards take the channels in the opposite order."""
    return widths[::-1] if network == "conv" else widths


__all__ = [
    "ACTIVATIONS",
    "CLOSENESS_DIM",
    "FREQUENCIES",
    "INITIALIZERS",
    "NETWORKS",
    "OF_SIGNALS",
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
    "conv_net",
    "convolve",
    "largest_singular_value",
    "mask",
    "masked_mlp",
    "mirrored",
    "mlp",
    "transformer",
    "transpose_convolve",
    "u_net",
    "with_fourier",
    "with_time",
]
