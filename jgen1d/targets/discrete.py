"""What of a column is discrete, and how are continuous samples made discrete again?"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.core import Key


class Discrete(NamedTuple):
    """A step between values, or one value that is taken again and again.

    A model learns the rest of the distribution, which is continuous: of a column with a step, its values plus uniform
    noise of one step's width; of one with an atom, the other values.

    Attributes:
      step: from one value to the next, in data units; 0 for none.
      origin: one of the values; the others are whole steps away.
      low: the least value that samples may take.
      high: the greatest.
      atom: the value that is taken again and again; None for none.
      share: of the values, how many are the atom.
    """

    step: float = 0.0
    origin: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    atom: float | None = None
    share: float = 0.0

    def __str__(self) -> str:
        """In words."""
        step = [f"steps of {self.step:g}"] if self.step else []
        return ", ".join(step + ([] if self.atom is None else [f"{100 * self.share:.3g} % are {self.atom:g}"]))

    def restore(self, key: Key, samples: Any) -> Any:
        """Samples as the column has them: rounded to its step, and the atom as often as there.

        Args:
          key: decides which samples are the atom.
          samples: f64[n, dim] of the continuous part, in data units.
        """
        if self.step:
            samples = self.origin + self.step * ((samples - self.origin) / self.step).round()
            samples = samples.clip(self.low, self.high)
        if self.atom is not None:
            is_atom = jax.random.bernoulli(key, self.share, samples.shape)
            traced = isinstance(samples, jax.core.Tracer)
            samples = jnp.where(is_atom, self.atom, samples) if traced else _place(samples, is_atom, self.atom)
        return samples


def _place(samples: Any, where: Any, value: float) -> Any:
    """A float64 copy of NumPy samples with `value` in some places: JAX would make float32 of them."""
    samples = samples.copy()
    samples[jax.device_get(where)] = value
    return samples
