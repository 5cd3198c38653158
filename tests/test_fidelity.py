"""How long a model follows the truth, and how calibrated its ends are, against formulas, loops and frequencies."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgen1d.worlds import ENVIRONMENTS, cartpole, fidelity, linear_quadratic, ppo, training, world_model
from jgen1d.worlds.environment import Environment

pytestmark = pytest.mark.usefixtures("optimised")
LINEAR = ENVIRONMENTS["linear_quadratic"]


def decay(rate, offset, ends_below):
    """x′ = rate·x + offset from x = 1, in both of two coordinates; it ends once x is below a bound."""

    def step(key, state, action):
        del key
        after = rate * state + offset + action
        return after, jnp.ones(()), after[0] < ends_below

    return Environment(lambda key: jnp.ones(2), step, lambda state: state, observation_dim=2, max_steps=50)


def still(key, seen):
    del key
    return jnp.zeros((len(seen), 2))


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.2])
def test_the_horizon_of_a_known_drift_is_that_of_its_formula(scale):
    """An offset b that the model has and the truth has not is b (1 − a^t)/(1 − a) after t steps."""
    a, b = 0.9, 0.11
    paths = fidelity.open_loop(jax.random.key(0), decay(a, 0.0, -1.0), decay(a, b, -1.0), still, 3, 50)
    drift = b * (1 - a ** np.arange(1, 51)) / (1 - a)
    np.testing.assert_allclose(paths[1] - paths[0], np.tile(drift[:, None, None], (1, 3, 2)), atol=1e-5)
    expected = np.argmax(drift > scale) if drift[-1] > scale else 50
    found = fidelity.horizon(*paths, jnp.array([scale, 9.0]))
    np.testing.assert_array_equal(found, np.full(3, expected))
    np.testing.assert_array_equal(fidelity.horizon(*paths, jnp.array([9.0, scale])), found)
    lost = paths[1].at[4:].set(jnp.nan)
    assert fidelity.horizon(paths[0], lost, paths[2], jnp.array([9.0, 9.0])).tolist() == [4, 4, 4]


def test_a_rollout_is_not_judged_after_its_episode_has_ended_in_reality():
    paths = fidelity.open_loop(jax.random.key(0), decay(0.9, 0.0, 0.5), decay(0.9, 0.0, 2.0), still, 2, 20)
    last = int(np.ceil(np.log(0.5) / np.log(0.9)))
    assert fidelity.horizon(*paths, jnp.ones(2)).tolist() == [last, last]


def test_a_rollout_takes_the_actions_of_reality_one_by_one():
    """The same steps by hand, in a world whose next state tells the action."""

    def echo(bias):
        def step(key, state, action):
            return action + bias + 0 * jax.random.normal(key), jnp.zeros(()), jnp.array(False)

        return Environment(
            lambda key: jax.random.normal(key, (2,)), step, lambda state: 2 * state, observation_dim=2, max_steps=9
        )

    def act(key, seen):
        return 0.5 * seen + jax.random.normal(key, seen.shape)

    real, imagined, alive = fidelity.open_loop(jax.random.key(3), echo(0.0), echo(0.25), act, 4, 6)
    assert alive.all()
    np.testing.assert_allclose(imagined, real / 2 + 0.25, rtol=1e-5)  # the dream's observations are its states
    assert np.std(np.diff(real, axis=0)) > 0.5


def test_calibration_is_that_of_a_loop_over_bins():
    rng = np.random.default_rng(0)
    probability = rng.random(500)
    happened = rng.random(500) < probability**2
    edges, expected = np.linspace(0, 1, fidelity.NUM_BINS + 1), 0.0
    for low, high in itertools.pairwise(edges):
        within = (probability >= low) & (probability < high)
        expected += within.mean() * abs(probability[within].mean() - happened[within].mean())
    found = fidelity.calibration_error(jnp.asarray(probability), jnp.asarray(happened))
    assert float(found) == pytest.approx(expected, abs=1e-5)
    assert expected == pytest.approx(1 / 2 - 1 / 3, abs=0.05)  # E[p − p²]
    always = fidelity.calibration_error(jnp.array([1.0, 1.0, 0.0, 0.0]), jnp.array([True, False, False, False]))
    assert float(always) == 0.25


def test_a_model_is_compared_with_what_it_was_fitted_to():
    """One-step errors by the model's own draws; a horizon by hand; ends by their frequency among draws."""
    config = world_model.Config(widths=(16,), batch_size=64, num_steps=300, ema_decay=0.9)
    *keys, key_guess, key_ends = jax.random.split(jax.random.key(0), 6)

    def some(key, n):
        """Ends are drawn with probability ½ where x > 0, and never else."""
        key_x, key_u, key_step, key_done = jax.random.split(key, 4)
        x, u = jax.random.normal(key_x, (n, 2)), jax.random.normal(key_u, (n, 1))
        after, reward, _ = jax.vmap(LINEAR.step)(jax.random.split(key_step, n), x, u)
        done = (x[:, 0] > 0) & jax.random.bernoulli(key_done, 0.5, (n,))
        return world_model.Experience(x, u, reward, after, done)

    def act(key, seen):
        return jax.random.normal(key, (len(seen), 1))

    @jax.jit
    def measured(key_memory, key_seen, key_fit, key_measure):
        memory, seen = some(key_memory, 2_000), some(key_seen, 1_000)
        model = training.fit(key_fit, memory, jnp.array(1), jnp.array(2_000), 2_000, LINEAR, config)
        return model, seen, fidelity.measure(key_measure, model, act, seen, seen, LINEAR, config, 4)

    model, seen, found = measured(*keys)
    cold = config.replace(temperature=0.0)
    expected = seen.observation @ linear_quadratic.A.T + seen.action @ linear_quadratic.B.T
    guess = world_model.predict(key_guess, model, seen.observation, seen.action, LINEAR, cold)[0]
    noise = linear_quadratic.NOISE / model.scales.outcome_std[:2]
    missed = np.sqrt(np.mean((guess - expected) ** 2, axis=0)) / model.scales.outcome_std[:2]
    np.testing.assert_allclose(found.one_step, np.sqrt(missed**2 + noise**2), rtol=0.1)
    # Draws at temperature 1 end as often as the probabilities say.
    probability = np.asarray(world_model.end_probability(model, seen, LINEAR, config))
    _, _, ends = world_model.predict(key_ends, model, seen.observation, seen.action, LINEAR, config)
    assert ends.mean() == pytest.approx(probability.mean(), abs=5 * 0.5 / np.sqrt(1_000))
    assert probability[seen.observation[:, 0] > 0.5].mean() == pytest.approx(0.5, abs=0.1)
    assert probability[seen.observation[:, 0] < -0.5].mean() < 0.1
    assert 0 < float(found.done) < 0.1
    assert found.paths.shape == (2, fidelity.OPEN_LOOP, 2)
    assert 1 <= float(found.horizon) <= fidelity.OPEN_LOOP


def test_an_episode_is_one_of_the_environment_until_its_end():
    """Each observation follows from the one before by one of the two pushes, and only the last is a fall."""
    environment = ENVIRONMENTS["cartpole"]
    config = ppo.bind(ppo.Config(widths=(4,), num_environments=2), environment, 64)

    @jax.jit
    def episode(key_agent, key):
        return training.episode(key, ppo.init(key_agent, environment, config), environment, config)

    seen = np.asarray(episode(jax.random.key(0), jax.random.key(1)))
    length = int(np.isfinite(seen).all(axis=1).sum())
    assert 5 < length < 200
    assert np.isnan(seen[length:]).all()
    for before, after in itertools.pairwise(seen[:length]):
        pushed = [cartpole.step(None, cartpole.State(*before), push) for push in (0, 1)]
        distance = [np.abs(np.stack(state) - after).max() for state, _, _ in pushed]
        assert min(distance) < 1e-5
        assert bool(pushed[int(np.argmin(distance))][2]) == np.array_equal(after, seen[length - 1])
