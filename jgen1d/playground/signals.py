"""What a page offers where the data are signals: which families, with which networks, and how they begin.

A signal target is one of the registry whose rows are signals, so that a further one needs no word here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from jgen1d import nets
from jgen1d.core import Method
from jgen1d.methods import METHODS
from jgen1d.targets import TARGETS, Target

NAMED = [name for name, target in TARGETS.items() if target.dim > 2 and len(target.shape) == 1]
LANES = (1, 4, 8)
"""Runs side by side: a step of a convolutional network takes some milliseconds in each."""
MAX_CHANNELS = 64
"""Of each layer: the samples of a look have as many at every place."""
FIRST: dict[str, Any] = {"batch_size": 64, "num_steps": 2_000, "lanes": 1, "rival": None}
"""Settings that a page takes on with a signal, beside the model's."""
_UNET = {"widths": "8-16", "fourier_features": "0", "learning_rate": "0.002"}
_SMALL: dict[str, dict[str, str]] = {
    "autoencoder": {"widths": "16-32", "latent_dim": "4"},
    "diffusion": {"sampler": "ddim", "num_sampling_steps": "10", **_UNET},
    "energy": {"widths": "8-16", "num_proposals": "4", "num_sampling_steps": "4"},
    "flow_matching": {"num_integration_steps": "10", **_UNET},
    "vae": {"widths": "16-32", "latent_dim": "4"},
}
"""Fields that keep a family's convolutional networks, and their sampling, quick enough to be watched on two cores."""


def are(target: Target) -> bool:
    """Whether the target's rows are signals."""
    return target.dim > 2


def networks(method: Method) -> dict[str, str]:
    """The method's networks by field, with the first choice that is made for signals; none for most families."""
    own = {field.name: _choices(field) for field in dataclasses.fields(method.Config)}
    return {name: choices[0] for name, choices in own.items() if choices}


def _choices(field: dataclasses.Field) -> list[str]:
    return [name for name in field.metadata.get("choices", ()) if name in nets.OF_SIGNALS]


FAMILIES = [name for name, method in METHODS.items() if networks(method)]
"""Methods with networks of signals."""


def start(name: str, presets: dict[str, Any]) -> dict[str, Any]:
    """The model that a family begins as: a preset that is made for signals, or the first one with their networks.

    Args:
      name: of the family.
      presets: its presets for signals, those made for them first.
    """
    preset = next(iter(presets))
    own = networks(METHODS[name])
    made_for_them = any(getattr(presets[preset], field) in nets.OF_SIGNALS for field in own)
    return {"method": name, "preset": preset, "fields": {} if made_for_them else own | _SMALL.get(name, {})}
