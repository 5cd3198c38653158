"""What a run trains: a method with its config on a target, and the units in which it does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Config, Method, PyTree, replace, validate
from jgen1d.engine.arguments import as_config, as_method, as_target
from jgen1d.targets import SCALES_HELD, Target, Units

FINEST = 0.01
"""Of a standard deviation: the coarsest steps between floats in which a distribution still has a shape."""


class Task(NamedTuple):
    """What a run trains.

    Attributes:
      method: the method.
      target: the distribution to learn.
      config: the method's hyper-parameters.
      standardize: whether to train on (x − mean)/std; None for what the method says.
    """

    method: Method
    target: Target
    config: Config
    standardize: bool | None = None

    @property
    def is_standardized(self) -> bool:
        """Whether it trains on (x − mean)/std."""
        return self.method.standardize(self.config) if self.standardize is None else self.standardize

    @property
    def in_training_units(self) -> Task:
        """The task of the same target in its training units, as the engine computes it."""
        return self._replace(target=self.target.standardized()) if self.is_standardized else self

    @property
    def data_units(self) -> Units:
        """How the target of `in_training_units` comes from data units."""
        return self.target.units if self.is_standardized else Units(np.zeros(self.target.dim), 1.0)

    @property
    def units(self) -> tuple[jax.Array, jax.Array]:
        """The shift and the scale, f32[dim] each, that the networks' units are taken to the target's with."""
        return units(self.target, self.is_standardized)

    @property
    def num_classes(self) -> int:
        """How many classes of labels the model takes; 0 if it takes none."""
        return self.method.num_classes(self.config)

    def num_rows(self, batch_size: int) -> int:
        """Rows of the batch that a step takes."""
        return batch_size * self.method.num_minibatches(self.config)


def units(target: Target, standardize: bool) -> tuple[jax.Array, jax.Array]:
    """The shift and the scale, f32[dim] each, from training units to data units: the target's mean and `spread`."""
    mean, std = (jnp.asarray(value, dtype=float) for value in (target.mean, target.spread))
    return (mean, std) if standardize else (jnp.zeros_like(mean), jnp.ones_like(std))


def prepare(task: Task | tuple, num_steps: int, batch_size: int, num_samples: int) -> Task:
    """Checks a run's arguments before anything is compiled, and binds its config to the target and the length.

    Raises:
      ValueError: in one line, with the argument, its value and what is allowed.
    """
    asked = Task(*task)
    method = as_method(asked.method)
    target, config = as_target(asked.target), as_config(asked.config, method)
    task = Task(method, target, config, asked.standardize)
    for name, value in {"num_steps": num_steps, "batch_size": batch_size, "num_samples": num_samples}.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r}: must be an integer of at least 1")
    allowed = target.num_classes
    if method.num_classes(config) not in (0, allowed):
        what = "modes to be labels" if target.dim <= 2 else "labels"
        raise ValueError(
            f"num_classes={method.num_classes(config)}: the target {target.name!r} has {allowed or 'no'} {what}"
        )
    _require_resolution(task)
    config = bind(method, config, target, int(num_steps))
    validate(config)
    state_shapes(method.init, config)
    return task._replace(config=config)


def state_shapes(init: Callable, config: Config) -> PyTree:
    """The shapes and dtypes of the state that `init` makes. Configs of one structure share them."""
    leaves, structure = jax.tree.flatten(config)
    return _state_shapes(init, structure, tuple(map(jax.typeof, leaves)))


@functools.lru_cache(256)
def _state_shapes(init: Callable, structure: Any, kinds: tuple[Any, ...]) -> PyTree:
    return jax.eval_shape(init, jax.random.key(0), jax.tree.unflatten(structure, kinds))


def _require_resolution(task: Task) -> None:
    """Raises ValueError if the numbers that training works with cannot tell the target's values apart."""
    target, units = task.target, task.target.units
    if isinstance(units.scale, jax.core.Tracer):
        return
    size, scale = np.max(np.abs(target.mean)), np.min(target.std)
    if not (np.isfinite(size) and 0 < scale < np.inf) or np.spacing(size) > FINEST * scale:
        raise ValueError(f"target {target.name!r}: float64 cannot tell values {scale:.2g} apart at {size:.2g}")
    if task.is_standardized:
        return
    if units.chart.kind in ("positive", "interval"):
        raise ValueError(f"target {target.name!r} has a support, which needs training units: set standardize=True")
    low, high = SCALES_HELD
    if not low <= scale <= high or size > high or np.spacing(np.float32(size)) > FINEST * scale:
        raise ValueError(
            f"target {target.name!r}: this config trains on data units, and float32 does not hold values {scale:.2g} "
            f"apart at {size:.2g}: set standardize=True, or choose another config"
        )


def bind(method: Method, config: Config, target: Target, num_steps: int) -> Config:
    """The config for this target and a run of this length; its field `shape`, if it has one, is the target's."""
    bound = method.bind(config, target.dim, num_steps)
    return replace(bound, shape=target.shape) if hasattr(bound, "shape") else bound
