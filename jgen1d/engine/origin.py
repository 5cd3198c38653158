"""Where was a block computed, by whom and how? And what did each process do for a sweep?"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jgen1d.engine import compiled


class Origin(NamedTuple):
    """Where a block was computed, and how.

    Attributes:
      worker: host and process.
      devices: their number and kind.
      seconds: wall clock.
      programs: compiled programs that were asked for and are kept on disk.
      cached: how many of them were found there.
    """

    worker: str
    devices: str
    seconds: float
    programs: int
    cached: int

    @classmethod
    @contextlib.contextmanager
    def recorded(cls, devices: Sequence[jax.Device]) -> Iterator[Callable[[], dict[str, np.ndarray]]]:
        """Yields what gives, at its end, the origin of what is computed here meanwhile, as arrays."""
        before, began = compiled.counts(), time.monotonic()

        def origin() -> dict[str, np.ndarray]:
            kind, new = f"{len(devices)} × {devices[0].device_kind}", compiled.counts() - before
            return cls(this_process(), kind, time.monotonic() - began, new["programs"], new["cached"]).to_arrays()

        yield origin

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fields by name, texts as bytes u8[n]."""
        texts = {"worker": self.worker, "devices": self.devices}
        as_bytes = {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}
        return as_bytes | {name: np.array(getattr(self, name)) for name in ("seconds", "programs", "cached")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Origin:
        """What `to_arrays` wrote."""
        worker, devices = (bytes(arrays[name]).decode() for name in ("worker", "devices"))
        return cls(worker, devices, *(arrays[name].item() for name in ("seconds", "programs", "cached")))


class Work(NamedTuple):
    """What a process did for a sweep: the sums of its blocks' origins."""

    worker: str
    devices: str
    blocks: int
    seconds: float
    programs: int
    cached: int

    def __str__(self) -> str:
        """In words."""
        done = f"{self.worker} on {self.devices}: {self.blocks} blocks in {self.seconds:.0f} s"
        kept = f"; {self.cached} of {self.programs} programs came from the compilation cache"
        return done + kept if self.programs else done


def add_up(origins: Iterable[Origin]) -> list[Work]:
    """What each process did, in the order of their names."""
    found: dict[tuple[str, str], Work] = {}
    for origin in origins:
        who = origin.worker, origin.devices
        so_far = found.get(who, Work(*who, 0, 0.0, 0, 0))
        found[who] = Work(
            *who, so_far.blocks + 1, so_far.seconds + origin.seconds, so_far.programs + origin.programs,
            so_far.cached + origin.cached,
        )  # fmt: skip
    return [found[key] for key in sorted(found)]


def this_process() -> str:
    """Its host and number."""
    return f"{socket.gethostname()}:{os.getpid()}"
