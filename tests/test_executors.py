"""Whoever computes the blocks of a sweep, the bits are those of one process, and what is lost is one block."""

import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgen1d
from jgen1d.engine import compiled, executors, parcel, processes, worker
from jgen1d.engine.checkpoint import Checkpoints, Interrupted
from jgen1d.engine.origin import this_process
from tests import scripts, toys, workers

METHOD, CONFIGS = workers.own_method()
"""Of two kinds of programs, which have no names to import their functions by."""
NUM_SEEDS = 6
NUM_BLOCKS = 6


def sweep(executor=None, method=METHOD, configs=CONFIGS, num_seeds=NUM_SEEDS, checkpoints=None, width=2):
    return jgen1d.sweep(
        method, ["bimodal"], configs, range(num_seeds), 4, eval_every=2, batch_size=32, num_samples=100,
        lanes_per_device=width, executor=executor, checkpoints=checkpoints,
        devices=None if executor else jax.local_devices()[:1],
    )  # fmt: skip


def assert_same_bits(one, other):
    """Of all lanes that both have."""
    num_seeds = min(len(one.seeds), len(other.seeds))
    for a, b in ((one.history, other.history), (one.metrics, other.metrics)):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name][:, :, :num_seeds].tobytes() == b[name][:, :, :num_seeds].tobytes(), name
    for place in (place for place in one.states if place[-1] < num_seeds):
        for a, b in zip(*(jax.tree.leaves(some.states[place]) for some in (one, other)), strict=True):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.fixture(scope="module")
def alone():
    return sweep()


@pytest.fixture(scope="module")
def dask():
    """Two workers of a local cluster."""
    with executors.opened("dask") as executor:
        yield executor


@contextlib.contextmanager
def opened(kind, dask):
    """The module's cluster, or another executor of its own."""
    if kind == "dask":
        yield dask
    else:
        with executors.opened(kind) as executor:
            yield executor


# --- the same bits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dask", "processes:2"])
def test_a_worker_killed_in_the_middle_of_a_block_costs_that_block_alone(kind, dask, alone, tmp_path):
    with opened(kind, dask) as executor:
        noting = workers.Noting(executor, tmp_path / "notes")
        done = sweep(noting, workers.mortal(METHOD, str(tmp_path / "marker")))
    assert_same_bits(done, alone)
    begun, ended = noting.notes()
    assert len(ended) == len(set(ended)) == NUM_BLOCKS
    assert len(begun) == NUM_BLOCKS + 1
    assert set(begun) == set(ended)
    names = {origin.worker for origin in done.origins}
    assert this_process() not in names
    assert sum(work.blocks for work in done.workers()) == len(done.origins) == NUM_BLOCKS


def test_tasks_of_submitit_give_the_same_bits(alone, tmp_path):
    with executors.opened("slurm:local", tmp_path, {"time": "10"}) as executor:
        done = sweep(executor, num_seeds=2)
    assert_same_bits(done, alone)
    assert len({origin.worker for origin in done.origins}) == 2  # one task for each block


def test_a_script_computes_with_processes_what_it_computes_alone(uninterrupted, tmp_path):
    flags = (*scripts.SMALL_RUN, "--executor=processes:2", "--format=json", "--explain", f"--workdir={tmp_path}")
    done = scripts.run(*flags)
    assert done.returncode == 0, done.stderr
    assert scripts.results(tmp_path) == uninterrupted
    assert not (tmp_path / "progress").exists()
    said = json.loads(done.stdout)["workers"]
    assert sum(one["blocks"] for one in said) == 3
    assert {one["devices"] for one in said} == {f"{max(2, len(os.sched_getaffinity(0)) // 2)} × cpu"}
    for one in said:
        assert 0 <= one["cached"] <= one["programs"]
        assert f"{one['worker']} on {one['devices']}: {one['blocks']} blocks in " in done.stderr


# --- what travels -----------------------------------------------------------------------------------------------------


def test_what_a_script_defines_is_compiled_once_by_each_worker(dask, alone):
    done = sweep(dask, num_seeds=8, width=1)
    assert this_process() not in {origin.worker for origin in done.origins}
    for worker_name in {origin.worker for origin in done.origins}:
        compiling = [one for one in done.origins if one.worker == worker_name and one.programs]
        assert len(compiling) <= len(CONFIGS), compiling
    assert len(done.origins) == 16


def test_blocks_share_what_has_no_name_to_import_it_by():
    small = toys.Config(widths=(3,))
    parcels = parcel.Parcels(METHOD, [*CONFIGS, small])
    arrived = [parcel.unpack(parcels.shared, parcels.pack(one)) for one in (CONFIGS[1], CONFIGS[1], small)]
    (first, config), (second, again), (_, plain) = arrived
    assert first is second
    assert first.init is not METHOD.init
    assert config.bend is again.bend is not CONFIGS[1].bend
    assert config == again
    assert jax.tree.leaves(config) == [0.2]  # a pytree there, too
    assert isinstance(config, first.Config)
    assert plain == small
    assert type(plain) is toys.Config


def test_without_cloudpickle_what_has_no_name_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ValueError, match=r"^cloudpickle is missing, .*: pip install 'jgen1d\[processes\]'$"):
        parcel.Parcels(METHOD, CONFIGS)
    small = toys.Config(widths=(3,))
    parcels = parcel.Parcels(toys.METHOD, [small])
    assert parcel.unpack(parcels.shared, parcels.pack(small)) == (toys.METHOD, small)


# --- what goes wrong --------------------------------------------------------------------------------------------------


class Stopped(Checkpoints):
    """Checkpoints of a process that SIGTERM comes to at once."""

    def due(self):
        if not self._signal:
            signal.raise_signal(signal.SIGTERM)
        return super().due()


def test_a_signal_is_answered_at_once_and_others_go_on(dask, alone, tmp_path):
    with pytest.raises(Interrupted), Stopped(tmp_path / "run", {}) as checkpoints:
        sweep(dask, checkpoints=checkpoints)
    with Checkpoints(tmp_path / "run", {}) as checkpoints:
        done = sweep(checkpoints=checkpoints)  # in this process
        assert_same_bits(done, alone)
        checkpoints.clear()


def test_without_its_scheduler_a_sweep_ends_in_one_line_and_goes_on_later(alone, tmp_path):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    file, quiet = tmp_path / "scheduler.json", {"stderr": subprocess.DEVNULL, "cwd": tmp_path, "env": env}
    dask = [sys.executable, "-m"]
    scheduler = subprocess.Popen(
        [*dask, "distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard",
         f"--scheduler-file={file}"], **quiet,
    )  # fmt: skip
    one = subprocess.Popen(
        [*dask, "distributed.cli.dask_worker", f"--scheduler-file={file}", "--nthreads=1", "--no-nanny",
         "--no-dashboard", "--death-timeout=30"], **quiet,
    )  # fmt: skip

    class Doomed(workers.Noting):
        """Its scheduler dies when the first block is done."""

        def submit(self, function, /, *args):
            future = super().submit(function, *args)
            if function.__name__ == "compute":
                future.add_done_callback(lambda _: scheduler.kill())
            return future

    try:
        scripts.wait([scheduler, one], lambda: file.exists() and file.read_text())
        address = json.loads(file.read_text())["address"]
        with (
            pytest.raises(OSError, match=r"^the executor dropped runs on 'bimodal', config 0 .*, seeds? \d+") as info,
            executors.opened(f"dask:{address}") as executor,
            Checkpoints(tmp_path / "run", {}) as checkpoints,
        ):
            sweep(Doomed(executor, tmp_path / "notes"), checkpoints=checkpoints)
    finally:
        for process in (scheduler, one):
            process.kill()
            process.wait()
    assert "\n" not in str(info.value)
    kept = f"the progress is saved in '{tmp_path / 'run'}': the same command goes on from there"
    assert info.value.__notes__ == [kept]
    with Checkpoints(tmp_path / "run", {}) as checkpoints:
        done = sweep(checkpoints=checkpoints)
        checkpoints.clear()
    assert_same_bits(done, alone)
    assert 1 <= sum(origin.worker != this_process() for origin in done.origins) < NUM_BLOCKS


@pytest.mark.parametrize("what", ["jgen1d", "jax"])
def test_a_worker_of_another_version_is_refused_by_name(what, dask, monkeypatch):
    here = worker.versions()
    monkeypatch.setattr(worker, "versions", lambda: here | {what: "0.0.1"})
    name = r"^worker \S+:\d+ has"
    with pytest.raises(ValueError, match=rf"{name} {what} {here[what]} where the sweep has 0\.0\.1: install"):
        sweep(dask)


def test_a_block_that_raises_is_reported_with_its_lanes_and_its_traceback(dask):
    def step(key, state, batch, config):
        raise TypeError("no step")

    with pytest.raises(executors.BlockFailed) as info:
        sweep(dask, METHOD._replace(step=step), CONFIGS[:1], num_seeds=2)
    told = f"runs on 'bimodal', config 0 ({CONFIGS[0]}), seeds 0 to 1: TypeError: no step"
    assert str(info.value) == told
    assert info.value.__notes__[0].startswith("on worker ")
    assert " in step\nTypeError: no step\n" in info.value.__notes__[0]


def test_a_call_whose_workers_are_lost_again_and_again_is_given_up(monkeypatch):
    monkeypatch.setattr(processes, "RETRIES", 1)
    with executors.opened("processes:1") as executor:
        future = executor.submit(os.kill, 0, signal.SIGKILL)  # its own process group
        with pytest.raises(concurrent.futures.BrokenExecutor, match="its worker was lost 2 times"):
            future.result()
        assert executor.submit(os.getpid).result() != os.getpid()


def test_a_worker_that_would_fall_back_to_its_cpu_is_refused(monkeypatch):
    assert worker.look(worker.terms("cpu", 1))[0] == "done"
    for platform in ("gpu", "tpu"):
        said = worker.look(worker.terms(platform, 1))
        assert said == ("refused", f"worker {this_process()} has a cpu where the sweep was planned for a {platform}")
    few = len(jax.local_devices())
    said = worker.look(worker.terms("cpu", few + 1))
    assert said == ("refused", f"worker {this_process()} has {few} devices where each block needs {few + 1}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    kind, said = worker.look(worker.terms(None, 1))
    assert kind == "refused"
    assert "would fall back to its CPU though it has a GPU" in said


def test_calls_that_slurm_does_not_take_fail_and_the_executor_can_be_ended(tmp_path, monkeypatch):
    with executors.opened("slurm:local", tmp_path) as executor:

        def submit(*_):
            raise OSError("sbatch: error: Unable to contact slurm controller")

        monkeypatch.setattr(executor._submitit, "submit", submit)
        for future in (executor.submit(os.getpid), executor.submit(os.getpid)):  # the second finds it broken
            with pytest.raises(OSError, match="Unable to contact"):
                future.result(timeout=60)
        cancelled = executor.submit(os.getpid)
        cancelled.cancel()
    assert not executor._thread.is_alive()


def test_pools_that_fork_are_refused_with_the_fix():
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    with pytest.raises(ValueError, match=r"^executor: this ProcessPoolExecutor forks, .*get_context\('spawn'\) to it$"):
        sweep(pool)
    assert pool._processes is None or not pool._processes
    spawning = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with executors.opened(spawning) as executor:
        assert executor is spawning


def test_any_executor_will_do(alone):
    """Threads of this process, two of them, of which one computes at a time."""
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        done = sweep(executor)
    assert_same_bits(done, alone)
    assert {origin.worker for origin in done.origins} == {this_process()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proceses:2", r"none is called 'proceses'; did you mean 'processes'\? .*; allowed are processes:N, dask, "),
        ("processes:0", "allowed are processes:N"),
        ("processes:two", "allowed are processes:N"),
        ("dask:localhost", "allowed are processes:N"),
        ("slurm", "allowed are processes:N"),
        ("ray:", "allowed are processes:N"),
        ("", "none is called ''"),
    ],
)
def test_a_text_of_another_form_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=rf"^executor='{text}': {message}.*$"):
        sweep(text)


@pytest.mark.parametrize(("text", "package"), [("dask", "distributed"), ("slurm:local", "submitit"), ("ray", "ray")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(text, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    extra = text.partition(":")[0]
    with pytest.raises(
        ValueError, match=rf"^executor='{text}': {package} is not installed: pip install 'jgen1d\[{extra}\]'$"
    ):
        sweep(text)


def test_options_that_there_are_not_are_refused_in_one_line(tmp_path):
    with (
        pytest.raises(ValueError, match=r"^slurm_tme: none is called 'tme'; did you mean 'time'\?"),
        executors.opened("slurm:local", tmp_path, {"tme": "10"}),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"^slurm_time: is for executor='slurm:PARTITION'"),
        executors.opened("dask", None, {"time": "10"}),
    ):
        pass
    with pytest.raises(ValueError, match=r"^executor=3: must be a concurrent"):
        sweep(3)
    with pytest.raises(ValueError, match=r"^devices: are of this process"):
        jgen1d.sweep(METHOD, ["normal"], CONFIGS, [0], 4, executor="dask", devices=jax.devices())


# --- compiled programs ------------------------------------------------------------------------------------------------


def test_machines_of_another_kind_keep_their_programs_beside():
    mine, other = compiled.kind(), "jaxlib-0.1-x86_64-00000000"
    for used, used_kind, expected in [
        (f"/base/{mine}", mine, f"/base/{mine}"),
        (f"/base/{other}", other, f"/base/{mine}"),
        ("/base", mine, "/base"),
        ("/base", other, f"/base/{mine}"),
    ]:
        base, inside = compiled.folder_of(used, used_kind)
        assert str(base / inside) == expected


def test_programs_that_come_from_disk_are_counted():
    def computed():
        jax.clear_caches()
        before = compiled.counts()
        jax.block_until_ready(jax.jit(lambda x: x * 3.25 + 1)(jnp.arange(5.0)))
        return compiled.counts() - before

    first, second = computed(), computed()
    assert first["programs"] == second["programs"] == second["cached"] >= 2


def test_of_several_workers_one_compiles_a_program_at_a_time(tmp_path):
    """The second waits for the first, and each for another program's name does not."""
    order, first_is_in = [], threading.Event()

    def first():
        with compiled.taking_turns(tmp_path), compiled.turn("program"):
            first_is_in.set()
            assert second_waits.wait(60)
            order.append("first")

    second_waits = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(60)
    with compiled.taking_turns(tmp_path):
        with compiled.turn("another"):
            order.append("another")
        with compiled.turn("program", waiting=second_waits.set):
            order.append("second")
    thread.join()
    assert order == ["another", "first", "second"]
    with compiled.turn("program"):
        pass  # outside of workers there are no turns
    assert {path.name for path in (tmp_path / "turns").iterdir()} == {"another", "program"}
