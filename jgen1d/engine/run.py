"""One run as a pure function, and the pieces of it that the engine compiles for many lanes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Info, Key, PyTree, State, condition_keyword, door
from jgen1d.engine import evaluate
from jgen1d.engine.arguments import as_key
from jgen1d.engine.budget import choose_eval_every
from jgen1d.engine.task import Task, prepare, units
from jgen1d.evaluation import metrics
from jgen1d.targets import Target

CHUNK = 256
"""Steps whose data is drawn at once, at most: it bounds the memory of a run's minibatches."""


class Run(NamedTuple):
    """What a run carries from one point of its history to the next.

    Attributes:
      key_data: folded with a step's number, it draws the step's minibatch.
      key_step: folded with a step's number, it is the step's own.
      key_eval: draws samples.
      state: the method's state; once an info is not finite, the state at the previous point of the history.
      step: i32[], how many steps were taken.
      diverged_at: i32[], the first step whose info was not finite; −1 if there is none.
    """

    key_data: Key
    key_step: Key
    key_eval: Key
    state: State
    step: jax.Array
    diverged_at: jax.Array


class Batches(NamedTuple):
    """The rows of some steps, f32[steps, rows, dim] in training units, and their labels, i32[steps, rows] or None."""

    rows: jax.Array
    labels: jax.Array | None


def start(task: Task, key: Key) -> Run:
    """The run before its first step."""
    key_init, key_data, key_step, key_eval = jax.random.split(key, 4)
    state = task.method.init(key_init, task.config)
    return door.vary(Run(key_data, key_step, key_eval, state, jnp.zeros((), int), jnp.full((), -1, int)))


def draw(
    target: Target,
    key_data: Key,
    step: jax.Array,
    num_steps: jax.Array | int,
    *,
    num_rows: int,
    standardize: bool,
    labelled: bool,
    most: int = CHUNK,
) -> Batches:
    """The data of the next `num_steps` steps; what follows them is 0.

    Args:
      target: what the data is drawn from.
      key_data: of the `Run`.
      step: i32[], how many steps it has taken.
      num_steps: i32[], at most `most`. It may be traced: one program serves all lengths.
      num_rows: rows of a step's batch.
      standardize: whether to return (x − mean)/std.
      labelled: whether to draw labels, too.
      most: steps that there is room for.
    """
    words, as_key = _step_keys(key_data, step, most)

    def one(i: jax.Array, _: None) -> tuple[None, Batches]:
        key = as_key(words[i])
        if not labelled:
            return None, Batches(target.sample(key, num_rows), None)
        key_rows, key_labels = jax.random.split(key)
        rows = target.sample(key_rows, num_rows)
        return None, Batches(rows, target.label(key_labels, rows))

    batches = _collect(one, None, num_steps, words)[1]
    shift, scale = units(target, standardize)
    return batches._replace(rows=(batches.rows - shift[None, None]) / scale[None, None])


def _step_keys(key: Key, step: jax.Array, count: int) -> tuple[jax.Array, Callable[[jax.Array], Key]]:
    """The words of the keys of `count` steps from `step` on, and what makes a key of one.

    Loops carry words, because JAX's check of key reuse takes a key in a loop for one that is used twice.
    """
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, step + jnp.arange(count))
    return jax.random.key_data(keys), functools.partial(jax.random.wrap_key_data, impl=jax.random.key_impl(key))


def _collect(body: Callable, carry: PyTree, count: jax.Array | int, words: jax.Array) -> tuple[PyTree, PyTree]:
    """Like `lax.scan` over i < count, which may be traced; the outputs have room for all words, and are 0 beyond."""
    body = jax.jit(body, inline=True)  # traced once, for the shapes and for the loop
    shapes = jax.eval_shape(body, 0, carry)[1]
    outputs = jax.tree.map(lambda leaf: jnp.zeros((len(words), *leaf.shape), leaf.dtype), shapes)
    _, carry, outputs = door.vary((words, carry, outputs))

    def step(i: jax.Array, both: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        carry, output = body(i, both[0])
        return carry, jax.tree.map(lambda all_of, value: all_of.at[i].set(value), both[1], output)

    return jax.lax.fori_loop(0, count, step, (carry, outputs))


def advance(task: Task, run: Run, batches: Batches, num_steps: jax.Array | int) -> tuple[Run, Info]:
    """Takes `num_steps` steps, one per batch. Returns the run and the mean info of these steps.

    A run that becomes non-finite is frozen: its state stays what it was before these steps, its info is NaN.
    """
    most = len(batches.rows)
    words, as_key = _step_keys(run.key_step, run.step, most)

    def step(i: jax.Array, state: State) -> tuple[State, Info]:
        rows, labels = jax.tree.map(lambda leaf: leaf[i], batches)
        return task.method.step(as_key(words[i]), state, rows, task.config, **condition_keyword(labels))

    state, infos = _collect(step, run.state, num_steps, words)
    bad = ~jnp.all(jnp.isfinite(jnp.stack(jax.tree.leaves(infos))), axis=0)
    diverged_now = run.step + jnp.argmax(bad)
    diverged_at = jnp.where((run.diverged_at < 0) & jnp.any(bad), diverged_now, run.diverged_at)
    alive = diverged_at < 0
    state = jax.tree.map(functools.partial(jnp.where, alive), state, run.state)
    info = {name: jnp.where(alive, jnp.sum(values) / num_steps, jnp.nan) for name, values in infos.items()}
    return run._replace(state=state, step=run.step + num_steps, diverged_at=diverged_at), info


def chunks(num_steps: int) -> list[int]:
    """Splits an interval into as few chunks of at most `CHUNK` steps as possible, equal ones if they divide it."""
    count = -(-num_steps // CHUNK)
    if num_steps % count == 0:
        return [num_steps // count] * count
    return [CHUNK] * (count - 1) + [num_steps - CHUNK * (count - 1)]


def run(
    key: Key,
    task: Task | tuple,
    num_steps: int,
    *,
    batch_size: int = 256,
    eval_every: int | None = None,
    num_samples: int = 10_000,
) -> tuple[State, Info, Info]:
    """Trains one run: a pure function, for the caller's own `jit`, `vmap` and `shard_map`.

    Map it over keys, or over traced fields of the config. `fit` and `sweep` train the same pieces from the host.

    Args:
      key: determines everything: the initial state, the data and the latents.
      task: a `Task`, or a tuple (method, target, config).
      num_steps: how many steps to take, at least 1.
      batch_size: rows of each minibatch, at least 1.
      eval_every: steps between points of the history, a divisor of `num_steps`; None for up to 50 points, or as
        few as 10 where drawing their samples would take more than a tenth of the training.
      num_samples: samples for the final metrics, at least 1.

    Returns:
      The method's final state in training units; the history, f32[num_evals] by name, as in `Result.history`; and the
      final metrics by name, as in `Result.metrics`, with `diverged_at`, i32[], the first step that was not finite or
      −1. `jgen1d.verdict.classify` takes them.

    Raises:
      ValueError: for an argument out of range, in one line.

    Example:
      >>> import jax, jgen1d
      >>> from jgen1d.methods import gan
      >>> task = jgen1d.Task(gan.METHOD, jgen1d.TARGETS["normal"], gan.Config(widths_g=(8,), widths_d=(8,)))
      >>> keys = jax.random.split(jax.random.key(0), 4)
      >>> train = jax.jit(jax.vmap(lambda key: jgen1d.run(key, task, num_steps=20)))
      >>> state, history, metrics = train(keys)
      >>> metrics["w1"].shape, history["loss_g"].shape
      ((4,), (4, 20))
    """
    key, task = as_key(key), prepare(task, num_steps, batch_size, num_samples)
    lengths_of = task.data_units.lengths()
    task = task.in_training_units
    eval_every = choose_eval_every(eval_every, num_steps, batch_size, [task])
    lengths = jnp.array(chunks(eval_every))
    reference = metrics.reference(task.target, evaluate.NUM_CURVE_SAMPLES, for_curves=True)

    def chunk(run: Run, length: jax.Array) -> tuple[Run, Info]:
        batches = draw(
            task.target, run.key_data, run.step, length,
            num_rows=task.num_rows(batch_size), standardize=task.is_standardized, labelled=task.num_classes > 0,
            most=min(CHUNK, eval_every),
        )  # fmt: skip
        return advance(task, run, batches, length)

    def interval(run: Run, _: Any) -> tuple[Run, Info]:
        run, infos = jax.lax.scan(chunk, run, lengths)
        info = {name: jnp.sum(lengths / eval_every * values) for name, values in infos.items()}
        return run, info | evaluate.curves(task, run, reference)

    end, history = jax.lax.scan(interval, start(task, key), length=num_steps // eval_every)
    final = evaluate.evaluate(task, end, num_samples)
    history, final = (metrics.in_data_units(info, *lengths_of) for info in (history, final))
    return end.state, history, final | {"diverged_at": end.diverged_at}
