"""How long is a contender's turn, and what does it tell? Two runs, short and long: the difference is the training."""

import dataclasses
import math
import time
from typing import NamedTuple

import numpy as np

from benchmarks import yardstick
from benchmarks.contenders import BATCH_SIZE, Contender, Train
from jgen1d.methods import gan

RUN_STEPS = 5_000
NORMAL = 100  # steps per evaluation in a normal run
FEW_ROUNDS = 3  # that a long turn takes part in


class Lengths(NamedTuple):
    """A turn's two runs: `extra` steps more, and an evaluation more for each `every` of them.

    The history's points are evenly spaced in each run: `evals`, of the long one, must divide its steps.
    """

    every: int
    evals: int

    @property
    def short(self) -> int:
        """Steps of the short run, which has one evaluation."""
        return self.every // 5

    @property
    def extra(self) -> int:
        """Steps that the long run has more."""
        return self.every * (self.evals - 1)

    def seconds(self, fixed: float, per_step: float) -> float:
        """How long the turn takes."""
        return 2 * fixed + (2 * self.short + self.extra) * per_step


LENGTHS = [
    Lengths(every, evals)
    for every in (NORMAL, 50, 20, 10)
    for evals in range(2, 81)
    if (every // 5 + every * (evals - 1)) % evals == 0
]


@dataclasses.dataclass
class Cell:
    """A contender with a number of lanes: what it is to do, and what was measured.

    Attributes:
      fixed: seconds that a run takes besides its steps; a guess before it is measured.
      per_step: seconds of one step of all lanes; a guess before it is measured.
      note: why it did not run; empty if it did.
      first: seconds of the first call of the short run.
      memory: bytes by which a turn raised the most in use; None if unknown.
      turns: by round, the seconds of the short and of the long run.
    """

    contender: Contender
    train: Train
    lanes: int
    fixed: float
    per_step: float
    lengths: Lengths = LENGTHS[0]
    note: str = ""
    first: float = math.nan
    memory: float | None = None
    turns: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def turn(self) -> tuple[float, float]:
        """Seconds of the short and of the long run."""
        short, extra, evals = self.lengths.short, self.lengths.extra, self.lengths.evals
        return self._seconds(short, 1), self._seconds(short + extra, evals)

    def _seconds(self, num_steps: int, num_evals: int) -> float:
        began = time.perf_counter()
        self.train(self.lanes, num_steps, num_evals)
        return time.perf_counter() - began

    def expected(self) -> float:
        """How many seconds a turn takes."""
        return self.lengths.seconds(self.fixed, self.per_step)

    def warm_up(self) -> None:
        """Compiles, and measures compilation, memory and how long things take."""
        self.first, _ = self.turn()
        measured: list[tuple[float, float]] = []
        self.memory = yardstick.rise_in_memory(lambda: measured.append(self.turn()), self.contender.is_torch)
        short, long = measured[0]
        self.per_step = max(long - short, 0.1 * long) / self.lengths.extra
        self.fixed = max(0.0, short - self.lengths.short * self.per_step)

    def rates(self) -> np.ndarray:
        """Lane-steps per second of each round, while training; NaN where the noise exceeded the difference."""
        seconds = np.array([long - short for short, long in self.turns])
        return self.lanes * self.lengths.extra / np.where(seconds > 0, seconds, np.nan)

    def run_rates(self) -> np.ndarray:
        """Lane-steps per second of each round, in a run of `RUN_STEPS` as a whole."""
        rest = self.lanes * (RUN_STEPS - self.lengths.short) / self.rates()
        return self.lanes * RUN_STEPS / (np.array([short for short, _ in self.turns]) + rest)


def choose(
    cell: Cell, config: gan.Config, *, rounds: int, seconds: float, max_seconds: float, num_steps: int | None
) -> tuple[Lengths, str]:
    """The lengths of a cell's turns, or why it is not run; the arguments are the flags of throughput.py."""
    needed = yardstick.bytes_needed(config, BATCH_SIZE, cell.lanes, cell.contender.evaluates)
    if needed > 0.7 * (yardstick.bytes_available() or math.inf):
        return cell.lengths, f"not run: would need about {needed / 1e9:,.0f} GB"
    if num_steps:
        return max(one for one in LENGTHS if one.short + one.extra <= num_steps), ""

    def fits(lengths: Lengths, limit: float) -> bool:
        return lengths.seconds(cell.fixed, cell.per_step) <= limit

    least = {one.every: one for one in LENGTHS if one.evals == 2}
    limits = {every: (2 if every == NORMAL else 1) * max_seconds for every in least}
    # What is not evaluated loses nothing by being short.
    patience = limits if cell.contender.evaluates else dict.fromkeys(least, seconds)
    every = next((every for every in least if fits(least[every], patience[every])), min(least))
    if not fits(least[every], limits[every]):
        minutes = (2 + min(rounds, FEW_ROUNDS)) * least[every].seconds(cell.fixed, cell.per_step) / 60
        return least[every], f"not run: would take about {max(minutes, 1):,.0f} min"
    return max((one for one in LENGTHS if one.every == every and fits(one, seconds)), default=least[every]), ""
