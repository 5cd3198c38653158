"""How far from the known optimum are agents that learn in reality or in a dream, and is a better model a better dream?

    python experiments/linear_quadratic.py
    python experiments/linear_quadratic.py --real_steps=100,10000 --num_seeds=32

A double integrator with noise has to be brought to rest at a quadratic cost. Riccati's equation knows the best agent,
u = −K s, and Lyapunov's what any other affine agent costs. PPO with such an actor learns it for --num_steps steps in
reality, and in the dream of a Gaussian world model that was fitted to a number of real steps of random actions. As the
true noise is known, too, so is the model's likelihood gap: the nats per step by which its expected log-likelihood falls
short of the truth's, along trajectories of random actions and of the best agent. If better models were better dreams,
gap and cost would rank the seeds alike (Lambert et al. 2020, Objective mismatch in model-based reinforcement learning).

The table gives the share of seeds whose agent costs at most 5 % more than the best one, with its Wilson 95 % interval;
as median [5 %, 95 %] over seeds the agent's excess of cost and its gain's error |K − K*|/|K*|, the gaps, and both
again for the agent that Riccati's equation finds for the model's dynamics; and Spearman's rank correlation of gap and
cost over seeds, with its 95 % interval. Agents whose cost is infinite rank last.

Expect, with the defaults (2 minutes on 2 cores): the cost is within 5 % of the optimum in 99 % of seeds in reality, and
in 31, 93 and 97 % in dreams of 200, 1,000 and 5,000 real steps. Between those numbers gap and cost rank alike, 0.54
[0.46, 0.61]; within one, only 200 steps give a correlation that is not 0 beyond doubt, 0.23 [0.06, 0.39].

The workdir receives `gaps.png`, `gains.png`, `config.json` and `summary.json`.
"""

from functools import partial
from typing import Any

import numpy as np
from absl import flags

import lab
from jgen1d import cli
from jgen1d.plots import worlds as charts
from jgen1d.report import stats
from jgen1d.report.table import Table, cell
from jgen1d.worlds import ENVIRONMENTS, exact, linear_quadratic, ppo, training, world_model
from jgen1d.worlds.lanes import run_lanes, run_settings

ENVIRONMENT = ENVIRONMENTS["linear_quadratic"]._replace(max_steps=25)
"""Begun anew so often that the first agents, which are unstable, go no further than they can learn from."""
PPO = ppo.Config(
    linear_actor=True, widths=(32, 32), reward_scale=0.1, learning_rate=1e-2, discount=0.95, gae_lambda=0.9,
    entropy_weight=0.0,
)  # fmt: skip
BEST = linear_quadratic.optimum(PPO.discount).gain[0]
GAPS = {"gap": "gap along random trajectories (nats)", "gap_at_best": "gap along the best agent's trajectories (nats)"}
Values = dict[str, np.ndarray]

flags.DEFINE_list("real_steps", ["200", "1000", "5000"], "steps in reality, separated by commas")
_FIT_STEPS = flags.DEFINE_integer("fit_steps", 2_000, "of each fit of a model", lower_bound=1)
cli.define_training_flags(num_seeds=128, num_steps=100_000)
cli.define_output_flags("linear_quadratic")


def main() -> None:
    """Trains, compares with what is known, prints and draws."""
    real_steps, workdir = cli.integers("real_steps"), cli.choose_workdir("linear_quadratic")
    agent = ppo.bind(PPO, ENVIRONMENT, cli.num_steps())
    model = world_model.Config(widths=(32, 32), batch_size=256, num_steps=_FIT_STEPS.value)
    options: dict[str, Any] = {"environment": ENVIRONMENT, "num_updates": int(agent.num_updates), "progress": True}
    real = run_lanes(training.in_reality, [(seed, agent) for seed in cli.seeds()], **options)
    settings = [[(seed, steps, model, agent) for seed in cli.seeds()] for steps in real_steps]
    dreamt = run_settings(training.in_dreams, settings, most_real=real_steps[-1], num_rounds=1, **options)
    found = {"PPO in reality": exact.of_agents(real.agent, PPO.discount)}
    for steps, outcome in zip(real_steps, dreamt, strict=True):
        values = exact.of_models(outcome.model, ENVIRONMENT, model, PPO.discount)
        found[f"{steps:,} real steps"] = values | exact.of_agents(outcome.agent, PPO.discount)
    counts = [int(agent.num_updates) * agent.num_environments * agent.rollout_length, *real_steps]
    rows = [_row(steps, values) for steps, values in zip(counts, found.values(), strict=True)]
    cli.answer(workdir, Table(rows), _conclusions(rows, found), _figures(found))


def _row(real_steps: int, values: Values) -> dict[str, Any]:
    costs = values["cost_excess"]
    row: dict[str, Any] = {"agent": "dream" if "gap" in values else "PPO", "real_steps": real_steps}
    row |= {"num_seeds": len(costs), "within_5_percent": stats.rate(costs <= 0.05)}
    for name in ("cost_excess", "gain_error", *GAPS, "model_cost_excess", "model_gain_error"):
        row[name] = stats.spread((1 if name in GAPS else 100) * values[name]) if name in values else None
    for column, name in zip(("correlation", "correlation_at_best"), GAPS, strict=True):
        row[column] = stats.correlation(values[name], costs) if name in values else None
    return row


def _conclusions(rows: list[dict[str, Any]], found: dict[str, Values]) -> list[str]:
    sentences = [f"The best gain is ({BEST[0]:.2f}, {BEST[1]:.2f})."]
    for row, (name, values) in zip(rows, found.items(), strict=True):
        position, velocity = np.median(values["gain"], axis=0)
        planned = f"; Riccati's in the model {stats.median(row['model_cost_excess']):.2g} %" if "gap" in values else ""
        sentences.append(
            f"{name}: PPO's median gain is ({position:.2f}, {velocity:.2f}); it costs at most 5 % more than the best "
            f"agent in {cell(row['within_5_percent'])} of seeds, in the median {stats.median(row['cost_excess']):.2g} %"
            f"{planned}."
        )
    dreams = [values for values in found.values() if "gap" in values]
    for name, label in GAPS.items():
        pairs = [(values[name], values["cost_excess"]) for values in dreams]
        each, over_all = [stats.correlation(*pair) for pair in pairs], stats.correlation(*np.hstack(pairs))
        sure = sum(found is not None and found["low"] > 0 for found in each)
        sentences.append(
            f"Rank correlation of {label} and cost: {', '.join(map(cell, each))} within each number of real steps, its "
            f"whole interval above 0 in {sure} of {len(each)}; over all of them {cell(over_all)}."
        )
    return sentences


def _figures(found: dict[str, Values]) -> dict[str, Any]:
    costs = {name: 100 * values["cost_excess"] for name, values in found.items()}
    panels = {label: {n: (v[gap], costs[n]) for n, v in found.items() if gap in v} for gap, label in GAPS.items()}
    reference, title = ("PPO in reality (median)", float(np.median(costs["PPO in reality"]))), "Double integrator"
    gaps = partial(charts.gaps_and_costs, panels=panels, reference=reference, ylabel="excess cost (%)", title=title)
    gains = partial(charts.gains, runs={name: v["gain"] for name, v in found.items()}, best=BEST, title=title)
    return {"gaps": gaps, "gains": gains}


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"num_steps": 512, "real_steps": ["64", "128"], "fit_steps": 20})
