"""How fast does PPO learn CartPole here and in PyTorch, per environment step, in one run?

    python benchmarks/agents.py
    python benchmarks/agents.py --lanes=1,16,256 --num_steps=20000

Here: so many seeds side by side, each for --num_steps steps, and 20 greedy episodes each, whose steps do not count.
PyTorch: one seed, as its users write it (the structure of CleanRL's `ppo.py`): eager modules, gymnasium's environments
in a list, a loop over steps. Both have the settings of `ppo.Config`. They take turns; read the ratio, median [least,
most] over rounds, for the machine may have other work. Without PyTorch or gymnasium (`pip install -e ".[bench,dev]"`)
only the first half is measured. Compilation is the first call's time less that of a later one.
"""

import functools
import itertools
import statistics
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
from absl import flags

from jgen1d import cli
from jgen1d.report import stats
from jgen1d.report.table import cell
from jgen1d.worlds import ENVIRONMENTS, ppo, training
from jgen1d.worlds.lanes import run_lanes

ENVIRONMENT = ENVIRONMENTS["cartpole"]

_LANES = flags.DEFINE_list("lanes", ["1", "64"], "seeds side by side, separated by commas")
_NUM_STEPS = flags.DEFINE_integer("num_steps", 100_000, "of each seed, at least", lower_bound=1)
_TORCH_UPDATES = flags.DEFINE_integer("torch_updates", 10, "of PyTorch in each of its turns", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "turns of each, after one that compiles", lower_bound=1)
flags.FLAGS.set_default("compilation_cache", "")


def main() -> None:
    lanes = cli.integers("lanes")
    config = ppo.bind(ppo.Config(), ENVIRONMENT, _NUM_STEPS.value)
    per_update, updates = config.num_environments * config.rollout_length, int(config.num_updates)
    print(f"{len(jax.devices())} × {jax.devices()[0].device_kind}, jax {jax.__version__}", flush=True)
    torch_loop = None
    try:
        torch_loop = functools.partial(pytorch(config), _TORCH_UPDATES.value)
    except ImportError as error:
        print(f"PyTorch's half is missing: {error}", file=sys.stderr)
    for count in lanes:

        def train(count: int = count) -> training.Outcome:
            runs = [(seed, config) for seed in range(count)]
            return run_lanes(training.in_reality, runs, environment=ENVIRONMENT, num_updates=updates)

        began = time.perf_counter()
        outcome = train()
        first = time.perf_counter() - began
        ours, theirs = [], []
        for _ in range(_ROUNDS.value):
            ours.append(_seconds(train))
            if torch_loop:
                theirs.append(_seconds(torch_loop))
        middle, steps = statistics.median(ours), count * updates * per_update
        solved = cell(stats.rate(outcome.real_return >= ENVIRONMENT.solved_at))
        print(
            f"{middle:.1f} s train {count} seeds for {updates * per_update:,} steps each, {1e6 * middle / steps:.2f} "
            f"us per step; compilation {max(0.0, first - middle):.1f} s; {solved} of seeds solve CartPole",
            flush=True,
        )
        if theirs:
            each = [1e6 * seconds / (_TORCH_UPDATES.value * per_update) for seconds in theirs]
            ratios = sorted(b / (1e6 * a / steps) for a, b in zip(ours, each, strict=True))
            print(
                f"{statistics.median(ratios):.1f} [{ratios[0]:.1f}, {ratios[-1]:.1f}] times as fast per step as "
                f"PyTorch, which takes {statistics.median(each):.0f} us",
                flush=True,
            )


def pytorch(config: ppo.Config) -> Callable[[int], None]:
    """PPO of one seed, with a vector of environments and an agent that go on from call to call."""
    import gymnasium
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks of this size only wait for each other on several
    n, length = config.num_environments, config.rollout_length
    environments = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1") for _ in range(n)])

    def layer(inputs: int, outputs: int, gain: float) -> nn.Linear:
        linear = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(linear.weight, gain)
        nn.init.zeros_(linear.bias)
        return linear

    def network(outputs: int, gain: float) -> nn.Sequential:
        sizes = [config.observation_dim, *config.widths]
        hidden = [part for a, b in itertools.pairwise(sizes) for part in (layer(a, b, ppo.GAIN), nn.Tanh())]
        return nn.Sequential(*hidden, layer(sizes[-1], outputs, gain))

    actor, critic = network(config.num_actions, 0.01), network(1, 1.0)
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, eps=1e-5)
    observation, ended = torch.tensor(environments.reset(seed=0)[0]), torch.zeros(n)
    seen = torch.zeros(length, n, config.observation_dim)
    actions, log_probs, rewards, dones, values = (torch.zeros(length, n) for _ in range(5))
    done_updates = 0

    def update() -> None:
        nonlocal observation, ended, done_updates
        optimizer.param_groups[0]["lr"] = config.learning_rate * max(0.0, 1 - done_updates / config.num_updates)
        done_updates += 1
        for t in range(length):
            seen[t], dones[t] = observation, ended
            with torch.no_grad():
                choice = torch.distributions.Categorical(logits=actor(observation))
                action = choice.sample()
                actions[t], log_probs[t], values[t] = action, choice.log_prob(action), critic(observation).flatten()
            after, reward, terminated, truncated, _ = environments.step(action.numpy())
            rewards[t] = torch.tensor(reward)
            observation, ended = torch.tensor(after), torch.tensor(np.logical_or(terminated, truncated)).float()
        with torch.no_grad():
            advantages, last, next_value = torch.zeros_like(rewards), torch.zeros(n), critic(observation).flatten()
            for t in reversed(range(length)):
                alive = 1 - (ended if t == length - 1 else dones[t + 1])
                following = next_value if t == length - 1 else values[t + 1]
                error = rewards[t] + config.discount * following * alive - values[t]
                last = error + config.discount * config.gae_lambda * alive * last
                advantages[t] = last
            targets = advantages + values
        flat = [x.reshape(length * n, *x.shape[2:]) for x in (seen, actions, log_probs, advantages, targets)]
        for _ in range(config.num_epochs):
            for rows in torch.randperm(length * n).chunk(config.num_minibatches):
                x, action, old, advantage, target = (part[rows] for part in flat)
                choice = torch.distributions.Categorical(logits=actor(x))
                ratio = (choice.log_prob(action) - old).exp()
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
                loss_policy = -torch.min(ratio * advantage, clipped * advantage).mean()
                loss_value = 0.5 * ((critic(x).flatten() - target) ** 2).mean()
                entropy = choice.entropy().mean()
                loss = loss_policy + config.value_weight * loss_value - config.entropy_weight * entropy
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
                optimizer.step()

    def run(num_updates: int) -> None:
        for _ in range(num_updates):
            update()

    run(2)
    return run


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


if __name__ == "__main__":
    cli.run(main)
