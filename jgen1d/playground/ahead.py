"""The programs of the page's own buttons, compiled before a click by a process that takes idle time only.

It keeps them in the scripts' cache, where the server finds them: a click then waits for their loading alone.

    python -m jgen1d.playground.ahead --compilation_cache=FOLDER
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from jgen1d import cli
from jgen1d.engine import compiled
from jgen1d.playground import lessons, phenomena, settings, signals
from jgen1d.playground.schema import schema
from jgen1d.playground.training import both


@contextlib.contextmanager
def compiling(folder: str | None) -> Iterator[None]:
    """Within, the process works, and ends with the block or with whoever is in it.

    Args:
      folder: where JAX keeps its programs; without one there is no process.
    """
    if not folder or _mark(folder).exists():
        yield
        return
    base, _ = compiled.folder_of(folder, compiled.kind())
    command = [sys.executable, "-m", __name__, f"--compilation_cache={base}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):  # a Ctrl-C is the server's alone
        yield


def wanted() -> list[dict[str, Any]]:
    """What the page's buttons ask for: phenomena with their cures, experiments, models to compare with, and signals."""
    tours = [asked for one in phenomena.PHENOMENA for asked in (one["settings"], one["cure"]["settings"])]
    rivals = [{name: pair[name] for name in settings.RIVAL} for pair in lessons.PAIRS]
    compared = [settings.first() | {"rival": rival} for rival in rivals]
    own = schema()["signals"]["methods"]["gan"]["start"]
    of_signals = [settings.first() | signals.FIRST | own | {"target": name} for name in signals.NAMED]
    return tours + [one["settings"] for one in lessons.EXPERIMENTS] + compared + of_signals


def _mark(folder: str) -> Path:
    """The file that says that all is compiled: another one for another library, or other devices."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    state = (jax.__version__, os.cpu_count(), [(str(file), file.stat().st_mtime_ns) for file in files])
    return Path(folder) / f"buttons-{zlib.crc32(repr(state).encode()):08x}"


def _main() -> None:
    threading.Thread(target=_end_with_server, daemon=True).start()
    _give_way()
    for asked in wanted():
        for training in both(settings.resolve(asked, {})):
            training.compile()
        jax.clear_caches()
    _mark(jax.config.values["jax_compilation_cache_dir"]).touch()


def _give_way() -> None:
    """Lets this process have what time all others leave."""
    os.nice(19)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with contextlib.suppress(OSError):  # where time is shared out among sessions first, and then within each
            Path("/proc/self/autogroup").write_text("19")


def _end_with_server() -> None:
    sys.stdin.read()  # which the server never writes to: it ends when the server does
    os._exit(0)


if __name__ == "__main__":
    cli.run(_main)
