"""What a block has come to, at its end or midway, and how it is written as arrays by name."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import PyTree


class Outcome(NamedTuple):
    """A block at its end. All arrays have the lanes first.

    Attributes:
      state: leaves of the final state, as the programs hold it.
      history: f[lanes, num_evals] by name.
      metrics: f[lanes, ...] by name.
      diverged_at: i[lanes].
      origin: of `origin.Origin.to_arrays`; not of lanes.
    """

    state: list[np.ndarray]
    history: dict[str, np.ndarray]
    metrics: dict[str, np.ndarray]
    diverged_at: np.ndarray
    origin: Mapping[str, np.ndarray] = {}


class Midway(NamedTuple):
    """A block at a point of its history: leaves of its runs, and the history so far, both with the lanes first."""

    runs: list[np.ndarray]
    history: dict[str, np.ndarray]

    @property
    def num_points(self) -> int:
        """How many points of the history there are."""
        return next(iter(self.history.values())).shape[1]


def to_arrays(done: Mapping[int, Outcome], midway: Mapping[int, Midway]) -> dict[str, np.ndarray]:
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


def from_arrays(arrays: Mapping[str, np.ndarray]) -> tuple[dict[int, Outcome], dict[int, Midway]]:
    """The blocks that `to_arrays` wrote, among arrays of other names."""
    found: dict[str, dict[int, dict[str, dict[str, np.ndarray]]]] = {"done": {}, "midway": {}}
    for path, array in arrays.items():
        if path.count("/") >= 3:
            kind, index, field, name = path.split("/", 3)  # an info's own name may hold a slash
            found[kind].setdefault(int(index), {}).setdefault(field, {})[name] = array
    done = {
        i: Outcome(list(b["state"].values()), b["history"], b["metrics"], b["diverged_at"]["0"], b.get("origin", {}))
        for i, b in found["done"].items()
    }
    return done, {i: Midway(list(b["runs"].values()), b["history"]) for i, b in found["midway"].items()}


def gather(
    blocks: Sequence[Mapping[str, np.ndarray]], places: Sequence[np.ndarray], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Blocks' values by name as arrays [targets, configs, seeds, ...], NaN if a lane lacks a value or is shorter."""
    gathered: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(itertools.chain(*blocks)):
        rows = [(place, block[name]) for place, block in zip(places, blocks, strict=True) if name in block]
        longest = max(values.shape[1:] for _, values in rows)
        array = np.full(shape + longest, np.nan)
        for place, values in rows:
            index: tuple[Any, ...] = (*place, *map(slice, values.shape[1:]))
            array[index] = values
        gathered[name] = array
    return gathered


def to_curves(points: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Points of a history, each [lanes] by name, as curves [lanes, num_evals] by name."""
    on_host = jax.device_get(points)
    return {name: np.stack([point[name] for point in on_host], axis=1) for name in on_host[0]}


def to_points(curves: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The points that `to_curves` stacked."""
    return [dict(zip(curves, point, strict=True)) for point in zip(*(c.T for c in curves.values()), strict=True)]


def to_leaves(tree: PyTree) -> list[np.ndarray]:
    """A tree's leaves on the host, keys as their words."""
    return jax.device_get([jax.random.key_data(x) if _is_key(x) else x for x in jax.tree.leaves(tree)])


def from_leaves(leaves: Sequence[np.ndarray], like: PyTree) -> PyTree:
    """The tree that `to_leaves` took apart, with the structure and on the devices of another."""

    def put(there: jax.Array, leaf: Any) -> jax.Array:
        if _is_key(there):
            leaf = jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(there))
        return jax.device_put(leaf, there.sharding)

    there, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, map(put, there, leaves))


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
