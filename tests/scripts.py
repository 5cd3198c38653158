"""The scripts as processes of their own, as a user starts them."""

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"
SMALL_RUN = (
    "--targets=uniform", "--preset=textbook", f"--num_seeds={3 * (os.cpu_count() or 1)}", "--num_steps=100",
    "--widths_g=6", "--widths_d=6", "--lanes_per_device=1",
)  # fmt: skip
"""Three blocks with fifty points each, on any machine, and of the same width where two processes share them."""
READ_AT_IMPORT = ("JAX_", "XLA_", "MPL", "PYTHON", "OPENBLAS_", "OMP_")
"""What variables start with that Python and its modules read once: where they differ, a fork would not see them."""


def start(*flags, script="convergence.py", afresh=False, cwd=None):
    """A process that runs the script: a fork of a warm one, or a new Python where it is started `afresh`."""
    args = [str(EXPERIMENTS / script), *map(str, flags)]
    env = environment()
    if not afresh and read_at_import(env) == read_at_import(_server().env):
        return Forked(args, env, cwd)
    command = [sys.executable, *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=cwd)


def environment():
    """That of the user: without what keeps jaxlib silent in the tests."""
    return {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def read_at_import(env):
    return {name: value for name, value in env.items() if name.startswith(READ_AT_IMPORT)}


class Server(NamedTuple):
    """The process of `tests.forks`: where requests go, and the environment that it was started in."""

    control: socket.socket
    env: dict[str, str]


@functools.cache
def _server():
    control, theirs = socket.socketpair()
    env = environment()
    command = [sys.executable, "-m", "tests.forks", str(theirs.fileno())]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd=ROOT, env=env)
    theirs.close()
    return Server(control, env)


class Forked:
    """A script in a fork of the warm process, with what `subprocess.Popen` has for it."""

    def __init__(self, args, env, cwd):
        self.args, self.returncode = args, None
        self.out, self.err = (tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2))  # noqa: SIM115 (they live as long as this)
        self.reply, theirs = socket.socketpair()
        with theirs, tempfile.TemporaryFile("w+") as request:
            json.dump({"args": args, "env": env, "cwd": str(cwd or Path.cwd())}, request)
            request.seek(0)
            files = [file.fileno() for file in (request, self.out, self.err, theirs)]
            socket.send_fds(_server().control, [b"."], files)
        self.lines = self.reply.makefile()
        self.pid = int(self.lines.readline())

    def wait(self, timeout=None):
        if self.returncode is None:
            if not select.select([self.reply], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = int(self.lines.readline())
        return self.returncode

    def poll(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def communicate(self, timeout=None):
        """All of stdout and stderr."""
        self.wait(timeout)
        for file in (self.out, self.err):
            file.seek(0)
        return self.out.read(), self.err.read()

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


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
