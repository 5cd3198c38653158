"""What goes over the socket: frames, with those points of the histories that the page does not have yet."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jgen1d.playground.training import Point

BAND = (5, 50, 95)
"""Percentiles over lanes."""


class Frame(NamedTuple):
    """What a page shows at one moment; its lists only grow, so that any number of frames may be skipped.

    Attributes:
      generation: another one means that the lists began anew.
      content: all but the histories.
      losses: the mean infos of epochs.
      looks: distances.
      lane: which one is shown.
      rival: the same of the model that is compared, or None.
    """

    generation: int
    content: dict[str, Any]
    losses: list[Point]
    looks: list[Point]
    lane: int
    rival: Frame | None = None


class Sender:
    """Knows what the page has."""

    def __init__(self) -> None:
        self._generation = -1
        self._sent = {"losses": 0, "looks": 0}
        self._last: Frame | None = None
        self._rival: Sender | None = None

    def message(self, frame: Frame) -> dict[str, Any] | None:
        """The frame as a message; None where the page has it already."""
        if frame is self._last:
            return None
        self._last = frame
        if frame.generation != self._generation:
            self._generation, self._sent = frame.generation, {"losses": 0, "looks": 0}
        bands = {"losses": "bands", "looks": "w1_band"}
        message = dict(frame.content)
        if frame.rival is not None:
            self._rival = self._rival or Sender()
            message["rival"] = self._rival.message(frame.rival)
        for name, points in (("losses", frame.losses), ("looks", frame.looks)):
            start = self._sent[name]
            new = points[start:]
            self._sent[name] = start + len(new)
            message[name] = {"from": start, **_curves(new, frame.lane)}
            message[bands[name]] = {"from": start, **_bands(new)} if frame.content["num_lanes"] > 1 else None
        return message


def _curves(points: list[Point], lane: int) -> dict[str, list]:
    names = points[0].values if points else ()
    curves = {name: [point.values[name][lane] for point in points] for name in names}
    return {"step": [point.step for point in points], **curves}


def _bands(points: list[Point]) -> dict[str, Any]:
    """The 5th, 50th and 95th percentile over lanes, of those that are finite."""
    found: dict[str, Any] = {"step": [point.step for point in points]}
    for name in points[0].values if points else ():
        values = np.stack([point.values[name] for point in points])
        values = np.where(np.isfinite(values), values, np.nan)
        with np.errstate(invalid="ignore"):
            known = ~np.isnan(values).all(axis=1)
        band = np.full((len(BAND), len(points)), np.nan)
        if known.any():
            band[:, known] = np.nanpercentile(values[known], BAND, axis=1)
        found[name] = band
    return found


def plain(value: Any) -> Any:
    """As JSON holds it: arrays as lists, numbers to 5 digits, null for what is not finite."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
