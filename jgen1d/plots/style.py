"""What do all figures have in common? Colours, axes, legends, and how what is not finite is left out.

All figures read alike: colour is learnt, dark grey is real, dashed is exact (an optimum, a target, a threshold; if a
panel has several, each in its own colour). Values that are not finite or far outside the axis are left out, and a note
says how many. Nothing in `plots` trains, shows a window, or touches pyplot's global state.
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from jgen1d.core import files
from jgen1d.core.names import in_picture

# Okabe and Ito's colour-blind safe palette (2008), without the yellow and the black.
BLUE, RED, GREEN, PINK, ORANGE, SKY = PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REAL = "#333333"
VERDICT_COLORS = {"indistinguishable": BLUE, "converged": GREEN, "false_equilibrium": ORANGE, "mode_collapse": PINK}
VERDICT_COLORS |= {"oscillating": SKY, "not_converged": "#BBBBBB", "diverged": "#444444"}
# Name of a curve -> its label in the legend (empty for none) and its colour.
CURVE_STYLES = {
    "loss_g": ("generator", BLUE),
    "loss_d": ("discriminator", RED),
    "d_real": ("real x", RED),
    "d_fake": ("generated x", BLUE),
    "mean": ("mean", BLUE),
    "std": ("std", GREEN),
    "w1_over_std": ("", BLUE),
}
_CONSTANTS = {"½": 0.5, "log 2": np.log(2), "2·log 2": np.log(4), "−log 2": -np.log(2), "−2·log 2": -np.log(4)}
LOGARITHMIC = ("W1/σ", "Fréchet/floor")
"""Units whose axes are."""
_LETTER_WIDTH = 0.073
"""About that of a letter in a legend, in inches."""
Curves = Mapping[str, ArrayLike]
Exact = Mapping[str, float | None]
Intervals = Mapping[str, Sequence[ArrayLike]]
Panels = Mapping[str, Curves]
Floats = NDArray[np.float64]
Keys = Mapping[str, tuple[str, str]]
"""Text in the legend -> a marker (a blank for none) followed by a line style, and a colour."""
Series = tuple[str, str, Floats, float | None]
"""Label, colour, values over steps (f[1, E], or low, middle and high, f[3, E]), and their exact value."""


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes the figure to `path` as PNG, whole or not at all."""
    files.write(Path(path), as_png(figure))


def as_png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as PNG with so many dots per inch."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=dpi)
    return png.getvalue()


def as_gif(frames: Sequence[Image.Image], milliseconds: int, hold: int) -> bytes:
    """The frames as a GIF that goes round, each for so long, and the last one for `hold` milliseconds."""
    gif = io.BytesIO()
    durations = [milliseconds] * (len(frames) - 1) + [hold]
    frames[0].save(gif, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return gif.getvalue()


class Picture(Figure):
    """A figure that notebooks show, whether or not pyplot has been imported."""

    def _repr_png_(self) -> bytes:
        return as_png(self, 65)


def finite_or_nan(values: ArrayLike | None) -> Floats:
    """The values as floats, infinite ones replaced by NaN."""
    return np.where(np.isfinite(array := np.asarray(values, float)), array, np.nan)


def lost_note(rows: Floats, things: str) -> str:
    """A line for a title that says how many of the rows are not finite, or an empty string."""
    lost = int((~np.isfinite(rows)).any(axis=1).sum())
    return f"\n{lost:,} of {len(rows):,} {things} not finite" if lost else ""


def axes_for(title: str, count: int, columns: int, size: tuple[float, float], keys: Keys) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes in rows of `columns`, and a legend below them.

    Args:
      title: of the figure.
      count: the number of axes, at least 1.
      columns: axes in each row; 0 to choose a number that leaves few cells empty.
      size: width and height of one cell in inches.
      keys: the legend's entries. Without a legend, the first axes of two rows also fill a cell that would be empty.
    """
    # Three at most, so that letters can be read where the figure is as wide as a page.
    columns = columns or (count if count <= 3 else min((3, 2), key=lambda candidate: -count % candidate))
    rows = -(-count // columns)
    figure = Picture(figsize=(max(5.0, size[0] * columns), size[1] * rows + 0.6), layout="constrained")
    figure.suptitle(in_picture(title, 300), fontsize=12, wrap=True)
    grid = figure.add_gridspec(rows, columns)
    cells = [grid[i // columns, i % columns] for i in range(rows * columns)]
    if keys:
        handles = [Line2D([], [], color=color, marker=mark[0], linestyle=mark[1:]) for mark, color in keys.values()]
        names = [in_picture(name) for name in keys]
        fit = int(figure.get_figwidth() / (0.4 + _LETTER_WIDTH * max(map(len, names))))
        figure.legend(handles, names, loc="outside lower center", ncols=max(1, fit), frameon=False, fontsize=9)
    elif rows == 2 and len(cells) == count + 1:
        cells = [grid[:, 0], *(cell for i, cell in enumerate(cells) if i % columns)]
    return figure, [figure.add_subplot(cell) for cell in cells[:count]]


def over_steps(
    ax: Axes, title: str, unit: str, steps: ArrayLike, series: list[Series], pool: list[Series], note: str = ""
) -> None:
    """Draws curves over training steps, with their exact values dashed and named at the right.

    Args:
      ax: the axes to draw on.
      title: of the axes.
      unit: label of the y-axis, which is logarithmic for some (`LOGARITHMIC`) and runs from 0 to 1 for "mean of D(x)".
      steps: i[E].
      series: the curves to draw.
      pool: the curves of all panels that share the y-axis.
      note: lines below the title, as `lost_note` writes them.
    """
    x, log, exact, beyond = np.asarray(steps, float), unit in LOGARITHMIC, dict[float, str](), 0.0
    goals, drawn = np.array([one[3] for one in pool], float), np.concatenate([one[2].ravel() for one in pool])
    goals, drawn = (np.log10(values[values > 0]) if log else values for values in (goals, drawn))
    drawn = drawn[np.isfinite(drawn)]
    # A spike or a divergence must not flatten the rest, so the axis ends 3 ranges of 5–95 % away.
    lower, upper = np.percentile(drawn, (5, 95)) if drawn.size else (0.0, 0.0)
    reach = 3 * (upper - lower) or np.inf
    kept = np.concatenate([goals[np.isfinite(goals)], drawn[(drawn >= lower - reach) & (drawn <= upper + reach)]])
    low, high = (kept.min(), kept.max()) if kept.size and unit != "mean of D(x)" else (0.0, 1.0)
    pad = 0.06 * (high - low) or 0.5
    low, high = (10 ** (low - pad), 10 ** (high + pad)) if log else (low - pad, high + pad)
    for label, color, curves, goal in series:
        ax.fill_between(x, curves[0], curves[-1], color=color, alpha=0.25, linewidth=0 if x.size > 1 else 4)
        size = 2.5 if x.size > 1 else 8
        ax.plot(x, curves[len(curves) // 2], ".-", color=color, markersize=size, label=in_picture(label))
        if goal is not None and np.isfinite(goal):
            exact[round(goal, 6)] = REAL if exact.get(round(goal, 6), color) != color else color
        beyond = max([beyond, *curves[(curves < low) | (curves > high)]], key=abs)
    ax.set(yscale="log" if log else "linear", ylim=(low, high), xlim=(0, max(1.02 * x.max(), 1)))
    ax.xaxis.set(major_locator=MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]), major_formatter="{x:,.0f}")
    ax.yaxis.set_major_formatter("{x:g}")
    if log:
        subs = (1, 2, 5) if high < 1e3 * low else (1,)
        ax.yaxis.set(major_locator=LogLocator(subs=subs), minor_locator=NullLocator())
    for value, color in (exact if len(exact) > 1 else dict.fromkeys(exact, REAL)).items():
        text = next((text for text, c in _CONSTANTS.items() if abs(c - value) < 1e-5), f"{value:.3g}".replace("-", "−"))
        ax.axhline(value, color=color, linestyle="--", linewidth=1.3)
        ax.text(1.01, value, text, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color=color)
    note += f"\nreaches {beyond:.2g}, beyond this axis" if beyond else ""
    finish(ax, title, "training step", unit, note)


def finish(ax: Axes, title: str, xlabel: str, ylabel: str, note: str = "") -> None:
    """Sets the title and the labels of axes, and puts a legend above them if something has a label.

    Args:
      ax: the axes.
      title: above them.
      xlabel: of the x-axis.
      ylabel: of the y-axis.
      note: lines below the title, each after a line break.
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(which="both", labelsize=9)
    ax.set(xlabel=in_picture(xlabel, 100), ylabel=in_picture(ylabel))
    legend_rows = 0
    if named := ax.get_legend_handles_labels()[1]:
        look = {"frameon": False, "fontsize": 9, "borderaxespad": 0, "handlelength": 1.3, "columnspacing": 1.2}
        columns = _legend_columns(ax, named)
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, **look)
        legend_rows = -(-len(named) // columns)
    ax.set_title(in_picture(title) + note, loc="left", fontsize=11, pad=6 + 14 * legend_rows)


def _legend_columns(ax: Axes, names: Sequence[str]) -> int:
    """How many columns of a legend are no wider than the axes, 4 at most."""
    figure, spec = ax.get_figure(root=True), ax.get_subplotspec()
    assert figure is not None
    width = 0.88 * figure.get_figwidth() / (spec.get_gridspec().ncols if spec else 1)
    widths = sorted(0.4 + _LETTER_WIDTH * len(name) for name in names)
    return next((count for count in (4, 3, 2) if sum(widths[-count:]) <= width), 1)
