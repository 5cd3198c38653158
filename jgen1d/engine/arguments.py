"""What may a caller pass as a key, a method, a target, configs, seeds or thresholds, and what is meant by it?

What has one plain meaning is taken: a name, a module with a METHOD, a column of numbers, a single config. Everything
else is refused in one line, with what is allowed.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jgen1d import targets as target_lib
from jgen1d.core import Config, Key, Method, unknown
from jgen1d.evaluation.verdict import Thresholds
from jgen1d.methods import METHODS
from jgen1d.targets import Target

MAX_SEED = 2**32 - 1


def shown(value: Any) -> str:
    """A value as errors show it, on one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def as_key(key: Any) -> Key:
    """One key, also of the seed's number or of the old kind, `jax.random.PRNGKey`."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return jax.random.key(as_seed(key))
    if not isinstance(key, jax.Array):
        raise ValueError(f"key must be a jax.random.key or a seed, not {shown(key)}")
    if not jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.dtype != np.uint32 or key.shape != (2,):
            raise ValueError(f"key must be a jax.random.key or a seed, not an array {key.dtype}{list(key.shape)}")
        key = jax.random.wrap_key_data(key)
    if key.shape:
        raise ValueError(f"key must be one key, not {list(key.shape)}: use sweep, or jax.vmap over jgen1d.run")
    return key


def as_method(method: Any) -> Method:
    """A method, also by its name, or as its module."""
    if isinstance(method, str):
        if method not in METHODS:
            raise ValueError(f"no method {unknown(method, METHODS)}")
        return METHODS[method]
    found = getattr(method, "METHOD", None) if isinstance(method, types.ModuleType) else method
    if not isinstance(found, Method):
        raise ValueError(f"method must be a jgen1d.core.Method, such as gan.METHOD, or a name, not {shown(method)}")
    return found


def as_target(target: Any) -> Target:
    """A target, also by its name, or as the column of numbers that it is the distribution of."""
    if isinstance(target, str):
        return target_lib.get(target)
    if isinstance(target, np.ndarray | jax.Array | list | tuple):
        return target_lib.empirical(target)
    if not isinstance(target, Target):
        raise ValueError(f"target must be a jgen1d.Target, a name or a column of numbers, not {shown(target)}")
    return target


def as_config(config: Any, method: Method) -> Config:
    """A config of the method."""
    if not isinstance(config, method.Config):
        raise ValueError(
            f"config must be a {method.Config.__module__}.{method.Config.__qualname__}, not {shown(config)}"
        )
    return config


def as_targets(targets: Any) -> tuple[Target, ...]:
    """At least one target; a single one need not be in a list."""
    one = isinstance(targets, str | Target | np.ndarray | jax.Array)
    return tuple(map(as_target, _several("targets", [targets] if one else targets)))


def as_configs(configs: Any, method: Method) -> tuple[Config, ...]:
    """At least one config of the method; a single one need not be in a list."""
    one = isinstance(configs, method.Config)
    return tuple(as_config(config, method) for config in _several("configs", [configs] if one else configs))


def as_seed(seed: Any) -> int:
    """An integer from 0 to `MAX_SEED`."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed {shown(seed)}: must be an integer from 0 to 2**32 - 1")
    return int(seed)


def as_seeds(seeds: Any) -> tuple[int, ...]:
    """At least one seed, each once."""
    found = tuple(map(as_seed, _several("seeds", seeds)))
    if len(set(found)) < len(found):
        twice = next(seed for seed, count in collections.Counter(found).items() if count > 1)
        raise ValueError(f"seed {twice} is given twice: the same seed gives the same run")
    return found


def as_thresholds(thresholds: Any) -> Thresholds:
    """The verdict's limits, also as a mapping of those that differ from the defaults."""
    if isinstance(thresholds, Thresholds):
        return thresholds
    if not isinstance(thresholds, Mapping):
        raise ValueError(f"thresholds must be a jgen1d.verdict.Thresholds or a dict, not {shown(thresholds)}")
    for name in thresholds:
        if name not in Thresholds._fields:
            raise ValueError(f"thresholds: no limit {unknown(str(name), Thresholds._fields)}")
    return Thresholds(**thresholds)


def _several(name: str, values: Any) -> Sequence[Any]:
    """The values as a sequence, at least one."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        raise ValueError(f"{name} must be a list, not {shown(values)}")
    found = list(values)
    if not found:
        raise ValueError(f"{name} must not be empty")
    return found
