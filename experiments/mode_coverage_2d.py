"""How many modes of the ring and the grid does a GAN find, and does packing help? The protocol of PacGAN's Table 1.

    python experiments/mode_coverage_2d.py                                    # --protocol=small
    python experiments/mode_coverage_2d.py --protocol=pacgan --workdir=runs/pacgan

`pacgan` is Table 1 of Lin et al. 2018 (PacGAN: the power of two samples in generative adversarial networks), with the
details of their code: weights start as N(0, 0.02²), batch normalisation samples with running moments, and both players
move at once. Two things differ: data are fresh in every step, while theirs are 100,000 points seen 400 times; and with
packing one batch normalisation sees the points of all slots. `small` is a ring of radius 2 and std 0.1, with networks
of 2 × 128 units.

A mode is *hit* if one sample lies within three standard deviations, and *covered* if 20 % of its expected mass does.
*High quality* is the share of samples within three standard deviations of a mode, 98.9 % for a perfect sampler. Modes
hit and high quality are means ± standard errors over seeds; high quality and the total variation over modes, in which
the samples outside of all modes are one more bin, are also means ± standard deviations. The workdir receives
`samples.png`, `config.json` and `summary.json`. Until the run is done it keeps the progress: after Ctrl-C or a crash
the same command continues.

Expect of `small` (18 minutes of one core): the GAN hits 7.0 ± 0.2 of 8 modes and covers all in 9 % of 32 seeds, PacGAN2
8 ± 0 and 100 %. With --num_steps=50000 (76 minutes of one core) the GAN hits 7.9 ± 0.1, for one sample is enough, but
still covers all in 9 %; its total variation over modes stays at 0.43, where PacGAN2's falls from 0.12 to 0.05.
`pacgan` takes more than a day on 2 cores by its FLOPs, and has not been run.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.core import replace, unknown
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.methods import gan
from jgen1d.report import figures as report
from jgen1d.report import stats
from jgen1d.report.table import Table, cell

_SHAPE = {"latent_dim": 16, "widths_g": (128, 128), "widths_d": (128, 128), "activation": "leaky_relu"}
PROTOCOLS: dict[str, tuple[gan.Config, dict[str, jgen1d.Target], int, dict[str, Any]]] = {
    "small": (
        replace(gan.PRESETS["dcgan_like"], initializer="default", **_SHAPE),
        {"ring": jgen1d.targets.ring(8, 2.0, 0.1)}, 32,
        {"num_steps": 10_000, "batch_size": 256, "num_samples": 10_000},
    ),
    "pacgan": (
        gan.PRESETS["pacgan"], {name: jgen1d.TARGETS[name] for name in ("ring", "grid")}, 10,
        {"num_steps": 400_000, "batch_size": 100, "num_samples": 2_500},
    ),
}  # fmt: skip
"""What is trained, on what, with how many seeds, and the other arguments of `jgen1d.sweep`."""
PUBLISHED = {
    ("ring", "GAN"): {"mean": 6.3, "standard_error": 0.5}, ("ring", "PacGAN2"): {"mean": 7.9, "standard_error": 0.1},
    ("grid", "GAN"): {"mean": 17.3, "standard_error": 0.8}, ("grid", "PacGAN2"): {"mean": 23.8, "standard_error": 0.7},
}  # fmt: skip
"""The modes hit in the paper, for the protocol `pacgan`."""

_PROTOCOL = flags.DEFINE_enum("protocol", "small", list(PROTOCOLS), "what to train, and how")
_TARGETS = flags.DEFINE_list("targets", None, "targets of the protocol, separated by commas; default: all")
flags.DEFINE_list("packings", ["1", "2"], "samples that the discriminator sees at once, separated by commas")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", None, "samples for the metrics at the end; default: the protocol's", lower_bound=1
)
cli.define_training_flags(num_seeds=None, num_steps=None)
cli.define_output_flags("mode_coverage_2d")
cli.define_run_flags()


def main() -> None:
    """Trains, prints and draws."""
    config, available, num_seeds, options = PROTOCOLS[_PROTOCOL.value]
    names = _TARGETS.value or list(available)
    for name in sorted(set(names) - set(available)):
        raise ValueError(f"--targets: {_PROTOCOL.value} has none called {unknown(name, available)}")
    targets = [available[name] for name in names]
    configs = [replace(config, packing=packing) for packing in cli.integers("packings")]
    given = {"num_steps": cli.num_steps(), "num_samples": _NUM_SAMPLES.value}
    options = options | cli.run_options() | {"seeds": cli.seeds(num_seeds)}
    options |= {name: value for name, value in given.items() if value}
    workdir = cli.choose_workdir("mode_coverage_2d")
    with cli.checkpoints(workdir, targets, configs) as checkpoints:
        with cli.executor(workdir) as executor:
            sweep = lab.sweep(targets, configs, checkpoints=checkpoints, executor=executor, **options)
        cli.explain(sweep)
        _show(sweep, names, workdir, checkpoints)


def _show(sweep: jgen1d.Sweep, names: list[str], workdir: Path | None, checkpoints: Checkpoints | None) -> None:
    rows, conclusions, runs = [], [], {}
    for t, target in enumerate(names):
        some = [_row(sweep, t, c, target) for c in range(len(sweep.configs))]
        seeds = [stats.median_index(hit) for hit in sweep.metrics["modes_hit"][t]]
        found = [sweep.result(t, c, seed) for c, seed in enumerate(seeds)]
        runs[target] = {row["method"]: run for row, run in zip(some, found, strict=True)}
        rows += some
        conclusions.append(f"{target}: {'; '.join(_clause(row, some[0]) for row in some)}.")
    figure = partial(report.comparisons, runs, "The seed that hits the median number of modes")
    cli.answer(workdir, Table(rows), conclusions, {"samples": figure}, checkpoints=checkpoints)


def _row(sweep: jgen1d.Sweep, t: int, c: int, target: str) -> dict[str, Any]:
    """The row of one (target, packing)."""
    found = {name: values[t, c] for name, values in sweep.metrics.items()}
    num_modes, packing = len(sweep.targets[t].modes.scales), sweep.configs[c].packing
    row: dict[str, Any] = {"target": target, "method": "GAN" if packing == 1 else f"PacGAN{packing}"}
    row |= {"num_seeds": len(sweep.seeds), "num_modes": num_modes, "modes_hit": stats.mean(found["modes_hit"])}
    if _PROTOCOL.value == "pacgan":
        row["published"] = PUBLISHED.get((target, row["method"]))
    row["high_quality_percent"] = stats.mean(100 * found["high_quality"])
    row["high_quality_percent_std"] = stats.mean_and_deviation(100 * found["high_quality"])
    row["mode_tv_std"] = stats.mean_and_deviation(found["mode_tv"])
    row["modes_covered"] = stats.spread(found["modes_covered"])
    return row | {"all_modes_covered": stats.rate(found["modes_covered"] == num_modes)}


def _clause(row: dict[str, Any], first: dict[str, Any]) -> str:
    """A row's modes, those hit compared with the first row's and the published; two standard errors are significant."""
    hit, clause = row["modes_hit"], f"{row['method']} hits {cell(row['modes_hit'])} of {row['num_modes']} modes"
    others = {f"{first['method']}'s": first["modes_hit"]} if row is not first else {}
    others[f"the published {cell(row.get('published'))}"] = row.get("published")
    for name, other in others.items():
        if hit and other:
            significant = abs(hit["mean"] - other["mean"]) > 2 * np.hypot(
                hit["standard_error"], other["standard_error"]
            )
            word = "more" if hit["mean"] > other["mean"] else "fewer"
            clause += f", {f'significantly {word} than' if significant else 'not significantly different from'} {name}"
    return f"{clause}, and covers all in {cell(row['all_modes_covered'])} of seeds"


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"packings": ["1", "2"], "num_samples": 1_000})
