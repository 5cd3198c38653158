"""How is the comparison of two workdirs written as one page of HTML?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jgen1d.core.names import in_html
from jgen1d.report import drawn, pairs, workdir
from jgen1d.report.gathered import columns
from jgen1d.report.page import document, listed, results, table
from jgen1d.report.table import Table, finite, labels

_READING = """<p class="note">Rates are shares of seeds, with their Wilson 95 % interval; differences of rates are in
percentage points, with Newcombe's interval. Where the seeds are the same, they are compared in pairs, and p is that of
McNemar's exact test. W1/floor is the distance from the target over that of a perfect sampler: less is better.</p>"""


def of_pair(first: Path, second: Path, compared: tuple[Table, list[str]] | None = None) -> bytes:
    """The page about how the second workdir differs from the first.

    Args:
      first: the workdir called A.
      second: the workdir called B.
      compared: what `pairs.compare` says of them, if it is known.

    Raises:
      ValueError: in one line, if a workdir is missing or damaged, or if they have nothing in common.
    """
    differences, sentences = compared or pairs.compare(first, second)
    configs = [workdir.read(folder, "config.json") for folder in (first, second)]
    flags = _different(*(_flags(config) for config in configs))
    names = [pairs.setting_name(row) for row in differences]
    intervals = "".join(drawn.difference(row, name) for row, name in zip(differences, names, strict=True))
    parts = [f'<p class="note">A: {in_html(str(first))} · B: {in_html(str(second))}</p>']
    parts += ["<h2>What was found</h2>", listed(sentences)]
    parts += ["<h2>How much more often B learned than A</h2>", f'<div class="card shares">{intervals}</div>']
    parts += ["<h2>Differences</h2>", results(columns(differences), len(labels(differences[0]))), _READING]
    parts += ["<h2>What was asked for</h2>", _settings(flags)]
    data = {"rows": differences.rows, "conclusions": sentences, "flags": flags}
    return document(
        f"How {second.absolute().name} (B) differs from {first.absolute().name} (A)", "".join(parts), finite(data)
    )


def _flags(config: Mapping[str, Any]) -> dict[str, str]:
    flags = config.get("flags")
    versions = config.get("versions")
    found = {f"--{name}": value for name, value in flags.items()} if isinstance(flags, dict) else {}
    found |= versions if isinstance(versions, dict) else {}
    return {name: "" if value is None else str(value) for name, value in found.items()}


def _different(one: Mapping[str, str], other: Mapping[str, str]) -> list[list[str]]:
    """The flags and versions that differ, with both values."""
    names = [name for name in dict.fromkeys([*one, *other]) if name != "--workdir"]
    return [[name, one.get(name, ""), other.get(name, "")] for name in names if one.get(name) != other.get(name)]


def _settings(flags: list[list[str]]) -> str:
    if not flags:
        return "<p>A and B were made with the same flags and versions.</p>"
    return table(["flag or version", "A", "B"], flags, 1, "Flags and versions that differ", "wide")
