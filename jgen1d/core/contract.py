"""What a method is: pure functions, bound into a `Method` at the end of its file.

`fit`, `sweep`, the verdict and the contract tests work on any `Method`. A new method is one file and one line in
`jgen1d.methods.METHODS`. Each of its four functions has its decorator of `jgen1d.core.door`, which checks what callers
pass, so that the function itself may rely on what is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax

from jgen1d.core import config as config_lib

Key = jax.Array
"""A typed PRNG key, made by `jax.random.key`."""
PyTree = Any
State = Any
"""A method's NamedTuple of what its next step needs: parameters, optimizer states, averages, the step count."""
Config = Any
"""A method's `pytree_dataclass` of hyper-parameters."""
Info = dict[str, jax.Array]
"""A step's f32 scalars by name: losses, gradient norms and whatever else is worth a curve."""


class InitFn(Protocol):
    """Draws the state that training starts from."""

    def __call__(self, key: Key, config: Config) -> State:
        """Returns the initial state. Raises ValueError if static fields of `config` contradict each other."""


class StepFn(Protocol):
    """Takes one training step.

    Pure, and written for one run: `jit`, `vmap` and `scan` are the caller's. `state` keeps its structure, shapes and
    dtypes. `info` has the same keys at every step. `batch` is only read.
    """

    def __call__(self, key: Key, state: State, batch: jax.Array, config: Config) -> tuple[State, Info]:
        """Trains on `batch`, f32[n, dim], and returns the next state and the step's scalars."""


class SampleFn(Protocol):
    """Draws from the model."""

    def __call__(self, key: Key, state: State, num_samples: int, config: Config) -> jax.Array:
        """Returns f32[num_samples, dim], in the units that the model was trained in."""


class LogProbFn(Protocol):
    """Evaluates the model's normalised log density, in nats."""

    def __call__(self, state: State, x: jax.Array, config: Config) -> jax.Array:
        """Returns f32[n] for `x`, f32[n, dim]."""


class FromUniformFn(Protocol):
    """Maps the unit cube to data so that uniform numbers become samples like those of `SampleFn`."""

    def __call__(self, state: State, u: jax.Array, condition: jax.Array | None) -> jax.Array:
        """Returns f32[n, dim] for `u`, f32[n, dim] in (0, 1), and with classes the labels i32[n]."""


class Trajectory(NamedTuple):
    """How a method carries each sample from noise to data.

    Attributes:
      kind: `config -> "score", "velocity" or "transport_velocity"`: the field that carries the points, which decides
        the exact field that it is compared with (see `jgen1d.theory`).
      path: `config -> path`: how much data and how much noise there is at each time (see `jgen1d.maths.paths`).
      times: `config -> f32[stops]`: the times at which the sampler stops, from noise to data.
      points: `(state, noise: f32[n, dim], config) -> f32[stops, n, dim]`: where the deterministic sampler carries the
        noise, in training units.
      field: `(state, x: f32[n, dim], t: f32[], config) -> f32[n, dim]`: the learned field.
    """

    kind: Callable[[Any], str]
    path: Callable[[Any], Any]
    times: Callable[[Any], jax.Array]
    points: Callable[[State, jax.Array, Any], jax.Array]
    field: Callable[[State, jax.Array, jax.Array, Any], jax.Array]


class Players(NamedTuple):
    """The two players of an adversarial method.

    Attributes:
      discriminate: `(state, x: f32[n, dim], config) -> f32[n]`: the discriminator's raw outputs.
      latents: `(key, num_samples, config) -> f32[num_samples, latent_dim]`.
      generate: `(state, latents, config) -> f32[n, dim]`.
      quantile: `config -> (u: f32[n] -> f32[n])`: the quantile function of each latent, which the optimal generator of
        one latent is compared along.
      optimal_output: `config -> "probability", "double_sigmoid" or ""`: what the raw outputs converge to: the logit of
        p/(p + q), the clipped log-ratio of a loss that applies the sigmoid twice, or nothing that is known.
      freeze: `(config, player: "d" or "g") -> (config, names of fields of the state)`: what makes that player rest: a
        config that does not move it, and the fields to keep as they were.
    """

    discriminate: Callable[[State, jax.Array, Any], jax.Array]
    latents: Callable[[Key, int, Any], jax.Array]
    generate: Callable[[State, jax.Array, Any], jax.Array]
    quantile: Callable[[Any], Callable[[jax.Array], jax.Array]]
    optimal_output: Callable[[Any], str]
    freeze: Callable[[Any, str], tuple[Any, tuple[str, ...]]]


def one(config: Config) -> int:
    """The default of `Method.num_minibatches` and `Method.num_evaluations`."""
    del config
    return 1


def no_classes(config: Config) -> int:
    """The default of `Method.num_classes`."""
    del config
    return 0


def standardized(config: Config) -> bool:
    """The default of `Method.standardize`."""
    del config
    return True


def drawn_otherwise(config: Config) -> None:
    """The default of `Method.from_uniform`."""
    del config


def no_presets() -> Mapping[str, Config]:
    """The default of `Method.presets`."""
    return {}


class Method(NamedTuple):
    """A generative model and its training, as pure functions.

    Attributes:
      Config: frozen pytree dataclass (see `pytree_dataclass`). Tuples of units of hidden layers, and `latent_dim`, set
        sizes of networks. If a method only passes them to `nets` and to shapes, as the first axis of what it draws,
        `sweep` trains different sizes in one program.
      init: `(key, config) -> state`.
      step: `(key, state, batch, config) -> (state, info)`.
      sample: `(key, state, num_samples, config) -> f32[num_samples, dim]`.
      log_prob: `(state, x, config) -> f32[n]`; None if it is intractable.
      loss_optimum: for adversarial methods, `config -> {name of a loss in info: its value at the equilibrium}`, which
        the verdict compares the history with; None for the others.
      num_minibatches: `config -> k`: a step's `batch` holds k fresh minibatches, one after the other.
      num_evaluations: `config -> k`: a step evaluates networks k times for each row of a minibatch.
      num_classes: `config -> k`: if k > 0, the model is of data given labels, and `step`, `sample` and `log_prob` take
        the keyword `condition`, i32[n], from 0 to k − 1.
      standardize: `config -> bool`: whether the method trains on (x − mean)/std unless its caller says otherwise.
      bind: `(config, dim, num_steps) -> config`: the config for data of this dimension and a run of this length. By
        default it sets the fields of these names, if the config has them.
      presets: `() -> {name: config}`, the default first.
      from_uniform: `config -> FromUniformFn`, which turns points of a lattice into samples, or None.
      trajectory: how samples move from noise to data; None if they do not.
      players: the players of an adversarial method; None for the others.
    """

    Config: type
    init: InitFn
    step: StepFn
    sample: SampleFn
    log_prob: LogProbFn | None = None
    loss_optimum: Callable[[Any], dict[str, float]] | None = None
    num_minibatches: Callable[[Any], int] = one
    num_evaluations: Callable[[Any], int] = one
    num_classes: Callable[[Any], int] = no_classes
    standardize: Callable[[Any], bool] = standardized
    bind: Callable[[Any, int, int], Any] = config_lib.bind
    presets: Callable[[], Mapping[str, Any]] = no_presets
    from_uniform: Callable[[Any], FromUniformFn | None] = drawn_otherwise
    trajectory: Trajectory | None = None
    players: Players | None = None
