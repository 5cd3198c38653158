"""What conditional models are given, class labels or real numbers: how it is passed to a method, and checked."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def num_classes(config: Any) -> int:
    """How many classes of labels a config with the field `num_classes` asks for: such methods' `Method.num_classes`."""
    return config.num_classes


def condition_keyword(labels: jax.Array | None) -> dict[str, Any]:
    """The keyword that passes labels, i32[n], to a method's functions; empty for None."""
    return {} if labels is None else {"condition": labels}


def check_condition(config: Any, condition: jax.Array | None, num_rows: int) -> jax.Array | None:
    """Checks labels against the config's `num_classes`, or real numbers against its `condition_dim`, and returns them.

    Raises:
      ValueError: if a condition is passed but the config has none, if it is missing although the config has one, or if
        it is not i[num_rows], or f[num_rows, condition_dim].
    """
    dim = getattr(config, "condition_dim", 0)  # not all families have it
    if condition is None:
        if config.num_classes:
            raise ValueError(f"condition: num_classes={config.num_classes} needs labels, i32[n]")
        if dim:
            raise ValueError(f"condition: condition_dim={dim} needs real numbers, f32[n, {dim}]")
        return None
    condition = jnp.asarray(condition)
    if dim:
        if condition.shape != (num_rows, dim) or not jnp.issubdtype(condition.dtype, jnp.floating):
            shape = list(condition.shape)
            raise ValueError(f"condition: must be real numbers [{num_rows}, {dim}], not {condition.dtype}{shape}")
        return condition
    if not config.num_classes:
        raise ValueError("condition: labels need a config with num_classes above 0")
    if condition.shape != (num_rows,) or not jnp.issubdtype(condition.dtype, jnp.integer):
        raise ValueError(f"condition: must be integers [{num_rows}], not {condition.dtype}{list(condition.shape)}")
    return condition
