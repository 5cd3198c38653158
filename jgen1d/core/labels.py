"""Class labels of conditional models: how they are passed to a method, and checked."""

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
    """Checks labels against the config's `num_classes`, and returns them.

    Raises:
      ValueError: if labels are passed but the config has no classes, if they are missing although it has, or if they
        are not i[num_rows].
    """
    if condition is None:
        if config.num_classes:
            raise ValueError(f"condition: num_classes={config.num_classes} needs labels, i32[n]")
        return None
    if not config.num_classes:
        raise ValueError("condition: labels need a config with num_classes above 0")
    condition = jnp.asarray(condition)
    if condition.shape != (num_rows,) or not jnp.issubdtype(condition.dtype, jnp.integer):
        raise ValueError(f"condition: must be integers [{num_rows}], not {condition.dtype}{list(condition.shape)}")
    return condition
