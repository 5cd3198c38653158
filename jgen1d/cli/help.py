"""What does --help say? What a script is about, and its flags: of the run, the data, the method and the output."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from absl import flags

from jgen1d.cli.data_flags import COLUMN_FLAGS, DATA_FLAGS, SOURCE_FLAGS
from jgen1d.cli.flags import MODULE, OUTPUT_FLAGS, SHAPE

_OF_DATA = ("target", "targets", *SOURCE_FLAGS, *DATA_FLAGS, *COLUMN_FLAGS)
_OF_METHOD = ("method", "methods", "preset", "presets", *SHAPE)
WIDEST = 120
"""Characters of a line, in the widest terminal."""


def help_text(about: str | None, fields: Iterable[str]) -> str:
    """What --help prints.

    Args:
      about: what it begins with; None for the docstring of the file that was started.
      fields: the flags that are a config's fields.
    """
    values = flags.FLAGS.flags_by_module_dict()
    found = {flag.name: flag for module in (sys.argv[0], MODULE) for flag in values.get(module, [])}
    lines = [(about or sys.modules["__main__"].__doc__ or "").strip()]
    for title, names in _groups(found, set(fields)).items():
        lines += ["", f"{title} flags:"] if names else []
        lines += [line for name in names for line in _entry(found[name])]
    return "\n".join(lines)


def _groups(found: Mapping[str, Any], fields: set[str]) -> dict[str, list[str]]:
    """The names of the flags by group, in the order of their definition; what a script alone has is of its run."""
    groups: dict[str, list[str]] = {"Run": [], "Data": [], "Method": [], "Output": []}
    for name in found:
        kinds = {
            "Data": name in _OF_DATA,
            "Method": name in fields or name in _OF_METHOD,
            "Output": name in OUTPUT_FLAGS,
        }
        groups[next((kind for kind, is_of in kinds.items() if is_of), "Run")].append(name)
    return groups


def _entry(flag: Any) -> Iterator[str]:
    default = "" if flag.default is None else f" (default: {flag.default_as_str.strip(chr(39))})"
    width = max(40, min(shutil.get_terminal_size().columns, WIDEST))
    yield from textwrap.wrap(
        f"--{flag.name}: {flag.help}{default}", width, initial_indent="  ", subsequent_indent="      ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
