"""Which columns are in a text with rows, cells and perhaps a header: .csv, .tsv and .txt?"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO

from jgen1d.data import limits, lines, separators
from jgen1d.data.columns import Column, Options, choose, notes_on_values, short
from jgen1d.data.numbers import MISSING, Numbers, has_decimal_commas, is_number

NO_NAME = re.compile(r"[-+]?(nan|inf|infinity|0x[0-9a-f]+)|[\W\d_]*", re.IGNORECASE)
NO_UNIT = re.compile(r"true|false|inf|infinity", re.IGNORECASE)
# A short word, one in brackets, or a sign such as % or °C.
UNIT = re.compile(r"[^\W\d_].{0,19}|[\[(]\D.{0,18}[\])]|[%‰°$€£¥]\D{0,19}")


def read_text(file: IO[bytes], column: str | int | None, options: Options, usual: str) -> Column:
    """Recognises the encoding, the separator and the decimal mark, and reads one column, row by row.

    Args:
      file: the bytes of the text.
      column: a name, an index, or None for the only column.
      options: how to read.
      usual: the separator that such files have, of which no note speaks; empty if there is none.
    """
    dropped: Counter[str] = Counter()
    with lines.opened(file) as (numbered, encoding):
        numbered = itertools.islice(numbered, options.skip_rows, None)
        head, has_more = separators.sample(numbered)
        row, line = head[0] if head else (0, "")
        if re.fullmatch(r"sep=.\s*", line):
            raise ValueError(f"row {row}: {short(line.strip())}: skip_rows={row} leaves the row out")
        separator, sample = separators.recognise(head, has_more, usual or ",", options.decimal, options.comment)
        rows = separators.records(itertools.chain(head, numbered), separator, options.comment)
        rows = lines.without_blanks(rows, options.missing, dropped)
        first = next(rows, None)
        if first is None:
            after = f" after skip_rows={options.skip_rows}" if options.skip_rows else ""
            raise ValueError(f"the file is empty{after}: {limits.AT_LEAST}")
        width = len(first[1])
        has_commas = separator != "," and width > 1
        names = _header(*first, options.decimal or (".," if has_commas else "."))
        _require_split(column, names)
        if names is None and column is None and (width, separator, options.decimal) == (2, ",", None):
            raise ValueError("the number of columns is 2: column must be an index from 0 to 1; or decimal=','")
        index = choose(column, width, names)
        name = "" if names is None else names[index]
        label = short(name) if name else f"{index}"
        numbers = Numbers(options.decimal, has_commas)
        rows = _of_width(rows, first, "" if separator == usual else f" and separated by {separators.NAMES[separator]}")
        units, rows = ("", itertools.chain([first], rows)) if names is None else _units(rows, index, separator)
        num_rows = 0
        for row, cells in rows:
            num_rows += 1
            cell = cells[index].strip(" \t")
            if cell in MISSING and options.missing == "drop":
                dropped["missing"] += 1
            elif cell in MISSING and options.missing == "keep":
                numbers.miss()
            else:
                numbers.add(row, cell, label)
    is_comma_elsewhere = has_commas and has_decimal_commas(cell.strip() for _, cells in sample for cell in cells)
    values, marks, num_large = numbers.result(label, is_comma_elsewhere)
    found = [f"separator {separators.NAMES[separator]}"] if width > 1 and separator != usual else []
    found += [*marks, *([lines.NAMES[encoding]] if encoding in lines.NAMES else [])]
    notes = [", ".join(found)] if found else []
    notes += [units] if units else []
    notes += notes_on_values(num_rows, dropped["missing"], num_large, dropped["blank"])
    return Column(values, name, tuple(notes))


def _header(row: int, cells: list[str], marks: str) -> list[str] | None:
    """The column names, given a file's first row; None if all its cells are numbers, so that it is not a header."""
    cells = [cell.strip() for cell in cells]
    others = {i: cell for i, cell in enumerate(cells) if not is_number(cell, marks)}
    if others and all(NO_NAME.fullmatch(cell) or cell in MISSING for cell in others.values()):
        index, cell = next(iter(others.items()))
        name = "or, in a header, a name with a letter"
        raise ValueError(
            f"row {row}, column {index}: {short(cell)}: {limits.ALLOWED}, {name}; skip_rows={row} leaves the row out"
        )
    return cells if others else None


def _require_split(column: str | int | None, names: list[str] | None) -> None:
    """Raises ValueError if the wanted column is a part of the only one's name."""
    if names is None or len(names) > 1 or not isinstance(column, str):
        return
    for separator, shown in separators.NAMES.items():
        parts = [part.strip() for part in names[0].split(separator)]
        if len(parts) > 1 and column.strip() in parts:
            raise ValueError(
                f"no column {short(column)}: the header {short(names[0])} seems to be separated by {shown}, "
                "but not the rows below it"
            )


def _of_width(rows: Iterator[separators.Record], first: separators.Record, ending: str) -> Iterator[separators.Record]:
    """The rows, of which each must have as many cells as the first."""
    width = len(first[1])
    for row, cells in rows:
        if len(cells) != width:
            hint = separators.comment_hint(cells) or separators.comment_hint(first[1])
            raise ValueError(
                f"row {row}: the number of cells is {len(cells)}: must be {width}, as in row {first[0]}{ending}"
                + (f"; {hint}" if hint else "")
            )
        yield row, cells


def _units(rows: Iterator[separators.Record], index: int, separator: str) -> tuple[str, Iterator[separators.Record]]:
    """A note on the row of units under a header, or an empty string; and the rows that remain."""
    second = next(rows, None)
    if second is None:
        return "", rows
    row, cells = second[0], [cell.strip() for cell in second[1]]
    if cells[index] not in ("", "-") and all(cell in ("", "-") or _is_unit(cell) for cell in cells):
        return f"row {row} {short(separator.join(cells))} taken as units", rows
    return "", itertools.chain([second], rows)


def _is_unit(cell: str) -> bool:
    return UNIT.fullmatch(cell) is not None and cell not in MISSING and not NO_UNIT.fullmatch(cell)
