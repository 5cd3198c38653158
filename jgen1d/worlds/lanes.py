"""How are many runs of one function computed? In blocks of lanes over all devices, resumed where they were saved."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jgen1d.core import PyTree
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.engine.parts import Part
from jgen1d.engine.program import Programs
from jgen1d.engine.progress import progress_bar

WIDTH = 8
"""Lanes of a block per device. Of 4, 8 and 16, PPO took the least time of a CPU with 8."""


def run_lanes(
    function: Callable[..., PyTree],
    lanes: Sequence[tuple[Any, ...]],
    *,
    width: int = WIDTH,
    devices: Sequence[jax.Device] | None = None,
    checkpoints: Checkpoints | Part | None = None,
    progress: bool = False,
    **static: Any,
) -> PyTree:
    """Returns `function(key, *arguments, **static)` for every lane, as NumPy arrays with the lanes first.

    Args:
      function: a module-level function, for instance of `jgen1d.worlds.training`.
      lanes: of each, its seed, an integer from 0 to 2**32 − 1, and the other arguments: pytrees of numbers that have
        one structure in all lanes. Lane by lane the result depends on nothing else, up to rounding.
      width: lanes of a block per device, at least 1.
      devices: that a block's lanes lie over; None for all of this process.
      checkpoints: where whole blocks are saved and resumed from, entered by the caller; None for nowhere.
      progress: whether to show a bar on stderr.
      **static: hashable keywords.

    Raises:
      ValueError: if there is no lane, or the checkpoints are of another number of blocks.
      Interrupted: if a signal has come and the progress is saved.
    """
    if not lanes:
        raise ValueError("lanes: there is none")
    devices = tuple(devices or jax.local_devices())
    size = min(width * len(devices), -(-len(lanes) // len(devices)) * len(devices))
    blocks = [lanes[first : first + size] for first in range(0, len(lanes), size)]
    saved = (checkpoints.restore() if checkpoints else None) or {"num_blocks": np.array(len(blocks))}
    if int(saved["num_blocks"]) != len(blocks):
        raise ValueError("checkpoints: they are of other lanes, or of the same ones on other devices")
    mesh = Mesh(np.array(devices), ("lane",))
    structure = None
    with progress_bar(progress, len(lanes), 1) as report:
        for index, block in enumerate(blocks):
            if f"{index}/0" in saved:
                report(len(block), len(block), restored=True)
                continue
            filled = [*block, *[block[-1]] * (size - len(block))]
            keys = jax.vmap(jax.random.key)(np.array([lane[0] for lane in filled], np.uint32))
            rest = jax.tree.map(lambda *leaves: np.stack(leaves), *(jax.tree.map(_number, lane[1:]) for lane in filled))
            arguments = jax.device_put((keys, *rest), NamedSharding(mesh, PartitionSpec("lane")))
            found = Programs(mesh, "highest").call(function, *arguments, **static)
            leaves, structure = jax.tree.flatten(jax.device_get(found))
            saved |= {f"{index}/{i}": np.array(leaf[: len(block)]) for i, leaf in enumerate(leaves)}
            report(len(block), len(block))
            if checkpoints and checkpoints.due():
                checkpoints.save(saved)
    if checkpoints:
        checkpoints.hold(lambda: saved)
    if structure is None:
        key, rest = jax.random.key(0), jax.tree.map(jnp.asarray, lanes[0][1:])
        structure = jax.tree.structure(jax.eval_shape(lambda *args: function(*args, **static), key, *rest))
    each = range(sum(name.startswith("0/") for name in saved))
    parts = [np.concatenate([saved[f"{b}/{i}"] for b in range(len(blocks))]) for i in each]
    return jax.tree.unflatten(structure, parts)


def run_settings(
    function: Callable[..., PyTree], settings: Sequence[Sequence[tuple[Any, ...]]], **options: Any
) -> list[PyTree]:
    """`run_lanes` of the lanes of several settings together, with a result for each setting."""
    found = run_lanes(function, [lane for lanes in settings for lane in lanes], **options)
    ends = np.cumsum([0, *map(len, settings)])
    parts = [slice(first, last) for first, last in itertools.pairwise(ends)]
    return [jax.tree.map(operator.itemgetter(part), found) for part in parts]


def _number(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, np.int32 if isinstance(leaf, int | np.integer) else jnp.result_type(float))
