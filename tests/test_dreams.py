"""Sentences about agents that learn in dreams, from outcomes that are made up."""

import re

import numpy as np

from jgen1d.report import dreams
from jgen1d.worlds.training import Outcome


def outcome(real, dream):
    size = len(real)
    error = np.full((size, 4), 0.5)
    return Outcome(None, None, np.array(real), np.array(dream), error, np.zeros((size, 3)), np.zeros(size, bool))


def rows_of(**returns):
    """Two ways to dream with 100 and 200 real steps, and PPO."""
    label = {"agent": "dream", "family": "gaussian", "ensemble": 1, "temperature": 1.0}
    found = []
    for name, (steps, real) in returns.items():
        own = label | {"rounds": 5 if name.startswith("iterated") else 1, "real_steps": steps}
        found.append(dreams.row(own, outcome(real, [500.0] * len(real)), 475.0, 1.0))
    found.append(dreams.row({"agent": "PPO", "real_steps": 512}, outcome([500.0, 9.0], [np.nan] * 2), 475.0, 1.0))
    return found


def test_sentences_count_seeds_and_say_how_often_few_of_them_mislead():
    rows = rows_of(
        plain_100=(100, [9.0] * 10), plain_200=(200, [500.0] * 2 + [9.0] * 8),
        iterated_100=(100, [9.0] * 10), iterated_200=(200, [500.0] * 8 + [9.0] * 2),
    )  # fmt: skip
    assert [row["solved"]["count"] for row in rows] == [0, 2, 0, 8, 1]
    assert [row["exploits_the_model"]["count"] for row in rows] == [10, 8, 10, 2, 0]
    assert {row["one_step_error"]["median"] for row in rows} == {0.5}
    plain, iterated, ranking, ppo = dreams.conclusions(rows)
    assert plain.startswith("gaussian, τ = 1: with 100 real steps 0% [0–28] of seeds solve reality")
    assert plain.endswith("; none solves half.")
    assert iterated.startswith("gaussian, 5 rounds, τ = 1: ")
    assert iterated.endswith("the fewest real steps with which half of the seeds do is 200.")
    assert ppo == "PPO without a model solves reality in 50% [9–91] after 512 real steps."
    drawn = (np.random.default_rng(0).random((2, 100_000, 5)) < np.array([[[0.8]], [[0.2]]])).sum(axis=2)
    expected = 100 * (np.mean(drawn[1] > drawn[0]) + 0.5 * np.mean(drawn[1] == drawn[0]))
    said = re.fullmatch(r"At 200 real steps gaussian, 5 rounds, τ = 1 is the best, .* in (\d+) % of cases\.", ranking)
    assert abs(float(said[1]) - expected) < 0.7


def test_figures_are_of_dreams_and_of_the_longest_run_without_one():
    rows = rows_of(plain_100=(100, [9.0, 500.0]), iterated_100=(100, [500.0, 500.0]))
    outcomes = [outcome([9.0, 500.0], [500.0, 500.0])] * 3
    figures = dreams.figures(rows, outcomes, 475.0, 512, "CartPole")
    shares = figures["shares"].keywords["shares"]
    assert shares["gaussian, τ = 1"][0] == [0.5]
    assert shares["gaussian, 5 rounds, τ = 1"][0] == [1.0]
    assert [len(dream) for dream, _ in figures["returns"].keywords["runs"].values()] == [4]
    assert list(figures["curves"].keywords["curves"])[-1] == "PPO in reality\n512 real steps"
