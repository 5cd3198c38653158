"""What do two latents stand for? Their grid among the exact factors, and signals along each of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from jgen1d.evaluation.disentanglement import Chart
from jgen1d.plots.style import BLUE, ORANGE, REAL, axes_for, finish

COLORS = (BLUE, ORANGE)
"""Of the lines along the first latent and along the second."""


def charts(*, models: Mapping[str, Chart], ranges: np.ndarray, names: tuple[str, str], title: str) -> Figure:
    """A column for each model: its grid of latents as factors, and the signals along either latent.

    If each latent is one factor, the grid's lines are parallel to the axes, as those of the exact factors are.

    Args:
      models: title of the column -> what its latents stand for; the first are the exact factors.
      ranges: f[2, 2], the least and the greatest value of each factor; a dashed frame shows them.
      names: of the factors.
      title: of the figure.
    """
    keys = {f"latent {k + 1} varies": (" -", color) for k, color in enumerate(COLORS)}
    keys |= {"exact factors": (" -", REAL), "range of the factors": (" --", REAL)}
    figure, axes = axes_for(title, 3 * len(models), len(models), (2.5, 2.3), keys)
    (left, right), (bottom, top) = np.asarray(ranges, float)
    margins = 0.15 * np.ptp(ranges, axis=1)
    shown = np.concatenate([one.traversals.ravel() for one in models.values()])
    reach = np.nanpercentile(shown[np.isfinite(shown)], (0, 100)) + np.array([-0.1, 0.1]) * (np.nanstd(shown) or 1)
    for number, (name, model) in enumerate(models.items()):
        colors = COLORS if number else (REAL, REAL)
        grid, *rows = axes[number :: len(models)]
        grid.plot([left, right, right, left, left], [bottom, bottom, top, top, bottom], "--", color=REAL, linewidth=1)
        for lines, color in zip(model.lines, colors, strict=True):
            for line in lines:
                grid.plot(*line.T, color=color, linewidth=0.9)
        grid.set(xlim=(left - margins[0], right + margins[0]), ylim=(bottom - margins[1], top + margins[1]))
        finish(grid, name, names[0], "" if number else names[1])
        for k, (ax, signals) in enumerate(zip(rows, model.traversals, strict=True)):
            for strength, signal in zip(np.linspace(0.25, 1, len(signals)), signals, strict=True):
                ax.plot(signal, color=colors[k], alpha=strength, linewidth=1.1)
            ax.set_ylim(*reach)
            finish(ax, f"latent {k + 1} varies" if number else f"{names[k]} varies", "place", "" if number else "value")
    return figure
