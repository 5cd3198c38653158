"""Adversarial losses on arrays of logits, each with its optimum.

`logits_real` and `logits_fake` are the discriminator's raw outputs on data and on generated samples, of any shape;
never probabilities. With D(x) = sigmoid(logit), the optimal discriminator has the logit log p(x) − log q(x). Every
optimum below is the value of the loss if q = p and the discriminator is optimal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from jgen1d.core.door import vary

LOG_2 = math.log(2.0)


def log_loss_d(logits_real: jax.Array, logits_fake: jax.Array) -> jax.Array:
    """−E log D(x) − E log(1 − D(G(z))); optimum 2·log 2 (Goodfellow et al. 2014, equation 1)."""
    return jnp.mean(jax.nn.softplus(-logits_real)) + jnp.mean(jax.nn.softplus(logits_fake))


def half_log_loss_d(logits_real: jax.Array, logits_fake: jax.Array) -> jax.Array:
    """Half of `log_loss_d`, the mean over one batch of real and generated samples; optimum log 2."""
    return 0.5 * log_loss_d(logits_real, logits_fake)


def least_squares_loss_d(logits_real: jax.Array, logits_fake: jax.Array) -> jax.Array:
    """½·E(D(x) − 1)² + ½·E D(G(z))², D without a sigmoid; optimum ¼ at D = ½ (Mao et al. 2017, equation 9)."""
    return 0.5 * jnp.mean((logits_real - 1.0) ** 2) + 0.5 * jnp.mean(logits_fake**2)


def hinge_loss_d(logits_real: jax.Array, logits_fake: jax.Array) -> jax.Array:
    """E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))); optimum 2 (Lim & Ye 2017; Miyato et al. 2018, equation 16)."""
    return jnp.mean(jax.nn.relu(1.0 - logits_real)) + jnp.mean(jax.nn.relu(1.0 + logits_fake))


def wasserstein_loss_d(logits_real: jax.Array, logits_fake: jax.Array) -> jax.Array:
    """E D(G(z)) − E D(x), the negated estimate of W1 for a 1-Lipschitz critic; optimum 0 (Arjovsky et al. 2017)."""
    return jnp.mean(logits_fake) - jnp.mean(logits_real)


def non_saturating_loss_g(logits_fake: jax.Array) -> jax.Array:
    """−E log D(G(z)); optimum log 2 (Goodfellow et al. 2014, section 3)."""
    return jnp.mean(jax.nn.softplus(-logits_fake))


def saturating_loss_g(logits_fake: jax.Array) -> jax.Array:
    """E log(1 − D(G(z))); optimum −log 2 (Goodfellow et al. 2014, equation 1)."""
    return -jnp.mean(jax.nn.softplus(logits_fake))


def least_squares_loss_g(logits_fake: jax.Array) -> jax.Array:
    """½·E(D(G(z)) − 1)²; optimum ⅛ at D = ½ (Mao et al. 2017, equation 9)."""
    return 0.5 * jnp.mean((logits_fake - 1.0) ** 2)


def critic_loss_g(logits_fake: jax.Array) -> jax.Array:
    """−E D(G(z)), for hinge and Wasserstein critics; no optimum: a constant added to the critic shifts it."""
    return -jnp.mean(logits_fake)


def double_sigmoid_loss_d(logits_real: jax.Array, logits_fake: jax.Array) -> jax.Array:
    """`log_loss_d` applied to probabilities, a common bug to be studied here; optimum 2·log 2 at D = 0.

    With D = sigmoid(logit) in place of a logit, the best D is clip(log(p/q), 0, 1).
    """
    return log_loss_d(jax.nn.sigmoid(logits_real), jax.nn.sigmoid(logits_fake))


def double_sigmoid_loss_g(logits_fake: jax.Array) -> jax.Array:
    """`non_saturating_loss_g` applied to probabilities; optimum log 2 at D = 0."""
    return non_saturating_loss_g(jax.nn.sigmoid(logits_fake))


def relativistic_loss_d(logits_real: jax.Array, logits_fake: jax.Array) -> jax.Array:
    """−E log σ(C(x) − C(G(z))) over pairs of a real and a generated row; optimum log 2 at C(x) = C(G(z)).

    References:
      Jolicoeur-Martineau 2018, The relativistic discriminator, equation 6; in pairs: Huang et al. 2024, The GAN is
      dead; long live the GAN! (R3GAN), equation 2.
    """
    return jnp.mean(jax.nn.softplus(logits_fake - logits_real))


def relativistic_loss_g(logits_fake: jax.Array, logits_real: jax.Array) -> jax.Array:
    """−E log σ(C(G(z)) − C(x)) over pairs; optimum log 2; references as of `relativistic_loss_d`."""
    return jnp.mean(jax.nn.softplus(logits_real - logits_fake))


def _identity(logits: jax.Array) -> jax.Array:
    return logits


class DiscriminatorLoss(NamedTuple):
    """A discriminator's loss.

    Attributes:
      loss: `(logits_real, logits_fake) -> f32[]`.
      optimum: its value at the equilibrium; None if it has none.
      opponents: the names in `GENERATOR` that it is played against; empty for any.
      output: D(x) as a function of logits.
    """

    loss: Callable[[jax.Array, jax.Array], jax.Array]
    optimum: float | None = None
    opponents: tuple[str, ...] = ()
    output: Callable[[jax.Array], jax.Array] = jax.nn.sigmoid


class GeneratorLoss(NamedTuple):
    """A generator's loss.

    Attributes:
      loss: `logits_fake -> f32[]`; if `paired`, `(logits_fake, logits_real) -> f32[]`.
      optimum: its value at the equilibrium, or None if that is not unique.
      paired: whether it also takes the logits of as many real rows. In one program all losses do, or none.
    """

    loss: Callable[..., jax.Array]
    optimum: float | None = None
    paired: bool | None = False


DISCRIMINATOR: dict[str, DiscriminatorLoss] = {
    "log": DiscriminatorLoss(log_loss_d, 2 * LOG_2, ("non_saturating", "saturating")),
    "half_log": DiscriminatorLoss(half_log_loss_d, LOG_2, ("non_saturating", "saturating")),
    "least_squares": DiscriminatorLoss(least_squares_loss_d, 0.25, ("least_squares",), _identity),
    "hinge": DiscriminatorLoss(hinge_loss_d, 2.0, ("hinge",), _identity),
    "double_sigmoid": DiscriminatorLoss(double_sigmoid_loss_d, 2 * LOG_2, ("double_sigmoid",)),
    "wasserstein": DiscriminatorLoss(wasserstein_loss_d, 0.0, ("wasserstein",), _identity),
    "relativistic": DiscriminatorLoss(relativistic_loss_d, LOG_2, ("relativistic",), _identity),
}
GENERATOR: dict[str, GeneratorLoss] = {
    "non_saturating": GeneratorLoss(non_saturating_loss_g, LOG_2),
    "saturating": GeneratorLoss(saturating_loss_g, -LOG_2),
    "least_squares": GeneratorLoss(least_squares_loss_g, 0.125),
    "hinge": GeneratorLoss(critic_loss_g, None),
    "double_sigmoid": GeneratorLoss(double_sigmoid_loss_g, LOG_2),
    "wasserstein": GeneratorLoss(critic_loss_g, None),
    "relativistic": GeneratorLoss(relativistic_loss_g, LOG_2, paired=True),
}


def check_opponents(discriminator: str | DiscriminatorLoss, generator: str | GeneratorLoss) -> None:
    """Raises ValueError for named losses that are not played against each other; a user's own go with any."""
    if not isinstance(discriminator, str) or not isinstance(generator, str):
        return
    opponents = DISCRIMINATOR[discriminator].opponents
    if generator not in opponents:
        raise ValueError(
            f"generator_loss={generator!r} does not go with discriminator_loss={discriminator!r}: "
            f"use {' or '.join(opponents)}"
        )


def value_and_input_gradients(apply: Callable[[jax.Array], jax.Array], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each row's output and its gradient with respect to that row.

    To be differentiated again, forward mode is cheaper for one input feature, and reverse mode for more: it takes one
    pass for all of them.

    Args:
      apply: a map from f32[n, dim] to f32[n, 1] that treats its rows independently.
      x: f32[n, dim].

    Returns:
      The outputs, f32[n, 1], and the gradients, f32[n, dim].
    """
    chex.assert_rank(x, 2, custom_message="value_and_input_gradients: x [n, dim]")
    if x.shape[1] == 1:
        values, derivative_along = jax.linearize(apply, x)
        gradients = derivative_along(vary((x, jnp.ones_like(x)))[1])
    else:
        values, pull_back = jax.vjp(apply, x)
        (gradients,) = pull_back(vary((values, jnp.ones_like(values)))[1])
    chex.assert_shape(values, (len(x), 1), custom_message="value_and_input_gradients: apply(x) [n, 1]")
    return values, gradients


def input_gradients(apply: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """The gradients of `value_and_input_gradients`, f32[n, dim], without the outputs."""
    return value_and_input_gradients(apply, x)[1]


def zero_centred_penalty(gradients: jax.Array) -> jax.Array:
    """½·E‖∇D‖², to be weighted by γ: R1 on data, R2 on generated samples (Mescheder et al. 2018, equation 9).

    Args:
      gradients: f32[n, dim], the discriminator's input gradients.
    """
    chex.assert_rank(gradients, 2, custom_message="zero_centred_penalty: gradients [n, dim]")
    return 0.5 * jnp.mean(jnp.sum(gradients**2, axis=1))


def one_centred_penalty(gradients: jax.Array) -> jax.Array:
    """E(‖∇D‖ − 1)², to be weighted by λ, on points between data and samples (Gulrajani et al. 2017, equation 3).

    Args:
      gradients: f32[n, dim], the critic's input gradients.
    """
    chex.assert_rank(gradients, 2, custom_message="one_centred_penalty: gradients [n, dim]")
    norms = jnp.sqrt(jnp.sum(gradients**2, axis=1) + 1e-12)  # the root has no gradient at zero
    return jnp.mean((norms - 1.0) ** 2)
