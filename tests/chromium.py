"""The playground in headless Chromium: pages that are looked at or listened to."""

import contextlib
import json
import os
import shutil
import time

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needed = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason='needs the extra "playground"')
PATIENCE = 90  # seconds: two workers and two browsers may share two cores
FAST = "&num_steps=100000&batch_size=64&widths_g=8&widths_d=8"  # small, so that it compiles and trains in seconds


@contextlib.contextmanager
def launched():
    """A browser."""
    with playwright.sync_playwright() as engine:
        one = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


def wait(page, condition, seconds=PATIENCE):
    """Until JavaScript is true; unlike playwright's own waiting, this needs no page that allows `eval`."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


class Visit:
    """A page, what it logged, and whom it asked."""

    def __init__(self, browser, address, hash="", speed="fastest", **options):
        self.page = browser.new_page(**{"viewport": {"width": 1600, "height": 1000}, **options})
        self.page.set_default_timeout(1_000 * PATIENCE)
        self.logged, self.asked = [], []
        self.page.on("console", lambda message: self.logged.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.logged.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{address}#{hash}")
        self.until(connected="true")
        self.page.select_option("#speed", speed)
        self.until(state="idle")

    @property
    def data(self):
        return self.page.evaluate("({...document.body.dataset})")

    def until(self, seconds=PATIENCE, **values):
        """Until the body's data are these values, or fulfil these conditions."""
        deadline = time.monotonic() + seconds
        while True:
            data = self.data
            if all(v(data.get(k, "")) if callable(v) else data.get(k) == v for k, v in values.items()):
                return data
            assert time.monotonic() < deadline, (values.keys(), data)
            time.sleep(0.05)

    def anew(self, action):
        """Does what begins another run, and waits until it has begun."""
        before = self.data["run"]
        action()
        self.until(run=lambda run: run != before)

    def settings(self):
        return self.page.evaluate("window.playground.settings")

    def losses(self):
        return self.page.evaluate("window.playground.history.losses")


class Mute:
    """A page whose server only keeps what it is sent: what the controls do is seen without training anything."""

    def __init__(self, browser, address):
        self.sent = []
        self.page = browser.new_page(viewport={"width": 1600, "height": 1000})
        self.socket = None
        self.page.route_web_socket("**/ws", self._connect)
        self.page.goto(address)
        wait(self.page, "document.body.dataset.connected === 'true'")
        self.page.evaluate("document.getElementById('more').open = true")

    def _connect(self, socket):
        self.socket = socket
        socket.on_message(lambda text: self.sent.append(text))

    def settings(self, done):
        """The last settings that were sent, once they fulfil a condition."""
        deadline = time.monotonic() + PATIENCE
        while True:
            asked = [message["settings"] for message in map(json.loads, self.sent) if message["type"] == "configure"]
            if asked and done(asked[-1]):
                return asked[-1]
            assert time.monotonic() < deadline, asked[-1:]
            self.page.wait_for_timeout(20)

    def type(self, name, text):
        self.page.fill(f"[id='{name}']", text)
        self.page.press(f"[id='{name}']", "Enter")
