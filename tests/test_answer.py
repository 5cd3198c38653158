"""What comes after the training: results first, then each picture for itself, and what fails is said in one line."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import types

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d import cli
from jgen1d.cli import app, output
from jgen1d.engine import blocks
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.plots import settings as charts
from jgen1d.report import conclusions
from jgen1d.report import workdir as results
from tests import scripts, toys
from tests.damage import DAMAGES, within

FILES = ("config.json", "summary.json", "runs.csv", "curves.npz")
REPORT = ("report.html", "report.json")


def train(checkpoints=None):
    return jgen1d.sweep(
        toys.METHOD, [jgen1d.TARGETS["normal"]], [toys.Config()], range(2), 4,
        batch_size=8, num_samples=100, devices=jax.local_devices()[:1], checkpoints=checkpoints,
    )  # fmt: skip


@pytest.fixture(scope="module")
def done():
    return train()


@pytest.fixture
def form(monkeypatch):
    """The flags that an answer reads; --format may be changed."""
    defaults = {"format": "text", "explain": False, "open": False, "table": None}
    values = {name: types.SimpleNamespace(value=value) for name, value in defaults.items()}
    monkeypatch.setattr(output, "flags", types.SimpleNamespace(FLAGS=values))
    monkeypatch.setattr(output, "flag_values", dict)
    return values["format"]


@pytest.fixture(autouse=True)
def spare(tmp_path_factory, monkeypatch):
    """Where temporary folders are made."""
    folder = tmp_path_factory.mktemp("spare")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def draw():
    return charts.lines(x=[0, 1], curves={"a": [0, 1]}, xlabel="x", ylabel="y", title="")


def answer(done, workdir, figures=None, **options):
    found = done.table()
    figures = {"one": draw, "two": draw} if figures is None else figures
    cli.answer(workdir, found, conclusions.of_sweep(found), figures, sweep=done, **options)


# --- pictures -----------------------------------------------------------------------------------------------------


def formula():
    figure = draw()
    figure.text(0, 0, r"$\frac{$")
    return figure


def raising(error):
    def fail():
        raise error

    return fail


ERRORS = {
    "mathtext": formula,
    "shapes": lambda: charts.lines(x=[0, 1], curves={"a": [0, 1, 2]}, xlabel="", ylabel="", title=""),
    "ours": raising(ValueError("of two\nlines \x1b[31m")),
    "key": raising(KeyError("x")),
    "memory": raising(MemoryError()),
    "recursion": raising(RecursionError()),
    "import": raising(ImportError("no backend")),
    "jax": raising(jax.errors.JaxRuntimeError("INTERNAL: of the device")),
    "disk": raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "nothing": lambda: None,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_picture_that_fails_is_a_line_that_names_it_and_the_others_are_drawn(done, tmp_path, form, capsys, kind):
    folder = tmp_path / "run"
    answer(done, folder, {"one": draw, "bad": ERRORS[kind], "two": draw}, animations={"gif": ERRORS[kind]})
    out, err = capsys.readouterr()
    assert str(done.table()) in out
    first, second, last = err.splitlines()
    assert first.startswith("picture bad.png is missing: ")
    assert second.startswith("picture gif.gif is missing: ")
    assert last == f"written to {folder}; the same command with --workdir={folder} --overwrite draws what is missing"
    assert first.isprintable()
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, *REPORT, "one.png", "two.png"])
    assert jgen1d.load(folder).curves["loss"].shape == (1, 1, 2, 4)


def test_results_are_there_before_the_first_picture_is_drawn(done, tmp_path, form, capsys):
    seen = []

    def look():
        seen.append((capsys.readouterr().out, sorted(path.name for path in tmp_path.iterdir())))
        return draw()

    answer(done, tmp_path, {"one": look})
    ((out, there),) = seen
    assert str(done.table()) in out
    assert there == sorted(FILES)


def test_a_disk_that_is_full_by_then_costs_the_pictures_alone(done, small_disk, fill, form, capsys):
    folder = small_disk / "run"

    def full():
        fill(0)
        return draw()

    answer(done, folder, {"one": full, "two": draw})
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert (
        "picture one.png is missing: No space left on device\npicture two.png is missing: " in capsys.readouterr().err
    )
    jgen1d.load(folder)


def test_a_workdir_that_is_read_only_by_then_costs_the_pictures_alone(done, small_disk, form, capsys):
    def shut():
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        return draw()

    answer(done, small_disk / "run", {"one": shut, "two": draw})
    assert "picture one.png is missing: Read-only file system\n" in capsys.readouterr().err
    jgen1d.load(small_disk / "run")


def test_an_interrupt_among_the_pictures_says_that_the_results_are_there(done, tmp_path, form):
    with pytest.raises(KeyboardInterrupt) as info:
        answer(done, tmp_path, {"one": raising(KeyboardInterrupt())})
    assert info.value.__notes__ == [f"the results are written to {str(tmp_path)!r}, but not all pictures"]
    jgen1d.load(tmp_path)


def test_a_picture_s_name_does_not_leave_the_workdir(done, tmp_path, form):
    answer(done, tmp_path / "run", {"../../up": draw, "x" * 300: draw})
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert len(list((tmp_path / "run").iterdir())) == len(FILES) + len(REPORT) + 2


# --- results ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
def test_a_file_that_cannot_be_written_is_named_and_the_others_are_written(
    done, tmp_path, form, monkeypatch, capsys, name, number
):
    real = results.files.write

    def write(path, content):
        if path.name == name:
            raise OSError(number, os.strerror(number), str(path))
        real(path, content)

    monkeypatch.setattr(results.files, "write", write)
    with pytest.raises(OSError, match=r"^cannot write") as info:
        answer(done, tmp_path)
    again = f"the same command with --workdir={tmp_path} --overwrite runs it again"
    assert info.value.__notes__ == [again]
    others = [other for other in FILES if other != name]
    reason = os.strerror(number)
    assert str(info.value) == f"cannot write {name} in {str(tmp_path)!r}: {reason}; written: {', '.join(others)}"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    assert str(done.table()) in capsys.readouterr().out


def test_results_that_the_workdir_does_not_take_are_kept_elsewhere_and_named(done, tmp_path, spare, form, capsys):
    (tmp_path / "run").write_text("a file in its place")
    with pytest.raises(OSError, match=r"^cannot write config.json") as info:
        answer(done, tmp_path / "run")
    (kept,) = spare.iterdir()
    assert info.value.__notes__ == [f"all are in {str(kept)!r} instead"]
    assert kept.stat().st_mode & 0o077 == 0
    answer(done, tmp_path / "other")
    for name in FILES:
        assert (kept / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    with pytest.raises(OSError, match=r"^cannot write") as info:
        cli.save(tmp_path / "run", done)
    (other,) = set(spare.iterdir()) - {kept}
    assert info.value.__notes__ == [f"all are in {str(other)!r} instead"]
    assert (other / "runs.csv").read_bytes() == (kept / "runs.csv").read_bytes()


def test_a_table_that_is_no_sweep_is_kept_elsewhere_too(done, tmp_path, spare, form):
    (tmp_path / "run").write_text("a file in its place")
    with pytest.raises(OSError, match=r"^cannot write config.json, summary.json") as info:
        cli.answer(tmp_path / "run", done.table(), ["a sentence"], {})
    (kept,) = spare.iterdir()
    assert info.value.__notes__ == [f"all are in {str(kept)!r} instead"]
    assert json.loads((kept / "summary.json").read_text())["conclusions"] == ["a sentence"]


def test_where_no_folder_takes_them_nothing_is_promised(done, tmp_path, spare, form):
    (tmp_path / "run").write_text("a file in its place")
    spare.rmdir()
    with pytest.raises(OSError, match=r"^cannot write") as info:
        answer(done, tmp_path / "run")
    assert info.value.__notes__ == [f"the same command with --workdir={tmp_path / 'run'} --overwrite runs it again"]


def test_a_bug_in_what_is_written_costs_no_table(done, tmp_path, form, capsys):
    with pytest.raises(TypeError):
        answer(done, tmp_path, odd=object())
    assert str(done.table()) in capsys.readouterr().out


@pytest.mark.parametrize("free", [0, 4, 8, 12])
def test_on_a_full_disk_no_file_is_half_and_what_was_there_stays(done, small_disk, fill, form, capsys, free):
    answer(done, small_disk)
    before = {name: (small_disk / name).read_bytes() for name in FILES}
    fill(1024 * free)
    with contextlib.suppress(OSError):
        answer(done, small_disk)
    assert {name: (small_disk / name).read_bytes() for name in FILES} == before
    jgen1d.load(small_disk)
    assert str(done.table()) in capsys.readouterr().out


def test_a_workdir_that_was_removed_is_made_again(done, tmp_path, form):
    def gone():
        shutil.rmtree(tmp_path / "a")
        return draw()

    answer(done, tmp_path / "a" / "run", {"one": draw, "two": gone})
    assert sorted(path.name for path in (tmp_path / "a" / "run").iterdir()) == ["report.json", "two.png"]


@pytest.mark.parametrize("damage", ["empty", "named pipe", "symlink loop", "dangling symlink", "socket"])
def test_a_workdir_that_has_become_something_else_leaves_the_table(done, tmp_path, form, capsys, damage):
    path = tmp_path / "run"
    path.write_text("")
    DAMAGES[damage](path)
    with within(20), pytest.raises(OSError, match=r"^cannot write config.json, .*; written: nothing") as info:
        answer(done, path)
    assert "\n" not in str(info.value)
    assert str(done.table()) in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage", ["empty", "named pipe", "symlink loop", "dangling symlink", "socket", "endless device"]
)
@pytest.mark.parametrize("name", ["runs.csv", "one.png", "summary.json.saving"])
def test_what_is_in_a_file_s_place_is_replaced(done, tmp_path, form, name, damage):
    (tmp_path / name).write_text("")
    DAMAGES[damage](tmp_path / name)
    with within(20):
        answer(done, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, *REPORT, "one.png", "two.png"}
    assert all(path.is_file() and not path.is_symlink() for path in tmp_path.iterdir())
    jgen1d.load(tmp_path)


@pytest.mark.parametrize("kind", ["text", "json", "csv"])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "No space left on device")], ids=repr)
def test_where_nothing_can_be_printed_all_is_written(done, tmp_path, form, monkeypatch, kind, error):
    class Shut:
        def write(self, _):
            raise error

        def flush(self):
            pass

        def isatty(self):
            return False

    form.value = kind
    monkeypatch.setattr(sys, "stdout", Shut())
    with pytest.raises(type(error)):
        answer(done, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, *REPORT, "one.png", "two.png"}


# --- the progress of what is computed -----------------------------------------------------------------------------


def train_and(then, folder):
    with Checkpoints(folder, {}) as checkpoints:
        train(checkpoints)
        then()


@pytest.fixture
def trained(monkeypatch):
    """The blocks that were trained since."""
    calls, real = [], blocks.run_block

    def count(*args, **options):
        calls.append(None)
        return real(*args, **options)

    monkeypatch.setattr(blocks, "run_block", count)
    return calls


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), KeyboardInterrupt(), SystemExit(3), OSError(28, "full")], ids=repr
)
def test_whatever_fails_after_the_training_the_next_run_goes_on_from_its_end(tmp_path, trained, done, error):
    folder = tmp_path / "progress"
    with pytest.raises(type(error)) as info:
        train_and(raising(error), folder)
    assert info.value.__notes__ == [f"the progress is saved in {str(folder)!r}: the same command goes on from there"]
    assert trained
    trained.clear()
    with Checkpoints(folder, {}) as checkpoints:
        again = train(checkpoints)
        checkpoints.clear()
    assert not trained
    for name, values in done.metrics.items():
        np.testing.assert_array_equal(again.metrics[name], values)
    assert not folder.exists()


def test_where_the_progress_cannot_be_saved_nothing_is_promised(small_disk, fill):
    with pytest.raises(OSError, match="No space left") as info:
        train_and(lambda: (fill(0), (small_disk / "x").write_bytes(bytes(9_000))), small_disk / "progress")
    assert not hasattr(info.value, "__notes__")


def test_results_that_cannot_be_written_are_those_of_the_next_run(tmp_path, form, trained):
    workdir, folder = tmp_path / "run", tmp_path / "progress"
    workdir.write_text("in the way")
    with pytest.raises(OSError, match=r"written: nothing") as info, Checkpoints(folder, {}) as checkpoints:
        answer(train(checkpoints), workdir, checkpoints=checkpoints)
    assert info.value.__notes__ == [f"the progress is saved in {str(folder)!r}: the same command goes on from there"]
    workdir.unlink()
    with Checkpoints(folder, {}) as checkpoints:
        answer(train(checkpoints), workdir, checkpoints=checkpoints)
    assert len(trained) == 1
    assert {path.name for path in workdir.iterdir()} == {*FILES, *REPORT, "one.png", "two.png"}
    assert not folder.exists()


def test_progress_goes_once_all_is_drawn_and_stays_for_what_is_missing(tmp_path, form, capsys, trained):
    folder = tmp_path / "progress"
    for figures, rest in [({"bad": ERRORS["ours"]}, "; the same command draws what is missing"), ({"bad": draw}, "")]:
        with Checkpoints(folder, {}) as checkpoints:
            answer(train(checkpoints), tmp_path, figures, checkpoints=checkpoints)
        assert capsys.readouterr().err.endswith(f"written to {tmp_path}{rest}\n")
        assert folder.exists() == bool(rest)
    assert len(trained) == 1
    assert (tmp_path / "bad.png").exists()


# --- as scripts ---------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_during_the_run_costs_no_table(small_disk, fill, spare, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(spare))
    workdir = small_disk / "run"
    process = scripts.start(*scripts.SMALL_RUN, "--format=json", f"--workdir={workdir}")
    scripts.wait([process], (workdir / "progress" / "identity.json").exists)
    fill(0)
    done = scripts.finish(process)
    assert done.returncode == 1
    assert json.loads(done.stdout)["rows"][0]["target"] == "uniform"
    *_, last = done.stderr.splitlines()
    names = "config.json, summary.json, runs.csv, curves.npz"
    (kept,) = spare.iterdir()
    jgen1d.load(kept)
    assert last == (
        f"convergence.py: cannot write {names} in '{workdir}': No space left on device; written: nothing; "
        f"all are in '{kept}' instead"
    )
    assert "Traceback" not in done.stderr


def test_a_workdir_that_is_removed_during_the_run_is_made_again(tmp_path, uninterrupted):
    workdir = tmp_path / "of" / "run"
    process = scripts.start(*scripts.SMALL_RUN, f"--workdir={workdir}")
    scripts.wait([process], (workdir / "progress" / "identity.json").exists)
    shutil.rmtree(tmp_path / "of")
    done = scripts.finish(process)
    assert done.returncode == 0, done.stderr
    assert scripts.results(workdir) == uninterrupted
    assert len(list(workdir.glob("*.png"))) == 4
    assert not (workdir / "progress").exists()


@pytest.mark.parametrize(("encoding", "out"), [("ascii", "full"), ("utf-8", "shut")])
def test_a_script_s_stdout_may_be_anything(tmp_path, encoding, out):
    """A pipe that nobody reads, a full disk, or an encoding without σ: the files are written all the same."""
    command = [sys.executable, str(scripts.EXPERIMENTS / "dirac_gan.py"), "--num_steps=1", f"--workdir={tmp_path}"]
    env = os.environ | {"PYTHONIOENCODING": encoding}
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE if out == "shut" else full, stderr=subprocess.PIPE, text=True, env=env
        )
        if process.stdout:
            process.stdout.close()
        err = process.stderr.read()
        code = process.wait()
    assert "Traceback" not in err
    assert "Exception" not in err
    assert (tmp_path / "dirac_gan.png").exists(), err
    if out == "full":
        assert (code, err.splitlines()[-1]) == (1, "dirac_gan.py: cannot print the results: No space left on device")
    else:
        assert code == 0, err


def test_an_error_and_its_notes_are_one_printable_line(capsys):
    error = OSError("cannot \x1b[31mwrite\nx")
    error.add_note("the rest\nis there")
    with pytest.raises(SystemExit):
        app.fail(app._said(error))
    assert capsys.readouterr().err.endswith(": cannot \\x1b[31mwrite x; the rest is there\n")
