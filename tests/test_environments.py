"""Environments against gymnasium's, and the linear quadratic one against Riccati's equation and simulation."""

import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgen1d.worlds import ENVIRONMENTS, cartpole, linear_quadratic, pendulum, rollout

STATES = {"cartpole": cartpole.State, "pendulum": pendulum.State}
NAMES = {"cartpole": "CartPole-v1", "pendulum": "Pendulum-v1"}


@functools.cache
def compiled(name):
    environment = ENVIRONMENTS[name]

    @jax.jit
    def step(key, state, action):
        state, reward, done = environment.step(key, state, action)
        return state, environment.observe(state), reward, done

    return step


@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_random_steps_are_those_of_gymnasium(name):
    theirs, step = gymnasium.make(NAMES[name]), compiled(name)
    theirs.action_space.seed(0)
    theirs.reset(seed=0)
    elapsed = num_ended = 0
    for i in range(1_000):
        # Each from their state: rounding errors of float32 grow along an episode.
        state = STATES[name](*np.float32(theirs.unwrapped.state))
        action = theirs.action_space.sample()
        expected, expected_reward, terminated, truncated, _ = theirs.step(action)
        _, observation, reward, done = step(jax.random.key(i), state, jnp.asarray(action))
        elapsed += 1
        np.testing.assert_allclose(observation, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(reward, expected_reward, rtol=1e-5, atol=1e-5)
        assert bool(done) == terminated
        assert truncated == (not terminated and elapsed >= ENVIRONMENTS[name].max_steps)
        if terminated or truncated:
            first, _ = theirs.reset(seed=i)
            state = STATES[name](*np.float32(theirs.unwrapped.state))
            np.testing.assert_allclose(ENVIRONMENTS[name].observe(state), first, atol=1e-6)
            elapsed, num_ended = 0, num_ended + 1
    assert num_ended >= 5
    assert ENVIRONMENTS[name].solved_at == (theirs.spec.reward_threshold or np.inf)


def test_a_cart_that_leaves_the_track_is_done_as_in_gymnasium():
    theirs = gymnasium.make("CartPole-v1").unwrapped
    for position, velocity in [(2.39, 1.0), (2.39, 0.4), (-2.395, -0.3), (-2.395, 0.3)]:
        theirs.reset(seed=0)
        theirs.state = np.array([position, velocity, 0.01, 0.0])
        _, _, terminated, _, _ = theirs.step(1)
        state = cartpole.State(*(jnp.float32(x) for x in (position, velocity, 0.01, 0.0)))
        assert bool(compiled("cartpole")(jax.random.key(0), state, jnp.int32(1))[3]) == terminated


def test_starts_are_drawn_where_gymnasium_draws_them():
    for name, bounds in {"cartpole": [0.05] * 4, "pendulum": [np.pi, 1.0]}.items():
        starts = np.stack(jax.vmap(ENVIRONMENTS[name].reset)(jax.random.split(jax.random.key(0), 2_000)))
        highest = np.abs(starts).max(axis=1) / np.array(bounds)
        assert (highest <= 1).all()
        assert (highest > 0.99).all()
        np.testing.assert_allclose(starts.std(axis=1), np.array(bounds) / np.sqrt(3), rtol=0.05)


def test_episodes_end_at_the_limit_of_steps_and_begin_anew():
    environment = ENVIRONMENTS["linear_quadratic"]._replace(max_steps=5)

    def rest(key, observations):
        return jnp.zeros((len(observations), 1))

    episodes = rollout.begin(jax.random.key(0), environment, 2)
    after, seen = jax.jit(lambda e: rollout.advance(jax.random.key(1), environment, rest, e, 12))(episodes)
    assert np.flatnonzero(seen.truncated[:, 0]).tolist() == [4, 9]
    assert not seen.done.any()
    np.testing.assert_array_equal(after.elapsed, [2, 2])
    np.testing.assert_allclose(after.last, np.sum(seen.reward[5:10], axis=0), rtol=1e-5)
    continued = np.all(np.asarray(seen.next_observation[:-1] == seen.observation[1:]), axis=(1, 2))
    assert np.flatnonzero(~continued).tolist() == [4, 9]


def test_returns_count_nothing_after_the_end():
    """A cart that is always pushed to one side falls after 8 to 11 steps (gymnasium)."""

    def left(key, observations):
        return jnp.zeros(len(observations), int)

    found = jax.jit(lambda key: rollout.returns(key, ENVIRONMENTS["cartpole"], left, 64))(jax.random.key(0))
    assert set(np.asarray(found).tolist()) <= {8.0, 9.0, 10.0, 11.0}


# --- the linear quadratic environment -----------------------------------------------------------------------------


def test_riccati_is_the_fixed_point_of_dynamic_programming():
    a, b, q, r = (linear_quadratic.A, linear_quadratic.B, linear_quadratic.Q, linear_quadratic.R)
    for discount in (0.9, 0.99):
        p = np.zeros((2, 2))
        for _ in range(3_000):
            gain = np.linalg.solve(r + discount * b.T @ p @ b, discount * b.T @ p @ a)
            p = q + gain.T @ r @ gain + discount * (a - b @ gain).T @ p @ (a - b @ gain)
        best = linear_quadratic.optimum(discount)
        np.testing.assert_allclose(best.matrix, p, rtol=1e-9)
        np.testing.assert_allclose(best.gain, gain, rtol=1e-9)
        expected = np.trace(best.matrix) + best.constant
        assert linear_quadratic.cost_of(best.gain, discount) == pytest.approx(expected, rel=1e-9)
        worse = [linear_quadratic.cost_of(best.gain + shift, discount) for shift in ([[0.3, 0]], [[0, -0.3]])]
        assert min(worse) > expected
    assert linear_quadratic.cost_of(np.array([[-50.0, -50.0]]), 0.99) == np.inf


def test_the_expected_cost_is_that_of_simulated_runs():
    discount, gain = 0.95, linear_quadratic.optimum(0.95).gain
    environment = ENVIRONMENTS["linear_quadratic"]

    def run(key):
        def step(state, key):
            action = -jnp.asarray(gain, jnp.float32) @ state
            state, reward, _ = environment.step(key, state, action)
            return state, -reward

        key_start, key_steps = jax.random.split(key)
        costs = rollout.scan(step, environment.reset(key_start), key_steps, 300)[1]
        return jnp.sum(costs * discount ** jnp.arange(300))

    costs = np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 4_000)))
    error = costs.std() / np.sqrt(len(costs))
    assert abs(costs.mean() - linear_quadratic.cost_of(gain, discount)) < 4 * error
