"""Trains every block of a sweep exactly once: at one go or resumed, here or by the workers of an executor."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import qualified_name
from jgen1d.engine import remote
from jgen1d.engine.block import Spec, run_block
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.engine.executors import Workers
from jgen1d.engine.origin import Origin
from jgen1d.engine.parts import Part
from jgen1d.engine.plan import Group, Lane
from jgen1d.engine.progress import progress_bar
from jgen1d.engine.snapshot import Midway, Outcome, from_arrays, to_arrays

Block = tuple[Group, list[Lane]]


def run_blocks(
    spec: Spec,
    groups: Sequence[Group],
    where: Sequence[jax.Device] | Workers,
    checkpoints: Checkpoints | Part | None,
    progress: bool,
) -> tuple[list[Block], list[Outcome]]:
    """Returns all blocks and their outcomes: trained now, or found in the checkpoints.

    Args:
      spec: what all runs share.
      groups: all lanes.
      where: devices of this process, or the workers of an executor.
      checkpoints: what to resume from and to save to; None for nothing. Blocks are as wide as they were then, because
        another number of workers may make them another width.
      progress: whether to show a bar on stderr.

    Raises:
      ValueError: if the checkpoints are of another sweep, or a worker is refused.
      BlockFailed: if a block raises an error on its worker.
      OSError: if the executor fails.
    """
    workers = where if isinstance(where, Workers) else None
    num_devices = len(where) if workers is None else workers.num_devices
    layout = {"num_devices": np.array(num_devices), "widths": np.array([group.width for group in groups])}
    mark = {"digest": np.array(_digest(spec, groups)), **layout}
    saved = (checkpoints.restore() if checkpoints else None) or mark
    # Workers make as many devices of a CPU as there were.
    same = ["digest"] if workers and workers.device.platform == "cpu" else ["digest", "num_devices"]
    if not all(np.array_equal(saved.get(name, -1), mark[name]) for name in same):
        raise ValueError("checkpoints: they are of another sweep, or of the same one on other devices")
    mark |= {name: saved[name] for name in layout}
    num_devices = int(mark["num_devices"])
    groups = [group._replace(width=int(width)) for group, width in zip(groups, mark["widths"], strict=True)]
    blocks = [(group, members) for group in groups for members in group.blocks(num_devices)]
    done, midway = from_arrays(saved)
    todo = [index for index in range(len(blocks)) if index not in done]

    def save_if_due(under_way: Callable[[], dict[int, Midway]]) -> None:
        if checkpoints and checkpoints.due():
            checkpoints.save(mark | to_arrays(done, under_way()))

    with progress_bar(progress, sum(len(lanes) for _, lanes in blocks), spec.num_steps) as report:
        for index in done:
            num_lanes = len(blocks[index][1])
            report(num_lanes * spec.num_steps, num_lanes, restored=True)
        try:
            if workers:
                workers = workers._replace(num_devices=num_devices)
                for arrived in remote.outcomes(workers, spec, blocks, todo, midway):
                    if arrived:
                        index, done[index] = arrived
                        num_lanes = len(blocks[index][1])
                        report(num_lanes * spec.num_steps, num_lanes)
                    save_if_due(dict)
            else:
                for index in todo:
                    done[index] = _train(spec, index, *blocks[index], where, midway.get(index), report, save_if_due)
        finally:
            if checkpoints and done:
                checkpoints.hold(lambda: mark | to_arrays(done, {}))
    return blocks, [done[index] for index in range(len(blocks))]


def _train(
    spec: Spec,
    index: int,
    group: Group,
    lanes: list[Lane],
    devices: Sequence[jax.Device],
    start: Midway | None,
    report: Callable[..., None],
    save_if_due: Callable[[Callable[[], dict[int, Midway]]], None],
) -> Outcome:
    """Trains one block here."""
    if start is not None:
        report(len(lanes) * spec.eval_every * start.num_points, restored=True)
    keys, devices = jnp.stack([jax.random.key(lane.seed) for lane in lanes]), devices[: group.most_devices]
    with Origin.recorded(devices) as origin:
        outcome = run_block(
            spec, group, lanes, keys, devices, start,
            lambda num_steps: report(len(lanes) * num_steps),
            lambda make: save_if_due(lambda: {index: make()}),
        )  # fmt: skip
    report(0, len(lanes))
    return outcome._replace(origin=origin())


def _digest(spec: Spec, groups: Sequence[Group]) -> int:
    """A number that identifies a sweep."""
    lanes = [lane for group in groups for members in group.lanes for lane in members]
    targets = {id(lane.target): [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(lane.target)] for lane in lanes}
    configs = {id(lane.config): lane.config for lane in lanes}
    members = [[[(lane.place, lane.seed) for lane in some] for some in group.lanes] for group in groups]
    content = (
        *spec[1:],
        _named([group.cover.sizes for group in groups]),
        members,
        [_named(vars(c)) for c in configs.values()],
        list(targets.values()),
    )
    return zlib.crc32(repr(content).encode())


def _named(value: Any) -> Any:
    """The value with a user's own parts replaced by their names, because their `repr` differs between processes."""
    if isinstance(value, dict):
        return {name: _named(item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return [_named(item) for item in value]
    plain = value is None or isinstance(value, str | bool | int | float | np.generic | np.ndarray | jax.Array)
    return value if plain else qualified_name(value)
