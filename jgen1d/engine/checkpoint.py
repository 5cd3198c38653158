"""Where a long computation had got to: its arrays in a folder, from which the same command goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from absl import logging

_NAME = "checkpoint-" + "[0-9]" * 6
_SUMS = "SHA256SUMS"
_ECHO = 0.25  # seconds; what follows sooner is no second wish: coreutils' `timeout` sends each signal twice
_ABSENT = object()


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM came, and what was done is saved in `folder`; `signal` is its number."""

    def __init__(self, number: int, folder: Path):
        super().__init__(
            f"{signal.Signals(number).name}: saved in {str(folder)!r}; the same command goes on from there"
        )
        self.signal, self.folder = number, folder


class Checkpoints:
    """The saved progress of one long computation, in a folder.

    While one process is within it, no other can enter it for the same folder; and in the main thread SIGINT and SIGTERM
    only make `due` true, so that the next `save` ends the computation. A second signal does what it would do elsewhere.

    ```python
    with Checkpoints("runs/long/progress", {"num_steps": 5_000}) as checkpoints:
        state = checkpoints.restore() or start()
        while not is_done(state):
            state = advance(state)
            if checkpoints.due():
                checkpoints.save(state)
        write(state)
        checkpoints.clear()
    ```

    Args:
      folder: where the checkpoints are; made where it is missing.
      identity: what the computation depends on, as JSON can hold it; a folder of another identity is refused.
      minutes: between saves, so as much work may be lost when the process is killed.
      overwrite: remove the progress of another identity instead.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any], minutes: float = 10.0, overwrite: bool = False):
        self.folder = Path(folder)
        self._overwrite = overwrite
        self._mine = False
        self._made: list[Path] = []
        self._identity = json.loads(json.dumps(identity))
        self._seconds = 60 * minutes
        self._saved_at = time.monotonic()
        self._signal: tuple[int, float] | None = None  # its number, and when it came
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Checkpoints:
        self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        with contextlib.ExitStack() as undo:
            try:
                undo.enter_context(_lock(self.folder))
                self._claim()
                self._remove_unfinished()
            except OSError as error:
                raise ValueError(f"workdir {str(self.folder)!r} cannot be written: {_reason(error)}") from error
            in_main = threading.current_thread() is threading.main_thread()  # elsewhere Python allows no handlers
            for number in (signal.SIGINT, signal.SIGTERM) if in_main else ():
                previous = signal.getsignal(number) or signal.SIG_DFL
                if previous != signal.SIG_IGN:  # as it is in a background job, which Ctrl-C must not end
                    undo.callback(signal.signal, number, previous)
                    signal.signal(number, functools.partial(self._on_signal, previous))
            self._undo = undo.pop_all()
        self._mine = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._mine and not any(self.folder.glob(_NAME + "*")):  # whatever comes next may be another computation
            self.clear()
        self._undo.close()

    def restore(self) -> dict[str, np.ndarray] | None:
        """The newest arrays that are as they were saved, or None; damaged ones are named on stderr and set aside."""
        while found := self._found():
            newest = found[-1]
            if _is_intact(newest):
                return _read(newest)
            aside = newest.rename(newest.with_suffix(".damaged"))
            rest = "the one before it is used" if len(found) > 1 else "there is no other, so this starts afresh"
            print(f"checkpoint {str(newest)!r} is damaged: renamed to {aside.name!r}; {rest}", file=sys.stderr)
        return None

    def due(self) -> bool:
        """Whether to save now: the minutes have passed since the last time, or a signal has come."""
        return self._signal is not None or time.monotonic() - self._saved_at >= self._seconds

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Saves the arrays, whole or not at all, and removes all but the newest two checkpoints.

        Raises:
          Interrupted: where a signal has come; the arrays are saved.
          OSError: in one line, where they cannot be written; what was saved before is intact.
          TypeError: for arrays of anything but numbers and booleans.
        """
        content = pack(arrays)
        numbers = [int(path.name.partition("-")[2][:6]) for path in self.folder.glob(_NAME + "*")]
        path = self.folder / f"checkpoint-{1 + max(numbers, default=0):06d}"
        try:
            _write(path.with_suffix(".saving"), content)
            path.with_suffix(".saving").rename(path)
        except (OSError, RuntimeError, ValueError) as error:  # a full disk is a ValueError of tensorstore's
            reason = f"{_reason(error)}; what was saved before is intact"
            raise OSError(f"cannot save in {str(self.folder)!r}: {reason}") from error
        finally:
            self._remove_unfinished()
        for old in self._found()[:-2]:
            shutil.rmtree(old, ignore_errors=True)
        self._saved_at = time.monotonic()
        if self._signal:
            raise Interrupted(self._signal[0], self.folder)

    def clear(self) -> None:
        """Removes all that is kept here, and the folder where then empty: the computation is done."""
        self._mine = False  # once the lock file is gone, another process may enter
        self._remove()
        (self.folder / "lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for path in self._made or [self.folder]:
                path.rmdir()

    def _remove(self) -> None:
        for path in sorted(self.folder.glob(_NAME + "*")):
            shutil.rmtree(path, ignore_errors=True)
        (self.folder / "identity.json").unlink(missing_ok=True)

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob(_NAME))

    def _claim(self) -> None:
        """Writes the identity into a fresh folder; raises ValueError in one of another identity."""
        there = saved_identity(self.folder)
        if self._overwrite and there is not None and difference(there, self._identity):
            self._remove()
            there = None
        where = f"workdir {str(self.folder)!r} holds the progress of another run"
        if there is None and self._found():
            raise ValueError(f"{where}: its identity.json is missing; choose another workdir, or remove that one")
        if there is None:
            unfinished = self.folder / "identity.json.saving"
            unfinished.write_text(json.dumps(self._identity, indent=2) + "\n")
            unfinished.rename(self.folder / "identity.json")
        elif changed := difference(there, self._identity):
            raise ValueError(f"{where}: {changed}; choose another workdir, or remove that one")

    def _remove_unfinished(self) -> None:
        for path in self.folder.glob(_NAME + ".saving*"):  # orbax appends a suffix of its own while it writes
            shutil.rmtree(path, ignore_errors=True)

    def _on_signal(self, previous: Any, number: int, _: object) -> None:
        if self._signal is None:
            self._signal = number, time.monotonic()
            text = (
                f"\n{signal.Signals(number).name}: saving in {str(self.folder)!r} when the steps under way are done\n"
            )
            with contextlib.suppress(OSError):
                os.write(2, text.encode())  # print is not reentrant, and this may have come within one
        elif time.monotonic() - self._signal[1] > _ECHO:
            signal.signal(number, previous)
            signal.raise_signal(number)


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In what two identities differ, as a person reads it; empty where they are equal.

    >>> difference({"num_steps": 5000, "gan": {"r1": 0.1}}, {"num_steps": 2000, "gan": {"r1": 0.1}})
    'num_steps is 5000 there and 2000 here'
    """
    old, new = (dict(_flatten(json.loads(json.dumps(identity)))) for identity in (there, here))
    pairs = {name: (old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in old | new}
    parts = [
        f"{name} is {_show(a)} there and {_show(b)} here"
        for name, (a, b) in pairs.items()
        if a != b and repr(a) != repr(b)  # NaN is not equal to itself
    ]
    return "; ".join(parts[:3] + [f"and {len(parts) - 3} more"] * (len(parts) > 3))


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; a list is one value unless there are mappings in it."""
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        value = {str(i): item for i, item in enumerate(value)}
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _show(value: Any) -> str:
    text = "absent" if value is _ABSENT else repr(value)
    return text if len(text) <= 60 else f"{text[:28]} ... {text[-27:]}"


def saved_identity(folder: str | Path) -> dict[str, Any] | None:
    """What a folder's checkpoints are of; None where there are none. Raises ValueError where it cannot be told."""
    path = Path(folder) / "identity.json"
    try:
        identity = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        identity = None
    if not isinstance(identity, dict):
        raise ValueError(f"{str(path)!r} is damaged: choose another workdir, or remove that one")
    return identity


def _lock(folder: Path) -> IO[str]:
    """The folder's lock file, locked until it is closed or the process dies, however it dies: no lock is ever stale.

    Raises:
      ValueError: naming the process that has it locked.
    """
    import fcntl  # not there on Windows

    path = folder / "lock"
    for tries_left in reversed(range(100)):
        with contextlib.ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(path, "a+"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    file.truncate(0)
                    file.write(f"process {os.getpid()} (on {socket.gethostname()})\n")
                    file.flush()
                    stack.pop_all()
                    return file
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise ValueError(f"workdir {str(folder)!r} is in use by {holder}") from None
            except (FileExistsError, FileNotFoundError):  # the `clear` of another may have come between any two lines
                if not tries_left:
                    raise
    raise ValueError(f"workdir {str(folder)!r} is in use by another process")


def pack(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """An npz file's bytes, u8[n]: each dtype keeps its bits, and there may be empty arrays, which orbax refuses."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.kind not in "biufc":
            raise TypeError(f"{name!r} is of dtype {array.dtype}: only numbers and booleans can be saved")
    file = io.BytesIO()
    np.savez(file, np.array(list(arrays), str), *arrays.values())
    return np.frombuffer(file.getbuffer(), np.uint8)


def _write(path: Path, content: np.ndarray) -> None:
    logger = logging.get_absl_logger()
    was, logger.disabled = logger.disabled, True  # orbax's threads log pages about an error that is raised here anyway
    try:
        with _checkpointer() as orbax:
            orbax.save(path.absolute(), content.tobytes())
    finally:
        logger.disabled = was
    (path / _SUMS).write_text(_sums(path))


def unpack(content: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays that `pack` made u8[n] of."""
    with np.load(io.BytesIO(content.tobytes())) as file:
        names, *arrays = file.values()
    return dict(zip(names.tolist(), arrays, strict=True))


def _read(path: Path) -> dict[str, np.ndarray]:
    with _checkpointer() as orbax:
        return unpack(np.frombuffer(orbax.restore(path.absolute()), np.uint8))


@functools.cache
def _checkpointer() -> Any:
    """Orbax for one process: where there are several, each saves for itself, and none waits for another."""
    import jax
    import orbax.checkpoint as ocp  # here: it takes a second

    class Handler(ocp.CheckpointHandler):
        """Bytes in a file; orbax's own handlers write arrays in process 0 only."""

        def save(self, directory: Any, args: Any) -> None:
            (directory / "arrays.npz").write_bytes(args.content)

        def restore(self, directory: Any, args: Any) -> bytes:
            return (directory / "arrays.npz").read_bytes()

    @ocp.args.register_with_handler(Handler, for_save=True, for_restore=True)
    @dataclasses.dataclass
    class Content(ocp.args.CheckpointArgs):
        content: bytes = b""

    index = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(primary_host=index, active_processes={index})
    return ocp.Checkpointer(Handler(), multiprocessing_options=alone)


def _sums(path: Path) -> str:
    """What `sha256sum` prints of a checkpoint's files."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != _SUMS)
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(path)}\n" for file in files)


def _is_intact(path: Path) -> bool:
    try:
        return (path / _SUMS).read_bytes() == _sums(path).encode()
    except OSError:
        return False


def _reason(error: Exception) -> str:
    """In one line; tensorstore's messages hold the number of the system's error."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(code[1])) if code else " ".join(str(error).split())
