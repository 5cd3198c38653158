"""The distributions that models are trained on, of which everything is known exactly, and their registry `TARGETS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.scipy.special import i0e, logsumexp, ndtr
from jax.typing import ArrayLike
from scipy import special

from jgen1d.core import Key, nearest, pytree_dataclass, static

LOG_2PI = math.log(2 * math.pi)


class Modes(NamedTuple):
    """A target's modes: `centers` f32[k, dim], `scales` f32[k] and `weights` f32[k]; k = 0 where it has none."""

    centers: jax.Array
    scales: jax.Array
    weights: jax.Array


class Family(NamedTuple):
    """The functions that targets of one form share, each of `params` first; None where there is no closed form."""

    sample: Callable[[Any, Key, int], jax.Array]
    log_prob: Callable[[Any, jax.Array], jax.Array] | None
    cdf: Callable[[Any, jax.Array], jax.Array] | None = None
    quantile: Callable[[Any, jax.Array], jax.Array] | None = None


@pytree_dataclass
class Target:
    """A distribution on R^dim. Its parameters are pytree leaves: targets of one family can be lanes of one program.

    Attributes:
      params: the family's parameters.
      mean: f32[dim].
      std: f32[dim], the standard deviation of each coordinate.
      modes: its modes.
      family: what computes with `params`.
      dim: the dimension.
      name: its name in tables and plots. It is a part of the structure: give targets that are stacked the same one.
    """

    params: Any
    mean: jax.Array
    std: jax.Array
    modes: Modes
    family: Family = static(default=None)
    dim: int = static(default=1)
    name: str = static(default="")

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim].

        In one dimension this *is* inverse transform sampling: `quantile` of uniform numbers. If U is uniform on (0, 1)
        then F⁻¹(U) has the distribution function F, since P(F⁻¹(U) ≤ x) = P(U ≤ F(x)) = F(x).
        """
        return self.family.sample(self._leaves(), key, num_samples)

    def log_prob(self, x: ArrayLike) -> jax.Array:
        """The log density in nats, f32[n], at `x`, f32[n, dim]. Raises ValueError for a target without a density."""
        x = jnp.asarray(x, dtype=float)
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"{self.name}.log_prob: x must have shape [n, {self.dim}], not {list(x.shape)}")
        return self._known(self.family.log_prob, "density")(self._leaves(), x)

    def cdf(self, x: ArrayLike) -> jax.Array:
        """The distribution function F(x) = P(X ≤ x), for `x` of any shape. Raises ValueError unless dim is 1."""
        return self._known(self.family.cdf, "cdf")(self._leaves(), jnp.asarray(x, dtype=float))

    def quantile(self, u: ArrayLike) -> jax.Array:
        """F⁻¹(u) for `u` of any shape, each in (0, 1). Raises ValueError unless dim is 1."""
        return self._known(self.family.quantile, "quantile function")(self._leaves(), jnp.asarray(u, dtype=float))

    def label(self, key: Key, x: jax.Array) -> jax.Array:
        """Which mode each of f32[n, dim] is from, i32[n]: a draw given where it lies, so that x and it are a joint one.

        Modes are taken for what they are in mixtures of normals.
        """
        return jax.random.categorical(key, _component_log_probs(jax.tree.map(jnp.asarray, self.modes), x))

    def most_probable_label(self, x: jax.Array) -> jax.Array:
        """The mode that each of f32[n, dim] is most probably from, i32[n]."""
        return jnp.argmax(_component_log_probs(jax.tree.map(jnp.asarray, self.modes), x), axis=1)

    def mode(self, index: jax.Array | int) -> Target:
        """One mode as a target of its own, the normal around its centre."""
        modes = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(jnp.asarray(leaf), index, 1), self.modes)
        modes = modes._replace(weights=jnp.ones(1))
        params = MixtureParams(modes.weights, modes.centers, modes.scales, jnp.zeros(0), jnp.zeros(0))
        family = NORMAL_MIXTURE if self.dim == 1 else PLANAR_MIXTURE
        return Target(params, modes.centers[0], jnp.tile(modes.scales, self.dim), modes, family, self.dim, self.name)

    @property
    def has_density(self) -> bool:
        """Whether `log_prob` is known: not for the distribution of a finite sample."""
        return self.family.log_prob is not None

    def _leaves(self) -> Any:
        return jax.tree.map(jnp.asarray, self.params)

    def _known(self, function: Callable | None, what: str) -> Callable:
        if function is None:
            raise ValueError(f"target {self.name!r} ({self.dim}-D) has no {what}")
        return function


def uniforms(key: Key, shape: Sequence[int]) -> jax.Array:
    """Uniform numbers in the open interval (0, 1): the midpoints of the cells that `jax.random.uniform` counts."""
    u = jax.random.uniform(key, tuple(shape))
    return u + 0.5 * jnp.finfo(u.dtype).eps


def _sample_by_quantile(quantile: Callable[[Any, jax.Array], jax.Array]) -> Callable[[Any, Key, int], jax.Array]:
    def sample(params: Any, key: Key, num_samples: int) -> jax.Array:
        return quantile(params, uniforms(key, (num_samples, 1)))

    return sample


# --- mixtures of normals with one scale for all axes --------------------------------------------------------------


class MixtureParams(NamedTuple):
    """Weights f32[k], centers f32[k, dim], scales f32[k]; in 1-D the quantile's knots and their cdf, f32[m]."""

    weights: jax.Array
    centers: jax.Array
    scales: jax.Array
    knots: jax.Array
    knots_cdf: jax.Array


def _component_log_probs(params: MixtureParams | Modes, x: jax.Array) -> jax.Array:
    """log wₖ N(x; cₖ, sₖ² I), f32[n, k], at f32[n, dim]."""
    z = (x[:, None, :] - params.centers[None]) / params.scales[None, :, None]
    normalizer = jnp.log(params.weights) - x.shape[1] * (jnp.log(params.scales) + 0.5 * LOG_2PI)
    return normalizer[None] - 0.5 * jnp.sum(z**2, axis=2)


def _mixture_log_prob(params: MixtureParams, x: jax.Array) -> jax.Array:
    return logsumexp(_component_log_probs(params, x), axis=1)


def _mixture_cdf(params: MixtureParams, x: jax.Array) -> jax.Array:
    cdf = jnp.zeros_like(x)
    for weight, center, scale in zip(params.weights, params.centers[:, 0], params.scales, strict=True):
        cdf += weight * ndtr((x - center) / scale)
    return cdf


def _mixture_density(params: MixtureParams, x: jax.Array) -> jax.Array:
    density = jnp.zeros_like(x)
    for weight, center, scale in zip(params.weights, params.centers[:, 0], params.scales, strict=True):
        density += weight / scale * jnp.exp(-0.5 * (((x - center) / scale) ** 2 + LOG_2PI))
    return density


def _mixture_quantile(params: MixtureParams, u: jax.Array) -> jax.Array:
    """Newton's method, kept inside the cell of the knots that holds the root: it converges in the flattest gap."""
    if len(params.weights) == 1:
        return params.centers[0, 0] + params.scales[0] * jax.scipy.special.ndtri(u)
    cell = jnp.clip(jnp.searchsorted(params.knots_cdf, u), 1, len(params.knots) - 1)
    low, high = params.knots[cell - 1], params.knots[cell]
    cdf_low, cdf_high = params.knots_cdf[cell - 1], params.knots_cdf[cell]
    tiny = jnp.finfo(u.dtype).tiny
    x = low + (high - low) * jnp.clip((u - cdf_low) / jnp.maximum(cdf_high - cdf_low, tiny), 0, 1)
    for _ in range(2):
        x = jnp.clip(x - (_mixture_cdf(params, x) - u) / (_mixture_density(params, x) + tiny), low, high)
    return x


def _mixture_sample(params: MixtureParams, key: Key, num_samples: int) -> jax.Array:
    if params.centers.shape[1] == 1:
        return _sample_by_quantile(_mixture_quantile)(params, key, num_samples)
    key_mode, key_noise = jax.random.split(key)
    mode = jnp.searchsorted(jnp.cumsum(params.weights)[:-1], uniforms(key_mode, (num_samples,)))
    noise = jax.random.normal(key_noise, (num_samples, params.centers.shape[1]))
    return params.centers[mode] + params.scales[mode][:, None] * noise


NORMAL_MIXTURE = Family(_mixture_sample, _mixture_log_prob, _mixture_cdf, _mixture_quantile)
PLANAR_MIXTURE = Family(_mixture_sample, _mixture_log_prob)


def mixture(weights: npt.ArrayLike, centers: npt.ArrayLike, scales: npt.ArrayLike, *, name: str = "mixture") -> Target:
    """Σ wₖ N(cₖ, sₖ² I).

    Args:
      weights: [k], positive; they are divided by their sum.
      centers: [k] or [k, dim].
      scales: [k], or one for all, positive.
      name: what tables and plots call it.

    Raises:
      ValueError: for shapes that do not match, or weights or scales that are not positive and finite.
    """
    w, c = np.array(weights, np.float64), np.array(centers, np.float64)
    c = c[:, None] if c.ndim == 1 else c
    s = np.array(scales, np.float64)
    s = np.broadcast_to(s, w.shape) if s.ndim == 0 else s
    if w.ndim != 1 or not len(w) or c.ndim != 2 or len(c) != len(w) or s.shape != w.shape:
        raise ValueError(
            f"mixture: weights [k], centers [k] or [k, dim] and scales [k] must agree in k ≥ 1, "
            f"not {list(w.shape)}, {list(np.shape(centers))} and {list(np.shape(scales))}"
        )
    for what, values in {"weights": w, "scales": s}.items():
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(f"mixture: {what} must be positive and finite, not {values.tolist()}")
    if not np.isfinite(c).all():
        raise ValueError(f"mixture: centers must be finite, not {c.tolist()}")
    w = w / w.sum()
    mean = w @ c
    std = np.sqrt(w @ (s[:, None] ** 2 + (c - mean) ** 2))
    dim = c.shape[1]
    # Every component's own quantiles as knots: cells as narrow as the density is sharp, wherever it is.
    knots = np.sort((c[:, :1] + s[:, None] * np.linspace(-9, 9, 145)).ravel()) if dim == 1 else np.zeros(0)
    knots_cdf = w @ special.ndtr((knots - c[:, :1]) / s[:, None])
    leaves = MixtureParams(*map(_as_leaf, (w, c, s, knots, knots_cdf)))
    modes = Modes(leaves.centers, leaves.scales, leaves.weights)
    family = NORMAL_MIXTURE if dim == 1 else PLANAR_MIXTURE
    return Target(leaves, _as_leaf(mean), _as_leaf(std), modes, family, dim, name)


def ring(num_modes: int = 8, radius: float = 1.0, scale: float = 0.01, *, name: str = "ring") -> Target:
    """Equal normals on a circle, in 2-D. The last centre is not the first one again, as in linspace(0, 2π, k)."""
    angles = np.linspace(0, 2 * np.pi, num_modes, endpoint=False)
    centers = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return mixture(np.ones(num_modes), centers, scale, name=name)


def grid(num_per_axis: int = 5, spacing: float = 2.0, scale: float = 0.05, *, name: str = "grid") -> Target:
    """Equal normals on a square grid around the origin, in 2-D."""
    axis = spacing * (np.arange(num_per_axis) - (num_per_axis - 1) / 2)
    centers = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return mixture(np.ones(len(centers)), centers, scale, name=name)


def normal(mean: float = 0.0, std: float = 1.0, *, name: str = "normal") -> Target:
    """N(mean, std²)."""
    return mixture([1.0], [mean], [std], name=name)


# --- other densities ----------------------------------------------------------------------------------------------


def _as_leaf(values: npt.ArrayLike) -> Any:
    """As NumPy: importing the registry must not touch a device, nor fix a precision before it is chosen."""
    return np.asarray(values, np.float64)


def _no_modes(dim: int) -> Modes:
    return Modes(_as_leaf(np.zeros((0, dim))), _as_leaf(np.zeros(0)), _as_leaf(np.zeros(0)))


class UniformParams(NamedTuple):
    """The ends of the interval, f32[] each."""

    low: jax.Array
    high: jax.Array


def _uniform_log_prob(params: UniformParams, x: jax.Array) -> jax.Array:
    inside = (x[:, 0] >= params.low) & (x[:, 0] <= params.high)
    return jnp.where(inside, -jnp.log(params.high - params.low), -jnp.inf)


def _uniform_cdf(params: UniformParams, x: jax.Array) -> jax.Array:
    return jnp.clip((x - params.low) / (params.high - params.low), 0, 1)


def _uniform_quantile(params: UniformParams, u: jax.Array) -> jax.Array:
    return params.low + (params.high - params.low) * u


UNIFORM = Family(_sample_by_quantile(_uniform_quantile), _uniform_log_prob, _uniform_cdf, _uniform_quantile)


def uniform(low: float = 0.0, high: float = 1.0, *, name: str = "uniform") -> Target:
    """U(low, high)."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"uniform: low must be below high, and both finite, not {low} and {high}")
    params = UniformParams(_as_leaf(low), _as_leaf(high))
    return Target(
        params, _as_leaf([(low + high) / 2]), _as_leaf([(high - low) / math.sqrt(12)]), _no_modes(1), UNIFORM, 1, name
    )


def _exponential_log_prob(rate: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.where(x[:, 0] >= 0, jnp.log(rate) - rate * x[:, 0], -jnp.inf)


def _exponential_cdf(rate: jax.Array, x: jax.Array) -> jax.Array:
    return -jnp.expm1(-rate * jnp.maximum(x, 0))


def _exponential_quantile(rate: jax.Array, u: jax.Array) -> jax.Array:
    return -jnp.log1p(-u) / rate


EXPONENTIAL = Family(
    _sample_by_quantile(_exponential_quantile), _exponential_log_prob, _exponential_cdf, _exponential_quantile
)


def exponential(rate: float = 1.0, *, name: str = "exponential") -> Target:
    """The exponential distribution with density rate·exp(−rate·x) on x ≥ 0."""
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"exponential: rate must be positive and finite, not {rate}")
    return Target(_as_leaf(rate), _as_leaf([1 / rate]), _as_leaf([1 / rate]), _no_modes(1), EXPONENTIAL, 1, name)


class DiskParams(NamedTuple):
    """The disk's radius and the noise's standard deviation per axis, f32[] each."""

    radius: jax.Array
    noise: jax.Array


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def _disk_log_prob(params: DiskParams, x: jax.Array) -> jax.Array:
    """log of (1/πR²) ∫₀ᴿ s/σ² exp(−(r² + s²)/2σ²) I₀(rs/σ²) ds, by Gauss–Legendre where the integrand is not 0."""
    radius, noise = params.radius, params.noise
    r = jnp.sqrt(jnp.maximum(jnp.sum(x**2, axis=1), jnp.finfo(x.dtype).tiny))  # the root has no gradient at zero
    low = jnp.clip(r - 9 * noise, 0, jnp.maximum(radius - 9 * noise, 0))
    high = jnp.clip(r + 9 * noise, jnp.minimum(9 * noise, radius), radius)
    half = (high - low) / 2
    s = low[:, None] + half[:, None] * (1 + jnp.asarray(_NODES, x.dtype)[None])
    z = (r[:, None] - s) / noise
    # exp(−(r² + s²)/2σ²)·I₀(rs/σ²) = exp(−(r − s)²/2σ²)·i0e(rs/σ²)
    log_integrand = jnp.log(s) - 2 * jnp.log(noise) - 0.5 * z**2 + jnp.log(i0e(r[:, None] * s / noise**2))
    log_weights = jnp.log(jnp.asarray(_WEIGHTS, x.dtype))[None] + jnp.log(half)[:, None]
    return logsumexp(log_integrand + log_weights, axis=1) - jnp.log(jnp.pi * radius**2)


def _disk_sample(params: DiskParams, key: Key, num_samples: int) -> jax.Array:
    key_disk, key_noise = jax.random.split(key)
    u = uniforms(key_disk, (2, num_samples))
    radius, angle = params.radius * jnp.sqrt(u[0]), 2 * jnp.pi * u[1]
    on_disk = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=1)
    return on_disk + params.noise * jax.random.normal(key_noise, (num_samples, 2))


DISK = Family(_disk_sample, _disk_log_prob)


def disk(radius: float = 10.0, noise: float = 1.0, *, name: str = "disk") -> Target:
    """Uniform on a disk around the origin plus N(0, noise²) on each axis, in 2-D."""
    for what, value in {"radius": radius, "noise": noise}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"disk: {what} must be positive and finite, not {value}")
    std = math.sqrt(radius**2 / 4 + noise**2)
    params = DiskParams(_as_leaf(radius), _as_leaf(noise))
    return Target(params, _as_leaf([0.0, 0.0]), _as_leaf([std, std]), _no_modes(2), DISK, 2, name)


# --- a drawn density ----------------------------------------------------------------------------------------------


class PiecewiseLinearParams(NamedTuple):
    """Knots f[k], rising; the density's value at each, f[k]; and the cdf at each, f[k]."""

    knots: jax.Array
    heights: jax.Array
    knots_cdf: jax.Array


def _piece(params: PiecewiseLinearParams, below: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Where the piece begins that `below` knots come before; its cdf and density there, and the density's slope."""
    i = jnp.clip(below - 1, 0, len(params.knots) - 2)
    start, height = params.knots[i], params.heights[i]
    slope = (params.heights[i + 1] - height) / (params.knots[i + 1] - start)
    return start, params.knots_cdf[i], height, slope


def _piecewise_linear_log_prob(params: PiecewiseLinearParams, x: jax.Array) -> jax.Array:
    return jnp.log(jnp.interp(x[:, 0], params.knots, params.heights, left=0, right=0))


def _piecewise_linear_cdf(params: PiecewiseLinearParams, x: jax.Array) -> jax.Array:
    inside = jnp.clip(x, params.knots[0], params.knots[-1])
    start, cdf, height, slope = _piece(params, jnp.searchsorted(params.knots, inside, side="right"))
    return jnp.clip(cdf + (inside - start) * (height + slope * (inside - start) / 2), 0, 1)


def _piecewise_linear_quantile(params: PiecewiseLinearParams, u: jax.Array) -> jax.Array:
    start, cdf, height, slope = _piece(params, jnp.searchsorted(params.knots_cdf, u, side="left"))
    rest = jnp.maximum(u - cdf, 0)
    # The root of slope/2·t² + height·t = rest, in the form that does not cancel where the slope is small.
    root = height + jnp.sqrt(jnp.maximum(height**2 + 2 * slope * rest, 0))
    return jnp.minimum(start + 2 * rest / jnp.where(root > 0, root, 1), params.knots[-1])


PIECEWISE_LINEAR = Family(
    _sample_by_quantile(_piecewise_linear_quantile),
    _piecewise_linear_log_prob,
    _piecewise_linear_cdf,
    _piecewise_linear_quantile,
)


def piecewise_linear(knots: npt.ArrayLike, heights: npt.ArrayLike, *, name: str = "drawn") -> Target:
    """The density that goes through given points in straight lines, and is 0 beside them; its quantiles are exact.

    Args:
      knots: [k], rising.
      heights: [k], not negative, not all 0; they are divided by the area under the line.
      name: what tables and plots call it.

    Raises:
      ValueError: for other shapes or values.
    """
    x, h = np.array(knots, np.float64), np.array(heights, np.float64)
    if x.ndim != 1 or len(x) < 2 or h.shape != x.shape:
        raise ValueError(
            f"piecewise_linear: knots and heights must be [k], k ≥ 2, not {list(x.shape)} and {list(h.shape)}"
        )
    widths = np.diff(x)
    if not np.isfinite(x).all() or not (widths > 0).all():
        raise ValueError("piecewise_linear: knots must be finite and rise")
    if not np.isfinite(h).all() or (h < 0).any() or not h.any():
        raise ValueError("piecewise_linear: heights must be finite and at least 0, and one of them more")
    h = h / (widths @ (h[1:] + h[:-1]) / 2)
    cdf = np.concatenate([[0], np.cumsum(widths * (h[1:] + h[:-1]) / 2)])
    # Moments by Simpson's rule on every piece, which is exact for cubics.
    middle, between = (x[1:] + x[:-1]) / 2, (h[1:] + h[:-1]) / 2
    first, second = (widths @ (h[:-1] * x[:-1] ** n + 4 * between * middle**n + h[1:] * x[1:] ** n) / 6 for n in (1, 2))
    params = PiecewiseLinearParams(*map(_as_leaf, (x, h, cdf / cdf[-1])))
    std = np.sqrt(second - first**2)
    return Target(params, _as_leaf([first]), _as_leaf([std]), _no_modes(1), PIECEWISE_LINEAR, 1, name)


# --- a finite sample ----------------------------------------------------------------------------------------------


def _empirical_steps(values: jax.Array) -> jax.Array:
    """The cdf just after each of n sorted values: one table for cdf and quantile, so that they invert each other."""
    return jnp.arange(1, len(values) + 1, dtype=values.dtype) / len(values)


def _empirical_cdf(values: jax.Array, x: jax.Array) -> jax.Array:
    below = jnp.searchsorted(values, x, side="right")
    return jnp.where(below > 0, _empirical_steps(values)[below - 1], 0)


def _empirical_quantile(values: jax.Array, u: jax.Array) -> jax.Array:
    """The least value v with F(v) ≥ u."""
    return values[jnp.clip(jnp.searchsorted(_empirical_steps(values), u), 0, len(values) - 1)]


EMPIRICAL = Family(_sample_by_quantile(_empirical_quantile), None, _empirical_cdf, _empirical_quantile)


def empirical(values: npt.ArrayLike, *, name: str = "data") -> Target:
    """The distribution of a finite sample, each value as likely as any other; its cdf and quantiles are exact.

    Args:
      values: [n] or [n, 1], finite, not all equal. The array is copied.
      name: what tables and plots call it.

    Raises:
      ValueError: for another shape, a value that is not finite, or fewer than two different values.
    """
    v = np.array(values, np.float64)
    if v.ndim == 2 and v.shape[1] == 1:
        v = v[:, 0]
    if v.ndim != 1:
        raise ValueError(f"empirical: values must have shape [n] or [n, 1], not {list(v.shape)}")
    if not np.isfinite(v).all():
        row = int(np.argmin(np.isfinite(v)))
        raise ValueError(f"empirical: values must be finite, but values[{row}] is {v[row]}")
    v.sort()
    if not len(v) or v[0] == v[-1]:
        raise ValueError(f"empirical: at least two different values are needed, not {len(v)} equal ones")
    return Target(_as_leaf(v), _as_leaf([v.mean()]), _as_leaf([v.std()]), _no_modes(1), EMPIRICAL, 1, name)


# --- the registry -------------------------------------------------------------------------------------------------

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
    """The registered target of that name. Raises ValueError, with the nearest name, where there is none."""
    if name not in TARGETS:
        raise ValueError(f"no target {name!r}{nearest(name, TARGETS)} (there are: {', '.join(TARGETS)})")
    return TARGETS[name]
