"""Where is a lane's final state? In its block, with the padding of its program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jgen1d.core import Method, PyTree
from jgen1d.engine.plan import Group, Lane, Place
from jgen1d.engine.snapshot import Outcome


class States(Mapping):
    """The lanes' final states by place, cut out of their blocks and without padding, when they are asked for."""

    def __init__(self, method: Method, blocks: Sequence[tuple[Group, list[Lane]]], outcomes: Sequence[Outcome]):
        self._method, self._outcomes = method, outcomes
        self._at = {
            lane.place: (index, row, group, lane)
            for index, (group, lanes) in enumerate(blocks)
            for row, lane in enumerate(lanes)
        }

    def __getitem__(self, place: Place) -> PyTree:
        index, row, group, lane = self._at[place]
        leaves = [leaf[row] for leaf in self._outcomes[index].state]
        return group.cover.unpad(lane.config, leaves, self._method.init)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)
