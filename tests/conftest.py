"""Settings under which all tests run: no silent broadcasting of ranks, no key used twice, quick compilation."""

import ctypes
import gc
import importlib.metadata
import os
import pathlib
import resource
import shutil
import subprocess
import sys

import pytest

# When jaxlib 0.10.1 loads a program from the cache on a machine with AVX-512, it reports preferences of its own
# compiler, in pages of errors, as features that the machine lacks. It reads the variable once, at its import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax

from jgen1d.engine import program
from tests import forks, scripts
from tests.served import served

CACHE = scripts.ROOT / ".cache"
"""Keeps compiled programs from one run of the tests to the next."""
MAX_MEMORY = 1.2e9
"""Bytes of resident memory above which a process drops its compiled programs after a test."""
SECONDS = {
    "test_contract": 230, "test_laboratory": 200, "test_experiments": 200, "test_playground": 110, "test_run": 100,
    "test_sweep": 90, "test_browser": 90, "test_gan": 80, "test_conditional": 65, "test_resume": 50,
    "test_metrics": 40, "test_nets": 35, "test_energy": 33, "test_autoregressive": 32, "test_diffusion": 32,
    "test_steps": 190, "test_damage": 60, "test_names": 45, "test_answer": 40, "test_packaging": 25, "test_models": 25,
    "test_controls": 25, "test_executors": 80, "test_benchmarks": 15, "test_objects": 15,
    "test_ppo": 45, "test_world_model": 60, "test_signals": 40, "test_conv": 40, "test_docs": 60, "test_exact": 25,
    "test_time_series": 12, "test_lessons": 65, "test_fidelity": 12, "test_growing": 12, "test_playground_signals": 60,
    "test_browser_signals": 40, "test_gaps": 80,
}  # fmt: skip
"""Of a core, for the slowest files. They run first, so that no process is left alone with one at the end."""
# The newer of jaxlib 0.10's two ways to write code takes twice as long, and later versions have no other. To split a
# program, so that several cores can compile it, costs a tenth on top, and the tests' processes fill the cores already.
NEWER_EMITTERS = "xla_cpu_use_fusion_emitters" if importlib.metadata.version("jaxlib").startswith("0.10.") else None
if NEWER_EMITTERS:
    quicker = f"--{NEWER_EMITTERS}=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quicker}".lstrip()
OPTIMISED = dict(program.COMPILER_OPTIONS["cpu"])
FULLY_OPTIMISED = OPTIMISED | ({NEWER_EMITTERS: True} if NEWER_EMITTERS else {})
"""The `compiler_options` of the programs that users run."""

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_compilation_cache_dir", str(CACHE / "tests"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def optimise(options):
    """Compiles the engine's programs with these options from here on; all programs as quickly as can be without."""
    forget_programs()
    jax.config.update("jax_disable_most_optimizations", not options)
    program.COMPILER_OPTIONS["cpu"] = options


def forget_programs():
    """Drops all compiled programs, and gives their memory back to the system."""
    program.clear()
    jax.clear_caches()
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def memory():
    """This process's resident memory in bytes; 0 where the system does not tell."""
    path = pathlib.Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * resource.getpagesize() if path.exists() else 0


optimise({})  # most programs here compile for longer than they run


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: -SECONDS.get(item.path.stem, 0))


def pytest_collection_finish():
    """Leaves what is imported by now to no collection of garbage, and lets tracing run through fewer of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*forks.GC_THRESHOLDS)


def peak_memory():
    """In bytes; Linux counts it in kilobytes, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


PEAKS = {}
"""Peak memory in bytes by the name of the worker."""


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak_memory"] = peak_memory()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    del error
    if output := getattr(node, "workeroutput", None):
        PEAKS[node.gateway.id] = output["peak_memory"]


def pytest_terminal_summary(terminalreporter):
    peaks = PEAKS or {"tests": peak_memory()}
    gigabytes = ", ".join(f"{name} {peak / 1e9:.1f} GB" for name, peak in sorted(peaks.items()))
    terminalreporter.write_line(f"peak memory: {gigabytes}")
    reasons = {str(report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", ()) if report.longrepr}
    for reason in sorted(reason for reason in reasons if "chromium" in reason or "playwright" in reason):
        terminalreporter.write_line(f"tests in a browser were skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="module", autouse=True)
def forget_programs_of_module():
    yield
    forget_programs()


@pytest.fixture(autouse=True)
def limit_memory():
    yield
    if memory() > MAX_MEMORY:
        forget_programs()


@pytest.fixture(scope="session")
def optimised():
    """For tests that run for longer than they compile."""


@pytest.fixture(scope="session")
def fully_optimised():
    """For what has to hold of the programs that users run: the engine's, and those with these `compiler_options`."""
    return FULLY_OPTIMISED


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Compiles as the test's fixtures say; tests in a row that want the same share programs."""
    wanted = {"optimised": OPTIMISED, "fully_optimised": FULLY_OPTIMISED}
    options = next((options for name, options in wanted.items() if name in item.fixturenames), {})
    if options != program.COMPILER_OPTIONS["cpu"]:
        optimise(options)


@pytest.fixture(scope="session", autouse=True)
def cache_home():
    """Where all scripts keep their programs and fonts, so that the second is quick and the user's are left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(CACHE))
        yield CACHE


@pytest.fixture(scope="session")
def uninterrupted(cache_home, tmp_path_factory):
    """The results of `scripts.SMALL_RUN` in one go."""
    workdir = tmp_path_factory.mktemp("uninterrupted")
    done = scripts.run(*scripts.SMALL_RUN, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert not (workdir / "progress").exists()
    return scripts.results(workdir)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 2 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk can be mounted by root only: {error}")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.fixture
def fill(small_disk):
    """A function that fills the small disk up to so many bytes, or frees it again where called with None."""

    def fill(free):
        filler = small_disk / "filler"
        filler.unlink(missing_ok=True)
        if free is not None:
            filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - free))

    return fill


@pytest.fixture(scope="module")
def address():
    """Of the playground's page."""
    with served() as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    from tests import chromium

    with chromium.launched() as one:
        yield one
