"""Energy-based models: an unnormalised log density, learnt without its normaliser, and sampled by Langevin dynamics.

The energy is E(x) = −log N(x; 0, s²I) − f(x), with s the noise's scale and f a network: the quadratic confines the
model, and f is its log density relative to a broad normal, which is the noise that noise-contrastive estimation
contrasts the data with. Beyond `REACH`·s, where that noise has no samples, f is constant: whatever the weights are, the
tails are a normal's, and the model has a normaliser.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.typing import ArrayLike

from jgen1d import nets
from jgen1d.core import FromUniformFn, Info, Key, Method, PyTree, door, pytree_dataclass, shape_of, static, traced
from jgen1d.maths import densities, integrate, mcmc
from jgen1d.methods import _adam, _cells

OBJECTIVES = ("noise_contrastive", "contrastive_divergence", "score_matching", "denoising_score_matching")
SAMPLERS = ("mala", "langevin")
REACH = 5.0
"""The noise's scales from 0, per coordinate, beyond which the network is constant."""


@pytree_dataclass
class Config(_adam.DescentConfig):
    """Hyper-parameters; scales and step sizes are in units of the training data, and sized for standardised data."""

    network: Any = static(default="mlp", choices=("mlp", "conv"), own=nets.Net, help="the energy, but for the normal")
    widths: tuple[int, ...] = static(default=(64, 64), at_least=1, help="units of the hidden layers")
    activation: Any = static(default="silu", choices=nets.ACTIVATIONS, own=Callable, help="of every hidden layer")
    fourier_features: int = static(
        default=7, at_least=0, help="octaves of sines and cosines of x beside x (objective=noise_contrastive)"
    )
    objective: str = static(default="noise_contrastive", choices=OBJECTIVES, help="what training minimises")
    learning_rate: float = traced(default=5e-3, at_least=0, help="Adam's step size")
    noise_ratio: int = static(default=4, at_least=1, help="noise samples per data point (noise_contrastive)")
    noise_scale: float = traced(default=1.5, above=0, help="std of the noise, and of the normal that confines")
    num_chain_steps: int = static(default=10, at_least=1, help="of each chain per step (contrastive_divergence)")
    persistent: bool = static(default=False, help="go on with the chains of the step before (contrastive_divergence)")
    num_chains: int = static(default=256, at_least=1, help="persistent chains")
    smoothing: float = traced(default=0.1, above=0, help="std of the noise on data (denoising_score_matching)")
    sampler: str = static(default="mala", choices=SAMPLERS, help="what moves the chains, in training and sampling")
    step_size: float = traced(
        default=0.01, above=0, help="of the chains: the variance of a move's noise; in sampling also 1/10 and 1/100"
    )
    num_sampling_steps: int = static(default=8, at_least=1, help="of the chain that ends in a sample")
    num_proposals: int = static(
        default=8, at_least=1, help="broad proposals per sample, for the chains' starts (in 2-D: cells of a grid)"
    )


class State(NamedTuple):
    """The model that descends, and the persistent chains, f32[num_chains, dim], or None."""

    model: _adam.State
    chains: jax.Array | None

    @property
    def eval_params(self) -> PyTree:
        """The network's parameters to sample and measure with."""
        return self.model.eval_params


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the network's parameters and chains. Raises ValueError for options that do not go together."""
    if config.persistent and config.objective != "contrastive_divergence":
        raise ValueError(f"persistent=True needs objective='contrastive_divergence', not {config.objective!r}")
    if config.objective == "score_matching" and config.activation in ("relu", "leaky_relu"):
        raise ValueError(f"objective='score_matching' needs a smooth activation, not {config.activation!r}")
    key_net, key_chains = jax.random.split(key)
    chains = noise(key_chains, config.num_chains, config) if config.persistent else None
    return State(_adam.start(_net(config).init(key_net), config), chains)


@door.step
def step(key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
    """One step on f32[n, dim].

    Args:
      key: for noise and chains.
      state: from `init` or the step before.
      batch: f32[n, dim].
      config: the hyper-parameters.

    Returns:
      The next state, and `loss`, `grad_norm` and `energy_data`, the batch's mean energy: the negative log likelihood
      where the objective learns the normaliser (noise_contrastive), else that up to a constant.
    """
    chains = state.chains
    if config.objective == "contrastive_divergence":
        start = batch if chains is None else chains
        others = walk(key, state.model.params, start, config.num_chain_steps, config)
        chains = None if chains is None else others
    elif config.objective == "noise_contrastive":
        others = noise(key, config.noise_ratio * len(batch), config)

    def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
        log_density = functools.partial(_log_density, params, config)
        match config.objective:
            case "noise_contrastive" | "contrastive_divergence":
                ratios = _log_ratio(params, jnp.concatenate([batch, others]), config)
                data, rest = jnp.split(ratios, [len(batch)])
                energy_data = -jnp.mean(data + _log_noise(batch, config))
                if config.objective == "noise_contrastive":
                    loss = noise_contrastive(data, rest)
                else:
                    loss = energy_data + jnp.mean(rest + _log_noise(others, config))
            case "score_matching":
                loss, energy_data = score_matching(log_density, batch), -jnp.mean(log_density(batch))
            case _:
                loss = denoising_score_matching(key, log_density, batch, config.smoothing)
                energy_data = -jnp.mean(log_density(batch))
        return loss, {"energy_data": energy_data}

    model, info = _adam.descend(loss_of, state.model, config)
    return State(model, chains), info


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim]: starts that have the model's share of each mode, then moves of the chains.

    Langevin dynamics do not cross between modes that lie far apart. Therefore the chains start at draws from
    `num_proposals` noise samples for each of them, with weights exp(−E)/N(0, s²I): every mode has its share from the
    start, with an error that falls with the number of all proposals. In 2-D few proposals would fall into narrow modes:
    there the starts are uniform in cells of the normaliser's grid, drawn by the model's probability of each.
    `num_sampling_steps` moves take the chains away from the proposals that several of them share. `mala` keeps the
    model's distribution; `langevin` has a bias that grows with the step.

    References:
      Rubin 1987, A noniterative sampling/importance resampling alternative, section 3.
    """
    key_start, key_chains = jax.random.split(key)
    if config.dim == 2:
        starts = _cells.draw(key_start, _log_mass(state, config), num_samples, config.noise_scale)
    else:
        starts = _start_by_proposals(key_start, state, num_samples, config)
    sizes = config.step_size * 0.1 ** (jnp.arange(config.num_sampling_steps) % 3)  # for modes of all widths
    return walk(key_chains, state.eval_params, starts, config.num_sampling_steps, config, sizes)


def from_uniform(config: Config) -> FromUniformFn | None:
    """The model's quantiles in 1-D, which `mala` keeps; see `Method`. In 2-D the grid is coarser than narrow modes."""
    if config.dim > 1 or config.sampler != "mala":
        return None
    return lambda state, u, condition: _cells.quantile(_log_mass(state, config), u[:, 0], config.noise_scale)[:, None]


def _start_by_proposals(key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
    key_noise, key_choice = jax.random.split(key)
    proposals = noise(key_noise, config.num_proposals * num_samples, config)
    log_weights = _log_ratio(state.eval_params, proposals, config)
    weights = jnp.exp(log_weights - jnp.max(log_weights))
    return jax.random.choice(key_choice, proposals, (num_samples,), p=weights)


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The log density, f32[n] in nats, normalised by quadrature. Raises ValueError for more than two dimensions."""
    return -energy(state, x, config) - log_normalizer(state, config)


def energy(state: State, x: jax.Array, config: Config) -> jax.Array:
    """The energy E(x), f32[n], of f32[n, dim]: the negative log density in nats, up to a constant."""
    return -_log_density(state.eval_params, config, x)


def log_normalizer(state: State, config: Config) -> jax.Array:
    """log ∫ exp(−E), f32[], by quadrature; noise-contrastive estimation drives it to 0. ValueError beyond 2-D."""
    return jax.nn.logsumexp(_log_mass(state, config))


def walk(
    key: Key, params: PyTree, x: jax.Array, num_steps: int, config: Config, step_size: jax.Array | None = None
) -> jax.Array:
    """Where `config.sampler` takes chains from f32[n, dim]; the step size is the config's, or f32[num_steps]."""
    log_density = functools.partial(_log_density, params, config)
    size = config.step_size if step_size is None else step_size
    if config.sampler == "mala":
        return mcmc.mala(key, log_density, x, size, num_steps)[0]
    return mcmc.langevin(key, _score(log_density), x, size, num_steps)[0]


def noise(key: Key, num_samples: int, config: Config) -> jax.Array:
    """Draws f32[num_samples, dim] from N(0, s²I); in 1-D stratified: one from each of as many cells of equal mass."""
    if config.dim > 1:
        return config.noise_scale * jax.random.normal(key, (config.dim, num_samples)).T
    u = (jnp.arange(num_samples) + jax.random.uniform(key, (num_samples,))) / num_samples
    limits = jnp.finfo(u.dtype)
    return config.noise_scale * ndtri(jnp.clip(u, limits.epsneg, 1 - limits.epsneg))[:, None]


def noise_contrastive(log_ratios_data: jax.Array, log_ratios_noise: jax.Array) -> jax.Array:
    """The loss of telling data from noise, at its least where the log ratios are log p − log p_noise.

    Args:
      log_ratios_data: f32[n], the model's log density minus the noise's, at data.
      log_ratios_noise: f32[ν·n], the same at noise.

    References:
      Gutmann & Hyvärinen 2012, Noise-contrastive estimation of unnormalized statistical models, equations 4 to 8.
    """
    ratio = len(log_ratios_noise) / len(log_ratios_data)
    wrong_on_data = jnp.mean(jax.nn.softplus(math.log(ratio) - log_ratios_data))
    return wrong_on_data + ratio * jnp.mean(jax.nn.softplus(log_ratios_noise - math.log(ratio)))


def score_matching(log_density: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """E[∇·ψ + ½‖ψ‖²] with the score ψ = ∇ log density, its divergence exact; it learns no normaliser.

    Least where ψ is the data's score, if their density is smooth and falls to 0 at the ends of its support: it does
    not hold for the uniform and the exponential distribution.

    Args:
      log_density: f32[n, dim] -> f32[n], up to a constant.
      x: f32[n, dim], data.

    References:
      Hyvärinen 2005, Estimation of non-normalized statistical models by score matching, equation 4.
    """
    score, divergence = integrate.divergence(_score(log_density), x)
    return jnp.mean(divergence + 0.5 * jnp.sum(score**2, axis=1))


def denoising_score_matching(
    key: Key, log_density: Callable[[jax.Array], jax.Array], x: jax.Array, scale: ArrayLike
) -> jax.Array:
    """½E‖scale·ψ(x + scale·ξ) + ξ‖² with the score ψ = ∇ log density: it learns x + scale·ξ with ξ ~ N(0, I).

    Args:
      key: for the noise ξ.
      log_density: f32[n, dim] -> f32[n], up to a constant.
      x: f32[n, dim], data.
      scale: f32[], the noise's standard deviation.

    References:
      Vincent 2011, A connection between score matching and denoising autoencoders, equation 11, times scale².
    """
    xi = jax.random.normal(key, x.shape, x.dtype)
    return 0.5 * jnp.mean(jnp.sum((scale * _score(log_density)(x + scale * xi) + xi) ** 2, axis=1))


def _net(config: Config) -> nets.Net:
    # Biases from the start: in 1-D, without them, all units would bend at 0.
    features = config.dim * (1 + 2 * _num_octaves(config))
    return nets.build(
        config.network, features, 1, config.widths,
        activation=config.activation, initializer="default", shape=shape_of(config),
    )  # fmt: skip


def _num_octaves(config: Config) -> int:
    """Other objectives learn gradients or follow chains: waves of a high frequency are noise to them."""
    return config.fourier_features if config.objective == "noise_contrastive" else 0


def _log_ratio(params: PyTree, x: jax.Array, config: Config) -> jax.Array:
    """The network f, f32[n]: the log density minus the noise's, up to a constant."""
    bound = REACH * config.noise_scale
    x = jnp.clip(x, -bound, bound)
    if count := _num_octaves(config):
        x = nets.with_fourier(x, nets.FREQUENCIES["octave"](count), jnp.ones(count))
    return _net(config)(params, x)[:, 0]


def _log_noise(x: jax.Array, config: Config) -> jax.Array:
    return densities.standard_normal_log_prob(x / config.noise_scale) - config.dim * jnp.log(config.noise_scale)


def _log_density(params: PyTree, config: Config, x: jax.Array) -> jax.Array:
    return _log_ratio(params, x, config) + _log_noise(x, config)


def _log_mass(state: State, config: Config) -> jax.Array:
    """The log of exp(−E) times the volume of each cell of the grid."""
    return _cells.log_mass(functools.partial(_log_density, state.eval_params, config), config.dim, config.noise_scale)


def _score(log_density: Callable[[jax.Array], Any]) -> Callable[[jax.Array], jax.Array]:
    return jax.grad(lambda x: jnp.sum(log_density(x)))


def num_evaluations(config: Config) -> int:
    """At data, and at noise or along chains."""
    others = {"noise_contrastive": config.noise_ratio, "contrastive_divergence": 2 + config.num_chain_steps}
    return 1 + others.get(config.objective, 0)


METHOD = Method(Config, init, step, sample, log_prob, num_evaluations=num_evaluations, from_uniform=from_uniform)
