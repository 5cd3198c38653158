"""What every script shares: a config's fields as flags, errors on one line, devices and exit codes."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import app, flags, logging

from jgen1d import data, results, targets
from jgen1d.core import Config, Method, nearest, replace, unknown, validate
from jgen1d.methods import METHODS
from jgen1d.targets import Target

SET_BY_THE_RUN = ("dim", "num_steps")


def run(main: Callable[[], None], method_flag: str | None = None) -> None:
    """Runs a script's `main`; a ValueError is the user's, and becomes one line on stderr and exit code 2.

    All cores become devices. Nothing is read from the flags before `main`.

    Args:
      main: the script.
      method_flag: the flag that names the method, whose config's fields become flags too.
    """
    jax.config.update("jax_num_cpu_devices", os.cpu_count())

    def guarded(_: Sequence[str]) -> None:
        logging.set_verbosity(logging.WARNING)  # JAX tells at INFO which backends are not there
        try:
            main()
        except ValueError as error:
            if "\n" in str(error):  # ours are one line
                raise
            _fail(str(error))
        except KeyboardInterrupt:
            _fail("interrupted; nothing was written", code=130)
        except BrokenPipeError:  # the reader of stdout, `head` say, has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    app.run(guarded, flags_parser=lambda argv: _parse(argv, method_flag))


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


def method(name: str) -> Method:
    """The registered method of that name. Raises ValueError, with the nearest name, where there is none."""
    if name not in METHODS:
        raise ValueError(f"--method: no method {unknown(name, METHODS)}")
    return METHODS[name]


def define_config_flags(method: Method) -> None:
    """Makes every field of the method's config a flag, whose commas separate the values of a sweep axis."""
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
    axes = {
        field.name: [_value(field, text.strip()) for text in flags.FLAGS[field.name].value.split(",")]
        for field in _fields(method)
        if flags.FLAGS[field.name].value is not None
    }
    found, names = [], []
    for name in presets:
        base = _preset(method, name)
        for values in itertools.product(*axes.values()):
            config = replace(base, **dict(zip(axes, values, strict=True)))
            try:
                validate(config)
            except ValueError as error:
                raise ValueError(f"--{error}") from None
            found.append(config)
            names.append(name)
    return found, names


def _preset(method: Method, name: str) -> Config:
    if method.preset is None:
        if name != "default":
            raise ValueError(f"--preset: this method has no preset {name!r}, only 'default'")
        return method.Config()
    try:
        return method.preset(name)
    except ValueError as error:
        raise ValueError(f"--preset: {error}") from None


def _value(field: dataclasses.Field, text: str) -> Any:
    """A flag's text as a value of the field: widths are written 15-15, an absent term none."""
    is_static = field.metadata.get("static")
    try:
        if not is_static:
            return None if text.lower() == "none" else float(text)
        if isinstance(field.default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if isinstance(field.default, tuple):
            return tuple(int(part) for part in text.split("-")) if text else ()
        return int(text) if isinstance(field.default, int) else text
    except (ValueError, KeyError):
        kinds = {bool: "true or false", tuple: "widths such as 32-32", int: "an integer"}
        kind = kinds[type(field.default)] if is_static else "a number"
        raise ValueError(f"--{field.name}={text}: must be {kind}") from None


def target_list(names: Sequence[str], path: str | None, column: str | None) -> list[Target]:
    """The named targets, or the one that a file's column makes.

    Raises:
      ValueError: for an unknown name or an unreadable file.
    """
    if path is None:
        if column is not None:
            raise ValueError("--column names a column of the file in --data, which is not given")
        if not names:
            raise ValueError("--targets: name at least one")
        return [_named(name) for name in names]
    return [data.read(path, column=column)]


def _named(name: str) -> Target:
    try:
        return targets.get(name)
    except ValueError as error:
        raise ValueError(f"--targets: {error}") from None


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
    folder = Path(path or f"runs/{script}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        results.check_workdir(folder, overwrite)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
    return folder
