"""Compiled programs: functions of one lane, vmapped over lanes that lie over the devices of a mesh, or as they are."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import gc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jgen1d.core import qualified_name
from jgen1d.engine import compiled, processes
from jgen1d.engine.padding import resolve
from jgen1d.engine.task import Task

COMPILER_OPTIONS = {"cpu": {"xla_backend_optimization_level": "1", "xla_cpu_prefer_vector_width": "512"}}
"""By platform. On a CPU they halve compilation at the same speed, and use all of AVX-512."""
MAX_PROGRAMS = 256
"""Programs that are kept."""
MAX_SHARE_OF_MAPS = 0.7
"""Of the memory maps that Linux allows a process, mostly 65,530: a program takes 100 to 400, and without one to take
the process dies."""


class Programs(NamedTuple):
    """Calls functions of one lane for many, and keeps what was compiled.

    Attributes:
      mesh: the devices that the lanes lie over; None for one lane alone, whose arrays have no axis of lanes.
      matmul_precision: of float32 products.
    """

    mesh: Mesh | None
    matmul_precision: str

    def call(self, function: Callable, *args: Any, shared: tuple = (), **static: Any) -> Any:
        """Returns `function(*args, *shared, **static)` for all lanes.

        Args:
          function: a module-level function of one lane.
          *args: pytrees whose leaves have the lanes first. A `Task` has them in its target and its config.
          shared: arrays that all lanes share.
          **static: hashable keywords.
        """
        program, arrays = self._find(function, args, shared, static)
        return program(arrays, shared)

    @contextlib.contextmanager
    def ahead(self) -> Iterator[Callable]:
        """A function like `call` that compiles and calls nothing: it returns shapes, of which it takes any, too.

        The programs compile side by side, one per core; on leaving, all are compiled.
        """
        pool = ThreadPoolExecutor(len(processes.available_cores()))

        def prepare(function: Callable, *args: Any, shared: tuple = (), **static: Any) -> Any:
            program, arrays = self._find(function, args, shared, static)
            return program.prepare(pool, arrays, shared)

        try:
            yield prepare
            pool.shutdown()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _find(self, function: Callable, args: tuple, shared: tuple, static: dict[str, Any]) -> tuple[_Program, tuple]:
        """The program of `call`, and its first argument."""
        arrays = tuple((arg.target, arg.config) if isinstance(arg, Task) else arg for arg in args)
        tasks = tuple((arg.method, arg.standardize) if isinstance(arg, Task) else None for arg in args)
        leaves, structure = jax.tree.flatten((arrays, shared))
        kinds = tuple(map(_kind, leaves))
        return _compiled(function, tasks, tuple(static.items()), structure, kinds, len(shared), *self), arrays


def _kind(leaf: Any) -> tuple[tuple[int, ...], Any]:
    """Its shape and dtype. JAX's own functions take 15 µs for both, and a block asks for 150 at each point."""
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return leaf.shape, leaf.dtype
    return jax.numpy.shape(leaf), jax.numpy.result_type(leaf)


@functools.lru_cache(MAX_PROGRAMS)
def _compiled(
    function: Callable,
    tasks: tuple[Any, ...],
    static: tuple[tuple[str, Any], ...],
    structure: Any,
    kinds: tuple[Any, ...],
    num_shared: int,
    mesh: Mesh | None,
    matmul_precision: str,
) -> _Program:
    """The program for arguments of one structure and one kind: dropping it from the cache drops what was compiled."""
    del structure
    _make_room()

    def one_lane(arrays: tuple[Any, ...], shared: tuple[Any, ...]) -> Any:
        args = [
            array if task is None else Task(task[0], array[0], resolve(array[1]), task[1])
            for task, array in zip(tasks, arrays, strict=True)
        ]
        with jax.default_matmul_precision(matmul_precision):
            return function(*args, *shared, **dict(static))

    if mesh is None:
        return _Program(jax.jit(one_lane), function.__name__, None)

    def only_lane(arrays: tuple[Any, ...], shared: tuple[Any, ...]) -> Any:
        """What `vmap` of one lane computes, which XLA runs 15 % slower where networks are 400 wide."""
        result = one_lane(jax.tree.map(itemgetter(0), arrays), shared)
        return jax.tree.map(itemgetter(None), result)

    lane = PartitionSpec("lane")
    lanes_first = kinds[: len(kinds) - num_shared]  # each shared array is one leaf
    one_per_device = all(shape[0] == mesh.size for shape, _ in lanes_first)
    on_a_device = only_lane if one_per_device else jax.vmap(one_lane, (0, None))
    mapped = jax.shard_map(on_a_device, mesh=mesh, in_specs=(lane, PartitionSpec()), out_specs=lane, check_vma=False)
    sharding = NamedSharding(mesh, lane)
    options = COMPILER_OPTIONS.get(mesh.devices.flat[0].platform)
    alike = repr((function.__qualname__, [task and qualified_name(task[0].step) for task in tasks], static, kinds))
    # What else tells programs apart has names only in this process.
    name = f"{function.__name__}-{zlib.crc32(alike.encode()):08x}"
    return _Program(jax.jit(mapped, out_shardings=sharding, compiler_options=options), name, sharding)


class _Program:
    """A jitted function, which of several workers one compiles at a time."""

    def __init__(self, function: Any, name: str, sharding: NamedSharding | None):
        """
        Args:
          function: jitted, for arguments of one kind.
          name: for `compiled.turn`.
          sharding: of all results.
        """
        self._function, self._name, self._sharding = function, name, sharding
        self._is_compiled = False
        self._shapes: Any = None

    def __call__(self, *args: Any) -> Any:
        if self._is_compiled:
            return self._function(*args)
        with compiled.turn(self._name):
            result = self._function(*args)
        self._is_compiled = True
        return result

    def prepare(self, pool: Executor, *args: Any) -> Any:
        """Starts to compile, unless that was done; returns the results' shapes."""
        if self._shapes is None:
            traced = self._function.trace(*args)
            self._shapes = jax.tree.map(self._shape, traced.out_info)
            pool.submit(contextvars.copy_context().run, self._compile, traced.lower())
        return self._shapes

    def _shape(self, leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self._sharding, weak_type=leaf.weak_type)

    def _compile(self, lowered: Any) -> None:
        """Leaves the program in JAX's cache, where a call finds it, also one that comes meanwhile.

        What fails here fails again in the call, which says so.
        """
        with compiled.turn(self._name):
            lowered.compile()


def _make_room() -> None:
    """Drops all programs if memory maps run short."""
    try:
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        used = Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:  # it is not Linux
        return
    if used > MAX_SHARE_OF_MAPS * most:
        clear()
        gc.collect()


def clear() -> None:
    """Drops all compiled programs, and the memory that they take."""
    _compiled.cache_clear()
