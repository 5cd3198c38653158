"""Optimizers by name or the user's own, with a schedule and clipping.

They are rebuilt from traced values at every step, which costs nothing once compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jgen1d.core import lookup

OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": optax.adam,
    "optimistic_adam": optax.optimistic_adam_v2,
}
"""By name; each takes the learning rate, `b1` and `b2`. A user's own takes the learning rate alone."""
SCHEDULES = ("constant", "cosine")
"""Of the learning rate over a run."""


def build(
    optimizer: str | Callable[[Any], optax.GradientTransformation],
    learning_rate: Any,
    beta1: Any,
    beta2: Any,
    step: jax.Array,
    config: Any,
    **options: Any,
) -> optax.GradientTransformation:
    """The optimizer of one step.

    Args:
      optimizer: a name in `OPTIMIZERS`, or `learning_rate -> optax.GradientTransformation`.
      learning_rate: f32[], at the start of the schedule.
      beta1: f32[], the decay of the first moment; unused by a user's own.
      beta2: f32[], the decay of the second moment; unused by a user's own.
      step: i32[], how many steps the run has taken.
      config: `schedule`, `num_steps` and `max_grad_norm`.
      **options: more keywords of the named optimizers.
    """
    rate = learning_rate * (cosine(step, config.num_steps) if config.schedule == "cosine" else 1.0)
    clip = [] if config.max_grad_norm is None else [optax.clip_by_global_norm(config.max_grad_norm)]
    make = lookup(OPTIMIZERS, optimizer)
    keywords = {"b1": beta1, "b2": beta2, **options} if isinstance(optimizer, str) else {}
    return optax.chain(*clip, make(rate, **keywords))


def cosine(step: jax.Array, num_steps: Any) -> jax.Array:
    """Half a cosine from 1 at step 0 to 0 at `num_steps`, which may be traced, unlike that of optax's schedule.

    References:
      Loshchilov & Hutter 2017, SGDR: stochastic gradient descent with warm restarts, equation 5.
    """
    return 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step, num_steps) / num_steps))
