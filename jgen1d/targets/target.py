"""What a target is: a distribution on R^dim whose samples, density, moments and modes are known exactly."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.typing import ArrayLike

from jgen1d.core import Key, literal, pytree_dataclass, replace, static
from jgen1d.core.names import printable
from jgen1d.targets.discrete import Discrete
from jgen1d.targets.family import Family
from jgen1d.targets.normals import NORMAL_MIXTURE, PLANAR_MIXTURE, MixtureParams, Modes, component_log_probs
from jgen1d.targets.units import Units


@pytree_dataclass
class Target:
    """A distribution on R^dim. Its parameters are pytree leaves: targets of one family can be lanes of one program.

    Attributes:
      params: the family's parameters.
      mean: f32[dim], in data units.
      std: f32[dim], the standard deviation of each coordinate, in data units, above 0.
      modes: the modes, none for most families.
      family: the functions of `params`.
      dim: the dimension: 1, 2, or of a signal the number of its values.
      name: for tables and plots. It is part of the tree structure: stacked targets need the same name.
      own_units: the training units of a sample that the mean and the standard deviation do not suit; None for these.
      discrete: what of a column is discrete; None for nothing.
      own_shape: the shape of an image whose rows are flattened; None for (dim,).
    """

    params: Any
    mean: jax.Array
    std: jax.Array
    modes: Modes
    family: Family = static(default=None)
    dim: int = static(default=1)
    name: str = static(default="")
    own_units: Units | None = static(default=None)
    discrete: Discrete | None = static(default=None)
    own_shape: tuple[int, ...] | None = static(default=None)

    def __repr__(self) -> str:
        """What it is, on one line; leaves that are traced or stacked are shown by their shape."""
        (num_modes,) = np.shape(self.modes.scales)[-1:] or (0,)
        of = _figures if self.dim <= 2 else _range
        facts = [f"mean {of(self.mean, self.std)}", f"std {of(self.std, self.std)}"]
        facts += [f"{num_modes} modes"] if num_modes > 1 else []
        facts += [] if self.has_density or self.dim > 2 else ["a finite sample"]
        facts += [str(self.discrete)] if self.discrete else []
        return f"<Target '{printable(self.name, 60)}', {self.dim}-D: {', '.join(facts)}>"

    def sample(self, key: Key, num_samples: int) -> jax.Array:
        """Draws f32[num_samples, dim].

        In one dimension this *is* inverse transform sampling: `quantile` of uniform numbers. If U is uniform on (0, 1),
        then F⁻¹(U) has the distribution function F, because P(F⁻¹(U) ≤ x) = P(U ≤ F(x)) = F(x).
        """
        return _draw(self.family, self.params, key, num_samples)

    def log_prob(self, x: ArrayLike) -> jax.Array:
        """The log density in nats, f32[n], at `x`, f32[n, dim]. Raises ValueError if the target has no density."""
        x = jnp.asarray(x, dtype=float)
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"{self.name}.log_prob: x must have shape [n, {self.dim}], not {list(x.shape)}")
        return _call(self._known(self.family.log_prob, "density"), self.params, x)

    def cdf(self, x: ArrayLike) -> jax.Array:
        """The distribution function F(x) = P(X ≤ x), f32[...], at `x`, f32[...]. Raises ValueError unless dim is 1."""
        return _call(self._known(self.family.cdf, "cdf"), self.params, jnp.asarray(x, dtype=float))

    def quantile(self, u: ArrayLike) -> jax.Array:
        """The quantiles F⁻¹(u), f32[...], of `u`, f32[...] in (0, 1). Raises ValueError unless dim is 1."""
        return _call(self._known(self.family.quantile, "quantile function"), self.params, jnp.asarray(u, dtype=float))

    def cdf_along(self, x: ArrayLike, directions: ArrayLike) -> jax.Array:
        """The distribution functions of projections, f32[d, n]: P(directions[i]·X ≤ x[i, j]).

        Args:
          x: f32[d, n], in data units.
          directions: f32[d, dim], unit vectors; in 1-D they are all 1.

        Raises:
          ValueError: if the target does not know them; see `has_cdf`.
        """
        if self.dim == 1:
            return self.cdf(x)
        along = self._known(self.family.cdf_along, "cdf of projections")
        return _call(along, self.params, jnp.asarray(x, dtype=float), jnp.asarray(directions, dtype=float))

    def label(self, key: Key, x: jax.Array) -> jax.Array:
        """Draws each row's mode from its posterior, i32[n], given f32[n, dim]: samples and labels are then joint draws.

        The modes are taken to be the components of a mixture of normals. Signals have labels of their own.
        """
        return jax.random.categorical(key, self._label_log_probs(x))

    def most_probable_label(self, x: jax.Array) -> jax.Array:
        """The label with the highest posterior probability, i32[n], of each row of f32[n, dim]."""
        return jnp.argmax(self._label_log_probs(x), axis=1)

    def _label_log_probs(self, x: jax.Array) -> jax.Array:
        if self.family.class_log_probs is not None:
            return self.family.class_log_probs(self.params, x)
        return component_log_probs(jax.tree.map(jnp.asarray, self.modes), x)

    @property
    def class_weights(self) -> Any:
        """How frequent each label is, f32[k]: a mode is a label; none without modes."""
        own = self.family.class_weights
        return self.modes.weights if own is None else own(self.params)

    @property
    def num_classes(self) -> int:
        """How many labels there are: 0 for none."""
        return jax.eval_shape(lambda: self.class_weights).shape[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: (dim,), or that of an image, whose rows are flattened."""
        return self.own_shape or (self.dim,)

    @property
    def root(self) -> jax.Array:
        """The symmetric square root of a signal's covariance, f32[dim, dim]. Raises ValueError up to 2-D."""
        return jnp.asarray(self._known(self.family.root, "covariance")(self.params), dtype=float)

    @property
    def covariance(self) -> jax.Array:
        """The exact covariance of a signal, f32[dim, dim], in squared data units. Raises ValueError up to 2-D."""
        return self.root @ self.root

    @property
    def spectrum(self) -> jax.Array:
        """The exact power of each frequency, f32[...]: E|FFT(x − mean)|²/dim over `rfftn` of `shape`, flattened."""
        return power(self.root, self.shape) * self.dim

    def factors(self, x: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """The factors of each row, f32[n, k], and what they leave unexplained, f32[n], its root mean square.

        They are those of the noiseless signal that is nearest in the sense of least squares.

        Args:
          x: f32[n, dim], in data units.

        Raises:
          ValueError: for a target without factors.
        """
        return _call(self._known(self.family.factors, "factors"), self.params, jnp.asarray(x, dtype=float))

    def mode(self, index: jax.Array | int) -> Target:
        """One mode as a target of its own: the normal around its centre."""
        modes = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(jnp.asarray(leaf), index, 1), self.modes)
        modes = modes._replace(weights=jnp.ones(1))
        params = MixtureParams(modes.weights, modes.centers, modes.scales, jnp.zeros(0), jnp.zeros(0))
        family = NORMAL_MIXTURE if self.dim == 1 else PLANAR_MIXTURE
        return Target(params, modes.centers[0], jnp.tile(modes.scales, self.dim), modes, family, self.dim, self.name)

    @property
    def spread(self) -> Any:
        """What coordinates are divided by for training, f32[dim]: their standard deviations.

        Those of a signal are divided by one number, the root mean square of all, so that it keeps its form.
        """
        if self.dim <= 2:
            return self.std
        return 0 * self.std + (self.std**2).mean() ** 0.5

    @property
    def units(self) -> Units:
        """Training units: of mean 0 and, averaged over axes, of standard deviation 1."""
        return self.own_units or Units(self.mean, self.std.mean())

    def standardized(self) -> Target:
        """The distribution in its training units, computed in float64 unless it is traced."""
        units = self.units
        if units.chart.kind == "line":
            return self.moved(units.shift, units.scale)
        values = units.to_training(self.params)  # a finite sample, which any monotone map takes to one
        mean, std = np.zeros(self.dim), np.ones(self.dim)
        return replace(self, params=values, mean=mean, std=std, own_units=None, discrete=None)

    def moved(self, shift: Any, scale: Any) -> Target:
        """The distribution of (X − shift)/scale, with shift f64[dim] and scale f64[]."""
        modes = Modes((self.modes.centers - shift[None]) / scale, self.modes.scales / scale, self.modes.weights)
        return replace(
            self, params=self.family.moved(self.params, shift, scale), mean=(self.mean - shift) / scale,
            std=self.std / scale, modes=modes, own_units=None, discrete=None,
        )  # fmt: skip

    @property
    def has_density(self) -> bool:
        """Whether `log_prob` is known. The distribution of a finite sample has no density."""
        return self.family.log_prob is not None

    @property
    def has_cdf(self) -> bool:
        """Whether `cdf_along` is known: the distribution functions of all projections."""
        return (self.family.cdf if self.dim == 1 else self.family.cdf_along) is not None

    def _known(self, function: Callable | None, what: str) -> Callable:
        if function is None:
            raise ValueError(f"target {self.name!r} ({self.dim}-D) has no {what}")
        return function


def power(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The mean periodogram of rows f32[n, dim] of this shape: mean |FFT(x)|²/dim over `rfftn`, f32[frequencies]."""
    waves = jnp.fft.rfftn(x.reshape(-1, *shape), axes=range(1, len(shape) + 1))
    return jnp.mean(jnp.abs(waves.reshape(len(x), -1)) ** 2, axis=0) / x.shape[1]


def _range(value: Any, std: Any) -> str:
    """Of f[dim]: the least and the greatest, such as 0.05 to 1.2."""
    if isinstance(value, jax.core.Tracer) or np.ndim(value) != 1:
        return literal(value)
    ends = [_figures(np.array([end]), np.max(std)) for end in (np.min(value), np.max(value))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _figures(value: Any, std: Any) -> str:
    """Of f[dim]: 4, or (0, 1); what is nothing beside the standard deviation is 0."""
    if isinstance(value, jax.core.Tracer) or np.ndim(value) != 1:
        return literal(value)
    figures = ", ".join(f"{number:.3g}" for number in np.where(np.abs(value) < 1e-12 * np.asarray(std), 0, value))
    return figures if len(value) == 1 else f"({figures})"


@functools.partial(jax.jit, static_argnames="function", inline=True)
def _call(function: Callable, params: Any, *args: Any) -> jax.Array:
    """One program for each of a family's functions and shape, where JAX would compile one for each operation."""
    return function(params, *args)


@functools.partial(jax.jit, static_argnames=("family", "num_samples"), inline=True)
def _draw(family: Family, params: Any, key: Key, num_samples: int) -> jax.Array:
    return family.sample(params, key, num_samples)


def as_leaf(values: npt.ArrayLike) -> Any:
    """A NumPy array: importing the registry must touch no device, and must not fix a precision before it is chosen."""
    return np.asarray(values, np.float64)


def no_modes(dim: int) -> Modes:
    """The modes of a target without modes."""
    return Modes(as_leaf(np.zeros((0, dim))), as_leaf(np.zeros(0)), as_leaf(np.zeros(0)))
