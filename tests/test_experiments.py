"""The scripts as a user runs them: what they print, what they write, and how they refuse."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import jgen1d
from tests import readme

ROOT = pathlib.Path(__file__).parents[1]
SCRIPT = ROOT / "experiments" / "convergence.py"


def run(*flags, cwd=ROOT):
    return subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True, cwd=cwd, timeout=600)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def quick(workdir):
    flags = ("--quick", "--num_steps=40", "--widths_g=6", "--widths_d=6", "--r1=none,0.1", "--preset=textbook")
    done = run(*flags, "--targets=bimodal", "--num_seeds=3", "--format=json", f"--workdir={workdir}")
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


WRONG = {
    "--lerning_rate_g=1": "unknown flag --lerning_rate_g; did you mean --learning_rate_g?",
    "--num_seeds=abc": "--num_seeds=abc",
    "--num_seeds=0": "--num_seeds=0",
    "--targets=bimodl": "no target 'bimodl'; did you mean 'bimodal'?",
    "--targets=": "--targets",
    "--preset=robst": "no preset 'robst'; did you mean 'robust'?",
    "--method=gam": "no method 'gam'; did you mean 'gan'?",
    "--data=missing.csv": "missing.csv",
    "--column=x": "--data",
    "--learning_rate_g=1e-3,fast": "--learning_rate_g=fast: must be a number",
    "--learning_rate_g=-1": "--learning_rate_g=-1.0: must be at least 0",
    "--widths_g=15x15": "--widths_g=15x15: must be widths such as 32-32",
    "--discriminator_loss=hing": "did you mean 'hinge'?",
    "--discriminator_loss=hinge": "does not go with",
    "--format=xml": "--format=xml",
    "--workdir=README.md": "is a file",
    "extra": "unexpected argument 'extra'",
}


def test_wrong_input_is_one_line_and_nothing_written(tmp_path):
    (tmp_path / "README.md").write_text("x")
    # Two at a time: each is mostly the start of Python and JAX.
    waiting = list(WRONG.items())
    while waiting:
        batch, waiting = waiting[:2], waiting[2:]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
        running = [
            (subprocess.Popen([sys.executable, SCRIPT, flag], **pipe), flag, expected) for flag, expected in batch
        ]
        for process, flag, expected in running:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 2, (flag, err)
            assert err.count("\n") == 1, err
            assert expected in err
            assert "Traceback" not in err
            assert out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]


def test_help_is_the_docstring_and_every_flag():
    done = run("--help")
    assert done.returncode == 0
    for text in ("In how many seeds", "--num_seeds", "--learning_rate_g", "--widths_d"):
        assert text in done.stdout


@pytest.mark.parametrize("source", readme.blocks(), ids=lambda source: source.splitlines()[0][:40])
def test_python_in_the_readme_runs(source):
    exec(compile(source, "README.md", "exec"), {"__name__": "readme"})
