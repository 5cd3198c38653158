"""The outcome of an agent that learned in a model of the world, in one word, from its returns there and in reality."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

VERDICTS = ("solved", "exploits_the_model", "not_learned", "diverged")


def classify(
    real_return: ArrayLike, dream_return: ArrayLike, solved_at: float, diverged: ArrayLike = False
) -> np.ndarray:
    """Names the outcome of each run by the first rule that holds.

    - `diverged`: its parameters, or its return in reality, are not finite.
    - `solved`: its mean return in reality is at least `solved_at`, whatever it dreams.
    - `exploits_the_model`: in the dream it is, in reality it is not.
    - `not_learned`: the rest.

    Args:
      real_return: f[...], the mean return of greedy episodes in the real environment.
      dream_return: f[...], the same in the model of the end; NaN for an agent that does not dream.
      solved_at: from which mean return on the task counts as solved, `Environment.solved_at`.
      diverged: bool[...].

    Returns:
      str[...], each in `VERDICTS`.
    """
    real, dream = np.asarray(real_return, float), np.asarray(dream_return, float)
    rules = {
        "diverged": np.asarray(diverged) | ~np.isfinite(real),
        "solved": real >= solved_at,
        "exploits_the_model": dream >= solved_at,
    }
    shape = np.broadcast_shapes(real.shape, dream.shape)
    return np.select([np.broadcast_to(rule, shape) for rule in rules.values()], list(rules), "not_learned")
