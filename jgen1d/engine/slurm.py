"""An executor whose every call is a task of a Slurm array, or for trials a process, through submitit."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from pathlib import Path
from typing import Any

from jgen1d.core import unknown
from jgen1d.engine.processes import RETRIES, available_cores

MINUTES = 240
"""That a task may take where --slurm_time does not say; submitit's own default is 5."""
PARALLEL = 64
"""Tasks at a time where --slurm_array_parallelism does not say."""
SECONDS = 0.2
"""Between two looks at what has been submitted, and at what is done."""


class Slurm(Executor):
    """Submits calls through submitit; what is submitted together is one array.

    Attributes:
      num_workers: tasks at a time.
      num_cores: of each.
      window: how many calls may wait; Slurm holds them.
      platform: of the tasks' devices.

    Args:
      partition: of Slurm; `local` for processes on this machine, as many as cores.
      folder: for what tasks say and return; all machines must see it.
      options: of `submitit.AutoExecutor.update_parameters`, without the prefix `slurm_`, as texts.

    Raises:
      ImportError: if submitit is not installed.
      ValueError: for an option that there is not.
    """

    def __init__(self, partition: str, folder: Path, options: Mapping[str, str]):
        import submitit

        self._lost = submitit.core.utils.UncompletedJobError
        self._is_local = partition == "local"
        given: dict[str, Any] = {name: int(text) if text.isdecimal() else text for name, text in options.items()}
        known = submitit.SlurmExecutor._valid_parameters()  # no public function lists them
        for name in given:
            if name not in known:
                raise ValueError(f"slurm_{name}: none is called {unknown(name, sorted(known))}")
        self.num_workers = len(available_cores()) if self._is_local else int(given.get("array_parallelism", PARALLEL))
        self.num_cores = int(given.get("cpus_per_task", 1))
        self.window = 1_000
        self.platform = "gpu" if any("gpu" in f"{name}={value}" for name, value in given.items()) else "cpu"
        self.num_devices = int(given.get("gpus_per_task", given.get("gpus_per_node", 1)))
        self._submitit = submitit.AutoExecutor(folder, cluster="local" if self._is_local else "slurm")
        given = {"time": MINUTES, "array_parallelism": self.num_workers, "partition": partition} | given
        minutes = given["time"] if isinstance(given["time"], int) else MINUTES
        self._submitit.update_parameters(
            timeout_min=minutes, **{f"slurm_{name}": value for name, value in given.items()}
        )
        self._new: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Calls `fn` in a task."""
        call = _Call(fn, args, kwargs)
        self._new.put(call)
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancels the tasks that are not done; it does not wait for them."""
        del wait, cancel_futures
        self._is_over.set()
        self._thread.join()

    def _serve(self) -> None:
        running: dict[Any, _Call] = {}
        try:
            while not self._is_over.wait(SECONDS):
                self._start(running)
                for job, call in list(running.items()):
                    if call.future.cancelled():
                        job.cancel(check=False)
                        del running[job]
                    elif job.done():
                        del running[job]
                        self._finish(job, call)
        except Exception as error:  # sbatch or sacct is gone
            for call in running.values():
                call.fail(error)
            while not self._is_over.wait(SECONDS):  # what is submitted from here on fails, too
                for call in self._taken(self.window):
                    call.fail(error)
        finally:
            for job in running:
                job.cancel(check=False)

    def _start(self, running: dict[Any, _Call]) -> None:
        """Submits what is new; processes only as many as there are cores."""
        new = self._taken(self.num_workers - len(running) if self._is_local else self.window)
        if new:
            try:
                with self._submitit.batch():
                    jobs = [self._submitit.submit(call.function, *call.args, **call.kwargs) for call in new]
            except Exception as error:
                for call in new:
                    call.fail(error)
                raise
            running.update(zip(jobs, new, strict=True))

    def _taken(self, most: int) -> list[_Call]:
        """Up to so many of the calls that wait and are still wanted."""
        taken: list[_Call] = []
        with contextlib.suppress(queue.Empty):
            while len(taken) < most:
                call = self._new.get_nowait()
                if not call.future.cancelled():
                    taken.append(call)
        return taken

    def _finish(self, job: Any, call: _Call) -> None:
        try:
            call.finish(job.result())
        except self._lost as error:
            call.num_lost += 1
            if call.num_lost <= RETRIES:
                self._new.put(call)
            else:
                said = " ".join((job.stderr() or str(error)).split()[-30:])
                call.fail(BrokenExecutor(f"task {job.job_id} was lost {call.num_lost} times: {said}"))
        except Exception as error:
            call.fail(error)
        for path in (job.paths.submitted_pickle, job.paths.result_pickle):
            path.unlink(missing_ok=True)


class _Call:
    """A function and its arguments, its future, and how often its task was lost."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict[str, Any]):
        self.function, self.args, self.kwargs = function, args, kwargs
        self.future: Future = Future()
        self.num_lost = 0

    def finish(self, result: Any) -> None:
        """Gives the future its result, unless it was cancelled meanwhile."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Gives the future its error, unless it was cancelled meanwhile."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)
