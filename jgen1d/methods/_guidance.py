"""Labels in diffusion models and flows: one network learns with and without them, and guidance exaggerates them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from jgen1d.core import Key, pytree_dataclass, static, traced
from jgen1d.methods import _adam

T = TypeVar("T")


@pytree_dataclass
class GuidedConfig(_adam.DescentConfig):
    """The hyper-parameters of labels; a method's config extends it."""

    num_classes: int = static(default=0, at_least=0, help="classes of labelled data, the target's modes; 0: no labels")
    condition_dim: int = static(default=0, at_least=0, help="entries of a real-valued condition; 0: none")
    label_dropout: float = traced(default=0.1, at_least=0, below=1, help="share of labels that training leaves out")
    guidance: float | None = traced(
        default=None, at_least=0, optional=True, help="by how much samples overstate what their label tells"
    )


def drop(key: Key, condition: jax.Array, config: GuidedConfig) -> jax.Array:
    """The labels i32[n], a share of them replaced by −1, so that the network learns the distribution of all data, too.

    A real-valued condition, f32[n, condition_dim], is kept: no value of it means that there is none.

    References:
      Ho & Salimans 2022, Classifier-free diffusion guidance, algorithm 1.
    """
    if config.condition_dim:
        return condition
    return jnp.where(jax.random.bernoulli(key, config.label_dropout, condition.shape), -1, condition)


def guide(predict: Callable[[jax.Array | None], T], condition: jax.Array | None, config: GuidedConfig) -> T:
    """(1 + w)·predict(labels) − w·predict(None), with w the guidance; None leaves the second prediction out.

    Args:
      predict: labels i32[n] or None -> a network's prediction, or a tree of such, linear in the score.
      condition: labels i32[n], or None for the distribution of all data.
      config: `guidance`.

    References:
      Ho & Salimans 2022, Classifier-free diffusion guidance, equation 6.
    """
    given = predict(condition)
    if condition is None or (weight := config.guidance) is None:
        return given
    return jax.tree.map(lambda with_label, free: (1 + weight) * with_label - weight * free, given, predict(None))
