"""The page's first picture and run, kept in files: they are there before the programs that make them are compiled."""

from __future__ import annotations

import functools
import inspect
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import PyTree
from jgen1d.playground import epochs, look, settings
from jgen1d.playground.settings import Experiment

PICTURE = Path(__file__).parent / "first.json"
ARRAYS = Path(__file__).parent / "first.npz"
"""Of the first settings, by `benchmarks/first_picture.py`: messages on the untrained model, its scene and its runs."""


def messages() -> list[dict[str, Any]]:
    """What a trainer sends of the first settings: `configured`, and a frame."""
    return json.loads(PICTURE.read_text())


def parts(asked: Experiment, count: int) -> dict[str, functools.partial]:
    """What makes what a run begins with, by name: its scene for looks at `count` samples, and its `Run`s."""
    seeds = asked.seed + jnp.arange(asked.num_lanes)
    return {
        "scene": functools.partial(look.prepare, asked.truth, count),
        "runs": functools.partial(epochs.start, asked.method, seeds, asked.data, asked.config),
    }


def is_kept(asked: Experiment, count: int) -> bool:
    """Whether the parts of this experiment are kept: those of the first settings, looked at as they are alone."""
    return asked.settings == settings.first() and count == look.num_samples(asked.method, asked.truth)


def kept(asked: Experiment, count: int, name: str) -> PyTree:
    """A part that is kept."""
    make = parts(asked, count)[name]
    shapes, structure = jax.tree.flatten(jax.eval_shape(lambda: inspect.unwrap(make.func)(*make.args)))
    with np.load(ARRAYS) as file:
        arrays = [file[str(number)] for number in file[name]]
    leaves = [_leaf(jnp.asarray(array), shape) for array, shape in zip(arrays, shapes, strict=True)]
    return jax.tree.unflatten(structure, leaves)


def keep(asked: Experiment, count: int) -> None:
    """Writes the parts; equal arrays once."""
    different: dict[bytes, np.ndarray] = {}
    places: dict[str, np.ndarray] = {}
    for name, make in parts(asked, count).items():
        arrays = [np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for leaf in jax.tree.leaves(make())]
        texts = [array.tobytes() + repr(array.shape).encode() for array in arrays]
        different |= dict(zip(texts, arrays, strict=True))
        places[name] = np.array([list(different).index(text) for text in texts])
    np.savez_compressed(
        ARRAYS, allow_pickle=False, **places, **{str(i): array for i, array in enumerate(different.values())}
    )


def _leaf(array: jax.Array, shape: jax.ShapeDtypeStruct) -> jax.Array:
    leaf = jax.random.wrap_key_data(array) if _is_key(shape) else array
    if leaf.shape != shape.shape:
        raise ValueError(f"a kept array has shape {leaf.shape} instead of {shape.shape}: make {ARRAYS.name} anew")
    return leaf


def _is_key(leaf: jax.Array | jax.ShapeDtypeStruct) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
