"""What is known of the linear quadratic task by formula, against simulations, moments and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jgen1d.core import replace
from jgen1d.worlds import ENVIRONMENTS, exact, linear_quadratic, ppo, training, world_model

pytestmark = pytest.mark.usefixtures("optimised")
LINEAR = ENVIRONMENTS["linear_quadratic"]._replace(max_steps=25)
SMALL = world_model.Config(widths=(16,), batch_size=64, num_steps=200, ema_decay=0.9, ensemble=2)
AGENT = ppo.bind(ppo.Config(linear_actor=True, widths=(8,), num_environments=4, rollout_length=32), LINEAR, 256)


@pytest.fixture(scope="module")
def model():
    key_way, key_steps, key_fit = jax.random.split(jax.random.key(0), 3)

    @jax.jit
    def fit(key_way, key_steps, key_fit):
        states, actions = exact.visited(key_way, lambda key, seen: jax.random.normal(key, (len(seen), 1)), LINEAR, 16)
        after, reward, done = jax.vmap(LINEAR.step)(jax.random.split(key_steps, 400), states, actions)
        seen = world_model.Experience(states, actions, reward, after, done)
        return training.fit(key_fit, seen, jnp.array(1), jnp.array(400), 400, LINEAR, SMALL)

    return fit(key_way, key_steps, key_fit)


@jax.jit
def belief(model, states, actions):
    return world_model.belief(model, states, actions, LINEAR, SMALL)


def test_the_cost_of_an_affine_agent_is_the_sum_over_its_moments():
    discount, gain, offset = 0.95, np.array([[1.5, 1.2]]), 0.4
    mean, covariance, cost = np.zeros(2), np.eye(2), 0.0
    closed = linear_quadratic.A - linear_quadratic.B @ gain
    for t in range(1_000):
        action = offset - gain @ mean
        quadratic = np.trace((linear_quadratic.Q + gain.T @ linear_quadratic.R @ gain) @ covariance)
        around = mean @ linear_quadratic.Q @ mean + action @ linear_quadratic.R @ action
        cost += discount**t * (quadratic + around)
        mean = linear_quadratic.A @ mean + linear_quadratic.B @ action
        covariance = closed @ covariance @ closed.T + linear_quadratic.NOISE**2 * np.eye(2)
    assert linear_quadratic.cost_of(gain, discount, offset) == pytest.approx(cost, rel=1e-9)


def test_regret_is_what_an_agent_loses_to_the_best_one_step_by_step():
    """That is Σ γᵗ (R + γ Bᵀ P B) E[(u − u*)²] (Kakade & Langford 2002, lemma 6.1)."""
    discount, gain = 0.9, np.array([[1.0, 2.5]])
    best = linear_quadratic.optimum(discount)
    weight = (linear_quadratic.R + discount * linear_quadratic.B.T @ best.matrix @ linear_quadratic.B).item()
    closed, covariance, lost = linear_quadratic.A - linear_quadratic.B @ gain, np.eye(2), 0.0
    for t in range(500):
        lost += discount**t * weight * ((gain - best.gain) @ covariance @ (gain - best.gain).T).item()
        covariance = closed @ covariance @ closed.T + linear_quadratic.NOISE**2 * np.eye(2)
    expected = lost / (np.trace(best.matrix) + best.constant)
    assert exact.regret(gain, discount) == pytest.approx(expected, rel=1e-9)
    assert exact.regret(best.gain, discount) == pytest.approx(0, abs=1e-12)
    assert exact.regret(np.array([[np.nan, 1.0]]), discount) == np.inf


def test_a_belief_is_the_distribution_that_dreams_are_drawn_from(model):
    states, actions = jnp.tile(jnp.array([[0.5, -0.5]]), (20_000, 1)), jnp.ones((20_000, 1))
    drawn = jax.jit(lambda key: world_model.predict(key, model, states, actions, LINEAR, SMALL)[0])(jax.random.key(1))
    mean, std = (np.asarray(part)[:, 0] for part in belief(model, states[:1], actions[:1]))
    expected = mean.mean(axis=0), np.mean(std**2 + mean**2, axis=0) - mean.mean(axis=0) ** 2
    np.testing.assert_allclose(np.mean(drawn, axis=0), expected[0], atol=5 * np.sqrt(expected[1].max() / 20_000))
    np.testing.assert_allclose(np.var(drawn, axis=0), expected[1], rtol=0.05)
    with pytest.raises(ValueError, match=r"^family='vae': must be 'gaussian'$"):
        world_model.belief(model, states, actions, LINEAR, replace(SMALL, family="vae"))


def test_the_likelihood_gap_is_the_integral_of_the_difference_of_log_densities(model):
    states, actions = jnp.array([[0.2, -0.3], [1.0, 0.5]]), jnp.array([[0.7], [-1.0]])
    mean, std = (np.asarray(part, float) for part in belief(model, states, actions))
    center = np.asarray(states) @ linear_quadratic.A.T + np.asarray(actions) @ linear_quadratic.B.T
    x = np.linspace(-8, 8, 4_001)[:, None, None, None] * linear_quadratic.NOISE + center
    truth = stats.norm(center, linear_quadratic.NOISE)
    integrand = truth.pdf(x) * (truth.logpdf(x) - stats.norm(mean, std).logpdf(x))
    expected = np.trapezoid(integrand, dx=16 / 4_000 * linear_quadratic.NOISE, axis=0).sum(axis=2).mean()
    found = jax.jit(lambda model: exact.likelihood_gap(model, states, actions, LINEAR, SMALL))(model)
    assert found == pytest.approx(expected, rel=1e-3)
    assert expected > 0.01


def test_models_are_named_with_the_agents_that_are_the_best_in_them(model):
    lanes = jax.tree.map(lambda leaf: leaf[None], model)
    found = exact.of_models(lanes, LINEAR, SMALL, 0.95)
    assert {name: np.shape(values)[0] for name, values in found.items()} == dict.fromkeys(found, 1)
    assert 0 < found["gap"][0] < 10
    np.testing.assert_allclose(found["model_gain"][0], linear_quadratic.optimum(0.95).gain[0], rtol=0.3)


def test_the_dynamics_of_the_truth_are_its_own():
    rng = np.random.default_rng(0)
    states, actions = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    after = states @ linear_quadratic.A.T + actions @ linear_quadratic.B.T + 0.3
    a, b = exact.dynamics(after, states, actions)
    np.testing.assert_allclose(a, linear_quadratic.A, atol=1e-12)
    np.testing.assert_allclose(b, linear_quadratic.B, atol=1e-12)


def test_the_gain_of_a_linear_actor_is_what_its_greedy_actions_follow():
    agents = jax.jit(jax.vmap(lambda key: ppo.init(key, LINEAR, AGENT)))(jax.random.split(jax.random.key(0), 3))
    layer = agents.params["actor"]["params"]
    layer["bias_out"] = layer["bias_out"] + 0.5
    found = exact.of_agents(agents, 0.95)
    states = jax.random.normal(jax.random.key(1), (4, 2))
    act = jax.jit(jax.vmap(lambda agent: ppo.act(jax.random.key(2), agent, states, AGENT, greedy=True)))
    expected = 0.5 - np.einsum("nj,sj->sn", states, found["gain"])
    np.testing.assert_allclose(act(agents)[:, :, 0], expected, rtol=1e-4)
    assert found["cost_excess"].shape == found["gain_error"].shape == (3,)
