"""Which mode differentiates a critic's input gradient fastest? Prints milliseconds per lane, by the number of features.

    python benchmarks/penalties.py

Each is the gradient of R1 with respect to the parameters of a multilayer perceptron, 64 lanes of 512 rows: by
`jgen1d.maths.losses`, in forward mode with one pass per feature, and in reverse mode with one pass for all.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.convolutions import milliseconds
from jgen1d import nets
from jgen1d.maths import losses

FEATURES = (1, 2, 8, 64)
LANES, ROWS, WIDTHS = 64, 512, (32, 32)


def forward(apply: Callable, x: jax.Array) -> jax.Array:
    derivative_along = jax.linearize(apply, x)[1]
    axes = [jnp.broadcast_to(axis, x.shape) for axis in jnp.eye(x.shape[1])[:, None]]
    return jnp.concatenate([derivative_along(axis) for axis in axes], axis=1)


def reverse(apply: Callable, x: jax.Array) -> jax.Array:
    return jax.grad(lambda x: jnp.sum(apply(x)))(x)


def main() -> None:
    for features in FEATURES:
        net = nets.mlp(features, 1, WIDTHS, activation="leaky_relu")
        params = jax.vmap(net.init)(jax.random.split(jax.random.key(0), LANES))
        x = jax.random.normal(jax.random.key(1), (LANES, ROWS, features))
        row = []
        for slopes in (losses.input_gradients, forward, reverse):

            def penalty(params: Any, x: jax.Array, net: Any = net, slopes: Any = slopes) -> jax.Array:
                return losses.zero_centred_penalty(slopes(lambda x: net(params, x), x))

            row.append(f"{milliseconds(jax.vmap(jax.grad(penalty)), params, x):.3f}")
        print(f"| {features} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
