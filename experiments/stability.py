"""Does a recipe hold in runs of other lengths, with other learning rates, and on targets of other kinds?

    python experiments/stability.py                                  # the GAN's preset robust
    python experiments/stability.py --preset=regularized --targets=mixture --lengths=1250,5000

Trains one preset of the GAN on each target: with each number of steps in --lengths, then, for the middle one of them
(of an even number, the lower of two), with both players' learning rates times each of --factors. For each row the table
gives the share of each verdict over seeds with its Wilson 95 % interval, and W1/floor, TV, KS and the modes covered as
median [5 %, 95 %]. The workdir receives `config.json` and `summary.json`.

Expect, with the defaults (27 minutes of one core): at least 15 of each cell's 16 seeds converge, and 69 to 100 % are
indistinguishable; of those of 10,000 and 20,000 steps 94 to 100 %, on every target.

Expect, with --targets=far,small,seven,narrow_and_wide,two_normals,log_normal,student_t,few_rows --lengths=5000
--factors= (5 minutes of one core): robust covers all modes in all of 16 seeds; it learns few_rows in none, far in 75 %,
and the others in all. With --num_seeds=64 it learns far in 80 % and seven in 98 %.
"""

from typing import Any

import numpy as np
from absl import flags

import jgen1d
from jgen1d import cli
from jgen1d.core import replace
from jgen1d.evaluation import verdict
from jgen1d.methods import gan
from jgen1d.report.table import OUTCOME, Table
from lab import WIDER

flags.DEFINE_list(
    "targets", ["normal", "bimodal", "uniform", "exponential", "mixture"], "targets to learn, separated by commas"
)
_PRESET = flags.DEFINE_string("preset", "robust", "preset of the GAN")
flags.DEFINE_list("lengths", ["2500", "5000", "10000", "20000"], "training steps, separated by commas")
_FACTORS = flags.DEFINE_list("factors", ["0.5", "2"], "of both learning rates, separated by commas; may be empty")
cli.define_seed_flags(16)
cli.define_output_flags("stability")


def main() -> None:
    """Trains, prints and writes."""
    targets, base = cli.read_targets(more=WIDER), cli.preset(gan.METHOD, _PRESET.value)
    lengths = cli.integers("lengths")
    middle = lengths[(len(lengths) - 1) // 2]
    factors = _factors(_FACTORS.value)
    workdir = cli.choose_workdir("stability")
    rows: list[dict[str, Any]] = []
    learned: dict[str, dict[str, np.ndarray]] = {}
    for length in lengths:
        names = [f"{length:,} steps"]
        configs = [base]
        if length == middle:
            names += [f"rates × {factor:g}" for factor in factors]
            configs += [_scaled(base, factor) for factor in factors]
        sweep = jgen1d.sweep(gan.METHOD, targets, configs, cli.seeds(), length, progress=True)
        rows += [{"target": row.pop("target"), "run": row.pop("preset"), **row} for row in sweep.table(names)]
        for c, name in enumerate(names):
            learned[name] = {target.name: verdict.learned(sweep.verdict[t, c]) for t, target in enumerate(targets)}
    conclusions = [
        f"{name}: {_PRESET.value} learned the distribution {_least(found)}." for name, found in learned.items()
    ]
    rows.sort(key=lambda row: [target.name for target in targets].index(row["target"]))
    cli.answer(workdir, Table(rows, (*OUTCOME, "w1_over_floor", "tv", "ks", "modes_covered")), conclusions, {})


def _least(learned: dict[str, np.ndarray]) -> str:
    """In how many seeds, on the target with the fewest: its name -> whether each seed learned it."""
    worst = min(learned, key=lambda name: learned[name].sum())
    if learned[worst].all():
        return "in all seeds, on every target"
    others = ", and in no fewer on any other target" if len(learned) > 1 else ""
    return f"in {learned[worst].sum()} of {learned[worst].size} seeds on {worst}{others}"


def _factors(texts: list[str]) -> list[float]:
    """The numbers of --factors."""
    try:
        values = [float(text) for text in texts]
    except ValueError:
        values = [0.0]
    if not all(0 < value < np.inf for value in values):
        raise ValueError(f"--factors={','.join(texts)}: must be numbers above 0")
    return values


def _scaled(config: gan.Config, factor: float) -> gan.Config:
    rates = ("learning_rate_g", "learning_rate_d")
    return replace(config, **{name: factor * getattr(config, name) for name in rates})


if __name__ == "__main__":
    cli.run(main, quick={"num_seeds": 2, "targets": ["bimodal"], "lengths": ["20", "40"], "factors": ["0.5"]})
