"""The contract: what a method is, and how its hyper-parameters are declared.

A **method** is three or four pure functions, bound into a `Method` at the end of its file. Everything else in the
library, `fit`, `sweep`, the verdict, the contract tests, works on any `Method`; a new one is one file and one line in
`jgen1d.methods.METHODS`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

Key = jax.Array
"""A typed PRNG key, made by `jax.random.key`."""
PyTree = Any
State = Any
"""A method's NamedTuple of what its next step needs: parameters, optimiser states, averages, the step count."""
Config = Any
"""A method's `pytree_dataclass` of hyper-parameters."""
Info = dict[str, jax.Array]
"""A step's f32 scalars by name: losses, gradient norms, what else is worth a curve."""


class InitFn(Protocol):
    """Draws the state that training starts from."""

    def __call__(self, key: Key, config: Config) -> State:
        """Returns the initial state. Raises ValueError for static fields of `config` that do not go together."""


class StepFn(Protocol):
    """One training step.

    Pure, and written for one run: `jit`, `vmap` and `scan` are the caller's. `state` keeps its structure, shapes and
    dtypes. `info` has the same keys at every step. `batch` is only read.
    """

    def __call__(self, key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
        """Trains on `batch`, f32[n, dim], and returns the next state and the step's scalars."""


class SampleFn(Protocol):
    """Draws from the model."""

    def __call__(self, key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
        """Returns f32[num_samples, dim], in the units that the model was trained in."""


class LogProbFn(Protocol):
    """The model's normalised log density, in nats."""

    def __call__(self, state: State, x: jax.Array, config: Config) -> jax.Array:
        """Returns f32[n] for `x`, f32[n, dim]."""


def once(config: Config) -> int:
    """The default of `Method.num_minibatches` and `Method.num_evaluations`."""
    del config
    return 1


class Method(NamedTuple):
    """A generative model and its training, as pure functions.

    Attributes:
      Config: frozen pytree dataclass (see `pytree_dataclass`). Two static fields are set by `fit` and `sweep` where the
        config has them: `dim`, the data's dimension, and `num_steps`, the run's length, the horizon of its schedules.
        A third, `standardize`, is read by them: whether the method is to see (x − mean)/std; without it, it is. Sizes
        of networks, that is tuples of units of hidden layers and `latent_dim`, go to `nets` and into shapes as they
        are, and are the first axis of what is drawn with them: then `sweep` trains different ones in one program.
        Where a fourth, `num_classes`, is there and not 0, the model is of data given labels, and `step`, `sample` and
        `log_prob` take them as one more keyword, `condition`, i32[n], from 0 to num_classes − 1.
      init: `(key, config) -> state`.
      step: `(key, state, batch, config) -> (state, info)`.
      sample: `(key, state, num_samples, config) -> f32[num_samples, dim]`.
      log_prob: `(state, x, config) -> f32[n]`, or None where it is intractable.
      loss_optimum: for adversarial methods, `config -> {name of a loss in info: its value at the equilibrium}`, which
        the verdict compares the history with; None for the others.
      num_minibatches: `config -> k`: a step's `batch` holds k fresh minibatches, one after the other.
      num_evaluations: `config -> k`: for each row of a minibatch a step evaluates networks k times.
      preset: `name -> config` for the method's named configs, ValueError for other names; None where it has none.
    """

    Config: type
    init: InitFn
    step: StepFn
    sample: SampleFn
    log_prob: LogProbFn | None = None
    loss_optimum: Callable[[Any], dict[str, float]] | None = None
    num_minibatches: Callable[[Any], int] = once
    num_evaluations: Callable[[Any], int] = once
    preset: Callable[[str], Any] | None = None


def traced(
    default: float | None,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    optional: bool = False,
    help: str,
) -> Any:
    """Declares a field of a config whose value may differ between the lanes of one compiled program.

    In an optional field None leaves the term out of the compiled program; a number, 0.0 included, keeps it in.

    Args:
      default: a float, or None.
      at_least: the least value that is allowed, likewise `above` (exclusive), `at_most` and `below` (exclusive).
      optional: whether None is allowed, too.
      help: what the field means, in one line; also its flag's help.
    """
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    metadata = {"help": help, "bounds": {k: v for k, v in bounds.items() if v is not None}, "optional": optional}
    return dataclasses.field(default=default, metadata=metadata)


def static(
    default: Any, *, choices: Iterable[str] = (), at_least: int | None = None, selectable: bool = False, help: str = ""
) -> Any:
    """Declares a field of a config that sets a shape or picks a code path: a part of the compiled program.

    Args:
      default: the default; its type (int, bool, str, or a tuple of ints) is the field's.
      choices: the strings that are allowed.
      at_least: the least integer that is allowed, in a tuple for each of its entries.
      selectable: the choice only names an entry of a table that the method looks up with `losses.entry`: then `sweep`
        trains different choices in one program.
      help: what the field means, in one line; also its flag's help.
    """
    bounds = {} if at_least is None else {"at least": at_least}
    kind = {"static": True, "pytree_node": False, "selectable": selectable}
    metadata = {"help": help, "bounds": bounds, "choices": tuple(choices), **kind}
    return dataclasses.field(default=default, metadata=metadata)


T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=False, field_specifiers=(traced, static, dataclasses.field))
def pytree_dataclass(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen dataclass and a pytree: `static()` fields are structure, all others are leaves.

    The class gets a method `replace(**changes)`, which returns a changed copy.
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    cls.replace = replace  # type: ignore[attr-defined]
    return jax.tree_util.register_dataclass(cls)


def replace(config: T, /, **changes: Any) -> T:
    """Returns a copy of a dataclass with the fields in `changes` set. Raises ValueError for a name that it lacks."""
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    for name in changes:
        if name not in names:
            raise ValueError(f"{type(config).__qualname__} has no field {unknown(name, names)}")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def bind(config: Config, **run: int) -> Config:
    """Sets those of the static fields `dim` and `num_steps` that `config` has."""
    names = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(config, **{name: value for name, value in run.items() if name in names})


def num_classes(config: Config) -> int:
    """How many classes of labels the model takes; 0 where it takes none."""
    return getattr(config, "num_classes", 0)


def given(labels: jax.Array | None) -> dict[str, Any]:
    """The keyword with which a method's functions take labels, where there are some."""
    return {} if labels is None else {"condition": labels}


def check_condition(config: Config, condition: jax.Array | None, num_rows: int) -> jax.Array | None:
    """Checks labels against `num_classes`, and returns them.

    Raises:
      ValueError: where they are given but the config has no classes, are missing but it has, or are not i[num_rows].
    """
    if condition is None:
        if config.num_classes:
            raise ValueError(f"condition: with num_classes={config.num_classes}, labels i32[n] are needed")
        return None
    if not config.num_classes:
        raise ValueError("condition: labels are of use only where num_classes is not 0")
    condition = jnp.asarray(condition)
    if condition.shape != (num_rows,) or not jnp.issubdtype(condition.dtype, jnp.integer):
        raise ValueError(f"condition: must be integers [{num_rows}], not {condition.dtype}{list(condition.shape)}")
    return condition


def sizes(config: Config) -> dict[str, Any]:
    """The static fields that set the size of networks: `latent_dim`, and each tuple of units of hidden layers."""
    fields = [field for field in dataclasses.fields(config) if field.metadata.get("static")]
    return {f.name: getattr(config, f.name) for f in fields if isinstance(f.default, tuple) or f.name == "latent_dim"}


def kinds(config: Config) -> dict[str, str]:
    """The static fields that `selectable` declares, and their values."""
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.metadata.get("selectable")}


def with_shape(config: Config, width: int | None = None, depth: int | None = None) -> Config:
    """The config with so many units in each hidden layer, and so many hidden layers, of all networks.

    Raises:
      ValueError: where either is not an integer of at least 1, or the config has no hidden layers.
    """
    if width is None and depth is None:
        return config
    for name, value in {"width": width, "depth": depth}.items():
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f"{name}={value!r}: must be an integer of at least 1")
    hidden = {name: size for name, size in sizes(config).items() if isinstance(size, tuple)}
    if not hidden:
        raise ValueError(f"{type(config).__qualname__} has no hidden layers for width and depth to set")
    if depth is None and not any(hidden.values()):
        raise ValueError(f"width={width}: there are no hidden layers; set depth, too")
    for name, size in hidden.items():
        if width is None and len(set(size)) != 1:
            raise ValueError(f"depth: {name}={size} has no one width; set width, too")
    return replace(config, **{n: (width or size[0],) * (depth or len(size)) for n, size in hidden.items()})


def show(value: Any) -> Any:
    """A config field's value as flags and tables write it: widths as 15-15, traced arrays as numbers."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return value.item() if isinstance(value, jax.Array | np.generic) else value


def parse(field: dataclasses.Field, text: str) -> Any:
    """The value of a config's field that `show` writes so; an absent term is written none.

    Raises:
      ValueError: in one line, with the field, the text and what is allowed.
    """
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
        raise ValueError(f"{field.name}={text}: must be {kind}") from None


def validate(config: Config) -> None:
    """Checks every field of a config against what its declaration allows.

    Raises:
      ValueError: in one line, with the field, its value and what is allowed.
    """
    for field in dataclasses.fields(config):
        problem = _problem(getattr(config, field.name), field)
        if problem:
            raise ValueError(f"{field.name}={getattr(config, field.name)!r}: {problem}")


def _problem(value: Any, field: dataclasses.Field) -> str:
    """What is wrong with one field's value, or an empty string."""
    bounds = field.metadata.get("bounds", {})
    if not field.metadata.get("static"):
        if value is None:
            return "" if field.metadata.get("optional") else "must be a number"
        if isinstance(value, jax.Array) and value.ndim == 0:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            return "must be a finite number" + (" or None" if field.metadata.get("optional") else "")
        return _out_of_bounds(float(value), bounds)
    choices = field.metadata.get("choices")
    if choices:
        return "" if value in choices else f"allowed are {', '.join(choices)}{nearest(str(value), choices)}"
    if isinstance(field.default, bool):
        return "" if isinstance(value, bool) else "must be True or False"
    if isinstance(field.default, tuple):
        integers = isinstance(value, tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        if not integers:
            return "must be a tuple of integers"
        return next((text for v in value if (text := _out_of_bounds(v, bounds))), "")
    if isinstance(field.default, int):
        return "must be an integer" if type(value) is not int else _out_of_bounds(value, bounds)
    return ""


def _out_of_bounds(value: float, bounds: Mapping[str, float]) -> str:
    inside = {
        "at least": lambda limit: value >= limit,
        "above": lambda limit: value > limit,
        "at most": lambda limit: value <= limit,
        "below": lambda limit: value < limit,
    }
    if all(inside[word](limit) for word, limit in bounds.items()):
        return ""
    return "must be " + " and ".join(f"{word} {limit:g}" for word, limit in bounds.items())


def nearest(name: str, names: Iterable[str], quote: str = "'{}'") -> str:
    """A closing "; did you mean 'x'?", or an empty string where nothing is near."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {quote.format(close[0])}?" if close else ""


def unknown(name: str, names: Iterable[str]) -> str:
    """The end of an error about an unknown name: the name, the nearest one, and all that are allowed."""
    names = list(names)
    return f"{name!r}{nearest(name, names)} (there are: {', '.join(names)})"
