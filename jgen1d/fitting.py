"""One run, trained from the host: `fit`, and its `Result`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jgen1d.core import Config, Key, Method, State, door, replace
from jgen1d.engine import arguments, evaluate
from jgen1d.engine.block import Spec, check_matmul_precision, run_block
from jgen1d.engine.budget import choose_eval_every
from jgen1d.engine.plan import Group, Lane
from jgen1d.engine.program import Programs
from jgen1d.engine.task import Task, prepare
from jgen1d.evaluation import verdict as verdict_lib
from jgen1d.methods import name_of
from jgen1d.targets import Target, Units

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_PROGRAMS = Programs(None, "highest")
"""What draws from one trained model."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained run.

    Attributes:
      method: the method that was trained.
      target: the distribution to learn.
      config: the hyper-parameters, bound to the target and the run's length.
      state: the method's final state, in training units.
      steps: i[num_evals], the steps taken at each point of the history.
      history: f[num_evals] by name: each info's mean over the steps since the previous point, NaN once diverged, and
        `metrics.curves` of 1,000 samples.
      metrics: floats by name, or arrays [modes] and [classes].
      verdict: one of `verdict.VERDICTS`.
      diverged_at: the first step that was not finite, −1 if there is none.
      standardize: whether it trained on (x − mean)/std.
      thresholds: the limits that the verdict was made with.
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
    standardize: bool = True
    thresholds: verdict_lib.Thresholds = verdict_lib.DEFAULT_THRESHOLDS

    def __repr__(self) -> str:
        """The run in a few lines."""
        from jgen1d.report import notebook  # reports are made of results

        return notebook.text_of_result(self)

    def _repr_html_(self) -> str:
        from jgen1d.report import notebook

        return notebook.html_of_result(self)

    def plot(self) -> Figure:
        """The picture of the run: samples, distribution functions, losses, distances, and the players if it has any."""
        from jgen1d.report import figures

        return figures.of_run(self, f"{self.target.name}, {name_of(self.method)}")

    @property
    def task(self) -> Task:
        """What was trained."""
        return Task(self.method, self.target, self.config, self.standardize)

    @property
    def units(self) -> Units:
        """The units that the target is trained and measured in."""
        return self.task.data_units

    @property
    def shift(self) -> np.ndarray:
        """f64[dim], from the networks' units to data units: data = shift + scale · x, if the units have no chart."""
        return self.units.shift + self.units.scale * np.asarray(self.task.in_training_units.units[0], np.float64)

    @property
    def scale(self) -> np.ndarray:
        """f64[dim], from the networks' units to data units: data = shift + scale · x, if the units have no chart."""
        return self.units.scale * np.asarray(self.task.in_training_units.units[1], np.float64)

    @property
    def _nameless(self) -> Task:
        """The task in training units, with the programs of all targets of its family."""
        task = self.task.in_training_units
        return task._replace(target=replace(task.target, name=""))

    def sample(self, key: Key, num_samples: int, condition: ArrayLike | None = None) -> jax.Array | np.ndarray:
        """Draws f32[num_samples, dim] in data units; f64 of NumPy if float32 does not hold these, or after a chart.

        Samples of a column with a step or an atom have it, too.

        Args:
          key: determines the samples.
          num_samples: at least 1.
          condition: for a model with classes, labels i32[num_samples] or one for all; None for classes as frequent as
            in the target.

        Raises:
          ValueError: for labels of a model without classes, or labels out of range.
        """
        samples = self.units.to_data(self.sample_in_training_units(key, num_samples, condition))
        if (discrete := self.target.discrete) is not None:
            samples = discrete.restore(jax.random.fold_in(key, 1), samples)
        return jnp.asarray(samples, dtype=float) if self.units.are_held else samples

    def sample_in_training_units(self, key: Key, num_samples: int, condition: ArrayLike | None = None) -> jax.Array:
        """Draws f32[num_samples, dim] of `target.standardized()`; arguments as in `sample`."""
        num_samples = door.as_count(num_samples, "Result.sample: num_samples")
        labels = self._labels(condition, num_samples)
        return _PROGRAMS.call(evaluate.draw_samples, self._nameless, key, self.state, labels, num_samples=num_samples)

    def log_prob(self, x: ArrayLike, condition: ArrayLike | None = None) -> jax.Array:
        """The model's log density in nats, f32[n], or f32[] of one number; −∞ at infinite points, NaN at NaN.

        Of a column with a step it is the density of values plus noise: its mean over the noise, plus log(step), is at
        most the log probability of a value (Theis et al. 2016, equation 6). Of one with an atom it is that of the rest.

        Args:
          x: f64[n, dim], in data units; in one dimension also f64[n], or one number.
          condition: for a model with classes, labels i32[n] or one for all; None for the mixture of all classes.

        Raises:
          ValueError: if the density is intractable, for x of another shape, or for labels as in `sample`.
        """
        if self.method.log_prob is None:
            raise ValueError("log_prob: this method's density is intractable")
        rows = self._rows(x)
        z, slope = self.units.to_training(rows), self.units.log_slope(rows)
        z = jnp.asarray(z, dtype=float)
        found = _PROGRAMS.call(evaluate.log_prob, self._nameless, self.state, z, self._labels(condition, len(z)))
        found = jnp.where(jnp.isneginf(slope), slope, found + slope)
        found = jnp.where(jnp.isnan(rows).any(axis=1), jnp.nan, found)
        return found if np.ndim(x) else found[0]

    def _rows(self, x: ArrayLike) -> jax.Array | np.ndarray:
        """The points f[n, dim] that the caller of `log_prob` means."""
        name, dim = "Result.log_prob: x", self.target.dim
        try:
            found = x if isinstance(x, jax.Array) else np.asarray(x)
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be real numbers, not {type(x).__name__}") from None
        rows = found.reshape(-1, 1) if dim == 1 and found.ndim < 2 else found
        door.check_rows(rows, dim, name, "[n, 1], [n] or []" if dim == 1 else f"[n, {dim}]")
        return rows

    def _labels(self, condition: ArrayLike | None, num_rows: int) -> jax.Array | None:
        if condition is None:
            return None
        num_classes = self.task.num_classes
        if not num_classes:
            raise ValueError("condition: this model has no classes")
        labels = np.asarray(condition)
        allowed = np.issubdtype(labels.dtype, np.integer) and labels.shape in ((), (num_rows,))
        if not allowed or labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(f"condition: must be an integer, or {num_rows} of them, from 0 to {num_classes - 1}")
        return jnp.broadcast_to(labels, (num_rows,))


def fit(
    key: Key | int,
    method: Method | ModuleType | str,
    target: Target | ArrayLike | str,
    config: Config,
    num_steps: int,
    *,
    batch_size: int = 256,
    eval_every: int | None = None,
    num_samples: int = 10_000,
    standardize: bool | None = None,
    thresholds: verdict_lib.Thresholds | Mapping[str, float] = verdict_lib.DEFAULT_THRESHOLDS,
    matmul_precision: str = "highest",
) -> Result:
    """Trains one run, with the programs of a sweep.

    `fit(jax.random.key(s), ...)` and seed s of a sweep whose blocks are one lane wide give the same bits.

    Args:
      key: determines everything: the initial state, the data and the latents; or a seed. It must be concrete: inside of
        `jit` or `vmap`, use `run`.
      method: the method to train, its module or its name.
      target: the distribution to learn, its name, or a column of numbers, f64[n].
      config: the hyper-parameters; `dim` and `num_steps` are set from the other arguments.
      num_steps: how many steps to take, at least 1.
      batch_size: rows of each minibatch, at least 1.
      eval_every: steps between points of the history, a divisor of `num_steps`; None for up to 50 points, or as
        few as 10 where drawing their samples would take more than a tenth of the training.
      num_samples: samples for the final metrics, at least 1.
      standardize: whether to train on (x − mean)/std; results are in data units all the same. None for what the config
        says.
      thresholds: the verdict's limits, or a dict of those that differ from the defaults.
      matmul_precision: of float32 products, `highest`, `high` or `default`; they differ on GPUs and TPUs only.

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
    if isinstance(key, jax.core.Tracer):
        raise ValueError("fit: the key is traced: inside of jit, vmap and the like use jgen1d.run")
    key, thresholds = arguments.as_key(key), arguments.as_thresholds(thresholds)
    task = prepare((method, target, config, standardize), num_steps, batch_size, num_samples)
    eval_every = choose_eval_every(eval_every, num_steps, batch_size, [task])
    check_matmul_precision(matmul_precision)
    spec = Spec(task.method, num_steps, batch_size, eval_every, num_samples, standardize, matmul_precision)
    lane = Lane((0, 0, 0), task.target, task.config, 0)
    group = Group.single(lane)
    outcome = run_block(spec, group, [lane], key[None], list(key.devices()))
    leaves, history, metrics, diverged_at, _ = jax.tree.map(lambda leaf: leaf[0], outcome)
    state = group.cover.unpad(task.config, leaves, task.method.init)
    steps = eval_every * np.arange(1, num_steps // eval_every + 1)
    name = str(judge(task, history, metrics, diverged_at, thresholds))
    return as_result(task, state, steps, history, metrics, diverged_at, name, thresholds)


def judge(
    task: Task,
    history: Mapping[str, np.ndarray],
    metrics: Mapping[str, np.ndarray],
    diverged_at: ArrayLike,
    thresholds: verdict_lib.Thresholds,
) -> np.ndarray:
    """The verdicts of runs of one task; see `verdict.classify`."""
    optimum = task.method.loss_optimum(task.config) if task.method.loss_optimum else None
    return verdict_lib.classify(history, metrics, optimum, len(task.target.modes.scales), diverged_at, thresholds)


def as_result(
    task: Task,
    state: State,
    steps: np.ndarray,
    history: dict[str, np.ndarray],
    metrics: Mapping[str, np.ndarray],
    diverged_at: ArrayLike,
    verdict_name: str,
    thresholds: verdict_lib.Thresholds,
) -> Result:
    """The `Result` of one lane's arrays; `task` is bound to its target."""
    scalars = {name: value if np.ndim(value) else float(value) for name, value in metrics.items()}
    return Result(
        task.method, task.target, task.config, state, steps, history, scalars, verdict_name,
        int(np.asarray(diverged_at)), task.is_standardized, thresholds,
    )  # fmt: skip
