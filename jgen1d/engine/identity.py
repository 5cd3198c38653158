"""What a saved computation is of, and how two such identities differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jgen1d.core.files import one_line, read_json
from jgen1d.core.names import printable, shorten

_ABSENT = object()


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """How two identities differ, in words; empty if they are equal.

    >>> difference({"num_steps": 5000, "gan": {"r1": 0.1}}, {"num_steps": 2000, "gan": {"r1": 0.1}})
    'num_steps is 5000 there and 2000 here'
    """
    old, new = (dict(_flatten(json.loads(json.dumps(identity)))) for identity in (there, here))
    pairs = {name: (old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in old | new}
    parts = [
        f"{printable(name, 80)} is {_shown(a)} there and {_shown(b)} here"
        for name, (a, b) in pairs.items()
        if a != b and repr(a) != repr(b)  # NaN is not equal to itself
    ]
    return "; ".join(parts[:3] + [f"and {len(parts) - 3} more"] * (len(parts) > 3))


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; a list is one value unless there are mappings in it."""
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        value = {str(i): item for i, item in enumerate(value)}
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else shorten(repr(value))


def saved_identity(folder: str | Path) -> dict[str, Any] | None:
    """What a folder's checkpoints are of; None if there are none. Raises ValueError if that cannot be told."""
    path = Path(folder) / "identity.json"
    try:
        return read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged ({one_line(error)}): choose another workdir, or remove that one"
        ) from None
