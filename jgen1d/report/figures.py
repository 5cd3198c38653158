"""Which pictures show a sweep, a run, or what a model learnt?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy import special

from jgen1d.core.names import distinct, file_name, shorten
from jgen1d.engine.evaluate import NUM_CURVE_SAMPLES
from jgen1d.evaluation import metrics, players
from jgen1d.fitting import Result
from jgen1d.plots import runs as run_plots
from jgen1d.plots import sweeps as sweep_plots
from jgen1d.report.conclusions import label
from jgen1d.report.stats import median_index
from jgen1d.sweeps import Sweep
from jgen1d.targets import Target

MAX_RUN_FIGURES = 12
"""Single runs that `of_sweep` draws, one per (target, config)."""


def of_sweep(sweep: Sweep, presets: Sequence[str]) -> dict[str, Callable[[], Figure]]:
    """What draws the pictures of a sweep, by the names of their files.

    `verdicts`; `distance`; `losses` if some have an optimum; `modes` if a target has several; and for up to
    `MAX_RUN_FIGURES` rows of the table one `run_*`, of the seed whose W1 is the median.

    Args:
      sweep: the runs.
      presets: a name for each config.
    """
    rows = sweep.table(presets).rows
    labels = distinct(f"{row['target']}, {label(row)}" for row in rows)
    places = dict(zip(labels, np.ndindex(sweep.verdict.shape[:2]), strict=True))
    figures: dict[str, Callable[[], Figure]] = {
        "verdicts": partial(_verdicts, rows, labels), "distance": partial(_distances, sweep, rows)
    }  # fmt: skip
    if (loss_optimum := sweep.method.loss_optimum) is not None:
        optimum = {name: loss_optimum(sweep.configs[c]) for name, (_, c) in places.items()}
        if names := sorted({loss for losses in optimum.values() for loss in losses}):
            losses = {name: {loss: sweep.history[loss][place] for loss in names} for name, place in places.items()}
            title = f"Losses over {len(sweep.seeds)} seeds"
            draw = partial(sweep_plots.loss_bands, steps=sweep.steps, losses=losses, optimum=optimum)
            figures["losses"] = partial(draw, title=title)
    panels = {}
    for name, (t, c) in places.items():
        modes = sweep.targets[t].modes
        if len(modes.scales) > 1:
            expected = np.asarray(modes.weights) * metrics.expected_high_quality(sweep.targets[t].dim)
            mass = sweep.metrics["mode_mass"][t, c][:, : len(modes.scales)]
            panels[name] = (mass, expected, np.asarray(modes.centers))
    if panels:
        title = f"Mass of each mode over {len(sweep.seeds)} seeds"
        figures["modes"] = partial(sweep_plots.mode_mass, panels=panels, title=title)
    names = distinct(file_name(f"run_{row['target']}_{label(row)}") for row in rows[:MAX_RUN_FIGURES])
    for file, (name, place) in zip(names, places.items(), strict=False):
        figures[file] = partial(_of_median_run, sweep, place, name)
    return figures


def _of_median_run(sweep: Sweep, place: tuple[int, int], name: str) -> Figure:
    return of_run(sweep.result(*place, median_index(sweep.metrics["w1"][place])), name)


def _verdicts(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> Figure:
    verdicts = list(rows[0]["verdicts"])
    counts = {v: [row["verdicts"][v]["count"] for row in rows] for v in verdicts}
    intervals = {v: tuple([row["verdicts"][v][end] for row in rows] for end in ("low", "high")) for v in verdicts}
    learned = [[row["learned"][end] for row in rows] for end in ("low", "high")]
    title = f"Verdicts over {rows[0]['num_seeds']} seeds"
    return sweep_plots.verdict_shares(labels=labels, counts=counts, intervals=intervals, learned=learned, title=title)


def _distances(sweep: Sweep, rows: Sequence[dict[str, Any]]) -> Figure:
    curves: dict[str, dict[str, np.ndarray]] = {}
    floor: dict[str, float] = {}
    panels = distinct(target.name for target in sweep.targets)
    labels = distinct(label(row) for row in rows[: len(sweep.configs)])
    for t, c in np.ndindex(sweep.verdict.shape[:2]):
        curves.setdefault(panels[t], {})[labels[c]] = sweep.history["w1_over_std"][t, c]
    for panel, target in zip(panels, sweep.targets, strict=True):
        reference = jax.jit(metrics.reference, static_argnums=1)(target, NUM_CURVE_SAMPLES)
        floor[panel] = float(reference.floor) / float(np.mean(target.std))
    title = f"Distance over {len(sweep.seeds)} seeds, from {NUM_CURVE_SAMPLES:,} samples each"
    threshold = sweep.thresholds.w1_over_std
    return sweep_plots.distance_bands(steps=sweep.steps, curves=curves, floor=floor, threshold=threshold, title=title)


def of_run(result: Result, name: str, num_samples: int = 10_000) -> Figure:
    """The picture of one run. For an adversarial method in 1-D it has D beside D*, and G beside G* for one latent.

    Args:
      result: the run.
      name: for the title.
      num_samples: samples in the histogram, at least 1.
    """
    target = result.target
    labels = _labels(result, num_samples)
    samples = np.asarray(result.sample(jax.random.key(0), num_samples, labels))
    density = data = gap = None
    if target.dim == 1:
        x, n, level = np.sort(samples[:, 0]), len(samples), result.thresholds.ks_p
        difference = np.arange(1, n + 1) / n - np.asarray(target.cdf(x))
        gap = (x, difference, min(float(special.kolmogi(level)) / math.sqrt(n), 1.0), level)
    if target.dim == 1 and target.has_density:
        x = np.linspace(*_window(target), 600)
        density = (x, np.exp(np.asarray(target.log_prob(x[:, None]))))
    else:
        data = np.asarray(target.sample(jax.random.key(1), 2_000))
    curves = _players(result) if target.dim == 1 and labels is None else {}
    optimum = result.method.loss_optimum(result.config) if result.method.loss_optimum else {}
    return run_plots.run(
        title=f"{shorten(name, 120)}: {result.verdict}, W1/σ {result.metrics['w1_over_std']:.3f}, "
        f"{100 * result.metrics['tv']:.1f} % misplaced (TV)", steps=result.steps, gap=gap,
        history=result.history, optimum=optimum, samples=samples, labels=labels, density=density, data=data,
        target_mean=np.asarray(target.mean), target_std=np.asarray(target.std),
        threshold=result.thresholds.w1_over_std, **curves,
    )  # fmt: skip


def comparisons(models: Mapping[str, Mapping[str, Result]], title: str) -> Figure:
    """What models learnt beside their targets.

    Args:
      models: target -> model -> its run; every target has the same models.
      title: of the picture.
    """
    panels = {row: {name: comparison(run) for name, run in runs.items()} for row, runs in models.items()}
    return run_plots.comparisons(panels=panels, title=title)


def comparison(result: Result, num_samples: int = 10_000, num_points: int = 400) -> run_plots.Comparison:
    """What a run learnt beside its target, for `plots.runs.comparisons`: densities in 1-D, points in 2-D.

    Args:
      result: the run.
      num_samples: samples of a model that has no density, at least 1.
      num_points: points at which densities are drawn, at least 4.
    """
    target = result.target
    note = f"{result.metrics['w1_over_floor']:.1f}"
    samples = np.asarray(result.sample(jax.random.key(0), num_samples))
    if target.dim > 1 or not target.has_density:
        return run_plots.Comparison(note, samples[:1_000], np.asarray(target.sample(jax.random.key(1), 1_000)))
    x = np.linspace(*_window(target), num_points)
    exact = np.exp(np.asarray(target.log_prob(x[:, None])))
    if result.method.log_prob is not None:
        return run_plots.Comparison(note, np.exp(np.asarray(result.log_prob(x[:, None]))), exact, x)
    edges = np.linspace(x[0], x[-1], num_points // 4 + 1)
    counts = np.histogram(samples, edges)[0] / num_samples / np.diff(edges)
    learnt = counts[np.clip(np.searchsorted(edges, x) - 1, 0, len(counts) - 1)]
    return run_plots.Comparison(note, learnt, exact, x)


def _labels(result: Result, num_samples: int) -> np.ndarray | None:
    """The classes of samples, in shares as close as possible to the target's; None for a model without classes."""
    if not result.method.num_classes(result.config):
        return None
    ends = np.cumsum(np.asarray(result.target.modes.weights))[:-1]
    return np.searchsorted(ends, (np.arange(num_samples) + 0.5) / num_samples)


def _window(target: Target) -> tuple[float, float]:
    """The range of x that holds a 1-D target's mass, with a margin."""
    low, high = (float(q) for q in target.quantile(jnp.array([1e-3, 1 - 1e-3])))
    return low - 0.15 * (high - low), high + 0.15 * (high - low)


def _players(result: Result, num_bins: int = 150, num_fake: int = 300_000) -> dict[str, dict[str, Any]]:
    """The curves of `plots.runs.run` for the players of a run on a 1-D target; none if the method has no players."""
    method, target, config, _ = result.task
    curves: dict[str, dict[str, Any]] = {}
    if method.players is None:
        return curves
    model, units = (method.players, result.state, config, target), result.task.units
    if method.players.optimal_output(config) == "probability":
        edges = np.linspace(*_window(target), num_bins + 1)
        fake = np.histogram(np.asarray(result.sample(jax.random.key(2), num_fake)), edges)[0] / num_fake
        bins = (jnp.asarray(edges, dtype=float), jnp.asarray(fake, dtype=float))
        curves["discriminator"] = players.discriminator(*model, *bins, num_fake, *units)
        if not target.has_density:  # for a finite sample, D* is 1 on its values and 0 elsewhere
            curves["discriminator"]["optimal"] = None
    if players.latent_dim(method.players, config) == 1:
        curves["generator"] = players.generator(*model, *units, num_points=400)
    return curves
