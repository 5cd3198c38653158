"""What does a workdir keep of a run? Writes it, reads it back, and checks that a folder may be written to."""

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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jgen1d.core import format_value, qualified_name
from jgen1d.report.table import finite, swept_fields, tabulate

if TYPE_CHECKING:
    from jgen1d.sweeps import Sweep


class Saved(NamedTuple):
    """What `save` wrote.

    Attributes:
      config: `config.json`.
      summary: `summary.json`.
      runs: `runs.csv`, a dict per run.
      curves: `curves.npz` by name: `steps` is i[num_evals], the others are f[targets, configs, seeds, num_evals].
    """

    config: dict[str, Any]
    summary: dict[str, Any]
    runs: list[dict[str, Any]]
    curves: dict[str, np.ndarray]


def check(workdir: str | Path, overwrite: bool = False) -> None:
    """Raises ValueError unless `workdir` can be written without losing what it holds."""
    path = Path(workdir)
    if path.exists() and not path.is_dir():
        raise ValueError(f"workdir {str(path)!r} is a file, not a folder")
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise ValueError(f"workdir {str(path)!r} is not empty: choose another, or add --overwrite")
    parent = next(p for p in [path, *path.absolute().parents] if p.exists())
    if not parent.is_dir():
        raise ValueError(f"workdir {str(path)!r} cannot be made: {str(parent)!r} is a file")
    if not os.access(parent, os.W_OK):
        raise ValueError(f"workdir {str(path)!r} cannot be written")


def save(
    workdir: str | Path,
    sweep: Sweep,
    presets: Sequence[str] | None = None,
    flags: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Writes `config.json`, `runs.csv`, `curves.npz` and `summary.json`.

    Args:
      workdir: the folder, created if it is missing.
      sweep: what to write.
      presets: a name for each config.
      flags: the flags of the run, kept in `config.json` beside versions, devices and commit.
      notes: of `data.read_with_notes`, kept there, too.
    """
    path = Path(workdir)
    path.mkdir(parents=True, exist_ok=True)
    configs = [_described(config) for config in sweep.configs]
    provenance = {
        "flags": dict(flags or {}),
        "data": list(notes),
        "presets": presets,
        "configs": configs,
        **environment(),
    }
    write_json(path / "config.json", provenance)
    rows = tabulate(sweep, presets).rows
    summary = {"rows": rows, "thresholds": sweep.thresholds._asdict(), "seconds": sweep.seconds}
    write_json(path / "summary.json", summary)
    runs = list(_runs(sweep, presets))
    with open(path / "runs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for run in runs for name in run)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(runs)
    curves: dict[str, Any] = {name: values.astype(np.float32) for name, values in sweep.history.items()}
    np.savez_compressed(path / "curves.npz", steps=sweep.steps, **curves)


def load(workdir: str | Path) -> Saved:
    """Reads what `save` wrote. Raises ValueError, with the file's name, if a file is missing or damaged."""
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


def environment() -> dict[str, Any]:
    """Versions, devices and commit: what a result depends on besides its flags."""
    packages = ("jgen1d", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "devices": [device.device_kind for device in jax.local_devices()],
        "commit": commit,
    }


def _version(package: str) -> str | None:
    """A package's version; None for one that runs from a checkout and is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write_json(path: Path, value: Any) -> None:
    """Writes nested dicts, lists and numbers as JSON, without NaN."""
    path.write_text(json.dumps(finite(value), indent=2, allow_nan=False) + "\n")


def _described(config: Any) -> dict[str, Any]:
    """A config's fields as JSON takes them: a user's own part is its qualified name."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    owns = {field.name for field in dataclasses.fields(config) if field.metadata.get("own")}
    return {k: v if k not in owns or isinstance(v, str) else qualified_name(v) for k, v in values.items()}


def _runs(sweep: Sweep, presets: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """One flat dict per run."""
    fields = swept_fields(sweep.configs, presets or [""] * len(sweep.configs))
    for t, c, s in np.ndindex(sweep.verdict.shape):
        row: dict[str, Any] = {"target": sweep.targets[t].name}
        if presets is not None:
            row["preset"] = presets[c]
        row |= {field: format_value(getattr(sweep.configs[c], field)) for field in fields}
        row |= {"seed": sweep.seeds[s], "verdict": str(sweep.verdict[t, c, s])}
        row |= {"diverged_at": int(sweep.diverged_at[t, c, s])}
        row |= {name: float(sweep.history[name][t, c, s, -1]) for name in sweep.history if name not in sweep.metrics}
        for name, values in sweep.metrics.items():
            if values.ndim == 3:
                row[name] = float(values[t, c, s])
            else:
                row |= {f"{name}_{k}": float(value) for k, value in enumerate(values[t, c, s])}
        yield {name: "" if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


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


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None
