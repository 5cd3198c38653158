"""How many seeds does it take to tell the better of two recipes?

    python experiments/how_many_seeds.py
    python experiments/how_many_seeds.py --target=mixture --num_seeds=1024

Trains two GANs that differ a little, by the learning rates of `regularized` and half of them, with --num_seeds seeds.
The recipe with the lower median W1 over all of them is the better one. Then it plays the reader of papers: it draws n
seeds of each recipe, ranks the recipes by their best seed, by the mean of W1, by its median, or by the share of seeds
that learned the distribution, and counts how often the wrong one comes first; a tie counts half.

For each n the table gives the share of --num_draws draws that rank the recipes wrongly, by each rule, with its Wilson
95 % interval. The workdir receives `how_many_seeds.png`, `config.json` and `summary.json`.

The field reports 1 to 10 seeds, and often the best of them.

Expect, with the defaults (8 minutes of one core): one seed ranks the two recipes, whose median W1/floor are 4.7 and
5.4, wrongly in 33 to 42 % of draws, 3 seeds in 20 to 30 %, 10 in 9 to 13 %, and 30 in at most 3 %.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.core import replace
from jgen1d.evaluation import verdict
from jgen1d.methods import gan
from jgen1d.plots import settings as charts
from jgen1d.report import stats
from jgen1d.report.table import Table, cell
from jgen1d.report.titles import TITLES

RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "wrong_by_best": lambda w1, learned: w1.min(axis=-1),
    "wrong_by_mean": lambda w1, learned: w1.mean(axis=-1),
    "wrong_by_median": lambda w1, learned: np.median(w1, axis=-1),
    "wrong_by_rate": lambda w1, learned: -learned.mean(axis=-1),
}
"""What is compared, less is better: of W1 f[..., n] and of whether each seed learned the distribution, bool[..., n]."""

flags.DEFINE_string("target", "bimodal", "what to learn")
_COUNTS = flags.DEFINE_list("counts", ["1", "3", "5", "10", "30"], "numbers of seeds, separated by commas")
_NUM_DRAWS = flags.DEFINE_integer("num_draws", 10_000, "draws of so many seeds", lower_bound=1)
cli.define_training_flags(num_seeds=512, num_steps=2_000)
cli.define_output_flags("how_many_seeds")


def main() -> None:
    """Trains, draws seeds, prints and draws the picture."""
    (target,), counts = cli.read_targets("target"), cli.integers("counts")
    if counts[-1] > len(cli.seeds()):
        raise ValueError(f"--counts={counts[-1]}: must be at most --num_seeds={len(cli.seeds())}")
    workdir = cli.choose_workdir("how_many_seeds")
    base = gan.PRESETS["regularized"]
    slow = replace(base, learning_rate_g=base.learning_rate_g / 2, learning_rate_d=base.learning_rate_d / 2)
    sweep = lab.sweep([target], [base, slow])
    w1 = np.nan_to_num(sweep.metrics["w1"][0], nan=np.inf)
    learned = verdict.learned(sweep.verdict[0])
    better = int(np.argmin(np.median(w1, axis=1)))
    rows = [_row(target.name, count, w1[[better, 1 - better]], learned[[better, 1 - better]]) for count in counts]
    curves = {TITLES[rule]: [row[rule]["share"] for row in rows] for rule in RULES}
    figure = partial(
        charts.lines,
        x=counts, curves=curves, xlabel="seeds of each recipe", ylabel="share of wrong rankings",
        title=f"Two recipes on {target.name}: how often do n seeds rank them wrongly?",
    )  # fmt: skip
    cli.answer(workdir, Table(rows), [_conclusion(sweep, better, rows)], {"how_many_seeds": figure})


def _row(target: str, count: int, w1: np.ndarray, learned: np.ndarray) -> dict[str, Any]:
    """How often `count` seeds rank the recipes wrongly; the better recipe is the first of both arrays [2, seeds]."""
    rng = np.random.default_rng(count)
    chosen = rng.permuted(np.tile(np.arange(w1.shape[1]), (2, _NUM_DRAWS.value, 1)), axis=-1)[..., :count]
    drawn = [np.stack([values[r][chosen[r]] for r in (0, 1)]) for values in (w1, learned)]
    row: dict[str, Any] = {"target": target, "num_runs": count}
    for rule, score in RULES.items():
        first, second = score(*drawn)
        wrong = (first > second) + 0.5 * (first == second)
        row[rule] = stats.rate(np.arange(len(wrong)) < round(float(wrong.sum())))
    return row


def _conclusion(sweep: jgen1d.Sweep, better: int, rows: list[dict[str, Any]]) -> str:
    """How far apart the recipes are, and the shares of wrong rankings with the fewest and the most seeds."""
    medians = np.median(sweep.metrics["w1_over_floor"][0], axis=1)
    name = ["the full rates", "half the rates"][better]
    first, last = rows[0], rows[-1]
    return (
        f"{first['target']}: {cell(first['wrong_by_median'])} of comparisons of {first['num_runs']} seed"
        f"{'s' * (first['num_runs'] > 1)} a recipe find the wrong one better, and {cell(last['wrong_by_median'])} of "
        f"those of {last['num_runs']} by their medians, {cell(last['wrong_by_best'])} by the best. Over all "
        f"{len(sweep.seeds)} seeds {name} have the lower median W1/floor, {medians[better]:.2f} against "
        f"{medians[1 - better]:.2f}."
    )


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"counts": ["1", "3"], "num_draws": 100})
