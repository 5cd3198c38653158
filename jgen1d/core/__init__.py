"""What a method is, and how its hyper-parameters are declared, checked and written as text."""

from jgen1d.core import door
from jgen1d.core.config import bind, lookup, pytree_dataclass, replace, sizes, static, traced, validate, with_shape
from jgen1d.core.contract import (
    Config,
    Info,
    InitFn,
    Key,
    LogProbFn,
    Method,
    Players,
    PyTree,
    SampleFn,
    State,
    StepFn,
    Trajectory,
)
from jgen1d.core.labels import check_condition, condition_keyword, num_classes
from jgen1d.core.text import format_value, literal, nearest, parse, qualified_name, unknown

__all__ = [
    "Config",
    "Info",
    "InitFn",
    "Key",
    "LogProbFn",
    "Method",
    "Players",
    "PyTree",
    "SampleFn",
    "State",
    "StepFn",
    "Trajectory",
    "bind",
    "check_condition",
    "condition_keyword",
    "door",
    "format_value",
    "literal",
    "lookup",
    "nearest",
    "num_classes",
    "parse",
    "pytree_dataclass",
    "qualified_name",
    "replace",
    "sizes",
    "static",
    "traced",
    "unknown",
    "validate",
    "with_shape",
]
