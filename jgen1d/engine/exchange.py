"""Gives every process of a sweep the results of all."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jgen1d.engine.archive import pack, unpack

_EXCHANGES = itertools.count()
_A_WEEK = 7 * 24 * 3600 * 1000  # in ms; a process that dies is noticed by its missing heartbeat, long before


def exchange(arrays: dict[str, np.ndarray], waiting: Callable[[], None]) -> list[dict[str, np.ndarray]]:
    """Returns every process's arrays, on every process.

    They go through the coordinator, because collectives give up or hang if one process is done minutes before another.

    Args:
      arrays: this process's.
      waiting: called every second until all are there.
    """
    from jax._src.distributed import global_state  # no public module has its key-value store

    store: Any = global_state.client
    number, me = next(_EXCHANGES), jax.process_index()
    content = pack(arrays).tobytes()
    parts = [content[start : start + (1 << 20)] for start in range(0, len(content), 1 << 20)]  # what a message holds
    for i, part in enumerate(parts):
        store.key_value_set_bytes(f"jgen1d/{number}/{me}/{i}", part)
    store.key_value_set(f"jgen1d/{number}/{me}/count", str(len(parts)))

    def fetch(process: int) -> dict[str, np.ndarray]:
        count = 0
        while not count:
            waiting()  # no signal is answered within a call of the store's
            with contextlib.suppress(jax.errors.JaxRuntimeError):  # the second is over
                count = int(store.blocking_key_value_get(f"jgen1d/{number}/{process}/count", 1000))
        names = (f"jgen1d/{number}/{process}/{i}" for i in range(count))
        found = b"".join(store.blocking_key_value_get_bytes(name, _A_WEEK) for name in names)
        return unpack(np.frombuffer(found, np.uint8))

    everything = [arrays if process == me else fetch(process) for process in range(jax.process_count())]
    store.wait_at_barrier(f"jgen1d/{number}", _A_WEEK)
    store.key_value_delete(f"jgen1d/{number}/{me}/")
    return everything
