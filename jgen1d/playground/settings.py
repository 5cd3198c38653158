"""What a page may ask for, and a run's settings as JSON, checked."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import tempfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jgen1d import core, data, nets, targets
from jgen1d.core import Config, Method, format_value, parse, replace, unknown
from jgen1d.core.config import uses
from jgen1d.engine.task import Task, prepare
from jgen1d.methods import METHODS
from jgen1d.playground import signals
from jgen1d.targets import TARGETS, Target

STEPS_PER_EPOCH = 10
NAMED = [name for name, target in TARGETS.items() if target.dim == 1]
"""The targets of numbers; `signals.NAMED` are those of signals."""
DRAWING = {"low": -8.0, "high": 12.0, "count": 81}
"""The knots of a drawn density: so many, at equal steps from low to high."""
LANES = (1, 32, 64)
DATASET_SIZES = (0, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
LIMITS = {"batch_size": (1, 4_096), "num_steps": (STEPS_PER_EPOCH, 100_000), "seed": (0, 2**31 - 1)}
LINK_VALUES = 1_000
"""Values of a file that an address holds, at most."""
MAX_INTEGER, MAX_LAYERS, MAX_UNITS, MAX_VALUES = 512, 6, 256, 65_536
"""Of any static number, of hidden layers, of the units of each, and of the numbers in the rows of one step: they bound
the memory."""
RIVAL = ("method", "preset", "fields")
"""What a model that is compared has of its own."""
HIDDEN = ("dim", "shape", "num_steps", "num_classes", "condition_dim", "progressive")
"""Fields that the page does not set."""


class FieldError(ValueError):
    """A setting that is refused: its name, or "" if several are to blame, and why, in one line."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


class Upload(NamedTuple):
    """A column that a page has sent: its file's and its column's name, for the command, and the distribution."""

    file: str
    column: str | None
    numbers: np.ndarray
    target: Target

    @property
    def options(self) -> dict[str, Any]:
        """What `data.read` is told of the column: to take one that no model learns, because that is to be seen."""
        facts = data.examine(self.numbers)
        return {"dequantize": False} if facts.has_atom and not facts.is_coarse else {}

    @property
    def values(self) -> str | None:
        """The numbers for an address, separated by commas, with all their digits; None if they are too many."""
        return ",".join(map(repr, self.numbers.tolist())) if len(self.numbers) <= LINK_VALUES else None


class Experiment(NamedTuple):
    """Checked settings, and what they stand for.

    Attributes:
      settings: as JSON.
      method: what is trained.
      config: with which hyper-parameters, `dim` and `num_steps` set.
      truth: what is to be learnt.
      data: what it is trained on: the same, or the distribution of a finite sample.
      batch_size: rows of a minibatch.
      num_steps: of each run.
      seed: of the first lane; the others have the next ones.
      num_lanes: runs side by side.
      rival: what is trained beside it, on the same data from the same seeds; None for nothing.
    """

    settings: dict[str, Any]
    method: Method
    config: Config
    truth: Target
    data: Target
    batch_size: int
    num_steps: int
    seed: int
    num_lanes: int
    rival: Experiment | None = None

    @property
    def task(self) -> Task:
        """What is trained."""
        return Task(self.method, self.data, self.config)


def fields(method: Method, of_signals: bool = False) -> list[dataclasses.Field]:
    """The fields of the method's config that a page sets: those with one choice for columns leave nothing to set."""
    found = [field for field in dataclasses.fields(method.Config) if field.name not in HIDDEN]
    if of_signals:
        return found
    return [field for field in found if len({*field.metadata.get("choices", ())} - {*nets.OF_SIGNALS}) != 1]


def texts(config: Config, method: Method, of_signals: bool = False) -> dict[str, str]:
    """The values of a config's fields as pages and flags write them."""
    found = {field.name: format_value(getattr(config, field.name)) for field in fields(method, of_signals)}
    lower = {None: "none", True: "true", False: "false"}
    return {name: lower[v] if v is None or isinstance(v, bool) else f"{v}" for name, v in found.items()}


def presets(method: Method, of_signals: bool = False) -> dict[str, Config]:
    """The method's named configs that are not too large for a page; for signals those made for them come first."""
    known = method.presets() or {"default": method.Config()}
    small = {name: config for name, config in known.items() if not _too_large(config, of_signals)}
    made = {name: config for name, config in small.items() if uses(config, nets.OF_SIGNALS)}
    others = {name: config for name, config in small.items() if name not in made}
    return made | others if of_signals else others


def first() -> dict[str, Any]:
    """The settings that a page begins with."""
    return {
        "method": "gan", "preset": next(iter(presets(METHODS["gan"]))), "fields": {}, "target": "bimodal",
        "drawn": None, "data": None, "batch_size": 256, "dataset_size": 0, "seed": 0, "num_steps": 5_000, "lanes": 1,
        "rival": None,
    }  # fmt: skip


def resolve(settings: Any, uploads: Mapping[str, Upload]) -> Experiment:
    """Checks a page's settings.

    Raises:
      FieldError: for the first one that is wrong.
    """
    if not isinstance(settings, dict):
        raise FieldError("", "settings must be an object")
    name = settings.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise FieldError("method", f"no method {unknown(str(name), METHODS)}")
    truth = _target(settings, uploads)
    of_signals = signals.are(truth)
    if of_signals and name not in signals.FAMILIES:
        raise FieldError("method", f"{name} has no network for signals: choose {', '.join(signals.FAMILIES)}")
    method, known = METHODS[name], presets(METHODS[name], of_signals)
    preset = settings.get("preset") or next(iter(known))
    if not isinstance(preset, str) or preset not in known:
        raise FieldError("preset", f"no preset {unknown(str(preset), known)}")
    numbers = {name: _integer(settings, name, *ends) for name, ends in LIMITS.items()}
    if numbers["num_steps"] % STEPS_PER_EPOCH:
        raise FieldError("num_steps", f"must be a multiple of {STEPS_PER_EPOCH}, an epoch's steps")
    num_lanes = _one_of(settings, "lanes", signals.LANES if of_signals else LANES)
    size = _one_of(settings, "dataset_size", DATASET_SIZES)
    config, changed = _config(settings.get("fields", {}), method, known[preset], of_signals)
    if numbers["batch_size"] * method.num_minibatches(config) > (most := MAX_VALUES // truth.dim):
        raise FieldError("batch_size", f"a step would take more than {most} rows")
    try:
        config = prepare(Task(method, truth, config), numbers["num_steps"], numbers["batch_size"], 1).config
    except ValueError as error:
        raise _at_field(error, method) from None
    trained_on = truth
    if size:
        finite_sample = targets.signals if of_signals else targets.empirical
        trained_on = finite_sample(np.asarray(truth.sample(jax.random.key(0), size)), name=truth.name)
    kept = {name: settings.get(name) for name in ("target", "drawn", "data")}
    asked = {"method": name, "preset": preset, "fields": changed, **kept, **numbers}
    asked |= {"dataset_size": size, "lanes": num_lanes, "rival": None}
    numbered = (numbers["batch_size"], numbers["num_steps"], numbers["seed"], num_lanes)
    found = Experiment(asked, method, config, truth, trained_on, *numbered)
    return found if settings.get("rival") is None else _with_rival(found, settings["rival"], uploads)


def _with_rival(found: Experiment, rival: Any, uploads: Mapping[str, Upload]) -> Experiment:
    """The experiment with another model beside it, of which a page gives the method, the preset and the fields."""
    if not isinstance(rival, dict):
        raise FieldError("rival", "the model to compare with must be an object")
    own = {name: rival.get(name) for name in RIVAL}
    try:
        other = resolve(found.settings | own, uploads)
    except FieldError as error:
        raise FieldError("rival", f"{error.field}: {error}" if error.field else str(error)) from None
    kept = {name: other.settings[name] for name in RIVAL}
    return found._replace(settings=found.settings | {"rival": kept}, rival=other)


def read_upload(message: Mapping[str, Any]) -> tuple[str, Upload]:
    """A column out of a file that a page has sent, and a name for it.

    Raises:
      FieldError: for whatever `data.read` refuses.
    """
    name, column, text = (message.get(key) for key in ("name", "column", "text"))
    if not isinstance(name, str) or not isinstance(text, str) or not isinstance(column, str | None):
        raise FieldError("data", "an upload has a name, a text and perhaps a column")
    try:
        content = text.encode()
    except UnicodeEncodeError:  # a JSON text may hold half of a character
        raise FieldError("data", "the text must be UTF-8") from None
    name = re.sub(r"[^\w.-]", "_", pathlib.PurePath(name).name)[-60:]
    if not name.lower().endswith(".csv"):
        raise FieldError("data", "upload a .csv file")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, name)
        path.write_bytes(content)
        try:
            found = data.read_with_notes(path, column or None)
            target, _ = data.as_target(found, dequantize=data.examine(found.values).is_coarse)
        except ValueError as error:
            raise FieldError("data", str(error).replace(f"{folder}/", "")) from None
    return f"{zlib.crc32(content):08x}-{target.name}", Upload(name, column or None, found.values, target)


def _integer(settings: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = settings.get(name)
    if type(value) is not int or not low <= value <= high:
        raise FieldError(name, f"must be an integer from {low} to {high}")
    return value


def _one_of(settings: Mapping[str, Any], name: str, allowed: tuple[int, ...]) -> int:
    value = settings.get(name)
    if type(value) is not int or value not in allowed:
        raise FieldError(name, f"must be one of {', '.join(map(str, allowed))}")
    return value


def _target(settings: Mapping[str, Any], uploads: Mapping[str, Upload]) -> Target:
    name = settings.get("target")
    if name == "data":
        if (upload := uploads.get(str(settings.get("data")))) is None:
            raise FieldError("target", "upload a column of numbers first")
        target = upload.target  # a message holds 5 digits
        return target if target.units.are_held else replace(target.standardized(), name=f"{target.name}, standardized")
    if name == "drawn":
        heights = settings.get("drawn")
        if not isinstance(heights, list) or len(heights) != DRAWING["count"]:
            raise FieldError("target", f"a drawn density has {DRAWING['count']} heights")
        if not all(isinstance(height, int | float) and 0 <= height <= 1e6 for height in heights) or not any(heights):
            raise FieldError("target", "draw a density first: its heights must be at least 0, and not all 0")
        return targets.piecewise_linear(np.linspace(DRAWING["low"], DRAWING["high"], len(heights)), heights)
    known = [*NAMED, *signals.NAMED]
    if name not in known:
        raise FieldError("target", f"no target {unknown(str(name), [*known, 'data', 'drawn'])}")
    return TARGETS[name]


def _config(asked: Any, method: Method, base: Config, of_signals: bool) -> tuple[Config, dict[str, str]]:
    """The preset with the page's changes, and these, without those that change nothing."""
    declared = {field.name: field for field in fields(method, of_signals)}
    usual = texts(base, method, of_signals)
    if not isinstance(asked, dict):
        raise FieldError("", "fields must be an object")
    changed = {}
    for name, text in asked.items():
        if name not in declared:
            raise FieldError("", f"no field {unknown(str(name)[:40], declared)}")
        if not isinstance(text, str) or len(text) > 40:
            raise FieldError(name, "must be a short text")
        try:
            value = parse(declared[name], text.strip())
            core.validate(replace(method.Config(), **{name: value}))
        except ValueError as error:
            raise FieldError(name, str(error).partition(": ")[2] or str(error)) from None
        if _too_large(replace(method.Config(), **{name: value}), of_signals):
            raise FieldError(name, f"at most {MAX_LAYERS} layers of at most {_max_units(of_signals)} units here")
        if type(value) is int and value > (most := max(MAX_INTEGER, getattr(method.Config(), name))):
            raise FieldError(name, f"at most {most} here")
        base = replace(base, **{name: value})
        if (shown := texts(base, method, of_signals)[name]) != usual[name]:
            changed[name] = shown
    return base, changed


def _max_units(of_signals: bool) -> int:
    return signals.MAX_CHANNELS if of_signals else MAX_UNITS


def _too_large(config: Config, of_signals: bool) -> bool:
    """Whether a network has more layers or units than a page's server takes."""
    hidden = [size for size in core.sizes(config).values() if isinstance(size, tuple)]
    return any(len(size) > MAX_LAYERS or max(size, default=0) > _max_units(of_signals) for size in hidden)


def _at_field(error: ValueError, method: Method) -> FieldError:
    """The error where its message names a field."""
    name = str(error).partition("=")[0]
    return FieldError(name if name in {field.name for field in fields(method, True)} else "", str(error))
