"""Straight or along the sphere: which path between latents stays where a generator was trained?

    python experiments/interpolation.py
    python experiments/interpolation.py --dims=2,512 --target=mixture

Draws of N(0, I) in d dimensions lie near the sphere of radius √d. Half-way between two of them, `jgen1d.lerp` has a
norm of about √(d/2), `jgen1d.slerp` of about √d. Robust GANs with latents of 2 to 512 dimensions are trained, and pairs
of latents joined both ways. The table has, for each dimension, the norm half-way in units of √d, and as median [5 %, 95
%] over seeds: W1/σ to the target of what the generator makes of latents, of points half-way on straight paths and on
arcs; and *traversal*, the range of G as one coordinate goes from −3 to 3 while the others rest, in standard deviations
of the data and on average over coordinates. The workdir receives `interpolation.png`, `config.json` and `summary.json`.

Expect (2 minutes on 2 cores): W1/σ half-way on straight paths grows from 0.05 in 2 dimensions to 0.16 in 512, and on
arcs is what it is for latents, 0.02 to 0.05; a single coordinate moves G by 2.4 standard deviations in 2 dimensions, by
0.07 in 512.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import jgen1d
from experiments import lab
from jgen1d.cli import app as cli
from jgen1d.evaluation import metrics
from jgen1d.methods import gan
from jgen1d.plots import settings as charts
from jgen1d.report import table as results

NUM_PAIRS = 4_000
NUM_TRAVERSALS = 16
WAYS = {"straight": jgen1d.lerp, "arc": jgen1d.slerp}

flags.DEFINE_string("target", "bimodal", "what to learn, in 1-D")
flags.DEFINE_list("dims", ["2", "8", "32", "128", "512"], "dimensions of the latent, separated by commas")
lab.define_flags("interpolation", num_seeds=32, num_steps=3_000)


def main() -> None:
    """Trains, prints and draws."""
    (target,) = lab.targets_1d([flags.FLAGS.target], "target")
    dims = lab.integers("dims", ["2", "8"])
    workdir = cli.workdir(flags.FLAGS.workdir, "interpolation", flags.FLAGS.overwrite)
    # Padded to the largest dimension, the others would draw and multiply as many latents as it does.
    sweep = lab.sweep([target], jgen1d.grid(gan.preset("robust"), latent_dim=dims), padding=False)
    known = metrics.reference(target, NUM_PAIRS)
    rows, curves = [], {}
    t = np.linspace(0, 1, 21)
    for c, dim in enumerate(dims):
        start, end = jax.random.normal(jax.random.key(dim), (2, NUM_PAIRS, dim))
        norms = {
            name: np.array([float(jnp.mean(jnp.linalg.norm(way(start, end, u), axis=1))) for u in t]) / dim**0.5
            for name, way in WAYS.items()
        }
        curves[f"d = {dim}"] = {"x": t, "learnt": norms["straight"], "optimal": norms["arc"]}
        runs = [sweep.result(0, c, s) for s in range(len(sweep.seeds))]
        score = _scorer(runs[0], start, end, known)
        found = [jax.device_get(score(run.state)) for run in runs]
        row: dict[str, Any] = {"latent_dim": dim, "seeds": len(found)}
        row |= {f"norm half-way, {name}": float(values[10]) for name, values in norms.items()}
        names = ["W1/σ of latents", *(f"W1/σ half-way, {name}" for name in WAYS), "traversal"]
        rows.append(row | {name: results.spread([scores[name] for scores in found]) for name in names})
    title, labels = "Norms along paths between latents", ("straight", "arc")
    figure = charts.maps(panels=curves, xlabel="t", ylabel="mean norm / √d", title=title, labels=labels)
    lab.answer("interpolation", workdir, rows, 1, [_conclusion(rows)], {"interpolation": figure})


def _scorer(run: jgen1d.Result, start: jax.Array, end: jax.Array, known: metrics.Reference) -> Callable:
    """Of a generator's state: what it makes of latents, of the middles of paths, and of coordinates that vary alone."""
    std, dim = float(run.target.std[0]), start.shape[1]
    coordinates = np.unique(np.linspace(0, dim - 1, min(dim, NUM_TRAVERSALS)).astype(int))
    levels = jnp.linspace(-3, 3, 61)
    lines = jnp.stack([jnp.tile(start[:1], (len(levels), 1)).at[:, c].set(levels) for c in coordinates])

    @jax.jit
    def score(state: gan.State) -> dict[str, jax.Array]:
        def generate(z: jax.Array) -> jax.Array:
            return run.shift[None] + run.scale[None] * gan.generate(state, z, run.config)

        scores = {"W1/σ of latents": metrics.w1(generate(start), known.points) / std}
        for name, way in WAYS.items():
            scores[f"W1/σ half-way, {name}"] = metrics.w1(generate(way(start, end, 0.5)), known.points) / std
        outputs = generate(lines.reshape(-1, dim)).reshape(len(coordinates), -1)
        return scores | {"traversal": jnp.mean(jnp.ptp(outputs, axis=1)) / std}

    return score


def _conclusion(rows: list[dict[str, Any]]) -> str:
    """How far off the middles are in the least and in the greatest dimension."""
    clauses = []
    for row in (rows[0], rows[-1]):
        straight, arc = (lab.median(row[f"W1/σ half-way, {name}"]) for name in WAYS)
        clauses.append(
            f"{row['latent_dim']} dimensions: the middles of straight paths have {row['norm half-way, straight']:.2f} "
            f"of the norm √d and are generated at W1/σ {straight:.3f}, those of arcs {row['norm half-way, arc']:.2f} "
            f"and {arc:.3f} (latents: {lab.median(row['W1/σ of latents']):.3f})"
        )
    return "; ".join(clauses) + "."


if __name__ == "__main__":
    cli.run(main)
