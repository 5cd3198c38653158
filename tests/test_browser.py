"""The playground in headless Chromium: what a visitor does, and that nothing leaves this machine.

Screenshots of both widths in both themes are written to `runs/screenshots` for a person to look at.
"""

import json
import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

import jgen1d

CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason='needs the extra "playground"')
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")

SCREENSHOTS = Path(__file__).parent.parent / "runs" / "screenshots"
FAST = "&num_steps=100000&batch_size=64&widths_g=8&widths_d=8"  # small, so that it compiles and trains in seconds


@pytest.fixture(scope="module")
def address():
    from jgen1d.playground import server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one, shown = server.make_server("127.0.0.1", port)
    thread = threading.Thread(target=one.run, daemon=True)
    thread.start()
    while not one.started:
        time.sleep(0.01)
    yield shown
    one.should_exit = True
    thread.join(timeout=10)
    server.join_trainers()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        one = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


class Visit:
    """A page, what it logged, and whom it asked."""

    def __init__(self, browser, address, hash="", **options):
        self.page = browser.new_page(**{"viewport": {"width": 1600, "height": 1000}, **options})
        self.logged, self.asked = [], []
        self.page.on("console", lambda message: self.logged.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.logged.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{address}#{hash}")
        self.until(connected="true")
        self.until(state="idle")

    @property
    def data(self):
        return self.page.evaluate("({...document.body.dataset})")

    def until(self, seconds=30, **values):
        """Until the body's data are these values, or fulfil these conditions."""
        deadline = time.monotonic() + seconds
        while True:
            data = self.data
            if all(v(data.get(k, "")) if callable(v) else data.get(k) == v for k, v in values.items()):
                return data
            assert time.monotonic() < deadline, (values.keys(), data)
            time.sleep(0.05)

    def settings(self):
        return self.page.evaluate("window.playground.settings")

    def losses(self):
        return self.page.evaluate("window.playground.history.losses")


@pytest.fixture(scope="module")
def visit(browser, address):
    one = Visit(browser, address, "method=gan&preset=robust&target=bimodal" + FAST)
    yield one
    assert one.logged == []
    hosts = {url.split("/")[2] for url in one.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {address.split("/")[2]}


def beyond(number):
    return lambda text: text.isdigit() and int(text) > number


def test_start_trains_and_stop_stops(visit):
    visit.page.click("#start")
    visit.until(step=beyond(100))
    visit.page.click("#start")
    stopped = visit.until(state="idle")
    assert int(stopped["frames"]) > 0
    losses = visit.losses()
    assert len(losses["step"]) == int(stopped["epoch"]) == len(losses["loss_g"])
    assert len(set(losses["loss_d"])) > 1
    assert "epoch" in visit.page.inner_text("#status").lower()
    time.sleep(0.3)
    assert visit.data["step"] == stopped["step"]


def test_step_is_an_epoch_by_button_and_key(visit):
    before = int(visit.data["step"])
    visit.page.click("#step")
    visit.until(step=str(before + 10))
    visit.page.keyboard.press("s")
    visit.until(step=str(before + 20))
    visit.page.keyboard.press("d")
    visit.until(step=str(before + 30))


def test_distance_falls_until_the_end_and_the_verdict_is_said(visit):
    visit.page.fill("#num_steps", "1000")
    visit.page.press("#num_steps", "Enter")
    visit.until(state="idle", step="0")
    visit.page.click("#start")
    visit.until(state="finished", step="1000")
    distance = visit.page.evaluate("window.playground.history.looks.w1_over_std")
    assert distance[-1] < 0.5 * distance[0]
    assert visit.data["verdict"] in jgen1d.verdict.VERDICTS
    assert visit.page.inner_text("#verdict").strip()


def test_reset_begins_anew(visit):
    visit.page.keyboard.press("r")
    visit.until(state="idle", step="0")
    assert visit.losses().get("step", []) == []


def test_a_learning_rate_changes_the_run_without_a_reset(visit):
    visit.page.click("#step")
    visit.until(step="10")
    visit.page.fill("#field-learning_rate_g", "0.0005")
    visit.page.press("#field-learning_rate_g", "Enter")
    visit.page.click("#step")
    visit.until(step="20")
    assert visit.settings()["fields"]["learning_rate_g"] == "0.0005"
    assert "learning_rate_g=0.0005" in visit.page.url


def test_a_wrong_value_is_told_at_its_field(visit):
    visit.page.fill("#field-learning_rate_g", "-1")
    visit.page.press("#field-learning_rate_g", "Enter")
    visit.page.wait_for_selector("#error-learning_rate_g:has-text('at least 0')")
    assert visit.page.get_attribute("#field-learning_rate_g", "aria-invalid") == "true"
    visit.page.fill("#field-learning_rate_g", "0.001")
    visit.page.press("#field-learning_rate_g", "Enter")


@pytest.mark.parametrize(
    ("control", "value", "name", "expected"),
    [
        ("target", "two_normals", "target", "two_normals"),
        ("dataset_size", "512", "dataset_size", 512),
        ("method", "vae", "method", "vae"),
        ("method", "gan", "method", "gan"),
        ("preset", "playground", "preset", "playground"),
    ],
)
def test_choices_configure_the_run(visit, control, value, name, expected):
    visit.page.select_option(f"#{control}", value)
    visit.until(state="idle")
    assert visit.settings()[name] == expected


def test_the_address_reproduces_the_settings(visit, browser, address):
    visit.page.fill("#seed", "7")
    visit.page.press("#seed", "Enter")
    other = Visit(browser, address, visit.page.url.partition("#")[2])
    assert other.settings() == visit.settings()
    assert other.settings()["seed"] == 7
    other.page.close()
    assert other.logged == []


@pytest.mark.parametrize("number", range(5))
def test_phenomena_load_and_start(visit, number):
    from jgen1d.playground import phenomena

    wanted = phenomena.PHENOMENA[number]
    name = wanted["id"]
    visit.page.click(f"button[data-phenomenon={name}]")
    visit.until(step=beyond(0))
    assert json.loads(json.dumps(visit.settings())) == wanted["settings"]
    visit.page.keyboard.press("Space")
    visit.until(state=lambda state: state in ("idle", "finished"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 800), (1600, 1000)])
def test_both_widths_and_themes_fit_and_are_photographed(browser, address, theme, width, height):
    visit = Visit(
        browser, address, "method=gan&preset=textbook&target=mixture" + FAST,
        viewport={"width": width, "height": height}, color_scheme=theme,
    )  # fmt: skip
    visit.page.click("#start")
    visit.until(step=beyond(200))
    visit.page.click("#start")
    visit.until(state="idle")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    visit.page.screenshot(path=SCREENSHOTS / f"{width}-{theme}.png")
    assert visit.logged == []
    visit.page.close()
