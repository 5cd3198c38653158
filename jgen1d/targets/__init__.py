"""The distributions that models are trained on, of which everything is known exactly, and their registry `TARGETS`."""

from jgen1d.core import unknown
from jgen1d.targets.closed_form import (
    DISK,
    EXPONENTIAL,
    UNIFORM,
    DiskParams,
    ExponentialParams,
    UniformParams,
    disk,
    exponential,
    uniform,
)
from jgen1d.targets.discrete import Discrete
from jgen1d.targets.family import Family, uniforms
from jgen1d.targets.finite_sample import EMPIRICAL, empirical
from jgen1d.targets.mixtures import grid, mixture, normal, ring
from jgen1d.targets.normals import LOG_2PI, NORMAL_MIXTURE, PLANAR_MIXTURE, MixtureParams, Modes
from jgen1d.targets.piecewise import PIECEWISE_LINEAR, PiecewiseLinearParams, piecewise_linear
from jgen1d.targets.planar_sample import PLANAR_SAMPLE
from jgen1d.targets.steps import STEPS, StepsParams
from jgen1d.targets.target import Target
from jgen1d.targets.units import SCALES_HELD, Chart, Units

TARGETS: dict[str, Target] = {
    "normal": normal(4.0, 0.5),
    "bimodal": mixture([0.5, 0.5], [2.0, 6.0], [0.4, 0.4], name="bimodal"),
    "uniform": uniform(2.0, 6.0),
    "exponential": exponential(0.5),
    "mixture": mixture([0.33, 0.33, 0.34], [1.5, 4.0, 7.0], [0.3, 0.4, 0.25]),
    "two_normals": mixture([0.25, 0.75], [-5.0, 2.0], [1.0, 1.0], name="two_normals"),
    "ring": ring(),
    "grid": grid(),
    "disk": disk(),
}


def get(name: str) -> Target:
    """The registered target of that name. Raises ValueError, with the nearest name, if there is none."""
    if name not in TARGETS:
        raise ValueError(f"no target {unknown(name, TARGETS)}")
    return TARGETS[name]


__all__ = [
    "DISK",
    "EMPIRICAL",
    "EXPONENTIAL",
    "LOG_2PI",
    "NORMAL_MIXTURE",
    "PIECEWISE_LINEAR",
    "PLANAR_MIXTURE",
    "PLANAR_SAMPLE",
    "SCALES_HELD",
    "STEPS",
    "TARGETS",
    "UNIFORM",
    "Chart",
    "Discrete",
    "DiskParams",
    "ExponentialParams",
    "Family",
    "MixtureParams",
    "Modes",
    "PiecewiseLinearParams",
    "StepsParams",
    "Target",
    "UniformParams",
    "Units",
    "disk",
    "empirical",
    "exponential",
    "get",
    "grid",
    "mixture",
    "normal",
    "piecewise_linear",
    "ring",
    "uniform",
    "uniforms",
]
