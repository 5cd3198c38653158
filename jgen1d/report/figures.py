"""Which pictures show a sweep, a run, or what a model learnt?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy import special

from jgen1d.core.names import distinct, file_name, shorten
from jgen1d.engine import evaluate
from jgen1d.engine.evaluate import NUM_CURVE_SAMPLES
from jgen1d.evaluation import metrics, players
from jgen1d.fitting import Result
from jgen1d.plots import runs as run_plots
from jgen1d.plots import signals as signal_plots
from jgen1d.plots import sweeps as sweep_plots
from jgen1d.report.conclusions import label
from jgen1d.report.stats import median_index
from jgen1d.sweeps import Sweep
from jgen1d.targets import Target

NUM_SIGNALS = 1_000
"""Signals that `of_run` draws, at most."""
MAX_RUN_FIGURES = 12
"""Single runs that `of_sweep` draws, one per (target, config)."""


def of_sweep(sweep: Sweep, presets: Sequence[str] | None = None) -> dict[str, Callable[[], Figure]]:
    """What draws the pictures of a sweep, by the names of their files.

    `verdicts`; `distance`; `losses` if some have an optimum; `modes` if a target has several; and for up to
    `MAX_RUN_FIGURES` rows of the table one `run_*`, of the seed whose W1 is the median.

    Args:
      sweep: the runs.
      presets: a name for each config.
    """
    rows = sweep.table(presets).rows
    labels = row_labels(rows)
    places = dict(zip(labels, np.ndindex(sweep.verdict.shape[:2]), strict=True))
    figures: dict[str, Callable[[], Figure]] = {
        "verdicts": partial(verdicts, rows, labels), "distance": partial(_distances, sweep, rows)
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


def row_labels(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What pictures call the rows of a sweep's table."""
    return distinct(f"{row['target']}, {label(row)}" for row in rows)


def _of_median_run(sweep: Sweep, place: tuple[int, int], name: str) -> Figure:
    return of_run(sweep.result(*place, median_index(sweep.metrics["w1"][place])), name)


def verdicts(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> Figure:
    """How the runs of each row of a sweep's table ended.

    Args:
      rows: of the table.
      labels: what each is called.
    """
    known = list(rows[0]["verdicts"])
    counts = {v: [row["verdicts"][v]["count"] for row in rows] for v in known}
    intervals = {v: tuple([row["verdicts"][v][end] for row in rows] for end in ("low", "high")) for v in known}
    learned = [[row["learned"][end] for row in rows] for end in ("low", "high")]
    title = f"Verdicts over {rows[0]['num_seeds']} seeds"
    return sweep_plots.verdict_shares(labels=labels, counts=counts, intervals=intervals, learned=learned, title=title)


def _distances(sweep: Sweep, rows: Sequence[dict[str, Any]]) -> Figure:
    curves: dict[str, dict[str, np.ndarray]] = {}
    panels = distinct(target.name for target in sweep.targets)
    labels = distinct(label(row) for row in rows[: len(sweep.configs)])
    for t, c in np.ndindex(sweep.verdict.shape[:2]):
        curves.setdefault(panels[t], {})[labels[c]] = sweep.history["w1_over_std"][t, c]
    floor = dict(zip(panels, floors(sweep), strict=True))
    title = f"Distance over {len(sweep.seeds)} seeds, from {NUM_CURVE_SAMPLES:,} samples each"
    threshold = sweep.thresholds.w1_over_std
    return sweep_plots.distance_bands(steps=sweep.steps, curves=curves, floor=floor, threshold=threshold, title=title)


def floors(sweep: Sweep) -> list[float]:
    """For each target the W1/σ that a perfect sampler has at the points of the history."""
    found = []
    for target in (target.standardized() for target in sweep.targets):
        reference = jax.jit(metrics.reference, static_argnums=1)(target, NUM_CURVE_SAMPLES)
        found.append(float(reference.floor) / float(np.mean(target.std)))
    return found


def of_run(result: Result, name: str, num_samples: int = 10_000) -> Figure:
    """The picture of one run. For an adversarial method in 1-D it has D beside D*, and G beside G* for one latent.

    Args:
      result: the run.
      name: for the title.
      num_samples: samples in the histogram, at least 1.
    """
    target, axis = result.task.in_training_units.target, Axis.of(result)
    num_samples = num_samples if target.dim <= 2 else min(num_samples, NUM_SIGNALS)
    labels = class_labels(result, num_samples)
    samples = np.asarray(result.sample_in_training_units(jax.random.key(0), num_samples, labels))
    title = (
        f"{shorten(name, 120)}: {result.verdict}, W1/σ {result.metrics['w1_over_std']:.3f}, "
        f"{100 * result.metrics['tv']:.1f} % misplaced (TV)"
    )
    if target.dim > 2:
        chosen = np.random.default_rng(0).permutation(len(samples))  # labels come in order
        return signal_plots.signals(
            samples=axis(samples[chosen]), real=axis(np.asarray(target.sample(jax.random.key(1), NUM_SIGNALS))),
            covariance=np.asarray(result.target.covariance), spectrum=np.asarray(result.target.spectrum),
            shape=target.shape, title=title,
        )  # fmt: skip
    density = data = gap = None
    if target.dim == 1:
        z, n, level = np.sort(samples[:, 0]), len(samples), result.thresholds.ks_p
        difference = np.arange(1, n + 1) / n - np.asarray(target.cdf(z))
        gap = (axis(z), difference, min(float(special.kolmogi(level)) / math.sqrt(n), 1.0), level)
    if target.dim == 1 and target.has_density:
        z = np.linspace(*window(target), 600)
        density = (axis(z), np.exp(np.asarray(target.log_prob(z[:, None]))) / axis.scale)
    else:
        data = axis(np.asarray(target.sample(jax.random.key(1), 2_000)))
    curves = _players(result, axis) if target.dim == 1 and labels is None else {}
    optimum = result.method.loss_optimum(result.config) if result.method.loss_optimum else {}
    return run_plots.run(
        title=title, steps=result.steps, gap=gap,
        history=result.history, optimum=optimum, samples=axis(samples), labels=labels, density=density, data=data,
        target_mean=axis(np.asarray(target.mean)), target_std=axis.scale * np.asarray(target.std), unit=axis.unit,
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
    """What a run learnt beside its target, for `plots.runs.comparisons`: densities or bars in 1-D, points in 2-D.

    Args:
      result: the run.
      num_samples: samples of a model that has no density, at least 1.
      num_points: points at which densities are drawn, at least 4.
    """
    target, axis = result.task.in_training_units.target, Axis.of(result)
    note = f"{result.metrics['w1_over_floor']:.1f}"
    samples = np.asarray(result.sample_in_training_units(jax.random.key(0), num_samples))
    if target.dim > 1:
        real = np.asarray(target.sample(jax.random.key(1), 1_000))
        return run_plots.Comparison(note, axis(samples[:1_000]), axis(real))
    z = np.linspace(*window(target), num_points)
    edges = np.linspace(z[0], z[-1], num_points // 4 + 1)
    bars = np.clip(np.searchsorted(edges, z) - 1, 0, len(edges) - 2)
    if target.has_density:
        exact = np.exp(np.asarray(target.log_prob(z[:, None])))
    else:
        exact = (np.diff(np.asarray(target.cdf(edges))) / np.diff(edges))[bars]
    if result.method.log_prob is not None:
        log_q = evaluate.log_prob(result.task.in_training_units, result.state, jnp.asarray(z[:, None], float))
        learnt = np.exp(np.asarray(log_q))
    else:
        learnt = (np.histogram(samples, edges)[0] / num_samples / np.diff(edges))[bars]
    return run_plots.Comparison(note, learnt / axis.scale, exact / axis.scale, axis(z))


class Axis(NamedTuple):
    """What a picture shows of training units z: shift + scale·z, with shift f64[dim]; z itself after a chart."""

    shift: np.ndarray
    scale: float
    unit: str

    @classmethod
    def of(cls, result: Result) -> Axis:
        """The axis of a run."""
        units = result.units
        if units.chart.kind == "axes":
            return cls(np.zeros(2), 1.0, "standard deviations from the mean")
        if units.chart.kind != "line":
            return cls(np.zeros(1), 1.0, f"training units, {units.chart.kind}")
        return cls(np.asarray(units.shift), float(units.scale), "data units")

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Of f[n] in 1-D, or f[n, dim]."""
        return self.shift + self.scale * np.asarray(z, np.float64)


def class_labels(result: Result, num_samples: int) -> np.ndarray | None:
    """The classes of samples, in shares as close as possible to the target's; None for a model without classes."""
    if not result.method.num_classes(result.config):
        return None
    ends = np.cumsum(np.asarray(result.target.class_weights))[:-1]
    return np.searchsorted(ends, (np.arange(num_samples) + 0.5) / num_samples)


def window(target: Target) -> tuple[float, float]:
    """The range of x that holds a 1-D target's mass, with a margin."""
    low, high = (float(q) for q in target.quantile(jnp.array([1e-3, 1 - 1e-3])))
    return low - 0.15 * (high - low), high + 0.15 * (high - low)


def _players(result: Result, axis: Axis, num_bins: int = 150, num_fake: int = 300_000) -> dict[str, dict[str, Any]]:
    """The curves of `plots.runs.run` for the players of a run on a 1-D target; none if the method has no players."""
    method, target, config, _ = task = result.task.in_training_units
    curves: dict[str, dict[str, Any]] = {}
    if method.players is None:
        return curves
    model, units = (method.players, result.state, config, target), task.units
    if method.players.optimal_output(config) == "probability":
        edges = np.linspace(*window(target), num_bins + 1)
        samples = np.asarray(result.sample_in_training_units(jax.random.key(2), num_fake))
        fake = np.histogram(samples, edges)[0] / num_fake
        bins = (jnp.asarray(edges, dtype=float), jnp.asarray(fake, dtype=float))
        drawn = players.discriminator(*model, *bins, num_fake, *units)
        curves["discriminator"] = drawn | {"x": axis(np.asarray(drawn["x"]))}
        if not target.has_density:  # for a finite sample, D* is 1 on its values and 0 elsewhere
            curves["discriminator"]["optimal"] = None
    if players.latent_dim(method.players, config) == 1:
        drawn = players.generator(*model, *units, num_points=400)
        curves["generator"] = drawn | {name: axis(np.asarray(drawn[name])) for name in ("learnt", "optimal")}
    return curves
