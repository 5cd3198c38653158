"""PPO against NumPy references: advantages, distributions, one update by hand; and what it learns."""

import functools
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jgen1d.nets import mlp
from jgen1d.nets.orthogonal import orthogonal, orthogonalise
from jgen1d.worlds import ENVIRONMENTS, ppo, rollout
from jgen1d.worlds.actions import CATEGORICAL, NORMAL

SMALL = ppo.Config(num_environments=4, rollout_length=8, num_minibatches=2, num_epochs=2, widths=(8,))


def lane_of(name, config=SMALL, num_steps=320):
    environment = ENVIRONMENTS[name]
    return environment, ppo.bind(config, environment, num_steps)


def test_advantages_are_those_of_a_loop_in_numpy():
    rng = np.random.default_rng(0)
    rewards, values, next_values = rng.normal(size=(3, 12, 5)).astype(np.float32)
    done, truncated = rng.random((12, 5)) < 0.15, rng.random((12, 5)) < 0.15
    truncated &= ~done
    assert done.any()
    assert truncated.any()
    expected = np.zeros((12, 5))
    for n in range(5):
        after = 0.0
        for t in reversed(range(12)):
            bootstrap = 0.0 if done[t, n] else next_values[t, n]
            after = 0.0 if done[t, n] or truncated[t, n] else after
            after = rewards[t, n] + 0.9 * bootstrap - values[t, n] + 0.9 * 0.8 * after
            expected[t, n] = after
    found = ppo.advantages(rewards, values, next_values, done, truncated, 0.9, 0.8)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_lambda_one_is_the_discounted_return_up_to_what_ended_the_episode():
    ones = jnp.ones((3, 1))
    ends = jnp.zeros((3, 1), bool).at[2].set(True)
    value = 5.0 * ones
    for done, truncated, last in [(ends, ~ends & ends, 0.0), (~ends & ends, ends, 5.0)]:
        found = ppo.advantages(ones, value, value, done, truncated, 0.5, 1.0)
        np.testing.assert_allclose(found[0, 0], 1 + 0.5 + 0.25 + 0.125 * last - 5.0, rtol=1e-6)


def test_distributions_are_those_of_scipy():
    rng = np.random.default_rng(0)
    logits, actions = rng.normal(size=(6, 3)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(CATEGORICAL.log_prob(logits, actions), np.log(p[np.arange(6), actions]), rtol=1e-5)
    np.testing.assert_allclose(CATEGORICAL.entropy(logits), stats.entropy(p, axis=1), rtol=1e-5)
    np.testing.assert_array_equal(CATEGORICAL.mode(logits), p.argmax(axis=1))
    mean, log_std, x = rng.normal(size=(3, 6, 2)).astype(np.float32)
    parameters = np.concatenate([mean, log_std], axis=1)
    expected = stats.norm.logpdf(x, mean, np.exp(log_std)).sum(axis=1)
    np.testing.assert_allclose(NORMAL.log_prob(parameters, x), expected, rtol=1e-5)
    np.testing.assert_allclose(
        NORMAL.entropy(parameters), stats.norm.entropy(mean, np.exp(log_std)).sum(axis=1), rtol=1e-5
    )
    np.testing.assert_array_equal(NORMAL.mode(parameters), mean)
    many = NORMAL.sample(jax.random.key(0), jnp.tile(parameters[:1], (20_000, 1)))
    np.testing.assert_allclose(many.mean(axis=0), mean[0], atol=4 * np.exp(log_std[0]).max() / 20_000**0.5)
    np.testing.assert_allclose(many.std(axis=0), np.exp(log_std[0]), rtol=0.03)


def test_the_gradient_is_the_one_computed_by_hand():
    """A linear actor and critic of one observation x: the loss and its derivatives on paper, one row clipped."""
    config = ppo.Config(
        observation_dim=1, num_actions=2, widths=(), normalize_advantages=False, clip=0.2, value_weight=0.5,
        entropy_weight=0.0,
    )  # fmt: skip
    environment = ENVIRONMENTS["cartpole"]._replace(observation_dim=1, observe=lambda state: state.angle[None])
    params = ppo.init(jax.random.key(0), environment, config).params
    actor, critic = params["actor"]["params"], params["critic"]["params"]
    actor = {**actor, "kernel_out": jnp.array([[0.3, -0.1]]), "bias_out": jnp.zeros((2, 1))}
    critic = {**critic, "kernel_out": jnp.array([[0.5]]), "bias_out": jnp.array([[0.1]])}
    params = {"actor": {"params": actor}, "critic": {"params": critic}}
    x, action, advantage, target = (
        np.array([1.0, -2.0, 0.5]),
        np.array([0, 1, 0]),
        np.array([1.0, 2.0, -1.0]),
        np.ones(3),
    )
    p0 = 1 / (1 + np.exp(-0.4 * x))  # of the logits 0.3 x and −0.1 x
    p = np.where(action == 0, p0, 1 - p0)
    ratio = np.array([1.1, 1.5, 0.9])  # the second is clipped, as its advantage is positive
    rows = ppo.Batch(*(jnp.asarray(v) for v in (x[:, None].astype("f"), action, np.log(p / ratio).astype("f"),
                                               advantage.astype("f"), target.astype("f"))))  # fmt: skip
    (loss, info), gradient = jax.value_and_grad(ppo.loss, has_aux=True)(params, rows, config)
    error = 0.5 * x + 0.1 - target
    expected = -np.mean([1.1 * 1.0, 1.2 * 2.0, -0.9]) + 0.5 * 0.5 * np.mean(error**2)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(info["clipped"]) == pytest.approx(1 / 3)
    np.testing.assert_allclose(gradient["critic"]["params"]["kernel_out"], [[0.5 * np.mean(error * x)]], rtol=1e-5)
    np.testing.assert_allclose(gradient["critic"]["params"]["bias_out"], [[0.5 * np.mean(error)]], rtol=1e-5)
    # d log p(action)/d w0 = ([action = 0] − p0)·x, and the clipped row adds nothing.
    slope = np.where(ratio > 1.2, 0, ratio * advantage) * ((action == 0) - p0) * x
    np.testing.assert_allclose(
        gradient["actor"]["params"]["kernel_out"], [[-slope.mean(), slope.mean()]], rtol=1e-4, atol=1e-6
    )


def test_the_targets_of_a_rollout_come_from_its_own_critic():
    environment, config = lane_of("linear_quadratic", SMALL.replace(reward_scale=0.1))
    state = ppo.init(jax.random.key(0), environment, config)
    _, seen = rollout.advance(
        jax.random.key(1), environment, lambda key, x: ppo.act(key, state, x, config), state.episodes, 3
    )
    batch = ppo.batch_of(state.params, seen, config)
    values, following = (ppo.value(state, x.reshape(12, 2), config) for x in (seen.observation, seen.next_observation))
    errors = (0.1 * seen.reward.reshape(12) + config.discount * following - values).reshape(3, 4)
    np.testing.assert_allclose(batch.advantage.reshape(3, 4)[2], errors[2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(batch.target, batch.advantage + values, rtol=1e-5)
    means = ppo.act(jax.random.key(2), state, seen.observation.reshape(12, 2), config, greedy=True)
    np.testing.assert_allclose(
        batch.log_prob, stats.norm.logpdf(seen.action.reshape(12), means[:, 0], 1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ["cartpole", "linear_quadratic"])
def test_a_step_keeps_the_state_and_traced_fields_do_not_recompile(name):
    environment, config = lane_of(name)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(lambda *args: ppo.step(*args[:2], environment, args[2]), n=1))
    state = ppo.init(jax.random.key(0), environment, config)
    after, info = step(jax.random.key(1), state, config)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert all(value.shape == () and np.isfinite(value) for value in info.values())
    other, _ = step(jax.random.key(1), state, config.replace(learning_rate=0.0))
    chex.assert_trees_all_equal(other.params, state.params)
    last, _ = step(jax.random.key(1), after._replace(step=jnp.asarray(config.num_updates, int)), config)
    chex.assert_trees_all_equal(last.params, after.params)
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(after.params, state.params)


def learn(environment, config, state, key):
    return ppo.step(key, state, environment, config)


def test_vmapped_lanes_learn_cartpole():
    environment, config = lane_of("cartpole", ppo.Config(widths=(32,)), 12_288)

    def run(key):
        key_init, key_steps = jax.random.split(key)
        start = ppo.init(key_init, environment, config)
        step = functools.partial(learn, environment, config)
        return rollout.scan(step, start, key_steps, 24)[1]["episode_return"]

    curves = np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 4)))
    assert (curves[:, :2] < 60).all()
    assert np.median(curves[:, -1]) > 120


def test_bad_configs_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^num_minibatches=5: must divide the 32 steps of a rollout$"):
        ppo.bind(SMALL.replace(num_minibatches=5), ENVIRONMENTS["cartpole"], 100)
    with pytest.raises(ValueError, match=r"^clip=0: must be above 0$"):
        ppo.bind(SMALL.replace(clip=0), ENVIRONMENTS["cartpole"], 100)


# --- orthogonal weights -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 64), (64, 4), (32, 32), (1, 5)])
def test_orthogonal_matrices_are_orthogonal(shape):
    drawn = np.asarray(jax.jit(orthogonal, static_argnums=(1, 2))(jax.random.key(0), *shape), float)
    gram = drawn @ drawn.T if shape[0] <= shape[1] else drawn.T @ drawn
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=2e-6)


def test_orthogonal_matrices_are_uniform():
    """Each column of a uniform 3 × 3 one is uniform on the sphere, so every coordinate is uniform on [−1, 1]."""
    keys = jax.random.split(jax.random.key(0), 4_000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: orthogonal(key, 3, 3)))(keys))
    for i, j in [(0, 0), (1, 2), (2, 2)]:
        assert stats.kstest(drawn[:, i, j], stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_a_network_gets_orthogonal_weights_with_its_gains():
    params = orthogonalise(jax.random.key(1), mlp(3, 2, (8, 8)).init(jax.random.key(0)), 2.0, 0.5)["params"]
    for name, gain in {"kernel_0": 2.0, "kernel_1": 2.0, "kernel_out": 0.5}.items():
        singular = np.linalg.svd(np.asarray(params[name]), compute_uv=False)
        np.testing.assert_allclose(singular, gain, rtol=1e-5)
    assert not np.asarray(params["bias_0"]).any()


OVER_DEVICES = """
import jax

jax.config.update("jax_num_cpu_devices", 2)
from jgen1d.worlds import ENVIRONMENTS, ppo

environment = ENVIRONMENTS["cartpole"]
config = ppo.bind(ppo.Config(), environment, 512)

def run(key):
    leaves = jax.tree.leaves(ppo.init(key, environment, config).params)
    return sum(abs(leaf).sum() for leaf in leaves)

mesh, lane = jax.sharding.Mesh(jax.devices(), ("lane",)), jax.sharding.PartitionSpec("lane")
run = jax.jit(jax.shard_map(jax.vmap(run), mesh=mesh, in_specs=lane, out_specs=lane))
print(run(jax.random.split(jax.random.key(0), 32)).sum() < float("inf"))
"""


def test_networks_are_drawn_in_a_program_over_two_devices_without_waiting_for_ever():
    """With LAPACK's QR in 32 lanes over two devices the same program deadlocked (jax 0.10.1)."""
    done = subprocess.run([sys.executable, "-c", OVER_DEVICES], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True\n", done.stderr
