"""Which executor does `executor=` stand for, and what are its workers?"""

from __future__ import annotations

import contextlib
import importlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jgen1d.core import files, unknown
from jgen1d.engine import worker
from jgen1d.engine.processes import Processes, available_cores, available_gpus, shares

KINDS = ("processes", "dask", "slurm", "ray")
FORMS = "processes:N, dask, dask:tcp://HOST:PORT, slurm:PARTITION, slurm:local, ray, ray:ADDRESS"
"""What a text for an executor may be."""


class Remote(NamedTuple):
    """A worker's device, as `costs.Device` wants it."""

    platform: str
    bytes_limit: int | None

    def memory_stats(self) -> dict[str, Any] | None:
        """Its memory in bytes, if known."""
        return None if self.bytes_limit is None else {"bytes_limit": self.bytes_limit}


@runtime_checkable
class KnowsDevices(Protocol):
    """An executor that knows its workers' devices before they have started.

    Attributes:
      platform: `cpu` or `gpu`.
      num_devices: of each worker.
    """

    platform: str
    num_devices: int


class Workers(NamedTuple):
    """What a sweep has to know of the processes that it is computed by.

    Attributes:
      executor: takes blocks to them.
      number: how many there are.
      num_devices: that each lays a block over.
      device: one of those.
      window: how many blocks are handed out ahead.
    """

    executor: Executor
    number: int
    num_devices: int
    device: Remote
    window: int


def check(executor: Executor | str | None, options: Mapping[str, str] | None = None) -> None:
    """Starts nothing.

    Raises:
      ValueError: for what `opened` cannot open, or must not.
    """
    if options and not (isinstance(executor, str) and executor.startswith("slurm:")):
        raise ValueError(f"slurm_{next(iter(options))}: is for executor='slurm:PARTITION'")
    if not isinstance(executor, str):
        _require_executor(executor)
        return
    kind, colon, rest = executor.partition(":")
    if kind not in KINDS:
        raise ValueError(f"executor={executor!r}: none is called {unknown(kind, KINDS)}; allowed are {FORMS}")
    if (
        (colon and not rest)
        or (kind == "processes" and colon and not (rest.isdecimal() and int(rest) >= 1))
        or (kind == "dask" and colon and "://" not in rest)
        or (kind == "slurm" and not rest)
    ):
        raise ValueError(f"executor={executor!r}: allowed are {FORMS}")


@contextlib.contextmanager
def opened(
    executor: Executor | str | None, folder: Path | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Executor | None]:
    """Yields the executor that a text stands for, and ends it afterwards; any other as it is.

    Args:
      executor: a text as in `FORMS`, an executor, or None.
      folder: where Slurm's tasks leave their files; None for a temporary folder here, which other machines may not see.
      options: of Slurm, by name without `slurm_`.

    Raises:
      ValueError: in one line, for a text of another form, a missing package, or an address where nothing answers.
    """
    check(executor, options)
    if not isinstance(executor, str):
        yield executor
        return
    kind, _, rest = executor.partition(":")
    with contextlib.ExitStack() as stack:
        try:
            found = _OPENERS[kind](stack, rest, folder, dict(options or {}))
        except ImportError as error:
            package = f"pip install 'jgen1d[{kind}]'"
            raise ValueError(f"executor={executor!r}: {error.name or kind} is not installed: {package}") from None
        except (OSError, RuntimeError) as error:
            raise ValueError(f"executor={executor!r}: {' '.join(str(error).split())[:200]}") from error
        yield found


def examine(executor: Executor, is_single: bool) -> Workers:
    """Asks one of the workers what it has.

    Args:
      executor: an open one.
      is_single: whether this process has one device. Then each worker on a CPU has one, too, because programs for one
        device differ in their last bits from those for several, which are all alike.

    Raises:
      ValueError: in one line, if that worker must not compute for this process.
      OSError: in one line, if none answers.
    """
    number, num_cores = _size(executor)
    on_cpu = 1 if is_single else max(2, num_cores)
    if isinstance(executor, KnowsDevices):  # without waiting for a task
        found = executor.platform, executor.num_devices, None
    else:
        found = result(executor.submit(worker.look, worker.terms(None, on_cpu)), lambda: "a look at the devices")
    num_devices = on_cpu if found[0] == "cpu" else found[1]
    window = getattr(executor, "window", max(16, 2 * number))
    return Workers(executor, number, num_devices, Remote(found[0], found[2]), window)


class BlockFailed(RuntimeError):
    """A block raised an error on its worker, whose traceback is among the notes."""


def result(future: Future, what: Callable[[], str]) -> Any:
    """What a worker's function came to.

    Args:
      future: of a function of `worker`.
      what: says what it was about, for a person.

    Raises:
      ValueError: the worker must not compute for this process.
      BlockFailed: it failed.
      OSError: the executor failed.
    """
    try:
        kind, value = future.result()
    except CancelledError as error:
        raise OSError(f"the executor dropped {what()}: its scheduler is gone, or was told to") from error
    except Exception as error:
        said = f"{type(error).__name__}: {files.one_line(error)[:300]}"
        reason = "" if error.__cause__ is None else f" ({files.one_line(error.__cause__)[:200]})"
        raise OSError(f"the executor failed with {what()}: {said}{reason}") from error
    if kind == "refused":
        raise ValueError(value)
    if kind == "failed":
        failed = BlockFailed(f"{what()}: {value[0]}")
        failed.add_note(value[1])
        raise failed
    return value


def _require_executor(executor: Executor | None) -> None:
    """Raises ValueError for what is no executor, or forks."""
    if executor is None:
        return
    if not isinstance(executor, Executor):
        raise ValueError(f"executor={executor!r}: must be a concurrent.futures.Executor, or one of {FORMS}")
    context: Any = getattr(executor, "_mp_context", None)  # nothing public tells
    if isinstance(executor, ProcessPoolExecutor) and context.get_start_method() == "fork":
        fix = "pass mp_context=multiprocessing.get_context('spawn') to it"
        raise ValueError(f"executor: this ProcessPoolExecutor forks, and JAX hangs in forked processes: {fix}")


def _size(executor: Executor) -> tuple[int, int]:
    """How many workers there are, and the cores of each, of those that do not say."""
    if type(executor).__module__.partition(".")[0] == "distributed":
        threads = vars(executor)["_client"].nthreads()  # nothing public leads from Dask's executor to its client
        return max(1, len(threads)), min(threads.values(), default=1)
    number = getattr(executor, "num_workers", None) or getattr(executor, "_max_workers", None) or 1
    return int(number), int(getattr(executor, "num_cores", 1))


def _processes(stack: contextlib.ExitStack, rest: str, *_: Any) -> Executor:
    executor = Processes(int(rest) if rest else None)
    stack.callback(executor.shutdown, cancel_futures=True)
    return executor


def _dask(stack: contextlib.ExitStack, rest: str, *_: Any) -> Executor:
    distributed = importlib.import_module("distributed")
    stack.enter_context(_quiet("distributed"))  # whatever matters becomes an error here, in one line
    address: Any = rest
    if not rest:
        gpus, cores = available_gpus(), available_cores()
        own = {
            "nthreads": 1,
            "memory_limit": 0,
            "silence_logs": logging.CRITICAL,
            "local_directory": stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)),
        }
        environments = shares(len(gpus) or len(cores), gpus, cores)
        specs = {
            i: {"cls": distributed.Nanny, "options": own | {"env": env, "name": str(i)}}
            for i, env in enumerate(environments)
        }
        scheduler = {"cls": distributed.Scheduler, "options": {"dashboard_address": None, "dashboard": False}}
        address = stack.enter_context(distributed.SpecCluster(specs, scheduler, silence_logs=logging.CRITICAL))
    client = stack.enter_context(distributed.Client(address))
    return client.get_executor(pure=False)


@contextlib.contextmanager
def _quiet(package: str) -> Iterator[None]:
    """Lets a package's loggers, which have levels of their own, say nothing."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == package]
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    try:
        for logger in levels:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _slurm(stack: contextlib.ExitStack, rest: str, folder: Path | None, options: Mapping[str, str]) -> Executor:
    from jgen1d.engine.slurm import Slurm

    if folder is None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".", prefix="slurm-")))
    executor = Slurm(rest, folder, options)
    stack.callback(executor.shutdown)
    return executor


def _ray(stack: contextlib.ExitStack, rest: str, *_: Any) -> Executor:
    ray = importlib.import_module("ray")
    ray.init(
        rest or None, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False if not rest else None
    )
    stack.callback(ray.shutdown)
    return _Ray(ray)


class _Ray(Executor):
    """Calls functions as Ray's tasks, of one core and, where there are GPUs, one GPU; Ray repeats those it loses."""

    def __init__(self, ray: Any):
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        self.num_workers, self.num_cores = gpus or int(resources.get("CPU", 1)), 1
        self._remote = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=3)
        self._tasks: dict[Callable, Any] = {}

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Calls `fn` in a task."""
        if fn not in self._tasks:
            self._tasks[fn] = self._remote(fn)
        return self._tasks[fn].remote(*args, **kwargs).future()


_OPENERS: dict[str, Callable[..., Executor]] = {"processes": _processes, "dask": _dask, "slurm": _slurm, "ray": _ray}
