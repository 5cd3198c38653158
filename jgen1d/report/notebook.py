"""How do a result and a sweep show themselves: in a few lines of text, or as a table and a picture in a notebook?"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from jgen1d.core import files
from jgen1d.core.names import printable
from jgen1d.evaluation.verdict import VERDICTS, learned
from jgen1d.methods import name_of
from jgen1d.report.stats import rate, spread
from jgen1d.report.table import Table, cell
from jgen1d.report.titles import TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jgen1d.fitting import Result
    from jgen1d.sweeps import Sweep

_FIGURES = ("w1_over_std", "w1_over_floor", "tv", "ks_p", "kl", "modes_covered")
MAX_NAMES, MAX_ROWS = 5, 10
"""Targets that the text names, and rows that a notebook shows."""
_DPI, _MAX_PIXELS = 80, 760
"""Of pictures in a notebook, at most."""


def text_of_result(result: Result) -> str:
    """A run in a few lines."""
    target = result.target
    lines = [
        f"<Result of {printable(name_of(result.method), 60)} on '{printable(target.name, 60)}' "
        f"after {result.steps[-1]:,} steps: {_ending(result)}",
        f"  {result.config!r}",
        f"  {', '.join(f'{TITLES[name]} {text}' for name, text in _figures(result).items())}>",
    ]
    return "\n".join(lines)


def text_of_sweep(sweep: Sweep) -> str:
    """Many runs in a few lines: shares of verdicts over all of them, and medians."""
    names = [printable(target.name, 40) for target in sweep.targets]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    shape = zip(("targets", "configs", "seeds"), sweep.verdict.shape, strict=True)
    counts = {verdict: int((sweep.verdict == verdict).sum()) for verdict in VERDICTS}
    medians = {name: spread(sweep.metrics[name]) for name in ("w1_over_std", "w1_over_floor", "tv")}
    known = ", ".join(f"{TITLES[name]} {cell(value)}" for name, value in medians.items() if value)
    return "\n".join([
        f"<Sweep of {printable(name_of(sweep.method), 60)}: {_counted(dict(shape))}, {sweep.num_steps:,} steps each",
        f"  targets: {', '.join(names[:MAX_NAMES])}{more}",
        f"  learned: {cell(rate(learned(sweep.verdict)))} of {sweep.verdict.size:,} runs",
        f"  verdicts: {', '.join(f'{count:,} {verdict}' for verdict, count in counts.items() if count)}",
        f"  median [5 %, 95 %]: {known or 'nothing is finite'}>",
    ])  # fmt: skip


def html_of_result(result: Result) -> str:
    """A run as a table of a row, and a picture of what it learned beside its target."""

    def draw() -> Figure:
        from jgen1d.report.figures import comparisons

        return comparisons({result.target.name: {name_of(result.method): result}}, _ending(result))

    row = {"target": result.target.name, "method": name_of(result.method), "verdict": _ending(result)}
    titles = {name: TITLES[name] for name in _figures(result)}
    return _page([*row, *titles.values()], [[*row.values(), *_figures(result).values()]], f"{result.config!r}", draw)


def html_of_sweep(sweep: Sweep) -> str:
    """A sweep's table, and a picture of its verdicts, of up to `MAX_ROWS` rows."""
    table = sweep.table()
    shown = Table(table.rows[:MAX_ROWS], table.shown)

    def draw() -> Figure:
        from jgen1d.report import figures

        return figures.verdicts(shown.rows, figures.row_labels(shown.rows))

    titles, columns = zip(*shown.columns(), strict=True)
    left_out = f"; the first {MAX_ROWS} of {len(table):,} rows" if len(table) > MAX_ROWS else ""
    note = f"{name_of(sweep.method)}, {sweep.num_steps:,} steps{left_out}"
    return _page(titles, list(zip(*columns, strict=True)), note, draw)


def _ending(result: Result) -> str:
    return result.verdict + (f" at step {result.diverged_at:,}" if result.diverged_at >= 0 else "")


def _figures(result: Result) -> dict[str, str]:
    """The key metrics that the run has, as text."""
    return {name: f"{result.metrics[name]:.3g}" for name in _FIGURES if name in result.metrics}


def _counted(counts: Mapping[str, int]) -> str:
    return " × ".join(f"{count:,} {name if count > 1 else name.removesuffix('s')}" for name, count in counts.items())


def _page(titles: Sequence[str], rows: Sequence[Sequence[Any]], note: str, draw: Callable[[], Figure]) -> str:
    """A table, a line below it and a picture, as HTML. What names hold is text, whatever it is."""

    def line(tag: str, cells: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(printable(str(text), 60))}</{tag}>" for text in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    table = f"<table><thead>{line('th', titles)}</thead><tbody>{body}</tbody></table>"
    return f"{table}<p>{escape(printable(note, 400))}</p>{_picture(draw)}"


def _picture(draw: Callable[[], Figure]) -> str:
    """The figure as an inline image; a line that says why there is none if it cannot be drawn."""
    try:
        from PIL import Image  # imported here because it, or matplotlib, may be what is broken

        from jgen1d.plots.style import as_png

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a page for each letter that the font lacks, for instance
            figure = draw()
            drawn = as_png(figure, min(_DPI, int(_MAX_PIXELS / max(figure.get_size_inches()))))
        png = io.BytesIO()
        Image.open(io.BytesIO(drawn)).convert("RGB").save(png, "png", optimize=True)
    except Exception as error:  # whatever it is, the table must not be lost with it
        return f"<p>no picture: {escape(printable(f'{type(error).__name__}: {files.one_line(error)}', 200))}</p>"
    return f'<img alt="results" src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'
