"""What separates the cells of a text, and what are its rows?

The first lines are split in every way. One that gives all rows the same number of cells, at least two, is taken; of
several, that whose cells are more often numbers.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from jgen1d.data.columns import short
from jgen1d.data.numbers import is_number

NAMES = {",": "','", ";": "';'", "\t": "tab", "|": "'|'", " ": "blanks"}
"""The separators, and what notes and errors call them. Blanks are runs of spaces and tabs."""
SAMPLE_LINES, SAMPLE_CHARACTERS = 100, 2**20
"""Of the lines that are looked at."""

Line = tuple[int, str]
Record = tuple[int, list[str]]


def records(lines: Iterable[Line], separator: str, comment: str | None) -> Iterator[Record]:
    """The rows of a text, each with the number of its first line; without cells for a blank line.

    Comments are whole lines, outside of quotes.
    """
    row, begins = 0, True

    def fed() -> Iterator[str]:
        nonlocal row, begins
        for number, line in lines:
            if begins and comment and line.lstrip().startswith(comment):
                continue
            row, begins = (number if begins else row), False
            yield re.sub("[ \t]+", " ", line.strip()) if separator == " " else line

    reader = csv.reader(fed(), delimiter=separator, strict=True)
    try:
        for cells in reader:
            # A quoted empty cell, [""], is a missing value, not a blank line.
            yield row, [] if len(cells) == 1 and cells[0].isspace() else cells
            begins = True
    except csv.Error as error:
        problem = str(error).replace("'\t'", "a tab")
        raise ValueError(f"row {row}: not valid CSV: {problem}") from None


def sample(lines: Iterator[Line]) -> tuple[list[Line], bool]:
    """The first lines, and whether there are more."""
    taken, size = [], 0
    for line in lines:
        taken.append(line)
        size += len(line[1])
        if len(taken) >= SAMPLE_LINES or size >= SAMPLE_CHARACTERS:
            return taken, True
    return taken, False


def recognise(
    lines: Sequence[Line], has_more: bool, usual: str, decimal: str | None, comment: str | None
) -> tuple[str, list[Record]]:
    """The separator of these lines, and their rows; the usual one if they are a single column, or if none fits.

    Raises:
      ValueError: if one fits all rows but the first.
    """
    known = [usual, *(one for one in NAMES if one != usual)]  # the usual one wins a tie
    if decimal == "," and not any('"' in line for _, line in lines):
        known.remove(",")  # it could separate numbers in quotes only
    candidates = {one: _split(lines, has_more, one, comment) for one in known}
    fits = {one: rows for one, (rows, is_whole) in candidates.items() if is_whole and _is_table(rows)}
    if fits:
        best = max(fits, key=lambda one: _share_of_numbers(fits[one]))
        return best, fits[best]
    for one, (rows, is_whole) in candidates.items():
        start = next((i for i, (_, cells) in enumerate(rows) if len(cells) > 1 and not comment_hint(cells)), 0)
        if is_whole and start and len(rows) > start + 1 and _is_table(rows[start:]):
            (first, cells), row = rows[0], rows[start][0]
            raise ValueError(
                f"row {first}: {short(cells[0])}: the cells seem to be separated by {NAMES[one]}, "
                f"but only from row {row} on; {comment_hint(cells) or f'skip_rows={row - 1} leaves out what is before'}"
                + ("; decimal=',' if these are decimal commas" if one == "," else "")
            )
    # A single column has no more than a separator by chance; a table with a few wrong rows has many.
    usual, shares = known[0], {one: _share_as_the_first(rows) for one, (rows, _) in candidates.items()}
    best = max(shares, key=lambda one: shares[one])
    best = best if shares[best] >= 0.5 else usual
    return best, candidates[best][0]


def comment_hint(cells: Sequence[str]) -> str:
    """What to do about a row if it looks like a comment."""
    mark = cells[0].strip()[:1] if cells else ""
    return f"comment={mark!r} leaves such lines out" if mark in ("#", "%") else ""


def _split(lines: Sequence[Line], has_more: bool, separator: str, comment: str | None) -> tuple[list[Record], bool]:
    """The rows before the first that is not valid, and whether that is all."""
    rows: list[Record] = []
    try:
        rows.extend(record for record in records(lines, separator, comment) if record[1])
    except ValueError:
        return rows, False
    return rows[:-1] if has_more and len(rows) > 1 else rows, True  # the last may go on


def _is_table(rows: Sequence[Record]) -> bool:
    widths = {len(cells) for _, cells in rows}
    return len(widths) == 1 and widths != {1}


def _share_as_the_first(rows: Sequence[Record]) -> float:
    """Of the rows after the first, how many have as many cells; none if the first has one cell."""
    if len(rows) < 2 or len(rows[0][1]) == 1:
        return 0.0
    return sum(len(cells) == len(rows[0][1]) for _, cells in rows[1:]) / (len(rows) - 1)


def _share_of_numbers(rows: Sequence[Record]) -> float:
    cells = list(itertools.chain.from_iterable(cells for _, cells in rows[1:] or rows))
    return sum(is_number(cell.strip(), ".,") for cell in cells) / len(cells)
