"""What is a column made of: ties, a common step, an atom, few rows? And which target does that make of it?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jgen1d import targets

MAX_DECIMALS = 12
"""Of the finest step that is looked for."""
COARSE_STEP, VERY_COARSE_STEP = 0.02, 0.1
"""Of a standard deviation: steps that a model would learn, if most values are tied, and in any case."""
LARGE_ATOM = 0.1
"""The share of one value from which on a continuous model is no model of the column; if it is that of `FEW_TIES`."""
FEW_TIES = 10
FEW_ROWS = 100


class Facts(NamedTuple):
    """What a column is made of.

    Attributes:
      num_rows: how many values.
      num_distinct: how many different ones.
      mode: the most frequent value.
      share: of all values, how many are `mode`.
      step: all values are whole steps of this size apart; 0 if they are not, or if no two values are equal.
      std: the standard deviation.
    """

    num_rows: int
    num_distinct: int
    mode: float
    share: float
    step: float
    std: float

    @property
    def is_coarse(self) -> bool:
        """Whether the values are so few steps apart that a continuous model would have to learn the steps."""
        many_ties = 2 * self.num_distinct <= self.num_rows
        return self.step >= (COARSE_STEP if many_ties else VERY_COARSE_STEP) * self.std and self.step > 0

    @property
    def has_atom(self) -> bool:
        """Whether one value is so frequent that no continuous model is one of the column."""
        return self.share >= LARGE_ATOM and self.share * self.num_rows > FEW_TIES


def examine(values: np.ndarray) -> Facts:
    """The facts of f64[n], n ≥ 2, finite and not all equal."""
    distinct, counts = np.unique(values, return_counts=True)
    most = int(np.argmax(counts))
    step = _step(distinct) if len(distinct) < len(values) else 0.0
    scale = np.abs(distinct).max()
    return Facts(
        len(values), len(distinct), float(distinct[most]), float(counts[most] / len(values)), step,
        float(scale * np.std(values / scale)),
    )  # fmt: skip


def _step(distinct: np.ndarray) -> float:
    """The largest step that all sorted values are whole numbers of apart, in decimals; 0 for none."""
    for decimals in range(MAX_DECIMALS + 1):
        with np.errstate(over="ignore"):
            scaled = distinct * 10.0**decimals
        rounding = 4 * np.spacing(np.abs(scaled).max())
        if not rounding < 1e-3:
            return 0.0
        whole = np.round(scaled)
        if np.abs(scaled - whole).max() <= 1e-6 + rounding and (np.diff(whole) > 0).all():
            return float(np.gcd.reduce(np.diff(whole).astype(np.int64)) / 10.0**decimals)
    return 0.0


def make_target(
    values: np.ndarray,
    name: str,
    *,
    dequantize: bool | None = None,
    support: tuple[float, float] | None = None,
    atom: float | None = None,
) -> tuple[targets.Target, tuple[str, ...]]:
    """The target that a column makes, and what was done and found, in sentences.

    Args:
      values: f64[n], n ≥ 2, finite and not all equal.
      name: of the target.
      dequantize: whether the column has a step, which is spread out for training and given back to samples; None if it
        has a coarse one.
      support: (low, high), between which samples stay; see `targets.empirical`.
      atom: a value that is a probability of its own; see `targets.empirical`.

    Raises:
      ValueError: in one line; also if a tenth of the values or more are equal, and neither `dequantize` nor `atom`
        says what to do with that.
    """
    rest = values if atom is None else values[values != atom]
    if atom is not None and len(rest) == len(values):
        raise ValueError(f"atom={atom:g}: no value is {atom:g}")
    if atom is not None and (len(rest) < 2 or np.ptp(rest) == 0):
        raise ValueError(f"atom={atom:g}: besides it, at least 2 different values are needed")
    facts = examine(rest)
    spread = facts.is_coarse if dequantize is None else dequantize
    if dequantize and not facts.step:
        raise ValueError("dequantize=True: the values have no common step")
    if facts.has_atom and not spread and dequantize is None:
        raise ValueError(
            f"{100 * facts.share:.0f} % of the values are {facts.mode:g}, which no continuous model learns: atom="
            f"{facts.mode:g} makes that a probability of its own, dequantize=False ignores it"
        )
    step = facts.step if spread else None
    try:
        target = targets.empirical(values, name=name, support=support, step=step, atom=atom)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("empirical: ")) from None
    return target, tuple(_notes(target, facts, spread, len(values)))


def _notes(target: targets.Target, facts: Facts, spread: bool, num_rows: int) -> list[str]:
    """What was found and done, in sentences without a full stop."""
    notes, discrete, chart = [], target.discrete, target.units.chart
    if discrete and discrete.share:
        notes.append(
            f"{100 * discrete.share:.3g} % of {num_rows:,} values are {discrete.atom:g}: samples are, too; the figures "
            f"are of the other values"
        )
    if facts.num_distinct < facts.num_rows:
        steps = f"; they are whole steps of {facts.step:g} apart" if facts.step else ""
        notes.append(
            f"{facts.num_distinct:,} of {facts.num_rows:,} values differ; the most frequent, {facts.mode:g}, is "
            f"{100 * facts.share:.2g} % of them{steps}"
        )
    if spread:
        notes.append(
            f"each value is spread evenly over its step of {facts.step:g} for training and for the figures, and "
            f"samples are rounded back; KL is then a bound"
        )
    if chart.kind == "bent":
        notes.append(
            f"a few values own the standard deviation, {facts.std:.2g}: training units are z = (x − {chart.a:.3g})/"
            f"{chart.b:.3g}, by median and quartiles, and logarithmic where |z| > 4; distances are in these units"
        )
    if chart.kind in ("positive", "interval"):
        above = f"x − {chart.a:g}" if chart.a else "x"
        image = f"log({above})" if chart.kind == "positive" else f"log(({above})/({chart.b:g} − x))"
        notes.append(f"the model learns {image}, and distances are in its units")
    if facts.num_rows < FEW_ROWS:
        notes.append(
            f"{facts.num_rows} rows are few: the figures compare samples with these rows, and say little about where "
            f"the rows come from"
        )
    outside = 2 / (facts.num_rows + 1)
    notes.append(
        f"of new draws from where the rows come from, {100 * outside:.2g} % would lie outside of the data's range"
    )
    return notes
