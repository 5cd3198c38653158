"""What objects show of themselves: a few lines, a notebook's table and picture, figures, and rows for a data frame."""

import dataclasses
import html.parser
import io
import re
import signal
import types
import warnings
from base64 import b64decode

import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars
import pytest
from matplotlib.figure import Figure
from PIL import Image

import jgen1d
from jgen1d import targets
from jgen1d.core import replace
from jgen1d.engine import blocks
from jgen1d.methods import METHODS, diffusion, gan, gaussian
from jgen1d.plots import runs as run_plots
from tests import toys

HOSTILE = "<script>alert('$x$')</script>\x1b[31m\n"


def swept(num_seeds=3, **options):
    configs = jgen1d.grid(toys.Config(widths=(4,)), decay=[None, 0.1])
    chosen = [jgen1d.TARGETS["bimodal"], targets.empirical([1.0, 2, 4], name=HOSTILE)]
    return jgen1d.sweep(toys.METHOD, chosen, configs, range(num_seeds), num_steps=4, num_samples=100, **options)


@pytest.fixture(scope="module")
def sweep():
    return swept()


@pytest.fixture(scope="module")
def wide(sweep):
    """A sweep of 30 configs."""
    taken = {name: values.repeat(15, axis=1) for name, values in sweep.metrics.items()}
    history = {name: values.repeat(15, axis=1) for name, values in sweep.history.items()}
    configs = tuple(replace(config, decay=0.01 * i) for i, config in enumerate(sweep.configs * 15))
    at = {"verdict": sweep.verdict.repeat(15, axis=1), "diverged_at": sweep.diverged_at.repeat(15, axis=1)}
    return dataclasses.replace(sweep, configs=configs, metrics=taken, history=history, **at)


# --- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_config_shows_what_differs_and_its_text_makes_it_again(name):
    module, presets = __import__(f"jgen1d.methods.{name}", fromlist=["METHOD"]), METHODS[name].presets()
    assert repr(module.Config()) == f"{name}.Config()"
    for config in [*presets.values(), METHODS[name].bind(module.Config(), 2, 70)]:
        assert eval(repr(config), {name: module}) == config


def test_a_config_shows_no_defaults():
    assert repr(gan.Config(r1=0.1, widths_g=[8, 8])) == "gan.Config(widths_g=(8, 8), r1=0.1)"
    assert repr(gan.Config(r1=jnp.float32(0.1), beta1_g=np.float64(0.25))) == "gan.Config(beta1_g=0.25, r1=0.1)"
    assert repr(diffusion.Config(activation=jnp.tanh)).startswith("diffusion.Config(activation=jax.")
    assert "optax._src.alias.sgd" in repr(gan.Config(optimizer=optax.sgd))


def test_a_config_of_what_is_traced_stacked_or_gone_shows_it():
    shown = []

    @jax.jit
    def traced(r1):
        shown.append(repr(gan.Config(r1=r1)))
        return r1

    traced(0.5)
    jax.vmap(traced)(jnp.ones(3))
    stacked = repr(gan.Config(r1=jnp.ones(3)))
    assert [*shown, stacked] == ["gan.Config(r1=float32[])"] * 2 + ["gan.Config(r1=float32[3])"]
    gone = jnp.float32(0.5)
    gone.delete()
    assert repr(gan.Config(r1=gone)) == "gan.Config(r1=float32[])"
    assert "r1=builtins.object" in repr(jax.tree.map(lambda leaf: object(), gan.Config(r1=0.5)))


def test_a_target_is_one_line():
    assert repr(jgen1d.TARGETS["bimodal"]) == "<Target 'bimodal', 1-D: mean 4, std 2.04, 2 modes>"
    assert repr(jgen1d.TARGETS["ring"]) == "<Target 'ring', 2-D: mean (0, 0), std (0.707, 0.707), 8 modes>"
    own = targets.empirical([0.0, 1, 2, 4], support=(0, np.inf), atom=0.0, name="a\x1b[31m")
    assert repr(own) == r"<Target 'a\x1b[31m', 1-D: mean 2.33, std 1.25, a finite sample, 25 % are 0>"
    assert "steps of 0.5" in repr(targets.empirical([1.0, 2, 4], step=0.5))
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), jgen1d.TARGETS["bimodal"])
    shown = []
    jax.vmap(lambda target: shown.append(repr(target)) or target.mean)(stacked)
    assert shown == ["<Target 'bimodal', 1-D: mean float32[1], std float32[1], 2 modes>"]
    assert "mean float32[2,1]" in repr(stacked)


def test_a_sweep_is_a_few_lines_with_rates_that_count_its_verdicts(sweep):
    lines = repr(sweep).splitlines()
    assert lines[0] == "<Sweep of tests.toys: 2 targets × 2 configs × 3 seeds, 4 steps each"
    assert len(lines) <= 6
    assert all(line.isprintable() for line in lines)
    counts = {verdict: int(count) for count, verdict in re.findall(r"(\d+) (\w+)", lines[3])}
    assert counts == dict(zip(*np.unique(sweep.verdict, return_counts=True), strict=True))
    num_learned = sum(counts.get(verdict, 0) for verdict in ("indistinguishable", "converged"))
    assert lines[2].startswith(f"  learned: {100 * num_learned / 12:.0f}% [")
    assert lines[2].endswith("] of 12 runs")
    assert f"W1/σ {np.median(sweep.metrics['w1_over_std']):.3f}"[:8] in lines[4]


def test_a_result_is_a_few_lines_with_its_figures(sweep):
    result = sweep.result(0, 1, 2)
    lines = repr(result).splitlines()
    assert lines[0] == f"<Result of tests.toys on 'bimodal' after 4 steps: {result.verdict}"
    assert lines[1].strip() == "toys.Config(widths=(4,), decay=0.1)"
    assert f"W1/σ {result.metrics['w1_over_std']:.3g}," in lines[2]
    assert len(lines) <= 6
    assert "diverged at step 3" in repr(dataclasses.replace(result, verdict="diverged", diverged_at=3))
    assert all(line.isprintable() for line in repr(sweep.result(1, 0, 0)).splitlines())


# --- notebooks ------------------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """The tags, the texts and the images of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            data = dict(attrs)["src"].removeprefix("data:image/png;base64,")
            self.images.append(Image.open(io.BytesIO(b64decode(data, validate=True))))

    def handle_data(self, data):
        self.texts.append(data)


def test_a_notebook_shows_a_sweep_as_its_table_and_a_picture(sweep):
    text = sweep._repr_html_()
    page, table = Page(text), sweep.table()
    assert page.tags.count("tr") == 1 + len(table)
    assert "script" not in page.tags
    assert "\x1b" not in text
    assert any(shown.startswith("<script>alert('$x$')</script>") for shown in page.texts)  # as text
    assert "not_converged" in page.texts or "mode_collapse" in page.texts
    assert 300 < page.images[0].width < 1_000
    assert len(text) < 60_000


def test_a_notebook_shows_a_result_as_a_row_and_a_picture(sweep):
    for result in (sweep.result(0, 0, 0), sweep.result(1, 1, 1)):
        text = result._repr_html_()
        page = Page(text)
        assert page.tags.count("tr") == 2
        assert {"td", "img"} <= set(page.tags)
        assert "script" not in page.tags
        assert result.verdict in page.texts
        assert f"{result.metrics['tv']:.3g}" in page.texts
        assert page.images[0].width > 300
        assert len(text) < 60_000


def test_a_notebook_shows_the_first_rows_of_many(wide):
    text = wide._repr_html_()
    page = Page(text)
    assert page.tags.count("tr") == 11
    assert any("the first 10 of 60 rows" in shown for shown in page.texts)
    assert max(page.images[0].size) <= 760
    assert len(text) < 80_000


def test_without_a_picture_there_is_still_the_table(sweep, monkeypatch):
    def broken(**parts):
        raise RuntimeError("no <font>")

    monkeypatch.setattr("jgen1d.plots.sweeps.verdict_shares", broken)
    monkeypatch.setattr(run_plots, "comparisons", broken)
    for thing in (sweep, sweep.result(0, 0, 0)):
        page = Page(thing._repr_html_())
        assert "tr" in page.tags
        assert not page.images
        assert "no picture: RuntimeError: no <font>" in page.texts


# --- figures and rows -----------------------------------------------------------------------------------------------


def test_plots_are_the_figures_that_scripts_write(sweep):
    figures = sweep.plot()
    assert [*figures][:3] == ["verdicts", "distance", "modes"]
    assert len([name for name in figures if name.startswith("run_bimodal")]) == 2
    assert all(isinstance(figure, Figure) for figure in figures.values())
    assert "run_bimodal_b" in sweep.plot(["a", "b"])
    figure = sweep.result(0, 0, 0).plot()
    assert figure.get_suptitle().startswith("bimodal, tests.toys: ")
    shown = Image.open(io.BytesIO(figure._repr_png_()))  # what a notebook shows without pyplot
    assert shown.width == pytest.approx(65 * figure.get_figwidth(), abs=1)


def test_rows_make_a_data_frame(sweep):
    rows = sweep.rows()
    frame = polars.DataFrame(rows)
    assert frame.shape == (12, len(rows[0]))
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert all(type(value) in (str, int, float, types.NoneType) for row in rows for value in row.values())
    w1 = frame.filter(target="bimodal", decay=0.1, seed=2)["w1"].item()
    assert w1 == sweep.metrics["w1"][0, 1, 2]
    assert np.isnan(frame.filter(target=HOSTILE)["kl"].to_numpy()).all()
    assert set(frame["verdict"]) == set(sweep.verdict.ravel())
    assert sweep.rows(["a", "b"])[3]["preset"] == "b"


# --- progress and interruption --------------------------------------------------------------------------------------


def test_progress_in_a_notebook_is_one_line_without_widgets(monkeypatch, capsys):
    """Rich takes a process for a notebook's if `get_ipython` says so."""
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setattr("builtins.get_ipython", shell, raising=False)
    monkeypatch.setenv("TERM", "xterm-color")  # as ipykernel sets it
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jgen1d.sweep(gaussian, "normal", gaussian.Config(), range(3), 2, num_samples=100, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3 runs" in err
    assert err.count("\r") > 1  # written over, not only at the end
    assert err.count("\n") == 1


def test_ctrl_c_leaves_the_process_usable(sweep, monkeypatch, capsys):
    # As in a terminal: where the tests are a background job, Ctrl-C is ignored, as it should be there.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    original, interrupted = blocks.run_block, []

    def run_block(spec, group, lanes, keys, devices, start, advanced, at_point):
        def press(num_steps):
            advanced(num_steps)
            if not interrupted:
                interrupted.append(True)
                signal.raise_signal(signal.SIGINT)

        return original(spec, group, lanes, keys, devices, start, press, at_point)

    monkeypatch.setattr(blocks, "run_block", run_block)
    try:
        with pytest.raises(KeyboardInterrupt):
            swept(progress=True)
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outside)
    assert interrupted
    again = swept(progress=True)
    assert "12/12 runs" in capsys.readouterr().err
    for name, values in sweep.metrics.items():
        np.testing.assert_array_equal(again.metrics[name], values)
