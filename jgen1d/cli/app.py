"""How does a script start and end? Devices, the compilation cache, --quick, errors on one line, exit codes."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import jax
from absl import app, flags, logging

from jgen1d.cli.executed import define_slurm_flags, prepare_for_executor
from jgen1d.cli.flags import COMPILATION_CACHE, define_config_flags, method
from jgen1d.cli.help import help_text
from jgen1d.core import nearest
from jgen1d.core.names import printable
from jgen1d.engine import compiled
from jgen1d.engine.checkpoint import Interrupted

PLAINER = {
    r"invalid literal for int\(\) with base 10: .*": "must be an integer",
    r"could not convert string to float: .*": "must be a number",
}
"""What Python says of a flag's value -> what a user understands."""


def run(
    main: Callable[[], None], *, method_flag: str | None = None, quick: Mapping[str, Any] | None = None,
    about: str | None = None,
) -> None:  # fmt: skip
    """Runs a script's `main`. A ValueError is the user's mistake: one line on stderr and exit code 2.

    All cores become devices, and compiled programs are kept for the next run.

    Args:
      main: the script.
      method_flag: the flag that names the method; the fields of its config become flags, too.
      quick: flag -> the value that --quick gives it unless the command does; None for no --quick.
      about: what --help begins with; None for the docstring of the file that was started.
    """
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    if quick is not None:
        values = ", ".join(f"--{k}={','.join(v) if isinstance(v, list) else v}" for k, v in quick.items())
        flags.DEFINE_bool("quick", False, f"{values}, unless given", module_name=sys.argv[0])

    def guarded(_: Sequence[str]) -> None:
        logging.set_verbosity(logging.WARNING)  # at INFO, JAX reports the backends that are missing
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks must not end a run
                stream.reconfigure(errors="backslashreplace")
        try:
            keep_compiled(COMPILATION_CACHE.value)
            prepare_for_executor()
            main()
        except ValueError as error:
            if "\n" in str(error):  # ours are one line
                raise
            fail(_said(error))
        except Interrupted as error:
            named = "workdir" in flags.FLAGS and flags.FLAGS["workdir"].value
            fail(f"{error}" + ("" if named else f", with --workdir={error.folder.parent}"), code=128 + error.signal)
        except KeyboardInterrupt as error:
            notes = getattr(error, "__notes__", ["what is not written yet is lost"])
            fail("; ".join(["interrupted", *notes]), code=130)
        except OSError as error:
            try:
                print(end="", flush=True)
            except OSError:  # the reader of stdout, such as `head`, has ended, or its disk is full
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):
                fail(_said(error), code=1)

    app.run(guarded, flags_parser=lambda argv: _parse(argv, method_flag, quick or {}, about))


def keep_compiled(folder: str | None = None) -> None:
    """Like `jgen1d.keep_compiled`, but an empty `folder` keeps nothing, and for None what fails is only told."""
    try:
        if folder != "":
            compiled.keep_compiled(folder)
    except ValueError as error:
        if folder:
            raise ValueError(f"--compilation_cache: {error}") from None
        print(f"no programs are kept: {error}", file=sys.stderr)


def _parse(argv: Sequence[str], method_flag: str | None, quick: Mapping[str, Any], about: str | None) -> list[str]:
    values, fields = flags.FLAGS, []
    try:
        if method_flag:
            chosen = [arg for arg in argv if arg.lstrip("-").partition("=")[0] in (method_flag, "flagfile")]
            values([argv[0], *_with_values(argv, chosen)], known_only=True)
            fields = define_config_flags(method(values[method_flag].value))
            values.unparse_flags()
        define_slurm_flags(argv)
        if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(argv):
            try:
                print(help_text(about, fields), flush=True)
            except BrokenPipeError:  # the reader, such as `head`, has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        rest = values(list(argv))
    except flags.UnrecognizedFlagError as error:
        fail(f"unknown flag --{error.flagname}{nearest(error.flagname, values, quote='--{}')}")
    except (flags.Error, ValueError) as error:
        said = " ".join(str(error).split())
        for python, plain in PLAINER.items():
            said = re.sub(python, plain, said)
        fail(said)
    if len(rest) > 1:
        fail(f"unexpected argument {rest[1]!r}: flags are written --name=value")
    if quick and values["quick"].value:
        for name, value in quick.items():
            if not values[name].present:
                values[name].value = value
    return rest


def _with_values(argv: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """The arguments in `chosen`, each with the argument after it if its value is not behind a `=`."""
    return [part for i, arg in enumerate(argv) if arg in chosen for part in ([arg] if "=" in arg else argv[i : i + 2])]


def _said(error: Exception) -> str:
    """What an error and its notes say, on one line, but for JAX's note on the traceback, which nobody sees here."""
    notes = (note for note in getattr(error, "__notes__", ()) if "JAX_TRACEBACK_FILTERING" not in note)
    return "; ".join(" ".join(text.split()) for text in (str(error), *notes))


def fail(message: str, code: int = 2) -> NoReturn:
    """Ends the process with one line on stderr."""
    name = os.path.basename(sys.argv[0])
    if name == "__main__.py":  # of python -m
        name = os.path.basename(os.path.dirname(sys.argv[0]))
    print(printable(f"{name}: {message}"), file=sys.stderr)
    sys.exit(code)
