"""In how many seeds do a GAN's losses reach their optimum, and in how many of those did it learn the distribution?

    python experiments/convergence.py                                        # the table of the README
    python experiments/convergence.py --targets=bimodal --preset=textbook --learning_rate_d=1e-4,1e-3 --r1=none,0.1
    python experiments/convergence.py --data=PATH --column=NAME              # a column of numbers of your own

Trains method × targets × presets × config axes × seeds side by side and prints one row per (target, config): the share
of seeds whose losses are at their optimum and the share of each verdict, with Wilson 95 % intervals, and W1/σ,
W1/floor, TV, the samples to tell and the modes covered as median [5 %, 95 %]. Then it prints one sentence per target.
The workdir receives `config.json`, `runs.csv`, `curves.npz`, `summary.json`, plots and `report.html`.

Progress is kept in the workdir until the run is done: after Ctrl-C, SIGTERM or a crash the same command continues.
Several processes can share the runs, on one machine or many (--coordinator, see BUILD.md).

Expect, with the defaults (22 minutes on 2 cores beside other work): textbook is at its optimum in 98 %
of seeds or more on every target and converges in at most 6 %, with W1/σ from 0.11 (exponential) to 0.71 (normal);
robust at least converges in all seeds and is indistinguishable in 91 to 98 %, with W1/σ 0.010 to 0.015, like a
perfect sampler's.
"""

import jax
from absl import flags

import jgen1d
from jgen1d import cli
from jgen1d.report import conclusions

_TARGETS = ["normal", "bimodal", "uniform", "exponential", "mixture"]

flags.DEFINE_list("targets", _TARGETS, "targets to learn, separated by commas")
_PRESET = flags.DEFINE_list("preset", None, "the method's presets, separated by commas (for gan: textbook,robust)")
cli.define_data_flags()
_METHOD = flags.DEFINE_string("method", "gan", f"what to train: {', '.join(jgen1d.METHODS)}")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "rows of each minibatch", lower_bound=1)
cli.define_training_flags()
cli.define_output_flags("convergence")
cli.define_run_flags()


def main() -> None:
    """Trains, prints and writes what the flags ask for."""
    method, targets = cli.method(_METHOD.value), cli.read_targets()
    presets = _PRESET.value or (["textbook", "robust"] if _METHOD.value == "gan" else ["default"])
    configs, config_names = cli.configs(method, presets)
    workdir = cli.choose_workdir("convergence")

    with cli.checkpoints(workdir, targets, configs) as checkpoints:
        sweep = jgen1d.sweep(
            method, targets, configs, cli.seeds(), cli.num_steps(), batch_size=_BATCH_SIZE.value,
            checkpoints=checkpoints, progress=not jax.process_index(), **cli.run_options(),
        )  # fmt: skip
        if jax.process_index() == 0:
            table, pictures = sweep.table(config_names), {}
            if workdir:
                from jgen1d.report import figures  # imported here because it takes a second

                pictures = figures.of_sweep(sweep, config_names)
            cli.answer(
                workdir, table, conclusions.of_sweep(table), pictures,
                sweep=sweep, presets=config_names, checkpoints=checkpoints,
            )  # fmt: skip
        elif checkpoints:
            checkpoints.clear()


if __name__ == "__main__":
    quick = {"num_seeds": 4, "num_steps": 200, "targets": ["normal", "bimodal"]}
    cli.run(main, method_flag="method", quick=quick)
