"""What if the discriminator is much stronger than the generator, or much weaker?

    python experiments/imbalance.py
    python experiments/imbalance.py --target=mixture --preset=robust

Trains GANs on two planes: units of both hidden layers of G and of D; and the ratio of D's learning rate to G's (their
geometric mean stays) and D's updates per update of G. The table has, for each place, the share of seeds converged and
with all modes covered, each with its Wilson 95 % interval, and modes covered and W1/floor as median [5 %, 95 %]. The
workdir receives `sizes.png` and `speeds.png`, maps of the verdicts' shares, `config.json` and `summary.json`.

Expect (13 min on 2 busy cores): none converges; false equilibria nearly everywhere, but with 5 updates of D and 4 times
G's rate or more modes are lost in 84 % of seeds and more, and with 4 units in D's layers in 27 to 64 %.
"""

import itertools
from typing import Any

from absl import flags
from matplotlib.figure import Figure

import jgen1d
from experiments import lab
from jgen1d import charts, cli, verdict
from jgen1d.core import replace

WIDTHS = (4, 16, 64)
RATIOS = (1 / 16, 1 / 4, 1.0, 4.0, 16.0)
CRITIC_STEPS = (1, 2, 5)

flags.DEFINE_string("target", "bimodal", "what to learn")
flags.DEFINE_string("preset", "textbook", "of the GAN")
lab.define_flags("imbalance", num_steps=2_000)


def main() -> None:
    """Trains, prints and draws."""
    (target,) = cli.target_list([flags.FLAGS.target], None, None, flag="target")
    base = lab.preset(flags.FLAGS.preset)
    workdir = cli.workdir(flags.FLAGS.workdir, "imbalance", flags.FLAGS.overwrite)
    widths, ratios, steps = (values[:2] if flags.FLAGS.quick else values for values in (WIDTHS, RATIOS, CRITIC_STEPS))
    sizes = [{"width of G": g, "width of D": d} for g, d in itertools.product(widths, widths)]
    speeds = [{"D's updates": k, "D's rate / G's": r} for k, r in itertools.product(steps, ratios)]
    configs = [replace(base, widths_g=(s["width of G"],) * 2, widths_d=(s["width of D"],) * 2) for s in sizes]
    for speed in speeds:
        root = speed["D's rate / G's"] ** 0.5
        rates = {"learning_rate_g": base.learning_rate_g / root, "learning_rate_d": base.learning_rate_d * root}
        configs.append(replace(base, critic_steps=speed["D's updates"], **rates))
    blank = dict.fromkeys([*sizes[0], *speeds[0]])
    labels: list[dict[str, Any]] = [{**blank, **place} for place in (*sizes, *speeds)]
    sweep = lab.sweep([target], configs)
    figures = {
        "sizes": _map(sweep, slice(len(sizes)), widths, widths, "units of D's layers", "units of G's layers"),
        "speeds": _map(sweep, slice(len(sizes), None), steps, ratios, "D's learning rate / G's", "D's updates per G's"),
    }
    rows = lab.rows(sweep, labels)
    lab.answer("imbalance", workdir, rows, 1 + len(blank), [*_conclusions(rows, len(sizes))], figures)


def _map(sweep: jgen1d.Sweep, chosen: slice, rows: Any, columns: Any, xlabel: str, ylabel: str) -> Figure:
    shares = {name: (sweep.verdict[0, chosen] == name).mean(axis=1) for name in verdict.VERDICTS}
    panels = {name: share.reshape(len(rows), len(columns)) for name, share in shares.items() if share.any()}
    names = ([f"{value:g}" for value in values] for values in (rows, columns))
    labels = dict(zip(("rows", "columns"), names, strict=True))
    title = f"Verdicts on {sweep.targets[0].name}, {flags.FLAGS.preset}"
    return charts.heat_maps(panels=panels, **labels, xlabel=xlabel, ylabel=ylabel, unit="share", title=title)


def _conclusions(rows: list[dict[str, Any]], num_sizes: int) -> list[str]:
    """On each plane, where the distance is least and where it is greatest."""
    sentences = []
    for plane in (rows[:num_sizes], rows[num_sizes:]):
        near, far = (f(plane, key=lambda row: lab.median(row["W1/floor"])) for f in (min, max))
        (best, least), (worst, most) = ((_place(row), lab.median(row["W1/floor"])) for row in (near, far))
        sentences.append(
            f"{near['target']}: W1/floor is least, {least:.1f}, at {best}, and greatest, {most:.1f}, at {worst}."
        )
    return sentences


def _place(row: dict[str, Any]) -> str:
    names = [name for name in ("width of G", "width of D", "D's updates", "D's rate / G's") if row[name] is not None]
    return ", ".join(f"{name} {row[name]:g}" for name in names)


if __name__ == "__main__":
    cli.run(main)
