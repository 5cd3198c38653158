"""Arrays as files on disk, written by orbax and summed, so that damage is noticed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from jgen1d.core import files

_SUMS = "SHA256SUMS"


def pack(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """An npz file's bytes, u8[n]: each dtype keeps its bits, and there may be empty arrays, which orbax refuses."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.kind not in "biufc":
            raise TypeError(f"{name!r} is of dtype {array.dtype}: only numbers and booleans can be saved")
    file = io.BytesIO()
    np.savez(file, np.array(list(arrays), str), *arrays.values())
    return np.frombuffer(file.getbuffer(), np.uint8)


def write(path: Path, content: np.ndarray) -> None:
    """Writes the bytes u8[n] of `pack` into a new folder, with their sums."""
    logger = logging.get_absl_logger()
    was, logger.disabled = logger.disabled, True  # orbax's threads log pages about an error that is raised here anyway
    try:
        with _checkpointer() as orbax:
            orbax.save(path.absolute(), content.tobytes())
    finally:
        logger.disabled = was
    (path / _SUMS).write_text(_sums(dict(_files(path))))


def unpack(content: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays that `pack` made u8[n] of."""
    with np.load(io.BytesIO(content.tobytes())) as file:
        names, *arrays = file.values()
    return dict(zip(names.tolist(), arrays, strict=True))


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a folder that `write` made."""
    with _checkpointer() as orbax:
        return unpack(np.frombuffer(orbax.restore(path.absolute()), np.uint8))


@functools.cache
def _checkpointer() -> Any:
    """Orbax for this process alone: of several processes, each saves for itself and waits for no other."""
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


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """The regular files below a folder by their names, without the sums; no link to a folder is followed."""
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            yield from ((f"{entry.name}/{name}", file) for name, file in _files(Path(entry.path)))
        elif entry.is_file() and entry.name != _SUMS:
            yield entry.name, Path(entry.path)


def _sums(named: Mapping[str, Path]) -> str:
    """What `sha256sum` prints of files."""
    lines = []
    for name, file in sorted(named.items()):
        with open(file, "rb") as opened:
            lines.append(f"{hashlib.file_digest(opened, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def _is_intact(path: Path) -> bool:
    """Whether a folder's files are as `write` left them."""
    try:
        sums = files.read(path / _SUMS, files.MAX_TEXT).decode()
        num_files = sums.count("\n")
        found = dict(itertools.islice(_files(path), num_files + 1))  # however many were put there
        return len(found) == num_files and sorted(_sums(found).split("\n")) == sorted(sums.split("\n"))
    except (OSError, ValueError, RecursionError):
        return False


def read_intact(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays in a folder, or None where its files are not as `write` left them."""
    if not _is_intact(path):
        return None
    try:
        return read(path)
    except MemoryError:
        raise
    except Exception:  # the sums are right, yet it is nothing that `write` writes: readers raise what they like
        return None


def reason(error: Exception) -> str:
    """In one line; tensorstore's messages hold the number of the system's error."""
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(code[1])) if code else files.one_line(error)
