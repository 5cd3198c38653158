"""A live page on which all families of models train on numbers or on signals, in this machine's browser.

    jgen1d playground
    jgen1d playground --port=8080 --max_sessions=2
    python -m jgen1d.playground                       # the same, in a checkout, too

Needs the extra `playground`: pip install "jgen1d[playground]". It serves this machine alone; with another --host it
prints an address with a token, without which nothing is served.
"""

import sys
from typing import Any

from absl import flags

from jgen1d import cli


def start() -> None:
    """Serves the page as the command line says."""
    own: dict[str, Any] = {"module_name": sys.argv[0]}
    address = "the address to serve at; any but this machine's own needs the token"
    flags.DEFINE_string("host", "127.0.0.1", address, **own)
    port = {"lower_bound": 0, "upper_bound": 65_535}
    flags.DEFINE_integer("port", 8000, "the port to serve at; 0: one that is free", **port, **own)
    flags.DEFINE_integer("max_sessions", 4, "pages that train at once", lower_bound=1, **own)
    cli.run(_main, about=__doc__)


def _main() -> None:
    try:
        from jgen1d.playground import server
    except ModuleNotFoundError as error:
        raise ValueError(f'{error.name} is missing: pip install "jgen1d[playground]"') from None
    server.serve(*(flags.FLAGS[name].value for name in ("host", "port", "max_sessions")))


if __name__ == "__main__":
    start()
