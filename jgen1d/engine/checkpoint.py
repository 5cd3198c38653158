"""The saved progress of a long computation: arrays in a folder, from which the same command resumes."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from jgen1d.core import files
from jgen1d.core.names import printable
from jgen1d.engine import archive
from jgen1d.engine.identity import difference, saved_identity

_NAME = "checkpoint-" + "[0-9]" * 6
_LAST = 999_999
_ECHO = 0.25  # seconds; what follows sooner is no second wish: coreutils' `timeout` sends each signal twice


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
      folder: where the checkpoints are; made if it is missing.
      identity: what the computation depends on, as JSON can hold it; a folder of another identity is refused.
      minutes: between saves, so as much work may be lost when the process is killed.
      overwrite: remove the progress of another identity instead.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any], minutes: float = 10.0, overwrite: bool = False):
        self.folder = Path(folder)
        self._overwrite = overwrite
        self._mine = False
        self._lock: IO[str] | None = None
        self._made: list[Path] = []
        self._held: Callable[[], Mapping[str, np.ndarray]] | None = None
        self._is_kept = False
        self._identity = json.loads(json.dumps(identity))
        self._seconds = 60 * minutes
        self._saved_at = time.monotonic()
        self._signal: tuple[int, float] | None = None  # its number, and when it came
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Checkpoints:
        self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        with contextlib.ExitStack() as undo:
            try:
                self._lock = undo.enter_context(_lock(self.folder))
                self._claim()
                self._remove_unfinished()
            except OSError as error:
                raise ValueError(f"workdir {str(self.folder)!r} cannot be written: {archive.reason(error)}") from error
            in_main = threading.current_thread() is threading.main_thread()  # elsewhere Python allows no handlers
            for number in (signal.SIGINT, signal.SIGTERM) if in_main else ():
                previous = signal.getsignal(number) or signal.SIG_DFL
                if previous != signal.SIG_IGN:  # as it is in a background job, which Ctrl-C must not end
                    undo.callback(signal.signal, number, previous)
                    signal.signal(number, functools.partial(self._on_signal, previous))
            self._undo = undo.pop_all()
        self._mine = True
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        del kind, traceback
        is_done = self._held is not None and self._mine
        if error is not None and is_done and not isinstance(error, Interrupted) and self.keep():
            error.add_note(f"the progress is saved in {str(self.folder)!r}: the same command goes on from there")
        if self._mine and not any(self.folder.glob(_NAME + "*")):  # whatever comes next may be another computation
            self.clear()
        self._undo.close()

    def restore(self) -> dict[str, np.ndarray] | None:
        """The newest arrays that are as they were saved, or None; damaged ones are named on stderr and set aside."""
        damaged = []
        for path in reversed(self._found()):
            if (arrays := archive.read_intact(path)) is not None:
                break
            damaged.append(path)
        else:
            arrays = None
        if damaged:
            rest = "there is no other, so this starts afresh" if arrays is None else "the one before it is used"
            print(f"{self._set_aside(damaged)}; {rest}", file=sys.stderr)
        return arrays

    def due(self) -> bool:
        """Whether to save now: the minutes have passed since the last time, or a signal has come."""
        return self._signal is not None or time.monotonic() - self._saved_at >= self._seconds

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Saves the arrays, whole or not at all, and removes all but the newest two checkpoints.

        Raises:
          Interrupted: where a signal has come; the arrays are saved.
          OSError: in one line, if they cannot be written; what was saved before is intact.
          TypeError: for arrays of anything but numbers and booleans.
        """
        self._write(arrays)
        self._saved_at = time.monotonic()
        if self._signal:
            raise Interrupted(self._signal[0], self.folder)

    def hold(self, make: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Says that the computation is done, so that only its answer is left.

        Whatever then ends the block with an error, the arrays that `make` returns are saved first.
        """
        self._held, self._is_kept = make, False

    def keep(self) -> bool:
        """Saves what is held, if something is; whether there is progress to go on from. Says nothing of failures."""
        if self._held is not None and not self._is_kept:
            with contextlib.suppress(OSError):
                self._write(self._held())
                self._is_kept = True
        return bool(self._found())

    def clear(self) -> None:
        """Removes all that is kept here, and the folder where then empty: the computation is done."""
        self._mine = False  # once the lock file is gone, another process may enter
        self._remove()
        (self.folder / "lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for path in self._made or [self.folder]:
                path.rmdir()

    def _write(self, arrays: Mapping[str, np.ndarray]) -> None:
        content = archive.pack(arrays)
        try:
            self._enter_again()
            path = self.folder / self._next_name()
            archive.write(path.with_suffix(".saving"), content)
            path.with_suffix(".saving").rename(path)
        except (OSError, RuntimeError, ValueError) as error:  # a full disk is a ValueError of tensorstore's
            before = "what was saved before is intact" if self._found() else "nothing was saved before"
            raise OSError(f"cannot save in {str(self.folder)!r}: {archive.reason(error)}; {before}") from error
        finally:
            self._remove_unfinished()
        for old in self._found()[:-2]:
            files.remove(old)

    def _enter_again(self) -> None:
        """Makes the folder anew where it was removed meanwhile."""
        if self._lock is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._lock.fileno()), (self.folder / "lock").stat()):
                return
        self._lock = self._undo.enter_context(_lock(self.folder))
        self._claim()

    def _next_name(self) -> str:
        """The name that is newer than all; where others leave no room for it, they move down, in their order."""
        found = self._found()
        if found and _number(found[-1]) == _LAST:
            for number, path in enumerate(found):
                if number != _number(path):
                    path.rename(self.folder / f"checkpoint-{number:06d}")
        numbers = [number for path in self.folder.glob(_NAME + "*") if (number := _number(path)) < _LAST]
        return f"checkpoint-{1 + max(numbers, default=0):06d}"

    def _set_aside(self, damaged: Sequence[Path]) -> str:
        """Renames what is damaged, and says so."""
        what, how = f"checkpoint {str(damaged[0])!r} is damaged", ""
        try:
            for path in damaged:
                names = (f"{path.name}.damaged{f'-{k}' if k else ''}" for k in itertools.count())
                aside = path.with_name(next(name for name in names if not os.path.lexists(path.with_name(name))))
                path.rename(aside)
                how = f"renamed to {aside.name!r}"
        except OSError as error:
            how = f"it cannot be renamed ({files.one_line(error)})"
        if len(damaged) > 1:
            what = f"{len(damaged)} checkpoints in {str(self.folder)!r} are damaged, the newest {damaged[0].name!r}"
            how = how if how.startswith("it") else "renamed to '*.damaged'"
        return f"{what}: {how}"

    def _remove(self) -> None:
        for path in [*self.folder.glob(_NAME + "*"), self.folder / "identity.json"]:
            files.remove(path)

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob(_NAME))

    def _claim(self) -> None:
        """Writes the identity into a fresh folder; raises ValueError in one of another identity."""
        try:
            there = saved_identity(self.folder)
            is_other = bool(self._found() if there is None else difference(there, self._identity))
        except ValueError:
            if not self._overwrite:
                raise
            is_other = True
        if self._overwrite and is_other:
            self._remove()
            there, is_other = None, False
        if is_other:
            changed = difference(there, self._identity) if there is not None else "its identity.json is missing"
            where = f"workdir {str(self.folder)!r} holds the progress of another run"
            raise ValueError(f"{where}: {changed}; choose another workdir, or remove that one")
        if there is None:
            files.write(self.folder / "identity.json", (json.dumps(self._identity, indent=2) + "\n").encode())

    def _remove_unfinished(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # a folder that somebody has removed by now holds none
            for path in self.folder.glob(_NAME + ".saving*"):  # orbax appends a suffix of its own while it writes
                files.remove(path)

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


def _number(path: Path) -> int:
    return int(path.name.removeprefix("checkpoint-")[:6])


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
                if os.path.lexists(path):
                    files.check_regular(path)
                file = stack.enter_context(open(path, "a+", errors="replace"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    file.truncate(0)
                    file.write(f"process {os.getpid()} (on {socket.gethostname()})\n")
                    file.flush()
                    stack.pop_all()
                    return file
            except BlockingIOError:
                file.seek(0)
                holder = printable(file.read(200).strip(), 100) or "another process"
                raise ValueError(f"workdir {str(folder)!r} is in use by {holder}") from None
            except (FileExistsError, FileNotFoundError):  # the `clear` of another may have come between any two lines
                if not tries_left:
                    raise
    raise ValueError(f"workdir {str(folder)!r} is in use by another process")
