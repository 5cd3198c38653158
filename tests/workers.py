"""What the tests of executors let workers do; importable there."""

import os
import pathlib
import signal
import zlib
from concurrent.futures import Executor
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Method, pytree_dataclass, static, traced


def own_method():
    """A method as a script defines it, with nothing that could be imported, and two configs of different programs."""

    @pytree_dataclass
    class Config:
        rate: float = traced(default=0.1, help="of the average")
        bend: object = static(default=None)

    class State(NamedTuple):
        mean: jax.Array

    def middle(batch):
        return jnp.mean(batch)[None]

    def init(key, config):
        del config
        return State(jax.random.normal(key, (1,)))

    def step(key, state, batch, config):
        del key
        wanted = config.bend(middle(batch)) if config.bend else middle(batch)
        mean = state.mean + config.rate * (wanted - state.mean)
        return State(mean), {"loss": jnp.abs(mean[0])}

    def sample(key, state, num_samples, config):
        del config
        return state.mean[None] + jax.random.normal(key, (num_samples, 1))

    return Method(Config, init, step, sample), [Config(0.1), Config(0.2, bend=lambda x: 2 * x)]


def noted(path, function, *args):
    """Calls the function, and notes in a file when that begins and ends, by a sum of the arguments."""
    name = f"{zlib.crc32(args[-1]):08x}"
    note(path, f"begin {name}")
    result = function(*args)
    note(path, f"end {name}")
    return result


def note(path, line):
    with open(path, "a") as file:  # appended whole, whoever else writes
        file.write(f"{line}\n")


class Noting(Executor):
    """Another executor, whose workers note which blocks they begin and end."""

    def __init__(self, executor, path):
        self.executor, self.path = executor, path
        self._client = getattr(executor, "_client", None)
        self.num_workers = getattr(executor, "num_workers", 2)

    def submit(self, function, /, *args):
        if function.__name__ == "look":
            return self.executor.submit(function, *args)
        return self.executor.submit(noted, self.path, function, *args)

    def notes(self):
        """The sums of what was begun, and of what was ended."""
        lines = [line.split() for line in pathlib.Path(self.path).read_text().splitlines()]
        return [sorted(name for kind, name in lines if kind == wanted) for wanted in ("begin", "end")]


def mortal(method, marker):
    """The method, which ends the first process that is in the middle of a block, as the kernel would."""

    def step(key, state, batch, config):
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return method.step(key, state, batch, config)
        os.kill(os.getpid(), signal.SIGKILL)

    return method._replace(step=step)
