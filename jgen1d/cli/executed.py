"""What computes a script's runs? This process, or the executor that --executor names."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import jax
from absl import flags

from jgen1d.cli.flags import MODULE
from jgen1d.engine import executors

SLURM = "slurm_"
"""What the names of Slurm's options start with."""


def define_slurm_flags(argv: Sequence[str]) -> None:
    """Defines each of Slurm's flags that the command line has, where there is `executor`; submitit knows them all."""
    names = [arg.lstrip("-").partition("=")[0] for arg in argv if arg.startswith("-")]
    for name in dict.fromkeys(names):
        if name.startswith(SLURM) and name not in flags.FLAGS and "executor" in flags.FLAGS:
            flags.DEFINE_string(name, None, "see submitit", module_name=MODULE)


def prepare_for_executor() -> None:
    """Checks --executor, and leaves the GPUs to its workers: one that this process started would be taken from them.

    Raises:
      ValueError: in one line, for an executor of another form.
    """
    if "executor" in flags.FLAGS:
        with _naming_flags():
            executors.check(flags.FLAGS["executor"].value, _slurm_options())
        if flags.FLAGS["executor"].value is not None:
            jax.config.update("jax_platforms", "cpu")


@contextlib.contextmanager
def executor(workdir: Path | None) -> Iterator[Executor | None]:
    """What computes the blocks of a sweep, as --executor says; None for this process.

    Args:
      workdir: where Slurm's tasks leave their files, in a folder that is removed once all is well; None for nowhere.

    Raises:
      ValueError: in one line, if there is no such executor, or none answers.
    """
    folder = None if workdir is None else workdir / "slurm"
    with _naming_flags(), executors.opened(flags.FLAGS["executor"].value, folder, _slurm_options()) as opened:
        yield opened
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _slurm_options() -> dict[str, str]:
    """By name without `slurm_`."""
    values = {name.removeprefix(SLURM): flags.FLAGS[name].value for name in flags.FLAGS if name.startswith(SLURM)}
    return {name: value for name, value in values.items() if value is not None}


@contextlib.contextmanager
def _naming_flags() -> Iterator[None]:
    """The library's messages name arguments."""
    try:
        yield
    except ValueError as error:
        said = re.sub(r"^executor='(.*?)'", r"--executor=\1", str(error))
        raise ValueError(re.sub(r"^slurm_", f"--{SLURM}", said)).with_traceback(error.__traceback__) from error
