"""What does the command `jgen1d` run? The scripts that come with the library, without a checkout."""

from __future__ import annotations

import importlib
import sys

from jgen1d.cli.app import fail
from jgen1d.core import unknown

COMMANDS = {
    "convergence": "jgen1d.cli.convergence",
    "compare": "jgen1d.cli.compare",
    "playground": "jgen1d.playground.__main__",
    "report": "jgen1d.report.__main__",
}
"""Command -> the module whose `start` runs it."""


def main() -> None:
    """Runs the command that the first argument names; without one, lists what there is."""
    command, *arguments = sys.argv[1:] or ["--help"]
    if command in ("--help", "-h", "help"):
        print(_listed())
    elif command == "--version":
        from jgen1d import __version__  # the package imports its rooms

        print(f"jgen1d {__version__}")
    elif command in COMMANDS:
        sys.argv = [f"jgen1d {command}", *arguments]  # what messages begin with, and where absl files the flags
        importlib.import_module(COMMANDS[command]).start()
    else:
        fail(f"no command {unknown(command, COMMANDS)}")


def _listed() -> str:
    """Every command with the first line of its module."""
    about = {name: (importlib.import_module(module).__doc__ or "").splitlines()[0] for name, module in COMMANDS.items()}
    width = max(map(len, about))
    lines = [f"  jgen1d {name:{width}}  {line}" for name, line in about.items()]
    return "\n".join(["What can be run, each with --help for its flags:", "", *lines])
