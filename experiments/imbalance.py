"""What if the discriminator is much stronger than the generator, or much weaker?

    python experiments/imbalance.py
    python experiments/imbalance.py --target=normal --preset=robust

Trains GANs on standardised data on three planes: units of both hidden layers of G and of D; hidden layers of G and of
D, of 16 units each; and D's updates per update of G with the ratio of D's learning rate to G's (their geometric mean is
fixed). For each point the table gives the share of seeds that converged and the share that cover all modes, each with
its Wilson 95 % interval, and the modes covered and W1/floor as median [5 %, 95 %]. The workdir receives `units.png`,
`layers.png` and `speeds.png`, maps of the verdicts' shares on which D grows stronger to the right and upwards,
`config.json` and `summary.json`.

Expect (18 minutes of one core): W1/floor is 13 to 14 if the players are balanced, and 70 to 109 if D is weakest or
strongest; then modes are lost in 50 to 98 % of seeds. In 2,000 steps no run converges.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from matplotlib.figure import Figure

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


class Plane(NamedTuple):
    """Two settings of a GAN; D grows stronger from their first values to their last.

    Attributes:
      row: the name of the first setting.
      rows: its values.
      column: the name of the second setting.
      columns: its values.
      balanced: the values at which the players are balanced.
      config: `(base, value of row, value of column) -> config`.
    """

    row: str
    rows: tuple[float, ...]
    column: str
    columns: tuple[float, ...]
    balanced: tuple[float, float]
    config: Callable[[gan.Config, Any, Any], gan.Config]


def _units(base: gan.Config, g: int, d: int) -> gan.Config:
    return replace(base, widths_g=(g,) * 2, widths_d=(d,) * 2)


def _layers(base: gan.Config, g: int, d: int) -> gan.Config:
    return replace(base, widths_g=(16,) * g, widths_d=(16,) * d)


def _speeds(base: gan.Config, updates: int, ratio: float) -> gan.Config:
    root = ratio**0.5
    rates = {"learning_rate_g": base.learning_rate_g / root, "learning_rate_d": base.learning_rate_d * root}
    return replace(base, critic_steps=updates, **rates)


PLANES = {
    "units": Plane("units_g", (64, 16, 4), "units_d", (4, 16, 64), (16, 16), _units),
    "layers": Plane("layers_g", (4, 2, 1), "layers_d", (1, 2, 4), (2, 2), _layers),
    "speeds": Plane("updates_d", (1, 2, 5), "rate_d_over_g", (1 / 16, 1 / 4, 1, 4, 16), (1, 1), _speeds),
}

flags.DEFINE_string("target", "bimodal", "what to learn")
_PRESET = flags.DEFINE_string("preset", "textbook", "preset of the GAN")
flags.DEFINE_list("planes", list(PLANES), "planes to map, separated by commas")
cli.define_training_flags(num_steps=2_000)
cli.define_output_flags("imbalance")


def main() -> None:
    """Trains, prints and draws."""
    (target,) = cli.read_targets("target")
    base = replace(cli.preset(gan.METHOD, _PRESET.value), standardize=True)
    planes = {name: PLANES[name] for name in cli.names("planes", PLANES)}
    workdir = cli.choose_workdir("imbalance")
    blank = {name: None for plane in planes.values() for name in (plane.row, plane.column)}
    configs: list[gan.Config] = []
    labels: list[dict[str, Any]] = []
    spans = {}
    for name, plane in planes.items():
        places = list(itertools.product(plane.rows, plane.columns))
        spans[name] = slice(len(configs), len(configs) + len(places))
        configs += [plane.config(base, *place) for place in places]
        labels += [blank | {plane.row: row, plane.column: column} for row, column in places]
    sweep = lab.sweep([target], configs)
    rows = lab.rows(sweep, labels)
    figures = {name: partial(_map, sweep, plane, spans[name]) for name, plane in planes.items()}
    conclusions = [_conclusion(sweep, plane, spans[name]) for name, plane in planes.items()]
    cli.answer(workdir, Table(rows), conclusions, figures)


def _map(sweep: jgen1d.Sweep, plane: Plane, span: slice) -> Figure:
    shares = {name: (sweep.verdict[0, span] == name).mean(axis=1) for name in verdict.VERDICTS}
    panels = {name: s.reshape(len(plane.rows), len(plane.columns)) for name, s in shares.items() if s.any()}
    rows, columns = ([f"{value:g}" for value in values] for values in (plane.rows, plane.columns))
    title = f"Verdicts on {sweep.targets[0].name}, {_PRESET.value}: D grows stronger to the right and upwards"
    labels = {"xlabel": TITLES[plane.column], "ylabel": TITLES[plane.row], "unit": "share", "title": title}
    return charts.heat_maps(panels=panels, rows=rows, columns=columns, **labels)


def _conclusion(sweep: jgen1d.Sweep, plane: Plane, span: slice) -> str:
    """The distance and the most frequent verdict with a balanced, the weakest and the strongest D."""
    places = list(itertools.product(plane.rows, plane.columns))
    clauses = []
    for name, place in {"a balanced": plane.balanced, "the weakest": places[0], "the strongest": places[-1]}.items():
        c = span.start + places.index(place)
        verdicts, counts = np.unique(sweep.verdict[0, c], return_counts=True)
        most_frequent = verdicts[counts.argmax()]
        share = cell(stats.rate(sweep.verdict[0, c] == most_frequent))
        distance = np.nanmedian(sweep.metrics["w1_over_floor"][0, c])
        settings = f"{TITLES[plane.row]} {place[0]:g}, {TITLES[plane.column]} {place[1]:g}"
        clauses.append(f"{distance:.1f} with {name} D ({settings}; {share} of seeds: {most_frequent})")
    return f"{sweep.targets[0].name}: the median W1/floor is {', '.join(clauses)}."


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"planes": ["layers"]})
