"""Workers on this machine: fresh Python processes, each with its share of the cores and GPUs; lost ones are replaced.

`concurrent.futures.ProcessPoolExecutor` is no substitute: with one lost process it gives up all, its processes have one
environment, and a script needs `if __name__ == "__main__":`.
"""

from __future__ import annotations

import glob
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

RETRIES = 3
"""How often a call is repeated whose worker was lost. One that needs too much memory would end them all."""
MEMORY_FRACTION = 0.9
"""Of a GPU, for all the workers on it."""


def available_gpus() -> list[str]:
    """The GPUs that workers may use, as `CUDA_VISIBLE_DEVICES` names them; found without starting JAX."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def available_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def shares(num_workers: int, gpus: Sequence[str], cores: Sequence[int]) -> list[dict[str, str]]:
    """The environment of each worker, which has to be set before it starts JAX.

    >>> shares(2, [], [0, 1, 2, 3])
    [{'JGEN1D_CPUS': '0,2'}, {'JGEN1D_CPUS': '1,3'}]
    >>> shares(2, ["0"], [0])[1]
    {'JGEN1D_CPUS': '0', 'CUDA_VISIBLE_DEVICES': '0', 'XLA_PYTHON_CLIENT_MEM_FRACTION': '0.45'}
    """

    def share(index: int, things: Sequence[Any]) -> str:
        return ",".join(map(str, things[index::num_workers] or [things[index % len(things)]]))

    found = []
    for index in range(num_workers):
        own = {"JGEN1D_CPUS": share(index, cores)}
        if gpus:
            on_one = -(-num_workers // len(gpus))
            own |= {"CUDA_VISIBLE_DEVICES": share(index, gpus)}
            own |= {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{MEMORY_FRACTION / on_one:.3g}"}
        found.append(own)
    return found


class Processes(Executor):
    """Calls functions in so many other processes; a call whose process is lost is repeated in a new one.

    Attributes:
      num_workers: how many.
      num_cores: of the smallest share.

    Args:
      num_workers: at least 1; None for one per GPU, or per core where there is no GPU.
    """

    def __init__(self, num_workers: int | None = None):
        gpus, cores = available_gpus(), available_cores()
        self.num_workers = num_workers or len(gpus) or len(cores)
        self.num_cores = max(1, len(cores) // self.num_workers)
        self._threads = ThreadPoolExecutor(self.num_workers)
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all = [_Process(share) for share in shares(self.num_workers, gpus, cores)]
        for process in self._all:
            self._idle.put(process)

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Calls `fn`, which has to be importable, in one of the processes."""
        return self._threads.submit(self._call, pickle.dumps((fn, args, kwargs)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes: when their calls are done, or now if futures are cancelled."""
        if cancel_futures:
            for process in self._all:
                process.close()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            for process in self._all:
                process.close()

    def _call(self, request: bytes) -> Any:
        process = self._idle.get()
        try:
            error, value = process.call(request)
        finally:
            self._idle.put(process)
        if error is not None:
            raise error
        return value


class _Process:
    """One worker, started at its first call, and again where it was lost."""

    def __init__(self, share: dict[str, str]):
        self._share = share
        self._popen: subprocess.Popen | None = None
        self._pipe: Connection | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def call(self, request: bytes) -> tuple[BaseException | None, Any]:
        for _ in range(1 + RETRIES):
            pipe = self._open()
            try:
                pipe.send_bytes(request)
                return pickle.loads(pipe.recv_bytes())
            except (EOFError, OSError):
                self._end()
        raise BrokenExecutor(f"its worker was lost {1 + RETRIES} times")

    def close(self) -> None:
        """Ends the process for good, whatever it is doing."""
        with self._lock:
            self._is_closed = True
        self._end()

    def _open(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise BrokenExecutor("the workers were ended")
            if self._pipe is None:
                self._pipe, theirs = Pipe()
                path = os.pathsep.join(part or os.getcwd() for part in sys.path)
                self._popen = subprocess.Popen(
                    [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
                    stdin=subprocess.DEVNULL, stdout=2, pass_fds=[theirs.fileno()],
                    env=os.environ | {"PYTHONPATH": path} | self._share,
                    start_new_session=True,  # Ctrl-C is for this process alone
                )  # fmt: skip
                theirs.close()
            return self._pipe

    def _end(self) -> None:
        with self._lock:
            if self._popen is not None:
                self._popen.kill()
                self._popen.wait()
            if self._pipe is not None and not self._is_closed:
                self._pipe.close()
            self._popen = self._pipe = None


def serve(file_number: int) -> None:
    """What a worker does: answers calls until the other end of a pipe is gone; a call under way ends with it."""
    pipe = Connection(file_number)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                requests.put(pipe.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            function, args, kwargs = pickle.loads(requests.get())
            answer: tuple[Exception | None, Any] = (None, function(*args, **kwargs))
        except Exception as error:
            answer = (error, None)
        pipe.send_bytes(pickle.dumps(answer))
