"""The playground's server, in a thread of the tests."""

import contextlib
import socket
import threading
import time


@contextlib.contextmanager
def served(max_sessions=4):
    """The address of its page."""
    from jgen1d.playground import server

    with socket.create_server(("127.0.0.1", 0)) as listener:
        one, address = server.make_server("127.0.0.1", listener.getsockname()[1], max_sessions)
        thread = threading.Thread(target=one.run, args=([listener],), daemon=True)
        thread.start()
        while not one.started:
            time.sleep(0.01)
        yield address
        one.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive()
        server.join_trainers()
