"""How do samples travel from noise to data, and how near to the exact lines do learnt models carry them?

    python experiments/trajectories.py                           # the mixture
    python experiments/trajectories.py --target=exponential --num_steps=2000

Trains diffusion (with its probability-flow ODE as the sampler) and flow matching on one 1-D target with --num_seeds
seeds, and follows the same points through all of them. In one dimension a flow keeps the order of its points, so the
exact lines are known: each point stays at its quantile. The table has, for each method, the distance in training units
between learnt and exact lines, at the end and on the way, as median [5 %, 95 %] over seeds.

Expect, on the mixture (1 minute on 2 cores): both end within about 0.01 standard deviations of the data of their place.

The workdir receives `trajectories.png` (the forward process's spread; learnt paths of the median seed over the exact
lines; Langevin chains on the exact score), `trajectories.gif` (the points on their way) and `config.json`.
"""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.scipy.special import ndtri

import jgen1d
from jgen1d.cli import app as cli
from jgen1d.engine import run as train
from jgen1d.evaluation import theory
from jgen1d.evaluation import trajectories as travel
from jgen1d.maths import mcmc, paths
from jgen1d.methods import diffusion, flow_matching
from jgen1d.report import table as results

NUM_LINES = 24  # an even number: no line on the border of two modes of equal weight
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
NUM_TIMES = 61
LANGEVIN_STEP, LANGEVIN_STEPS, LANGEVIN_NOISE = 0.02, 300, 0.05

_TARGET = flags.DEFINE_string("target", "mixture", "a 1-D target")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 8, "runs per method", lower_bound=1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 5_000, "training steps of each run", lower_bound=1)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to write; default: runs/trajectories-TIME; empty: nowhere")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "write into a workdir that is not empty")
_FORMAT = flags.DEFINE_enum("format", "text", ["text", "json", "csv"], "of the results on stdout")
_QUICK = flags.DEFINE_bool("quick", False, "2 seeds and 50 steps, where these flags are not given")


def main() -> None:
    """Trains, follows, prints and draws."""
    (target,) = cli.target_list([_TARGET.value], None, None, flag="target")
    if target.dim != 1:
        raise ValueError(f"--target={_TARGET.value}: must be 1-D")
    num_seeds = 2 if _QUICK.value and not _NUM_SEEDS.present else _NUM_SEEDS.value
    num_steps = 50 if _QUICK.value and not _NUM_STEPS.present else _NUM_STEPS.value
    workdir = cli.workdir(_WORKDIR.value, "trajectories", _OVERWRITE.value)

    u = (jnp.arange(NUM_LINES) + 0.5) / NUM_LINES
    rows: list[dict[str, Any]] = []
    drawn = {}
    for name, method in {"diffusion": diffusion.METHOD, "flow_matching": flow_matching.METHOD}.items():
        sweep = jgen1d.sweep(method, [target], [method.Config()], range(num_seeds), num_steps)
        runs = [sweep.result(0, 0, seed) for seed in range(num_seeds)]
        stops = travel.clock(runs[0].config)
        exact = travel.exact_lines(target, u, stops.alpha, stops.sigma)
        learnt = np.stack([travel.learnt_lines(run.state, ndtri(u), run.config) for run in runs])
        distance = np.abs(learnt - exact[None])
        ends, way = distance[:, -1].mean(1), distance.mean((1, 2))
        rows.append({"method": name, "at_the_end": results.spread(ends), "on_the_way": results.spread(way)})
        drawn[name] = (stops.progress, learnt[results.median_index(ends)], exact)
    conclusion = _conclusion(target.name, rows)
    if _FORMAT.value == "json":
        print(results.Table(rows).to_json(conclusion=conclusion))
    elif _FORMAT.value == "csv":
        print(results.Table(rows).to_csv(), end="")
    else:
        for row in rows:
            print(f"{row['method']:15}" + "".join(f"{k.replace('_', ' ')} {_show(row[k])}   " for k in list(row)[1:]))
        print("", conclusion, sep="\n")
    if workdir:
        _write(workdir, target, drawn)
        print(f"written to {workdir}", file=sys.stderr)


def _langevin(target: jgen1d.Target) -> np.ndarray:
    """Chains of unadjusted Langevin dynamics on the exact score, f32[steps + 1, lines], in training units."""
    shift, scale = train.units(target, standardize=True)

    def score(x: jax.Array) -> jax.Array:
        return theory.score(target, x, 1.0, LANGEVIN_NOISE, shift=shift, scale=scale)

    start = jnp.linspace(-3, 3, NUM_LINES)[:, None]
    _, way = jax.jit(lambda x: mcmc.langevin(jax.random.key(0), score, x, LANGEVIN_STEP, LANGEVIN_STEPS))(start)
    return np.asarray(jnp.concatenate([start[None], way]))[:, :, 0]


def _show(spread: dict[str, float] | None) -> str:
    return "–" if spread is None else "{median:.3f} [{p05:.3f}, {p95:.3f}]".format(**spread)


def _conclusion(target: str, rows: list[dict[str, Any]]) -> str:
    """Which model's lines end nearer to where they should."""
    if any(row["at_the_end"] is None for row in rows):
        return f"{target}: not every model carried its points to an end."
    nearest, other = sorted(rows, key=lambda row: row["at_the_end"]["median"])
    a, b = nearest["at_the_end"]["median"], other["at_the_end"]["median"]
    return (
        f"{target}: {nearest['method']} carries points to within {a:.3f} of their place, in standard deviations of the "
        f"data and on average over points, {other['method']} to within {b:.3f}."
    )


def _write(workdir: Path, target: jgen1d.Target, drawn: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    from jgen1d.plots import runs as plots

    workdir.mkdir(parents=True, exist_ok=True)
    results.write_json(workdir / "config.json", {"flags": cli.given(), **results.environment()})
    t = np.linspace(0, 1, NUM_TIMES)
    path = paths.SCHEDULES[diffusion.Config().noise_schedule]
    spread = travel.exact_lines(target, jnp.array(LEVELS), path.alpha(jnp.array(t)), path.sigma(jnp.array(t)))
    title = f"From noise to data: {target.name}, in standard deviations of the data"
    figure = plots.trajectories(
        forward=(t, spread, LEVELS), learnt=drawn, chains=_langevin(target), step_size=LANGEVIN_STEP, title=title
    )
    plots.save(figure, workdir / "trajectories.png")
    x = np.linspace(-3.5, 3.5, 300)
    shift, scale = (float(v[0]) for v in train.units(target, standardize=True))
    density = None
    if target.has_density:
        density = (x, scale * np.exp(np.asarray(target.log_prob((shift + scale * x)[:, None]))))
    plots.animate(learnt=drawn, density=density, title=title, path=workdir / "trajectories.gif")


if __name__ == "__main__":
    cli.run(main)
