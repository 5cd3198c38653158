"""What is measured of a model: at each point of a run's history, and when training is done.

`run`, the engine and the playground all walk the same stages. They differ in how they call them: directly, or as
programs compiled for many lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Info, Key, State, condition_keyword, door
from jgen1d.engine.task import Task, state_shapes
from jgen1d.evaluation import metrics
from jgen1d.maths.quadrature import centred_lattice, midpoints
from jgen1d.targets import Target

GAP_PARTS = 100
"""How many times as many samples as other metrics the largest gap is measured on."""
LATTICE_PARTS = {1: 1, 2: 10, 3: 10}
"""The same by dimension, where a lattice takes the place of random numbers: it measures the gap at least as well."""
MOST_DENSITY_ROWS = 256
"""Signals at which densities are compared: those of diffusion models and flows take as long as many samples."""
NUM_CURVE_SAMPLES = 1_000
"""Samples drawn for each point of a history's distance curves."""


def directly(function: Callable, *args: Any, **static: Any) -> Any:
    """Calls the function: how a single run calls its stages."""
    return function(*args, **static)


def draw_samples(task: Task, key: Key, state: State, labels: jax.Array | None = None, *, num_samples: int) -> jax.Array:
    """Draws f32[num_samples, dim] in data units.

    A model with classes is given the labels, i32[num_samples], or for None such as the target has in these shares.
    """
    if task.num_classes and labels is None:
        key, key_labels = jax.random.split(key)
        weights = jnp.asarray(task.target.class_weights)
        labels = jax.random.categorical(key_labels, jnp.log(weights), shape=(num_samples,))
    shift, scale = task.units
    samples = task.method.sample(key, state, num_samples, task.config, **condition_keyword(labels))
    return shift[None] + scale[None] * samples


def log_prob(task: Task, state: State, x: jax.Array, labels: jax.Array | None = None) -> jax.Array:
    """The model's log density in nats, f32[n], at x: f32[n, dim] in data units.

    Of a model with classes, that given the labels, i32[n]; for None, of their mixture with the target's weights.
    """
    assert task.method.log_prob is not None
    shift, scale = task.units
    density, z, num_classes = task.method.log_prob, (x - shift[None]) / scale[None], task.num_classes
    if num_classes and labels is None:
        weights = jnp.asarray(task.target.class_weights)

        def joint(label: jax.Array) -> jax.Array:
            return jnp.log(weights[label]) + density(
                state, z, task.config, **condition_keyword(jnp.full(len(z), label))
            )

        log_q = jax.nn.logsumexp(jax.lax.map(joint, jnp.arange(num_classes)), axis=0)
    else:
        log_q = density(state, z, task.config, **condition_keyword(labels))
    return log_q - jnp.sum(jnp.log(scale))


def sample(task: Task, run: Any, num_samples: int) -> jax.Array:
    """Draws f32[num_samples, dim] in data units from the model of a `Run`."""
    return draw_samples(task, jax.random.fold_in(run.key_eval, run.step), run.state, num_samples=num_samples)


def score(samples: jax.Array, target: Target) -> Info:
    """Every metric of samples f32[n, dim]."""
    return metrics.evaluate(samples, target, metrics.reference(target, len(samples)))


def draw_points(target: Target, key: Key, *, num_samples: int) -> tuple[jax.Array, jax.Array]:
    """Points f32[n, dim] for `kl`, the target's quantiles in 1-D and draws beyond, and its log density.

    There are `num_samples`, of signals at most `MOST_DENSITY_ROWS`.
    """
    if target.dim == 1:
        points = target.quantile(midpoints(num_samples))[:, None]
    else:
        count = num_samples if target.dim == 2 else min(num_samples, MOST_DENSITY_ROWS)
        points = target.sample(jax.random.fold_in(key, 0), count)
    return points, target.log_prob(points)


def divergence(task: Task, run: Any, num_samples: int, call: Callable) -> Info:
    """Every metric of the model's density."""
    points, log_p = call(draw_points, task.target, run.key_eval, num_samples=num_samples)
    log_q = call(log_prob, task, run.state, points)
    return call(metrics.evaluate_density, log_p, log_q, task.target)


def sample_steps(task: Task, run: Any, edges: jax.Array, *, num_samples: int) -> metrics.Steps:
    """The model's distribution function, from parts of `num_samples` samples.

    They are `GAP_PARTS` parts of draws, or `LATTICE_PARTS` of what a method that can makes of a lattice.
    """
    from_uniform = task.method.from_uniform(task.config)
    if from_uniform is None:
        key, parts = jax.random.fold_in(run.key_eval, 2), jnp.arange(GAP_PARTS)

        def draw(part: jax.Array) -> jax.Array:
            return draw_samples(task, jax.random.fold_in(key, part), run.state, num_samples=num_samples)

    else:
        dim = task.target.dim + (task.num_classes > 0)
        points = centred_lattice(LATTICE_PARTS[dim] * num_samples, dim).T
        parts = jnp.asarray(points.reshape(-1, num_samples, dim), float)

        def draw(part: jax.Array) -> jax.Array:
            labels = None
            if task.num_classes:
                shares = jnp.cumsum(jnp.asarray(task.target.class_weights))
                part, labels = part[:, :-1], jnp.searchsorted(shares[:-1], part[:, -1])
            shift, scale = task.units
            return shift[None] + scale[None] * from_uniform(run.state, part, labels)

    def add(total: metrics.Steps, part: jax.Array) -> tuple[metrics.Steps, None]:
        return jax.tree.map(jnp.add, total, metrics.steps(draw(part), edges)), None

    _, zeros, parts = door.vary((run, jnp.zeros_like(edges), parts))
    total = jax.lax.scan(add, metrics.Steps(zeros, zeros), parts)[0]
    return jax.tree.map(lambda steps: steps / len(parts), total)


def score_gap(steps: metrics.Steps, edges: jax.Array, target: Target, *, num_samples: int) -> Info:
    """Every metric of the largest gap, which no more than `num_samples` samples are said to show."""
    return metrics.evaluate_gap(metrics.largest_gap(steps, target, edges), target, num_samples)


def measure_gap(task: Task, run: Any, num_samples: int, call: Callable) -> Info:
    """Every metric of the largest gap, as `GAP_PARTS` times as many samples show it."""
    edges = call(metrics.edges, task.target)
    steps = call(sample_steps, task, run, edges, num_samples=num_samples)
    return call(score_gap, steps, edges, task.target, num_samples=GAP_PARTS * num_samples)


def draw_and_score_classes(task: Task, run: Any, *, num_samples: int) -> Info:
    """`metrics.evaluate_class` of each class, f32[classes] by name."""
    count = max(1, num_samples // task.num_classes)
    key = jax.random.fold_in(run.key_eval, 1)

    def one(label: jax.Array) -> Info:
        labels = jnp.full(count, label)
        samples = draw_samples(task, jax.random.fold_in(key, label), run.state, labels, num_samples=count)
        return metrics.evaluate_class(samples, task.target, label)

    return jax.lax.map(one, jnp.arange(task.num_classes))


def score_classes(task: Task, run: Any, num_samples: int, call: Callable) -> Info:
    """Every metric of the samples of each class."""
    return call(draw_and_score_classes, task, run, num_samples=num_samples)


def _has_densities(task: Task) -> bool:
    """Whether both log densities are known; some methods' are in few dimensions only, and say so."""
    density, target = task.method.log_prob, task.target
    if density is None or not target.has_density:
        return False
    if target.dim <= 2:
        return True
    state = state_shapes(task.method.init, task.config)
    labels = condition_keyword(jnp.zeros(1, int) if task.num_classes else None)
    try:
        jax.eval_shape(lambda state: density(state, jnp.zeros((1, target.dim)), task.config, **labels), state)
    except ValueError:
        return False
    return True


class Stage(NamedTuple):
    """One evaluation of a trained model, and of which tasks it is made.

    What depends on the target alone, and what on the method, are functions of their own: programs of the former serve
    all methods.

    Attributes:
      applies: whether a task has it.
      compute: `(task, run, num_samples, call) -> info`, where `call` calls a function of one lane.
    """

    applies: Callable[[Task], bool]
    compute: Callable[[Task, Any, int, Callable], Info]


STAGES: tuple[Stage, ...] = (
    Stage(_has_densities, divergence),
    Stage(lambda task: task.target.has_cdf and task.target.dim <= 2, measure_gap),
    Stage(lambda task: task.num_classes > 0, score_classes),
)
"""What is measured of a model beyond its samples."""


def curves(task: Task, run: Any, reference: metrics.Reference, call: Callable = directly) -> Info:
    """The metrics of a point of the history, from `NUM_CURVE_SAMPLES` samples; `reference` is for so many."""
    samples = call(sample, task, run, num_samples=NUM_CURVE_SAMPLES)
    return call(metrics.curves, samples, task.target, reference)


def evaluate(task: Task, run: Any, num_samples: int, call: Callable = directly, example: Task | None = None) -> Info:
    """The final metrics, from `num_samples` samples.

    Args:
      task: what was trained.
      run: the `Run` at its end.
      num_samples: samples for the metrics, at least 1.
      call: calls the functions that the stages are made of.
      example: the task of one lane, if `task` and `run` hold many.
    """
    samples = call(sample, task, run, num_samples=num_samples)
    info = call(score, samples, task.target)
    for stage in STAGES:
        if stage.applies(example or task):
            info = info | stage.compute(task, run, num_samples, call)
    return info
