"""How few samples can a GAN learn from, and does it learn the distribution or the samples?

    python experiments/small_data.py
    python experiments/small_data.py --target=bimodal --sizes=16,64 --preset=textbook

Trains a GAN on --num_samples training samples of each size, with --num_seeds seeds on each. A size of 0 means fresh
data in every step. For each size the table gives, as median [5 %, 95 %] over all runs:

- *to truth* and *to sample*: W1/σ of 10,000 generated points to the true distribution and to the training sample;
- *sample to truth*: W1/σ of the training sample to the true distribution, that of a generator that memorised it;
- *memorised*: the share of generated points that are closer to their nearest training point than a fresh point is to
  its own. It is 50 % for a perfect sampler, and more if training points are copied.

The workdir receives `small_data.png`, `memorised.png`, `config.json` and `summary.json`.

Expect (2 minutes on 2 cores): W1/σ to the truth from 0.19 at 32 points to 0.03 with fresh data, never less than the
sample's own; memorised 56 % at 32 points, 52 % at 128, and 50 % at 512 and more.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli, targets
from jgen1d.evaluation import metrics
from jgen1d.methods import gan
from jgen1d.plots import settings as charts
from jgen1d.report import stats
from jgen1d.report.table import Table
from jgen1d.report.titles import TITLES

NUM_POINTS = 10_000
HEADINGS = {
    "to_truth": "generator to truth", "to_sample": "generator to its sample", "sample_to_truth": "sample to truth",
    "memorised": "memorised",
}  # fmt: skip
"""What the panels of the pictures are called."""

flags.DEFINE_string("target", "mixture", "what to learn, in 1-D")
_PRESET = flags.DEFINE_string("preset", "regularized", "preset of the GAN")
flags.DEFINE_list(
    "sizes", ["32", "128", "512", "2048", "8192", "0"], "sizes of training samples, separated by commas; 0: fresh data"
)
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 16, "training samples of each size", lower_bound=1)
cli.define_training_flags(num_seeds=4, num_steps=3_000)
cli.define_output_flags("small_data")


def main() -> None:
    """Trains, prints and draws."""
    (truth,) = cli.read_targets("target", dim=1)
    base, sizes = cli.preset(gan.METHOD, _PRESET.value), cli.integers("sizes", at_least=0)
    workdir = cli.choose_workdir("small_data")
    known = metrics.reference(truth, NUM_POINTS)
    runs: dict[int, dict[str, np.ndarray]] = {}
    for size in sizes:
        count, seeds = _NUM_SAMPLES.value, cli.seeds()
        if size:
            trained_on = [_training_sample(truth, size, number) for number in range(count)]
        else:  # as many runs, all on fresh data
            trained_on, seeds = [truth], range(seeds.start, seeds.start + count * len(seeds))
        sweep = lab.sweep(trained_on, [base], seeds=seeds)
        scores = [_scores(truth, known, sweep.result(t, 0, s)) for t, _, s in np.ndindex(sweep.verdict.shape)]
        runs[size] = {name: np.array([score[name] for score in scores]) for name in scores[0]}
    order = sorted(runs, key=lambda size: size or np.inf)
    rows = [
        {"target": truth.name, "size": size or "unlimited", "num_runs": len(next(iter(runs[size].values())))}
        | {name: stats.spread(values) for name, values in runs[size].items()}
        for size in order
    ]
    finite = [size for size in order if size]
    figures = {}
    for file, names in {"small_data": ["to_truth", "to_sample", "sample_to_truth"], "memorised": ["memorised"]}.items():
        ylabel = TITLES["w1_over_std"] if len(names) > 1 else "share"
        figures[file] = partial(
            charts.over_axis,
            panels={HEADINGS[name]: np.array([runs[size][name] for size in finite]) for name in names},
            x=finite, xlabel="training points", ylabel=ylabel, title=truth.name,
            reference=None if len(names) > 1 else ("a perfect sampler", 0.5),
        )  # fmt: skip
    cli.answer(workdir, Table(rows), [_conclusion(rows)], figures)


def _training_sample(truth: jgen1d.Target, size: int, number: int) -> jgen1d.Target:
    return targets.empirical(np.asarray(truth.sample(jax.random.fold_in(jax.random.key(size), number), size)))


def _scores(truth: jgen1d.Target, known: metrics.Reference, run: jgen1d.Result) -> dict[str, float]:
    """One run's distances to the truth and to its training sample, and its copies; NaN for a run on fresh data."""
    key_generated, key_fresh = jax.random.split(jax.random.key(0))
    generated = jnp.asarray(run.sample(key_generated, NUM_POINTS))
    std = float(truth.std[0])
    scores = {"to_truth": float(metrics.w1(generated, known.points)) / std}
    if run.target is truth:
        return scores | dict.fromkeys(("to_sample", "sample_to_truth", "memorised"), np.nan)
    points = jnp.asarray(run.target.params, dtype=float)
    of_sample = metrics.reference(run.target, NUM_POINTS).points
    near, fresh = (
        np.sort(_gaps(points, np.asarray(x)[:, 0])) for x in (generated, truth.sample(key_fresh, NUM_POINTS))
    )
    nearer = np.searchsorted(near, fresh).mean() / NUM_POINTS
    return scores | {
        "to_sample": float(metrics.w1(generated, of_sample)) / std,
        "sample_to_truth": float(jnp.mean(jnp.abs(of_sample - truth.quantile(_levels(of_sample.size))))) / std,
        "memorised": float(nearer),
    }


def _levels(count: int) -> jax.Array:
    return (jnp.arange(count) + 0.5)[None] / count


def _gaps(points: jax.Array, x: np.ndarray) -> np.ndarray:
    """The distance from each point of `x`, f[n], to the nearest of the sorted points, f[m]."""
    known = np.asarray(points)
    right = np.clip(np.searchsorted(known, x), 1, len(known) - 1)
    return np.minimum(np.abs(x - known[right - 1]), np.abs(x - known[right]))


def _conclusion(rows: list[dict[str, Any]]) -> str:
    """The sizes at which the generator is nearer to the truth than its sample, and how much it copies."""
    limited = [row for row in rows if row["size"] != "unlimited"]
    nearer = [row["size"] for row in limited if row["to_truth"]["median"] < row["sample_to_truth"]["median"]]
    copied = [f"{100 * row['memorised']['median']:.0f} % at {row['size']}" for row in limited]
    return (
        f"{rows[0]['target']}: of {len(limited)} sizes of the training sample, {len(nearer)} gave a generator that is "
        f"nearer to the target than the sample itself{': ' * bool(nearer)}{', '.join(map(str, nearer))}. Generated "
        f"points nearer to a training point than a fresh point is (50 % if nothing is memorised): {', '.join(copied)}."
    )


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"sizes": ["32", "0"], "num_samples": 2})
