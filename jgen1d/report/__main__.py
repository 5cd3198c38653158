"""The report of a workdir, made anew; or how the results of one workdir differ from those of another.

    jgen1d report WORKDIR         # writes WORKDIR/report.html again, from what is saved there
    jgen1d report A B             # prints how often each setting of both learned, and the differences of B;
                                  # writes the same as one page, to B/differences.html or to --out=PATH

Without the command: python -m jgen1d.report.

Of two workdirs it compares the settings that both have: the rates with Newcombe's intervals and, where the seeds are
the same, in pairs by McNemar's exact test; the medians of W1/floor by a bootstrap.
"""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from jgen1d.core import files
from jgen1d.core.names import printable
from jgen1d.report import pairs, terminal
from jgen1d.report.page import of_workdir
from jgen1d.report.pair_page import of_pair


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """In one line, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def start() -> None:
    """Runs the command line's arguments, and ends the process with their exit status."""
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the arguments say, and returns the exit status."""
    parser = _Parser("jgen1d report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path, help="of a script, or of jgen1d.save")
    parser.add_argument("other", type=Path, nargs="?", help="what is compared with it")
    parser.add_argument("--out", type=Path, help="where the page is written")
    parser.add_argument("--open", action="store_true", help="open the report in a browser")
    given = parser.parse_args(argv)
    try:
        if given.other is None:
            path = given.out or given.workdir / "report.html"
            content = of_workdir(given.workdir)
        else:
            path = given.out or given.other / "differences.html"
            table, sentences = pairs.compare(given.workdir, given.other)
            content = of_pair(given.workdir, given.other, (table, sentences))
            print(f"A: {printable(str(given.workdir))}\nB: {printable(str(given.other))}\n")
            print(f"{terminal.shown(table, sys.stdout)}\n")
            print("\n".join(map(printable, sentences)), flush=True)
        files.write(path, content)
        print(printable(f"written to {path}"), file=sys.stderr)
        if given.open:
            webbrowser.open(path.absolute().as_uri())
    except (ValueError, OSError) as error:
        print(printable(f"jgen1d report: {files.one_line(error)}"), file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


if __name__ == "__main__":
    start()
