import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jgen1d.plots import runs, style, sweeps

pytestmark = pytest.mark.filterwarnings("error")

LOG2 = float(np.log(2))
OPTIMUM = {"loss_g": LOG2, "loss_d": 2 * LOG2}
STEPS = np.arange(1, 21) * 500
X = np.linspace(0, 8, 200)


def bimodal(x):
    return sum(np.exp(-0.5 * ((x - center) / 0.4) ** 2) for center in (2, 6)) / (0.8 * np.sqrt(2 * np.pi))


def history(num_evals=20, seed=0):
    rng = np.random.default_rng(seed)
    levels = {"loss_g": LOG2, "loss_d": 2 * LOG2, "d_real": 0.5, "d_fake": 0.5, "mean": 4.0, "std": 2.0}
    curves = {name: level + 0.05 * rng.normal(size=num_evals) for name, level in levels.items()}
    return curves | {"w1_over_std": np.exp(rng.normal(-3, 1, size=num_evals))}


def full_run(**changes):
    z = np.linspace(-3, 3, 50)
    arguments = {
        "title": "gan on bimodal",
        "steps": STEPS,
        "history": history(),
        "optimum": OPTIMUM,
        "samples": np.random.default_rng(1).normal(2, 0.4, size=(500, 1)),
        "density": (X, bimodal(X)),
        "target_mean": 4.0,
        "target_std": 2.04,
        "discriminator": {"x": X, "learnt": np.full_like(X, 0.4), "optimal": np.full_like(X, 0.6)},
        "generator": {"z": z, "learnt": 2 * z, "optimal": 3 * z},
        "threshold": 0.05,
    }
    return runs.run(**arguments | changes)


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return found


def dashed(ax):
    """The heights of the horizontal dashed lines."""
    flat = [line for line in ax.lines if line.get_linestyle() == "--" and np.ptp(line.get_ydata()) == 0]
    return sorted(float(line.get_ydata()[0]) for line in flat)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_run_shows_the_curves_that_it_was_given():
    samples, losses, outputs, moments, distance, discriminator, generator = full_run().axes
    curves = history()
    drawn = {(losses, "generator"): "loss_g", (losses, "discriminator"): "loss_d", (moments, "mean"): "mean"}
    drawn |= {(outputs, "real x"): "d_real", (outputs, "generated x"): "d_fake", (moments, "std"): "std"}
    for (ax, label), name in drawn.items():
        np.testing.assert_array_equal(line(ax, label).get_xdata(), STEPS)
        np.testing.assert_array_equal(line(ax, label).get_ydata(), curves[name])
    np.testing.assert_array_equal(distance.lines[0].get_ydata(), curves["w1_over_std"])
    np.testing.assert_array_equal(line(samples, "exact density").get_ydata(), bimodal(X))
    assert (line(discriminator, "learnt D").get_ydata() == 0.4).all()
    assert (line(discriminator, "optimal D*").get_ydata() == 0.6).all()
    np.testing.assert_allclose(line(generator, "optimal G*").get_ydata(), 3 * np.linspace(-3, 3, 50))
    assert distance.get_yscale() == "log"


def test_run_marks_the_exact_values_at_their_heights():
    _, losses, outputs, moments, distance, *_ = full_run().axes
    assert dashed(losses) == pytest.approx([LOG2, 2 * LOG2], abs=1e-6)
    assert sorted(texts(losses)) == ["2·log 2", "log 2"]
    assert (dashed(outputs), texts(outputs)) == ([0.5], ["½"])
    assert dashed(moments) == pytest.approx([2.04, 4.0])
    assert (dashed(distance), texts(distance)) == ([0.05], ["0.05"])


@pytest.mark.parametrize(
    ("optimum", "named"),
    [
        ({"loss_g": LOG2, "loss_d": LOG2}, ["log 2"]),
        ({"loss_g": -LOG2, "loss_d": 2 * LOG2}, ["2·log 2", "−log 2"]),
        ({"loss_g": 0.25, "loss_d": -0.125}, ["0.25", "−0.125"]),
        ({"loss_g": None, "loss_d": None}, []),
    ],
)
def test_run_names_the_optimum(optimum, named):
    losses = full_run(optimum=optimum).axes[1]
    assert sorted(texts(losses)) == named
    assert ("optimum" in losses.get_title(loc="left")) == bool(named)


def test_each_optimum_has_the_colour_of_its_loss_and_a_shared_one_is_grey():
    losses = full_run().axes[1]
    colors = {text.get_text(): text.get_color() for text in losses.texts}
    assert colors == {
        "log 2": line(losses, "generator").get_color(),
        "2·log 2": line(losses, "discriminator").get_color(),
    }
    shared = full_run(optimum={"loss_g": LOG2, "loss_d": LOG2}).axes[1]
    assert [text.get_color() for text in shared.texts] == [style.REAL]


def test_run_has_a_panel_only_for_what_is_there():
    assert len(full_run().axes) == 7
    assert len(full_run(generator=None).axes) == 6
    assert len(full_run(generator=None, discriminator=None).axes) == 5
    losses_only = {name: history()[name] for name in OPTIMUM}
    assert len(full_run(generator=None, discriminator=None, history=losses_only).axes) == 2
    assert len(full_run(generator=None, discriminator=None, history={}, optimum={}).axes) == 1
    without = full_run(discriminator={"x": X, "learnt": X / 8, "optimal": None}).axes[5]
    assert [line.get_label() for line in without.lines] == ["learnt D"]


def test_histogram_is_a_density_of_the_finite_samples_and_says_what_it_leaves_out():
    samples = np.random.default_rng(2).uniform(1, 7, size=(1000, 1))
    samples[:3], samples[3:5], samples[5:55] = np.nan, np.inf, 1e6
    ax = full_run(samples=samples).axes[0]
    values, edges, _ = ax.patches[0].get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(945 / 995)
    assert "5 of 1,000 samples not finite" in ax.get_title(loc="left")
    assert "5 % outside this range" in ax.get_title(loc="left")
    assert ax.get_xlim()[1] < 10


def test_collapsed_samples_do_not_flatten_the_density():
    ax = full_run(samples=np.full((1000, 1), 6.01)).axes[0]
    assert ax.get_ylim()[1] == pytest.approx(4 * bimodal(X).max())
    assert "beyond this axis" in ax.get_title(loc="left")


def test_what_is_misplaced_is_the_excess_over_the_density():
    """All of the samples in one of two equal modes: half of them are misplaced."""
    ax = full_run(samples=np.random.default_rng(1).normal(2, 0.4, size=(20_000, 1))).axes[0]
    (excess,) = [patch for patch in ax.patches if patch.get_label() == "misplaced"]
    values, edges, baseline = excess.get_data()
    assert np.sum((values - baseline) * np.diff(edges)) == pytest.approx(0.5, abs=0.02)


def test_the_difference_of_distribution_functions_replaces_the_moments():
    difference = np.array([0.0, -0.06, 0.02, np.nan])
    figure = full_run(gap=([1.0, 2.0, 3.0, np.inf], difference, 0.04, 0.05))
    headings = [ax.get_title(loc="left") for ax in figure.axes]
    assert headings[1].startswith("Distribution function")
    assert not any(heading.startswith("Moments") for heading in headings)
    ax = figure.axes[1]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), difference)
    assert ax.get_ylim() == pytest.approx((-1.15 * 0.06, 1.15 * 0.06))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["accepted by a Kolmogorov–Smirnov test at 5 %"]


def test_data_are_drawn_as_a_histogram_over_the_generated_one():
    data = np.random.default_rng(3).exponential(2, size=300)
    ax = full_run(density=None, data=data).axes[0]
    values, edges, _ = ax.patches[1].get_data()
    expected = np.histogram(data, edges)[0] / 300 / np.diff(edges)
    np.testing.assert_allclose(values, expected)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["generated", "real"]


def test_samples_in_two_dimensions_are_scattered():
    rng = np.random.default_rng(4)
    data, samples = rng.normal(size=(200, 2)), rng.normal(size=(100, 2))
    samples[0, 1] = np.nan
    both = {"mean": np.zeros((20, 2)), "std": np.ones((20, 2))}
    figure = full_run(
        samples=samples,
        data=data,
        density=None,
        discriminator=None,
        generator=None,
        history=history() | both,
        target_mean=[0.0, 0.0],
        target_std=[1.0, 1.0],
    )
    ax = figure.axes[0]
    np.testing.assert_array_equal(line(ax, "real").get_xydata(), data)
    np.testing.assert_array_equal(line(ax, "generated").get_xydata(), samples[1:])
    assert ax.get_aspect() == 1
    assert "1 of 100 samples not finite" in ax.get_title(loc="left")
    assert dashed(figure.axes[3]) == [0.0, 1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_run_is_drawn_up_to_where_it_was_finite(value, tmp_path):
    curves = history()
    for curve in curves.values():
        curve[10:] = value
    figure = full_run(history=curves, samples=np.full((50, 1), value))
    drawn = line(figure.axes[1], "generator").get_ydata()
    np.testing.assert_array_equal(np.isfinite(drawn), np.arange(20) < 10)
    style.save(figure, tmp_path / "diverged.png")
    nothing = {name: np.full(20, value) for name in curves}
    gap = (np.full(50, value), np.full(50, value), 0.1, 0.01)
    empty = full_run(history=nothing, samples=np.full((50, 1), value), density=None, gap=gap)
    style.save(empty, tmp_path / "nothing.png")


def test_a_spike_leaves_the_optimum_readable():
    curves = history()
    curves["loss_g"][7] = 1e6
    losses = full_run(history=curves).axes[1]
    assert losses.get_ylim()[1] < 10
    assert "reaches 1e+06" in losses.get_title(loc="left")


def verdicts(labels, counts):
    total = np.sum(list(counts.values()), axis=0)
    intervals = {
        name: (np.asarray(count) / total * 0.5, 0.5 + np.asarray(count) / total * 0.5) for name, count in counts.items()
    }
    learned = np.add(*(np.asarray(counts.get(name, 0)) for name in ("indistinguishable", "converged"))) / total
    ends = (0.5 * learned, 0.5 + 0.5 * learned)
    return sweeps.verdict_shares(labels=labels, counts=counts, intervals=intervals, learned=ends, title="verdicts")


def test_verdict_shares_are_stacked_in_one_order_and_colour():
    counts = {"diverged": [1, 0], "indistinguishable": [1, 0], "converged": [2, 0], "mode_collapse": [4, 64]}
    (ax,) = verdicts(["bimodal", "mixture"], counts).axes
    widths = np.reshape([bar.get_width() for bar in ax.patches], (7, 2))
    np.testing.assert_allclose(widths.T, [[1 / 8, 2 / 8, 0, 4 / 8, 0, 0, 1 / 8], [0, 0, 0, 1, 0, 0, 0]])
    np.testing.assert_allclose([bar.get_x() for bar in ax.patches[::2]], [0, 1 / 8, 3 / 8, 3 / 8, 7 / 8, 7 / 8, 7 / 8])
    order = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert order == list(style.VERDICT_COLORS)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["bimodal\nn = 8", "mixture\nn = 64"]
    assert "25 %\n12–62" in texts(ax)
    (whiskers,) = ax.collections
    np.testing.assert_allclose([segment[:, 0] for segment in whiskers.get_segments()], [[3 / 16, 11 / 16], [0, 0.5]])


def test_verdict_shares_of_one_row_none_and_an_unknown_verdict():
    assert len(verdicts(["one"], {"converged": [1]}).axes) == 1
    empty = sweeps.verdict_shares(
        labels=["no runs"], counts={"converged": [0]}, intervals={}, learned=([0], [1]), title=""
    )
    assert all(bar.get_width() == 0 for bar in empty.axes[0].patches)
    with pytest.raises(ValueError, match=r"unknown verdicts \['won'\]; allowed are \['indistinguishable', 'converged'"):
        sweeps.verdict_shares(labels=["one"], counts={"won": [1]}, intervals={}, learned=([0], [1]), title="")


def lanes(num_seeds, num_evals=20):
    histories = [history(num_evals, seed) for seed in range(num_seeds)]
    return {name: np.array([one[name] for one in histories]) for name in histories[0]}


def test_loss_bands_are_percentiles_over_the_finite_seeds():
    losses = {name: lanes(64)[name] for name in OPTIMUM}
    losses["loss_g"][:4, 10:], losses["loss_d"][:4, 15:] = np.nan, np.inf
    labels = [f"target {i}" for i in range(10)]
    optimum = dict.fromkeys(labels[:5], OPTIMUM)
    figure = sweeps.loss_bands(steps=STEPS, losses=dict.fromkeys(labels, losses), optimum=optimum, title="losses")
    assert len(figure.axes) == 10
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    first, last = figure.axes[0], figure.axes[-1]
    np.testing.assert_allclose(first.lines[0].get_ydata(), np.nanmedian(losses["loss_g"], axis=0))
    band = first.collections[0].get_paths()[0].vertices
    for step in (STEPS[2], STEPS[12]):
        column = losses["loss_g"][:, step == STEPS]
        heights = band[band[:, 0] == step, 1]
        np.testing.assert_allclose([heights.min(), heights.max()], np.nanpercentile(column, (5, 95)))
    assert dashed(first) == pytest.approx([LOG2, 2 * LOG2], abs=1e-6)
    assert dashed(last) == []
    assert "4 of 64 runs not finite" in first.get_title(loc="left")


def test_one_panel_that_diverges_does_not_flatten_the_others():
    losses = {f"target {i}": {name: lanes(16)[name] for name in OPTIMUM} for i in range(4)}
    losses["target 3"]["loss_g"][:4, 12:] *= 1e5
    figure = sweeps.loss_bands(steps=STEPS, losses=losses, optimum=dict.fromkeys(losses, OPTIMUM), title="")
    assert figure.axes[0].get_ylim()[1] < 10
    assert ["beyond this axis" in ax.get_title(loc="left") for ax in figure.axes] == [False, False, False, True]


def test_distance_bands_show_floor_and_threshold_on_one_logarithmic_axis():
    curves = {"bimodal": {"textbook": lanes(64)["w1_over_std"], "regularised": 0.1 * lanes(8)["w1_over_std"]}}
    curves["ring"] = {"regularised": lanes(1)["w1_over_std"]}
    curves["bimodal"]["textbook"][:2, 5:] = np.nan
    floor = {"bimodal": 0.0004}
    figure = sweeps.distance_bands(steps=STEPS, curves=curves, floor=floor, threshold=0.07, title="distance")
    first, second = figure.axes
    assert (dashed(first), dashed(second)) == ([0.07], [0.07])
    dotted = [line.get_ydata()[0] for line in first.lines if line.get_linestyle() == ":"]
    assert dotted == [0.0004]
    assert first.get_ylim()[0] < 0.0004
    assert (first.get_yscale(), first.get_ylim()) == ("log", second.get_ylim())
    assert "2 of 72 runs not finite" in first.get_title(loc="left")
    regularised = [line.get_color() for ax in figure.axes for line in ax.lines if line.get_linestyle() == "-"]
    assert regularised == [style.PALETTE[0], style.PALETTE[1], style.PALETTE[1]]


def test_mode_mass_draws_every_finite_seed_and_tells_the_covered_from_the_missed():
    mass = np.array([[0.5, 0.5], [0.95, 0.05], [np.nan, np.nan]])
    grid = np.random.default_rng(5).dirichlet(np.full(25, 5.0), size=64)
    centers = [[x, y] for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    panels = {"bimodal": (mass, [0.5, 0.5], [[2.0], [6.0]]), "grid": (grid, np.full(25, 0.04), centers)}
    figure = sweeps.mode_mass(panels=panels, title="modes")
    first, second = figure.axes
    covered, missed = first.lines
    assert sorted(covered.get_ydata()) == [0.5, 0.5, 0.95]
    assert list(missed.get_ydata()) == [0.05]
    np.testing.assert_allclose(np.abs(missed.get_xdata() - 1), 0, atol=0.3)
    expected, least = ([segment[0, 1] for segment in lines.get_segments()] for lines in first.collections)
    assert (expected, least) == ([0.5, 0.5], [0.1, 0.1])
    assert [label.get_text() for label in first.get_xticklabels()] == ["2", "6"]
    assert second.get_xticklabels()[1].get_text() == "−4, −2"
    assert "1 of 3 runs not finite" in first.get_title(loc="left")
    assert len(second.lines[0].get_ydata()) + len(second.lines[1].get_ydata()) == 64 * 25


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_one_evaluation_and_few_seeds(num_seeds, tmp_path):
    one = lanes(num_seeds, num_evals=1)
    losses = {"bimodal": {name: one[name] for name in OPTIMUM}}
    figures = [
        sweeps.loss_bands(steps=[5000], losses=losses, optimum={}, title=""),
        sweeps.distance_bands(
            steps=[5000], curves={"bimodal": {"textbook": one["w1_over_std"]}}, floor={}, threshold=0.05, title=""
        ),
        full_run(steps=[5000], history=history(1)),
    ]
    for figure in figures:
        style.save(figure, tmp_path / "one.png")
    assert figures[0].axes[0].lines[0].get_ydata() == pytest.approx(np.median(one["loss_g"]))


def test_inputs_are_left_as_they_were():
    curves, samples = history(), np.full((10, 1), np.inf)
    curves["loss_g"][3] = np.inf
    full_run(history=curves, samples=samples)
    assert np.isinf(curves["loss_g"][3])
    assert np.isinf(samples).all()


def test_save_writes_a_png_and_nothing_is_cut_off(tmp_path):
    figure = full_run(title="a long title " * 20)
    path = tmp_path / "run.png"
    style.save(figure, path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = figure.bbox.size
    for ax in figure.axes:
        box = ax.get_tightbbox()
        assert -1 <= box.x0 < box.x1 <= width + 1
        assert -1 <= box.y0 < box.y1 <= height + 1


def test_threads_do_not_meet(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda i: style.save(full_run(), tmp_path / f"{i}.png"), range(2)))
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


def test_pyplot_is_not_imported():
    code = "import sys, jgen1d.plots.runs, jgen1d.plots.sweeps; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error::ImportWarning", "-c", code], check=False).returncode == 0
