"""What there is to see of runs in training: distances, histograms, and the players against their optima."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jgen1d.core import Config, Info, Method, PyTree
from jgen1d.engine import evaluate
from jgen1d.engine.program import COMPILER_OPTIONS
from jgen1d.engine.run import Run
from jgen1d.engine.task import Task
from jgen1d.evaluation import metrics, players, trajectories
from jgen1d.playground import signals
from jgen1d.targets import Target

NUM_BINS = 60
NUM_FINAL_SAMPLES = 10_000
"""Of each lane, for distances and histograms."""
NUM_SAMPLES = 2_000
"""While it trains, of a model that is slow to sample."""
NUM_SIGNALS = 1_000
"""While it trains on signals, each of which is measured along 128 directions."""
NUM_CURVES = 16
"""Signals that are drawn, real and generated each."""
NUM_PERFECT = 200
"""Perfect samples whose distances are the floor's band."""
NUM_PERFECT_SIGNALS = 40
"""The same of signals, whose distances are means over many directions and vary less."""
BAND = (5.0, 95.0)
"""Percentiles of a perfect sampler's distances."""
NUM_LATENTS = 300
NUM_LINES = 60


SHOWN = (
    "w1_over_std", "w1_over_floor", "tv", "std_ratio", "ks_p", "modes_covered", "mean", "std", "frechet_over_floor",
    "factor_w1", "off_manifold",
)  # fmt: skip
"""Metrics that the page shows or that decide its verdict; the others would take longest to compile."""


class Scene(NamedTuple):
    """What all looks at one target share.

    Attributes:
      edges: f32[bins + 1], of histograms: where the target's mass is, with a margin; None of signals.
      mass: f32[bins], the target's; None of signals.
      known: for the distances of `num_samples` samples, while a run trains.
      known_finally: of `NUM_FINAL_SAMPLES`.
      floor: f32[3], W1/σ of a perfect sampler of `num_samples`: its mean, and the ends of its `BAND`.
      real: f32[NUM_CURVES, dim], real signals; None of numbers.
    """

    edges: jax.Array | None
    mass: jax.Array | None
    known: metrics.Reference
    known_finally: metrics.Reference
    floor: jax.Array
    real: jax.Array | None = None


def compiled(*static_argnames: str) -> Callable[[Callable], Callable]:
    """Like `jax.jit`, with the options of a sweep's programs, which halve compilation."""

    def decorate(function: Callable) -> Callable:
        @functools.cache
        def jitted() -> Callable:
            options = COMPILER_OPTIONS.get(jax.default_backend())  # here, for importing must not touch a device
            return jax.jit(function, static_argnames=static_argnames, compiler_options=options)

        return functools.wraps(function)(lambda *args, **keywords: jitted()(*args, **keywords))

    return decorate


def num_samples(method: Method, truth: Target) -> int:
    """How many samples a lane is looked at by while it trains: numbers out of GANs cost next to nothing."""
    if signals.are(truth):
        return NUM_SIGNALS
    return NUM_FINAL_SAMPLES if method.players is not None else NUM_SAMPLES


@compiled("count")
def prepare(truth: Target, count: int) -> Scene:
    """The scene of a target, for looks at `count` samples."""
    known = metrics.reference(truth, count)
    known_finally = known if count == NUM_FINAL_SAMPLES else metrics.reference(truth, NUM_FINAL_SAMPLES)
    keys = jax.random.split(jax.random.key(0), NUM_PERFECT_SIGNALS if signals.are(truth) else NUM_PERFECT)
    perfect = jax.lax.map(lambda key: metrics.w1(truth.sample(key, count), known.points), keys)
    floor = jnp.stack([known.floor, *jnp.percentile(perfect, jnp.array(BAND))]) / jnp.mean(jnp.asarray(truth.std))
    if signals.are(truth):
        return Scene(None, None, known, known_finally, floor, truth.sample(jax.random.key(1), NUM_CURVES))
    low, high = truth.quantile(jnp.array([1e-3, 1 - 1e-3]))
    margin = 0.25 * (high - low)
    edges = jnp.linspace(low - margin, high + margin, NUM_BINS + 1)
    return Scene(edges, jnp.diff(truth.cdf(edges)), known, known_finally, floor)


def describe(truth: Target, scene: Scene) -> dict[str, Any]:
    """The target, for the page."""
    if scene.edges is None or scene.mass is None:
        exact = {"mean": np.asarray(truth.mean), "std": np.asarray(truth.std)}
        return {"name": truth.name, **exact, "curves": rounded(np.asarray(scene.real), truth)}
    edges = np.asarray(scene.edges)
    x = np.linspace(edges[0], edges[-1], 200)
    density = np.exp(np.asarray(truth.log_prob(x[:, None]))) if truth.has_density else None
    mean, std = (float(np.ravel(value)[0]) for value in (truth.mean, truth.std))
    found = {"name": truth.name, "mean": mean, "std": std, "x": x, "density": density, "edges": edges}
    return found | {"histogram": np.asarray(scene.mass) / np.diff(edges)}


def rounded(curves: np.ndarray, truth: Target) -> np.ndarray:
    """Signals to a hundredth of the target's spread or finer, which no plot tells apart: a frame stays small."""
    return np.round(curves.astype(float), 2 - math.floor(math.log10(np.mean(truth.spread))))


def look(
    method: Method, runs: PyTree, lane: int, truth: Target, scene: Scene, data: Target, config: Config, count: int
) -> tuple[Info, dict[str, dict[str, jax.Array]]]:
    """The metrics of every lane, and the players of one.

    Args:
      method: the method that is trained.
      runs: `Run`s, with the lanes first.
      lane: whose players are seen.
      truth: the distribution that they are compared with.
      scene: of `truth`.
      data: the distribution that they are trained on, whose units they have.
      config: of all lanes.
      count: samples of each lane, those that the scene was prepared for or `NUM_FINAL_SAMPLES`.

    Returns:
      From samples of the model the metrics and, of numbers, `histogram`, the densities in the bins, f32[lanes, ...];
      and of an adversarial method, the lane's discriminator and generator beside the optimal ones (see
      `evaluation.players`). Of signals instead `signals`: the lane's first `curves`, f32[NUM_CURVES, dim], and the
      `mean` and `std` of all its samples, f32[dim].
    """
    samples = _draw(method, runs, data, config, count)
    seen = _measure(samples, truth, scene)
    if signals.are(truth):
        return seen, {"signals": _bundle(samples, lane)}
    if method.players is None:
        return seen, {}
    return seen, _players(method, runs.state, lane, seen["histogram"], truth, scene, data, config, count)


@compiled("method", "count")
def _draw(method: Method, runs: PyTree, data: Target, config: Config, count: int) -> jax.Array:
    """Samples of every lane, f32[lanes, count, dim]."""
    return jax.vmap(lambda run: evaluate.sample(Task(method, data, config), run, count))(runs)


@compiled()
def _measure(samples: jax.Array, truth: Target, scene: Scene) -> Info:
    """Their metrics: a program apart, because that of one model serves all."""
    count = samples.shape[1]
    known = scene.known_finally if count == NUM_FINAL_SAMPLES else scene.known

    def one(samples: jax.Array) -> Info:
        found = metrics.evaluate(samples, truth, known)
        kept = {name: found[name] for name in SHOWN if name in found}
        if scene.edges is None:
            return kept
        shares = jnp.diff(jnp.searchsorted(jnp.sort(samples[:, 0]), scene.edges)) / count
        return kept | {"histogram": shares / (scene.edges[1] - scene.edges[0])}

    return jax.vmap(one)(samples)


@compiled()
def _bundle(samples: jax.Array, lane: int) -> dict[str, jax.Array]:
    own = samples[lane]
    return {"curves": own[:NUM_CURVES], "mean": jnp.mean(own, axis=0), "std": jnp.std(own, axis=0)}


@compiled("method", "count")
def _players(
    method: Method, states: PyTree, lane: int, histograms: jax.Array, truth: Target, scene: Scene, data: Target,
    config: Config, count: int,
) -> dict[str, dict[str, jax.Array]]:  # fmt: skip
    assert method.players is not None
    assert scene.edges is not None
    state, units = jax.tree.map(lambda leaf: leaf[lane], states), Task(method, data, config).units
    fake = histograms[lane] * (scene.edges[1] - scene.edges[0])
    of = (method.players, state, config)
    found = {"discriminator": players.discriminator(*of, truth, scene.edges, fake, count, *units)}
    if players.latent_dim(method.players, config) > 1:
        key = jax.random.key(0)
        return found | {"generator": players.generator_of_two(method.players, key, *of[1:], *units, NUM_LATENTS)}
    return found | {"generator": players.generator(*of, truth, *units, 100)}


def paths(run: Run, task: Task) -> dict[str, Any]:
    """Where points go from noise to data, learnt and exact, and the field that carries them, in training units."""
    trajectory, units = task.method.trajectory, task.units
    assert trajectory is not None
    u = (jnp.arange(NUM_LINES) + 0.5) / NUM_LINES
    stops = trajectories.stops(trajectory, task.config)
    samples = trajectories.learned_lines(trajectory, run.state, ndtri(u), task.config)
    exact = trajectories.exact_lines(task.target, u, stops.alpha, stops.sigma, *units)
    grid = np.linspace(-3.5, 3.5, 100)
    x = jnp.asarray(grid, dtype=float)
    learnt, optimal = trajectories.fields(trajectory, task.target, run.state, x, task.config, *units)
    kind = trajectory.kind(task.config).removeprefix("transport_")
    return {
        "t": stops.progress, "samples": samples.T, "exact": exact.T, "grid": grid, "kind": kind,
        "learnt": learnt, "optimal": optimal,
    }  # fmt: skip
