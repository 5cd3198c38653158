"""How much faster does `sweep` train each family than plain `jit(vmap)`, in one run?

    python benchmarks/methods.py                       # diffusion, flow_matching, vae, normalizing_flow; 64 lanes
    python benchmarks/methods.py --methods=gmm --lanes=8,256 --rounds=5

Plain is what one writes first: Flax's Dense on [batch, features], data and keys drawn within the step, one program
`jit(vmap(scan))` of all lanes. The rest of the step is the library's own in both. They take turns in one process; read
the ratios, median [least, most] over the rounds. A turn is a short and a long run, whose difference is the rate.

"training": `sweep` without evaluations, as plain. "normal run": with its history, a point per 100 steps for which 1,000
samples are drawn, which plain does not draw: of a family whose samples take many evaluations they can cost more than
the training.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
from absl import flags

import jgen1d
from jgen1d import cli, nets

BATCH_SIZE = 256
TARGET = jgen1d.TARGETS["mixture"]
SHORT, LONG = 100, 400

_METHODS = flags.DEFINE_list(
    "methods", ["diffusion", "flow_matching", "vae", "normalizing_flow"], "families, separated by commas"
)
_LANES = flags.DEFINE_list("lanes", ["64"], "numbers of runs, side by side")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "rounds that the two take turns in, after one that compiles", lower_bound=1)
flags.FLAGS.set_default("compilation_cache", "")

Run = Callable[[int], None]
"""Trains for so many steps, and returns when all is done."""


def main() -> None:
    methods = {name: cli.method(name, "methods") for name in _METHODS.value}
    for text in _LANES.value:
        if not text.strip().isdecimal() or int(text) < 1:
            raise ValueError(f"--lanes={text}: must be integers of at least 1, separated by commas")
    print(f"{len(jax.devices())} × {jax.devices()[0].device_kind}, jax {jax.__version__}, {TARGET.name}")
    print(f"{'family':18} {'lanes':>5}  {'plain, us':>9}  {'sweep, us':>9}  {'training':>18}  {'normal run':>18}")
    for name, method in methods.items():
        for lanes in map(int, _LANES.value):
            print(f"{name}, lanes: {lanes}", file=sys.stderr)
            runs = [_plain(method, lanes), _sweep(method, lanes, False), _sweep(method, lanes, True)]
            seconds = [[_seconds_per_step(run) for run in runs] for _ in range(_ROUNDS.value + 1)][1:]
            plain, alone = (1e6 / lanes * statistics.median(one[i] for one in seconds) for i in (0, 1))
            ratios = [_ratio(one[0] / one[i] for one in seconds) for i in (1, 2)]
            print(f"{name:18} {lanes:5}  {plain:9,.0f}  {alone:9,.0f}  {ratios[0]:>18}  {ratios[1]:>18}", flush=True)


def _seconds_per_step(run: Run) -> float:
    times = [time.perf_counter()]
    for num_steps in (SHORT, LONG):
        run(num_steps)
        times.append(time.perf_counter())
    return max(times[2] - 2 * times[1] + times[0], 1e-9) / (LONG - SHORT)


def _ratio(ratios: Iterable[float]) -> str:
    ordered = sorted(ratios)
    return f"{statistics.median(ordered):.1f} x [{ordered[0]:.1f}, {ordered[-1]:.1f}]"


def _sweep(method: jgen1d.Method, lanes: int, evaluates: bool) -> Run:
    def run(num_steps: int) -> None:
        jgen1d.sweep(
            method, [TARGET], [method.Config()], range(lanes), num_steps,
            batch_size=BATCH_SIZE, eval_every=100 if evaluates else num_steps, num_samples=1_000,
        )  # fmt: skip

    return run


def _plain(method: jgen1d.Method, lanes: int) -> Run:
    """All lanes in one program, from the library's step with the networks that one writes first."""
    config = method.bind(method.Config(), TARGET.dim, LONG)
    num_rows = BATCH_SIZE * method.num_minibatches(config)
    shift, scale = jgen1d.Task(method, TARGET, config).units

    def step(state: jgen1d.core.State, key: jax.Array) -> tuple[jgen1d.core.State, jgen1d.core.Info]:
        key_data, key_step = jax.random.split(key)
        batch = (TARGET.sample(key_data, num_rows) - shift) / scale
        return method.step(key_step, state, batch, config)

    def one_lane(key: jax.Array, num_steps: int) -> tuple[jgen1d.core.State, jgen1d.core.Info]:
        key_init, key_steps = jax.random.split(key)
        return jax.lax.scan(step, method.init(key_init, config), jax.random.split(key_steps, num_steps))

    batched = jax.jit(jax.vmap(one_lane, in_axes=(0, None)), static_argnums=1)

    def run(num_steps: int) -> None:
        with mock.patch.object(nets, "mlp", _dense), mock.patch.dict(nets.NETWORKS, {"mlp": _dense}):
            jax.block_until_ready(batched(jax.random.split(jax.random.key(0), lanes), num_steps))

    return run


class _Dense(nn.Module):
    widths: tuple[int, ...]
    activation: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        *hidden, last = self.widths
        for width in hidden:
            x = self.activation(nn.Dense(width, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(last, kernel_init=nn.initializers.he_normal())(x)


def _dense(in_dim: int, out_dim: int, widths: tuple[int, ...], *, activation: str, **options: object) -> nets.Net:
    if any(options.values()):
        raise ValueError(f"plain networks have no {', '.join(options)}")
    module = _Dense((*widths, out_dim), nets.ACTIVATIONS[activation])
    return nets.Net(
        lambda key: module.init(key, jnp.zeros((1, in_dim))),
        lambda params, x, condition=None: module.apply(params, x),
        lambda params, x, condition=None: (module.apply(params, x), {}),
    )


if __name__ == "__main__":
    cli.run(main)
