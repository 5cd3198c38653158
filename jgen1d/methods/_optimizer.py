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
from jgen1d.maths.roots import flat_sqrt


def _moments(b1: Any, b2: Any, eps_root: Any, nesterov: bool) -> optax.GradientTransformation:
    """`optax.scale_by_adam`, to the bit, but that its derivative is finite where a gradient was 0 in all steps."""

    def init(params: optax.Params) -> optax.ScaleByAdamState:
        zeros = optax.tree.zeros_like
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), zeros(params), zeros(params))

    def update(
        updates: optax.Updates, state: optax.ScaleByAdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.ScaleByAdamState]:
        del params
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        count = optax.safe_increment(state.count)
        if nesterov:
            ahead = optax.tree.bias_correction(mu, b1, optax.safe_increment(count))
            now = optax.tree.bias_correction(updates, b1, count)
            mu_hat = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, ahead, now)
        else:
            mu_hat = optax.tree.bias_correction(mu, b1, count)
        nu_hat = optax.tree.bias_correction(nu, b2, count)
        updates = jax.tree.map(lambda m, v: m / (flat_sqrt(v + eps_root) + 1e-8), mu_hat, nu_hat)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def _adam(learning_rate: Any, b1: Any, b2: Any, eps_root: Any = 0.0) -> optax.GradientTransformation:
    """`optax.adam`."""
    return optax.chain(_moments(b1, b2, eps_root, False), optax.scale_by_learning_rate(learning_rate))


def _optimistic_adam(learning_rate: Any, b1: Any, b2: Any, eps_root: Any = 0.0) -> optax.GradientTransformation:
    """`optax.optimistic_adam_v2`."""
    ahead = optax.scale_by_optimistic_gradient(1.0, 1.0)
    return optax.chain(_moments(b1, b2, eps_root, True), ahead, optax.scale_by_learning_rate(learning_rate))


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": _adam,
    "optimistic_adam": _optimistic_adam,
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
