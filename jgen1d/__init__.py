"""Generative models in one dimension, where everything is known exactly, trained by pure JAX functions."""

import sys
from importlib import metadata

from jgen1d.core import Method
from jgen1d.engine.compiled import keep_compiled
from jgen1d.engine.run import run
from jgen1d.engine.task import Task
from jgen1d.evaluation import metrics, theory, verdict
from jgen1d.evaluation.verdict import Thresholds
from jgen1d.fitting import Result, fit
from jgen1d.maths.interpolation import lerp, slerp
from jgen1d.methods import METHODS
from jgen1d.report.table import Table
from jgen1d.report.workdir import load, save
from jgen1d.sweeps import Sweep, grid, sweep
from jgen1d.targets import TARGETS, Target

try:
    __version__ = metadata.version("jgen1d")
except metadata.PackageNotFoundError:
    __version__ = "unknown"  # it runs from a checkout and is not installed

# `import jgen1d.metrics` works too: these names are older than their room.
sys.modules |= {f"jgen1d.{module.__name__.rpartition('.')[2]}": module for module in (metrics, theory, verdict)}

__all__ = [
    "METHODS",
    "TARGETS",
    "Method",
    "Result",
    "Sweep",
    "Table",
    "Target",
    "Task",
    "Thresholds",
    "__version__",
    "fit",
    "grid",
    "keep_compiled",
    "lerp",
    "load",
    "metrics",
    "run",
    "save",
    "slerp",
    "sweep",
    "theory",
    "verdict",
]
