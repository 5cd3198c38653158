"""How many points a history has: drawing their samples must cost little beside the training."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jgen1d.core import Config, Method, PyTree, condition_keyword
from jgen1d.engine.evaluate import NUM_CURVE_SAMPLES
from jgen1d.engine.task import Task

BUDGET = 0.1
"""What drawing a history's samples may cost, as a share of the training."""
FEWEST_POINTS, MOST_POINTS = 10, 50
STEP_OVERHEAD = 5e5
"""What else a step costs, in operations: of tiny models it takes most of the time."""


def choose_eval_every(eval_every: int | None, num_steps: int, batch_size: int, tasks: Collection[Task]) -> int:
    """Returns the steps between points of the history: for None, the fewest that the budget of all tasks allows.

    Then there are at most `MOST_POINTS`. Where drawing their samples would take more than `BUDGET` of the training, as
    where a sampler integrates an ODE, there are fewer, but not fewer than `FEWEST_POINTS` for it. The count goes by
    operations, not by the clock, so that it is the same on every machine.

    Args:
      eval_every: what the caller asks for; None to choose.
      num_steps: of each run, at least 1.
      batch_size: rows of each minibatch.
      tasks: with configs that are bound; at least one.

    Raises:
      ValueError: if `eval_every` does not divide `num_steps`.
    """
    if eval_every is None:
        return num_steps // _num_points(num_steps, _affordable(num_steps, batch_size, tasks))
    if eval_every < 1 or num_steps % eval_every:
        raise ValueError(f"eval_every={eval_every}: must divide num_steps={num_steps}")
    return eval_every


def reasons(num_steps: int, batch_size: int, tasks: Collection[Task]) -> list[str]:
    """Why `choose_eval_every` chose fewer points than it does for a fast sampler, in one sentence if it did."""
    most = _num_points(num_steps, MOST_POINTS)
    chosen = _num_points(num_steps, _affordable(num_steps, batch_size, tasks))
    if chosen == most:
        return []
    return [
        f"the history has {chosen} points, not {most}: drawing the samples of {most} would take more than "
        f"{100 * BUDGET:.0f} % of the training (in Python, eval_every= sets others)"
    ]


def _num_points(num_steps: int, affordable: float) -> int:
    """The most points that are affordable and divide the steps; if these are too few for a curve, the next that do."""
    counts = [count for count in range(1, min(num_steps, MOST_POINTS) + 1) if num_steps % count == 0]
    curves = [count for count in counts if count >= FEWEST_POINTS]
    if not curves:
        return counts[-1]
    return max((count for count in curves if count <= affordable), default=curves[0])


def _affordable(num_steps: int, batch_size: int, tasks: Collection[Task]) -> float:
    """How many points the budget of all tasks allows; ∞ for samplers without loops."""
    return min(BUDGET * num_steps * _points_per_step(task, batch_size) for task in tasks)


def _points_per_step(task: Task, batch_size: int) -> float:
    """How many points' samples can be drawn in the time of a training step; ∞ if the sampler has no loop."""
    leaves, structure = jax.tree.flatten(task.config)
    kinds = tuple(map(jax.typeof, leaves))
    rows = (task.num_rows(batch_size), task.target.dim)
    training, drawing = _operations(task.method, structure, kinds, rows, task.num_classes > 0)
    return training / drawing if drawing else math.inf


@functools.lru_cache(256)
def _operations(
    method: Method, structure: Any, kinds: tuple, rows: tuple[int, int], labelled: bool
) -> tuple[float, float]:
    """Of a step, and of drawing a point's samples; (0, 0) without tracing a step if the sampler has no loop."""
    config: Config = structure.unflatten(kinds)
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(method.init, key, config)

    def given(count: int) -> dict[str, PyTree]:
        return condition_keyword(jnp.zeros(count, int) if labelled else None)

    def draw(key: PyTree, state: PyTree, config: Config) -> PyTree:
        return method.sample(key, state, NUM_CURVE_SAMPLES, config, **given(NUM_CURVE_SAMPLES))

    def step(key: PyTree, state: PyTree, batch: jax.Array, config: Config) -> PyTree:
        return method.step(key, state, batch, config, **given(rows[0]))

    drawing = jax.make_jaxpr(draw)(key, state, config).jaxpr
    if not _has_loop(drawing):
        return 0.0, 0.0
    batch = jax.ShapeDtypeStruct(rows, jnp.result_type(float))
    return STEP_OVERHEAD + count(jax.make_jaxpr(step)(key, state, batch, config).jaxpr), count(drawing)


def count(jaxpr: Any) -> float:
    """The operations of a jaxpr: two for each product of a matrix product or convolution, else one per output number.

    A `scan` counts as often as it repeats, a `while` once, because its end is not known, and of a `cond` the longest
    branch.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if inner := [count(one) for one in _inner(equation)]:
            total += max(inner) if name == "cond" else params.get("length", 1) * sum(inner)
            continue
        size = sum(math.prod(one.aval.shape) for one in equation.outvars)
        if name == "dot_general":
            contracted = params["dimension_numbers"][0][0]
            size *= 2 * math.prod(equation.invars[0].aval.shape[i] for i in contracted)
        elif name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            size *= 2 * math.prod(kernel) // kernel[params["dimension_numbers"].rhs_spec[0]]
        total += size
    return total


def _has_loop(jaxpr: Any) -> bool:
    return any(
        equation.primitive.name in ("scan", "while") or any(map(_has_loop, _inner(equation))) for equation in jaxpr.eqns
    )


def _inner(equation: Any) -> Iterator[Any]:
    """The jaxprs that an equation calls."""
    for value in equation.params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            one = getattr(one, "jaxpr", one)
            if hasattr(one, "eqns"):
                yield one
