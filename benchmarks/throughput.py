"""How many training steps of the textbook GAN per second: a PyTorch loop, plain `jit(vmap)`, and `sweep`, in one run.

    python benchmarks/throughput.py                     # 64 lanes of the textbook GAN, about 2 minutes on 2 cores

Each contender trains the same networks (G 5-15-15-1, D 1-25-25-1, batch 256, Adam) on fresh data at every step. They
take turns, `--rounds` times, so that a busy machine slows all of them: read the ratios. The fraction of the GEMM peak
counts only the multiplications and additions that the networks' matrix products need, over what a large matrix product
reaches on the same devices in the same run. `sweep` also draws its history and metrics; the others only train.
"""

import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags

from jgen1d import TARGETS, cli, sweep
from jgen1d.methods import gan

_LANES = flags.DEFINE_integer("lanes", 64, "runs that train side by side", lower_bound=1)
_STEPS = flags.DEFINE_integer(
    "num_steps", 2_000, "training steps of each run in a round, a multiple of 200", lower_bound=200
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "rounds that the contenders take turns in", lower_bound=1)

CONFIG = gan.preset("textbook")
BATCH_SIZE = 256
TARGET = TARGETS["bimodal"]
CENTERS, SCALE, MEAN, STD = (2.0, 6.0), 0.4, float(TARGET.mean[0]), float(TARGET.std[0])


def main() -> None:
    contenders = {"sweep": _sweep, "jit(vmap), Dense layers": _plain_vmap()}
    try:
        contenders["PyTorch loop"] = _torch_loop()
    except ImportError:
        print("PyTorch is not installed: its loop is left out (pip install 'jgen1d[bench]')", file=sys.stderr)
    # One PyTorch run after the other: two of them tell the rate of any number.
    sizes = {name: (2, 300) if name == "PyTorch loop" else (_LANES.value, _STEPS.value) for name in contenders}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    peak = []
    for _ in range(1 + _ROUNDS.value):
        peak.append(_gemm_peak())
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender(*sizes[name])
            seconds[name].append(time.perf_counter() - began)
    # The first round compiles, and does not count.
    rates = {name: [math.prod(sizes[name]) / t for t in times[1:]] for name, times in seconds.items()}
    compile_seconds = {name: times[0] - statistics.median(times[1:]) for name, times in seconds.items()}
    print(f"{_LANES.value} lanes, {len(jax.devices())} {jax.devices()[0].device_kind} devices, jax {jax.__version__}")
    print(f"f32 GEMM peak {statistics.median(peak) / 1e9:.0f} GFLOP/s; {flops_per_step() / 1e6:.2f} MFLOP a step")
    head = ["", "lane-steps/s", "us/lane-step", "of peak", "compilation", "sweep is faster by"]
    print("{:25}{:>14}{:>14}{:>9}{:>17}{:>24}".format(*head))
    for name, values in rates.items():
        rate = statistics.median(values)
        ratios = [ours / theirs for ours, theirs in zip(rates["sweep"], values, strict=True)]
        faster = f"{statistics.median(ratios):.1f} x [{min(ratios):.1f}, {max(ratios):.1f}]"
        share = rate * flops_per_step() / statistics.median(peak)
        print(f"{name:25}{rate:14,.0f}{1e6 / rate:14.1f}{share:9.1%}{compile_seconds[name]:15.1f} s{faster:>24}")


def flops_per_step() -> float:
    """Matrix products of one step: D forward and both backwards on 2n rows, G likewise on n, n rows through D for G.

    A product of [n, a] and [a, b] counts 2·n·a·b; the gradient with respect to the first layer's input is not needed,
    except where it goes on into G.
    """

    def forward(widths: tuple[int, ...]) -> int:
        return 2 * sum(a * b for a, b in itertools.pairwise(widths))

    d = (CONFIG.dim, *CONFIG.widths_d, 1)
    g = (CONFIG.latent_dim, *CONFIG.widths_g, CONFIG.dim)
    first_d, first_g = 2 * d[0] * d[1], 2 * g[0] * g[1]
    update_d = 2 * BATCH_SIZE * (3 * forward(d) - first_d)
    update_g = BATCH_SIZE * (3 * forward(g) - first_g + 2 * forward(d))
    return update_d + update_g


def _gemm_peak(size: int = 2048) -> float:
    """FLOP/s of f32 matrix products, one on each device at a time."""
    devices = jax.devices()
    matrices = [jax.device_put(np.ones((size, size), np.float32), device) for device in devices]
    multiply = jax.jit(lambda a: a @ a)
    jax.block_until_ready([multiply(a) for a in matrices])
    began = time.perf_counter()
    jax.block_until_ready([multiply(a) for _ in range(3) for a in matrices])
    return 3 * len(devices) * 2 * size**3 / (time.perf_counter() - began)


def _sweep(lanes: int, steps: int) -> None:
    sweep(gan.METHOD, [TARGET], [CONFIG], range(lanes), steps, eval_every=200, batch_size=BATCH_SIZE, num_samples=1_000)


def _plain_vmap() -> Callable[[int, int], None]:
    """What one writes first: Flax's Dense on [batch, features], two gradients, `jit(vmap(scan))`."""
    import flax.linen as nn

    class MLP(nn.Module):
        widths: tuple[int, ...]

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            for width in self.widths:
                x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(x))
            return nn.Dense(1, kernel_init=nn.initializers.he_normal())(x)

    g, d, optimizer = MLP(CONFIG.widths_g), MLP(CONFIG.widths_d), optax.adam(1e-3)

    def step(state: tuple, key: jax.Array) -> tuple[tuple, tuple]:
        params_g, params_d, opt_g, opt_d = state
        key_mode, key_noise, key_d, key_g = jax.random.split(key, 4)
        mode = jax.random.bernoulli(key_mode, 0.5, (BATCH_SIZE, 1))
        noise = jax.random.normal(key_noise, (BATCH_SIZE, 1))
        real = (jnp.where(mode, CENTERS[0], CENTERS[1]) + SCALE * noise - MEAN) / STD

        def loss_d(params: Any) -> jax.Array:
            fake = g.apply(params_g, jax.random.normal(key_d, (BATCH_SIZE, CONFIG.latent_dim)))
            return jnp.mean(jax.nn.softplus(-d.apply(params, real))) + jnp.mean(jax.nn.softplus(d.apply(params, fake)))

        value_d, gradient = jax.value_and_grad(loss_d)(params_d)
        updates, opt_d = optimizer.update(gradient, opt_d)
        params_d = optax.apply_updates(params_d, updates)

        def loss_g(params: Any) -> jax.Array:
            fake = g.apply(params, jax.random.normal(key_g, (BATCH_SIZE, CONFIG.latent_dim)))
            return jnp.mean(jax.nn.softplus(-d.apply(params_d, fake)))

        value_g, gradient = jax.value_and_grad(loss_g)(params_g)
        updates, opt_g = optimizer.update(gradient, opt_g)
        return (optax.apply_updates(params_g, updates), params_d, opt_g, opt_d), (value_d, value_g)

    def train(key: jax.Array, steps: int) -> tuple:
        key_g, key_d, key = jax.random.split(key, 3)
        params_g, params_d = g.init(key_g, jnp.ones((1, CONFIG.latent_dim))), d.init(key_d, jnp.ones((1, 1)))
        state = (params_g, params_d, optimizer.init(params_g), optimizer.init(params_d))
        return jax.lax.scan(step, state, jax.random.split(key, steps))

    batched = jax.jit(jax.vmap(train, in_axes=(0, None)), static_argnums=1)

    def contender(lanes: int, steps: int) -> None:
        jax.block_until_ready(batched(jax.random.split(jax.random.key(0), lanes), steps))

    return contender


def _torch_loop() -> Callable[[int, int], None]:
    """What PyTorch users write: eager modules, two optimisers, one run after the other."""
    import torch
    from torch import nn

    def mlp(widths: tuple[int, ...]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            linear = nn.Linear(a, b)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def contender(lanes: int, steps: int) -> None:
        for seed in range(lanes):
            torch.manual_seed(seed)
            g, d = mlp((CONFIG.latent_dim, *CONFIG.widths_g, 1)), mlp((1, *CONFIG.widths_d, 1))
            opt_g, opt_d = (torch.optim.Adam(net.parameters(), lr=1e-3) for net in (g, d))
            criterion = nn.BCEWithLogitsLoss()
            ones, zeros = torch.ones(BATCH_SIZE, 1), torch.zeros(BATCH_SIZE, 1)
            centers = torch.tensor(CENTERS)
            for _ in range(steps):
                modes = centers[torch.randint(2, (BATCH_SIZE, 1))]
                real = (modes + SCALE * torch.randn(BATCH_SIZE, 1) - MEAN) / STD
                fake = g(torch.randn(BATCH_SIZE, CONFIG.latent_dim))
                opt_d.zero_grad()
                loss_d = criterion(d(real), ones) + criterion(d(fake.detach()), zeros)
                loss_d.backward()
                opt_d.step()
                opt_g.zero_grad()
                loss_g = criterion(d(fake), ones)
                loss_g.backward()
                opt_g.step()

    return contender


if __name__ == "__main__":
    cli.run(main)
