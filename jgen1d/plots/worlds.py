"""What did agents come to? Returns in dreams against reality, shares of solved seeds, learning curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jgen1d.plots.style import PALETTE, REAL, axes_for, finish, finite_or_nan


def dream_against_reality(*, runs: Mapping[str, Sequence[ArrayLike]], solved_at: float, title: str) -> Figure:
    """A dot per run: its return in the dream, and in reality.

    Args:
      runs: setting -> (dream f[S], real f[S]), mean returns of S runs.
      solved_at: from which return on the task counts as solved; dashed.
      title: of the figure.
    """
    figure, (ax,) = axes_for(title, 1, 1, (5.5, 4.6), {})
    for number, (label, (dream, real)) in enumerate(runs.items()):
        color = PALETTE[number % len(PALETTE)]
        ax.plot(finite_or_nan(dream), finite_or_nan(real), "o", color=color, markersize=4, alpha=0.6, label=label)
    for draw in (ax.axhline, ax.axvline):
        draw(solved_at, color=REAL, linestyle="--", linewidth=1)
    finish(ax, "", "return in the dream", "return in reality")
    return figure


def shares_over(*, shares: Mapping[str, Sequence[ArrayLike]], x: ArrayLike, title: str) -> Figure:
    """The share of runs that solved the task over the number of real steps, with its interval.

    Args:
      shares: setting -> (share, low, high), f[X] each, in [0, 1].
      x: f[X], real steps, positive.
      title: of the figure.
    """
    figure, (ax,) = axes_for(title, 1, 1, (5.5, 4.0), {})
    places = np.asarray(x, float)
    for number, (label, (share, low, high)) in enumerate(shares.items()):
        color = PALETTE[number % len(PALETTE)]
        ends = 100 * np.asarray(low), 100 * np.asarray(high)
        ax.fill_between(places, *ends, color=color, alpha=0.15, linewidth=0)
        ax.vlines(places, *ends, color=color, linewidth=1)
        ax.plot(places, 100 * np.asarray(share), "o-", color=color, markersize=5, label=label)
    ax.set(xscale="log", ylim=(-3, 103), xticks=places)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.minorticks_off()
    finish(ax, "", "steps in reality", "solved in reality (%)")
    return figure


def learning_curves(*, curves: Mapping[str, ArrayLike], steps_per_update: float, title: str) -> Figure:
    """The return of the last episodes while agents learn: the median and the 5–95 % band.

    Args:
      curves: setting, in one line or two, -> f[S, U], for S runs after U updates.
      steps_per_update: taken in the dream or in reality.
      title: of the figure.
    """
    figure, axes = axes_for(title, len(curves), 0, (3.6, 2.8), {})
    for number, (ax, (label, values)) in enumerate(zip(axes, curves.items(), strict=True)):
        low, middle, high = np.nanpercentile(finite_or_nan(values), (5, 50, 95), axis=0)
        color, steps = PALETTE[number % len(PALETTE)], steps_per_update * np.arange(1, 1 + middle.size)
        ax.fill_between(steps, low, high, color=color, alpha=0.25, linewidth=0)
        ax.plot(steps, middle, color=color)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        heading, _, more = label.partition("\n")
        finish(ax, heading, "steps", "return", "\n" * bool(more) + more)
    return figure


def gaps_and_costs(
    *, panels: Mapping[str, Mapping[str, Sequence[ArrayLike]]], reference: tuple[str, float], ylabel: str, title: str
) -> Figure:
    """A dot per run on logarithmic axes: how wrong its model is, and what its agent costs.

    Args:
      panels: what the model's error is -> setting -> (error f[S], cost f[S]), positive.
      reference: a cost to compare with, in words and as a number, dashed.
      ylabel: what the costs are.
      title: of the figure.
    """
    keys = {label: ("o ", PALETTE[number % len(PALETTE)]) for number, label in enumerate(next(iter(panels.values())))}
    keys[reference[0]] = (" --", REAL)
    figure, axes = axes_for(title, len(panels), 0, (4.2, 3.6), keys)
    for ax, (xlabel, runs) in zip(axes, panels.items(), strict=True):
        for number, (error, cost) in enumerate(runs.values()):
            color = PALETTE[number % len(PALETTE)]
            ax.plot(finite_or_nan(error), finite_or_nan(cost), "o", color=color, markersize=3.5, alpha=0.6)
        ax.axhline(reference[1], color=REAL, linestyle="--", linewidth=1)
        ax.set(xscale="log", yscale="log")
        finish(ax, "", xlabel, ylabel)
    return figure


def gains(*, runs: Mapping[str, ArrayLike], best: ArrayLike, title: str) -> Figure:
    """A dot per agent in the plane of its two gains, and the best agent's as a cross.

    Args:
      runs: setting -> f[S, 2], the gains for position and velocity.
      best: f[2].
      title: of the figure.
    """
    figure, axes = axes_for(title, len(runs), 0, (3.2, 3.0), {"Riccati": ("+ ", REAL)})
    rows = finite_or_nan(np.concatenate([*runs.values(), np.asarray(best)[None]]))
    low, high = np.nanpercentile(rows, 2, axis=0), np.nanpercentile(rows, 98, axis=0)
    for number, (ax, (label, values)) in enumerate(zip(axes, runs.items(), strict=True)):
        shown = finite_or_nan(values)
        ax.plot(*shown.T, "o", color=PALETTE[number % len(PALETTE)], markersize=3.5, alpha=0.6)
        ax.plot(*np.asarray(best, float), "+", color=REAL, markersize=14, markeredgewidth=2)
        ax.set(**{f"{axis}lim": (a - 0.3, b + 0.3) for axis, a, b in zip("xy", low, high, strict=True)})
        outside = int((~((shown >= low - 0.3) & (shown <= high + 0.3))).any(axis=1).sum())
        note = f"\n{outside} of {len(shown)} outside" if outside else ""
        finish(ax, label, "gain of position", "gain of velocity", note)
    return figure
