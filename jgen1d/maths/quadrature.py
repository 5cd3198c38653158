"""Points and weights that replace an expectation by a sum."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def midpoints(count: int) -> jax.Array:
    """The midpoints of `count` equal cells of (0, 1), f32[count]: the quantiles of U(0, 1) with equal weights."""
    return (jnp.arange(count) + 0.5) / count


def lattice(count: int, dim: int) -> np.ndarray:
    """Points in the unit cube, f64[dim, count]: a grid along the first axis, Kronecker's sequence along others.

    Its steps are the square roots of primes (Niederreiter 1992, Random number generation and quasi-Monte Carlo methods,
    section 3.1). A row does not depend on how many there are.
    """
    steps = [1 / count, *map(math.sqrt, _primes(operator.index(dim) - 1))]
    return np.mod(np.outer(steps, np.arange(count)), 1)


def centred_lattice(count: int, dim: int) -> np.ndarray:
    """The `lattice` in the middle of its cells, f64[dim, count] in (0, 1): in 1-D, the midpoints."""
    return np.mod(lattice(count, dim) + 0.5 / count, 1)


def normal_nodes(count: int) -> tuple[jax.Array, jax.Array]:
    """The trapezoid rule for expectations under N(0, 1).

    It converges fast for smooth functions. For those that bend within a few hundredths, such as the logits of separate
    modes, it converges long before the Gauss–Hermite rule does.

    Args:
      count: how many nodes, at least 2.

    Returns:
      Nodes f32[count], evenly spaced over ±9 (2e-19 of the mass lies outside), and weights f32[count] with sum 1.
    """
    nodes = np.linspace(-9, 9, count)
    density = np.exp(-0.5 * nodes**2)
    return jnp.asarray(nodes, dtype=float), jnp.asarray(density / density.sum(), dtype=float)


def graded_nodes(count: int, core: float, extent: float) -> tuple[jax.Array, jax.Array]:
    """The trapezoid rule for integrals over the line, fine around 0: x = c·sinh(u) with even steps in u.

    Args:
      count: how many nodes, at least 2.
      core: c, above 0. Within it nodes are about evenly spaced; beyond, their distances grow with |x|.
      extent: where the nodes end, on both sides; what lies beyond is left out.

    Returns:
      Nodes f32[count], and the widths of their cells, f32[count], with which to weight the integrand.
    """
    u = np.linspace(-1, 1, count) * np.arcsinh(extent / core)
    return jnp.asarray(core * np.sinh(u), float), jnp.asarray(core * np.cosh(u) * (u[1] - u[0]), float)


def binomial_mean(function: Callable[[jax.Array], jax.Array], num_draws: int, probability: jax.Array) -> jax.Array:
    """E f(X/n) for X ~ Binomial(n, p), at each of many p: by a sum over 129 values of X around the mean.

    Args:
      function: f, of shares f32[k, 129], each row around one p.
      num_draws: n, at least 1.
      probability: p, f32[k] in [0, 1].

    Returns:
      f32[k].

    References:
      Loader 2000, Fast and accurate computation of binomial probabilities: the deviance, which float32 can hold.
    """
    n, p = num_draws, jnp.clip(probability, 1e-12, 1 - 1e-7)[:, None]
    stride = jnp.ceil(jnp.sqrt(n * p * (1 - p)) / 12)
    lowest = jnp.maximum(jnp.round(n * p) - 64 * stride, 0)
    x = lowest + stride * jnp.arange(129)[None]
    inside = x <= n
    x = jnp.where(inside, x, lowest)
    # log P(X = x) = −n·KL(x/n ‖ p) − ½ log x(n − x) − Stirling's errors + constant
    deviance = _deviance(x, n * p) + _deviance(n - x, n * (1 - p))
    mass = jnp.where(inside, jnp.exp(-deviance - _stirling(x) - _stirling(n - x)), 0)
    return jnp.sum(mass * function(x / n), axis=1) / jnp.sum(mass, axis=1)


def _deviance(x: jax.Array, mean: jax.Array) -> jax.Array:
    """x log(x/m) + m − x."""
    excess = (x - mean) / mean
    return mean * ((1 + excess) * jnp.log1p(jnp.maximum(excess, -1 + 1e-7)) - excess)


def _stirling(x: jax.Array) -> jax.Array:
    """log x! − (x log x − x)."""
    large = jnp.maximum(x, 1)
    series = 0.5 * jnp.log(2 * jnp.pi * large) + 1 / (12 * large) - 1 / (360 * large**3) + 1 / (1260 * large**5)
    return jnp.where(x > 0, series, 0)


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found
