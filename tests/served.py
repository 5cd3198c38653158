"""The playground's server and its trainers, in threads of the tests."""

import contextlib
import socket
import threading
import time

import pytest

SETTINGS = {
    "method": "gan", "preset": "textbook", "fields": {}, "target": "bimodal", "drawn": None, "data": None,
    "batch_size": 32, "dataset_size": 0, "seed": 3, "num_steps": 30, "lanes": 1, "rival": None,
}  # fmt: skip
"""A small run's."""


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


def check_refusal(asked, field, message):
    """The settings are refused at their field, in one line that has the message."""
    from jgen1d.playground import settings

    with pytest.raises(settings.FieldError, match=message.replace("?", r"\?")) as error:
        settings.resolve(asked, {})
    assert error.value.field == field
    assert "\n" not in str(error.value)


class Page:
    """A trainer and what it has said."""

    def __init__(self):
        from jgen1d.playground.trainer import Trainer

        self.messages, self._news = [], threading.Condition()
        self.trainer = Trainer(self._heard, lambda: None)
        assert self.trainer.ask({"type": "speed", "speed": "fastest"})

    def _heard(self, message):
        with self._news:
            self.messages.append(message)
            self._news.notify_all()

    def ask(self, kind, **command):
        """Asks, and waits until the trainer rests; returns what it said meanwhile."""
        seen = len(self.messages)
        assert self.trainer.ask({"type": kind, **command})
        resting = ("idle", "finished", "diverged")

        def answered():
            new = self.messages[seen:]
            return any(m["type"] == "error" or (m["type"] == "status" and m["state"] in resting) for m in new)

        with self._news:
            assert self._news.wait_for(answered, timeout=120)
        return self.messages[seen:]
