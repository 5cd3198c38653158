"""The thread that trains for one page: it takes commands between chunks of steps, and shows the newest frame."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jgen1d.evaluation.verdict import DEFAULT_THRESHOLDS
from jgen1d.playground import look, settings, takeaway
from jgen1d.playground.settings import STEPS_PER_EPOCH, Experiment, FieldError, Upload
from jgen1d.playground.training import Point, Training

SLOW_SECONDS = 0.25
"""Between the single steps of slow motion."""
MAX_COMMANDS = 64


class Frame(NamedTuple):
    """What a page shows at one moment; its lists only grow, so that any number of frames may be skipped.

    Attributes:
      generation: another one means that the lists began anew.
      content: all but the histories.
      losses: the mean infos of epochs.
      looks: distances.
      lane: which one is shown.
    """

    generation: int
    content: dict[str, Any]
    losses: list[Point]
    looks: list[Point]
    lane: int


class Trainer:
    """Trains what one page asks for, in a thread of its own.

    Args:
      send: called in that thread with each message to the page, a dict.
      changed: called in that thread when there is a newer frame in `frame`.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], changed: Callable[[], None]):
        self.frame: Frame | None = None
        self._send, self._changed = send, changed
        self._commands: queue.Queue[dict[str, Any]] = queue.Queue(MAX_COMMANDS)
        self._closed = threading.Event()
        self._uploads: dict[str, Upload] = {}
        self._training: Training | None = None
        self._running = self._slow = False
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
        self._training = self.frame = None

    def _turn(self) -> None:
        try:
            command = self._commands.get(timeout=0 if self._running else 0.1)
        except queue.Empty:
            if self._running:
                self._train(*((1, 1) if self._slow else self._active.chunk()), "both")
                if self._slow:
                    self._closed.wait(SLOW_SECONDS)
            return
        handle = getattr(self, f"_do_{command.get('type')}", None)
        if handle is None:
            raise FieldError("", "no such command")
        if self._training is None and command["type"] not in ("configure", "upload"):
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
        if new.settings["fields"] != training.asked.settings["fields"] and training.step:
            training.changes.append(training.step)
        training.asked = new
        self._configured(reset=False)

    def _do_upload(self, command: dict[str, Any]) -> None:
        name, upload = settings.read_upload(command)
        self._uploads = dict([*self._uploads.items(), (name, upload)][-3:])  # the memory is bounded
        self._send({
            "type": "uploaded", "id": name, "name": upload.target.name, "count": len(upload.numbers),
            "file": upload.file, "column": upload.column, "values": upload.values,
        })  # fmt: skip

    def _do_start(self, _: dict[str, Any]) -> None:
        self._running = not self._active.has_ended

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
        if not training.has_ended:
            if player != "both":
                training.changes.append(training.step)
            self._train(1, STEPS_PER_EPOCH, player, always_look=True)

    def _do_slow(self, command: dict[str, Any]) -> None:
        self._slow = command.get("on") is True

    def _do_lane(self, command: dict[str, Any]) -> None:
        training, lane = self._active, command.get("lane")
        if type(lane) is not int or not 0 <= lane < training.asked.num_lanes:
            raise FieldError("", f"lane must be an integer from 0 to {training.asked.num_lanes - 1}")
        training.lane = lane
        self._generation += 1
        self._look()

    def _do_paths(self, _: dict[str, Any]) -> None:
        if self._active.asked.method.trajectory is None:
            raise FieldError("", "this method's samples have no trajectory")
        self._tell("compiling", "following samples")
        self._send({"type": "paths", **self._active.paths()})

    # --- training ---------------------------------------------------------------------------------------------------

    @property
    def _active(self) -> Training:
        assert self._training is not None
        return self._training

    def _reset(self, asked: Experiment) -> None:
        self.frame = self._training = None  # the page must not get an old frame after what comes now
        self._tell("compiling", "compiling…")
        self._training = Training(asked)
        self._generation += 1
        self._configured(reset=True)
        self._look()

    def _train(self, num_epochs: int, num_steps: int, player: str, always_look: bool = False) -> None:
        training = self._active
        self._tell(*(("compiling", "compiling…") if training.will_compile(player) else ("running", "")))
        training.advance(num_epochs, num_steps, player)
        ended = training.has_ended
        if always_look or ended or num_steps < STEPS_PER_EPOCH or training.is_look_due:
            self._look()
        if ended:
            self._running = False
            self._rest()

    def _look(self) -> None:
        """Makes a frame."""
        training = self._active
        content = training.look() | {"state": "running" if self._running else "idle"}
        self.frame = Frame(self._generation, content, training.losses, training.looks, training.lane)
        self._changed()

    # --- messages ---------------------------------------------------------------------------------------------------

    def _configured(self, reset: bool) -> None:
        training, asked = self._active, self._active.asked
        players = asked.method.players
        command, code = takeaway.as_command(asked, self._uploads), takeaway.as_python(asked, self._uploads)
        if training.changes:
            when = ", ".join(map(str, training.changes[:5]))
            note = f"The page's run was changed at step {when}: this trains from the start."
            command, code = None, f"# {note}\n{code}"
        floor = float(training.scene.known.floor) / float(np.ravel(asked.truth.std)[0])
        self._send({
            "type": "configured", "settings": asked.settings, "reset": reset, "command": command, "python": code,
            "target": look.describe(asked.truth, training.scene), "optimum": training.optimum, "floor": floor,
            "threshold": DEFAULT_THRESHOLDS.w1_over_std,
            "critic": players is not None and not players.optimal_output(asked.config),
            "losses": training.loss_names,
        })  # fmt: skip

    def _rest(self) -> None:
        """Says how things are where nothing is being done."""
        training = self._active
        if training.diverged_at >= 0:
            self._tell("diverged", f"diverged at step {training.diverged_at}")
        elif training.has_ended:
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
    asked = {name: value for name, value in experiment.settings.items() if name not in ("fields", "preset")}
    return structure, asked
