"""How hyper-parameters are declared, checked and changed."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

import jax
import numpy as np

from jgen1d.core.text import format_value, literal, nearest, unknown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
D = TypeVar("D", bound="DataclassInstance")


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

    Args:
      default: a number, or None.
      at_least: the least value that is allowed.
      above: an exclusive lower bound.
      at_most: the greatest value that is allowed.
      below: an exclusive upper bound.
      optional: whether None is allowed. None leaves the term out of the compiled program; any number, 0.0 included,
        keeps it in.
      help: what the field means, in one line; also its flag's help.
    """
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    metadata = {"help": help, "bounds": {k: v for k, v in bounds.items() if v is not None}, "optional": optional}
    return dataclasses.field(default=default, metadata=metadata)


def static(
    default: Any,
    *,
    choices: Iterable[str] = (),
    own: Any = None,
    at_least: int | None = None,
    selectable: bool = False,
    help: str = "",
) -> Any:
    """Declares a field of a config that sets a shape or picks a code path: a part of the compiled program.

    Args:
      default: the default; its type (int, bool, str, or a tuple of ints) is the field's.
      choices: the names that are allowed; if they are the keys of a mapping, `lookup` finds what a name stands for.
      own: the type of a user's own part, which may take the place of a name. Such a part must be hashable.
      at_least: the least integer that is allowed; of a tuple, for each entry.
      selectable: whether the entries of `choices` are NamedTuples of functions of arrays, of which `sweep` may compute
        several in one program and select one for each lane.
      help: what the field means, in one line; also its flag's help.
    """
    metadata = {
        "help": help,
        "bounds": {} if at_least is None else {"at least": at_least},
        "choices": tuple(choices),
        "table": choices if isinstance(choices, Mapping) else None,
        "own": own,
        "static": True,
        "selectable": selectable,
        "pytree_node": False,
    }
    return dataclasses.field(default=default, metadata=metadata)


def _make_hashable(config: Any) -> None:
    """Turns lists in static fields into tuples, and NumPy's integers into Python's."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not field.metadata.get("static"):
            continue
        if isinstance(value, list | np.ndarray) and isinstance(field.default, tuple) and np.ndim(value) == 1:
            value = tuple(value)
        if isinstance(value, tuple) and isinstance(field.default, tuple):
            value = tuple(int(entry) if isinstance(entry, np.integer) else entry for entry in value)
        elif isinstance(value, np.integer):
            value = int(value)
        object.__setattr__(config, field.name, value)


def _differences(config: Any) -> str:
    """The call that makes the config, such as gan.Config(r1=0.1), with the fields that differ from their defaults."""
    kind, module = type(config), type(config).__module__.rpartition(".")[2]
    shown = [(field, literal(getattr(config, field.name))) for field in dataclasses.fields(config)]
    fields = ", ".join(f"{field.name}={text}" for field, text in shown if text != literal(field.default))
    return f"{'' if module == '__main__' else f'{module}.'}{kind.__qualname__}({fields})"


@dataclass_transform(frozen_default=True, kw_only_default=False, field_specifiers=(traced, static, dataclasses.field))
def pytree_dataclass(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen dataclass and a pytree: `static()` fields are structure, all others are leaves.

    The class gets a method `replace(**changes)`, which returns a changed copy, and a `repr` of its own, if it has none,
    which shows what differs from the defaults.
    """
    added: dict[str, Any] = {"replace": replace}
    if not hasattr(cls, "__post_init__"):
        added["__post_init__"] = _make_hashable
    if "__repr__" not in vars(cls):
        added["__repr__"] = _differences
    for name, function in added.items():
        setattr(cls, name, function)
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))


def replace(config: D, /, **changes: Any) -> D:
    """Returns a copy of a dataclass with the fields in `changes` set. Raises ValueError for a field that it lacks."""
    names = [field.name for field in dataclasses.fields(config)]
    for name in changes:
        if name not in names:
            raise ValueError(f"{type(config).__qualname__} has no field {unknown(name, names)}")
    return dataclasses.replace(config, **changes)


def bind(config: D, dim: int, num_steps: int) -> D:
    """Returns the config with `dim` and `num_steps` set, if it has fields of these names: `Method.bind`'s default."""
    values = {"dim": dim, "num_steps": num_steps}
    fields = [field for field in dataclasses.fields(config) if field.name in values]
    # A traced field takes a float, a static one an int.
    typed = {f.name: values[f.name] if isinstance(f.default, int) else float(values[f.name]) for f in fields}
    return dataclasses.replace(config, **typed)


def lookup(table: Mapping[str, T], value: str | T) -> T:
    """What a field's value stands for: the table's entry of that name, or the user's own part itself."""
    return table[value] if isinstance(value, str) else value


def shape_of(config: Any) -> tuple[int, ...]:
    """The shape of one sample of a bound config's data: its `shape`, or (dim,) where that is not set."""
    return config.shape or (config.dim,)


def uses(config: Any, names: Collection[str]) -> bool:
    """Whether a field of the config has one of these names as its value."""
    values = [getattr(config, field.name) for field in dataclasses.fields(config)]
    return any(isinstance(value, str) and value in names for value in values)


def sizes(config: Any) -> dict[str, Any]:
    """The static fields that set sizes of networks: `latent_dim`, and each tuple of units of hidden layers."""
    fields = [field for field in dataclasses.fields(config) if field.metadata.get("static")]
    return {f.name: getattr(config, f.name) for f in fields if isinstance(f.default, tuple) or f.name == "latent_dim"}


def swept_fields(configs: Sequence[Any], names: Sequence[str]) -> list[str]:
    """The fields in which configs of one name differ."""
    different = []
    for field in dataclasses.fields(configs[0]):
        values: dict[str, list] = {}
        for config, name in zip(configs, names, strict=True):
            values.setdefault(name, []).append(format_value(getattr(config, field.name)))
        if any(value != some[0] for some in values.values() for value in some):
            different.append(field.name)
    return different


def with_shape(config: D, width: int | None = None, depth: int | None = None) -> D:
    """Returns the config with `width` units in each hidden layer, and `depth` hidden layers, in all networks.

    Raises:
      ValueError: if either is not an integer of at least 1, or if the config has no hidden layers.
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


def validate(config: Any) -> None:
    """Checks every field of a config against its declaration.

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
        if isinstance(value, jax.core.Tracer):
            return ""  # the caller differentiates or maps over it; its value is not known here
        if isinstance(value, jax.Array) and value.ndim == 0:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            return "must be a finite number" + (" or None" if field.metadata.get("optional") else "")
        return _out_of_bounds(float(value), bounds)
    if field.metadata.get("choices"):
        return _not_chosen(value, field)
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


def _not_chosen(value: Any, field: dataclasses.Field) -> str:
    """What is wrong with a value that is neither one of the field's names nor a user's own part."""
    choices, own = field.metadata["choices"], field.metadata["own"]
    if isinstance(value, str) and value in choices:
        return ""
    if own is not None and isinstance(value, own):
        try:
            hash(value)
        except TypeError:
            return "must be hashable: use a function, or a NamedTuple of functions"
        return ""
    or_own = f", or your own {own.__name__.lower() if own.__name__ == 'Callable' else own.__name__}" if own else ""
    return f"allowed are {', '.join(choices)}{or_own}{nearest(str(value), choices)}"


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
