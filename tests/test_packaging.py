"""What users install: the wheel in an empty folder, its command without a checkout, and types that mypy checks."""

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import zipfile

import pytest

import jgen1d
from jgen1d.cli import console
from tests import scripts
from tests.conftest import CACHE

pytest.importorskip("hatchling", reason="it builds the wheel")
PROJECT = tomllib.loads((scripts.ROOT / "pyproject.toml").read_text())["project"]
USER = """
import jax

import jgen1d
from jgen1d.methods import gan

config = gan.Config(r1=0.1, widths_g=(8,))
result = jgen1d.fit(jax.random.key(0), gan, "bimodal", config, num_steps=20)
real: jax.Array = jgen1d.TARGETS["normal"].sample(jax.random.key(1), 10)
sweep = jgen1d.sweep("gan", ["bimodal"], jgen1d.grid(config, r1=[0.0, 0.1]), seeds=range(2), num_steps=20)
jgen1d.save("runs/model", result)
again: jgen1d.Result = jgen1d.load("runs/model")
print(sweep.table(), result.verdict, again.metrics["w1"], jgen1d.__version__, [row["seed"] for row in sweep.rows()])
figures = {"run": result.plot()} | sweep.plot()
"""
WRONG = """
import jgen1d
from jgen1d.methods import gan

gan.Config(learnin_rate=0.1)
gan.Config(r1="much")
jgen1d.fit(0, gan, "bimodal", gan.Config(), 20).verdicts
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=scripts.ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel in an empty folder of some project, and an environment in which Python finds it first."""
    project = tmp_path_factory.mktemp("project")
    folder = project / "site"
    identity = ["-c", "user.name=name", "-c", "user.email=email"]
    for command in (["init", "--quiet"], [*identity, "commit", "--quiet", "--allow-empty", "--message=first"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, f"--target={folder}", wheel], check=True)
    return folder, scripts.environment() | {"PYTHONPATH": str(folder)}


def test_the_wheel_holds_the_package_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    package = scripts.ROOT / "jgen1d"
    files = {f"jgen1d/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    assert held == {name for name in files if "__pycache__" not in name}
    assert {"jgen1d/py.typed", "jgen1d/playground/static/index.html"} <= held


def test_the_source_distribution_holds_what_a_checkout_does(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=scripts.ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("this is no checkout")
    assert set(tracked.stdout.split()) <= held
    assert not [name for name in held if name.startswith((".venv", ".cache", "runs"))]


def test_the_installed_command_runs_without_a_checkout(installed, tmp_path):
    folder, env = installed
    command = str(folder / "bin" / "jgen1d")
    version = subprocess.Popen([command, "--version"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    quick = ("--targets=uniform", "--num_seeds=2", "--num_steps=2", "--format=json")
    done = subprocess.run(
        [command, "convergence", "--method=gaussian", "--workdir=run", *quick],
        cwd=tmp_path,
        env=env,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["num_seeds"] == 2
    config = jgen1d.load(tmp_path / "run").config
    assert config["versions"]["jgen1d"] == PROJECT["version"]
    assert config["commit"] is None  # the project's that it is installed into is not the library's
    assert (tmp_path / "run" / "verdicts.png").exists()
    command = json.loads((tmp_path / "run" / "report.json").read_text())["command"]
    assert command.startswith("jgen1d convergence --method=gaussian ")  # as the page says that it is run again
    assert version.communicate() == (f"jgen1d {PROJECT['version']}\n", None)


def test_the_installed_command_compares_and_serves(installed, tmp_path):
    pytest.importorskip("starlette", reason='needs the extra "playground"')
    folder, env = installed
    command = str(folder / "bin" / "jgen1d")
    page = subprocess.Popen(
        [command, "playground", "--port=0"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        quick = ("--methods=gaussian", "--targets=uniform", "--num_seeds=2", "--budget=2steps", "--workdir=")
        done = subprocess.run([command, "compare", *quick], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "gaussian" in done.stdout
        address = next(line for line in page.stdout if "http://" in line).split()[-1]
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == (folder / "jgen1d/playground/static/index.html").read_bytes()
    finally:
        page.kill()
        page.communicate()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_command_alone_lists_what_there_is(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jgen1d", *arguments])
    console.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [["jgen1d", name] for name in console.COMMANDS]
    assert all(len(line.split()) > 8 and line.isprintable() for line in lines[2:])


def test_a_wrong_command_is_refused_with_the_nearest(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/bin/jgen1d", "convergance", "--quick"])
    with pytest.raises(SystemExit) as ended:
        console.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert err.startswith("jgen1d: no command 'convergance'; did you mean 'convergence'?")
    assert err.count("\n") == 1


def test_the_command_makes_a_report(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["jgen1d", "report", str(tmp_path / "missing")])
    with pytest.raises(SystemExit) as ended:
        console.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"jgen1d report: '{tmp_path / 'missing'}' is not a folder\n"
    monkeypatch.setattr(sys, "argv", ["jgen1d", "report"])
    with pytest.raises(SystemExit) as ended:
        console.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "jgen1d report: the following arguments are required: workdir\n"


def test_there_is_one_version():
    assert jgen1d.__version__ == PROJECT["version"]
    citation = (scripts.ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {PROJECT['version']}\n" in citation


def test_mypy_takes_right_code_and_finds_wrong_names(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "wrong.py").write_text(WRONG)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={CACHE / 'mypy'}"]
    env = os.environ | {"MYPYPATH": str(scripts.ROOT)}
    done = subprocess.run([*mypy, "user.py", "wrong.py"], cwd=tmp_path, env=env, capture_output=True, text=True)
    *found, summary = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in found] == ["wrong.py:5", "wrong.py:6", "wrong.py:7"], done.stdout
    assert 'Unexpected keyword argument "learnin_rate" for "Config"; did you mean "learning_rate_d"' in found[0]
    assert summary.startswith("Found 3 errors in 1 file (checked 2 source files)")
