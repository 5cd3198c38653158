"""Where do a script's results go? The workdir, the checkpoints in it, and the answer that is printed and written."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from absl import flags

from jgen1d.cli.flags import OUTPUT_FLAGS, RUN_FLAGS, data_notes, flag_values
from jgen1d.core import Config
from jgen1d.engine.checkpoint import Checkpoints, saved_identity
from jgen1d.report import workdir as files
from jgen1d.report.table import Table
from jgen1d.sweeps import Sweep
from jgen1d.targets import Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def choose_workdir(script: str) -> Path | None:
    """The folder of --workdir; without the flag, a new one under runs/; None for an empty flag.

    Args:
      script: its name, which a new folder starts with.

    Raises:
      ValueError: if the folder cannot be written without losing what it holds.
    """
    path, overwrite = (flags.FLAGS[name].value for name in ("workdir", "overwrite"))
    if path == "" or (path is None and jax.process_index()):
        return None
    folder = Path(path or f"runs/{script}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        resumes = saved_identity(_progress(folder)) is not None
        if jax.process_count() > 1 and folder.is_dir():  # other processes may have started first
            resumes |= all(entry.name.startswith("progress-") for entry in folder.iterdir())
        files.check(folder, overwrite or resumes or jax.process_index() > 0)
    except ValueError as error:
        raise ValueError(f"--{error}") from None
    return folder


def checkpoints(
    workdir: Path | None, targets: Sequence[Target], configs: Sequence[Config]
) -> contextlib.AbstractContextManager[Checkpoints | None]:
    """The progress of a run while it lasts, in a folder of the workdir, one for each process.

    Args:
      workdir: None for nowhere.
      targets: of the run, because a file may have changed since it was interrupted.
      configs: of the run, because presets may have changed since it was interrupted.
    """
    if workdir is None:
        return contextlib.nullcontext()
    asked = {name: value for name, value in flag_values().items() if name not in (*RUN_FLAGS, *OUTPUT_FLAGS)}
    environment = {name: value for name, value in files.environment().items() if name != "commit"}
    leaves = {
        target.name: b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(target)) for target in targets
    }
    identity = {
        **asked,
        **environment,
        "num_processes": jax.process_count(),
        "configs": [dataclasses.asdict(config) for config in configs],
        "data": {name: zlib.crc32(content) for name, content in leaves.items()},
    }
    minutes, overwrite = (flags.FLAGS[name].value for name in ("checkpoint_minutes", "overwrite"))
    return Checkpoints(_progress(workdir), identity, minutes, overwrite)


def answer(
    workdir: Path | None,
    table: Table,
    conclusions: Sequence[str],
    figures: Mapping[str, Figure],
    *,
    sweep: Sweep | None = None,
    presets: Sequence[str] | None = None,
    **more: Any,
) -> None:
    """Prints a script's results as --format says, and writes them with the figures to the workdir.

    The workdir receives `config.json`, `summary.json` (what --format=json prints) and `NAME.png` for each figure, and
    of a sweep also `runs.csv` and `curves.npz`.

    Args:
      workdir: None for nowhere.
      table: the rows.
      conclusions: sentences computed from the rows.
      figures: name -> figure.
      sweep: the runs, if the table is that of one sweep.
      presets: a name for each config of the sweep.
      **more: what else the JSON holds, by name.
    """
    if sweep is not None:
        more |= {"thresholds": sweep.thresholds._asdict(), "seconds": sweep.seconds}
        if "explain" in flags.FLAGS and flags.FLAGS["explain"].value:
            print(sweep.explain(), file=sys.stderr)
    form = flags.FLAGS["format"].value
    if form == "json":
        print(table.to_json(conclusions=conclusions, **more))
    elif form == "csv":
        print(table.to_csv(), end="")
    else:
        print(table, "", *([sweep.thresholds, ""] if sweep else []), *conclusions, sep="\n")
    if workdir is None:
        return
    workdir.mkdir(parents=True, exist_ok=True)
    if sweep is None:
        files.write_json(workdir / "config.json", {"flags": flag_values(), "data": data_notes(), **files.environment()})
    else:
        files.save(workdir, sweep, presets, flag_values(), data_notes())
    files.write_json(workdir / "summary.json", {"rows": table.rows, "conclusions": conclusions, **more})
    if figures:
        from jgen1d.plots.style import save  # imported here because scripts without pictures do not need matplotlib

        for name, figure in figures.items():
            save(figure, workdir / f"{name}.png")
    print(f"written to {workdir}", file=sys.stderr)


def _progress(workdir: Path) -> Path:
    return workdir / ("progress" if jax.process_count() == 1 else f"progress-{jax.process_index()}")
