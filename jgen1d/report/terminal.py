"""How does a table look where a person reads it? As many columns as fit, titles on several lines, and colours."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import IO, Any

from jgen1d.core.names import shorten
from jgen1d.report.table import OUTCOME, Table, align, labels

FIRST = ("learned", "at_equilibrium", "w1_over_floor", "converged", "all_modes_covered", "modes_covered", *OUTCOME)
"""What is shown first where there is no room for all."""
LONGEST_LABEL = 24
"""Characters of what was run, where there is no room for all columns."""
BOLD, GREEN, RED, RESET = "\033[1m", "\033[32m", "\033[31m", "\033[0m"
_SHARE = re.compile(r"(\d+)% \[\d+–\d+\]")


def shown(table: Table, stream: IO[str], columns: str | None = None) -> str:
    """The text of a table for a stream.

    Args:
      table: what to show.
      stream: where it goes. On a terminal titles are bold, and shares of seeds are green from a half on and else red,
        unless the variable NO_COLOR is set or the terminal is a dumb one.
      columns: `fit` for those that fit the terminal, `all`, or None for `fit` on a terminal and `all` elsewhere, where
        a program may read it.
    """
    in_terminal = stream.isatty()
    text = str(table)
    if columns == "fit" or (columns is None and in_terminal):
        text = fitted(table, shutil.get_terminal_size().columns)
    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return coloured(text) if in_terminal and not is_plain else text


def fitted(table: Table, width: int) -> str:
    """The table with as many columns as fit, the most important first, and a line that says what is left out."""
    titles = [title for title, _ in table.columns()]
    if _width(text := _aligned(table)) <= width:
        return text
    rows = [{k: shorten(v, LONGEST_LABEL) if isinstance(v, str) else v for k, v in row.items()} for row in table]
    named = labels(table[0])
    names = [name for name in table.shown or table[0] if name not in named]
    names = ["learned" if name == "verdicts" and "learned" in table[0] else name for name in names]
    kept: list[str] = []
    for name in sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), names.index(name))):
        tried = [one for one in names if one in (*kept, name)]
        if _width(_aligned(_with(table, rows, tried))) <= width:
            kept = tried
    small = _with(table, rows, kept)
    count = len(titles) - len(list(small.columns()))
    return f"{_aligned(small)}\n\n{count} columns more with --table=all" if count > 0 else _aligned(small)


def coloured(text: str) -> str:
    """A table's text with bold titles, and in the rows below shares of seeds in green and red."""
    head, rule, body = re.split(r"^(-+)$", text, maxsplit=1, flags=re.MULTILINE)
    bold = "\n".join(f"{BOLD}{line}{RESET}" if line else line for line in head.split("\n"))
    return bold + rule + _SHARE.sub(lambda share: f"{GREEN if int(share[1]) >= 50 else RED}{share[0]}{RESET}", body)


def _with(table: Table, rows: list[dict[str, Any]], shown: Sequence[str]) -> Table:
    return dataclasses.replace(table, rows=rows, shown=tuple(shown))


def _aligned(table: Table) -> str:
    """The table with titles that are broken where that makes a column narrower."""
    titles, columns = zip(*table.columns(), strict=True)
    widths = [max(map(len, (*cells, *title.split()))) for title, cells in zip(titles, columns, strict=True)]
    broken = [textwrap.wrap(title, width) for title, width in zip(titles, widths, strict=True)]
    lines = list(zip_longest(*(reversed(one) for one in broken), fillvalue=""))[::-1]
    return align(lines, list(zip(*columns, strict=True)), len(labels(table[0])))


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))
