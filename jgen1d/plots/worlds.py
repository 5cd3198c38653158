"""What did agents come to? Returns in dreams and reality, shares of solved seeds, learning curves, CartPole itself."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from PIL import Image

from jgen1d.plots.style import BLUE, PALETTE, REAL, RED, as_gif, axes_for, finish, finite_or_nan


def dream_against_reality(*, runs: Mapping[str, Sequence[ArrayLike]], solved_at: float, title: str) -> Figure:
    """A dot per run: its return in the dream, and in reality.

    Args:
      runs: setting -> (dream f[S], real f[S]), mean returns of S runs.
      solved_at: from which return on the task counts as solved; dashed.
      title: of the figure.
    """
    keys = {label: ("o ", PALETTE[number % len(PALETTE)]) for number, label in enumerate(runs)}
    figure, (ax,) = axes_for(title, 1, 1, (5.5, 4.6), keys)
    for (dream, real), (_, color) in zip(runs.values(), keys.values(), strict=True):
        ax.plot(finite_or_nan(dream), finite_or_nan(real), "o", color=color, markersize=4, alpha=0.6)
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
    keys = {label: ("o-", PALETTE[number % len(PALETTE)]) for number, label in enumerate(shares)}
    figure, (ax,) = axes_for(title, 1, 1, (5.5, 4.0), keys)
    places = np.asarray(x, float)
    for (share, low, high), (_, color) in zip(shares.values(), keys.values(), strict=True):
        ends = 100 * np.asarray(low), 100 * np.asarray(high)
        ax.fill_between(places, *ends, color=color, alpha=0.15, linewidth=0)
        ax.vlines(places, *ends, color=color, linewidth=1)
        ax.plot(places, 100 * np.asarray(share), "o-", color=color, markersize=5)
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
    for ax, (label, values) in zip(axes, curves.items(), strict=True):
        low, middle, high = np.nanpercentile(finite_or_nan(values), (5, 50, 95), axis=0)
        steps = steps_per_update * np.arange(1, 1 + middle.size)
        ax.fill_between(steps, low, high, color=BLUE, alpha=0.25, linewidth=0)
        ax.plot(steps, middle, color=BLUE)
        ax.sharey(axes[0])
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        heading, _, more = label.partition("\n")
        finish(ax, heading, "steps", "return", "\n" * bool(more) + more)
    return figure


def rollouts(*, panels: Mapping[str, tuple[ArrayLike, float]], ylabel: str, title: str) -> Figure:
    """What was seen and what a model foretold from the start, by the same actions.

    Args:
      panels: setting, in one line or two, -> (f[2, T], a coordinate in reality and as foretold, NaN after the end, and
        the steps until the model left the truth).
      ylabel: what the coordinate is.
      title: of the figure.
    """
    keys = {"reality": (" -", REAL), "the model": (" -", BLUE), "one standard deviation away": (" --", RED)}
    figure, axes = axes_for(title, len(panels), 0, (3.6, 2.6), keys)
    real = np.concatenate([finite_or_nan(paths)[0] for paths, _ in panels.values()])
    reach, until = 2.0 * np.nanmax(np.abs(real)), max(20.0, 1.5 * max(steps for _, steps in panels.values()))
    for ax, (label, (paths, steps)) in zip(axes, panels.items(), strict=True):
        for values, color in zip(finite_or_nan(paths), (REAL, BLUE), strict=True):
            ax.plot(np.arange(1, 1 + len(values)), values, color=color)
        ax.axvline(steps, color=RED, linestyle="--", linewidth=1)
        ax.set(ylim=(-reach, reach), xlim=(0, until))
        heading, _, more = label.partition("\n")
        finish(ax, heading, "step", ylabel, "\n" * bool(more) + more)
    return figure


def returns_over(
    *, panels: Mapping[str, Mapping[str, Sequence[ArrayLike]]], x: ArrayLike, solved_at: float, xlabel: str, title: str
) -> Figure:
    """Mean returns over a setting: the median and the 5–95 % band over seeds.

    Args:
      panels: heading -> kind of return -> (median, 5 %, 95 %), f[X] each.
      x: f[X].
      solved_at: from which return on the task counts as solved; dashed.
      xlabel: what x is.
      title: of the figure.
    """
    keys = {name: ("o-", PALETTE[number]) for number, name in enumerate(next(iter(panels.values())))}
    figure, axes = axes_for(title, len(panels), 0, (3.6, 3.0), keys)
    for ax, (label, kinds) in zip(axes, panels.items(), strict=True):
        for (middle, low, high), (_, color) in zip(kinds.values(), keys.values(), strict=True):
            ax.fill_between(x, finite_or_nan(low), finite_or_nan(high), color=color, alpha=0.2, linewidth=0)
            ax.plot(x, finite_or_nan(middle), "o-", color=color, markersize=4)
        ax.axhline(solved_at, color=REAL, linestyle="--", linewidth=1)
        ax.set_ylim(0, None)
        heading, _, more = label.partition("\n")
        finish(ax, heading, xlabel, "return", "\n" * bool(more) + more)
    return figure


def cartpoles(*, episodes: Mapping[str, ArrayLike], limit: float, title: str, every: int = 5) -> bytes:
    """A GIF of carts with poles side by side, each until its episode ends; the last picture is held for two seconds.

    Args:
      episodes: heading -> f[T, 4], position in m, its velocity, angle in rad from the vertical, its velocity; NaN once
        the episode has ended.
      limit: of the position, where the track ends.
      title: of the picture.
      every: steps between two pictures.
    """
    figure, axes = axes_for(title, len(episodes), len(episodes), (3.4, 1.7), {})
    figure.set_dpi(80)
    drawn = []
    for ax, (heading, seen) in zip(axes, episodes.items(), strict=True):
        shown = np.asarray(seen, float)
        ax.axhline(0, color=REAL, linewidth=1)
        ax.plot([-limit, limit], [0, 0], "|", color=REAL, markersize=14)
        ax.set(xlim=(-1.2 * limit, 1.2 * limit), ylim=(-0.4, 1.6), aspect="equal", yticks=[])
        finish(ax, heading, "position (m)", "")
        ax.spines["left"].set_visible(False)
        (pole,), (cart,) = ax.plot([], [], color=RED, lw=4), ax.plot([], [], "s", color=BLUE, markersize=13)
        words = ax.text(0.02, 0.97, "", transform=ax.transAxes, va="top", fontsize=10)
        drawn.append((shown[np.isfinite(shown).all(axis=1)], len(shown), pole, cart, words))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")
    longest = max(1, *(len(shown) for shown, *_ in drawn))
    frames = []
    for now in [*range(0, longest, every), longest - 1]:
        for shown, most, pole, cart, words in drawn:
            if not len(shown):
                words.set(text="not finite", color=RED)
                continue
            last = min(now, len(shown) - 1)
            position, _, angle, _ = shown[last]
            pole.set_data([position, position + np.sin(angle)], [0.1, 0.1 + np.cos(angle)])
            cart.set_data([position], [0.1])
            ended = last + 1 == len(shown) < most
            words.set(
                text=f"over after {last + 1} steps" if ended else f"step {last + 1}", color=RED if ended else REAL
            )
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    return as_gif(frames, milliseconds=60, hold=2_000)


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
