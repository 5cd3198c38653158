"""How do samples travel from noise to data, and how close to the exact paths do learnt models carry them?

    python experiments/trajectories.py                           # the mixture
    python experiments/trajectories.py --target=exponential --num_steps=2000

Trains diffusion (with its probability-flow ODE as the sampler) and flow matching on one 1-D target with --num_seeds
seeds, and follows the same points through all of them. In one dimension a flow keeps the order of its points, so the
exact paths are known: each point stays at its quantile. For each method the table gives the distance in training units
between learnt and exact paths, at the end and on the way, as median [5 %, 95 %] over seeds.

Expect, on the mixture (1 minute on 2 cores): the median seed of both methods ends within 0.004
standard deviations of the exact paths.

The workdir receives `trajectories.png` (the quantiles of the forward process, the learnt paths of the median seed over
the exact paths, and Langevin chains on the exact score), `trajectories.gif` (the moving points), `config.json` and
`summary.json`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.scipy.special import ndtri
from matplotlib.figure import Figure

import jgen1d
from jgen1d import cli
from jgen1d.engine.task import units
from jgen1d.evaluation import theory
from jgen1d.evaluation import trajectories as travel
from jgen1d.maths import mcmc, paths
from jgen1d.methods import diffusion, flow_matching
from jgen1d.plots import trajectories as plots
from jgen1d.report import stats
from jgen1d.report.table import Table

NUM_LINES = 24  # even, so that no path lies on the border between two modes of equal weight
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
NUM_TIMES = 61
LANGEVIN_STEP, LANGEVIN_STEPS, LANGEVIN_NOISE = 0.02, 300, 0.05

flags.DEFINE_string("target", "mixture", "what to learn, in 1-D")
cli.define_training_flags(num_seeds=8)
cli.define_output_flags("trajectories")


def main() -> None:
    """Trains, follows, prints and draws."""
    (target,) = cli.read_targets("target", dim=1)
    workdir = cli.choose_workdir("trajectories")

    u = (jnp.arange(NUM_LINES) + 0.5) / NUM_LINES
    rows: list[dict[str, Any]] = []
    drawn = {}
    for name, method in {"diffusion": diffusion.METHOD, "flow_matching": flow_matching.METHOD}.items():
        # Few samples for the metrics, which are of no use here: the runs alone are.
        sweep = jgen1d.sweep(method, [target], [method.Config()], cli.seeds(), cli.num_steps(), num_samples=1_000)
        runs = [sweep.result(0, 0, s) for s in range(len(sweep.seeds))]
        assert method.trajectory is not None
        stops = travel.stops(method.trajectory, runs[0].config)
        exact = travel.exact_lines(target, u, stops.alpha, stops.sigma)
        learnt = np.stack([travel.learned_lines(method.trajectory, run.state, ndtri(u), run.config) for run in runs])
        distance = np.abs(learnt - exact[None])
        ends = distance[:, -1].mean(1)
        row: dict[str, Any] = {"method": name, "num_seeds": len(runs), "at_the_end": stats.spread(ends)}
        rows.append(row | {"on_the_way": stats.spread(distance.mean((1, 2)))})
        drawn[name] = (stops.progress, learnt[stats.median_index(ends)], exact)
    title = f"From noise to data: {target.name}, in standard deviations of the data"
    figures = {"trajectories": partial(_draw, target, drawn, title)}
    animations = {"trajectories": partial(_animate, target, drawn, title)}
    cli.answer(workdir, Table(rows), [_conclusion(target.name, rows)], figures, animations=animations)


def _langevin(target: jgen1d.Target) -> np.ndarray:
    """Chains of unadjusted Langevin dynamics on the exact score, f32[steps + 1, lines], in training units."""
    shift, scale = units(target, standardize=True)

    def score(x: jax.Array) -> jax.Array:
        return theory.score(target, x, 1.0, LANGEVIN_NOISE, shift=shift, scale=scale)

    start = jnp.linspace(-3, 3, NUM_LINES)[:, None]
    _, points = jax.jit(lambda x: mcmc.langevin(jax.random.key(0), score, x, LANGEVIN_STEP, LANGEVIN_STEPS))(start)
    return np.asarray(jnp.concatenate([start[None], points]))[:, :, 0]


def _conclusion(target: str, rows: list[dict[str, Any]]) -> str:
    """Which model's paths end closer to the exact ones."""
    if any(row["at_the_end"] is None for row in rows):
        return f"{target}: not every model carried its points to finite places."
    nearest, other = sorted(rows, key=lambda row: row["at_the_end"]["median"])
    a, b = nearest["at_the_end"]["median"], other["at_the_end"]["median"]
    return (
        f"{target}: {nearest['method']} carries points to within {a:.3f} of their exact places, in standard deviations "
        f"of the data and on average over points, {other['method']} to within {b:.3f}."
    )


def _animate(target: jgen1d.Target, drawn: plots.Paths, title: str) -> bytes:
    x = np.linspace(-3.5, 3.5, 300)
    shift, scale = (float(v[0]) for v in units(target, standardize=True))
    density = None
    if target.has_density:
        density = (x, scale * np.exp(np.asarray(target.log_prob((shift + scale * x)[:, None]))))
    return plots.animate(learnt=drawn, density=density, title=title)


def _draw(target: jgen1d.Target, drawn: plots.Paths, title: str) -> Figure:
    t = np.linspace(0, 1, NUM_TIMES)
    path = paths.SCHEDULES[diffusion.Config().noise_schedule]
    spread = travel.exact_lines(target, jnp.array(LEVELS), path.alpha(jnp.array(t)), path.sigma(jnp.array(t)))
    return plots.trajectories(
        forward=(t, spread, LEVELS), learnt=drawn, chains=_langevin(target), step_size=LANGEVIN_STEP, title=title
    )


if __name__ == "__main__":
    cli.run(main, quick={"num_seeds": 2, "num_steps": 50})
