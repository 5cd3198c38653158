"""Draws the picture of README and of judging.md: the losses and the samples of two GANs on the mixture.

    python docs/make_pictures.py          # 2 minutes on 2 cores

Both are the seed whose W1 is the median of 8, by the recipes `textbook` and `robust`.
"""

from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import jgen1d
from jgen1d.methods import gan
from jgen1d.plots.style import BLUE, REAL, RED, save
from jgen1d.report.stats import median_index

PRESETS = ("textbook", "robust")


def main() -> None:
    """Trains and draws."""
    jax.config.update("jax_num_cpu_devices", 2)
    target = jgen1d.TARGETS["mixture"]
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex="row", height_ratios=(1, 1.3))
    x = np.linspace(0, 8.5, 600)
    density = np.exp(np.asarray(target.log_prob(x[:, None])))
    for (losses, samples), preset in zip(axes.T, PRESETS, strict=True):
        sweep = jgen1d.sweep(gan.METHOD, target, gan.preset(preset), range(8), num_steps=5_000)
        run = sweep.result(0, 0, median_index(sweep.metrics["w1"][0, 0]))
        for name, label, color in (("loss_d", "discriminator", RED), ("loss_g", "generator", BLUE)):
            losses.plot(run.steps, run.history[name], color=color, label=label)
            losses.axhline(gan.loss_optimum(run.config)[name], color=color, linestyle="--", linewidth=0.8)
        losses.set(ylim=(0.5, 1.6), ylabel="loss", xlabel="training step (dashed: log 2 and 2·log 2)")
        drawn = np.asarray(run.sample(jax.random.key(0), 10_000))[:, 0]
        samples.hist(drawn, np.linspace(0, 8.5, 120), density=True, color=BLUE, alpha=0.5, label="generated")
        samples.plot(x, density, "--", color=REAL, label="exact density")
        samples.set(xlabel="x", ylabel="density", ylim=(0, 1.15))
        losses.set_title(f"{preset}: {run.verdict}", fontsize=13)
        for ax in (losses, samples):
            ax.spines[["top", "right"]].set_visible(False)
            ax.legend(frameon=False, fontsize=8)
    save(figure, Path(__file__).parent / "pictures" / "mixture.png")


if __name__ == "__main__":
    main()
