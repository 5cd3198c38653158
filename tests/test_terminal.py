"""Tables where a person reads them: as many columns as fit, and colours on a terminal alone."""

import io
import re

import pytest

from jgen1d.evaluation.verdict import VERDICTS
from jgen1d.report import terminal
from jgen1d.report.stats import rate, spread
from jgen1d.report.table import OUTCOME, Table

ROWS = [
    {
        "target": target, "preset": preset, "num_seeds": 16, "learned": rate([preset == "robust"] * 16),
        "at_equilibrium": rate([True] * 16), "modes_covered": spread([2.0, 3.0]), "w1_over_floor": spread([1.0, 19.0]),
        "steps_to_threshold": 4_000,
    }
    for target in ("normal", "exponential") for preset in ("textbook", "robust")
]  # fmt: skip


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return Screen()


def plain(text):
    return re.sub(r"\033\[\d+m", "", text)


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 140, 400])
def test_a_table_is_as_wide_as_the_terminal_and_says_what_is_missing(width):
    text, whole = terminal.fitted(Table(ROWS), width), list(Table(ROWS).columns())
    table = text.partition("\n\n")[0]
    assert max(map(len, table.split("\n"))) <= width
    missing = len(whole) - len(re.split(" {2,}", table.split("\n")[-1].strip()))
    assert (f"{missing} columns more with --table=all" in text) == bool(missing)
    assert (missing == 0) == (width >= 100)
    assert all(label in table for label in ("exponential", "textbook", "robust"))  # what was run is always there
    assert ("100% [81–100]" in table) == (width >= 40)  # as is whether it learned


def test_what_is_most_important_comes_first_and_in_the_table_s_order():
    titles = [terminal.fitted(Table(ROWS), width).split("\n")[0].split() for width in (40, 60)]
    assert titles == [["target", "preset", "learned"], ["target", "preset", "seeds", "learned", "at", "optimum"]]


def test_a_sweep_s_verdicts_become_one_share_where_they_do_not_fit():
    verdicts = {verdict: rate([verdict == "converged"] * 16) for verdict in VERDICTS}
    rows = [{**row, "verdicts": verdicts} for row in ROWS]
    table = Table(rows, (*OUTCOME, "w1_over_floor", "modes_covered"))
    wide, narrow = terminal.fitted(table, 400), terminal.fitted(table, 60)
    assert "indistinguishable" in wide
    assert "learned" not in wide
    assert "indistinguishable" not in narrow
    assert "learned" in narrow


def test_long_names_are_shortened_and_stay_apart():
    names = [f"{'waiting time ' * 4}{end}" for end in ("before", "after")]
    rows = [{**ROWS[0], "target": name} for name in names]
    lines = terminal.fitted(Table(rows), 80).split("\n")
    assert max(map(len, lines)) <= 80
    assert len(set(lines)) == len(lines)


def test_a_terminal_gets_what_fits_in_colour_and_a_file_gets_all(screen, monkeypatch):
    table = Table(ROWS)
    on_screen = terminal.shown(table, screen)
    assert plain(on_screen) == terminal.fitted(table, 80)
    assert terminal.BOLD in on_screen
    assert f"{terminal.GREEN}100% [81–100]{terminal.RESET}" in on_screen
    assert f"{terminal.RED}0% [0–19]{terminal.RESET}" in on_screen
    assert plain(terminal.shown(table, screen, "all")) == str(table)
    assert terminal.shown(table, io.StringIO()) == str(table)
    assert terminal.shown(table, io.StringIO(), "fit") == terminal.fitted(table, 80)
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.shown(table, screen) == plain(on_screen)
    monkeypatch.setenv("NO_COLOR", "")  # which does not count as set: no-color.org
    assert terminal.shown(table, screen) == on_screen
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.shown(table, screen) == plain(on_screen)
