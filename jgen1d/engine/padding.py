"""Which configs can share a program though their networks differ in size or their losses in kind, and how.

Smaller networks are padded with units that stay zero (see `nets.Padded`), and of the losses all are computed and one is
selected. The rule for authors of methods: pass sizes on to `nets` and to shapes, and never calculate with them. Draw
random arrays with the padded axis first. A method that breaks the rule raises `CannotPad`, and its configs get programs
of their own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Config, PyTree, condition_keyword, format_value, lookup, pytree_dataclass, replace, static
from jgen1d.core import sizes as sizes_of
from jgen1d.engine.task import Task, state_shapes
from jgen1d.nets import CannotPad, Padded

Variant = dict[str, Any]
"""What may differ in one program, by field: units of hidden layers, one number, or a loss."""


class AnyOf(NamedTuple):
    """Several losses in the place of one; each lane's index selects its own."""

    losses: tuple[Any, ...]

    def __str__(self) -> str:
        """Their names."""
        return "|".join(str(format_value(loss)) for loss in self.losses)


@pytree_dataclass
class Padding:
    """The config of lanes that share a program though their sizes or losses differ.

    Attributes:
      config: with sizes that fit all of them, and with all their losses.
      active: each lane's own, by field: sizes, i32[] or i32[layers], 0 for a layer that it does not have; or the index
        of its loss.
      shallow: the fields in which some lane lacks a layer.
    """

    config: Config
    active: dict[str, Any]
    shallow: tuple[str, ...] = static(default=())

    def resolve(self) -> Config:
        """The config with sizes that know which of their units count, and losses that select their own."""
        tables = {field.name: field.metadata.get("table") or {} for field in dataclasses.fields(self.config)}

        def padded(name: str, active: Any) -> Any:
            size = getattr(self.config, name)
            if isinstance(size, AnyOf):
                return _select([lookup(tables[name], loss) for loss in size.losses], active)
            if not isinstance(size, tuple):
                return Padded(size, active)
            return tuple(Padded(s, active[i], i > 0 and name in self.shallow) for i, s in enumerate(size))

        return dataclasses.replace(self.config, **{name: padded(name, a) for name, a in self.active.items()})


def _select(entries: Sequence[Any], index: jax.Array) -> Any:
    """One entry whose functions compute those of all entries, and select by index; what else differs is None."""

    def combine(values: Sequence[Any]) -> Any:
        if all(map(callable, values)):
            return lambda *args: jax.lax.select_n(index, *[function(*args) for function in values])
        return values[0] if all(value == values[0] for value in values) else None

    return type(entries[0])(*map(combine, zip(*entries, strict=True)))


def variant(config: Config) -> Variant:
    """In what a config may differ from others of one program."""
    selectable = [field.name for field in dataclasses.fields(config) if field.metadata.get("selectable")]
    return sizes_of(config) | {name: getattr(config, name) for name in selectable}


def family(config: Config) -> Any:
    """What configs must have in common to share a program: all that is neither a number nor in their variants."""
    neutral = {name: bool(size) if type(size) is tuple else None for name, size in variant(config).items()}
    return jax.tree.structure(dataclasses.replace(config, **neutral))


class Cover(NamedTuple):
    """The sizes and losses of one program for all of its variants.

    Attributes:
      variants: its configs' sizes and losses, each once.
      sizes: the program's: of different depths, each layer is as wide as the widest of all; and all losses.
    """

    variants: list[Variant]
    sizes: Variant

    @classmethod
    def of(cls, variants: list[Variant]) -> Cover:
        """The smallest sizes that fit all variants."""

        def cover(values: list[Any]) -> Any:
            if type(values[0]) is int:
                return max(values)
            if type(values[0]) is not tuple:
                losses = sorted(set(values), key=lambda loss: str(format_value(loss)))
                return AnyOf(tuple(losses)) if len(losses) > 1 else losses[0]
            if len({len(value) for value in values}) == 1:
                return tuple(map(max, zip(*values, strict=True)))
            return (max(map(max, values)),) * max(map(len, values))

        return cls(variants, {name: cover([one[name] for one in variants]) for name in variants[0]})

    @property
    def padded(self) -> Variant:
        """Those of the program's sizes and losses that are not every config's own."""
        return {name: size for name, size in self.sizes.items() if any(one[name] != size for one in self.variants)}

    def config(self, config: Config) -> Config | Padding:
        """A config as the program takes it."""
        if not self.padded:
            return config

        def active(own: Any, size: Any) -> Any:
            if isinstance(size, AnyOf):
                return size.losses.index(own)
            return (*own, *[0] * (len(size) - len(own))) if type(size) is tuple else own

        own = variant(config)
        depths = {
            name: {len(one[name]) for one in self.variants} for name, s in self.padded.items() if type(s) is tuple
        }
        shallow = tuple(name for name, found in depths.items() if found != {len(self.padded[name])})
        actives = {name: np.array(active(own[name], size)) for name, size in self.padded.items()}
        return Padding(replace(config, **self.padded), actives, shallow)

    def unpad(self, config: Config, leaves: Sequence[np.ndarray], init: Callable) -> PyTree:
        """A config's state from its leaves as the program holds them, without the padding."""

        if not self.padded:
            return jax.tree.unflatten(jax.tree.structure(state_shapes(init, config)), leaves)
        padded = jax.tree.unflatten(jax.tree.structure(state_shapes(_resolved(init), self.config(config))), leaves)
        by_path = dict(jax.tree_util.tree_flatten_with_path(padded)[0])

        def cut(path: Any, own: jax.ShapeDtypeStruct) -> np.ndarray:
            return by_path[path][tuple(map(slice, own.shape))]

        return jax.tree_util.tree_map_with_path(cut, state_shapes(init, config))


@functools.lru_cache(256)
def _resolved(init: Callable) -> Callable:
    """The method's `init` for a `Padding`; the same function whenever it is asked for."""
    return lambda key, config: init(key, resolve(config))


def resolve(config: Config | Padding) -> Config:
    """The config that a method's functions take, inside of a program."""
    return config.resolve() if isinstance(config, Padding) else config


def obstacle(task: Task, cover: Cover, num_rows: int) -> str:
    """Why the task's method cannot train padded networks; empty if it can."""
    method, dim = task.method, task.target.dim

    def run(key: jax.Array, batch: jax.Array, padding: Config | Padding) -> Any:
        config = resolve(padding)
        key_init, key_step, key_sample = jax.random.split(key, 3)
        state = method.init(key_init, config)
        labels = [jnp.zeros(n, int) if method.num_classes(config) else None for n in (len(batch), 1)]
        rows, row = (condition_keyword(some) for some in labels)
        log_prob = method.log_prob and method.log_prob(state, batch, config, **rows)
        sample = method.sample(key_sample, state, 1, config, **row)
        return method.step(key_step, state, batch, config, **rows), sample, log_prob

    try:
        batch = jax.ShapeDtypeStruct((num_rows, dim), float)
        jax.eval_shape(run, jax.random.key(0), batch, cover.config(task.config))
    except TypeError as error:
        if not isinstance(error, CannotPad) and Padded.__name__ not in str(error):  # JAX names the type that it refuses
            raise
        return f"the method calculates with its sizes, so they cannot be padded: {str(error).splitlines()[0]}"
    return ""
