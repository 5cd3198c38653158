"""Which GANs converge on the simplest problem of all, and does it depend on the order of the updates?

    python experiments/dirac_gan.py                                # the table and the figure, about 10 s
    python experiments/dirac_gan.py --step_size=0.05 --num_steps=2000 --format=json

In the Dirac-GAN (Mescheder, Geiger & Nowozin 2018, arXiv:1801.04406) the data are the single point 0, the generator
gives the point θ, the discriminator is D(x) = ψx, and θ = ψ = 0 is the only equilibrium. Gradient steps start at
θ = ψ = 1, in float64. Every gradient is `jax.grad` of a loss of `jgen1d.maths.losses`, under these conventions:

- the paper's D is high on generated points and the library's logits are high on real points, so the logit is −ψx;
- "alternating" moves the generator first, then the discriminator, once or 5 times, against the new θ;
- a penalty is γ/2·(|∇D| − g)², and |∇D| = |ψ| at every x. R1: γ = 0.3, g = 0, `zero_centred_penalty` times γ.
  WGAN-GP: γ = 0.7, g = 1, `one_centred_penalty` times γ/2;
- WGAN clips ψ to [−1, 1] after each step of the discriminator.

Expect these distances from the equilibrium after 500 updates of step size 0.2. Only R1 converges at a linear
rate; non-saturating with alternating updates approaches as 1/√updates; the others stay away:

                       simultaneous   alternating   alternating, 5 D steps
    GAN                   3.097          1.421             1.845
    non-saturating        0.640          0.284             0.139
    WGAN, clipped         1.002          1.024             0.917
    WGAN-GP               1.802          1.221             0.716
    R1                    2.6e-6         2.3e-7            9.2e-34

|λ| is the larger modulus of an update's two eigenvalues at the equilibrium, 1.0050 for GAN with simultaneous updates.
Above 1 the equilibrium repels. The table gives it from theory, from the Jacobian, and measured as the growth per
update of a run that starts at θ = ψ = 1e-6. WGAN-GP has none, because its penalty has a kink at ψ = 0. The workdir
receives `config.json`, `summary.json` and `dirac_gan.png`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jgen1d import cli
from jgen1d.maths import losses
from jgen1d.plots import style
from jgen1d.report.table import Table, finite

_NUM_STEPS = flags.DEFINE_integer("num_steps", 500, "updates of each run", lower_bound=1)
_STEP_SIZE = flags.DEFINE_float("step_size", 0.2, "learning rate of both players")
cli.define_output_flags("dirac_gan")


class Variant(NamedTuple):
    """A GAN: its losses, penalty and clipping, and the derivatives that linear theory needs.

    At the equilibrium `slope` is |∂²loss/∂θ∂ψ| and `damping` is the discriminator's ∂²loss/∂ψ², None if it has a kink.
    """

    loss_d: Callable[[jax.Array, jax.Array], jax.Array]
    loss_g: Callable[[jax.Array], jax.Array]
    slope: float
    weight: float = 0.0
    penalty: Callable[[jax.Array], jax.Array] = losses.zero_centred_penalty
    damping: float | None = 0.0
    clip: float = math.inf


VARIANTS = {
    "GAN": Variant(losses.log_loss_d, losses.saturating_loss_g, 0.5),
    "non-saturating": Variant(losses.log_loss_d, losses.non_saturating_loss_g, 0.5),
    "WGAN, clipped": Variant(losses.wasserstein_loss_d, losses.critic_loss_g, 1.0, clip=1.0),
    "WGAN-GP": Variant(
        losses.wasserstein_loss_d, losses.critic_loss_g, 1.0, 0.5 * 0.7, losses.one_centred_penalty, damping=None
    ),
    "R1": Variant(losses.log_loss_d, losses.saturating_loss_g, 0.5, 0.3, damping=0.3),
}
# Steps of the discriminator after each step of the generator; 0 means one step at the same time.
ORDERS = {"simultaneous": 0, "alternating": 1, "alternating, 5 D steps": 5}


def loss_d(psi: jax.Array, theta: jax.Array, variant: Variant) -> jax.Array:
    """The discriminator's loss on one real point, 0, and one generated point, θ."""
    logits_real, gradients = losses.value_and_input_gradients(lambda x: -psi * x, jnp.zeros((1, 1)))
    return variant.loss_d(logits_real, -psi * theta) + variant.weight * variant.penalty(gradients)


def loss_g(theta: jax.Array, psi: jax.Array, variant: Variant) -> jax.Array:
    """The generator's loss on its point."""
    return variant.loss_g(-psi * theta)


@functools.partial(jax.jit, static_argnames="variant")
def update(point: jax.Array, variant: Variant, num_d_steps: int, step_size: float) -> jax.Array:
    """One update of the point (θ, ψ), f[2]; `num_d_steps` is a value of `ORDERS`."""
    theta, psi = point
    new_theta = theta - step_size * jax.grad(loss_g)(theta, psi, variant)
    opponent = jnp.where(num_d_steps == 0, theta, new_theta)

    def step_d(_: int, psi: jax.Array) -> jax.Array:
        return jnp.clip(psi - step_size * jax.grad(loss_d)(psi, opponent, variant), -variant.clip, variant.clip)

    return jnp.stack([new_theta, jax.lax.fori_loop(0, jnp.maximum(num_d_steps, 1), step_d, psi)])


@functools.partial(jax.jit, static_argnames=("variant", "num_steps"))
def path(start: jax.Array, variant: Variant, num_d_steps: int, step_size: float, num_steps: int) -> jax.Array:
    """The points, f[num_steps + 1, 2], of a run from `start`, f[2]."""

    def step(point: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return update(point, variant, num_d_steps, step_size), point

    last, points = jax.lax.scan(step, start, length=num_steps)
    return jnp.concatenate([points, last[None]])


def eigenvalues(variant: Variant, num_d_steps: int, step_size: float) -> np.ndarray:
    """The two eigenvalues of `update` at the equilibrium, from its Jacobian."""
    return np.linalg.eigvals(jax.jacfwd(update)(jnp.zeros(2), variant, num_d_steps, step_size))


def theory(variant: Variant, num_d_steps: int, step_size: float) -> np.ndarray | None:
    """The same two eigenvalues from theory, as the roots of λ² − trace·λ + determinant; None at a kink.

    With simultaneous updates λ = 1 + h·(−γ/2 ± √(γ²/4 − slope²)), and |λ| = √(1 + h²/4) for the GAN. With alternating
    updates and n steps of the discriminator |λ| = (1 − hγ)^(n/2) as long as λ is complex: without damping, no order
    makes it less than 1.
    """
    if variant.damping is None:
        return None
    kept, coupling = 1.0 - step_size * variant.damping, (step_size * variant.slope) ** 2
    if num_d_steps == 0:
        return np.roots([1.0, -(1.0 + kept), kept + coupling])
    geometric = sum(kept**k for k in range(num_d_steps))
    return np.roots([1.0, -(1.0 + kept**num_d_steps - coupling * geometric), kept**num_d_steps])


def growth(points: np.ndarray) -> float | None:
    """The growth per update of the distance from the equilibrium, fitted while that is small."""
    radius = np.hypot(*points.T)
    small = np.flatnonzero((radius > 1e-250) & (radius < 0.01))
    return math.exp(np.polyfit(small, np.log(radius[small]), 1)[0]) if small.size > 1 else None


def behaviour(points: np.ndarray) -> str:
    """A run's behaviour, from its last point and its mean distances in the first quarter and in the last turn."""
    radius = np.hypot(*points.T)
    if not np.isfinite(radius).all():
        return "diverges"
    if radius[-1] < 1e-3:
        return "converges"
    turns = np.abs(np.unwrap(np.arctan2(points[:, 1], points[:, 0])) - math.pi / 4) / (2 * math.pi)
    if turns[-1] < 1:
        return "undecided"
    ratio = radius[turns >= turns[-1] - 1].mean() / radius[turns <= max(1, turns[-1] / 4)].mean()
    return "spirals in" if ratio < 0.9 else "spirals out" if ratio > 1.1 else "circles"


def measure(name: str, order: str, step_size: float, num_steps: int) -> tuple[dict[str, Any], np.ndarray]:
    """One run's row of the table, and its points."""
    game, starts = (VARIANTS[name], ORDERS[order], step_size), (jnp.ones(2), jnp.full(2, 1e-6))
    points, near = (np.asarray(path(start, *game, num_steps)) for start in starts)
    row: dict[str, Any] = {"variant": name, "order": order}
    row |= {"final_radius": float(np.hypot(*points[-1])), "behaviour": behaviour(points)}
    row |= dict.fromkeys(("lambda_theory", "lambda_jacobian", "lambda_measured"))
    if (expected := theory(*game)) is not None:
        row["lambda_theory"] = float(abs(expected).max())
        row["lambda_jacobian"] = float(abs(eigenvalues(*game)).max())
        row["lambda_measured"] = growth(near)
    return finite(row), points


def conclusions(rows: list[dict[str, Any]]) -> list[str]:
    """Sentences about the rows."""
    ends = {name: {row["behaviour"] for row in rows if row["variant"] == name} for name in VARIANTS}
    sure = [name for name, found in ends.items() if found == {"converges"}]
    reached = ", ".join(sure) or "none"
    sentences = [f"Variants that reach the equilibrium to within 0.001 in every order of the updates: {reached}."]
    for row in rows:
        if (row["lambda_theory"] or 0.0) > 1 + 1e-9 and row["behaviour"] == "spirals in":
            run = f"{row['variant']}, {row['order']}"
            sentences.append(f"{run}: spirals in but cannot converge, because the equilibrium repels (|λ| > 1).")
    for key, source in {"jacobian": "from the Jacobian", "measured": "as measured"}.items():
        pairs = [(row[f"lambda_{key}"], row["lambda_theory"]) for row in rows]
        if gaps := [abs(found - known) for found, known in pairs if found is not None]:
            sentences.append(f"|λ| {source} differs from theory by at most {max(gaps):.0e}.")
    return sentences


def draw(rows: list[dict[str, Any]], runs: dict[tuple[str, str], np.ndarray], step_size: float) -> Figure:
    """The paths in the (θ, ψ) plane, a column per variant and a row per order, over the gradient field."""
    num_steps = len(next(iter(runs.values()))) - 1
    figure = Figure(figsize=(15, 10), layout="constrained")
    title = f"Dirac-GAN: {num_steps:,} updates of step size {step_size:g} from θ = ψ = 1"
    figure.suptitle(f"{title} (arrows: the direction of a small simultaneous update)")
    axes = figure.subplots(len(ORDERS), len(VARIANTS))
    for ax, row in zip(axes.T.flat, rows, strict=True):
        variant, run = VARIANTS[row["variant"]], runs[row["variant"], row["order"]]
        column = np.stack([runs[row["variant"], order] for order in ORDERS])
        limit = min(1.1 * np.abs(column[np.isfinite(column)]).max(), 10.0)
        grid = limit * np.stack(np.meshgrid(*[np.linspace(-0.93, 0.93, 13)] * 2), axis=-1).reshape(-1, 2)
        unclipped = variant._replace(clip=math.inf)
        field = jax.vmap(functools.partial(update, variant=unclipped, num_d_steps=0, step_size=1e-3))(grid) - grid
        field /= jnp.linalg.norm(field, axis=1, keepdims=True) + 1e-12
        ax.quiver(*grid.T, *field.T, color="#BBBBBB", scale=20, width=0.005, pivot="mid")
        if variant.clip < limit:
            bounds = [-variant.clip, variant.clip]
            ax.hlines(bounds, -limit, limit, color=style.REAL, linestyle="--", linewidth=1, label="clipping")
        line = LineCollection(list(np.stack([run[:-1], run[1:]], axis=1)), cmap="viridis_r", linewidth=1.2)
        line.set_array(np.arange(num_steps))
        ax.add_collection(line)
        ax.plot(*run[0], "o", color=style.REAL, markerfacecolor="white", label="start")
        ax.plot(*run[-1], "o", color=style.RED, label="end")
        ax.plot(0, 0, "+", color=style.REAL, markersize=11, markeredgewidth=1.8, label="equilibrium")
        eigenvalue = "" if row["lambda_theory"] is None else f", |λ| = {modulus(row['lambda_theory'])}"
        ax.set_title(
            f"{row['behaviour']}{eigenvalue}\nfinal radius {number(row['final_radius'])}", fontsize=9, loc="left"
        )
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="θ", ylabel="ψ")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        ax.tick_params(labelsize=8)
    for ax, name in zip(axes[0], VARIANTS, strict=True):
        ax.annotate(name, (0.5, 1.25), xycoords="axes fraction", ha="center", fontsize=12, weight="bold")
    for ax, name in zip(axes[:, 0], ORDERS, strict=True):
        where = {"xycoords": "axes fraction", "rotation": 90, "ha": "right", "va": "center"}
        ax.annotate(name, (-0.32, 0.5), fontsize=12, weight="bold", **where)
    figure.colorbar(line, ax=axes, label="update", shrink=0.4, aspect=30)
    marks = {label: mark for ax in axes.flat for mark, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(marks.values(), marks, loc="outside lower center", ncols=4, frameon=False)
    return figure


def number(value: float | None) -> str:
    """A distance, to three decimals or with a power of ten."""
    return "–" if value is None else f"{value:.3f}" if 1e-3 <= value < 1e4 else f"{value:.1e}"


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows, with texts that show small radii and moduli close to 1."""
    moduli = dict.fromkeys(("lambda_theory", "lambda_jacobian", "lambda_measured"), modulus)
    return Table(rows, formats={"final_radius": number, **moduli})


def modulus(value: float | None) -> str:
    """|λ| to four decimals."""
    return "–" if value is None else f"{value:.4f}"


def main() -> None:
    """Runs every variant in every order, prints and writes what the flags ask for."""
    num_steps, step_size = _NUM_STEPS.value, _STEP_SIZE.value
    if not 0 < step_size <= 10:
        raise ValueError(f"--step_size={step_size:g}: must be above 0 and at most 10")
    workdir = cli.choose_workdir("dirac_gan")

    jax.config.update("jax_enable_x64", True)
    runs = {(name, order): measure(name, order, step_size, num_steps) for name in VARIANTS for order in ORDERS}
    rows = [row for row, _ in runs.values()]
    points = {key: points for key, (_, points) in runs.items()}
    figures = {"dirac_gan": functools.partial(draw, rows, points, step_size)}
    cli.answer(workdir, table(rows), conclusions(rows), figures, num_steps=num_steps, step_size=step_size)


if __name__ == "__main__":
    cli.run(main, quick={"num_steps": 100})
