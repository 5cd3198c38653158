"""Sentences about agents that learn in dreams, from outcomes that are made up."""

import io
import re

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jgen1d.report import dreams
from jgen1d.worlds import ENVIRONMENTS, cartpole, ppo, world_model
from jgen1d.worlds.fidelity import Fidelity
from jgen1d.worlds.training import Outcome


def outcome(real, dream, fidelity=None):
    size = len(real)
    return Outcome(None, None, np.array(real), np.array(dream), fidelity, np.zeros((size, 3)), np.zeros(size, bool))


def compared(size):
    """Models whose i-th follows the truth for i steps."""
    paths = np.tile(np.arange(size, dtype=float)[:, None, None, None], (1, 2, 5, 4))
    return Fidelity(np.full((size, 4), 0.5), np.arange(size, dtype=float), np.full(size, 0.02), paths)


def rows_of(**returns):
    """Two ways to dream with 100 and 200 real steps, and PPO."""
    label = {"agent": "dream", "family": "gaussian", "ensemble": 1, "temperature": 1.0}
    found = []
    for name, (steps, real) in returns.items():
        own = label | {"rounds": 5 if name.startswith("iterated") else 1, "real_steps": steps}
        found.append(dreams.row(own, outcome(real, [500.0] * len(real), compared(len(real))), 475.0, 1.0))
    found.append(dreams.row({"agent": "PPO", "real_steps": 512}, outcome([500.0, 9.0], [np.nan] * 2), 475.0, 1.0))
    return found


def test_sentences_count_seeds_and_say_how_often_few_of_them_mislead():
    rows = rows_of(
        plain_100=(100, [9.0] * 10), plain_200=(200, [500.0] * 2 + [9.0] * 8),
        iterated_100=(100, [9.0] * 10), iterated_200=(200, [500.0] * 8 + [9.0] * 2),
    )  # fmt: skip
    assert [row["solved"]["count"] for row in rows] == [0, 2, 0, 8, 1]
    assert [row["exploits_the_model"]["count"] for row in rows] == [10, 8, 10, 2, 0]
    assert [row["one_step_error"]["median"] for row in rows[:4]] == [0.5] * 4
    assert [row["horizon"]["median"] for row in rows[:4]] == [4.5] * 4
    assert [row["done_error"]["median"] for row in rows[:4]] == [2.0] * 4
    assert rows[4]["one_step_error"] is rows[4]["horizon"] is rows[4]["done_error"] is None
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
    outcomes = [outcome([9.0, 500.0], [500.0, 500.0], compared(2))] * 3
    figures = dreams.figures(rows, outcomes, 475.0, 512, "CartPole", (2, "angle"))
    assert sorted(figures) == ["curves", "returns", "rollouts", "shares"]
    shares = figures["shares"].keywords["shares"]
    assert shares["gaussian, τ = 1"][0] == [0.5]
    assert shares["gaussian, 5 rounds, τ = 1"][0] == [1.0]
    assert [len(dream) for dream, _ in figures["returns"].keywords["runs"].values()] == [4]
    assert list(figures["curves"].keywords["curves"])[-1] == "PPO in reality\n512 real steps"
    paths, steps = figures["rollouts"].keywords["panels"]["gaussian, τ = 1\n100 real steps"]
    assert (paths.shape, steps) == ((2, 5), 0.0)  # of the lower of two middle seeds


def test_temperatures_are_compared_where_nothing_else_differs():
    label = {"agent": "dream", "family": "vae", "ensemble": 2, "rounds": 1, "real_steps": 2_000}
    cases = [(0.1, [9.0, 9.0], [500.0, 500.0]), (1.0, [300.0, 500.0], [90.0, 70.0])]
    outcomes = [outcome(real, dream, compared(2)) for _, real, dream in cases]
    rows = [
        dreams.row(label | {"temperature": t}, found, 475.0, 1.0)
        for (t, *_), found in zip(cases, outcomes, strict=True)
    ]
    sentence = next(s for s in dreams.conclusions(rows) if "highest" in s)
    assert sentence.startswith(
        "vae, 2 members, 2,000 real steps: the median return is highest at τ = 0.1 in the dream, 500 against 9 in "
        "reality, where τ = 1 is the best with 400; τ = 1 solves reality most often, in 50% "
    )
    drawn = dreams.figures(rows, outcomes, 475.0, 512, "CartPole", (2, "angle"))["temperatures"]
    panels = drawn.keywords["panels"]["vae, 2 members\n2,000 real steps"]
    assert panels["in the dream"][0] == [500.0, 80.0]
    assert panels["in reality"][0] == [9.0, 400.0]
    (ax,) = drawn().axes
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [9.0, 400.0])


def test_a_film_is_of_the_first_agent_that_exploits_its_model(monkeypatch):
    """From the same start, in both worlds."""
    environment = ENVIRONMENTS["cartpole"]._replace(max_steps=300)
    config = ppo.bind(ppo.Config(widths=(4,), num_environments=2), environment, 64)
    model_config = world_model.Config(widths=(4,), num_steps=1, temperature=0.0, learning_rate=0.0)
    keys = jax.random.split(jax.random.key(0), 3)

    @jax.jit
    @jax.vmap
    def pair(key):
        key_agent, key_x, key_model = jax.random.split(key, 3)
        x = jax.random.normal(key_x, (9, 4))
        seen = world_model.Experience(x, jnp.zeros(9, int), jnp.ones(9), x, jnp.zeros(9, bool))
        model = world_model.init(key_model, seen, jnp.ones(9), environment, model_config)
        return ppo.init(key_agent, environment, config), model

    agents, models = pair(keys)
    found = outcome([500.0, 9.0, 9.0], [500.0, 20.0, 500.0], compared(3))._replace(agent=agents, model=models)
    row = dreams.row({"agent": "dream", "family": "gaussian", "ensemble": 1, "rounds": 1, "temperature": 0.0,
                      "real_steps": 100}, found, 475.0, 1.0)  # fmt: skip
    draw, drawn = dreams.charts.cartpoles, {}
    monkeypatch.setattr(dreams.charts, "cartpoles", lambda **given: drawn.update(given) or draw(**given))
    gif = dreams.film([row], [found], [(100, model_config, config)], environment, "CartPole")
    assert drawn["title"] == "CartPole, gaussian, τ = 0, 100 real steps, agent 3 of 3"
    dreamt, real = (np.asarray(drawn["episodes"][name]) for name in ("in the dream", "in reality"))
    assert dreamt.shape == real.shape == (300, 4)
    assert np.abs(real[0]).max() < 0.05 + 0.02 * 20  # one step from a start within 0.05
    lasts = int(np.isfinite(real[:, 0]).sum())
    assert lasts < 300
    assert abs(real[lasts - 1, 2]) > cartpole.LIMIT_ANGLE
    picture = Image.open(io.BytesIO(gif))
    longest = max(lasts, int(np.isfinite(dreamt[:, 0]).sum()))
    assert picture.n_frames == len({*range(0, longest, 5), longest - 1})


def test_an_episode_that_is_not_finite_is_a_still_that_says_so():
    episodes = {"in the dream": np.full((20, 4), np.nan), "in reality": np.zeros((20, 4))}
    gif = dreams.charts.cartpoles(episodes=episodes, limit=2.4, title="CartPole")
    assert Image.open(io.BytesIO(gif)).n_frames == 5
    lost = dreams.charts.cartpoles(episodes={"in the dream": episodes["in the dream"]}, limit=2.4, title="CartPole")
    assert Image.open(io.BytesIO(lost)).n_frames == 1
