"""Which columns are in a table of columns with types: a Parquet or Arrow file, or a table of pandas, polars, pyarrow?

Files need pyarrow, from the extra `data`. What a file claims is checked before memory is taken for it.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType
from typing import IO, Any

import numpy as np

from jgen1d.data import limits
from jgen1d.data.claims import require_arrow_size, require_parquet_size
from jgen1d.data.columns import DAMAGED, Column, Options, choose, finished, short, shown

FILE, FEATHER_1 = b"ARROW1\0\0", b"FEA1"
"""What Arrow's files begin with, and those of the format before it."""
MUST_BE = "must be integers or floats"
TIMES = "; convert times to numbers first, such as the days or seconds since a date"


def read_parquet(file: IO[bytes], column: str | int | None, options: Options) -> Column:
    """Reads one column, if the file's own account of its size is within bounds."""
    with _pyarrow(".parquet") as arrow:
        from pyarrow import parquet

        content = file.read()
        table = parquet.ParquetFile(arrow.BufferReader(content), page_checksum_verification=True)
        names = table.schema_arrow.names
        index, name, is_integer = _choose(arrow, column, table.schema_arrow)
        _require_rows(table.metadata.num_rows)
        require_parquet_size(content, names[index])
        same = [i for i, other in enumerate(names) if other == names[index]]
        parts = []
        for batch in table.iter_batches(columns=[names[index]], use_threads=False):
            which = batch.schema.get_all_field_indices(names[index])[same.index(index)]
            parts.append(batch.column(which).to_numpy(zero_copy_only=False))
            _require_rows(sum(map(len, parts)))
        return _joined(parts, name, is_integer, options)


def read_arrow(file: IO[bytes], column: str | int | None, options: Options) -> Column:
    """Reads one column of a Feather or Arrow file, or of an Arrow stream."""
    content = file.read()
    if content.startswith(FEATHER_1):
        raise ValueError("the file is Feather version 1: must be version 2, which pandas and polars write now")
    with _pyarrow(".feather and .arrow") as arrow:
        source, is_file = arrow.py_buffer(content), content.startswith(FILE)
        opened = arrow.ipc.open_file if is_file else arrow.ipc.open_stream
        with opened(source) as table:
            index, name, is_integer = _choose(arrow, column, table.schema)
        require_arrow_size(arrow, content, is_file)
        with opened(source, options=arrow.ipc.IpcReadOptions(included_fields=[index], use_threads=False)) as table:
            values = table.read_all().column(0)
        values.validate()
        return _joined([values.to_numpy()], name, is_integer, options)


def read_table(table: Any, column: str | int | None, options: Options) -> Column:
    """Reads one column of a DataFrame or a Table, or a Series."""
    # Told by what they can do, because no library of tables is imported for the others' sake.
    if not (hasattr(table, "to_numpy") or hasattr(table, "column_names")) or not hasattr(table, "__len__"):
        kinds = "a path, or a table or column of pandas, polars or pyarrow"
        raise ValueError(f"must be {kinds}; for arrays there is targets.empirical")
    names = getattr(table, "column_names", getattr(table, "columns", None))
    name = getattr(table, "name", None)
    if names is not None:
        names = list(names)
        name = names[choose(column, len(names), [str(one).strip() for one in names])]
        if names.count(name) > 1:
            raise ValueError(
                f"{names.count(name)} columns have the name {shown(name)}: each must have a name of its own"
            )
        table = table[name]
    elif column is not None:
        raise ValueError(f"column={shown(column)}: is for tables, but this is a single column")
    name = "" if name is None else str(name)
    interfaces = [one for one in ("__arrow_c_stream__", "__arrow_c_array__") if hasattr(table, one)]
    if interfaces and importlib.util.find_spec("pyarrow"):
        with _pyarrow("a table", f"column {short(name)} has no type that Arrow knows") as arrow:
            values = arrow.chunked_array(table) if interfaces[0] == "__arrow_c_stream__" else arrow.array(table)
            _require_numbers(arrow, name, values.type)
            _require_rows(len(values))
            return _joined([values.to_numpy(zero_copy_only=False)], name, arrow.types.is_integer(values.type), options)
    values = np.asarray(table.to_numpy())
    if values.dtype.kind not in "iuf" or values.ndim != 1:
        end = TIMES if values.dtype.kind in "mM" else ""
        raise ValueError(f"column {short(name)} has the type {values.dtype}: {MUST_BE}{end}")
    _require_rows(len(values))
    return _joined([values], name, values.dtype.kind in "iu", options)


@contextlib.contextmanager
def _pyarrow(what: str, problem: str = DAMAGED) -> Iterator[ModuleType]:
    """The library, and one line for its errors that says what the problem is."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise ValueError(f'reading {what} needs pyarrow: pip install "jgen1d[data]"') from None
    try:
        yield pyarrow
    except (pyarrow.ArrowException, LookupError, UnicodeDecodeError) as error:
        raise ValueError(f"{problem}: {short(' '.join(str(error).split()))}") from None


def _choose(arrow: ModuleType, column: str | int | None, schema: Any) -> tuple[int, str, bool]:
    """The column's index in a table, its name, and whether it holds integers."""
    names = [name.strip() for name in schema.names]
    index = choose(column, len(names), names)
    kind = schema.field(index).type
    _require_numbers(arrow, names[index], kind)
    return index, names[index], arrow.types.is_integer(kind)


def _require_numbers(arrow: ModuleType, name: str, kind: Any) -> None:
    if not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind)):
        end = TIMES if arrow.types.is_temporal(kind) else ""
        raise ValueError(f"column {short(name)} has the type {short(str(kind))[1:-1]}: {MUST_BE}{end}")


def _require_rows(num_rows: int) -> None:
    if num_rows > limits.MAX_BYTES // 8:
        raise ValueError(f"the number of rows is {num_rows}: at most {limits.MAX_BYTES // 8} are allowed")


def _joined(parts: list[np.ndarray], name: str, is_integer: bool, options: Options) -> Column:
    values = np.concatenate(parts) if parts else np.zeros(0)
    return finished(values, name, short(name) if name else "0", options.missing, is_integer)
