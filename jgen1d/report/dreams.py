"""What do agents come to that learn in models of the world? Rows, sentences and figures of their outcomes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jgen1d.plots import worlds as charts
from jgen1d.report import stats
from jgen1d.report.table import cell
from jgen1d.worlds import verdict
from jgen1d.worlds.training import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
FEW = 5
"""Seeds of each recipe, as papers report them."""
_BLANK = {"agent": "", "family": "", "ensemble": "", "rounds": "", "temperature": "", "real_steps": 0}


def verdicts(outcome: Outcome, solved_at: float) -> np.ndarray:
    """The outcome of each of S runs in one word, str[S]."""
    return verdict.classify(outcome.real_return, outcome.dream_return, solved_at, outcome.diverged)


def row(label: Mapping[str, Any], outcome: Outcome, solved_at: float, seconds: float) -> Row:
    """A row of the table.

    Args:
      label: what was run: `agent`, which is `dream` for one that learned in a model, `real_steps`, and of a dream
        `family`, `ensemble`, `rounds` and `temperature`.
      outcome: of S runs.
      solved_at: the return from which on the task counts as solved.
      seconds: that they took.
    """
    found = verdicts(outcome, solved_at)
    rates = {name: stats.rate(found == name) for name in ("solved", "exploits_the_model", "diverged")}
    spreads = {"dream_return": outcome.dream_return, "real_return": outcome.real_return}
    spreads["one_step_error"] = np.sqrt(np.mean(np.square(outcome.model_error), axis=1))
    shown = {name: stats.spread(values) for name, values in spreads.items()}
    return {**_BLANK, **label, "num_seeds": len(found), **rates, **shown, "seconds": round(seconds, 1)}


def name(label: Mapping[str, Any]) -> str:
    """A setting of dreams in a few words; what is one is left out."""
    parts = [f"{label[field]} {word}" for field, word in (("ensemble", "members"), ("rounds", "rounds"))]
    parts = [part for part in parts if not part.startswith("1 ")]
    return ", ".join([label["family"], *parts, f"τ = {label['temperature']:g}"])


def conclusions(rows: Sequence[Row]) -> list[str]:
    """How often each setting of dreams solves the task or only seems to, and how 5 seeds would rank the settings."""
    sentences, settings = [], _settings(rows)
    for setting, of in settings.items():
        clauses = [
            f"with {row['real_steps']:,} real steps {cell(row['solved'])} of seeds solve reality and "
            f"{cell(row['exploits_the_model'])} only the dream"
            for row in of
        ]
        half = [row["real_steps"] for row in of if row["solved"]["share"] >= 0.5]
        least = f"the fewest real steps with which half of the seeds do is {half[0]:,}" if half else "none solves half"
        sentences.append(f"{setting}: {'; '.join(clauses)}; {least}.")
    for steps in dict.fromkeys(row["real_steps"] for row in rows if row["agent"] == "dream" and len(settings) > 1):
        shares = {
            setting: row["solved"]["share"]
            for setting, of in settings.items()
            for row in of
            if row["real_steps"] == steps
        }
        best = max(shares, key=lambda setting: shares[setting])
        wrong = [
            f"{setting} in {100 * stats.wrong_ranking(shares[best], shares[setting], FEW):.0f} %"
            for setting in shares
            if shares[setting] < shares[best]
        ]
        if wrong:
            sentences.append(
                f"At {steps:,} real steps {best} is the best, and {FEW} seeds of each would rank it below "
                f"{', '.join(wrong)} of cases."
            )
    plain = [f"{cell(r['solved'])} after {r['real_steps']:,} real steps" for r in rows if r["agent"] == "PPO"]
    sentences += [f"PPO without a model solves reality in {', '.join(plain)}."] * bool(plain)
    return sentences + [
        f"The guide's recipe solves reality in {cell(row['solved'])} of seeds after {row['real_steps']:,} real steps; "
        f"the median return is {stats.median(row['real_return']):.0f}."
        for row in rows
        if row["agent"] == "filter"
    ]


def figures(
    rows: Sequence[Row], outcomes: Sequence[Outcome], solved_at: float, steps_per_update: int, title: str
) -> dict[str, Callable[[], Figure]]:
    """What draws the shares that solved the task, the returns, and the learning curves.

    Args:
      rows: of all agents.
      outcomes: of each row; of agents without a model the curve of the last is shown for comparison.
      solved_at: the return from which on the task counts as solved.
      steps_per_update: of the agents.
      title: of the figures.
    """
    pairs = list(zip(rows, outcomes, strict=True))
    dreams = [pair for pair in pairs if pair[0]["agent"] == "dream"]
    plain = [pair for pair in pairs if pair[0]["agent"] == "PPO"][-1:]
    shares = {
        setting: tuple([row["solved"][part] for row in of] for part in ("share", "low", "high"))
        for setting, of in _settings(rows).items()
    }
    x = list(dict.fromkeys(row["real_steps"] for row, _ in dreams))
    returns = {
        f"{steps:,} real steps": tuple(
            np.concatenate([getattr(outcome, field) for row, outcome in dreams if row["real_steps"] == steps])
            for field in ("dream_return", "real_return")
        )
        for steps in x
    }
    curves = {
        f"{name(row) if row['agent'] == 'dream' else 'PPO in reality'}\n{row['real_steps']:,} real steps": outcome.curve
        for row, outcome in dreams + plain
    }
    return {
        "shares": functools.partial(charts.shares_over, shares=shares, x=x, title=title),
        "returns": functools.partial(charts.dream_against_reality, runs=returns, solved_at=solved_at, title=title),
        "curves": functools.partial(
            charts.learning_curves, curves=curves, steps_per_update=steps_per_update, title=title
        ),
    }


def _settings(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each setting of dreams, over real steps."""
    dreams = [row for row in rows if row["agent"] == "dream"]
    return {setting: [row for row in dreams if name(row) == setting] for setting in dict.fromkeys(map(name, dreams))}
