"""The scripts as a user runs them: what they print, what they write, and how they refuse."""

import csv
import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d import cli
from jgen1d.cli import app
from jgen1d.engine import compiled
from tests import readme
from tests.scripts import EXPERIMENTS, finish, results, run, start

QUICK = (
    "--quick", "--num_steps=40", "--widths_g=6", "--widths_d=6", "--r1=none,0.1", "--preset=textbook",
    "--targets=bimodal", "--num_seeds=3", "--format=json",
)  # fmt: skip


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """A folder of programs into which no other test's scripts write meanwhile."""
    return tmp_path_factory.mktemp("programs") / "own"


@pytest.fixture(scope="module")
def quick(workdir, own_cache):
    done = run(*QUICK, f"--workdir={workdir}", f"--compilation_cache={own_cache}")
    assert done.returncode == 0, done.stderr
    return done


def test_json_is_one_object_without_nan_with_a_row_per_target_and_config(quick):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    report = json.loads(quick.stdout, parse_constant=refuse)
    assert [(row["target"], row["preset"], row["r1"]) for row in report["rows"]] == [
        ("bimodal", "textbook", None), ("bimodal", "textbook", 0.1),
    ]  # fmt: skip
    for row in report["rows"]:
        assert row["num_seeds"] == 3
        assert sum(verdict["count"] for verdict in row["verdicts"].values()) == 3
        assert set(row["at_equilibrium"]) == {"count", "share", "low", "high"}
        for name in ("loss_g", "loss_d", "w1_over_std", "w1_over_floor", "modes_covered"):
            assert set(row[name]) == {"median", "p05", "p95"}
    assert len(report["conclusions"]) == 1


def test_progress_is_on_stderr_and_names_no_missing_backend(quick):
    assert "6/6 runs" in quick.stderr
    assert "libtpu" not in quick.stderr


def test_workdir_holds_the_run(quick, workdir):
    with open(workdir / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["r1"]) for row in rows] == [(s, r) for r in ("", "0.1") for s in "012"]
    saved = jgen1d.load(workdir)
    assert saved.config["flags"]["num_steps"] == 40
    assert {"versions", "devices", "commit"} <= set(saved.config)
    assert saved.curves["loss_g"].shape == (1, 2, 3, 40)
    assert [run["verdict"] for run in saved.runs] == [row["verdict"] for row in rows]
    for name in ("verdicts", "losses", "distance", "modes"):
        assert (workdir / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(workdir.glob("run_*.png"))) == 2


def test_a_workdir_that_holds_something_is_not_overwritten_unasked(quick, workdir):
    before = (workdir / "summary.json").read_bytes()
    done = run("--quick", f"--workdir={workdir}")
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert (workdir / "summary.json").read_bytes() == before


def test_widths_and_depths_of_all_networks_are_axes_and_explain_tells_what_they_share():
    flags = ("--targets=uniform", "--preset=textbook", "--num_seeds=2", "--num_steps=4", "--workdir=")
    done = run(*flags, "--width=4,6", "--depth=1,2", "--format=json", "--explain")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    shapes = ["4", "4-4", "6", "6-6"]
    assert [(row["widths_g"], row["widths_d"]) for row in rows] == [(shape, shape) for shape in shapes]
    assert "4 variants of networks and losses in " in done.stderr
    assert "program 1: " in done.stderr


# --- the compilation cache ----------------------------------------------------------------------------------------


def programs(folder):
    return sorted(path.name for path in (folder / compiled.kind()).iterdir())


def test_the_same_run_again_compiles_nothing_and_ends_with_the_same_bits(quick, workdir, own_cache, tmp_path):
    folder = own_cache
    assert folder.stat().st_mode & 0o777 == 0o700
    before = programs(folder)
    assert any(name.startswith("jit_one_lane-") for name in before)
    again = run(*QUICK, f"--workdir={tmp_path}", f"--compilation_cache={folder}")
    assert again.returncode == 0, again.stderr
    assert programs(folder) == before
    assert results(tmp_path) == results(workdir)


def test_compiled_programs_are_kept_where_the_flag_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "of" / "programs"
    done = run("--num_steps=1", "--workdir=", f"--compilation_cache={folder}", script="dirac_gan.py")
    assert done.returncode == 0, done.stderr
    assert folder.stat().st_mode & 0o777 == 0o700
    assert programs(folder)
    assert not (tmp_path / "home" / "jgen1d").exists()


@pytest.fixture
def configured():
    """JAX as a script finds it, without a folder for programs; puts its configuration back."""
    before = dict(jax.config.values)
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        if jax.config.values[name] != value:
            jax.config.update(name, value)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [(None, "home/jgen1d"), ("~/mine", "user/mine"), ("", None)],
    ids=["default", "given", "empty"],
)
def test_the_flag_sets_the_folder_or_none(tmp_path, monkeypatch, configured, flag, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    app.keep_compiled(flag)
    assert jax.config.values["jax_compilation_cache_dir"] == (expected and str(tmp_path / expected / compiled.kind()))
    assert [path.name for path in tmp_path.iterdir()] == ([] if expected is None else [expected.partition("/")[0]])


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_programs_that_others_could_have_written_are_not_run(tmp_path, monkeypatch, configured, capsys, mode):
    folder = tmp_path / "jgen1d"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    app.keep_compiled(None)
    assert capsys.readouterr().err == f"no programs are kept: '{folder}' cannot be used: others can write to it\n"
    with pytest.raises(ValueError, match=r"^--compilation_cache: ") as info:
        app.keep_compiled(str(folder))
    assert str(info.value) == f"--compilation_cache: '{folder}' cannot be used: others can write to it"
    assert jax.config.values["jax_compilation_cache_dir"] is None


def test_a_folder_that_cannot_be_made_is_refused_only_where_it_was_asked_for(tmp_path, monkeypatch, capsys):
    (tmp_path / "jgen1d").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    app.keep_compiled(None)
    assert capsys.readouterr().err == f"no programs are kept: '{tmp_path / 'jgen1d'}' cannot be used: File exists\n"
    with pytest.raises(ValueError, match=r"^--compilation_cache: '.*' cannot be used: File exists$"):
        app.keep_compiled(str(tmp_path / "jgen1d"))


def test_a_call_from_python_keeps_programs(tmp_path, configured):
    jgen1d.keep_compiled(tmp_path / "mine")
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "mine" / compiled.kind())
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"^'.*/file' cannot be used: File exists$"):
        jgen1d.keep_compiled(tmp_path / "file")
    with pytest.raises(ValueError, match="has no name"):
        jgen1d.keep_compiled("")


def test_importing_the_library_keeps_no_programs_and_is_quick():
    code = (
        "import sys, jgen1d, jax; assert jax.config.jax_compilation_cache_dir is None\n"
        "assert not {'scipy.stats', 'matplotlib', 'orbax', 'orbax.checkpoint'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- one's own numbers --------------------------------------------------------------------------------------------


def test_a_column_of_numbers_is_a_target(tmp_path):
    path = tmp_path / "geyser.csv"
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(54, 6, 90), rng.normal(80, 6, 180)])
    path.write_text("minutes,waiting\n" + "".join(f"1.0,{value:.0f}\n" for value in values))
    flags = ("--num_seeds=2", "--num_steps=20", "--widths_g=6", "--widths_d=6", "--preset=textbook", "--workdir=")
    done = run(f"--data={path}", "--column=waiting", *flags, "--format=csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(done.stdout.splitlines())
    assert row["target"] == "waiting"
    assert 0 < float(row["w1_over_std.median"]) < 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["geyser.csv"]


def test_two_columns_are_points_in_the_plane(tmp_path):
    path, rng = tmp_path / "people.csv", np.random.default_rng(0)
    height = rng.normal(170, 10, 300)
    lines = [f"{h:.2f},x,{0.005 * h + e:.4f}" for h, e in zip(height, rng.normal(0, 0.05, 300), strict=True)]
    path.write_text("\n".join(["height,who,weight", *lines, "180.5,x,NA"]))
    flags = ("--num_seeds=2", "--num_steps=20", "--method=gaussian", "--workdir=run", "--format=json")
    done = run(f"--data={path}", "--columns=height,weight", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "row 302, column 'weight': 'NA'" in done.stderr
    assert "; --missing=drop leaves such rows out" in done.stderr
    done = run(f"--data={path}", "--columns=height,weight", "--missing=drop", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["target"] == "height, weight"
    assert 0 < row["w1_over_std"]["median"] < 0.1
    assert "1 row with a missing value dropped of 301" in done.stderr
    assert {path.name for path in (tmp_path / "run").glob("*.png")} >= {"verdicts.png", "distance.png"}
    done = run(f"--data={path}", "--columns=height,weight", "--column=0", *flags, cwd=tmp_path)
    assert "--column=0 and --columns=height,weight: one of them, not both" in done.stderr


def test_what_was_taken_from_a_file_is_said_and_kept(tmp_path):
    path = tmp_path / "waits.csv"
    path.write_text("Tag;Dauer\n;min\n1;54,5\n2;NA\n3;62,25\n4;71\n", encoding="utf-16")
    flags = ("--num_seeds=1", "--num_steps=5", "--widths_g=6", "--widths_d=6", "--preset=textbook", "--workdir=run")
    done = run(f"--data={path}", "--column=Dauer", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "row 4, column 'Dauer': 'NA'" in done.stderr
    assert "; --missing=drop leaves such rows out" in done.stderr  # the flag, not the library's argument
    done = run(f"--data={path}", "--column=Dauer", "--missing=drop", "--format=json", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    notes = [
        "separator ';', decimal comma, UTF-16", "row 2 ';min' taken as units", "1 row with a missing value dropped of 4"
    ]  # fmt: skip
    assert done.stderr.splitlines()[:3] == [f"{path}: {note}" for note in notes]
    assert json.loads(done.stdout)["rows"][0]["target"] == "Dauer"
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["data"][:3], config["flags"]["missing"]) == (notes, "drop")
    assert any("3 rows are few" in note for note in config["data"][3:])


WRONG = {
    "--lerning_rate_g=1": "unknown flag --lerning_rate_g; did you mean --learning_rate_g?",
    "--num_seeds=abc": "flag --num_seeds=abc: must be an integer",
    "--checkpoint_minutes=soon": "flag --checkpoint_minutes=soon: must be a number",
    "--num_seeds=0": "--num_seeds=0",
    "--targets=bimodl": "no target 'bimodl'; did you mean 'bimodal'?",
    "--targets=": "--targets",
    "--preset=robst": "no preset 'robst'; did you mean 'robust'?",
    "--method=gann": "no method 'gann'; did you mean 'gan'?",
    "--data=missing.csv": "missing.csv",
    "--column=x": "--column is for the file in --data, which is not set",
    "--columns=x,y": "--columns is for the file in --data, which is not set",
    "--missing=drop": "--missing is for the file in --data, which is not set",
    "--skip_rows=-1": "--skip_rows=-1",
    "--decimal=;": "--decimal=;",
    "--learning_rate_g=1e-3,fast": "--learning_rate_g=fast: must be a number",
    "--learning_rate_g=-1": "--learning_rate_g=-1.0: must be at least 0",
    "--widths_g=15x15": "--widths_g=15x15: must be widths such as 32-32",
    "--discriminator_loss=hing": "did you mean 'hinge'?",
    "--discriminator_loss=hinge": "does not go with",
    "--width=x": "--width=x: must be integers, separated by commas",
    "--width=0": "--width=0: must be an integer of at least 1",
    "--depth=1,0": "--depth=0: must be an integer of at least 1",
    "--matmul_precision=foo": "--matmul_precision=foo: value should be one of <highest|high|default>",
    "--executor=proceses:2": "--executor=proceses:2: none is called 'proceses'; did you mean 'processes'?",
    "--slurm_time=5": "--slurm_time: is for executor='slurm:PARTITION'",
    "--format=xml": "--format=xml",
    "--table=some": "--table=some: value should be one of <fit|all>",
    "--workdir=README.md": "is a file",
    "extra": "unexpected argument 'extra'",
}


def test_wrong_input_is_one_line_and_nothing_written(tmp_path):
    (tmp_path / "README.md").write_text("x")
    # Two at a time: each is mostly the start of Python and JAX.
    waiting = list(WRONG.items())
    while waiting:
        batch, waiting = waiting[:2], waiting[2:]
        running = [(start(flag, cwd=tmp_path), flag, expected) for flag, expected in batch]
        for process, flag, expected in running:
            done = finish(process)
            assert done.returncode == 2, (flag, done.stderr)
            assert done.stderr.count("\n") == 1, done.stderr
            assert expected in done.stderr
            assert "Traceback" not in done.stderr
            assert done.stdout == ""
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]


def test_help_is_the_docstring_and_every_flag():
    done = run("--help")
    assert done.returncode == 0
    for text in ("In how many seeds", "--num_seeds", "--learning_rate_g", "--widths_d", "--compilation_cache"):
        assert text in done.stdout
    assert "--quick: --num_seeds=4, --num_steps=200, --targets=normal,bimodal, unless given" in _one_line(done.stdout)
    assert "--activation: " in done.stdout
    assert "--network_d: the discriminator; one of mlp, conv" in _one_line(done.stdout)
    assert "own Net" not in done.stdout  # the user's own network is no text
    groups = dict(re.findall(r"^(\w+) flags:\n((?:  .*\n?)+)", done.stdout, re.MULTILINE))
    assert list(groups) == ["Run", "Data", "Method", "Output"]
    of_group = {"Run": "num_steps", "Data": "columns", "Method": "r1", "Output": "workdir"}
    for group, name in of_group.items():
        assert [one for one, text in groups.items() if f"--{name}:" in text] == [group]
    usage = done.stdout[done.stdout.index("Run flags:") :]
    assert max(map(len, usage.splitlines())) <= 80


def _one_line(text):
    return " ".join(text.split())


def test_only_cli_and_scripts_know_flags():
    package = EXPERIMENTS.parent / "jgen1d"
    imports = re.compile(r"^from absl import .*\bflags\b", re.MULTILINE)
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if imports.search(path.read_text())}
    scripts = {"cli/compare.py", "cli/convergence.py", "playground/__main__.py"}
    cli = ("app", "data_flags", "executed", "flags", "help", "output")
    assert found == {*(f"cli/{name}.py" for name in cli), *scripts}


@pytest.mark.parametrize(
    ("method", "flag", "message"),
    [
        (
            "gan",
            "preset",
            "--preset: gan has no preset 'robst'; did you mean 'robust'? (there are: regularized, robust, ",
        ),
        (
            "gan",
            "presets",
            "--presets: gan has no preset 'robst'; did you mean 'robust'? (there are: regularized, robust, ",
        ),
        ("gmm", "preset", "--preset: gmm has no preset 'robst' (there are: default)"),
    ],
)
def test_an_unknown_preset_has_one_error(method, flag, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}"):
        cli.preset(jgen1d.METHODS[method], "robst", flag)


@pytest.mark.parametrize(("page", "source"), readme.blocks())
def test_python_in_the_readme_and_the_documentation_runs(page, source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(source, page, "exec"), {"__name__": "readme"})
    if (promised := readme.promised(source)) is not None:
        assert capsys.readouterr().out == promised
        assert (tmp_path / "run.png").stat().st_size > 10_000


def test_the_readme_is_short_and_promises_something():
    text = (readme.ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 800
    assert sum(readme.promised(source) is not None for _, source in readme.blocks()) == 1


def test_links_between_pages_lead_somewhere():
    for page in [*readme.PAGES, readme.ROOT / "CONTRIBUTING.md", readme.ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_compare_has_a_row_for_every_target_and_family(tmp_path):
    flags = ("--methods=gmm,gan", "--targets=normal", "--num_seeds=2", "--budget=4e4evaluations")
    done = run(*flags, "--format=json", f"--workdir={tmp_path}", script="compare.py")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    rows = {row["method"]: row for row in report["rows"]}
    assert rows["gmm"]["steps"] == 150  # of 156 that 4e4/256 allow, in whole fiftieths
    assert rows["gan"]["steps"] == 39  # four evaluations for each row
    assert rows["gmm"]["kl"]["median"] >= 0 or rows["gmm"]["kl"]["median"] == pytest.approx(0, abs=1e-4)
    assert rows["gan"]["kl"] is None
    assert rows["gmm"]["train_s"] > 0
    assert report["conclusions"][0].startswith("normal: as near as a perfect sampler are ")
    assert (tmp_path / "densities.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "summary.json").read_text())["rows"] == report["rows"]
    assert jgen1d.load(tmp_path / "gan-normal").curves["loss_g"].shape == (1, 1, 2, 39)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--budget=5000", "--budget=5000: must be a number of steps, evaluations or s"),
        ("--budget=0s", "--budget=0s: must be"),
        ("--methods=gans", "--methods: no method 'gans'; did you mean 'gan'?"),
        ("--targets=nrmal", "--targets: no target 'nrmal'; did you mean 'normal'?"),
    ],
)
def test_compare_refuses_in_one_line(flag, message, tmp_path):
    done = run(flag, f"--workdir={tmp_path / 'new'}", script="compare.py")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_recipe_is_chosen_on_few_seeds_and_confirmed_on_others(tmp_path):
    done = run("--quick", "--format=json", f"--workdir={tmp_path}", script="recipe.py")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    first, second, final = report["rows"]
    assert [(row["stage"], row["num_seeds"]) for row in report["rows"]] == [("1", 2), ("1", 2), ("2", 2)]
    assert {first["recipe"], second["recipe"]} == {"robust", "regularized"}
    assert report["conclusions"][0].startswith(f"{final['recipe']} is the best of 2 recipes")


def test_stability_is_told_for_every_length_and_rate(tmp_path):
    done = run("--quick", "--targets=bimodal,few_rows", "--format=json", f"--workdir={tmp_path}", script="stability.py")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    runs = ["20 steps", "rates × 0.5", "40 steps"]
    assert [(row["target"], row["run"]) for row in report["rows"]] == [
        (target, run) for target in ("bimodal", "few_rows") for run in runs
    ]
    assert [sentence.split(":")[0] for sentence in report["conclusions"]] == runs
    done = run("--factors=0.5,-2", script="stability.py")
    assert (done.returncode, done.stderr) == (2, "stability.py: --factors=0.5,-2: must be numbers above 0\n")


def test_columns_are_trained_as_they_are_and_treated():
    done = run("--quick", "--format=json", "--workdir=", script="columns.py")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [(row["target"], row["method"]) for row in rows] == [("outliers", "gaussian"), ("integers", "gaussian")]
    for row in rows:
        assert row["ks_treated"] < row["ks_plain"]
        assert row["ks_floor"] < 0.02


def test_trajectories_are_drawn_and_animated(tmp_path):
    # Afresh, and so optimised: it runs for longer than it compiles.
    flags = ("--quick", "--num_seeds=1", "--num_steps=10", "--target=normal", "--format=json")
    done = run(*flags, f"--workdir={tmp_path}", script="trajectories.py", afresh=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["method"] for row in report["rows"]] == ["diffusion", "flow_matching"]
    assert all(0 < row["at_the_end"]["median"] < 1 for row in report["rows"])
    assert (tmp_path / "trajectories.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "trajectories.gif").read_bytes().startswith(b"GIF8")
