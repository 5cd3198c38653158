"""The distributions that models are trained on, of which everything is known exactly, and their registry `TARGETS`."""

from collections.abc import Callable

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
from jgen1d.targets.factors import Pulse, Sine, TwoShapes
from jgen1d.targets.family import Family, uniforms
from jgen1d.targets.finite_sample import EMPIRICAL, empirical
from jgen1d.targets.images import Digits, digits
from jgen1d.targets.mixtures import grid, mixture, normal, ring
from jgen1d.targets.normals import LOG_2PI, NORMAL_MIXTURE, PLANAR_MIXTURE, MixtureParams, Modes
from jgen1d.targets.piecewise import PIECEWISE_LINEAR, PiecewiseLinearParams, piecewise_linear
from jgen1d.targets.processes import Gaussian, OrnsteinUhlenbeck, entropy
from jgen1d.targets.rows import Rows
from jgen1d.targets.signal_targets import (
    FACTORED,
    LABELLED,
    PROCESS,
    ROWS,
    SignalParams,
    gaussian_process,
    ornstein_uhlenbeck,
    periodic,
    pulse,
    signals,
    sine,
    smooth,
    two_shapes,
)
from jgen1d.targets.steps import STEPS, StepsParams
from jgen1d.targets.target import Target
from jgen1d.targets.units import SCALES_HELD, Chart, Units

LAWS: dict[str, tuple[type, Family]] = {
    "gaussian": (Gaussian, PROCESS),
    "ornstein_uhlenbeck": (OrnsteinUhlenbeck, PROCESS),
    "sine": (Sine, FACTORED),
    "pulse": (Pulse, FACTORED),
    "two_shapes": (TwoShapes, LABELLED),
    "rows": (Rows, ROWS),
    "digits": (Digits, LABELLED),
}
"""The laws of signals by name, and the functions of each."""
OPTIONAL: dict[str, Callable[[], Target]] = {"digits": digits}
"""Targets that need an extra, and are made when they are asked for."""


class _Targets(dict[str, Target]):
    """Targets by name; those of `OPTIONAL` are among them once they have been asked for."""

    def __missing__(self, name: str) -> Target:
        if name not in OPTIONAL:
            raise KeyError(name)
        return self.setdefault(name, OPTIONAL[name]())


TARGETS: dict[str, Target] = _Targets(
    {
        "normal": normal(4.0, 0.5),
        "bimodal": mixture([0.5, 0.5], [2.0, 6.0], [0.4, 0.4], name="bimodal"),
        "uniform": uniform(2.0, 6.0),
        "exponential": exponential(0.5),
        "mixture": mixture([0.33, 0.33, 0.34], [1.5, 4.0, 7.0], [0.3, 0.4, 0.25]),
        "two_normals": mixture([0.25, 0.75], [-5.0, 2.0], [1.0, 1.0], name="two_normals"),
        "ring": ring(),
        "grid": grid(),
        "disk": disk(),
        "ornstein_uhlenbeck": ornstein_uhlenbeck(),
        "smooth": smooth(),
        "periodic": periodic(),
        "sine": sine(),
        "pulse": pulse(),
        "two_shapes": two_shapes(),
    }
)
NAMES = (*TARGETS, *OPTIONAL)
"""Of all registered targets."""


def get(name: str) -> Target:
    """The registered target of that name. Raises ValueError, with the nearest name, if there is none."""
    if name not in NAMES:
        raise ValueError(f"no target {unknown(name, NAMES)}")
    return TARGETS[name]


__all__ = [
    "DISK",
    "EMPIRICAL",
    "EXPONENTIAL",
    "FACTORED",
    "LABELLED",
    "LAWS",
    "LOG_2PI",
    "NAMES",
    "NORMAL_MIXTURE",
    "OPTIONAL",
    "PIECEWISE_LINEAR",
    "PLANAR_MIXTURE",
    "PROCESS",
    "ROWS",
    "SCALES_HELD",
    "STEPS",
    "TARGETS",
    "UNIFORM",
    "Chart",
    "Digits",
    "Discrete",
    "DiskParams",
    "ExponentialParams",
    "Family",
    "Gaussian",
    "MixtureParams",
    "Modes",
    "OrnsteinUhlenbeck",
    "PiecewiseLinearParams",
    "Pulse",
    "Rows",
    "SignalParams",
    "Sine",
    "StepsParams",
    "Target",
    "TwoShapes",
    "UniformParams",
    "Units",
    "digits",
    "disk",
    "empirical",
    "entropy",
    "exponential",
    "gaussian_process",
    "get",
    "grid",
    "mixture",
    "normal",
    "ornstein_uhlenbeck",
    "periodic",
    "piecewise_linear",
    "pulse",
    "ring",
    "signals",
    "sine",
    "smooth",
    "two_shapes",
    "uniform",
    "uniforms",
]
