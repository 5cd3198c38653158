"""What throughput is measured against: useful FLOPs, the peak of the matrix product, memory."""

import ctypes
import gc
import itertools
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.methods import gan


def _layers(config: gan.Config) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (config.latent_dim, *config.widths_g, config.dim), (config.dim, *config.widths_d, 1)


def describe(config: gan.Config) -> str:
    """The networks, as in "G 5-15-15-1, D 1-25-25-1"."""
    return ", ".join(f"{name} {'-'.join(map(str, net))}" for name, net in zip("GD", _layers(config), strict=True))


def flops_per_step(config: gan.Config, batch_size: int) -> int:
    """The useful FLOPs of a lane's step: the matrix products of the unpadded networks; nothing else counts.

    With n rows of real points and n of generated ones: D forward and both backward passes on 2n rows, G likewise on n,
    n rows forward and backward through D for G. A product of [n, a] and [a, b] counts 2·n·a·b. The gradient with
    respect to the first layer's input is not needed, except where it goes on into G, and one pass forward of G serves
    both updates: who computes more gets no credit for it.
    """

    def forward(net: tuple[int, ...]) -> int:
        return 2 * sum(a * b for a, b in itertools.pairwise(net))

    g, d = _layers(config)
    update_d = 2 * batch_size * (3 * forward(d) - forward(d[:2]))
    update_g = batch_size * (3 * forward(g) - forward(g[:2]) + 2 * forward(d))
    return update_d + update_g


def marginal_rate(work: float, rounds: Sequence[tuple[float, float]]) -> float | None:
    """Work per second without what every call costs, or None where noise hides it.

    Args:
      work: what a long run does more than a short one.
      rounds: seconds of a short and of a long run, at least one pair.

    Returns:
      `work` over the median difference; None if a long run took less than 1.1 times as long as its short one.
    """
    if any(long < 1.1 * short for short, long in rounds):
        return None
    return work / statistics.median(long - short for short, long in rounds)


def gemm_peak(size: int = 2048) -> float:
    """FLOP/s of f32 matrix products [size, size], one on each device at a time."""
    devices = jax.devices()
    matrices = [jax.device_put(np.ones((size, size), np.float32), device) for device in devices]
    jax.block_until_ready([_square(a) for a in matrices])
    began = time.perf_counter()
    jax.block_until_ready([_square(a) for _ in range(3) for a in matrices])
    return 3 * len(devices) * 2 * size**3 / (time.perf_counter() - began)


@jax.jit
def _square(a: jax.Array) -> jax.Array:
    return jnp.matmul(a, a, precision="highest")  # the default on GPUs is not f32


def bytes_needed(config: gan.Config, batch_size: int, lanes: int, in_blocks: bool) -> float:
    """About how much memory `lanes` take: a guess, to refuse what would end the process.

    Five copies of the parameters (they, their gradients, Adam's two moments, what replaces them) and four of the hidden
    units, forward and backward; `in_blocks`, only what is kept of a lane that is done: parameters and moments.
    """
    g, d = _layers(config)
    params = sum((a + 1) * b for net in (g, d) for a, b in itertools.pairwise(net))
    units = batch_size * (sum(g) + 2 * sum(d))
    return 4.0 * lanes * (3 * params if in_blocks else 5 * params + 4 * units)


def bytes_available() -> float | None:
    """Memory that is free on the device that computes, the least of all; None if unknown."""
    if jax.default_backend() == "cpu":
        return _kilobytes("/proc/meminfo", "MemAvailable")
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return min((float(s["bytes_limit"] - s["bytes_in_use"]) for s in stats if "bytes_limit" in s), default=None)


def rise_in_memory(call: Callable[[], None], is_torch: bool) -> float | None:
    """Bytes by which the most memory in use during `call()` exceeds what was in use before; None if unknown.

    On CPU, of the process's resident memory (Linux only). On GPU and TPU, of the devices' allocators; JAX's keeps one
    high-water mark for the whole process, so that what comes after something larger is overstated.
    """
    gc.collect()
    if jax.default_backend() == "cpu":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed, but not given back, would hide a rise
            Path("/proc/self/clear_refs").write_text("5")  # the mark falls to what is resident now
        except (OSError, AttributeError):
            call()
            return None
        before = _kilobytes("/proc/self/status", "VmRSS")
        call()
        after = _kilobytes("/proc/self/status", "VmHWM")
    elif is_torch:
        from torch import cuda

        if not cuda.is_available():
            call()
            return None
        cuda.reset_peak_memory_stats()
        before = cuda.memory_allocated()
        call()
        after = cuda.max_memory_allocated()
    else:
        before = _allocated("bytes_in_use")
        call()
        after = _allocated("peak_bytes_in_use")
    return None if before is None or after is None else max(0.0, after - before)


def _allocated(name: str) -> float | None:
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return float(sum(s[name] for s in stats)) if all(name in s for s in stats) else None


def _kilobytes(path: str, name: str) -> float | None:
    try:
        found = re.search(rf"{name}:\s+(\d+) kB", Path(path).read_text())
    except OSError:
        return None
    return 1024.0 * int(found[1]) if found else None
