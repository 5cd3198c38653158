"""An experiment's runs on a page, from their first step on: trained in chunks of epochs, and looked at."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d import fitting
from jgen1d.core import Info
from jgen1d.evaluation.verdict import DEFAULT_THRESHOLDS, learned
from jgen1d.playground import epochs, first, look
from jgen1d.playground.settings import STEPS_PER_EPOCH, Experiment
from jgen1d.report.stats import rate

NUM_PROGRAMS = 4
"""Compiled for a run: what prepares the scene, what starts, what looks, and what trains."""
TOLD = ("w1_over_std", "w1_over_floor", "tv", "modes_covered", "frechet_over_floor", "factor_w1", "off_manifold")
"""Metrics that a frame tells of its lane, of those that the target has."""
SECONDS_PER_LOOK = 0.1
"""From one look to the next, at least."""
LOOKS_SHARE = 0.2
"""Of the time, at most, where training goes as fast as it can."""
PACED_LOOKS_SHARE = 0.7
"""Of the time, at most, where it waits for the one who watches."""
SECONDS_PER_CHUNK = 0.04
"""At most, about: a stop waits for one chunk."""


class Point(NamedTuple):
    """One point of a history: the step, and by name f[lanes]."""

    step: int
    values: Mapping[str, np.ndarray]


class Training:
    """The runs of all lanes, and what was seen of them.

    Args:
      asked: the experiment.
      compiling: called before each program that may have to be compiled, with its number of `NUM_PROGRAMS`.
      count: samples that each lane is looked at by while it trains; 0 for what suits the method.
      scene: of this target for this count, if it is there already.

    Attributes:
      count: samples that each lane is looked at by while it trains.
      asked: the experiment; one that differs in traced numbers only may take its place.
      scene: what does not change while its target is looked at.
      runs: `Run`s, with the lanes first.
      step: how many were taken.
      lane: which one is shown.
      diverged: i[lanes], the step at which each diverged, or −1.
      losses: the mean infos of epochs.
      looks: distances.
      changes: the steps at which the settings were changed, or one player moved alone.
    """

    def __init__(
        self, asked: Experiment, compiling: Callable[[int], None] = lambda number: None, count: int = 0,
        scene: look.Scene | None = None,
    ):  # fmt: skip
        self.asked = asked
        self.count = count or look.num_samples(asked.method, asked.truth)
        if first.is_kept(asked, self.count):
            self.scene, runs = (first.kept(asked, self.count, name) for name in ("scene", "runs"))
        else:
            parts = first.parts(asked, self.count)
            if scene is None:
                compiling(1)
            self.scene = parts["scene"]() if scene is None else scene
            compiling(2)
            runs = parts["runs"]()
        self.runs = epochs.placed(runs)
        self.step = self.lane = 0
        self.diverged = np.full(asked.num_lanes, -1)
        self.losses: list[Point] = []
        self.looks: list[Point] = []
        self.changes: list[int] = []
        self._compiled: set[str] = set()
        self._seconds_per_step, self._looked_at, self._look_seconds = 0.0, 0.0, SECONDS_PER_LOOK
        compiling(3)

    @property
    def diverged_at(self) -> int:
        """The step at which the first lane diverged, where all have; −1 otherwise."""
        return int(self.diverged.min()) if (self.diverged >= 0).all() else -1

    @property
    def has_ended(self) -> bool:
        """Whether no step is left to take."""
        return self.step >= self.asked.num_steps or self.diverged_at >= 0

    @property
    def optimum(self) -> dict[str, float]:
        """The losses' values at the optimum, of those that have one."""
        asked = self.asked
        return asked.method.loss_optimum(asked.config) if asked.method.loss_optimum else {}

    @property
    def loss_names(self) -> list[str]:
        """What the method tells of its losses."""
        if optimum := self.optimum:
            return list(optimum)
        asked = self.asked
        rows = jnp.zeros((asked.batch_size * asked.method.num_minibatches(asked.config), asked.truth.dim))

        def info(key: jax.Array) -> Info:
            key_init, key_step = jax.random.split(key)
            return asked.method.step(key_step, asked.method.init(key_init, asked.config), rows, asked.config)[1]

        names = list(jax.eval_shape(info, jax.random.key(0)))
        return [name for name in names if "loss" in name] or names

    def facts(self) -> dict[str, Any]:
        """What the page is told of the model besides its frames."""
        asked, players = self.asked, self.asked.method.players
        return {
            "settings": asked.settings, "optimum": self.optimum, "losses": self.loss_names,
            "floor": np.asarray(self.scene.floor),
            "adversarial": asked.method.loss_optimum is not None,
            "critic": players is not None and not players.optimal_output(asked.config),
        }  # fmt: skip

    def chunk(self) -> tuple[int, int]:
        """Epochs and steps of each: as many as will be done in time."""
        left, steps_left = divmod(self.asked.num_steps - self.step, STEPS_PER_EPOCH)
        if not left:  # single steps have left an epoch unfinished
            return 1, steps_left
        if not self._seconds_per_step:
            return 1, STEPS_PER_EPOCH
        fitting = SECONDS_PER_CHUNK / max(self._seconds_per_step * STEPS_PER_EPOCH, 1e-6)
        return int(min(left, max(1, min(epochs.MAX_EPOCHS, fitting)))), STEPS_PER_EPOCH

    def will_compile(self, player: str) -> bool:
        """Whether no step of this player was taken before."""
        return player not in self._compiled

    def compile(self) -> None:
        """Compiles what looks and what trains, without a step."""
        self._seen(self.count)
        self._advance(0, STEPS_PER_EPOCH, "both")
        self._seen(look.NUM_FINAL_SAMPLES)  # of runs that lie on the devices as they do after a step

    def _advance(self, num_epochs: int, num_steps: int, player: str) -> Info:
        asked = self.asked
        self.runs, infos = epochs.advance(
            asked.method, self.runs, asked.data, asked.config, num_epochs, num_steps, asked.batch_size, player
        )
        return infos

    def advance(self, num_epochs: int, num_steps: int, player: str) -> None:
        """Takes epochs of so many steps (see `epochs.advance`)."""
        began = time.monotonic()
        infos = self._advance(num_epochs, num_steps, player)
        infos, self.diverged = jax.device_get((infos, self.runs.diverged_at))
        seconds = (time.monotonic() - began) / (num_epochs * num_steps)
        if not self.will_compile(player):
            before = self._seconds_per_step
            self._seconds_per_step = 0.7 * before + 0.3 * seconds if before else seconds
        self._compiled.add(player)
        for epoch in range(num_epochs):
            self.step += num_steps
            self.losses.append(Point(self.step, {name: values[:, epoch] for name, values in infos.items()}))

    def is_look_due(self, paced: bool) -> bool:
        """Whether enough time has passed since the last look."""
        interval = self._look_seconds / (PACED_LOOKS_SHARE if paced else LOOKS_SHARE)
        return time.monotonic() >= self._looked_at + (interval if paced else max(SECONDS_PER_LOOK, interval))

    def look(self) -> dict[str, Any]:
        """Samples, and returns what a frame shows of the lane and of all lanes, but for the histories."""
        began = time.monotonic()
        count = look.NUM_FINAL_SAMPLES if self.has_ended else self.count
        seen, drawn = jax.device_get(self._seen(count))
        if not self.looks or self.looks[-1].step != self.step:
            kept = [name for name in ("mean", "std", "w1_over_std") if name in seen]
            self.looks.append(Point(self.step, {name: seen[name] for name in kept}))
        self._look_seconds = min(self._look_seconds, time.monotonic() - began)  # the first one is compiled
        self._looked_at = began
        return self._content(seen, drawn)

    def _seen(self, count: int) -> tuple[Info, dict[str, dict[str, jax.Array]]]:
        asked = self.asked
        return look.look(
            asked.method, self.runs, self.lane, asked.truth, self.scene, asked.data, asked.config, count
        )  # fmt: skip

    def paths(self) -> dict[str, Any]:
        """How the lane's samples travel (see `look.paths`)."""
        run = jax.tree.map(lambda leaf: leaf[self.lane], self.runs)
        return look.paths(run, self.asked.task)

    def _content(self, seen: dict[str, np.ndarray], drawn: dict[str, Any]) -> dict[str, Any]:
        asked, lane = self.asked, self.lane
        verdicts = self._verdicts(seen)
        num_modes = len(asked.truth.modes.scales)
        names = [name for name in TOLD if name in seen]
        many, has_diverged = asked.num_lanes > 1, self.diverged[lane] >= 0
        if "signals" in drawn:
            curves = look.rounded(drawn["signals"]["curves"], asked.truth)
            drawn = {"signals": None if has_diverged else drawn["signals"] | {"curves": curves}}
        return {
            "type": "frame", "step": self.step, "epoch": self.step // STEPS_PER_EPOCH, "lane": lane,
            "num_lanes": asked.num_lanes,
            "steps_per_second": 1 / self._seconds_per_step if self._seconds_per_step else None,
            "diverged_at": int(self.diverged[lane]),
            "histogram": seen["histogram"][lane] if "histogram" in seen and not has_diverged else None,
            "discriminator": None, "generator": None, **drawn,
            "metrics": {name: seen[name][lane] for name in names} | {"num_modes": num_modes},
            "verdict": verdicts[lane] if self.losses else None,
            "lanes_w1": seen["w1_over_std"] if many else None, "lanes_verdict": verdicts if many else None,
            "lanes_learned": rate(learned(verdicts)) if many else None,
        }  # fmt: skip

    def _verdicts(self, seen: dict[str, np.ndarray]) -> list[str]:
        """Each lane's, were it to end now."""
        asked = self.asked
        if not self.losses:
            return ["not_converged"] * asked.num_lanes
        curves = {name: np.stack([point.values[name] for point in self.losses], axis=1) for name in self.optimum}
        task = asked.task._replace(target=asked.truth)
        return fitting.judge(task, curves, seen, self.diverged, DEFAULT_THRESHOLDS).tolist()


def both(
    asked: Experiment, compiling: Callable[[Experiment, int], None] = lambda *_: None, before: Training | None = None
) -> list[Training]:
    """The experiment's runs, and those of its rival if it has one, with one scene for both.

    Args:
      asked: the experiment.
      compiling: called before each program that may have to be compiled, with whose it is and its number.
      before: what was trained last, whose scene serves again where target and count are the same.
    """
    every = [one for one in (asked, asked.rival) if one is not None]
    count = min(look.num_samples(one.method, one.truth) for one in every)
    serves = before is not None and before.asked.truth is asked.truth and before.count == count
    scene = before.scene if before is not None and serves else None
    found: list[Training] = []
    for one in every:
        found.append(Training(one, functools.partial(compiling, one), count, scene))
        scene = found[0].scene
    return found
