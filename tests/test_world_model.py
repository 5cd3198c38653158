"""Models of the world against the world that they were fitted to, and agents that learn in them."""

import functools
import signal

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jgen1d.core import replace
from jgen1d.engine.checkpoint import Checkpoints, Interrupted
from jgen1d.engine.parts import Part
from jgen1d.methods import vae
from jgen1d.worlds import ENVIRONMENTS, linear_quadratic, mixture_density, ppo, rollout, training, verdict, world_model
from jgen1d.worlds.lanes import run_lanes, run_settings

pytestmark = pytest.mark.usefixtures("optimised")
LINEAR = ENVIRONMENTS["linear_quadratic"]
SMALL = world_model.Config(widths=(16,), batch_size=64, num_steps=300, ema_decay=0.9)
AGENT = ppo.Config(num_environments=4, rollout_length=8, num_epochs=1, num_minibatches=1, widths=(8,))


def random_experience(key, n):
    """Rows of the linear quadratic environment, at random states and actions."""
    key_state, key_action, key_step = jax.random.split(key, 3)
    states, actions = jax.random.normal(key_state, (n, 2)), jax.random.normal(key_action, (n, 1))
    after, reward, done = jax.vmap(LINEAR.step)(jax.random.split(key_step, n), states, actions)
    return world_model.Experience(states, actions, reward, after, done)


@functools.cache
def fitted(family, ensemble=1):
    config = replace(SMALL, family=family, ensemble=ensemble)
    seen = random_experience(jax.random.key(0), 2_000)
    fit = jax.jit(lambda key: training.fit(key, seen, jnp.array(1), jnp.array(2_000), 2_000, LINEAR, config))
    return config, fit(jax.random.key(1))


# --- the conditional mixture --------------------------------------------------------------------------------------


def test_the_density_is_that_of_scipy_and_draws_follow_it():
    config = mixture_density.Config(dim=2, condition_dim=1, num_components=3, widths=(4,))
    state = mixture_density.init(jax.random.key(0), config)
    x, given = jax.random.normal(jax.random.key(1), (5, 2)), jnp.linspace(-2, 2, 5)[:, None]
    log_weights, means, stds = (np.asarray(v, float) for v in mixture_density.parameters(state.params, given, config))
    normals = stats.norm(means, stds).logpdf(np.asarray(x)[:, None]).sum(axis=2)
    expected = np.log(np.sum(np.exp(log_weights + normals), axis=1))
    np.testing.assert_allclose(mixture_density.log_prob(state, x, config, given), expected, rtol=1e-4)
    same = jnp.full((20_000, 1), 0.5)
    (weights,), (mean,), (std,) = (v[:1] for v in mixture_density.parameters(state.params, same, config))
    weights = np.exp(weights)[:, None]
    drawn = np.asarray(mixture_density.draw(jax.random.key(2), state, same, 1.0, config))
    center = np.sum(weights * mean, axis=0)
    variance = np.sum(weights * (std**2 + mean**2), axis=0) - center**2
    np.testing.assert_allclose(drawn.mean(axis=0), center, atol=5 * np.sqrt(variance.max() / 20_000))
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.06)
    coldest = mixture_density.draw(jax.random.key(2), state, same[:4], 0.0, config)
    np.testing.assert_allclose(coldest, np.tile(mean[np.argmax(weights)], (4, 1)), rtol=1e-5)


# --- world models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", world_model.FAMILIES)
def test_every_family_learns_the_dynamics_and_the_noise(family):
    """At one state and action the next state is N(A s + B u, 0.05²)."""
    config, state = fitted(family)
    s, u = np.array([0.5, -0.5]), np.array([1.0])
    many = [jnp.tile(jnp.asarray(v, jnp.float32)[None], (4_000, 1)) for v in (s, u)]
    draw = jax.jit(lambda key: world_model.predict(key, state, *many, LINEAR, config))
    after, reward, done = (np.asarray(v) for v in draw(jax.random.key(3)))
    expected = linear_quadratic.A @ s + linear_quadratic.B @ u
    np.testing.assert_allclose(after.mean(axis=0), expected, atol=0.04)
    np.testing.assert_allclose(after.std(axis=0), linear_quadratic.NOISE, rtol=0.5)
    assert reward.mean() == pytest.approx(-(s @ linear_quadratic.Q @ s + 0.1), abs=0.6)  # over all data −1.2
    assert done.mean() < 0.01


def test_at_temperature_zero_a_model_of_one_member_draws_nothing():
    config, state = fitted("gaussian")
    cold = config.replace(temperature=0.0)
    one = [
        world_model.predict(jax.random.key(k), state, jnp.ones((3, 2)), jnp.ones((3, 1)), LINEAR, cold) for k in (0, 1)
    ]
    for a, b in zip(*one, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.ptp(np.asarray(one[0][0]), axis=0).max() == 0


def test_a_step_of_a_dream_is_that_of_one_of_the_members():
    config, state = fitted("gaussian", ensemble=3)
    cold = config.replace(temperature=0.0)
    given = jnp.tile(jnp.array([[1.5, -1.0]]), (300, 1)), jnp.ones((300, 1))
    mixed = np.asarray(world_model.predict(jax.random.key(0), state, *given, LINEAR, cold)[0])
    members = []
    for i in range(3):
        own = jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], (state.densities, state.ends))
        alone = world_model.State(*own, state.scales)
        members.append(world_model.predict(jax.random.key(1), alone, *given, LINEAR, cold.replace(ensemble=1))[0][0])
    nearest = np.argmin(np.abs(mixed[:, None] - np.stack(members)[None]).max(axis=2), axis=1)
    np.testing.assert_allclose(mixed, np.stack(members)[nearest], atol=1e-5)
    assert np.bincount(nearest, minlength=3).min() > 60  # 100 expected, with a standard deviation of 8


def test_scales_are_those_of_the_rows_that_count():
    seen = random_experience(jax.random.key(0), 64)
    weights = jnp.arange(64) < 20
    spoilt = jax.tree.map(lambda leaf: jnp.where(weights.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 99), seen)
    scales = world_model.init(jax.random.key(1), spoilt, weights.astype(float), LINEAR, SMALL).scales
    rows = np.concatenate([seen.observation, seen.action], axis=1)[:20]
    np.testing.assert_allclose(scales.condition_mean, rows.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scales.condition_std, rows.std(axis=0), rtol=1e-4)
    change = np.asarray(seen.next_observation - seen.observation)[:20]
    np.testing.assert_allclose(scales.outcome_std[:2], change.std(axis=0), rtol=1e-4)


def test_the_end_is_learnt_and_its_logits_are_divided_by_the_temperature():
    """Ends that are drawn with probability ½ for positive x, and never else."""
    key_x, key_done = jax.random.split(jax.random.key(0))
    x = jax.random.normal(key_x, (2_000, 2))
    done = (x[:, 0] > 0) & jax.random.bernoulli(key_done, 0.5, (2_000,))
    seen = world_model.Experience(x, jnp.zeros((2_000, 1)), jnp.ones(2_000), x, done)
    config = replace(SMALL, family="gaussian")
    fit = jax.jit(lambda key: training.fit(key, seen, jnp.array(1), jnp.array(2_000), 2_000, LINEAR, config))
    state = fit(jax.random.key(1))
    right, left, still = jnp.full((4_000, 2), 1.0), jnp.full((4_000, 2), -1.0), jnp.zeros((4_000, 1))
    share = [
        float(jnp.mean(world_model.predict(jax.random.key(2), state, o, still, LINEAR, config)[2]))
        for o in (right, left)
    ]
    assert share[0] == pytest.approx(0.5, abs=0.15)
    assert share[1] < 0.05
    hot = config.replace(temperature=100.0)
    assert float(jnp.mean(world_model.predict(jax.random.key(2), state, left, still, LINEAR, hot)[2])) > 0.4


def test_a_dream_is_an_environment_that_starts_where_the_real_one_does():
    config, state = fitted("gaussian")
    dream = world_model.dream(state, LINEAR, config)
    np.testing.assert_array_equal(dream.reset(jax.random.key(5)), LINEAR.observe(LINEAR.reset(jax.random.key(5))))
    episodes = rollout.begin(jax.random.key(0), dream, 3)
    still = jnp.zeros((3, 1))
    _, seen = jax.jit(lambda e: rollout.advance(jax.random.key(1), dream, lambda key, o: still, e, 2))(episodes)
    np.testing.assert_array_equal(seen.next_observation[0], seen.observation[1])
    np.testing.assert_allclose(seen.next_observation[0], episodes.state @ linear_quadratic.A.T, atol=0.4)


# --- agents -------------------------------------------------------------------------------------------------------


def test_a_lane_that_diverges_is_named_and_harms_no_other():
    config, model = ppo.bind(AGENT, LINEAR, 4 * 32), replace(SMALL, num_steps=20, widths=(8,), ensemble=2)
    rates = [config.learning_rate, float("inf"), config.learning_rate]
    lanes = [(0, 40 + 20 * (i == 2), model, config.replace(learning_rate=rate)) for i, rate in enumerate(rates)]
    static = {"environment": LINEAR, "most_real": 64, "num_rounds": 2, "num_updates": 4}
    found = run_lanes(training.in_dreams, lanes, devices=jax.devices()[:1], **static)
    assert found.diverged.tolist() == [False, True, False]
    assert found.curve.shape == (3, 4)
    assert np.isfinite(found.dream_return[[0, 2]]).all()
    means = found.model.scales.condition_mean
    assert np.isfinite(means[[0, 2]]).all()
    assert not np.array_equal(means[0], means[2])  # more rows count
    outcome = verdict.classify(found.real_return, found.dream_return, LINEAR.solved_at, found.diverged)
    assert outcome.tolist() == ["not_learned", "diverged", "not_learned"]


def test_an_agent_in_reality_stops_where_its_learning_rate_does():
    config = ppo.bind(AGENT, LINEAR, 64)
    lanes = [(0, config.replace(num_updates=float(n))) for n in (1, 2)]
    found = run_lanes(training.in_reality, lanes, environment=LINEAR, num_updates=2)
    assert not np.array_equal(found.agent.params["log_std"][0], found.agent.params["log_std"][1])
    np.testing.assert_array_equal(found.curve[0], found.curve[1])  # the first update is the same, the second too late
    assert np.isnan(found.dream_return).all()
    assert np.isfinite(found.real_return).all()


def draw_and_add(key, number, *, offset):
    return {"drawn": jax.random.normal(key, (2,)), "sum": number + offset}


def test_lanes_are_their_seeds_runs_and_blocks_are_resumed(tmp_path):
    lanes, static = [(seed, 10.0 * seed) for seed in (3, 0, 1, 2, 7)], {"offset": 1.0, "width": 2}
    whole = run_lanes(draw_and_add, lanes, **static)
    assert whole["sum"].tolist() == [31, 1, 11, 21, 71]
    for (seed, _), drawn in zip(lanes, whole["drawn"], strict=True):
        np.testing.assert_array_equal(drawn, jax.random.normal(jax.random.key(seed), (2,)))
    with Checkpoints(tmp_path / "progress", {}, minutes=0.0) as checkpoints:
        run_lanes(draw_and_add, lanes, checkpoints=checkpoints, **static)
        saved = checkpoints.restore()
        spoilt = {name: leaf + (name == "0/1") for name, leaf in saved.items() if not name.startswith("1/")}
        checkpoints.save(spoilt)
    with Checkpoints(tmp_path / "progress", {}, minutes=0.0) as checkpoints:
        again = run_lanes(draw_and_add, lanes, checkpoints=checkpoints, **static)
        assert again["sum"].tolist() == [32, 2, 11, 21, 71]  # the first block is as it was saved, the second computed
        with pytest.raises(ValueError, match="checkpoints: they are of other lanes"):
            run_lanes(draw_and_add, lanes[:2], checkpoints=checkpoints, **static)
    with pytest.raises(ValueError, match="lanes: there is none"):
        run_lanes(draw_and_add, [], **static)
    first, second = run_settings(draw_and_add, [lanes[:2], lanes[2:]], **static)
    assert (first["sum"].tolist(), second["sum"].tolist()) == ([31, 1], [11, 21, 71])


def test_parts_share_checkpoints_and_each_goes_on_where_it_was_saved(tmp_path):
    lanes, static = [(seed, 10.0 * seed) for seed in (3, 0, 1)], {"width": 1, "devices": jax.local_devices()[:1]}

    def run(checkpoints, number, offset):
        return run_lanes(draw_and_add, lanes, checkpoints=Part(checkpoints, f"{number}"), offset=offset, **static)

    with Checkpoints(tmp_path, {}, minutes=0.0) as checkpoints:
        first = run(checkpoints, 0, 1.0)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):  # after the first block
            run(checkpoints, 1, 2.0)
    with Checkpoints(tmp_path, {}, minutes=0.0) as checkpoints:
        # What was saved is not computed again, so another offset shows what is.
        chex.assert_trees_all_equal(run(checkpoints, 0, 500.0), first)
        assert run(checkpoints, 1, 500.0)["sum"].tolist() == [32, 500, 510]
        assert run(checkpoints, 2, 3.0)["sum"].tolist() == [33, 3, 13]
        saved = checkpoints.restore()
        assert {name.split("/")[0] for name in saved} == {"0", "1", "2"}


def test_an_agent_behind_a_filter_sees_what_the_vae_makes_of_it():
    environment = ENVIRONMENTS["cartpole"]._replace(max_steps=20)
    single = replace(AGENT, num_environments=1, rollout_length=1, normalize_advantages=False)
    config = ppo.bind(single, environment, 5)
    filters = vae.Config(dim=4, prior_components=0, num_steps=20.0, widths=(8,), ema_decay=None)
    static = {"environment": environment, "num_real": 64, "num_fit": 20, "num_updates": 5}
    found = run_lanes(training.behind_a_filter, [(0, config, filters)], width=1, **static)
    assert not found.diverged[0]
    assert found.real_return[0] >= 8


def test_verdicts_follow_their_rules():
    real, dream = [480, 475, 474.9, 100, np.nan, 480], [10, 480, 475, 100, 500, 500]
    found = verdict.classify(real, dream, 475.0, [False] * 5 + [True])
    assert found.tolist() == ["solved", "solved", "exploits_the_model", "not_learned", "diverged", "diverged"]
    assert set(found) <= set(verdict.VERDICTS)
    assert verdict.classify([480.0, 20.0], np.nan, 475.0).tolist() == ["solved", "not_learned"]
