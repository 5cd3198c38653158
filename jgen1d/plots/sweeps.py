"""What does a sweep look like? Verdicts, losses, distances and modes over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from jgen1d.core.names import in_picture
from jgen1d.plots.style import (
    BLUE,
    CURVE_STYLES,
    LOGARITHMIC,
    PALETTE,
    REAL,
    RED,
    VERDICT_COLORS,
    Curves,
    Exact,
    Intervals,
    Panels,
    Series,
    axes_for,
    finish,
    finite_or_nan,
    lost_note,
    over_steps,
)


def verdict_shares(
    *, labels: Sequence[str], counts: Curves, intervals: Intervals, learned: Sequence[ArrayLike], title: str
) -> Figure:
    """How runs ended: a bar of shares per row, and under it a whisker for the share that learned the distribution.

    Args:
      labels: of the R rows, from top to bottom.
      counts: verdict -> i[R], numbers of runs; a verdict that is missing counts 0.
      intervals: verdict -> (low f[R], high f[R]), the 95 % interval of its share, in [0, 1]; printed if there is room.
      learned: (low f[R], high f[R]), the 95 % interval of the share that learned the distribution, the first two.
      title: of the figure.

    Raises:
      ValueError: if a verdict is not in `VERDICT_COLORS`.
    """
    if unknown := counts.keys() - VERDICT_COLORS.keys():
        raise ValueError(f"counts: unknown verdicts {sorted(unknown)}; allowed are {list(VERDICT_COLORS)}")
    rows = np.arange(len(labels))
    table = np.array([np.broadcast_to(counts.get(verdict, 0), rows.shape) for verdict in VERDICT_COLORS])
    shares = table / np.maximum(table.sum(axis=0), 1)
    keys = {verdict: ("s", color) for verdict, color in VERDICT_COLORS.items()}
    figure, (ax,) = axes_for(title, 1, 1, (9.5, 1.2 + 0.55 * rows.size), keys)
    for (verdict, color), share, end in zip(VERDICT_COLORS.items(), shares, np.cumsum(shares, axis=0), strict=True):
        ax.barh(rows, share, left=end - share, height=0.66, color=color, edgecolor="white", linewidth=0.8)
        for row in rows[share >= 0.05]:
            text = f"{100 * share[row]:.0f} %"
            if verdict in intervals and share[row] >= 0.08:
                text += "\n" + "–".join(f"{100 * np.asarray(bound)[row]:.0f}" for bound in intervals[verdict])
            ink = "white" if verdict in ("indistinguishable", "converged", "diverged") else "black"
            ax.text(end[row] - share[row] / 2, row, text, ha="center", va="center", fontsize=8, color=ink)
    best = shares[0] + shares[1]
    error = np.abs(best - np.array(learned, float))
    ax.errorbar(best, rows + 0.41, xerr=error, fmt="|", color=REAL, capsize=2.5)
    names = [f"{in_picture(label)}\nn = {total:,}" for label, total in zip(labels, table.sum(axis=0), strict=True)]
    ax.set(xlim=(-0.01, 1.01), ylim=(len(labels) - 0.4, -0.5), yticks=rows, yticklabels=names)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    finish(ax, "", "share of runs (ranges: 95 % interval; whisker: of the share that learned the distribution)", "")
    return figure


def loss_bands(*, steps: ArrayLike, losses: Panels, optimum: Mapping[str, Exact], title: str) -> Figure:
    """Losses over steps as median and 5–95 % band over seeds, with a panel per label and one y-axis for all.

    Args:
      steps: i[E].
      losses: label -> name of a loss -> f[S, E] for S seeds.
      optimum: label -> name of a loss -> its value at the equilibrium, dashed; None or missing if it has none.
      title: of the figure.
    """
    return _bands(title, "loss", steps, losses, optimum, {})


def distance_bands(
    *, steps: ArrayLike, curves: Panels, floor: Exact, threshold: float, title: str, unit: str = "W1/σ"
) -> Figure:
    """A distance over steps as median and 5–95 % band over seeds, a panel per group, one logarithmic y-axis for all.

    Args:
      steps: i[E].
      curves: panel (a target, say) -> label (a preset, say) -> f[S, E] for S seeds.
      floor: panel -> that of a perfect sampler of the same size, dotted; None or missing if it is not known.
      threshold: the greatest distance of a run that is good enough, dashed.
      title: of the figure.
      unit: of the distance.
    """
    return _bands(title, unit, steps, curves, {k: dict.fromkeys(v, threshold) for k, v in curves.items()}, floor)


def mode_mass(*, panels: Mapping[str, Sequence[ArrayLike]], covered: float = 0.2, title: str) -> Figure:
    """The share of samples in each mode, a dot per seed, beside the share that it should hold.

    Args:
      panels: label -> (mass f[S, K], expected f[K], centers f[K, dim]) for S seeds and K modes.
      covered: a mode is covered if it holds at least this share of its expected mass.
      title: of the figure.
    """
    many = max(np.size(expected) for _, expected, _ in panels.values()) > 8
    keys = {"a seed, mode covered": ("o", BLUE), "a seed, mode not covered": ("o", RED), "expected": (" --", REAL)}
    keys[f"covered from {100 * covered:g} % of expected"] = (" :", REAL)
    figure, axes = axes_for(title, len(panels), 1 if many else 0, (10.0 if many else 3.6, 3.0), keys)
    for ax, (label, (mass, expected, centers)) in zip(axes, panels.items(), strict=True):
        seeds, goal, modes = (
            np.atleast_2d(finite_or_nan(mass)),
            np.asarray(expected, float),
            np.arange(np.size(expected)),
        )
        # Multiples of the golden ratio, modulo 1, spread any number of seeds evenly and without randomness.
        across = modes + 0.6 * ((np.arange(len(seeds)) * 0.6180339887 % 1.0)[:, None] - 0.5)
        for chosen, color in ((seeds >= covered * goal, BLUE), (seeds < covered * goal, RED)):
            ax.plot(across[chosen], seeds[chosen], "o", color=color, markersize=3.5, alpha=0.6, markeredgewidth=0)
        for heights, line in ((goal, "--"), (covered * goal, ":")):
            ax.hlines(heights, modes - 0.42, modes + 0.42, color=REAL, linestyle=line, linewidth=1.3)
        places = np.asarray(centers, float).reshape(goal.size, -1).round(6) + 0.0  # avoids "−0" and "1e-17"
        names = [", ".join(f"{c:.3g}" for c in place).replace("-", "−") for place in places]
        ax.set_xticks(modes, names, rotation=90 if sum(map(len, names)) > 36 else 0)
        ax.set(xlim=(-0.6, goal.size - 0.4), ylim=(-0.04 * ax.get_ylim()[1], None))
        finish(ax, label, "centre of the mode (data units)", "share of the samples", lost_note(seeds, "runs"))
    return figure


def _bands(title: str, unit: str, steps: ArrayLike, panels: Panels, exact: Mapping[str, Exact], floor: Exact) -> Figure:
    names = dict.fromkeys(name for named in panels.values() for name in named)
    looks = {name: CURVE_STYLES.get(name, (name, PALETTE[i % len(PALETTE)])) for i, name in enumerate(names)}
    seeds = {panel: [np.atleast_2d(finite_or_nan(one)) for one in named.values()] for panel, named in panels.items()}
    series: dict[str, list[Series]] = {panel: [] for panel in panels}
    for panel, named in panels.items():
        for name, runs in zip(named, seeds[panel], strict=True):
            finite = [column[np.isfinite(column)] for column in runs.T]
            band = np.array([np.percentile(some, (5, 50, 95)) if some.size else (np.nan,) * 3 for some in finite]).T
            series[panel].append(("", looks[name][1], band, exact.get(panel, {}).get(name)))
    floors: list[Series] = [("", REAL, np.empty((0, 0)), value) for value in floor.values()]
    pool = sum(series.values(), floors)
    keys = {f"{text}: median, 5–95 %": (" -", color) for text, color in looks.values()}
    keys |= {"threshold" if unit in LOGARITHMIC else "optimum": (" --", REAL)}
    keys |= {"perfect sampler of this size": (" :", REAL)} if floor else {}
    figure, axes = axes_for(title, len(panels), 0, (3.4, 3.0), keys)
    for ax, panel in zip(axes, panels, strict=True):
        if (height := floor.get(panel)) is not None:
            ax.axhline(height, color=REAL, linestyle=":", linewidth=1.3)
        lost = lost_note((np.hstack if unit == "loss" else np.vstack)(seeds[panel]), "runs")
        over_steps(ax, panel, unit, steps, series[panel], pool, lost)
    return figure
