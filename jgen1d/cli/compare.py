"""Which family of generative models learns which distribution, how exactly, how reliably, and in what time?

    jgen1d compare                                        # all families × five targets × 32 seeds
    jgen1d compare --methods=flow_matching,gmm --targets=mixture --budget=30s
    jgen1d compare --targets=ring,grid,disk --num_seeds=8 # in 2-D

Every family has its default hyper-parameters, the GAN those of its preset `robust`, in 2-D of `planar`. The budget is
the same for all: 5000steps, 1.3e6evaluations (of rows by networks, for each run) or 60s (for all runs of a family on a
target). Prints one row per (target, family) and one sentence per target. The workdir receives `config.json`,
`summary.json`, `densities.png`, and a folder of results for each (family, target).
"""

import re
import sys
import time
from functools import partial
from typing import Any

import jax
from absl import flags

from jgen1d import cli, sweeps
from jgen1d.core import Method
from jgen1d.core.names import file_name, printable
from jgen1d.fitting import Result
from jgen1d.methods import METHODS
from jgen1d.report import figures, stats
from jgen1d.report.table import OUTCOME, Table
from jgen1d.sweeps import Sweep
from jgen1d.targets import Target

NUM_SAMPLES = 10_000
CALIBRATION_STEPS = 100
AT_FLOOR = 1.1
"""A model is at the floor if its median distance is at most this multiple of a perfect sampler's."""

_TARGETS = ["normal", "bimodal", "uniform", "exponential", "mixture"]


def start(about: str | None = __doc__) -> None:
    """Runs the script as the command line says.

    Args:
      about: what --help begins with.
    """
    own: dict[str, Any] = {"module_name": sys.argv[0]}
    flags.DEFINE_list("methods", list(METHODS), "families to compare, separated by commas", **own)
    flags.DEFINE_list("targets", _TARGETS, "targets to learn, separated by commas", **own)
    flags.DEFINE_string("budget", "5000steps", "of training: 5000steps, 1.3e6evaluations or 60s", **own)
    flags.DEFINE_integer("batch_size", 256, "rows of each minibatch", lower_bound=1, **own)
    cli.define_seed_flags(num_seeds=32)
    cli.define_output_flags("compare")
    cli.run(_main, quick={"num_seeds": 3, "budget": "20steps", "targets": ["normal", "bimodal"]}, about=about)


def _main() -> None:
    """Trains every family on every target, and prints, draws and writes the results."""
    methods = {name: cli.method(name, "methods") for name in flags.FLAGS.methods}
    targets = cli.read_targets()
    amount, unit = _parse_budget(flags.FLAGS.budget)
    workdir = cli.choose_workdir("compare")

    rows: list[dict[str, Any]] = []
    models: dict[str, dict[str, Result]] = {}
    lost: OSError | None = None
    for target in targets:
        for name, method in methods.items():
            num_steps = _num_steps(method, target, amount, unit)
            sweep = _sweep(method, target, num_steps)
            seed = stats.median_index(sweep.metrics["w1"][0, 0])
            model = models.setdefault(target.name, {})[name] = sweep.result(0, 0, seed)
            rows.append(_row(name, sweep, model))
            print(f"{printable(target.name)}, {name}: {sweep.seconds:.0f} s", file=sys.stderr, flush=True)
            try:
                if workdir:
                    cli.save(workdir / file_name(f"{name}-{target.name}"), sweep)
            except OSError as error:  # the others may be written, and the table be printed
                if lost is None:
                    lost = error
                else:
                    for note in (str(error), *getattr(error, "__notes__", ())):
                        lost.add_note(note)
    table = Table(
        rows,
        (
            *OUTCOME,
            "steps",
            "train_s",
            "sample_ms",
            "modes_covered",
            "w1_over_floor",
            "tv",
            "ks",
            "kl",
            "samples_to_tell",
        ),
    )
    conclusions = [_conclusion(target.name, rows) for target in targets]
    title = f"Densities after {flags.FLAGS.budget}, of the seed whose W1 is the median of {len(cli.seeds())}"
    pictures = {"densities": partial(figures.comparisons, models, title)}
    shown = [run for runs in models.values() for run in runs.values()]
    cli.answer(workdir, table, conclusions, pictures, about=__doc__, models=shown, budget=flags.FLAGS.budget)
    if lost:
        raise lost


def _parse_budget(text: str) -> tuple[float, str]:
    match = re.fullmatch(r"([\d.]+(?:e\d+)?)(steps|evaluations|s)", text)
    try:
        amount = float(match[1]) if match else 0.0
    except ValueError:
        amount = 0.0
    if not match or amount <= 0:
        raise ValueError(f"--budget={text}: must be a number of steps, evaluations or s, such as 5000steps or 60s")
    return amount, match[2]


def _num_steps(method: Method, target: Target, amount: float, unit: str) -> int:
    """The steps that the budget allows, a multiple of 50 if possible, for a history of up to 50 points."""
    if unit == "evaluations":
        amount /= flags.FLAGS.batch_size * method.num_evaluations(_config(method, target))
    if unit == "s":
        seconds = []
        for _ in range(2):  # the first compiles
            began = time.perf_counter()
            _sweep(method, target, CALIBRATION_STEPS, eval_every=CALIBRATION_STEPS)
            seconds.append(time.perf_counter() - began)
        amount *= CALIBRATION_STEPS / seconds[-1]
    return max(1, int(amount) // 50) * 50 if amount >= 50 else max(1, int(amount))


def _config(method: Method, target: Target) -> Any:
    """The default, or of methods with presets the one that is made for this number of dimensions."""
    return method.presets().get("robust" if target.dim == 1 else "planar", method.Config())


def _sweep(method: Method, target: Target, num_steps: int, eval_every: int | None = None) -> Sweep:
    return sweeps.sweep(
        method, [target], [_config(method, target)], cli.seeds(), num_steps,
        batch_size=flags.FLAGS.batch_size, eval_every=eval_every, num_samples=NUM_SAMPLES,
    )  # fmt: skip


def _row(name: str, sweep: Sweep, model: Result) -> dict[str, Any]:
    """A row of the table: the run, its times, and its results."""
    draw = jax.jit(lambda key, state: model.method.sample(key, state, NUM_SAMPLES, model.config))
    jax.block_until_ready(draw(jax.random.key(0), model.state))
    began = time.perf_counter()
    jax.block_until_ready(draw(jax.random.key(1), model.state))
    milliseconds = 1e3 * (time.perf_counter() - began)
    row = sweep.table().rows[0]
    took = {"steps": sweep.num_steps, "train_s": round(sweep.seconds, 1), "sample_ms": round(milliseconds, 1)}
    return {"target": row.pop("target"), "method": name, "num_seeds": row.pop("num_seeds"), **took, **row}


def _conclusion(target: str, rows: list[dict[str, Any]]) -> str:
    """The families at the floor, the distances of the others, and those that converged, are likeliest, or diverged."""
    ranked = sorted(
        (row for row in rows if row["target"] == target and row["w1_over_floor"]),
        key=lambda row: row["w1_over_floor"]["median"],
    )
    if not ranked:
        return f"{target}: all runs of all families diverged."
    at_floor = [row["method"] for row in ranked if row["w1_over_floor"]["median"] <= AT_FLOOR]
    beyond = [f"{row['method']} {row['w1_over_floor']['median']:.1f}" for row in ranked[len(at_floor) :]]
    sentence = f"{target}: as near as a perfect sampler are {', '.join(at_floor) or 'none'}"
    if beyond:
        sentence += f"; times as far: {', '.join(beyond)}"
    in_every_seed = [row["method"] for row in ranked if row["learned"]["share"] == 1]
    sentence += f"; {', '.join(in_every_seed) or 'none'} converged in every seed"
    likelihoods = [row for row in ranked if row["kl"]]
    if likelihoods:
        closest = min(likelihoods, key=lambda row: row["kl"]["median"])
        sentence += f"; {closest['method']} has the best likelihood, {closest['kl']['median']:.4f} nats from the target"
    failed = [row for row in ranked if row["verdicts"]["diverged"]["count"]]
    if failed:
        counts = (f"{row['verdicts']['diverged']['count']} of {row['method']}" for row in failed)
        sentence += f"; diverged: {', '.join(counts)}"
    return sentence + "."
