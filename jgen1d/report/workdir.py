"""What does a workdir keep of a run? Writes it, reads it back, and checks that a folder may be written to."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jgen1d.core import Config, files, format_value
from jgen1d.core.config import swept_fields
from jgen1d.evaluation.metrics import METRICS
from jgen1d.fitting import Result
from jgen1d.report import models
from jgen1d.report.table import as_csv, finite, tabulate

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
    if os.path.lexists(path) and not path.is_dir():
        raise ValueError(f"workdir {str(path)!r} is a file, not a folder")
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise ValueError(f"workdir {str(path)!r} is not empty: choose another, or overwrite it")
    parent = next(p for p in [path, *path.absolute().parents] if p.exists())
    if not parent.is_dir():
        raise ValueError(f"workdir {str(path)!r} cannot be made: {str(parent)!r} is a file")
    if not os.access(parent, os.W_OK):
        raise ValueError(f"workdir {str(path)!r} cannot be written")


def save(
    workdir: str | Path,
    runs: Sweep | Result,
    presets: Sequence[str] | None = None,
    flags: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Writes `config.json`, `runs.csv`, `curves.npz` and `summary.json` of a sweep, or `result.npz` of one run.

    A run's file holds all of it, and nothing that runs when it is read; see `load`.

    Args:
      workdir: the folder, created if it is missing. It holds a sweep or one run, not both.
      runs: what to write.
      presets: a name for each config of a sweep.
      flags: the flags of the run, kept in `config.json` (of one run in its file) beside versions, devices and commit.
      notes: of `data.read_with_notes`, kept there, too.

    Raises:
      OSError: in one line, if some of the files cannot be written; it says which are.
      ValueError: if the folder holds what `load` would take this for.
    """
    folder, is_run = Path(workdir), isinstance(runs, Result)
    other = "summary.json" if is_run else models.FILE
    if os.path.lexists(folder / other):
        kind = "a sweep" if is_run else "one run"
        raise ValueError(f"workdir {str(workdir)!r} holds {kind}, in {other}: choose another")
    if isinstance(runs, Result):
        provenance = {"flags": dict(flags or {}), "data": list(notes), **environment()}
        write(folder, {models.FILE: models.contents(runs, provenance)})
    else:
        write(folder, contents(runs, presets, flags, notes))


def contents(
    sweep: Sweep, presets: Sequence[str] | None = None, flags: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, bytes]:  # fmt: skip
    """What `save` writes, by the names of the files."""
    configs = [models.describe(config) for config in sweep.configs]
    provenance = {
        "flags": dict(flags or {}), "data": list(notes), "presets": presets, "configs": configs, **environment()
    }  # fmt: skip
    rows = tabulate(sweep, presets).rows
    workers = [work._asdict() for work in sweep.workers()]
    summary = {"rows": rows, "thresholds": sweep.thresholds._asdict(), "seconds": sweep.seconds, "workers": workers}
    curves: dict[str, Any] = {
        name: values if name in METRICS and METRICS[name].unit else values.astype(np.float32)
        for name, values in sweep.history.items()
    }
    npz = io.BytesIO()
    np.savez_compressed(npz, steps=sweep.steps, **curves)
    return {
        "config.json": as_json(provenance),
        "summary.json": as_json(summary),
        "runs.csv": as_csv([_without_nan(row) for row in flat_rows(sweep, presets)]).encode(),
        "curves.npz": npz.getvalue(),
    }


def write(workdir: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files into a folder, created if it is missing: each whole or not at all, and all that can be.

    Raises:
      OSError: in one line, if some cannot be written; it says which are.
    """
    written: list[str] = []
    failed: dict[str, OSError] = {}
    for name, content in contents.items():
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            files.write(workdir / name, content)
            written.append(name)
        except OSError as error:
            failed[name] = error
    if failed:
        reason = files.one_line(next(iter(failed.values())))
        rest = ", ".join(written) or "nothing"
        raise OSError(f"cannot write {', '.join(failed)} in {str(workdir)!r}: {reason}; written: {rest}")


def load(workdir: str | Path, *, method: Any = None, target: Any = None, config: Config | None = None) -> Any:
    """Reads what `save` wrote: of a sweep a `Saved`, of one run the `Result`, which draws the same samples again.

    Nothing that a file says is run. So what was no data when it was saved has to be passed again.

    Args:
      workdir: the folder.
      method: of one run, if it is your own.
      target: of one run, if its family is your own.
      config: of one run, if it holds parts of your own, such as a network.

    Raises:
      ValueError: with the file's name, if a file is missing or damaged; if something has to be passed, or if what is
        passed is not what was saved.
    """
    if os.path.lexists(path := Path(workdir) / models.FILE):
        return models.read(path, method, target, config)
    for name, value in {"method": method, "target": target, "config": config}.items():
        if value is not None:
            raise ValueError(f"load: {name}= is for one run, but {str(workdir)!r} holds no {models.FILE}")
    return Saved(*(read(Path(workdir), name) for name in ("config.json", "summary.json", "runs.csv", "curves.npz")))


def read(workdir: Path, name: str) -> Any:
    """What one file of a workdir holds. Raises ValueError, with the file's name, if it is missing or damaged."""
    readers: dict[str, Callable[[Path], Any]] = {"runs.csv": _read_runs, "curves.npz": _read_npz}
    path = workdir / name
    try:
        return readers.get(name, files.read_json)(path)
    except Exception as error:  # what readers raise at damage is a list without an end
        raise ValueError(f"{str(path)!r} is missing or damaged: {files.one_line(error)}") from error


def environment() -> dict[str, Any]:
    """Versions, devices and commit: what a result depends on besides its flags."""
    packages = ("jgen1d", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")
    here = Path(__file__)
    git = functools.partial(subprocess.run, cwd=here.parent, capture_output=True, text=True, check=True)
    try:
        git(["git", "ls-files", "--error-unmatch", here.name])  # an environment may lie in another project's checkout
        described = git(["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
        commit = described.stdout.strip()
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


def as_json(value: Any) -> bytes:
    """Nested dicts, lists and numbers as JSON, without NaN."""
    return (json.dumps(finite(value), indent=2, allow_nan=False) + "\n").encode()


def flat_rows(sweep: Sweep, presets: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """One flat dict per run, all with the same names; see `Sweep.rows`."""
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
        yield row


def _without_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "" if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


def _read_runs(path: Path) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(io.StringIO(files.read(path).decode(), newline="")))
    if not rows or any(None in row or None in row.values() for row in rows):
        raise ValueError("it has no rows, or rows of different lengths")
    return [{name: _number(text) for name, text in row.items()} for row in rows]


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    files.check_regular(path)
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None
