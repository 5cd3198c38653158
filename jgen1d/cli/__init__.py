"""What every script shares: its flags, its answer, and how it starts and ends. Flags are read here and nowhere else."""

from jgen1d.cli.app import run
from jgen1d.cli.data_flags import define_data_flags
from jgen1d.cli.executed import executor
from jgen1d.cli.flags import (
    configs,
    define_checkpoint_flag,
    define_output_flags,
    define_run_flags,
    define_seed_flags,
    define_training_flags,
    flag_values,
    integers,
    method,
    names,
    num_steps,
    numbers,
    preset,
    read_targets,
    run_options,
    seeds,
)
from jgen1d.cli.output import answer, checkpoints, choose_workdir, explain, save

__all__ = [
    "answer",
    "checkpoints",
    "choose_workdir",
    "configs",
    "define_checkpoint_flag",
    "define_data_flags",
    "define_output_flags",
    "define_run_flags",
    "define_seed_flags",
    "define_training_flags",
    "executor",
    "explain",
    "flag_values",
    "integers",
    "method",
    "names",
    "num_steps",
    "numbers",
    "preset",
    "read_targets",
    "run",
    "run_options",
    "save",
    "seeds",
]
