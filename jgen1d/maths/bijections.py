"""Increasing maps of the line with free parameters, and couplings made of them: the layers of normalizing flows.

A map comes with its exact inverse and the logarithm of its derivative. Arrays have rows last: a layer maps f32[dim, n].
The maps' parameters, f32[num_params, dim, n], or [num_params, dim, 1] if all rows share them, may be any real numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

LEAST_BIN = 1e-4
"""The least width and height of a spline's bin, as a share of the interval: densities with steps need narrow bins."""
STEEPEST = 6.0  # the bound on the logarithm of a slope
LOGISTIC_SCALE = math.sqrt(3) / math.pi
"""The scale at which the logistic distribution has variance 1."""
_HIGHEST = jax.lax.Precision.HIGHEST  # a product that selects a number must return exactly that number


class Bijection(NamedTuple):
    """An increasing map of the line, applied to each dimension; all are affine far out, or tend to an affine map.

    Attributes:
      num_params: parameters of one map. With all of them 0, the map is the identity, or a smooth map near it.
      forward: `(params: f32[num_params, dim, n or 1], x: f32[dim, n]) -> (y, log dy/dx)`, f32[dim, n] each.
      inverse: `(params: f32[num_params, dim, n or 1], y: f32[dim, n]) -> x: f32[dim, n]`.
    """

    num_params: int
    forward: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    inverse: Callable[[jax.Array, jax.Array], jax.Array]


def affine() -> Bijection:
    """y = exp(s)·x + t, with parameters t and s; |s| is kept below `STEEPEST`.

    References:
      Dinh et al. 2017, Density estimation using Real NVP, equation 8.
    """

    def forward(params: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        log_scale = bounded(params[1])
        return jnp.exp(log_scale) * x + params[0], jnp.broadcast_to(log_scale, x.shape)

    def inverse(params: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.exp(-bounded(params[1])) * (y - params[0])

    return Bijection(2, forward, inverse)


def spline(num_bins: int, interval: ArrayLike) -> Bijection:
    """An affine map, then a rational-quadratic spline on [−interval, interval] with straight tails.

    The parameters are those of the affine map, the logits of the bins' widths and of their heights, and the logarithms
    of the slopes at the knots, each relative to the mean slope of the two bins beside it.

    References:
      Durkan et al. 2019, Neural spline flows, section 3.1; there the slope at both ends is 1.
    """

    def forward(params: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, log_scale = _AFFINE.forward(params[:2], x)
        y, log_slope = rational_quadratic(x, *spline_knots(params[2:], num_bins, interval))
        return y, log_slope + log_scale

    def inverse(params: jax.Array, y: jax.Array) -> jax.Array:
        x = rational_quadratic_inverse(y, *spline_knots(params[2:], num_bins, interval))
        return _AFFINE.inverse(params[:2], x)

    return Bijection(2 + 3 * num_bins + 1, forward, inverse)


def spline_knots(params: jax.Array, num_bins: int, interval: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The knots of `rational_quadratic`, from unbounded parameters.

    Args:
      params: f32[3·num_bins + 1, dim, n or 1]: logits of widths, logits of heights, relative log slopes.
      num_bins: bins between the knots, at least 1.
      interval: f32[], above 0: inputs and outputs are in [−interval, interval].

    Returns:
      Inputs, outputs and slopes, f32[num_bins + 1, dim, n or 1] each.
    """
    below = jnp.tril(
        jnp.ones((num_bins + 1, num_bins), params.dtype), -1
    )  # cumulative sums by a product: faster than cumsum

    def positions(shares: jax.Array) -> jax.Array:
        return jnp.multiply(interval, 2 * jnp.einsum("ik,kdn->idn", below, shares, precision=_HIGHEST) - 1)

    widths, heights = (_shares(logits, LEAST_BIN) for logits in jnp.split(params[: 2 * num_bins], 2))
    log_slopes = jnp.log(heights) - jnp.log(widths)
    log_slopes = jnp.concatenate([log_slopes[:1], 0.5 * (log_slopes[1:] + log_slopes[:-1]), log_slopes[-1:]])
    return positions(widths), positions(heights), jnp.exp(log_slopes + bounded(params[2 * num_bins :]))


def rational_quadratic(
    x: jax.Array, knots_x: jax.Array, knots_y: jax.Array, slopes: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The monotone rational-quadratic spline through the knots, with tails of the outer knots' slopes.

    Args:
      x: f32[dim, n].
      knots_x: f32[num_bins + 1, dim, n or 1], inputs, increasing.
      knots_y: f32[num_bins + 1, dim, n or 1], outputs, increasing.
      slopes: f32[num_bins + 1, dim, n or 1], derivatives at the knots, above 0.

    Returns:
      y and log dy/dx, f32[dim, n] each.

    References:
      Gregory & Delbourgo 1982, Piecewise rational quadratic interpolation to monotonic data.
      Durkan et al. 2019, Neural spline flows, equations 4 and 5; here with slopes relative to the bin's mean slope.
    """
    inside = jnp.clip(x, knots_x[0], knots_x[-1])
    x_low, width, y_low, height, slope_low, slope_high = _bin(inside, knots_x, knots_x, knots_y, slopes)
    slope = height / width
    low, high = slope_low / slope, slope_high / slope
    position = jnp.clip((inside - x_low) / width, 0, 1)
    square, cross, rest = position**2, position * (1 - position), (1 - position) ** 2
    denominator = 1 + (high + low - 2) * cross
    y = y_low + height * (square + low * cross) / denominator
    log_slope = jnp.log(slope) + jnp.log(high * square + 2 * cross + low * rest) - 2 * jnp.log(denominator)
    return y + jnp.exp(log_slope) * (x - inside), log_slope


def rational_quadratic_inverse(y: jax.Array, knots_x: jax.Array, knots_y: jax.Array, slopes: jax.Array) -> jax.Array:
    """The x, f32[dim, n], that `rational_quadratic` with the same knots and slopes maps to y, f32[dim, n].

    References:
      Durkan et al. 2019, Neural spline flows, equations 6 to 8, divided by the bin's height and mean slope.
    """
    inside = jnp.clip(y, knots_y[0], knots_y[-1])
    x_low, width, y_low, height, slope_low, slope_high = _bin(inside, knots_y, knots_x, knots_y, slopes)
    slope = height / width
    low, high = slope_low / slope, slope_high / slope
    position = jnp.clip((inside - y_low) / height, 0, 1)
    bend = position * (low + high - 2)
    a, b = 1 - low + bend, low - bend
    share = 2 * position / (b + jnp.sqrt(jnp.maximum(b**2 + 4 * a * position, 0)))
    # In the tails the slope is that of the outer knot.
    return x_low + width * share + (y - inside) / jnp.where(y < inside, slopes[0], slopes[-1])


def _bin(at: jax.Array, along: jax.Array, knots_x: jax.Array, knots_y: jax.Array, slopes: jax.Array) -> list[jax.Array]:
    """Start, width, lower value, height and both slopes, f32[dim, n] each, of the bins that hold f32[dim, n].

    By one-hot masks and products, because XLA's CPU gathers are slow under vmap.
    """
    infinity = jnp.full_like(along[:1], jnp.inf)
    edges = jnp.concatenate([-infinity, along[1:-1], infinity])
    chosen = (at[None] >= edges[:-1]) & (at[None] < edges[1:])
    table = [knots_x[:-1], jnp.diff(knots_x, axis=0), knots_y[:-1], jnp.diff(knots_y, axis=0), slopes[:-1], slopes[1:]]
    if along.shape[2] == 1:
        return list(jnp.einsum("tkd,kdn->tdn", jnp.stack(table)[..., 0], chosen.astype(at.dtype), precision=_HIGHEST))
    return [jnp.sum(jnp.where(chosen, values, 0), axis=0) for values in table]


def logistics(num_components: int, interval: ArrayLike) -> Bijection:
    """The logit of the distribution function of a mixture of logistics, then an affine map.

    The parameters are those of the affine map, the components' logits, their shifts from an even spread over half the
    interval, and their relative log scales. Beyond all components the map is straight; with one component it is
    straight everywhere. If the base is logistic, the model is a mixture of logistics.

    References:
      Ho et al. 2019, Flow++: improving flow-based generative models with variational dequantization and architecture
      design, equations 9 to 12.
    """
    spread = [0.5 * ((2 * k + 1) / num_components - 1) for k in range(num_components)]

    def components(params: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        logits, shifts, log_scales = jnp.split(params[2:], 3)
        locs = jnp.multiply(interval, jnp.asarray(spread, params.dtype)[:, None, None]) + shifts
        scales = LOGISTIC_SCALE / math.sqrt(num_components) * jnp.exp(bounded(log_scales))
        return _shares(logits, LEAST_WEIGHT), locs, scales

    def ends(_: jax.Array, locs: jax.Array, scales: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.min(locs - _REACH * scales, axis=0), jnp.max(locs + _REACH * scales, axis=0)

    def forward(params: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        mixture = components(params)
        inside = jnp.clip(x, *jax.lax.stop_gradient(ends(*mixture)))  # min's gradient is NaN if XLA rounds twice
        logit, log_slope = mixture_logit(inside, *mixture)
        logit = logit + jnp.exp(log_slope) * (x - inside)
        y, log_scale = _AFFINE.forward(params[:2], LOGISTIC_SCALE * logit)
        return y, log_slope + log_scale + math.log(LOGISTIC_SCALE)

    def inverse(params: jax.Array, y: jax.Array) -> jax.Array:
        logit = _AFFINE.inverse(params[:2], y) / LOGISTIC_SCALE
        mixture = components(params)
        low, high = ends(*mixture)
        inside = jnp.clip(logit, mixture_logit(low, *mixture)[0], mixture_logit(high, *mixture)[0])
        quantiles = mixture[1] + mixture[2] * inside[None]  # each component's; the mixture's lies between them
        low, high = jnp.maximum(low, jnp.min(quantiles, axis=0)), jnp.minimum(high, jnp.max(quantiles, axis=0))

        def narrow(number: int, bracket: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
            low, high, x = bracket
            value, log_slope = mixture_logit(x, *mixture)
            low, high = jnp.where(value < inside, x, low), jnp.where(value < inside, high, x)
            newton = x + (inside - value) * jnp.exp(-log_slope)
            accept = (newton >= low) & (newton <= high) & (number >= _NUM_HALVINGS)
            return low, high, jnp.where(accept, newton, 0.5 * (low + high))

        _, _, x = jax.lax.fori_loop(0, _NUM_HALVINGS + _NUM_NEWTON, narrow, (low, high, 0.5 * (low + high)))
        return x + (logit - inside) * jnp.exp(-mixture_logit(x, *mixture)[1])

    return Bijection(2 + 3 * num_components, forward, inverse)


LEAST_WEIGHT = 1e-6
"""The least weight of a component, so that none vanishes."""
_REACH = 20.0
"""Scales from a component's centre beyond which, at 2e-9 of its mass, its logit is straight in float32."""
_FARTHEST = 60.0  # scales between components: e^−60 times the least weight is not 0 in float32
_NUM_HALVINGS, _NUM_NEWTON = 10, 10
"""Halvings of the bracket around a quantile, then Newton steps; a step that would leave the bracket halves it."""


def mixture_logit(x: jax.Array, weights: jax.Array, locs: jax.Array, scales: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logit of a mixture of logistics' distribution function, and the logarithm of its derivative.

    Args:
      x: f32[dim, n], at most `_REACH` scales outside of the outermost components.
      weights: f32[num_components, dim, n or 1], above 0, with sum 1.
      locs: f32[num_components, dim, n or 1].
      scales: f32[num_components, dim, n or 1], above 0.

    Returns:
      f32[dim, n] each.
    """

    def total(weights: jax.Array, values: jax.Array) -> jax.Array:
        if weights.shape[2] == 1:
            return jnp.einsum("kd,kdn->dn", weights[..., 0], values, precision=_HIGHEST)
        return jnp.sum(weights * values, axis=0)

    z = (x[None] - locs) / scales
    tail = jnp.exp(-jnp.minimum(jnp.abs(z), _FARTHEST))
    larger = 1 / (1 + tail)
    smaller = tail * larger
    log_below = jnp.log(total(weights, jnp.where(z > 0, larger, smaller)))
    log_above = jnp.log(total(weights, jnp.where(z > 0, smaller, larger)))
    log_density = jnp.log(total(weights / scales, larger * smaller))
    return log_below - log_above, log_density - log_below - log_above


def _shares(logits: jax.Array, least: float) -> jax.Array:
    """Shares with sum 1, each at least `least`, along the first axis."""
    return least + (1 - least * len(logits)) * jax.nn.softmax(logits, axis=0)


def bounded(values: jax.Array) -> jax.Array:
    """L·tanh(values/L) with L = `STEEPEST`; near 0 it is the identity."""
    return STEEPEST * jnp.tanh(values / STEEPEST)


def couple(
    move: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]], x: jax.Array, first: bool
) -> tuple[jax.Array, jax.Array]:
    """Moves one half of the dimensions by maps that depend on the other half, which is held.

    Args:
      move: `(held, other) -> (moved, log slopes)`, f32[dim of its half, n] each.
      x: f32[dim, n].
      first: whether the first dim // 2 dimensions are held.

    Returns:
      The result, f32[dim, n], and the log determinant of the derivative, f32[n].

    References:
      Dinh et al. 2017, Density estimation using Real NVP, equations 4 to 6.
    """
    held, moved = _in_turn(x[: len(x) // 2], x[len(x) // 2 :], first)
    moved, log_slope = move(held, moved)
    return jnp.concatenate(_in_turn(held, moved, first)), jnp.sum(log_slope, axis=0)


def uncouple(move_back: Callable[[jax.Array, jax.Array], jax.Array], y: jax.Array, first: bool) -> jax.Array:
    """The inverse of `couple`, f32[dim, n], with `move_back: (held, moved) -> other`, the inverse of `move`."""
    held, moved = _in_turn(y[: len(y) // 2], y[len(y) // 2 :], first)
    return jnp.concatenate(_in_turn(held, move_back(held, moved), first))


def _in_turn(a: jax.Array, b: jax.Array, first: bool) -> tuple[jax.Array, jax.Array]:
    return (a, b) if first else (b, a)


_AFFINE = affine()
BIJECTIONS: dict[str, Callable[[int, ArrayLike], Bijection]] = {
    "affine": lambda num_bins, interval: _AFFINE,
    "logistics": logistics,
    "spline": spline,
}
"""Builders by name: `(number of bins or components, interval) -> Bijection`."""
