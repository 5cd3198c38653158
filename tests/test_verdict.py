"""Each rule of the verdict, their order, and the negative control: losses at log 2 that mean nothing."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jgen1d.evaluation import metrics
from jgen1d.evaluation.verdict import VERDICTS, Thresholds, classify, learned, loss_gap
from jgen1d.maths import losses
from jgen1d.methods import gan
from jgen1d.targets import TARGETS

LOG_2 = math.log(2)
OPTIMUM = {"loss_g": LOG_2, "loss_d": 2 * LOG_2}
NUM_EVALS = 100
SWING = np.where(np.arange(NUM_EVALS) % 2, 1.0, -1.0)  # its mean over any even number of points is 0


def history(gap=0.0, swing=0.0):
    """Both losses `gap` above their optimum, up and down by `swing`."""
    return {name: value + gap + swing * SWING for name, value in OPTIMUM.items()}


def final(w1_over_std=0.01, std_ratio=1.0, modes_covered=2.0, tv=0.05, ks_p=0.001):
    return {
        "w1_over_std": w1_over_std, "std_ratio": std_ratio, "modes_covered": modes_covered, "tv": tv, "ks_p": ks_p,
    }  # fmt: skip


def verdict(history, metrics, optimum=OPTIMUM, num_modes=2, **more):
    (name,) = classify(history, metrics, optimum, num_modes, **more).reshape(1)
    return str(name)


# --- the rules ----------------------------------------------------------------------------------------------------


def test_each_rule():
    assert verdict(history(), final()) == "converged"
    assert verdict(history(), final(ks_p=0.5)) == "indistinguishable"
    assert verdict(history(), final(tv=0.11)) == "false_equilibrium"
    assert verdict(history(), final(tv=0.11, ks_p=0.5)) == "false_equilibrium"
    assert verdict(history(gap=0.2), final(ks_p=0.5)) == "not_converged"
    assert verdict(history(), final(tv=0.11), None) == "not_converged"
    assert verdict(history(), final(w1_over_std=0.06)) == "false_equilibrium"
    assert verdict(history(), final(modes_covered=1)) == "mode_collapse"
    assert verdict(history(swing=0.2), final(w1_over_std=0.06)) == "oscillating"
    assert verdict(history(gap=0.2), final()) == "not_converged"
    assert verdict(history(gap=0.2), final(w1_over_std=0.06)) == "not_converged"
    assert verdict(history(), final(), diverged_at=0) == "diverged"


# Changes of the history, the metrics and other arguments that make each rule hold in a run that meets no rule.
SIGNS = {
    "diverged": ({}, {}, {"diverged_at": 7}),
    "mode_collapse": ({}, {"modes_covered": 1.0}, {}),
    "indistinguishable": ({"gap": 0.0}, {"w1_over_std": 0.01, "ks_p": 0.2}, {}),
    "converged": ({"gap": 0.0}, {"w1_over_std": 0.01}, {}),
    "oscillating": ({"swing": 0.3}, {}, {}),
    "false_equilibrium": ({"gap": 0.0}, {}, {}),
}


@pytest.mark.parametrize("count", range(1, len(SIGNS) + 1))
def test_the_first_rule_that_holds_names_the_run(count):
    for names in itertools.combinations(SIGNS, count):
        curves, numbers, more = {"gap": 1.0}, {"w1_over_std": 0.5}, {}
        for name in names:
            curves |= SIGNS[name][0]
            numbers |= SIGNS[name][1]
            more |= SIGNS[name][2]
        assert verdict(history(**curves), final(**numbers), **more) == names[0], names


def test_a_run_that_meets_no_rule_has_not_converged():
    assert verdict(history(gap=1.0), final(w1_over_std=0.5)) == "not_converged"


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_anything_that_is_not_finite_is_a_divergence(bad):
    for name in OPTIMUM:
        for place in (0, 50, -1):
            curves = history()
            curves[name][place] = bad
            assert verdict(curves, final()) == "diverged"
    assert verdict(history(), final(w1_over_std=bad)) == "diverged"
    assert verdict(history(), final(std_ratio=bad)) == "diverged"
    assert verdict(history(), final(tv=bad)) == "diverged"
    assert verdict(history(), final(w1_over_std=bad), None) == "diverged"


def test_coverage_that_is_not_a_number_is_a_divergence():
    assert verdict(history(), final(modes_covered=np.nan)) == "diverged"


def test_an_empty_histogram_over_modes_is_a_collapse_and_no_divergence():
    assert verdict(history(), final(modes_covered=0.0) | {"reverse_kl": np.inf}) == "mode_collapse"


@pytest.mark.parametrize("step", [0, 1, 4999])
def test_a_run_that_diverged_is_so_whatever_else_it_shows(step):
    assert verdict(history(), final(), diverged_at=step) == "diverged"
    assert verdict({}, final(), None, diverged_at=step) == "diverged"


def test_limits_belong_to_converged():
    assert verdict(history(), final(w1_over_std=0.05)) == "converged"
    assert verdict(history(), final(w1_over_std=np.nextafter(0.05, 1))) == "false_equilibrium"
    assert verdict(history(gap=0.0499), final()) == "converged"
    assert verdict(history(gap=-0.0499), final()) == "converged"
    assert verdict(history(gap=0.0501), final()) == "not_converged"
    assert verdict(history(gap=-0.0501), final()) == "not_converged"


def test_limits_of_misplaced_probability_and_of_the_test():
    assert verdict(history(), final(tv=0.1)) == "converged"
    assert verdict(history(), final(tv=np.nextafter(0.1, 1))) == "false_equilibrium"
    assert verdict(history(), final(ks_p=0.01)) == "indistinguishable"
    assert verdict(history(), final(ks_p=np.nextafter(0.01, 0))) == "converged"
    numbers = final()
    del numbers["ks_p"]  # of a target whose distribution function is unknown
    assert verdict(history(), numbers) == "converged"


def test_converged_and_better_learned_the_distribution():
    assert learned(list(VERDICTS)).tolist() == [name in ("indistinguishable", "converged") for name in VERDICTS]


def test_one_loss_at_its_optimum_is_not_enough():
    for name in OPTIMUM:
        curves = history()
        curves[name] = curves[name] + 0.1
        assert verdict(curves, final()) == "not_converged"
        curves[name] = curves[name] + 0.3 * SWING
        assert verdict(curves, final(w1_over_std=0.5)) == "oscillating"


def test_losses_are_averaged_over_the_last_tenth():
    for before, after, name in [(1.0, 0.0, "converged"), (0.0, 1.0, "not_converged")]:
        gap = np.where(np.arange(NUM_EVALS) < 90, before, after)
        assert verdict(history(gap), final(), thresholds=Thresholds(loss_std=10)) == name
        np.testing.assert_allclose(loss_gap(history(gap), OPTIMUM), after, atol=1e-12)


def test_oscillation_is_that_of_the_last_third():
    early, late = np.arange(NUM_EVALS) < 66, np.arange(NUM_EVALS) >= 67
    assert verdict(history(swing=0.3 * late), final(w1_over_std=0.5)) == "oscillating"
    assert verdict(history(swing=3.0 * early), final(w1_over_std=0.5)) == "false_equilibrium"


@pytest.mark.parametrize("num_evals", [1, 2, 3, 9, 10, 19])
def test_short_histories_are_judged_by_their_end(num_evals):
    curves = {name: np.full(num_evals, value) for name, value in OPTIMUM.items()}
    assert verdict(curves, final()) == "converged"
    for curve in curves.values():
        curve[:-1] += 0.06  # too little to be oscillation
    assert verdict(curves, final()) == "converged"
    for curve in curves.values():
        curve[-1] += 0.12
    assert verdict(curves, final()) == "not_converged"


def test_loss_gap_is_the_greatest_of_the_losses():
    curves = {"loss_g": np.full((2, 10), LOG_2 - 0.3), "loss_d": np.full((2, 10), 2 * LOG_2 + 0.1)}
    np.testing.assert_allclose(loss_gap(curves, OPTIMUM), [0.3, 0.3], rtol=1e-12)
    np.testing.assert_allclose(loss_gap(curves, {"loss_d": 2 * LOG_2}), [0.1, 0.1], rtol=1e-12)
    assert np.isnan(loss_gap({"loss_d": [np.nan, np.nan]}, {"loss_d": 0.0}))


# --- what differs between methods and targets ---------------------------------------------------------------------


@pytest.mark.parametrize("optimum", [None, {}])
def test_without_an_optimum_only_distance_and_coverage_count(optimum):
    wild = {"loss": 100 * SWING}
    assert verdict(wild, final(), optimum) == "converged"
    assert verdict(wild, final(w1_over_std=0.06), optimum) == "not_converged"
    assert verdict(wild, final(modes_covered=1), optimum) == "mode_collapse"
    assert verdict({}, final(), optimum) == "converged"


def test_losses_without_an_optimum_are_not_read():
    optimum = gan.loss_optimum(gan.Config(discriminator_loss="hinge", generator_loss="hinge"))
    assert optimum == {"loss_d": 2.0}
    curves = {"loss_d": np.full(NUM_EVALS, 2.0), "loss_g": 50 + 100 * SWING}
    assert verdict(curves, final(), optimum) == "converged"
    assert verdict(curves, final(w1_over_std=0.5), optimum) == "false_equilibrium"


def test_without_modes_a_small_spread_is_a_collapse():
    for modes_covered in (np.nan, 0.0):  # what a sweep holds for such a target
        for std_ratio, name in [(0.49, "mode_collapse"), (0.5, "converged"), (1.0, "converged"), (3.0, "converged")]:
            assert verdict(history(), final(0.01, std_ratio, modes_covered), num_modes=0) == name
    numbers = {"w1_over_std": 0.01, "std_ratio": 1.0, "tv": 0.05}
    assert verdict(history(), numbers, num_modes=0) == "converged"


def test_with_modes_a_small_spread_is_none():
    assert verdict(history(), final(std_ratio=0.1)) == "converged"


def test_all_modes_must_be_covered():
    for covered, name in [(24, "mode_collapse"), (25, "converged")]:
        assert verdict(history(), final(modes_covered=covered), num_modes=25) == name


# --- many runs, other limits --------------------------------------------------------------------------------------


def test_runs_are_judged_side_by_side_as_alone():
    rng = np.random.default_rng(0)
    shape = (3, 40)
    curves = {
        name: value + rng.choice([0, 0.2], (*shape, 1)) + rng.choice([0, 0.3], (*shape, 1)) * SWING
        for name, value in OPTIMUM.items()
    }
    curves["loss_d"][0, 0, 3] = np.nan
    choices = ([0.01, 0.01, 0.5], [0.2, 1.0], [1.0, 2.0, 2.0, 2.0], [0.05, 0.05, 0.2], [0.001, 0.3])
    numbers = final(*(rng.choice(values, shape) for values in choices))
    diverged_at = np.where(rng.uniform(size=shape) < 0.1, 5, -1)
    names = classify(curves, numbers, OPTIMUM, 2, diverged_at)
    assert names.shape == shape
    assert set(names.ravel().tolist()) == set(VERDICTS)
    for place in np.ndindex(shape):
        alone = {name: curve[place] for name, curve in curves.items()}
        one = {name: value[place] for name, value in numbers.items()}
        assert verdict(alone, one, diverged_at=diverged_at[place]) == names[place]


@pytest.mark.parametrize(
    ("change", "run", "before", "after"),
    [
        ({"w1_over_std": 0.1}, (history(), final(0.08)), "false_equilibrium", "converged"),
        ({"tv": 0.2}, (history(), final(tv=0.15)), "false_equilibrium", "converged"),
        ({"tv": 0.02}, (history(), final(tv=0.05)), "converged", "false_equilibrium"),
        ({"ks_p": 0.0005}, (history(), final()), "converged", "indistinguishable"),
        ({"ks_p": 0.3}, (history(), final(ks_p=0.2)), "indistinguishable", "converged"),
        ({"w1_over_std": 0.005}, (history(), final(0.01)), "converged", "false_equilibrium"),
        ({"loss_gap": 0.3}, (history(gap=0.2), final()), "not_converged", "converged"),
        ({"loss_gap": 0.3}, (history(gap=0.2), final(0.5)), "not_converged", "false_equilibrium"),
        ({"loss_std": 0.5}, (history(swing=0.3), final(0.5)), "oscillating", "false_equilibrium"),
        ({"loss_std": 0.01}, (history(swing=0.02), final(0.5)), "false_equilibrium", "oscillating"),
    ],
)
def test_limits_are_arguments(change, run, before, after):
    assert verdict(*run) == before
    assert verdict(*run, thresholds=Thresholds(**change)) == after


def test_the_limit_on_the_spread_is_an_argument():
    assert verdict(history(), final(std_ratio=0.6), num_modes=0) == "converged"
    assert (
        verdict(history(), final(std_ratio=0.6), num_modes=0, thresholds=Thresholds(std_ratio=0.7)) == "mode_collapse"
    )


def test_limits_are_printed():
    text = str(Thresholds(0.011, 0.022, 0.033, 0.044, 0.055, 0.066))
    for limit in ("0.011", "0.022", "0.033", "0.044", "0.055", "6.6 %"):
        assert limit in text
    assert "\n" not in text


# --- the negative control -----------------------------------------------------------------------------------------

PAIRS = [(name, opponent) for name, entry in losses.DISCRIMINATOR.items() for opponent in entry.opponents]
# The constant output that the optimal discriminator gives at q = p; 0 for the others.
REST = {"least_squares": 0.5, "double_sigmoid": -50.0}
U = (np.arange(1000) + 0.5) / 1000
MODE = 0.4 * stats.norm.ppf(U)


@jax.jit
def measure(samples):
    target = TARGETS["bimodal"]
    modes = jax.tree.map(jnp.asarray, target.modes)

    def one(samples):
        reference = metrics.reference(target, len(U))
        values = metrics.curves(samples, target, reference) | {"tv": metrics.tv(samples, target, reference)}
        return values | {"modes_covered": jnp.sum(metrics.covered(metrics.mode_mass(samples, modes), modes))}

    return jax.vmap(one)(samples)


GENERATORS = {  # of `bimodal`, by exact quantiles, and what is wrong with each
    "right": (np.concatenate([2 + MODE[::2], 6 + MODE[::2]]), "converged"),
    "misses a mode": (2 + MODE, "mode_collapse"),
    "leaves a mode 5 %": (np.concatenate([2 + MODE[:950], 6 + MODE[::20]]), "mode_collapse"),
    "at one point": (np.full(1000, 4.0), "mode_collapse"),
    "shifted": (np.concatenate([2 + MODE[::2], 6 + MODE[::2]]) + 0.2, "false_equilibrium"),
    "too narrow": (np.concatenate([2 + MODE[::2] / 4, 6 + MODE[::2] / 4]), "false_equilibrium"),
    "wrong weights": (np.concatenate([2 + MODE[:700], 6 + MODE[:300]]), "false_equilibrium"),
    "uniform": (1 + 6 * U, "false_equilibrium"),
}


def constant_discriminator(loss_d, loss_g, num_generators):
    """The history of a discriminator with the same output everywhere, for any generator."""
    logits = jnp.full((256, 1), REST.get(loss_d, 0.0))
    values = {
        "loss_d": losses.DISCRIMINATOR[loss_d].loss(logits, logits),
        "loss_g": losses.GENERATOR[loss_g].loss(*[logits] * (1 + losses.GENERATOR[loss_g].paired)),
    }
    return {name: np.full((num_generators, 20), value) for name, value in values.items()}


@pytest.mark.parametrize(("loss_d", "loss_g"), PAIRS)
def test_a_constant_discriminator_shows_the_optimum_and_only_the_right_generator_converged(loss_d, loss_g):
    optimum = gan.loss_optimum(gan.Config(discriminator_loss=loss_d, generator_loss=loss_g))
    curves = constant_discriminator(loss_d, loss_g, len(GENERATORS))
    assert "loss_d" in optimum
    for name, value in optimum.items():
        np.testing.assert_allclose(curves[name], value, rtol=1e-6)  # a mean of 256 equal numbers
    numbers = jax.device_get(measure(np.stack([samples for samples, _ in GENERATORS.values()])[..., None]))
    names = classify(curves, numbers, optimum, num_modes=2)
    assert dict(zip(GENERATORS, names.tolist(), strict=True)) == {name: entry[1] for name, entry in GENERATORS.items()}


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (losses.log_loss_d, 2 * LOG_2),
        (losses.half_log_loss_d, LOG_2),
        (losses.non_saturating_loss_g, LOG_2),
        (losses.saturating_loss_g, -LOG_2),
    ],
)
def test_logits_of_zero_show_log_2_exactly(loss, value):
    with jax.enable_x64(True):
        zeros = [jnp.zeros((1, 1))] * (2 if "loss_d" in loss.__name__ else 1)
        assert loss(*zeros) == value


def test_without_modes_a_constant_discriminator_is_no_convergence_either():
    optimum = gan.loss_optimum(gan.Config())
    for std_ratio, w1_over_std, name in [(0.2, 0.7, "mode_collapse"), (0.9, 0.2, "false_equilibrium")]:
        curves = {loss: curve[0] for loss, curve in constant_discriminator("log", "non_saturating", 1).items()}
        assert verdict(curves, final(w1_over_std, std_ratio, np.nan), optimum, num_modes=0) == name


@pytest.mark.parametrize("name", metrics.METRICS)
def test_no_impossible_metric_leads_to_convergence(name):
    """NaN, ±∞ and values below the least, of every metric in turn, in runs that would be indistinguishable."""
    sound = dict.fromkeys(metrics.METRICS, 0.01) | final(ks_p=0.5) | {"mode_mass": np.array([0.5, 0.5])}
    assert verdict(history(), sound) == "indistinguishable"
    for value in (np.nan, np.inf, -np.inf, -1.0):
        broken = sound | {name: np.array([0.5, value]) if name == "mode_mass" else value}
        allowed = (value == np.inf and name in ("kl", "samples_to_tell")) or (
            value == -1 and name in ("kl", "kl_per_dim", "mean")
        )
        assert learned(verdict(history(), broken)) == allowed, value
