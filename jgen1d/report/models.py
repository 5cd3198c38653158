"""How is one trained run kept in a file, and made again without running anything that the file says?

The file `result.npz` holds arrays, and as one of them a JSON text: the method's name, the config's fields, the target's
form. Nothing is pickled. What is no data, such as a method, a network or a target's functions of the user's own, is not
in the file; whoever loads it passes it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jgen1d import targets
from jgen1d.core import Config, Method, State, files, qualified_name, validate
from jgen1d.engine import arguments
from jgen1d.engine.archive import pack, unpack
from jgen1d.engine.identity import difference
from jgen1d.engine.task import Task, bind, state_shapes
from jgen1d.evaluation.verdict import VERDICTS, Thresholds
from jgen1d.fitting import Result, as_result
from jgen1d.methods import METHODS, name_of
from jgen1d.report.table import finite
from jgen1d.targets import Chart, Discrete, Family, Modes, Target, Units

FILE = "result.npz"
_ABOUT = "about"
"""The array that holds the JSON text, u8[n]."""
_FORMS: dict[str, tuple[Family, Callable[..., Any]]] = {
    "normal_mixture": (targets.NORMAL_MIXTURE, targets.MixtureParams),
    "planar_mixture": (targets.PLANAR_MIXTURE, targets.MixtureParams),
    "uniform": (targets.UNIFORM, targets.UniformParams),
    "exponential": (targets.EXPONENTIAL, targets.ExponentialParams),
    "disk": (targets.DISK, targets.DiskParams),
    "piecewise_linear": (targets.PIECEWISE_LINEAR, targets.PiecewiseLinearParams),
    "steps": (targets.STEPS, targets.StepsParams),
    "finite_sample": (targets.EMPIRICAL, np.asarray),
    **{name: (family, functools.partial(targets.SignalParams.of, law)) for name, (law, family) in targets.LAWS.items()},
}
"""Name of a form -> its functions, and what makes its parameters of their leaves."""


class _About(NamedTuple):
    """The JSON text.

    Attributes:
      method: its name in `METHODS`, or of a user's own the module of its config.
      is_registered: whether it is in `METHODS`.
      config: the fields by name, a user's own parts by their qualified names.
      own_parts: the fields that are a user's own parts.
      target: see `_about_target`.
      verdict: one of `verdict.VERDICTS`.
      diverged_at: the first step that was not finite, −1 if there is none.
      standardize: whether the run trained in training units.
      thresholds: by name.
      provenance: versions and whatever else is kept beside the result.
    """

    method: str
    is_registered: bool
    config: dict[str, Any]
    own_parts: list[str]
    target: dict[str, Any]
    verdict: str
    diverged_at: int
    standardize: bool
    thresholds: dict[str, float]
    provenance: dict[str, Any]


def contents(result: Result, provenance: Mapping[str, Any]) -> bytes:
    """The file of a result.

    Args:
      result: what to keep.
      provenance: kept beside it.
    """
    described = describe(result.config)
    about = _About(
        name_of(result.method), result.method in METHODS.values(), described,
        [name for name in described if _is_own(getattr(result.config, name))], _about_target(result.target),
        result.verdict, result.diverged_at, result.standardize, result.thresholds._asdict(), dict(provenance),
    )  # fmt: skip
    text = json.dumps(finite(about._asdict())).encode()
    arrays = {_ABOUT: np.frombuffer(text, np.uint8), "steps": np.asarray(result.steps)}
    arrays |= {f"state/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(result.state))}
    arrays |= {f"target/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(result.target))}
    arrays |= {f"history/{name}": np.asarray(curve) for name, curve in result.history.items()}
    arrays |= {f"metrics/{name}": np.asarray(value) for name, value in result.metrics.items()}
    return pack(arrays).tobytes()


def read(path: Path, method: Any = None, target: Any = None, config: Config | None = None) -> Result:
    """The result in a file that `contents` made.

    Args:
      path: of the file.
      method: what the result's method is, if it is the user's own.
      target: what its target is, if its family is the user's own.
      config: what its config is, if parts of it are the user's own.

    Raises:
      ValueError: if the file is damaged, if something has to be passed, or if what is passed is not what was saved.
    """
    with _naming(path):
        arrays = unpack(np.frombuffer(files.read(path), np.uint8))
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something else than arrays")
        about = _About(**files.parse_json(arrays[_ABOUT].tobytes()))
        state, leaves = ([*_of_kind(arrays, kind).values()] for kind in ("state", "target"))
        thresholds, steps = Thresholds(**about.thresholds), arrays["steps"]
        if about.verdict not in VERDICTS or (about.is_registered and about.method not in METHODS):
            raise ValueError(f"it has the verdict {about.verdict} of {about.method}, which this version does not know")
        found = None if about.target["form"] is None else _target(about.target, leaves)
    if method is None:
        _require(about.is_registered, f"its method is your own, of {about.method}", "method")
        method = METHODS[about.method]
    else:
        method = arguments.as_method(method)
        _refuse("method", {"method": about.method}, {"method": name_of(method)})
    if target is None:
        _require(found is not None, f"its target {about.target['name']!r} has a family of your own", "target")
        target = found
    else:
        target = arguments.as_target(target)
        _refuse("target", about.target | _numbers(leaves), _about_target(target) | _numbers(jax.tree.leaves(target)))
    if config is None:
        _require(not about.own_parts, f"parts of its config are your own: {', '.join(about.own_parts)}", "config")
        with _naming(path):
            config = _config(about.config, method)
    else:
        config = bind(method, arguments.as_config(config, method), target, int(steps[-1]))
        _refuse("config", about.config, describe(config))
    with _naming(path):
        history, metrics = _of_kind(arrays, "history"), _of_kind(arrays, "metrics")
        task, state = Task(method, target, config, about.standardize), _state(state, method, config)
        return as_result(task, state, steps, history, metrics, about.diverged_at, about.verdict, thresholds)


def describe(config: Config) -> dict[str, Any]:
    """A config's fields as JSON takes them: a user's own part is its qualified name."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return finite({name: qualified_name(value) if _is_own(value) else value for name, value in values.items()})


def _is_own(value: Any) -> bool:
    """Whether a field holds a user's own part, and no number, name, or size."""
    plain = value is None or isinstance(value, str | bool | int | float | np.ndarray | np.generic | jax.Array)
    return not plain and type(value) is not tuple


def _config(described: Mapping[str, Any], method: Method) -> Config:
    fields = {field.name for field in dataclasses.fields(method.Config)}
    if described.keys() != fields:
        raise ValueError(f"another version of jgen1d saved it: fields differ in {', '.join(described.keys() ^ fields)}")
    config = method.Config(**{name: tuple(v) if isinstance(v, list) else v for name, v in described.items()})
    validate(config)
    return config


def _about_target(target: Target) -> dict[str, Any]:
    """What of a target is not in its leaves; `form` is None for a family of the user's own."""
    form = next((name for name, (family, _) in _FORMS.items() if family == target.family), None)
    if isinstance(target.params, targets.SignalParams):  # laws share families
        form = next((name for name, (law, _) in targets.LAWS.items() if law is type(target.params.law)), None)
    units, discrete = target.own_units, target.discrete
    about = {
        "form": form,
        "name": target.name,
        "dim": target.dim,
        "shape": target.own_shape,
        "units": units and {"shift": units.shift, "scale": units.scale, "chart": units.chart._asdict()},
        "discrete": discrete and discrete._asdict(),
    }
    return finite(about)


def _target(about: Mapping[str, Any], leaves: list[Any]) -> Target:
    family, make = _FORMS[about["form"]]
    *params, mean, std, centers, scales, weights = leaves
    units, discrete = about["units"], about["discrete"]
    if units is not None:
        units = Units(units["shift"], units["scale"], Chart(**units["chart"]))
    if discrete is not None:  # JSON has no infinite numbers
        ends = {"low": -math.inf, "high": math.inf}
        discrete = Discrete(**discrete | {name: end for name, end in ends.items() if discrete[name] is None})
    modes, shape = Modes(centers, scales, weights), about["shape"] and tuple(about["shape"])
    return Target(make(*params), mean, std, modes, family, about["dim"], about["name"], units, discrete, shape)


def _state(leaves: list[np.ndarray], method: Method, config: Config) -> State:
    """A state of its leaves, with the structure that the method's `init` gives it."""
    like = state_shapes(method.init, config)
    kept, wanted = ([(leaf.shape, leaf.dtype) for leaf in some] for some in (leaves, jax.tree.leaves(like)))
    if kept != wanted:
        raise ValueError("its state has not the shapes that this version's method has")
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _numbers(leaves: list[Any]) -> dict[str, Any]:
    return {"parameters": [np.asarray(leaf).tolist() for leaf in leaves]}


def _of_kind(arrays: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{kind}/"): array for name, array in arrays.items() if name.startswith(f"{kind}/")}


def _require(is_there: bool, why: str, argument: str) -> None:
    if not is_there:
        raise ValueError(f"load: {why}: pass {argument}=")


def _refuse(argument: str, saved: Mapping[str, Any], passed: Mapping[str, Any]) -> None:
    if found := difference(saved, passed):
        raise ValueError(f"load: {argument}= is not what was saved: {found}")


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names the file in whatever goes wrong with its content."""
    try:
        yield
    except Exception as error:  # what readers raise at damage is a list without an end
        raise ValueError(f"{str(path)!r} is missing or damaged: {files.one_line(error)}") from error
