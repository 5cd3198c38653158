"""Which recipe should a GAN have on your target? A two-stage search that tells a good recipe from luck.

    python experiments/recipe.py                                    # on six registered targets and those of lab.WIDER
    python experiments/recipe.py --targets=mixture --num_steps=2000
    python experiments/recipe.py --data=PATH --column=NAME          # on a column of numbers of your own

Stage 1 trains every candidate of `CANDIDATES` with few seeds, from 10,000 on, and ranks them by their worst target: by
the share of seeds that learned the distribution, then by the median of KS. Stage 2 trains the best --finalists with
many seeds, from 30,000 on, that no choice has seen. Seeds below 10,000 stay free for what is published.

For each (stage, target, recipe) the table gives the share of each verdict with its Wilson 95 % interval, and W1/floor,
TV, KS, the samples to tell and the modes covered as median [5 %, 95 %]. The workdir receives `config.json` and
`summary.json`. Until the run is done it keeps the progress: after Ctrl-C or a crash the same command continues.

The first stage of the defaults took 70 minutes of one core; the second has not been run to its end. `robust` was
chosen by hand, on 2 to 6 seeds from 20,000 on. Each stage's ranking is printed to stderr as soon as it is known.
"""

import sys
from concurrent.futures import Executor
from typing import Any

import numpy as np
from absl import flags

import jgen1d
from jgen1d import cli
from jgen1d.core import replace
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.engine.parts import Part
from jgen1d.evaluation import verdict
from jgen1d.methods import gan
from jgen1d.report.table import OUTCOME, Table
from lab import WIDER

_ROBUST = gan.PRESETS["robust"]
CANDIDATES: dict[str, gan.Config] = {
    "robust": _ROBUST,
    "regularized": gan.PRESETS["regularized"],
    "all features at once": replace(_ROBUST, coarse_to_fine=None),
    "no instance noise": replace(_ROBUST, instance_noise=None),
    "no Fourier features": replace(_ROBUST, fourier_features=0, coarse_to_fine=None),
    "4 Fourier features": replace(_ROBUST, fourier_features=4),
    "2 critic steps": replace(_ROBUST, critic_steps=2),
    "normal latents alone": replace(_ROBUST, binary_latents=0),
    "R1 alone": replace(_ROBUST, r2=None),
    "penalties × 2": replace(_ROBUST, r1=0.2, r2=0.2),
    "Adam": replace(_ROBUST, optimizer="adam"),
    "relativistic": replace(_ROBUST, generator_loss="relativistic", discriminator_loss="relativistic"),
    "G 2 × 32": replace(_ROBUST, widths_g=(32, 32)),
}
NAMES = ["normal", "bimodal", "uniform", "exponential", "mixture", "two_normals", *WIDER]
FIRST_SEEDS = (10_000, 30_000)
"""Of the two stages."""

flags.DEFINE_list("targets", NAMES, "targets to learn, separated by commas")
cli.define_data_flags()
_RECIPES = flags.DEFINE_list("recipes", list(CANDIDATES), "candidates, separated by commas")
_FINALISTS = flags.DEFINE_integer("finalists", 2, "candidates of the second stage", lower_bound=1)
_FEW = flags.DEFINE_integer("num_seeds", 6, "seeds of the first stage", lower_bound=1)
_MANY = flags.DEFINE_integer("final_seeds", 24, "seeds of the second stage", lower_bound=1)
_STEPS = flags.DEFINE_integer("num_steps", 5_000, "training steps of each run", lower_bound=1)
cli.define_output_flags("recipe")
cli.define_run_flags()


def main() -> None:
    """Searches, prints and writes."""
    targets, names = cli.read_targets(more=WIDER), cli.names("recipes", CANDIDATES)
    workdir = cli.choose_workdir("recipe")
    configs = [CANDIDATES[name] for name in names]
    with cli.checkpoints(workdir, targets, configs) as checkpoints:
        with cli.executor(workdir) as executor:
            names, rows = _search(targets, names, checkpoints, executor)
        best = f"{names[0]} is the best of {len(_RECIPES.value)} recipes by its worst target, on seeds of their own."
        shown = (*OUTCOME, "w1_over_floor", "tv", "ks", "samples_to_tell", "modes_covered")
        cli.answer(workdir, Table(rows, shown), [best], {}, checkpoints=checkpoints)


def _search(
    targets: list[jgen1d.Target], names: list[str], checkpoints: Checkpoints | None, executor: Executor | None
) -> tuple[list[str], list[dict[str, Any]]]:
    """The finalists, from the best on, and both stages' rows."""
    rows: list[dict[str, Any]] = []
    for stage, (first, count) in enumerate(zip(FIRST_SEEDS, (_FEW.value, _MANY.value), strict=True), 1):
        configs, part = [CANDIDATES[name] for name in names], checkpoints and Part(checkpoints, f"{stage}")
        sweep = jgen1d.sweep(
            gan.METHOD, targets, configs, range(first, first + count), _STEPS.value,
            executor=executor, checkpoints=part, progress=True, **cli.run_options(),
        )  # fmt: skip
        cli.explain(sweep)
        table = sweep.table(names)
        rows += [
            {"stage": str(stage), "target": row.pop("target"), "recipe": row.pop("preset"), **row} for row in table
        ]
        ranking = _ranked(sweep, names)
        print(f"stage {stage}, from the best recipe on: {', '.join(ranking)}", file=sys.stderr)
        names = ranking[: _FINALISTS.value]
    return names, rows


def _ranked(sweep: jgen1d.Sweep, names: list[str]) -> list[str]:
    """The names from the best on: the greatest share of seeds that learned, on the worst target, then the least KS."""
    learned = verdict.learned(sweep.verdict).mean(axis=2).min(axis=0)
    distance = np.median(sweep.metrics["ks"], axis=2).max(axis=0)
    return [names[c] for c in np.lexsort((distance, -learned))]


if __name__ == "__main__":
    quick = {
        "num_seeds": 2,
        "final_seeds": 2,
        "num_steps": 40,
        "targets": ["bimodal"],
        "recipes": ["robust", "regularized"],
    }
    cli.run(main, quick=quick | {"finalists": 1})
