"""In how many seeds does an agent that learned only in a dream of CartPole solve the real task?

    python experiments/world_model.py
    python experiments/world_model.py --agents=dream --rounds=1 --ensembles=1,2,5 --temperatures=0.1,0.5,1,1.3

A world model is fitted to a number of real steps: p(next observation, reward, done | observation, action), by
likelihood (gaussian, mixture), as a conditional VAE or by flow matching. An agent (PPO, two networks of 64-64) then
learns for --num_steps steps in the model alone, and is tested in the real CartPole, where a mean return of 475 over 20
greedy episodes counts as solved. With several --rounds the real steps are collected in parts, by the agent of the
time, and the model is fitted anew after each. Rows whose agent is PPO show what PPO makes of as many real steps
without a model, and of --num_steps of them. The agent `filter` is the recipe of a tutorial, in which a VAE only filters
what the agent sees in reality, and PPO updates on single transitions.

The table gives for each setting the share of seeds that solved the task, with its Wilson 95 % interval, the share
whose dream returns 475 though reality does not (*exploits the model*), and as median [5 %, 95 %] over seeds the returns
in the dream and in reality, and where the agent goes the model's one-step error (the root mean square over coordinates,
in standard deviations of a step's changes), its open-loop horizon (steps until it leaves the truth by one standard
deviation in some coordinate, when told of nothing but the start and the actions), and the calibration error of `done`
(percentage points between predicted and seen frequency of an end; also on random actions).

A run that is stopped goes on where its last block was saved, with the same command; its seconds are then those of the
last start.

Expect, with the defaults (47 minutes of one core): of 64 seeds that dream in a Gaussian model 34, 66, 70 and 78 % solve
reality when the real steps are random, and 17, 50, 94 and 97 % when they are collected in 5 rounds; in a VAE 11 to 22 %
and 2 to 34 %. PPO without a model: 20 % [12–32] after 9,728 real steps, and 97 % [89–99] after 100,352. Models follow
reality for 40 to 70 steps. `--families=gaussian` takes a third of the time; `--families=flow_matching` solves it in
80 % [68–88] after 600 random steps; `--agents=filter` in 0 % [0–6].

The workdir receives `shares.png`, `returns.png`, `curves.png`, `rollouts.png`, `temperatures.png` if there are several,
`agent.gif` of one agent in both worlds, `config.json` and `summary.json`.
"""

import functools
import itertools
import time
from typing import Any

from absl import flags

import lab
from jgen1d import cli
from jgen1d.core import replace
from jgen1d.engine.parts import Part
from jgen1d.methods import vae
from jgen1d.report import dreams
from jgen1d.report.table import Table
from jgen1d.worlds import ENVIRONMENTS, ppo, training, world_model
from jgen1d.worlds.lanes import run_settings

ENVIRONMENT = ENVIRONMENTS["cartpole"]
SOLVED_AT = ENVIRONMENT.solved_at
AGENTS = ("dream", "PPO", "filter")
GUIDE = ppo.Config(
    num_environments=1, rollout_length=1, num_epochs=1, num_minibatches=1, normalize_advantages=False
)  # fmt: skip
"""A tutorial's agent, which learns from each transition as it comes, behind a VAE that filters what it sees."""
GUIDE_STEPS = 20_000
Plan = tuple[Any, list[tuple[dict[str, Any], tuple]], dict[str, Any]]
"""A function, its settings (labels and arguments), and its keywords."""

flags.DEFINE_list("families", ["gaussian", "vae"], f"world models: {', '.join(world_model.FAMILIES)}")
flags.DEFINE_list("real_steps", ["600", "2000", "5000", "10000"], "steps in reality, separated by commas")
flags.DEFINE_list("ensembles", ["1"], "members of the world model, separated by commas")
flags.DEFINE_list("rounds", ["1", "5"], "parts that the real steps are collected in, separated by commas")
flags.DEFINE_list("temperatures", ["1"], "of dreams, separated by commas")
_FIT_STEPS = flags.DEFINE_integer("fit_steps", 1_000, "of each fit of a model", lower_bound=1)
flags.DEFINE_list("agents", ["dream", "PPO"], f"what to run, separated by commas: {', '.join(AGENTS)}")
cli.define_training_flags(num_steps=100_000)
cli.define_output_flags("world_model")
cli.define_checkpoint_flag()


def main() -> None:
    """Trains, prints and draws."""
    agent, plan = _plan()
    rows: list[dict[str, Any]] = []
    outcomes: list[training.Outcome] = []
    arguments: list[tuple] = []
    workdir = cli.choose_workdir("world_model")
    with cli.checkpoints(workdir) as checkpoints:
        for number, (function, settings, static) in enumerate(plan):
            began = time.monotonic()
            lanes = [[(seed, *own) for seed in cli.seeds()] for _, own in settings]
            part = checkpoints and Part(checkpoints, f"{number}")
            found = run_settings(function, lanes, environment=ENVIRONMENT, checkpoints=part, progress=True, **static)
            seconds = (time.monotonic() - began) / len(lanes)
            for (label, own), outcome in zip(settings, found, strict=True):
                rows.append(dreams.row(label, outcome, SOLVED_AT, seconds))
                outcomes.append(outcome)
                arguments.append(own)
        per_update = agent.num_environments * agent.rollout_length
        figures = dreams.figures(rows, outcomes, SOLVED_AT, per_update, "CartPole", (2, "angle (rad)"))
        film = functools.partial(dreams.film, rows, outcomes, arguments, ENVIRONMENT, "CartPole")
        films = {"agent": film} if any(row["agent"] == "dream" for row in rows) else {}
        cli.answer(workdir, Table(rows), dreams.conclusions(rows), figures, animations=films, checkpoints=checkpoints)


def _plan() -> tuple[ppo.Config, list[Plan]]:
    """PPO's config, and what is computed."""
    agents = cli.names("agents", AGENTS)
    families, temperatures = cli.names("families", world_model.FAMILIES), cli.numbers("temperatures")
    real_steps, ensembles, rounds = (cli.integers(name) for name in ("real_steps", "ensembles", "rounds"))
    if real_steps[0] < rounds[-1]:
        raise ValueError(f"--real_steps={real_steps[0]}: must be at least --rounds={rounds[-1]}")
    agent = ppo.bind(ppo.Config(), ENVIRONMENT, cli.num_steps())
    updates, per_update = int(agent.num_updates), agent.num_environments * agent.rollout_length
    plan: list[Plan] = []
    for family, members, parts in itertools.product(families if "dream" in agents else (), ensembles, rounds):
        base = world_model.Config(family=family, ensemble=members, num_steps=_FIT_STEPS.value)
        label = {"agent": "dream", "family": family, "ensemble": members, "rounds": parts}
        settings = [
            (label | {"temperature": t, "real_steps": steps}, (steps, replace(base, temperature=t), agent))
            for t, steps in itertools.product(temperatures, real_steps)
        ]
        static = {"most_real": real_steps[-1], "num_rounds": parts, "num_updates": max(updates // parts, 1) * parts}
        plan.append((training.in_dreams, settings, static))
    # PPO without a model, for as many real steps as the models have, and for as many as agents dream.
    counts = sorted({*(max(1, steps // per_update) for steps in real_steps), updates})
    plain: list[tuple[dict[str, Any], tuple]] = [
        ({"agent": "PPO", "real_steps": count * per_update}, (replace(agent, num_updates=float(count)),))
        for count in counts
    ]
    for some in filter(None, (plain[:-1], plain[-1:]) if "PPO" in agents else ()):
        plan.append((training.in_reality, some, {"num_updates": int(some[-1][1][0].num_updates)}))
    if "filter" in agents:
        steps = min(GUIDE_STEPS, cli.num_steps())
        label = {"agent": "filter", "real_steps": real_steps[-1] + steps}
        filters = vae.Config(dim=4, prior_components=0, num_steps=float(_FIT_STEPS.value))
        static = {"num_real": real_steps[-1], "num_fit": _FIT_STEPS.value, "num_updates": steps}
        plan.append((training.behind_a_filter, [(label, (ppo.bind(GUIDE, ENVIRONMENT, steps), filters))], static))
    return agent, plan


if __name__ == "__main__":
    quick = {"families": ["gaussian"], "real_steps": ["64", "128"], "rounds": ["2"], "fit_steps": 20, "num_steps": 512}
    cli.run(main, quick=lab.QUICK | quick)
