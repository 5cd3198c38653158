"""Which columns are in a .jsonl file, with a number or an object of numbers on each line?"""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from typing import IO, Any

import numpy as np

from jgen1d.data import limits, lines
from jgen1d.data.columns import Column, Options, choose, notes_on_values, short

EXAMPLE = 'must be a number, or an object such as {"x": 1.5}, as JSON on one line'


def read_jsonl(file: IO[bytes], column: str | int | None, options: Options) -> Column:
    """Reads the objects' values of one name, line by line; the first object has the names of all columns."""
    dropped: Counter[str] = Counter()
    values, num_rows, num_large = array("d"), 0, 0
    names: list[str] | None = None
    label = name = ""
    with lines.opened(file) as (numbered, encoding):
        stripped = ((row, line.strip()) for row, line in numbered)
        for row, line in lines.without_blanks(stripped, options.missing, dropped):
            found = _parsed(row, line)
            num_rows += 1
            if num_rows == 1:
                names = list(found) if isinstance(found, dict) else None
                if names == []:
                    raise ValueError(f"row {row}: {short(line)}: {EXAMPLE}")
                index = choose(column, 1 if names is None else len(names), names)
                name = "" if names is None else names[index]
                label = short(name) if name else f"{index}"
            if isinstance(found, dict) != (names is not None):
                raise ValueError(f"row {row}: {short(line)}: must be {'a number' if names is None else 'an object'}")
            value: Any = found.get(name) if isinstance(found, dict) else found
            is_missing = value is None or (isinstance(value, float) and math.isnan(value))
            if is_missing and options.missing != "refuse":
                if options.missing == "drop":
                    dropped["missing"] += 1
                else:
                    values.append(math.nan)
                continue
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not abs(value) <= limits.MAX_MAGNITUDE:
                what = "no value" if isinstance(found, dict) and name not in found else short(json.dumps(value))[1:-1]
                end = limits.HOW_TO_DROP if is_missing else ""
                raise ValueError(f"row {row}, column {label}: {what}: {limits.ALLOWED}{end}")
            num_large += isinstance(value, int) and abs(value) >= limits.MAX_EXACT
            values.append(value)
    if not num_rows:
        raise ValueError(f"the file is empty: {limits.AT_LEAST}")
    notes = [lines.NAMES[encoding]] if encoding in lines.NAMES else []
    notes += notes_on_values(num_rows, dropped["missing"], num_large, dropped["blank"])
    return Column(np.array(values), name, tuple(notes))


def _parsed(row: int, line: str) -> Any:
    try:
        found = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise ValueError(f"row {row}: {short(line)}: {EXAMPLE}") from None
    if isinstance(found, str | list | bool):
        raise ValueError(f"row {row}: {short(line)}: {EXAMPLE}")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no name may come twice."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)
