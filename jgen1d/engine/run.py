"""One run as a pure function: `fit`, and the pieces of it that `sweep` compiles for many lanes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jgen1d.core import Config, Info, Key, Method, State, bind, given, num_classes, validate
from jgen1d.evaluation import metrics as metrics_lib
from jgen1d.evaluation import verdict as verdict_lib
from jgen1d.targets import Target

NUM_CURVE_SAMPLES = 1_000
"""Samples drawn for each point of a history's distance curves."""

MATMUL_PRECISIONS = ("highest", "high", "default")
"""Of float32 products; `highest` is float32 everywhere, `default` TF32 on a GPU and bfloat16 on a TPU."""


class Run(NamedTuple):
    """What a run carries from one point of its history to the next.

    Attributes:
      key_data: folded with the step's number for the step's minibatch; likewise `key_step` for the step's own
        randomness, and `key_eval` for samples.
      key_step: see above.
      key_eval: see above.
      state: the method's state; once an info is not finite, the one at the last point of the history before.
      step: i32[], how many steps were taken.
      diverged_at: i32[], the first step whose info was not finite, −1 while there is none.
    """

    key_data: Key
    key_step: Key
    key_eval: Key
    state: State
    step: jax.Array
    diverged_at: jax.Array


def start(method: Method, key: Key, config: Config) -> Run:
    """The run before its first step."""
    key_init, key_data, key_step, key_eval = jax.random.split(key, 4)
    return Run(key_data, key_step, key_eval, method.init(key_init, config), jnp.zeros((), int), jnp.full((), -1, int))


class Batches(NamedTuple):
    """Some steps' rows, f32[num_steps, rows, dim] in training units, and their labels, i32[num_steps, rows] or None."""

    rows: jax.Array
    labels: jax.Array | None


def draw(
    key_data: Key, step: jax.Array, target: Target, num_steps: int, num_rows: int, standardize: bool, labelled: bool
) -> Batches:
    """The data of `num_steps` steps from `step` on, with labels or without."""
    words, as_key = _step_keys(key_data, step, num_steps)

    def one(words: jax.Array) -> Batches:
        if not labelled:
            return Batches(target.sample(as_key(words), num_rows), None)
        key_rows, key_labels = jax.random.split(as_key(words))
        rows = target.sample(key_rows, num_rows)
        return Batches(rows, target.label(key_labels, rows))

    batches = jax.lax.map(one, words)
    shift, scale = units(target, standardize)
    return batches._replace(rows=(batches.rows - shift[None, None]) / scale[None, None])


def _step_keys(key: Key, step: jax.Array, num_steps: int) -> tuple[jax.Array, Callable[[jax.Array], Key]]:
    """The next steps' keys as words, u32[num_steps, ...], and what makes one step's words a key again.

    All at once, for one by one inside the loop their few words cost as much as a small layer; and as words, for JAX's
    check of key reuse takes a vmapped loop over keys for a second use.
    """
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, step + jnp.arange(num_steps))
    return jax.random.key_data(keys), functools.partial(jax.random.wrap_key_data, impl=jax.random.key_impl(key))


def advance(method: Method, run: Run, batches: Batches, config: Config) -> tuple[Run, Info]:
    """Takes one step per batch. Returns the run and the mean info of these steps.

    A run that becomes non-finite is frozen: its state stays what it was before these steps, its info is NaN.
    """

    def step(state: State, inputs: tuple[jax.Array, Batches]) -> tuple[State, Info]:
        words, (rows, labels) = inputs
        return method.step(as_key(words), state, rows, config, **given(labels))

    num_steps = len(batches.rows)
    words, as_key = _step_keys(run.key_step, run.step, num_steps)
    state, infos = jax.lax.scan(step, run.state, (words, batches))
    bad = ~jnp.all(jnp.isfinite(jnp.stack(jax.tree.leaves(infos))), axis=0)
    diverged_now = run.step + jnp.argmax(bad)
    diverged_at = jnp.where((run.diverged_at < 0) & jnp.any(bad), diverged_now, run.diverged_at)
    alive = diverged_at < 0
    state = jax.tree.map(functools.partial(jnp.where, alive), state, run.state)
    info = {name: jnp.where(alive, jnp.mean(values), jnp.nan) for name, values in infos.items()}
    return run._replace(state=state, step=run.step + num_steps, diverged_at=diverged_at), info


def sample(method: Method, run: Run, target: Target, config: Config, num_samples: int, standardize: bool) -> jax.Array:
    """Draws f32[num_samples, dim] from the run's model, in data units; of a model with classes as often as they are."""
    key = jax.random.fold_in(run.key_eval, run.step)
    return _sample(key, method, run.state, target, config, num_samples, *units(target, standardize), None)


def _sample(
    key: Key,
    method: Method,
    state: State,
    target: Target,
    config: Config,
    num_samples: int,
    shift: jax.Array,
    scale: jax.Array,
    labels: jax.Array | None,
) -> jax.Array:
    if num_classes(config) and labels is None:
        key, key_labels = jax.random.split(key)
        labels = jax.random.categorical(key_labels, jnp.log(jnp.asarray(target.modes.weights)), shape=(num_samples,))
    return shift[None] + scale[None] * method.sample(key, state, num_samples, config, **given(labels))


def units(target: Target, standardize: bool) -> tuple[jax.Array, jax.Array]:
    """The shift and scale, f32[dim] each, from training units to data units."""
    mean, std = jnp.asarray(target.mean, dtype=float), jnp.asarray(target.std, dtype=float)
    return (mean, std) if standardize else (jnp.zeros_like(mean), jnp.ones_like(std))


def log_prob(
    method: Method,
    state: State,
    x: jax.Array,
    target: Target,
    config: Config,
    shift: jax.Array,
    scale: jax.Array,
    labels: jax.Array | None = None,
) -> jax.Array:
    """The model's log density in nats per data unit, f32[n], at x: f32[n, dim] in data units.

    Of a model with classes, that of given labels i32[n]; for None, of their mixture, with the target's weights.
    """
    assert method.log_prob is not None
    evaluate, z = method.log_prob, (x - shift[None]) / scale[None]
    if num_classes(config) and labels is None:
        weights = jnp.asarray(target.modes.weights)

        def joint(label: jax.Array) -> jax.Array:
            return jnp.log(weights[label]) + evaluate(state, z, config, **given(jnp.full(len(z), label)))

        log_q = jax.nn.logsumexp(jax.lax.map(joint, jnp.arange(num_classes(config))), axis=0)
    else:
        log_q = evaluate(state, z, config, **given(labels))
    return log_q - jnp.sum(jnp.log(scale))


def evaluate(method: Method, run: Run, target: Target, config: Config, num_samples: int, standardize: bool) -> Info:
    """The metrics of the trained model, in data units, from `num_samples` samples."""
    samples = sample(method, run, target, config, num_samples, standardize)
    of_classes = score_classes(method, run, target, config, num_samples, standardize)
    return score(samples, target) | divergence(method, run, target, config, num_samples, standardize) | of_classes


def score(samples: jax.Array, target: Target) -> Info:
    """`metrics.evaluate` with its own reference."""
    return metrics_lib.evaluate(samples, target, metrics_lib.reference(target, len(samples)))


def score_classes(
    method: Method, run: Run, target: Target, config: Config, num_samples: int, standardize: bool
) -> Info:
    """`metrics.evaluate_class` of every class, f32[classes] by name, where the model has some."""
    if not num_classes(config):
        return {}
    count = max(1, num_samples // num_classes(config))
    key, (shift, scale) = jax.random.fold_in(run.key_eval, 1), units(target, standardize)

    def one(label: jax.Array) -> Info:
        key_class, labels = jax.random.fold_in(key, label), jnp.full(count, label)
        samples = _sample(key_class, method, run.state, target, config, count, shift, scale, labels)
        return metrics_lib.evaluate_class(samples, target, label)

    return jax.lax.map(one, jnp.arange(num_classes(config)))


def divergence(method: Method, run: Run, target: Target, config: Config, num_points: int, standardize: bool) -> Info:
    """`kl`, where both the target and the model have a density; it takes the target's quantiles for points in 1-D."""
    if method.log_prob is None or not target.has_density:
        return {}
    if target.dim == 1:
        points = target.quantile((jnp.arange(num_points) + 0.5) / num_points)[:, None]
    else:
        points = target.sample(jax.random.fold_in(run.key_eval, 0), num_points)
    log_q = log_prob(method, run.state, points, target, config, *units(target, standardize))
    return metrics_lib.evaluate_density(target.log_prob(points), log_q, target)


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained run.

    Attributes:
      method: what was trained.
      target: on what.
      config: with which hyper-parameters.
      state: the method's final state, in training units.
      steps: i[num_evals], the steps taken at each point of the history.
      history: f[num_evals] by name: the mean of each info over the steps since the point before (one minibatch's losses
        are noise; NaN once diverged), and `metrics.curves` of `NUM_CURVE_SAMPLES` samples.
      metrics: floats by name (arrays where they are of modes or classes), from `num_samples` samples.
      verdict: one of `verdict.VERDICTS`.
      diverged_at: the step that was not finite, −1 where there was none.
      shift: f[dim], from training units to data units: data = shift + scale · x.
      scale: f[dim].
    """

    method: Method
    target: Target
    config: Config
    state: State
    steps: np.ndarray
    history: dict[str, np.ndarray]
    metrics: dict[str, Any]
    verdict: str
    diverged_at: int
    shift: np.ndarray
    scale: np.ndarray

    def sample(self, key: Key, num_samples: int, condition: ArrayLike | None = None) -> jax.Array:
        """Draws f32[num_samples, dim] in data units.

        Of a model with classes, those of the labels `condition`, i32[num_samples] or one for all; for None, classes are
        drawn as often as the target has them. Raises ValueError for labels of a model without classes.
        """
        units = jnp.asarray(self.shift), jnp.asarray(self.scale)
        labels = self._labels(condition, num_samples)
        return _sample(key, self.method, self.state, self.target, self.config, num_samples, *units, labels)

    def log_prob(self, x: jax.Array, condition: ArrayLike | None = None) -> jax.Array:
        """The model's log density, f32[n], at f32[n, dim] in data units. Raises ValueError where it is intractable.

        Of a model with classes, that of the labels `condition`, i32[n] or one for all; for None, of their mixture.
        """
        if self.method.log_prob is None:
            raise ValueError("log_prob: this method's density is intractable")
        x, units = jnp.asarray(x, dtype=float), (jnp.asarray(self.shift), jnp.asarray(self.scale))
        return log_prob(self.method, self.state, x, self.target, self.config, *units, self._labels(condition, len(x)))

    def _labels(self, condition: ArrayLike | None, num_rows: int) -> jax.Array | None:
        if condition is None:
            return None
        if not num_classes(self.config):
            raise ValueError("condition: this model has no classes")
        labels = np.asarray(condition)
        allowed = np.issubdtype(labels.dtype, np.integer) and labels.shape in ((), (num_rows,))
        if not allowed or labels.min() < 0 or labels.max() >= num_classes(self.config):
            raise ValueError(
                f"condition: must be an integer, or {num_rows} of them, from 0 to {num_classes(self.config) - 1}"
            )
        return jnp.broadcast_to(labels, (num_rows,))


def fit(
    key: Key,
    method: Method,
    target: Target,
    config: Config,
    num_steps: int,
    *,
    batch_size: int = 256,
    eval_every: int | None = None,
    num_samples: int = 10_000,
    standardize: bool | None = None,
    thresholds: verdict_lib.Thresholds = verdict_lib.DEFAULT_THRESHOLDS,
    matmul_precision: str = "highest",
) -> Result:
    """Trains one run.

    Args:
      key: determines everything: initial state, data, latents.
      method: what to train.
      target: what to learn.
      config: hyper-parameters; `dim` and `num_steps` are set from the other arguments.
      num_steps: how many steps to take.
      batch_size: rows of each minibatch.
      eval_every: steps between points of the history, a divisor of `num_steps`; None for up to 50 points.
      num_samples: samples for the final metrics.
      standardize: train on (x − mean)/std; results are in data units all the same. None for what the config says.
      thresholds: the verdict's.
      matmul_precision: of float32 products; on GPUs and TPUs `highest`, `high` or `default` (TF32 or bfloat16).

    Raises:
      ValueError: for an argument out of range, in one line.

    Example:
      >>> import jax, jgen1d
      >>> from jgen1d.methods import gan
      >>> config = gan.Config(widths_g=(8,), widths_d=(8,))
      >>> result = jgen1d.fit(jax.random.key(0), gan.METHOD, jgen1d.TARGETS["normal"], config, num_steps=20)
      >>> result.sample(jax.random.key(1), 3).shape
      (3, 1)
    """
    config = prepare(method, target, config, num_steps, batch_size, num_samples)
    eval_every = check_eval_every(num_steps, eval_every)
    standardize = is_standardized(config, standardize)
    check_matmul_precision(matmul_precision)
    with jax.default_matmul_precision(matmul_precision):
        run, history, final = _fit(
            key, method, target, config, num_steps, batch_size, eval_every, num_samples, standardize
        )
    run, history, final = jax.device_get((run._replace(key_data=None, key_step=None, key_eval=None), history, final))
    optimum = method.loss_optimum(config) if method.loss_optimum else None
    diverged_at = int(run.diverged_at)
    verdict = verdict_lib.classify(history, final, optimum, len(target.modes.scales), diverged_at, thresholds)
    metrics = {name: value if value.ndim else float(value) for name, value in final.items()}
    shift, scale = jax.device_get(units(target, standardize))
    steps = np.arange(eval_every, num_steps + 1, eval_every)
    return Result(method, target, config, run.state, steps, history, metrics, str(verdict), diverged_at, shift, scale)


@functools.partial(
    jax.jit, static_argnames=("method", "num_steps", "batch_size", "eval_every", "num_samples", "standardize")
)
def _fit(
    key: Key,
    method: Method,
    target: Target,
    config: Config,
    num_steps: int,
    batch_size: int,
    eval_every: int,
    num_samples: int,
    standardize: bool,
) -> tuple[Run, Info, Info]:
    """The whole run: an inner scan trains, the outer one evaluates. Returns run, history and final metrics."""
    num_rows, labelled = batch_size * method.num_minibatches(config), num_classes(config) > 0
    reference = metrics_lib.reference(target, NUM_CURVE_SAMPLES)

    def interval(run: Run, _: None) -> tuple[Run, Info]:
        batches = draw(run.key_data, run.step, target, eval_every, num_rows, standardize, labelled)
        run, info = advance(method, run, batches, config)
        samples = sample(method, run, target, config, NUM_CURVE_SAMPLES, standardize)
        return run, info | metrics_lib.curves(samples, target, reference)

    run, history = jax.lax.scan(interval, start(method, key, config), length=num_steps // eval_every)
    return run, history, evaluate(method, run, target, config, num_samples, standardize)


def prepare(
    method: Method, target: Target, config: Config, num_steps: int, batch_size: int, num_samples: int
) -> Config:
    """Checks a run's arguments before anything is compiled, and returns its config with `dim` and `num_steps` set.

    Raises:
      ValueError: in one line, with the argument, its value and what is allowed.
    """
    for name, value in {"num_steps": num_steps, "batch_size": batch_size, "num_samples": num_samples}.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r}: must be an integer of at least 1")
    if not isinstance(config, method.Config):
        raise ValueError(f"config must be a {method.Config.__module__}.{method.Config.__qualname__}, not {config!r}")
    num_modes = len(target.modes.scales)
    if num_classes(config) not in (0, num_modes):
        raise ValueError(
            f"num_classes={num_classes(config)}: the target {target.name!r} has {num_modes or 'no'} modes to be labels"
        )
    config = bind(config, dim=target.dim, num_steps=int(num_steps))
    validate(config)
    jax.eval_shape(method.init, jax.random.key(0), config)
    return config


def check_matmul_precision(precision: str) -> None:
    """Raises ValueError for a precision of float32 products that there is not."""
    if precision not in MATMUL_PRECISIONS:
        raise ValueError(f"matmul_precision={precision!r}: allowed are {', '.join(MATMUL_PRECISIONS)}")


def is_standardized(config: Config, standardize: bool | None) -> bool:
    """Whether a run trains on (x − mean)/std: as its caller says, else its config, else yes."""
    return getattr(config, "standardize", True) if standardize is None else standardize


def check_eval_every(num_steps: int, eval_every: int | None) -> int:
    """The steps between points of the history: `eval_every`, or for None the least that gives at most 50 points.

    Raises:
      ValueError: where it does not divide `num_steps`.
    """
    if eval_every is None:
        return next(every for every in range(-(-num_steps // 50), num_steps + 1) if num_steps % every == 0)
    if eval_every < 1 or num_steps % eval_every:
        raise ValueError(f"eval_every={eval_every}: must divide num_steps={num_steps}")
    return eval_every
