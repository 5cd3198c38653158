"""Trains every block of a sweep exactly once: at one go or resumed, in one process or in several."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import qualified_name
from jgen1d.engine.block import Spec, run_block
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.engine.exchange import exchange
from jgen1d.engine.plan import Group, Lane
from jgen1d.engine.progress import progress_bar
from jgen1d.engine.snapshot import Midway, Outcome, from_arrays, to_arrays


def run_blocks(
    spec: Spec,
    blocks: Sequence[tuple[Group, list[Lane]]],
    devices: Sequence[jax.Device],
    checkpoints: Checkpoints | None,
    progress: bool,
) -> list[Outcome]:
    """Returns the outcomes of all blocks: trained here, found in the checkpoints, or trained by other processes.

    Args:
      spec: what all runs share.
      blocks: each block's group and lanes, the same ones in all processes.
      devices: the devices of this process.
      checkpoints: what to resume from and to save to; None for nothing.
      progress: whether to show a bar on stderr.

    Raises:
      ValueError: if the checkpoints are of another sweep.
    """
    mine = range(jax.process_index(), len(blocks), jax.process_count())
    digest = {"digest": np.array(_digest(spec, blocks, len(devices)))}
    saved = (checkpoints.restore() if checkpoints else None) or digest
    if not np.array_equal(saved.get("digest", 0), digest["digest"]):
        raise ValueError("checkpoints: they are of another sweep, or of the same one on other devices")
    done, midway = from_arrays(saved)
    with progress_bar(progress, sum(len(blocks[index][1]) for index in mine), spec.num_steps) as report:
        for index in mine:
            group, lanes = blocks[index]
            if index in done:
                report(len(lanes) * spec.num_steps, len(lanes), restored=True)
                continue

            def at_point(make: Callable[[], Midway], index: int = index) -> None:
                if checkpoints and checkpoints.due():
                    checkpoints.save(digest | to_arrays(done, {index: make()}))

            def advanced(num_steps: int, num_lanes: int = len(lanes)) -> None:
                report(num_lanes * num_steps)

            start = midway.get(index)
            if start is not None:
                report(len(lanes) * spec.eval_every * start.num_points, restored=True)
            keys = jnp.stack([jax.random.key(lane.seed) for lane in lanes])
            done[index] = run_block(spec, group, lanes, keys, devices, start, advanced, at_point)
            report(0, len(lanes))
    mine_done = functools.partial(to_arrays, dict(done), {})
    if checkpoints:
        checkpoints.hold(lambda: digest | mine_done())
    if jax.process_count() > 1:

        def waiting() -> None:
            if checkpoints and checkpoints.due():
                checkpoints.save(digest | mine_done())

        done = {
            index: outcome
            for arrays in exchange(mine_done(), waiting)
            for index, outcome in from_arrays(arrays)[0].items()
        }
    return [done[index] for index in range(len(blocks))]


def _digest(spec: Spec, blocks: Sequence[tuple[Group, list[Lane]]], num_devices: int) -> int:
    """A number that identifies a sweep and the devices that it runs on."""
    lanes = [lane for _, members in blocks for lane in members]
    targets = {id(lane.target): [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(lane.target)] for lane in lanes}
    configs = {id(lane.config): lane.config for lane in lanes}
    layout = [
        (group.cover.sizes, group.width, [(lane.place, lane.seed) for lane in members]) for group, members in blocks
    ]
    content = (
        *spec[1:],
        num_devices,
        _named(layout),
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
