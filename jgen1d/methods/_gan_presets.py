"""The named configs of GANs: what each changes in the default."""

from __future__ import annotations

from typing import Any

_PLAIN: dict[str, Any] = {
    "beta1_g": 0.9,
    "beta1_d": 0.9,
    "beta2_g": 0.999,
    "beta2_d": 0.999,
    "schedule": "constant",
    "standardize": False,
    "activation": "relu",
    "r1": None,
    "ema_decay": None,
}
_TEXTBOOK = _PLAIN | {
    "learning_rate_g": 1e-3,
    "learning_rate_d": 1e-3,
    "latent_dim": 5,
    "widths_g": (15, 15),
    "widths_d": (25, 25),
}
# `planar` is for 2-D modes that are many times narrower than the data. Both were chosen on seeds from 20,000 on;
# experiments/recipe.py compares robust with its neighbours.
_ROBUST: dict[str, Any] = {
    "widths_g": (32,) * 3,
    "latent_dim": 10,
    "binary_latents": 8,
    "fourier_features": 7,
    "frequencies": "octave",
    "coarse_to_fine": 0.6,
    "optimizer": "optimistic_adam",
    "beta2_g": 0.999,
    "r1": 0.1,
    "r2": 0.1,
    "instance_noise": 0.6,
    "anneal_noise": True,
    "noise_until": 0.25,
    "reference_steps": 5_000.0,
}
FIELDS: dict[str, dict[str, Any]] = {
    "regularized": {},
    "robust": _ROBUST,
    "planar": _ROBUST
    | {
        "widths_g": (64,) * 3,
        "learning_rate_g": 2e-3,
        "learning_rate_d": 6e-3,
        "beta1_g": 0.5,
        "beta1_d": 0.5,
        "instance_noise": 0.3,
    },
    "textbook": _TEXTBOOK,
    "playground": _PLAIN | {"latent_dim": 10, "widths_g": (16,), "widths_d": (32,)},
    "one_d": _TEXTBOOK | {"latent_dim": 1, "discriminator_loss": "half_log"},
    "dcgan_like": _TEXTBOOK | {"learning_rate_g": 2e-4, "learning_rate_d": 2e-4, "beta1_g": 0.5, "beta1_d": 0.5},
    "dcgan": _PLAIN  # Radford et al. 2015, section 4, with fewer channels and latents, for shapes that 8 divides
    | {
        "network_g": "conv",
        "network_d": "conv",
        "widths_g": (64, 32, 16),
        "widths_d": (16, 32, 64),
        "activation": "relu",
        "activation_d": "leaky_relu",
        "initializer": "small_normal",
        "batch_norm": True,
        "batch_norm_d": True,
        "latent": "uniform",
        "latent_dim": 32,
        "learning_rate_g": 2e-4,
        "learning_rate_d": 2e-4,
        "beta1_g": 0.5,
        "beta1_d": 0.5,
        "standardize": True,
    },
    "pacgan": _PLAIN  # of their 2-D data, but for the packing (Lin et al. 2018, section 4.1, and their code)
    | {
        "learning_rate_g": 1e-4,
        "learning_rate_d": 1e-4,
        "beta1_g": 0.8,
        "beta1_d": 0.8,
        "latent_dim": 2,
        "widths_g": (400,) * 4,
        "widths_d": (200,) * 3,
        "batch_norm": True,
        "maxout_pieces": 5,
        "initializer": "small_normal",
        "updates": "simultaneous",
    },
}
