"""Is a latent of more dimensions always better?

    python experiments/latent_dimension.py
    python experiments/latent_dimension.py --targets=exponential --dims=1,2,3

Trains the regularized GAN with latents of 1 to 64 dimensions. In 1-D one dimension is enough for any distribution:
G* = F⁻¹∘Φ. For each (target, dimension) the table gives the share of seeds that converged and the share that cover all
modes, each with its Wilson 95 % interval, and the modes covered and W1/floor as median [5 %, 95 %]. One dimension
counts as better than another if its W1 over seeds is significantly smaller (Mann–Whitney test at 1 %). The workdir
receives `latent_dimension.png`, `config.json` and `summary.json`.

Expect (16 minutes of one core): W1/floor is lowest at 8 dimensions on `bimodal`, 2.4, and at 4 on `mixture`, 2.8. At 1
it is 5.8 and 5.0, at 64 it is 3.6 and 4.7. On `bimodal` no seed converges at 1 or 2 dimensions and 84 % do at 16, the
most; on `mixture` none does at any.
"""

from functools import partial
from typing import Any

import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.methods import gan
from jgen1d.plots import settings as charts
from jgen1d.report import stats
from jgen1d.report.table import Table
from jgen1d.report.titles import TITLES

flags.DEFINE_list("targets", ["bimodal", "mixture"], "what to learn, separated by commas")
flags.DEFINE_list("dims", ["1", "2", "4", "8", "16", "32", "64"], "dimensions of the latent, separated by commas")
cli.define_training_flags(num_steps=3_000)
cli.define_output_flags("latent_dimension")


def main() -> None:
    """Trains, prints and draws."""
    targets, dims = cli.read_targets(), cli.integers("dims")
    workdir = cli.choose_workdir("latent_dimension")
    sweep = lab.sweep(targets, jgen1d.grid(gan.PRESETS["regularized"], latent_dim=dims))
    rows = lab.rows(sweep, [{"latent_dim": dim} for dim in dims])
    figure = partial(
        charts.over_axis,
        panels={target.name: sweep.metrics["w1_over_floor"][t] for t, target in enumerate(targets)},
        x=dims, xlabel="dimensions of the latent", ylabel=TITLES["w1_over_floor"],
        title="Distance from the target, over seeds", reference=("a perfect sampler", 1.0),
    )  # fmt: skip
    conclusions = [_conclusion(sweep, t, dims) for t in range(len(targets))]
    cli.answer(workdir, Table(rows), conclusions, {"latent_dimension": figure})


def _conclusion(sweep: jgen1d.Sweep, t: int, dims: list[int]) -> str:
    """The best dimension, and those that are significantly worse."""
    distances: list[Any] = list(sweep.metrics["w1"][t])
    best = int(np.argmin([np.median(np.nan_to_num(one, nan=np.inf)) for one in distances]))
    worse = [str(dim) for dim, one in zip(dims, distances, strict=True) if stats.is_smaller(distances[best], one)]
    return (
        f"{sweep.targets[t].name}: {dims[best]} latent dimension{'s give' if dims[best] > 1 else ' gives'} the lowest "
        f"median W1/floor, {np.nanmedian(sweep.metrics['w1_over_floor'][t, best]):.1f}; significantly worse: "
        f"{', '.join(worse) or 'none'}."
    )


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"targets": ["bimodal"], "dims": ["1", "4"]})
