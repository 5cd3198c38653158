"""What did a model of signals or images learn? Samples beside real ones, covariance and spectrum beside the exact."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jgen1d.plots.style import BLUE, REAL, axes_for, finish, finite_or_nan, lost_note

NUM_LINES = 12
"""Signals in a panel, one above the other."""
SIDE = 8
"""Images in each row and column of a contact sheet."""


def signals(
    *, samples: ArrayLike, real: ArrayLike, covariance: ArrayLike, spectrum: ArrayLike, shape: tuple[int, ...],
    title: str, unit: str = "data units",
) -> Figure:  # fmt: skip
    """Real and generated signals or images, and what was learnt of their covariance and their spectrum.

    Args:
      samples: f[n, dim], generated.
      real: f[m, dim].
      covariance: f[dim, dim], exact.
      spectrum: f[frequencies], the exact power of each, over `rfftn` of the shape, flattened.
      shape: of a signal, (dim,), or of an image.
      title: of the figure.
      unit: of the values.
    """
    generated, true = finite_or_nan(samples), finite_or_nan(real)
    figure, axes = axes_for(title, 5, 3, (4.0, 3.2), {"learnt": (" -", BLUE), "exact": (" --", REAL)})
    finite = generated[np.isfinite(generated).all(axis=1)]
    for ax, rows, name, note in (
        (axes[0], true, "Real", ""), (axes[1], generated, "Generated", lost_note(generated, "samples"))
    ):  # fmt: skip
        draw = sheet if len(shape) == 2 else lines
        draw(ax, rows, shape, REAL if name == "Real" else BLUE, true)
        finish(ax, name, "place" if len(shape) == 1 else "", unit if len(shape) == 1 else "", note)
    exact = np.asarray(covariance, float)
    learnt = np.cov(finite.T, bias=True) if len(finite) > 1 else np.full_like(exact, np.nan)
    most = float(np.abs(exact).max())
    for ax, matrix, name in ((axes[3], exact, "Covariance, exact"), (axes[4], learnt, "Covariance, learnt")):
        shown = ax.imshow(matrix, vmin=-most, vmax=most, cmap="RdBu_r", interpolation="nearest")
        figure.colorbar(shown, ax=ax, shrink=0.8)
        finish(ax, name, "place", "place")
    power = np.asarray(spectrum, float)
    waves = np.fft.rfftn((finite - finite.mean(axis=0)).reshape(-1, *shape), axes=tuple(range(1, len(shape) + 1)))
    found = (np.abs(waves.reshape(len(finite), -1)) ** 2).mean(axis=0) / math.prod(shape)
    axes[2].plot(found, color=BLUE, linewidth=1.2)
    axes[2].plot(power, "--", color=REAL, linewidth=1.2)
    axes[2].set_yscale("log")
    finish(axes[2], "Spectrum", "frequency" if len(shape) == 1 else "frequency (row by row)", "power")
    return figure


def sheets(*, panels: Mapping[str, ArrayLike], shape: tuple[int, ...], title: str) -> Figure:
    """Some signals or images of each model, a panel each.

    Args:
      panels: what is shown -> f[n, dim]; the first is real, and sets the scale of all.
      shape: of a signal, (dim,), or of an image.
      title: of the figure.
    """
    figure, axes = axes_for(title, len(panels), 0, (3.2, 3.4), {})
    real = finite_or_nan(next(iter(panels.values())))
    for number, (ax, (name, rows)) in enumerate(zip(axes, panels.items(), strict=True)):
        draw = sheet if len(shape) == 2 else lines
        draw(ax, finite_or_nan(rows), shape, BLUE if number else REAL, real)
        finish(ax, name, "", "" if number or len(shape) == 2 else "value, of the lowest signal")
    return figure


def lines(ax: Axes, rows: np.ndarray, shape: tuple[int, ...], color: str, real: np.ndarray) -> None:
    """The first signals, one above the other, at distances that depend on the real ones alone.

    The ticks are the lowest signal's, and a grey line is where each of the others has its 0.
    """
    del shape
    low, high = float(np.nanmin(real)), float(np.nanmax(real))
    gap = 0.7 * float(np.nanmax(np.ptp(real, axis=1)))
    for number, row in enumerate(rows[:NUM_LINES]):
        ax.axhline(gap * number, color="#CACACA", linewidth=0.6, zorder=0)
        ax.plot(row + gap * number, color=color, linewidth=1.0)
    ax.set_ylim(low - 0.5 * gap, high + gap * (NUM_LINES - 0.5))
    ax.set_yticks([tick for tick in MaxNLocator(2).tick_values(low, high) if low <= tick <= high])


def sheet(ax: Axes, rows: np.ndarray, shape: tuple[int, ...], color: str, real: np.ndarray) -> None:
    """The first images as a contact sheet, in grey levels of the real ones' range."""
    del color
    height, width = shape
    tiles = np.full((SIDE**2, height + 1, width + 1), np.nan)
    tiles[: len(rows), :height, :width] = rows[: SIDE**2].reshape(-1, height, width)
    grid = tiles.reshape(SIDE, SIDE, height + 1, width + 1).transpose(0, 2, 1, 3)
    low, high = np.nanpercentile(real, (0.5, 99.5))
    ax.imshow(grid.reshape(SIDE * (height + 1), -1), vmin=low, vmax=high, cmap="gray", interpolation="nearest")
    ax.set_axis_off()
