"""The thread that trains: it owns the JAX state, takes commands between chunks of steps, and shows the newest frame."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d import verdict
from jgen1d.core import Info
from jgen1d.methods import gan
from jgen1d.playground import epochs, look, settings, takeaway
from jgen1d.playground.settings import STEPS_PER_EPOCH, Experiment, FieldError, Upload

SECONDS_PER_FRAME = 0.1
SECONDS_PER_CHUNK = 0.04
"""At most, about: a stop waits for one chunk."""
SLOW_SECONDS = 0.25
"""Between the single steps of slow motion."""
LOOKS_SHARE = 0.2
"""Of the time, at most."""
MAX_COMMANDS = 64
BAND = (5, 50, 95)


class Point(NamedTuple):
    """One point of a history: the step, and by name f[lanes]."""

    step: int
    values: Mapping[str, np.ndarray]


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
        self._experiment: Experiment | None = None
        self._runs: Any = None
        self._running = self._slow = False
        self._lane = self._generation = 0
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
        self._experiment = self._runs = self.frame = None

    def _turn(self) -> None:
        try:
            command = self._commands.get(timeout=0 if self._running else 0.1)
        except queue.Empty:
            if self._running:
                self._train(*self._chunk(), "both")
                if self._slow:
                    self._closed.wait(SLOW_SECONDS)
            return
        handle = getattr(self, f"_do_{command.get('type')}", None)
        if handle is None:
            raise FieldError("", "no such command")
        if self._experiment is None and command["type"] not in ("configure", "upload"):
            raise FieldError("", "configure first")
        self._status = ("", "")  # every command is answered with how things are
        handle(command)
        if self._experiment is not None:
            self._rest()

    # --- commands ---------------------------------------------------------------------------------------------------

    def _do_configure(self, command: dict[str, Any]) -> None:
        new, old = settings.resolve(command.get("settings"), self._uploads), self._experiment
        same = old is not None and _without_traced(new) == _without_traced(old)
        self._experiment = new
        if not same:
            self._reset()
            return
        if new.settings["fields"] != old.settings["fields"] and self._step:  # type: ignore[union-attr]
            self._changes.append(self._step)
        self._configured(reset=False)

    def _do_upload(self, command: dict[str, Any]) -> None:
        name, upload = settings.read_upload(command)
        self._uploads = dict([*self._uploads.items(), (name, upload)][-3:])  # the memory is bounded
        self._send({
            "type": "uploaded", "id": name, "name": upload.target.name, "count": len(upload.target.params),
            "file": upload.file, "column": upload.column, "values": upload.values,
        })  # fmt: skip

    def _do_start(self, _: dict[str, Any]) -> None:
        self._running = self._step < self._asked.num_steps and self._diverged_at < 0

    def _do_stop(self, _: dict[str, Any]) -> None:
        self._running = False
        self._look(force=True)

    def _do_reset(self, _: dict[str, Any]) -> None:
        self._running = False
        self._reset()

    def _do_step(self, command: dict[str, Any]) -> None:
        player = command.get("players", "both")
        if player not in ("both", "d", "g") or (player != "both" and not isinstance(self._asked.config, gan.Config)):
            raise FieldError("", "only a GAN has players d and g")
        self._running = False
        if self._step < self._asked.num_steps and self._diverged_at < 0:
            if player != "both":
                self._changes.append(self._step)
            self._train(1, STEPS_PER_EPOCH, player, force=True)

    def _do_slow(self, command: dict[str, Any]) -> None:
        self._slow = command.get("on") is True

    def _do_lane(self, command: dict[str, Any]) -> None:
        lane = command.get("lane")
        if type(lane) is not int or not 0 <= lane < self._asked.num_lanes:
            raise FieldError("", f"lane must be an integer from 0 to {self._asked.num_lanes - 1}")
        self._lane = lane
        self._generation += 1
        self._look(force=True)

    def _do_paths(self, _: dict[str, Any]) -> None:
        asked = self._asked
        if not settings.has_paths(asked.method):
            raise FieldError("", "these samples do not travel")
        self._tell("compiling", "following samples")
        state = jax.tree.map(lambda leaf: leaf[self._lane], self._runs.state)
        found = look.paths(state, asked.data, asked.config, asked.standardize)
        self._send({"type": "paths", **found})

    # --- training ---------------------------------------------------------------------------------------------------

    @property
    def _asked(self) -> Experiment:
        assert self._experiment is not None
        return self._experiment

    def _reset(self) -> None:
        asked = self._asked
        self.frame = None  # the page must not get an old one after what comes now
        self._tell("compiling", "compiling…")
        self._scene = look.prepare(asked.truth)
        self._runs = epochs.start(asked.method, asked.seed + jnp.arange(asked.num_lanes), asked.config)
        self._step, self._diverged_at, self._lane = 0, -1, 0
        self._diverged = np.full(asked.num_lanes, -1)
        self._losses: list[Point] = []
        self._looks: list[Point] = []
        self._changes: list[int] = []
        self._seen: dict[str, np.ndarray] = {}
        self._compiled: set[Any] = set()
        self._seconds_per_step, self._next_look, self._look_seconds = 0.0, 0.0, SECONDS_PER_FRAME
        self._generation += 1
        self._configured(reset=True)
        self._look(force=True)

    def _chunk(self) -> tuple[int, int]:
        """Epochs and steps of each: as many as will be done in time."""
        if self._slow:
            return 1, 1
        left = (self._asked.num_steps - self._step) // STEPS_PER_EPOCH
        if not self._seconds_per_step:
            return min(1, left) or 1, STEPS_PER_EPOCH if left else self._asked.num_steps - self._step
        if not left:  # single steps have left an epoch unfinished
            return 1, self._asked.num_steps - self._step
        fitting = SECONDS_PER_CHUNK / max(self._seconds_per_step * STEPS_PER_EPOCH, 1e-6)
        return int(min(left, max(1, min(epochs.MAX_EPOCHS, fitting)))), STEPS_PER_EPOCH

    def _train(self, num_epochs: int, num_steps: int, player: str, force: bool = False) -> None:
        asked = self._asked
        program = (num_steps, player)
        if is_new := program not in self._compiled:
            self._tell("compiling", "compiling…")
            self._compiled.add(program)
        else:
            self._tell("running", "")
        began = time.monotonic()
        self._runs, infos = epochs.advance(
            asked.method, self._runs, asked.data, asked.config, num_epochs, num_steps, asked.batch_size,
            asked.standardize, player,
        )  # fmt: skip
        infos, diverged = jax.device_get((infos, self._runs.diverged_at))
        seconds = (time.monotonic() - began) / (num_epochs * num_steps)
        if not is_new:
            self._seconds_per_step = (
                seconds if not self._seconds_per_step else 0.7 * self._seconds_per_step + 0.3 * seconds
            )
        for epoch in range(num_epochs):
            self._step += num_steps
            self._losses.append(Point(self._step, {name: values[:, epoch] for name, values in infos.items()}))
        self._diverged, self._diverged_at = diverged, int(diverged.min()) if (diverged >= 0).all() else -1
        ended = self._step >= asked.num_steps or self._diverged_at >= 0
        self._look(force=force or ended or num_steps < STEPS_PER_EPOCH, final=ended)
        if ended:
            self._running = False
            self._rest()

    def _look(self, force: bool = False, final: bool = False) -> None:
        """Makes a frame, if it is time for one."""
        began, asked = time.monotonic(), self._asked
        if not force and began < self._next_look:
            return
        count = look.NUM_FINAL_SAMPLES if final else look.NUM_SAMPLES
        seen = look.look(
            asked.method, self._runs, asked.truth, self._scene, asked.data, asked.config, count, asked.standardize
        )
        drawn = {}
        if isinstance(asked.config, gan.Config):
            drawn = look.players(
                asked.method, self._runs, self._lane, asked.truth, self._scene, asked.data, asked.config,
                asked.standardize,
            )  # fmt: skip
        seen, drawn = jax.device_get((seen, drawn))
        if not self._looks or self._looks[-1].step != self._step:
            kept = [name for name in ("mean", "std", "w1_over_std") if name in seen]
            self._looks.append(Point(self._step, {name: seen[name] for name in kept}))
        ended = time.monotonic()
        self._look_seconds = min(self._look_seconds, ended - began)  # the first one is compiled
        self._next_look = began + max(SECONDS_PER_FRAME, self._look_seconds / LOOKS_SHARE)
        self.frame = Frame(self._generation, self._content(seen, drawn), self._losses, self._looks, self._lane)
        self._changed()

    def _content(self, seen: dict[str, np.ndarray], drawn: dict[str, Any]) -> dict[str, Any]:
        asked, lane = self._asked, self._lane
        verdicts = self._verdicts(seen)
        num_modes = len(asked.truth.modes.scales)
        names = ["w1_over_std", "w1_over_floor", *(["modes_covered"] if num_modes else [])]
        many = asked.num_lanes > 1
        return {
            "type": "frame", "state": "running" if self._running else "idle", "step": self._step,
            "epoch": self._step // STEPS_PER_EPOCH, "lane": lane, "num_lanes": asked.num_lanes,
            "steps_per_second": 1 / self._seconds_per_step if self._seconds_per_step else None,
            "diverged_at": int(self._diverged[lane]),
            "histogram": seen["histogram"][lane] if self._diverged[lane] < 0 else None,
            "discriminator": None, "generator": None, **drawn,
            "metrics": {name: seen[name][lane] for name in names} | {"num_modes": num_modes},
            "verdict": verdicts[lane] if self._losses else None,
            "verdicts": dict(zip(*np.unique(verdicts, return_counts=True), strict=True)) if many else None,
            "lanes_w1": seen["w1_over_std"] if many else None, "lanes_verdict": verdicts if many else None,
        }  # fmt: skip

    def _verdicts(self, seen: dict[str, np.ndarray]) -> list[str]:
        """Each lane's, were it to end now."""
        asked = self._asked
        if not self._losses:
            return ["not_converged"] * asked.num_lanes
        optimum = asked.method.loss_optimum(asked.config) if asked.method.loss_optimum else None
        curves = {name: np.stack([point.values[name] for point in self._losses], axis=1) for name in (optimum or {})}
        num_modes = len(asked.truth.modes.scales)
        return verdict.classify(curves, seen, optimum, num_modes, self._diverged).tolist()

    # --- messages ---------------------------------------------------------------------------------------------------

    def _configured(self, reset: bool) -> None:
        asked = self._asked
        optimum = asked.method.loss_optimum(asked.config) if asked.method.loss_optimum else {}
        command, code = takeaway.as_command(asked, self._uploads), takeaway.as_python(asked, self._uploads)
        if self._changes:
            when = ", ".join(map(str, self._changes[:5]))
            note = f"The page's run was changed at step {when}: this trains from the start."
            command, code = None, f"# {note}\n{code}"
        floor = float(self._scene.known.floor) / float(np.ravel(asked.truth.std)[0])
        self._send({
            "type": "configured", "settings": asked.settings, "reset": reset, "command": command, "python": code,
            "target": look.describe(asked.truth, self._scene), "optimum": optimum, "floor": floor,
            "losses": list(optimum) or _loss_names(asked),
        })  # fmt: skip

    def _rest(self) -> None:
        """Says how things are where nothing is being done."""
        if self._diverged_at >= 0:
            self._tell("diverged", f"diverged at step {self._diverged_at}")
        elif self._step >= self._asked.num_steps:
            self._tell("finished", f"finished after {self._step} steps")
        elif self._running:
            self._tell("running", "")
        else:
            self._tell("idle", "stopped" if self._step else "ready")

    def _tell(self, state: str, message: str) -> None:
        if self._status != (state, message):
            self._status = (state, message)
            self._send({"type": "status", "state": state, "message": message})


def _loss_names(asked: Experiment) -> list[str]:
    """What a method that is not adversarial tells of its losses."""
    rows = jnp.zeros((asked.batch_size * asked.method.num_minibatches(asked.config), 1))

    def info(key: jax.Array) -> Info:
        key_init, key_step = jax.random.split(key)
        return asked.method.step(key_step, asked.method.init(key_init, asked.config), rows, asked.config)[1]

    names = list(jax.eval_shape(info, jax.random.key(0)))
    return [name for name in names if "loss" in name] or names


def _without_traced(experiment: Experiment) -> Any:
    """What a change of resets the run: all but the traced numbers of its config."""
    structure = jax.tree.structure(experiment.config)
    asked = {name: value for name, value in experiment.settings.items() if name not in ("fields", "preset")}
    return structure, asked
