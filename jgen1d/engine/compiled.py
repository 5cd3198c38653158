"""Where are compiled programs kept, and how many of those that were needed were found there?"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path

import jax
from jax import monitoring

PATIENCE = 300.0
"""Seconds that a worker waits for another to compile a program, which may have been stopped meanwhile."""
_TURNS: ContextVar[Path | None] = ContextVar("turns", default=None)
_COUNTED = {
    "/jax/compilation_cache/compile_requests_use_cache": "programs",
    "/jax/compilation_cache/cache_hits": "cached",
}
"""JAX's events that matter here -> what they count."""


def keep_compiled(folder: str | os.PathLike[str] | None = None) -> None:
    """Keeps compiled programs for later processes, which then load them in a fraction of the time.

    Scripts do so by themselves; importing jgen1d never does. JAX's errors about features of the processor, which 0.10
    logs whenever it loads a program, are silenced with all of its messages below CRITICAL, unless the environment sets
    JAX_LOGGING_LEVEL.

    Args:
      folder: made if it is missing; None for `jgen1d` in the user's folder of caches, which scripts use, too.

    Raises:
      ValueError: in one line, if the folder has no name or cannot be used, or others than its owner can write to it:
        JAX executes what it finds there.
    """
    if folder == "":
        raise ValueError("the folder for compiled programs has no name: give it one, or None for the user's cache")
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = (Path(caches) / "jgen1d" if folder is None else Path(folder)).expanduser()
    if problem := keep(path, kind()):
        raise ValueError(f"{str(path)!r} cannot be used: {problem}")


def keep(base: Path, inside: str = "") -> str:
    """Keeps compiled programs in a folder, made if it is missing; returns what is wrong with it, if something is.

    JAX executes what it finds there, so a folder that others can write to is not used.

    Args:
      base: the folder.
      inside: the name of one in it, to keep them there.
    """
    for folder in dict.fromkeys((base, base / inside)):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return "others can write to it"
        except OSError as error:
            return error.strerror or str(error)
    if "JAX_LOGGING_LEVEL" not in os.environ:
        # JAX 0.10's loader reports preferences of its own compiler, in pages of errors, as features of another machine.
        jax.config.update("jax_logging_level", "CRITICAL")
    jax.config.update("jax_compilation_cache_dir", str(base / inside))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return ""


@functools.cache
def kind() -> str:
    """A name for the machines that can run this one's programs: they have its jaxlib, and its processor's features."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.lower().startswith(("flags", "features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return f"jaxlib-{version('jaxlib')}-{platform.machine()}-{zlib.crc32(features.encode()):08x}"


def folder_of(used: str, used_kind: str) -> tuple[Path, str]:
    """Where this process keeps programs, as `keep` wants it, if one on a machine of `used_kind` keeps them in `used`.

    On machines of one kind it is the same folder, so that each program is compiled once.
    """
    path = Path(used)
    if path.name == used_kind:
        return path.parent, kind()
    return path, "" if used_kind == kind() else kind()


@contextlib.contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Within, this process is one of several that share a folder of programs; see `turn`."""
    token = _TURNS.set(folder / "turns")
    try:
        yield
    finally:
        _TURNS.reset(token)


@contextlib.contextmanager
def turn(name: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Of processes that take turns, lets one compile the program of this name; the others then find it in the folder.

    Args:
      name: of the program, as the name of a file. Where two have one, they wait for each other without need.
      waiting: called where this process has to wait.
    """
    folder = _TURNS.get()
    with contextlib.ExitStack() as stack:
        if folder is not None:
            with contextlib.suppress(OSError):  # without turns it takes longer, no more
                import fcntl  # not there on Windows

                folder.mkdir(mode=0o700, exist_ok=True)
                file = stack.enter_context(open(folder / name, "a"))
                end = time.monotonic() + PATIENCE
                while time.monotonic() < end:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        waiting()
                        time.sleep(0.02)
        yield


def counts() -> Counter[str]:
    """How many `programs` this process has asked for since the first call, and how many came `cached` from disk.

    Programs that are not to be kept are not counted.
    """
    return _counter().copy()


@functools.cache
def _counter() -> Counter[str]:
    counter: Counter[str] = Counter()

    def count(event: str, **_: object) -> None:
        if event in _COUNTED:
            counter[_COUNTED[event]] += 1

    monitoring.register_event_listener(count)
    return counter
