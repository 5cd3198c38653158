"""Do an autoencoder's and β-VAEs' two latents find a pulse's height and width, and separate them?

    python experiments/latent_factors.py
    python experiments/latent_factors.py --betas=1,8 --num_seeds=256

Signals of `pulse` have two factors and nothing else, height and width, and they can be read off any signal exactly. An
autoencoder and VAEs with two latents are trained with --num_seeds seeds each, a VAE for each β of --betas. For each:

- *separated*: the share of seeds whose mutual information gap (MIG) is at least 0.5, with its Wilson 95 % interval.
  The gap is 1 if each latent is one factor, and 0 if both tell as much about each. Rows of 0 seeds give the gap of
  the exact factors, of these turned by 15° and 45°, and of an independent code, by the same estimator;
- *height R²* and *width R²*: what the best monotone function of one latent explains of a factor;
- *decoded R²*: what decoded signals keep of the worse factor, whatever the latents look like;
- *halfway*: how far signals decoded halfway between two codes are from any pulse, in standard deviations of the noise.

The workdir receives `latent_factors.png`, with the runs of the median MIG, `config.json` and `summary.json`.

Expect (64 seeds, 25 minutes of one core beside other work): no model separates the factors in any seed, the median MIG
is 0.05 to 0.06, and β explains 1 % of its variance; up to β = 4 decoded signals keep both factors all the same.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import jgen1d
import lab
from jgen1d import cli
from jgen1d.core import PyTree, replace
from jgen1d.evaluation import disentanglement
from jgen1d.methods import autoencoder, vae
from jgen1d.plots import latents
from jgen1d.report import stats
from jgen1d.report.table import Table, cell

TARGET, LAW = jgen1d.TARGETS["pulse"], jgen1d.TARGETS["pulse"].params.law
FACTORS, SEPARATED = ("height", "width"), 0.5
Values = dict[str, np.ndarray]
_SIZES: dict[str, Any] = {"latent_dim": 2, "widths": (64, 64), "activation": "silu", "learning_rate": 3e-3}
_VAE = vae.Config(prior_components=0, objective="elbo", num_latents=1, decoder_variance="global", **_SIZES)

flags.DEFINE_list("betas", ["1", "4", "16", "64"], "weights of the KL term, separated by commas")
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 4_000, "signals that are encoded", lower_bound=100)
cli.define_training_flags(num_seeds=64, num_steps=2_000)
cli.define_output_flags("latent_factors")


def main() -> None:
    """Trains, measures, prints and draws."""
    models: dict[Any, dict[str, Any]] = {autoencoder: {"autoencoder": autoencoder.Config(**_SIZES)}}
    models[vae] = {f"VAE, β = {beta:g}": replace(_VAE, beta=beta) for beta in cli.numbers("betas")}
    workdir, x = cli.choose_workdir("latent_factors"), TARGET.sample(jax.random.key(0), _NUM_SAMPLES.value)
    factors = np.asarray(TARGET.factors(x)[0])
    rows: list[dict[str, Any]] = []
    gaps, columns = [], {"exact factors": disentanglement.chart(factors, LAW.clean, TARGET.factors)}
    for module, configs in models.items():
        sweep = lab.sweep([TARGET], list(configs.values()), module.METHOD, eval_every=cli.num_steps(), num_samples=100)
        for c, name in enumerate(configs):
            found, charted = _measure(module, sweep, c, x, factors)
            shares = {"num_seeds": len(sweep.seeds), "separated": stats.rate(found["mig"] >= SEPARATED)}
            rows.append({"model": name} | shares | {key: stats.spread(values) for key, values in found.items()})
            columns[f"{name}, MIG {np.median(found['mig']):.2f}"] = charted
            gaps += [found["mig"]] if module is vae else []
    for name, one in disentanglement.known_codes(factors).items():
        scores = _scores(one[None], factors)
        rows.append({"model": name, "num_seeds": 0} | {key: float(values[0]) for key, values in scores.items()})
    title, ranges = "What two latents stand for, in the run of the median MIG", np.stack([LAW.heights, LAW.widths])
    picture = partial(latents.charts, models=columns, ranges=ranges, names=FACTORS, title=title)
    cli.answer(workdir, Table(rows), _conclusions(rows, np.array(gaps)), {"latent_factors": picture})


def _measure(module: Any, sweep: jgen1d.Sweep, c: int, x: Any, factors: Any) -> tuple[Values, disentanglement.Chart]:
    """Each seed's scores, f[seeds] by name, and what the latents of the run of the median MIG stand for."""
    run, states = sweep.result(0, c, 0), [sweep.states[0, c, s] for s in range(len(sweep.seeds))]
    shift, scale = run.shift[None], run.scale[None]
    mean = (lambda moments: moments[0]) if module is vae else lambda codes: codes

    def decode(state: PyTree, z: jax.Array) -> jax.Array:
        return shift + scale * mean(module.decode(state, z, run.config))

    @jax.jit
    def score(state: PyTree) -> tuple[jax.Array, dict[str, jax.Array]]:
        codes = mean(module.encode(state, (x - shift) / scale, run.config))
        left = jnp.mean((TARGET.factors(decode(state, codes))[0] - factors) ** 2, axis=0) / jnp.var(factors, axis=0)
        halfway = TARGET.factors(decode(state, jgen1d.lerp(codes, jnp.roll(codes, 1, axis=0), 0.5)))[1]
        return codes, {"decoded_r2": 1 - jnp.max(left), "halfway": jnp.sqrt(jnp.mean(halfway**2)) / LAW.noise}

    codes, found = jax.device_get(jax.lax.map(score, jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)))
    found = _scores(codes, factors) | found
    middle = stats.median_index(found["mig"])
    chart = disentanglement.chart(codes[middle], partial(jax.jit(decode), states[middle]), TARGET.factors)
    return found, chart


def _scores(codes: np.ndarray, factors: np.ndarray) -> Values:
    explained = np.array([disentanglement.monotone_r2(one, factors).max(axis=0) for one in codes])
    gaps = np.asarray(jax.lax.map(lambda one: disentanglement.mig(one, factors), jnp.asarray(codes)))
    return {"mig": gaps} | {f"{name}_r2": explained[:, k] for k, name in enumerate(FACTORS)}


def _conclusions(rows: list[dict[str, Any]], gaps: np.ndarray) -> list[str]:
    said = [
        f"{row['model']}: {cell(row['separated'])} of seeds separate height from width (MIG ≥ {SEPARATED:g}); the "
        f"median MIG is {stats.median(row['mig']):.2f}, the decoded R² {stats.median(row['decoded_r2']):.2f}."
        for row in (row for row in rows if "separated" in row)
    ]
    if min(gaps.shape) > 1:
        beta, seed, both = (f"{100 * share:.0f} %" for share in stats.variance_shares(gaps))
        said.append(
            f"Variance of the VAEs' MIG: {beta} goes with β, {seed} with the seed, {both} with their interaction."
        )
    return said


if __name__ == "__main__":
    cli.run(main, quick=lab.QUICK | {"betas": ["1", "4"], "num_samples": 200})
