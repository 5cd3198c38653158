"""What can be wrong with a file: kinds of damage as functions of the path, and a limit on the time to notice it."""

import contextlib
import os
import shutil
import signal
import socket

import numpy as np


def remove(path):
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def instead(make):
    """What puts something else in the path's place."""

    def damage(path):
        remove(path)
        make(path)

    return damage


def content(change):
    """What changes a file's bytes; of a folder, those of each file in it."""

    def damage(path):
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            file.write_bytes(change(file.read_bytes()))

    return damage


def listen(path):
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def crowd(path):
    """A folder with thousands of entries: there, or in the place of the file."""
    if path.is_file():
        path.unlink()
    path.mkdir(exist_ok=True)
    for number in range(3_000):
        (path / f"{number:06d}").touch()


def flip(some):
    middle = len(some) // 2
    return some[:middle] + bytes([some[middle] ^ 4]) + some[middle + 1 :] if some else b"\4"


DAMAGES = {
    "missing": remove,
    "empty": content(lambda some: b""),
    "half": content(lambda some: some[: len(some) // 2]),
    "cut at the end": content(lambda some: some[:-30]),
    "flipped": content(flip),
    "noise": content(lambda some: np.random.default_rng(0).bytes(500)),
    "nested": content(lambda some: b"[" * 100_000),
    "nested and closed": content(lambda some: b'{"a":' * 900 + b"1" + b"}" * 900),
    "another JSON": content(lambda some: b"[]"),
    "many entries": content(lambda some: ("{" + ",".join(f'"{k}":{k}' for k in range(100_000)) + "}").encode()),
    "long number": content(lambda some: b'{"a":' + b"1" * 10_000 + b"}"),
    "control characters": content(lambda some: b"\x1b[31m\n\r\0" * 30),
    "named pipe": instead(os.mkfifo),
    "folder": instead(lambda path: path.mkdir()),
    "full folder": instead(crowd),
    "crowded": crowd,
    "symlink loop": instead(lambda path: path.symlink_to(path.name)),
    "dangling symlink": instead(lambda path: path.symlink_to("nowhere")),
    "endless device": instead(lambda path: path.symlink_to("/dev/zero")),
    "empty device": instead(lambda path: path.symlink_to("/dev/null")),
    "socket": instead(listen),
    "unreadable": lambda path: path.chmod(0),  # root reads it all the same: then it must be as if nothing were wrong
}


@contextlib.contextmanager
def within(seconds):
    """Raises TimeoutError, wherever the main thread waits, when the seconds are over."""

    def late(*_):
        raise TimeoutError(f"{seconds} s are over")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
