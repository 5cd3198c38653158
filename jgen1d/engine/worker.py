"""What does a worker do with a block? It takes on the sender's settings, computes, and says where and how.

Whatever happens comes back as a value, so that no executor has to carry an exception, nor tries it again.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import platform
import sys
import threading
import traceback
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jgen1d.engine import compiled, parcel, program
from jgen1d.engine.block import run_block
from jgen1d.engine.origin import Origin, this_process
from jgen1d.engine.plan import Lane
from jgen1d.engine.snapshot import Outcome

CPUS = "JGEN1D_CPUS"
"""The environment variable that holds a worker's share of the processor's cores, separated by commas."""
SETTINGS = (
    "jax_enable_x64", "jax_default_prng_impl", "jax_threefry_partitionable", "jax_random_seed_offset",
    "jax_numpy_rank_promotion", "jax_numpy_dtype_promotion", "jax_debug_key_reuse", "jax_disable_most_optimizations",
    "jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes", "jax_logging_level",
)  # fmt: skip
"""JAX's options that a result, or how it is compiled, depends on."""
_ALONE = threading.Lock()
"""A process computes one block at a time, however many threads its executor has."""


def terms(platform: str | None, num_devices: int) -> dict[str, Any]:
    """What this process expects of a worker, and sends along with every block.

    Args:
      platform: of the worker's devices; None for any.
      num_devices: how many of them a block is laid over. On a CPU the worker makes as many.
    """
    return {
        "versions": versions(),
        "platform": platform,
        "num_devices": num_devices,
        "settings": {name: jax.config.values[name] for name in SETTINGS if name in jax.config.values},
        "compiler_options": program.COMPILER_OPTIONS,
        "cache": jax.config.values["jax_compilation_cache_dir"],
        "kind": compiled.kind(),
        "path": [part or os.getcwd() for part in sys.path],
    }


@functools.cache
def versions() -> dict[str, str]:
    """What must be the same here and there, or bits and pickles would differ."""
    root, total = Path(__file__).parents[1], 0
    for path in sorted(root.rglob("*.py")):  # between releases the version says little
        total = zlib.crc32(path.read_bytes(), total)
    python = ".".join(platform.python_version_tuple()[:2])
    return {"jgen1d": f"of source {total:08x}", "jax": version("jax"), "jaxlib": version("jaxlib"), "Python": python}


def look(expected: dict[str, Any]) -> tuple[str, Any]:
    """Says what the worker's devices are.

    Returns:
      `("done", (platform, number of devices, bytes of memory or None))`, or as `compute`.
    """

    def answer() -> Any:
        devices = _devices(expected)
        memory = (devices[0].memory_stats() or {}).get("bytes_limit")
        return devices[0].platform, len(devices), memory

    return _said(expected, answer)


def compute(expected: dict[str, Any], shared: bytes, own: bytes) -> tuple[str, Any]:
    """Computes one block.

    Args:
      expected: `terms` of the process that sends it.
      shared: of `parcel`: the sweep's spec.
      own: of `parcel`: the group, the lanes, and the point to go on from.

    Returns:
      `("done", Outcome)`, `("refused", text)` if this worker must not compute for the sender, or
      `("failed", (text, traceback))`.
    """

    def answer() -> Outcome:
        available = _devices(expected)[: expected["num_devices"]]
        spec, (group, lanes, start) = parcel.unpack(shared, own)
        devices = available[: group.most_devices]
        lanes = [Lane(*lane) for lane in lanes]
        keys = jnp.stack([jax.random.key(lane.seed) for lane in lanes])
        with Origin.recorded(devices) as origin:
            outcome = run_block(spec, group, lanes, keys, devices, start)
        return outcome._replace(origin=origin())

    return _said(expected, answer)


class _Refused(Exception):
    """This worker must not compute for the sender."""


def _said(expected: dict[str, Any], answer: Any) -> tuple[str, Any]:
    try:
        _require_versions(expected["versions"])
        with _ALONE, contextlib.ExitStack() as stack:
            _adopt(expected)
            if folder := jax.config.values["jax_compilation_cache_dir"]:
                stack.enter_context(compiled.taking_turns(Path(folder)))
            return "done", answer()
    except _Refused as error:
        return "refused", f"worker {this_process()} {error}"
    except Exception as error:  # a method's own may be of any kind, and need not travel
        return "failed", (f"{type(error).__name__}: {error}", f"on worker {this_process()}:\n{traceback.format_exc()}")


def _require_versions(wanted: dict[str, str]) -> None:
    here = versions()
    other = [f"{what} {here.get(what)} where the sweep has {one}" for what, one in wanted.items() if here[what] != one]
    if other:
        raise _Refused(f"has {', and '.join(other)}: install the same there")


def _adopt(expected: dict[str, Any]) -> None:
    """Makes this process compute as the sender would."""
    sys.path.extend(part for part in expected["path"] if part not in sys.path)  # a script's own modules lie beside it
    if CPUS in os.environ and hasattr(os, "sched_setaffinity"):
        cores = {int(core) for core in os.environ[CPUS].split(",")}
        for thread in os.listdir("/proc/self/task"):  # whichever of them will start XLA's
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), cores)
    with contextlib.suppress(RuntimeError):  # the devices are in use; `_devices` says if they do not do
        if jax.config.values["jax_num_cpu_devices"] != expected["num_devices"]:
            jax.config.update("jax_num_cpu_devices", expected["num_devices"])
    for option, value in expected["settings"].items():
        if jax.config.values.get(option, value) != value:
            jax.config.update(option, value)
    if expected["compiler_options"] != program.COMPILER_OPTIONS:
        program.COMPILER_OPTIONS.clear()
        program.COMPILER_OPTIONS.update(expected["compiler_options"])
        program.clear()
    if expected["cache"]:
        base, inside = compiled.folder_of(expected["cache"], expected["kind"])
        if str(base / inside) != jax.config.values["jax_compilation_cache_dir"]:
            compiled.keep(base, inside)  # where that cannot be, the summary shows that nothing came from there


def _devices(expected: dict[str, Any]) -> list[jax.Device]:
    """This worker's devices, if they do for the sender."""
    devices = jax.local_devices()
    found = devices[0].platform
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = hidden not in ("", "-1") if hidden is not None else glob.glob("/dev/nvidia[0-9]*")
    if found == "cpu" and gpus and "cpu" not in (jax.config.values["jax_platforms"] or "").split(","):
        raise _Refused(
            "would fall back to its CPU though it has a GPU: install jax[cuda12] there, or set JAX_PLATFORMS=cpu"
        )
    if expected["platform"] not in (None, found):
        raise _Refused(f"has a {found} where the sweep was planned for a {expected['platform']}")
    if len(devices) < expected["num_devices"]:
        raise _Refused(f"has {len(devices)} devices where each block needs {expected['num_devices']}")
    return devices
