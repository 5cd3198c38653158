"""What is measured of generated samples: the table of all metrics, and the functions that compute it.

Pure functions, arrays in and scalars out, for one set of samples; `vmap` outside.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.evaluation.bins import NUM_BINS, js, js_floor, num_equal_bins, tv, tv_floor
from jgen1d.evaluation.coverage import (
    COVERED_SHARE,
    RADIUS,
    covered,
    expected_high_quality,
    hit,
    mode_mass,
    mode_tv,
    reverse_kl,
)
from jgen1d.evaluation.distances import (
    NUM_DIRECTIONS,
    NUM_ENERGY_POINTS,
    Reference,
    directions,
    energy,
    kl,
    reference,
    w1,
    w1_floor,
)
from jgen1d.evaluation.entry import (
    Metric,
    in_1d,
    of_signals,
    with_factors,
    with_held_out,
    with_ks,
    with_labels,
    with_modes,
    with_planar_cdf,
)
from jgen1d.evaluation.gaps import Steps, edges, ks, ks_p, largest_gap, samples_to_tell, steps
from jgen1d.evaluation.material import ClassSamples, Densities, Gap, Samples
from jgen1d.targets import Modes, Target

__all__ = [
    "COVERED_SHARE",
    "METRICS",
    "NUM_BINS",
    "NUM_DIRECTIONS",
    "NUM_ENERGY_POINTS",
    "OF_MODES",
    "RADIUS",
    "ClassSamples",
    "Densities",
    "Gap",
    "Metric",
    "Modes",
    "Reference",
    "Samples",
    "Steps",
    "covered",
    "curves",
    "directions",
    "edges",
    "energy",
    "evaluate",
    "evaluate_class",
    "evaluate_density",
    "evaluate_gap",
    "expected_high_quality",
    "hit",
    "in_data_units",
    "js",
    "js_floor",
    "kl",
    "ks",
    "ks_p",
    "largest_gap",
    "mode_mass",
    "mode_tv",
    "num_equal_bins",
    "reference",
    "reverse_kl",
    "samples_to_tell",
    "steps",
    "tv",
    "tv_floor",
    "w1",
    "w1_floor",
]


def _class_w1_over_floor(drawn: ClassSamples) -> jax.Array:
    mode = drawn.target.mode(drawn.label)
    known = reference(mode, len(drawn.samples))
    return w1(drawn.samples, known.points) / known.floor


def _class_accuracy(drawn: ClassSamples) -> jax.Array:
    return jnp.mean((drawn.target.most_probable_label(drawn.samples) == drawn.label).astype(drawn.samples.dtype))


def _out_of_range(s: Samples) -> jax.Array:
    assert s.target.family.ends is not None
    low, high = (jnp.reshape(end, (1, -1)) for end in s.target.family.ends(s.target.params))
    return jnp.mean(((s.samples < low) | (s.samples > high)).any(axis=1).astype(s.samples.dtype))


def _of_signal(name: str, s: Samples) -> jax.Array:
    return s.of_signals[name]


def _over_floor(name: str, s: Samples) -> jax.Array:
    assert s.reference.signal is not None
    return s.of_signals[name] / s.reference.signal.floors[name]


def _of_image(name: str, s: Samples) -> jax.Array:
    return s.of_images[name]


_SIGNALS: dict[str, tuple[str, str, Callable[[Target], bool]]] = {
    "frechet": ("Fréchet distance", "length", of_signals),
    "pointwise_w1": ("W1 of places", "length", of_signals),
    "covariance_error": ("error of the covariance", "", of_signals),
    "spectrum_error": ("error of the spectrum", "", of_signals),
    "factor_w1": ("W1/σ of the worst factor", "", with_factors),
    "off_manifold": ("residual", "", with_factors),
}
_IMAGES = {
    "pca_w1_over_floor": "W1/floor of principal components",
    "pca_frechet_over_floor": "Fréchet/floor of principal components",
    "classes_covered": "classes covered",
    "memorised": "nearer to a training image than a held-out one",
}
METRICS: dict[str, Metric] = {
    "w1": Metric("W1", lambda s: s.w1, in_history=True, unit="length"),
    "w1_over_std": Metric("W1/σ", lambda s: s.w1 / jnp.mean(s.target_std), in_history=True),
    "std_ratio": Metric(
        "std/target's std", lambda s: jnp.linalg.norm(s.std) / jnp.linalg.norm(s.target_std), in_history=True
    ),
    "mean": Metric("mean", lambda s: jnp.mean(s.samples), in_1d, in_history=True, unit="place", least=-math.inf),
    "std": Metric("std", lambda s: s.std[0], in_1d, in_history=True, unit="length"),
    "w1_over_floor": Metric("W1/floor", lambda s: s.w1 / s.reference.floor),
    "energy": Metric("energy distance", lambda s: energy(s.samples, s.reference.points), unit="length"),
    "mean_error": Metric(
        "error of the mean",
        lambda s: jnp.linalg.norm(jnp.mean(s.samples, axis=0) - jnp.asarray(s.target.mean)),
        unit="length",
    ),
    "std_error": Metric("error of the std", lambda s: jnp.linalg.norm(s.std - s.target_std), unit="length"),
    "out_of_range": Metric("out of the data's range", _out_of_range, lambda target: target.family.ends is not None),
    "ks": Metric("KS", lambda s: s.ks, with_ks),
    "ks_p": Metric("p of KS", lambda s: s.ks_p, with_ks),
    "tv": Metric("TV", lambda s: s.tv),
    "tv_over_floor": Metric("TV/floor", lambda s: s.tv / tv_floor(len(s.samples))),
    "js": Metric("JS", lambda s: s.js, in_1d),
    "js_over_floor": Metric("JS/floor", lambda s: s.js / js_floor(s.target, len(s.samples)), in_1d),
    "mode_mass": Metric("mass of each mode", lambda s: s.mode_mass, with_modes),
    "modes_covered": Metric(
        "modes covered", lambda s: jnp.sum(covered(s.mode_mass, s.modes)).astype(float), with_modes
    ),
    "modes_hit": Metric("modes hit", lambda s: jnp.sum(hit(s.samples, s.modes)).astype(float), with_modes),
    "high_quality": Metric("share within 3 scales of a mode", lambda s: jnp.sum(s.mode_mass), with_modes),
    "mode_tv": Metric("TV over modes", lambda s: mode_tv(s.mode_mass, s.modes), with_modes),
    "reverse_kl": Metric("reverse KL over modes", lambda s: reverse_kl(s.mode_mass, s.modes), with_modes),
    "kl": Metric(
        "KL", lambda d: kl(d.log_p, d.log_q), lambda target: target.has_density, needs=Densities, least=-math.inf
    ),
    "samples_to_tell": Metric(
        "samples to tell", lambda g: samples_to_tell(g.gap, g.target.dim, g.num_samples), with_planar_cdf, needs=Gap
    ),
    "kl_per_dim": Metric(
        "KL per dimension",
        lambda d: kl(d.log_p, d.log_q) / d.target.dim,
        lambda target: target.has_density and target.dim > 2,
        needs=Densities,
        least=-math.inf,
    ),
    **{
        name: Metric(title, functools.partial(_of_signal, name), needed, in_history=name == "frechet", unit=unit)
        for name, (title, unit, needed) in _SIGNALS.items()
    },
    **{
        f"{name}_over_floor": Metric(f"{title}/floor", functools.partial(_over_floor, name), needed)
        for name, (title, _, needed) in _SIGNALS.items()
    },
    **{name: Metric(title, functools.partial(_of_image, name), with_held_out) for name, title in _IMAGES.items()},
    "class_w1_over_floor": Metric("W1/floor of classes", _class_w1_over_floor, with_modes, needs=ClassSamples),
    "class_accuracy": Metric("accuracy of classes", _class_accuracy, with_labels, needs=ClassSamples),
}
"""All metrics by name. A new metric is one entry: runs, tables and titles follow."""
OF_MODES = frozenset(name for name, metric in METRICS.items() if metric.applies in (with_modes, with_labels))
"""Those of targets with modes or labels alone."""


def in_data_units(values: Mapping[str, Any], shift: Any, scale: Any) -> dict[str, Any]:
    """Metrics of a target in training units, and what is not one of `METRICS`, in data units.

    Args:
      values: f[...] by name.
      shift: f[], or f[n] for the first axis of the values, in data units: data = shift + scale · training.
      scale: f[], or f[n] for the first axis of the values, in data units, above 0.
    """

    def convert(name: str, value: Any) -> Any:
        unit = METRICS[name].unit if name in METRICS else ""
        if not unit:
            return value
        shift_of, scale_of = (v if np.ndim(v) == 0 else v.reshape(-1, *[1] * (value.ndim - 1)) for v in (shift, scale))
        return scale_of * value + (shift_of if unit == "place" else 0)

    return {name: convert(name, value) for name, value in values.items()}


def evaluate(samples: jax.Array, target: Target, reference: Reference) -> dict[str, jax.Array]:
    """Every metric of samples that the target has.

    Args:
      samples: f32[n, dim], in data units.
      target: what the model was to learn.
      reference: from `reference(target, n)`.

    Returns:
      f32[], or f32[k] of modes, by name.
    """
    return _compute(Samples(samples, target, reference))


def curves(samples: jax.Array, target: Target, reference: Reference) -> dict[str, jax.Array]:
    """The cheap metrics among those of `evaluate`, for every point of a history; arguments as there."""
    return _compute(Samples(samples, target, reference), only_history=True)


def evaluate_density(log_p: jax.Array, log_q: jax.Array, target: Target) -> dict[str, jax.Array]:
    """Every metric of a model's density.

    Args:
      log_p: f32[n], the target's log density in nats at draws of the target.
      log_q: f32[n], the model's log density in nats at the same points.
      target: what the model was to learn.

    Returns:
      f32[] by name.
    """
    return _compute(Densities(log_p, log_q, target))


def evaluate_gap(gap: jax.Array, target: Target, num_samples: int) -> dict[str, jax.Array]:
    """Every metric of the largest gap between a model's distribution function and the target's.

    Args:
      gap: f32[] in [0, 1], from `largest_gap`.
      target: what the model was to learn, with `has_cdf`.
      num_samples: how many samples the gap was measured on, or as good as.

    Returns:
      f32[] by name.
    """
    return _compute(Gap(gap, target, num_samples))


def evaluate_class(samples: jax.Array, target: Target, label: jax.Array) -> dict[str, jax.Array]:
    """Every metric of the samples that a model drew given one label.

    `class_w1_over_floor` is their W1 from the mode of that label, over a perfect sampler's. `class_accuracy` is the
    share of them whose most probable label, by the exact posterior, is that one: 1 at most, if modes do not overlap.

    Args:
      samples: f32[n, dim], in data units.
      target: what the model was to learn, with modes.
      label: i32[], the mode's index.

    Returns:
      f32[] by name.
    """
    return _compute(ClassSamples(samples, target, label))


def _compute(context: Samples | ClassSamples | Densities | Gap, only_history: bool = False) -> dict[str, jax.Array]:
    return {
        name: metric.compute(context)
        for name, metric in METRICS.items()
        if isinstance(context, metric.needs)
        and metric.applies(context.target)
        and (metric.in_history or not only_history)
    }
