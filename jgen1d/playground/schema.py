"""All that a page can set, as its controls are made from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jgen1d.methods import METHODS
from jgen1d.playground import pace, settings, signals

FIRST_METHODS = ["gan", "vae", "diffusion", "flow_matching"]
"""Shown apart from the others, in this order."""


def schema() -> dict[str, Any]:
    """All that can be set, for the page's controls."""
    methods = {}
    for name in [*FIRST_METHODS, *(name for name in METHODS if name not in FIRST_METHODS)]:
        method, known = METHODS[name], settings.presets(METHODS[name])
        first = settings.texts(next(iter(known.values())), method)
        methods[name] = {
            "label": {"gan": "GAN", "vae": "VAE", "kde": "KDE", "gmm": "GMM"}.get(name, name.replace("_", " ")),
            "adversarial": method.loss_optimum is not None,
            "paths": method.trajectory is not None,
            "presets": list(known),
            "fields": [_described(field, first[field.name]) for field in settings.fields(method)],
            "preset_values": {preset: settings.texts(config, method) for preset, config in known.items()},
        }
    limits: dict[str, Any] = {name: list(ends) for name, ends in settings.LIMITS.items()}
    limits |= {"lanes": list(settings.LANES), "dataset_sizes": list(settings.DATASET_SIZES)}
    return {
        "targets": settings.NAMED, "signals": _of_signals(),
        "drawing": settings.DRAWING, "methods": methods, "limits": limits,
        "first_methods": FIRST_METHODS, "first": settings.first(), "speeds": list(pace.SPEEDS),
        "first_speed": pace.DEFAULT_SPEED,
    }  # fmt: skip


def _of_signals() -> dict[str, Any]:
    """What is offered where the data are signals: the targets, and of each family what columns do not have."""
    methods = {}
    for name in signals.FAMILIES:
        method = METHODS[name]
        known, usual = settings.presets(method, True), settings.presets(method)
        own = [field for field in settings.fields(method, True) if field not in settings.fields(method)]
        first = settings.texts(next(iter(usual.values())), method, True)
        values = {preset: settings.texts(config, method, True) for preset, config in known.items()}
        added = {preset: {field.name: values[preset][field.name] for field in own} for preset in usual}
        methods[name] = {
            "presets": list(known),
            "fields": [_described(field, first[field.name]) for field in own],
            "preset_values": values | added,
            "start": signals.start(name, known),
        }
    return {"targets": signals.NAMED, "lanes": list(signals.LANES), "methods": methods, "first": signals.FIRST}


def _described(field: dataclasses.Field, default: str) -> dict[str, Any]:
    metadata = field.metadata
    found = {"name": field.name, "help": metadata.get("help", ""), "default": default}
    if choices := metadata.get("choices"):
        return found | {"kind": "choice", "choices": list(choices)}
    if not metadata.get("static"):
        is_rate = field.name.startswith("learning_rate")
        return found | {"kind": "float", "optional": metadata["optional"], "log": is_rate, **_ends(metadata)}
    if isinstance(field.default, tuple):
        return found | {
            "kind": "widths",
            "max_layers": settings.MAX_LAYERS,
            "max_units": settings.MAX_UNITS,
            **_ends(metadata),
        }
    return found | {"kind": "bool" if isinstance(field.default, bool) else "int", **_ends(metadata)}


def _ends(metadata: Mapping[str, Any]) -> dict[str, float]:
    return {name.replace(" ", "_"): limit for name, limit in metadata.get("bounds", {}).items()}
