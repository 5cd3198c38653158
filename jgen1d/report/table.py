"""What came of a sweep: tables with intervals, and the workdir that keeps them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import platform
import subprocess
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike

from jgen1d.core import show
from jgen1d.evaluation import verdict as verdict_lib

if TYPE_CHECKING:
    from jgen1d.sweeps import Sweep


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of a report, one per (target, config).

    Attributes:
      rows: dicts of `target`, `preset` where configs have names, the swept fields, `num_seeds`, `verdicts` and
        `at_equilibrium` (each `{"count", "share", "low", "high"}`, the last two a Wilson 95 % interval), and `loss_g`,
        `loss_d`, `kl`, `ks`, `w1_over_std`, `w1_over_floor`, `modes_covered` (each `{"median", "p05", "p95"}` over the
        seeds whose value is finite; None where there is none); where models have classes also `class_w1_over_floor` and
        `class_accuracy`, over seeds and classes.
      shown: which of the last ones the text shows, where some row has them.
    """

    rows: list[dict[str, Any]]
    shown: tuple[str, ...] = (
        "w1_over_std", "w1_over_floor", "modes_covered", "kl", "class_w1_over_floor", "class_accuracy",
    )  # fmt: skip

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Over the rows."""
        return iter(self.rows)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One row."""
        return self.rows[index]

    def __str__(self) -> str:
        """The table as aligned text, shares in percent with their interval."""
        others = [v for v in verdict_lib.VERDICTS[1:] if any(row["verdicts"][v]["count"] for row in self.rows)]
        shown = [name for name in self.shown if any(row.get(name) for row in self.rows)]
        header = [*labels(self.rows[0]), "seeds", "at optimum", "converged"]
        header += [*others, *(_TITLES.get(name, name) for name in shown)]
        lines = [header]
        for row in self.rows:
            cells = [str(row[label]) for label in labels(row)] + [str(row["num_seeds"])]
            rates = [row["at_equilibrium"], *(row["verdicts"][name] for name in ("converged", *others))]
            cells += [_percent(rate) for rate in rates] + [_spread(row.get(name)) for name in shown]
            lines.append(cells)
        return align(lines, len(labels(self.rows[0])))

    def to_json(self, **more: Any) -> str:
        """One JSON object, `{"rows": [...], **more}`, without NaN."""
        return json.dumps(finite({"rows": self.rows, **more}), indent=2, allow_nan=False)

    def to_csv(self) -> str:
        """The rows as CSV with nested names joined by dots; what is None is empty."""
        flat = [dict(_flatten(row)) for row in self.rows]
        out = io.StringIO()
        writer = csv.DictWriter(out, list(dict.fromkeys(name for row in flat for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        return out.getvalue()


_SPREADS = ("loss_g", "loss_d", "kl", "ks", "w1_over_std", "w1_over_floor", "modes_covered")
_OF_CLASSES = ("class_w1_over_floor", "class_accuracy")
_FIXED = ("num_seeds", "verdicts", "at_equilibrium", *_SPREADS, *_OF_CLASSES)
_TITLES = {"w1_over_std": "W1/σ", "w1_over_floor": "W1/floor", "modes_covered": "modes covered", "kl": "KL", "ks": "KS"}
_TITLES |= {"class_w1_over_floor": "W1/floor of classes", "class_accuracy": "accuracy of classes"}


def tabulate(sweep: Sweep, presets: Sequence[str] | None = None) -> Table:
    """One row per (target, config) of a sweep; see `Table`. `presets` names the configs."""
    names = list(presets) if presets is not None else [""] * len(sweep.configs)
    if len(names) != len(sweep.configs):
        raise ValueError(f"table: {len(names)} presets for {len(sweep.configs)} configs")
    fields = swept_fields(sweep.configs, names)
    rows = []
    for t, target in enumerate(sweep.targets):
        for c, config in enumerate(sweep.configs):
            row: dict[str, Any] = {"target": target.name}
            if presets is not None:
                row["preset"] = names[c]
            row |= {field: show(getattr(config, field)) for field in fields}
            row["num_seeds"] = len(sweep.seeds)
            row["verdicts"] = {v: rate(sweep.verdict[t, c] == v) for v in verdict_lib.VERDICTS}
            optimum = sweep.method.loss_optimum(config) if sweep.method.loss_optimum else None
            curves = {name: curve[t, c] for name, curve in sweep.history.items() if name in ("loss_g", "loss_d")}
            if optimum:
                gap = verdict_lib.loss_gap({k: v[t, c] for k, v in sweep.history.items()}, optimum)
                row["at_equilibrium"] = rate(gap <= sweep.thresholds.loss_gap)
            else:
                row["at_equilibrium"] = None
            tail = {name: curve[:, -max(1, curve.shape[1] // 10) :].mean(1) for name, curve in curves.items()}
            tail |= {name: values[t, c] for name, values in sweep.metrics.items()}
            row |= {name: spread(tail[name]) if name in tail else None for name in _SPREADS}
            row |= {name: spread(tail[name]) for name in _OF_CLASSES if name in tail}
            rows.append(row)
    return Table(rows)


def swept_fields(configs: Sequence[Any], names: Sequence[str]) -> list[str]:
    """The fields in which configs of one name differ."""
    different = []
    for field in dataclasses.fields(configs[0]):
        values: dict[str, list] = {}
        for config, name in zip(configs, names, strict=True):
            values.setdefault(name, []).append(show(getattr(config, field.name)))
        if any(value != some[0] for some in values.values() for value in some):
            different.append(field.name)
    return different


def align(lines: Sequence[Sequence[str]], num_labels: int) -> str:
    """A header and rows of cells as text: the first `num_labels` columns flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(
            c.ljust(w) if i < num_labels else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])


def cell(value: Any) -> str:
    """What a table shows of a `rate`, a `spread`, a `mean`, a number, a name or None."""
    if isinstance(value, Mapping):
        if "mean" in value:
            return f"{value['mean']:.3g} ± {value['standard_error']:.2g}"
        return _percent(value) if "share" in value else _spread(value)
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def rate(hits: ArrayLike) -> dict[str, float]:
    """How many of bool[n] are true: count, share, and the share's Wilson 95 % interval (Wilson 1927)."""
    from scipy import stats  # here: it takes as long to import as JAX

    array = np.asarray(hits, bool)
    count = int(array.sum())
    interval = stats.binomtest(count, array.size).proportion_ci(0.95, "wilson")
    return {"count": count, "share": count / array.size, "low": float(interval.low), "high": float(interval.high)}


def spread(values: ArrayLike) -> dict[str, float] | None:
    """Median and 5th and 95th percentile of the finite ones of f[n]; None where there are none."""
    array = np.asarray(values, np.float64)
    array = array[np.isfinite(array)]
    if not array.size:
        return None
    low, median, high = np.percentile(array, [5, 50, 95])
    return {"median": float(median), "p05": float(low), "p95": float(high)}


def mean(values: ArrayLike) -> dict[str, float] | None:
    """Mean of the finite ones of f[n], and its standard error, as papers report trials; None for fewer than two."""
    array = np.asarray(values, np.float64)
    array = array[np.isfinite(array)]
    if array.size < 2:
        return None
    return {"mean": float(array.mean()), "standard_error": float(array.std(ddof=1) / np.sqrt(array.size))}


def median_index(values: ArrayLike) -> int:
    """The index of the one of f[n] that is in the middle; what is not finite counts as the greatest."""
    array = np.asarray(values, np.float64)
    return int(np.argsort(np.where(np.isfinite(array), array, np.inf), kind="stable")[(len(array) - 1) // 2])


class Saved(NamedTuple):
    """A workdir's content: `config` and `summary` as written, one dict per run, and the curves by name.

    `curves["steps"]` is i[num_evals]; the others are f[targets, configs, seeds, num_evals].
    """

    config: dict[str, Any]
    summary: dict[str, Any]
    runs: list[dict[str, Any]]
    curves: dict[str, np.ndarray]


def check_workdir(workdir: str | Path, overwrite: bool = False) -> None:
    """Raises ValueError unless `workdir` can be written without losing what is there."""
    path = Path(workdir)
    if path.exists() and not path.is_dir():
        raise ValueError(f"workdir {str(path)!r} is a file, not a folder")
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise ValueError(f"workdir {str(path)!r} is not empty: choose another, or say --overwrite")
    parent = next(p for p in [path, *path.absolute().parents] if p.exists())
    if not parent.is_dir():
        raise ValueError(f"workdir {str(path)!r} cannot be made: {str(parent)!r} is a file")
    if not os.access(parent, os.W_OK):
        raise ValueError(f"workdir {str(path)!r} cannot be written")


def save(
    workdir: str | Path, sweep: Sweep, presets: Sequence[str] | None = None, flags: Mapping[str, Any] | None = None
) -> None:
    """Writes `config.json`, `runs.csv`, `curves.npz` and `summary.json`.

    Args:
      workdir: the folder, made where it is missing.
      sweep: what to write.
      presets: a name for each config.
      flags: what the run was asked for, kept in `config.json` beside versions, devices and commit.
    """
    path = Path(workdir)
    path.mkdir(parents=True, exist_ok=True)
    configs = [dataclasses.asdict(config) for config in sweep.configs]
    provenance = {"flags": dict(flags or {}), "presets": presets, "configs": configs, **environment()}
    write_json(path / "config.json", provenance)
    table = sweep.table(presets)
    summary = {"rows": table.rows, "thresholds": sweep.thresholds._asdict(), "seconds": sweep.seconds}
    write_json(path / "summary.json", summary)
    rows = list(_runs(sweep, presets))
    with open(path / "runs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    curves: dict[str, Any] = {name: values.astype(np.float32) for name, values in sweep.history.items()}
    np.savez_compressed(path / "curves.npz", steps=sweep.steps, **curves)


def load(workdir: str | Path) -> Saved:
    """Reads what `save` wrote. Raises ValueError, with the file's name, where one is missing or damaged."""
    readers = {"config.json": _read_json, "summary.json": _read_json, "runs.csv": _read_runs, "curves.npz": _read_npz}
    content: dict[str, Any] = {}
    for name, read in readers.items():
        path = Path(workdir) / name
        try:
            with open(path, "rb") as file:
                content[name] = read(file)
        except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{str(path)!r} is missing or damaged: {reason}") from error
    return Saved(*content.values())


def _read_json(file: IO[bytes]) -> dict[str, Any]:
    return json.loads(file.read())


def _read_runs(file: IO[bytes]) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(io.StringIO(file.read().decode(), newline="")))
    if not rows or any(None in row or None in row.values() for row in rows):
        raise ValueError("it has no rows, or rows of different lengths")
    return [{name: _number(text) for name, text in row.items()} for row in rows]


def _read_npz(file: IO[bytes]) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def environment() -> dict[str, Any]:
    """Versions, devices and commit: what a result depends on besides its flags."""
    packages = ("jgen1d", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "devices": [device.device_kind for device in jax.local_devices()],
        "commit": commit,
    }


def finite(value: Any) -> Any:
    """A copy of nested dicts, lists and numbers with None in place of NaN and infinities, and lists for arrays."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Writes nested dicts, lists and numbers as JSON, without NaN."""
    path.write_text(json.dumps(finite(value), indent=2, allow_nan=False) + "\n")


def _runs(sweep: Sweep, presets: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """One flat dict per lane."""
    fields = swept_fields(sweep.configs, presets or [""] * len(sweep.configs))
    for t, c, s in np.ndindex(sweep.verdict.shape):
        row: dict[str, Any] = {"target": sweep.targets[t].name}
        if presets is not None:
            row["preset"] = presets[c]
        row |= {field: show(getattr(sweep.configs[c], field)) for field in fields}
        row |= {"seed": sweep.seeds[s], "verdict": str(sweep.verdict[t, c, s])}
        row |= {"diverged_at": int(sweep.diverged_at[t, c, s])}
        row |= {name: float(sweep.history[name][t, c, s, -1]) for name in sweep.history if name not in sweep.metrics}
        for name, values in sweep.metrics.items():
            if values.ndim == 3:
                row[name] = float(values[t, c, s])
            else:
                row |= {f"{name}_{k}": float(value) for k, value in enumerate(values[t, c, s])}
        yield {name: "" if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def labels(row: Mapping[str, Any]) -> list[str]:
    """The names of a row's columns that say what was run: target, preset, swept fields."""
    return [name for name in row if name not in _FIXED]


def _percent(rate: Mapping[str, float] | None) -> str:
    if rate is None:
        return "–"
    return f"{100 * rate['share']:.0f}% [{100 * rate['low']:.0f}–{100 * rate['high']:.0f}]"


def _spread(spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return "–"
    if max(map(abs, spread.values())) >= 1e5:
        return "{median:.1e} [{p05:.1e}, {p95:.1e}]".format(**spread)
    digits = 1 if spread["median"] >= 1 else 3
    return "{median:.{d}f} [{p05:.{d}f}, {p95:.{d}f}]".format(**spread, d=digits)


def _flatten(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif value is not None or name not in _FIXED:
            yield prefix + name, value
