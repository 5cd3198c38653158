"""Generative models in one dimension, where everything is known exactly, trained by pure JAX functions."""

from jgen1d.core import Method
from jgen1d.interpolation import lerp, slerp
from jgen1d.methods import METHODS
from jgen1d.results import Table, load, save
from jgen1d.sweep import Sweep, grid, sweep
from jgen1d.targets import TARGETS, Target
from jgen1d.train import Result, fit
from jgen1d.verdict import Thresholds

__all__ = [
    "METHODS",
    "TARGETS",
    "Method",
    "Result",
    "Sweep",
    "Table",
    "Target",
    "Thresholds",
    "fit",
    "grid",
    "lerp",
    "load",
    "save",
    "slerp",
    "sweep",
]
