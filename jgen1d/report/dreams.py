"""What do agents come to that learn in models of the world? Rows, sentences and figures of their outcomes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jgen1d.plots import worlds as charts
from jgen1d.report import stats
from jgen1d.report.table import cell
from jgen1d.worlds import cartpole, training, verdict, world_model
from jgen1d.worlds.environment import Environment
from jgen1d.worlds.training import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
PARTS = ("median", "p05", "p95")
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
    shown: Row = {name: stats.spread(values) for name, values in spreads.items()}
    missed: Row = dict.fromkeys(("one_step_error", "horizon", "done_error"))
    if outcome.fidelity:
        one_step, horizon, done, _ = outcome.fidelity
        values = np.sqrt(np.mean(np.square(one_step), axis=1)), horizon, 100 * done
        missed = {name: stats.spread(of) for name, of in zip(missed, values, strict=True)}
    return {**_BLANK, **label, "num_seeds": len(found), **rates, **shown, **missed, "seconds": round(seconds, 1)}


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
    for heading, of in _over_temperatures(rows).items():
        setting = heading.replace("\n", ", ")
        dream, real = (max(of, key=lambda row: _median(row, f"{kind}_return")) for kind in ("dream", "real"))
        often = max(of, key=lambda row: row["solved"]["share"])
        sentences.append(
            f"{setting}: the median return is highest at τ = {dream['temperature']:g} in the dream, "
            f"{_median(dream, 'dream_return'):.0f} against {_median(dream, 'real_return'):.0f} in reality, where τ = "
            f"{real['temperature']:g} is the best with {_median(real, 'real_return'):.0f}; τ = "
            f"{often['temperature']:g} solves reality most often, in {cell(often['solved'])} of seeds."
        )
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
    rows: Sequence[Row], outcomes: Sequence[Outcome], solved_at: float, steps_per_update: int, title: str,
    coordinate: tuple[int, str],
) -> dict[str, Callable[[], Figure]]:  # fmt: skip
    """What draws the shares that solved the task, returns, learning curves and open-loop rollouts.

    Returns over temperatures are drawn, too, if there are several. Without dreams nothing is.

    Args:
      rows: of all agents.
      outcomes: of each row; of agents without a model the curve of the last is shown for comparison.
      solved_at: the return from which on the task counts as solved.
      steps_per_update: of the agents.
      title: of the figures.
      coordinate: of the observations in open-loop rollouts, each of the seed whose horizon is the median, and its name.
    """
    pairs = list(zip(rows, outcomes, strict=True))
    dreams = [pair for pair in pairs if pair[0]["agent"] == "dream"]
    plain = [pair for pair in pairs if pair[0]["agent"] == "PPO"][-1:]
    if not dreams:
        return {}
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
    curves = {_heading(row): outcome.curve for row, outcome in dreams + plain}
    paths = {}
    for row, outcome in dreams:
        if (found := outcome.fidelity) is not None:
            seed = stats.median_index(found.horizon)
            paths[_heading(row)] = found.paths[seed, :, :, coordinate[0]], float(found.horizon[seed])
    drawn: dict[str, Callable[[], Figure]] = {
        "shares": functools.partial(charts.shares_over, shares=shares, x=x, title=title),
        "returns": functools.partial(charts.dream_against_reality, runs=returns, solved_at=solved_at, title=title),
        "curves": functools.partial(
            charts.learning_curves, curves=curves, steps_per_update=steps_per_update, title=title
        ),
        "rollouts": functools.partial(charts.rollouts, panels=paths, ylabel=coordinate[1], title=title),
    }
    if series := _over_temperatures(rows):
        x = [row["temperature"] for row in next(iter(series.values()))]
        panels = {
            heading: {
                f"in {place}": [[_median(row, f"{kind}_return", part) for row in of] for part in PARTS]
                for kind, place in (("dream", "the dream"), ("real", "reality"))
            }
            for heading, of in series.items()
        }
        drawn["temperatures"] = functools.partial(
            charts.returns_over, panels=panels, x=x, solved_at=solved_at, xlabel="temperature of the dream", title=title
        )
    return drawn


def film(
    rows: Sequence[Row], outcomes: Sequence[Outcome], arguments: Sequence[tuple], environment: Environment, title: str
) -> bytes:
    """A GIF of one agent of CartPole in its dream and in reality, from the same start.

    It is the first agent that exploits its model, or else that of the last setting's first seed.

    Args:
      rows: of all agents.
      outcomes: of each row.
      arguments: of `training.in_dreams` for each row of a dream.
      environment: reality.
      title: of the picture.
    """
    dreams = [i for i, row in enumerate(rows) if row["agent"] == "dream"]
    found = [np.flatnonzero(verdicts(outcomes[i], environment.solved_at) == "exploits_the_model") for i in dreams]
    which, seed = next(
        ((i, int(seeds[0])) for i, seeds in zip(dreams, found, strict=True) if seeds.size), (dreams[-1], 0)
    )
    _, model_config, config = arguments[which]
    agent, model = jax.tree.map(lambda leaf: leaf[seed], (outcomes[which].agent, outcomes[which].model))
    worlds = {"in the dream": world_model.dream(model, environment, model_config), "in reality": environment}
    episodes = {
        name: jax.jit(functools.partial(training.episode, environment=world, config=config))(jax.random.key(0), agent)
        for name, world in worlds.items()
    }
    heading = f"{title}, {_heading(rows[which])}, agent {seed + 1} of {rows[which]['num_seeds']}".replace("\n", ", ")
    return charts.cartpoles(episodes=episodes, limit=cartpole.LIMIT_POSITION, title=heading)


def _heading(row: Row) -> str:
    """What was run, in two lines."""
    return f"{name(row) if row['agent'] == 'dream' else 'PPO in reality'}\n{row['real_steps']:,} real steps"


def _median(row: Row, column: str, part: str = "median") -> float:
    """A part of a spread over seeds; NaN if there is none."""
    return row[column][part] if row[column] else np.nan


def _over_temperatures(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of dreams that differ in their temperature alone, if there are several temperatures."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["agent"] == "dream":
            found.setdefault(_heading(row).replace(f", τ = {row['temperature']:g}\n", "\n"), []).append(row)
    return {heading: of for heading, of in found.items() if len(of) > 1}


def _settings(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each setting of dreams, over real steps."""
    dreams = [row for row in rows if row["agent"] == "dream"]
    return {setting: [row for row in dreams if name(row) == setting] for setting in dict.fromkeys(map(name, dreams))}
