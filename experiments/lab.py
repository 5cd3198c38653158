"""What do the laboratory's scripts share? Sweeps of GANs as the flags say, and rows of their results."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

import jgen1d
from jgen1d import cli
from jgen1d.core import Config, Method
from jgen1d.evaluation import verdict
from jgen1d.methods import gan
from jgen1d.report import stats
from jgen1d.targets import empirical, mixture

_LEVELS = (np.arange(10_000) + 0.5) / 10_000
WIDER: dict[str, jgen1d.Target] = {
    "far": mixture([0.9, 0.1], [0.0, 20.0], [1.0, 2.0], name="far"),
    "small": mixture([0.98, 0.02], [0.0, 8.0], [1.0, 1.0], name="small"),
    "seven": mixture(np.ones(7), 3.0 * np.arange(7), np.full(7, 0.3), name="seven"),
    "narrow_and_wide": mixture([0.5, 0.5], [0.0, 5.0], [0.1, 2.0], name="narrow_and_wide"),
    "log_normal": empirical(np.exp(0.5 * ndtri(_LEVELS)), name="log_normal"),
    "student_t": empirical(stdtrit(5, _LEVELS), name="student_t"),
    "few_rows": empirical(np.random.default_rng(0).normal(size=300), name="few_rows"),
}
"""Targets of other kinds than the registered ones: a mode of 10 % far away, one of 2 %, seven modes, two scales, skew,
heavy tails (5 degrees of freedom), and 300 rows."""
QUICK = {"num_seeds": 3, "num_steps": 10}
"""What --quick stands for in every script, beside its own flags."""


def sweep(
    targets: Sequence[jgen1d.Target], configs: Sequence[Config], method: Method = gan.METHOD, **options: Any
) -> jgen1d.Sweep:
    """Trains as the flags say.

    Args:
      targets: what to learn.
      configs: the hyper-parameters.
      method: what they are of.
      **options: arguments of `jgen1d.sweep`, which come before the flags.
    """
    arguments: dict[str, Any] = {"seeds": cli.seeds(), "num_steps": cli.num_steps(), "progress": True} | options
    return jgen1d.sweep(method, targets, configs, **arguments)


def rows(sweep: jgen1d.Sweep, labels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row per (target, config): the config's labels, then its verdicts, modes and distances over seeds.

    Args:
      sweep: the runs.
      labels: for each config, the columns that say what it is.
    """
    found = []
    for (t, target), (c, named) in itertools.product(enumerate(sweep.targets), enumerate(labels)):
        row = {"target": target.name, **named, "num_seeds": len(sweep.seeds)}
        row["converged"] = stats.rate(verdict.learned(sweep.verdict[t, c]))
        if num_modes := len(target.modes.scales):
            covered = sweep.metrics["modes_covered"][t, c]
            row |= {"all_modes_covered": stats.rate(covered == num_modes), "modes_covered": stats.spread(covered)}
        found.append(row | {"w1_over_floor": stats.spread(sweep.metrics["w1_over_floor"][t, c])})
    return found
