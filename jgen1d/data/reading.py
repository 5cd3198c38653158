"""How does a user's column of numbers, or a pair of columns, become a target?

A column is read exactly or refused. What is recognised in a file, such as a separator, a decimal comma, an encoding or
a row of units, and what is left out because the caller said so, is told in notes. Nothing is filled in or guessed.
"""

from __future__ import annotations

import functools
import gzip
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import IO, Any, cast

import numpy as np

from jgen1d import targets
from jgen1d.data import arrays, limits
from jgen1d.data.arrays import read_npy, read_npz
from jgen1d.data.columns import Column, Options, errors_that_name, require_integer, short
from jgen1d.data.facts import make_target
from jgen1d.data.json_lines import read_jsonl
from jgen1d.data.pairs import Name, planar_target, read_pair, require_spread
from jgen1d.data.tables import read_arrow, read_parquet, read_table
from jgen1d.data.text import read_text

Columns = Name | tuple[Name, ...] | list[Name] | None
Reader = Callable[[IO[bytes], str | int | None, Options], Column]
DEFAULTS = Options()


def read(
    source: str | os.PathLike[str] | Any,
    column: Columns = None,
    *,
    num_samples: int | None = None,
    seed: int = 0,
    decimal: str | None = None,
    comment: str | None = None,
    skip_rows: int = 0,
    missing: str = "refuse",
    dequantize: bool | None = None,
    support: tuple[float, float] | None = None,
    atom: float | None = None,
) -> targets.Target:
    """Reads a column of numbers and returns the distribution of that sample (see `targets.empirical`).

    The target is named after the column, or after the file if the column has no name. Two columns make a distribution
    in the plane. A file `.npy` or `.npz` whose only array is [n, length], length ≥ 3, holds signals, a row each, unless
    a column is named (see `targets.signals`).

    Args:
      source: a file or a table (see `read_column`).
      column: a name, or an index from 0; a pair of them for two columns; None for the only column.
      num_samples: the size of a random subset without replacement, from 2 to the number of values; None for all values.
      seed: the seed of the subset, from 0 to 2⁶⁴ − 1.
      decimal: see `read_column`, as for all that follow.
      comment: what comment lines begin with.
      skip_rows: the number of lines to leave out at the beginning.
      missing: refuse or drop.
      dequantize: see `facts.make_target`, as for all that follow.
      support: (low, high), between which samples stay.
      atom: a value that is a probability of its own.

    Raises:
      ValueError: in one line, for everything that `read_column` refuses, for a subset that cannot be drawn, and for
        values that no continuous model learns.
    """
    how = Options(decimal, comment, skip_rows, missing)
    shape = {"dequantize": dequantize, "support": support, "atom": atom}
    return read_target(source, column, how, num_samples, seed, **shape)[0]


def read_target(
    source: str | os.PathLike[str] | Any,
    column: Columns = None,
    how: Options = DEFAULTS,
    num_samples: int | None = None,
    seed: int = 0,
    **options: Any,
) -> tuple[targets.Target, tuple[str, ...]]:
    """What `read` returns, and what was recognised, left out and done, in sentences. The options are as there."""
    if column is None and how == DEFAULTS:
        signals = _read_signals(source, {"num_samples": num_samples, **options})
        if signals is not None:
            return signals, ()
    found = read_with_notes(source, column, how)
    with errors_that_name(source):
        target, notes = as_target(found, num_samples, seed, **options)
    return target, (*found.notes, *notes)


def _read_signals(source: str | os.PathLike[str] | Any, options: Mapping[str, Any]) -> targets.Target | None:
    """The target of a file of signals; None for a file of columns, and for what is no file of NumPy's.

    Args:
      source: a file or a table.
      options: those that are of columns alone, by name; None for what is not given.

    Raises:
      ValueError: in one line, for what `targets.signals` refuses, and for options that are given.
    """
    if not isinstance(source, str | os.PathLike):
        return None
    path = pathlib.Path(source)
    if not path.is_file() or path.suffix.lower() not in (".npy", ".npz") or path.stat().st_size > limits.MAX_BYTES:
        return None  # the reader of columns says what is wrong
    with errors_that_name(source):
        found = arrays.read_signals(path)
        if found is None:
            return None
        for name, value in options.items():
            if value is not None:
                raise ValueError(f"{name}={value} is of a column, but the file holds signals {list(found.shape)}")
        return targets.signals(found, name=path.stem)


def as_target(
    column: Column, num_samples: int | None = None, seed: int = 0, **options: Any
) -> tuple[targets.Target, tuple[str, ...]]:
    """The distribution of a column's values, or of a random subset of them (see `read`), and what was done and found.

    The options are those of `facts.make_target`.
    """
    values = column.values
    if num_samples is not None:
        require_integer("num_samples", num_samples, 2, len(values))
        require_integer("seed", seed, 0, 2**64 - 1)
        values = np.random.default_rng(seed).choice(values, num_samples, replace=False)
        _require_spread(values, column.name, f"num_samples={num_samples}, seed={seed}: ")
    return (make_target if values.ndim == 1 else planar_target)(values, column.name, **options)


def read_column(
    source: str | os.PathLike[str] | Any,
    column: Columns = None,
    *,
    decimal: str | None = None,
    comment: str | None = None,
    skip_rows: int = 0,
    missing: str = "refuse",
) -> np.ndarray:
    """Reads a column of numbers.

    - `.csv`, `.tsv`, `.txt`, also with `.gz`: a single column, or cells between commas, semicolons, tabs, `|` or
      blanks; double quotes; UTF-8, UTF-16 or Windows-1252. The first row is a header if one of its cells is not a
      number. If such a cell has no letter, as in `1_000` or `2020-01-01`, it could be a name or data: the file is
      refused. A row of units may follow the header. Only the chosen column needs to hold numbers. They may have a
      decimal comma, where commas do not separate cells, and thousands separators.
    - `.jsonl`, also with `.gz`: a number or an object on each line; the objects' names are the columns.
    - `.npy`: integers or floats of shape [n] or [n, k].
    - `.npz`: its arrays are the columns; if it has a single array [n, k], an index means a column of that array.
    - `.parquet`, `.feather`, `.arrow`: a column of integers or floats. Needs the extra `data`.
    - a DataFrame, a Series or a Table of pandas, polars or pyarrow, in place of a file.

    Args:
      source: a file of at most `limits.MAX_BYTES`, also after decompression, or a table.
      column: a name; or an index from 0, also as a string if no column has that name; a pair of them for two columns;
        None for the only column.
      decimal: the decimal mark in a text, "." or ","; None to recognise it, and to refuse a column such as `1,234` that
        leaves it open.
      comment: what comment lines in a text begin with, such as "#"; None if there are none.
      skip_rows: the number of lines to leave out at the beginning of a text.
      missing: whether to "refuse" or to "drop" missing values: empty cells and blank lines, NA, NaN, null and the like.

    Returns:
      float64[n], n ≥ 2, or of two columns float64[n, 2]: finite and not all equal, in the file's order.

    Raises:
      ValueError: in one line, with the file, the row (from 1; in a text file, the line), the column, the value and what
        is allowed.
    """
    return read_with_notes(source, column, Options(decimal, comment, skip_rows, missing)).values


def read_with_notes(
    source: str | os.PathLike[str] | Any, column: Columns = None, options: Options = DEFAULTS
) -> Column:
    """Reads what `read_column` does, and says what was recognised and what was left out."""
    with errors_that_name(source):
        options.check()
        read = functools.partial(_read_one, source)
        found = read_pair(read, column, options) if isinstance(column, tuple | list) else read(column, options)
        _require_spread(found.values, found.name)
    return found


def _read_one(source: Any, column: Name | None, options: Options) -> Column:
    if isinstance(source, str | os.PathLike):
        return _read_file(pathlib.Path(source), column, options)
    options.require_text(False)
    found = read_table(source, column, options)
    return found._replace(name=found.name or "data")


def _read_file(path: pathlib.Path, column: str | int | None, options: Options) -> Column:
    suffix = next((s for s in READERS if path.name.lower().endswith(s)), "")
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("not a file" + (" but a directory" if path.is_dir() else ""))
    if not suffix:
        raise ValueError(f"file name extension {short(path.suffix)}: must be one of {', '.join(READERS)}")
    if size > limits.MAX_BYTES:
        raise ValueError(f"the file has {size} bytes: at most {limits.MAX_BYTES} are allowed")
    options.require_text(suffix.removesuffix(".gz") in SEPARATORS)
    with path.open("rb") as file:
        found = READERS[suffix](file, column, options)
    return found._replace(name=found.name or path.name[: -len(suffix)])


def _require_spread(values: np.ndarray, name: str, where: str = "") -> None:
    if values.ndim == 2:
        return require_spread(values, name, where)
    if len(values) < 2:
        raise ValueError(f"{where}the number of values is {len(values)}: {limits.AT_LEAST}")
    if np.ptp(values) == 0:
        raise ValueError(f"{where}all {len(values)} values are {values[0]:g}: {limits.AT_LEAST}")


def _decompressed(reader: Reader) -> Reader:
    """A reader of files that gzip has compressed."""

    def read_gz(file: IO[bytes], column: str | int | None, options: Options) -> Column:
        with gzip.GzipFile(fileobj=file) as content:
            return reader(cast(IO[bytes], content), column, options)

    return read_gz


SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": ""}
"""Which one such a file usually has."""
TEXTS: dict[str, Reader] = {
    **{suffix: functools.partial(read_text, usual=usual) for suffix, usual in SEPARATORS.items()}, ".jsonl": read_jsonl
}  # fmt: skip
READERS = {
    **TEXTS, **{f"{suffix}.gz": _decompressed(reader) for suffix, reader in TEXTS.items()},
    ".npy": read_npy, ".npz": read_npz, ".parquet": read_parquet, ".feather": read_arrow, ".arrow": read_arrow,
}  # fmt: skip
