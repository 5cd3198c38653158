"""Trains one block of lanes: compiled programs over the devices of a mesh, driven by the host.

The host goes from one point of the history to the next, so progress, interruption and checkpoints need no callback
inside compiled code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jgen1d.core import Key, Method, PyTree, replace
from jgen1d.engine import evaluate, run
from jgen1d.engine.plan import Group, Lane
from jgen1d.engine.program import Programs
from jgen1d.engine.snapshot import Midway, Outcome, from_leaves, to_curves, to_leaves, to_points
from jgen1d.engine.task import Task
from jgen1d.evaluation import metrics

MATMUL_PRECISIONS = ("highest", "high", "default")
"""Of float32 products; `highest` is float32 everywhere, `default` TF32 on a GPU and bfloat16 on a TPU."""


class Spec(NamedTuple):
    """What all lanes of a sweep share; see `sweep`."""

    method: Method
    num_steps: int
    batch_size: int
    eval_every: int
    num_samples: int
    standardize: bool | None
    matmul_precision: str


def run_block(
    spec: Spec,
    group: Group,
    lanes: Sequence[Lane],
    keys: Key,
    devices: Sequence[jax.Device],
    resume_from: Midway | None = None,
    report: Callable[[int], None] = lambda num_steps: None,
    at_point: Callable[[Callable[[], Midway]], None] = lambda make: None,
) -> Outcome:
    """Trains one block.

    Args:
      spec: what all lanes of the sweep share.
      group: the group that the block is of.
      lanes: the block's lanes, 1 to `group.width` per device. A block that is not full is filled up with copies, so
        that all blocks of a group run the same programs.
      keys: key[lanes], what each lane's run is a function of.
      devices: the devices that the lanes are laid over.
      resume_from: the point to go on from; None to begin.
      report: called with the number of steps whenever some are done.
      at_point: called at every point of the history, with a function that makes a `Midway` of the block.
    """
    tasks = [Task(spec.method, lane.target, lane.config, spec.standardize) for lane in lanes]
    standardized = {id(task.target): replace(task.in_training_units.target, name="") for task in tasks}
    example = tasks[0]._replace(target=standardized[id(tasks[0].target)])
    filled = [*lanes, *[lanes[-1]] * (group.width * len(devices) - len(lanes))]
    targets = _stack([standardized[id(lane.target)] for lane in filled])
    configs = _stack([group.cover.config(lane.config) for lane in filled])
    mesh = Mesh(np.array(devices), ("lane",))
    keys = keys[np.minimum(np.arange(len(filled)), len(lanes) - 1)]
    keys, targets, configs = jax.device_put((keys, targets, configs), NamedSharding(mesh, PartitionSpec("lane")))
    # Not None: which programs there are must not depend on where it was decided.
    task = Task(spec.method, targets, configs, example.is_standardized)
    programs = Programs(mesh, spec.matmul_precision)
    drawing = {
        "num_rows": example.num_rows(spec.batch_size), "standardize": example.is_standardized,
        "labelled": example.num_classes > 0,
    }  # fmt: skip
    lengths = run.chunks(spec.eval_every)
    everywhere = NamedSharding(mesh, PartitionSpec())
    steps = {length: jax.device_put(jnp.asarray(length), everywhere) for length in lengths}
    weights = jax.device_put(jnp.array(lengths) / spec.eval_every, everywhere)

    def start(call: Callable) -> tuple[Any, Any]:
        reference = call(metrics.reference, targets, num_samples=evaluate.NUM_CURVE_SAMPLES, for_curves=True)
        return call(run.start, task, keys), reference

    def advance(runs: Any, length: int, call: Callable) -> tuple[Any, Any]:
        shared = (steps[length],)
        batches = call(run.draw, targets, runs.key_data, runs.step, shared=shared, **drawing)
        return call(run.advance, task, runs, batches, shared=shared)

    with programs.ahead() as prepare:
        runs, reference = start(prepare)
        runs, _ = advance(runs, lengths[0], prepare)
        evaluate.curves(task, runs, reference, prepare)
        evaluate.evaluate(task, runs, spec.num_samples, prepare, example)

    call = programs.call
    runs, reference = start(call)
    history: list[dict[str, Any]] = []
    if resume_from is not None:
        runs = from_leaves(resume_from.runs, runs)
        history = to_points(resume_from.history)

    def midway() -> Midway:
        return Midway(to_leaves(runs), to_curves(history))

    for _ in range(len(history), spec.num_steps // spec.eval_every):
        infos = []
        for length in lengths:
            runs, info = advance(runs, length, call)
            infos.append(info)
            if history:  # keep one point in flight, so that the devices never wait for the host
                jax.block_until_ready(history[-1])
            report(length)
        history.append(_mean(tuple(infos), weights) | evaluate.curves(task, runs, reference, call))
        at_point(midway)
    final = evaluate.evaluate(task, runs, spec.num_samples, call, example)
    state, final, diverged_at = jax.device_get((runs.state, final, runs.diverged_at))
    outcome = Outcome(jax.tree.leaves(state), to_curves(history), final, diverged_at)
    outcome = jax.tree.map(lambda leaf: np.array(leaf[: len(lanes)]), outcome)  # a view would keep the filling alive
    shift, scale = np.array([task.data_units.lengths() for task in tasks], np.float64).T
    return outcome._replace(
        history=metrics.in_data_units(outcome.history, shift, scale),
        metrics=metrics.in_data_units(outcome.metrics, shift, scale),
    )


def check_matmul_precision(precision: str) -> None:
    """Raises ValueError if `precision` is not in `MATMUL_PRECISIONS`."""
    if precision not in MATMUL_PRECISIONS:
        raise ValueError(f"matmul_precision={precision!r}: allowed are {', '.join(MATMUL_PRECISIONS)}")


@jax.jit
def _mean(infos: tuple[dict[str, jax.Array], ...], weights: jax.Array) -> dict[str, jax.Array]:
    """The mean info over chunks, by weights f32[chunks]."""
    return jax.tree.map(lambda *values: sum(w * value for w, value in zip(weights, values, strict=True)), *infos)


def _stack(trees: Sequence[PyTree]) -> PyTree:
    """Stacks the leaves of equal trees: numbers become f32[lanes], arrays of integers stay integers."""

    def stack(*leaves: Any) -> np.ndarray:
        is_size = isinstance(leaves[0], np.ndarray) and leaves[0].dtype.kind == "i"
        return np.stack([np.asarray(leaf, np.int32 if is_size else jnp.result_type(float)) for leaf in leaves])

    return jax.tree.map(stack, *trees)
