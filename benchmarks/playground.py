"""How fast does the playground train, draw and stop, and how soon does it show its phenomena? In headless Chromium.

    python benchmarks/playground.py                        # 10 minutes on 2 cores
    python benchmarks/playground.py --rounds=1 --phenomena=

Needs pip install -e ".[dev]" and a Chromium (apt-get install chromium, or CHROMIUM=/path/to/it).

Training: one run on the page and one by `fit`, in turns, each --seconds long; steps/s of both, their ratio, frames/s
that the page takes, and the milliseconds from a click on Stop until the server's answer, and until training stands
still.
Phenomena: the seconds from a click until the verdict that the phenomenon is there to show is on the page for good, with
programs compiled for the first time (cold) and kept from before (warm); and the verdict at the end. Cures are
measured in the same way: their verdict is that the run converged. `benchmarks/lessons.py` has the rates over seeds.
"""

import tempfile
import time
from typing import Any

import jax
import numpy as np
from absl import flags

import jgen1d
from benchmarks.pages import browsing, open_page, serving, wait
from jgen1d import cli
from jgen1d.core import unknown
from jgen1d.evaluation.verdict import LEARNED
from jgen1d.playground import phenomena

_ROUNDS = flags.DEFINE_integer("rounds", 3, "turns of page and fit", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 10.0, "of each turn", lower_bound=0.5)
_PRESETS = flags.DEFINE_list("presets", ["textbook", "regularized"], "of the GAN, separated by commas; empty: none")
_PHENOMENA = flags.DEFINE_list(
    "phenomena", [one["id"] for one in phenomena.PHENOMENA], "to show, separated by commas; empty: none"
)

STOP = """() => new Promise((resolve) => {
  const began = performance.now(), page = document.body;
  let answered = null;
  new MutationObserver((_, observer) => {
    if (page.dataset.state === "stopping") answered ??= performance.now() - began;
    if (page.dataset.state !== "idle") return;
    observer.disconnect();
    const ended = performance.now() - began;
    resolve([answered ?? ended, ended]);
  }).observe(page, { attributes: true, attributeFilter: ["data-state"] });
  document.getElementById("start").click();
})"""


def main() -> None:
    """Measures and prints."""
    for name in _PHENOMENA.value:
        if name not in (known := [one["id"] for one in phenomena.PHENOMENA]):
            raise ValueError(f"--phenomena: none is called {unknown(name, known)}")
    with browsing() as browser, serving() as (address, _):
        if _PRESETS.value:
            print(f"{'':10} steps/s: page   fit   page/fit             frames/s  stop ms: answered  still")
        for preset in _PRESETS.value:
            print(_training(browser, address, preset), flush=True)
    if not _PHENOMENA.value:
        return
    print("\nphenomenon, and its cure     shows             cold s  warm s  at the end")
    with tempfile.TemporaryDirectory() as cache, browsing() as browser:
        for one in phenomena.PHENOMENA:
            if one["id"] in _PHENOMENA.value:
                _phenomenon(browser, cache, one)


def _training(browser: Any, address: str, preset: str) -> str:
    """A row that compares the page with `fit`."""
    page = open_page(browser, address, f"preset={preset}&num_steps=100000")
    config, target = jgen1d.methods.gan.preset(preset), jgen1d.TARGETS["bimodal"]
    key = jax.random.key(0)

    def fit(num_steps: int) -> float:
        began = time.monotonic()
        jgen1d.fit(key, jgen1d.METHODS["gan"], target, config, num_steps=num_steps, eval_every=num_steps // 50)
        return time.monotonic() - began

    fit(500)
    num_steps = 500 * max(1, round(_SECONDS.value / fit(500)))  # as long as a turn, about
    fit(num_steps)  # compiles
    rates, frames, stops = [], [], []
    for _ in range(_ROUNDS.value):
        page.click("#reset")
        wait(page, "document.body.dataset.step === '0'")
        page.click("#start")
        wait(page, "Number(document.body.dataset.step) > 100")
        first, began = _counts(page), time.monotonic()
        time.sleep(_SECONDS.value)
        last, took = _counts(page), time.monotonic() - began
        frames.append((last[1] - first[1]) / took)
        stops.append(page.evaluate(STOP))
        for _ in range(4):
            page.click("#start")
            wait(page, "document.body.dataset.state === 'running'")
            time.sleep(0.3)
            stops.append(page.evaluate(STOP))
        rates.append(((last[0] - first[0]) / took, num_steps / fit(num_steps)))
    page.close()
    shown, alone = np.array(rates).T
    ratio, (answered, still) = shown / alone, np.array(stops).T
    return (
        f"{preset:10} {np.median(shown):13.0f} {np.median(alone):5.0f}   {np.median(ratio):.2f} [{ratio.min():.2f}, "
        f"{ratio.max():.2f}] {np.median(frames):15.1f} {np.median(answered):10.0f} [{answered.max():.0f}]"
        f" {np.median(still):6.0f} [{still.max():.0f}]"
    )


def _counts(page: Any) -> tuple[int, int]:
    return tuple(page.evaluate("[Number(document.body.dataset.step), Number(document.body.dataset.frames)]"))


def _phenomenon(browser: Any, cache: str, one: dict[str, Any]) -> None:
    """Prints a row of how soon the page shows it, and one of its cure."""
    parts: list[tuple[str, str, tuple[str, ...]]] = [
        (f"button[data-phenomenon={one['id']}]", one["label"], (one["shows"],)),
        ("#cure", f"  {one['cure']['label']}", LEARNED),
    ]
    watched = []
    for _ in ("cold", "warm"):
        with serving(cache=cache) as (address, _):
            page = open_page(browser, address)
            watched.append([_watch(page, button, expected) for button, _, expected in parts])
            page.close()
    for (_, label, expected), *both in zip(parts, *watched, strict=True):
        seconds = (f"{shown:7.1f}" if shown is not None else f"{'–':>7}" for shown, _ in both)
        ends = "/".join(dict.fromkeys(end for _, end in both))
        print(f"{label:28.28} {expected[-1]:17} {' '.join(seconds)}  {ends}", flush=True)


def _watch(page: Any, button: str, expected: tuple[str, ...]) -> tuple[float | None, str]:
    """Seconds from a click until the verdict is shown for good, None if it never is, and the verdict at the end."""
    before = page.evaluate("document.body.dataset.run")
    page.click(button)
    began, since = time.monotonic(), None
    wait(page, f"document.body.dataset.run !== '{before}'")
    while True:
        data = page.evaluate("({...document.body.dataset})")
        if data["verdict"] not in expected:
            since = None
        elif since is None:
            since = time.monotonic() - began
        if data["state"] in ("finished", "diverged"):
            return since, data["verdict"]
        if time.monotonic() - began > 300:
            raise ValueError(f"a run has not ended after 300 s: {data}")
        time.sleep(0.05)


if __name__ == "__main__":
    cli.run(main)
