"""What the contenders reached: rows of numbers, the table on stdout, the files in the workdir."""

import csv
import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import chart
from benchmarks.contenders import CONTENDERS
from benchmarks.turns import NORMAL, RUN_STEPS, Cell
from jgen1d import cli
from jgen1d.plots import style
from jgen1d.report import workdir as files


def rows(
    size: str,
    cells: Mapping[tuple[str, int], Cell],
    lanes: Sequence[int],
    names: Sequence[str],
    flops: int,
    peak: float,
) -> list[dict[str, Any]]:
    """What every contender reached with every number of lanes, by the names of the CSV's columns; None if unknown.

    Args:
      size: of the networks.
      cells: by contender and lanes; those of a contender whose lanes follow one another have 1.
      lanes: the numbers of lanes.
      names: of the contenders.
      flops: useful ones, of a lane's step.
      peak: of f32 matrix products, FLOP/s.
    """

    def get(name: str, count: int) -> Cell | None:
        return cells.get((name, 1 if CONTENDERS[name].one_by_one else count))

    found = []
    for count, name in itertools.product(lanes, names):
        cell, contender, sweep = get(name, count), CONTENDERS[name], get("sweep", count)
        assert cell is not None
        at_64 = None if contender.one_by_one else get(name, 64)
        speed = spread("lane_steps_per_second", cell.rates())
        rate = speed["lane_steps_per_second"]
        later = [short for short, _ in cell.turns]
        compiles = bool(later) and not contender.is_torch
        found.append({
            "size": size, "lanes": count, "contender": name, "note": cell.note, "rounds": len(cell.turns),
            "short_steps": cell.lengths.short, "long_steps": cell.lengths.short + cell.lengths.extra,
            "steps_per_evaluation": cell.lengths.every if contender.evaluates else None,
            **speed,
            "useful_flops_per_second": rate and rate * flops,
            "gemm_peak_flops_per_second": peak,
            "share_of_peak": rate and rate * flops / peak,
            **spread("run_lane_steps_per_second", cell.run_rates()),
            "compile_seconds": max(0.0, cell.first - statistics.median(later)) if compiles else None,
            "memory_bytes": cell.memory,
            **spread("of_rate_at_64", _ratios(cell, at_64, Cell.rates)),
            **spread("sweep_faster_by", _ratios(sweep, cell, Cell.rates)),
            **spread("run_sweep_faster_by", _ratios(sweep, cell, Cell.run_rates)),
        })  # fmt: skip
    return found


def _ratios(over: Cell | None, under: Cell | None, rates: Callable[[Cell], np.ndarray]) -> np.ndarray:
    """The ratio of two cells' rates in each round that both took part in."""
    above, below = (np.empty(0) if cell is None else rates(cell) for cell in (over, under))
    rounds = min(above.size, below.size)
    return above[:rounds] / below[:rounds]


def spread(column: str, values: np.ndarray) -> dict[str, float | None]:
    """Median, least and most of those that are finite, as columns."""
    finite = values[np.isfinite(values)]
    ends = [float(f(finite)) for f in (np.median, np.min, np.max)] if finite.size else [None] * 3
    return dict(zip((column, f"{column}_low", f"{column}_high"), ends, strict=True))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as aligned text, and below it where `sweep` did not evaluate as often as in a normal run."""
    run = f"{RUN_STEPS:,}-step run"
    lines = [["lanes", "", "lane-steps/s", "us", "GFLOP/s", "of peak", "of 64", "compile", "memory"]]
    lines[0] += ["sweep is faster by", run, "sweep is faster by"]
    notes = []
    for row in rows:
        line = [f"{row['lanes']:,}", CONTENDERS[row["contender"]].title]
        lines.append(line)
        if row["note"]:
            line.append(row["note"])
            continue
        rate, every = row["lane_steps_per_second"], row["steps_per_evaluation"]
        line += [_show(rate), _show(1e6 / rate if rate else None, ",.1f")]
        line += [_show(row["useful_flops_per_second"], ",.1f", scale=1e-9), _show(row["share_of_peak"], ".1%")]
        line += [_show(row["of_rate_at_64"], ".2f"), _show(row["compile_seconds"], ",.1f", " s")]
        line += [_show(row["memory_bytes"], ",.0f", " MB", 1e-6), _times(row, "sweep_faster_by")]
        line += [_show(row["run_lane_steps_per_second"]), _times(row, "run_sweep_faster_by")]
        if every not in (None, NORMAL):
            notes.append(
                f"lanes {row['lanes']:,}: sweep evaluated every {every} steps and is charged for that; "
                f"a normal run does every {NORMAL}"
            )
    whole = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[i]) for line in (whole if i > 1 else lines)) for i in range(len(lines[0]))]
    aligned = []
    for line in lines:
        cells = [c.ljust(w) if i == 1 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=False))]
        aligned.append("  ".join(cells[:2] + line[2:] if len(line) == 3 else cells).rstrip())
    return "\n".join([aligned[0], "-" * max(map(len, aligned)), *aligned[1:], *notes])


def _show(value: float | None, form: str = ",.0f", unit: str = "", scale: float = 1.0) -> str:
    return "–" if value is None else format(value * scale, form) + unit


def _times(row: Mapping[str, Any], column: str) -> str:
    if row["contender"] == "sweep" or row[column] is None:
        return ""
    low, middle, high = (_show(row[column + end], ".1f") for end in ("_low", "", "_high"))
    return f"{middle} x [{low}, {high}]"


def aims(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line: `sweep`'s lowest medians at 64 lanes and more, beside the aims for the textbook's size on 2 cores."""
    rows = [row for row in rows if row["lanes"] >= 64]
    worst = []
    for name, aim in {"loop": 40, "ensemble": 5, "plain": 4}.items():
        if ratios := [row["sweep_faster_by"] for row in rows if row["contender"] == name and row["sweep_faster_by"]]:
            worst.append(f"{min(ratios):.1f} x the {CONTENDERS[name].title} (aim: {aim})")
    ours = [row for row in rows if row["contender"] == "sweep"]
    if shares := [row["share_of_peak"] for row in ours if row["share_of_peak"]]:
        worst.append(f"{min(shares):.0%} of peak (50 %)")
    if flat := [row["of_rate_at_64"] for row in ours if row["of_rate_at_64"] and row["lanes"] > 64]:
        worst.append(f"{min(flat):.2f} to {max(flat):.2f} of the rate at 64 lanes (0.85 to 1.15)")
    return f"\nsweep, lowest median at 64 lanes and more: {'; '.join(worst)}" if worst else ""


def write(workdir: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes `throughput.csv`, `throughput.png` and `config.json`."""
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / "throughput.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (workdir / "config.json").write_text(
        json.dumps({"flags": cli.flag_values(), **files.environment()}, indent=2) + "\n"
    )
    panels: dict[str, dict[str, tuple[list[int], list[list[float]]]]] = {}
    for row in rows:
        if row["run_lane_steps_per_second"]:
            lanes, rates = panels.setdefault(row["size"], {}).setdefault(row["contender"], ([], [[], [], []]))
            lanes.append(row["lanes"])
            for values, end in zip(rates, ("_low", "", "_high"), strict=True):
                values.append(row["run_lane_steps_per_second" + end])
    one = next((name for name in CONTENDERS if any(name in lines for lines in panels.values())), None)
    if one:
        devices = f"{len(jax.devices())} × {jax.devices()[0].device_kind}"
        figure = chart.runs_in_the_time_of_one(
            panels={size: lines for size, lines in panels.items() if one in lines},
            titles={name: contender.title for name, contender in CONTENDERS.items()},
            one=one,
            title=f"Runs of {RUN_STEPS:,} steps in the time of one, {devices}",
        )
        style.save(figure, workdir / "throughput.png")
