"""Hands blocks out to the workers of an executor, and takes their outcomes in as they come."""

from __future__ import annotations

import functools
import itertools
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from jgen1d.core.names import printable
from jgen1d.engine import executors, worker
from jgen1d.engine.block import Spec
from jgen1d.engine.parcel import Parcels
from jgen1d.engine.plan import Group, Lane
from jgen1d.engine.snapshot import Midway, Outcome

SECONDS = 0.5
"""Between two looks at whether something else is to be done."""


def outcomes(
    workers: executors.Workers,
    spec: Spec,
    blocks: Sequence[tuple[Group, list[Lane]]],
    todo: Sequence[int],
    midway: Mapping[int, Midway],
    compute: Callable[[dict[str, Any], bytes, bytes], tuple[str, Any]] = worker.compute,
) -> Iterator[tuple[int, Outcome] | None]:
    """Yields each block's index and outcome when it is done; and None twice a second while none is.

    Args:
      workers: who computes.
      spec: what all runs share.
      blocks: all blocks of the sweep.
      todo: the indices of those that are to be computed.
      midway: points to go on from, by index.
      compute: what workers do with a block.

    Raises:
      As `executors.result`; what is not done by then is cancelled.
    """
    expected = worker.terms(workers.device.platform, workers.num_devices)
    # Lanes of one (target, config) share the objects.
    parts = {(id(one.target), id(one.config)): one[1:3] for index in todo for one in _firsts(blocks[index][1])}
    parcels = Parcels(spec, parts.values())
    arrived: queue.SimpleQueue[Future] = queue.SimpleQueue()
    waiting: dict[Future, int] = {}
    rest = iter(todo)
    try:
        while True:
            for index in itertools.islice(rest, workers.window - len(waiting)):
                group, lanes = blocks[index]
                own = group._replace(lanes=[]), [tuple(lane) for lane in lanes], midway.get(index)
                try:
                    future = workers.executor.submit(compute, expected, parcels.shared, parcels.pack(own))
                except Exception as error:  # a broken pool, a closed cluster
                    raise OSError(f"the executor takes no more blocks: {type(error).__name__}: {error}") from error
                waiting[future] = index
                future.add_done_callback(arrived.put)
            if not waiting:
                return
            try:
                future = arrived.get(timeout=SECONDS)
            except queue.Empty:
                yield None
                continue
            index = waiting.pop(future)
            yield index, executors.result(future, functools.partial(_named, blocks[index][1]))
    finally:
        for future in waiting:
            future.cancel()


def _firsts(lanes: Sequence[Lane]) -> Iterator[Lane]:
    """One lane of each (target, config) of a block."""
    return (next(some) for _, some in itertools.groupby(lanes, lambda lane: lane.place[:2]))


def _named(lanes: Sequence[Lane]) -> str:
    """A block's lanes, for a person."""

    def shown(what: str, values: Sequence[int]) -> str:
        low, high = min(values), max(values)
        return f"{what} {low}" if low == high else f"{what}s {low} to {high}"

    targets = " and ".join(dict.fromkeys(printable(repr(lane.target.name), 60) for lane in lanes))
    configs, seeds = [lane.place[1] for lane in lanes], [lane.seed for lane in lanes]
    config = f" ({printable(repr(lanes[0].config), 200)})" if len(set(configs)) == 1 else ""
    return f"runs on {targets}, {shown('config', configs)}{config}, {shown('seed', seeds)}"
