"""How good is a sampler that the literature's benchmark of sines calls good, in multiples of a perfect sampler's score?

    python experiments/sine_benchmark.py
    python experiments/sine_benchmark.py --lengths=24 --models=perfect,gan --num_seeds=64

Trains each model on TimeGAN's sines, (1 + sin(f·t + φ))/2 in five independent channels with f and φ from U(0, 0.1), of
which it is given 10,000. Each seed's samples are scored as the literature does: `discriminative`, |accuracy − ½| of a
recurrent network on --num_test fresh curves of either kind; `predictive`, the error of a network that has learnt on
samples; `correlational`. Beside each is its floor: √(2/π)·½/√m for m test curves, the least error that any predictor
can have, and the score of exact curves by simulation. `feedforward` is the score of a classifier that sees every value
over its spread; *told apart* is the share of seeds in which that accuracy is not a coin's, at the 1 % level.

`perfect` draws exact curves; `broken` does, too, but with φ = 0.05 always. The workdir receives `sine_benchmark.png`,
`config.json` and `summary.json`.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import lab
from jgen1d import cli
from jgen1d.core import Config, Method
from jgen1d.evaluation import time_series
from jgen1d.methods import flow_matching, gan, gaussian, vae
from jgen1d.plots import settings as charts
from jgen1d.report import stats
from jgen1d.report.table import Table

CHANNELS, NUM_CURVES, BATCH_SIZE = 5, 10_000, 64
EXACT: dict[str, float | None] = {"perfect": None, "broken": time_series.RATE / 2}
_VAE = vae.Config(latent_dim=10, widths=(64, 64), prior_components=0, objective="elbo", num_latents=1)
_FLOW = flow_matching.Config(widths=(128, 128), fourier_features=0, num_integration_steps=25)
MODELS: dict[str, tuple[Method, Config]] = {
    "gaussian": (gaussian.METHOD, gaussian.Config(variance_floor=1e-4)),
    "gan": (gan.METHOD, gan.Config(latent_dim=10, widths_g=(64, 64), widths_d=(64, 64))),
    "vae": (vae.METHOD, _VAE),
    "flow_matching": (flow_matching.METHOD, _FLOW),
}
PUBLISHED = {"TimeGAN": 0.011, "TimeVAE": 0.041, "DiffWave": 0.017, "Diffusion-TS": 0.006, "Cot-GAN": 0.254}
"""Discriminative scores that the literature quotes for sines of length 24, on 2,000 test curves of either kind."""
PUBLISHED_FLOOR = time_series.discriminative_floor(4_000)
flags.DEFINE_list("lengths", ["24", "64"], "places of the curves, separated by commas")
flags.DEFINE_list("models", [*EXACT, *MODELS], "samplers, separated by commas")
_NUM_TEST = flags.DEFINE_integer("num_test", 2_000, "test curves of either kind; twice as many train", lower_bound=2)
cli.define_training_flags(num_seeds=32, num_steps=1_000)
cli.define_output_flags("sine_benchmark")


def main() -> None:
    """Trains, scores, prints and draws."""
    lengths, models = cli.integers("lengths", 3), cli.names("models", [*EXACT, *MODELS])
    if len(cli.seeds()) < 2:
        raise ValueError("--num_seeds=1: must be at least 2, for the scores' standard errors")
    workdir, rows, panels = cli.choose_workdir("sine_benchmark"), [], {}
    floor = time_series.discriminative_floor(2 * _NUM_TEST.value)
    limit = 2.576 / math.sqrt(2 / math.pi) * floor  # of 1 % of the draws of a fair coin

    @jax.jit
    def score(keys: jax.Array, samples: jax.Array) -> dict[str, jax.Array]:
        both = (jax.vmap(lambda key: jax.random.fold_in(key, 2))(keys), samples)
        return jax.lax.map(lambda one: time_series.scores(one[0], one[1], _NUM_TEST.value), both, batch_size=16)

    for length in lengths:
        floors = dict.fromkeys(time_series.TRAININGS, floor) | {"predictive": time_series.predictive_floor(length)}
        floors["correlational"] = time_series.correlational_floor(_NUM_TEST.value, length, CHANNELS)
        found = {name: jax.device_get(score(*_samples(name, length))) for name in models}
        for name, scores in found.items():
            row: dict[str, Any] = {"length": length, "model": name, "num_seeds": len(cli.seeds())}
            row["told_apart"] = stats.rate(scores["feedforward"] > limit)
            rows.append(row | {f"{score}_over_floor": stats.mean(scores[score] / floors[score]) for score in floors})
        for network in time_series.TRAININGS:
            panels[f"length {length}, {network}"] = {name: scores[network] / floor for name, scores in found.items()}
    panels["length 24, published"] = {name: [value / PUBLISHED_FLOOR] for name, value in PUBLISHED.items()}
    picture = partial(charts.scores, panels=panels, xlabel="|accuracy − ½| / floor", title="Sines")
    cli.answer(workdir, Table(rows), _conclusions(rows), {"sine_benchmark": picture}, floor=floor)


def _samples(name: str, length: int) -> tuple[jax.Array, np.ndarray]:
    """Keys [seeds], and each seed's curves, f32[seeds, n, length, channels], exact or those of a trained model."""
    keys, shape = jax.vmap(jax.random.key)(np.array(cli.seeds())), (3 * _NUM_TEST.value, length, CHANNELS)
    if name in EXACT:
        return keys, np.stack([time_series.sines(jax.random.fold_in(key, 1), *shape, EXACT[name]) for key in keys])
    method, config = MODELS[name]
    config = method.bind(config, length * CHANNELS, cli.num_steps())
    curves = time_series.sines(jax.random.key(NUM_CURVES), NUM_CURVES, *shape[1:]).reshape(NUM_CURVES, -1)
    mean, std = jnp.mean(curves, axis=0)[None], jnp.std(curves, axis=0)[None]

    def step(state: Any, key: jax.Array) -> tuple[Any, None]:
        key_rows, key_step = jax.random.split(key)
        batch = curves[jax.random.randint(key_rows, (BATCH_SIZE,), 0, NUM_CURVES)]
        return method.step(key_step, state, (batch - mean) / std, config)[0], None

    @jax.jit
    def run(key: jax.Array) -> jax.Array:
        key_init, key_steps, key_samples = jax.random.split(key, 3)
        state, _ = jax.lax.scan(step, method.init(key_init, config), jax.random.split(key_steps, cli.num_steps()))
        return (mean + std * method.sample(key_samples, state, shape[0], config)).reshape(shape)

    return keys, np.stack([run(key) for key in keys])


def _conclusions(rows: list[dict[str, Any]]) -> list[str]:
    """For each length the models' discriminative scores in floors, and the published ones."""
    said = [
        f"Length {row['length']}, {row['model']}: {row['recurrent_over_floor']['mean']:.2g} floors for the recurrent "
        f"classifier, {row['feedforward_over_floor']['mean']:.2g} for the feedforward one."
        for row in rows
    ]
    table = ", ".join(f"{name} {score / PUBLISHED_FLOOR:.2g}" for name, score in PUBLISHED.items())
    return [*said, f"The published scores at length 24, in floors of {PUBLISHED_FLOOR:.4f}: {table}."]


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"num_seeds": 2, "lengths": ["3"], "models": [*EXACT, "gaussian"], "num_test": 200})
