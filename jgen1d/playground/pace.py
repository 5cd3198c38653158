"""How fast is a run shown: the epochs between two frames, and the seconds that a frame stays."""

from __future__ import annotations

from typing import NamedTuple

SPEEDS = {"single": None, "slow": 60.0, "normal": 15.0, "fast": 5.0, "fastest": 0.0}
"""The seconds that a run lasts, about; None for single steps, 0 for as fast as the machine can."""
DEFAULT_SPEED = "normal"
FRAMES_PER_SECOND = 16
"""Asked for, so that 10 are left where two pages and a browser share two cores."""
SINGLE_SECONDS = 0.25
"""Between single steps; no frame of a short run stays longer either."""


class Pace(NamedTuple):
    """What comes between two frames.

    Attributes:
      epochs: to train, at least 1; None for as many as are done in time.
      seconds: from one frame to the next, at least.
    """

    epochs: int | None
    seconds: float


def pace(speed: str, num_epochs: int) -> Pace:
    """The pace at which a run of so many epochs is shown; whole epochs a frame, so that every machine shows the same.

    Args:
      speed: a name of `SPEEDS` but "single", whose frames are steps.
      num_epochs: of the whole run, at least 1.
    """
    lasts = SPEEDS[speed]
    if not lasts:
        return Pace(None, 0.0)
    epochs = max(1, round(num_epochs / (lasts * FRAMES_PER_SECOND)))
    return Pace(epochs, min(SINGLE_SECONDS, lasts * epochs / num_epochs))
