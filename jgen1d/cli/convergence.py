"""In how many seeds do a GAN's losses reach their optimum, and in how many of those did it learn the distribution?

    jgen1d convergence                                        # two presets, five targets, 64 seeds
    jgen1d convergence --targets=bimodal --preset=textbook --learning_rate_d=1e-4,1e-3 --r1=none,0.1
    jgen1d convergence --data=PATH --column=NAME              # a column of numbers of your own
    jgen1d convergence --data=PATH --columns=NAME,NAME        # two of them, as points in the plane

Prints one row per (target, config), shares with Wilson 95 % intervals, and one sentence per target. The workdir
receives `config.json`, `runs.csv`, `curves.npz`, `summary.json` and plots. After Ctrl-C, SIGTERM or a crash the same
command, with the same --workdir, continues.
"""

import sys
from typing import Any

from absl import flags

from jgen1d import cli
from jgen1d.methods import METHODS
from jgen1d.report import conclusions
from jgen1d.sweeps import sweep

_TARGETS = ["normal", "bimodal", "uniform", "exponential", "mixture"]


def start(about: str | None = __doc__) -> None:
    """Runs the script as the command line says.

    Args:
      about: what --help begins with.
    """
    own: dict[str, Any] = {"module_name": sys.argv[0]}
    flags.DEFINE_list("targets", _TARGETS, "targets to learn, separated by commas", **own)
    presets = "the method's presets, separated by commas (for gan: textbook,robust; in 2-D textbook,planar)"
    flags.DEFINE_list("preset", None, presets, **own)
    cli.define_data_flags()
    flags.DEFINE_string("method", "gan", f"what to train: {', '.join(METHODS)}", **own)
    flags.DEFINE_integer("batch_size", 256, "rows of each minibatch", lower_bound=1, **own)
    cli.define_training_flags()
    cli.define_output_flags("convergence")
    cli.define_run_flags()
    quick = {"num_seeds": 4, "num_steps": 200, "targets": ["normal", "bimodal"]}
    cli.run(_main, method_flag="method", quick=quick, about=about)


def _main() -> None:
    """Trains, prints and writes what the flags ask for."""
    values = flags.FLAGS
    method, targets = cli.method(values.method), cli.read_targets()
    best = "robust" if any(target.dim == 1 for target in targets) else "planar"
    presets = values.preset or (["textbook", best] if values.method == "gan" else ["default"])
    configs, config_names = cli.configs(method, presets)
    workdir = cli.choose_workdir("convergence")

    with cli.checkpoints(workdir, targets, configs) as checkpoints:
        with cli.executor(workdir) as executor:
            done = sweep(
                method, targets, configs, cli.seeds(), cli.num_steps(), batch_size=values.batch_size,
                executor=executor, checkpoints=checkpoints, progress=True, **cli.run_options(),
            )  # fmt: skip
        cli.explain(done)
        table, pictures = done.table(config_names), {}
        if workdir:
            from jgen1d.report import figures  # imported here because it takes a second

            pictures = figures.of_sweep(done, config_names)
        cli.answer(
            workdir, table, conclusions.of_sweep(table), pictures,
            sweep=done, presets=config_names, checkpoints=checkpoints, about=__doc__,
        )  # fmt: skip
