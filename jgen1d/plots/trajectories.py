"""How do points travel between data and noise?"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from jgen1d.plots.style import BLUE, REAL, SKY, as_gif, axes_for, finish, finite_or_nan

Paths = Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]]  # method -> progress, learnt paths, exact paths


def trajectories(
    *,
    forward: tuple[ArrayLike, ArrayLike, Sequence[float]],
    learnt: Paths,
    chains: ArrayLike,
    step_size: float,
    title: str,
) -> Figure:
    """The forward process, the learnt and exact paths of each method, and Langevin chains.

    Args:
      forward: times f[m] from data to noise, quantiles f[m, q] of the noised data, and their levels in pairs around ½.
      learnt: method -> (progress f[m] from noise to data, learnt paths f[m, lines], exact paths f[m, lines]).
      chains: f[steps + 1, lines], of Langevin dynamics.
      step_size: of the chains.
      title: of the figure.
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


def animate(*, learnt: Paths, density: tuple[ArrayLike, ArrayLike] | None, title: str, num_frames: int = 50) -> bytes:
    """A GIF of points that travel from noise to data.

    Args:
      learnt: method -> (progress f[m] from noise to data, learnt paths f[m, lines], exact paths f[m, lines]).
      density: (x f[m], density f[m]) of the data, drawn where the points arrive; None to leave it out.
      title: of the picture.
      num_frames: frames of the animation, at least 2; the last picture is held for half a second.
    """
    figure, axes = axes_for(title, len(learnt), len(learnt), (4.6, 3.6), {})
    figure.set_dpi(90)
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

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    frames = []
    for frame in range(num_frames):
        now = frame / (num_frames - 1)
        canvas.restore_region(still)
        for ax, (progress, paths, lines, points) in zip(axes, drawn, strict=True):
            x = np.array([np.interp(now, progress, curve) for curve in paths.T])
            before = progress <= now
            for line, curve, end in zip(lines, paths.T, x, strict=True):
                line.set_data([*progress[before], now], [*curve[before], end])
            points.set_data(np.full(len(x), now), x)
            for artist in (*lines, points):
                ax.draw_artist(artist)
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    return as_gif(frames, milliseconds=50, hold=550)
