"""Which way to compute convolutions of many lanes is fastest? Prints milliseconds per lane, forward and with gradients.

    python benchmarks/convolutions.py

`stacked` is `jgen1d.nets.convolve`, `grouped` is `lax.conv` under `vmap`, `mapped` is `lax.conv` in `lax.map`.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jgen1d import nets
from jgen1d.engine.program import COMPILER_OPTIONS

LANES, ROWS, SECONDS = 8, 64, 0.6
CASES = {
    "length 64, 1 → 16, kernel 4, stride 2": ((64,), 1, 16, 4, 2),
    "length 32, 16 → 32, kernel 4, stride 2": ((32,), 16, 32, 4, 2),
    "length 16, 32 → 64, kernel 4, stride 2": ((16,), 32, 64, 4, 2),
    "length 32, 32 → 32, kernel 3": ((32,), 32, 32, 3, 1),
    "8×8, 1 → 16, kernel 4, stride 2": ((8, 8), 1, 16, 4, 2),
    "8×8, 16 → 32, kernel 3": ((8, 8), 16, 32, 3, 1),
    "4×4, 32 → 64, kernel 4, stride 2": ((4, 4), 32, 64, 4, 2),
}


def by_lax(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    names = "HW"[: kernel.ndim - 2]
    form = (f"C{names}N", f"{names}IO", f"C{names}N")
    return jax.lax.conv_general_dilated(x, kernel, (stride,) * len(names), "SAME", dimension_numbers=form)


def mapped(one: Callable) -> Callable:
    return lambda x, k: jax.lax.map(lambda args: one(*args), (x, k))


def milliseconds(function: Callable, *args: jax.Array) -> float:
    options: Any = COMPILER_OPTIONS.get(jax.default_backend())
    compiled = jax.jit(function).lower(*args).compile(options)
    jax.block_until_ready(compiled(*args))
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        jax.block_until_ready(compiled(*args))
        count += 1
    return 1e3 * (time.perf_counter() - start) / count / len(args[-1])


def main() -> None:
    for name, (shape, fan_in, fan_out, size, stride) in CASES.items():
        x = jax.random.normal(jax.random.key(0), (LANES, fan_in, *shape, ROWS))
        kernel = jax.random.normal(jax.random.key(1), (LANES, *(size,) * len(shape), fan_in, fan_out))
        row = []
        for way, convolve in (("stacked", nets.convolve), ("grouped", by_lax), ("mapped", by_lax)):

            def forward(x: jax.Array, k: jax.Array, convolve: Any = convolve, stride: int = stride) -> jax.Array:
                return convolve(x, k, stride)

            def gradients(x: jax.Array, k: jax.Array, forward: Any = forward) -> Any:
                return jax.grad(lambda x, k: jnp.sum(jnp.sin(forward(x, k))), (0, 1))(x, k)

            for one in (forward, gradients):
                row.append(f"{milliseconds(mapped(one) if way == 'mapped' else jax.vmap(one), x, kernel):.2f}")
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
