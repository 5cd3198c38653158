"""Neural networks as pairs of pure functions; the only file that knows Flax."""

from jgen1d.nets.mlp import (
    ACTIVATIONS,
    CLOSENESS_DIM,
    INITIALIZERS,
    Initializer,
    Net,
    Padded,
    Size,
    largest_singular_value,
    masked_mlp,
    mlp,
    transformer,
    with_time,
)

__all__ = [
    "ACTIVATIONS",
    "CLOSENESS_DIM",
    "INITIALIZERS",
    "Initializer",
    "Net",
    "Padded",
    "Size",
    "largest_singular_value",
    "masked_mlp",
    "mlp",
    "transformer",
    "with_time",
]
