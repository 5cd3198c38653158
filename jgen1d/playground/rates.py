"""In how many of 32 seeds do the lessons come true? Measured by a script, kept in a file, and told by the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jgen1d.evaluation.verdict import learned
from jgen1d.playground import settings
from jgen1d.playground.lessons import EXPERIMENTS, HINTS, PAIRS
from jgen1d.playground.phenomena import PHENOMENA
from jgen1d.playground.training import Training
from jgen1d.report.stats import rate

NUM_SEEDS = 32
PATH = Path(__file__).parent / "rates.json"
"""What `benchmarks/lessons.py` measured: by lesson and side, the settings and each seed's verdict and W1/σ, and what
the page `says` of them, in words here already, because the intervals need a library that takes long to import."""


def recipes() -> dict[str, dict[str, dict[str, Any]]]:
    """The settings of both sides of each lesson: of a phenomenon and its cure, or of an experiment's A and B."""
    found = {one["id"]: {"shown": one["settings"], "cured": one["cure"]["settings"]} for one in PHENOMENA}
    for one in EXPERIMENTS:
        alone = one["settings"] | {"rival": None}
        found[one["id"]] = {"A": alone, "B": alone | one["settings"]["rival"]}
    return found


def measure(asked: Mapping[str, Any], num_seeds: int = NUM_SEEDS) -> dict[str, Any]:
    """Trains seeds as the page does.

    Args:
      asked: a page's settings, for one model.
      num_seeds: at least 2, from the settings' seed on.

    Returns:
      The `settings`, and by seed the `verdicts` and `w1_over_std`, null where it is not finite.
    """
    training = Training(settings.resolve(dict(asked), {})._replace(num_lanes=num_seeds))
    while not training.has_ended:
        training.advance(*training.chunk(), "both")
    seen = training.look()
    distances = [float(f"{value:.4g}") if np.isfinite(value) else None for value in seen["lanes_w1"]]
    return {"settings": dict(asked), "verdicts": seen["lanes_verdict"], "w1_over_std": distances}


def told(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The lessons as the page has them, with what was measured of them in words.

    Args:
      stored: of all lessons, as in `PATH`.
    """
    tours = []
    for one in PHENOMENA:
        shown, cured = stored[one["id"]]["says"]
        see, happens, cures = one["tour"]
        tours.append(one | {"tour": [f"{see} {shown}", happens, f"{cures} {cured}"]})
    experiments = [one | {"measured": " ".join(stored[one["id"]]["says"])} for one in EXPERIMENTS]
    return {"hints": HINTS, "pairs": PAIRS, "phenomena": tours, "experiments": experiments}


def said(name: str, sides: Mapping[str, Any]) -> list[str]:
    """What the page says of a lesson's seeds.

    Args:
      name: of the lesson.
      sides: what was measured of both.
    """
    shows = {one["id"]: one["shows"] for one in PHENOMENA}
    if name in shows:
        shown = np.isin(sides["shown"]["verdicts"], shows[name])
        cured = learned(sides["cured"]["verdicts"])
        return [f"{_seeds(shown)} end so.", f"{_seeds(cured)} learn the data with it."]
    a, b = (_distances(sides[side]) for side in "AB")
    nearer = rate(b < a)
    better = "B is better" if nearer["low"] > 0.5 else "A is better" if nearer["high"] < 0.5 else "neither is better"
    return [f"{_seeds(b < a)} end nearer to the data with B: {better}."] + [
        f"{_seeds(learned(sides[side]['verdicts']))} of {side} learn them, with a median W₁/σ of {np.median(w1):.2g}."
        for side, w1 in (("A", a), ("B", b))
    ]


def _distances(stored: Mapping[str, Any]) -> np.ndarray:
    return np.array([np.inf if value is None else value for value in stored["w1_over_std"]])


def _seeds(hits: np.ndarray) -> str:
    found = rate(hits)
    share, low, high = (round(100 * found[name]) for name in ("share", "low", "high"))
    return f"{found['count']} of {len(hits)} seeds ({share} % [{low}–{high}])"


def stored() -> dict[str, Any]:
    """What was measured (see `PATH`)."""
    return json.loads(PATH.read_text())
