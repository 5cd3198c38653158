"""How do two columns of a user's numbers become points in the plane, and these a target?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from jgen1d import targets
from jgen1d.data import limits
from jgen1d.data.columns import Column, Options, notes_on_values, short, shown
from jgen1d.data.facts import FEW_ROWS, examine
from jgen1d.targets.finite_sample import HEAVY, bulk_std

Name = str | int


def read_pair(read: Callable[[Name, Options], Column], columns: Sequence[Name], options: Options) -> Column:
    """Reads two columns; a row that lacks a value in one of them is dropped from both, or refused.

    Args:
      read: reads one column.
      columns: two names or indices.
      options: how to read.
    """
    if len(columns) != 2 or columns[0] == columns[1]:
        listed = ",".join(map(str, columns))
        raise ValueError(f"columns={shown(listed)}: must be two different columns, for a distribution in the plane")
    each = options._replace(missing="keep") if options.missing == "drop" else options
    one, other = (read(column, each) for column in columns)
    if len(one.values) != len(other.values):
        raise ValueError(f"columns of {len(one.values)} and {len(other.values)} values: must have equally many")
    points = np.stack([one.values, other.values], axis=1)
    kept = points[~np.isnan(points).any(axis=1)]
    notes = notes_on_values(len(points), len(points) - len(kept), 0)
    return Column(kept, f"{one.name}, {other.name}", (*dict.fromkeys(one.notes + other.notes), *notes))


def require_spread(points: np.ndarray, name: str, where: str = "") -> None:
    """Raises ValueError unless there are two points or more, f64[n, 2], with different values in each column."""
    if len(points) < 2:
        raise ValueError(f"{where}the number of rows with both values is {len(points)}: {limits.AT_LEAST}")
    for index in np.flatnonzero(np.ptp(points, axis=0) == 0):
        which = "second" if index else "first"
        values = f"all {len(points)} values are {points[0, index]:g}"
        raise ValueError(f"{where}the {which} column of {short(name)}: {values}: {limits.AT_LEAST}")


def planar_target(
    points: np.ndarray,
    name: str,
    *,
    dequantize: bool | None = None,
    support: tuple[float, float] | None = None,
    atom: float | None = None,
) -> tuple[targets.Target, tuple[str, ...]]:
    """The target that two columns make, and what was done and found, in sentences.

    Args:
      points: f64[n, 2], from `read_pair`.
      name: of the target.
      dequantize: whether the values of a column with a coarse step are spread over it; None for yes.
      support: for one column alone, as is `atom`.
      atom: see above.

    Raises:
      ValueError: in one line; also if a tenth of a column's values or more are equal, and `dequantize` does not say
        what to do with that.
    """
    for option, value in {"support": support, "atom": atom}.items():
        if value is not None:
            raise ValueError(f"{option}={shown(value)}: is for one column, not for two")
    notes, random, placed = [], np.random.default_rng(0), points.copy()
    for index, which in enumerate(("first", "second")):
        facts = examine(points[:, index])
        spread = facts.is_coarse if dequantize is None else dequantize and facts.step > 0
        if facts.has_atom and not spread and dequantize is None:
            raise ValueError(
                f"{100 * facts.share:.0f} % of the values in the {which} column are {facts.mode:g}, which no "
                f"continuous model learns: dequantize=False ignores it"
            )
        if spread:
            placed[:, index] += facts.step * random.uniform(-0.5, 0.5, len(points))
            notes.append(
                f"each value of the {which} column was moved within its step of {facts.step:g}, at random and once; "
                f"samples are not rounded back"
            )
        if 0 < HEAVY * bulk_std(np.sort(points[:, index])) < facts.std:
            notes.append(
                f"a few values own the standard deviation of the {which} column, {facts.std:.2g}: the others are close "
                f"together in training units; alone it would have a logarithmic scale"
            )
    if len(points) < FEW_ROWS:
        notes.append(f"{len(points)} rows are few: the figures compare samples with these rows")
    try:
        target = targets.empirical(placed, name=name)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("empirical: ")) from None
    return target, (*notes, "training units are (x − mean)/std of each column, and distances are in these units")
