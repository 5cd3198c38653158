"""Settings under which all tests run: no silent broadcasting of ranks, no key used twice, quick compilation."""

import pathlib
import shutil
import subprocess

import jax
import pytest

from tests import scripts
from tests.served import served

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_disable_most_optimizations", True)  # most programs here compile for longer than they run


MANY_MAPS = 20_000
"""Memory maps of this process; every compiled program takes some, and Linux ends a process that wants over 65,530."""


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Drops compiled programs after a module where there are many."""
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="module")
def fully_optimised():
    """For what has to hold of the programs that users run."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory):
    """Where all scripts keep their programs and fonts, so that the second is quick and the user's are left alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


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
