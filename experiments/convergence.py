"""In how many seeds do a GAN's losses reach their optimum, and in how many of those did it learn the distribution?

    python experiments/convergence.py                                        # the table of the README
    python experiments/convergence.py --targets=bimodal --preset=textbook --learning_rate_d=1e-4,1e-3 --r1=none,0.1
    python experiments/convergence.py --data=PATH --column=NAME              # a column of numbers of your own

Trains method × targets × presets × config axes × seeds side by side and prints one row per (target, config): the share
of seeds with losses at their optimum, the share of every verdict, modes covered, W1/σ and W1/floor; each share with its
Wilson 95 % interval, each distance as median [5 %, 95 %]. Then one sentence per target. The workdir receives
`config.json`, `runs.csv`, `curves.npz`, `summary.json` and plots.

Progress is kept in the workdir until the run is done: after Ctrl-C, SIGTERM or a crash the same command goes on. The
runs can be shared by several processes, on one machine or many (--coordinator, see BUILD.md).

Expect, with the defaults (about 6 minutes on 2 cores, about 3 with --num_seeds=32): textbook at its optimum in 98 % of
seeds or more on every target, converged in at most 9 %, W1/σ from 0.11 (exponential) to 0.71 (normal); robust converged
in all seeds, W1/σ 0.017 to 0.031, which is 1.3 (normal) to 3.1 (mixture) times a perfect sampler's.
"""

import sys
from pathlib import Path

import jax
from absl import flags

import jgen1d
from jgen1d.cli import app as cli

_TARGETS = flags.DEFINE_list(
    "targets", ["normal", "bimodal", "uniform", "exponential", "mixture"], "targets to learn, separated by commas"
)
_PRESET = flags.DEFINE_list("preset", None, "the method's presets, separated by commas (for gan: textbook,robust)")
_DATA = flags.DEFINE_string("data", None, "a .csv, .csv.gz, .npy or .npz file, in place of --targets")
_COLUMN = flags.DEFINE_string("column", None, "the column of --data, by name or index")
_METHOD = flags.DEFINE_string("method", "gan", f"what to train: {', '.join(jgen1d.METHODS)}")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 64, "runs per (target, config)", lower_bound=1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 5_000, "training steps of each run", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "rows of each minibatch", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "the first seed", lower_bound=0)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to write; default: runs/convergence-TIME; empty: nowhere")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "write into a workdir that is not empty")
_FORMAT = flags.DEFINE_enum("format", "text", ["text", "json", "csv"], "of the results on stdout")
cli.define_run_flags()
_QUICK = flags.DEFINE_bool("quick", False, "4 seeds and 200 steps on two targets, where these flags are not given")


def main() -> None:
    """Trains, prints and writes what the flags ask for."""
    method = cli.method(_METHOD.value)
    quick_seeds, quick_steps = (4, 200) if _QUICK.value else (None, None)
    num_seeds = quick_seeds if quick_seeds and not _NUM_SEEDS.present else _NUM_SEEDS.value
    num_steps = quick_steps if quick_steps and not _NUM_STEPS.present else _NUM_STEPS.value
    names = ["normal", "bimodal"] if _QUICK.value and not _TARGETS.present else _TARGETS.value
    targets = cli.target_list(names, _DATA.value, _COLUMN.value)
    presets = _PRESET.value or (["textbook", "robust"] if _METHOD.value == "gan" else ["default"])
    configs, config_names = cli.configs(method, presets)
    workdir = cli.workdir(_WORKDIR.value, "convergence", _OVERWRITE.value)

    with cli.checkpoints(workdir, targets, configs, _OVERWRITE.value) as checkpoints:
        sweep = jgen1d.sweep(
            method, targets, configs, range(_SEED.value, _SEED.value + num_seeds), num_steps,
            batch_size=_BATCH_SIZE.value, lanes_per_device=flags.FLAGS.lanes_per_device,
            matmul_precision=flags.FLAGS.matmul_precision, checkpoints=checkpoints, progress=not jax.process_index(),
        )  # fmt: skip
        if jax.process_index() == 0:
            show(sweep, config_names, workdir)
        if checkpoints:
            checkpoints.clear()


def show(sweep: jgen1d.Sweep, config_names: list[str], workdir: Path | None) -> None:
    """Prints the results, and writes them to the workdir."""
    from jgen1d.report import figures as report

    table = sweep.table(config_names)
    conclusions = report.conclusions(sweep, config_names)
    if flags.FLAGS.explain:
        print(sweep.explain(), file=sys.stderr)
    if _FORMAT.value == "json":
        print(table.to_json(conclusions=conclusions, thresholds=sweep.thresholds._asdict(), seconds=sweep.seconds))
    elif _FORMAT.value == "csv":
        print(table.to_csv(), end="")
    else:
        print(table, "", sweep.thresholds, "", *conclusions, sep="\n")
    if workdir:
        jgen1d.save(workdir, sweep, config_names, cli.given())
        report.plot(workdir, sweep, config_names)
        print(f"written to {workdir}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main, method_flag="method")
