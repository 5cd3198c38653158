"""What can be shown in under 20 seconds, and what cures it; and what the verdicts mean."""

from __future__ import annotations

from typing import Any

_SETTINGS: dict[str, Any] = {
    "method": "gan", "preset": "textbook", "fields": {}, "target": "bimodal", "drawn": None, "data": None,
    "batch_size": 256, "dataset_size": 0, "seed": 0, "num_steps": 5_000, "lanes": 1,
}  # fmt: skip


def _with(fields: dict[str, str], **settings: Any) -> dict[str, Any]:
    return {**_SETTINGS, **settings, "fields": fields}


VERDICTS = {
    "indistinguishable": "Converged, and a Kolmogorov–Smirnov test at 1 % cannot tell the samples from the data.",
    "converged": "The samples are as near to the data as asked (W1/σ at most 0.05), at most a tenth of them is in the "
    "wrong place (TV at most 0.1), every mode is covered, and the losses are at their optimum.",
    "false_equilibrium": "The losses are at their optimum, yet the samples are far from the data. A loss of log 2 is "
    "necessary, not sufficient: a discriminator that answers ½ everywhere has it for any generator.",
    "mode_collapse": "Some modes of the data get less than a fifth of the samples that they should have; or, of data "
    "without modes, the samples spread less than half as wide.",
    "oscillating": "The losses swing instead of settling: the players chase each other.",
    "not_converged": "The samples are not yet as near to the data as asked (W1/σ at most 0.05, TV at most 0.1).",
    "diverged": "A number became infinite or undefined; the run was stopped at that step.",
}
"""What the verdicts mean, in a sentence or two."""
_GREEDY = {"preset": "regularized", "target": "mixture", "num_steps": 3_000}
_RESTLESS = {
    "schedule": "constant", "beta1_g": "0.9", "beta1_d": "0.9", "learning_rate_g": "0.007", "learning_rate_d": "0.001",
}  # fmt: skip
_DEAD = {"preset": "regularized", "target": "exponential", "num_steps": 2_000}
_DOUBLE = {"discriminator_loss": "double_sigmoid", "generator_loss": "double_sigmoid"}

PHENOMENA: list[dict[str, Any]] = [
    {
        "id": "mode_collapse",
        "shows": "mode_collapse",
        "label": "Mode collapse",
        "text": "The discriminator learns five times as often as the generator, which flees to one mode or two.",
        "settings": _with({"r1": "none", "critic_steps": "5"}, **_GREEDY),
        "cure": {"label": "The robust recipe cures it", "settings": _with({}, **_GREEDY | {"preset": "robust"})},
    },
    {
        "id": "false_equilibrium",
        "shows": "false_equilibrium",
        "label": "False equilibrium",
        "text": "The textbook recipe: both losses settle at their optimum, and the samples are nowhere near the data.",
        "settings": _with({}),
        "cure": {"label": "The robust recipe cures it", "settings": _with({}, preset="robust")},
    },
    {
        "id": "oscillation",
        "shows": "oscillating",
        "label": "Oscillation",
        "text": "With momentum, no penalty and steps seven times as large as the discriminator's, the generator goes "
        "round and round the data, and the losses swing for ever.",
        "settings": _with(_RESTLESS | {"r1": "none"}, preset="regularized", target="normal", num_steps=3_000),
        "cure": {
            "label": "R1 cures it",
            "settings": _with(_RESTLESS | {"r1": "4.0"}, preset="regularized", target="normal", num_steps=3_000),
        },
    },
    {
        "id": "dead_discriminator",
        "shows": "false_equilibrium",
        "label": "Dead discriminator",
        "text": "One step of the discriminator was far too large: its units are dead, it answers ½ everywhere, and the "
        "generator learns nothing more. The losses look perfect.",
        "settings": _with({"r1": "none", "learning_rate_d": "1.0"}, **_DEAD),
        "cure": {"label": "A small step cures it", "settings": _with({"r1": "none"}, **_DEAD)},
    },
    {
        "id": "double_sigmoid",
        "shows": "false_equilibrium",
        "label": "Double sigmoid",
        "text": "A bug of many tutorials: the loss applies a sigmoid to what is a probability already. The losses "
        "settle at their optimum all the same, but the discriminator is blind wherever there are too many samples.",
        "settings": _with(_DOUBLE, preset="regularized", target="mixture", num_steps=3_000),
        "cure": {
            "label": "The right loss cures it",
            "settings": _with({}, preset="robust", target="mixture", num_steps=3_000),
        },
    },
]
"""Each is shown by its settings alone, which end with the verdict `shows`, and cured by others, which at least
converge; their order is the page's. `benchmarks/playground.py` tells in how many seeds they do, and how soon."""
