"""Which flags do scripts have, and what do their values stand for?"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from jgen1d import targets
from jgen1d.cli import data_flags
from jgen1d.core import Config, Method, parse, replace, unknown, validate, with_shape
from jgen1d.engine.block import MATMUL_PRECISIONS
from jgen1d.engine.executors import FORMS
from jgen1d.methods import METHODS, name_of
from jgen1d.targets import Target

MODULE = "jgen1d.cli"
"""The module under which absl lists the flags that are defined here."""
SET_BY_THE_RUN = ("dim", "shape", "num_steps", "condition_dim")
"""Fields of configs that get no flag."""
SHAPE = {"width": "units of every hidden layer of all networks", "depth": "hidden layers of all networks"}
COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache", None, "folder for compiled programs; default: jgen1d in your cache folder; empty: none",
    module_name=MODULE,
)  # fmt: skip
RUN_FLAGS = ("checkpoint_minutes", "executor", "explain")
"""The flags of `define_run_flags` that change how a run is computed, but not its results."""
OUTPUT_FLAGS = ("workdir", "overwrite", "format", "table", "open", "compilation_cache")


def define_output_flags(script: str) -> None:
    """Defines `workdir`, `overwrite`, `format`, `table` and `open`.

    Args:
      script: its name, which the default workdir starts with.
    """
    own: dict[str, Any] = {"module_name": sys.argv[0]}
    flags.DEFINE_string("workdir", None, f"where to write; default: runs/{script}-TIME; empty: nowhere", **own)
    flags.DEFINE_bool("overwrite", False, "write into a workdir that is not empty", **own)
    flags.DEFINE_enum("format", "text", ["text", "json", "csv"], "of the results on stdout", **own)
    columns = "columns of the text: those that fit the terminal, or all; default: fit in a terminal, all elsewhere"
    flags.DEFINE_enum("table", None, ["fit", "all"], columns, **own)
    flags.DEFINE_bool("open", False, "open the report in a browser once it is written", **own)


def define_seed_flags(num_seeds: int | None = 64) -> None:
    """Defines `num_seeds`, with this default, and `seed`."""
    own: dict[str, Any] = {"module_name": sys.argv[0]}
    flags.DEFINE_integer("num_seeds", num_seeds, "runs of each setting, one per seed", lower_bound=1, **own)
    flags.DEFINE_integer("seed", 0, "the first seed", lower_bound=0, **own)


def define_training_flags(num_seeds: int | None = 64, num_steps: int | None = 5_000) -> None:
    """Defines `num_seeds`, `seed` and `num_steps`, with these defaults."""
    define_seed_flags(num_seeds)
    flags.DEFINE_integer("num_steps", num_steps, "training steps of each run", lower_bound=1, module_name=sys.argv[0])


def define_checkpoint_flag() -> None:
    """Defines how often progress is saved, for scripts that resume."""
    flags.DEFINE_float(
        "checkpoint_minutes", 10.0, "minutes between checkpoints in the workdir", 0.0, module_name=MODULE
    )


def define_run_flags() -> None:
    """Defines how a sweep is computed: its precision, its checkpoints, and by which processes."""
    flags.DEFINE_enum(
        "matmul_precision", "highest", MATMUL_PRECISIONS,
        "of float32 products on GPUs and TPUs; default is TF32 or bfloat16", module_name=MODULE,
    )  # fmt: skip
    define_checkpoint_flag()
    flags.DEFINE_bool("explain", False, "print to stderr which runs share a program, and why", module_name=MODULE)
    flags.DEFINE_string(
        "executor", None, f"what computes, instead of this process: {FORMS}; --slurm_time=60 and the like are Slurm's",
        module_name=MODULE,
    )  # fmt: skip
    flags.DEFINE_integer(
        "lanes_per_device", None, "runs side by side on one device; default: chosen for the device", lower_bound=1,
        module_name=MODULE,
    )  # fmt: skip


def define_config_flags(method: Method) -> list[str]:
    """Defines a flag for every field of the method's config, and returns their names.

    Commas separate the values of a sweep axis.
    """
    if any(isinstance(field.default, tuple) for field in _fields(method)):
        for name, text in SHAPE.items():
            flags.DEFINE_string(name, None, text, module_name=MODULE)
    for field in _fields(method):
        choices = field.metadata.get("choices")
        text = field.metadata.get("help", "") + (f"; one of {', '.join(choices)}" if choices else "")
        flags.DEFINE_string(field.name, None, text, module_name=MODULE)
    return [field.name for field in _fields(method)]


def flag_values() -> dict[str, Any]:
    """The values of the script's own flags, and of those flags of `jgen1d.cli` that have one."""
    own, shared = (flags.FLAGS.flags_by_module_dict().get(module, []) for module in (sys.argv[0], MODULE))
    return {flag.name: flag.value for flag in own} | {f.name: f.value for f in shared if f.value is not None}


def num_steps() -> int:
    """The training steps of each run."""
    return flags.FLAGS["num_steps"].value


def seeds(default: int = 0) -> range:
    """The seeds of the runs; `default` is their number if the flag has no value."""
    first = flags.FLAGS["seed"].value
    return range(first, first + (flags.FLAGS["num_seeds"].value or default))


def run_options() -> dict[str, Any]:
    """The arguments of `jgen1d.sweep` that `define_run_flags` has flags for."""
    return {name: flags.FLAGS[name].value for name in ("lanes_per_device", "matmul_precision")}


def integers(flag: str, at_least: int = 1) -> list[int]:
    """A list flag's values, sorted and each once. Raises ValueError if one is no integer, or too small."""
    texts = flags.FLAGS[flag].value
    if not texts or not all(text.strip().isdecimal() and int(text) >= at_least for text in texts):
        raise ValueError(f"--{flag}={','.join(texts)}: must be integers of at least {at_least}, separated by commas")
    return sorted({int(text) for text in texts})


def numbers(flag: str, at_least: float = 0.0) -> list[float]:
    """A list flag's finite values. Raises ValueError if one is no number, or too small."""
    texts = flags.FLAGS[flag].value
    try:
        values = [float(text) for text in texts]
    except ValueError:
        values = []
    if not values or not all(at_least <= value < float("inf") for value in values):
        raise ValueError(f"--{flag}={','.join(texts)}: must be numbers of at least {at_least:g}, separated by commas")
    return values


def names(flag: str, known: Iterable[str]) -> list[str]:
    """A list flag's values. Raises ValueError, with the nearest name, if one is not known, or if there are none."""
    known = list(known)
    chosen = flags.FLAGS[flag].value
    if not chosen:
        raise ValueError(f"--{flag}: must name some of {', '.join(known)}")
    for name in chosen:
        if name not in known:
            raise ValueError(f"--{flag}: none is called {unknown(name, known)}")
    return chosen


def method(name: str, flag: str = "method") -> Method:
    """The method that a flag names. Raises ValueError, with the nearest name, if there is none."""
    if name not in METHODS:
        raise ValueError(f"--{flag}: no method {unknown(name, METHODS)}")
    return METHODS[name]


def preset(method: Method, name: str, flag: str = "preset") -> Config:
    """The method's config that a flag names. Raises ValueError, with the nearest name, if there is none."""
    presets = method.presets() or {"default": method.Config()}
    if name not in presets:
        raise ValueError(f"--{flag}: {name_of(method)} has no preset {unknown(name, presets)}")
    return presets[name]


def configs(method: Method, presets: Sequence[str]) -> tuple[list[Config], list[str]]:
    """The configs that the flags ask for: each preset with every combination of the fields' values.

    Returns:
      The configs, and for each the name of its preset.

    Raises:
      ValueError: in one line, with the flag, the value and what is allowed.
    """
    shapes: list[dict[str, int]] = [{}]
    for name in SHAPE:
        if name in flags.FLAGS and (text := flags.FLAGS[name].value) is not None:
            shapes = [shape | {name: value} for shape in shapes for value in _sizes(name, text)]
    axes = {
        field.name: [_value(field, text.strip()) for text in flags.FLAGS[field.name].value.split(",")]
        for field in _fields(method)
        if flags.FLAGS[field.name].value is not None
    }
    found, preset_names = [], []
    for name in presets:
        base = preset(method, name)
        for shape, *values in itertools.product(shapes, *axes.values()):
            try:
                config = replace(with_shape(base, **shape), **dict(zip(axes, values, strict=True)))
                validate(config)
            except ValueError as error:
                raise ValueError(f"--{error}") from None
            found.append(config)
            preset_names.append(name)
    return found, preset_names


def read_targets(
    flag: str = "targets", dim: int | None = None, more: Mapping[str, Target] | None = None
) -> list[Target]:
    """The targets that a flag names, or, in a script that has the flag `data` and if it is given, that of the file.

    Args:
      flag: whose value is one name or a list of names.
      dim: the dimension that they must have; None for any.
      more: the script's own targets, beside the registered ones.

    Raises:
      ValueError: for an unknown name, another dimension, or an unreadable file.
    """
    if (own := data_flags.own_target()) is not None:
        for note in own[1]:
            print(f"{flags.FLAGS['data'].value}: {note}", file=sys.stderr)
        return [own[0]]
    value = flags.FLAGS[flag].value
    if not value:
        raise ValueError(f"--{flag}: name at least one")
    others = dict(more or {})
    known = (*targets.NAMES, *others)
    chosen = [value] if isinstance(value, str) else value
    for name in chosen:
        if name not in known:
            raise ValueError(f"--{flag}: no target {unknown(name, known)}")
    found = [others[name] if name in others else targets.get(name) for name in chosen]
    for target in found:
        if dim is not None and target.dim != dim:
            raise ValueError(f"--{flag}={target.name}: must be {dim}-D")
    return found


def _fields(method: Method) -> list[dataclasses.Field]:
    """The fields that have flags. A field with one name takes the user's own part otherwise, which no flag can hold."""
    fields = [field for field in dataclasses.fields(method.Config) if field.name not in SET_BY_THE_RUN]
    return [field for field in fields if len(field.metadata.get("choices", ())) != 1]


def _sizes(flag: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--{flag}={text}: must be integers, separated by commas") from None


def _value(field: dataclasses.Field, text: str) -> Any:
    try:
        return parse(field, text)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
