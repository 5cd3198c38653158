"""Tables and workdirs: their numbers against plain formulas, and what is written against what is read."""

import csv
import dataclasses
import io
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jgen1d import TARGETS, core, grid, sweep
from jgen1d.evaluation.verdict import VERDICTS, Thresholds
from jgen1d.methods import gan
from jgen1d.report import conclusions, figures, stats, table
from jgen1d.report import workdir as files
from tests.damage import DAMAGES, within

SHAPE = (2, 2, 3)
RATES = [0.001, 0.01]
SPREADS = (
    "loss_g", "loss_d", "kl", "ks", "tv", "w1_over_std", "w1_over_floor", "tv_over_floor", "samples_to_tell",
    "out_of_range",
    "modes_covered",
)  # fmt: skip
FILES = ("config.json", "summary.json", "runs.csv", "curves.npz")


@pytest.fixture(scope="module")
def done():
    """Two targets, one of them without modes, two configs, three seeds; only its bookkeeping is looked at."""
    configs = grid(gan.Config(widths_g=(4,), widths_d=(4,)), learning_rate_d=RATES)
    targets = [TARGETS["normal"], TARGETS["uniform"]]
    return sweep(gan.METHOD, targets, configs, seeds=[5, 0, 7], num_steps=20, num_samples=1_000)


@pytest.fixture(scope="module")
def workdir(done, tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "new" / "workdir"
    files.save(path, done, ["slow", "fast"], {"num_steps": 20, "targets": ["normal", "uniform"]})
    return path


def with_metrics(done, **metrics):
    return dataclasses.replace(done, metrics=done.metrics | {name: np.array(v, float) for name, v in metrics.items()})


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} in JSON")

    return json.loads(text, parse_constant=refuse)


# --- rates and spreads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "num"), [(0, 1), (1, 1), (0, 32), (32, 32), (7, 32), (500, 1000), (1, 1000)])
def test_rate_has_the_wilson_interval(count, num):
    hits = np.arange(num) < count
    share, z = count / num, 1.959963984540054
    center = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    rate = stats.rate(np.random.default_rng(0).permutation(hits))
    assert rate == {
        "count": count,
        "share": pytest.approx(share, abs=1e-12),
        "low": pytest.approx(center - half, abs=1e-9),
        "high": pytest.approx(center + half, abs=1e-9),
    }
    assert {type(value) for value in rate.values()} == {int, float}
    assert 0 <= rate["low"] <= share <= rate["high"] <= 1


def test_spread_is_the_median_and_the_outer_twentieths():
    assert stats.spread(np.random.default_rng(0).permutation(101)) == {"median": 50.0, "p05": 5.0, "p95": 95.0}
    assert stats.spread([1.0, 2.0]) == {
        "median": 1.5,
        "p05": pytest.approx(1.05, rel=1e-12),
        "p95": pytest.approx(1.95, rel=1e-12),
    }


def test_spread_is_over_what_is_finite():
    assert stats.spread([np.nan, 3.0, np.inf, -np.inf]) == {"median": 3.0, "p05": 3.0, "p95": 3.0}
    assert stats.spread([np.nan, np.inf]) is None
    assert stats.spread([]) is None


def test_mean_and_deviation_are_over_what_is_finite():
    found = stats.mean_and_deviation([1.0, 3.0, np.nan])
    assert found == {"mean": 2.0, "standard_deviation": pytest.approx(np.sqrt(2))}
    assert table.cell(found) == "2 ± 1.4"
    assert stats.mean_and_deviation([1.0, np.inf]) is None


# --- the table ----------------------------------------------------------------------------------------------------


def test_table_has_a_row_per_target_and_config(done):
    found = done.table()
    assert len(found) == 4
    assert list(found) == found.rows
    assert [(row["target"], row["learning_rate_d"]) for row in found] == [
        (target, rate) for target in ("normal", "uniform") for rate in RATES
    ]
    for row in found:
        assert list(row) == [
            "target",
            "learning_rate_d",
            "num_seeds",
            "verdicts",
            "learned",
            "at_equilibrium",
            *SPREADS,
        ]
        assert row["num_seeds"] == 3
        assert tuple(row["verdicts"]) == VERDICTS
        assert sum(rate["count"] for rate in row["verdicts"].values()) == 3
        for rate in (*row["verdicts"].values(), row["at_equilibrium"]):
            assert list(rate) == ["count", "share", "low", "high"]
        for name in SPREADS:
            assert row[name] is None or list(row[name]) == ["median", "p05", "p95"]


def test_rows_hold_the_sweeps_numbers(done):
    for i, row in enumerate(done.table()):
        place = divmod(i, 2)
        for verdict in VERDICTS:
            assert row["verdicts"][verdict] == stats.rate(done.verdict[place] == verdict)
        for metric in ("w1_over_std", "w1_over_floor"):
            assert row[metric] == stats.spread(done.metrics[metric][place])
        tails = {name: done.history[name][place][:, -2:].mean(1) for name in ("loss_g", "loss_d")}  # a tenth of 20
        for name, tail in tails.items():
            assert row[name]["median"] == pytest.approx(np.median(tail), rel=1e-12)
        near = (abs(tails["loss_g"] - math.log(2)) <= 0.05) & (abs(tails["loss_d"] - 2 * math.log(2)) <= 0.05)
        assert row["at_equilibrium"]["count"] == near.sum()
    assert done.table()[0]["modes_covered"]["median"] in (0, 1)
    assert done.table()[2]["modes_covered"] is None  # uniform has none
    assert done.table()[0]["kl"] is None


def test_presets_name_the_configs_and_hide_what_they_explain(done):
    for row, preset in zip(done.table(["slow", "fast"]), ["slow", "fast"] * 2, strict=True):
        assert list(row)[:3] == ["target", "preset", "num_seeds"]
        assert row["preset"] == preset
    assert [list(row)[:3] for row in done.table(["same", "same"])] == [["target", "preset", "learning_rate_d"]] * 4
    with pytest.raises(ValueError, match="1 presets for 2 configs"):
        done.table(["slow"])


def test_correlations_are_scipys_and_their_intervals_hold_the_truth():
    """Spearman's of normal pairs with Pearson's ρ is 6/π·asin(ρ/2) (Pearson 1907)."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500, 30))
    y = 0.6 * x + 0.8 * y
    found = [stats.correlation(*pair) for pair in zip(x, y, strict=True)]
    assert found[0]["correlation"] == pytest.approx(scipy.stats.spearmanr(x[0], y[0]).statistic)
    truth = 6 / np.pi * np.arcsin(0.3)
    assert 0.92 < np.mean([one["low"] <= truth <= one["high"] for one in found]) < 0.98
    assert stats.correlation([1, 2, 3, 4], [1, 2, 3, np.inf])["correlation"] == pytest.approx(1)
    assert stats.correlation([1, 2, 3], [1, 2, 3]) is None
    assert stats.correlation([1, 2, 3, 4], [5, 5, 5, 5]) is None
    assert table.cell({"correlation": -0.5, "low": -0.75, "high": 0.125}) == "-0.50 [-0.75, 0.12]"


def test_swept_fields_are_those_that_differ_within_a_name():
    base = gan.Config()
    configs = [base, base.replace(r1=0.1), base.replace(widths_g=(8,)), base.replace(widths_g=(8,), beta1_d=0.5)]
    assert table.swept_fields(configs, [""] * 4) == ["widths_g", "beta1_d", "r1"]
    assert table.swept_fields(configs, ["a", "a", "b", "b"]) == ["beta1_d", "r1"]
    assert table.swept_fields(configs, list("abcd")) == []


def test_table_text(done):
    scales = np.array([[0.02, 3.0], [0.5, 20.0]])
    done = with_metrics(done, w1_over_std=scales[:, :, None] * np.array([0.9, 1.0, 1.2]))
    lines = str(done.table()).splitlines()
    assert len(lines) == 6
    assert len({len(line.rstrip()) for line in (lines[0], lines[1])}) == 1
    assert max(map(len, lines)) <= len(lines[1])
    assert lines[0].split()[:3] == ["target", "learning_rate_d", "seeds"]
    assert [line.split()[:3] for line in lines[2:]] == [
        [target, str(rate), "3"] for target in ("normal", "uniform") for rate in RATES
    ]
    for line, row in zip(lines[2:], done.table(), strict=True):
        rate = row["at_equilibrium"]
        assert f"{100 * rate['share']:.0f}% [{100 * rate['low']:.0f}–{100 * rate['high']:.0f}]" in line
        distance = row["w1_over_std"]
        digits = {0.02: 3, 0.5: 3, 3.0: 1, 20.0: 1}[distance["median"]]
        assert "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*distance.values(), d=digits) in line
        assert line.endswith("–") == (row["target"] == "uniform")
    for verdict in VERDICTS[2:]:
        assert (verdict in lines[0]) == bool((done.verdict == verdict).any())
    assert "nan" not in str(done.table()).lower()


def test_table_text_shows_kl_where_there_is_one(done):
    assert "KL" not in str(done.table())
    text = str(with_metrics(done, kl=np.full(SHAPE, 0.25)).table())
    assert "KL" in text.splitlines()[0]
    assert "0.250 [0.250, 0.250]" in text


def test_numbers_that_are_not_finite_are_left_out(done):
    bad = with_metrics(done, w1_over_std=np.full(SHAPE, np.nan), w1_over_floor=np.full(SHAPE, np.inf))
    for row in bad.table():
        assert (row["w1_over_std"], row["w1_over_floor"]) == (None, None)
    assert strict_json(bad.table().to_json())["rows"][0]["w1_over_std"] is None
    assert not {"nan", "inf"} & set(str(bad.table()).lower().split())
    one = done.metrics["w1_over_std"].copy()
    one[0, 0] = [np.nan, 2.0, np.inf]
    assert with_metrics(done, w1_over_std=one).table()[0]["w1_over_std"] == {"median": 2.0, "p05": 2.0, "p95": 2.0}


def test_table_json(done):
    written = strict_json(done.table(["slow", "fast"]).to_json(seconds=math.nan, num_steps=np.int64(20)))
    assert list(written) == ["rows", "seconds", "num_steps"]
    assert (written["seconds"], written["num_steps"]) == (None, 20)
    assert written["rows"] == done.table(["slow", "fast"]).rows


def test_table_csv(done):
    text = done.table().to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert "\r" not in text
    assert len(rows) == 4
    for read, row in zip(rows, done.table(), strict=True):
        assert read["target"] == row["target"]
        assert float(read["learning_rate_d"]) == row["learning_rate_d"]
        assert int(read["verdicts.oscillating.count"]) == row["verdicts"]["oscillating"]["count"]
        assert float(read["at_equilibrium.high"]) == row["at_equilibrium"]["high"]
        assert float(read["w1_over_std.p95"]) == row["w1_over_std"]["p95"]
        assert None not in read.values()
        assert None not in read
    assert float(rows[0]["modes_covered.median"]) == done.table()[0]["modes_covered"]["median"]
    assert rows[2]["modes_covered.median"] == ""


def test_no_csv_column_stands_beside_its_own_parts(done):
    columns = done.table().to_csv().splitlines()[0].split(",")
    assert len(columns) == len(set(columns))
    assert [name for name in columns if any(other.startswith(f"{name}.") for other in columns)] == []


@pytest.mark.parametrize("field", ["generator_loss", "discriminator_loss"])
def test_a_swept_loss_and_the_loss_itself_are_told_apart(done, field, tmp_path):
    choices = {"generator_loss": ["non_saturating", "saturating"], "discriminator_loss": ["log", "half_log"]}[field]
    changed = dataclasses.replace(done, configs=tuple(grid(done.configs[0], **{field: choices})))
    rows = changed.table().rows
    for row in rows:
        assert list(row["loss_g"]) == list(row["loss_d"]) == ["median", "p05", "p95"]
    first, second = ({name: row[name] for name in table.labels(row)} for row in rows[:2])
    assert set(choices) <= {*first.values(), *second.values()}
    assert all(choice in str(changed.table()) for choice in choices)
    files.save(tmp_path / "losses", changed)
    runs = files.load(tmp_path / "losses").runs
    assert [choice for choice in choices if any(choice in run.values() for run in runs)] == choices
    assert all(isinstance(run["loss_g"], float) and run[field] in choices for run in runs)


def test_configs_that_hold_arrays_are_tabulated_as_numbers(done, tmp_path):
    for values in (np.array([0.0, 0.25]), jnp.array([0.0, 0.25])):
        changed = dataclasses.replace(done, configs=tuple(grid(done.configs[0], r1=values)))
        assert [row["r1"] for row in changed.table()] == [0.0, 0.25] * 2
        assert all(type(row["r1"]) is float for row in changed.table())
        files.save(tmp_path, changed)
        assert [config["r1"] for config in files.load(tmp_path).config["configs"]] == [0.0, 0.25]


def test_a_user_s_own_part_is_saved_by_its_name(done, tmp_path):
    changed = dataclasses.replace(done, configs=tuple(grid(done.configs[0], activation=["relu", jnp.sin])))
    own = changed.table().rows[1]["activation"]
    assert own.endswith("sin")
    files.save(tmp_path, changed)
    assert [config["activation"] for config in files.load(tmp_path).config["configs"]] == ["relu", own]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((15, 15), "15-15"),
        ((), ""),
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (None, None),
        (True, True),
        ("log", "log"),
    ],
)
def test_format_value(value, shown):
    assert core.format_value(value) == shown
    assert type(core.format_value(value)) is type(shown)


def test_format_value_takes_traced_arrays():
    assert core.format_value(jnp.asarray(0.5)) == 0.5
    assert type(core.format_value(jnp.asarray(0.5))) is float


def test_finite_is_a_copy_that_json_takes():
    value = {"a": [1, math.nan, (2.5, -math.inf)], "b": np.array([[1.0, np.nan]]), "c": jnp.array([1, 2]), "d": "nan"}
    before = dict(value)
    copy = table.finite(value | {"e": np.float32("inf"), "f": np.int64(3), "g": np.bool_(True), "h": None})
    assert copy == {
        "a": [1, None, [2.5, None]],
        "b": [[1.0, None]],
        "c": [1, 2],
        "d": "nan",
        "e": None,
        "f": 3,
        "g": True,
        "h": None,
    }
    json.dumps(copy, allow_nan=False)
    assert value["b"] is before["b"]
    assert math.isnan(value["a"][1])


def test_texts_have_titles_and_json_has_machine_names():
    rows = [
        {
            "method": name,
            "latent_dim": dim,
            "num_seeds": 3,
            "all_modes_covered": stats.rate([True, dim > 1]),
            "kl": None,
        }
        for name, dim in {"a": 1, "b": 16}.items()
    ]
    lines = str(table.Table(rows)).splitlines()
    assert lines[0].split() == ["method", "latent_dim", "seeds", "all", "modes", "covered"]  # and no empty KL
    assert lines[3].split()[:4] == ["b", "16", "3", "100%"]
    assert list(strict_json(table.Table(rows).to_json())["rows"][0]) == list(rows[0])
    assert "all_modes_covered.count" in table.Table(rows).to_csv().splitlines()[0]
    only = table.Table(
        rows, shown=("all_modes_covered",), formats={"all_modes_covered": lambda rate: str(rate["count"])}
    )
    assert str(only).splitlines()[2].split() == ["a", "1", "1"]


# --- sentences and pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_converged", "expected"),
    [
        (0, "the losses of 3 of 3 seeds are at their optimum, yet none learned the distribution"),
        (1, "the losses of 3 of 3 seeds are at their optimum, yet only 1 of 3 learned the distribution"),
        (3, "the losses of 3 of 3 seeds are at their optimum, and 3 of 3 learned the distribution"),
    ],
)
def test_a_sentence_says_how_many_seeds_learned_the_distribution(done, num_converged, expected):
    found = done.table(["slow", "fast"]).rows[:1]
    hits = np.arange(3) < num_converged
    found[0]["at_equilibrium"] = stats.rate([True] * 3)
    found[0]["verdicts"] = dict.fromkeys(VERDICTS, stats.rate([False] * 3))
    found[0]["verdicts"] |= {"converged": stats.rate(hits), "false_equilibrium": stats.rate(~hits)}
    found[0]["learned"] = stats.rate(hits)
    (sentence,) = conclusions.of_sweep(table.Table(found))
    assert sentence.startswith(f"normal: with slow {expected}: the median distance is ")
    others = {0: "(verdicts: 3 false_equilibrium).", 1: "(the others: 2 false_equilibrium).", 3: "perfect sampler's."}
    assert sentence.endswith(others[num_converged])


def test_a_sentence_counts_both_verdicts_of_what_learned_the_distribution(done):
    found = done.table(["slow", "fast"]).rows[:1]
    found[0]["at_equilibrium"] = stats.rate([True] * 3)
    found[0]["verdicts"] = dict.fromkeys(VERDICTS, stats.rate([False] * 3))
    found[0]["verdicts"] |= {"converged": stats.rate([1, 0, 0]), "indistinguishable": stats.rate([0, 1, 1])}
    found[0]["learned"] = stats.rate([True] * 3)
    (sentence,) = conclusions.of_sweep(table.Table(found))
    assert "3 of 3 learned the distribution, and a statistical test cannot tell 2 of them from it" in sentence


@pytest.mark.parametrize("threshold", [0.05, 0.2])
def test_a_run_s_picture_draws_the_threshold_of_the_sweep(done, threshold):
    changed = dataclasses.replace(done, thresholds=Thresholds(w1_over_std=threshold))
    figure = figures.of_run(changed.result(0, 0, 0), "a run", num_samples=100)
    (distance,) = [ax for ax in figure.axes if ax.get_title(loc="left").startswith("Distance")]
    dashed = [line.get_ydata()[0] for line in distance.lines if line.get_linestyle() == "--"]
    assert dashed == [threshold]
    assert [ax.get_title(loc="left") for ax in figure.axes if "D(x) = P(real)" in ax.get_ylabel()] == ["Discriminator"]


@pytest.mark.parametrize(("level", "critical"), [(0.01, 1.628), (0.05, 1.358)])
def test_a_run_s_picture_draws_the_test_of_the_sweep(done, level, critical):
    """The quantiles of Kolmogorov's distribution are those of printed tables."""
    changed = dataclasses.replace(done, thresholds=Thresholds(ks_p=level))
    ax = figures.of_run(changed.result(0, 0, 0), "a run", num_samples=100).axes[1]
    (band,) = ax.patches
    assert band.get_height() == pytest.approx(2 * critical / 10, rel=1e-3)
    assert ax.get_legend().get_texts()[0].get_text().endswith(f"at {100 * level:g} %")


def test_a_diverged_run_has_a_picture(done, tmp_path):
    run = done.result(0, 0, 0)
    broken = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), run.state.params_g)
    figure = figures.of_run(
        dataclasses.replace(run, state=run.state._replace(params_g=broken)), "a run", num_samples=100
    )
    figure.savefig(tmp_path / "diverged.png")


def test_a_sweep_s_pictures_have_one_of_a_run_for_every_row(done):
    assert list(figures.of_sweep(done, ["slow", "fast"])) == [
        "verdicts", "distance", "losses", *(f"run_{t}_{p}" for t in ("normal", "uniform") for p in ("slow", "fast")),
    ]  # fmt: skip


# --- the workdir --------------------------------------------------------------------------------------------------


def test_workdir_holds_four_files(workdir):
    assert sorted(path.name for path in workdir.iterdir()) == sorted(FILES)
    for name in ("config.json", "summary.json"):
        strict_json((workdir / name).read_text())


def test_config_says_what_was_run_and_with_what(workdir, done):
    config = files.load(workdir).config
    assert config["flags"] == {"num_steps": 20, "targets": ["normal", "uniform"]}
    assert config["presets"] == ["slow", "fast"]
    assert [one["learning_rate_d"] for one in config["configs"]] == RATES
    assert config["configs"][0]["widths_g"] == [4]
    assert config["configs"][0].keys() == {field.name for field in dataclasses.fields(gan.Config)}
    assert {"python", "jgen1d", "jax", "jaxlib", "flax", "optax", "numpy", "scipy"} <= config["versions"].keys()
    assert config["versions"]["numpy"] == np.__version__
    assert len(config["devices"]) == len(jax.local_devices())
    assert config["commit"] is None or len(config["commit"].removesuffix("-dirty")) == 40


def test_without_git_there_is_no_commit(monkeypatch):
    def missing(*args, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(files.subprocess, "run", missing)
    assert files.environment()["commit"] is None


def test_summary_is_the_table(workdir, done):
    summary = files.load(workdir).summary
    assert summary["rows"] == done.table(["slow", "fast"]).rows
    assert summary["thresholds"] == done.thresholds._asdict()
    assert summary["seconds"] == done.seconds


def test_runs_has_a_row_per_lane(workdir, done):
    runs = files.load(workdir).runs
    assert len(runs) == math.prod(SHAPE)
    assert [(run["target"], run["preset"], run["seed"]) for run in runs] == [
        (target, preset, seed) for target in ("normal", "uniform") for preset in ("slow", "fast") for seed in (5, 0, 7)
    ]
    for run, place in zip(runs, np.ndindex(SHAPE), strict=True):
        assert run["verdict"] == done.verdict[place]
        assert run["diverged_at"] == done.diverged_at[place] == -1
        for name in ("loss_g", "loss_d", "grad_norm_g"):
            assert run[name] == done.history[name][place][-1]
        for name in ("w1", "w1_over_std", "energy", "ks", "js", "std_ratio"):
            assert run[name] == done.metrics[name][place]
        if run["target"] == "normal":
            assert run["modes_covered"] == done.metrics["modes_covered"][place]
            assert run["mode_mass_0"] == done.metrics["mode_mass"][place][0]
        else:
            assert run["modes_covered"] is run["mode_mass_0"] is run["high_quality"] is None


def test_runs_without_presets_name_the_swept_fields(done, tmp_path):
    files.save(tmp_path, done)
    runs = files.load(tmp_path).runs
    assert [run["learning_rate_d"] for run in runs] == [rate for _ in range(2) for rate in RATES for _ in range(3)]
    assert "preset" not in runs[0]


def test_numbers_that_are_not_finite_are_empty_in_runs(done, tmp_path):
    w1 = done.metrics["w1"].copy()
    w1[0, 0, 0], w1[1, 1, 2] = np.nan, np.inf
    files.save(tmp_path, with_metrics(done, w1=w1))
    runs = files.load(tmp_path).runs
    assert (runs[0]["w1"], runs[-1]["w1"]) == (None, None)
    assert runs[1]["w1"] == w1[0, 0, 1]
    text = (tmp_path / "runs.csv").read_text().lower()
    assert not {"nan", "inf"} & set(text.replace("\n", ",").split(","))


def test_curves_have_a_point_per_evaluation(workdir, done):
    curves = files.load(workdir).curves
    np.testing.assert_array_equal(curves["steps"], np.arange(1, 21))
    assert curves.keys() == {"steps", *done.history}
    for name, curve in done.history.items():
        assert curves[name].shape == (*SHAPE, 20)
        # Data units may be far from 0, where float32 cannot tell them apart.
        assert curves[name].dtype == (np.float64 if name in ("w1", "mean", "std") else np.float32)
        np.testing.assert_array_equal(curves[name], curve.astype(curves[name].dtype))


def test_a_workdir_can_be_written_again(done, tmp_path):
    files.save(tmp_path, done)
    first = files.load(tmp_path)
    files.save(tmp_path, done)
    assert files.load(tmp_path).summary == first.summary


@pytest.fixture
def copy(workdir, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((workdir / name).read_bytes())
    return tmp_path


TAKEN = [("config.json", "many entries"), ("summary.json", "many entries"), ("runs.csv", "control characters")]
"""Damages that leave a file of the right kind; a bit may flip in any text, and root may read what others may not."""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_load_of_a_damaged_workdir_is_one_line_with_the_files_name(copy, name, damage):
    DAMAGES[damage](copy / name)
    said = ""
    try:
        with within(20):
            files.load(copy)
    except ValueError as error:
        said = str(error)
    assert said.isprintable()
    assert "--" not in said
    if said or ((name, damage) not in TAKEN and damage not in ("flipped", "unreadable")):
        assert said.startswith(f"{str(copy / name)!r} is missing or damaged: ")


def test_load_of_curves_that_are_damaged_somewhere_inside(copy):
    intact, curves = (copy / "curves.npz").read_bytes(), files.load(copy).curves
    refused = 0
    for start in np.linspace(0, 0.8 * len(intact), 40).astype(int):
        (copy / "curves.npz").write_bytes(intact[:start] + b"\xff" * 8 + intact[start + 8 :])
        loaded, said = {}, ""
        try:
            loaded = files.load(copy).curves
        except ValueError as error:
            said = str(error)
        assert bool(loaded) != ("is missing or damaged" in said)
        refused += not loaded
        for name in curves if loaded else ():  # these bytes say nothing of the numbers, such as a date
            np.testing.assert_array_equal(curves[name], loaded[name])
    assert refused > 30


def test_load_of_runs_whose_rows_are_too_long(copy):
    with open(copy / "runs.csv", "a") as file:
        file.write("," * 200 + "\n")
    with pytest.raises(ValueError, match=r"runs\.csv"):
        files.load(copy)


def test_load_of_no_workdir(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match="is missing or damaged") as error:
            files.load(path)
        assert str(path) in str(error.value)


# --- where a workdir may be ---------------------------------------------------------------------------------------


def test_check_workdir_takes_what_is_new_or_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path, tmp_path / "new", tmp_path / "a" / "b" / "c", "relative", str(tmp_path / "text")):
        files.check(path)
    assert list(tmp_path.iterdir()) == []  # and writes nothing


def test_check_workdir_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "runs.csv").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        files.check(tmp_path)
    files.check(tmp_path, overwrite=True)
    assert (tmp_path / "runs.csv").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("below", [".", "sub", "sub/folder"])
def test_check_workdir_refuses_a_file_and_what_would_lie_below_one(tmp_path, below, overwrite):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="workdir") as error:
        files.check(tmp_path / "file" / below, overwrite)
    assert "\n" not in str(error.value)


def test_check_workdir_refuses_what_cannot_be_written(tmp_path, monkeypatch):
    asked = []

    def access(path, mode):
        asked.append((str(path), mode))
        return False

    monkeypatch.setattr(files.os, "access", access)
    with pytest.raises(ValueError, match="cannot be written"):
        files.check(tmp_path / "a" / "b")
    assert asked == [(str(tmp_path), files.os.W_OK)]


def test_variance_is_split_as_in_the_analysis_of_variance():
    values = np.random.default_rng(0).normal(size=(4, 30)) + np.arange(4.0)[:, None]
    rows, columns, both = stats.variance_shares(values)
    assert rows + columns + both == pytest.approx(1)
    f_rows, f_columns = (scipy.stats.f_oneway(*groups).statistic for groups in (values, values.T))
    assert rows == pytest.approx(1 / (1 + (values.size - 4) / 3 / f_rows))
    assert columns == pytest.approx(1 / (1 + (values.size - 30) / 29 / f_columns))
    assert stats.variance_shares([[1, 2], [5, 6]]) == pytest.approx((16 / 17, 1 / 17, 0))
    assert np.isnan(stats.variance_shares(np.ones((2, 2)))).all()


def test_few_runs_rank_two_recipes_wrongly_as_often_as_drawn_ones():
    first, second = (np.random.default_rng(0).random((2, 200_000, 5)) < np.array([[[0.9]], [[0.6]]])).sum(axis=2)
    expected = np.mean(second > first) + 0.5 * np.mean(second == first)
    assert stats.wrong_ranking(0.9, 0.6, 5) == pytest.approx(expected, abs=0.004)
    assert stats.wrong_ranking(0.3, 0.3, 4) == pytest.approx(0.5)
    assert stats.wrong_ranking(1.0, 0.0, 1) == 0
