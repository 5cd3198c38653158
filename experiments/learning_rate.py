"""At which learning rates of G and D does a GAN learn, fail to learn, oscillate or diverge?

    python experiments/learning_rate.py
    python experiments/learning_rate.py --preset=robust --target=mixture --num_rates=8

Trains a GAN on standardised data with all pairs of --num_rates learning rates from 1e-5 to 1e-1, all in one program,
and maps the share of seeds with each verdict over the plane. The table has a row for each ratio of the generator's rate
to the discriminator's. For each verdict it gives the rates at which at least half of the seeds have it, as the
geometric mean of both rates, from the lowest to the highest. The workdir receives `learning_rate.png`, `config.json`
and `summary.json`.

Verdicts are from 2,000 samples, by which a test tells less than by the 10,000 of other scripts.

Expect (10 minutes of one core): most seeds are indistinguishable if G's rate is 1.2e-4 to 4.0e-4 and
D's is at least 4e-4 and above G's; higher rates of both end in false equilibria, and lower ones are too slow; if G's
rate is twice D's or more, and both are above 1e-4, nearly all runs oscillate.
"""

from functools import partial
from typing import Any

import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.core import replace
from jgen1d.evaluation.verdict import VERDICTS
from jgen1d.methods import gan
from jgen1d.plots import settings as charts
from jgen1d.report.table import Table, cell

LOWEST, HIGHEST = 1e-5, 1e-1

flags.DEFINE_string("target", "normal", "what to learn")
_PRESET = flags.DEFINE_string("preset", "textbook", "preset of the GAN")
_NUM_RATES = flags.DEFINE_integer("num_rates", 16, "learning rates of each player", lower_bound=2)
cli.define_training_flags(num_seeds=16, num_steps=1_000)
cli.define_output_flags("learning_rate")


def main() -> None:
    """Trains, prints and draws."""
    (target,) = cli.read_targets("target")
    base, count = replace(cli.preset(gan.METHOD, _PRESET.value), standardize=True), _NUM_RATES.value
    workdir = cli.choose_workdir("learning_rate")
    rates = np.geomspace(LOWEST, HIGHEST, count).tolist()
    sweep = lab.sweep([target], jgen1d.grid(base, learning_rate_g=rates, learning_rate_d=rates), num_samples=2_000)
    shares = {name: (sweep.verdict[0] == name).mean(axis=1).reshape(count, count) for name in VERDICTS}
    shares = {name: table for name, table in shares.items() if table.any()}
    num_seeds = len(sweep.seeds)
    rows = [_row(shares, np.array(rates), offset, num_seeds) for offset in range(1 - count, count)]
    labels = [f"{rate:.0e}".replace("e-0", "e-") for rate in rates]
    figure = partial(
        charts.heat_maps,
        panels=shares, rows=labels, columns=labels, xlabel="learning rate of D", ylabel="learning rate of G",
        unit="share", title=f"Verdicts on {target.name}, {_PRESET.value}",
    )  # fmt: skip
    table = Table(rows, formats={"rate_g_over_d": cell})
    cli.answer(workdir, table, _conclusions(shares, np.array(rates)), {"learning_rate": figure})


def _row(shares: dict[str, np.ndarray], rates: np.ndarray, offset: int, num_seeds: int) -> dict[str, Any]:
    """Along one diagonal of the plane: the rates at which most seeds have each verdict."""
    middle = np.sqrt(np.diagonal(np.outer(rates, rates), -offset))
    row: dict[str, Any] = {"rate_g_over_d": float((rates[1] / rates[0]) ** offset), "num_seeds": num_seeds}
    for name, table in shares.items():
        found = middle[np.diagonal(table, -offset) >= 0.5]
        row[name] = f"{found.min():.0e} to {found.max():.0e}" if found.size else None
    return row


def _conclusions(shares: dict[str, np.ndarray], rates: np.ndarray) -> list[str]:
    """How much of the plane has each verdict, and the range of its rates."""
    sentences = []
    for name, table in shares.items():
        g, d = (rates[index] for index in np.nonzero(table >= 0.5))
        if g.size:
            spans = {"G's rate": g, "D's rate": d, "G's rate / D's": g / d}
            ranges = ", ".join(f"{of} from {x.min():.1e} to {x.max():.1e}" for of, x in spans.items())
            sentences.append(f"{name}: most seeds at {g.size} of {table.size} pairs of rates; {ranges}.")
        else:
            sentences.append(f"{name}: at no pair of rates most seeds, at most {100 * table.max():.0f} %.")
    return sentences


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"num_rates": 3})
