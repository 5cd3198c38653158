"""What does the report of a workdir show? Everything that its page holds, read from the saved results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jgen1d.report import conclusions, workdir
from jgen1d.report.stats import median_index
from jgen1d.report.table import Table, finite
from jgen1d.report.thinned import digits, num_points

MADE = "report.json"
"""The file of a workdir with what only its report shows: see `cli.output`."""

_OF_RUNS = (
    "seed", "verdict", "w1_over_std", "w1_over_floor", "tv", "ks_p", "samples_to_tell", "modes_covered",
    "kl", "loss", "loss_g", "loss_d",
)  # fmt: skip


def gather(folder: Path) -> dict[str, Any]:
    """All that a report shows, as JSON takes it.

    Args:
      folder: the workdir of a script or of `jgen1d.save`.

    Returns:
      `config` and `summary`, as they are in their files, with conclusions if the table is that of a sweep; `made`, what
      only the report shows, `report.json`; `settings`, of a sweep, for each row of the table a `curve` over `steps`
      and, by name, the values of three `runs`: those of the best, the median and the worst seed.

    Raises:
      ValueError: in one line, if a file is missing or damaged.
    """
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is not a folder")
    config, summary = workdir.read(folder, "config.json"), workdir.read(folder, "summary.json")
    is_sweep = (folder / "curves.npz").exists()
    made = workdir.read(folder, MADE) if (folder / MADE).exists() else {}
    try:
        rows = summary["rows"]
        summary.setdefault("conclusions", conclusions.of_sweep(Table(rows)) if is_sweep else [])
        made.setdefault("columns", _columns(rows))
        made.setdefault("pictures", sorted(path.name for path in folder.glob("*.png")))
        settings = list(_settings(folder, len(rows))) if is_sweep else []
    except ValueError:
        raise
    except Exception as error:  # there is no end to what damage may raise
        raise ValueError(f"the results in {str(folder)!r} are damaged: {type(error).__name__}: {error}") from error
    return finite({"summary": summary, "config": config, "made": made, "settings": settings})


def columns(table: Table) -> list[list[Any]]:
    """The table's texts: of each column its title and its cells."""
    return [[title, cells] for title, cells in table.columns()]


def _columns(rows: list[dict[str, Any]]) -> list[list[Any]]:
    is_sweep = "verdicts" in rows[0] and "w1_over_std" in rows[0]
    shown = ("num_seeds", "at_equilibrium", "verdicts", "w1_over_std", "w1_over_floor", "tv", "modes_covered", "kl")
    return columns(Table(rows, shown if is_sweep else None))


def _settings(folder: Path, num_rows: int) -> Iterator[dict[str, Any]]:
    """For each (target, config) its distance over steps, and its best, median and worst run."""
    curves, runs = workdir.read(folder, "curves.npz"), workdir.read(folder, "runs.csv")
    distance, steps = np.asarray(curves["w1_over_std"], np.float64), np.asarray(curves["steps"])
    num_targets, num_configs, num_seeds, num_evals = distance.shape
    if (num_targets * num_configs, num_rows * num_seeds, (num_evals,)) != (num_rows, len(runs), steps.shape):
        raise ValueError(f"summary.json, runs.csv and curves.npz in {str(folder)!r} are not of one sweep")
    kept = np.unique(np.linspace(0, num_evals - 1, num_points(num_rows) // 2).astype(int))
    for row, seeds in enumerate(distance.reshape(num_rows, num_seeds, num_evals)):
        yield {
            "steps": steps[kept].tolist(), "target": row // num_configs, "curve": _bands(seeds[:, kept]),
            "runs": _chosen(runs[row * num_seeds : (row + 1) * num_seeds]),
        }  # fmt: skip


def _bands(seeds: np.ndarray) -> dict[str, list[float | None]]:
    """The median and the 5th and 95th percentiles of f[seeds, points], over what is finite."""
    some = [column[np.isfinite(column)] for column in seeds.T]
    bands = np.array([np.percentile(one, (5, 50, 95)) if one.size else (math.nan,) * 3 for one in some]).T
    return dict(zip(("p05", "median", "p95"), digits(bands), strict=True))


def _chosen(runs: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """By name, what is shown of the runs of the seeds with the least, the median and the greatest W1."""
    w1 = np.array([math.inf if run["w1"] is None else run["w1"] for run in runs])
    chosen = [runs[int(index)] for index in (w1.argmin(), median_index(w1), w1.argmax())]
    found = {name: [run.get(name) for run in chosen] for name in _OF_RUNS}
    return {
        name: [float(f"{value:.4g}") if isinstance(value, float) else value for value in values]
        for name, values in found.items()
        if any(value is not None for value in values)
    }
