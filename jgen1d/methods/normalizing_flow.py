"""Normalizing flow: an invertible map from data to a simple distribution, fitted by exact maximum likelihood.

In one dimension it is one increasing map with free parameters, no network: a rational-quadratic spline (Durkan et al.
2019) or the logit of a mixture of logistics (Ho et al. 2019). In more it is couplings (Dinh et al. 2017): each moves
one half of the dimensions by such a map, and then by one whose parameters are a network's function of the other half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from jgen1d import nets
from jgen1d.core import FromUniformFn, Info, Key, Method, PyTree, door, pytree_dataclass, static, traced
from jgen1d.maths import bijections, densities
from jgen1d.methods import _adam
from jgen1d.methods._adam import State

BASES = ("logistic", "normal")
START = 0.1
"""Scale of the first parameters: a flow starts near the identity."""


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters. The flow is sized for standardised data."""

    learning_rate: float = traced(default=1e-2, at_least=0, help="Adam's step size")
    transform: str = static(default="logistics", choices=bijections.BIJECTIONS, help="the map with free parameters")
    base: str = static(default="logistic", choices=BASES, help="the distribution of what data are mapped to")
    num_bins: int = static(default=32, at_least=1, help="of the transform's spline, or its number of logistics")
    interval: float = traced(default=5.0, above=0, help="splines map [−interval, interval] to itself")
    coupling: str = static(default="spline", choices=bijections.BIJECTIONS, help="the networks' maps, from dim 2 on")
    num_couplings: int = static(default=2, at_least=2, help="from dim 2 on; they move either half in turn")
    num_bins_coupling: int = static(default=16, at_least=1, help="of a coupling's spline, or its number of logistics")
    widths: tuple[int, ...] = static(default=(64, 64), at_least=1, help="units of the couplings' hidden layers")
    activation: Any = static(
        default="silu", choices=nets.ACTIVATIONS, own=Callable, help="of the couplings' hidden layers"
    )


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the parameters."""
    return _adam.start([layer.init(jax.random.fold_in(key, i)) for i, layer in enumerate(_layers(config))], config)


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """One step on f32[n, dim]: `loss` is the mean negative log likelihood in nats."""
    del key

    def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
        return -jnp.mean(_log_prob(params, batch, config)), {}

    return _adam.descend(loss_of, state, config)


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]: the inverse of the flow, at draws of the base."""
    shape = (config.dim, num_samples)
    if config.base == "normal":
        noise = jax.random.normal(key, shape)
    else:
        noise = bijections.LOGISTIC_SCALE * jax.random.logistic(key, shape)
    return inverse(state, noise.T, config)


def from_uniform(config: Config) -> FromUniformFn:
    """The inverse of the flow, at quantiles of the base; see `Method`."""
    quantile = ndtri if config.base == "normal" else lambda u: bijections.LOGISTIC_SCALE * jax.scipy.special.logit(u)
    return lambda state, u, condition: inverse(state, quantile(u), config)


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The exact log density, f32[n], of f32[n, dim] by the change of variables."""
    return _log_prob(state.eval_params, x, config)


def forward(state: State, x: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
    """Where the flow maps data f32[n, dim]: f32[n, dim], and the log determinant of its derivative, f32[n]."""
    return _forward(state.eval_params, x, config)


def inverse(state: State, noise: jax.Array, config: Config) -> jax.Array:
    """The data f32[n, dim] that `forward` maps to f32[n, dim]."""
    y = noise.T
    for params, layer in reversed(list(zip(state.eval_params, _layers(config), strict=True))):
        y = layer.inverse(params, y)
    return y.T


def _log_prob(params: PyTree, x: jax.Array, config: Config) -> jax.Array:
    noise, log_det = _forward(params, x, config)
    if config.base == "normal":
        return densities.standard_normal_log_prob(noise) + log_det
    return jnp.sum(jax.scipy.stats.logistic.logpdf(noise, scale=bijections.LOGISTIC_SCALE), axis=1) + log_det


def _forward(params: PyTree, x: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
    y, log_det = x.T, jnp.zeros(len(x), x.dtype)
    for of_layer, layer in zip(params, _layers(config), strict=True):
        y, more = layer.forward(of_layer, y)
        log_det = log_det + more
    return y.T, log_det


class _Layer(NamedTuple):
    """An invertible map of f32[dim, n]: `forward` with its log determinant f32[n], and `inverse`."""

    init: Callable[[Key], PyTree]
    forward: Callable[[PyTree, jax.Array], tuple[jax.Array, jax.Array]]
    inverse: Callable[[PyTree, jax.Array], jax.Array]


def _layers(config: Config) -> list[_Layer]:
    return [_free(config)] if config.dim == 1 else [_coupling(config, i % 2 == 0) for i in range(config.num_couplings)]


def _free(config: Config) -> _Layer:
    """The one map of one dimension."""
    free = bijections.BIJECTIONS[config.transform](config.num_bins, config.interval)

    def forward(params: PyTree, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, log_slope = free.forward(params, x)
        return y, log_slope[0]

    return _Layer(lambda key: START * jax.random.normal(key, (free.num_params, 1, 1)), forward, free.inverse)


def _coupling(config: Config, first: bool) -> _Layer:
    """A coupling that holds the first half of the dimensions, or the second.

    The free map comes with the coupling, not before all of them: the first network sees the data as they are. Modes
    that lie apart in them would touch after a free map, and its parameters would have to jump from one to the next.
    """
    free = bijections.BIJECTIONS[config.transform](config.num_bins, config.interval)
    coupled = bijections.BIJECTIONS[config.coupling](config.num_bins_coupling, config.interval)
    half = config.dim // 2
    held, moved = (half, config.dim - half) if first else (config.dim - half, half)
    net = nets.mlp(held, moved * coupled.num_params, config.widths, activation=config.activation)

    def init(key: Key) -> PyTree:
        key_free, key_net = jax.random.split(key)
        shape = (free.num_params, moved, 1)
        return {"free": START * jax.random.normal(key_free, shape), "network": net.init(key_net)}

    def conditioned(params: PyTree, held: jax.Array) -> jax.Array:
        """The coupled map's parameters, f32[num_params, moved, n]."""
        return START * net.apply(params["network"], held.T).T.reshape(coupled.num_params, moved, held.shape[1])

    def forward(params: PyTree, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        def move(held: jax.Array, moved: jax.Array) -> tuple[jax.Array, jax.Array]:
            y, log_slope = free.forward(params["free"], moved)
            y, more = coupled.forward(conditioned(params, held), y)
            return y, log_slope + more

        return bijections.couple(move, x, first)

    def inverse(params: PyTree, y: jax.Array) -> jax.Array:
        def move_back(held: jax.Array, moved: jax.Array) -> jax.Array:
            return free.inverse(params["free"], coupled.inverse(conditioned(params, held), moved))

        return bijections.uncouple(move_back, y, first)

    return _Layer(init, forward, inverse)


METHOD = Method(Config, init, step, sample, log_prob, from_uniform=from_uniform)
