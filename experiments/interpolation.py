"""Straight or along the sphere: which path between latents stays where a generator was trained?

    python experiments/interpolation.py
    python experiments/interpolation.py --dims=2,512 --target=mixture

Draws of N(0, I) in d dimensions lie near the sphere of radius √d. Half-way between two of them, `jgen1d.lerp` has a
norm of about √(d/2), and `jgen1d.slerp` one of about √d. The script trains regularized GANs with latents of 2 to 512
dimensions and joins pairs of latents by straight paths and by arcs. For each dimension the table gives the norm
half-way in units of √d and, as median [5 %, 95 %] over seeds:

- W1/σ to the target of what the generator makes of latents, of points half-way on straight paths, and of points
  half-way on arcs;
- *traversal*: the range of G while one coordinate goes from −3 to 3 and the others stay fixed, in standard deviations
  of the data, averaged over coordinates.

The workdir receives `interpolation.png`, `config.json` and `summary.json`.

Expect (2 minutes on 2 cores): W1/σ half-way on straight paths grows from 0.05 in 2 dimensions to 0.16 in 512; on arcs
it stays at that of latents, 0.02 to 0.05. A single coordinate moves G by 2.4 standard deviations in 2 dimensions, and
by 0.07 in 512.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.evaluation import metrics
from jgen1d.methods import gan
from jgen1d.plots import settings as charts
from jgen1d.report import stats
from jgen1d.report.table import Table

NUM_PAIRS = 4_000
NUM_TRAVERSALS = 16
PATHS = {"straight": jgen1d.lerp, "arc": jgen1d.slerp}

flags.DEFINE_string("target", "bimodal", "what to learn, in 1-D")
flags.DEFINE_list("dims", ["2", "8", "32", "128", "512"], "dimensions of the latent, separated by commas")
cli.define_training_flags(num_seeds=32, num_steps=3_000)
cli.define_output_flags("interpolation")


def main() -> None:
    """Trains, prints and draws."""
    (target,) = cli.read_targets("target", dim=1)
    dims = cli.integers("dims")
    workdir = cli.choose_workdir("interpolation")
    # Padding would make every dimension as slow as the largest.
    sweep = lab.sweep([target], jgen1d.grid(gan.PRESETS["regularized"], latent_dim=dims), padding=False)
    known = metrics.reference(target, NUM_PAIRS)
    rows, curves = [], {}
    t = np.linspace(0, 1, 21)
    for c, dim in enumerate(dims):
        start, end = jax.random.normal(jax.random.key(dim), (2, NUM_PAIRS, dim))
        norms = {
            name: np.array([float(jnp.mean(jnp.linalg.norm(path(start, end, u), axis=1))) for u in t]) / dim**0.5
            for name, path in PATHS.items()
        }
        curves[f"d = {dim}"] = {"x": t, "learnt": norms["straight"], "optimal": norms["arc"]}
        runs = [sweep.result(0, c, s) for s in range(len(sweep.seeds))]
        score = _scorer(runs[0], start, end, known)
        found = [jax.device_get(score(run.state)) for run in runs]
        row: dict[str, Any] = {"latent_dim": dim, "num_seeds": len(found)}
        row |= {f"norm_{name}": float(values[10]) for name, values in norms.items()}
        names = ["w1_over_std_latents", *(f"w1_over_std_{name}" for name in PATHS), "traversal"]
        rows.append(row | {name: stats.spread([scores[name] for scores in found]) for name in names})
    title, labels = "Norms along paths between latents", ("straight", "arc")
    figure = partial(
        charts.maps, panels=curves, xlabel="t, from one latent (0) to the other (1)", ylabel="mean norm / √d",
        title=title, labels=labels, is_exact=False, is_compared=True,
    )  # fmt: skip
    cli.answer(workdir, Table(rows), [_conclusion(row) for row in (rows[0], rows[-1])], {"interpolation": figure})


def _scorer(run: jgen1d.Result, start: jax.Array, end: jax.Array, known: metrics.Reference) -> Callable:
    """A function of a generator's state: W1/σ of latents and of the middles of paths, and the traversal."""
    std, dim, shift, scale = float(run.target.std[0]), start.shape[1], run.shift, run.scale
    coordinates = np.unique(np.linspace(0, dim - 1, min(dim, NUM_TRAVERSALS)).astype(int))
    levels = jnp.linspace(-3, 3, 61)
    lines = jnp.stack([jnp.tile(start[:1], (len(levels), 1)).at[:, c].set(levels) for c in coordinates])

    @jax.jit
    def score(state: gan.State) -> dict[str, jax.Array]:
        def generate(z: jax.Array) -> jax.Array:
            return shift[None] + scale[None] * gan.generate(state, z, run.config)

        scores = {"w1_over_std_latents": metrics.w1(generate(start), known.points) / std}
        for name, path in PATHS.items():
            scores[f"w1_over_std_{name}"] = metrics.w1(generate(path(start, end, 0.5)), known.points) / std
        outputs = generate(lines.reshape(-1, dim)).reshape(len(coordinates), -1)
        return scores | {"traversal": jnp.mean(jnp.ptp(outputs, axis=1)) / std}

    return score


def _conclusion(row: dict[str, Any]) -> str:
    """How far from the target the middles of a dimension's paths are."""
    straight, arc, ends = (stats.median(row[f"w1_over_std_{name}"]) for name in (*PATHS, "latents"))
    return (
        f"{row['latent_dim']} latent dimensions: W1/σ is {straight:.3f} in the middle of straight paths, {arc:.3f} in "
        f"the middle of arcs and {ends:.3f} at their ends; the middles' norms are {row['norm_straight']:.2f}·√d and "
        f"{row['norm_arc']:.2f}·√d."
    )


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"dims": ["2", "8"]})
