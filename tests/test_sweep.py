"""Lanes depend on nothing but themselves; the sweep's arguments are checked before anything is compiled."""

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d import core, train
from jgen1d.methods import gan

SMALL = gan.Config(widths_g=(6,), widths_d=(6,), latent_dim=2)
RUN = {"num_steps": 30, "eval_every": 10, "num_samples": 200, "lanes_per_device": 4}
BIMODAL = jgen1d.TARGETS["bimodal"]


def sweep(configs, seeds, targets=(BIMODAL,), **options):
    return jgen1d.sweep(gan.METHOD, targets, configs, seeds, **{**RUN, **options})


@pytest.fixture(scope="module")
def plain(fully_optimised):
    return sweep([SMALL], range(4))


def assert_same_lane(a, b):
    """Bit for bit."""
    for name, values in a.metrics.items():
        np.testing.assert_array_equal(values, b.metrics[name], err_msg=name)
    for name, values in a.history.items():
        np.testing.assert_array_equal(values, b.history[name], err_msg=name)
    for x, y in zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.verdict == b.verdict


@pytest.mark.smoke
def test_a_lane_is_bit_identical_whatever_its_neighbours(plain):
    permuted = sweep([SMALL], [3, 1, 0, 2])
    for seed, place in [(0, 2), (1, 1), (2, 3), (3, 0)]:
        assert_same_lane(plain.result(0, 0, seed), permuted.result(0, 0, place))
    replaced = sweep([SMALL], [0, 77, 78, 79])
    assert_same_lane(plain.result(0, 0, 0), replaced.result(0, 0, 0))


@pytest.mark.smoke
def test_a_lane_that_diverges_is_frozen_and_named_and_harms_no_other(plain):
    configs = [SMALL.replace(learning_rate_g=1e30), SMALL]
    mixed = sweep(configs, range(2))  # the same block of four lanes
    for seed in range(2):
        assert_same_lane(plain.result(0, 0, seed), mixed.result(0, 1, seed))
    assert (mixed.verdict[0, 0] == "diverged").all()
    assert (mixed.diverged_at[0, 0] >= 0).all()
    assert (mixed.diverged_at[0, 1] == -1).all()
    frozen = mixed.result(0, 0, 0)
    assert np.isnan(frozen.history["loss_d"][-1])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(frozen.state))


def test_the_last_block_is_filled_up(plain):
    six = sweep([SMALL], range(6))
    assert six.verdict.shape == (1, 1, 6)
    for seed in range(4):
        assert_same_lane(plain.result(0, 0, seed), six.result(0, 0, seed))


def test_fit_and_sweep_agree(plain):
    """Statistics only, over long runs; over a short one, what two orders of summation leave."""
    alone = jgen1d.fit(jax.random.key(1), gan.METHOD, BIMODAL, SMALL, num_steps=30, eval_every=10, num_samples=200)
    lane = plain.result(0, 0, 1)
    for name, values in alone.history.items():
        np.testing.assert_allclose(values, lane.history[name], rtol=1e-2, atol=1e-3, err_msg=name)
    np.testing.assert_allclose(alone.sample(jax.random.key(0), 5), lane.sample(jax.random.key(0), 5), atol=1e-2)


def test_shapes_of_targets_configs_and_seeds():
    targets = [jgen1d.TARGETS[name] for name in ("normal", "uniform", "bimodal")]
    configs = jgen1d.grid(SMALL, learning_rate_d=[1e-3, 3e-3])
    done = sweep(configs, range(2), targets, num_steps=4, eval_every=2)
    assert done.verdict.shape == (3, 2, 2)
    assert done.history["loss_g"].shape == (3, 2, 2, 2)
    assert done.metrics["mode_mass"].shape == (3, 2, 2, 2)
    assert np.isnan(done.metrics["mode_mass"][1]).all()  # the uniform target has no modes
    assert np.isfinite(done.metrics["mode_mass"][2]).all()
    assert np.isfinite(done.metrics["mode_mass"][0, :, :, 0]).all()
    rows = done.table()
    assert [(row["target"], row["learning_rate_d"]) for row in rows][:3] == [
        ("normal", 1e-3), ("normal", 3e-3), ("uniform", 1e-3),
    ]  # fmt: skip


def test_targets_of_one_family_share_a_program():
    programs = jgen1d.sweep.__globals__["_program"]
    two_normals = core.replace(BIMODAL, name="other")
    sweep([SMALL], range(2), [BIMODAL])
    before = programs.cache_info().misses
    sweep([SMALL.replace(learning_rate_g=1e-4)], range(2), [two_normals])
    assert programs.cache_info().misses == before


def test_a_method_with_a_density_gets_its_kl():
    from tests.readme import toy_method

    toy = toy_method()
    config = toy.Config(learning_rate=0.02)
    done = jgen1d.sweep(toy, [jgen1d.TARGETS["normal"]], [config], range(2), num_steps=400)
    assert (done.metrics["kl"] < 0.02).all()
    assert (done.verdict == "converged").all()
    np.testing.assert_allclose(done.history["mean"][0, 0, :, -1], 4.0, atol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps=0"),
        ({"num_steps": 7, "eval_every": 2}, "eval_every=2: must divide num_steps=7"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"num_samples": -1}, "num_samples=-1"),
    ],
)
def test_wrong_numbers_are_refused_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        sweep([SMALL], range(1), **options)
    assert "\n" not in str(error.value)
    if "eval_every" not in options:
        with pytest.raises(ValueError, match=message):
            jgen1d.fit(jax.random.key(0), gan.METHOD, BIMODAL, SMALL, **{"num_steps": 2, **options})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SMALL.replace(learning_rate_g=-1.0), "learning_rate_g=-1.0: must be at least 0"),
        (SMALL.replace(beta1_d=1.0), "beta1_d=1.0: must be at least 0 and below 1"),
        (SMALL.replace(r1=float("nan")), "r1=nan: must be a finite number or None"),
        (SMALL.replace(learning_rate_g=None), "learning_rate_g=None: must be a number"),
        (SMALL.replace(widths_g=(8, 0)), r"widths_g=\(8, 0\): must be at least 1"),
        (SMALL.replace(widths_g=8), "widths_g=8: must be a tuple of integers"),
        (SMALL.replace(latent_dim=2.0), "latent_dim=2.0: must be an integer"),
        (SMALL.replace(generator_loss="non_saturatng"), "did you mean 'non_saturating'"),
        (SMALL.replace(spectral_norm=1), "spectral_norm=1: must be True or False"),
        (SMALL.replace(discriminator_loss="hinge"), "does not go with"),
        ("gan", "config must be a jgen1d.methods.gan.Config, not 'gan'"),
    ],
)
def test_wrong_configs_are_refused_in_one_line(config, message):
    with pytest.raises(ValueError, match=message) as error:
        sweep([config], range(1))
    assert "\n" not in str(error.value)


def test_seeds_and_empty_axes_are_checked():
    with pytest.raises(ValueError, match="seed -1 must be from 0"):
        sweep([SMALL], [-1])
    for targets, configs, seeds in [([], [SMALL], [0]), ([BIMODAL], [], [0]), ([BIMODAL], [SMALL], [])]:
        with pytest.raises(ValueError, match="must not be empty"):
            sweep(configs, seeds, targets)


def test_grid_is_the_product_and_checks_names_and_values():
    configs = jgen1d.grid(SMALL, r1=[None, 0.1], widths_g=[(4,), (8,), (8, 8)])
    assert [(c.r1, c.widths_g) for c in configs][:4] == [(None, (4,)), (None, (8,)), (None, (8, 8)), (0.1, (4,))]
    with pytest.raises(ValueError, match="no field 'learning_rate'; did you mean 'learning_rate_"):
        jgen1d.grid(SMALL, learning_rate=[1e-3])
    with pytest.raises(ValueError, match="must be a list of at least one value"):
        jgen1d.grid(SMALL, r1=[])
    with pytest.raises(ValueError, match="r1=-1"):
        jgen1d.grid(SMALL, r1=[-1.0])


def test_an_interval_is_trained_in_pieces():
    pieces = jgen1d.sweep.__globals__["_pieces"]
    assert [pieces(n) for n in (1, 256, 600, 257)] == [[1], [256], [200] * 3, [256, 1]]
    run = {"num_steps": 258, "eval_every": 258, "num_samples": 200}
    whole = jgen1d.fit(jax.random.key(0), gan.METHOD, BIMODAL, SMALL, **run)
    parts = sweep([SMALL], [0], **run)
    np.testing.assert_allclose(parts.history["loss_d"][0, 0, 0], whole.history["loss_d"], rtol=1e-2)


def test_eval_every_defaults_to_at_most_fifty_points():
    assert [train.check_eval_every(n, None) for n in (1, 50, 100, 5_000, 250, 101)] == [1, 1, 2, 100, 5, 101]


def test_importing_touches_no_device_and_no_configuration():
    import subprocess
    import sys

    code = (
        "import sys, jax, flax, optax; before = dict(jax.config.values); import jgen1d\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge._backends; assert dict(jax.config.values) == before;"
        "assert not {'torch', 'matplotlib', 'rich.progress'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
