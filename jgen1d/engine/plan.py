"""Which lanes of a sweep share a program, and how many of them run side by side.

Lanes that differ only in numbers always share one. Lanes whose networks differ in size, or whose losses differ in kind,
can: the smaller networks are padded with units that stay zero (see `nets.Padded`), and all kinds of losses are computed
(see `losses.Selected`). That saves a compilation and costs work for nothing: a model of both decides. It knows sizes,
steps and the kind of device, not the clock: the same sweep is planned the same way again.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d import core
from jgen1d.core import Config, InitFn, Method, PyTree, kinds, pytree_dataclass, replace, show, sizes, static
from jgen1d.maths.losses import Selected
from jgen1d.nets import Padded
from jgen1d.targets import Target

Place = tuple[int, int, int]
"""A lane's indices: target, config, seed."""
Variant = dict[str, Any]
"""What may differ in one program, by field: units of hidden layers, one number, or kinds of a loss joined by `OR`."""
OR = "|"


class Lane(NamedTuple):
    """One run of a sweep: its indices (target, config, seed), and what they stand for."""

    place: Place
    target: Target
    config: Config
    seed: int


class Costs(NamedTuple):
    """What one kind of device needs, measured with the textbook GAN (BUILD.md says how).

    Attributes:
      compile_seconds: for the programs of one shape of network.
      lane: seconds for the final metrics of one lane on one device.
      lane_step: seconds for a step's data and its share of the history.
      layer: seconds for a hidden layer in a step of one lane, whatever its size.
      weight_row: seconds for a weight between hidden units and one row of the minibatch.
      unit_row: seconds for a hidden unit and one row of the minibatch.
      fewest_lanes: the narrowest block worth having, for one device.
      most_lanes: the widest.
    """

    compile_seconds: float
    lane: float
    lane_step: float
    layer: float
    weight_row: float
    unit_row: float
    fewest_lanes: int
    most_lanes: int


COSTS = {
    "cpu": Costs(
        compile_seconds=7.0,
        lane=1e-2,
        lane_step=2.2e-5,
        layer=1.1e-5,
        weight_row=1.9e-10,
        unit_row=7e-10,
        fewest_lanes=2,
        most_lanes=8,
    ),
    # Not measured: a chip that waits for its kernels, so that whatever fits shares a program.
    "gpu": Costs(
        compile_seconds=20.0,
        lane=1e-5,
        lane_step=1e-7,
        layer=2e-7,
        weight_row=4e-13,
        unit_row=4e-12,
        fewest_lanes=1,
        most_lanes=4096,
    ),
}


PADDING_OVERHEAD = 1.15
"""How much longer a padded program takes than one for its largest shape, to compile and to run."""
ARRAYS_PER_UNIT = 2
"""f32[rows] arrays that a step keeps for one hidden unit."""
MAX_PIECE = 256
"""Steps whose data is drawn at once: bounds the memory that a block's minibatches take."""


@pytree_dataclass
class Padding:
    """The config of lanes that share a program though their sizes or kinds of losses differ.

    Attributes:
      config: with sizes that fit all of them, and all their kinds of losses.
      active: each lane's own by field: sizes, i32[] or i32[layers], 0 for a layer that it does not have, or the
        number of a kind.
      shallow: the fields in which some lane lacks a layer.
    """

    config: Config
    active: dict[str, Any]
    shallow: tuple[str, ...] = static(default=())

    def resolve(self) -> Config:
        """The config with sizes that know which of their units count, and losses that know their kind."""

        def padded(name: str, active: Any) -> Any:
            size = getattr(self.config, name)
            if isinstance(size, str):
                return Selected(tuple(size.split(OR)), active)
            if not isinstance(size, tuple):
                return Padded(size, active)
            return tuple(Padded(s, active[i], i > 0 and name in self.shallow) for i, s in enumerate(size))

        return dataclasses.replace(self.config, **{name: padded(name, a) for name, a in self.active.items()})


class Group(NamedTuple):
    """Lanes that share compiled programs.

    Attributes:
      lanes: all of them, in lists whose targets differ in numbers only.
      variants: their networks' sizes and kinds of losses, each once.
      sizes: of the program's networks.
      width: lanes per device in a block.
      compile_seconds: by the model of costs, likewise `train_seconds`.
      train_seconds: see above.
    """

    lanes: list[list[Lane]]
    variants: list[Variant]
    sizes: Variant
    width: int
    compile_seconds: float
    train_seconds: float

    def config(self, lane: Lane) -> Config | Padding:
        """The lane's config, as the group's programs take it."""
        if not self.padded:
            return lane.config

        def of(own: Any, size: Any) -> Any:
            if isinstance(size, tuple):
                return (*own, *[0] * (len(size) - len(own)))
            return size.split(OR).index(own) if isinstance(size, str) else own

        variant = _variant(lane.config)
        active = {name: np.array(of(variant[name], size)) for name, size in self.padded.items()}
        shallow = [n for n, size in self.padded.items() if isinstance(size, tuple) and self._depths(n) != {len(size)}]
        return Padding(replace(lane.config, **self.padded), active, tuple(shallow))

    @property
    def padded(self) -> Variant:
        """Those of the program's sizes that are not every lane's own."""
        return {name: size for name, size in self.sizes.items() if any(one[name] != size for one in self.variants)}

    def unpad(self, lane: Lane, leaves: Sequence[np.ndarray], init: InitFn) -> PyTree:
        """A lane's state from its leaves as the group's programs hold them, without the padding."""

        def shapes(config: Config | Padding) -> PyTree:
            resolve = config.resolve if isinstance(config, Padding) else lambda: config
            return jax.eval_shape(lambda key: init(key, resolve()), jax.random.key(0))

        padded = jax.tree.unflatten(jax.tree.structure(shapes(self.config(lane))), leaves)
        if not self.padded:
            return padded
        by_path = dict(jax.tree_util.tree_flatten_with_path(padded)[0])

        def cut(path: Any, own: jax.ShapeDtypeStruct) -> np.ndarray:
            return by_path[path][tuple(map(slice, own.shape))]

        return jax.tree_util.tree_map_with_path(cut, shapes(lane.config))

    def _depths(self, name: str) -> set[int]:
        return {len(one[name]) for one in self.variants}

    def blocks(self, num_devices: int) -> Iterator[list[Lane]]:
        """The lanes in blocks of at most `width` per device."""
        most = self.width * num_devices
        for lanes in self.lanes:
            yield from (lanes[start : start + most] for start in range(0, len(lanes), most))


class Plan(NamedTuple):
    """How a sweep is computed, and why; `str` tells."""

    groups: list[Group]
    reasons: list[str]

    def __str__(self) -> str:
        """The reasons, then one line for each program."""
        lines = list(self.reasons)
        for number, group in enumerate(self.groups, 1):
            shape = ", ".join(f"{name} {show(size)}" for name, size in group.sizes.items()) or "no networks"
            padded = f" (for {len(group.variants)} variants)" if len(group.variants) > 1 else ""
            count = sum(map(len, group.lanes))
            lines.append(
                f"program {number}: {count} lanes, {group.width} side by side per device; {shape}{padded}; "
                f"estimated {group.compile_seconds:.0f} s to compile, {group.train_seconds:.0f} s to train"
            )
        return "\n".join(lines)


def plan(
    method: Method,
    lanes: Sequence[Lane],
    num_steps: int,
    num_rows: Callable[[Config], int],
    devices: Sequence[jax.Device],
    num_devices: int,
    width: int | None = None,
    padding: bool | None = None,
) -> Plan:
    """Groups the lanes, so that compilation and training together take the least time by the model of costs.

    Args:
      method: what is trained.
      lanes: all lanes of the sweep.
      num_steps: the length of each run.
      num_rows: rows of a step's data, from a lane's config.
      devices: what this process lays its lanes over, all of one kind.
      num_devices: those of all processes.
      width: lanes per device in a block; None to choose it.
      padding: whether networks of different sizes, and kinds of losses, share programs; None to choose what is faster.
    """
    # Lanes of one (target, config) share the objects: what they are like is found out once.
    like = {id(lane.config): (_family(lane.config), tuple(_variant(lane.config).items())) for lane in _firsts(lanes, 2)}
    forms = {lane.place[0]: _form(lane.target) for lane in _firsts(lanes, 1)}
    families: dict[Any, dict[Any, list[Lane]]] = {}
    for lane in lanes:
        family, variant = like[id(lane.config)]
        families.setdefault(family, {}).setdefault(variant, []).append(lane)
    groups, reasons = [], []
    for by_variant in families.values():
        one = next(iter(by_variant.values()))[0]
        model = _Model(COSTS.get(devices[0].platform, COSTS["gpu"]), num_steps, num_devices, num_rows(one.config))
        # In the order of their cost, neighbours are alike: only neighbours share a program.
        variants = sorted((dict(items) for items in by_variant), key=model.step_seconds)
        members = [by_variant[tuple(variant.items())] for variant in variants]
        counts = [len(some) for some in members]
        separate, together = [slice(i, i + 1) for i in range(len(variants))], [slice(0, len(variants))]
        parts = _cheapest(variants, counts, model) if padding is None else together if padding else separate
        obstacle = _obstacle(method, one, variants, model.num_rows) if parts != separate else ""
        if obstacle:
            parts = separate
        for part in parts:
            by_form: dict[Any, list[Lane]] = {}
            for lane in sorted(itertools.chain(*members[part]), key=lambda lane: lane.place):
                by_form.setdefault(forms[lane.place[0]], []).append(lane)
            cover = _cover(variants[part])
            most = -(-max(map(len, by_form.values())) // num_devices)
            limit = min(most, width or _lanes_per_device(devices[0], cover, model))
            seconds = model.seconds(cover, sum(counts[part]), part.stop - part.start)
            groups.append(Group(list(by_form.values()), variants[part], cover, limit, *seconds))
        if len(variants) > 1:
            totals = [
                sum(sum(model.seconds(_cover(variants[p]), sum(counts[p]), p.stop - p.start)) for p in some)
                for some in (parts, separate, together)
            ]
            reasons.append(
                "{} variants of networks and losses in {}: about {:.0f} s; {:.0f} s with a program for each, {:.0f} s "
                "with one for all".format(len(variants), _programs(len(parts)), *totals)
                + (f" ({obstacle})" if obstacle else "")
            )
    same = f"{_programs(len(groups))}: no two lanes differ in their networks and losses alone"
    return Plan(groups, reasons or [same])


def _programs(count: int) -> str:
    return "1 program" if count == 1 else f"{count} programs"


class _Model(NamedTuple):
    """The time that programs take: costs, steps of a run, devices, and rows of a step's data."""

    costs: Costs
    num_steps: int
    num_devices: int
    num_rows: int

    def step_seconds(self, sizes: Variant) -> float:
        """Of one lane, on one device."""
        work = self.costs.unit_row * _units(sizes) + self.costs.weight_row * _weights(sizes)
        return self.costs.lane_step + self.costs.layer * _layers(sizes) + self.num_rows * work

    def seconds(self, sizes: Variant, num_lanes: int, num_variants: int) -> tuple[float, float]:
        """Of compilation and of training, where lanes of so many variants share a program of these sizes."""
        overhead = PADDING_OVERHEAD if num_variants > 1 else 1.0
        lane = self.costs.lane + overhead * self.num_steps * self.step_seconds(sizes)
        return overhead * self.costs.compile_seconds, lane * num_lanes / self.num_devices


def _cheapest(variants: list[Variant], counts: list[int], model: _Model) -> list[slice]:
    """The fastest way to cut the variants into runs of neighbours that share a program, by dynamic programming."""
    best: list[tuple[float, list[slice]]] = [(0.0, [])]
    for end in range(1, len(variants) + 1):
        options = []
        for start in range(end):
            seconds = model.seconds(_cover(variants[start:end]), sum(counts[start:end]), end - start)
            options.append((best[start][0] + sum(seconds), start))
        total, start = min(options)
        best.append((total, [*best[start][1], slice(start, end)]))
    return best[-1][1]


def _cover(variants: Sequence[Variant]) -> Variant:
    """The smallest sizes that fit all: where depths differ, as wide in every layer as in the widest; and all kinds."""

    def cover(values: list[Any]) -> Any:
        if not isinstance(values[0], tuple):
            return OR.join(sorted(set(values))) if isinstance(values[0], str) else max(values)
        if len({len(value) for value in values}) == 1:
            return tuple(map(max, zip(*values, strict=True)))
        return (max(map(max, values)),) * max(map(len, values))

    return {name: cover([shape[name] for shape in variants]) for name in variants[0]}


def _units(sizes: Variant) -> int:
    return sum(sum(size) for size in sizes.values() if isinstance(size, tuple))


def _layers(sizes: Variant) -> int:
    return sum(len(size) for size in sizes.values() if isinstance(size, tuple))


def _weights(sizes: Variant) -> int:
    return sum(a * b for size in sizes.values() if isinstance(size, tuple) for a, b in itertools.pairwise(size))


def _variant(config: Config) -> Variant:
    """In what a config may differ from others of one program."""
    return sizes(config) | kinds(config)


def _family(config: Config) -> Any:
    """What lanes must have in common to share a program: all that is neither a number nor in their variants."""
    neutral = {n: bool(size) if isinstance(size, tuple) else None for n, size in _variant(config).items()}
    return jax.tree.structure(dataclasses.replace(config, **neutral))


def _firsts(lanes: Sequence[Lane], count: int) -> Iterator[Lane]:
    """The first lane of each run of lanes whose first `count` indices are the same."""
    return (next(some) for _, some in itertools.groupby(lanes, lambda lane: lane.place[:count]))


def _form(target: Target) -> Any:
    """What targets must have in common to share a program: all that is not a number."""
    leaves, structure = jax.tree.flatten(replace(target, name=""))
    return structure, tuple(np.shape(leaf) for leaf in leaves)


def _obstacle(method: Method, lane: Lane, variants: list[Variant], num_rows: int) -> str:
    """Why the method cannot train padded networks; empty where it can."""
    padding = Group([[lane]], variants, _cover(variants), 1, 0, 0).config(lane)

    def run(key: jax.Array, batch: jax.Array, padding: Padding) -> Any:
        config = padding.resolve()
        key_init, key_step, key_sample = jax.random.split(key, 3)
        state = method.init(key_init, config)
        rows, row = (core.given(jnp.zeros(n, int) if core.num_classes(config) else None) for n in (len(batch), 1))
        log_prob = method.log_prob and method.log_prob(state, batch, config, **rows)
        sample = method.sample(key_sample, state, 1, config, **row)
        return method.step(key_step, state, batch, config, **rows), sample, log_prob

    try:
        batch = jax.ShapeDtypeStruct((num_rows, lane.target.dim), float)
        jax.eval_shape(run, jax.random.key(0), batch, padding)
    except TypeError as error:
        return f"the method calculates with its sizes, so they cannot be padded: {' '.join(str(error).split())[:80]}"
    return ""


def _lanes_per_device(device: jax.Device, sizes: Variant, model: _Model) -> int:
    """As many as the device's fast memory holds: on a CPU a core's second-level cache, elsewhere half of its memory."""
    bytes_per_lane = 4 * model.num_rows * (ARRAYS_PER_UNIT * _units(sizes) + 1)
    if device.platform == "cpu":
        memory = _cache_bytes()
    else:
        memory = (device.memory_stats() or {}).get("bytes_limit", 16 << 30) // 2
        bytes_per_lane += 4 * model.num_rows * MAX_PIECE
    fitting = max(model.costs.fewest_lanes, min(model.costs.most_lanes, memory // bytes_per_lane))
    return 1 << (int(fitting).bit_length() - 1)  # few different widths, for each compiles what draws and measures data


def _cache_bytes() -> int:
    """Of one core's second-level cache; 1 MiB where the system does not tell."""
    try:
        return 1024 * int(Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip().removesuffix("K"))
    except (OSError, ValueError):
        return 1 << 20
