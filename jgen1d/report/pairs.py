"""How do the results of two workdirs differ, setting by setting?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jgen1d.core.names import printable
from jgen1d.evaluation.verdict import learned
from jgen1d.report import differences, stats, workdir
from jgen1d.report.table import Table, cell, labels
from jgen1d.report.titles import TITLES

Setting = tuple[tuple[str, Any], ...]
"""What was run: the columns of `runs.csv` in front of the seed, with their values."""


def compare(first: Path, second: Path) -> tuple[Table, list[str]]:
    """The differences of the second workdir from the first, and sentences.

    Both are workdirs of sweeps. The table has a row for each setting that both have, with its labels, `paired`
    ("by seed", or "no"), `num_seeds`, the rates of `learned`, the medians of W1/floor, and their differences. Where
    both have some of the seeds, these alone are compared, in pairs.

    Raises:
      ValueError: in one line, if a workdir is missing or damaged, or if they have nothing in common.
    """
    one, other = _runs(first), _runs(second)
    common = [setting for setting in one if setting in other]
    if not common:
        have = f"the first has {_kinds(one)}, the second {_kinds(other)}"
        raise ValueError(f"{str(first)!r} and {str(second)!r} have no setting in common: {have}")
    rows = [dict(setting) | _row(one[setting], other[setting]) for setting in common]
    formats = {"learned_difference": _points, "w1_over_floor_difference": _change}
    sentences = [f"{_name(setting)}: {_sentence(row)}." for setting, row in zip(common, rows, strict=True)]
    return Table(rows, formats=formats), sentences


def _runs(folder: Path) -> dict[Setting, dict[int, dict[str, Any]]]:
    """The runs of a workdir, by setting and seed."""
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is not a folder")
    if not (folder / "runs.csv").exists():
        raise ValueError(f"{str(folder)!r} has no runs.csv: it is not the workdir of one sweep")
    found: dict[Setting, dict[int, dict[str, Any]]] = {}
    for run in workdir.read(folder, "runs.csv"):
        names = list(run)
        missing = [name for name in ("target", "seed", "verdict", "w1_over_floor") if name not in run]
        if missing:
            raise ValueError(f"{str(folder / 'runs.csv')!r} is damaged: it has no column {missing[0]!r}")
        setting = tuple((name, run[name]) for name in names[: names.index("seed")])
        found.setdefault(setting, {})[run["seed"]] = run
    return found


def _kinds(runs: Mapping[Setting, Any]) -> str:
    """The settings of a workdir in a few words."""
    rest = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    return printable("; ".join(map(_name, list(runs)[:3])), 200) + rest


def _row(one: Mapping[int, Mapping[str, Any]], other: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    both = [seed for seed in one if seed in other]
    runs = [[some[seed] for seed in both or some] for some in (one, other)]
    hits = [learned([str(run["verdict"]) for run in some]) for some in runs]
    distances = [
        [math.inf if run["w1_over_floor"] is None else float(run["w1_over_floor"]) for run in some] for some in runs
    ]
    row: dict[str, Any] = {"paired": "by seed" if both else "no", "num_seeds": len(runs[0])}
    row |= {"num_seeds_b": len(runs[1])} if len(runs[1]) != len(runs[0]) else {}
    row |= {"learned_a": stats.rate(hits[0]), "learned_b": stats.rate(hits[1])}
    row["learned_difference"] = differences.of_rates(hits[0], hits[1], is_paired=bool(both))
    row["p_mcnemar"] = differences.mcnemar(hits[0], hits[1]) if both else None
    row |= {f"w1_over_floor_{name}": stats.spread(some) for name, some in zip("ab", distances, strict=True)}
    row["w1_over_floor_difference"] = differences.of_medians(distances[0], distances[1], is_paired=bool(both))
    return row


def setting_name(row: Mapping[str, Any]) -> str:
    """What a row of the table is about, in a few words."""
    return _name([(name, value) for name, value in row.items() if name in labels(row) and name != "paired"])


def _name(setting: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(value if isinstance(value, str) else f"{TITLES.get(k, k)} {cell(value)}" for k, value in setting)


def _sentence(row: Mapping[str, Any]) -> str:
    change, distance = row["learned_difference"], row["w1_over_floor_difference"]
    one, other = (f"{100 * row[name]['share']:.0f} %" for name in ("learned_a", "learned_b"))
    if change["low"] > 0 or change["high"] < 0:
        how = "more" if change["difference"] > 0 else "less"
        text = f"B learned the distribution {how} often than A, in {other} of seeds against {one}"
    elif not change["difference"]:
        text = f"A and B learned the distribution in {one} of seeds each"
    else:
        text = f"A learned the distribution in {one} of seeds and B in {other}, which chance alone may explain"
    text += f" (B − A: {_points(change)} percentage points)"
    if distance is not None and (distance["low"] > 0 or distance["high"] < 0):
        how = "farther from it" if distance["difference"] > 0 else "nearer to it"
        text += f"; B's median is {how}, W1/floor {_change(distance)}"
    return text


def _points(value: Any) -> str:
    """A difference of shares in percentage points, with its interval."""
    return "{:+.0f} [{:+.0f}, {:+.0f}]".format(*(100 * value[name] for name in ("difference", "low", "high")))


def _change(value: Any) -> str:
    """A difference of medians with its interval."""
    return cell(None) if value is None else "{difference:+.2g} [{low:+.2g}, {high:+.2g}]".format(**value)
