"""Sees to it that every block of a sweep is trained once: in one go or taken up again, by one process or several."""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jgen1d.engine.block import Midway, Outcome, Spec, run_block
from jgen1d.engine.checkpoint import Checkpoints, pack, unpack
from jgen1d.engine.plan import Group, Lane


def run_blocks(
    spec: Spec,
    blocks: Sequence[tuple[Group, list[Lane]]],
    devices: Sequence[jax.Device],
    checkpoints: Checkpoints | None,
    progress: bool,
) -> list[Outcome]:
    """The outcomes of all blocks: trained here, found in the checkpoints, or trained by other processes.

    Args:
      spec: what all runs share.
      blocks: each with the group that it is of; all processes have the same ones.
      devices: of this process.
      checkpoints: where to go on from and to save to; None for nowhere.
      progress: show a bar on stderr.
    """
    mine = range(jax.process_index(), len(blocks), jax.process_count())
    digest = {"digest": np.array(_digest(spec, blocks, len(devices)))}
    saved = (checkpoints.restore() if checkpoints else None) or digest
    if saved["digest"] != digest["digest"]:
        raise ValueError("checkpoints: they are of another sweep, or of one on other devices")
    done, midway = _unflatten(saved)
    with _progress_bar(progress, sum(len(blocks[index][1]) for index in mine), spec.num_steps) as report:
        for index in mine:
            group, lanes = blocks[index]
            if index in done:
                report(len(lanes) * spec.num_steps, len(lanes), restored=True)
                continue

            def at_point(make: Callable[[], Midway], index: int = index) -> None:
                if checkpoints and checkpoints.due():
                    checkpoints.save(digest | _flatten(done, {index: make()}))

            def advanced(num_steps: int, num_lanes: int = len(lanes)) -> None:
                report(num_lanes * num_steps)

            start = midway.get(index)
            if start is not None:
                report(len(lanes) * spec.eval_every * start.num_points, restored=True)
            done[index] = run_block(spec, group, lanes, devices, start, advanced, at_point)
            report(0, len(lanes))
    if jax.process_count() > 1:
        mine_done = _flatten(done, {})

        def waiting() -> None:
            if checkpoints and checkpoints.due():
                checkpoints.save(digest | mine_done)

        done = {
            index: outcome
            for arrays in _exchange(mine_done, waiting)
            for index, outcome in _unflatten(arrays)[0].items()
        }
    return [done[index] for index in range(len(blocks))]


def _digest(spec: Spec, blocks: Sequence[tuple[Group, list[Lane]]], num_devices: int) -> int:
    """A number that tells one sweep from another, and from itself on other devices."""
    lanes = [lane for _, members in blocks for lane in members]
    targets = {id(lane.target): [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(lane.target)] for lane in lanes}
    configs = {id(lane.config): lane.config for lane in lanes}
    layout = [(group.sizes, group.width, [(lane.place, lane.seed) for lane in members]) for group, members in blocks]
    content = (*spec[1:], num_devices, layout, list(configs.values()), list(targets.values()))
    return zlib.crc32(repr(content).encode())


def _flatten(done: Mapping[int, Outcome], midway: Mapping[int, Midway]) -> dict[str, np.ndarray]:
    """Blocks by index as arrays by name."""
    arrays: dict[str, np.ndarray] = {}
    blocks: list[tuple[str, Outcome | Midway]] = [(f"done/{i}", outcome) for i, outcome in done.items()]
    for path, block in blocks + [(f"midway/{i}", block) for i, block in midway.items()]:
        for field, value in zip(block._fields, block, strict=True):
            items = (
                value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else [value])
            )
            arrays |= {f"{path}/{field}/{name}": array for name, array in items}
    return arrays


def _unflatten(arrays: Mapping[str, np.ndarray]) -> tuple[dict[int, Outcome], dict[int, Midway]]:
    """What `_flatten` took apart."""
    found: dict[str, dict[int, dict[str, dict[str, np.ndarray]]]] = {"done": {}, "midway": {}}
    for path, array in arrays.items():
        if path.count("/") == 3:
            kind, index, field, name = path.split("/")
            found[kind].setdefault(int(index), {}).setdefault(field, {})[name] = array
    done = {
        i: Outcome(list(b["state"].values()), b["history"], b["metrics"], b["diverged_at"]["0"])
        for i, b in found["done"].items()
    }
    return done, {i: Midway(list(b["runs"].values()), b["history"]) for i, b in found["midway"].items()}


_EXCHANGES = itertools.count()
_A_WEEK = 7 * 24 * 3600 * 1000  # in ms; a process that dies is noticed by its missing heartbeat, long before


def _exchange(arrays: dict[str, np.ndarray], waiting: Callable[[], None]) -> list[dict[str, np.ndarray]]:
    """Every process's arrays, on every process; `waiting` is called every second until all are there.

    By way of the coordinator: collectives would give up, or hang, where one process is done minutes before another.
    """
    from jax._src.distributed import global_state  # no public module has its key-value store

    store: Any = global_state.client
    number, me = next(_EXCHANGES), jax.process_index()
    content = pack(arrays).tobytes()
    parts = [content[start : start + (1 << 20)] for start in range(0, len(content), 1 << 20)]  # what a message holds
    for i, part in enumerate(parts):
        store.key_value_set_bytes(f"jgen1d/{number}/{me}/{i}", part)
    store.key_value_set(f"jgen1d/{number}/{me}/count", str(len(parts)))

    def fetch(process: int) -> dict[str, np.ndarray]:
        count = 0
        while not count:
            waiting()  # no signal is answered within a call of the store's
            with contextlib.suppress(jax.errors.JaxRuntimeError):  # the second is over
                count = int(store.blocking_key_value_get(f"jgen1d/{number}/{process}/count", 1000))
        names = (f"jgen1d/{number}/{process}/{i}" for i in range(count))
        found = b"".join(store.blocking_key_value_get_bytes(name, _A_WEEK) for name in names)
        return unpack(np.frombuffer(found, np.uint8))

    everything = [arrays if process == me else fetch(process) for process in range(jax.process_count())]
    store.wait_at_barrier(f"jgen1d/{number}", _A_WEEK)
    store.key_value_delete(f"jgen1d/{number}/{me}/")
    return everything


@contextlib.contextmanager
def _progress_bar(show: bool, num_lanes: int, num_steps: int) -> Iterator[Callable[..., None]]:
    """Yields a function to call with the lane-steps, and the runs, that were done since the last call."""
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
    with Progress(*columns, console=Console(stderr=True)) as bar:
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
