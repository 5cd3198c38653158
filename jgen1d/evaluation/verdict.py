"""The outcome of a run, named from its history and its final metrics.

Losses at their optimum are necessary for a GAN to have converged, and far from sufficient: a discriminator that answers
½ everywhere shows log 2 and 2·log 2 for *any* generator. So a verdict needs the losses, the distance and the coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

VERDICTS = ("converged", "false_equilibrium", "mode_collapse", "oscillating", "not_converged", "diverged")


class Thresholds(NamedTuple):
    """What the rules compare with.

    Attributes:
      w1_over_std: a converged run's samples are at most this far from the target, in its standard deviations.
      loss_gap: losses are at their optimum when their mean over the last tenth of the history is this near.
      loss_std: losses oscillate when their standard deviation over the last third of the history exceeds this.
      std_ratio: without modes, samples have collapsed when their spread is below this share of the target's.
    """

    w1_over_std: float = 0.05
    loss_gap: float = 0.05
    loss_std: float = 0.1
    std_ratio: float = 0.5

    def __str__(self) -> str:
        """The limits in words."""
        return (
            f"converged: W1/σ ≤ {self.w1_over_std:g}, all modes covered and losses within {self.loss_gap:g} of their "
            f"optimum; oscillating: loss std over the last third > {self.loss_std:g}; "
            f"collapsed without modes: std < {self.std_ratio:g} of the target's"
        )


DEFAULT_THRESHOLDS = Thresholds()


def loss_gap(history: Mapping[str, ArrayLike], optimum: Mapping[str, float]) -> np.ndarray:
    """The greatest distance of any loss, averaged over the last tenth of the history, from its optimum.

    Args:
      history: curves f[..., num_evals] by name.
      optimum: the losses that have an optimum, and its value; not empty.

    Returns:
      f[...], NaN where a loss is.
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
    """Names the outcome of each run: the first of these rules that holds.

    `diverged`: anything non-finite. `mode_collapse`: the target has modes and some are not covered; without modes, the
    samples' spread is below half of the target's. `converged`: W1/σ ≤ 0.05, all modes covered, losses at their optimum
    within 0.05. `oscillating`: a loss's standard deviation over the last third exceeds 0.1. `false_equilibrium`: losses
    at their optimum, but the distance fails. `not_converged`: the rest. Rules on losses are for adversarial methods.

    Args:
      history: curves f[..., num_evals] by name; those in `optimum` are read.
      metrics: f[...] by name; `w1_over_std`, `std_ratio` and, with modes, `modes_covered` are read, and every one of
        them has to be finite, except `reverse_kl`, which is infinite where no mode holds a sample.
      optimum: the losses' optimum values (`Method.loss_optimum`), or None for a method that is not adversarial.
      num_modes: the target's modes, 0 where it has none.
      diverged_at: i[...], the step at which a run became non-finite, −1 where it did not.
      thresholds: the limits.

    Returns:
      An array of strings out of `VERDICTS`, of the runs' shape.
    """
    w1_over_std = np.asarray(metrics["w1_over_std"], np.float64)
    finite = (np.asarray(diverged_at) < 0) & np.isfinite(w1_over_std) & np.isfinite(np.asarray(metrics["std_ratio"]))
    if num_modes:
        collapsed = np.asarray(metrics["modes_covered"]) < num_modes
        finite &= np.isfinite(np.asarray(metrics["modes_covered"]))
    else:
        collapsed = np.asarray(metrics["std_ratio"]) < thresholds.std_ratio
    close = w1_over_std <= thresholds.w1_over_std
    at_optimum = oscillating = np.zeros(w1_over_std.shape, bool)
    if optimum:
        curves = [np.asarray(history[name], np.float64) for name in optimum]
        finite &= np.all([np.isfinite(curve).all(-1) for curve in curves], axis=0)
        at_optimum = loss_gap(history, optimum) <= thresholds.loss_gap
        thirds = [curve[..., -max(1, curve.shape[-1] // 3) :] for curve in curves]
        oscillating = np.max([third.std(-1) for third in thirds], axis=0) > thresholds.loss_std
    converged = close & (at_optimum if optimum else True)
    rules = {
        "diverged": ~finite,
        "mode_collapse": collapsed,
        "converged": converged,
        "oscillating": oscillating,
        "false_equilibrium": at_optimum,
    }
    return np.select(list(rules.values()), list(rules), "not_converged")
