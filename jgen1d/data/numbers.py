"""Which numbers do a column's cells stand for, with which decimal mark and thousands separator?

Both marks are tried on every cell: `1.5` has a decimal point, `1,5` a decimal comma, `1,234.5` and `1.234,5` groups of
thousands, and `1,234` alone leaves it open.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable

import numpy as np

from jgen1d.data import limits
from jgen1d.data.columns import short

MISSING = {"", "NA", "na", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "Null", "null", "None", "none", "-", "?"}
"""Cells that stand for no value."""
GROUPS = {",": "','", ".": "'.'", "'": "apostrophe", "’": "apostrophe", "\u00a0": "no-break space",
          "\u2009": "thin space", "\u202f": "narrow no-break space"}  # fmt: skip
"""Thousands separators, and their names."""
ANY_MARK = re.compile(f"[{''.join(GROUPS)}]")
NAMES = {".": "decimal point", ",": "decimal comma"}


def _plain(mark: str) -> re.Pattern[str]:
    # Python's float() also takes "1_000", "nan" and other scripts' digits.
    return re.compile(rf"[-+]?([0-9]+(\{mark}[0-9]*)?|\{mark}[0-9]+)([eE][-+]?[0-9]+)?")


def _grouped(mark: str) -> re.Pattern[str]:
    separators = "".join(group for group in GROUPS if group != mark)
    return re.compile(rf"[-+]?[1-9][0-9]{{0,2}}([{separators}])[0-9]{{3}}(\1[0-9]{{3}})*(\{mark}[0-9]*)?")


PLAIN, GROUPED = ({mark: pattern(mark) for mark in ".,"} for pattern in (_plain, _grouped))


def is_number(cell: str, marks: str) -> bool:
    """Whether a cell is a number with one of these decimal marks."""
    return any(PLAIN[mark].fullmatch(cell) or GROUPED[mark].fullmatch(cell) for mark in marks)


class _Reading:
    """A column's cells, read with one decimal mark as long as they can be."""

    def __init__(self, mark: str):
        self.mark, self.group, self.values, self.num_large = mark, "", array("d"), 0

    def add(self, cell: str) -> bool:
        """Whether the cell is a number that goes with those before it."""
        digits = cell
        if not PLAIN[self.mark].fullmatch(cell):
            match = GROUPED[self.mark].fullmatch(cell)
            if not match or self.group not in ("", match[1]):
                return False
            self.group = match[1]
            digits = cell.replace(self.group, "")
        value = float(digits if self.mark == "." else digits.replace(",", "."))
        if not -limits.MAX_EXACT < value < limits.MAX_EXACT:
            if abs(value) > limits.MAX_MAGNITUDE:
                return False
            self.num_large += digits.lstrip("+-").isdigit()
        self.values.append(value)
        return True


class Numbers:
    """The values of a column of text, cell by cell.

    Args:
      decimal: the decimal mark; None for whichever all cells have.
      allows_comma: whether a decimal comma may be recognised.
    """

    def __init__(self, decimal: str | None, allows_comma: bool):
        self._allowed = decimal or ".,"[: 1 + allows_comma]
        self._is_given = decimal is not None
        self._readings = {mark: _Reading(mark) for mark in decimal or ".,"}
        # As long as no cell has a mark, all readings are the same, and one is enough.
        self._enough: _Reading | None = next(iter(self._readings.values()))
        self._open: tuple[int, str] | None = None
        self._lost: dict[str, tuple[int, str]] = {}

    def add(self, row: int, cell: str, label: str) -> None:
        """Takes the next cell. Raises ValueError if it is no number, or written in another way than those before it."""
        is_settled = len(self._readings) == 1
        if self._enough and (is_settled or not ANY_MARK.search(cell)) and self._enough.add(cell):
            return
        if self._enough and not is_settled:
            self._readings[","].values, self._readings[","].num_large = self._enough.values[:], self._enough.num_large
            self._enough = None
        kept = {mark: reading for mark, reading in self._readings.items() if reading.add(cell)}
        if not any(mark in kept for mark in self._allowed):
            what = short(cell) if cell else "empty cell"
            raise ValueError(f"row {row}, column {label}: {what}: {limits.ALLOWED}{self._hint(cell)}")
        for mark in self._readings.keys() - kept:
            self._lost[mark] = (row, cell)
        self._readings = kept
        self._enough = next(iter(kept.values())) if len(kept) == 1 else self._enough
        if len(kept) == 2 and not self._open and kept["."].values[-1] != kept[","].values[-1]:
            self._open = (row, cell)

    def miss(self) -> None:
        """Takes a missing value, as NaN."""
        for reading in [self._enough] if self._enough else self._readings.values():
            reading.values.append(math.nan)

    def _hint(self, cell: str) -> str:
        """What to do about a cell that is refused."""
        if cell in MISSING:
            return limits.HOW_TO_DROP
        others = [mark for mark in ".," if mark not in self._readings and is_number(cell, mark)]
        if lost := [self._lost[mark] for mark in others if mark in self._allowed]:
            row, earlier = lost[0]
            return f", written in the same way as {short(earlier)} in row {row}"
        helps = [mark for mark in (others if self._is_given else self._readings) if is_number(cell, mark)]
        return f"; decimal={helps[0]!r} reads it as a number" if helps else ""

    def result(self, label: str, has_commas: bool) -> tuple[np.ndarray, list[str], int]:
        """The values, what was recognised in them, and how many are integers that float64 does not hold.

        Args:
          label: the column as errors show it.
          has_commas: whether other columns have decimal commas.
        """
        mark = next(mark for mark in self._allowed if mark in self._readings)
        reading = self._readings[mark]
        if self._open and "," in self._readings and "." in self._readings and (reading.group or has_commas):
            row, cell = self._open
            raise ValueError(
                f"row {row}, column {label}: {short(cell)} has a decimal mark or a thousands separator: "
                "decimal='.' or decimal=',' must say which"
            )
        notes = [NAMES[mark]] if mark == "," else []
        if reading.group:
            notes.append(f"thousands separator {GROUPS[reading.group]}")
        return np.array(reading.values), notes, reading.num_large


def has_decimal_commas(cells: Iterable[str]) -> bool:
    """Whether a cell can only be a number with a decimal comma."""
    return any(is_number(cell, ",") and not is_number(cell, ".") for cell in cells)
