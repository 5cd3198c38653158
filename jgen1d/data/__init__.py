"""How a user's column of numbers becomes a target: reading, checks and error messages.

A file is read exactly or refused: no row is skipped, no missing value is filled in, no number format is guessed.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import math
import os
import pathlib
import re
import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from typing import IO, Any

import jax.numpy as jnp
import numpy as np

from jgen1d import targets
from jgen1d.core import nearest

MAX_BYTES = 2**28
"""The largest file, also after decompression: 256 MiB, 33 million float64. A few kB can expand to terabytes."""
MAX_LINE = 2**20
"""Characters of the longest line: one line at a time is held in memory."""
MAX_LINES = 10**7
"""Lines of the longest text: each takes a microsecond or two."""
MAX_MAGNITUDE = float(np.finfo(np.float32).max)
"""The largest number that training, in float32 by default, can represent."""

ALLOWED = f"must be a finite decimal number such as -1.5 or 2e3, at most {MAX_MAGNITUDE:.2g} in magnitude"
AT_LEAST = "at least 2 different values are needed"
# Python's float() also takes "1_000", "nan" and other scripts' digits.
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
NO_NAME = re.compile(r"[-+]?(nan|inf|infinity|0x[0-9a-f]+)|[\W\d_]*", re.IGNORECASE)
NOT_TEXT = re.compile(
    "[\0\udc80-\udcff]"
)  # NUL, and what errors="surrogateescape" turns bytes into that are not UTF-8.
NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
MAX_NPY_HEADER = 2**14  # NumPy itself refuses headers of more than 10,000 bytes.
UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, struct.error, RuntimeError)


def read(
    path: str | os.PathLike[str], column: str | int | None = None, *, num_samples: int | None = None, seed: int = 0
) -> targets.Target:
    """Reads a column of numbers and returns the distribution of that sample (see `targets.empirical`).

    The target is named after the column, or after the file if the column has no name.

    Args:
      path: a `.csv`, `.csv.gz`, `.npy` or `.npz` file (see `read_column`).
      column: a name, or an index from 0; None for the only column.
      num_samples: the size of a random subset without replacement, from 2 to the number of values; None for all values.
      seed: the seed of the subset, from 0 to 2⁶⁴ − 1.

    Raises:
      ValueError: in one line, for everything that `read_column` refuses and for a subset that cannot be drawn.
    """
    values, name = _read(path, column)
    with _errors_that_name(path):
        if num_samples is not None:
            _require_integer("num_samples", num_samples, 2, len(values))
            _require_integer("seed", seed, 0, 2**64 - 1)
            values = np.random.default_rng(seed).choice(values, num_samples, replace=False)
            _require_spread(values, f"num_samples={num_samples}, seed={seed}: ")
    return targets.empirical(values, name=name)


def read_column(path: str | os.PathLike[str], column: str | int | None = None) -> np.ndarray:
    """Reads a column of numbers.

    - `.csv`, `.csv.gz`: UTF-8, commas, double quotes. The first row is a header if one of its cells is not a number. If
      such a cell has no letter, as in `1_000` or `2020-01-01`, it could be a name or data: the file is refused. Only
      the chosen column needs to hold numbers.
    - `.npy`: integers or floats of shape [n] or [n, k].
    - `.npz`: its arrays are the columns; if it has a single array [n, k], an index means a column of that array.

    Args:
      path: a file of at most `MAX_BYTES`, also after decompression.
      column: a name; or an index from 0, also as a string if no column has that name; None for the only column.

    Returns:
      float64[n], n ≥ 2, finite and not all equal, in the file's order.

    Raises:
      ValueError: in one line, with the file, the row (from 1; in a text file, the line), the column, the value and what
        is allowed.
    """
    return _read(path, column)[0]


def _read(path: str | os.PathLike[str], column: str | int | None) -> tuple[np.ndarray, str]:
    """The values and their name."""
    path = pathlib.Path(path)
    suffix = next((s for s in READERS if path.name.lower().endswith(s)), "")
    with _errors_that_name(path):
        size = path.stat().st_size
        if not path.is_file():
            raise ValueError("not a file" + (" but a directory" if path.is_dir() else ""))
        if not suffix:
            raise ValueError(f"file name extension {_short(path.suffix)}: must be one of {', '.join(READERS)}")
        if size > MAX_BYTES:
            raise ValueError(f"the file has {size} bytes: at most {MAX_BYTES} are allowed")
        with path.open("rb") as file:
            values, name = READERS[suffix](file, column)
        _require_spread(values)
    return values, name or path.name[: -len(suffix)]


@contextlib.contextmanager
def _errors_that_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns errors of reading a file into a ValueError of one line that begins with the file's path."""
    shown = str(path) if str(path).isprintable() else repr(str(path))
    try:
        yield
    except UNREADABLE as error:
        # Errors of the operating system name the file; those of decoders do not.
        problem = error.strerror if isinstance(error, OSError) and error.filename else None
        problem = problem or "the file is damaged, encrypted or of another format than its name says"
        raise ValueError(f"{shown}: {problem}") from None
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from None


def _require_spread(values: np.ndarray, where: str = "") -> None:
    dtype = jnp.result_type(float)  # float32 unless jax_enable_x64 is set
    if len(values) < 2:
        raise ValueError(f"{where}the number of values is {len(values)}: {AT_LEAST}")
    if np.ptp(values.astype(dtype)) == 0:
        raise ValueError(f"{where}all {len(values)} values are {values[0]:g} in {dtype}: {AT_LEAST}")


def _require_integer(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{name}={_short(repr(value))[1:-1]}: must be an integer from {low} to {high}")


def _short(text: str) -> str:
    """A text as errors show it: on one line, and truncated if it is long."""
    return repr(text if len(text) <= 40 else text[:39] + "…")


def _choose(column: str | int | None, width: int, names: list[str] | None) -> int:
    """The index of the column, one of `width`; `names` is None if the columns have no names."""
    there_are = f"an index from 0 to {width - 1}"
    if names is not None:
        there_are += " or one of " + ", ".join(map(_short, names[:20])) + (", …" if width > 20 else "")
    if column is None and width != 1:
        raise ValueError(f"the number of columns is {width}: column must be {there_are}")
    if isinstance(column, str) and names is not None:
        places = [i for i, name in enumerate(names) if name == column.strip()]
        if len(places) > 1:
            raise ValueError(f"{len(places)} columns have the name {_short(column)}: column must be an index")
        if places:
            return places[0]
    index = 0 if column is None else _as_index(column)
    if index is not None and 0 <= index < width:
        return index
    close = nearest(column[:40], [name[:40] for name in names[:1000]]) if isinstance(column, str) and names else ""
    shown = _short(column) if isinstance(column, str) else _short(repr(column))[1:-1]
    raise ValueError(f"no column {shown}: must be {there_are}{close}")


def _as_index(column: Any) -> int | None:
    """The index that an int or a string of digits stands for, or None."""
    if isinstance(column, str):
        return int(column) if re.fullmatch("[0-9]{1,9}", column) else None
    return int(column) if isinstance(column, int | np.integer) and not isinstance(column, bool) else None


def _lines(text: IO[str]) -> Iterator[str]:
    """The lines of a text, one at a time."""
    size = 0  # in characters, which are at most as many as bytes
    for row in itertools.count(1):
        line = text.readline(MAX_LINE + 1)
        size += len(line)
        if not line:
            return
        if len(line) > MAX_LINE:
            raise ValueError(f"row {row}: the line is too long: at most {MAX_LINE} characters are allowed")
        if row > MAX_LINES or size > MAX_BYTES:
            raise ValueError(
                f"row {row}: the text is too long: at most {MAX_LINES} lines, {MAX_BYTES} bytes are allowed"
            )
        if NOT_TEXT.search(line):
            raise ValueError(f"row {row}: {_short(line)}: must be UTF-8 text")
        yield line


def _rows(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the number of its first line, without blank lines at the end."""
    reader = csv.reader(lines, strict=True)
    row, blank = 1, 0
    try:
        for cells in reader:
            # A quoted empty cell, [""], is a missing value, not a blank line.
            if not cells or (len(cells) == 1 and cells[0].isspace()):
                blank = blank or row
            elif blank:
                raise ValueError(f"row {blank}: the line is blank: allowed at the end of the file only")
            else:
                yield row, cells
            row = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"row {row}: not valid CSV: {error}") from None


def _header(cells: list[str]) -> list[str] | None:
    """The column names, given a file's first row; None if all its cells are numbers, so that it is not a header."""
    cells = [cell.strip() for cell in cells]
    others = {i: cell for i, cell in enumerate(cells) if not NUMBER.fullmatch(cell)}
    if others and all(NO_NAME.fullmatch(cell) for cell in others.values()):
        index, cell = next(iter(others.items()))
        raise ValueError(f"row 1, column {index}: {_short(cell)}: {ALLOWED}, or, in a header, a name with a letter")
    return cells if others else None


def _read_csv(file: IO[bytes] | gzip.GzipFile, column: str | int | None) -> tuple[np.ndarray, str]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = _rows(_lines(text))
        first = next(rows, None)
        if first is None:
            raise ValueError(f"the file is empty: {AT_LEAST}")
        width, names = len(first[1]), _header(first[1])
        index = _choose(column, width, names)
        name = "" if names is None else names[index]
        values = array("d")
        for row, cells in itertools.chain([first] if names is None else [], rows):
            if len(cells) != width:
                raise ValueError(f"row {row}: the number of cells is {len(cells)}: must be {width}, as in row 1")
            cell = cells[index].strip(" \t")
            value = float(cell) if NUMBER.fullmatch(cell) else math.nan
            if not abs(value) <= MAX_MAGNITUDE:
                what = _short(cell) if cell else "empty cell"
                raise ValueError(f"row {row}, column {_short(name) if name else index}: {what}: {ALLOWED}")
            values.append(value)
    return np.array(values), name


def _read_csv_gz(file: IO[bytes], column: str | int | None) -> tuple[np.ndarray, str]:
    with gzip.GzipFile(fileobj=file) as text:
        return _read_csv(text, column)


def _read_npy(file: IO[bytes], column: str | int | None, name: str = "") -> tuple[np.ndarray, str]:
    """Reads the header first, because `np.load` would allocate whatever size the header claims."""
    data = file.read(MAX_NPY_HEADER)
    header = io.BytesIO(data)
    try:
        shape, is_fortran, dtype = NPY_HEADERS[np.lib.format.read_magic(header)](header)
    except Exception:  # the header is a Python literal, which can be wrong in many ways
        raise ValueError("not a NumPy array, or its header is damaged") from None
    size = math.prod(shape) * dtype.itemsize
    what = f"array {_short(f'{dtype}{list(shape)}')[1:-1]}"
    if dtype.kind not in "iuf" or len(shape) not in (1, 2) or min(shape) < 0 or size > MAX_BYTES:
        raise ValueError(f"{what}: must be integers or floats of shape [n] or [n, k], at most {MAX_BYTES} bytes")
    data = data[header.tell() :]
    data += file.read(max(size - len(data), 0) + 1)
    if len(data) != size:
        found = "more" if len(data) > size else f"{len(data)}"
        raise ValueError(f"{what}: must be {size} bytes of data, but there are {found}")
    columns = np.ndarray(shape, dtype, data, order="F" if is_fortran else "C")
    columns = columns[:, None] if columns.ndim == 1 else columns
    index = _choose(column, columns.shape[1], None)
    with np.errstate(over="ignore"):
        values = columns[:, index].astype(np.float64)
    is_allowed = np.abs(values) <= MAX_MAGNITUDE
    if not is_allowed.all():
        row = int(np.argmin(is_allowed))
        raise ValueError(f"row {row + 1}, column {_short(name) if name else index}: {values[row]}: {ALLOWED}")
    return values, name


def _read_npz(file: IO[bytes], column: str | int | None) -> tuple[np.ndarray, str]:
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        names = [member.filename.removesuffix(".npy") for member in members]
        if not names:
            raise ValueError("there is no array in the file")
        is_inner = len(names) == 1 and column not in names and _as_index(column) is not None
        which = 0 if is_inner else _choose(column, len(names), names)
        if members[which].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"array {_short(names[which])}: must be uncompressed or deflated, as NumPy writes it")
        with archive.open(members[which]) as array_file:
            return _read_npy(array_file, column if is_inner else None, names[which])


Reader = Callable[[IO[bytes], str | int | None], tuple[np.ndarray, str]]
READERS: dict[str, Reader] = {".csv": _read_csv, ".csv.gz": _read_csv_gz, ".npy": _read_npy, ".npz": _read_npz}
