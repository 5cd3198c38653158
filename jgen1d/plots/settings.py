"""What do runs look like as a setting changes? The figures of the laboratory's experiments."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter
from numpy.typing import ArrayLike

from jgen1d.core.names import in_picture
from jgen1d.plots.style import BLUE, PALETTE, REAL, RED, SKY, Curves, Panels, axes_for, finish, finite_or_nan


def rates(
    *,
    panels: Mapping[str, Mapping[str, Mapping[str, float]]],
    xlabel: str,
    title: str,
    groups: Mapping[str, Collection[str]] | None = None,
) -> Figure:
    """Shares of runs as a dot and its interval per row, with a panel per target, say.

    Args:
      panels: panel -> label of a row -> `share`, `low` and `high`, in [0, 1].
      xlabel: what the shares count.
      title: of the figure.
      groups: heading -> the labels of the rows that stand under it; None for rows without headings.
    """
    known = list(dict.fromkeys(label for rows in panels.values() for label in rows))
    labels: list[str] = []
    headings: list[int] = []
    for heading, members in (groups or {"": known}).items():
        if shown := [label for label in known if label in members]:
            headings += [len(labels)] if heading else []
            labels += [heading, *shown] if heading else shown
    figure, axes = axes_for(title, len(panels), len(panels), (4.4, 1.0 + 0.3 * len(labels)), {})
    for number, (ax, (heading, rows)) in enumerate(zip(axes, panels.items(), strict=True)):
        places = np.array([labels.index(label) for label in rows])
        share, low, high = (np.array([row[name] for row in rows.values()]) for name in ("share", "low", "high"))
        ax.errorbar(share, places, xerr=[share - low, high - share], fmt="o", color=BLUE, capsize=2.5, markersize=5)
        ax.grid(axis="x", linewidth=0.4, alpha=0.5)
        ax.set(xlim=(-0.03, 1.03), ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)))
        ax.set_yticklabels([] if number else list(map(in_picture, labels)))
        for place in headings:
            ax.axhline(place - 0.5, color=REAL, linewidth=0.6, alpha=0.4)
            if not number:
                ax.get_yticklabels()[place].set_fontweight("bold")
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        finish(ax, heading, xlabel, "")
    return figure


def scores(*, panels: Mapping[str, Curves], xlabel: str, title: str) -> Figure:
    """Values in multiples of a floor, dashed at 1: a mean and the 5–95 % of the runs per row, with a panel per setting.

    Args:
      panels: panel -> label of a row -> f[n], one value per run; of a single one there is no bar.
      xlabel: what the values are.
      title: of the figure.
    """
    most = max(map(len, panels.values()))
    figure, axes = axes_for(title, len(panels), 0, (4.0, 1.0 + 0.3 * most), {})
    ends = (0.1, 1.3 * max(10.0, *(float(np.max(values)) for rows in panels.values() for values in rows.values())))
    for ax, (heading, rows) in zip(axes, panels.items(), strict=True):
        for place, values in enumerate(map(finite_or_nan, rows.values())):
            low, high = np.clip(np.percentile(values, (5, 95)), *ends)
            ax.plot([low, high], [place, place], color=BLUE, linewidth=2, alpha=0.4)
            ax.plot(np.clip(np.mean(values), *ends), place, "o", color=BLUE, markersize=5)
        ax.axvline(1, linestyle="--", color=REAL, linewidth=1.3)
        ax.set(xscale="log", xlim=ends, ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
        ax.set_yticklabels(list(map(in_picture, rows)))
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_formatter("{x:g}")
        finish(ax, heading, xlabel, "")
    return figure


def heat_maps(
    *, panels: Curves, rows: Sequence[str], columns: Sequence[str], xlabel: str, ylabel: str, unit: str, title: str
) -> Figure:
    """Tables as colours on one scale, and as numbers if there is room.

    Args:
      panels: heading -> f[R, C].
      rows: R labels of the vertical axis, from bottom to top.
      columns: C labels of the horizontal axis, from left to right.
      xlabel: what the columns are.
      ylabel: what the rows are.
      unit: of the values; "share" for shares, whose colours run from 0 to 1.
      title: of the figure.
    """
    small = len(rows) * len(columns) <= 36
    figure, axes = axes_for(title, len(panels), 0, (3.4, 3.1), {})
    tables = [finite_or_nan(table) for table in panels.values()]
    low, high = (0.0, 1.0) if unit == "share" else (np.nanmin(tables), np.nanmax(tables))
    for number, (ax, heading, table) in enumerate(zip(axes, panels, tables, strict=True)):
        image = ax.imshow(table, origin="lower", aspect="auto", vmin=low, vmax=high, cmap="viridis")
        for (row, column), value in np.ndenumerate(table) if small else ():
            ink = "black" if value > (low + high) / 2 else "white"
            text = f"{100 * value:.0f} %" if unit == "share" else f"{value:#.2g}" if value < 9.95 else f"{value:.0f}"
            ax.text(column, row, text, ha="center", va="center", fontsize=9, color=ink)
        for axis, labels in ((ax.xaxis, columns), (ax.yaxis, rows)):
            shown = range(0, len(labels), -(-len(labels) // 8))
            axis.set_ticks(list(shown), [in_picture(labels[i], 20) for i in shown])
        finish(ax, heading, xlabel, "" if number else ylabel)
    percent = PercentFormatter(1.0, symbol=" %") if unit == "share" else None
    figure.colorbar(image, ax=axes, label=in_picture(unit), shrink=0.8, format=percent)
    return figure


def over_axis(
    *, panels: Curves, x: ArrayLike, xlabel: str, ylabel: str, title: str, reference: tuple[str, float] | None = None
) -> Figure:
    """A result of runs over a setting, on the same logarithmic axes: a dot per run, the median, and the 5–95 % band.

    Args:
      panels: heading -> f[X, S], positive, for S runs at each of X settings.
      x: f[X], the settings, positive.
      xlabel: what the settings are.
      ylabel: what the values are.
      title: of the figure.
      reference: what the values are to be compared with, in words and as a number, dashed; None for nothing.
    """
    keys = {"a run": ("o", SKY), "median": (".-", BLUE), "5–95 % of the runs": ("s", "#CCE3F0")}
    keys |= {reference[0]: (" --", REAL)} if reference else {}
    figure, axes = axes_for(title, len(panels), 0, (3.3, 3.1), keys)
    places = np.asarray(x, float)
    pool = np.concatenate([finite_or_nan(values).ravel() for values in panels.values()])
    pool = np.append(pool[pool > 0], reference[1] if reference else [])
    ends = (pool.min() / 1.2, pool.max() * 1.2) if pool.size else (0.1, 10.0)
    for number, (ax, (heading, values)) in enumerate(zip(axes, panels.items(), strict=True)):
        runs = finite_or_nan(values)
        low, middle, high = np.nanpercentile(runs, (5, 50, 95), axis=1)
        ax.fill_between(places, low, high, color=BLUE, alpha=0.2, linewidth=0)
        ax.plot(np.repeat(places, runs.shape[1]), runs.ravel(), "o", color=BLUE, markersize=2, alpha=0.3)
        ax.plot(places, middle, "o-", color=BLUE, markersize=5)
        if reference:
            ax.axhline(reference[1], color=REAL, linestyle="--", linewidth=1.3)
        ax.set(xscale="log", yscale="log", xticks=places, ylim=ends)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
        finish(ax, heading, xlabel, "" if number else ylabel)
    return figure


def maps(
    *, panels: Panels, xlabel: str, ylabel: str, title: str, labels: tuple[str, str] = ("learnt", "exact"),
    is_exact: bool = True, is_compared: bool = False,
) -> Figure:  # fmt: skip
    """Two functions per panel, the second dashed if it is exact.

    Args:
      panels: panel -> `x`, `learnt` and `optimal`, f[m] each.
      xlabel: what `x` is.
      ylabel: what the functions' values are.
      title: of the figure.
      labels: what `learnt` and `optimal` are called in the legend.
      is_exact: whether `optimal` is what `learnt` should be.
      is_compared: whether the panels are compared, and so have the same axis.
    """
    line, color = ("--", REAL) if is_exact else ("-", RED)
    figure, axes = axes_for(
        title, len(panels), 0, (3.2, 2.7), {labels[0]: (" -", BLUE), labels[1]: (f" {line}", color)}
    )
    for ax, (heading, drawn) in zip(axes, panels.items(), strict=True):
        if is_compared:
            ax.sharey(axes[0])
        ax.plot(drawn["x"], finite_or_nan(drawn["learnt"]), color=BLUE)
        ax.plot(drawn["x"], drawn["optimal"], line, color=color)
        finish(ax, heading, xlabel, ylabel)
    return figure


def lines(*, x: ArrayLike, curves: Curves, xlabel: str, ylabel: str, title: str) -> Figure:
    """Functions in one panel.

    Args:
      x: f[m].
      curves: label -> f[m], the function's values at `x`.
      xlabel: what `x` is.
      ylabel: what the values are.
      title: of the figure.
    """
    figure, (ax,) = axes_for(title, 1, 1, (5.5, 3.6), {})
    for number, (label, values) in enumerate(curves.items()):
        ax.plot(x, finite_or_nan(values), color=PALETTE[number % len(PALETTE)], label=in_picture(label))
    finish(ax, "", xlabel, ylabel)
    return figure


def inverse_transform(*, panels: Panels, title: str) -> Figure:
    """How F⁻¹ turns uniform numbers into samples, with three panels in a row per target.

    Args:
      panels: target -> `u` f[n], uniform numbers, and `x` f[n], F⁻¹ of them; `levels` f[m] and `map` f[m], F⁻¹ of
        them, increasing; `density` f[k], at equal steps from the first to the last of `map`.
      title: of the figure.
    """
    figure, axes = axes_for(title, 3 * len(panels), 3, (3.2, 2.2), {})
    for (target, drawn), (left, middle, right) in zip(panels.items(), zip(*[iter(axes)] * 3, strict=True), strict=True):
        x = np.asarray(drawn["map"])
        for ax, name, ends in ((left, "u", (0, 1)), (right, "x", (x[0], x[-1]))):
            bars, edges = np.histogram(drawn[name], 40, ends, density=True)
            ax.stairs(bars, edges, fill=True, color=BLUE, alpha=0.5)
        left.axhline(1, linestyle="--", color=REAL)
        middle.plot(drawn["levels"], x, color=REAL)
        right.plot(np.linspace(x[0], x[-1], np.size(drawn["density"])), drawn["density"], "--", color=REAL)
        finish(left, target, "u", "density")
        finish(middle, "F⁻¹", "u", "x (data units)")
        finish(right, "F⁻¹(u) (dashed: exact)", "x (data units)", "density")
    return figure
