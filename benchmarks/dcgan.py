"""How fast does the DCGAN train on signals here and in PyTorch, per run and step, in one process?

    python benchmarks/dcgan.py
    python benchmarks/dcgan.py --lanes=1,8,32 --num_steps=400

Here: `jgen1d.sweep` of the preset `dcgan` on pulses of 64 places, so many seeds side by side, for --num_steps and for
twice as many; the difference is the training, the rest what a sweep takes besides. PyTorch: one seed, as its users
write it (the structure of PyTorch's DCGAN tutorial): eager modules, batches from a tensor of signals, a loop over
steps, on one thread or on all, whichever is faster. They take turns; read the ratio, median [least, most] over rounds,
for the machine may have other work. Without PyTorch (`pip install -e ".[bench]"`) only the first half is measured.
Compilation is in neither.
"""

import statistics
import sys
from functools import partial
from timeit import timeit
from typing import Any

import jax
import numpy as np
from absl import flags

import jgen1d
from benchmarks.contenders import Train, import_torch, on_fewest_or_all_threads, wait
from jgen1d import cli
from jgen1d.methods import gan

TARGET = jgen1d.TARGETS["pulse"]
BATCH_SIZE, NUM_ROWS = 64, 10_000

_LANES = flags.DEFINE_list("lanes", ["32"], "seeds side by side, separated by commas")
_NUM_STEPS = flags.DEFINE_integer("num_steps", 200, "training steps of each seed that are timed", lower_bound=1)
_TORCH_STEPS = flags.DEFINE_integer("torch_steps", 200, "of PyTorch in each of its turns", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "turns of each, after one that compiles", lower_bound=1)


def main() -> None:
    """Prints a line for each number of lanes."""
    lanes, config, num_steps = cli.integers("lanes"), gan.preset("dcgan"), _NUM_STEPS.value
    print(f"{len(jax.devices())} × {jax.devices()[0].device_kind}, jax {jax.__version__}", flush=True)
    loop = None
    try:
        loop = make_loop(config)
    except ImportError as error:
        print(f"PyTorch's half is missing: {error}", file=sys.stderr)
    for count in lanes:

        def train(num_steps: int, count: int = count) -> None:
            jgen1d.sweep(
                gan.METHOD, TARGET, config, range(count), num_steps,
                batch_size=BATCH_SIZE, eval_every=num_steps, num_samples=100,
            )  # fmt: skip

        train(num_steps)
        ours, besides, theirs = [], [], []
        for _ in range(_ROUNDS.value):
            short, long = (timeit(partial(train, n), number=1) for n in (num_steps, 2 * num_steps))
            ours.append((long - short) / (count * num_steps))
            besides.append(2 * short - long)
            if loop:
                theirs.append(timeit(partial(loop, 1, _TORCH_STEPS.value, 1), number=1) / _TORCH_STEPS.value)
        each, rest = statistics.median(ours), statistics.median(besides)
        print(
            f"{count} lane{'s' * (count > 1)}: {1e3 * each:.2f} ms per lane and step, and {rest:.1f} s besides; "
            f"{2_000 * count * each:.0f} s for 2,000 steps",
            flush=True,
        )
        if theirs:
            ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
            print(
                f"{statistics.median(ratios):.1f} [{ratios[0]:.1f}, {ratios[-1]:.1f}] times as fast as PyTorch's loop, "
                f"which takes {1e3 * statistics.median(theirs):.2f} ms",
                flush=True,
            )


def make_loop(config: gan.Config) -> Train:
    """A DCGAN of one seed, whatever the lanes, that goes on training from call to call."""
    torch = import_torch()
    nn = torch.nn
    torch.manual_seed(0)
    (length,) = TARGET.shape
    rows = np.asarray(TARGET.standardized().sample(jax.random.key(0), NUM_ROWS))
    signals = torch.tensor(rows)[:, None]
    first, *others = config.widths_g
    small = length // 2 ** len(config.widths_g)

    parts: list[Any] = [nn.Linear(config.latent_dim, first * small), nn.Unflatten(1, (first, small))]
    parts += [nn.BatchNorm1d(first), nn.ReLU()]
    for inputs, outputs in zip(config.widths_g, others, strict=False):
        parts += [nn.ConvTranspose1d(inputs, outputs, 4, 2, 1), nn.BatchNorm1d(outputs), nn.ReLU()]
    generator = nn.Sequential(*parts, nn.ConvTranspose1d(config.widths_g[-1], 1, 4, 2, 1))

    parts = [nn.Conv1d(1, config.widths_d[0], 4, 2, 1), nn.LeakyReLU(0.2)]
    for inputs, outputs in zip(config.widths_d, config.widths_d[1:], strict=False):
        parts += [nn.Conv1d(inputs, outputs, 4, 2, 1), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2)]
    last = config.widths_d[-1] * length // 2 ** len(config.widths_d)
    discriminator = nn.Sequential(*parts, nn.Flatten(), nn.Linear(last, 1))

    optimizer_g, optimizer_d = (
        torch.optim.Adam(network.parameters(), rate, betas)
        for network, rate, betas in (
            (generator, config.learning_rate_g, (config.beta1_g, config.beta2_g)),
            (discriminator, config.learning_rate_d, (config.beta1_d, config.beta2_d)),
        )
    )
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(BATCH_SIZE, 1), torch.zeros(BATCH_SIZE, 1)

    def train(lanes: int, num_steps: int, num_evals: int) -> None:
        del lanes, num_evals
        for _ in range(num_steps):
            real = signals[torch.randint(NUM_ROWS, (BATCH_SIZE,))]
            fake = generator(2 * torch.rand(BATCH_SIZE, config.latent_dim) - 1)
            optimizer_d.zero_grad()
            criterion(discriminator(real), ones).backward()
            criterion(discriminator(fake.detach()), zeros).backward()
            optimizer_d.step()
            optimizer_g.zero_grad()
            criterion(discriminator(fake), ones).backward()
            optimizer_g.step()
        wait(torch)

    return on_fewest_or_all_threads(train)


if __name__ == "__main__":
    cli.run(main)
