"""What does a report keep of a sweep beside its results? Floors and, of each median run, a few points of each curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from jgen1d.fitting import Result
from jgen1d.report import figures
from jgen1d.report.stats import median_index
from jgen1d.sweeps import Sweep

NUM_SAMPLES = 10_000
NUM_POINTS = 200
"""Points of a 2-D run that are kept, as many of the model as of the target."""
QUANTILES = (0.05, 0.5, 0.95)
"""Of a signal's values at each place."""


def of_sweep(sweep: Sweep) -> dict[str, Any]:
    """`floors`, one per target, and `panels`, one per (target, config): those of the seed whose W1 is the median."""
    places = list(np.ndindex(sweep.verdict.shape[:2]))
    runs = [sweep.result(t, c, median_index(sweep.metrics["w1"][t, c])) for t, c in places]
    return {"floors": digits(figures.floors(sweep)), "panels": of_runs(runs)}


def of_runs(runs: Sequence[Result]) -> list[dict[str, Any]]:
    """What each run generates beside its target; see `_panel`."""
    return [_panel(run, num_points(len(runs))) for run in runs]


def num_points(num_rows: int) -> int:
    """Points of each curve in a report with so many rows, so that it stays small."""
    return 80 if num_rows <= 20 else 28


def digits(values: ArrayLike, count: int = 3) -> list[Any]:
    """Numbers with so many significant digits, as nested lists; None for what is not finite."""
    array = np.asarray(values, np.float64)
    flat = [float(f"{value:.{count}g}") if math.isfinite(value) else None for value in array.ravel()]
    return np.array(flat, object).reshape(array.shape).tolist()


def _panel(run: Result, count: int) -> dict[str, Any]:
    """What a run generates beside its target.

    Returns:
      `unit`; `lost`, how many of the samples are not finite; in 1-D `window`, the ends of the x-axis, `generated`, the
      density in bins of equal width, `exact`, at points of equal distance, or `real`, in the same bins, and `gap`: of
      distribution functions, `difference` at places `at` (0 to 1 over the window), and what a Kolmogorov–Smirnov test
      at a `level` has `allowed`. In 2-D `window`, a pair per axis, and the points `generated` and `real` as places. Of
      signals `bands`: the `QUANTILES` of the values `generated` and `real` at each place, [quantiles, dim].
    """
    target, axis = run.task.in_training_units.target, figures.Axis.of(run)
    num_samples = NUM_SAMPLES if target.dim <= 2 else figures.NUM_SIGNALS
    labels = figures.class_labels(run, num_samples)
    samples = np.asarray(run.sample_in_training_units(jax.random.key(0), num_samples, labels), np.float64)
    finite = samples[np.isfinite(samples).all(axis=1)]
    panel: dict[str, Any] = {"unit": axis.unit, "lost": len(samples) - len(finite)}
    real = np.asarray(target.sample(jax.random.key(1), num_samples), np.float64)
    if target.dim > 2:
        rows = {"generated": finite if len(finite) else np.full((1, target.dim), np.nan), "real": real}
        return panel | {"bands": {name: digits(axis(np.quantile(x, QUANTILES, axis=0))) for name, x in rows.items()}}
    ends = _around(real)
    if target.dim == 2:
        panel["window"] = np.stack([axis(end) for end in ends], axis=1).tolist()
        chosen = {"generated": finite[:NUM_POINTS], "real": real[:NUM_POINTS]}
        return panel | {name: digits((x - ends[0]) / (ends[1] - ends[0])) for name, x in chosen.items()}
    low, high = figures.window(target) if target.has_density else map(float, np.ravel(ends))
    panel["window"] = [float(end) for end in axis(np.array([low, high]))]
    edges = np.linspace(low, high, max(count // 2, 20) + 1)
    per_density = NUM_SAMPLES * (edges[1] - edges[0]) * axis.scale
    panel["generated"] = digits(np.histogram(finite, edges)[0] / per_density)
    if target.has_density:
        x = np.linspace(low, high, count)
        panel["exact"] = digits(np.exp(np.asarray(target.log_prob(jnp.asarray(x, float)[:, None]))) / axis.scale)
    else:
        panel["real"] = digits(np.histogram(real, edges)[0] / per_density)
    if len(finite) and target.has_cdf:
        z, level = np.sort(finite[:, 0]), run.thresholds.ks_p
        difference = np.arange(1, len(z) + 1) / len(samples) - np.asarray(target.cdf(z))
        kept = np.unique([*np.linspace(0, len(z) - 1, count).astype(int), np.abs(difference).argmax()])
        panel["gap"] = {
            "at": digits((z[kept] - low) / (high - low)), "difference": digits(difference[kept]), "level": level,
            "allowed": min(float(special.kolmogi(level)) / math.sqrt(len(samples)), 1.0),
        }  # fmt: skip
    return panel


def _around(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of axes that show points, f[n, dim], with a margin."""
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    margin = np.where(high > low, 0.15 * (high - low), 1.0)
    return low - margin, high + margin
