"""Flow matching: a velocity field that carries noise to data, learnt by regression on the velocities of given paths.

x_t = α(t)·data + σ(t)·noise runs from noise (t = 0) to data (t = 1); the field learns E[α′·data + σ′·noise | x_t]
(Lipman et al. 2023; Albergo & Vanden-Eijnden 2023; Liu et al. 2023).
"""

from __future__ import annotations

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
    static,
    traced,
)
from jgen1d.maths import integrate, paths
from jgen1d.methods import _adam, _denoiser, _guidance
from jgen1d.methods._adam import State

SPACINGS = {"time": 1, "quadratic": 2}
"""The power of the time that is left until the data, of which integration takes even steps."""


@pytree_dataclass
class Config(_denoiser.DenoiserConfig):
    """Hyper-parameters. The field is sized for standardised data."""

    path: str = static(default="linear", choices=paths.FLOWS, help="between noise and data")
    coupling: str = static(
        default="independent", choices=("independent", "transport"), help="of noise and data within a minibatch"
    )
    regularization: float = traced(
        default=0.02, above=0, help="of the transport plan in 2-D, in units of the mean cost"
    )
    num_sinkhorn: int = static(default=50, at_least=1, help="iterations for the transport plan in 2-D")
    integrator: str = static(default="heun", choices=integrate.INTEGRATORS, help="of samples and likelihoods")
    num_integration_steps: int = static(default=50, at_least=1, help="from noise to data")
    spacing: str = static(
        default="quadratic", choices=SPACINGS, help="of these steps: even in time, or closer towards the data"
    )


@door.init
def init(key: Key, config: Config) -> State:
    """Draws the field's parameters. Raises ValueError for options that do not go together."""
    for name in ("num_classes", "condition_dim"):
        if getattr(config, name) and config.coupling == "transport":
            raise ValueError(f"coupling='transport' does not go with {name}: noise would tell the conditions apart")
    return _adam.start(_denoiser.net(config).init(key), config)


@door.step
def step(
    key: Key, state: State, batch: jax.Array, config: Config, condition: jax.Array | None = None
) -> tuple[State, Info]:
    """One step on f32[n, dim] and, with classes, their labels i32[n], or a condition f32[n, condition_dim].

    `loss` is the mean squared error of the velocity, summed over dimensions.
    """
    condition = check_condition(config, condition, len(batch))
    if condition is not None:
        key, key_drop = jax.random.split(key)
        condition = _guidance.drop(key_drop, condition, config)
    key_noise, key_step = jax.random.split(key)
    noise = jax.random.normal(key_noise, batch.shape)
    if config.coupling == "transport":
        key_plan, key_step = jax.random.split(key_step)
        noise, batch = couple(key_plan, noise, batch, config)
    return _regress(key_step, state, noise, batch, config, condition)


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """Draws f32[num_samples, dim] by integrating the field from noise, of labels i32[num_samples] or of all data."""
    noise = jax.random.normal(key, (config.dim, num_samples)).T
    return transport(state, noise, config, condition)[0]


def from_uniform(config: Config) -> FromUniformFn:
    """Where the flow carries quantiles of the noise; see `Method`."""
    return lambda state, u, condition: transport(state, ndtri(u), config, condition)[0]


def transport(
    state: State, noise: jax.Array, config: Config, condition: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Where the learnt flow carries f32[n, dim]: the end, f32[n, dim], and each step, f32[steps, n, dim]."""
    return integrate.solve(_field(state, config, condition, len(noise)), noise, _times(config), config.integrator)


@door.log_prob
def log_prob(state: State, x: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """The log density of the flow, f32[n], by integrating the field and its `integrate.divergence` back.

    It is that of the labels i32[n], with the config's guidance, or of all data.
    """
    field = _field(state, config, condition, len(x))
    return integrate.log_prob_by_flow(field, x, _times(config)[::-1], config.integrator)


def velocity(state: State, x: jax.Array, t: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """The learnt field, f32[n, dim], at f32[n, dim] and times f32[n, 1] or f32[]; without guidance."""
    return _velocity(state.eval_params, x, t, config, condition)


def path_energy(state: State, noise: jax.Array, config: Config) -> jax.Array:
    """∫E‖v‖² dt along the learnt flow from f32[n, dim]; W2² at least, and just that for optimal transport.

    References:
      Benamou & Brenier 2000, A computational fluid mechanics solution to the Monge–Kantorovich mass transfer problem.
    """
    field = _field(state, config, None, len(noise))

    def with_energy(y: tuple[jax.Array, jax.Array], t: jax.Array) -> tuple[jax.Array, jax.Array]:
        v = field(y[0], t)
        return v, jnp.mean(jnp.sum(v**2, axis=1))

    (_, energy), _ = integrate.solve(with_energy, (noise, jnp.zeros(())), _times(config), config.integrator)
    return energy


def reflow_step(key: Key, state: State, teacher: State, num_rows: int, config: Config) -> tuple[State, Info]:
    """One step of a rectified flow's second round: the pairs are noise and where a trained flow carries it.

    Args:
      key: for noise and times.
      state: of the flow that is trained, from `init` or a copy of the teacher.
      teacher: of the flow that makes the pairs; it is only read.
      num_rows: how many pairs.
      config: of both.

    References:
      Liu et al. 2023, Flow straight and fast: learning to generate and transfer data with rectified flow, algorithm 1.
    """
    key_noise, key_step = jax.random.split(key)
    noise = jax.random.normal(key_noise, (num_rows, config.dim))
    return _regress(key_step, state, noise, transport(teacher, noise, config)[0], config, None)


def couple(key: Key, noise: jax.Array, data: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
    """Pairs noise and data, f32[n, dim] each, by optimal transport within the batch.

    The data keep their order. In 1-D the plan is exact, by sorting. Else each data point gets a partner drawn from the
    entropic plan (Tong et al. 2024, algorithm 3), whose bias falls with the regularisation.

    References:
      Cuturi 2013, Sinkhorn distances; in logarithms: Peyré & Cuturi 2019, Computational optimal transport, section 4.4.
    """
    if config.dim == 1:
        rank = jnp.argsort(jnp.argsort(data, axis=0), axis=0)
        return jnp.sort(noise, axis=0)[rank[:, 0]], data
    cost = jnp.sum((data[:, None] - noise[None]) ** 2, axis=2)
    kernel = -cost / (config.regularization * jnp.mean(cost))

    def iterate(potentials: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        columns = -jax.nn.logsumexp(kernel + potentials[0][:, None], axis=0)
        return (-jax.nn.logsumexp(kernel + columns[None], axis=1), columns), None

    zeros = jnp.zeros_like(data[:, 0])
    (_, columns), _ = jax.lax.scan(iterate, (zeros, zeros), length=config.num_sinkhorn)
    partner = jax.random.categorical(key, kernel + columns[None], axis=1)
    return noise[partner], data


def _regress(
    key: Key, state: State, noise: jax.Array, data: jax.Array, config: Config, condition: jax.Array | None
) -> tuple[State, Info]:
    t = 1 - _denoiser.times(key, len(data), config)
    alpha, sigma, d_alpha, d_sigma = paths.FLOWS[config.path].rates(t)
    x, wanted = alpha * data + sigma * noise, d_alpha * data + d_sigma * noise

    def loss_of(params: PyTree) -> tuple[jax.Array, Info]:
        return jnp.mean(jnp.sum((_velocity(params, x, t, config, condition) - wanted) ** 2, axis=1)), {}

    return _adam.descend(loss_of, state, config)


def _velocity(params: PyTree, x: jax.Array, t: jax.Array, config: Config, condition: jax.Array | None) -> jax.Array:
    """The field that is exact for data from N(0, I), plus a network whose input and best output have variance 1."""
    alpha, sigma, d_alpha, d_sigma = paths.FLOWS[config.path].rates(t)
    std = jnp.sqrt(alpha**2 + sigma**2)
    correction = _denoiser.predict(params, x / std, sigma / std, 1 - t, config, condition)
    linear = (alpha * d_alpha + sigma * d_sigma) / std**2
    return linear * x + (d_alpha * sigma - d_sigma * alpha) / std * correction


def _field(state: State, config: Config, condition: jax.Array | None, num_rows: int) -> integrate.Field:
    """What samples and likelihoods follow."""
    if condition is not None:
        check_condition(config, condition, num_rows)
    return lambda x, t: _guidance.guide(lambda given: velocity(state, x, t, config, given), condition, config)


def _times(config: Config) -> jax.Array:
    even = jnp.linspace(0, 1, config.num_integration_steps + 1)
    return 1 - (1 - even) ** SPACINGS[config.spacing]


def _kind(config: Config) -> str:
    return "transport_velocity" if config.coupling == "transport" else "velocity"


def _path(config: Config) -> paths.Path:
    return paths.FLOWS[config.path]


def _carry(state: State, noise: jax.Array, config: Config) -> jax.Array:
    """Where the flow carries noise f32[n, dim], f32[num_integration_steps + 1, n, dim]."""
    return jnp.concatenate([noise[None], transport(state, noise, config)[1]])


METHOD = Method(
    Config, init, step, sample, log_prob,
    num_classes=num_classes, from_uniform=from_uniform,
    trajectory=Trajectory(_kind, _path, _times, _carry, velocity),
)  # fmt: skip
