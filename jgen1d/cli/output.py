"""Where do a script's results go? The workdir, the checkpoints in it, and the answer that is printed and written."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import shlex
import sys
import tempfile
import time
import warnings
import webbrowser
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from absl import flags

from jgen1d.cli.data_flags import data_notes
from jgen1d.cli.executed import SLURM
from jgen1d.cli.flags import OUTPUT_FLAGS, RUN_FLAGS, flag_values
from jgen1d.core import Config, files
from jgen1d.core.names import file_name, printable
from jgen1d.engine.checkpoint import Checkpoints, saved_identity
from jgen1d.fitting import Result
from jgen1d.report import terminal
from jgen1d.report import workdir as results
from jgen1d.report.gathered import MADE, columns
from jgen1d.report.table import Table
from jgen1d.sweeps import Sweep
from jgen1d.targets import Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "report.html"
PROGRESS = "progress"


def choose_workdir(script: str) -> Path | None:
    """The folder of --workdir; without the flag, a new one under runs/; None for an empty flag.

    Args:
      script: its name, which a new folder starts with.

    Raises:
      ValueError: if the folder cannot be written without losing what it holds.
    """
    path, overwrite = (flags.FLAGS[name].value for name in ("workdir", "overwrite"))
    if path == "":
        return None
    folder = Path(path or f"runs/{script}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        results.check(folder, overwrite or saved_identity(folder / PROGRESS) is not None)
    except ValueError as error:
        raise ValueError(f"{error} (--workdir, --overwrite)") from None
    return folder


def checkpoints(
    workdir: Path | None, targets: Sequence[Target] = (), configs: Sequence[Config] = ()
) -> contextlib.AbstractContextManager[Checkpoints | None]:
    """The progress of a run while it lasts, in a folder of the workdir.

    Args:
      workdir: None for nowhere.
      targets: of the run, because a file may have changed since it was interrupted.
      configs: of the run, because presets may have changed since it was interrupted.
    """
    if workdir is None:
        return contextlib.nullcontext()
    how = (*RUN_FLAGS, *OUTPUT_FLAGS)
    asked = {name: value for name, value in flag_values().items() if name not in how and not name.startswith(SLURM)}
    environment = {name: value for name, value in results.environment().items() if name != "commit"}
    leaves = {
        target.name: b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(target)) for target in targets
    }
    identity = {
        **asked,
        **environment,
        "configs": [dataclasses.asdict(config) for config in configs],
        "data": {name: zlib.crc32(content) for name, content in leaves.items()},
    }
    minutes, overwrite = (flags.FLAGS[name].value for name in ("checkpoint_minutes", "overwrite"))
    return Checkpoints(workdir / PROGRESS, identity, minutes, overwrite)


def answer(
    workdir: Path | None,
    table: Table,
    conclusions: Sequence[str],
    figures: Mapping[str, Callable[[], Figure]],
    *,
    animations: Mapping[str, Callable[[], bytes]] | None = None,
    sweep: Sweep | None = None,
    presets: Sequence[str] | None = None,
    checkpoints: Checkpoints | None = None,
    about: str | None = None,
    models: Sequence[Result] = (),
    **more: Any,
) -> None:
    """Writes a script's results to the workdir, prints them as --format says, and then draws the pictures.

    The workdir receives `config.json`, `summary.json` (what --format=json prints) and `NAME.png` for each figure, and
    of a sweep also `runs.csv` and `curves.npz`. Last comes `report.html`, one page with all of it, and `report.json`,
    what only the page shows. A picture that fails is a line on stderr, and the others are drawn; so is the page.

    Args:
      workdir: None for nowhere.
      table: the rows.
      conclusions: sentences computed from the rows.
      figures: name -> what draws the figure.
      animations: name -> what makes the content of a GIF.
      sweep: the runs, if the table is that of one sweep.
      presets: a name for each config of the sweep.
      checkpoints: the run's progress, which is removed once all is written.
      about: whose first line is the report's title; None for the docstring of the file that was started.
      models: without a sweep, a run for each row, which the report shows beside its target; or none.
      **more: what else the JSON holds, by name.

    Raises:
      OSError: in one line, if results cannot be written or printed; the others are.
    """
    if sweep is not None:
        more |= {"thresholds": sweep.thresholds._asdict(), "seconds": sweep.seconds}
    unwritten: Exception | None = None
    unprinted: OSError | None = None
    missing: list[str] = []
    contents: dict[str, bytes] = {}
    if sweep is not None:
        more["workers"] = [work._asdict() for work in sweep.workers()]
    try:
        if workdir is not None:
            if sweep is not None:
                contents = results.contents(sweep, presets, flag_values(), data_notes())
            else:
                provenance = {"flags": flag_values(), "data": data_notes(), **results.environment()}
                contents = {"config.json": results.as_json(provenance)}
            contents["summary.json"] = results.as_json({"rows": table.rows, "conclusions": conclusions, **more})
            results.write(workdir, contents)
    except Exception as error:  # not even a bug must cost the table
        unwritten = error
    try:
        _print(table, conclusions, sweep, more)
    except BrokenPipeError as error:  # whoever reads stdout, such as `head`, has ended
        unprinted = error
    except OSError as error:
        unprinted = OSError(f"cannot print the results: {files.one_line(error)}")
    again = ""
    if workdir is not None:
        again = f"the same command with --workdir={shlex.quote(str(workdir))} --overwrite"
    if unwritten:
        if not (checkpoints and checkpoints.keep()):
            spare = _keep_elsewhere(contents)
            unwritten.add_note(f"all are in {str(spare)!r} instead" if spare else f"{again} runs it again")
        raise unwritten
    if workdir is not None:
        try:
            pictures = _pictures(figures, animations or {})
            made = functools.partial(_made, table, sweep or models, list(pictures), about)
            missing = _draw(workdir, pictures | {MADE: made, PAGE: functools.partial(_page, workdir)})
            if PAGE not in missing and flags.FLAGS["open"].value:
                webbrowser.open((workdir / PAGE).absolute().as_uri())
        except KeyboardInterrupt as error:
            error.add_note(f"the results are written to {str(workdir)!r}, but not all pictures")
            raise
        if checkpoints and missing and checkpoints.keep():
            again = "the same command"
        rest = f"; {again} draws what is missing" if missing else ""
        print(printable(f"written to {workdir}{rest}"), file=sys.stderr)
    if checkpoints and not missing:
        checkpoints.clear()
    if unprinted:
        raise unprinted


def explain(sweep: Sweep) -> None:
    """Prints to stderr which runs shared a program, and why, if --explain asks for it."""
    if flags.FLAGS["explain"].value:
        print(sweep.explain(), file=sys.stderr)


def save(workdir: Path, sweep: Sweep) -> None:
    """Writes a sweep's results to a folder.

    Raises:
      OSError: in one line, if some cannot be written. A note says in which temporary folder all of them are instead.
    """
    contents = results.contents(sweep, None, flag_values(), data_notes())
    try:
        results.write(workdir, contents)
    except OSError as error:
        if spare := _keep_elsewhere(contents):
            error.add_note(f"all are in {str(spare)!r} instead")
        raise


def _keep_elsewhere(contents: Mapping[str, bytes]) -> Path | None:
    """Writes results to a new temporary folder, because training them again takes longer; None if that fails, too."""
    if not contents:
        return None
    try:
        spare = Path(tempfile.mkdtemp(prefix="jgen1d-"))
    except OSError:
        return None
    try:
        results.write(spare, contents)
    except OSError:
        files.remove(spare)
        return None
    return spare


def _print(table: Table, conclusions: Sequence[str], sweep: Sweep | None, more: Mapping[str, Any]) -> None:
    form = flags.FLAGS["format"].value
    if form == "json":
        text = table.to_json(conclusions=conclusions, **more)
    elif form == "csv":
        text = table.to_csv().rstrip("\n")
    else:
        shown = terminal.shown(table, sys.stdout, flags.FLAGS["table"].value)
        text = "\n".join([f"{shown}\n", *([f"{sweep.thresholds}\n"] if sweep else []), *map(printable, conclusions)])
    print(text, flush=True)


def _pictures(
    figures: Mapping[str, Callable[[], Figure]], animations: Mapping[str, Callable[[], bytes]]
) -> dict[str, Callable[[], bytes]]:
    """What makes the content of each picture, by the names of the files."""

    def png(draw: Callable[[], Figure]) -> bytes:
        from jgen1d.plots.style import as_png  # imported here because scripts without pictures do not need matplotlib

        return as_png(draw())

    pictures: dict[str, Callable[[], bytes]]
    pictures = {f"{file_name(name)}.png": functools.partial(png, draw) for name, draw in figures.items()}
    return pictures | {f"{file_name(name)}.gif": make for name, make in animations.items()}


def _made(table: Table, runs: Sweep | Sequence[Result], pictures: Sequence[str], about: str | None) -> bytes:
    """What a report shows beside the results: `gathered` reads it."""
    question = (about or sys.modules["__main__"].__doc__ or "").strip().partition("\n")[0]
    # The command `jgen1d` puts its own name before that of the script.
    program = sys.argv[0].split() if sys.argv[0].startswith("jgen1d ") else ["python", sys.argv[0]]
    made: dict[str, Any] = {
        "question": question,
        "script": Path(sys.argv[0]).name,
        "date": time.strftime("%Y-%m-%d"),
        "command": shlex.join([*program, *sys.argv[1:]]),
        "columns": columns(table),
        "pictures": pictures,
    }
    if runs:
        from jgen1d.report import thinned  # imported here because it needs matplotlib

        made |= thinned.of_sweep(runs) if isinstance(runs, Sweep) else {"panels": thinned.of_runs(runs)}
    return results.as_json(made)


def _page(workdir: Path) -> bytes:
    from jgen1d.report.page import of_workdir  # imported here because a page is made once all else is done

    return of_workdir(workdir)


def _draw(workdir: Path, pictures: Mapping[str, Callable[[], bytes]]) -> list[str]:
    """Draws the pictures; returns the names of those that failed, each of which is a line on stderr."""
    missing = []
    for name, make in pictures.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a page for each letter that the font lacks, for instance
                content = make()
            workdir.mkdir(parents=True, exist_ok=True)
            files.write(workdir / name, content)
        except Exception as error:  # whatever it is, the results and the other pictures must not be lost with it
            kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
            print(printable(f"picture {name} is missing: {kind}{files.one_line(error)}", 500), file=sys.stderr)
            missing.append(name)
    return missing
