"""Does progressive growing help a GAN of signals? The same networks, grown or whole from the start, over seeds.

    python experiments/progressive.py
    python experiments/progressive.py --targets=sine,pulse --levels=2,5 --num_seeds=128

Karras et al. 2018 train a GAN on coarse images first and let each finer resolution fade in; they show one run. Here
two convolutional networks learn signals of 64 places with --num_seeds seeds, once whole from the first step, once grown
from the coarsest of --resolutions on in the first half of the run; both of a pair have the same seed, so the same
start and the same data.

For each target and each level L of --levels the table gives the share of seeds whose Fréchet distance is at most L
times that of perfect samples at the end, whole and grown, with Wilson 95 % intervals, and McNemar's exact p for the
pairs; the change of the median with its 95 % interval; and how many steps earlier the grown run of a pair gets there
for good, as median [5 %, 95 %]. Both are lanes of one compiled program in which all resolutions exist, so that a step
takes as long in either, and steps stand for seconds.

The workdir receives `progressive.png`, the distances over steps, `config.json` and `summary.json`. The default
has not been run: four pairs of 1,000 steps had not ended after 13 minutes on a busy machine.
"""

from functools import partial
from typing import Any

import numpy as np
from absl import flags

import lab
from jgen1d import cli
from jgen1d.core import replace
from jgen1d.methods import gan
from jgen1d.plots import sweeps as charts
from jgen1d.report import differences, stats
from jgen1d.report.table import Table, cell

WIDTHS = (8, 16, 16, 32, 32)
"""Channels at each resolution, from the finest."""
ARMS = {"whole": 0.0, "grown": 0.5}
"""Share of the run over which the networks grow."""
NUM_SAMPLES = 1_000
"""At each point of the history, and at the end."""

flags.DEFINE_list("targets", ["pulse", "smooth"], "signals whose length is a multiple of 16, separated by commas")
flags.DEFINE_list("levels", ["3"], "Fréchet distances in floors, separated by commas; the first is drawn")
_NUM_EVALS = flags.DEFINE_integer("num_evals", 20, "points of the history, of which --num_steps is a multiple", 1)
_RESOLUTIONS = flags.DEFINE_integer("resolutions", 5, "each half of the one before", 2, len(WIDTHS))
cli.define_training_flags(num_seeds=64, num_steps=1_000)
cli.define_output_flags("progressive")


def main() -> None:
    """Trains, prints and draws."""
    targets, levels, num_steps = cli.read_targets(), cli.numbers("levels", 1), cli.num_steps()
    if num_steps % _NUM_EVALS.value:
        raise ValueError(f"--num_evals={_NUM_EVALS.value}: must divide --num_steps={num_steps}")
    for target in targets:
        if target.dim <= 2:
            raise ValueError(f"--targets={target.name}: must be a signal, not {target.dim}-D")
    workdir, rows, panels = cli.choose_workdir("progressive"), [], {}
    options = {"eval_every": num_steps // _NUM_EVALS.value, "num_samples": NUM_SAMPLES, "batch_size": 64}
    config = _config()
    for target in targets:
        sweep = lab.sweep([target], [replace(config, progressive=share) for share in ARMS.values()], **options)
        floors = sweep.metrics["frechet"] / sweep.metrics["frechet_over_floor"]
        ratios = dict(zip(ARMS, sweep.history["frechet"][0] / floors[0, :, :, None], strict=True))
        panels[target.name] = ratios
        rows += [_row(target.name, level, ratios, sweep.steps) for level in levels]
    picture = partial(
        charts.distance_bands, steps=sweep.steps, curves=panels, floor=dict.fromkeys(panels, 1.0), threshold=levels[0],
        unit="Fréchet/floor", title="The same networks, grown or whole from the start",
    )  # fmt: skip
    cli.answer(workdir, Table(rows), [_conclusion(row) for row in rows], {"progressive": picture})


def _config() -> gan.Config:
    """The regularized GAN with growing networks, sized for signals."""
    widths = WIDTHS[: _RESOLUTIONS.value]
    return gan.Config(
        network_g="growing", network_d="growing", widths_g=widths[::-1], widths_d=widths, latent_dim=16, r1=0.1, r2=0.1,
        activation="leaky_relu", learning_rate_g=1e-3, learning_rate_d=1e-3,
    )  # fmt: skip


def _row(target: str, level: float, ratios: dict[str, np.ndarray], steps: np.ndarray) -> dict[str, Any]:
    """The arms' Fréchet/floor, f[seeds, points], in one row."""
    whole, grown = ratios["whole"], ratios["grown"]
    row: dict[str, Any] = {"target": target, "level": level, "num_seeds": len(whole)}
    for name, found in ratios.items():
        row |= {f"{name}_close": stats.rate(found[:, -1] <= level), f"{name}_frechet": stats.spread(found[:, -1])}
    row["p_mcnemar"] = differences.mcnemar(whole[:, -1] <= level, grown[:, -1] <= level)
    row["frechet_difference"] = differences.of_medians(whole[:, -1], grown[:, -1], is_paired=True)
    earlier = _arrivals(whole, level, steps) - _arrivals(grown, level, steps)
    return row | {"steps_earlier": stats.spread(earlier)}


def _arrivals(ratios: np.ndarray, level: float, steps: np.ndarray) -> np.ndarray:
    """From which of the steps on each seed stays within the level, f[seeds]; NaN if it does not at the end."""
    outside = ~(ratios <= level)
    last = np.where(outside.any(axis=1), ratios.shape[1] - np.argmax(outside[:, ::-1], axis=1), 0)
    return np.append(steps.astype(float), np.nan)[last]


def _conclusion(row: dict[str, Any]) -> str:
    gap, earlier = row["frechet_difference"], row["steps_earlier"]
    helps = "helps" if gap and gap["high"] < 0 else "harms" if gap and gap["low"] > 0 else "makes no sure difference"
    return (
        f"{row['target']}: growing {helps}: the median Fréchet/floor changes by {cell(gap)}; within {row['level']:g} "
        f"floors end {cell(row['whole_close'])} of the whole and {cell(row['grown_close'])} of the grown networks "
        f"(p = {row['p_mcnemar']:.2g}){', the grown ones ' + cell(earlier) + ' steps earlier' if earlier else ''}."
    )


if __name__ == "__main__":
    small = {"targets": ["pulse"], "num_seeds": 2, "num_evals": 2, "resolutions": 2}
    cli.run(main, quick=lab.QUICK | small)
