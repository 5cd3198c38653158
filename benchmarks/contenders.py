"""Four ways to train the same GAN many times: a PyTorch loop, a PyTorch ensemble, plain `jit(vmap)`, and `sweep`.

All take the same steps: `BATCH_SIZE` fresh points of the bimodal target and as many fresh latents, relu networks, the
log loss and the non-saturating one, D's update before G's, Adam for both. Each is what a good practitioner writes.
"""

import functools
import itertools
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jgen1d import TARGETS, sweep
from jgen1d.methods import gan

BATCH_SIZE = 256
SAMPLES_PER_STEP = 2  # for the final metrics: a normal run scores 10,000 samples after 5,000 steps
TARGET = TARGETS["bimodal"]
CENTERS, SCALE = np.ravel(TARGET.modes.centers).tolist(), float(TARGET.modes.scales[0])  # two modes, alike

Train = Callable[[int, int, int], None]
"""Trains so many lanes for so many steps, with so many evaluations if it does them, and returns when all is done."""


class Contender(NamedTuple):
    """One way to train.

    Attributes:
      title: its name in tables and plots.
      make: config -> its `Train`. Raises ImportError where PyTorch is needed and missing.
      is_torch: whether it needs PyTorch.
      one_by_one: whether its lanes follow one another, so that one of them tells the rate of any number.
      overhead: what a step takes at least, in seconds; a first guess, from which the length of the first run follows.
      evaluates: whether it draws a history and final metrics.
    """

    title: str
    make: Callable[[gan.Config], Train]
    is_torch: bool = False
    one_by_one: bool = False
    overhead: float = 1e-4
    evaluates: bool = False


def make_sweep(config: gan.Config) -> Train:
    """The library's own. It also draws history and metrics, in proportion to its steps."""

    def train(lanes: int, num_steps: int, num_evals: int) -> None:
        sweep(
            gan.METHOD, [TARGET], [config], range(lanes), num_steps,
            batch_size=BATCH_SIZE, eval_every=num_steps // num_evals, num_samples=SAMPLES_PER_STEP * num_steps,
        )  # fmt: skip

    return train


def make_plain(config: gan.Config) -> Train:
    """What one writes first: Flax's Dense on [batch, features], two gradients, `jit(vmap(scan))`."""
    import flax.linen as nn

    class MLP(nn.Module):
        widths: tuple[int, ...]

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            for width in self.widths:
                x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(x))
            return nn.Dense(1, kernel_init=nn.initializers.he_normal())(x)

    g, d = MLP(config.widths_g), MLP(config.widths_d)
    optimizer_g = optax.adam(config.learning_rate_g, config.beta1_g, config.beta2_g)
    optimizer_d = optax.adam(config.learning_rate_d, config.beta1_d, config.beta2_d)

    def step(state: tuple, key: jax.Array) -> tuple[tuple, tuple]:
        params_g, params_d, opt_g, opt_d = state
        key_mode, key_noise, key_d, key_g = jax.random.split(key, 4)
        mode = jax.random.bernoulli(key_mode, 0.5, (BATCH_SIZE, 1))
        noise = jax.random.normal(key_noise, (BATCH_SIZE, 1))
        real = jnp.where(mode, CENTERS[0], CENTERS[1]) + SCALE * noise

        def loss_d(params: Any) -> jax.Array:
            fake = g.apply(params_g, jax.random.normal(key_d, (BATCH_SIZE, config.latent_dim)))
            return jnp.mean(jax.nn.softplus(-d.apply(params, real))) + jnp.mean(jax.nn.softplus(d.apply(params, fake)))

        value_d, gradient = jax.value_and_grad(loss_d)(params_d)
        updates, opt_d = optimizer_d.update(gradient, opt_d)
        params_d = optax.apply_updates(params_d, updates)

        def loss_g(params: Any) -> jax.Array:
            fake = g.apply(params, jax.random.normal(key_g, (BATCH_SIZE, config.latent_dim)))
            return jnp.mean(jax.nn.softplus(-d.apply(params_d, fake)))

        value_g, gradient = jax.value_and_grad(loss_g)(params_g)
        updates, opt_g = optimizer_g.update(gradient, opt_g)
        return (optax.apply_updates(params_g, updates), params_d, opt_g, opt_d), (value_d, value_g)

    def run(key: jax.Array, num_steps: int) -> tuple:
        key_g, key_d, key = jax.random.split(key, 3)
        params_g, params_d = g.init(key_g, jnp.ones((1, config.latent_dim))), d.init(key_d, jnp.ones((1, 1)))
        state = (params_g, params_d, optimizer_g.init(params_g), optimizer_d.init(params_d))
        return jax.lax.scan(step, state, jax.random.split(key, num_steps))

    batched = jax.jit(jax.vmap(run, in_axes=(0, None)), static_argnums=1)

    def train(lanes: int, num_steps: int, num_evals: int) -> None:
        del num_evals
        jax.block_until_ready(batched(jax.random.split(jax.random.key(0), lanes), num_steps))

    return train


def make_ensemble(config: gan.Config) -> Train:
    """PyTorch, eager, all lanes at once: parameters with a leading axis of lanes, `baddbmm`, one backward pass.

    The lanes' losses are summed, so that each lane gets its own gradient, and Adam is elementwise. Of the ways to write
    it this was the fastest on CPU: [lanes, features, batch] (the batch last), real and generated points side by side in
    D, the fused Adam, and no gradients of D's parameters in G's backward pass.
    """
    torch = import_torch()
    functional = torch.nn.functional

    def init(widths: tuple[int, ...], lanes: int) -> list:
        params = []
        for a, b in itertools.pairwise(widths):
            params += [(2 / a) ** 0.5 * torch.randn(lanes, b, a), torch.zeros(lanes, b, 1)]
        return [param.requires_grad_() for param in params]

    def apply(params: list, x: Any) -> Any:
        for i in range(0, len(params), 2):
            x = torch.baddbmm(params[i + 1], params[i], x.relu() if i else x)
        return x

    def train(lanes: int, num_steps: int, num_evals: int) -> None:
        del num_evals
        torch.manual_seed(0)
        g, d = init((config.latent_dim, *config.widths_g, 1), lanes), init((1, *config.widths_d, 1), lanes)
        opt_g = torch.optim.Adam(g, config.learning_rate_g, (config.beta1_g, config.beta2_g), fused=True)
        opt_d = torch.optim.Adam(d, config.learning_rate_d, (config.beta1_d, config.beta2_d), fused=True)
        centers = torch.tensor(CENTERS)
        for _ in range(num_steps):
            real = centers[torch.randint(2, (lanes, 1, BATCH_SIZE))] + SCALE * torch.randn(lanes, 1, BATCH_SIZE)
            fake = apply(g, torch.randn(lanes, config.latent_dim, BATCH_SIZE))
            opt_d.zero_grad()
            logits_real, logits_fake = apply(d, torch.cat([real, fake.detach()], 2)).split(BATCH_SIZE, 2)
            loss_d = functional.softplus(-logits_real).sum() + functional.softplus(logits_fake).sum()
            (loss_d / BATCH_SIZE).backward()
            opt_d.step()
            opt_g.zero_grad()
            loss_g = functional.softplus(-apply(d, fake)).sum()
            (loss_g / BATCH_SIZE).backward(inputs=g)
            opt_g.step()
        wait(torch)

    return on_fewest_or_all_threads(train)


def make_loop(config: gan.Config) -> Train:
    """What PyTorch users write: eager modules, two optimisers as they come, one run after the other."""
    torch = import_torch()
    nn = torch.nn

    def mlp(widths: tuple[int, ...]) -> Any:
        layers: list[Any] = []
        for a, b in itertools.pairwise(widths):
            linear = nn.Linear(a, b)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def train(lanes: int, num_steps: int, num_evals: int) -> None:
        del num_evals
        for seed in range(lanes):
            torch.manual_seed(seed)
            g, d = mlp((config.latent_dim, *config.widths_g, 1)), mlp((1, *config.widths_d, 1))
            opt_g = torch.optim.Adam(g.parameters(), config.learning_rate_g, (config.beta1_g, config.beta2_g))
            opt_d = torch.optim.Adam(d.parameters(), config.learning_rate_d, (config.beta1_d, config.beta2_d))
            criterion = nn.BCEWithLogitsLoss()
            ones, zeros = torch.ones(BATCH_SIZE, 1), torch.zeros(BATCH_SIZE, 1)
            centers = torch.tensor(CENTERS)
            for _ in range(num_steps):
                real = centers[torch.randint(2, (BATCH_SIZE, 1))] + SCALE * torch.randn(BATCH_SIZE, 1)
                fake = g(torch.randn(BATCH_SIZE, config.latent_dim))
                opt_d.zero_grad()
                loss_d = criterion(d(real), ones) + criterion(d(fake.detach()), zeros)
                loss_d.backward()
                opt_d.step()
                opt_g.zero_grad()
                loss_g = criterion(d(fake), ones)
                loss_g.backward()
                opt_g.step()
        wait(torch)

    return on_fewest_or_all_threads(train)


CONTENDERS = {
    "loop": Contender("PyTorch loop", make_loop, is_torch=True, one_by_one=True, overhead=1e-3),
    "ensemble": Contender("PyTorch ensemble", make_ensemble, is_torch=True, overhead=1e-3),
    "plain": Contender("plain jit(vmap)", make_plain),
    "sweep": Contender("sweep", make_sweep, evaluates=True),
}
"""By the names that `--contenders` takes, in the order of their turns."""


def import_torch() -> Any:
    """PyTorch, on the GPU if JAX runs on one and PyTorch can. Raises ImportError if it is not installed."""
    import torch

    torch.set_default_device("cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu")
    return torch


def wait(torch: Any) -> None:
    """Waits for a GPU to have done what it was given."""
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()


def on_fewest_or_all_threads(train: Train) -> Train:
    """`train` on one thread or on one per core, whichever was faster in a few steps of at most 16 lanes."""
    torch = import_torch()

    @functools.cache
    def best(lanes: int) -> int:
        seconds = {}
        for threads in (1, os.cpu_count() or 1):
            torch.set_num_threads(threads)
            train(lanes, 1, 1)
            began = time.perf_counter()
            train(lanes, 5, 1)
            seconds[threads] = time.perf_counter() - began
        return min(seconds, key=lambda threads: seconds[threads])

    def on_best(lanes: int, num_steps: int, num_evals: int) -> None:
        torch.set_num_threads(best(min(lanes, 16)))
        train(lanes, num_steps, num_evals)

    return on_best
