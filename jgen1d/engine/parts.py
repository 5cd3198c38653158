"""Several computations in a row with one folder of checkpoints, and one command that resumes them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from jgen1d.engine.checkpoint import Checkpoints


class Part:
    """One of several computations in a row that share checkpoints; it is used like these.

    Args:
      whole: the checkpoints, entered by the caller.
      name: of the part, unlike that of any other, without "/".
    """

    def __init__(self, whole: Checkpoints, name: str):
        self._whole, self._prefix = whole, f"{name}/"
        whole.keep()  # what the part before holds
        self._saved = whole.restore() or {}

    def restore(self) -> dict[str, np.ndarray] | None:
        """The part's newest arrays that are as they were saved, or None."""
        start = len(self._prefix)
        return {name[start:]: leaf for name, leaf in self._saved.items() if name.startswith(self._prefix)} or None

    def due(self) -> bool:
        """As of `Checkpoints`."""
        return self._whole.due()

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Saves the arrays, and those of the parts before; raises as `Checkpoints.save` does."""
        self._whole.save(self._with(arrays))

    def hold(self, make: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """As of `Checkpoints`; the next part saves it before it starts."""
        self._whole.hold(lambda: self._with(make()))

    def _with(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._saved | {self._prefix + name: leaf for name, leaf in arrays.items()}
