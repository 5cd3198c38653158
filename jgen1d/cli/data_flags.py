"""Which flags say what to read from a user's file, and which target do their values make?"""

from __future__ import annotations

import functools
import math
import re
import sys
from typing import Any

from absl import flags

from jgen1d import data
from jgen1d.targets import Target

SOURCE_FLAGS = ("data", "column", "columns")
"""The flags of `define_data_flags` that say what is read."""
DATA_FLAGS = ("decimal", "comment", "skip_rows", "missing")
"""Those that say how."""
COLUMN_FLAGS = ("dequantize", "support", "atom")
"""Those that say which target it makes."""


def define_data_flags() -> None:
    """Defines `data`, a file in place of the flag `targets`, `column` or `columns`, and how the file is read."""
    own: dict[str, Any] = {"module_name": sys.argv[0]}
    kinds = ".csv, .tsv, .txt, .jsonl (each also with .gz), .npy, .npz, .parquet, .feather or .arrow"
    flags.DEFINE_string("data", None, f"a file in place of --targets: {kinds}", **own)
    flags.DEFINE_string("column", None, "the column of --data, by name or index", **own)
    flags.DEFINE_list("columns", None, "two columns of --data, for a distribution in the plane: a,b", **own)
    flags.DEFINE_enum("decimal", None, [".", ","], "the decimal mark in a text; default: as recognised", **own)
    flags.DEFINE_string("comment", None, "what comment lines in a text begin with, such as #", **own)
    flags.DEFINE_integer("skip_rows", 0, "lines to leave out at the beginning of a text", lower_bound=0, **own)
    flags.DEFINE_enum("missing", "refuse", ["refuse", "drop"], "what to do with rows that have no value", **own)
    flags.DEFINE_bool("dequantize", None, "spread values over their step, round samples; default: a coarse step", **own)
    flags.DEFINE_string("support", None, "where samples stay: positive, or LOW,HIGH of which HIGH may be inf", **own)
    flags.DEFINE_float("atom", None, "a value that is a probability of its own, such as 0", **own)


def data_notes() -> list[str]:
    """What was recognised in the file in --data, left out of it and made of it; none without a file."""
    found = own_target()
    return [] if found is None else list(found[1])


def own_target() -> tuple[Target, tuple[str, ...]] | None:
    """The target that the flags of `define_data_flags` name, and the notes on it; None if they name none."""
    if "data" not in flags.FLAGS:
        return None
    values = {name: flags.FLAGS[name].value for name in (*SOURCE_FLAGS, *DATA_FLAGS, *COLUMN_FLAGS)}
    path, column, columns = (values.pop(name) for name in SOURCE_FLAGS)
    if path is not None:
        if column is not None and columns is not None:
            raise ValueError(f"--column={column} and --columns={','.join(columns)}: one of them, not both")
        return _read_once(path, column if columns is None else tuple(columns), tuple(values.items()))
    for name in (*SOURCE_FLAGS, *values):
        if flags.FLAGS[name].present:
            raise ValueError(f"--{name} is for the file in --data, which is not set")
    return None


@functools.lru_cache(1)
def _read_once(
    path: str, column: str | tuple[str, ...] | None, how: tuple[tuple[str, Any], ...]
) -> tuple[Target, tuple[str, ...]]:
    values = dict(how)
    shape = {name: values.pop(name) for name in COLUMN_FLAGS}
    shape["support"] = _support(shape["support"])
    try:
        return data.read_target(path, column, data.Options(**values), **shape)
    except ValueError as error:
        # The library's messages name arguments.
        names = "|".join((*SOURCE_FLAGS[1:], *DATA_FLAGS, *COLUMN_FLAGS))
        raise ValueError(re.sub(rf"\b({names})='?([^\s']*)'?", r"--\1=\2", str(error))) from None


def _support(text: str | None) -> tuple[float, float] | None:
    """The ends that --support means."""
    if text is None:
        return None
    try:
        low, high = (0.0, math.inf) if text == "positive" else map(float, text.split(","))
    except ValueError:
        raise ValueError(f"--support={text}: must be positive, or two numbers LOW,HIGH; HIGH may be inf") from None
    return low, high
