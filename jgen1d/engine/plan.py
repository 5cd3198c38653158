"""Which lanes of a sweep share a program, and how many of them run side by side.

Lanes that differ only in numbers always share one. Lanes whose networks or losses differ can (see `padding`): that
saves a compilation, and wastes work on padding. The model in `costs` decides. It knows sizes, steps and the kind of
device, not the clock, so the same sweep is planned the same way again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jgen1d.core import Config, Method, format_value, replace
from jgen1d.engine.costs import COSTS, Device, Model
from jgen1d.engine.padding import AnyOf, Cover, Variant, family, obstacle, variant
from jgen1d.engine.task import Task
from jgen1d.targets import Target

BLOCKS_PER_WORKER = 4
"""At least so many, so that no worker is left alone with a long one at the end."""
Place = tuple[int, int, int]
"""A lane's indices: target, config, seed."""


class Lane(NamedTuple):
    """One run of a sweep: its indices (target, config, seed), and what they stand for."""

    place: Place
    target: Target
    config: Config
    seed: int


class Group(NamedTuple):
    """Lanes that share compiled programs.

    Attributes:
      lanes: all of them, in lists whose targets differ in numbers only.
      cover: the sizes and losses of the programs, and of the lanes.
      width: lanes per device in a block.
      most_devices: that a block is laid over. More would train copies, and take cores that XLA's threads can use.
      compile_seconds: for all programs, by the model of costs.
      train_seconds: for all lanes, by the model of costs.
    """

    lanes: list[list[Lane]]
    cover: Cover
    width: int
    most_devices: int
    compile_seconds: float = 0.0
    train_seconds: float = 0.0

    @classmethod
    def single(cls, lane: Lane) -> Group:
        """The group of a lane on its own."""
        return cls([[lane]], Cover.of([variant(lane.config)]), 1, 1)

    def blocks(self, num_devices: int) -> Iterator[list[Lane]]:
        """The lanes in blocks of at most `width` per device."""
        most = self.width * num_devices
        for lanes in self.lanes:
            yield from (lanes[start : start + most] for start in range(0, len(lanes), most))


class Plan(NamedTuple):
    """How a sweep is computed, and why."""

    groups: list[Group]
    reasons: list[str]

    def __str__(self) -> str:
        """The reasons, then one line for each program."""
        lines = list(self.reasons)
        for number, group in enumerate(self.groups, 1):
            shape = ", ".join(
                f"{n} {s if isinstance(s, AnyOf) else format_value(s)}" for n, s in group.cover.sizes.items()
            )
            num_variants = len(group.cover.variants)
            padded = f" (for {num_variants} variants)" if num_variants > 1 else ""
            lines.append(
                f"program {number}: {sum(map(len, group.lanes))} lanes, {group.width} side by side per device; "
                f"{shape or 'no networks'}{padded}; estimated {group.compile_seconds:.0f} s to compile, "
                f"{group.train_seconds:.0f} s to train"
            )
        return "\n".join(lines)


def plan(
    method: Method,
    lanes: Sequence[Lane],
    num_steps: int,
    num_rows: Callable[[Config], int],
    device: Device,
    num_devices: int,
    width: int | None = None,
    padding: bool | None = None,
    num_workers: int = 1,
) -> Plan:
    """Groups the lanes so that compilation and training together take the least time by the model of costs.

    Args:
      method: what is trained.
      lanes: all lanes of the sweep.
      num_steps: steps of each run, at least 1.
      num_rows: `config -> rows` of a step's data.
      device: one of the devices, which are all of one kind.
      num_devices: how many of them a block is laid over.
      width: lanes per device in a block, at least 1; None to choose it.
      padding: whether different networks and losses share programs; None to choose what is faster.
      num_workers: processes with so many devices each; then blocks are narrow enough for `BLOCKS_PER_WORKER`.
    """
    # Lanes of one (target, config) share the objects, so each is examined once.
    like = {id(lane.config): (family(lane.config), tuple(variant(lane.config).items())) for lane in _firsts(lanes, 2)}
    forms = {lane.place[0]: _form(lane.target) for lane in _firsts(lanes, 1)}
    families: dict[Any, dict[Any, list[Lane]]] = {}
    for lane in lanes:
        lane_family, lane_variant = like[id(lane.config)]
        families.setdefault(lane_family, {}).setdefault(lane_variant, []).append(lane)
    groups, reasons = [], []
    for by_variant in families.values():
        one = next(iter(by_variant.values()))[0]
        costs = COSTS.get(device.platform, COSTS["gpu"])
        # Convolutions keep channels at every place of a signal, so that its places count like rows.
        places = one.target.dim if one.target.dim > 2 else 1
        model = Model(costs, num_steps, num_devices * num_workers, places * num_rows(one.config))
        # Sorted by cost, neighbours are alike: only neighbours share a program.
        variants = sorted((dict(items) for items in by_variant), key=model.step_seconds)
        members = [by_variant[tuple(one.items())] for one in variants]
        counts = [len(some) for some in members]
        separate, together = [slice(i, i + 1) for i in range(len(variants))], [slice(0, len(variants))]
        parts = _cheapest(variants, counts, model) if padding is None else together if padding else separate
        reason = ""
        if parts != separate:
            reason = obstacle(Task(method, one.target, one.config), Cover.of(variants), num_rows(one.config))
        if reason:
            parts = separate
        for part in parts:
            by_form: dict[Any, list[Lane]] = {}
            for lane in sorted(itertools.chain(*members[part]), key=lambda lane: lane.place):
                by_form.setdefault(forms[lane.place[0]], []).append(lane)
            cover = Cover.of(variants[part])
            longest = max(map(len, by_form.values()))
            most = -(-longest // num_devices)
            if num_workers > 1 and width is None:
                most = min(most, max(1, len(lanes) // (BLOCKS_PER_WORKER * num_workers * num_devices)))
            limit = min(most, width or model.lanes_per_device(device, cover.sizes))
            seconds = model.seconds(cover.sizes, sum(counts[part]), part.stop - part.start)
            groups.append(Group(list(by_form.values()), cover, limit, longest, *seconds))
        if len(variants) > 1:
            totals = [
                sum(_part_seconds(variants, counts, p, model) for p in some) for some in (parts, separate, together)
            ]
            reasons.append(
                "{} variants of networks and losses in {}: about {:.0f} s; {:.0f} s with a program for each, {:.0f} s "
                "with one for all".format(len(variants), _programs(len(parts)), *totals)
                + (f" ({reason})" if reason else "")
            )
    same = f"{_programs(len(groups))}: no two lanes differ in their networks and losses alone"
    return Plan(groups, reasons or [same])


def _programs(count: int) -> str:
    return "1 program" if count == 1 else f"{count} programs"


def _part_seconds(variants: list[Variant], counts: list[int], part: slice, model: Model) -> float:
    """The time for the lanes of neighbouring variants in one program."""
    return sum(model.seconds(Cover.of(variants[part]).sizes, sum(counts[part]), part.stop - part.start))


def _cheapest(variants: list[Variant], counts: list[int], model: Model) -> list[slice]:
    """The fastest way to cut the variants into runs of neighbours that share a program, by dynamic programming."""
    best: list[tuple[float, list[slice]]] = [(0.0, [])]
    for end in range(1, len(variants) + 1):
        options = [
            (best[start][0] + _part_seconds(variants, counts, slice(start, end), model), start) for start in range(end)
        ]
        total, start = min(options)
        best.append((total, [*best[start][1], slice(start, end)]))
    return best[-1][1]


def _firsts(lanes: Sequence[Lane], count: int) -> Iterator[Lane]:
    """The first lane of each run of lanes whose first `count` indices are the same."""
    return (next(some) for _, some in itertools.groupby(lanes, lambda lane: lane.place[:count]))


def _form(target: Target) -> Any:
    """What targets must have in common to share a program: all that is not a number."""
    leaves, structure = jax.tree.flatten(replace(target, name=""))
    return structure, tuple(np.shape(leaf) for leaf in leaves)
