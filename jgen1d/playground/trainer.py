"""The thread that trains for one page: it takes commands between chunks of steps, and shows the newest frame."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import jax

from jgen1d.core import unknown
from jgen1d.evaluation.verdict import DEFAULT_THRESHOLDS
from jgen1d.playground import first, look, pace, settings, signals, takeaway
from jgen1d.playground.frames import Frame
from jgen1d.playground.settings import STEPS_PER_EPOCH, Experiment, FieldError, Upload
from jgen1d.playground.training import NUM_PROGRAMS, Training, both
from jgen1d.playground.warmup import Warmup

MAX_COMMANDS = 64


class Trainer:
    """Trains what one page asks for, in a thread of its own.

    Args:
      send: called in that thread with each message to the page, a dict.
      changed: called in that thread when there is a newer frame in `frame`.
      warmup: compiles the programs of the page's first settings, if anything does.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], None], changed: Callable[[], None], warmup: Warmup | None = None
    ):
        self.frame: Frame | None = None
        self._send, self._changed, self._warmup = send, changed, warmup
        self._commands: queue.Queue[dict[str, Any]] = queue.Queue(MAX_COMMANDS)
        self._closed = threading.Event()
        self._uploads: dict[str, Upload] = {}
        self._training: Training | None = None
        self._rival: Training | None = None
        self._running = False
        self._speed = pace.DEFAULT_SPEED
        self._due = self._began = 0.0
        self._left = 0
        self._generation = 0
        self._status = ("", "")
        self._thread = threading.Thread(target=self._work, name="trainer", daemon=True)
        self._thread.start()

    def ask(self, command: dict[str, Any]) -> bool:
        """Hands a command over. Returns whether there was room."""
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Ends the thread after the chunk that it is at."""
        self._closed.set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                self._turn()
            except FieldError as error:
                self._send({"type": "error", "field": error.field, "message": str(error)})
            except Exception as error:  # a page must learn of what went wrong, and may go on with other settings
                self._running = False
                self._send(
                    {"type": "error", "field": "", "message": f"{type(error).__name__}: {error}".splitlines()[0]}
                )
                self._tell("idle", "stopped by an error")
        self._training = self._rival = self.frame = None

    def _turn(self) -> None:
        try:
            wait = self._due - time.monotonic() if self._running else 0.1
            command = self._commands.get(timeout=max(0.0, wait))
        except queue.Empty:
            if self._running:
                self._go_on()
            return
        handle = getattr(self, f"_do_{command.get('type')}", None)
        if handle is None:
            raise FieldError("", "no such command")
        if self._training is None and command["type"] not in ("configure", "upload", "speed"):
            raise FieldError("", "configure first")
        self._status = ("", "")  # every command is answered with how things are
        handle(command)
        if self._training is not None:
            self._rest()

    # --- commands ---------------------------------------------------------------------------------------------------

    def _do_configure(self, command: dict[str, Any]) -> None:
        new, training = settings.resolve(command.get("settings"), self._uploads), self._training
        if training is None or _without_traced(new) != _without_traced(training.asked):
            self._reset(new)
            return
        if new.settings != training.asked.settings and training.step:
            training.changes.append(training.step)
        training.asked = new
        if self._rival is not None:
            assert new.rival is not None
            self._rival.asked = new.rival
        self._configured(reset=False)

    def _do_upload(self, command: dict[str, Any]) -> None:
        name, upload = settings.read_upload(command)
        self._uploads = dict([*self._uploads.items(), (name, upload)][-3:])  # the memory is bounded
        self._send({
            "type": "uploaded", "id": name, "name": upload.target.name, "count": len(upload.numbers),
            "file": upload.file, "column": upload.column, "values": upload.values,
        })  # fmt: skip

    def _do_start(self, _: dict[str, Any]) -> None:
        self._running = not self._has_ended
        self._due, self._left = 0.0, 0

    def _do_stop(self, _: dict[str, Any]) -> None:
        self._running = False
        self._look()

    def _do_reset(self, _: dict[str, Any]) -> None:
        self._running = False
        self._reset(self._active.asked)

    def _do_step(self, command: dict[str, Any]) -> None:
        training, player = self._active, command.get("players", "both")
        if player not in ("both", "d", "g") or (player != "both" and training.asked.method.players is None):
            raise FieldError("", "only an adversarial method has players d and g")
        self._running = False
        if not self._has_ended:
            if player != "both":
                training.changes.append(training.step)
            self._train(1, STEPS_PER_EPOCH, player, always_look=True)

    def _do_speed(self, command: dict[str, Any]) -> None:
        if (speed := command.get("speed")) not in pace.SPEEDS:
            raise FieldError("", f"no speed {unknown(str(speed)[:40], pace.SPEEDS)}")
        self._speed, self._due, self._left = speed, 0.0, 0

    def _do_lane(self, command: dict[str, Any]) -> None:
        training, lane = self._active, command.get("lane")
        if type(lane) is not int or not 0 <= lane < training.asked.num_lanes:
            raise FieldError("", f"lane must be an integer from 0 to {training.asked.num_lanes - 1}")
        for one in self._all:
            one.lane = lane
        self._generation += 1
        self._look()

    def _do_paths(self, _: dict[str, Any]) -> None:
        asked = self._active.asked
        if signals.are(asked.truth):
            raise FieldError("", "the paths of signals are not shown: choose a target of numbers")
        if asked.method.trajectory is None:
            raise FieldError("", "this method's samples have no trajectory")
        self._tell("compiling", "following samples")
        self._send({"type": "paths", **self._active.paths()})

    # --- training ---------------------------------------------------------------------------------------------------

    @property
    def _active(self) -> Training:
        assert self._training is not None
        return self._training

    @property
    def _all(self) -> list[Training]:
        """The runs on the page, and those that are compared."""
        return [one for one in (self._training, self._rival) if one is not None]

    @property
    def _has_ended(self) -> bool:
        return all(one.has_ended for one in self._all)

    def _reset(self, asked: Experiment) -> None:
        before, self.frame = self._training, None
        self._training = self._rival = None  # the page must not get an old frame after what comes now
        if self._warmup is not None and self._warmup.is_at(asked):
            for message in first.messages():
                self._send(message)
        self._training, *others = both(asked, self._compiling_for, before)
        self._rival = others[0] if others else None
        self._generation += 1
        self._configured(reset=True)
        self._compiling(3)
        self._look()

    def _compiling_for(self, asked: Experiment, number: int) -> None:
        self._compiling(number)
        if self._warmup is not None:
            self._warmup.wait(asked, self._compiling, self._closed, number)

    def _compiling(self, number: int) -> None:
        self._tell("compiling", f"compiling program {number} of {NUM_PROGRAMS}")

    def _go_on(self) -> None:
        """Trains what comes before the next frame."""
        if self._speed == "single":
            self._due = time.monotonic() + pace.SINGLE_SECONDS
            self._train(1, 1, "both")
            return
        num_epochs, num_steps = min(one.chunk() for one in self._all if not one.has_ended)
        epochs, seconds = pace.pace(self._speed, max(1, self._active.asked.num_steps // STEPS_PER_EPOCH))
        if epochs is None:
            self._left = 0
            self._train(num_epochs, num_steps, "both")
            return
        now = time.monotonic()
        if not self._left:
            self._left, self._began = epochs, now
        num_epochs = min(num_epochs, self._left)
        self._left -= num_epochs
        if now > self._began + pace.SINGLE_SECONDS:  # too slow for whole frames
            self._left = 0
        self._train(num_epochs, num_steps, "both", paced=True)
        self._due = 0.0 if self._left else self._began + seconds

    def _train(
        self, num_epochs: int, num_steps: int, player: str, always_look: bool = False, paced: bool = False
    ) -> None:
        for training in self._all:
            if training.has_ended:  # the other one goes on
                continue
            moved = player if training.asked.method.players is not None else "both"
            if training.will_compile(moved):
                self._compiling_for(training.asked, NUM_PROGRAMS)
            else:
                self._tell("running", "")
            training.advance(num_epochs, num_steps, moved)
        ended = self._has_ended
        is_due = not self._left and all(one.is_look_due(paced) for one in self._all)
        if always_look or ended or num_steps < STEPS_PER_EPOCH or is_due:
            self._look()
        if ended:
            self._running = False
            self._rest()

    def _look(self) -> None:
        """Makes a frame."""
        state = {"state": "running" if self._running else "idle"}
        frames = [Frame(self._generation, one.look() | state, one.losses, one.looks, one.lane) for one in self._all]
        self.frame = frames[0]._replace(rival=frames[1] if len(frames) > 1 else None)
        self._changed()

    # --- messages ---------------------------------------------------------------------------------------------------

    def _configured(self, reset: bool) -> None:
        training, asked = self._active, self._active.asked
        command, code = takeaway.as_command(asked, self._uploads), takeaway.as_python(asked, self._uploads)
        if training.changes:
            when = ", ".join(map(str, training.changes[:5]))
            note = f"The page's run was changed at step {when}: this trains from the start."
            command, code = None, f"# {note}\n{code}"
        self._send({
            "type": "configured", "reset": reset, "command": command, "python": code,
            "target": look.describe(asked.truth, training.scene), "threshold": DEFAULT_THRESHOLDS.w1_over_std,
            **training.facts(), "rival": None if self._rival is None else self._rival.facts(),
        })  # fmt: skip

    def _rest(self) -> None:
        """Says how things are where nothing is being done."""
        training = self._active
        if training.diverged_at >= 0 and self._has_ended:
            self._tell("diverged", f"diverged at step {training.diverged_at}")
        elif self._has_ended:
            self._tell("finished", f"finished after {training.step} steps")
        elif self._running:
            self._tell("running", "")
        else:
            self._tell("idle", "stopped" if training.step else "ready")

    def _tell(self, state: str, message: str) -> None:
        if self._status != (state, message):
            self._status = (state, message)
            self._send({"type": "status", "state": state, "message": message})


def _without_traced(experiment: Experiment) -> Any:
    """What a change of resets the run: all but the traced numbers of its config."""
    structure = jax.tree.structure(experiment.config)
    traced = ("fields", "preset", "rival")
    asked = {name: value for name, value in experiment.settings.items() if name not in traced}
    return structure, asked, None if experiment.rival is None else _without_traced(experiment.rival)
