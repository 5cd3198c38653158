"""A double integrator with noise and quadratic cost, of which the optimal agent is known.

s′ = A s + B u + σ w with w ~ N(0, I), and the cost of a step is sᵀQ s + uᵀR u. Under a discount γ the optimal action is
u = −K s, and the optimal expected sum of discounted costs is sᵀP s + γ/(1 − γ)·σ² tr P.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d.core import Key
from jgen1d.worlds.environment import Environment

SECONDS = 0.1  # per step
A = np.array([[1.0, SECONDS], [0.0, 1.0]])
B = np.array([[0.5 * SECONDS**2], [SECONDS]])
Q = np.diag([1.0, 0.1])
R = np.array([[0.1]])
NOISE = 0.05
"""σ, the standard deviation of the noise of each coordinate."""


class Optimum(NamedTuple):
    """The optimal agent: its gain K, f64[1, 2], the matrix P, f64[2, 2], and the cost that noise adds, a float."""

    gain: np.ndarray
    matrix: np.ndarray
    constant: float


def reset(key: Key) -> jax.Array:
    """Draws position in m and velocity in m/s, f32[2], from N(0, I)."""
    return jax.random.normal(key, (2,))


def step(key: Key, state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Accelerates by `action`, f32[1] in m/s², for 0.1 s, with noise. The reward is minus the cost. Never done."""
    a, b, q, r = (jnp.asarray(matrix, state.dtype) for matrix in (A, B, Q, R))
    cost = state @ q @ state + action @ r @ action
    after = a @ state + b @ action + NOISE * jax.random.normal(key, (2,))
    return after, -cost, jnp.zeros_like(cost, bool)


def observe(state: jax.Array) -> jax.Array:
    """The whole state, f32[2]."""
    return state


def optimum(discount: float, transition: np.ndarray = A, control: np.ndarray = B, noise: float = NOISE) -> Optimum:
    """The optimal agent by Riccati's equation, on the host, in float64.

    Args:
      discount: γ, in (0, 1).
      transition: A, f64[2, 2]; of a model, its own.
      control: B, f64[2, 1]; of a model, its own.
      noise: σ.

    References:
      Bertsekas 2012, Dynamic programming and optimal control, volume II, section 4.2.
    """
    from scipy import linalg  # imported here because it takes as long as JAX

    a, b = np.sqrt(discount) * np.asarray(transition, float), np.sqrt(discount) * np.asarray(control, float)
    matrix = linalg.solve_discrete_are(a, b, Q, R)
    gain = np.linalg.solve(R + b.T @ matrix @ b, b.T @ matrix @ a)
    return Optimum(gain, matrix, float(discount / (1 - discount) * noise**2 * np.trace(matrix)))


def cost_of(gain: np.ndarray, discount: float, offset: float = 0.0) -> float:
    """The expected sum of discounted costs of u = −K s + b from N(0, I) on; infinite if it does not converge.

    Args:
      gain: K, f64[1, 2].
      discount: γ, in (0, 1).
      offset: b.
    """
    from scipy import linalg  # imported here because it takes as long as JAX

    gain = np.asarray(gain, float)
    closed = np.sqrt(discount) * (A - B @ gain)
    if not np.isfinite(closed).all() or np.abs(np.linalg.eigvals(closed)).max() >= 1:
        return float("inf")
    # Of the state (s, 1), in which u = −[K, −b]·(s, 1) is linear.
    both = np.hstack([gain, [[-offset]]])
    moves = np.sqrt(discount) * np.block([[A - B @ gain, B * offset], [np.zeros((1, 2)), np.ones((1, 1))]])
    matrix = linalg.solve_discrete_lyapunov(moves.T, linalg.block_diag(Q, 0) + both.T @ R @ both)
    return float(np.trace(matrix) + discount / (1 - discount) * NOISE**2 * np.trace(matrix[:2, :2]))


ENVIRONMENT = Environment(reset, step, observe, observation_dim=2, max_steps=100)
