"""What is checked and settled at the door of a method's functions, whoever calls them and within whatever?

Each of a method's four functions has a decorator of its name here. Where there is nothing to settle, they leave no
trace in the compiled program, but for what `log_prob` does at points that are not finite:

- Rows are real numbers [n, dim], and not none; lists and integers become JAX's default float, float64 under
  `jax_enable_x64`. A number of samples is an integer of at least 1. Anything else is one line.
- `init` returns no array twice, as parameters and as their average, so that the caller may donate the state to a step;
  `step` returns the dtypes of the state that it got. Neither returns weak types, because the next step would then be
  compiled again.
- Within a caller's `jax.shard_map` a run belongs to its device: what goes in, and a state that comes out, varies over
  all axes that any of it varies over. Else zeros in a state could not be a loop's carry, and JAX would sum their
  gradients over the devices.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def init(function: F) -> F:
    """For `(key, config) -> state`."""

    @functools.wraps(function)
    def settled(key: Any, config: Any) -> Any:
        return jax.tree.map(_strong, _apart(vary((key, config, function(key, config)))[2]))

    return cast(F, settled)


def step(function: F) -> F:
    """For `(key, state, batch, config) -> (state, info)`; more arguments, such as labels, are passed on."""
    name = _name(function)

    @functools.wraps(function)
    def settled(key: Any, state: Any, batch: Any, config: Any, *labels: Any, **keywords: Any) -> Any:
        batch = as_rows(batch, config.dim, f"{name}: batch")
        inputs, labels, keywords = vary(((key, state, batch, config), labels, keywords))
        _, after, info = vary((inputs, *function(*inputs, *labels, **keywords)))
        return jax.tree.map(_as_before, after, state), info

    return cast(F, settled)


def sample(function: F) -> F:
    """For `(key, state, num_samples, config) -> f[num_samples, dim]`; more arguments are passed on."""
    name = _name(function)

    @functools.wraps(function)
    def settled(key: Any, state: Any, num_samples: Any, config: Any, *labels: Any, **keywords: Any) -> Any:
        num_samples = as_count(num_samples, f"{name}: num_samples")
        (key, state, config), labels, keywords = vary(((key, state, config), labels, keywords))
        return function(key, state, num_samples, config, *labels, **keywords)

    return cast(F, settled)


def log_prob(function: F) -> F:
    """For `(state, x, config) -> f[n]`; more arguments are passed on. It is −∞ at infinite points, and NaN at NaN."""
    name = _name(function)

    @functools.wraps(function)
    def settled(state: Any, x: Any, config: Any, *labels: Any, **keywords: Any) -> Any:
        x = as_rows(x, config.dim, f"{name}: x")
        (state, x, config), labels, keywords = vary(((state, x, config), labels, keywords))
        is_infinite = jnp.isinf(x)
        found = function(state, jnp.where(is_infinite, 0, x), config, *labels, **keywords)
        found = jnp.where(jnp.any(is_infinite, axis=1), -jnp.inf, found)
        return jnp.where(jnp.any(jnp.isnan(x), axis=1), jnp.nan, found)

    return cast(F, settled)


def as_rows(rows: Any, dim: int, name: str) -> jax.Array:
    """Real numbers [n, dim], n at least 1, in JAX's default float; lists of numbers and integers become such.

    Raises:
      ValueError: for anything else, in one line that starts with `name`.
    """
    if not isinstance(rows, jax.Array | np.ndarray):
        try:
            rows = jnp.asarray(rows)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{name} must be real numbers [n, {dim}], not {type(rows).__name__}") from None
    check_rows(rows, dim, name, f"[n, {dim}]")
    return jnp.asarray(rows, float)


def check_rows(rows: jax.Array | np.ndarray, dim: int, name: str, expected: str) -> None:
    """Raises ValueError, in one line that starts with `name`, unless these are real numbers [n, dim], n at least 1."""
    if not (jnp.issubdtype(rows.dtype, jnp.floating) or jnp.issubdtype(rows.dtype, jnp.integer)):
        raise ValueError(f"{name} must be real numbers, not {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"{name} must have shape {expected}, not {list(rows.shape)}")
    if not len(rows):
        raise ValueError(f"{name} must have at least one row: its shape is {list(rows.shape)}")


def as_count(count: Any, name: str) -> int:
    """An integer of at least 1. Raises ValueError for anything else, in one line that starts with `name`."""
    if isinstance(count, jax.core.Tracer):
        raise ValueError(f"{name} must be an integer of at least 1, not traced: name it in jit's static_argnames")
    try:
        number = 0 if isinstance(count, bool) else operator.index(count)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be an integer of at least 1, not {count!r}")
    return number


def vary(tree: Any) -> Any:
    """The tree, each array of it varying over all axes of a `jax.shard_map` that any of them varies over."""
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return tree
    axes = frozenset().union(*map(_axes, jax.tree.leaves(tree)))
    return jax.tree.map(lambda leaf: _widen(leaf, axes) if axes else leaf, tree)


def _apart(tree: Any) -> Any:
    """The tree, with copies of arrays that are in it twice."""
    seen: set[int] = set()

    def copy(leaf: Any) -> Any:
        if id(leaf) in seen:
            return jnp.copy(leaf)
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(copy, tree)


def _as_before(new: jax.Array, old: jax.Array) -> jax.Array:
    return _strong(new if new.dtype == old.dtype else new.astype(old.dtype))


def _strong(leaf: Any) -> Any:
    """Without the weak type of what came from a Python number."""
    return jax.lax.convert_element_type(leaf, leaf.dtype) if getattr(leaf, "weak_type", False) else leaf


def _axes(leaf: Any) -> frozenset[str]:
    return jax.typeof(leaf).manual_axis_type.varying if isinstance(leaf, jax.Array) else frozenset()


def _widen(leaf: Any, axes: frozenset[str]) -> Any:
    missing = tuple(sorted(axes - _axes(leaf)))
    if not missing or not isinstance(leaf, jax.Array):
        return leaf
    wide = jax.lax.pcast(leaf, missing, to="varying")
    # JAX's check of key reuse takes what is cast for used.
    return jax.random.clone(wide) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else wide


def _name(function: Callable) -> str:
    """As callers know it, such as gan.step."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
