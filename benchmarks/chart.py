"""How many runs are done in the time of one? NumPy arrays in, a matplotlib `Figure` out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import ArrayLike

from jgen1d.plots import style

LOOKS = {"sweep": (style.BLUE, "o"), "plain": (style.ORANGE, "s"), "ensemble": (style.RED, "^")}
LOOKS |= {"loop": (style.REAL, "")}


def runs_in_the_time_of_one(
    *, panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]], titles: Mapping[str, str], one: str, title: str
) -> Figure:
    """Runs done per time of one run of the contender `one`, over the number that train side by side; a panel per size.

    Level lines say that N runs take N times as long as one; the number at a line's end is its last point's.

    Args:
      panels: size -> contender, of `LOOKS` -> (lanes i[k], ascending; rates f[3, k], the rounds' least, median, most).
      titles: contender -> its name.
      one: the contender whose median rate with its fewest lanes is 1.
      title: of the figure.
    """
    figure = Figure(figsize=(max(5.0, 4.0 * len(panels)), 4.2), layout="constrained")
    figure.suptitle(title, fontsize=12)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    scaled: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for size, lines in panels.items():
        unit = np.asarray(lines[one][1], float)[1, 0]
        scaled[size] = {k: (np.asarray(lanes), np.asarray(rates, float) / unit) for k, (lanes, rates) in lines.items()}
    everything = np.concatenate([rates.ravel() for lines in scaled.values() for _, rates in lines.values()])
    low, high = np.log10(min(everything.min(), 1.0)), np.log10(max(everything.max(), 1.0))
    low, high = low - 0.06 * (high - low) - 0.02, high + 0.06 * (high - low) + 0.02
    for ax, (size, lines) in zip(axes, scaled.items(), strict=True):
        fewest, most = min(lanes[0] for lanes, _ in lines.values()), max(lanes[-1] for lanes, _ in lines.values())
        ends = []
        for name in sorted(lines, key=list(LOOKS).index):
            (color, marker), (lanes, (least, median, greatest)) = LOOKS[name], lines[name]
            line = "--" if name == one == "loop" else "-"
            ax.plot(lanes, median, line, color=color, marker=marker, markersize=4.5, linewidth=1.6, label=titles[name])
            ax.vlines(lanes, least, greatest, color=color, linewidth=1.2)
            ends.append((np.log10(median[-1]), float(lanes[-1]), color, _show(median[-1])))
        # Numbers that would cover one another are pushed apart.
        heights: dict[float, float] = {}
        for end, last, color, text in sorted(ends):
            heights[last] = height = max(end, heights.get(last, -np.inf) + 0.045 * (high - low))
            ax.annotate(
                text, (last, 10**height), (7, 0), textcoords="offset points", va="center", fontsize=8, color=color
            )
        ax.set(xscale="log", yscale="log", xlim=(0.8 * fewest, 2.2 * most), ylim=(10**low, 10**high), title=size)
        ticks = sorted({int(lane) for lanes, _ in lines.values() for lane in lanes})
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set(
            major_locator=LogLocator(subs=(1, 2, 5), numticks=20), minor_locator=NullLocator(), major_formatter=_show
        )
        ax.set_xlabel("runs side by side")
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
    note = "" if one == "loop" else ", the fewest side by side"
    axes[0].set_ylabel(f"runs in the time of one\n({titles[one]}{note})")
    handles = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _show(value: float, _: object = None) -> str:
    return f"{value:,.0f}" if value >= 9.5 else f"{value:.2g}"
