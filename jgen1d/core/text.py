"""Values of config fields as text and back, and the nearest valid name for a wrong one."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np


def format_value(value: Any) -> Any:
    """A config field's value as flags and tables write it.

    Widths become text such as 15-15, arrays become numbers, and a user's own part its qualified name.
    """
    if type(value) is tuple:
        return "-".join(map(str, value))
    if isinstance(value, jax.Array | np.generic):
        return value.item()
    return value if value is None or isinstance(value, str | bool | int | float) else qualified_name(value)


def qualified_name(part: Any) -> str:
    """What a user's own part of a config is called in tables and checkpoints, as `module.name`.

    Parts of one name count as the same part when a run resumes: give each a name of its own, not a lambda's.

    >>> import optax
    >>> qualified_name(optax.sgd)
    'optax._src.alias.sgd'
    """
    if isinstance(part, functools.partial):
        named = [f"{name}={value!r}" for name, value in part.keywords.items()]
        return f"{qualified_name(part.func)}({', '.join([*map(repr, part.args), *named])})"
    if hasattr(part, "__qualname__"):
        return f"{part.__module__}.{part.__qualname__}"
    if hasattr(part, "_fields"):
        return f"{qualified_name(type(part))}({', '.join(map(qualified_name, part))})"
    if part is None or isinstance(part, str | bool | int | float | tuple):
        return repr(part)
    return qualified_name(type(part))


def literal(value: Any) -> str:
    """A field's value as Python writes it, if it does: a user's own part by its name, an array by its dtype and shape.

    >>> literal(np.float32(0.1)), literal((8, 8)), literal(np.zeros((2, 3)))
    ('0.1', '(8, 8)', 'float64[2,3]')
    """
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        is_known = not isinstance(value, jax.core.Tracer) and not (isinstance(value, jax.Array) and value.is_deleted())
        is_number = is_known and value.ndim == 0 and value.dtype.kind in "biuf"
        return str(np.asarray(value)[()]) if is_number else f"{value.dtype}{list(value.shape)}".replace(" ", "")
    return qualified_name(value)


def parse(field: dataclasses.Field, text: str) -> Any:
    """The value of a config's field that `format_value` writes as `text`; "none" leaves an optional term out.

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


def nearest(name: str, names: Iterable[str], quote: str = "'{}'") -> str:
    """A closing "; did you mean 'x'?", or an empty string if no name is near."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {quote.format(close[0])}?" if close else ""


def unknown(name: str, names: Iterable[str]) -> str:
    """The end of an error about an unknown name: the name, the nearest valid one, and all that are allowed."""
    names = list(names)
    return f"{name!r}{nearest(name, names)} (there are: {', '.join(names)})"
