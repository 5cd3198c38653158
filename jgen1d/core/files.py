"""How is a file written whole or not at all, and read when others may have put anything in its place?"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import stat
from pathlib import Path
from typing import Any

MAX_TEXT = 2**26
"""Bytes of a text that is read as a whole, such as JSON."""
MAX_DEPTH = 50
"""Levels of a JSON text: what walks through it does so by recursion."""


def write(path: Path, content: bytes) -> None:
    """Writes a file. Where that fails, with an OSError, what was there before is as it was."""
    unfinished = path.with_name(f"{path.name}.saving")
    try:
        unfinished.unlink(missing_ok=True)
        with open(unfinished, "xb") as file:
            file.write(content)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def check_regular(path: Path) -> None:
    """Raises OSError unless this is a regular file: a named pipe would wait for ever, a device might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))


def read(path: Path, at_most: int | None = None) -> bytes:
    """A regular file's content. Raises OSError if there is none, ValueError if it has more than so many bytes."""
    check_regular(path)
    if at_most is not None and path.stat().st_size > at_most:
        raise ValueError(f"it has more than {at_most:,} bytes")
    return path.read_bytes()


def parse_json(text: str | bytes) -> Any:
    """What a JSON text stands for. Raises ValueError for any other text, and for one that is nested too deeply."""
    with contextlib.suppress(RecursionError):
        level = [value := json.loads(text)]
        for _ in range(MAX_DEPTH):
            inner = [item for item in level if isinstance(item, dict | list)]
            if not inner:
                return value
            level = [item for one in inner for item in (one.values() if isinstance(one, dict) else one)]
    raise ValueError(f"it is nested in more than {MAX_DEPTH} levels")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises OSError if there is no file, ValueError if it holds anything else."""
    value = parse_json(read(path, MAX_TEXT))
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def remove(path: Path) -> None:
    """Removes a folder with all that is in it, a link but not where it leads, or any file; what cannot be stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def one_line(error: BaseException) -> str:
    """What an error says, without its line breaks; of the system's errors the reason alone."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return said or type(error).__name__
