"""One model trained by gradient descent on one loss: what every method but the adversarial ones shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jgen1d.core import Info, PyTree, pytree_dataclass, static, traced
from jgen1d.methods import _optimizer


@pytree_dataclass
class DescentConfig:
    """The hyper-parameters of the optimizer and of weight averaging; a method's config extends it."""

    dim: int = static(default=1, at_least=1, help="dimension of the data; set by fit and sweep")
    shape: tuple[int, ...] | None = static(default=None, help="of one signal or image; set by fit and sweep")
    num_steps: float = traced(default=5_000.0, at_least=1, help="horizon of the schedule; set by fit and sweep")
    optimizer: Any = static(default="adam", choices=_optimizer.OPTIMIZERS, own=Callable, help="of the parameters")
    schedule: str = static(default="cosine", choices=_optimizer.SCHEDULES, help="of the learning rate")
    learning_rate: float = traced(default=3e-3, at_least=0, help="the optimizer's step size")
    beta1: float = traced(default=0.9, at_least=0, below=1, help="decay of the first moment")
    beta2: float = traced(default=0.99, at_least=0, below=1, help="decay of the second moment")
    ema_decay: float | None = traced(default=0.998, at_least=0, below=1, optional=True, help="weight averaging")
    max_grad_norm: float | None = traced(default=None, above=0, optional=True, help="bound on the gradient's norm")


class State(NamedTuple):
    """Parameters, optimizer state, averaged parameters (None without averaging), and the step count."""

    params: PyTree
    opt_state: optax.OptState
    ema_params: PyTree
    step: jax.Array

    @property
    def eval_params(self) -> PyTree:
        """The parameters to sample and measure with: the averaged ones, if there are any."""
        return self.params if self.ema_params is None else self.ema_params


def start(params: PyTree, config: DescentConfig) -> State:
    """The state before the first step."""
    step = jnp.zeros((), int)
    ema_params = None if config.ema_decay is None else params
    return State(params, _build(config, step).init(params), ema_params, step)


def descend(
    loss_of: Callable[[PyTree], tuple[jax.Array, Info]], state: State, config: DescentConfig
) -> tuple[State, Info]:
    """One step of the optimizer.

    Args:
      loss_of: `params -> (loss: f32[], more of the info)`.
      state: from `start` or the previous step.
      config: the hyper-parameters.

    Returns:
      The next state, and the info with `loss` and `grad_norm`.

    References:
      Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1.
    """
    (loss, info), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = _build(config, state.step).update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema_params = state.ema_params
    if config.ema_decay is not None:
        ema_params = optax.incremental_update(params, ema_params, 1 - config.ema_decay)
    info = {"loss": loss, "grad_norm": optax.tree.norm(gradients), **info}
    return State(params, opt_state, ema_params, state.step + 1), info


def _build(config: DescentConfig, step: jax.Array) -> optax.GradientTransformation:
    return _optimizer.build(config.optimizer, config.learning_rate, config.beta1, config.beta2, step, config)
