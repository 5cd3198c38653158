"""Checkpoints: what comes back is what was saved, whatever happens to the process, the files and the disk."""

import fcntl
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

from jgen1d.engine import checkpoint
from jgen1d.engine.archive import pack, unpack
from jgen1d.engine.checkpoint import Checkpoints, Interrupted
from jgen1d.engine.identity import difference, saved_identity

IDENTITY = {"method": "gan", "widths": (15, 15), "seeds": [0, 1]}
FOREVER = 10**9


def start():
    return {"step": np.array(0), "x": np.linspace(0.1, 0.9, 1_000), "empty": np.zeros((0, 3), np.float32)}


def advance(state):
    """One step of a chaotic map: a state that differs in one bit is soon another one altogether."""
    return state | {"step": np.array(state["step"] + 1), "x": 3.9 * state["x"] * (1 - state["x"])}


def after(num_steps):
    state = start()
    for _ in range(num_steps):
        state = advance(state)
    return state


def identical(a, b):
    return list(a) == list(b) and all(
        type(b[name]) is np.ndarray
        and (a[name].dtype, a[name].shape, a[name].tobytes()) == (b[name].dtype, b[name].shape, b[name].tobytes())
        for name in a
    )


def save(folder, *states):
    with Checkpoints(folder, IDENTITY) as checkpoints:
        for state in states:
            checkpoints.save(state)


def restore(folder):
    with Checkpoints(folder, IDENTITY) as checkpoints:
        return checkpoints.restore()


def noise(num_bytes, seed=0):
    """What no compression makes smaller."""
    return {"noise": np.random.default_rng(seed).integers(0, 256, num_bytes, dtype=np.uint8)}


def stored(folder):
    return sorted(path.name for path in folder.glob("checkpoint-*"))


# --- what is saved ------------------------------------------------------------------------------------------------


def test_arrays_come_back_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    dtypes = ["f4", "f8", "i4", "i8", "u4", "?", "f2", "c8", "u1", ">f4"]
    arrays = {f"of/{dtype}": rng.integers(0, 2, (3, 5)).astype(dtype) for dtype in dtypes}
    arrays |= {f"any bits {dtype}": np.frombuffer(rng.bytes(800), dtype) for dtype in ("f4", "f8", "i8")}
    nans = np.array([0x7FC00001, 0xFFC12345, 0x7F800001, 0x80000000], np.uint32)  # payloads, a signalling one, and -0.0
    arrays |= {"nans": nans.view(np.float32), "large": np.array([2**63 - 1, -(2**63)])}
    arrays |= {"scalar": np.array(1 / 3), "empty": np.zeros((0, 3), np.int32), "transposed": rng.normal(size=(4, 3)).T}
    arrays |= {"file": np.array(True), "σ": np.arange(3.0), "": np.arange(2), "arr_0": np.arange(1)}
    save(tmp_path, arrays, {})
    assert restore(tmp_path) == {}
    save(tmp_path, arrays)
    back = restore(tmp_path)
    assert identical(arrays, back)
    back["scalar"] += 1  # they are the caller's own


@pytest.mark.parametrize("array", [np.array([None]), np.array(["text"]), np.zeros(2, "V2")])
def test_what_would_not_come_back_is_refused(tmp_path, array):
    with pytest.raises(TypeError, match="'a' is of dtype"):
        save(tmp_path, {"ok": np.zeros(2), "a": array})
    assert stored(tmp_path) == []


def test_the_newest_two_are_kept(tmp_path):
    folder = tmp_path / "with" / "parents"
    assert restore(folder) is None
    for n in range(1, 5):
        save(folder, after(n))
        assert identical(restore(folder), after(n))
    assert stored(folder) == ["checkpoint-000003", "checkpoint-000004"]


def test_due_when_the_minutes_have_passed(tmp_path, monkeypatch):
    now = 5.0
    monkeypatch.setattr(checkpoint, "time", types.SimpleNamespace(monotonic=lambda: now))
    with Checkpoints(tmp_path, IDENTITY, minutes=2) as checkpoints:
        for begin in (5, 205):
            now = begin + 119
            assert not checkpoints.due()
            now = begin + 120
            assert checkpoints.due()
            now = 205
            checkpoints.save(start())
        assert not checkpoints.due()
    assert Checkpoints(tmp_path, IDENTITY, minutes=0).due()


def test_clear_leaves_nothing_of_its_own(tmp_path):
    folder = tmp_path / "run"
    for foreign in ([], ["notes.txt"]):
        save(folder, start(), start())
        (folder / "checkpoint-000001").rename(folder / "checkpoint-000001.damaged")
        for name in foreign:
            (folder / name).write_text("mine")
        with Checkpoints(folder, IDENTITY) as checkpoints:
            checkpoints.clear()
        assert folder.exists() == bool(foreign)
    assert [path.name for path in folder.iterdir()] == foreign
    with Checkpoints(folder, {"of": "another"}) as checkpoints:
        assert checkpoints.restore() is None


def test_leaving_with_nothing_saved_leaves_nothing(tmp_path):
    folder = tmp_path / "run"
    for other in (1, 2):  # so that another computation may follow
        with Checkpoints(folder, {"n": other}):
            assert saved_identity(folder) == {"n": other}
        assert not folder.exists()
    with pytest.raises(RuntimeError), Checkpoints(folder, IDENTITY):
        raise RuntimeError
    assert not folder.exists()
    save(folder, start())
    with Checkpoints(folder, IDENTITY):
        pass
    assert identical(restore(folder), start())


def test_what_comes_after_a_clear_is_let_alone(tmp_path):
    folder = tmp_path / "run"
    with Checkpoints(folder, IDENTITY) as checkpoints:
        checkpoints.clear()
        folder.mkdir()
        for name in ("lock", "identity.json"):
            (folder / name).write_text("of another process, which may enter at once")
    assert sorted(path.name for path in folder.iterdir()) == ["identity.json", "lock"]


def test_packed_arrays_come_back():
    packed = pack(after(1))
    assert (packed.dtype, packed.ndim) == (np.uint8, 1)
    assert identical(unpack(packed), after(1))
    assert unpack(pack({})) == {}


# --- whose it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        ({}, {}, ""),
        ({"a": (1, 2), "b": float("nan"), "c": {}}, {"a": [1, 2], "b": float("nan"), "c": {}}, ""),
        ({"num_steps": 5000, "r1": 1}, {"num_steps": 2000, "r1": 1.0}, "num_steps is 5000 there and 2000 here"),
        ({"gan": {"loss": {"r1": None}}}, {"gan": {"loss": {"r1": 0.1}}}, "gan.loss.r1 is None there and 0.1 here"),
        ({"targets": ["normal"]}, {"targets": ["ring"]}, "targets is ['normal'] there and ['ring'] here"),
        (
            {"configs": [{"r1": 0}, {"r1": 1}]},
            {"configs": [{"r1": 0}, {"r1": 2}]},
            "configs.1.r1 is 1 there and 2 here",
        ),
        ({"a": 1}, {"b": "x"}, "a is 1 there and absent here; b is absent there and 'x' here"),
        ({}, {"a": {}}, "a is absent there and {} here"),
        (
            dict.fromkeys("abcde", 1),
            dict.fromkeys("abcde", 2),
            "a is 1 there and 2 here; b is 1 there and 2 here; c is 1 there and 2 here; and 2 more",
        ),
    ],
)
def test_difference(there, here, expected):
    assert difference(there, here) == expected


def test_difference_of_long_values_is_short_and_shows_their_ends():
    text = difference({"seeds": list(range(256))}, {"seeds": list(range(512))})
    assert len(text) < 160
    assert "254, 255] there" in text
    assert "510, 511] here" in text


def test_another_identity_is_refused_and_nothing_is_touched(tmp_path):
    assert saved_identity(tmp_path) is None
    save(tmp_path, after(3))
    assert saved_identity(tmp_path) == json.loads(json.dumps(IDENTITY))
    other = IDENTITY | {"widths": [20, 15]}
    with pytest.raises(
        ValueError, match=r"'.*' holds the progress of another run: widths is \[15, 15\] there and \[20"
    ) as info:
        Checkpoints(tmp_path, other).__enter__()
    assert str(tmp_path) in str(info.value)
    assert "\n" not in str(info.value)
    assert identical(restore(tmp_path), after(3))  # so its lock is free, too


def test_overwriting_removes_the_progress_of_another_identity_only(tmp_path):
    folder = tmp_path / "run"
    save(folder, after(1), after(2))
    (folder / "checkpoint-000001").rename(folder / "checkpoint-000001.damaged")
    (folder / "notes.txt").write_text("mine")
    with Checkpoints(folder, IDENTITY, overwrite=True) as checkpoints:
        assert identical(checkpoints.restore(), after(2))
    other = IDENTITY | {"widths": [20, 15]}
    with Checkpoints(folder, other, overwrite=True) as checkpoints:
        assert checkpoints.restore() is None
        assert sorted(path.name for path in folder.iterdir()) == ["identity.json", "lock", "notes.txt"]
        with pytest.raises(ValueError, match="in use"):
            Checkpoints(folder, IDENTITY, overwrite=True).__enter__()
        checkpoints.save(after(3))
    assert saved_identity(folder) == other
    with pytest.raises(ValueError, match="another run"):
        restore(folder)


def test_checkpoints_of_no_known_identity_are_refused(tmp_path):
    save(tmp_path, start())
    path = tmp_path / "identity.json"
    for damaged in (b"", path.read_bytes()[:20], b"[]", b"\xff"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"identity.json' is damaged"):
            restore(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=r"its identity.json is missing"):
        restore(tmp_path)


def test_what_is_no_folder_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for path, reason in [("file", "File exists"), ("file/below", "Not a directory"), ("/proc/none", "No such file")]:
        with pytest.raises(ValueError, match=f"^workdir '.*{path}' cannot be written: {reason}.*$"):
            restore(tmp_path / path)


# --- damage -------------------------------------------------------------------------------------------------------


def test_any_damaged_file_is_noticed_and_the_checkpoint_before_is_used(tmp_path, capfd):
    save(tmp_path / "good", after(1), after(2) | noise(2_000))
    newest, rng = "checkpoint-000002", np.random.default_rng(0)
    files = [path for path in (tmp_path / "good" / newest).rglob("*") if path.is_file()]
    assert len(files) > 1
    for number, file in enumerate(files):
        content = file.read_bytes()
        assert content, file
        flipped, at = bytearray(content), rng.integers(len(content))
        flipped[at] ^= 1 << rng.integers(8)
        cut = content[: rng.integers(len(content))]
        for kind, damaged in {"flipped": bytes(flipped), "cut": cut, "short": content[:-1], "gone": None}.items():
            folder = tmp_path / f"{number}-{kind}"
            shutil.copytree(tmp_path / "good", folder)
            path = folder / file.relative_to(tmp_path / "good")
            path.unlink() if damaged is None else path.write_bytes(damaged)
            assert identical(restore(folder), after(1)), (file, kind)
            assert stored(folder) == ["checkpoint-000001", newest + ".damaged"]
            line = (
                f"checkpoint '{folder / newest}' is damaged: renamed to '{newest}.damaged'; the one before it is used"
            )
            assert capfd.readouterr().err == line + "\n"
    assert identical(restore(tmp_path / "good"), after(2) | noise(2_000))


def test_where_all_are_damaged_it_starts_afresh(tmp_path, capfd):
    save(tmp_path, after(1), after(2))
    for path in tmp_path.glob("checkpoint-*/SHA256SUMS"):
        path.unlink()
    assert restore(tmp_path) is None
    assert "there is no other, so this starts afresh" in capfd.readouterr().err
    save(tmp_path, after(1))
    assert identical(restore(tmp_path), after(1))
    assert stored(tmp_path) == ["checkpoint-000001.damaged", "checkpoint-000002.damaged", "checkpoint-000003"]


def test_checksums_are_those_of_sha256sum(tmp_path):
    save(tmp_path, start())
    for line in (tmp_path / "checkpoint-000001" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "checkpoint-000001" / name).read_bytes()).hexdigest() == digest


# --- a full disk --------------------------------------------------------------------------------------------------


def check_refused(folder, reason, capfd, caplog):
    """A save of 3 MB fails with the reason, harms nothing, and its message is all that is said."""
    with Checkpoints(folder, IDENTITY) as checkpoints:
        with pytest.raises(
            OSError, match=f"cannot save in '{folder}': {reason}; what was saved before is intact"
        ) as info:
            checkpoints.save(noise(3_000_000))
        assert "\n" not in str(info.value)
        assert stored(folder) == ["checkpoint-000001", "checkpoint-000002"]
        assert identical(checkpoints.restore(), after(2))
    assert capfd.readouterr().err == ""
    assert not caplog.records  # of orbax's


def test_a_file_too_large_leaves_what_was_saved(tmp_path, capfd, caplog):
    save(tmp_path, after(1), after(2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        check_refused(tmp_path, "File too large", capfd, caplog)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    save(tmp_path, noise(3_000_000))
    assert identical(restore(tmp_path), noise(3_000_000))


def test_a_full_disk_leaves_what_was_saved(small_disk, fill, capfd, caplog):
    folder = small_disk / "run"
    save(folder, after(1), after(2))
    check_refused(folder, "No space left on device", capfd, caplog)
    least = 2
    for left in (0, 4, 8, 12, 16, 24, 32, 48, 64):  # KB: it is full at another one of the checkpoint's files
        fill(1024 * left)
        said = "No space left on device"
        try:
            save(folder, after(least + 1))
            least += 1
        except (OSError, ValueError) as error:  # a ValueError where there is no room for the lock file's line
            said = str(error)
        assert "No space left on device" in said
        fill(None)
        assert identical(restore(folder), after(least))
    assert least > 2
    assert capfd.readouterr().err == ""


# --- another process ----------------------------------------------------------------------------------------------


def compute(folder, num_steps=FOREVER, minutes=0.0, pause=0.0):
    """A long computation; says on stdout how far it is and what is saved, and at the end how it ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        with Checkpoints(folder, IDENTITY, minutes) as checkpoints:
            state = checkpoints.restore() or start()
            while state["step"] < num_steps:
                state = advance(state)
                print("reached", state["step"], flush=True)
                if checkpoints.due():
                    checkpoints.save(state)
                    print("saved", state["step"], flush=True)
                time.sleep(pause)
            print("result", state["x"].tobytes().hex(), flush=True)
    except Interrupted as error:
        print("interrupted", error.signal, error, flush=True)
    except KeyboardInterrupt:
        print("stopped", "at once", flush=True)


def serve():
    """Forks a process for each job on stdin: to import JAX and orbax for each of them would take the tests' time."""
    importlib.import_module("orbax.checkpoint")

    for line in sys.stdin:
        job = json.loads(line)
        if (pid := os.fork()) == 0:
            signal.alarm(30)
            for descriptor, suffix in ((1, ".out"), (2, ".err")):
                os.dup2(os.open(job["folder"] + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            compute(**job)
            os._exit(0)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


class Job:
    """A `compute` in another process."""

    def __init__(self, server, folder, **options):
        self.folder = folder
        self.out, self.err = Path(f"{folder}.out"), Path(f"{folder}.err")
        self.out.unlink(missing_ok=True)
        self.server = server
        print(json.dumps({"folder": str(folder), **options}), file=server.stdin, flush=True)
        self.pid = int(server.stdout.readline())

    def said(self, word):
        """What followed the word in the last line that starts with it and is complete."""
        text = self.out.read_text() if self.out.exists() else ""
        return ["", *re.findall(rf"^{word} (.*)\n", text, re.MULTILINE)][-1]

    def wait_for(self, word, timeout=30):
        end = time.monotonic() + timeout
        while not self.said(word) and time.monotonic() < end:
            time.sleep(0.01)
        if not self.said(word):
            self.kill(signal.SIGKILL)
            raise AssertionError((self.join(), self.out.read_text(), self.err.read_text()))

    def kill(self, number):
        os.kill(self.pid, number)

    def join(self):
        """How it ended: 0, or the number of the signal that killed it."""
        return int(self.server.stdout.readline())


@pytest.fixture(scope="module")
def server():
    command = [sys.executable, "-c", "from tests.test_checkpoint import serve; serve()"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        yield process
        process.stdin.close()


def test_killed_at_any_moment_it_goes_on_from_what_was_saved_last(server, tmp_path):
    folder, rng = tmp_path / "run", np.random.default_rng(0)
    in_the_midst, least = 0, 0
    for _ in range(10):
        job = Job(server, folder)
        job.wait_for("saved")
        time.sleep(rng.uniform(0, 0.2))
        job.kill(signal.SIGKILL)
        assert job.join() == signal.SIGKILL
        least = int(job.said("saved"))
        in_the_midst += bool(list(folder.glob("*.saving*")))
        with Checkpoints(folder, IDENTITY) as checkpoints:
            state = checkpoints.restore()
            assert not list(folder.glob("*.saving*"))
        assert least <= state["step"] <= int(job.said("reached"))
        assert identical(state, after(int(state["step"])))
        assert len(stored(folder)) <= 3  # the third, where it was killed before it could remove it
    assert in_the_midst
    job = Job(server, folder, num_steps=least + 5)
    assert job.join() == 0
    assert job.said("result") == after(least + 5)["x"].tobytes().hex()
    assert in_the_midst


def test_what_goes_on_ends_as_if_it_had_never_stopped(server, tmp_path):
    whole = Job(server, tmp_path / "whole", num_steps=40, minutes=FOREVER)
    assert whole.join() == 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        job = Job(server, tmp_path / "parts", minutes=0)
        job.wait_for("saved")
        job.kill(number)
        job.join()
    assert int(job.said("reached")) < 40, "it is too fast to be stopped three times"
    job = Job(server, tmp_path / "parts", num_steps=40, minutes=FOREVER)
    assert job.join() == 0
    assert job.said("result") == whole.said("result") == after(40)["x"].tobytes().hex()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends(server, tmp_path, number):
    job = Job(server, tmp_path / "run", minutes=FOREVER, pause=0.1)
    job.wait_for("reached")
    job.kill(number)
    job.kill(number)
    assert job.join() == 0
    assert job.said("interrupted").startswith(f"{int(number)} {number.name}: saved in '{job.folder}'")
    assert not job.said("saved")
    assert identical(restore(job.folder), after(int(job.said("reached"))))
    assert job.err.read_text() == f"\n{number.name}: saving in '{job.folder}' when the steps under way are done\n"


def test_a_signal_within_a_save_does_not_harm_it(server, tmp_path):
    rng = np.random.default_rng(1)
    for _ in range(6):
        job = Job(server, tmp_path / "run")
        job.wait_for("saved")
        time.sleep(rng.uniform(0, 0.1))
        job.kill(signal.SIGTERM)
        assert job.join() == 0
        assert job.said("interrupted").startswith("15 ")
        assert identical(restore(job.folder), after(int(job.said("reached"))))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(server, tmp_path, number):
    job = Job(server, tmp_path / "run", minutes=FOREVER, pause=FOREVER)
    job.wait_for("reached")
    job.kill(number)
    time.sleep(2 * checkpoint._ECHO)
    job.kill(number)
    assert job.join() == (signal.SIGTERM if number == signal.SIGTERM else 0)
    assert job.said("stopped") == ("" if number == signal.SIGTERM else "at once")
    assert restore(job.folder) is None


def test_the_second_of_two_signals_is_one_that_comes_later(tmp_path, monkeypatch):
    now, seen = 1.0, []
    monkeypatch.setattr(checkpoint, "time", types.SimpleNamespace(monotonic=lambda: now))
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with Checkpoints(tmp_path, IDENTITY) as checkpoints:
            assert not checkpoints.due()
            for moment in (1.0, 1.2):  # the second as `timeout` sends it
                now = moment
                signal.raise_signal(signal.SIGTERM)
                assert checkpoints.due()
                assert not seen
            now = 1.3
            signal.raise_signal(signal.SIGTERM)
            assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_signal_handlers_are_put_back(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        with Checkpoints(tmp_path, IDENTITY):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != before[1]
            with pytest.raises(ValueError, match="in use"):
                Checkpoints(tmp_path, IDENTITY).__enter__()
        assert signal.getsignal(signal.SIGTERM) == before[1]
    finally:
        signal.signal(signal.SIGINT, before[0])


def test_a_lock_is_refused_by_name_and_dies_with_its_process(server, tmp_path):
    job = Job(server, tmp_path / "run", minutes=FOREVER, pause=0.01)
    job.wait_for("reached")
    with pytest.raises(ValueError, match=rf"^workdir '{job.folder}' is in use by process {job.pid} \(on \S+\)$"):
        restore(job.folder)
    job.kill(signal.SIGKILL)
    assert job.join() == signal.SIGKILL
    assert (job.folder / "lock").exists()
    with Checkpoints(job.folder, IDENTITY), pytest.raises(ValueError, match=f"in use by process {os.getpid()} "):
        restore(job.folder)


def test_clear_and_entering_do_not_collide(tmp_path):
    """Of threads that enter and clear one folder as fast as they can, never two are within."""
    within, entered, ends = [], [], time.monotonic() + 1.5
    errors = []

    def work(name):
        while time.monotonic() < ends and not errors:
            try:
                with Checkpoints(tmp_path / "run", IDENTITY) as checkpoints:
                    within.append(name)
                    time.sleep(0)
                    if within != [name]:
                        errors.append(list(within))
                    entered.append(name)
                    within.remove(name)
                    checkpoints.clear()
            except ValueError as error:
                if "in use" not in str(error):
                    errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(entered) > 20


def test_a_lock_file_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    real, calls = fcntl.flock, []

    def flock(file, operation):
        if not calls:
            shutil.rmtree(tmp_path / "run")  # another's `clear`, after this one has opened the file
        calls.append(operation)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with Checkpoints(tmp_path / "run", IDENTITY):
        assert len(calls) == 2
        with pytest.raises(ValueError, match="in use"):
            restore(tmp_path / "run")


def test_leftovers_of_a_killed_save_are_removed(tmp_path):
    save(tmp_path, after(1))
    for name in ("checkpoint-000002.saving", "checkpoint-000002.saving.orbax-checkpoint-tmp"):
        (tmp_path / name / "d").mkdir(parents=True)
    assert identical(restore(tmp_path), after(1))
    assert stored(tmp_path) == ["checkpoint-000001"]
