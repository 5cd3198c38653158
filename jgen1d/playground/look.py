"""What there is to see of runs in training: distances, histograms, and the players against their optima."""

from __future__ import annotations

import functools
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
from jgen1d.targets import Target

NUM_BINS = 60
NUM_SAMPLES = 2_000
"""Of each lane, for distances and histograms while it trains; at the end there are `NUM_FINAL_SAMPLES`."""
NUM_FINAL_SAMPLES = 10_000
NUM_FAKE = 10_000
"""Of the generator that is shown, for D*."""
NUM_LATENTS = 300
NUM_LINES = 60


class Scene(NamedTuple):
    """What all looks at one target share.

    Attributes:
      edges: f32[bins + 1], of histograms: where the target's mass is, with a margin.
      mass: f32[bins], the target's.
      known: for the distances of `NUM_SAMPLES` samples.
      known_finally: of `NUM_FINAL_SAMPLES`.
    """

    edges: jax.Array
    mass: jax.Array
    known: metrics.Reference
    known_finally: metrics.Reference


def compiled(*static_argnames: str) -> Callable[[Callable], Callable]:
    """Like `jax.jit`, with the options of a sweep's programs, which halve compilation."""

    def decorate(function: Callable) -> Callable:
        @functools.cache
        def jitted() -> Callable:
            options = COMPILER_OPTIONS.get(jax.default_backend())  # here, for importing must not touch a device
            return jax.jit(function, static_argnames=static_argnames, compiler_options=options)

        return functools.wraps(function)(lambda *args, **keywords: jitted()(*args, **keywords))

    return decorate


@compiled()
def prepare(truth: Target) -> Scene:
    """The scene of a target."""
    low, high = truth.quantile(jnp.array([1e-3, 1 - 1e-3]))
    margin = 0.25 * (high - low)
    edges = jnp.linspace(low - margin, high + margin, NUM_BINS + 1)
    known, known_finally = (metrics.reference(truth, count) for count in (NUM_SAMPLES, NUM_FINAL_SAMPLES))
    return Scene(edges, jnp.diff(truth.cdf(edges)), known, known_finally)


def describe(truth: Target, scene: Scene) -> dict[str, Any]:
    """The target, for the page."""
    edges = np.asarray(scene.edges)
    x = np.linspace(edges[0], edges[-1], 200)
    density = np.exp(np.asarray(truth.log_prob(x[:, None]))) if truth.has_density else None
    mean, std = (float(np.ravel(value)[0]) for value in (truth.mean, truth.std))
    found = {"name": truth.name, "mean": mean, "std": std, "x": x, "density": density, "edges": edges}
    return found | {"histogram": np.asarray(scene.mass) / np.diff(edges)}


@compiled("method", "num_samples")
def look(
    method: Method, runs: PyTree, truth: Target, scene: Scene, data: Target, config: Config, num_samples: int
) -> Info:
    """The metrics of every lane, and the densities of its histogram, from samples of the model; [lanes, ...].

    Args:
      method: the method that is trained.
      runs: `Run`s, with the lanes first.
      truth: the distribution that they are compared with.
      scene: of `truth`.
      data: the distribution that they are trained on, whose units they have.
      config: of all lanes.
      num_samples: of each lane, `NUM_SAMPLES` or `NUM_FINAL_SAMPLES`.
    """
    known = scene.known if num_samples == NUM_SAMPLES else scene.known_finally

    def one(run: Run) -> Info:
        samples = evaluate.sample(Task(method, data, config), run, num_samples)
        histogram = _shares(samples, scene) / (scene.edges[1] - scene.edges[0])
        return metrics.evaluate(samples, truth, known) | {"histogram": histogram}

    return jax.vmap(one)(runs)


def _shares(samples: jax.Array, scene: Scene) -> jax.Array:
    """The share of samples f32[n, 1] in each bin: f32[bins]."""
    return jnp.diff(jnp.searchsorted(jnp.sort(samples[:, 0]), scene.edges)) / len(samples)


@compiled("method")
def look_at_players(
    method: Method, runs: PyTree, lane: int, truth: Target, scene: Scene, data: Target, config: Config
) -> dict[str, dict[str, jax.Array]]:
    """One lane's discriminator and generator beside the optimal ones (see `evaluation.players`)."""
    assert method.players is not None
    run, task = jax.tree.map(lambda leaf: leaf[lane], runs), Task(method, data, config)
    fake = _shares(evaluate.sample(task, run, NUM_FAKE), scene)
    of = (method.players, run.state, config)
    found = {"discriminator": players.discriminator(*of, truth, scene.edges, fake, NUM_FAKE, *task.units)}
    if players.latent_dim(method.players, config) > 1:
        key = jax.random.key(0)
        return found | {"generator": players.generator_of_two(method.players, key, *of[1:], *task.units, NUM_LATENTS)}
    return found | {"generator": players.generator(*of, truth, *task.units, 100)}


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
