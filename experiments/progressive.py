"""Does progressive growing help a GAN of signals? The same networks, grown or whole from the start, over seeds.

    python experiments/progressive.py
    python experiments/progressive.py --targets=sine,pulse --levels=2,5 --growing=0.25 --num_seeds=128

Karras et al. 2018 train a GAN on coarse images first and let each finer resolution fade in; they show one run. Here
two convolutional networks learn signals of 64 places with --num_seeds seeds: *whole* from the first step, or *grown*
from the coarsest of --resolutions on in the first --growing share of the run. Both of a pair have the same seed, so the
same start and the same data. Growing is said to save time, because coarse steps cost less; all resolutions of the
compiled program exist from the start, so that this shows in FLOPs alone. Hence a third arm, *whole, shorter*: a whole
run that ends after as many FLOPs as a grown one needs if it computes nothing but the resolutions that it has reached.

For each target and each level L of --levels the table gives the share of seeds whose Fréchet distance is at most L
times that of perfect samples at the end, of each arm, with Wilson 95 % intervals, and McNemar's exact p for whole and
grown pairs; the change of the median with its 95 % interval, at the same steps and at the same FLOPs; and the FLOPs of
growing, in % of a whole run's. The workdir receives `progressive.png` (distances over steps), `config.json` and
`summary.json`.

Expect, with the defaults (35 minutes of one core): growing harms. Within 5 floors end 95 % [87–98] of the whole and 0 %
[0–6] of the grown networks on pulses, 98 and 8 % on smooth signals; at equal FLOPs the grown ones are 2.9 [2.6, 3.2]
and 1.5 [1.3, 1.8] floors behind.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.core import replace
from jgen1d.methods import gan
from jgen1d.plots import sweeps as charts
from jgen1d.report import differences, stats
from jgen1d.report.table import Table, cell

WIDTHS = (4, 8, 8, 16, 16)
"""Channels at each resolution, from the finest."""
OPTIONS: dict[str, Any] = {"batch_size": 64, "num_samples": 1_000}

flags.DEFINE_list("targets", ["pulse", "smooth"], "signals whose length is a multiple of 16, separated by commas")
flags.DEFINE_list("levels", ["5"], "Fréchet distances in floors, separated by commas; the first is drawn")
_NUM_EVALS = flags.DEFINE_integer("num_evals", 20, "points of the history, of which --num_steps is a multiple", 1)
_RESOLUTIONS = flags.DEFINE_integer("resolutions", 5, "each half of the one before", 2, len(WIDTHS))
_GROWING = flags.DEFINE_float("growing", 0.5, "share of the run over which networks grow", 0.0, 1.0)
cli.define_training_flags(num_seeds=64, num_steps=2_000)
cli.define_output_flags("progressive")


def main() -> None:
    """Trains, prints and draws."""
    targets, levels, num_steps = cli.read_targets(), cli.numbers("levels", 1), cli.num_steps()
    if num_steps % _NUM_EVALS.value:
        raise ValueError(f"--num_evals={_NUM_EVALS.value}: must divide --num_steps={num_steps}")
    if flat := next((target for target in targets if target.dim <= 2), None):
        raise ValueError(f"--targets={flat.name}: must be a signal, not {flat.dim}-D")
    workdir, rows, panels, every = cli.choose_workdir("progressive"), [], {}, num_steps // _NUM_EVALS.value
    for target in targets:
        work = _work(target)
        short = max(1, round(work * _NUM_EVALS.value)) * every
        long = lab.sweep([target], [_config(0.0), _config(_GROWING.value)], eval_every=every, **OPTIONS)
        shorter = lab.sweep([target], [_config(0.0)], eval_every=every, num_steps=short, **OPTIONS)
        (whole, grown), (brief,) = _ratios(long), _ratios(shorter)
        panels[target.name] = {"whole": whole, "grown": grown}
        ends = {"whole": whole[:, -1], "grown": grown[:, -1], "shorter": brief[:, -1]}
        rows += [_row(target.name, level, ends, work) for level in levels]
    picture = partial(
        charts.distance_bands, steps=long.steps, curves=panels, floor=dict.fromkeys(panels, 1.0), threshold=levels[0],
        unit="Fréchet/floor", title="The same networks, grown or whole from the start",
    )  # fmt: skip
    cli.answer(workdir, Table(rows), [_conclusion(row) for row in rows], {"progressive": picture})


def _config(growing: float) -> gan.Config:
    """A GAN with both penalties, sized for signals; chosen on seeds 10,000 to 10,003."""
    widths = WIDTHS[: _RESOLUTIONS.value]
    return gan.Config(
        network_g="growing", network_d="growing", widths_g=widths[::-1], widths_d=widths, latent_dim=16, r1=0.1, r2=0.1,
        activation="leaky_relu", learning_rate_g=5e-3, learning_rate_d=5e-3, progressive=growing,
    )  # fmt: skip


def _work(target: jgen1d.Target) -> float:
    """FLOPs of a run that computes only the resolutions that it has reached, as a share of a whole run's."""
    key, whole = jax.random.key(0), _config(1.0)

    def flops(missing: int) -> float:
        shape = tuple(size >> missing for size in target.shape)
        widths = {"widths_g": whole.widths_g[: len(whole.widths_g) - missing], "widths_d": whole.widths_d[missing:]}
        config = replace(whole, dim=int(np.prod(shape)), shape=shape, num_steps=1.0, **widths)
        batch = jax.ShapeDtypeStruct((OPTIONS["batch_size"], config.dim), np.float32)
        found: Any = jax.jit(gan.step).lower(key, jax.eval_shape(gan.init, key, config), batch, config).cost_analysis()
        return found["flops"]

    cost = [flops(missing) for missing in range(_RESOLUTIONS.value)]
    # The parts of `nets.growing.growth`, backwards: each level fades in and stays, but for the first and the last.
    parts = [*np.repeat(cost[:-1], 2)[1:], cost[-1]]
    return float(1 - _GROWING.value + _GROWING.value * np.mean(parts) / cost[0])


def _ratios(sweep: jgen1d.Sweep) -> np.ndarray:
    """Fréchet/floor of each config over seeds and points of the history."""
    return (sweep.history["frechet"] / (sweep.metrics["frechet"] / sweep.metrics["frechet_over_floor"])[..., None])[0]


def _row(target: str, level: float, found: dict[str, np.ndarray], work: float) -> dict[str, Any]:
    """Each arm's Fréchet/floor at the end, f[seeds], in one row."""
    row: dict[str, Any] = {"target": target, "level": level, "num_seeds": len(found["whole"])}
    for name, ratios in found.items():
        row |= {f"{name}_close": stats.rate(ratios <= level), f"{name}_frechet": stats.spread(ratios)}
    row["p_mcnemar"] = differences.mcnemar(found["whole"] <= level, found["grown"] <= level)
    row["frechet_difference"] = differences.of_medians(found["whole"], found["grown"], is_paired=True)
    gap = differences.of_medians(found["shorter"], found["grown"], is_paired=True)
    return row | {"growing_flops": 100 * work, "difference_at_flops": gap}


def _conclusion(row: dict[str, Any]) -> str:
    def says(gap: dict[str, float] | None) -> str:
        sure = "helps" if gap and gap["high"] < 0 else "harms" if gap and gap["low"] > 0 else "makes no sure difference"
        return f"{sure} (median Fréchet/floor {cell(gap)})"

    return (
        f"{row['target']}: after as many steps growing {says(row['frechet_difference'])}; within {row['level']:g} "
        f"floors end {cell(row['whole_close'])} of the whole and {cell(row['grown_close'])} of the grown networks "
        f"(p = {row['p_mcnemar']:.2g}). After as many FLOPs, {row['growing_flops']:.0f} % of a whole run's, it "
        f"{says(row['difference_at_flops'])}, and {cell(row['shorter_close'])} of the whole networks are as close."
    )


if __name__ == "__main__":
    small = {"targets": ["pulse"], "num_seeds": 2, "num_evals": 2, "resolutions": 2}
    cli.run(main, quick=lab.QUICK | small)
