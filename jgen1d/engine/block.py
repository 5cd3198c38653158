"""Trains one block of lanes: compiled programs over the devices of a mesh, driven by the host.

The host goes from one point of the history to the next, so that progress, interruption and checkpoints need no callback
inside compiled code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jgen1d.core import Method, PyTree, num_classes, replace
from jgen1d.engine import run as train
from jgen1d.engine.plan import MAX_PIECE, Group, Lane, Padding
from jgen1d.evaluation import metrics as metrics_lib

COMPILER_OPTIONS = {"cpu": {"xla_backend_optimization_level": "1", "xla_cpu_prefer_vector_width": "512"}}
"""By platform; on a CPU half the compilation time at the same speed, and all of AVX-512 where there is one."""


class Spec(NamedTuple):
    """What all lanes of a sweep share; see `sweep`."""

    method: Method
    num_steps: int
    batch_size: int
    eval_every: int
    num_samples: int
    standardize: bool | None
    matmul_precision: str


class Outcome(NamedTuple):
    """What came of a block. All arrays have the lanes' axis first.

    Attributes:
      state: leaves of the final state, as the programs hold it.
      history: f[lanes, num_evals] by name.
      metrics: f[lanes, ...] by name.
      diverged_at: i[lanes].
    """

    state: list[np.ndarray]
    history: dict[str, np.ndarray]
    metrics: dict[str, np.ndarray]
    diverged_at: np.ndarray


class Midway(NamedTuple):
    """A block at a point of its history: leaves of its runs, and the history up to here, both with the lanes first."""

    runs: list[np.ndarray]
    history: dict[str, np.ndarray]

    @property
    def num_points(self) -> int:
        """How many points of the history there are."""
        return next(iter(self.history.values())).shape[1]


def run_block(
    spec: Spec,
    group: Group,
    lanes: Sequence[Lane],
    devices: Sequence[jax.Device],
    resume_from: Midway | None,
    report: Callable[[int], None],
    at_point: Callable[[Callable[[], Midway]], None],
) -> Outcome:
    """Trains one block.

    Args:
      spec: how.
      group: what the block is of.
      lanes: the block's, at most `group.width` per device. A block that is not full is filled up with copies: all
        blocks of a group run the same programs.
      devices: what the lanes are laid over.
      resume_from: where to go on; None to begin.
      report: called with the number of steps whenever some are done.
      at_point: called at every point of the history, with what makes a `Midway` of the block.
    """
    mesh = Mesh(np.array(devices), ("lane",))
    program = functools.partial(_program, mesh=mesh, matmul_precision=spec.matmul_precision)
    method, standardize = spec.method, train.is_standardized(lanes[0].config, spec.standardize)
    sample = functools.partial(program, train.sample, method, standardize=standardize)
    num_rows = spec.batch_size * method.num_minibatches(lanes[0].config)
    has_classes = num_classes(lanes[0].config) > 0

    filled = [*lanes, *[lanes[-1]] * (group.width * len(devices) - len(lanes))]
    keys = jnp.stack([jax.random.key(lane.seed) for lane in filled])
    targets = _stack([replace(lane.target, name="") for lane in filled])
    configs = _stack([group.config(lane) for lane in filled])
    keys, targets, configs = jax.device_put((keys, targets, configs), NamedSharding(mesh, PartitionSpec("lane")))

    runs = program(train.start, method)(keys, configs)
    history: list[dict[str, Any]] = []
    reference = None
    if resume_from is not None:
        runs = _put(resume_from.runs, runs)
        history = [dict(zip(resume_from.history, point, strict=True)) for point in _points(resume_from.history)]

    def midway() -> Midway:
        return Midway(_leaves(runs), _curves(history))

    pieces = _pieces(spec.eval_every)
    for _ in range(len(history), spec.num_steps // spec.eval_every):
        infos = []
        for piece in pieces:
            draw = program(
                train.draw, num_steps=piece, num_rows=num_rows, standardize=standardize, labelled=has_classes
            )
            runs, info = program(train.advance, method)(runs, draw(runs.key_data, runs.step, targets), configs)
            infos.append(info)
            if history:  # keep one point in flight, so that the devices never wait for the host
                jax.block_until_ready(history[-1])
            report(piece)
        if reference is None:  # the devices train while it is compiled
            reference = program(metrics_lib.reference, num_samples=train.NUM_CURVE_SAMPLES)(targets)
        samples = sample(num_samples=train.NUM_CURVE_SAMPLES)(runs, targets, configs)
        curves = program(metrics_lib.curves)(samples, targets, reference)
        history.append(_mean(tuple(infos), tuple(pieces)) | curves)
        at_point(midway)
    samples = sample(num_samples=spec.num_samples)(runs, targets, configs)
    metrics = program(train.score)(samples, targets)
    if method.log_prob is not None and lanes[0].target.has_density:
        divergence = program(train.divergence, method, num_points=spec.num_samples, standardize=standardize)
        metrics |= divergence(runs, targets, configs)
    if has_classes:
        score_classes = program(train.score_classes, method, num_samples=spec.num_samples, standardize=standardize)
        metrics |= score_classes(runs, targets, configs)
    state, metrics, diverged_at = jax.device_get((runs.state, metrics, runs.diverged_at))
    outcome = Outcome(jax.tree.leaves(state), _curves(history), metrics, diverged_at)
    return jax.tree.map(lambda leaf: np.array(leaf[: len(lanes)]), outcome)  # copies: a view keeps the filling alive


@functools.cache
def _program(function: Callable, *first: Any, mesh: Mesh, matmul_precision: str, **static: Any) -> Callable:
    """`function(*first, lane's arguments, **static)` vmapped over lanes that lie over the mesh, and compiled."""

    def one_lane(*args: Any) -> Any:
        with jax.default_matmul_precision(matmul_precision):
            return function(*first, *[arg.resolve() if isinstance(arg, Padding) else arg for arg in args], **static)

    lane = PartitionSpec("lane")
    mapped = jax.shard_map(jax.vmap(one_lane), mesh=mesh, in_specs=lane, out_specs=lane, check_vma=False)
    return jax.jit(mapped, compiler_options=COMPILER_OPTIONS.get(mesh.devices.flat[0].platform))


@functools.partial(jax.jit, static_argnums=1)
def _mean(infos: tuple[dict[str, jax.Array], ...], num_steps: tuple[int, ...]) -> dict[str, jax.Array]:
    """The mean info over pieces of so many steps each."""
    shares = [steps / sum(num_steps) for steps in num_steps]
    return jax.tree.map(lambda *values: sum(s * v for s, v in zip(shares, values, strict=True)), *infos)


def _pieces(num_steps: int) -> list[int]:
    """Splits an interval into as few pieces of at most `MAX_PIECE` steps as will do, equal ones where they divide."""
    count = -(-num_steps // MAX_PIECE)
    if num_steps % count == 0:
        return [num_steps // count] * count
    return [MAX_PIECE] * (count - 1) + [num_steps - MAX_PIECE * (count - 1)]


def _stack(trees: Sequence[PyTree]) -> PyTree:
    """Leaves of equal trees, one behind the other: numbers become f32[lanes], arrays of integers stay such."""

    def stack(*leaves: Any) -> np.ndarray:
        is_size = isinstance(leaves[0], np.ndarray) and leaves[0].dtype.kind == "i"
        return np.stack([np.asarray(leaf, np.int32 if is_size else jnp.result_type(float)) for leaf in leaves])

    return jax.tree.map(stack, *trees)


def _curves(history: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    points = jax.device_get(history)
    return {name: np.stack([point[name] for point in points], axis=1) for name in points[0]}


def _points(curves: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
    return zip(*(curve.T for curve in curves.values()), strict=True)


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _leaves(tree: PyTree) -> list[np.ndarray]:
    """A tree's leaves as NumPy, keys as their words."""
    return jax.device_get([jax.random.key_data(x) if _is_key(x) else x for x in jax.tree.leaves(tree)])


def _put(leaves: Sequence[np.ndarray], like: PyTree) -> PyTree:
    """The tree whose `_leaves` these are, of the structure and on the devices of another."""

    def put(there: jax.Array, leaf: Any) -> jax.Array:
        if _is_key(there):
            leaf = jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(there))
        return jax.device_put(leaf, there.sharding)

    there, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, map(put, there, leaves))
