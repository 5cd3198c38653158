"""A progress bar on stderr: runs done, lane-steps per second, and the time that is left."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(show: bool, num_lanes: int, num_steps: int) -> Iterator[Callable[..., None]]:
    """Yields a function to call with the lane-steps, and the runs, that were done since the last call.

    Args:
      show: whether to show the bar; without it, the function does nothing.
      num_lanes: runs in all.
      num_steps: steps of each run.
    """
    if not show:
        yield lambda steps, runs=0, restored=False: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[runs]}/{task.fields[lanes]} runs"),
        BarColumn(),
        TextColumn("{task.fields[rate]} steps/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    if console.is_jupyter and importlib.util.find_spec("ipywidgets") is None:
        # Without widgets, rich would warn and show nothing. One line that is written over works in notebooks, too.
        console = Console(stderr=True, force_jupyter=False, force_terminal=True)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=num_lanes * num_steps, runs=0, lanes=num_lanes, rate="–")
        done = 0

        def report(steps: int, runs: int = 0, restored: bool = False) -> None:
            nonlocal done
            done += runs
            if restored:  # no part of the speed
                bar.reset(task, completed=int(bar.tasks[0].completed) + steps)
            else:
                bar.advance(task, steps)
            speed = bar.tasks[0].speed
            bar.update(task, runs=done, rate=f"{speed:,.0f}" if speed else "–")

        yield report
