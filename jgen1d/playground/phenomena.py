"""What can go wrong in front of one's eyes, and what cures it; and what the verdicts mean."""

from __future__ import annotations

from typing import Any

from jgen1d.playground.settings import first


def preset_with(fields: dict[str, str], **settings: Any) -> dict[str, Any]:
    """The page's first settings with the textbook preset, these fields, and these settings."""
    return {**first(), "preset": "textbook", **settings, "fields": fields}


VERDICTS = {
    "indistinguishable": "Converged, and a Kolmogorov–Smirnov test at 1 % cannot tell the samples from the data.",
    "converged": "The samples are as near to the data as asked (W1/σ at most 0.05), at most a tenth of them is in the "
    "wrong place (TV at most 0.1), every mode is covered, and the losses are at their optimum. Signals "
    "that have factors have these right, too.",
    "false_equilibrium": "The losses are at their optimum, yet the samples are far from the data. A loss of log 2 is "
    "necessary, not sufficient: a discriminator that answers ½ everywhere has it for any generator.",
    "mode_collapse": "Some modes of the data get less than a fifth of the samples that they should have; or, of data "
    "without modes, the samples spread less than half as wide.",
    "oscillating": "The losses swing instead of settling: the players chase each other.",
    "not_converged": "The samples are not yet as near to the data as asked (W1/σ at most 0.05, TV at most 0.1; of "
    "signals with factors the worst of these as near as all, and a residual of at most 1.5 floors).",
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
        "tour": [
            "Three humps of data, and bars under one or two of them. The losses do not say which.",
            "The discriminator learns five times as often as the generator, which flees to one mode or two.",
            "The robust recipe: penalties on D's slope, noise that fades, and an average of the generator.",
        ],
        "settings": preset_with({"r1": "none", "critic_steps": "5"}, **_GREEDY),
        "cure": {"label": "The robust recipe cures it", "settings": preset_with({}, **_GREEDY | {"preset": "robust"})},
    },
    {
        "id": "false_equilibrium",
        "shows": "false_equilibrium",
        "label": "False equilibrium",
        "tour": [
            "Both losses settle at their optimum within a few hundred steps, and the distance stays far above the "
            "floor.",
            "The textbook recipe: D is too weak to see what is wrong, answers ½, and has no slope left to pull with.",
            "The robust recipe: D keeps a slope wherever the samples are wrong, until they are right.",
        ],
        "settings": preset_with({}),
        "cure": {"label": "The robust recipe cures it", "settings": preset_with({}, preset="robust")},
    },
    {
        "id": "oscillation",
        "shows": "oscillating",
        "label": "Oscillation",
        "tour": [
            "The losses swing for ever, and the bars walk to and fro across the data.",
            "With momentum, no penalty and steps seven times as large as the discriminator's, the generator goes "
            "round and round the data.",
            "R1 takes D's slope away where the data are, and with it what drives the circle.",
        ],
        "settings": preset_with(_RESTLESS | {"r1": "none"}, preset="regularized", target="normal", num_steps=3_000),
        "cure": {
            "label": "R1 cures it",
            "settings": preset_with(_RESTLESS | {"r1": "4.0"}, preset="regularized", target="normal", num_steps=3_000),
        },
    },
    {
        "id": "dead_discriminator",
        "shows": "false_equilibrium",
        "label": "Dead discriminator",
        "tour": [
            "The losses jump once and then look perfect, while D(x) is a flat line at ½.",
            "One step of the discriminator was far too large: its units are dead, it answers ½ everywhere, and the "
            "generator learns nothing more.",
            "A small step: the units stay alive.",
        ],
        "settings": preset_with({"r1": "none", "learning_rate_d": "1.0"}, **_DEAD),
        "cure": {"label": "A small step cures it", "settings": preset_with({"r1": "none"}, **_DEAD)},
    },
    {
        "id": "double_sigmoid",
        "shows": "false_equilibrium",
        "label": "Double sigmoid",
        "tour": [
            "The losses settle at their optimum all the same, and some bars stay far too high.",
            "A bug of many tutorials: the loss applies a sigmoid to what is a probability already, so that D is "
            "blind wherever there are too many samples.",
            "The right loss takes D's raw output.",
        ],
        "settings": preset_with(_DOUBLE, preset="regularized", target="mixture", num_steps=3_000),
        "cure": {
            "label": "The right loss cures it",
            "settings": preset_with({}, preset="robust", target="mixture", num_steps=3_000),
        },
    },
]
"""Each is shown by its settings alone, which end with the verdict `shows`, and cured by others, which at least
converge; their order is the page's. A tour tells what one will see, what happens, and what cures
it. `benchmarks/lessons.py` tells in how many seeds they do, and `benchmarks/playground.py` how soon."""
