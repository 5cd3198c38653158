"""How soon does the playground show something that moves, how smoothly, and how large are its page and its replay?

    python benchmarks/watching.py                # some 5 minutes on 2 cores, half of them a first visit's compilation
    python benchmarks/watching.py --signals      # 2 minutes: signals only

Needs pip install -e ".[dev]" and a Chromium (apt-get install chromium, or CHROMIUM=/path/to/it).

Visits: to a server that has just started without compiled programs, with Start pressed at once, and on another such
server after --read seconds; the same of one that was restarted and finds its programs; and second visits to a running
server. Each gives the seconds from the page's opening to the first picture, and from Start to the first moving plot.
Run: how long one at the default speed lasts, the frames that were drawn in it, and frames/s of two pages at once.
Signals: steps/s and frames/s of pulses with the model that the page begins with there, in one lane, four and eight.
Sizes: of what the page loads, as transferred, and of the replay of that run, which is opened without a network.
"""

import os
import pathlib
import tempfile
import time
from typing import Any

import numpy as np
from absl import flags

from benchmarks.pages import browsing, open_page, serving, wait
from jgen1d import cli

_SIGNALS = flags.DEFINE_boolean("signals", False, "measure runs on signals only")
_READ = flags.DEFINE_float("read", 10.0, "seconds that a visitor looks at the page before Start", lower_bound=0)

PICTURED = "window.playground?.history.looks.step?.length > 0 && document.body.dataset.drawn === '0'"
MOVES = "Number(document.body.dataset.drawn) > 0"
ENDED = "document.body.dataset.state === 'finished'"


def main() -> None:
    """Measures and prints."""
    if _SIGNALS.value:
        with browsing() as browser, serving() as (address, _):
            _signals(browser, address)
        return
    later = f"Start after {_READ.value:g} s"
    with browsing() as browser:
        print(f"{'load ' + str(os.getloadavg()[0]):44} first picture  Start to moving (s)")
        with tempfile.TemporaryDirectory() as cache, serving(cache=cache) as (address, _):
            _visit(browser, address, f"first visit, no programs, {later}", _READ.value)
        with tempfile.TemporaryDirectory() as cache:
            with serving(cache=cache) as (address, _):
                _visit(browser, address, "first visit, no programs, Start at once", 0)
                _visit(browser, address, "second visit", 0)
            with serving(cache=cache) as (address, _):
                _visit(browser, address, "server started again, Start at once", 0)
                _visit(browser, address, "second visit", 0)
                _watch(browser, address, cache)
                _both(browser, address)
                _signals(browser, address)


def _visit(browser: Any, address: str, name: str, read: float) -> None:
    page, began = browser.new_page(viewport={"width": 1600, "height": 1000}), time.monotonic()
    page.goto(address)
    wait(page, PICTURED)
    pictured = time.monotonic() - began
    time.sleep(read)
    page.click("#start")
    began = time.monotonic()
    wait(page, MOVES)
    print(f"{name:44} {pictured:13.1f}  {time.monotonic() - began:.2f}", flush=True)
    page.close()


def _watch(browser: Any, address: str, folder: str) -> None:
    sizes = []
    page = browser.new_page()
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(address)
    wait(page, PICTURED)
    page.click("#start")
    wait(page, MOVES)
    began, first = time.monotonic(), _frames(page)
    wait(page, ENDED)
    lasted = time.monotonic() - began
    print(f"a run of 5,000 steps lasts {lasted:.1f} s, {_frames(page) - first} frames drawn")
    print(f"the page's {len(sizes)} files: {sum(sizes) / 1000:.1f} kB")
    replay = pathlib.Path(folder) / "replay.html"
    with page.expect_download() as download:
        page.click("#export-replay")
    download.value.save_as(replay)
    page.close()
    context, asked = browser.new_context(offline=True), []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(replay.as_uri())
    page.click("#play")
    wait(page, "document.body.dataset.step === '5000'")
    print(f"its replay: {replay.stat().st_size / 1000:.0f} kB, played to its end offline with {len(asked)} request")
    context.close()


def _both(browser: Any, address: str) -> None:
    pages = [open_page(browser, address, f"seed={seed}", speed="normal") for seed in (0, 1)]
    for page in pages:
        page.click("#start")
    for page in pages:
        wait(page, MOVES)
    counts, times = [[_frames(page) for page in pages]], [time.monotonic()]
    for _ in range(8):
        time.sleep(1)
        counts.append([_frames(page) for page in pages])
        times.append(time.monotonic())
    rates = np.diff(counts, axis=0) / np.diff(times)[:, None]
    both = " and ".join(
        f"{mean:.1f} ({low:.1f} in the slowest second)" for mean, low in zip(rates.mean(0), rates.min(0), strict=True)
    )
    print(f"two pages at once: {both} frames/s, at load {os.getloadavg()[0]}")
    for page in pages:
        page.close()


def _signals(browser: Any, address: str) -> None:
    for lanes in (1, 4, 8):
        page = open_page(browser, address, f"target=pulse&lanes={lanes}", speed="normal")
        page.click("#start")
        wait(page, MOVES)
        counts, times = [], []
        for _ in range(11):
            counts.append([_frames(page), int(page.evaluate("document.body.dataset.step"))])
            times.append(time.monotonic())
            time.sleep(1)
        frames, steps = (np.array(counts[-1]) - counts[0]) / (times[-1] - times[0])
        rates = f"{steps:.0f} steps/s in each lane, {frames:.1f} frames/s"
        print(f"pulses in {lanes} lanes: {rates}, at load {os.getloadavg()[0]:.1f}", flush=True)
        page.close()


def _frames(page: Any) -> int:
    return int(page.evaluate("document.body.dataset.frames"))


if __name__ == "__main__":
    cli.run(main)
