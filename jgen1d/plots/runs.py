"""What do a run and a sweep look like? NumPy arrays in, a matplotlib `Figure` out.

Nothing here trains, shows, blocks or touches pyplot's global state. All figures are read alike: colour is learnt, dark
grey is real, dashed is exact (an optimum, a target, a threshold; where a panel has several, each in its own colour).
What is not finite, or lies far outside, is left out, and a note says how much.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

# Okabe and Ito's colour-blind safe palette (2008), without the yellow and the black.
BLUE, RED, GREEN, PINK, ORANGE, SKY = PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REAL = "#333333"
VERDICT_COLORS = {"converged": GREEN, "false_equilibrium": ORANGE, "mode_collapse": PINK}
VERDICT_COLORS |= {"oscillating": SKY, "not_converged": "#BBBBBB", "diverged": "#444444"}
_LOOKS = {"loss_g": ("generator", BLUE), "loss_d": ("discriminator", RED), "d_real": ("real x", RED)}
_LOOKS |= {"d_fake": ("generated x", BLUE), "mean": ("mean", BLUE), "std": ("std", GREEN), "w1_over_std": ("_", BLUE)}
_GROUPS = [("Mean output of D (dashed: optimum)", "mean of D(x)", ["d_real", "d_fake"])]
_GROUPS += [("Moments of the samples (dashed: target)", "data units", ["mean", "std"])]
_GROUPS += [("Distance (dashed: threshold)", "W1/σ", ["w1_over_std"])]
_CONSTANTS = {"½": 0.5, "log 2": np.log(2), "2·log 2": np.log(4), "−log 2": -np.log(2), "−2·log 2": -np.log(4)}
Curves = Mapping[str, ArrayLike]
Exact = Mapping[str, float | None]
Intervals = Mapping[str, Sequence[ArrayLike]]
Panels = Mapping[str, Curves]
Floats = NDArray[np.float64]
_Keys = Mapping[str, tuple[str, str]]  # text in the legend -> (marker, or a blank, and then line style; colour)
_Series = tuple[str, str, Floats, float | None]  # label, colour, f[1, E] or low, middle, high f[3, E], exact value


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
    target_mean: ArrayLike,
    target_std: ArrayLike,
    discriminator: Mapping[str, ArrayLike | None] | None = None,
    generator: Mapping[str, ArrayLike | None] | None = None,
    threshold: float = 0.05,
) -> Figure:
    """One training run: samples, losses, D over steps, moments, W1/σ, D(x), G(z); a panel for each that is given.

    Args:
      steps: i[E], the training steps of the history.
      history: name -> f[E]: the losses named in `optimum`; where known, `d_real` and `d_fake` (mean D(x) and D(G(z)),
        probabilities), `mean` and `std` of the samples (f[E] or f[E, dim], data units) and `w1_over_std`.
      optimum: name of a loss -> its value at equilibrium, or None where it has none.
      samples: f[n, dim], generated, data units. For dim 1 a histogram, else the first two coordinates, scattered.
      labels: i[n], the classes that the samples were drawn for, each in a colour of its own.
      density: (x[m], pdf[m]), the exact density in 1-D; the panel shows this range of x and a tenth more.
      data: f[N] or f[N, dim], real points, where the target is a finite sample or not 1-D.
      target_mean: f[] or f[dim], data units; likewise `target_std`.
      discriminator: `x`[m] (data units), `learnt`[m], `optimal`[m] or None: D and D*, probabilities.
      generator: `z`[m], `learnt`[m], `optimal`[m] or None: G and G*, data units, of a latent of dimension 1.
      threshold: the W1/σ up to which a run counts as converged.
    """
    exact = {"d_real": 0.5, "d_fake": 0.5, "mean": target_mean, "std": target_std, "w1_over_std": threshold, **optimum}
    heading = "Losses" if all(value is None for value in optimum.values()) else "Losses (dashed: optimum)"
    groups = [(heading, "loss", list(optimum))] if optimum else []
    groups += [group for group in _GROUPS if history.keys() >= set(group[2])]
    networks = [("Discriminator", "x (data units)", "D(x) = P(real)", RED, discriminator)] if discriminator else []
    networks += [("Generator", "z (latent)", "G(z) (data units)", BLUE, generator)] if generator else []
    count = 1 + len(groups) + len(networks)
    figure, axes = axes_for(title, count, {1: 1, 2: 2, 4: 2, 7: 4}.get(count, 3), (3.8, 3.3), {})
    points, real = np.asarray(samples, float), None if data is None else np.asarray(data, float)
    _samples(axes[0], points, np.zeros(len(points), int) if labels is None else np.asarray(labels), density, real)
    for ax, (heading, unit, names) in zip(axes[1:], groups, strict=False):
        series: list[_Series] = []
        for k, name in enumerate(names):
            label, color = _LOOKS.get(name, (name, PALETTE[k % len(PALETTE)]))
            lines = finite_or_nan(history[name]).reshape(np.size(steps), -1).T
            goals = np.resize(np.array(exact[name], float), len(lines))  # None becomes NaN
            series += [("_" if i else label, color, lines[i : i + 1], goals[i]) for i in range(len(lines))]
        _over_steps(ax, heading, unit, steps, series, series)
    for ax, (heading, xlabel, ylabel, color, drawn) in zip(axes[1 + len(groups) :], networks, strict=True):
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


def verdict_shares(*, labels: Sequence[str], counts: Curves, intervals: Intervals, title: str) -> Figure:
    """How runs ended: a bar of shares per row; the whisker under it is the interval of the converged share.

    Args:
      labels: R rows, top to bottom.
      counts: verdict, of `VERDICT_COLORS` or a ValueError -> i[R], numbers of runs; one that is missing counts 0.
      intervals: verdict -> (low[R], high[R]), shares in [0, 1], 95 % intervals; printed where there is room.
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
            ink = "white" if verdict in ("converged", "diverged") else "black"
            ax.text(end[row] - share[row] / 2, row, text, ha="center", va="center", fontsize=8, color=ink)
    if "converged" in intervals:
        error = np.abs(shares[0] - np.array(intervals["converged"], float))
        ax.errorbar(shares[0], rows + 0.41, xerr=error, fmt="|", color=REAL, capsize=2.5)
    names = [f"{label}\nn = {total:,}" for label, total in zip(labels, table.sum(axis=0), strict=True)]
    ax.set(xlim=(-0.01, 1.01), ylim=(len(labels) - 0.4, -0.5), yticks=rows, yticklabels=names)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    finish(ax, "", "share of runs (whisker and ranges: 95 % interval)", "")
    return figure


def loss_bands(*, steps: ArrayLike, losses: Panels, optimum: Mapping[str, Exact], title: str) -> Figure:
    """Losses over steps, a panel per label, all with one y-axis: median and 5–95 % band over seeds.

    Args:
      steps: i[E].
      losses: label -> name of a loss -> f[S, E] for S seeds.
      optimum: label -> name of a loss -> its value at equilibrium, dashed; None or missing where it has none.
    """
    return _bands(title, "loss", steps, losses, optimum, {})


def distance_bands(*, steps: ArrayLike, curves: Panels, floor: Exact, threshold: float = 0.05, title: str) -> Figure:
    """W1/σ over steps, a panel per group, all with one logarithmic y-axis: median and 5–95 % band over seeds.

    Args:
      steps: i[E].
      curves: panel, such as a target -> label, such as a preset -> f[S, E] for S seeds.
      floor: panel -> what a perfect sampler of the same size scores, dotted; None or missing where it is not known.
      threshold: the W1/σ up to which a run counts as converged, dashed.
    """
    return _bands(title, "W1/σ", steps, curves, {k: dict.fromkeys(v, threshold) for k, v in curves.items()}, floor)


def mode_mass(*, panels: Mapping[str, Sequence[ArrayLike]], covered: float = 0.2, title: str) -> Figure:
    """The share of the samples that each mode received, a dot per seed, against the share that it should hold.

    Args:
      panels: label -> (mass f[S, K], expected f[K], centers f[K, dim]) for S seeds and K modes.
      covered: the share of its expected mass from which on a mode counts as covered.
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
        # Multiples of the golden ratio, modulo 1, spread any number of seeds evenly, and every time the same way.
        across = modes + 0.6 * ((np.arange(len(seeds)) * 0.6180339887 % 1.0)[:, None] - 0.5)
        for chosen, color in ((seeds >= covered * goal, BLUE), (seeds < covered * goal, RED)):
            ax.plot(across[chosen], seeds[chosen], "o", color=color, markersize=3.5, alpha=0.6, markeredgewidth=0)
        for heights, line in ((goal, "--"), (covered * goal, ":")):
            ax.hlines(heights, modes - 0.42, modes + 0.42, color=REAL, linestyle=line, linewidth=1.3)
        places = np.asarray(centers, float).reshape(goal.size, -1).round(6) + 0.0  # no "−0", no "1e-17"
        names = [", ".join(f"{c:.3g}" for c in place).replace("-", "−") for place in places]
        ax.set_xticks(modes, names, rotation=90 if sum(map(len, names)) > 36 else 0)
        ax.set(xlim=(-0.6, goal.size - 0.4), ylim=(-0.04 * ax.get_ylim()[1], None))
        finish(ax, label + _lost(seeds, "runs"), "centre of the mode (data units)", "share of the samples")
    return figure


class Comparison(NamedTuple):
    """What one model learnt, for `comparisons`.

    Attributes:
      note: a few characters for the panel's corner.
      learnt: f[m], its density at `x`, or f[n, 2], its samples.
      exact: f[m], the target's density at `x`, or f[n, 2], its samples.
      x: f[m], data units; None for samples.
    """

    note: str
    learnt: ArrayLike
    exact: ArrayLike
    x: ArrayLike | None = None


def comparisons(*, panels: Mapping[str, Mapping[str, Comparison]], title: str) -> Figure:
    """Small panels, a row per target and a column per model: what was learnt over what is exact.

    Args:
      panels: row -> column -> what to draw; every row has the same columns.
    """
    columns = list(next(iter(panels.values())))
    keys = {"exact": ("s", "#CACACA"), "learnt": (" -", BLUE), "number: W1/floor": (" ", REAL)}
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
        else:
            ax.fill_between(shown.x, exact, color=REAL, alpha=0.25, linewidth=0)
            ax.plot(shown.x, learnt, color=BLUE, linewidth=1.1)
            ax.set_ylim(0, 1.6 * np.nanmax(exact))
        ax.text(0.97, 0.95, shown.note, transform=ax.transAxes, ha="right", va="top", fontsize=8)
        ax.set(xticks=[], yticks=[])
        ax.spines[["top", "right", "left"]].set_visible(False)
        if number < len(columns):
            ax.set_title(column.replace("_", "\n"), fontsize=9)
        if number % len(columns) == 0:
            ax.set_ylabel(row, fontsize=9)
    return figure


_Ways = Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]]  # method -> progress, learnt paths, exact ones


def trajectories(
    *,
    forward: tuple[ArrayLike, ArrayLike, Sequence[float]],
    learnt: _Ways,
    chains: ArrayLike,
    step_size: float,
    title: str,
) -> Figure:
    """How points travel between data and noise.

    Args:
      forward: times f[m], from data to noise; quantiles f[m, q] of the noised data; their levels, in pairs around ½.
      learnt: method -> (progress from noise to data f[m], learnt paths f[m, lines], exact ones f[m, lines]).
      chains: f[steps + 1, lines], of Langevin dynamics.
      step_size: of the chains.
    """
    keys = {"learnt": (" -", BLUE), "exact": (" --", REAL)}
    figure, axes = axes_for(title, 2 + len(learnt), 2, (4.6, 3.2), keys)
    times, quantiles, levels = np.asarray(forward[0]), np.asarray(forward[1]), forward[2]
    for k in range(len(levels) // 2):
        label = f"{100 * levels[k]:.0f}–{100 * levels[-1 - k]:.0f} %"
        axes[0].fill_between(
            times, quantiles[:, k], quantiles[:, -1 - k], color=SKY, alpha=0.25 + 0.2 * k, linewidth=0, label=label
        )
    axes[0].plot(times, quantiles[:, len(levels) // 2], "--", color=REAL)
    finish(axes[0], "Forward process: quantiles (exact; dashed: median)", "time, from data (0) to noise (1)", "x")
    for ax, (name, (progress, paths, exact)) in zip(axes[1:], learnt.items(), strict=False):
        ax.plot(progress, finite_or_nan(paths), color=BLUE, linewidth=1.0, alpha=0.8)
        ax.plot(progress, finite_or_nan(exact), "--", color=REAL, linewidth=0.9)
        finish(ax, name.replace("_", " ").capitalize(), "progress, from noise (0) to data (1)", "x")
    steps = np.arange(len(np.asarray(chains)))
    axes[-1].plot(steps, finite_or_nan(chains), color=BLUE, linewidth=0.6, alpha=0.6)
    finish(axes[-1], f"Langevin chains on the exact score, step {step_size:g}", "step", "x")
    return figure


def animate(
    *,
    learnt: _Ways,
    density: tuple[ArrayLike, ArrayLike] | None,
    title: str,
    path: str | os.PathLike[str],
    num_frames: int = 50,
) -> None:
    """Writes a GIF of points on their way from noise to data.

    Args:
      learnt: as of `trajectories`.
      density: (x[m], pdf[m]) of the data, drawn at the side where the points arrive; None to leave it out.
      title: of the picture.
      path: the file.
      num_frames: of the animation, to which half a second at the end is added.
    """
    from matplotlib.animation import FuncAnimation, PillowWriter  # here: pictures alone do not need them

    figure, axes = axes_for(title, len(learnt), len(learnt), (4.6, 3.6), {})
    drawn = []
    for ax, (name, (progress, paths, exact)) in zip(axes, learnt.items(), strict=True):
        progress, paths, exact = (np.asarray(values, float) for values in (progress, paths, exact))
        ax.plot(progress, exact, "--", color=REAL, linewidth=0.6, alpha=0.5)
        if density is not None:
            height = np.asarray(density[1], float)
            ax.fill_betweenx(density[0], 1.0, 1.0 + 0.25 * height / height.max(), color=REAL, alpha=0.3, linewidth=0)
        ax.set(xlim=(-0.02, 1.27), ylim=(-3.6, 3.6), xticks=[0, 0.25, 0.5, 0.75, 1])
        finish(ax, name.replace("_", " ").capitalize(), "progress, from noise (0) to data (1)", "x")
        lines = ax.plot(np.full((1, paths.shape[1]), np.nan), np.full((1, paths.shape[1]), np.nan), color=BLUE, lw=1.0)
        (points,) = ax.plot([], [], "o", color=BLUE, markersize=4)
        drawn.append((progress, paths, lines, points))

    def show(frame: int) -> list[Line2D]:
        now = min(frame / (num_frames - 1), 1.0)
        changed: list[Line2D] = []
        for progress, paths, lines, points in drawn:
            x = np.array([np.interp(now, progress, path) for path in paths.T])
            before = progress <= now
            for line, path, end in zip(lines, paths.T, x, strict=True):
                line.set_data([*progress[before], now], [*path[before], end])
            points.set_data(np.full(len(x), now), x)
            changed += [*lines, points]
        return changed

    animation = FuncAnimation(figure, show, frames=num_frames + 10)
    animation.save(os.fspath(path), PillowWriter(fps=20), dpi=90)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes `figure` to `path` as PNG, 130 dots per inch."""
    figure.savefig(path, format="png", dpi=130)


def finite_or_nan(values: ArrayLike | None) -> Floats:
    """The values, with NaN for what is infinite."""
    return np.where(np.isfinite(array := np.asarray(values, float)), array, np.nan)


def _lost(rows: Floats, things: str) -> str:
    lost = int((~np.isfinite(rows)).any(axis=1).sum())
    return f"\n{lost:,} of {len(rows):,} {things} not finite" if lost else ""


def axes_for(title: str, count: int, columns: int, size: tuple[float, float], keys: _Keys) -> tuple[Figure, list[Axes]]:
    """Axes in rows of `columns` (0: as fits) and a legend; without one, the first fills a cell that would be empty."""
    columns = columns or (count if count <= 3 else min((3, 4, 5), key=lambda candidate: -count % candidate))
    rows = -(-count // columns)
    figure = Figure(figsize=(max(5.0, size[0] * columns), size[1] * rows + 0.6), layout="constrained")
    figure.suptitle(title, fontsize=12, wrap=True)
    grid = figure.add_gridspec(rows, columns)
    cells = [grid[i // columns, i % columns] for i in range(rows * columns)]
    if keys:
        handles = [Line2D([], [], color=color, marker=mark[0], linestyle=mark[1:]) for mark, color in keys.values()]
        fit = int(figure.get_figwidth() / (0.4 + 0.065 * max(map(len, keys))))  # a letter is about 0.065 inch wide
        figure.legend(handles, list(keys), loc="outside lower center", ncols=max(1, fit), frameon=False, fontsize=8)
    elif rows == 2 and len(cells) == count + 1:
        cells = [grid[:, 0], *(cell for i, cell in enumerate(cells) if i % columns)]
    return figure, [figure.add_subplot(cell) for cell in cells[:count]]


def _over_steps(ax: Axes, title: str, unit: str, steps: ArrayLike, series: list[_Series], pool: list[_Series]) -> None:
    """Draws `series`, and their exact values, dashed and named at the right, on a y-axis that suits all of `pool`."""
    x, log, exact, beyond = np.asarray(steps, float), unit == "W1/σ", dict[float, str](), 0.0
    goals, drawn = np.array([one[3] for one in pool], float), np.concatenate([one[2].ravel() for one in pool])
    goals, drawn = (np.log10(values[values > 0]) if log else values for values in (goals, drawn))
    drawn = drawn[np.isfinite(drawn)]
    # A spike or a divergence must not flatten the rest: the axis ends 3 ranges of 5–95 % away.
    lower, upper = np.percentile(drawn, (5, 95)) if drawn.size else (0.0, 0.0)
    reach = 3 * (upper - lower) or np.inf
    kept = np.concatenate([goals[np.isfinite(goals)], drawn[(drawn >= lower - reach) & (drawn <= upper + reach)]])
    low, high = (kept.min(), kept.max()) if kept.size and unit != "mean of D(x)" else (0.0, 1.0)
    pad = 0.06 * (high - low) or 0.5
    low, high = (10 ** (low - pad), 10 ** (high + pad)) if log else (low - pad, high + pad)
    for label, color, curves, goal in series:
        ax.fill_between(x, curves[0], curves[-1], color=color, alpha=0.25, linewidth=0 if x.size > 1 else 4)
        ax.plot(x, curves[len(curves) // 2], ".-", color=color, markersize=2.5 if x.size > 1 else 8, label=label)
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
        ax.text(1.01, value, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=color)
    finish(ax, title + (f"\nreaches {beyond:.2g}, beyond this axis" if beyond else ""), "training step", unit)


def _bands(title: str, unit: str, steps: ArrayLike, panels: Panels, exact: Mapping[str, Exact], floor: Exact) -> Figure:
    names = dict.fromkeys(name for named in panels.values() for name in named)
    looks = {name: _LOOKS.get(name, (name, PALETTE[i % len(PALETTE)])) for i, name in enumerate(names)}
    seeds = {panel: [np.atleast_2d(finite_or_nan(one)) for one in named.values()] for panel, named in panels.items()}
    series: dict[str, list[_Series]] = {panel: [] for panel in panels}
    for panel, named in panels.items():
        for name, runs in zip(named, seeds[panel], strict=True):
            finite = [column[np.isfinite(column)] for column in runs.T]
            band = np.array([np.percentile(some, (5, 50, 95)) if some.size else (np.nan,) * 3 for some in finite]).T
            series[panel].append(("_", looks[name][1], band, exact.get(panel, {}).get(name)))
    floors: list[_Series] = [("_", REAL, np.empty((0, 0)), value) for value in floor.values()]
    pool = sum(series.values(), floors)
    keys = {f"{text}: median, 5–95 %": (" -", color) for text, color in looks.values()}
    keys |= {"threshold" if unit == "W1/σ" else "optimum": (" --", REAL)}
    keys |= {"perfect sampler of this size": (" :", REAL)} if floor else {}
    figure, axes = axes_for(title, len(panels), 0, (3.4, 3.0), keys)
    for ax, panel in zip(axes, panels, strict=True):
        if (height := floor.get(panel)) is not None:
            ax.axhline(height, color=REAL, linestyle=":", linewidth=1.3)
        lost = _lost((np.hstack if unit == "loss" else np.vstack)(seeds[panel]), "runs")
        _over_steps(ax, panel + lost, unit, steps, series[panel], pool)
    return figure


def _samples(
    ax: Axes, points: Floats, labels: NDArray[np.int_], density: tuple[ArrayLike, ArrayLike] | None, data: Floats | None
) -> None:
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
    note = _lost(points, "samples") + (f"\n{outside:.3g} % outside this range" if outside else "")
    if points.shape[1] > 1:
        for cloud, color, label in ((real, REAL, "real"), *classes):
            if len(cloud):
                ax.plot(*cloud.T[:2], "o", color=color, markersize=2.5, markeredgewidth=0, alpha=0.5, label=label)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        return finish(ax, "Samples" + note, "first coordinate (data units)", "second coordinate (data units)")
    edges = np.linspace(low[0], high[0], 61)
    bars, base = np.zeros(60), np.zeros(60)
    for some, color, label in classes:  # stacked: together they are the density of all
        base, bars = bars, bars + np.histogram(some, edges)[0] / max(len(finite), 1) / np.diff(edges)
        ax.stairs(bars, edges, baseline=base, fill=True, color=color, alpha=0.5, label=label)
    real_bars = np.histogram(real, edges)[0] / max(len(real), 1) / np.diff(edges)
    if len(real):
        ax.stairs(real_bars, edges, color=REAL, linewidth=1.2, label="real")
    if density is not None:
        ax.plot(*density, "--", color=REAL, linewidth=1.5, label="exact density")
    tallest = max(real_bars.max(), 0 if density is None else np.nanmax(density[1]))
    ax.set_ylim(0, 4 * tallest if 0 < 4 * tallest < bars.max() else None)
    if 0 < 4 * tallest < bars.max():
        note += f"\nbars reach {bars.max():.2g}, beyond this axis"
    finish(ax, "Samples" + note, "x (data units)", "density (1 / data unit)")


def finish(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Gives axes their title, their labels, and a legend above them where something has a label."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(which="both", labelsize=8)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if named := ax.get_legend_handles_labels()[1]:
        look = {"frameon": False, "fontsize": 8, "borderaxespad": 0, "handlelength": 1.3, "columnspacing": 1.2}
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, **look)
    ax.set_title(title, loc="left", fontsize=11, pad=6 + 14 * -(-len(named) // 4))
