"""Which models learn signals whose distribution is known: convolutional GANs, VAEs, UNets, flows, or a normal?

    python experiments/signals.py
    python experiments/signals.py --targets=pulse --models=dcgan,unet_flow --num_steps=10000

Trains each model on each target with --num_seeds seeds. For each it prints the median [5 %, 95 %] of the Fréchet
distance over that of perfect samples, which only the mean and the covariance matter to, and on targets with factors of
the factors' W1 over its floor and of what they leave unexplained, in perfect samples' units. A run is *close* if the
Fréchet distance is at most 3 times its floor; with factors, if their W1 is, and they leave at most 1.5 times as much as
of perfect samples. On the Gaussian processes the fitted normal is itself the floor of what samples can tell.

The workdir receives `signals_TARGET_MODEL.png` for each pair, `signals.png` with the last target's models side by side,
`config.json` and `summary.json`. Expect `unet_flow` and `gaussian` close in all 32 seeds on the two Gaussian
processes, and of the default models none in more than 9 % of them on `sine` and `pulse` (33 to 37 minutes of processor
time for each target). With --num_steps=8000 expect `mlp_vae_8` close in all 32 seeds on `sine` and `pulse`, `mlp_gan`
on `pulse`, and `mlp_vae_16` on the two Gaussian processes.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.core import Config, Method
from jgen1d.methods import METHODS, diffusion, flow_matching, gan, gaussian, vae
from jgen1d.plots import signals as signal_plots
from jgen1d.report import figures, stats
from jgen1d.report.table import Table

CLOSE = 3.0
_UNET: dict[str, Any] = {"network": "unet", "widths": (16, 32), "fourier_features": 0, "learning_rate": 2e-3}
# Through two resolutions a place sees 13 others on each side; through four, nearly all of a signal of 64.
_DEEP: dict[str, Any] = {"widths": (8, 16, 32, 64), "learning_rate": 4e-3}
_VAE: dict[str, Any] = {"widths": (128, 128), "activation": "relu", "decoder_variance": "global"}
MODELS: dict[str, tuple[Method, Config]] = {
    "dcgan": (gan.METHOD, gan.preset("dcgan")),
    "regularized_dcgan": (
        gan.METHOD,
        jgen1d.core.replace(
            gan.preset("dcgan"), batch_norm_d=False, r1=0.1, r2=0.1, ema_decay=0.998, initializer="he_normal",
            learning_rate_g=1e-3, learning_rate_d=1e-3, beta1_g=0.0, beta1_d=0.0, beta2_g=0.99, beta2_d=0.99,
            schedule="cosine",
        ),
    ),
    "mlp_gan": (gan.METHOD, gan.Config(widths_g=(128, 128), widths_d=(128, 128), latent_dim=16, r1=0.1, r2=0.1)),
    "conv_vae": (vae.METHOD, vae.Config(encoder="conv", decoder="conv", widths=(16, 32, 64), latent_dim=8)),
    "mlp_vae_8": (vae.METHOD, vae.Config(latent_dim=8, **_VAE)),
    "mlp_vae_16": (vae.METHOD, vae.Config(latent_dim=16, **_VAE)),
    "unet_diffusion": (diffusion.METHOD, diffusion.Config(**_UNET)),
    "unet_flow": (flow_matching.METHOD, flow_matching.Config(num_integration_steps=25, **_UNET)),
    "deep_unet_flow": (flow_matching.METHOD, flow_matching.Config(num_integration_steps=25, **_UNET | _DEEP)),
    "normalizing_flow": (METHODS["normalizing_flow"], METHODS["normalizing_flow"].Config()),
    "gaussian": (gaussian.METHOD, gaussian.Config()),
}  # fmt: skip
_MODELS = flags.DEFINE_list(
    "models", ["dcgan", "regularized_dcgan", "conv_vae", "unet_flow", "gaussian"],
    f"what to train, separated by commas: {', '.join(MODELS)}",
)  # fmt: skip
flags.DEFINE_list("targets", ["ornstein_uhlenbeck", "smooth", "sine", "pulse"], "signals, separated by commas")
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 2_000, "signals that are measured of each run", lower_bound=2)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "rows of each minibatch", lower_bound=1)
cli.define_training_flags(num_seeds=32, num_steps=2_000)
cli.define_output_flags("signals")


def main() -> None:
    """Trains, prints and draws."""
    targets, models = cli.read_targets(), cli.names("models", MODELS)
    for target in targets:
        if target.dim <= 2:
            raise ValueError(f"--targets={target.name}: must be a signal, not {target.dim}-D")
    workdir, rows, pictures = cli.choose_workdir("signals"), [], {}
    sizes = {"batch_size": _BATCH_SIZE.value, "num_samples": _NUM_SAMPLES.value}
    for target in targets:
        shown = {"real": np.asarray(target.sample(jax.random.key(0), 12))}
        for name in models:
            method, config = MODELS[name]
            sweep = lab.sweep([target], [config], method, eval_every=cli.num_steps(), **sizes)
            rows.append(_row(sweep, name))
            middle = stats.median_index(sweep.metrics["frechet"][0, 0])
            run = sweep.result(0, 0, middle)
            pictures[f"signals_{target.name}_{name}"] = partial(figures.of_run, run, f"{target.name}, {name}")
            shown[name] = np.asarray(run.sample(jax.random.key(1), 12))
        title = f"{target.name}, the run of the median Fréchet distance"
        # The last target's is the one in the gallery.
        pictures["signals"] = partial(signal_plots.sheets, panels=shown, shape=target.shape, title=title)
    cli.answer(workdir, Table(rows), _conclusions(rows), pictures)


def _row(sweep: jgen1d.Sweep, model: str) -> dict[str, Any]:
    found = {name: values[0, 0] for name, values in sweep.metrics.items()}
    is_close = found.get("factor_w1_over_floor", found["frechet_over_floor"]) <= CLOSE
    if "off_manifold" in found:
        is_close &= found["off_manifold"] <= sweep.thresholds.off_manifold
    row: dict[str, Any] = {"target": sweep.targets[0].name, "model": model, "num_seeds": len(sweep.seeds)}
    row["close"] = stats.rate(np.asarray(is_close))
    names = ("frechet_over_floor", "spectrum_error_over_floor", "factor_w1_over_floor", "off_manifold", "kl_per_dim")
    return row | {name: stats.spread(found[name]) for name in names if name in found}


def _conclusions(rows: list[dict[str, Any]]) -> list[str]:
    """For each target, the models that came close in 90 % of the seeds, and the others' shares."""
    said = []
    for target in dict.fromkeys(row["target"] for row in rows):
        shares = {row["model"]: row["close"]["share"] for row in rows if row["target"] == target}
        there = ", ".join(model for model, share in shares.items() if share >= 0.9) or "none"
        others = ", ".join(f"{model} in {100 * share:.0f} %" for model, share in shares.items() if share < 0.9)
        said.append(
            f"{target}: within {CLOSE:g} times the floor in 90 % of the seeds: {there}; others: {others or 'none'}."
        )
    return said


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"num_seeds": 1, "targets": ["pulse"], "models": ["gaussian"], "num_samples": 64})
