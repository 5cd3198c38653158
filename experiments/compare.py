"""Which family of generative models learns which distribution, how exactly, how surely, and in what time?

    python experiments/compare.py                                       # all families × five targets × 32 seeds
    python experiments/compare.py --methods=flow_matching,gmm --targets=mixture --budget=30s
    python experiments/compare.py --targets=ring,grid,disk --num_seeds=8 # in 2-D

Every family has its default hyper-parameters. The budget is the same for all: `5000steps`, a number of training steps,
each on one minibatch of --batch_size rows per network update; `1.3e6evaluations`, a number of rows that each run's
networks evaluate in training (a GAN's step takes four for each row, a flow's one); or `60s`, seconds of training for
all runs of a (family, target) together, found out with a short run.

The table has, for each (target, family), seconds of training for all seeds (compilation included) and milliseconds for
10,000 samples of one model; the share of seeds converged, with its Wilson 95 % interval; median [5 %, 95 %] over seeds
of modes covered, W1/σ, W1/floor (a perfect sampler scores about 1), KS, and KL(target ‖ model) in nats, where the model
has a likelihood: NLL minus entropy over the target's quantiles (a random sample in 2-D). Then one sentence per target.

The workdir receives `config.json`, `summary.json`, `densities.png` (in every panel the seed whose W1 is the median),
and a folder of results (`runs.csv`, ...) for each (family, target).

Expect, with `--methods=normalizing_flow,autoregressive,gmm,flow_matching,diffusion,vae,energy` (19 minutes on 2 cores):
all seeds converged; W1/floor at most 1.1 but for flow_matching (1.6 on the mixture) and diffusion (1.7); KL at most
0.006 nats for the first three, 0.03 for flow_matching and diffusion.
"""

import re
import sys
import time
from pathlib import Path
from typing import Any

import jax
from absl import flags

import jgen1d
from jgen1d.cli import app as cli
from jgen1d.report import table as results

NUM_SAMPLES = 10_000
CALIBRATION_STEPS = 100
AT_FLOOR = 1.1
"""Up to so many times a perfect sampler's distance, in the median, a model is at the floor: below 1 is luck."""

_METHODS = flags.DEFINE_list("methods", list(jgen1d.METHODS), "families to compare, separated by commas")
_TARGETS = flags.DEFINE_list(
    "targets", ["normal", "bimodal", "uniform", "exponential", "mixture"], "targets to learn, separated by commas"
)
_BUDGET = flags.DEFINE_string("budget", "5000steps", "of each run's training: 5000steps, 1.3e6evaluations or 60s")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 32, "runs per (target, family)", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "rows of each minibatch", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "the first seed", lower_bound=0)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to write; default: runs/compare-TIME; empty: nowhere")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "write into a workdir that is not empty")
_FORMAT = flags.DEFINE_enum("format", "text", ["text", "json", "csv"], "of the results on stdout")
_QUICK = flags.DEFINE_bool("quick", False, "3 seeds and 20 steps on two targets, where these flags are not given")


def main() -> None:
    """Trains every family on every target, and prints, draws and writes what came of it."""
    if _QUICK.value:
        for flag, value in {_NUM_SEEDS: 3, _BUDGET: "20steps", _TARGETS: ["normal", "bimodal"]}.items():
            if not flag.present:
                flags.FLAGS[flag.name].value = value
    methods = {name: cli.method(name, "methods") for name in _METHODS.value}
    targets = cli.target_list(_TARGETS.value, None, None)
    amount, unit = _parse_budget(_BUDGET.value)
    workdir = cli.workdir(_WORKDIR.value, "compare", _OVERWRITE.value)

    rows, models = [], {}
    for target in targets:
        for name, method in methods.items():
            num_steps = _num_steps(method, target, amount, unit)
            sweep = _sweep(method, target, num_steps)
            seed = results.median_index(sweep.metrics["w1"][0, 0])
            model = models[target.name, name] = sweep.result(0, 0, seed)
            rows.append(_row(name, sweep, model))
            print(f"{target.name}, {name}: {sweep.seconds:.0f} s", file=sys.stderr, flush=True)
            if workdir:
                jgen1d.save(workdir / f"{name}-{target.name}", sweep, None, cli.given())
    table = results.Table(rows, ("modes_covered", "w1_over_std", "w1_over_floor", "ks", "kl"))
    conclusions = [_conclusion(target.name, rows) for target in targets]
    if _FORMAT.value == "json":
        print(table.to_json(conclusions=conclusions, budget=_BUDGET.value))
    elif _FORMAT.value == "csv":
        print(table.to_csv(), end="")
    else:
        print(table, "", *conclusions, sep="\n")
    if workdir:
        _write(workdir, table, conclusions, models)
        print(f"written to {workdir}", file=sys.stderr)


def _parse_budget(text: str) -> tuple[float, str]:
    match = re.fullmatch(r"([\d.]+(?:e\d+)?)(steps|evaluations|s)", text)
    try:
        amount = float(match[1]) if match else 0.0
    except ValueError:
        amount = 0.0
    if not match or amount <= 0:
        raise ValueError(f"--budget={text}: must be a number of steps, evaluations or s, such as 5000steps or 60s")
    return amount, match[2]


def _num_steps(method: jgen1d.Method, target: jgen1d.Target, amount: float, unit: str) -> int:
    """What the budget allows, in whole fiftieths, for a history of fifty points."""
    if unit == "evaluations":
        amount /= _BATCH_SIZE.value * method.num_evaluations(method.Config())
    if unit == "s":
        seconds = []
        for _ in range(2):  # the first compiles
            began = time.perf_counter()
            _sweep(method, target, CALIBRATION_STEPS, eval_every=CALIBRATION_STEPS)
            seconds.append(time.perf_counter() - began)
        amount *= CALIBRATION_STEPS / seconds[-1]
    return max(1, int(amount) // 50) * 50 if amount >= 50 else max(1, int(amount))


def _sweep(method: jgen1d.Method, target: jgen1d.Target, num_steps: int, eval_every: int | None = None) -> jgen1d.Sweep:
    seeds = range(_SEED.value, _SEED.value + _NUM_SEEDS.value)
    return jgen1d.sweep(
        method, [target], [method.Config()], seeds, num_steps,
        batch_size=_BATCH_SIZE.value, eval_every=eval_every, num_samples=NUM_SAMPLES,
    )  # fmt: skip


def _row(name: str, sweep: jgen1d.Sweep, model: jgen1d.Result) -> dict[str, Any]:
    """A row of the table: what was run, what it took, and what came of it."""
    draw = jax.jit(lambda key, state: model.method.sample(key, state, NUM_SAMPLES, model.config))
    jax.block_until_ready(draw(jax.random.key(0), model.state))
    began = time.perf_counter()
    jax.block_until_ready(draw(jax.random.key(1), model.state))
    milliseconds = 1e3 * (time.perf_counter() - began)
    row = sweep.table().rows[0]
    took = {"steps": sweep.num_steps, "train_s": round(sweep.seconds, 1), "sample_ms": round(milliseconds, 1)}
    return {"target": row.pop("target"), "method": name, **took, **row}


def _conclusion(target: str, rows: list[dict[str, Any]]) -> str:
    """Who was as near to the target as a perfect sampler, how far the others were, and who failed."""
    ranked = sorted(
        (row for row in rows if row["target"] == target and row["w1_over_floor"]),
        key=lambda row: row["w1_over_floor"]["median"],
    )
    if not ranked:
        return f"{target}: no run of any family came to an end."
    at_floor = [row["method"] for row in ranked if row["w1_over_floor"]["median"] <= AT_FLOOR]
    beyond = [f"{row['method']} {row['w1_over_floor']['median']:.1f}" for row in ranked[len(at_floor) :]]
    sentence = f"{target}: as near as a perfect sampler are {', '.join(at_floor) or 'none'}"
    if beyond:
        sentence += f"; times as far are {', '.join(beyond)}"
    surely = [row["method"] for row in ranked if row["verdicts"]["converged"]["share"] == 1]
    sentence += f"; {', '.join(surely) or 'none'} converged in every seed"
    likelihoods = [row for row in ranked if row["kl"]]
    if likelihoods:
        closest = min(likelihoods, key=lambda row: row["kl"]["median"])
        sentence += (
            f"; the best likelihood is {closest['method']}'s, {closest['kl']['median']:.4f} nats from the target"
        )
    failed = [row for row in ranked if row["verdicts"]["diverged"]["count"]]
    if failed:
        counts = (f"{row['verdicts']['diverged']['count']} of {row['method']}" for row in failed)
        sentence += f"; diverged: {', '.join(counts)}"
    return sentence + "."


def _write(
    workdir: Path, table: results.Table, conclusions: list[str], models: dict[tuple[str, str], jgen1d.Result]
) -> None:
    from jgen1d.plots import runs as plots
    from jgen1d.report import figures as report

    results.write_json(workdir / "config.json", {"flags": cli.given(), **results.environment()})
    results.write_json(workdir / "summary.json", {"rows": table.rows, "conclusions": conclusions})
    panels: dict[str, dict[str, plots.Comparison]] = {}
    for (target, name), model in models.items():
        panels.setdefault(target, {})[name] = report.comparison(model)
    title = f"Densities after {_BUDGET.value}, of the seed whose W1 is the median of {_NUM_SEEDS.value}"
    plots.save(plots.comparisons(panels=panels, title=title), workdir / "densities.png")


if __name__ == "__main__":
    cli.run(main)
