"""Names come from outside: whatever they hold, nothing fails, no terminal obeys them, and no file leaves its folder."""

import csv
import dataclasses
import inspect
import json
import types

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text

from jgen1d import TARGETS, grid, sweep
from jgen1d.core.names import distinct, file_name, in_picture, printable, shorten
from jgen1d.evaluation.disentanglement import Chart
from jgen1d.methods import gan
from jgen1d.plots import latents, runs, settings, style, sweeps, trajectories
from jgen1d.report import conclusions, figures
from jgen1d.report import workdir as files
from tests import scripts

NASTY = [
    "$loss$", "$", r"\$x$", "a_{b", r"\frac", r"$\frac{$", "x" * 300, "σ" * 300, "🙂👩\u200d💻", "a\nb", "a\r\nb\tc\0",
    "\x1b[31mred\x1b[0m", "\x9b31m", "evil\u202etxt.exe", "../..", "/etc/passwd", "..", ".hidden", "CON", "nul.txt",
    "<script>alert(1)</script>", "", " ", "-rf", "100%s%n{}", "_", "_hidden", "a,b;\"c\"", "=1+1", "~", "bad\udcff",
    "\ud83d", "名前", "Name", "name", "e\u0301",
]  # fmt: skip


def is_safe(text):
    """Whether a terminal shows all of it, and can encode it."""
    return all(line.isprintable() for line in text.split("\n")) and text.encode() is not None


def short(name):
    return repr(name)[:20]


# --- the helpers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NASTY, ids=short)
def test_a_shown_name_is_one_printable_line_of_the_length_that_was_asked_for(name):
    assert is_safe(printable(name))
    assert "\n" not in printable(name)
    for most in (10, 60, 61):
        assert len(printable(name, most)) <= most
    if name.isprintable():
        assert printable(name) == name
    assert shorten(name, 1_000) == name


def test_files_of_other_names_are_others_and_stay_where_they_are_put(tmp_path):
    found = [file_name(name) for name in NASTY]
    assert len(set(found)) == len({name.replace(" ", "_") for name in NASTY})
    for name in found:
        assert file_name(name) == name
        assert len(name.encode()) <= 100
        (tmp_path / f"{name}.png").write_text("")
        assert name[0] not in "-."
        assert name.partition(".")[0].lower() not in ("con", "nul")
    assert len(list(tmp_path.iterdir())) == len(set(found))


def test_repeated_names_are_told_apart_in_their_order():
    found = distinct([*NASTY, *NASTY])
    assert found[: len(NASTY) - 1] != NASTY  # "name" comes after "Name"
    assert len({name.casefold() for name in found}) == len(found) == 2 * len(NASTY)
    assert all(new.startswith(old) for new, old in zip(found, [*NASTY, *NASTY], strict=True))


# --- pictures -----------------------------------------------------------------------------------------------------

X, ROW = np.linspace(0.0, 1.0, 5), {"share": 0.5, "low": 0.4, "high": 0.7}
MAP = {"x": X, "learnt": X, "optimal": X, "u": X, "levels": X, "map": X, "density": X}
PATHS = (X, np.ones((5, 2)), np.ones((5, 2)))
FLAT = types.MappingProxyType({"target_mean": 0.0, "target_std": 1.0, "threshold": 0.05, "samples": X[:, None]})
PLOTS = {
    runs.run: lambda a, b: runs.run(title=a, steps=X, history={a: X, b: X}, optimum={a: 1.0, b: None}, **FLAT),
    runs.comparisons: lambda a, b: runs.comparisons(panels={a: {b: runs.Comparison(a, X, X, X)}}, title=b),
    settings.rates: lambda a, b: settings.rates(panels={a: {b: ROW}, b: {a: ROW}}, xlabel=b, title=a),
    settings.heat_maps: lambda a, b: settings.heat_maps(
        panels={a: np.eye(2)}, rows=[a, b], columns=[b, a], xlabel=a, ylabel=b, unit=a, title=b
    ),
    settings.over_axis: lambda a, b: settings.over_axis(
        panels={a: np.ones((5, 2))}, x=1 + X, xlabel=b, ylabel=a, title=b
    ),
    settings.maps: lambda a, b: settings.maps(panels={a: MAP}, xlabel=b, ylabel=a, title=b, labels=(a, b)),
    settings.scores: lambda a, b: settings.scores(panels={a: {b: X}, b: {a: X}}, xlabel=b, title=a),
    settings.lines: lambda a, b: settings.lines(x=X, curves={a: X, b: X}, xlabel=a, ylabel=b, title=a),
    settings.inverse_transform: lambda a, b: settings.inverse_transform(panels={a: MAP}, title=b),
    sweeps.verdict_shares: lambda a, b: sweeps.verdict_shares(
        labels=[a, b], counts={"converged": [1, 2]}, intervals={}, learned=[[0, 0], [1, 1]], title=a
    ),
    sweeps.loss_bands: lambda a, b: sweeps.loss_bands(steps=X, losses={a: {b: X}, b: {a: X}}, optimum={}, title=a),
    sweeps.distance_bands: lambda a, b: sweeps.distance_bands(
        steps=X, curves={a: {b: X, a: X}}, floor={a: 0.1}, threshold=0.05, title=b
    ),
    sweeps.mode_mass: lambda a, b: sweeps.mode_mass(panels={a: ([[0.5, 0.5]], [0.5, 0.5], [[0], [1]])}, title=b),
    latents.charts: lambda a, b: latents.charts(
        models={a: Chart(np.ones((2, 7, 3, 2)), np.ones((2, 5, 4)))}, ranges=np.eye(2), names=(a, b), title=b
    ),
    trajectories.trajectories: lambda a, b: trajectories.trajectories(
        forward=(X, np.ones((5, 3)), (0.1, 0.5, 0.9)), learnt={a: PATHS}, chains=np.ones((3, 2)), step_size=1, title=b
    ),
    trajectories.animate: lambda a, b: trajectories.animate(learnt={a: PATHS}, density=None, title=b, num_frames=2),
}
"""Each function that draws -> how it is called with two names wherever it takes a text."""


def test_every_function_that_draws_is_in_the_table():
    """So that the next one is tested, too."""
    found = {
        function
        for module in (latents, runs, settings, sweeps, trajectories)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert found == PLOTS.keys()


@pytest.mark.filterwarnings("ignore:Glyph")  # DejaVu Sans has no emoji; a box is drawn in its place
@pytest.mark.parametrize("draw", PLOTS, ids=lambda function: function.__name__)
def test_any_name_is_drawn_as_it_is(draw):
    drawn = {}
    for a, b in zip(NASTY, [*NASTY[1:], NASTY[0]], strict=True):
        with mpl.rc_context({"figure.dpi": 20}):
            figure = PLOTS[draw](a, b)
        if isinstance(figure, bytes):
            assert figure.startswith(b"GIF")
            continue
        for text in figure.findobj(Text):
            shown, is_formula = text._preprocess_math(text.get_text())
            assert not is_formula or "mathdefault" in shown  # as the axes' own numbers are written
            assert is_safe(shown), (shown, a, b)
            drawn[shown.strip()] = None
        figure.set_layout_engine("none")
        figure.draw_without_rendering()
    if drawn:
        everything = " ".join(drawn)
        for name in ("$loss$", r"\frac", "<script>alert(1)</script>", "100%s%n{}", r"\x1b[31mred\x1b[0m", "=1+1"):
            assert name in everything or name.capitalize() in everything, name


def test_a_legend_names_what_starts_with_an_underscore():
    figure = settings.lines(x=X, curves={"_hidden": X}, xlabel="", ylabel="", title="")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [in_picture("_hidden")]


# --- tables and files ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done():
    configs = grid(gan.Config(widths_g=(4,), widths_d=(4,)), learning_rate_d=[0.001, 0.01])
    return sweep(gan.METHOD, [TARGETS["normal"]] * 2, configs, seeds=range(2), num_steps=4, num_samples=100)


def renamed(done, *names):
    """The sweep with these names of its targets."""
    pairs = zip(done.targets, names, strict=True)
    return dataclasses.replace(done, targets=tuple(dataclasses.replace(t, name=name) for t, name in pairs))


@pytest.mark.parametrize("name", NASTY, ids=short)
def test_results_of_any_name_are_printed_written_and_read(done, name, tmp_path):
    named = renamed(done, name, "other")
    presets = [name, "preset"]
    found = named.table(presets)
    assert is_safe(str(found))
    assert len(str(found).split("\n")) == 2 + len(found)
    assert is_safe(found.to_csv())
    rows = list(csv.DictReader(found.to_csv().splitlines()))
    assert [(row["target"], row["preset"]) for row in rows[:2]] == [
        (printable(name), p) for p in map(printable, presets)
    ]
    sentences = conclusions.of_sweep(found)
    report = found.to_json(conclusions=sentences)
    assert is_safe(report)
    assert json.loads(report)["rows"][0]["target"] == name
    folder = tmp_path / "in" / "run"
    files.save(folder, named, presets, {"column": name})
    saved = files.load(folder)
    assert saved.summary["rows"][0]["target"] == saved.config["flags"]["column"] == name
    assert str(saved.runs[0]["target"] or "") == printable(name)
    assert len(saved.runs) == 8
    for file in figures.of_sweep(named, presets):
        (folder / f"{file}.png").write_text("")
    assert len(list(folder.iterdir())) == 4 + len(figures.of_sweep(named, presets))
    assert [path.name for path in tmp_path.rglob("*") if folder not in path.parents] == ["in", "run"]


def test_targets_of_one_name_have_a_picture_each(done):
    twins = renamed(done, "twin", "twin")
    drawn = figures.of_sweep(twins, ["slow", "fast"])
    assert sum(name.startswith("run_") for name in drawn) == 4
    distances = drawn["distance"]()
    assert len(distances.axes) == 2
    assert len(drawn["losses"]().axes) == 4


def test_a_column_of_any_name_is_a_run_with_all_its_pictures(tmp_path):
    """The whole script, on what ended after the training in a traceback of matplotlib's, or of the file system's."""
    name = "$loss$ \x1b[31m\u202e../../" + "x" * 300
    path = tmp_path / "data.csv"
    path.write_text(f'"{name}"\n' + "".join(f"{value}\n" for value in np.arange(20) / 7), "utf-8")
    flags = ("--num_seeds=2", "--num_steps=4", "--widths_g=6", "--widths_d=6", "--preset=textbook")
    done = scripts.run(f"--data={path}", *flags, f"--workdir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert is_safe(done.stdout)
    assert "missing" not in done.stderr
    assert "Warning" not in done.stderr
    assert sum(file.suffix == ".png" for file in (tmp_path / "run").iterdir()) == 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.csv", "run"]


def test_a_picture_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "one.png"
    style.save(settings.lines(x=X, curves={"a": X}, xlabel="", ylabel="", title=""), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["one.png"]
