"""Every method against every rule of the contract; a new method is covered by its line in the registry."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgen1d
from jgen1d import core
from jgen1d.engine import run
from jgen1d.engine.task import Task
from jgen1d.methods import METHODS, gan
from tests import toys
from tests.readme import toy_method
from tests.tolerances import tolerance

ROWS = 32
ALL = {**METHODS, "toy (README)": toy_method()}
SMALL = {
    "autoencoder": {"widths": (8,)},
    "autoregressive": {"widths": (8,), "num_bits": 6},
    "diffusion": {"widths": (8,), "num_sampling_steps": 8},
    "energy": {"widths": (8,), "num_proposals": 4, "num_sampling_steps": 2},
    "flow_matching": {"widths": (8,), "num_frequencies": 2, "num_integration_steps": 32},
    "gan": {"widths_g": (8,), "widths_d": (8,), "latent_dim": 2, "ema_decay": 0.9},
    "histogram": {"num_bins": 23, "limit": 3.0015},  # edges midway between the points at which the density is summed
    "kde": {"num_points": 64},
    "normalizing_flow": {"widths": (8,), "num_bins": 4, "coupling": "affine"},
    "vae": {"widths": (8,)},
}
"""Static fields that make a method quick to compile here."""
SIZED = {name: m for name, m in {**METHODS, "toy with a network": toys.METHOD}.items() if core.sizes(m.Config())}


@pytest.fixture(params=list(ALL), scope="module")
def method(request):
    """Each in turn through all tests, which share its programs."""
    return ALL[request.param]


@pytest.fixture
def config(method, request):
    name = next(name for name, m in ALL.items() if m is method)
    return core.bind(core.replace(method.Config(), **SMALL.get(name, {})), dim=1, num_steps=10)


@functools.cache
def jitted(method):
    """The method's functions compiled, traced at most once per shape."""
    log_prob = method.log_prob and jax.jit(method.log_prob)
    return jax.jit(method.init), jax.jit(method.step), jax.jit(method.sample, static_argnums=2), log_prob


def lane(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def batch_of(method, config, dim=1):
    return jax.random.normal(jax.random.key(9), (ROWS * method.num_minibatches(config), dim))


def test_config_is_a_frozen_pytree_whose_floats_are_traced_and_whose_statics_are_structure(method, config):
    core.validate(method.Config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.dim = 2
    assert config.replace(dim=2).dim == 2
    assert config.dim == 1
    assert jax.tree.structure(config) != jax.tree.structure(config.replace(dim=2))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        assert field.metadata.get("static") or value is None or isinstance(value, float), field.name
    with pytest.raises(ValueError, match="has no field"):
        config.replace(no_such_field=1)


def test_step_keeps_the_state_and_returns_scalars(method, config):
    init, step, *_ = jitted(method)
    state = init(jax.random.key(0), config)
    after, info = step(jax.random.key(1), state, batch_of(method, config), config)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    weak = [jax.tree_util.keystr(path) for path, leaf in jax.tree.leaves_with_path((state, after)) if leaf.weak_type]
    assert not weak  # the next step would be compiled again
    assert info
    for value in info.values():
        chex.assert_shape(value, ())
        assert value.dtype == jnp.float32
        assert np.isfinite(value)
    assert set(step(jax.random.key(2), after, batch_of(method, config), config)[1]) == set(info)


def test_step_is_pure_and_uses_its_key(method, config):
    init, step, sample, _ = jitted(method)
    state, batch = init(jax.random.key(0), config), batch_of(method, config)
    before = jax.device_get((state, batch))
    first = step(jax.random.key(1), state, batch, config)
    second = step(jax.random.key(1), state, batch, config)
    chex.assert_trees_all_equal(first, second)
    chex.assert_trees_all_equal(before, jax.device_get((state, batch)))
    draws = [sample(jax.random.key(key), first[0], 16, config) for key in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_traced_values_do_not_recompile(method, config):
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(method.step, n=1))
    state, batch = jitted(method)[0](jax.random.key(0), config), batch_of(method, config)
    step(jax.random.key(1), state, batch, config)
    step(jax.random.key(1), state, batch, jax.tree.map(lambda leaf: leaf * 0.5, config))


@pytest.mark.parametrize("dim", [1, 2])
def test_sample_has_its_shape(method, config, dim):
    config = config.replace(dim=dim)
    state = jax.eval_shape(method.init, jax.random.key(0), config)
    draws = jax.eval_shape(lambda key, state: method.sample(key, state, 7, config), jax.random.key(0), state)
    assert draws.shape == (7, dim)
    batch = jax.ShapeDtypeStruct((ROWS * method.num_minibatches(config), dim), jnp.float32)
    after, _ = jax.eval_shape(lambda *args: method.step(*args, config), jax.random.key(0), state, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


def test_vmapped_lanes_equal_single_runs(method, config):
    init, step, *_ = jitted(method)
    keys, batch = jax.random.split(jax.random.key(5), 3), batch_of(method, config)

    def run(key):
        key_init, key_step = jax.random.split(key)
        return step(key_step, init(key_init, config), batch, config)

    together = jax.jit(jax.vmap(run))(jax.random.clone(keys))
    for i in range(3):
        # Two routes to one number: the vmapped program may sum in another order.
        chex.assert_trees_all_close(lane(together, i), run(jax.random.clone(keys)[i]), rtol=1e-5, atol=1e-5)


def test_log_prob_is_a_normalised_density_of_the_samples(method, config):
    if method.log_prob is None:
        pytest.skip("the method's density is intractable")
    init, step, sample, log_prob = jitted(method)
    state, _ = step(jax.random.key(1), init(jax.random.key(0), config), batch_of(method, config), config)
    x = jnp.linspace(-30, 30, 20_001)
    density = np.exp(log_prob(state, x[:, None], config))
    np.testing.assert_allclose(np.trapezoid(density, x), 1, atol=1e-3)
    draws = np.asarray(sample(jax.random.key(2), state, 20_000, config))[:, 0]
    mean = np.trapezoid(density * x, x)
    np.testing.assert_allclose(draws.mean(), mean, atol=5 * draws.std() / np.sqrt(len(draws)))  # 5 standard errors


def test_loss_optimum_names_losses_of_the_info(method, config):
    if method.loss_optimum is None:
        pytest.skip("not adversarial: no loss has an equilibrium")
    state = jax.eval_shape(method.init, jax.random.key(0), config)
    _, info = jax.eval_shape(method.step, jax.random.key(0), state, batch_of(method, config), config)
    assert set(method.loss_optimum(config)) <= set(info)


def test_presets_are_valid(method):
    if not method.presets():
        pytest.skip("the method has no presets")
    for config in method.presets().values():
        assert isinstance(config, method.Config)
        core.validate(config)


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match="no preset 'robst'; did you mean 'robust'"):
        gan.preset("robst")


def test_fit_runs_in_one_and_two_dimensions(method, config):
    for name in ("normal", "ring"):
        result = jgen1d.fit(jax.random.key(0), method, jgen1d.TARGETS[name], config, num_steps=4, num_samples=1_000)
        assert result.verdict in jgen1d.verdict.VERDICTS
        assert result.sample(jax.random.key(1), 5).shape == (5, result.target.dim)
        assert all(curve.shape == (4,) for curve in result.history.values())
        assert ("kl" in result.metrics) == (method.log_prob is not None)
        np.testing.assert_array_equal(result.steps, [1, 2, 3, 4])


def test_fit_does_not_depend_on_where_the_data_lie(method, config):
    """Bit for bit in training units, because the standardised targets are the same; and data units come back."""

    def fit(mean, std):
        target = jgen1d.targets.normal(mean, std)
        return jgen1d.fit(jax.random.key(0), method, target, config, num_steps=4, num_samples=1_000)

    wanted = fit(0.0, 1.0)
    samples = np.asarray(wanted.sample(jax.random.key(1), 200), np.float64)
    with pytest.raises(ValueError, match=r"'normal': float64 cannot tell values .* apart at 1e\+12"):
        fit(1e12, 1e-6)
    # One of each kind: `test_units.py` has all places and scales for every family of targets.
    for place, scale in [(0.0, 1e-30), (-1e3, 1e-6), (1e8, 1.0), (1e12, 1.0), (1e12, 1e30)]:
        found = fit(place, scale)
        assert found.verdict == wanted.verdict
        chex.assert_trees_all_equal(found.state, wanted.state)
        for name, value in wanted.metrics.items():
            unit = jgen1d.metrics.METRICS[name].unit
            expected = {"": value, "length": scale * value, "place": place + scale * value}[unit]
            np.testing.assert_allclose(found.metrics[name], expected, rtol=1e-6 if unit else 0)
        back = (np.asarray(found.sample(jax.random.key(1), 200), np.float64) - place) / scale
        resolution = np.spacing(np.float32(place)) / scale if found.units.are_held else np.spacing(place) / scale
        np.testing.assert_allclose(back, samples, rtol=1e-6, atol=1e-6 + resolution)
        if method.log_prob is not None:
            x = place + scale * samples
            np.testing.assert_allclose(
                found.log_prob(x) + np.log(scale), wanted.log_prob((x - place) / scale), rtol=1e-4, atol=1e-4
            )


def test_start_is_the_same_for_the_same_key(method, config):
    start = jax.jit(functools.partial(run.start, Task(method, jgen1d.TARGETS["normal"], config)))
    states = [start(jax.random.key(seed)).state for seed in (3, 3, 4)]
    chex.assert_trees_all_equal(states[0], states[1])
    leaves = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state)]) for state in states]
    if any(np.size(leaf) and np.any(leaf) for leaf in leaves):
        assert not np.array_equal(leaves[0], leaves[2])


def shapes_of(method):
    """The method's default config with other sizes, with half of these, with one layer fewer, and with both."""
    sizes = core.sizes(method.Config())

    def config(number, widths):
        return core.replace(
            method.Config(), **{n: widths if isinstance(s, tuple) else number for n, s in sizes.items()}
        )

    return [config(4, (6, 6)), config(2, (3, 3)), config(4, (6,)), config(2, (3,))]


@pytest.mark.parametrize("name", SIZED)
def test_lanes_of_different_sizes_can_share_a_program(name):
    method = SIZED[name]
    large, *smaller = shapes_of(method)
    smaller = smaller[-1:] if name in METHODS else smaller[:2]  # each takes long to compile
    run = {"num_steps": 4, "eval_every": 2, "batch_size": ROWS, "num_samples": 1_000, "lanes_per_device": 2}
    together, apart = (
        jgen1d.sweep(method, [jgen1d.TARGETS["normal"]], configs, range(2), **run, padding=padding)
        for padding, configs in [(True, [*smaller, large]), (False, smaller)]
    )
    assert f"{len(smaller) + 1} variants of networks and losses in 1 program:" in together.explain()
    assert "variants)" not in apart.explain()
    assert ("kl" in together.metrics) == (method.log_prob is not None)
    for padded, unpadded in [(together.history, apart.history), (together.metrics, apart.metrics)]:
        assert padded.keys() == unpadded.keys()
        for key, values in padded.items():
            assert np.isfinite(values).all()
            np.testing.assert_allclose(values[:, :-1], unpadded[key], err_msg=key, **tolerance(key))
    for place, state in together.states.items():
        config = core.bind([*smaller, large][place[1]], dim=1, num_steps=4)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, jax.eval_shape(method.init, jax.random.key(0), config))
    for place, state in apart.states.items():
        chex.assert_trees_all_close(together.states[place], state, rtol=1e-5, atol=1e-6)
    results = [done.result(0, len(smaller) - 1, 1) for done in (together, apart)]
    assert results[0].config == results[1].config
    draws = [result.sample(jax.random.key(0), 9) for result in results]
    np.testing.assert_allclose(draws[0], draws[1], rtol=1e-5, atol=1e-6)
