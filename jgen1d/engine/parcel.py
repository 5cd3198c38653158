"""How does what a sweep needs get to another process? As bytes, in which functions of a script travel by value.

A program is compiled anew for a function that is another object. So what has no importable name is sent once for all
blocks, in what they share, and blocks refer to it there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import pickle
import sys
from collections.abc import Iterable
from typing import Any

import jax

from jgen1d.core import qualified_name
from jgen1d.core import replace as replace_in_dataclass

INSTALL = "pip install 'jgen1d[processes]'"


class Parcels:
    """Packs the blocks of one sweep.

    Attributes:
      shared: what they all need.

    Args:
      common: whatever is shared.
      parts: all that blocks are made of.

    Raises:
      ValueError: if something travels by value, and cloudpickle is not installed.
    """

    def __init__(self, common: Any, parts: Iterable[Any]):
        self._table: dict[int, int] = {}
        self._found: list[Any] = []
        collector = _Packer(io.BytesIO(), self._table, self._found)
        for part in parts:
            collector.dump(part)
        try:
            self.shared = _dumps((common, self._found))
        except ImportError:
            names = ", ".join(qualified_name(one) for one in self._found[:3]) or "a method of your own"
            raise ValueError(f"cloudpickle is missing, by which {names} would travel to workers: {INSTALL}") from None

    def pack(self, part: Any) -> bytes:
        """One block's own part."""
        file = io.BytesIO()
        _Packer(file, self._table, self._found).dump(part)
        return file.getvalue()


def unpack(shared: bytes, own: bytes) -> tuple[Any, Any]:
    """What all blocks share, the same objects for the same bytes, and a block's own part."""
    common, table = _unpacked(shared)
    return common, _Unpacker(io.BytesIO(own), table).load()


class _Packer(pickle.Pickler):
    """Replaces what has no importable name by its index in a table, which it extends."""

    def __init__(self, file: io.BytesIO, table: dict[int, int], found: list[Any]):
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._table, self._found = table, found

    def persistent_id(self, obj: Any) -> int | None:
        if not callable(obj) or _is_importable(obj):
            return None
        if id(obj) not in self._table:
            self._table[id(obj)] = len(self._table)
            self._found.append(obj)
        return self._table[id(obj)]


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, table: list[Any]):
        super().__init__(file)
        self._table = table

    def persistent_load(self, pid: int) -> Any:
        return self._table[pid]


@functools.lru_cache(4)
def _unpacked(shared: bytes) -> Any:
    return pickle.loads(shared)


def _is_importable(obj: Any) -> bool:
    """Whether another process finds the same thing by its name."""
    found: Any = sys.modules.get(getattr(obj, "__module__", None) or "")
    if found is None or found.__name__ == "__main__":
        return False
    for name in getattr(obj, "__qualname__", "").split("."):
        found = getattr(found, name, None)
    return found is obj


def _dumps(value: tuple[Any, list[Any]]) -> bytes:
    """By reference where that does; else by cloudpickle, which then has to be there."""
    try:
        import cloudpickle
    except ImportError:
        if value[1] or not _travels_by_name(value[0]):
            raise
        return pickle.dumps(value)

    class Pickler(cloudpickle.Pickler):
        """Also makes the classes that `pytree_dataclass` made into pytrees where they arrive."""

        def reducer_override(self, obj: Any) -> Any:
            found = super().reducer_override(obj)
            if isinstance(obj, type) and isinstance(found, tuple) and len(found) == 6:
                is_pytree = dataclasses.is_dataclass(obj) and vars(obj).get("replace") is replace_in_dataclass
                return (*found[:5], _restore_pytree) if is_pytree else found
            return found

    file = io.BytesIO()
    Pickler(file).dump(value)
    return file.getvalue()


def _travels_by_name(common: Any) -> bool:
    found: list[Any] = []
    _Packer(io.BytesIO(), {}, found).dump(common)
    return not found


def _restore_pytree(cls: type, state: Any) -> None:
    """Fills a class that cloudpickle has made, and registers it as `pytree_dataclass` did."""
    from cloudpickle.cloudpickle import _class_setstate  # what cloudpickle's own pickles call

    _class_setstate(cls, state)
    with contextlib.suppress(ValueError):  # it has been here before, or is this process's own
        jax.tree_util.register_dataclass(cls)
