"""How does a script serve the playground and visit its page? In processes of their own, as a user would."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def serving(*given: str, cache: str | None = None) -> Iterator[tuple[str, int]]:
    """The address and the process of a playground as a user starts it."""
    command = [sys.executable, "-m", "jgen1d.playground", "--port=0", *given]
    environment = os.environ | ({} if cache is None else {"XDG_CACHE_HOME": cache})
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().rstrip("/"), process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextlib.contextmanager
def browsing() -> Iterator[Any]:
    """A headless Chromium. Raises ValueError if there is none."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise ValueError("there is no chromium: apt-get install chromium, or set CHROMIUM=/path/to/it")
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(browser: Any, address: str, query: str = "", speed: str = "fastest") -> Any:
    """A page that shows its first picture, and trains at a speed."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.goto(f"{address}/#{query}")
    wait(page, "document.body.dataset.state === 'idle' && document.body.dataset.connected === 'true'")
    wait(page, "window.playground?.history.looks.step?.length > 0")
    page.select_option("#speed", speed)
    return page


def wait(page: Any, condition: str) -> None:
    """Waits until JavaScript is true; playwright's own waiting needs a page that allows `eval`."""
    deadline = time.monotonic() + 120
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise ValueError(f"the page has not got there after 120 s: {condition}")
        time.sleep(0.02)
