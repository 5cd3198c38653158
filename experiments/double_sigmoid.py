"""What does it do to a GAN to feed probabilities to a loss that wants logits?

    python experiments/double_sigmoid.py
    python experiments/double_sigmoid.py --targets=mixture --presets=regularized

A common bug of tutorials is a discriminator that ends in a sigmoid, with a loss that applies another one. Its optimal
discriminator is not p/(p + q) but D* = clip(log(p/q), 0, 1), which is blind wherever the generator has too much mass.
At the equilibrium it is 0, where the losses are still log 2 and 2·log 2.

First the script trains discriminators against a fixed generator G(z) = wz + b, whose density is known, and gives the
root mean square of D − D* over data and samples, for the right loss and for the buggy one. Then it trains whole GANs
and gives the share of seeds whose losses are at their optimum and the share that converged, each with its Wilson 95 %
interval, and W1/floor as median [5 %, 95 %]. The workdir receives `discriminators.png`, `config.json` and
`summary.json`.

Expect (4 minutes on 2 cores): losses at their optimum in nearly all seeds, with the bug or without. With the textbook
recipe W1/floor is 155 to 165 with the bug, 33 to 46 without; with `regularized` it is 4.5 and 11 with the bug, 2.8
and 2.9 without, and 9 and 0 % converge with the bug, 72 and 0 % without.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.scipy.stats import norm

import jgen1d
import lab
from jgen1d import cli, targets
from jgen1d.core import replace
from jgen1d.evaluation import theory
from jgen1d.methods import gan
from jgen1d.plots import settings as charts
from jgen1d.report import stats
from jgen1d.report.table import Table, cell

LOSSES = {"log": ("log", "non_saturating"), "double_sigmoid": ("double_sigmoid", "double_sigmoid")}
DATA = targets.normal(0.5, 1.0, name="N(0.5, 1)")

flags.DEFINE_list("targets", ["bimodal", "mixture"], "what whole GANs learn, separated by commas")
_PRESETS = flags.DEFINE_list("presets", ["textbook", "regularized"], "presets of whole GANs, separated by commas")
cli.define_training_flags(num_steps=3_000)
cli.define_output_flags("double_sigmoid")


def main() -> None:
    """Trains, prints and draws."""
    learnt = cli.read_targets()
    places = [(preset, name) for preset in _PRESETS.value for name in LOSSES]
    whole = [_with(cli.preset(gan.METHOD, preset, "presets"), name) for preset, name in places]
    workdir = cli.choose_workdir("double_sigmoid")
    alone = replace(
        gan.PRESETS["textbook"], latent_dim=1, widths_g=(), widths_d=(32, 32), activation="tanh", learning_rate_g=0.0,
        schedule="cosine",
    )  # fmt: skip
    still = lab.sweep([DATA], [_with(alone, name) for name in LOSSES])
    gaps, panels = _discriminators(still)
    sweep = lab.sweep(learnt, whole)
    table = sweep.table([preset for preset, _ in places]).rows
    rows: list[dict[str, Any]] = [
        {"target": DATA.name, "preset": "G fixed", "loss": name, "num_seeds": len(still.seeds)}
        | dict.fromkeys(("at_equilibrium", "converged", "w1_over_floor"))
        | {"discriminator_error": stats.spread(gaps[c])}
        for c, name in enumerate(LOSSES)
    ]
    for row, (preset, name) in zip(table, places * len(learnt), strict=True):
        rows.append({
            "target": row["target"], "preset": preset, "loss": name, "num_seeds": row["num_seeds"],
            "at_equilibrium": row["at_equilibrium"], "converged": row["learned"],
            "w1_over_floor": row["w1_over_floor"], "discriminator_error": None,
        })  # fmt: skip
    title = "Discriminators against a generator that stands still"
    figures = {
        "discriminators": partial(charts.maps, panels=panels, xlabel="x", ylabel="D(x)", title=title, is_compared=True)
    }
    cli.answer(workdir, Table(rows), _conclusions(rows), figures)


def _with(config: gan.Config, name: str) -> gan.Config:
    discriminator, generator = LOSSES[name]
    return replace(config, discriminator_loss=discriminator, generator_loss=generator)


def _discriminators(sweep: jgen1d.Sweep) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
    """The error of each D against the optimum of its loss, f[losses, seeds], and the median D of each loss."""
    x = np.linspace(-4, 5, 400)
    gaps, panels = np.zeros(sweep.verdict.shape[1:]), {}
    for c, name in enumerate(LOSSES):
        drawn = []
        for s in range(len(sweep.seeds)):
            run = sweep.result(0, c, s)
            layer = run.state.params_g["params"]
            q = norm.logpdf(x, float(layer["bias_out"][0, 0]), abs(float(layer["kernel_out"][0, 0])))
            log_p = DATA.log_prob(x[:, None])
            exact = theory.optimal_discriminator(log_p, q) if name == "log" else jnp.clip(log_p - q, 0, 1)
            logits = gan.discriminate(run.state, jnp.asarray(x, dtype=float)[:, None], run.config)
            drawn.append((np.asarray(jax.nn.sigmoid(logits)), np.asarray(exact)))
            weight = np.exp(np.asarray(log_p)) + np.exp(np.asarray(q))
            gaps[c, s] = np.sqrt(np.average((drawn[-1][0] - drawn[-1][1]) ** 2, weights=weight))
        learnt, optimal = drawn[stats.median_index(gaps[c])]
        panels[name] = {"x": x, "learnt": learnt, "optimal": optimal}
    return gaps, panels


def _conclusions(rows: list[dict[str, Any]]) -> list[str]:
    gaps = {row["loss"]: stats.median(row["discriminator_error"]) for row in rows if row["discriminator_error"]}
    sentences = [
        f"Against a fixed generator, D differs from its optimum p/(p + q) by {gaps['log']:.3f} with the right loss, "
        f"and from clip(log(p/q), 0, 1) by {gaps['double_sigmoid']:.3f} with the double sigmoid."
    ]
    whole = [row for row in rows if row["at_equilibrium"]]
    for right, buggy in zip(whole[::2], whole[1::2], strict=True):
        sentences.append(
            f"{right['target']}, {right['preset']}: {cell(buggy['converged'])} of seeds converge with the double "
            f"sigmoid, {cell(right['converged'])} with the right loss; the losses reach their optimum in "
            f"{cell(buggy['at_equilibrium'])} and {cell(right['at_equilibrium'])}."
        )
    return sentences


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"targets": ["bimodal"], "presets": ["textbook"]})
