"""The outcome of a run in one word, from its history and its final metrics.

Losses at their optimum are necessary for a GAN to have converged, but far from sufficient: a discriminator that answers
½ everywhere gives log 2 and 2·log 2 for *any* generator. A short distance is not sufficient either: W1/σ hides peaks
that are too high. So a verdict needs the losses, the distance, the misplaced probability and the coverage; the
strictest needs a statistical test of the samples, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jgen1d.evaluation.gaps import LEVEL
from jgen1d.evaluation.metrics import METRICS, OF_MODES

VERDICTS = (
    "indistinguishable", "converged", "false_equilibrium", "mode_collapse", "oscillating", "not_converged", "diverged",
)  # fmt: skip
LEARNED = ("indistinguishable", "converged")
"""The verdicts of runs that learned the distribution."""
MAY_BE_INFINITE = ("kl", "samples_to_tell")
ROUNDING = 1e-5
"""How far rounding may take a metric below its least value."""


class Thresholds(NamedTuple):
    """The limits in the rules of `classify`.

    Attributes:
      w1_over_std: the largest W1 of a converged run, in standard deviations of the target, above 0.
      loss_gap: losses are at their optimum if their means over the last tenth of the history are at most this far from
        it, above 0.
      loss_std: losses oscillate if a standard deviation over the last third of the history exceeds this, above 0.
      std_ratio: without modes, samples have collapsed if their standard deviation is below this share of the target's,
        in (0, 1).
      tv: the largest total variation of a converged run, the share of probability in the wrong place, in (0, 1].
      ks_p: the least p-value of the Kolmogorov–Smirnov test of an indistinguishable run, in [0, 1). A perfect sampler
        passes in all but this share of draws.
      off_manifold: of a target with factors, how many times as much as of perfect samples the factors may leave
        unexplained in a converged run, above 1.
    """

    w1_over_std: float = 0.05
    loss_gap: float = 0.05
    loss_std: float = 0.1
    std_ratio: float = 0.5
    tv: float = 0.1
    ks_p: float = LEVEL
    off_manifold: float = 1.5

    def __str__(self) -> str:
        """The limits in words."""
        return (
            f"converged: W1/σ ≤ {self.w1_over_std:g}, TV ≤ {self.tv:g}, all modes covered and losses within "
            f"{self.loss_gap:g} of their optimum; indistinguishable: besides, a Kolmogorov–Smirnov test at "
            f"{100 * self.ks_p:g} % does not reject the samples; oscillating: loss std over the last third > "
            f"{self.loss_std:g}; collapsed without modes: std < {self.std_ratio:g} of the target's"
        )


DEFAULT_THRESHOLDS = Thresholds()


def learned(verdicts: ArrayLike) -> np.ndarray:
    """Which runs learned the distribution, bool[...]: those that converged, indistinguishable ones included."""
    return np.isin(verdicts, LEARNED)


def loss_gap(history: Mapping[str, ArrayLike], optimum: Mapping[str, float]) -> np.ndarray:
    """The largest distance of a loss, averaged over the last tenth of the history, from its optimum.

    Args:
      history: curves f[..., num_evals] by name.
      optimum: the optimum of each loss by name, at least one.

    Returns:
      f[...], NaN where a loss is NaN.
    """
    gaps = []
    for name, value in optimum.items():
        curve = np.asarray(history[name], np.float64)
        gaps.append(np.abs(curve[..., -max(1, curve.shape[-1] // 10) :].mean(-1) - value))
    return np.max(gaps, axis=0)


def classify(
    history: Mapping[str, ArrayLike],
    metrics: Mapping[str, ArrayLike],
    optimum: Mapping[str, float] | None,
    num_modes: int,
    diverged_at: ArrayLike = -1,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> np.ndarray:
    """Names the outcome of each run by the first rule that holds. The numbers are the default thresholds.

    - `diverged`: the run, or a value that the rules read, is not finite; or the run would be `converged` with a metric
      that is not a number or below the least that it can be. Only `kl` and `samples_to_tell` may be ∞: of a model that
      excludes what the target has, and of one that no sample tells apart.
    - `mode_collapse`: the target has modes and some are not covered; or, without modes, the samples' standard deviation
      is below half of the target's.
    - `indistinguishable`: `converged`, and a Kolmogorov–Smirnov test of the final samples does not reject the target at
      1 %. The test is as strict as the samples are many: compare runs with equally many. A run without `ks_p`, on a
      target whose distribution function is unknown, is `converged` at best.
    - `converged`: W1/σ ≤ 0.05, TV ≤ 0.1, all modes covered and, for adversarial methods, losses within 0.05 of their
      optimum. On a target with factors, W1/σ of each of these is at most 0.05, too, and they leave no more than 1.5
      times what they leave of perfect samples.
    - `oscillating`: a loss's standard deviation over the last third exceeds 0.1 (adversarial methods).
    - `false_equilibrium`: losses are at their optimum, but W1 or TV is too large (adversarial methods).
    - `not_converged`: the rest.

    Args:
      history: curves f[..., num_evals] by name, of which those in `optimum` are read.
      metrics: f[...] by name, or f[..., k] of modes or classes; of these `w1_over_std`, `tv`, `std_ratio`, if there is
        one `ks_p` and, with modes, `modes_covered` decide. Those of a target that lacks them are left out.
      optimum: the losses' optima by name (`Method.loss_optimum`), or None for a method that is not adversarial.
      num_modes: how many modes the target has, at least 0.
      diverged_at: i[...], the first step that was not finite, −1 if all were finite.
      thresholds: the limits in the rules.

    Returns:
      str[...], each in `VERDICTS`.
    """
    w1_over_std = np.asarray(metrics["w1_over_std"], np.float64)
    read = ("w1_over_std", "tv", "std_ratio", *(["modes_covered"] if num_modes else []))
    finite = (np.asarray(diverged_at) < 0) & np.all([np.isfinite(np.asarray(metrics[name])) for name in read], axis=0)
    if num_modes:
        collapsed = np.asarray(metrics["modes_covered"]) < num_modes
    else:
        collapsed = np.asarray(metrics["std_ratio"]) < thresholds.std_ratio
    close = (w1_over_std <= thresholds.w1_over_std) & (np.asarray(metrics["tv"]) <= thresholds.tv)
    if "factor_w1" in metrics:  # projections of signals hide their form
        far = np.asarray(metrics["factor_w1"]) > thresholds.w1_over_std
        close &= ~far & ~(np.asarray(metrics["off_manifold"]) > thresholds.off_manifold)
    passes = np.asarray(metrics.get("ks_p", -1.0)) >= thresholds.ks_p
    at_optimum = oscillating = np.zeros(w1_over_std.shape, bool)
    if optimum:
        curves = [np.asarray(history[name], np.float64) for name in optimum]
        finite &= np.all([np.isfinite(curve).all(-1) for curve in curves], axis=0)
        at_optimum = loss_gap(history, optimum) <= thresholds.loss_gap
        thirds = [curve[..., -max(1, curve.shape[-1] // 3) :] for curve in curves]
        oscillating = np.max([third.std(-1) for third in thirds], axis=0) > thresholds.loss_std
    converged = close & (at_optimum if optimum else True)
    possible = _possible(metrics, num_modes, w1_over_std.shape)
    rules = {
        "diverged": ~finite | (converged & ~collapsed & ~possible),
        "mode_collapse": collapsed,
        "indistinguishable": converged & passes,
        "converged": converged,
        "oscillating": oscillating,
        "false_equilibrium": at_optimum,
    }
    return np.select(list(rules.values()), list(rules), "not_converged")


def _possible(metrics: Mapping[str, ArrayLike], num_modes: int, shape: tuple[int, ...]) -> np.ndarray:
    """Where every metric has a value that it can have, bool[...]."""
    possible = np.ones(shape, bool)
    for name, values in metrics.items():
        if not num_modes and name in OF_MODES:
            continue
        array = np.asarray(values, np.float64)
        array = array[..., :num_modes] if array.ndim > len(shape) else array  # other targets have more modes
        least, unbounded = METRICS[name].least if name in METRICS else -np.inf, name in MAY_BE_INFINITE
        good = (array >= least - ROUNDING) & (array > -np.inf) & ((array < np.inf) | unbounded)
        possible &= good.all(axis=tuple(range(len(shape), array.ndim)))
    return possible
