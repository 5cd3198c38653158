"""How many training steps a second: a PyTorch loop, a PyTorch ensemble, plain `jit(vmap)`, and `sweep`, in one run.

    python benchmarks/throughput.py                                    # everything that 20 to 25 minutes allow
    python benchmarks/throughput.py --sizes=textbook --lanes=64        # one cell
    python benchmarks/throughput.py --lanes=64,4096 --contenders=plain,sweep --rounds=9

The contenders (contenders.py) train the same GANs on the same target. They take turns in one process, `--rounds` times,
so that a busy machine slows all of them: read the ratios, given as median [least, most] over the rounds.

A turn is a short and a long run. Their difference is the marginal rate, "training": data, steps, and for `sweep` also
the history, one evaluation per 100 steps, and 2 samples per step for the final metrics, as in a normal run of 5,000
steps with 50 points and 10,000 samples (the others only train). "5,000-step run" is the rate of such a run as a whole:
what the short run took, starting, scoring and Python included, and the marginal rate for the rest; without compilation.
Every length compiles its own program: a first turn, which does not count, compiles both.

- The loop's lanes follow one another: it trains one, once per round and size, and that tells the rate of any number.
- PyTorch has one thread or one per core, whichever is faster for the contender and its lanes.
- "us": microseconds per lane and step.
- "of peak": useful FLOP/s (`yardstick.flops_per_step`: matrix products of the unpadded networks, nothing else) over the
  FLOP/s of f32 products of 2048 × 2048 matrices, one on each device, in the same rounds.
- "of 64": the rate over the same contender's at 64 lanes, round by round.
- "compile": the first call of the short run less the median of the later ones; about 0 where the programs of fewer
  lanes serve, as those of `sweep` do from one full block on.
- "memory": by how much the most that was in use in a turn exceeds what was before it.
- Long turns (over 3 times `--seconds`) take part in the first 3 rounds only. What would take over `--max_seconds` a
  turn has fewer steps: `sweep` then has more evaluations per step than a normal run, is charged for them, and the table
  says so. What does not fit even with 14 steps, or not into memory, is not run, and the table says so.

The workdir receives `throughput.csv` (a row per size, lanes and contender, with the ranges), `throughput.png` ("N runs
in the time of one") and `config.json`.
"""

import statistics
import sys
from collections.abc import Iterable
from typing import Any

import jax
from absl import flags

from benchmarks import contenders, report, yardstick
from benchmarks.contenders import BATCH_SIZE, CONTENDERS
from benchmarks.turns import FEW_ROUNDS, Cell, choose
from jgen1d import cli
from jgen1d.core import replace, unknown
from jgen1d.methods import gan

TEXTBOOK = gan.preset("textbook")
SIZES = {
    "textbook": TEXTBOOK,
    "64-wide": replace(TEXTBOOK, widths_g=(64, 64), widths_d=(64, 64)),
    "4x400": replace(TEXTBOOK, widths_g=(400,) * 4, widths_d=(400,) * 4),
}

_LANES = flags.DEFINE_list("lanes", ["1", "4", "16", "64", "256", "1024", "4096"], "numbers of runs, side by side")
_SIZES = flags.DEFINE_list("sizes", list(SIZES), "of the networks")
_CONTENDERS = flags.DEFINE_list("contenders", list(CONTENDERS), "who takes part")
_NUM_STEPS = flags.DEFINE_integer(
    "num_steps", None, "most training steps of a turn's long run; default: as many as --seconds allow", lower_bound=12
)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds that the contenders take turns in", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 1.0, "how long a turn should take", lower_bound=0.0)
_MAX_SECONDS = flags.DEFINE_float(
    "max_seconds", 20.0, "how long a turn may take, twice that with a normal run's evaluations", lower_bound=0.0
)
flags.DEFINE_string("workdir", None, "where to write; default: runs/throughput-TIME; empty: nowhere")
flags.DEFINE_bool("overwrite", False, "write into a workdir that is not empty")
_QUICK = flags.DEFINE_bool("quick", False, "2 rounds of 12 steps, 1 and 2 lanes, textbook; where these are not given")
flags.FLAGS.set_default("compilation_cache", "")


def main() -> None:
    quick = _QUICK.value
    lanes = _counts(["1", "2"] if quick and not _LANES.present else _LANES.value)
    sizes = _known("sizes", ["textbook"] if quick and not _SIZES.present else _SIZES.value, SIZES)
    names = _known("contenders", _CONTENDERS.value, CONTENDERS)
    workdir = cli.choose_workdir("throughput")
    versions = [f"jax {jax.__version__}"]
    if any(CONTENDERS[name].is_torch for name in names):
        try:
            torch = contenders.import_torch()
            versions.append(f"PyTorch {torch.__version__} on {torch.get_default_device()}")
        except ImportError:
            print("PyTorch is not installed and left out: pip install 'jgen1d[bench]'", file=sys.stderr)
            names = [name for name in names if not CONTENDERS[name].is_torch]
    if not names:
        raise ValueError("--contenders: none is left")
    print(", ".join([f"{len(jax.devices())} × {jax.devices()[0].device_kind}", *versions]))
    rows = []
    for size in sizes:
        rows += _measure(size, SIZES[size], lanes, names)
    if workdir:
        report.write(workdir, rows)
        print(f"written to {workdir}", file=sys.stderr)


def _counts(given: list[str]) -> list[int]:
    for text in given or [""]:
        if not text.strip().isdecimal() or int(text) < 1:
            raise ValueError(f"--lanes={text}: must be integers of at least 1, separated by commas")
    return sorted({int(text) for text in given})


def _known(flag: str, given: list[str], names: Iterable[str]) -> list[str]:
    for name in given:
        if name not in names:
            raise ValueError(f"--{flag}: none is called {unknown(name, names)}")
    if not given:
        raise ValueError(f"--{flag}: name at least one")
    return [name for name in names if name in given]


def _measure(size: str, config: gan.Config, lanes: list[int], names: list[str]) -> list[dict[str, Any]]:
    """Lets the contenders take turns with networks of one size, prints the table, and returns its rows."""
    quick = _QUICK.value
    rounds = 2 if quick and not _ROUNDS.present else _ROUNDS.value
    num_steps = 12 if quick and not _NUM_STEPS.present else _NUM_STEPS.value
    order = 256 if quick else 2048
    flops = yardstick.flops_per_step(config, BATCH_SIZE)
    peak = yardstick.gemm_peak(order)
    cells: dict[tuple[str, int], Cell] = {}
    for name in names:
        contender, cell = CONTENDERS[name], None
        train = contender.make(config)
        for count in [1] if contender.one_by_one else lanes:
            if cell:  # time is taken to grow with the lanes
                fixed, per_step = (count / cell.lanes * seconds for seconds in (cell.fixed, cell.per_step))
            else:  # a third of the peak
                fixed, per_step = 0.0, contender.overhead + count * 3 * flops / peak
            cell = Cell(contender, train, count, fixed, per_step)
            cell.lengths, cell.note = choose(
                cell, config, rounds=rounds, seconds=_SECONDS.value, max_seconds=_MAX_SECONDS.value, num_steps=num_steps
            )
            if not cell.note:
                print(f"{size}: first turn of {contender.title}, lanes: {count:,}", file=sys.stderr)
                cell.warm_up()
            cells[name, count] = cell
    running = [cells[key] for count in sorted({1, *lanes}) for key in cells if key[1] == count and not cells[key].note]
    peaks = []
    for i in range(rounds):
        print(f"{size}: round {i + 1} of {rounds}", file=sys.stderr)
        peaks.append(yardstick.gemm_peak(order))
        for cell in running:
            if i < FEW_ROUNDS or cell.expected() <= 3 * _SECONDS.value:
                cell.turns.append(cell.turn())
    rows = report.rows(size, cells, lanes, names, flops, statistics.median(peaks))
    low, middle, high = (f"{f(peaks) / 1e9:,.0f}" for f in (min, statistics.median, max))
    print(f"\n{size}: {yardstick.describe(config)}; {flops / 1e6:,.2f} MFLOP a step")
    print(f"f32 GEMM peak {middle} GFLOP/s [{low}, {high}]\n\n{report.table(rows)}", flush=True)
    if size == "textbook" and (aims := report.aims(rows)):
        print(aims, flush=True)
    return rows


if __name__ == "__main__":
    cli.run(main)
