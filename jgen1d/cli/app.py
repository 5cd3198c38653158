"""What every script shares: a config's fields as flags, errors on one line, devices and exit codes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags, logging

from jgen1d import data, targets
from jgen1d.core import Config, Method, nearest, parse, replace, unknown, validate, with_shape
from jgen1d.engine.block import MATMUL_PRECISIONS
from jgen1d.engine.checkpoint import Checkpoints, Interrupted, saved_identity
from jgen1d.methods import METHODS
from jgen1d.report import table as results
from jgen1d.targets import Target

SET_BY_THE_RUN = ("dim", "num_steps")
SHAPE = {"width": "units of every hidden layer of all networks", "depth": "hidden layers of all networks"}
COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache", None, "folder that keeps compiled programs; default: jgen1d in your cache folder; empty: none"
)
RUN_FLAGS = ("checkpoint_minutes", "coordinator", "num_processes", "process_id", "explain")
"""The flags of `define_run_flags` that change how a run goes, not what comes of it."""
OUTPUT_FLAGS = ("workdir", "overwrite", "format", "compilation_cache")


def run(main: Callable[[], None], method_flag: str | None = None) -> None:
    """Runs a script's `main`; a ValueError is the user's, and becomes one line on stderr and exit code 2.

    All cores become devices, compiled programs are kept for the next time.

    Args:
      main: the script.
      method_flag: the flag that names the method, whose config's fields become flags too.
    """
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    if "JAX_LOGGING_LEVEL" not in os.environ:
        # JAX 0.10's loader reports preferences of its own compiler, in pages of errors, as features of another machine.
        jax.config.update("jax_logging_level", "CRITICAL")

    def guarded(_: Sequence[str]) -> None:
        logging.set_verbosity(logging.WARNING)  # JAX tells at INFO which backends are not there
        try:
            _keep_compiled(COMPILATION_CACHE.value)
            if "coordinator" in flags.FLAGS:
                _join(flags.FLAGS.coordinator, flags.FLAGS.num_processes, flags.FLAGS.process_id)
            main()
        except ValueError as error:
            if "\n" in str(error):  # ours are one line
                raise
            _fail(str(error))
        except Interrupted as error:
            named = "workdir" in flags.FLAGS and flags.FLAGS.workdir
            _fail(f"{error}" + ("" if named else f", with --workdir={error.folder.parent}"), code=128 + error.signal)
        except KeyboardInterrupt:
            _fail("interrupted; nothing was written", code=130)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                _fail(" ".join(str(error).split()), code=1)
            # The reader of stdout, `head` say, has gone.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    app.run(guarded, flags_parser=lambda argv: _parse(argv, method_flag))


def define_run_flags() -> None:
    """Makes flags of how a sweep is run: its precision, its checkpoints, and the processes that share it."""
    integer = functools.partial(flags.DEFINE_integer, module_name=__name__)
    flags.DEFINE_enum(
        "matmul_precision", "highest", MATMUL_PRECISIONS,
        "of float32 products on GPUs and TPUs; default is TF32 or bfloat16", module_name=__name__,
    )  # fmt: skip
    flags.DEFINE_float(
        "checkpoint_minutes", 10.0, "between saves of the progress in the workdir", 0.0, module_name=__name__
    )
    flags.DEFINE_bool("explain", False, "tell on stderr which runs share a program, and why", module_name=__name__)
    flags.DEFINE_string(
        "coordinator", None, "host:port of process 0 of several; auto under Slurm or on a TPU pod", module_name=__name__
    )
    integer("lanes_per_device", None, "runs side by side on one device; default: what suits it", lower_bound=1)
    integer("num_processes", None, "how many processes share the runs", lower_bound=1)
    integer("process_id", None, "the number of this one, from 0; 0 reports", lower_bound=0)


def _keep_compiled(folder: str | None) -> None:
    """Keeps compiled programs in a folder that only its user can write to: what is read from there is executed."""
    if folder == "":
        return
    path = Path(folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jgen1d").expanduser()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        private = status.st_uid == os.getuid() and not status.st_mode & 0o022
        problem = "" if private else "others can write to it"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        if folder:
            raise ValueError(f"--compilation_cache: {str(path)!r} cannot be used: {problem}")
        print(f"no programs are kept in {str(path)!r}: {problem}", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Makes this process one of several.

    Raises:
      ValueError: where the three do not go together, or process 0 cannot be reached.
    """
    given = {"num_processes": num_processes, "process_id": process_id}
    missing = [name for name, value in given.items() if value is None]
    if coordinator is None:
        if len(missing) < len(given):
            raise ValueError(f"--{next(name for name in given if name not in missing)} needs --coordinator=host:port")
        return
    if coordinator != "auto":
        if missing:
            raise ValueError(f"--coordinator={coordinator} needs --{missing[0]}")
        if not re.fullmatch(r"\S+:\d+", coordinator):
            raise ValueError(f"--coordinator={coordinator}: must be host:port, or auto")
    if num_processes is not None and process_id is not None and process_id >= num_processes:
        raise ValueError(f"--process_id={process_id}: must be below --num_processes={num_processes}")
    try:
        jax.distributed.initialize(None if coordinator == "auto" else coordinator, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"--coordinator={coordinator}: {' '.join(str(error).split())[:200]}") from error


def _parse(argv: Sequence[str], method_flag: str | None) -> list[str]:
    values = flags.FLAGS
    try:
        if method_flag:
            given = [arg for arg in argv if arg.lstrip("-").partition("=")[0] in (method_flag, "flagfile")]
            values([argv[0], *_with_values(argv, given)], known_only=True)
            define_config_flags(method(values[method_flag].value))
            values.unparse_flags()
        if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(argv):
            print(_help())
            sys.exit(0)
        rest = values(list(argv))
    except flags.UnrecognizedFlagError as error:
        _fail(f"unknown flag --{error.flagname}{nearest(error.flagname, values, quote='--{}')}")
    except (flags.Error, ValueError) as error:
        _fail(" ".join(str(error).split()))
    if len(rest) > 1:
        _fail(f"unexpected argument {rest[1]!r}: flags are written --name=value")
    return rest


def _with_values(argv: Sequence[str], given: Sequence[str]) -> list[str]:
    """The arguments in `given`, each with the argument that follows it where its value is not behind a `=`."""
    return [part for i, arg in enumerate(argv) if arg in given for part in ([arg] if "=" in arg else argv[i : i + 2])]


def _help() -> str:
    """The script's docstring and its flags."""
    values = flags.FLAGS
    lines = [(sys.modules["__main__"].__doc__ or "").strip(), "", "Flags:"]
    own = [*values.flags_by_module_dict().get(sys.argv[0], []), *values.flags_by_module_dict().get(__name__, [])]
    for flag in own:
        default = "" if flag.default is None else f" (default: {flag.default_as_str.strip(chr(39))})"
        lines.append(f"  --{flag.name}: {flag.help}{default}")
    return "\n".join(lines)


def _fail(message: str, code: int = 2) -> None:
    print(f"{os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
    sys.exit(code)


def method(name: str, flag: str = "method") -> Method:
    """The registered method of that name. Raises ValueError, with the nearest name, where there is none."""
    if name not in METHODS:
        raise ValueError(f"--{flag}: no method {unknown(name, METHODS)}")
    return METHODS[name]


def define_config_flags(method: Method) -> None:
    """Makes every field of the method's config a flag, whose commas separate the values of a sweep axis."""
    if any(isinstance(field.default, tuple) for field in _fields(method)):
        for name, text in SHAPE.items():
            flags.DEFINE_string(name, None, text, module_name=__name__)
    for field in _fields(method):
        choices = field.metadata.get("choices")
        text = field.metadata.get("help", "") + (f"; one of {', '.join(choices)}" if choices else "")
        flags.DEFINE_string(field.name, None, text, module_name=__name__)


def _fields(method: Method) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(method.Config) if field.name not in SET_BY_THE_RUN]


def configs(method: Method, presets: Sequence[str]) -> tuple[list[Config], list[str]]:
    """The configs that the flags ask for: each preset with every combination of the fields' values.

    Returns:
      The configs, and for each the name of its preset.

    Raises:
      ValueError: in one line, naming the flag, the value and what is allowed.
    """
    shapes: list[dict[str, int]] = [{}]
    for name in SHAPE:
        if name in flags.FLAGS and (text := flags.FLAGS[name].value) is not None:
            shapes = [shape | {name: value} for shape in shapes for value in _integers(name, text)]
    axes = {
        field.name: [_value(field, text.strip()) for text in flags.FLAGS[field.name].value.split(",")]
        for field in _fields(method)
        if flags.FLAGS[field.name].value is not None
    }
    found, names = [], []
    for name in presets:
        base = _preset(method, name)
        for shape, *values in itertools.product(shapes, *axes.values()):
            try:
                config = replace(with_shape(base, **shape), **dict(zip(axes, values, strict=True)))
                validate(config)
            except ValueError as error:
                raise ValueError(f"--{error}") from None
            found.append(config)
            names.append(name)
    return found, names


def _integers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--{name}={text}: must be integers, separated by commas") from None


def _preset(method: Method, name: str) -> Config:
    presets = method.presets() or {"default": method.Config()}
    if name not in presets:
        raise ValueError(f"--preset: no preset {unknown(name, presets)}")
    return presets[name]


def _value(field: dataclasses.Field, text: str) -> Any:
    try:
        return parse(field, text)
    except ValueError as error:
        raise ValueError(f"--{error}") from None


def target_list(names: Sequence[str], path: str | None, column: str | None, flag: str = "targets") -> list[Target]:
    """The named targets, or the one that a file's column makes.

    Raises:
      ValueError: for an unknown name or an unreadable file.
    """
    if path is None:
        if column is not None:
            raise ValueError("--column names a column of the file in --data, which is not given")
        if not names:
            raise ValueError(f"--{flag}: name at least one")
        return [_named(name, flag) for name in names]
    return [data.read(path, column=column)]


def _named(name: str, flag: str) -> Target:
    try:
        return targets.get(name)
    except ValueError as error:
        raise ValueError(f"--{flag}: {error}") from None


def given() -> dict[str, Any]:
    """The values of the script's own flags, and of the config flags that were set."""
    by_module = flags.FLAGS.flags_by_module_dict()
    own = {flag.name: flag.value for flag in by_module.get(sys.argv[0], [])}
    return own | {flag.name: flag.value for flag in by_module.get(__name__, []) if flag.value is not None}


def workdir(path: str | None, script: str, overwrite: bool) -> Path | None:
    """The folder to write to: `path`, a new one under runs/ for None, nowhere for an empty string.

    Raises:
      ValueError: where it cannot be written without losing what it holds.
    """
    if path == "":
        return None
    if path is None and jax.process_index():
        return None
    folder = Path(path or f"runs/{script}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        going_on = saved_identity(_progress(folder)) is not None
        if jax.process_count() > 1 and folder.is_dir():  # other processes may be quicker to start
            going_on |= all(entry.name.startswith("progress-") for entry in folder.iterdir())
        results.check_workdir(folder, overwrite or going_on or jax.process_index() > 0)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
    return folder


def checkpoints(
    workdir: Path | None, targets: Sequence[Target], configs: Sequence[Config], overwrite: bool
) -> contextlib.AbstractContextManager[Checkpoints | None]:
    """Where the run's progress is kept while it lasts: a folder in the workdir, one for each process.

    Args:
      workdir: None for nowhere.
      targets: the run's, which a file may have changed since.
      configs: the run's, which presets may have changed since.
      overwrite: give up the progress of a run with other flags.
    """
    if workdir is None:
        return contextlib.nullcontext()
    asked = {name: value for name, value in given().items() if name not in (*RUN_FLAGS, *OUTPUT_FLAGS)}
    environment = {name: value for name, value in results.environment().items() if name != "commit"}
    leaves = {
        target.name: b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(target)) for target in targets
    }
    identity = {
        **asked,
        **environment,
        "num_processes": jax.process_count(),
        "configs": [dataclasses.asdict(config) for config in configs],
        "data": {name: zlib.crc32(content) for name, content in leaves.items()},
    }
    return Checkpoints(_progress(workdir), identity, flags.FLAGS.checkpoint_minutes, overwrite)


def _progress(workdir: Path) -> Path:
    return workdir / ("progress" if jax.process_count() == 1 else f"progress-{jax.process_index()}")
