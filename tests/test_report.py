"""Reports: their numbers against the results, their HTML by a strict parser, and nasty names and damage."""

import dataclasses
import html.parser
import itertools
import json
import re
import shutil
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d import TARGETS, cli
from jgen1d.cli import compare, output
from jgen1d.report import __main__ as command
from jgen1d.report import conclusions, drawn, gathered, page, pairs, stats, svg, thinned
from jgen1d.report.page import of_workdir
from jgen1d.report.pair_page import of_pair
from jgen1d.report.table import Table
from tests import toys
from tests.damage import DAMAGES, within
from tests.test_names import NASTY, short

PRESETS = ["slow", "fast"]
FILES = ("config.json", "summary.json", "runs.csv", "curves.npz", "report.json")
VOID = {"meta", "link", "img", "br", "hr", "input"}
ALLOWED = VOID | {
    "html", "head", "title", "style", "body", "main", "section", "div", "p", "h1", "h2", "h3", "ul", "li", "dl", "dt",
    "dd", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "g", "rect", "path", "text",
    "strong", "span", "i", "a", "pre", "details", "summary", "script",
}  # fmt: skip


def train(targets=("normal", "uniform"), num_configs=2, num_seeds=4, num_steps=30, dim=1):
    configs = [toys.Config(dim=dim, learning_rate=0.01 * 1.1**c) for c in range(num_configs)]
    return jgen1d.sweep(
        toys.METHOD, [TARGETS[name] for name in targets], configs, range(num_seeds), num_steps, batch_size=16,
        num_samples=100,
    )  # fmt: skip


def write(workdir, done, monkeypatch, presets=PRESETS, figures=None, sweep=True, models=(), **values):
    values = {"format": "text", "explain": False, "open": False, "table": None} | values
    found = {name: types.SimpleNamespace(value=value) for name, value in values.items()}
    monkeypatch.setattr(output, "flags", types.SimpleNamespace(FLAGS=found))
    monkeypatch.setattr(output, "flag_values", lambda: {"targets": ["normal"], "column": None})
    table = done.table(presets)
    options = {"sweep": done, "presets": presets} if sweep else {"models": models}
    cli.answer(workdir, table, conclusions.of_sweep(table), figures or {}, **options)


@pytest.fixture(scope="module")
def done():
    return train()


@pytest.fixture(scope="module")
def workdir(done, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["experiments/some script.py", "--num_seeds=4"])
        write(path, done, patch)
    return path


@pytest.fixture
def copy(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "copy")
    return tmp_path / "copy"


class Strict(html.parser.HTMLParser):
    """Raises for what is not closed in order, is not known, or is there twice; keeps all texts and elements."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert tag in ALLOWED, tag
        assert len(names) == len(set(names)), attrs
        assert not any(name.startswith("on") or name == "style" for name in names), attrs
        self.ids += [value for name, value in attrs if name == "id"]
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        assert self.open.pop() == tag
        assert "svg" in self.open

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attrs for name, attrs, _ in self.elements if name == tag]

    def text(self, tag):
        return [text for name, text in self.texts if name == tag]

    @property
    def data(self):
        return json.loads(
            next(text for text in self.text("script") if text.startswith("{")), parse_constant=pytest.fail
        )


def parsed(path):
    return Strict((path / "report.html").read_text("utf-8"))


# --- numbers ------------------------------------------------------------------------------------------------------


def test_all_results_can_be_read_back(workdir, done):
    data = parsed(workdir).data
    assert data["summary"] == json.loads((workdir / "summary.json").read_text())
    assert data["summary"]["rows"] == done.table(PRESETS).rows
    assert data["config"] == json.loads((workdir / "config.json").read_text())
    made = json.loads((workdir / "report.json").read_text())
    assert data["made"] == {name: value for name, value in made.items() if name != "columns"}


def test_drawn_curves_and_runs_are_those_of_the_sweep(workdir, done):
    for one, place in zip(parsed(workdir).data["settings"], np.ndindex(2, 2), strict=True):
        kept = np.searchsorted(done.steps, one["steps"])
        bands = np.percentile(done.history["w1_over_std"][place][:, kept], (5, 50, 95), axis=0)
        for name, band in zip(("p05", "median", "p95"), bands, strict=True):
            np.testing.assert_allclose(one["curve"][name], band, rtol=5e-3)
        w1 = done.metrics["w1"][place]
        seeds = [w1.argmin(), stats.median_index(w1), w1.argmax()]
        assert one["runs"]["seed"] == seeds
        assert one["runs"]["tv"] == pytest.approx(done.metrics["tv"][place][seeds], rel=1e-3)


def test_the_drawn_density_and_gap_are_those_of_the_median_run(workdir, done):
    """The exact density integrates to 1, and the gap is at most the Kolmogorov–Smirnov distance."""
    for panel, place in zip(parsed(workdir).data["made"]["panels"], np.ndindex(2, 2), strict=True):
        low, high = panel["window"]
        assert np.mean(panel["exact"]) * (high - low) == pytest.approx(1, abs=0.06)
        run = done.result(*place, stats.median_index(done.metrics["w1"][place]))
        samples = np.asarray(run.sample(jax.random.key(5), 10_000))[:, 0]
        shares = np.histogram(samples, np.linspace(low, high, len(panel["generated"]) + 1))[0] / len(samples)
        error = 6 * np.sqrt((shares + 1e-4) / len(samples))
        np.testing.assert_array_less(
            np.abs(np.array(panel["generated"]) * (high - low) / len(shares) - shares), error + 1e-9
        )
        at = low + np.array(panel["gap"]["at"]) * (high - low)
        truth = np.asarray(run.target.cdf(at))
        difference = np.searchsorted(np.sort(samples), at) / len(samples) - truth
        np.testing.assert_allclose(panel["gap"]["difference"], difference, atol=0.04)
        assert panel["gap"]["allowed"] == pytest.approx(1.628 / 100, rel=1e-3)


def test_the_page_says_what_the_terminal_says(workdir, done):
    found = parsed(workdir)
    assert conclusions.of_sweep(done.table(PRESETS)) == [text for text in found.text("li") if "learned" in text]
    titles, cells = zip(*done.table(PRESETS).columns(), strict=True)
    assert found.text("th")[: len(titles)] == list(titles)
    assert found.text("td")[: 4 * len(titles)] == [cell for row in zip(*cells, strict=True) for cell in row]
    assert found.text("pre") == ["python 'experiments/some script.py' --num_seeds=4"]
    assert str(done.thresholds) + "." in found.text("p")


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_is_valid_and_can_be_read_aloud(workdir):
    text = (workdir / "report.html").read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    found = parsed(workdir)
    assert found.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for tag, attrs, parents in found.elements:
        if tag == "svg" and "svg" not in parents:
            assert attrs["role"] == "img"
            assert len(attrs["aria-label"]) > 15
        if tag == "table":
            assert parents[-1] == "div"
    assert all(attrs["scope"] == "col" for attrs in found.all("th"))
    assert all(attrs["alt"] for attrs in found.all("img"))


def test_the_page_asks_no_network_for_anything(workdir):
    found = parsed(workdir)
    for tag, attrs, _ in found.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            assert name not in attrs or attrs[name].startswith("data:") or (tag == "a" and ":" not in attrs[name])
    assert "url(" not in "".join(found.text("style"))
    (policy,) = (attrs["content"] for attrs in found.all("meta") if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def shape(text):
    """The elements of a page, without what names decide."""
    return [(tag, attrs.keys(), parents) for tag, attrs, parents in Strict(text).elements]


@pytest.mark.parametrize("name", [*NASTY, "</script><script>alert(1)</script>", "<!--<script>", "]]>"], ids=short)
def test_no_name_breaks_the_page(workdir, name):
    def of(name):
        data = gathered.gather(workdir)
        for row in data["summary"]["rows"][:2]:
            row["target"] = name
        data["summary"]["conclusions"] = [name]
        data["config"] |= {"flags": {name: name}, "presets": [name, "b"], "data": [name]}
        data["made"] |= {"question": f"{name}?", "command": name, "columns": [["target", [name] * 4]]}
        return data, page.page(data, {}).decode()

    data, text = of(name)
    assert name == "" or shape(text) == shape(of("harmless")[1])
    assert "<script>alert" not in text
    written = Strict(text).data
    assert [row["target"] for row in written["summary"]["rows"]] == [name, name, "uniform", "uniform"]
    assert written["config"] == data["config"]
    if len(name) < 50 and name.isprintable() and name.strip():
        assert name in Strict(text).text("td")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(scheme):
    """4.5 for texts (1.4.3), 3 for what is drawn (1.4.11), on both backgrounds."""
    css = Path(page.__file__).with_name("static").joinpath("report.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in css.split("@media screen", 1))
    assert light.keys() == dark.keys()
    colours = light if scheme == "light" else dark

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for name in colours.keys() - {"bg", "surface", "line"}:
        for ground in ("bg", "surface"):
            one, other = sorted([luminance(colours[name]), luminance(colours[ground])])
            assert (other + 0.05) / (one + 0.05) >= (4.5 if name in ("text", "muted", "accent") else 3), name


@pytest.mark.parametrize(("num_targets", "num_configs", "most"), [(2, 5, 250_000), (4, 25, 1_000_000)])
def test_the_page_is_small(done, tmp_path, monkeypatch, num_targets, num_configs, most):
    big, presets = repeated(done, num_targets, num_configs, 64), [f"preset number {c}" for c in range(num_configs)]
    monkeypatch.setattr(thinned, "num_points", lambda _: gathered.num_points(num_targets * num_configs))
    few = thinned.of_sweep(done)
    panels = [few["panels"][i % 4] for i in range(num_targets * num_configs)]
    monkeypatch.setattr(thinned, "of_sweep", lambda _: {"floors": few["floors"][:1] * num_targets, "panels": panels})
    write(tmp_path, big, monkeypatch, presets)
    assert (tmp_path / "report.html").stat().st_size <= most
    assert len(parsed(tmp_path).all("svg")) == 7 * num_targets * num_configs  # a bar, and three charts of two each


def repeated(done, num_targets, num_configs, num_seeds):
    """A greater sweep, of the same lanes and with other digits."""
    at = np.ix_(
        [t % 2 for t in range(num_targets)], [c % 2 for c in range(num_configs)], [s % 4 for s in range(num_seeds)]
    )
    random = np.random.default_rng(0)
    values = {
        kind: {name: one[at] * random.lognormal(0, 0.05, one[at].shape) for name, one in getattr(done, kind).items()}
        for kind in ("history", "metrics")
    }
    configs = tuple(toys.Config(learning_rate=0.01 * 1.0123**c) for c in range(num_configs))
    return dataclasses.replace(
        done, targets=done.targets * (num_targets // 2), configs=configs, seeds=tuple(range(num_seeds)),
        verdict=done.verdict[at], diverged_at=done.diverged_at[at], **values,
    )  # fmt: skip


def test_a_run_in_two_dimensions_is_drawn_as_points():
    panel = thinned.of_sweep(train(["ring"], 1, 1, 2, dim=2))["panels"][0]
    assert np.shape(panel["generated"]) == np.shape(panel["real"]) == (200, 2)
    assert len(panel["window"]) == 2
    (figure,) = drawn.median_run(panel)
    assert figure.count("h0") == 400


def test_signals_are_drawn_as_quantiles_at_each_place():
    rows = np.random.default_rng(0).normal(size=(200, 4)) * [1, 2, 3, 4] + [0, 0, 0, 10]
    target = jgen1d.targets.signals(rows, name="own")
    done = jgen1d.sweep("gaussian", target, jgen1d.METHODS["gaussian"].Config(), [0], 20, num_samples=100)
    panel = thinned.of_sweep(done)["panels"][0]
    assert np.shape(panel["bands"]["generated"]) == (3, 4)
    errors = np.array(panel["bands"]["real"]) - np.quantile(rows, thinned.QUANTILES, axis=0)
    assert np.max(np.abs(errors) / rows.std(axis=0)[None]) < 0.35  # 5 standard errors of 1,000 samples' 5 % quantile
    (figure,) = drawn.median_run(panel)
    assert figure.count('class="exact"') == 3
    lost = {"generated": [[None] * 4] * 3, "real": panel["bands"]["real"]}
    (figure,) = drawn.median_run(panel | {"bands": lost})
    assert figure.count('class="exact"') == 3
    assert "nan" not in figure


def test_runs_that_diverged_are_drawn_as_far_as_they_are_known(done, tmp_path, monkeypatch):
    broken = dataclasses.replace(
        done, metrics={name: np.full_like(v, np.nan) for name, v in done.metrics.items()},
        history={name: np.full_like(v, np.nan) for name, v in done.history.items()},
        verdict=np.full_like(done.verdict, "diverged"), states={k: nan_like(done.states[k]) for k in done.states},
    )  # fmt: skip
    write(tmp_path, broken, monkeypatch)
    found = parsed(tmp_path)
    assert "10,000 samples are not finite" in "".join(found.text("figcaption"))
    assert "nan" not in " ".join(attrs.get("d", "") for attrs in found.all("path"))


def nan_like(tree):
    return jax.tree.map(lambda leaf: np.full(np.shape(leaf), np.nan, np.float32), tree)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 600, ["0", "200", "400", "600"]),
        (-0.02, 0.03, ["−0.02", "−0.01", "0.00", "0.01", "0.02", "0.03"]),
        (1.7e9, 1.7e9 + 40, None),
    ],
)
def test_ticks_are_round_and_told_apart(low, high, expected):
    texts = svg._numbers(svg._ticks(low, high))
    assert 2 <= len(texts) == len(set(texts)) <= 6
    assert expected is None or texts == expected


# --- pictures of other scripts ------------------------------------------------------------------------------------


def draw():
    from jgen1d.plots import settings

    return settings.lines(x=[0, 1], curves={"a": [0, 1]}, xlabel="x", ylabel="y", title="")


def test_a_script_without_a_sweep_has_its_pictures_inside_as_long_as_there_is_room(done, tmp_path, monkeypatch):
    figures = {"one": draw, "two": draw}
    write(tmp_path, done, monkeypatch, figures=figures, sweep=False)
    found = parsed(tmp_path)
    assert [attrs["alt"] for attrs in found.all("img")] == ["one", "two"]
    assert all(attrs["src"].startswith("data:image/webp;base64,") for attrs in found.all("img"))
    assert found.data["settings"] == []
    size = (tmp_path / "report.html").stat().st_size
    monkeypatch.setattr(page, "MAX_BYTES", (size - 100, size))
    less = Strict(of_workdir(tmp_path).decode())
    assert [attrs["alt"] for attrs in less.all("img")] == ["one"]
    assert [attrs["href"] for attrs in less.all("a")] == ["two.png"]
    (tmp_path / "two.png").write_bytes(b"damaged")
    assert [attrs["href"] for attrs in Strict(of_workdir(tmp_path).decode()).all("a")] == ["two.png"]
    write(tmp_path, done, monkeypatch, figures=figures, sweep=False)
    (tmp_path / "one.png").unlink()
    assert [attrs["alt"] for attrs in Strict(of_workdir(tmp_path).decode()).all("img")] == ["two"]


def test_a_page_that_fails_is_a_line(done, tmp_path, monkeypatch, capsys):
    def fail(folder):
        raise RuntimeError("a bug")

    monkeypatch.setattr(page, "of_workdir", fail)
    write(tmp_path, done, monkeypatch)
    assert "picture report.html is missing: RuntimeError: a bug\n" in capsys.readouterr().err
    jgen1d.load(tmp_path)


@pytest.mark.parametrize("is_open", [True, False])
def test_the_flag_opens_the_report(done, tmp_path, monkeypatch, is_open):
    opened = []
    monkeypatch.setattr(output.webbrowser, "open", opened.append)
    write(tmp_path, done, monkeypatch, open=is_open)
    assert opened == ([(tmp_path / "report.html").as_uri()] if is_open else [])


# --- made anew ----------------------------------------------------------------------------------------------------


def test_a_report_that_is_made_anew_is_the_same(copy, capsys, monkeypatch):
    before = (copy / "report.html").read_bytes()
    (copy / "report.html").unlink()
    opened = []
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    assert command.main([str(copy), "--open"]) == 0
    assert (copy / "report.html").read_bytes() == before
    assert capsys.readouterr() == ("", f"written to {copy / 'report.html'}\n")
    assert opened == [(copy / "report.html").as_uri()]


def test_results_that_no_script_wrote_have_a_report_without_their_samples(done, tmp_path):
    jgen1d.save(tmp_path, done, PRESETS)
    found = Strict(of_workdir(tmp_path).decode())
    assert "What the models generate is not drawn here, because no samples were saved." in found.text("p")
    assert len(conclusions.of_sweep(done.table(PRESETS))) == sum("learned" in text for text in found.text("li"))
    assert len(found.all("svg")) == 4 * 2 + 4  # a bar and a chart, which is an svg in another, for each setting


def failed(capsys, *args):
    """What the command says, in one line, of what it refuses."""
    assert command.main([str(arg) for arg in args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jgen1d report: ")
    assert err.count("\n") == 1
    return err


def test_what_is_no_workdir_is_refused_in_a_line(tmp_path, copy, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "file", tmp_path / "empty"):
        assert repr(str(path))[1:-1] in failed(capsys, path)
        assert repr(str(path))[1:-1] in failed(capsys, copy, path)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_workdir_is_refused_in_a_line_or_has_a_report(copy, capsys, name, damage):
    DAMAGES[damage](copy / name)
    with within(30):
        if command.main([str(copy)]):
            assert re.fullmatch(
                r"jgen1d report: [^\n]*(missing or damaged|are damaged|not of one sweep)[^\n]*\n",
                capsys.readouterr().err,
            )
        else:
            parsed(copy)


# --- two workdirs -------------------------------------------------------------------------------------------------


def changed(copy, line):
    """The workdir with its runs' lines changed, all but the first."""
    first, *lines = (copy / "runs.csv").read_text().splitlines()
    names = first.split(",")
    rows = [line(dict(zip(names, text.split(","), strict=True))) for text in lines]
    (copy / "runs.csv").write_text("\n".join([first, *(",".join(map(str, row.values())) for row in rows)]) + "\n")
    return copy


def test_the_same_seeds_are_compared_in_pairs(workdir, copy, capsys):
    better = changed(
        copy, lambda row: row | {"verdict": "converged", "w1_over_floor": float(row["w1_over_floor"]) - 0.5}
    )
    table, sentences = pairs.compare(workdir, better)
    for row in table:
        assert (row["paired"], row["num_seeds"], row["learned_a"]["count"], row["learned_b"]["count"]) == (
            "by seed",
            4,
            0,
            4,
        )
        assert row["p_mcnemar"] == 2 / 2**4
        assert row["learned_difference"]["difference"] == 1
        assert row["w1_over_floor_difference"] == pytest.approx({"difference": -0.5, "low": -0.5, "high": -0.5})
    assert sentences[0].startswith(
        "normal, slow: B learned the distribution more often than A, in 100 % of seeds against 0 %"
    )
    assert "B's median is nearer to it, W1/floor -0.5 [-0.5, -0.5]." in sentences[0]
    assert command.main([str(workdir), str(better)]) == 0
    assert str(table) in capsys.readouterr().out


def test_the_comparison_is_also_a_page(workdir, copy, capsys, monkeypatch):
    better = changed(copy, lambda row: row | {"verdict": "converged"})
    assert command.main([str(workdir), str(better)]) == 0
    assert capsys.readouterr().err == f"written to {better / 'differences.html'}\n"
    text = (better / "differences.html").read_text()
    found, (table, sentences) = Strict(text), pairs.compare(workdir, better)
    assert found.text("h1") == ["How copy (B) differs from run (A)"]
    assert found.text("li") == sentences
    titles, cells = zip(*table.columns(), strict=True)
    assert found.text("th")[: len(titles)] == list(titles)
    assert found.text("td")[: len(table) * len(titles)] == [one for row in zip(*cells, strict=True) for one in row]
    assert found.data["rows"] == json.loads(table.to_json())["rows"]
    # Of 4 seeds none against all: the drawn interval is Newcombe's, between −100 and 100 on 1,000 units.
    low, high = (500 + 500 * table[0]["learned_difference"][end] for end in ("low", "high"))
    assert f"M{low:.0f} 10v12m0-6H{high:.0f}" in text
    other, opened = copy.parent / "elsewhere.html", []
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    assert command.main([str(workdir), str(better), f"--out={other}", "--open"]) == 0
    assert (other.read_text(), opened) == (text, [other.as_uri()])


def test_what_differs_in_the_flags_of_two_workdirs_is_on_their_page(workdir, copy):
    config = json.loads((copy / "config.json").read_text())
    config["flags"] |= {"targets": ["uniform"], "workdir": "b"}
    (copy / "config.json").write_text(json.dumps(config))
    found = Strict(of_pair(workdir, copy).decode())
    assert found.text("td")[-3:] == ["--targets", "['normal']", "['uniform']"]
    same = Strict(of_pair(workdir, workdir).decode())
    assert "A and B were made with the same flags and versions." in same.text("p")


def test_a_report_has_the_script_s_question_as_its_title_however_it_is_started(done, monkeypatch):
    for about, title in {None: pytest.__doc__, compare.__doc__: compare.__doc__}.items():
        monkeypatch.setitem(sys.modules, "__main__", pytest)
        made = json.loads(output._made(done.table(PRESETS), (), [], about))
        assert made["question"] == title.strip().splitlines()[0]


def test_runs_of_a_table_that_is_no_sweep_are_drawn_beside_their_targets(done, tmp_path, monkeypatch):
    runs = [done.result(t, c, 0) for t in range(2) for c in range(2)]
    write(tmp_path, done, monkeypatch, sweep=False, models=runs)
    found = parsed(tmp_path)
    assert found.text("h2").count("The median run of each") == 1
    assert len([text for text in found.text("strong") if text.startswith("Density, ")]) == len(runs)
    made = json.loads((tmp_path / "report.json").read_text())
    assert made["panels"] == json.loads(json.dumps([thinned._panel(run, 80) for run in runs]))


def test_other_seeds_are_compared_as_independent_ones(workdir, copy):
    table, sentences = pairs.compare(workdir, changed(copy, lambda row: row | {"seed": int(row["seed"]) + 100}))
    for row in table:
        assert (row["paired"], row["p_mcnemar"]) == ("no", None)
        assert row["learned_difference"]["low"] == pytest.approx(-0.4899, abs=1e-4)  # Wilson's 0 of 4
    assert sentences[0].startswith(
        "normal, slow: A and B learned the distribution in 0 % of seeds each (B − A: +0 [-49, +49]"
    )


def test_settings_that_one_workdir_lacks_are_left_out(workdir, copy, capsys):
    only = changed(copy, lambda row: row | {"preset": row["preset"].replace("fast", "other")})
    table, _ = pairs.compare(workdir, only)
    assert [(row["target"], row["preset"]) for row in table] == [("normal", "slow"), ("uniform", "slow")]
    said = failed(capsys, workdir, changed(only, lambda row: row | {"target": "else"}))
    assert "have no setting in common: the first has normal, slow; normal, fast; uniform, slow and 1 more" in said


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_runs_are_refused_in_a_line_or_compared(workdir, copy, capsys, damage):
    DAMAGES[damage](copy / "runs.csv")
    with within(30):
        if command.main([str(workdir), str(copy)]):
            assert re.fullmatch(r"jgen1d report: [^\n]+\n", capsys.readouterr().err)


def test_a_table_of_another_kind_has_a_report(tmp_path):
    for name, content in {
        "config.json": {},
        "summary.json": {"rows": Table([{"a": "x", "num_runs": 3, "b": 0.5}]).rows},
    }.items():
        (tmp_path / name).write_text(json.dumps(content))
    found = Strict(of_workdir(tmp_path).decode())
    assert found.text("th") == ["a", "runs", "b"]
    assert found.text("td") == ["x", "3", "0.5"]
