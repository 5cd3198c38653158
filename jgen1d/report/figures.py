"""What a reader should conclude from a sweep: sentences computed from its numbers, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d import core
from jgen1d.engine import run as train
from jgen1d.evaluation import metrics, theory
from jgen1d.methods import gan
from jgen1d.plots import runs as plots
from jgen1d.report import table as results
from jgen1d.sweeps import Sweep

MAX_RUN_FIGURES = 12
"""Single runs that `plot` draws, one per (target, config)."""


def conclusions(sweep: Sweep, presets: Sequence[str]) -> list[str]:
    """One sentence per target: how often the losses looked right, and how often the model was."""
    table = sweep.table(presets)
    sentences = []
    for target in dict.fromkeys(row["target"] for row in table):
        clauses = [_clause(label(row), row) for row in table if row["target"] == target]
        sentences.append(f"{target}: " + "; ".join(clauses) + ".")
    return sentences


def _clause(name: str, row: dict[str, Any]) -> str:
    num_seeds, verdicts = row["num_seeds"], row["verdicts"]
    num_converged = verdicts["converged"]["count"]
    others = {v: r["count"] for v, r in verdicts.items() if v != "converged" and r["count"]}
    instead = ", ".join(f"{count} {verdict}" for verdict, count in sorted(others.items(), key=lambda item: -item[1]))
    learnt = f"{num_converged or 'none'}{f' of {num_seeds}' if num_converged else ''} learned the distribution"
    if row["at_equilibrium"] is not None:
        at_equilibrium = row["at_equilibrium"]["count"]
        link = "and" if at_equilibrium <= 2 * num_converged else "yet only" if num_converged else "yet"
        learnt = f"the losses of {at_equilibrium} of {num_seeds} seeds sit at their optimum, {link} {learnt}"
    distance = row["w1_over_floor"]
    far = f", at a median of {distance['median']:.1f} times a perfect sampler's distance" if distance else ""
    return f"with {name} {learnt}{far}{f' (else {instead})' if instead else ''}"


def label(row: dict[str, Any]) -> str:
    """A row's preset and swept fields in a few words."""
    fields = [f"{name}={row[name]}" for name in results.labels(row) if name not in ("target", "preset")]
    return " ".join(filter(None, [row.get("preset", ""), *fields])) or "these settings"


def plot(workdir: str | Path, sweep: Sweep, presets: Sequence[str]) -> list[Path]:
    """Writes the pictures of a sweep as PNG, and returns their paths.

    `verdicts.png`, `losses.png` where losses have an optimum, `distance.png`, `modes.png` where a target has several
    modes, and for up to `MAX_RUN_FIGURES` rows of the table one `run_*.png`: of the seed whose W1 is the median.
    """
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    rows = sweep.table(presets).rows
    places = list(np.ndindex(sweep.verdict.shape[:2]))
    labels = [f"{row['target']}, {label(row)}" for row in rows]
    figures = {"verdicts": _verdicts(rows, labels), "distance": _distances(sweep, rows, places)}
    optimum = {
        name: sweep.method.loss_optimum(sweep.configs[c]) if sweep.method.loss_optimum else {}
        for name, (_, c) in zip(labels, places, strict=True)
    }
    names = sorted({loss for losses in optimum.values() for loss in losses})
    if names:
        losses = {
            name: {loss: sweep.history[loss][place] for loss in names}
            for name, place in zip(labels, places, strict=True)
        }
        figures["losses"] = plots.loss_bands(
            steps=sweep.steps, losses=losses, optimum=optimum, title=f"Losses over {len(sweep.seeds)} seeds"
        )
    panels = {}
    for name, (t, c) in zip(labels, places, strict=True):
        modes = sweep.targets[t].modes
        if len(modes.scales) > 1:
            expected = np.asarray(modes.weights) * metrics.expected_high_quality(sweep.targets[t].dim)
            mass = sweep.metrics["mode_mass"][t, c][:, : len(modes.scales)]
            panels[name] = (mass, expected, np.asarray(modes.centers))
    if panels:
        figures["modes"] = plots.mode_mass(panels=panels, title=f"Mass of each mode over {len(sweep.seeds)} seeds")
    for name, (t, c) in list(zip(labels, places, strict=True))[:MAX_RUN_FIGURES]:
        figures["run_" + "_".join(name.replace(",", "").split())] = plot_run(
            sweep.result(t, c, results.median_index(sweep.metrics["w1"][t, c])), name
        )
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name.replace('/', '-')}.png")
        plots.save(figure, paths[-1])
    return paths


def _verdicts(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> plots.Figure:
    verdicts = list(rows[0]["verdicts"])
    counts = {v: [row["verdicts"][v]["count"] for row in rows] for v in verdicts}
    intervals = {v: tuple([row["verdicts"][v][end] for row in rows] for end in ("low", "high")) for v in verdicts}
    title = f"Verdicts over {rows[0]['num_seeds']} seeds"
    return plots.verdict_shares(labels=labels, counts=counts, intervals=intervals, title=title)


def _distances(sweep: Sweep, rows: Sequence[dict[str, Any]], places: Sequence[tuple[int, int]]) -> plots.Figure:
    curves: dict[str, dict[str, np.ndarray]] = {}
    floor: dict[str, float] = {}
    for row, (t, c) in zip(rows, places, strict=True):
        target = sweep.targets[t]
        curves.setdefault(row["target"], {})[label(row)] = sweep.history["w1_over_std"][t, c]
        if row["target"] not in floor:
            reference = jax.jit(metrics.reference, static_argnums=1)(target, train.NUM_CURVE_SAMPLES)
            floor[row["target"]] = float(reference.floor) / float(np.mean(target.std))
    title = f"Distance over {len(sweep.seeds)} seeds, from {train.NUM_CURVE_SAMPLES:,} samples each"
    threshold = sweep.thresholds.w1_over_std
    return plots.distance_bands(steps=sweep.steps, curves=curves, floor=floor, threshold=threshold, title=title)


def plot_run(result: train.Result, name: str, num_samples: int = 10_000) -> plots.Figure:
    """The picture of one run; for a GAN in 1-D also D against D*, and G against G* where the latent is 1-D.

    Args:
      result: the run.
      name: for the title.
      num_samples: how many samples the histogram is made of.
    """
    target = result.target
    labels = _labels(result, num_samples)
    samples = np.asarray(result.sample(jax.random.key(0), num_samples, labels))
    density = data = None
    if target.dim == 1 and target.has_density:
        x = np.linspace(*_window(target), 600)
        density = (x, np.exp(np.asarray(target.log_prob(x[:, None]))))
    else:
        data = np.asarray(target.sample(jax.random.key(1), 2_000))
    players: dict[str, Any] = {}
    if isinstance(result.config, gan.Config) and target.dim == 1 and labels is None:
        players["discriminator"] = _discriminator(result)
        if result.config.latent_dim == 1:
            players["generator"] = _generator(result)
    optimum = result.method.loss_optimum(result.config) if result.method.loss_optimum else {}
    return plots.run(
        title=f"{name}: {result.verdict}, W1/σ {result.metrics['w1_over_std']:.3f}", steps=result.steps,
        history=result.history, optimum=optimum, samples=samples, labels=labels, density=density, data=data,
        target_mean=np.asarray(target.mean), target_std=np.asarray(target.std), **players,
    )  # fmt: skip


def comparison(result: train.Result, num_samples: int = 10_000, num_points: int = 400) -> plots.Comparison:
    """What a run learnt beside its target, for `plots.comparisons`: densities in 1-D, points in 2-D."""
    target = result.target
    note = f"{result.metrics['w1_over_floor']:.1f}"
    samples = np.asarray(result.sample(jax.random.key(0), num_samples))
    if target.dim > 1 or not target.has_density:
        return plots.Comparison(note, samples[:1_000], np.asarray(target.sample(jax.random.key(1), 1_000)))
    x = np.linspace(*_window(target), num_points)
    exact = np.exp(np.asarray(target.log_prob(x[:, None])))
    if result.method.log_prob is not None:
        points, *units = (jnp.asarray(values, dtype=float) for values in (x[:, None], result.shift, result.scale))
        log_q = train.log_prob(result.method, result.state, points, target, result.config, *units)
        return plots.Comparison(note, np.exp(np.asarray(log_q)), exact, x)
    edges = np.linspace(x[0], x[-1], num_points // 4 + 1)
    counts = np.histogram(samples, edges)[0] / num_samples / np.diff(edges)
    return plots.Comparison(note, counts[np.clip(np.searchsorted(edges, x) - 1, 0, len(counts) - 1)], exact, x)


def _labels(result: train.Result, num_samples: int) -> np.ndarray | None:
    """The classes of samples, in shares as near as can be to the target's; None for a model without classes."""
    if not core.num_classes(result.config):
        return None
    ends = np.cumsum(np.asarray(result.target.modes.weights))[:-1]
    return np.searchsorted(ends, (np.arange(num_samples) + 0.5) / num_samples)


def _window(target: train.Target) -> tuple[float, float]:
    """Where a 1-D target's mass is, with a margin."""
    low, high = (float(q) for q in target.quantile(jnp.array([1e-3, 1 - 1e-3])))
    return low - 0.15 * (high - low), high + 0.15 * (high - low)


def _discriminator(
    result: train.Result, num_bins: int = 150, num_samples: int = 300_000
) -> dict[str, np.ndarray | None]:
    """D over the target's range, and the D* that belongs to the generator: p/(p + q) bin by bin, q from its samples."""
    if result.config.discriminator_loss not in ("log", "half_log"):
        return {}
    edges = np.linspace(*_window(result.target), num_bins + 1)
    x = (edges[1:] + edges[:-1]) / 2
    logits = gan.discriminate(result.state, jnp.asarray((x[:, None] - result.shift) / result.scale), result.config)
    learnt = np.asarray(jax.nn.sigmoid(logits))
    if not result.target.has_density:  # against a finite sample the optimum is 1 on its values and 0 elsewhere
        return {"x": x, "learnt": learnt, "optimal": None}
    real = np.diff(np.asarray(result.target.cdf(edges)))
    fake = np.histogram(np.asarray(result.sample(jax.random.key(2), num_samples)), edges)[0] / num_samples
    # Below ten samples' worth of mass the ratio is noise.
    known = real + fake > 10 / num_samples
    optimal = np.where(known, real / np.where(known, real + fake, 1), np.nan)
    return {"x": x, "learnt": learnt, "optimal": optimal}


def _generator(result: train.Result) -> dict[str, np.ndarray]:
    """G over its latents, and G* = F⁻¹∘Φ, mirrored where G falls."""
    z = np.linspace(-3.5, 3.5, 400) if result.config.latent == "normal" else np.linspace(-0.999, 0.999, 400)
    learnt = result.shift + result.scale * np.asarray(
        gan.generate(result.state, jnp.asarray(z[:, None]), result.config)
    )
    rising = np.polyfit(z, learnt[:, 0], 1)[0] >= 0
    # `gan` draws uniform latents from (−1, 1), the inverse transform from (0, 1).
    latents = (z if rising else -z) if result.config.latent == "normal" else (1 + (z if rising else -z)) / 2
    optimal = theory.optimal_generator(result.target, latents, result.config.latent)
    return {"z": z, "learnt": learnt[:, 0], "optimal": np.asarray(optimal)}
