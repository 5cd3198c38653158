"""Which column is read, under which options, and what comes out?"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jgen1d.core import nearest
from jgen1d.data import limits

UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, struct.error, RuntimeError)
DAMAGED = "the file is damaged, encrypted or of another format than its name says"


class Column(NamedTuple):
    """Numbers as they were read.

    Attributes:
      values: float64[n], n ≥ 2, or of two columns float64[n, 2]: finite and not all equal, in the file's order.
      name: the column's, or the file's if the column has none.
      notes: what was recognised in the file or left out of it, a line each; empty for a plain file.
    """

    values: np.ndarray
    name: str
    notes: tuple[str, ...]


class Options(NamedTuple):
    """How to read; see `read_column`. Of a pair, missing values are kept as NaN until both columns are read."""

    decimal: str | None = None
    comment: str | None = None
    skip_rows: int = 0
    missing: str = "refuse"

    def check(self) -> None:
        """Raises ValueError for a value that is not allowed."""
        for name, allowed in {"decimal": (None, ".", ","), "missing": ("refuse", "drop")}.items():
            value = getattr(self, name)
            if value not in allowed:
                choices = " or ".join(repr(one) for one in allowed if one)
                raise ValueError(f"{name}={shown(value)}: must be {choices}")
        if self.comment is not None and (not isinstance(self.comment, str) or not self.comment.strip()):
            raise ValueError(f"comment={shown(self.comment)}: must be what comment lines begin with, such as '#'")
        require_integer("skip_rows", self.skip_rows, 0, limits.MAX_LINES)

    def require_text(self, is_text: bool) -> None:
        """Raises ValueError for the options of texts where there is no text."""
        for name in ("decimal", "comment", "skip_rows"):
            if not is_text and (value := getattr(self, name)) != Options._field_defaults[name]:
                raise ValueError(f"{name}={shown(value)}: is for .csv, .tsv and .txt files only")


@contextlib.contextmanager
def errors_that_name(source: Any) -> Iterator[None]:
    """Turns errors of reading into a ValueError of one line that begins with the file's path or the object's type."""
    name = str(source) if isinstance(source, str | os.PathLike) else type(source).__name__
    name = name if name.isprintable() else repr(name)
    try:
        yield
    except UNREADABLE as error:
        # Errors of the operating system name the file; those of decoders do not.
        problem = error.strerror if isinstance(error, OSError) and error.filename else None
        raise ValueError(f"{name}: {problem or DAMAGED}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def short(text: str) -> str:
    """A text as errors show it: on one line, and truncated if it is long."""
    return repr(text if len(text) <= 40 else text[:39] + "…")


def shown(value: Any) -> str:
    """Any value as errors show it: like `short`, with quotes for text only."""
    return short(value) if isinstance(value, str) else short(repr(value))[1:-1]


def require_integer(name: str, value: Any, low: int, high: int) -> None:
    """Raises ValueError, with the argument's name, unless the value is an integer from low to high."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{name}={short(repr(value))[1:-1]}: must be an integer from {low} to {high}")


def choose(column: str | int | None, width: int, names: list[str] | None) -> int:
    """The index of the column, one of `width`; `names` is None if the columns have no names."""
    there_are = f"an index from 0 to {width - 1}"
    if names is not None:
        there_are += " or one of " + ", ".join(map(short, names[:20])) + (", …" if width > 20 else "")
    if column is None and width != 1:
        raise ValueError(f"the number of columns is {width}: column must be {there_are}")
    if isinstance(column, str) and names is not None:
        places = [i for i, name in enumerate(names) if name == column.strip()]
        if len(places) > 1:
            raise ValueError(f"{len(places)} columns have the name {short(column)}: column must be an index")
        if places:
            return places[0]
    index = 0 if column is None else as_index(column)
    if index is not None and 0 <= index < width:
        return index
    close = nearest(column[:40], [name[:40] for name in names[:1000]]) if isinstance(column, str) and names else ""
    raise ValueError(f"no column {shown(column)}: must be {there_are}{close}")


def as_index(column: Any) -> int | None:
    """The index that an int or a string of digits stands for, or None."""
    if isinstance(column, str):
        return int(column) if re.fullmatch("[0-9]{1,9}", column) else None
    return int(column) if isinstance(column, int | np.integer) and not isinstance(column, bool) else None


def finished(values: np.ndarray, name: str, label: str, missing: str, is_integer: bool) -> Column:
    """A column of an array or a table, checked.

    Args:
      values: integers or floats of shape [n]; NaN stands for a missing value.
      name: the column's; empty if it has none.
      label: the column as errors show it.
      missing: refuse, drop or keep.
      is_integer: whether the file or table holds integers, also where missing values made them floats.
    """
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float64)
    is_missing = np.isnan(numbers)
    is_allowed = np.abs(numbers) <= limits.MAX_MAGNITUDE
    if missing != "refuse":
        is_allowed |= is_missing
    if not is_allowed.all():
        row = int(np.argmin(is_allowed))
        what, end = ("nan or null", limits.HOW_TO_DROP) if is_missing[row] else (f"{numbers[row]}", "")
        raise ValueError(f"row {row + 1}, column {label}: {what}: {limits.ALLOWED}{end}")
    num_large = int(is_integer and np.count_nonzero(np.abs(numbers) >= limits.MAX_EXACT))
    is_dropped = is_missing & (missing == "drop")
    notes = notes_on_values(len(numbers), int(is_dropped.sum()), num_large)
    return Column(numbers[~is_dropped], name, notes)


def notes_on_values(num_rows: int, num_missing: int, num_large: int, num_blank: int = 0) -> tuple[str, ...]:
    """What is said of rows that were left out, and of integers that float64 does not hold."""
    notes = []
    if num_blank:
        notes.append(f"{num_blank} blank line{'s' * (num_blank > 1)} left out")
    if num_missing:
        rows = "row with a missing value" if num_missing == 1 else "rows with missing values"
        notes.append(f"{num_missing} {rows} dropped of {num_rows}")
    if num_large:
        notes.append(f"{num_large} integer{'s' * (num_large > 1)} of 2^53 or more, which float64 may round")
    return tuple(notes)
