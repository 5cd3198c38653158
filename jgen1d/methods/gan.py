"""Generative adversarial networks: two players, their losses, and what keeps them in balance.

A step trains the discriminator on `critic_steps` fresh minibatches, then the generator once, through the updated
discriminator and on the last minibatch of generated samples (one forward pass of the generator serves both updates).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jgen1d import nets
from jgen1d.core import Info, Key, Method, Players, PyTree, door, shape_of
from jgen1d.core.config import lookup, pytree_dataclass, replace, static, traced
from jgen1d.core.labels import check_condition, num_classes
from jgen1d.core.text import unknown
from jgen1d.maths import losses
from jgen1d.methods import _critic, _gan_presets, _optimizer
from jgen1d.methods._latents import latents, quantile

_NETWORKS = ("mlp", "conv", "growing")


@pytree_dataclass
class Config:
    """Hyper-parameters, by default of the preset `regularized`. Rates and norms are in units of the training data."""

    dim: int = static(default=1, at_least=1, help="dimension of the data; set by fit and sweep")
    shape: tuple[int, ...] | None = static(default=None, help="of one signal or image; set by fit and sweep")
    num_steps: float = traced(default=5_000.0, at_least=1, help="horizon of the schedules; set by fit and sweep")
    standardize: bool = static(default=True, help="train on (x − mean)/std of the data")
    latent_dim: int = static(default=5, at_least=1, help="dimension of the generator's input")
    latent: str = static(
        default="normal", choices=("normal", "uniform"), help="distribution of the latents: N(0, 1) or U(-1, 1)"
    )
    binary_latents: int = static(default=0, at_least=0, help="how many of the latents are −1 or 1 instead")
    num_classes: int = static(default=0, at_least=0, help="classes of labelled data, the target's modes; 0: no labels")
    network_g: Any = static(default="mlp", choices=_NETWORKS, own=nets.Net, help="the generator")
    network_d: Any = static(default="mlp", choices=_NETWORKS, own=nets.Net, help="the discriminator")
    widths_g: tuple[int, ...] = static(default=(32, 32), at_least=1, help="units, or channels, of G's hidden layers")
    widths_d: tuple[int, ...] = static(default=(32, 32), at_least=1, help="units, or channels, of D's hidden layers")
    activation_d: Any = static(
        default="same", choices=("same", *nets.ACTIVATIONS), own=Callable, help="of D's hidden layers; same: as of G's"
    )
    batch_norm_d: bool = static(default=False, help="batch normalisation of D, over real and generated rows apart")
    activation: Any = static(default="relu", choices=nets.ACTIVATIONS, own=Callable, help="of every hidden layer")
    initializer: str = static(default="he_normal", choices=nets.INITIALIZERS, help="of the weight matrices")
    spectral_norm: bool = static(default=False, help="spectral normalisation of the discriminator")
    batch_norm: bool = static(default=False, help="batch normalisation of the generator's hidden layers")
    maxout_pieces: int = static(default=0, at_least=0, help="maxout pieces per hidden unit of D; 0: the activation")
    generator_loss: Any = static(
        default="non_saturating", choices=losses.GENERATOR, own=losses.GeneratorLoss, selectable=True,
        help="the generator's loss",
    )  # fmt: skip
    discriminator_loss: Any = static(
        default="log", choices=losses.DISCRIMINATOR, own=losses.DiscriminatorLoss, selectable=True,
        help="the discriminator's loss",
    )  # fmt: skip
    critic_steps: int = static(default=1, at_least=1, help="D's updates, on fresh minibatches, per update of G")
    unrolled_steps: int = static(
        default=0, at_least=0, help="discriminator updates that the generator looks ahead, and differentiates through"
    )
    fourier_features: int = static(
        default=0, at_least=0, help="frequencies of the sines and cosines of x that D is given beside x"
    )
    frequencies: str = static(
        default="harmonic", choices=nets.FREQUENCIES, help="of the Fourier features: 1, 2, 3, … or 1, 2, 4, …"
    )
    minibatch_features: int = static(
        default=0, at_least=0, help="features by which the discriminator compares the points of a minibatch"
    )
    packing: int = static(default=1, at_least=1, help="samples that the discriminator sees at a time (PacGAN)")
    updates: str = static(
        default="alternating", choices=("alternating", "simultaneous"), help="G answers D after or before its update"
    )
    optimizer: Any = static(default="adam", choices=_optimizer.OPTIMIZERS, own=Callable, help="of both players")
    schedule: str = static(
        default="cosine", choices=_optimizer.SCHEDULES, help="of both learning rates, over num_steps"
    )
    anneal_noise: bool = static(default=False, help="let instance noise fall to 0, linearly until noise_until")
    learning_rate_g: float = traced(default=3e-3, at_least=0, help="the generator's step size")
    learning_rate_d: float = traced(default=3e-3, at_least=0, help="the discriminator's step size")
    beta1_g: float = traced(default=0.0, at_least=0, below=1, help="decay of the generator's first moment")
    beta1_d: float = traced(default=0.0, at_least=0, below=1, help="decay of the discriminator's first moment")
    beta2_g: float = traced(default=0.99, at_least=0, below=1, help="decay of the generator's second moment")
    beta2_d: float = traced(default=0.99, at_least=0, below=1, help="decay of the discriminator's second moment")
    ema_decay: float | None = traced(default=0.998, at_least=0, below=1, optional=True, help="weight averaging of G")
    r1: float | None = traced(default=0.05, at_least=0, optional=True, help="weight of the gradient penalty on data")
    r2: float | None = traced(default=None, at_least=0, optional=True, help="weight of the one on generated samples")
    gradient_penalty: float | None = traced(default=None, at_least=0, optional=True, help="weight of WGAN-GP's penalty")
    weight_clip: float | None = traced(default=None, above=0, optional=True, help="bound on D's weights (WGAN)")
    instance_noise: float | None = traced(default=None, at_least=0, optional=True, help="std of noise on D's inputs")
    noise_until: float = traced(default=1.0, above=0, at_most=1, help="share of the run with annealed noise")
    coarse_to_fine: float | None = traced(
        default=None, above=0, at_most=1, optional=True,
        help="share of the run over which Fourier features enter, from the lowest frequency to the highest",
    )  # fmt: skip
    progressive: float | None = traced(
        default=None, at_least=0, at_most=1, optional=True, help="share of the run over which `growing` networks grow"
    )
    reference_steps: float | None = traced(
        default=None, above=0, optional=True,
        help="steps for which rates and decays are given: in a run of another length, averages last for the same share "
        "of it, and learning rates fall with the root of its length (in short runs they at most double)",
    )  # fmt: skip
    max_grad_norm: float | None = traced(default=None, above=0, optional=True, help="bound on each gradient's norm")


class State(NamedTuple):
    """Parameters and optimizer states of generator and discriminator, the averaged generator, and the step count."""

    params_g: PyTree
    params_d: PyTree
    opt_state_g: PyTree
    opt_state_d: PyTree
    ema_params_g: PyTree
    step: jax.Array


@door.init
def init(key: Key, config: Config) -> State:
    """Draws both players' parameters. Raises ValueError for options that do not go together."""
    _critic.check(config)
    key_g, key_d = jax.random.split(key)
    step = jnp.zeros((), int)
    params_g, params_d = _generator(config, step).init(key_g), _critic.net(config, step).init(key_d)
    opt_g, opt_d = _own_optimizer(step, config).init(params_g), _critic.own_optimizer(step, config).init(params_d)
    return State(params_g, params_d, opt_g, opt_d, None if config.ema_decay is None else params_g, step)


@door.step
def step(
    key: Key, state: State, batch: jax.Array, config: Config, condition: jax.Array | None = None
) -> tuple[State, Info]:
    """One generator update and `critic_steps` discriminator updates.

    Args:
      key: used for latents, noise and the gradient penalty's points.
      state: from `init` or the step before.
      batch: f32[critic_steps · packing · m, dim]; every discriminator update sees m rows of `packing` samples each.
      config: the hyper-parameters.
      condition: with classes, the rows' labels i32[n]; both players get them, and as many samples of each are generated
        (Mirza & Osindero 2014, Conditional generative adversarial nets).

    Returns:
      The next state, and `loss_g`, `loss_d` (without penalties), `d_real` and `d_fake` (mean D(x) and D(G(z)) before
      the updates; raw outputs where the loss has no sigmoid), `grad_norm_g` and `grad_norm_d`.

    Raises:
      ValueError: if the batch cannot be split so.
    """
    pieces = config.critic_steps * config.packing
    if len(batch) % pieces:
        rows = f"[k·critic_steps·packing, dim] = [k·{pieces}, {config.dim}]"
        raise ValueError(f"gan.step: batch must have shape {rows}, not {list(batch.shape)}")
    real, labels = batch.reshape(config.critic_steps, -1, config.dim), check_condition(config, condition, len(batch))
    labels = None if labels is None else labels.reshape(config.critic_steps, -1)
    config = _critic.fitted_to_length(config)
    generator = _generator(config, state.step)

    def critic_only(player: tuple[PyTree, PyTree], inputs: tuple[jax.Array, jax.Array, Any]) -> tuple[tuple, None]:
        words, real, labels = inputs
        key_latents, key_d = jax.random.split(jax.random.wrap_key_data(words, impl=jax.random.key_impl(key_critic)))
        fake, _ = generator.train(state.params_g, latents(key_latents, len(real), config), labels)
        player, _, _ = _critic.update(key_d, player, real, fake, labels, state.step, config)
        return player, None

    player = (state.params_d, state.opt_state_d)
    if config.critic_steps > 1:
        key, key_critic = jax.random.split(key)
        # Words, because JAX's check of key reuse takes keys of a scan within another loop for used ones.
        words = jax.random.key_data(jax.random.split(key_critic, config.critic_steps - 1))
        player, _ = jax.lax.scan(critic_only, player, (words, *jax.tree.map(lambda rows: rows[:-1], (real, labels))))

    if config.unrolled_steps:
        key, key_unroll = jax.random.split(key)
    key_latents, key_d = jax.random.split(key)
    real, labels = jax.tree.map(lambda rows: rows[-1], (real, labels))
    z = latents(key_latents, len(real), config)
    fake, pull_back, seen = jax.vjp(lambda params: generator.train(params, z, labels), state.params_g, has_aux=True)
    updated, info, noise = _critic.update(key_d, player, real, fake, labels, state.step, config)
    opponent = updated if config.updates == "alternating" else player

    def loss_of(fake: jax.Array) -> jax.Array:
        params = opponent[0]
        if config.unrolled_steps:
            params = _critic.unroll(key_unroll, opponent, real, fake, labels, state.step, config)
        discriminator, kind = _critic.net(config, state.step), lookup(losses.GENERATOR, config.generator_loss)
        if kind.paired is None:
            raise nets.CannotPad("losses of pairs and losses of single samples")
        shown = (fake + noise[1], real + noise[0]) if kind.paired else (fake + noise[1],)
        return kind.loss(*(discriminator(params, _critic.pack(x, config), labels) for x in shown))

    loss_g, gradient = jax.value_and_grad(loss_of)(fake)
    (gradients,) = pull_back(gradient)
    updates, opt_g = _own_optimizer(state.step, config).update(gradients, state.opt_state_g, state.params_g)
    params_g = optax.apply_updates(state.params_g, updates)
    if seen:
        params_g |= seen
    ema_params_g = state.ema_params_g
    if config.ema_decay is not None:
        ema_params_g = optax.incremental_update(params_g, ema_params_g, 1 - config.ema_decay)
    info |= {"loss_g": loss_g, "grad_norm_g": optax.tree.norm(gradients)}
    return State(params_g, updated[0], opt_g, updated[1], ema_params_g, state.step + 1), info


@door.sample
def sample(key: Key, state: State, num_samples: int, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """Draws f32[num_samples, dim] from the generator, the averaged one if there is one.

    With classes it is for given labels, i32[num_samples].
    """
    return generate(state, latents(key, num_samples, config), config, condition)


def generate(state: State, z: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """What the generator, the averaged one if there is one, makes of latents f32[n, latent_dim]: f32[n, dim]."""
    params = state.params_g if config.ema_decay is None else state.ema_params_g
    return _generator(config, state.step)(params, z, check_condition(config, condition, len(z)))


def discriminate(state: State, x: jax.Array, config: Config, condition: jax.Array | None = None) -> jax.Array:
    """D's logits, f32[n], at f32[n, dim], one minibatch for batch normalisation; packing sees copies of each row."""
    labels = check_condition(config, condition, len(x))
    return _critic.net(config, state.step)(state.params_d, jnp.tile(x, (1, config.packing)), labels)[:, 0]


def loss_optimum(config: Config) -> dict[str, float]:
    """The values of the losses at q = p with an optimal discriminator, of those losses that have one."""
    optimum = {
        "loss_d": lookup(losses.DISCRIMINATOR, config.discriminator_loss).optimum,
        "loss_g": lookup(losses.GENERATOR, config.generator_loss).optimum,
    }
    return {name: value for name, value in optimum.items() if value is not None}


def num_minibatches(config: Config) -> int:
    """How many minibatches of the run's batch size one step consumes."""
    return config.critic_steps * config.packing


def num_evaluations(config: Config) -> int:
    """G once and D twice per minibatch of a discriminator's update, D twice per unrolled one, and once for G's own."""
    return 3 * config.critic_steps + 1 + 2 * config.unrolled_steps


def optimal_output(config: Config) -> str:
    """What the optimal discriminator outputs; empty for a loss whose optimum has no closed form here."""
    if config.discriminator_loss == "double_sigmoid":
        return "double_sigmoid"
    return "probability" if config.discriminator_loss in ("log", "half_log") else ""


def freeze(config: Config, player: str) -> tuple[Config, tuple[str, ...]]:
    """The config in which player "d" or "g" rests, and the fields of the state that stay as they are."""
    if player == "g":
        return replace(config, learning_rate_g=0.0), ("params_g", "opt_state_g", "ema_params_g")
    return replace(config, learning_rate_d=0.0), ("params_d", "opt_state_d")


def preset(name: str) -> Config:
    """The config of that name. Raises ValueError, with the nearest name, if there is none."""
    if name not in PRESETS:
        raise ValueError(f"gan has no preset {unknown(name, PRESETS)}")
    return PRESETS[name]


def _generator(config: Config, step: jax.Array) -> nets.Net:
    return nets.build(
        config.network_g, config.latent_dim, config.dim, config.widths_g,
        activation=config.activation, initializer=config.initializer, num_classes=config.num_classes,
        batch_norm=config.batch_norm, shape=shape_of(config), upwards=True, **_critic.progress(config, step),
    )  # fmt: skip


def _own_optimizer(step: jax.Array, config: Config) -> optax.GradientTransformation:
    return _critic.optimizer(config.learning_rate_g, config.beta1_g, config.beta2_g, step, config)


PRESETS: dict[str, Config] = {name: Config(**fields) for name, fields in _gan_presets.FIELDS.items()}


def _presets() -> dict[str, Config]:
    return PRESETS


def _standardize(config: Config) -> bool:
    return config.standardize


METHOD = Method(
    Config, init, step, sample,
    loss_optimum=loss_optimum, num_minibatches=num_minibatches, num_evaluations=num_evaluations,
    num_classes=num_classes, standardize=_standardize, presets=_presets,
    players=Players(discriminate, latents, generate, quantile, optimal_output, freeze),
)  # fmt: skip
