"""One model trained by gradient descent on one loss: what every method but the adversarial ones shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jgen1d.core import Info, PyTree, pytree_dataclass, static, traced


@pytree_dataclass
class DescentConfig:
    """The hyper-parameters of Adam and its weight averaging; a method's config extends it, with defaults of its own."""

    dim: int = static(default=1, at_least=1, help="dimension of the data; set by fit and sweep")
    num_steps: int = static(default=5_000, at_least=1, help="horizon of the schedule; set by fit and sweep")
    schedule: str = static(default="cosine", choices=("constant", "cosine"), help="of the learning rate")
    learning_rate: float = traced(default=3e-3, at_least=0, help="Adam's step size")
    beta1: float = traced(default=0.9, at_least=0, below=1, help="decay of the first moment")
    beta2: float = traced(default=0.99, at_least=0, below=1, help="decay of the second moment")
    ema_decay: float | None = traced(default=0.998, at_least=0, below=1, optional=True, help="weight averaging")
    max_grad_norm: float | None = traced(default=None, above=0, optional=True, help="bound on the gradient's norm")


class State(NamedTuple):
    """Parameters, optimiser state, averaged parameters (None without averaging), and the step count."""

    params: PyTree
    opt: optax.OptState
    average: PyTree
    step: jax.Array

    @property
    def weights(self) -> PyTree:
        """The parameters to sample and measure with: the averaged ones where there are such."""
        return self.params if self.average is None else self.average


def start(params: PyTree, config: DescentConfig) -> State:
    """The state before the first step."""
    step = jnp.zeros((), int)
    average = None if config.ema_decay is None else params
    return State(params, _optimizer(config, step).init(params), average, step)


def descend(
    loss_of: Callable[[PyTree], tuple[jax.Array, Info]], state: State, config: DescentConfig
) -> tuple[State, Info]:
    """One step of Adam.

    Args:
      loss_of: the loss, f32[], of parameters, and what else goes into the info.
      state: from `start` or the step before.
      config: the hyper-parameters.

    Returns:
      The next state, and the info with `loss` and `grad_norm`.

    References:
      Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1.
    """
    (loss, info), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt = _optimizer(config, state.step).update(gradients, state.opt)
    params = optax.apply_updates(state.params, updates)
    average = state.average
    if config.ema_decay is not None:
        average = optax.incremental_update(params, average, 1 - config.ema_decay)
    return State(params, opt, average, state.step + 1), {"loss": loss, "grad_norm": optax.tree.norm(gradients), **info}


def _optimizer(config: DescentConfig, step: jax.Array) -> optax.GradientTransformation:
    """Rebuilt from traced values at every step, which costs nothing once compiled."""
    decay = 1.0 if config.schedule == "constant" else optax.cosine_decay_schedule(1.0, config.num_steps)(step)
    bound = [] if config.max_grad_norm is None else [optax.clip_by_global_norm(config.max_grad_norm)]
    return optax.chain(*bound, optax.adam(config.learning_rate * decay, b1=config.beta1, b2=config.beta2))
