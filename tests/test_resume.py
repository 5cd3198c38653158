"""What is stopped, however it is stopped, goes on to the results of a run that was never stopped."""

import hashlib
import shutil
import signal
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d.engine.checkpoint import Checkpoints, Interrupted, saved_identity
from jgen1d.engine.parts import Part
from jgen1d.methods import gan
from tests import scripts

RUN = (*scripts.SMALL_RUN, "--checkpoint_minutes=0")  # saves at every point of the history


@pytest.fixture(scope="module", autouse=True)
def interruptible():
    """Where the tests run in the background SIGINT is ignored, and would be in what they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def checkpoints(workdir):
    return sorted((workdir / "progress").glob("checkpoint-??????"))


def content(folder):
    """The files and what is in them, the lock's holder aside."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def damage(checkpoint):
    """Cuts its largest file in half."""
    file = max((path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


class Stop(NamedTuple):
    """How one attempt at a run was stopped.

    Attributes:
      moment: when, for a person.
      number: the signal's.
      returncode: what came of it.
      err: all of stderr.
      saved: the name of its newest checkpoint; empty where there was none.
    """

    moment: str
    number: int
    returncode: int
    err: str
    saved: str


def stop(workdir, number, fresh, delay, meanwhile=lambda process: None):
    """Starts the run and sends it a signal, so many seconds after it has made so many fresh checkpoints."""
    last = max((path.name for path in checkpoints(workdir)), default="checkpoint-000000")
    least = f"checkpoint-{int(last[-6:]) + fresh:06d}"
    began = time.monotonic()
    process = scripts.start(*RUN, f"--workdir={workdir}")
    scripts.wait([process], lambda: fresh == 0 or any(path.name >= least for path in checkpoints(workdir)))
    meanwhile(process)
    time.sleep(delay)
    process.send_signal(number)
    moment = f"{signal.Signals(number).name} after {time.monotonic() - began:.3f} s, {delay:.3f} s after {least}"
    done = scripts.finish(process)
    return Stop(moment, number, done.returncode, done.stderr, max((p.name for p in checkpoints(workdir)), default=""))


class Stopped(NamedTuple):
    """A run that was stopped again and again.

    Attributes:
      workdir: as it was left.
      stops: in their order.
      second: what a second process in the workdir said meanwhile, and the process id of the first.
      damaged: the checkpoint that was damaged before the last stop but one.
    """

    workdir: Path
    stops: list[Stop]
    second: tuple[str, int, int]
    damaged: str


@pytest.fixture(scope="module")
def stopped(uninterrupted, tmp_path_factory):
    workdir, rng, second = tmp_path_factory.mktemp("stopped"), np.random.default_rng(0), []

    def enter(process):
        process.send_signal(signal.SIGSTOP)  # or it might be done before the second has started
        done = scripts.run(*RUN, f"--workdir={workdir}")
        process.send_signal(signal.SIGCONT)
        second.extend([done.stderr, done.returncode, process.pid])

    stops = [stop(workdir, signal.SIGKILL, 0, rng.uniform(0.3, 3))]
    stops += [stop(workdir, signal.SIGKILL, int(rng.integers(2, 12)), rng.uniform(0, 0.1)) for _ in range(2)]
    damaged = checkpoints(workdir)[-1]
    damage(damaged)
    stops.append(stop(workdir, signal.SIGINT, int(rng.integers(1, 12)), rng.uniform(0, 0.1)))
    stops.append(stop(workdir, signal.SIGTERM, 1, rng.uniform(0, 0.1), meanwhile=enter))
    return Stopped(workdir, stops, tuple(second), damaged.name)


@pytest.fixture
def workdir(stopped, tmp_path):
    """A copy of the stopped run's."""
    return shutil.copytree(stopped.workdir, tmp_path / "run")


def test_it_ends_as_if_it_had_never_stopped(stopped, workdir, uninterrupted):
    assert [stop.returncode for stop in stopped.stops] == [-9, -9, -9, 130, 143], stopped.stops
    assert all(stop.saved for stop in stopped.stops[1:]), stopped.stops
    done = scripts.run(*RUN, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert scripts.results(workdir) == uninterrupted, [stop.moment for stop in stopped.stops]
    assert not (workdir / "progress").exists()


@pytest.mark.parametrize("index", [3, 4], ids=["SIGINT", "SIGTERM"])
def test_a_signal_is_answered_in_one_line_that_names_the_folder(stopped, index):
    stop, folder = stopped.stops[index], stopped.workdir / "progress"
    name = signal.Signals(stop.number).name
    *_, last = stop.err.splitlines()
    assert last == f"convergence.py: {name}: saved in '{folder}'; the same command goes on from there"
    assert f"\n{name}: saving in '{folder}' when the steps under way are done\n" in stop.err
    assert "Traceback" not in stop.err


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(stopped):
    path = stopped.workdir / "progress" / stopped.damaged
    line = f"checkpoint '{path}' is damaged: renamed to '{path.name}.damaged'; the one before it is used\n"
    assert line in stopped.stops[3].err
    assert "damaged" not in stopped.stops[4].err


def test_a_second_process_in_the_workdir_is_refused_by_the_pid_of_the_first(stopped):
    err, returncode, pid = stopped.second
    folder = stopped.workdir / "progress"
    assert err.startswith(f"convergence.py: workdir '{folder}' is in use by process {pid} (on ")
    assert err.count("\n") == 1
    assert returncode == 2


def test_another_run_is_refused_and_nothing_is_lost(workdir):
    before = content(workdir)
    other = {
        "--num_steps=120": "num_steps is 100 there and 120 here",
        "--learning_rate_g=0.002": "learning_rate_g is absent there and '0.002' here",
    }
    for flag, difference in other.items():
        done = scripts.run(*RUN, flag, f"--workdir={workdir}")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1, done.stderr
        assert f"'{workdir / 'progress'}' holds the progress of another run" in done.stderr
        assert difference in done.stderr
        assert content(workdir) == before


def test_overwriting_starts_another_run_afresh(workdir):
    identity, (oldest, *_) = saved_identity(workdir / "progress"), checkpoints(workdir)
    process = scripts.start(*RUN, "--seed=7", "--overwrite", f"--workdir={workdir}")
    scripts.wait([process], lambda: any(path.name < oldest.name for path in checkpoints(workdir)))
    process.kill()
    assert "Traceback" not in scripts.finish(process).stderr
    assert saved_identity(workdir / "progress") == identity | {"seed": 7}
    assert not oldest.exists()


def test_on_a_full_disk_what_was_saved_is_kept(stopped, small_disk, fill, uninterrupted):
    workdir = shutil.copytree(stopped.workdir, small_disk / "run")
    before = content(workdir)
    fill(16_384)
    done = scripts.run(*RUN, f"--workdir={workdir}")
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    reason = "No space left on device; what was saved before is intact"
    assert last == f"convergence.py: cannot save in '{workdir / 'progress'}': {reason}"
    assert "Traceback" not in done.stderr
    assert content(workdir) == before
    fill(None)
    done = scripts.run(*RUN, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert scripts.results(workdir) == uninterrupted


# --- jgen1d.sweep, in this process --------------------------------------------------------------------------------

CONFIGS = jgen1d.grid(gan.Config(latent_dim=2), widths_g=[(4,), (6,)], widths_d=[(6,)])
SEEDS = range(3)
WIDTH = 2
NUM_POINTS = 3
NUM_CALLS = NUM_POINTS * len(CONFIGS) * len(SEEDS) // WIDTH


class StoppedAt(Checkpoints):
    """Checkpoints of a process that SIGTERM comes to at the k-th point of the history."""

    def __init__(self, folder, k):
        super().__init__(folder, {}, minutes=np.inf)
        self.k = k
        self.num_calls = 0

    def due(self):
        self.num_calls += 1
        if self.num_calls == self.k:
            signal.raise_signal(signal.SIGTERM)
        return super().due()


def sweep(seeds=SEEDS, checkpoints=None, configs=CONFIGS, target="uniform", batch_size=32):
    return jgen1d.sweep(
        gan.METHOD, [jgen1d.TARGETS[target]], configs, seeds, 4 * NUM_POINTS,
        eval_every=4, batch_size=batch_size, num_samples=1_000,
        lanes_per_device=WIDTH, padding=True, devices=jax.local_devices()[:1], checkpoints=checkpoints,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return sweep()


def assert_identical(a, b):
    """Bit for bit, NaN included."""
    assert list(a.history) == list(b.history)
    assert list(a.metrics) == list(b.metrics)
    assert list(a.states) == list(b.states)
    trees = [(s.history, s.metrics, s.diverged_at, list(map(s.states.get, s.states))) for s in (a, b)]
    for x, y in zip(*map(jax.tree.leaves, trees), strict=True):
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
    assert (a.verdict == b.verdict).all()


# The first point, the last of a block, the first of the next, again and again, and the very last.
@pytest.mark.parametrize("stops", [(1,), (3,), (4,), (2, 1, 3, 2), (NUM_CALLS,)], ids=str)
def test_a_sweep_stopped_at_the_kth_point_goes_on_to_the_same_bits(tmp_path, whole, stops):
    for k in stops:
        with pytest.raises(Interrupted), StoppedAt(tmp_path / "run", k) as checkpoints:
            sweep(checkpoints=checkpoints)
    with StoppedAt(tmp_path / "run", np.inf) as checkpoints:
        resumed = sweep(checkpoints=checkpoints)
    assert checkpoints.num_calls == NUM_CALLS - sum(stops)
    assert_identical(resumed, whole)


def test_two_sweeps_in_a_row_go_on_where_the_second_was_stopped(tmp_path, whole):
    def both(checkpoints):
        return [sweep(seeds, Part(checkpoints, name)) for name, seeds in (("first", range(3, 6)), ("second", SEEDS))]

    with pytest.raises(Interrupted), StoppedAt(tmp_path, NUM_CALLS + 5) as checkpoints:
        both(checkpoints)
    with StoppedAt(tmp_path, np.inf) as checkpoints:
        first, second = both(checkpoints)
    assert checkpoints.num_calls == NUM_CALLS - 5
    assert first.seeds == (3, 4, 5)
    assert_identical(second, whole)


def test_checkpoints_of_another_sweep_are_refused_in_one_line(tmp_path, whole):
    with pytest.raises(Interrupted), StoppedAt(tmp_path, 2) as checkpoints:
        sweep(checkpoints=checkpoints)
    with StoppedAt(tmp_path, np.inf) as checkpoints:
        for other in (
            {"seeds": range(5)},
            {"seeds": range(1, 4)},
            {"configs": [config.replace(learning_rate_g=1e-5) for config in CONFIGS]},
            {"target": "exponential"},
            {"batch_size": 64},
        ):
            with pytest.raises(ValueError, match=r"^checkpoints: they are of another sweep.*$"):
                sweep(checkpoints=checkpoints, **other)
        assert_identical(sweep(checkpoints=checkpoints), whole)
