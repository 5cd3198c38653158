"""How fast an accelerator trains: lanes, families, precision, where the time goes, against a PyTorch loop on it.

    PYTHONPATH=. python3 benchmarks/gpu.py --out=DIR                   # as many parts as fit into 9 minutes
    PYTHONPATH=. python3 benchmarks/gpu.py --out=DIR --parts=sweep,profile
    PYTHONPATH=. python3 benchmarks/gpu.py --out=DIR --small           # seconds a part, on a CPU: does it work at all?

Each part is a process of its own, and DIR/results.json is written when it ends, so a run that is cut off still counts;
DIR/log.txt holds what the parts said. PyTorch is optional: without it, its part reports so.

- `lane_steps_per_s`: the marginal rate (`yardstick.marginal_rate`) of three rounds, after a first call that compiles.
- `flops_per_s`: useful FLOP/s (`yardstick.flops_per_step`), to compare with those of `peak`.
- `cold_s`: the first call, compilation included.
"""

import collections
import functools
import glob
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from absl import app, flags

_OUT = flags.DEFINE_string("out", None, "the folder to write to", required=True)
_PARTS = flags.DEFINE_list("parts", [], "which parts to run; default: all")
_SMALL = flags.DEFINE_boolean("small", False, "a few steps of a few lanes")
_SECONDS = flags.DEFINE_integer("seconds", 540, "for all parts together")
_PART = flags.DEFINE_string("part", None, "run this part in this process")
SCRIPT = "experiments/convergence.py"
FAMILIES = ("vae", "flow_matching", "diffusion", "normalizing_flow", "energy", "autoregressive")


def _lengths() -> Any:
    return (50, 150) if _SMALL.value else (1_000, 3_000)


def _rate(method: Any, config: Any, lanes: int, lengths: tuple[int, int]) -> dict[str, Any]:
    """The cold time and the marginal rate of a sweep."""
    import jax

    import jgen1d
    from benchmarks import yardstick

    def seconds(num_steps: int) -> float:
        start = time.perf_counter()
        target = jgen1d.TARGETS["bimodal"]
        jgen1d.sweep(method, [target], [config], range(lanes), num_steps, eval_every=num_steps // 10)
        return time.perf_counter() - start

    short, long = lengths
    cold = seconds(short)
    seconds(long)
    rounds = [(seconds(short), seconds(long)) for _ in range(3)]
    rate = yardstick.marginal_rate((long - short) * lanes, rounds)
    memory = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {"lanes": lanes, "cold_s": cold, "short_and_long_s": rounds, "lane_steps_per_s": rate} | (
        {"peak_bytes": memory} if memory else {}
    )


def environment() -> Any:
    """What this ran on."""
    import jax

    names = [str(device.device_kind) for device in jax.devices()]
    versions = {"jax": jax.__version__, "python": sys.version.split()[0], "date": time.strftime("%Y-%m-%d")}
    return versions | {"backend": jax.default_backend(), "devices": names}


def precision() -> Any:
    """Largest relative error of a float32 product against float64, by precision: TF32 shows as 1e-4."""
    import jax.numpy as jnp
    import numpy as np

    a, b = (np.random.default_rng(seed).normal(size=(512, 512)) for seed in (0, 1))
    exact, scale = a @ b, np.abs(a) @ np.abs(b)

    def error(name: str) -> float:
        got = jnp.matmul(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32), precision=name)
        return float(np.max(np.abs(np.asarray(got, np.float64) - exact) / scale))

    return {name: error(name) for name in ("default", "high", "highest")}


def peak() -> Any:
    """FLOP/s of f32 products."""
    import jax

    size, repeats = (512, 2) if _SMALL.value else (8192, 20)
    a = jax.random.normal(jax.random.key(0), (size, size))
    multiply = jax.jit(lambda a, b: jax.numpy.matmul(a, b, precision="highest"))
    jax.block_until_ready(multiply(a, a))
    start = time.perf_counter()
    for _ in range(repeats):
        b = multiply(a, a)
    jax.block_until_ready(b)
    return {"flops_per_s": 2 * size**3 * repeats / (time.perf_counter() - start)}


def torch_loop() -> Any:
    """The posts' recipe as a PyTorch user writes it, one seed: steps per second on the GPU and on one CPU thread."""
    try:
        import torch
    except ImportError:
        return {"error": "PyTorch is not installed"}
    from torch import nn

    def mlp(inputs: int, width: int) -> Any:
        return nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )

    def speed(device: str, num_steps: int) -> float:
        g, d = mlp(5, 15).to(device), mlp(1, 25).to(device)
        of_g, of_d = (torch.optim.Adam(net.parameters(), 1e-3) for net in (g, d))
        bce, one, zero = nn.BCEWithLogitsLoss(), torch.ones(256, 1, device=device), torch.zeros(256, 1, device=device)
        for step in range(num_steps + 50):
            if step == 50:
                start = time.perf_counter()
            x, fake = torch.randn(256, 1, device=device) * 0.5 + 4, g(torch.randn(256, 5, device=device))
            of_d.zero_grad()
            (bce(d(x), one) + bce(d(fake.detach()), zero)).backward()
            of_d.step()
            of_g.zero_grad()
            loss = bce(d(fake), one)
            loss.backward()
            of_g.step()
        loss.item()
        return num_steps / (time.perf_counter() - start)

    torch.set_num_threads(1)
    devices = (["cuda"] if torch.cuda.is_available() else []) + ["cpu"]
    return {device: speed(device, 50 if _SMALL.value else 2_000) for device in devices}


def _gan(preset: str, lanes: int) -> dict[str, Any]:
    from benchmarks import yardstick
    from jgen1d.methods import gan

    config = gan.preset(preset)
    row = _rate(gan.METHOD, config, lanes, _lengths())
    rate = row["lane_steps_per_s"]
    return row | {"flops_per_s": None if rate is None else rate * yardstick.flops_per_step(config, 256)}


def sweep() -> Any:
    """The textbook GAN at several numbers of lanes."""
    return [_gan("textbook", lanes) for lanes in ([4, 8] if _SMALL.value else [64, 1024, 4096])]


def regularized() -> Any:
    """The default GAN."""
    return _gan("regularized", 4 if _SMALL.value else 1024)


def plain_vmap() -> Any:
    """The textbook GAN as a JAX user writes it: jit(vmap(scan of step)), without history and metrics."""
    import jax
    import jax.numpy as jnp

    import jgen1d
    from jgen1d.methods import gan

    config, target, num_steps = gan.preset("textbook"), jgen1d.TARGETS["bimodal"], _lengths()[0]

    def train(key: Any) -> Any:
        key_init, key_loop = jax.random.split(key)

        def step(state: Any, i: Any) -> Any:
            key_data, key_step = jax.random.split(jax.random.fold_in(key_loop, i))
            return gan.step(key_step, state, target.sample(key_data, 256), config)

        return jax.lax.scan(step, gan.init(key_init, config), jnp.arange(num_steps))[1]["loss_g"][-1]

    program = jax.jit(jax.vmap(train))
    rows: list[dict[str, Any]] = []
    for lanes in [8] if _SMALL.value else [1024, 4096]:
        keys = jax.random.split(jax.random.key(0), lanes)
        seconds: list[float] = []
        for _ in range(2):
            start = time.perf_counter()
            jax.block_until_ready(program(keys))
            seconds.append(time.perf_counter() - start)
        rows.append({"lanes": lanes, "cold_s": seconds[0], "lane_steps_per_s": num_steps * lanes / seconds[1]})
    return rows


def family(name: str) -> dict[str, Any]:
    """One family's default."""
    import jgen1d

    method = jgen1d.METHODS[name]
    return _rate(method, method.Config(), 4 if _SMALL.value else 1024, (20, 60) if _SMALL.value else (1_000, 4_000))


def profile() -> Any:
    """Where the time of the textbook GAN's steps goes: kernels by time, how many, and the time that none runs."""
    import jax

    import jgen1d
    from jgen1d.methods import gan

    if jax.default_backend() == "cpu":
        return {"error": "the trace of a CPU does not name kernels"}
    found = {}
    for lanes in (64, 1024):
        num_steps = 256

        def train(lanes: int = lanes, num_steps: int = num_steps) -> None:
            config, target = gan.preset("textbook"), jgen1d.TARGETS["bimodal"]
            jgen1d.sweep(gan.METHOD, [target], [config], range(lanes), num_steps, eval_every=num_steps, num_samples=100)

        train()
        folder = os.path.join(_OUT.value, f"trace_{lanes}")
        with jax.profiler.trace(folder):
            train()
        found[lanes] = _kernels(folder, num_steps)
    return found


def _kernels(folder: str, num_steps: int) -> dict[str, Any]:
    """Sums up a trace: of each kernel the calls and the microseconds, per step."""
    (path,) = glob.glob(f"{folder}/**/*.trace.json.gz", recursive=True)
    with gzip.open(path) as file:
        events = json.load(file)["traceEvents"]
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e.get("name") == "thread_name"}
    streams = [e for e in events if e.get("ph") == "X" and "Stream" in threads.get((e["pid"], e.get("tid")), "")]
    counts: collections.Counter[str] = collections.Counter()
    seconds: collections.Counter[str] = collections.Counter()
    for event in streams:
        counts[event["name"]] += 1
        seconds[event["name"]] += event["dur"]
    begin, end = min(e["ts"] for e in streams), max(e["ts"] + e["dur"] for e in streams)
    shutil.rmtree(folder)
    return {
        "kernels_per_step": sum(counts.values()) / num_steps,
        "busy_us_per_step": sum(seconds.values()) / num_steps,
        "span_us_per_step": (end - begin) / num_steps,
        "most": [
            {"kernel": name, "per_step": counts[name] / num_steps, "us_per_step": us / num_steps}
            for name, us in seconds.most_common(25)
        ],
    }


def convergence() -> Any:
    """experiments/convergence.py with 1,024 seeds of all targets and both presets."""
    workdir = os.path.join(_OUT.value, "convergence")
    options = ["--num_seeds=4", "--num_steps=100"] if _SMALL.value else ["--num_seeds=1024"]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, SCRIPT, *options, f"--workdir={workdir}", "--overwrite", "--format=json"],
        check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    shutil.rmtree(workdir)
    return {"command": [SCRIPT, *options], "wall_s": seconds} | json.loads(done.stdout)


PARTS: dict[str, tuple[Callable[[], Any], int]] = {  # name: (function, seconds it may take)
    "environment": (environment, 60),
    "precision": (precision, 60),
    "peak": (peak, 60),
    "torch_loop": (torch_loop, 60),
    "sweep": (sweep, 200),
    "plain_vmap": (plain_vmap, 60),
    "regularized": (regularized, 90),
    "convergence": (convergence, 200),
    "profile": (profile, 90),
    **{name: (functools.partial(family, name), 90) for name in FAMILIES},
}


def main(_: Any) -> None:
    """Runs the parts one after the other, or one in this process."""
    sys.path.insert(0, os.getcwd())
    out = _OUT.value
    if _PART.value:
        result = json.dumps(PARTS[_PART.value][0]())
        with open(os.path.join(out, f"{_PART.value}.json"), "w") as file:
            file.write(result)
        return
    unknown = [name for name in _PARTS.value if name not in PARTS]
    if unknown:
        sys.exit(f"--parts={','.join(unknown)}: allowed are {', '.join(PARTS)}")
    os.makedirs(out, exist_ok=True)
    results: dict[str, Any] = {}
    deadline = time.time() + _SECONDS.value
    for name in _PARTS.value or PARTS:
        left, start, end = min(PARTS[name][1], deadline - time.time()), time.time(), "no time left"
        if left > 10:
            command = [sys.executable, __file__, f"--out={out}", f"--part={name}", f"--small={_SMALL.value}"]
            with open(os.path.join(out, "log.txt"), "a") as log:
                print("=====", name, file=log, flush=True)
                try:
                    code = subprocess.run(command, stdout=log, stderr=log, timeout=left, check=False).returncode
                    end = "done" if code == 0 else f"failed with exit code {code}; see log.txt"
                except subprocess.TimeoutExpired:
                    end = f"cut off after {left:.0f} s"
        results[name] = {"end": end, "seconds": round(time.time() - start, 1)}
        if os.path.exists(path := os.path.join(out, f"{name}.json")):
            with open(path) as file:
                results[name]["result"] = json.load(file)
            os.remove(path)
        with open(os.path.join(out, "results.json"), "w") as file:
            json.dump(results, file, indent=1)
        print(f"{name}: {end} ({time.time() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    app.run(main)
