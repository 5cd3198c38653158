"""How far generated samples are from a target: distances, mode coverage and noise floors.

Pure functions, arrays in and scalars out, written for one set of samples; `vmap` outside.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgen1d.targets import Modes, Target

COVERED_SHARE = 0.2
"""A mode is covered when it holds at least this share of its expected mass."""
RADIUS = 3.0
"""A sample belongs to a mode within this many of the mode's scales."""
NUM_DIRECTIONS = 32
"""Directions of the sliced distance in 2-D, evenly spaced over half a turn."""
NUM_ENERGY_POINTS = 2_500
"""How many of the reference's points the energy distance is taken from, about: it sorts them among the samples."""
NUM_BINS = 100
"""Bins of the grid on which the Jensen–Shannon divergence is taken."""


class Reference(NamedTuple):
    """What samples of one size are compared with, computed once per target.

    Attributes:
      points: f32[directions, m], the target's quantiles at the midpoints of m cells, sorted; in 2-D, of the projections
        of a large sample on each direction. m is a multiple of the number of samples.
      floor: f32[], the expected W1 of a perfect sampler of the same size.
    """

    points: jax.Array
    floor: jax.Array


def reference(target: Target, num_samples: int, *, num_points: int = 8192) -> Reference:
    """Prepares the comparison of `num_samples` samples with a target.

    Args:
      target: the target.
      num_samples: how many samples each comparison will have.
      num_points: the least number of quantiles to compare with: it is rounded up to a multiple of `num_samples`, and
        at least 4 per sample.
    """
    cells = num_samples * max(4, math.ceil(num_points / num_samples))
    if target.dim == 1:
        points = target.quantile((jnp.arange(cells) + 0.5) / cells)[None]
        return Reference(points, w1_floor(target, num_samples))
    key_points, key_perfect = jax.random.split(jax.random.key(0))
    points = jnp.sort(directions(target.dim) @ target.sample(key_points, cells).T, axis=1)
    perfect = jax.lax.map(lambda key: target.sample(key, num_samples), jax.random.split(key_perfect, 8))
    return Reference(points, jnp.mean(jax.lax.map(lambda samples: w1(samples, points), perfect)))


def directions(dim: int) -> jax.Array:
    """The unit vectors on which distances are sliced: f32[1, 1] in 1-D, f32[NUM_DIRECTIONS, 2] in 2-D."""
    if dim == 1:
        return jnp.ones((1, 1))
    angles = jnp.arange(NUM_DIRECTIONS) * (math.pi / NUM_DIRECTIONS)
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


def _ordered(samples: jax.Array) -> jax.Array:
    """The projections of f32[n, dim] on each direction, sorted: f32[directions, n]."""
    return jnp.sort(samples.T if samples.shape[1] == 1 else directions(samples.shape[1]) @ samples.T, axis=1)


def w1(samples: jax.Array, points: jax.Array) -> jax.Array:
    """The Wasserstein-1 distance ∫₀¹ |Fₙ⁻¹(u) − F⁻¹(u)| du; its mean over directions (sliced) in 2-D.

    Args:
      samples: f32[n, dim].
      points: f32[directions, n·k], from `reference`: the integral is taken with k ≥ 4 quantiles per sample.

    Returns:
      f32[], in data units.
    """
    ordered = _ordered(samples)
    return jnp.mean(jnp.abs(points.reshape(*ordered.shape, -1) - ordered[:, :, None]))


def w1_floor(target: Target, num_samples: int) -> jax.Array:
    """E[W1] of `num_samples` samples of a 1-D target against the target itself: √(2/π)·∫√(F(1−F))/√n.

    The limit of del Barrio, Giné & Matrán (1999) for large n; for two samples of n each multiply by √2.
    """
    ends = target.quantile(jnp.array([1e-6, 1 - 1e-6]))
    x = jnp.linspace(ends[0], ends[1], 4097)
    cdf = target.cdf(x)
    return math.sqrt(2 / math.pi / num_samples) * jnp.trapezoid(jnp.sqrt(cdf * (1 - cdf)), x)


def ks(samples: jax.Array, target: Target) -> jax.Array:
    """The Kolmogorov–Smirnov distance sup |Fₙ − F| of f32[n, 1] to a 1-D target, f32[]."""
    ordered = _ordered(samples)[0]
    n = len(ordered)
    cdf = target.cdf(ordered)
    # F may jump (a finite sample's does): just below a sample it is F(x−), the cdf of the next smaller float; below 0
    # that would be a subnormal number, which is flushed to 0.
    smaller = jnp.where(ordered == 0, -jnp.finfo(ordered.dtype).tiny, jnp.nextafter(ordered, -jnp.inf))
    below = target.cdf(smaller)
    upper, lower = (jnp.arange(n) + 1) / n - cdf, below - jnp.arange(n) / n
    # Equal samples jump together: only the last of them ends the step, only the first begins it.
    rises, edge = ordered[1:] > ordered[:-1], jnp.ones(1, bool)
    last, first = jnp.concatenate([rises, edge]), jnp.concatenate([edge, rises])
    return jnp.maximum(jnp.max(jnp.where(last, jnp.abs(upper), 0)), jnp.max(jnp.where(first, jnp.abs(lower), 0)))


def js(samples: jax.Array, target: Target) -> jax.Array:
    """The Jensen–Shannon divergence in nats between the binned samples f32[n, 1] and the binned 1-D target.

    The bins are `NUM_BINS` equal ones over the target's central 99.8 %, and one on each side for the rest; the target's
    masses are differences of its cdf. A perfect sampler scores about NUM_BINS/8n, not 0.
    """
    edges = jnp.linspace(target.quantile(1e-3), target.quantile(1 - 1e-3), NUM_BINS + 1)
    below = jnp.searchsorted(_ordered(samples)[0], edges, side="right") / len(samples)
    expected, observed = (jnp.diff(cdf, prepend=0.0, append=1.0) for cdf in (target.cdf(edges), below))
    middle = (expected + observed) / 2
    return 0.5 * (_relative_entropy(expected, middle) + _relative_entropy(observed, middle))


def energy(samples: jax.Array, points: jax.Array) -> jax.Array:
    """The energy distance 2E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖ = 2∫(Fₙ − F)²; its mean over directions in 2-D.

    Args:
      samples: f32[n, dim].
      points: f32[directions, m], from `reference`.

    References:
      Székely & Rizzo 2013, Energy statistics; sliced in 2-D.
    """
    most = max(1, points.shape[1] // NUM_ENERGY_POINTS)
    stride = next(stride for stride in range(most, 0, -1) if points.shape[1] % stride == 0)

    def along(x: jax.Array, y: jax.Array) -> jax.Array:
        both = jnp.concatenate([x, y])
        order = jnp.argsort(both)
        steps = jnp.where(order < len(x), 1 / len(x), -1 / len(y))
        return 2 * jnp.sum(jnp.cumsum(steps)[:-1] ** 2 * jnp.diff(both[order]))

    return jnp.mean(jax.vmap(along)(_ordered(samples), points[:, stride // 2 :: stride]))


def kl(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """KL(p‖q) in nats: the mean of log p − log q, f32[n] each, over the same draws of p."""
    return jnp.mean(log_p - log_q)


def mode_mass(samples: jax.Array, modes: Modes) -> jax.Array:
    """The share of f32[n, dim] that lies within `RADIUS` scales of each mode, and of no nearer one: f32[k]."""
    distance = jnp.linalg.norm(samples[:, None] - modes.centers[None], axis=2) / modes.scales[None]
    nearest = jnp.argmin(distance, axis=1)
    inside = jnp.min(distance, axis=1) <= RADIUS
    return jnp.mean(jax.nn.one_hot(nearest, len(modes.scales)) * inside[:, None], axis=0)


def expected_high_quality(dim: int) -> float:
    """The share of a normal's mass within `RADIUS` scales: 99.73 % in 1-D, 98.89 % in 2-D."""
    return math.erf(RADIUS / math.sqrt(2)) if dim == 1 else 1 - math.exp(-(RADIUS**2) / 2)


def covered(mass: jax.Array, modes: Modes) -> jax.Array:
    """Which modes hold at least `COVERED_SHARE` of their expected mass: bool[k]."""
    return mass >= COVERED_SHARE * modes.weights


def hit(samples: jax.Array, modes: Modes) -> jax.Array:
    """Which modes have one sample within `RADIUS` scales, the literature's weaker rule (Lin et al. 2018): bool[k].

    Only for the comparison with published tables: a mode that keeps one sample in thousands counts as found.
    """
    distance = jnp.linalg.norm(samples[:, None] - modes.centers[None], axis=2) / modes.scales[None]
    return jnp.any(distance <= RADIUS, axis=0)


def mode_tv(mass: jax.Array, modes: Modes) -> jax.Array:
    """The total variation between the masses of modes and of the rest, observed f32[k] and expected, f32[]."""
    high_quality = expected_high_quality(modes.centers.shape[1])
    expected = high_quality * modes.weights
    return 0.5 * (jnp.sum(jnp.abs(mass - expected)) + jnp.abs(jnp.sum(mass) - high_quality))


def reverse_kl(mass: jax.Array, modes: Modes) -> jax.Array:
    """KL in nats of the histogram over modes f32[k], divided by its sum, from the weights; infinite where it is empty.

    A perfect sampler scores about (k − 1)/2n.
    """
    total = jnp.sum(mass)
    return jnp.where(total > 0, _relative_entropy(mass / jnp.where(total > 0, total, 1), modes.weights), jnp.inf)


def _relative_entropy(p: jax.Array, q: jax.Array) -> jax.Array:
    """Σ p log(p/q) over bins, 0 where p is 0."""
    return jnp.sum(jnp.where(p > 0, p * (jnp.log(jnp.where(p > 0, p, 1)) - jnp.log(jnp.where(q > 0, q, 1))), 0))


def curves(samples: jax.Array, target: Target, reference: Reference) -> dict[str, jax.Array]:
    """The cheap metrics, for every point of a history: f32[] by name."""
    distance = w1(samples, reference.points)
    spread = jnp.std(samples, axis=0)
    scalars = {
        "w1": distance,
        "w1_over_std": distance / jnp.mean(jnp.asarray(target.std)),
        "std_ratio": jnp.linalg.norm(spread) / jnp.linalg.norm(jnp.asarray(target.std)),
    }
    if target.dim == 1:
        scalars |= {"mean": jnp.mean(samples), "std": spread[0]}
    return scalars


def evaluate_class(samples: jax.Array, target: Target, label: jax.Array) -> dict[str, jax.Array]:
    """Of samples f32[n, dim] that a model gave one label: f32[] by name.

    `class_w1_over_floor` is their W1 to the mode of that label, over a perfect sampler's. `class_accuracy` is the share
    of them that are, by the exact posterior, most probably of that mode: 1 at most, for modes that do not overlap.
    """
    mode = target.mode(label)
    known = reference(mode, len(samples))
    return {
        "class_w1_over_floor": w1(samples, known.points) / known.floor,
        "class_accuracy": jnp.mean((target.most_probable_label(samples) == label).astype(samples.dtype)),
    }


def evaluate(samples: jax.Array, target: Target, reference: Reference) -> dict[str, jax.Array]:
    """Every metric that applies to the target, of samples f32[n, dim] in data units: f32[] or f32[k] by name."""
    scalars = curves(samples, target, reference)
    mean, std = jnp.asarray(target.mean), jnp.asarray(target.std)
    scalars |= {
        "w1_over_floor": scalars["w1"] / reference.floor,
        "energy": energy(samples, reference.points),
        "mean_error": jnp.linalg.norm(jnp.mean(samples, axis=0) - mean),
        "std_error": jnp.linalg.norm(jnp.std(samples, axis=0) - std),
    }
    if target.dim == 1:
        scalars |= {"ks": ks(samples, target), "js": js(samples, target)}
    modes = jax.tree.map(jnp.asarray, target.modes)
    if len(modes.scales):
        mass = mode_mass(samples, modes)
        scalars |= {
            "mode_mass": mass,
            "modes_covered": jnp.sum(covered(mass, modes)).astype(float),
            "modes_hit": jnp.sum(hit(samples, modes)).astype(float),
            "high_quality": jnp.sum(mass),
            "mode_tv": mode_tv(mass, modes),
            "reverse_kl": reverse_kl(mass, modes),
        }
    return scalars
