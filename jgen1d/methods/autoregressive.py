"""Autoregressive models: a density as a product of conditionals, each a network's output from what came before.

`digits` predicts the binary digits of u = G(x), from coarse to fine: G, a fixed logistic distribution function, takes
the whole line to (0, 1), which is cut into 2^num_bits cells of equal length, and u is uniform within its cell:

  p(x) = 2^num_bits · P(digits of x) · G′(x).

In more dimensions the digits are interleaved, the coarsest of every coordinate first: the first few decide on a region
of the plane, the last ones hardly depend on each other. Coordinate after coordinate, the coarse digits of the second
would depend on the finest of the first. `mixture` predicts one coordinate after the other, as mixtures of normals.

A masked network gives all conditionals of known data at once (Germain et al. 2015); it samples one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jgen1d import nets
from jgen1d.core import FromUniformFn, Info, Key, Method, PyTree, door, pytree_dataclass, static, traced
from jgen1d.methods import _adam
from jgen1d.methods._adam import State

MAX_BITS = 16
"""Of the 24 bits of a float32 in [½, 1), some are left to place a sample within its cell."""
MIN_SCALE = 1e-3
"""The least standard deviation of a component, in training units: repeated data would make the likelihood infinite."""


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters, for standardised data."""

    conditionals: str = static(
        default="digits", choices=("digits", "mixture"), help="of binary digits, or of coordinates as mixtures"
    )
    network: Any = static(
        default="masked_mlp", choices=("masked_mlp", "transformer"), own=nets.Net,
        help="that predicts the conditionals; output i may depend on inputs before i alone",
    )  # fmt: skip
    widths: tuple[int, ...] = static(
        default=(64, 64), at_least=1, help="units of the hidden layers, of a transformer those of its blocks"
    )
    activation: Any = static(default="silu", choices=nets.ACTIVATIONS, own=Callable, help="of every hidden layer")
    embedding_dim: int = static(default=32, at_least=1, help="features of each of a transformer's positions")
    num_heads: int = static(default=4, at_least=1, help="of a transformer's attention; divides embedding_dim")
    num_bits: int = static(default=10, at_least=1, help="binary digits of each coordinate, 16 at most")
    spread: float = traced(default=1.0, above=0, help="scale of the logistic distribution that bounds the cells")
    num_components: int = static(default=16, at_least=1, help="of each mixture of normals")


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the network's parameters; at first all digits are fair coins, and samples are logistic.

    Raises:
      ValueError: if `num_heads` does not divide `embedding_dim`, or `num_bits` is above 16.
    """
    if config.network == "transformer" and config.embedding_dim % config.num_heads:
        raise ValueError(f"embedding_dim={config.embedding_dim}: must be a multiple of num_heads={config.num_heads}")
    if config.conditionals == "digits" and config.num_bits > MAX_BITS:
        raise ValueError(f"num_bits={config.num_bits}: must be at most {MAX_BITS}")
    return _adam.start(_net(config).init(key), config)


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """One step on f32[n, dim]: `loss` is the mean negative log likelihood, in nats and training units."""
    del key

    def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
        return -jnp.mean(_log_prob(params, batch, config)), {}

    return _adam.descend(loss_of, state, config)


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim], with one pass of the network for each digit or coordinate."""
    draw = _sample_digits if config.conditionals == "digits" else _sample_mixture
    return draw(key, state.eval_params, num_samples, config)


def from_uniform(config: Config) -> FromUniformFn | None:
    """Digits by the inverse of their distribution function; see `Method`. Mixtures draw their components, too."""
    if config.conditionals != "digits":
        return None
    return lambda state, u, condition: _digits_of_uniform(state.eval_params, u, config)


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The exact log density, f32[n], at f32[n, dim]."""
    return _log_prob(state.eval_params, x, config)


def _net(config: Config) -> nets.Net:
    digits = config.conditionals == "digits"
    shape = (config.dim * config.num_bits, 1) if digits else (config.dim, 3 * config.num_components)
    if isinstance(config.network, nets.Net):
        return config.network
    if config.network == "masked_mlp":
        return nets.masked_mlp(*shape, config.widths, activation=config.activation)
    return nets.transformer(
        *shape,
        config.widths,
        embedding_dim=config.embedding_dim,
        num_heads=config.num_heads,
        activation=config.activation,
    )


def _log_prob(params: PyTree, x: jax.Array, config: Config) -> jax.Array:
    if config.conditionals == "mixture":
        log_shares, means, scales = _components(params, x, config)
        log_densities = jax.scipy.stats.norm.logpdf(x[:, :, None], means, scales)
        return jnp.sum(jax.nn.logsumexp(log_shares + log_densities, axis=2), axis=1)
    digits = _digits(x, config)
    log_digits = jnp.sum(jax.nn.log_sigmoid(digits * _net(config)(params, digits)), axis=1)
    log_slopes = jnp.sum(jax.scipy.stats.logistic.logpdf(x, scale=config.spread), axis=1)
    return log_digits + config.dim * config.num_bits * math.log(2) + log_slopes


def _digits(x: jax.Array, config: Config) -> jax.Array:
    """The digits of f32[n, dim], ±1, f32[n, num_bits·dim]: the coarsest of every coordinate first."""
    cells = 2**config.num_bits
    cell = jnp.clip(jnp.floor(cells * jax.nn.sigmoid(x / config.spread)), 0, cells - 1).astype(int)
    bits = (cell[:, None] >> np.arange(config.num_bits)[None, ::-1, None]) & 1
    return (2.0 * bits - 1.0).reshape(len(x), -1)


def _sample_digits(key: Key, params: PyTree, num_samples: int, config: Config) -> jax.Array:
    key_digits, key_cell = jax.random.split(key)
    num_digits = config.dim * config.num_bits
    noise = jax.random.logistic(key_digits, (num_digits, num_samples)).T
    net = _net(config)

    def draw(_: int, digits: jax.Array) -> jax.Array:
        # Draws all anew from the same noise: a digit is final once all before it are, so each pass settles one more.
        return jnp.where(net(params, digits) + noise > 0, 1.0, -1.0)

    digits = jax.lax.fori_loop(0, num_digits, draw, jnp.zeros_like(noise))
    limits = jnp.finfo(noise.dtype)
    shape = (num_samples, config.dim)
    return _in_cells(digits, jax.random.uniform(key_cell, shape, noise.dtype, minval=limits.epsneg), config)


def _digits_of_uniform(params: PyTree, u: jax.Array, config: Config) -> jax.Array:
    """What f32[n, dim] in (0, 1) makes of the digits: what each leaves undecided decides the next."""
    net = _net(config)

    def settle(k: jax.Array, decided: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        digits, rest = decided
        logit, u = net(params, digits)[:, k], rest[:, k % config.dim]
        zero, one = jax.nn.sigmoid(-logit), jax.nn.sigmoid(logit)
        is_one = u >= zero
        u = jnp.where(is_one, (u - zero) / one, u / zero)
        return digits.at[:, k].set(jnp.where(is_one, 1.0, -1.0)), rest.at[:, k % config.dim].set(u)

    num_digits = config.dim * config.num_bits
    _, *start = door.vary((params, jnp.zeros((len(u), num_digits), u.dtype), u))
    digits, rest = jax.lax.fori_loop(0, num_digits, settle, tuple(start))
    limits = jnp.finfo(u.dtype)
    return _in_cells(digits, jnp.clip(rest, limits.epsneg, 1 - limits.epsneg), config)


def _in_cells(digits: jax.Array, within: jax.Array, config: Config) -> jax.Array:
    """Data f32[n, dim] at shares f32[n, dim] of the cells that digits f32[n, num_bits·dim] name."""
    places = 2.0 ** np.arange(config.num_bits)[None, ::-1, None]
    cell = jnp.sum(jnp.where(digits.reshape(len(digits), -1, config.dim) > 0, places, 0.0), axis=1)
    # u/(1 − u) from two numbers that are exact at either end, where u itself would round to 0 or 1.
    return config.spread * (jnp.log(cell + within) - jnp.log(2.0**config.num_bits - 1 - cell + (1 - within)))


def _sample_mixture(key: Key, params: PyTree, num_samples: int, config: Config) -> jax.Array:
    key_component, key_noise = jax.random.split(key)
    gumbel = jax.random.gumbel(key_component, (num_samples, config.dim, config.num_components))
    noise = jax.random.normal(key_noise, (num_samples, config.dim))

    def draw(_: int, x: jax.Array) -> jax.Array:
        # As for digits: each pass settles one more coordinate.
        log_shares, means, scales = _components(params, x, config)
        chosen = jax.nn.one_hot(jnp.argmax(log_shares + gumbel, axis=2), config.num_components)
        return jnp.sum(chosen * means, axis=2) + jnp.sum(chosen * scales, axis=2) * noise

    return jax.lax.fori_loop(0, config.dim, draw, jnp.zeros_like(noise))


def _components(params: PyTree, x: jax.Array, config: Config) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log weights, means and standard deviations, f32[n, dim, num_components], of each coordinate's conditional.

    At first the components are alike, spread over [−2, 2].

    References:
      Bishop 1994, Mixture density networks, section 3.
    """
    outputs = _net(config)(params, x).reshape(len(x), config.dim, 3, config.num_components)
    spacing = 4 / config.num_components
    centers = spacing * (np.arange(config.num_components) + 0.5) - 2
    scales = MIN_SCALE + spacing * jnp.exp(outputs[:, :, 2])
    return jax.nn.log_softmax(outputs[:, :, 0], axis=2), outputs[:, :, 1] + centers[None, None], scales


METHOD = Method(Config, init, step, sample, log_prob, from_uniform=from_uniform)
