"""Diffusion models: a network learns to tell data and noise apart in α(t)·data + σ(t)·noise, and so to undo the noise.

Time is continuous, from data (t = 0) to noise (t = 1), and α² + σ² = 1 (Ho et al. 2020; Song et al. 2021; Kingma et al.
2021). What the network outputs, which error is the loss, and how samples are drawn are independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from jgen1d.core import (
    FromUniformFn,
    Info,
    Key,
    Method,
    PyTree,
    Trajectory,
    check_condition,
    door,
    num_classes,
    pytree_dataclass,
    replace,
    static,
    traced,
)
from jgen1d.core.once import computed_once
from jgen1d.maths import integrate, paths
from jgen1d.methods import _adam, _denoiser, _guidance, _samplers
from jgen1d.methods._adam import State

PREDICTIONS = ("epsilon", "x0", "v", "score")
WEIGHTINGS = ("simple", "x0", "v", "elbo", "min_snr", "denoising_score_matching")


@pytree_dataclass
class Config(_denoiser.DenoiserConfig):
    """Hyper-parameters. The network is sized for standardised data."""

    noise_schedule: str = static(default="cosine", choices=paths.SCHEDULES, help="how noise comes in over time")
    prediction: str = static(default="v", choices=PREDICTIONS, help="what the network outputs")
    weighting: str = static(default="v", choices=WEIGHTINGS, help="of the squared error over noise levels")
    min_snr_gamma: float = traced(default=5.0, above=0, help="bound on the signal-to-noise ratio (weighting=min_snr)")
    sampler: str = static(default="ode", choices=_samplers.SAMPLERS, help="how samples are drawn")
    num_sampling_steps: int = static(default=40, at_least=1, help="of the sampler; one of the ODE evaluates twice")
    spacing: str = static(
        default="quadratic",
        choices=_samplers.SPACINGS,
        help="what the sampler's times are uniform in; quadratic: the angle's root",
    )
    posterior_variance: str = static(
        default="beta_tilde", choices=_samplers.POSTERIOR_VARIANCES, help="of the ancestral sampler's noise"
    )
    eta: float = traced(default=0.0, at_least=0, help="noise of DDIM: none at 0, the ancestral sampler's at 1")
    num_langevin_steps: int = static(default=1, at_least=1, help="at each noise level (sampler=langevin)")
    langevin_snr: float = traced(default=0.16, above=0, help="signal-to-noise ratio of a Langevin step")
    predictor: bool = static(default=True, help="an ancestral step after each level's Langevin steps")
    num_likelihood_steps: int = static(default=60, at_least=1, help="of the likelihood's ODE")


class Estimate(NamedTuple):
    """What is expected, given x: the data, the noise, and v = α·noise − σ·data; f32[n, dim] each."""

    data: jax.Array
    noise: jax.Array
    v: jax.Array


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the network's parameters."""
    return _adam.start(_denoiser.net(config).init(key), config)


@door.step
def step(
    key: Key, state: State, batch: jax.Array, config: Config, condition: jax.Array | None = None
) -> tuple[State, Info]:
    """One step on f32[n, dim] and, with classes, their labels i32[n]: `loss` is the mean of `losses`."""
    condition = check_condition(config, condition, len(batch))
    if condition is not None:
        key, key_drop = jax.random.split(key)
        condition = _guidance.drop(key_drop, condition, config)
    key_noise, key_time = jax.random.split(key)
    noise = jax.random.normal(key_noise, batch.shape)
    t = _samplers.MIN_TIME + (1 - _samplers.MIN_TIME) * _denoiser.times(key_time, len(batch), config)

    def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
        return jnp.mean(losses(params, batch, noise, t, config, condition)), {}

    return _adam.descend(loss_of, state, config)


def losses(
    params: PyTree, data: jax.Array, noise: jax.Array, t: jax.Array, config: Config, condition: jax.Array | None = None
) -> jax.Array:
    """The weighted squared error in each row, f32[n], summed over dimensions.

    With SNR = α²/σ², the error of the noise is SNR, and that of v is SNR + 1 times the error of the data. The
    weightings make of it: `simple` the error of the noise, `x0` of the data, `v` of v, `denoising_score_matching` of
    the score −noise/σ; `elbo` −½·dSNR/dt times that of the data, whose mean over times is the variational bound up to
    a constant; and `min_snr` min(SNR, γ) times that of the data. `step` draws times that are uniform for a `time_power`
    of 1 only; any other weights the errors at a time by how often it is drawn.

    Args:
      params: the network's.
      data: f32[n, dim].
      noise: f32[n, dim], from N(0, I).
      t: f32[n, 1], in [MIN_TIME, 1].
      config: `prediction`, `weighting`, `noise_schedule`.
      condition: labels i32[n] of the data, negative where the network is not to know.

    References:
      Ho et al. 2020, Denoising diffusion probabilistic models, equation 14: `simple`.
      Salimans & Ho 2022, Progressive distillation for fast sampling of diffusion models, section 4: `v`.
      Kingma et al. 2021, Variational diffusion models, equation 17: `elbo`.
      Hang et al. 2023, Efficient diffusion training via min-SNR weighting strategy, equation 6: `min_snr`.
      Vincent 2011, A connection between score matching and denoising autoencoders, section 4.
    """
    alpha, sigma, d_alpha, d_sigma = paths.SCHEDULES[config.noise_schedule].rates(t)
    noisy, v = computed_once(alpha * data + sigma * noise), computed_once(alpha * noise - sigma * data)
    estimate = _estimate(params, noisy, t, config, condition)
    error = jnp.sum((estimate.v - v) ** 2, axis=1)
    match config.weighting:  # of the error of v, which is finite at all times
        case "simple":
            weight = alpha**2
        case "x0":
            weight = sigma**2
        case "v":
            return error
        case "elbo":
            weight = alpha**2 * (d_sigma / sigma - d_alpha / alpha)
        case "min_snr":
            weight = jnp.minimum(alpha**2, config.min_snr_gamma * sigma**2)
        case _:
            weight = (alpha / sigma) ** 2
    return weight[:, 0] * error


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """Draws f32[num_samples, dim] with the config's sampler, of labels i32[num_samples] or of all data."""
    return _generate(key, state, num_samples, config, condition)[0]


def from_uniform(config: Config) -> FromUniformFn | None:
    """Where the ODE carries quantiles of the noise; see `Method`. Other samplers draw more than the noise."""
    if config.sampler != "ode":
        return None

    def carry(state: State, u: jax.Array, condition: jax.Array | None) -> jax.Array:
        predict, unused = _guided(state, config, condition, len(u)), jax.random.key(0)
        return _samplers.generate(unused, lambda x, t: predict(x, t).noise, ndtri(u), config)[0]

    return carry


def sample_path(
    key: Key, state: State, num_samples: int, config: Config, condition: jax.Array | None = None
) -> jax.Array:
    """The way of the samples that `sample` draws, from noise on: f32[num_sampling_steps + 1, num_samples, dim]."""
    _, way, noise = _generate(key, state, num_samples, config, condition)
    return jnp.concatenate([noise[None], way])


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """The log density, f32[n], of what the probability-flow ODE makes of N(0, I), with its `integrate.divergence`.

    It is that of the labels i32[n], with the config's guidance, or of all data.

    References:
      Song et al. 2021, Score-based generative modeling through stochastic differential equations, equation 39.
    """
    path = paths.SCHEDULES[config.noise_schedule]
    times = _samplers.time_grid(path, config.spacing, config.num_likelihood_steps + 1)
    predict = _guided(state, config, condition, len(x))
    field, angles = _samplers.flow(lambda x, t: predict(x, t).v, path, times)
    return integrate.log_prob_by_flow(field, x, angles[::-1])


def estimate(state: State, x: jax.Array, t: jax.Array, config: Config, condition: jax.Array | None = None) -> Estimate:
    """The learnt expectations at f32[n, dim] and times f32[n, 1] or f32[], in [MIN_TIME, 1]; without guidance."""
    return _estimate(state.eval_params, x, t, config, condition)


def score(state: State, x: jax.Array, t: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """The learnt score −noise/σ, f32[n, dim], at f32[n, dim] and times f32[n, 1] or f32[]; `theory.score` is exact."""
    return -estimate(state, x, t, config, condition).noise / paths.SCHEDULES[config.noise_schedule].sigma(t)


def velocity(state: State, x: jax.Array, t: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """The learnt probability-flow ODE's right side, dx/dt = α′·data + σ′·noise, f32[n, dim]; arguments as of `score`.

    As α² + σ² = 1, it is v times the rate of the angle arctan(σ/α).
    """
    alpha, sigma, d_alpha, d_sigma = paths.SCHEDULES[config.noise_schedule].rates(t)
    return (alpha * d_sigma - sigma * d_alpha) * estimate(state, x, t, config, condition).v


def _generate(
    key: Key, state: State, num_samples: int, config: Config, condition: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    predict = _guided(state, config, condition, num_samples)
    key_start, key_sampler = jax.random.split(key)
    noise = jax.random.normal(key_start, (config.dim, num_samples)).T
    end, way = _samplers.generate(key_sampler, lambda x, t: predict(x, t).noise, noise, config)
    return end, way, noise


def _guided(
    state: State, config: Config, condition: jax.Array | None, num_rows: int
) -> Callable[[jax.Array, jax.Array], Estimate]:
    """What samples and likelihoods follow, of x: f32[num_rows, dim] and t."""
    if condition is not None:
        check_condition(config, condition, num_rows)
    return lambda x, t: _guidance.guide(lambda given: estimate(state, x, t, config, given), condition, config)


def _estimate(params: PyTree, x: jax.Array, t: jax.Array, config: Config, condition: jax.Array | None) -> Estimate:
    """Of standardised data, x has variance 1 at all times; the best prediction of v is 0 if they are normal."""
    path = paths.SCHEDULES[config.noise_schedule]
    alpha, sigma = path.alpha(t), path.sigma(t)
    output = _denoiser.predict(params, x, sigma, t, config, condition)
    match config.prediction:
        case "v":
            return Estimate(alpha * x - sigma * output, sigma * x + alpha * output, output)
        case "x0":
            return Estimate(output, (x - alpha * output) / sigma, (alpha * x - output) / sigma)
        case "epsilon":
            noise = output
        case _:  # the score is −1/σ times a network of unit scale: Song & Ermon 2020, technique 3
            noise = -output
    return Estimate((x - sigma * noise) / alpha, noise, (noise - sigma * x) / alpha)


def _path(config: Config) -> paths.Path:
    return paths.SCHEDULES[config.noise_schedule]


def _stops(config: Config) -> jax.Array:
    return _samplers.time_grid(_path(config), config.spacing, config.num_sampling_steps + 1)


def _carry(state: State, noise: jax.Array, config: Config) -> jax.Array:
    """Where the probability-flow ODE carries noise f32[n, dim], f32[num_sampling_steps + 1, n, dim]."""
    config = replace(config, sampler="ode")
    key = jax.random.key(0)  # the ODE draws nothing
    points = _samplers.generate(key, lambda x, t: estimate(state, x, t, config).noise, noise, config)[1]
    return jnp.concatenate([noise[None], points])


def _kind(config: Config) -> str:
    del config
    return "score"


METHOD = Method(
    Config, init, step, sample, log_prob,
    num_classes=num_classes, from_uniform=from_uniform,
    trajectory=Trajectory(_kind, _path, _stops, _carry, score),
)  # fmt: skip
