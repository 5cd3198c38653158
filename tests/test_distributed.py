"""Several processes that share a sweep end with what one ends with."""

import json
import signal
import socket

import pytest

from jgen1d.cli import app
from tests import scripts


def start(workdir, *flags):
    """Two processes that share `scripts.SMALL_RUN`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = (f"--workdir={workdir}", f"--coordinator=127.0.0.1:{port}", "--num_processes=2")
    return [scripts.start(*scripts.SMALL_RUN, *together, f"--process_id={i}", *flags) for i in range(2)]


def finish(processes):
    try:
        return [scripts.finish(process) for process in processes]
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def together(workdir):
    """What two processes said that were killed, each with something saved, and started again."""
    (workdir / "progress-1").mkdir()  # as where process 1 is the quicker one
    flags = ("--checkpoint_minutes=0", "--format=json")
    killed = start(workdir, *flags)
    scripts.wait(killed, lambda: all(any(workdir.glob(f"progress-{i}/checkpoint-??????")) for i in range(2)))
    for process in killed:
        process.kill()
    assert [one.returncode for one in finish(killed)] == [-signal.SIGKILL] * 2
    done = finish(start(workdir, *flags))
    assert [one.returncode for one in done] == [0, 0], done
    return done


def test_two_processes_end_with_what_one_ends_with(together, workdir, uninterrupted):
    assert scripts.results(workdir) == uninterrupted
    assert not list(workdir.glob("progress*"))


def test_process_0_alone_reports(together, workdir):
    first, second = together
    assert [row["target"] for row in json.loads(first.stdout)["rows"]] == ["uniform"]
    assert f"written to {workdir}" in first.stderr
    assert second.stdout == ""
    assert "written to" not in second.stderr
    assert "runs" not in second.stderr  # the progress bar's


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((None, 2, None), "--num_processes needs --coordinator=host:port"),
        ((None, None, 0), "--process_id needs --coordinator=host:port"),
        ((None, 2, 0), "--num_processes needs --coordinator=host:port"),
        (("host:1234", None, None), "--coordinator=host:1234 needs --num_processes"),
        (("host:1234", None, 0), "--coordinator=host:1234 needs --num_processes"),
        (("host:1234", 2, None), "--coordinator=host:1234 needs --process_id"),
        (("host:1234", 2, 2), "--process_id=2: must be below --num_processes=2"),
        (("host", 2, 0), "--coordinator=host: must be host:port, or auto"),
        (("host:port", 2, 0), "--coordinator=host:port: must be host:port, or auto"),
        ((":1234", 2, 0), "--coordinator=:1234: must be host:port, or auto"),
        (("", 2, 0), "--coordinator=: must be host:port, or auto"),
    ],
)
def test_flags_that_do_not_go_together_are_refused_in_one_line(flags, message):
    with pytest.raises(ValueError, match=r"^--") as info:
        app._join(*flags)
    assert str(info.value) == message


def test_without_flags_a_process_is_alone():
    app._join(None, None, None)
