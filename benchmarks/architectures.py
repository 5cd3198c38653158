"""Networks of many sizes: a program for each, one padded program for all, and what `sweep` chooses by itself.

    python benchmarks/architectures.py                                 # a quick look: 27 sizes × 8 seeds × 500 steps
    python benchmarks/architectures.py --num_seeds=32 --num_steps=5000 --strategies=chosen,separate    # a long run

The sizes are widths 8, 16, 32 × depths 1, 2, 3 × latent dimensions 2, 5, 10 of the textbook GAN. Each strategy starts
without compiled programs, so its seconds are those of a fresh process, without the import. `compile` is what XLA took,
`rest` tracing, training and measuring; `model` is what the plan had expected of compilation and training.
"""

import time

import jax
from absl import flags

import jgen1d
from jgen1d import cli
from jgen1d.core import unknown
from jgen1d.engine import program
from jgen1d.methods import gan

STRATEGIES = {"separate": False, "padded": True, "chosen": None}

_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 8, "runs per size", lower_bound=1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 500, "training steps of each run", lower_bound=1)
_STRATEGIES = flags.DEFINE_list("strategies", list(STRATEGIES), "to compare, in this order")
_QUICK = flags.DEFINE_bool("quick", False, "2 sizes, 2 seeds and 10 steps")
flags.FLAGS.set_default("compilation_cache", "")


def main() -> None:
    """Runs the strategies, and prints their seconds."""
    for name in _STRATEGIES.value:
        if name not in STRATEGIES:
            raise ValueError(f"--strategies: none is called {unknown(name, STRATEGIES)}")
    axes = {"width": [8, 16, 32], "depth": [1, 2, 3], "latent_dim": [2, 5, 10]}
    seeds, steps = _NUM_SEEDS.value, _NUM_STEPS.value
    if _QUICK.value:
        axes, seeds, steps = {"width": [4, 8]}, 2, 10
    configs = jgen1d.grid(gan.preset("textbook"), **axes)
    print(
        f"{len(configs)} sizes × {seeds} seeds × {steps:,} steps, {len(jax.devices())} devices, jax {jax.__version__}"
    )
    compiled = _count_compilation()
    for name in _STRATEGIES.value:
        jax.clear_caches()
        program.clear()
        compiled.clear()
        began = time.perf_counter()
        sweep = jgen1d.sweep(
            gan.METHOD, [jgen1d.TARGETS["bimodal"]], configs, range(seeds), steps, padding=STRATEGIES[name]
        )
        total = time.perf_counter() - began
        groups = sweep.plan.groups
        model = f"{sum(g.compile_seconds for g in groups):.0f} + {sum(g.train_seconds for g in groups):.0f} s"
        print(
            f"{name:9}{len(groups):3} programs {total:7.1f} s = compile {sum(compiled):6.1f} + "
            f"rest {total - sum(compiled):6.1f} s; model {model}",
            flush=True,
        )
        if name == "chosen":
            print(sweep.explain())


def _count_compilation() -> list[float]:
    """A list to which JAX appends the seconds of each compilation."""
    seconds: list[float] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            seconds.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return seconds


if __name__ == "__main__":
    cli.run(main)
