"""The programs of one experiment, compiled in the background before anyone asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import jax

from jgen1d.playground import epochs, first, look, settings
from jgen1d.playground.settings import STEPS_PER_EPOCH, Experiment
from jgen1d.playground.training import NUM_PROGRAMS, Training


class Warmup:
    """Compiles the programs of the page's first settings in a thread of its own.

    A page that asks for the same programs waits for them here: two threads would compile each of them twice.
    """

    def __init__(self) -> None:
        self._asked = settings.resolve(settings.first(), {})
        self._left = set(range(1, NUM_PROGRAMS + 1))
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="trainer", daemon=True)  # and joined like the trainers
        self._thread.start()

    def _work(self) -> None:
        """Two cores compile at once, and first what the page waits for: what looks and trains the kept first run."""
        asked, count = self._asked, look.num_samples(self._asked.method, self._asked.truth)
        try:
            other = threading.Thread(target=self._train, args=(count,), name="trainer", daemon=True)
            other.start()
            Training(asked).look()
            self._done(3)
            other.join()
            for number, make in enumerate(first.parts(asked, count).values(), 1):
                make()
                self._done(number)
        finally:
            self._done(*self._left)

    def _train(self, count: int) -> None:
        asked = self._asked
        runs = epochs.placed(first.kept(asked, count, "runs"))
        epochs.advance(asked.method, runs, asked.data, asked.config, 0, STEPS_PER_EPOCH, asked.batch_size, "both")
        self._done(4)

    def is_at(self, asked: Experiment) -> bool:
        """Whether it has still to compile what looks at just these settings."""
        return asked.settings == self._asked.settings and 3 in self._left

    def _done(self, *numbers: int) -> None:
        with self._news:
            self._left.difference_update(numbers)
            self._news.notify_all()

    def wait(self, asked: Experiment, compiling: Callable[[int], None], closed: threading.Event, number: int) -> None:
        """Returns when a program is there that the experiment needs, or at once if its programs are others.

        Args:
          asked: the experiment.
          compiling: called with the number of the program that is waited for.
          closed: ends the waiting.
          number: of the program, from 1 to `NUM_PROGRAMS`.
        """
        if _programs(asked) != _programs(self._asked):
            return
        with self._news:
            while number in self._left and not closed.is_set():
                compiling(number)
                self._news.wait(0.2)


def _programs(asked: Experiment) -> tuple:
    """What is equal for experiments that share their programs."""
    return asked.method, jax.tree.structure((asked.config, asked.truth, asked.data)), asked.batch_size, asked.num_lanes
