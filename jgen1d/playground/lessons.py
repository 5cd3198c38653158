"""What the page teaches with: hints for its plots, tours of phenomena, experiments, and models to compare."""

from __future__ import annotations

from typing import Any

from jgen1d.playground.phenomena import preset_with

HINTS = {
    "samples": "Look for bars that fill the line: every hump of the data with as many samples as it should have. "
    "A hump without bars is a lost mode, and no loss tells of it.",
    "curves": "Look for generated signals that have the form of real ones, not only their band. "
    "Areas that agree say that mean and spread of each place are right, and any blur between signals has them, too.",
    "losses": "Look for curves that settle on their dashed lines, and then distrust them. "
    "A discriminator that answers ½ everywhere gives these values for any generator.",
    "discriminator": "Look for a curve that follows the dashed optimum and ends flat at ½. "
    "Where D lies above ½ the generator makes too few samples, and its slope is what pulls them.",
    "players": "Look for two curves that meet at ½. "
    "While they are apart D can tell real from generated; where they cross again and again the players chase each "
    "other.",
    "moments": "Look for both curves on their dashed lines. "
    "A spread that is too small means collapsed samples, even where the mean is right.",
    "generator": "Look for steep parts: the generator jumps there from mode to mode, and few samples fall between. "
    "For one latent the best map is known, the inverse distribution function after that of the noise.",
    "distance": "Look for a curve that falls into the grey band, in which 90 % of perfect samplers of this size lie. "
    "Only there are the samples as good as the data's own; the dashed line asks for less.",
    "inverse": "Drop points, and look where they pile up: where F is steep, many u lead to the same x. "
    "This is how the targets are sampled, and what a generator of one latent has to learn.",
    "paths": "Look for learnt paths that lie on the exact ones, and move the time. "
    "Where the learnt field leaves the exact one, samples are carried astray.",
}
"""Of each plot two sentences: what to look for, and why."""


def _rival(fields: dict[str, str], preset: str = "regularized", method: str = "gan") -> dict[str, Any]:
    return {"method": method, "preset": preset, "fields": fields}


_SEEDS: dict[str, Any] = {"preset": "regularized", "lanes": 32, "num_steps": 1_500}

EXPERIMENTS: list[dict[str, Any]] = [
    {
        "id": "depth",
        "label": "Depth",
        "question": "Does a deeper generator help on the mixture? A has one hidden layer of 16 units, B three of 32.",
        "settings": preset_with({"widths_g": "16"}, target="mixture", rival=_rival({"widths_g": "32-32-32"}),
                                **_SEEDS),
    },
    {
        "id": "balance",
        "label": "Balance",
        "question": "What if the discriminator is much stronger than the generator? A has 4 units against D's 64, "
        "B 16 against 16.",
        "settings": preset_with(
            {"widths_g": "4-4", "widths_d": "64-64"}, rival=_rival({"widths_g": "16-16", "widths_d": "16-16"}), **_SEEDS
        ),
    },
    {
        "id": "latent",
        "label": "Latent",
        "question": "Is a latent of more dimensions better? A has 1, B has 4.",
        "settings": preset_with({"latent_dim": "1"}, rival=_rival({"latent_dim": "4"}), **_SEEDS),
    },
    {
        "id": "few_data",
        "label": "Few data",
        "question": "Of 64 points only: does the GAN (A) come nearer to what they were drawn from than a kernel "
        "density estimate (B)?",
        "settings": preset_with(
            {}, target="mixture", dataset_size=64,
            rival=_rival({}, preset="default", method="kde"), **_SEEDS,
        ),
    },
    {
        "id": "penalty",
        "label": "Penalty",
        "question": "What does R1 do for a GAN whose discriminator learns five times as often? A goes without it, "
        "B has it.",
        "settings": preset_with(
            {"r1": "none", "critic_steps": "5"}, target="mixture",
            rival=_rival({"r1": "0.1", "critic_steps": "5"}), **_SEEDS,
        ),
    },
]  # fmt: skip
"""Each asks a question of two models, with the same seeds; the page answers with what its 32 seeds do,
and with what those of `rates.PATH` did."""

PAIRS: list[dict[str, Any]] = [
    {"label": "GAN, textbook", **_rival({}, preset="textbook")},
    {"label": "GAN, robust", **_rival({}, preset="robust")},
    {"label": "Diffusion", **_rival({}, preset="default", method="diffusion")},
    {"label": "Flow matching", **_rival({}, preset="default", method="flow_matching")},
    {"label": "VAE", **_rival({}, preset="default", method="vae")},
]
"""Models to compare with at a click."""
