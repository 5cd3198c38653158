"""What the playground says of its lessons is what was measured; its first picture, and programs made ahead."""

import json
import math
import os
import re
import subprocess
import threading
import time
from collections import Counter

import jax
import numpy as np
import pytest

from jgen1d.engine import compiled
from jgen1d.evaluation.verdict import LEARNED, VERDICTS
from tests import scripts

pytest.importorskip("starlette", reason='needs the extra "playground"')

from benchmarks import first_picture
from jgen1d.playground import ahead, first, lessons, look, phenomena, rates, settings
from jgen1d.playground.trainer import Trainer
from jgen1d.playground.training import both
from jgen1d.playground.warmup import Warmup

STORED = rates.stored()
TOLD = rates.told(STORED)
SIDES = [(name, side) for name, sides in rates.recipes().items() for side in sides]
RATE = r"(\d+) of (\d+) seeds \((\d+) % \[(\d+)–(\d+)\]\)"


def wilson(count, size):
    """The share and its 95 % interval in percent, by the formula."""
    z, p = 1.959964, count / size
    middle = (p + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * math.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
    return [round(100 * value) for value in (p, middle - half, middle + half)]


def numbers(text):
    """Of each rate in a sentence: count, size, share and interval."""
    return [list(map(int, found)) for found in re.findall(RATE, text)]


def expected(count, size=rates.NUM_SEEDS):
    return [count, size, *wilson(count, size)]


def num_learned(stored):
    counts = Counter(stored["verdicts"])
    return sum(counts[name] for name in LEARNED)


@pytest.mark.parametrize(("name", "side"), SIDES, ids=str)
def test_what_was_measured_belongs_to_the_settings_of_the_button(name, side):
    """After a change of a lesson, `python benchmarks/lessons.py --lessons=...` makes it anew."""
    stored = STORED[name][side]
    assert stored["settings"] == rates.recipes()[name][side]
    assert len(stored["verdicts"]) == len(stored["w1_over_std"]) == rates.NUM_SEEDS
    assert set(stored["verdicts"]) <= set(VERDICTS)


@pytest.mark.parametrize("number", range(len(phenomena.PHENOMENA)))
def test_tours_tell_what_was_measured_and_it_bears_them_out(number):
    lesson, told = phenomena.PHENOMENA[number], TOLD["phenomena"][number]
    stored = STORED[lesson["id"]]
    count = Counter(stored["shown"]["verdicts"])[lesson["shows"]]
    assert numbers(told["tour"][0]) == [expected(count)]
    assert numbers(told["tour"][2]) == [expected(num_learned(stored["cured"]))]
    for step in (0, 2):
        assert numbers(told["tour"][step])[0][3] > 50  # most seeds, beyond doubt
    assert [text.startswith(said) for text, said in zip(told["tour"], lesson["tour"], strict=True)] == [True] * 3


@pytest.mark.parametrize("number", range(len(lessons.EXPERIMENTS)))
def test_answers_tell_what_was_measured(number):
    told = TOLD["experiments"][number]
    a, b = (STORED[told["id"]][side] for side in "AB")
    pairs = zip(a["w1_over_std"], b["w1_over_std"], strict=True)
    nearer = sum(other is not None and (one is None or other < one) for one, other in pairs)
    assert numbers(told["measured"]) == [expected(nearer), expected(num_learned(a)), expected(num_learned(b))]
    _, low, high = wilson(nearer, rates.NUM_SEEDS)
    best = "B is better" if low > 50 else "A is better" if high < 50 else "neither is better"
    assert f"nearer to the data with B: {best}." in told["measured"]
    medians = [float(text) for text in re.findall(r"median W₁/σ of ([\d.e-]+\d)", told["measured"])]
    for median, stored in zip(medians, (a, b), strict=True):
        ordered = sorted(np.inf if value is None else value for value in stored["w1_over_std"])
        assert median == pytest.approx((ordered[15] + ordered[16]) / 2, rel=0.05)


def test_the_docs_tell_what_the_page_tells():
    text = (scripts.ROOT / "docs/playground.md").read_text()
    for stored in STORED.values():
        assert f"| {' '.join(stored['says'])} |" in text


@pytest.mark.parametrize("phenomenon", phenomena.PHENOMENA, ids=lambda one: one["id"])
def test_a_phenomenon_shows_when_it_is_trained(phenomenon, optimised):
    """In at least two of four seeds: where nine of ten show it, fewer do by chance in 0.4 % of such draws."""
    found = rates.measure(phenomenon["settings"], num_seeds=4)
    assert Counter(found["verdicts"])[phenomenon["shows"]] >= 2, found["verdicts"]


def test_the_script_measures_both_sides_and_keeps_them(tmp_path):
    path = tmp_path / "rates.json"
    kept = STORED["depth"]
    path.write_text(json.dumps({"depth": kept | {"says": ["old words"]}}))
    script = scripts.EXPERIMENTS.parent / "benchmarks/lessons.py"
    done = scripts.run("--lessons=dead_discriminator", "--num_seeds=2", f"--output={path}", script=script)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    assert found["depth"] == kept
    sides = found["dead_discriminator"]
    says = sides.pop("says")
    assert sides.keys() | {"says"} == STORED["dead_discriminator"].keys()
    for side, measured in sides.items():
        stored = STORED["dead_discriminator"][side]
        assert measured["settings"] == stored["settings"]
        assert len(measured["verdicts"]) == len(measured["w1_over_std"]) == 2
        assert set(measured["verdicts"]) <= set(VERDICTS)
    counts = [sides["shown"]["verdicts"].count("false_equilibrium"), num_learned(sides["cured"])]
    assert [numbers(text)[0][:2] for text in says] == [[count, 2] for count in counts]
    assert done.stdout.strip() == f"dead_discriminator: {' '.join(says)}"


def test_a_lesson_that_is_not_there_is_told():
    done = scripts.run("--lessons=deph", script=scripts.EXPERIMENTS.parent / "benchmarks/lessons.py")
    assert done.returncode == 2
    assert done.stderr.startswith("lessons.py: --lessons: none is called 'deph'; did you mean 'depth'?")
    assert done.stderr.count("\n") == 1


# --- before anything is compiled ------------------------------------------------------------------------------------


def is_near(one, other):
    """Whether two JSON values are the same but for the last digits of their numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_near(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_near, one, other))
    if isinstance(one, float):
        return one == pytest.approx(other, rel=1e-2, abs=1e-2)
    return one == other


def test_the_kept_picture_is_what_the_trainer_shows_first():
    """After a change of the first settings, `python benchmarks/first_picture.py` makes it anew."""
    kept, made = first.messages(), first_picture.made()
    for one, other in zip(kept, made, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert is_near(one[name], other[name]), name
    assert sum(kept[1]["histogram"]) > 0


@pytest.mark.parametrize("name", ["scene", "runs"])
def test_the_kept_beginning_is_what_the_programs_make(name):
    asked = settings.resolve(settings.first(), {})
    count = look.num_samples(asked.method, asked.truth)
    assert first.is_kept(asked, count)
    kept, made = first.kept(asked, count, name), first.parts(asked, count)[name]()
    assert jax.tree.structure(kept) == jax.tree.structure(made)
    for one, other in zip(jax.tree.leaves(kept), jax.tree.leaves(made), strict=True):
        if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert (one.dtype, one.weak_type) == (other.dtype, other.weak_type)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    other = settings.resolve(settings.first() | {"seed": 1}, {})
    assert not first.is_kept(other, count)


def test_a_page_with_the_first_settings_has_its_picture_before_a_program(monkeypatch):
    """Other settings wait."""
    go_on = threading.Event()
    monkeypatch.setattr(Warmup, "_work", lambda self: go_on.wait(60) and self._done(1, 2, 3, 4))
    warmup = Warmup()
    for change, kinds in (({}, ["configured", "frame", "status"]), ({"seed": 1}, ["status"])):
        said, waits = [], threading.Event()

        def send(message, said=said, waits=waits):
            said.append(message)
            if message["type"] == "status":
                waits.set()

        trainer = Trainer(send, lambda: None, warmup)
        trainer.ask({"type": "configure", "settings": settings.first() | change})
        assert waits.wait(30)
        trainer.close()
        assert [message["type"] for message in said[: len(kinds)]] == kinds
        assert said[len(kinds) - 1]["state"] == "compiling"
        trainer._thread.join(60)
    go_on.set()
    warmup._thread.join(60)


# --- ahead ----------------------------------------------------------------------------------------------------------

SMALL = {"num_steps": 10, "batch_size": 8, "fields": {"widths_g": "3", "widths_d": "3"}}


def test_all_buttons_are_compiled_ahead():
    asked = ahead.wanted()
    for name, sides in rates.recipes().items():
        for side in sides.values():
            models = [
                one for one in asked if side in (one | {"rival": None}, one | (one["rival"] or {}) | {"rival": None})
            ]
            assert models, name
    assert sum(one["rival"] is not None for one in asked) == len(lessons.EXPERIMENTS) + len(lessons.PAIRS)


def test_what_is_compiled_ahead_is_found_in_the_cache(tmp_path, monkeypatch):
    """By a server that trains the same: no program is compiled anew. It is done once."""
    kde = {"method": "kde", "preset": "default", "fields": {}}
    asked = settings.first() | SMALL | {"preset": "textbook", "rival": kde}
    monkeypatch.setattr(ahead, "wanted", lambda: [asked])
    monkeypatch.setattr(ahead, "_end_with_server", lambda: None)
    monkeypatch.setattr(ahead, "_give_way", lambda: None)
    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        assert compiled.keep(tmp_path / "cache") == ""
        jax.clear_caches()
        ahead._main()
        jax.clear_caches()
        start = compiled.counts()
        for training in both(settings.resolve(asked, {})):
            training.look()
            training.advance(1, 10, "both")
            training.look()
        used = compiled.counts() - start
        assert used["programs"] == used["cached"] > 5
        monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("what is compiled is compiled again"))
        with ahead.compiling(jax.config.values["jax_compilation_cache_dir"]):
            pass
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_the_process_that_compiles_ahead_gives_way_and_ends_with_the_server(tmp_path, monkeypatch):
    """Without a cache there is none."""
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **how: started.append(popen(*given, **how)) or started[-1])
    for folder in (None, ""):
        with ahead.compiling(folder):
            assert not started
    with ahead.compiling(str(tmp_path / compiled.kind())):
        (process,) = started
        deadline = time.monotonic() + 60
        while os.sched_getscheduler(process.pid) != os.SCHED_IDLE:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    assert process.returncode == 0
