"""A warm process that forks the scripts, so that each starts at once instead of importing JAX and this library again.

A request is a JSON file; it arrives as a file descriptor, with those of the script's stdout and stderr and of the
socket that gets two lines back: the script's process id, and how it ended. A child of the server waits for the script.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import tempfile
import warnings

NUM_FILES = 4
"""File descriptors of a request: the request, stdout, stderr, the socket of the reply."""
WITH_FLAGS_OF_THEIR_OWN = ("jgen1d.playground.", "jgen1d.cli.")
"""Modules that only those scripts may import that want their flags."""
BESIDES = ("scipy.stats", "matplotlib.backends.backend_agg", "matplotlib.font_manager", "jgen1d.cli.app")

GC_THRESHOLDS = (50_000, 20, 50)
"""Of `gc.set_threshold`: JAX makes so many objects while it traces that Python's own take a tenth of the time."""


def preload() -> None:
    """Imports what scripts import."""
    import jax

    import jgen1d
    from jgen1d.engine import program

    # As in the tests' own processes: most programs compile for longer than they run.
    jax.config.update("jax_disable_most_optimizations", True)
    program.COMPILER_OPTIONS["cpu"] = {}
    found = [module.name for module in pkgutil.walk_packages(jgen1d.__path__, "jgen1d.")]
    for name in (*BESIDES, *(name for name in found if not name.startswith(WITH_FLAGS_OF_THEIR_OWN))):
        importlib.import_module(name)
    # A backend has threads, and its locks may be held by one of them when the process forks.
    from jax._src import xla_bridge

    assert not xla_bridge.backends_are_initialized()
    gc.collect()
    gc.freeze()  # leaves the pages shared with the children
    gc.set_threshold(*GC_THRESHOLDS)


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # OpenBLAS has threads, and stops them for a fork
        return os.fork()


def serve(control: socket.socket) -> None:
    """Forks a script for every request; returns in the script's process, set up for it, or exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how the waiting processes ended
    while True:
        _, files, _, _ = socket.recv_fds(control, 1, NUM_FILES)
        if not files:
            sys.exit()
        if fork() == 0:
            control.close()
            wait(*files)
            return
        for file in files:
            os.close(file)


def wait(request: int, out: int, err: int, reply: int) -> None:
    """Forks the script and waits for its end; returns in the script's process alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = fork()
    if pid == 0:
        os.close(reply)
        become(request, out, err)
        return
    with contextlib.suppress(BrokenPipeError):  # the tests have ended before the script
        os.write(reply, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(reply, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: int, out: int, err: int) -> None:
    """Makes this process look like one that has just been started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(out, 1)
    os.dup2(err, 2)
    with open(request) as file:
        asked = json.load(file)
    for file in (out, err):
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["env"])
    tempfile.tempdir = None  # a module that the server imported has asked for it, and the answer is kept
    os.chdir(asked["cwd"])
    sys.argv[:] = asked["args"]
    sys.path[0] = os.path.dirname(asked["args"][0])


if __name__ == "__main__":
    preload()
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_path(sys.argv[0], run_name="__main__")
