"""The scripts as processes of their own, as a user starts them."""

import os
import subprocess
import sys
import time
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
SMALL_RUN = (
    "--targets=uniform", "--preset=textbook", f"--num_seeds={3 * (os.cpu_count() or 1)}", "--num_steps=100",
    "--widths_g=6", "--widths_d=6", "--lanes_per_device=1",
)  # fmt: skip
"""Three blocks with fifty points each, on any machine, and of the same width where two processes share them."""


def start(*flags, script="convergence.py", **options):
    """A process that runs the script."""
    command = [sys.executable, EXPERIMENTS / script, *map(str, flags)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(process, timeout=300):
    """What a process printed, and its exit status, once it has ended; after the timeout it is killed."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run(*flags, **options):
    """The script from start to end."""
    return finish(start(*flags, **options))


def wait(processes, reached, timeout=300):
    """Until `reached()`, which has to be before one of the processes ends."""
    end = time.monotonic() + timeout
    while not reached():
        if any(process.poll() is not None for process in processes) or time.monotonic() > end:
            for process in processes:
                process.kill()
            raise AssertionError([finish(process) for process in processes])
        time.sleep(0.005)


def results(workdir):
    """The files that are a function of the flags alone, to be compared byte for byte."""
    return {name: (workdir / name).read_bytes() for name in ("runs.csv", "curves.npz")}
