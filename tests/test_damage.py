"""Whatever a workdir's files have become: an earlier good checkpoint is used, or one clear line says what is wrong."""

import re
import shutil

import numpy as np
import pytest

from jgen1d.cli import output
from jgen1d.core import files
from jgen1d.engine.checkpoint import Checkpoints, saved_identity
from jgen1d.engine.identity import difference
from tests import scripts
from tests.damage import DAMAGES, within

IDENTITY = {"method": "gan", "seeds": [0, 1], "configs": [{"r1": 0.1}]}
SECONDS = 20
"""To notice any damage: on a loaded machine, where a pipe would wait for ever."""


def arrays(number):
    return {"number": np.array(number), "values": np.full(100, number / 7)}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder with two checkpoints, and a lock file as a killed process leaves it."""
    folder = tmp_path_factory.mktemp("good") / "progress"
    with Checkpoints(folder, IDENTITY) as checkpoints:
        checkpoints.save(arrays(1))
        checkpoints.save(arrays(2))
    assert (folder / "lock").exists()
    return folder


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "run" / "progress")


NEWEST = "checkpoint-000002"
WRITTEN = ("SHA256SUMS", "arrays.npz", "_CHECKPOINT_METADATA", "commit_success.txt")
PARTS = ("identity.json", "lock", NEWEST, *(f"{NEWEST}/{name}" for name in WRITTEN))


def test_the_parts_are_all_that_there_is(good):
    found = {str(path.relative_to(good)) for path in good.rglob("*") if path.is_file()}
    assert {name.replace("checkpoint-000001", NEWEST) for name in found} <= {*PARTS}


def resume(folder, **options):
    """What is restored; then saves, clears and says whether it could."""
    with within(SECONDS), Checkpoints(folder, IDENTITY, **options) as checkpoints:
        found = checkpoints.restore()
        checkpoints.save(arrays(3))
        assert checkpoints.restore()["number"] == 3
    return None if found is None else int(found["number"])


def check_said(text, folder):
    """It is one line that a terminal shows, and names the folder."""
    assert str(folder) in text
    assert text.isprintable()
    assert "Errno" not in text
    assert "--" not in text  # a flag's name has no place in the library


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_checkpoint_is_resumed_from_an_earlier_one_or_refused_in_one_line(folder, part, damage, capfd):
    path = folder / part
    if not path.exists():
        pytest.skip(f"this orbax writes no {path.name}")
    DAMAGES[damage](path)
    try:
        number = resume(folder)
    except ValueError as error:
        check_said(str(error), folder)
        assert part in ("identity.json", "lock")
        assert capfd.readouterr().err == ""
        if part == "identity.json":
            assert resume(folder, overwrite=True) is None
        return
    assert number == (2 if part in ("identity.json", "lock") or (path.exists() and damage == "unreadable") else 1)
    said = capfd.readouterr().err.splitlines()
    assert len(said) == (number == 1 and (part, damage) != (NEWEST, "missing"))
    for line in said:
        check_said(line, folder)
        assert line.endswith("; the one before it is used")


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_every_checkpoint_is_damaged_one_line_says_so_and_it_starts_afresh(folder, damage, capfd):
    for path in sorted(folder.glob("checkpoint-*")):
        DAMAGES[damage](path)
    if damage == "unreadable":
        return
    assert resume(folder) is None
    said = capfd.readouterr().err.splitlines()
    assert len(said) == (damage != "missing")
    for line in said:
        check_said(line, folder)
        assert re.search("2 checkpoints in .* are damaged.*there is no other, so this starts afresh", line)


@pytest.mark.parametrize("damage", ["named pipe", "folder", "crowded", "symlink loop", "socket", "empty"])
@pytest.mark.parametrize("name", ["identity.json.saving", "checkpoint-000003.saving", "checkpoint-000002.damaged"])
def test_what_is_in_the_way_of_a_save_does_not_stop_it(folder, name, damage, capfd):
    (folder / name).write_text("x")
    DAMAGES[damage](folder / name)
    (folder / NEWEST / "SHA256SUMS").unlink()
    assert resume(folder) == 1
    assert f"renamed to '{NEWEST}.damaged" in capfd.readouterr().err


def test_what_was_set_aside_before_stays(folder, capfd):
    for number in range(3):
        (folder / NEWEST / "SHA256SUMS").unlink(missing_ok=True)
        with Checkpoints(folder, IDENTITY) as checkpoints:
            assert checkpoints.restore()["number"] == 1
        name = f"{NEWEST}.damaged" + (f"-{number}" if number else "")
        assert f"renamed to '{name}'" in capfd.readouterr().err
        shutil.copytree(folder / name, folder / NEWEST)


def test_what_cannot_be_set_aside_is_passed_over(folder, monkeypatch, capfd):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    (folder / NEWEST / "SHA256SUMS").unlink()
    with Checkpoints(folder, IDENTITY) as checkpoints:
        monkeypatch.setattr("pathlib.Path.rename", refuse)
        assert checkpoints.restore()["number"] == 1
        monkeypatch.undo()
    assert "it cannot be renamed (Read-only file system); the one before it is used" in capfd.readouterr().err


@pytest.mark.parametrize("is_good", [False, True])
@pytest.mark.parametrize("numbers", [(999_999,), (999_998,), (999_998, 999_999), (0, 999_999), (999_999, 9_999_999)])
def test_checkpoints_of_any_number_leave_room_for_others(folder, numbers, is_good, capfd):
    for number in numbers:
        other = folder / f"checkpoint-{number:06d}"
        shutil.copytree(folder / NEWEST, other) if is_good else other.mkdir()
    for number in range(3, 9):
        with Checkpoints(folder, IDENTITY) as checkpoints:
            checkpoints.save(arrays(number))
        with Checkpoints(folder, IDENTITY) as checkpoints:
            assert checkpoints.restore()["number"] == number


def test_a_folder_that_is_removed_meanwhile_is_made_again(folder):
    with Checkpoints(folder, IDENTITY) as checkpoints:
        shutil.rmtree(folder.parent)
        checkpoints.save(arrays(7))
        assert saved_identity(folder) == IDENTITY
        with pytest.raises(ValueError, match="in use by process"):
            Checkpoints(folder, IDENTITY).__enter__()
    with Checkpoints(folder, IDENTITY) as checkpoints:
        assert checkpoints.restore()["number"] == 7


def test_a_folder_that_another_has_entered_meanwhile_is_left_to_it(folder):
    with Checkpoints(folder, IDENTITY) as checkpoints:
        shutil.rmtree(folder)
        with Checkpoints(folder, {"of": "another"}):
            with pytest.raises(OSError, match=r"in use by process .*; nothing was saved before"):
                checkpoints.save(arrays(7))
            assert saved_identity(folder) == {"of": "another"}


# --- what scripts say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["named pipe", "nested", "folder", "symlink loop", "empty", "endless device"])
def test_a_script_says_which_flags_to_change(folder, damage, tmp_path):
    DAMAGES[damage](folder / "identity.json")
    done = scripts.run("--quick", f"--workdir={folder.parent}", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"convergence.py: '{folder / 'identity.json'}' is damaged (")
    assert line.endswith("choose another workdir, or remove that one (--workdir, --overwrite)")


@pytest.mark.parametrize(
    "damage", ["named pipe", "symlink loop", "dangling symlink", "socket", "empty device", "empty"]
)
def test_a_workdir_that_is_no_folder_is_refused_before_the_training(tmp_path, damage):
    path = tmp_path / "run"
    path.write_text("")
    DAMAGES[damage](path)
    with within(SECONDS), pytest.raises(ValueError, match=r"^workdir '.*' is a file, not a folder$"):
        output.results.check(path)


# --- JSON ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [60, 500, 990, 5_000, 1_000_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
@pytest.mark.parametrize("is_closed", [False, True])
def test_deep_json_is_refused_whatever_holds_it(pair, depth, is_closed):
    text = pair[:-1] * depth + "1" + pair[-1] * depth * is_closed
    with pytest.raises(ValueError, match=r"nested|Expecting"):
        files.parse_json(text)


def test_json_that_is_not_deep_is_taken():
    deep = "[" * (files.MAX_DEPTH - 1) + "]" * (files.MAX_DEPTH - 1)
    for text in (deep, "1", '"[[["', "{}", "[1, {}]", b'{"a": ["\xc3\xa9"]}'):
        files.parse_json(text)
    assert difference({"a": files.parse_json(deep)}, {"a": 1}).startswith("a is [[[")
