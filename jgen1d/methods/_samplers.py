"""Samplers of diffusion models: five ways from noise to data, all for the same predictor of noise.

Time runs as in `paths.SCHEDULES`, from noise (t = 1) down to data (t = 0), and α² + σ² = 1.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jgen1d.core import Config, Key
from jgen1d.maths import integrate, mcmc, paths
from jgen1d.maths.paths import Path

Epsilon = Callable[[jax.Array, jax.Array], jax.Array]
"""`(x: f32[n, dim], t: f32[]) -> f32[n, dim]`: the noise expected in x at time t, −σ(t)·score."""

MIN_TIME = 1e-3
"""Where models are asked last (Song et al. 2021, appendix C): at 0 there is no noise left to predict."""

SPACINGS: dict[str, Callable[[Path, jax.Array], jax.Array]] = {
    "time": lambda path, t: t,
    "angle": lambda path, t: jnp.arctan2(path.sigma(t), path.alpha(t)),
    "quadratic": lambda path, t: jnp.sqrt(jnp.arctan2(path.sigma(t), path.alpha(t))),
    "log_snr": lambda path, t: jnp.log(path.sigma(t)) - jnp.log(path.alpha(t)),
}
"""What a grid of times is uniform in, each increasing in t."""

POSTERIOR_VARIANCES = ("beta", "beta_tilde")


def generate(key: Key, epsilon: Epsilon, noise: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
    """Carries noise to data.

    Args:
      key: for the noise that the sampler adds; those of the ODE and of DDIM with η = 0 add none.
      epsilon: a model's, or the exact −σ·`theory.score`.
      noise: f32[n, dim], from N(0, I).
      config: `sampler`, a name in `SAMPLERS`; `noise_schedule`, `num_sampling_steps`, `spacing` and what the sampler
        reads, as of `methods.diffusion.Config`.

    Returns:
      f32[n, dim], the samples, and f32[num_sampling_steps, n, dim], the way there without the start.
    """
    return SAMPLERS[config.sampler](key, epsilon, noise, config)


def time_grid(path: Path, spacing: str, num_points: int) -> jax.Array:
    """Times from 1 down to `MIN_TIME`, f32[num_points], uniform in what `SPACINGS` has under the name `spacing`."""
    measure = SPACINGS[spacing]
    ends = measure(path, jnp.array([1.0, MIN_TIME]))
    wanted = jnp.linspace(ends[0], ends[1], num_points)

    def halve(_: int, interval: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        middle = 0.5 * (interval[0] + interval[1])
        below = measure(path, middle) < wanted
        return jnp.where(below, middle, interval[0]), jnp.where(below, interval[1], middle)

    start = (jnp.full_like(wanted, MIN_TIME), jnp.ones_like(wanted))
    return jax.lax.fori_loop(0, 30, halve, start)[1]


def flow(v: integrate.Field, path: Path, times: jax.Array) -> tuple[integrate.Field, jax.Array]:
    """The probability-flow ODE by the angle φ = arctan(σ/α), dx/dφ = v: in time, steps would have to resolve φ(t), too.

    Args:
      v: E[α·noise − σ·data | x] at f32[n, dim] and a time.
      path: one with α² + σ² = 1.
      times: f32[m], decreasing.

    Returns:
      The field, a function of x and the angle, which is exact at the angles of the times; and these, f32[m].

    References:
      Salimans & Ho 2022, Progressive distillation for fast sampling of diffusion models, appendix D.
      Song et al. 2021, Score-based generative modeling through stochastic differential equations, equation 13.
    """
    angles = SPACINGS["angle"](path, times)
    return lambda x, angle: v(x, jnp.interp(angle, angles[::-1], times[::-1])), angles


def _ode(key: Key, epsilon: Epsilon, noise: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
    """The probability-flow ODE by Heun's method: two evaluations a step."""
    del key
    path = paths.SCHEDULES[config.noise_schedule]

    def v(x: jax.Array, t: jax.Array) -> jax.Array:
        return (epsilon(x, t) - path.sigma(t) * x) / path.alpha(t)

    field, angles = flow(v, path, time_grid(path, config.spacing, config.num_sampling_steps + 1))
    return integrate.solve(field, noise, angles, "heun")


def _ancestral(key: Key, epsilon: Epsilon, x: jax.Array, t: jax.Array, s: jax.Array, config: Config) -> jax.Array:
    """One step of Ho et al. 2020, Denoising diffusion probabilistic models, algorithm 2."""
    (alpha, sigma), (alpha_s, sigma_s) = _rates(t, config), _rates(s, config)
    beta = _beta(t, s, config)
    variance = beta if config.posterior_variance == "beta" else beta * (sigma_s / sigma) ** 2
    mean = (x - beta / sigma * epsilon(x, t)) * alpha_s / alpha
    return mean + jnp.where(s > 0, jnp.sqrt(variance), 0) * _normal(key, x)


def _ddim(key: Key, epsilon: Epsilon, x: jax.Array, t: jax.Array, s: jax.Array, config: Config) -> jax.Array:
    """One step of Song, Meng & Ermon 2021, Denoising diffusion implicit models, equations 12 and 16.

    For η so large that more than all of the noise would be new, all of it is.
    """
    (alpha, sigma), (alpha_s, sigma_s) = _rates(t, config), _rates(s, config)
    variance = jnp.minimum(config.eta**2 * _beta(t, s, config) * (sigma_s / sigma) ** 2, sigma_s**2)
    noise = epsilon(x, t)
    data = (x - sigma * noise) / alpha
    return alpha_s * data + jnp.sqrt(sigma_s**2 - variance) * noise + jnp.sqrt(variance) * _normal(key, x)


def _reverse_sde(key: Key, epsilon: Epsilon, x: jax.Array, t: jax.Array, s: jax.Array, config: Config) -> jax.Array:
    """One Euler–Maruyama step of Song et al. 2021 (equation 6), on the clock ∫β dt = −2·log α.

    On this clock the forward process is one of constant rate, and so is the step's stability: it wants grids that are
    uniform in log-SNR.
    """
    (alpha, sigma), (alpha_s, _) = _rates(t, config), _rates(s, config)
    elapsed = 2 * jnp.log(alpha_s / alpha)
    drift = 0.5 * x - epsilon(x, t) / sigma
    return x + elapsed * drift + jnp.where(s > 0, jnp.sqrt(elapsed), 0) * _normal(key, x)


def _langevin(key: Key, epsilon: Epsilon, x: jax.Array, t: jax.Array, s: jax.Array, config: Config) -> jax.Array:
    """Langevin steps at time t, then an ancestral one to time s, if `predictor`: Song et al. 2021, algorithm 1.

    Alone they are annealed Langevin dynamics: Song & Ermon 2019, Generative modeling by estimating gradients of the
    data distribution, algorithm 1. The step size is that of algorithm 5 in Song et al. 2021, with the score's expected
    norm √dim/σ in place of the batch's.
    """
    key_corrector, key_predictor = jax.random.split(key)
    _, sigma = _rates(t, config)
    step_size = (2 * config.langevin_snr * sigma) ** 2
    x, _ = mcmc.langevin(key_corrector, lambda x: -epsilon(x, t) / sigma, x, step_size, config.num_langevin_steps)
    return _ancestral(key_predictor, epsilon, x, t, s, config) if config.predictor else x


def _by_steps(step: Callable) -> Callable:
    """The sampler that repeats `(key, epsilon, x, t, s, config) -> x at time s`, from 1 to MIN_TIME, and then to 0."""

    def sampler(key: Key, epsilon: Epsilon, noise: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
        times = time_grid(paths.SCHEDULES[config.noise_schedule], config.spacing, config.num_sampling_steps)
        ends = jnp.append(times[1:], 0)

        def body(x: jax.Array, inputs: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            number, t, s = inputs
            x = step(jax.random.fold_in(key, number), epsilon, x, t, s, config)
            return x, x

        return jax.lax.scan(body, noise, (jnp.arange(len(times)), times, ends))

    return sampler


SAMPLERS: dict[str, Callable[[Key, Epsilon, jax.Array, Config], tuple[jax.Array, jax.Array]]] = {
    "ancestral": _by_steps(_ancestral),
    "ddim": _by_steps(_ddim),
    "langevin": _by_steps(_langevin),
    "ode": _ode,
    "reverse_sde": _by_steps(_reverse_sde),
}


def _rates(t: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
    path = paths.SCHEDULES[config.noise_schedule]
    return path.alpha(t), path.sigma(t)


def _beta(t: jax.Array, s: jax.Array, config: Config) -> jax.Array:
    """1 − ᾱ_t/ᾱ_s, the variance of the noise that comes in from s to t."""
    (alpha, sigma), (alpha_s, sigma_s) = _rates(t, config), _rates(s, config)
    return sigma**2 - (alpha / alpha_s * sigma_s) ** 2


def _normal(key: Key, like: jax.Array) -> jax.Array:
    return jax.random.normal(key, like.shape, like.dtype)
