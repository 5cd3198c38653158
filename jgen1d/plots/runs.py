"""What does one run look like, and what did several models learn?"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from jgen1d.core.names import in_picture
from jgen1d.plots.style import (
    BLUE,
    CURVE_STYLES,
    PALETTE,
    REAL,
    RED,
    Curves,
    Exact,
    Floats,
    Series,
    axes_for,
    finish,
    finite_or_nan,
    lost_note,
    over_steps,
)

_GROUPS = [("Mean output of D (dashed: optimum)", "mean of D(x)", ["d_real", "d_fake"])]
_MOMENTS = "Moments of the samples (dashed: target)"
_GROUPS += [(_MOMENTS, "data units", ["mean", "std"])]
_GROUPS += [("Distance (dashed: threshold)", "W1/σ", ["w1_over_std"])]


def run(
    *,
    title: str,
    steps: ArrayLike,
    history: Curves,
    optimum: Exact,
    samples: ArrayLike,
    labels: ArrayLike | None = None,
    density: tuple[ArrayLike, ArrayLike] | None = None,
    data: ArrayLike | None = None,
    gap: tuple[ArrayLike, ArrayLike, float, float] | None = None,
    target_mean: ArrayLike,
    target_std: ArrayLike,
    discriminator: Mapping[str, ArrayLike | None] | None = None,
    generator: Mapping[str, ArrayLike | None] | None = None,
    threshold: float,
    unit: str = "data units",
) -> Figure:
    """One training run, with a panel for each of these that is known: samples, distribution functions, losses, D, W1/σ,
    D(x), G(z); without distribution functions, the moments.

    Args:
      title: of the figure.
      steps: i[E], the training steps of the history.
      history: name -> f[E]: the losses named in `optimum`; if known, `d_real` and `d_fake` (the means of D(x) and
        D(G(z)), probabilities), `mean` and `std` of the samples (f[E] or f[E, dim], data units) and `w1_over_std`.
      optimum: name of a loss -> its value at the equilibrium, or None if it has none.
      samples: f[n, dim], generated, data units; drawn as a histogram in 1-D, else as points in the first two
        coordinates.
      labels: i[n], the class that each sample was drawn for; each class has its own colour.
      density: (x f[m], density f[m]), the exact density in 1-D; the panel shows this range of x and a tenth more, and
        marks the bars' excess over it.
      data: f[N] or f[N, dim], real points, for a target that is a finite sample or not 1-D.
      gap: (x f[m] in data units, F_model(x) − F(x) f[m], the largest that a Kolmogorov–Smirnov test allows, and the
        test's level), in 1-D; what is not finite is left out.
      target_mean: f[] or f[dim], data units.
      target_std: f[] or f[dim], data units.
      discriminator: `x` f[m] in data units, `learnt` f[m] and `optimal` f[m] or None: D and D*, probabilities.
      generator: `z` f[m], `learnt` f[m] and `optimal` f[m] or None: G and G* of a one-dimensional latent, data units.
      threshold: the greatest W1/σ of a converged run.
      unit: what "data units" are called, if they are others.
    """
    exact = {"d_real": 0.5, "d_fake": 0.5, "mean": target_mean, "std": target_std, "w1_over_std": threshold, **optimum}
    heading = "Losses" if all(value is None for value in optimum.values()) else "Losses (dashed: optimum)"
    groups = [(heading, "loss", list(optimum))] if optimum else []
    groups += [one for one in _GROUPS if history.keys() >= set(one[2]) and (gap is None or one[0] != _MOMENTS)]
    networks = [("Discriminator", f"x ({unit})", "D(x) = P(real)", RED, discriminator)] if discriminator else []
    networks += [("Generator", "z (latent)", f"G(z) ({unit})", BLUE, generator)] if generator else []
    count = 1 + (gap is not None) + len(groups) + len(networks)
    figure, axes = axes_for(title, count, {1: 1, 2: 2, 4: 2, 7: 4}.get(count, 3), (3.8, 3.3), {})
    points, real = np.asarray(samples, float), None if data is None else np.asarray(data, float)
    _samples(axes[0], points, np.zeros(len(points), int) if labels is None else np.asarray(labels), density, real, unit)
    others = axes[1:]
    if gap is not None:
        _gap(others.pop(0), *gap, unit)
    for ax, (heading, unit, names) in zip(others, groups, strict=False):
        series: list[Series] = []
        for k, name in enumerate(names):
            label, color = CURVE_STYLES.get(name, (name, PALETTE[k % len(PALETTE)]))
            lines = finite_or_nan(history[name]).reshape(np.size(steps), -1).T
            goals = np.resize(np.array(exact[name], float), len(lines))  # None becomes NaN
            series += [("" if i else label, color, lines[i : i + 1], goals[i]) for i in range(len(lines))]
        over_steps(ax, heading, unit, steps, series, series)
    for ax, (heading, xlabel, ylabel, color, drawn) in zip(others[len(groups) :], networks, strict=True):
        for key, star, line, look in (("learnt", "", "-", color), ("optimal", "*", "--", REAL)):
            if (y := drawn.get(key)) is not None:
                ax.plot(
                    finite_or_nan(drawn[xlabel[0]]),
                    finite_or_nan(y),
                    line,
                    color=look,
                    label=f"{key} {heading[0]}{star}",
                )
        ax.set(ylim=(-0.03, 1.03) if heading == "Discriminator" else None)
        finish(ax, heading, xlabel, ylabel)
    return figure


def _gap(ax: Axes, x: ArrayLike, difference: ArrayLike, allowed: float, level: float, unit: str) -> None:
    label = f"accepted by a Kolmogorov–Smirnov test at {100 * level:g} %"
    ax.axhspan(-allowed, allowed, color=REAL, alpha=0.12, linewidth=0, label=label)
    ax.axhline(0, color=REAL, linewidth=0.8, linestyle="--")
    x, difference = finite_or_nan(x), finite_or_nan(difference)
    ax.plot(x, difference, color=BLUE, linewidth=1.0)
    reach = 1.15 * np.max(np.abs(difference), initial=allowed, where=np.isfinite(difference))
    ax.set_ylim(-reach, reach)
    finish(ax, "Distribution function, generated − exact", f"x ({unit})", "Fₙ(x) − F(x)")


def _samples(
    ax: Axes, points: Floats, labels: NDArray[np.int_], density: tuple[ArrayLike, ArrayLike] | None,
    data: Floats | None, unit: str,
) -> None:  # fmt: skip
    points = points.reshape(len(points), -1)
    is_finite = np.isfinite(points).all(axis=1)
    finite, labels = points[is_finite], labels[is_finite]
    names = {k: f"class {k}" for k in range(labels.max(initial=0) + 1)} if labels.any() else {0: "generated"}
    classes = [(finite[labels == k], PALETTE[k % len(PALETTE)], name) for k, name in names.items()]
    real = finite[:0] if data is None else data.reshape(len(data), -1)
    shown = next(some for some in (real, finite, np.zeros((1, points.shape[1]))) if len(some))
    ends = np.percentile(shown, (0.5, 99.5), axis=0) if density is None else np.sort(density[0])[[0, -1], None]
    low, high = ends + np.array([[-1], [1]]) * np.where(ends[0] < ends[1], 0.1 * (ends[1] - ends[0]), 0.5)
    outside = 100 * (~((finite >= low) & (finite <= high)).all(axis=1)).sum() / len(points)
    note = lost_note(points, "samples") + (f"\n{outside:.3g} % outside this range" if outside else "")
    if points.shape[1] > 1:
        for cloud, color, label in ((real, REAL, "real"), *classes):
            if len(cloud):
                ax.plot(*cloud.T[:2], "o", color=color, markersize=2.5, markeredgewidth=0, alpha=0.5, label=label)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        return finish(ax, "Samples", f"first coordinate ({unit})", f"second coordinate ({unit})", note)
    edges = np.linspace(low[0], high[0], 61)
    bars, base = np.zeros(60), np.zeros(60)
    for some, color, label in classes:  # stacked: together they make the density of all samples
        base, bars = bars, bars + np.histogram(some, edges)[0] / max(len(finite), 1) / np.diff(edges)
        ax.stairs(bars, edges, baseline=base, fill=True, color=color, alpha=0.5, label=label)
    real_bars = np.histogram(real, edges)[0] / max(len(real), 1) / np.diff(edges)
    if len(real):
        ax.stairs(real_bars, edges, color=REAL, linewidth=1.2, label="real")
    if density is not None:
        grid, heights = (np.asarray(values, float) for values in density)
        exact = np.interp((edges[1:] + edges[:-1]) / 2, grid, heights, left=0, right=0)
        ax.stairs(bars, edges, baseline=np.minimum(bars, exact), fill=True, color=RED, alpha=0.75, label="misplaced")
        ax.plot(*density, "--", color=REAL, linewidth=1.5, label="exact density")
    tallest = max(real_bars.max(), 0 if density is None else np.nanmax(density[1]))
    ax.set_ylim(0, 4 * tallest if 0 < 4 * tallest < bars.max() else None)
    if 0 < 4 * tallest < bars.max():
        note += f"\nbars reach {bars.max():.2g}, beyond this axis"
    finish(ax, "Samples", f"x ({unit})", "density" if unit != "data units" else "density (1 / data unit)", note)


class Comparison(NamedTuple):
    """What one model learnt, as `comparisons` draws it.

    Attributes:
      note: a few characters for the panel's corner.
      learnt: the model's density at `x`, f[m], or its samples, f[n, 2].
      exact: the target's density at `x`, f[m], or its samples, f[n, 2].
      x: f[m], data units; None if the others are samples.
    """

    note: str
    learnt: ArrayLike
    exact: ArrayLike
    x: ArrayLike | None = None


def comparisons(*, panels: Mapping[str, Mapping[str, Comparison]], title: str) -> Figure:
    """Small panels with a row per target and a column per model: what was learnt over what is exact.

    Args:
      panels: row -> column -> what to draw; every row has the same columns.
      title: of the figure.
    """
    columns = list(next(iter(panels.values())))
    clouds = all(shown.x is None for row in panels.values() for shown in row.values())
    keys = (
        {"exact": ("o", REAL), "learnt": ("o", BLUE)} if clouds else {"exact": ("s", "#CACACA"), "learnt": (" -", BLUE)}
    )
    keys["number: W1/floor"] = (" ", REAL)
    figure, axes = axes_for(title, len(panels) * len(columns), len(columns), (1.75, 1.6), keys)
    cells = [(row, column) for row in panels for column in columns]
    for number, (ax, (row, column)) in enumerate(zip(axes, cells, strict=True)):
        shown = panels[row][column]
        learnt, exact = finite_or_nan(shown.learnt), finite_or_nan(shown.exact)
        if shown.x is None:
            ends = np.percentile(exact, (0.5, 99.5), axis=0)
            low, high = ends + np.array([[-0.15], [0.15]]) * (ends[1] - ends[0])
            for cloud, color in ((exact, REAL), (learnt, BLUE)):
                ax.plot(*cloud.T[:2], "o", color=color, markersize=1.5, markeredgewidth=0, alpha=0.5)
            ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
            ax.spines["bottom"].set_visible(False)
        else:
            ax.fill_between(shown.x, exact, color=REAL, alpha=0.25, linewidth=0)
            ax.plot(shown.x, learnt, color=BLUE, linewidth=1.1)
            ax.set_ylim(0, 1.6 * np.nanmax(exact))
        ax.text(0.97, 0.95, in_picture(shown.note, 20), transform=ax.transAxes, ha="right", va="top", fontsize=8)
        ax.set(xticks=[], yticks=[])
        ax.spines[["top", "right", "left"]].set_visible(False)
        if number < len(columns):
            ax.set_title(in_picture(column, 40).replace("_", "\n"), fontsize=9)
        if number % len(columns) == 0:
            ax.set_ylabel(in_picture(row, 30), fontsize=9)
    return figure
