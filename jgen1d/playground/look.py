"""What there is to see of runs in training: distances, histograms, and the players against their optima."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jgen1d.core import Config, Info, Method, PyTree, State
from jgen1d.engine import run as train
from jgen1d.engine.block import COMPILER_OPTIONS
from jgen1d.evaluation import metrics, theory
from jgen1d.evaluation import trajectories as travel
from jgen1d.methods import gan
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


@compiled("method", "num_samples", "standardize")
def look(
    method: Method, runs: PyTree, truth: Target, scene: Scene, data: Target, config: Config, num_samples: int,
    standardize: bool,
) -> Info:  # fmt: skip
    """Of every lane: `metrics.curves`, modes, and the histogram's densities, from samples of the model; [lanes, ...].

    Args:
      method: what is trained.
      runs: `train.Run`s, with the lanes first.
      truth: what they are compared with.
      scene: of it.
      data: what they are trained on, whose units they have.
      config: of all lanes.
      num_samples: of each, `NUM_SAMPLES` or `NUM_FINAL_SAMPLES`.
      standardize: whether the units are the data's mean and std.
    """
    known = scene.known if num_samples == NUM_SAMPLES else scene.known_finally
    modes = jax.tree.map(jnp.asarray, truth.modes)

    def one(run: train.Run) -> Info:
        samples = train.sample(method, run, data, config, num_samples, standardize)
        found = metrics.curves(samples, truth, known)
        found["w1_over_floor"] = found["w1"] / known.floor
        if len(modes.scales):
            mass = metrics.mode_mass(samples, modes)
            found["modes_covered"] = jnp.sum(metrics.covered(mass, modes)).astype(float)
        return found | {"histogram": _shares(samples, scene) / (scene.edges[1] - scene.edges[0])}

    return jax.vmap(one)(runs)


def _shares(samples: jax.Array, scene: Scene) -> jax.Array:
    """Of f32[n, 1], in each bin: f32[bins]."""
    return jnp.diff(jnp.searchsorted(jnp.sort(samples[:, 0]), scene.edges)) / len(samples)


@compiled("method", "standardize")
def players(
    method: Method, runs: PyTree, lane: int, truth: Target, scene: Scene, data: Target, config: gan.Config,
    standardize: bool,
) -> dict[str, dict[str, jax.Array]]:  # fmt: skip
    """One GAN's discriminator beside D* = p/(p + q), q from its samples, and its generator beside G* = F⁻¹∘Φ."""
    run = jax.tree.map(lambda leaf: leaf[lane], runs)
    shift, scale = train.units(data, standardize)
    x = (scene.edges[1:] + scene.edges[:-1]) / 2
    logits = gan.discriminate(run.state, (x[:, None] - shift[None]) / scale[None], config)
    learnt, exact = logits, jnp.full_like(x, jnp.nan)
    if config.discriminator_loss in ("log", "half_log", "double_sigmoid"):
        fake = _shares(train.sample(method, run, data, config, NUM_FAKE, standardize), scene)
        known = (scene.mass + fake > 10 / NUM_FAKE) & truth.has_density
        exact = jnp.where(known, scene.mass / jnp.where(known, scene.mass + fake, 1), jnp.nan)
        if config.discriminator_loss == "double_sigmoid":  # what the loss takes for logits are probabilities
            exact = jnp.clip(jnp.log(exact / (1 - exact)), 0, 1)
        learnt = jax.nn.sigmoid(logits)
    found = {"discriminator": {"x": x, "learnt": learnt, "exact": exact}}
    if config.latent_dim > 1:
        latents = gan.latents(jax.random.key(0), NUM_LATENTS, config)
        output = shift[None] + scale[None] * gan.generate(run.state, latents, config)
        return found | {"generator": {"z1": latents[:, 0], "z2": latents[:, 1], "x": output[:, 0]}}
    levels = (jnp.arange(100) + 0.5) / 100
    z = ndtri(levels) if config.latent == "normal" else 2 * levels - 1
    output = (shift[None] + scale[None] * gan.generate(run.state, z[:, None], config))[:, 0]
    best = theory.optimal_generator(truth, z if config.latent == "normal" else levels, config.latent)
    return found | {"generator": {"z": z, "x": output, "exact": jnp.where(output[-1] >= output[0], best, best[::-1])}}


def paths(state: State, data: Target, config: Config, standardize: bool) -> dict[str, Any]:
    """The ways of points from noise to data, learnt and exact, and what carries them, in training units."""
    u = (jnp.arange(NUM_LINES) + 0.5) / NUM_LINES
    stops = travel.clock(config)
    samples = travel.learnt_lines(state, ndtri(u), config)
    exact = travel.exact_lines(data, u, stops.alpha, stops.sigma, standardize)
    grid = np.linspace(-3.5, 3.5, 100)
    kind, learnt, optimal = travel.fields(data, state, jnp.asarray(grid, dtype=float), config, standardize)
    return {
        "t": stops.progress, "samples": samples.T, "exact": exact.T, "grid": grid, "kind": kind,
        "learnt": learnt, "optimal": optimal,
    }  # fmt: skip
