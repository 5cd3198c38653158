"""What do many workers gain, and what does handing out blocks to them cost?

    python benchmarks/scaling.py                       # a look, 3 minutes
    python benchmarks/scaling.py --parts=dispatch,model --num_blocks=100000

Three parts. `dispatch` sends empty blocks of 16 textbook lanes through a Dask cluster, by the code that sweeps use,
with as many of them under way as for 256 workers, and lets answers come back of no and of a full block's bytes: what a
block costs beside its work, and how many are handed out in a second. `workers` trains the same runs with one and with
several processes: what several gain. `model` puts the constants into the model of BUILD.md, "Scaling on paper", for a
million textbook runs of 5,000 steps on W cores or GPUs.
"""

import contextlib
import functools
import logging
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import distributed
import jax
from absl import flags

import jgen1d
from jgen1d import cli
from jgen1d.engine import executors, remote
from jgen1d.engine.block import Spec
from jgen1d.engine.plan import Group, Lane
from jgen1d.engine.task import Task, prepare
from jgen1d.methods import gan

PARTS = ("dispatch", "workers", "model")
LANES = 16
"""Of a block: eight on each of two devices."""
BYTES_PER_LANE = 18_000
"""Of a textbook lane's state and history."""
NUM_RUNS, NUM_STEPS = 1_000_000, 5_000
MOST = 256
"""Workers, in the model."""

_PARTS = flags.DEFINE_list("parts", list(PARTS), "which parts to run, separated by commas")
_NUM_BLOCKS = flags.DEFINE_integer("num_blocks", 500, "empty blocks to hand out", lower_bound=2)
_NUM_WORKERS = flags.DEFINE_integer("num_workers", None, "processes; default: one per core", lower_bound=1)
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 128, "runs that processes train", lower_bound=1)
_STEPS = flags.DEFINE_integer("num_steps", 5_000, "steps of each", lower_bound=1)


class Dispatch(NamedTuple):
    """What handing out costs.

    Attributes:
      per_block: seconds of processor time that a block takes of the process that hands out and of the scheduler, which
        are one here: with a core of their own they hand out one over it in a second.
      per_byte: such seconds for a byte of an answer.
      latency: seconds from a block's being handed out to its answer, where nothing else is under way.
    """

    per_block: float
    per_byte: float
    latency: float


class Kind(NamedTuple):
    """A kind of worker.

    Attributes:
      lane_steps: per second, of the textbook GAN.
      lane: seconds for a lane's final metrics.
      start: seconds until a worker is there and has compiled.
      width: lanes of a block.
    """

    lane_steps: float
    lane: float
    start: float
    width: int


KINDS = {"CPU core": Kind(8.2e3, 1e-2, 35.0, 8), "H200": Kind(1.73e6, 1e-5, 40.0, 4096)}
"""Of the model of costs in BUILD.md, and of the figures of a GPU there."""


def empty(expected: dict[str, Any], shared: bytes, own: bytes, num_bytes: int) -> tuple[str, Any]:
    """In place of `worker.compute`: no work, and an answer of so many bytes."""
    del expected, shared, own
    return "done", bytes(num_bytes)


def hand_out(workers: executors.Workers, num_blocks: int, num_bytes: int) -> tuple[float, float]:
    """The seconds that so many empty blocks take from the first to the last, and those of this process's processor."""
    config, target = gan.preset("textbook"), jgen1d.TARGETS["bimodal"]
    task = prepare(Task(gan.METHOD, target, config), NUM_STEPS, 256, 10_000)
    spec = Spec(gan.METHOD, NUM_STEPS, 256, 100, 10_000, None, "highest")
    lanes = [Lane((0, 0, seed), target, task.config, seed) for seed in range(LANES * num_blocks)]
    group = Group.single(lanes[0])._replace(width=LANES)
    blocks = [(group, lanes[LANES * i : LANES * (i + 1)]) for i in range(num_blocks)]
    began, num_done = (time.perf_counter(), time.process_time()), 0
    compute = functools.partial(empty, num_bytes=num_bytes)
    for arrived in remote.outcomes(workers, spec, blocks, range(num_blocks), {}, compute):
        num_done += arrived is not None
    assert num_done == num_blocks
    return time.perf_counter() - began[0], time.process_time() - began[1]


def measure_dispatch(num_blocks: int) -> Dispatch:
    """Through a Dask cluster on this machine, whose scheduler is in this process."""
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=16, memory_limit=0, dashboard_address=None, silence_logs=logging.ERROR
    )
    with cluster, distributed.Client(cluster) as client:
        executor = client.get_executor(pure=False)
        workers = executors.Workers(executor, MOST, 2, executors.Remote("cpu", None), 2 * MOST)
        hand_out(workers, 20, 0)
        few, full = min(num_blocks, 500), LANES * BYTES_PER_LANE
        latency = statistics.median(hand_out(workers, 1, 0)[0] for _ in range(10))
        (_, without), (_, within) = hand_out(workers, few, 0), hand_out(workers, few, full)
        took, used = hand_out(workers, num_blocks, 0)
    found = Dispatch(used / num_blocks, max(0.0, within - without) / (few * full), latency)
    print(
        f"{num_blocks:,} empty blocks through Dask: {took:.1f} s, {num_blocks / took:,.0f} blocks/s; "
        f"{1e3 * found.per_block:.2f} ms of processor time each, so at most {1 / found.per_block:,.0f}/s"
    )
    share = 100 * (found.latency + found.per_block) / 10
    print(f"a block alone, there and back: {1e3 * found.latency:.1f} ms; {share:.2f} % of a block of 10 s")
    print(f"an answer of {full / 1e3:.0f} kB takes {1e3 * full * found.per_byte:.2f} ms more")
    return found


def measure_workers(num_workers: int, num_seeds: int, num_steps: int) -> float:
    """How many times as fast `num_workers` processes of a core each are as one, once they have compiled."""
    config = gan.preset("textbook")
    seconds = {}
    for number in dict.fromkeys((1, num_workers)):
        with _cores(number), executors.opened(f"processes:{number}") as executor:
            train = functools.partial(
                jgen1d.sweep, gan.METHOD, "bimodal", config, lanes_per_device=4, executor=executor
            )
            train(seeds=range(8 * 4 * number), num_steps=num_steps, eval_every=num_steps)  # each worker compiles
            done = train(seeds=range(num_seeds), num_steps=num_steps, eval_every=num_steps)
        seconds[number] = done.seconds
        blocks = sum(origin.seconds for origin in done.origins)
        idle = number * done.seconds - blocks
        print(
            f"{number} workers: {num_seeds} runs of {num_steps} steps in {done.seconds:.1f} s; their blocks took "
            f"{blocks:.1f} s, and each waited {idle / number:.2f} s"
        )
    gain = seconds[1] / seconds[num_workers]
    print(f"{num_workers} workers are {gain:.2f} times as fast as one")
    return gain


@contextlib.contextmanager
def _cores(number: int) -> Iterator[None]:
    """Leaves this process, and what it starts, so many cores: one worker would else take them all."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def predict(kind: Kind, num_workers: int, cost: Dispatch) -> tuple[float, str]:
    """Seconds for a million textbook runs, and what they are limited by: the model of BUILD.md.

    blocks  = runs / width
    work    = runs / W × (lane + steps / lane-steps per second) + blocks / W × latency
    hand    = blocks × (per_block + width × bytes × per_byte)
    seconds = start + max(work, hand) + a block's time, for the last one
    """
    num_blocks = -(-NUM_RUNS // kind.width)
    per_lane = kind.lane + NUM_STEPS / kind.lane_steps
    work = (NUM_RUNS * per_lane + num_blocks * cost.latency) / num_workers
    hand = num_blocks * (cost.per_block + kind.width * BYTES_PER_LANE * cost.per_byte)
    limit = "handing out" if hand > work else "work"
    return kind.start + max(work, hand) + kind.width * per_lane, limit


def main() -> None:
    """Measures, and prints."""
    for part in _PARTS.value:
        if part not in PARTS:
            raise ValueError(f"--parts={part}: allowed are {', '.join(PARTS)}")
    cost = Dispatch(2e-3, 2e-9, 1e-2)
    if "dispatch" in _PARTS.value:
        cost = measure_dispatch(_NUM_BLOCKS.value)
    if "workers" in _PARTS.value:
        measure_workers(_NUM_WORKERS.value or jax.device_count(), _NUM_SEEDS.value, _STEPS.value)
    if "model" in _PARTS.value:
        print(f"{NUM_RUNS:,} textbook runs of {NUM_STEPS:,} steps, by the model:")
        for name, kind in KINDS.items():
            for num_workers in (1, 16, MOST):
                seconds, limit = predict(kind, num_workers, cost)
                print(f"{num_workers:>4} × {name}: {seconds / 3600:8.2f} h, limited by {limit}")


if __name__ == "__main__":
    cli.run(main)
