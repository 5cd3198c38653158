"""At which learning rates of G and D does a GAN learn, fail to, oscillate or diverge?

    python experiments/learning_rate.py
    python experiments/learning_rate.py --preset=robust --target=mixture --num_rates=8

Trains a GAN on standardised data with all pairs of --num_rates learning rates from 1e-5 to 1e-1, all in one program,
and maps the share of seeds with each verdict over the plane. The table has, for each ratio of the generator's to the
discriminator's rate, the rates at which half of the seeds or more have the same verdict: as the geometric mean of both,
from the least to the greatest. The workdir receives `learning_rate.png`, `config.json` and `summary.json`.

Expect (4 minutes on 2 cores): most seeds converge where G's rate is 1.2e-4 to 7.4e-4 and D's 4e-4 or more, and greater
than G's; with greater rates of both they end in false equilibria, with smaller ones they are not there yet; where G's
rate is twice D's or more, and both are above 1e-4, nearly all oscillate.
"""

from typing import Any

import numpy as np
from absl import flags

import jgen1d
from experiments import lab
from jgen1d.cli import app as cli
from jgen1d.core import replace
from jgen1d.evaluation import verdict
from jgen1d.plots import settings as charts

LEAST, GREATEST = 1e-5, 1e-1

flags.DEFINE_string("target", "normal", "what to learn")
flags.DEFINE_string("preset", "textbook", "of the GAN")
flags.DEFINE_integer("num_rates", 16, "learning rates of each player", lower_bound=2)
lab.define_flags("learning_rate", num_seeds=16, num_steps=1_000)


def main() -> None:
    """Trains, prints and draws."""
    (target,) = cli.target_list([flags.FLAGS.target], None, None, flag="target")
    base = replace(lab.preset(flags.FLAGS.preset), standardize=True)
    workdir = cli.workdir(flags.FLAGS.workdir, "learning_rate", flags.FLAGS.overwrite)
    count = lab.value("num_rates", 3)
    rates = np.geomspace(LEAST, GREATEST, count).tolist()
    sweep = lab.sweep([target], jgen1d.grid(base, learning_rate_g=rates, learning_rate_d=rates), num_samples=2_000)
    shares = {name: (sweep.verdict[0] == name).mean(axis=1).reshape(count, count) for name in verdict.VERDICTS}
    shares = {name: table for name, table in shares.items() if table.any()}
    rows = [_row(shares, np.array(rates), offset) for offset in range(1 - count, count)]
    labels = [f"{rate:.0e}".replace("e-0", "e-") for rate in rates]
    figure = charts.heat_maps(
        panels=shares, rows=labels, columns=labels, xlabel="learning rate of D", ylabel="learning rate of G",
        unit="share", title=f"Verdicts on {target.name}, {flags.FLAGS.preset}",
    )  # fmt: skip
    lab.answer("learning_rate", workdir, rows, 1, _conclusions(shares, np.array(rates)), {"learning_rate": figure})


def _row(shares: dict[str, np.ndarray], rates: np.ndarray, offset: int) -> dict[str, Any]:
    """Along one diagonal of the plane: where most seeds end in each way."""
    middle = np.sqrt(np.diagonal(np.outer(rates, rates), -offset))
    row: dict[str, Any] = {"G's rate / D's": float((rates[1] / rates[0]) ** offset)}
    for name, table in shares.items():
        where = middle[np.diagonal(table, -offset) >= 0.5]
        row[name] = f"{where.min():.0e} to {where.max():.0e}" if where.size else None
    return row


def _conclusions(shares: dict[str, np.ndarray], rates: np.ndarray) -> list[str]:
    """How much of the plane each verdict takes, and from which rates on."""
    sentences = []
    for name, table in shares.items():
        g, d = (rates[index] for index in np.nonzero(table >= 0.5))
        if g.size:
            spans = {"G's rate": g, "D's": d, "G's / D's": g / d}
            where = ", ".join(f"{of} from {x.min():.1e} to {x.max():.1e}" for of, x in spans.items())
            sentences.append(f"{name} is what most seeds are in {g.size} of {table.size} places: {where}.")
        else:
            sentences.append(f"{name} is nowhere what most seeds are; its share is {table.max():.0%} at most.")
    return sentences


if __name__ == "__main__":
    cli.run(main)
