"""Where does the time of a training step go? The operations of XLA's program, the longest first.

    python benchmarks/hotspots.py                                   # robust and textbook GAN, diffusion, vae
    python benchmarks/hotspots.py --methods=gan --presets=planar --lanes=8 --top=20

JAX's profiler watches 200 steps of --lanes runs on one CPU device, compiled as `sweep` compiles them. Of each
operation the table has the microseconds per lane-step, its share of all, its shape, and the costly functions that it
computes: a fusion is one loop over all that it holds. Matrix products are summed up first.
"""

import collections
import re
import tempfile
import time
from pathlib import Path

import jax
from absl import flags

import jgen1d
from jgen1d import cli
from jgen1d.core import Config, Method
from jgen1d.engine import run
from jgen1d.engine.program import COMPILER_OPTIONS
from jgen1d.engine.task import Task, prepare

BATCH_SIZE, STEPS = 256, 200
TARGET = jgen1d.TARGETS["mixture"]
COSTLY = ("sine", "cosine", "tanh", "exponential", "log", "power", "divide", "sqrt")

_METHODS = flags.DEFINE_list("methods", ["gan", "diffusion", "vae"], "families, separated by commas")
_PRESETS = flags.DEFINE_list("presets", ["robust", "textbook"], "of the GAN, separated by commas")
_LANES = flags.DEFINE_integer("lanes", 8, "runs side by side", lower_bound=1)
_TOP = flags.DEFINE_integer("top", 8, "operations to print", lower_bound=1)


def main() -> None:
    for name in _METHODS.value:
        method = cli.method(name, "methods")
        for preset in _PRESETS.value if name == "gan" else ["default"]:
            _show(f"{name}, {preset}", method, cli.preset(method, preset, "presets"))


def _show(label: str, method: Method, config: Config) -> None:
    program, arguments = _program(method, config)
    jax.block_until_ready(program(*arguments))
    began = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(program(*arguments))
        (path,) = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
    nanoseconds: collections.Counter[str] = collections.Counter()
    for plane in data.planes:
        for line in plane.lines:
            for event in line.events if "XLA" in line.name else ():
                nanoseconds[event.name] += event.duration_ns
    text = program.as_text() or ""
    kept = {name: spent for name, spent in nanoseconds.items() if re.search(rf"%{re.escape(name)} = ", text)}
    kept.pop(max((name for name in kept if name.startswith("while")), key=kept.__getitem__))  # the loop of all steps
    unit, total = 1e3 * STEPS * _LANES.value, sum(kept.values())
    print(f"\n{label}: {1e6 * seconds / STEPS / _LANES.value:.0f} us per lane-step, {_LANES.value} lanes")
    products = sum(spent for name, spent in kept.items() if name.startswith(("dot", "ynn")))
    print(f"{'matrix products':32} {products / unit:7.1f} us  {100 * products / total:3.0f} %")
    rest = sorted((name for name in kept if not name.startswith(("dot", "ynn"))), key=lambda name: -kept[name])
    for name in rest[: _TOP.value]:
        shape, inside = _describe(name, text)
        print(f"{name:32} {kept[name] / unit:7.1f} us  {100 * kept[name] / total:3.0f} %  {shape:22} {inside}")


def _program(method: Method, config: Config) -> tuple[jax.stages.Compiled, tuple]:
    """What takes the steps, compiled as in a sweep, and its arguments."""
    task = prepare(Task(method, TARGET, config), STEPS, BATCH_SIZE, 1_000).in_training_units
    runs = jax.vmap(lambda key: run.start(task, key))(jax.random.split(jax.random.key(0), _LANES.value))
    rows = task.num_rows(BATCH_SIZE)
    batches = jax.vmap(
        lambda r: run.draw(
            TARGET, r.key_data, r.step, STEPS, num_rows=rows, standardize=task.is_standardized, labelled=False
        )
    )(runs)
    advance = jax.jit(jax.vmap(lambda r, b: run.advance(task, r, b, STEPS)), compiler_options=COMPILER_OPTIONS["cpu"])
    return advance.lower(runs, batches).compile(), (runs, batches)


def _describe(name: str, text: str) -> tuple[str, str]:
    """An operation's shape, and how often each costly function stands in its body."""
    line = next(line for line in text.splitlines() if f"%{name} = " in line)
    shape = re.search(r"= (\w+\[[\d,]*\])", line)
    calls = re.search(r"calls=(%[\w.]+)", line)
    body = text.partition(f"\n{calls.group(1)} (")[2].partition("\n}")[0] if calls else ""
    counts = {function: len(re.findall(rf" {function}[-\w]*\(", body)) for function in COSTLY}
    inside = [f"{count} {function}" for function, count in counts.items() if count]
    if "erf_inv" in body:
        inside.append("normal draws")
    return shape.group(1) if shape else "", ", ".join(inside)


if __name__ == "__main__":
    cli.run(main)
