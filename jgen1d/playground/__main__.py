"""A live page on which all families of models train on 1-D data, in the browser of this machine.

    python -m jgen1d.playground
    python -m jgen1d.playground --port=8080 --max_sessions=2

Needs the extra `playground`: pip install "jgen1d[playground]". It serves this machine alone; with another --host it
prints an address with a token, without which nothing is served.
"""

from absl import flags

from jgen1d import cli

_HOST = flags.DEFINE_string("host", "127.0.0.1", "the address to serve at; any but this machine's own needs the token")
_PORT = flags.DEFINE_integer(
    "port", 8000, "the port to serve at; 0: one that is free", lower_bound=0, upper_bound=65_535
)
_MAX_SESSIONS = flags.DEFINE_integer("max_sessions", 4, "pages that train at once", lower_bound=1)


def main() -> None:
    """Serves the page."""
    try:
        from jgen1d.playground import server
    except ModuleNotFoundError as error:
        raise ValueError(f'{error.name} is missing: pip install "jgen1d[playground]"') from None
    server.serve(_HOST.value, _PORT.value, _MAX_SESSIONS.value)


if __name__ == "__main__":
    cli.run(main)
