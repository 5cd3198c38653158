"""Lanes depend on nothing but themselves; the sweep's arguments are checked before anything is compiled."""

import logging
import pathlib
import subprocess
import sys
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgen1d
from jgen1d import core, fitting, sweeps
from jgen1d.engine import block, plan, program, run
from jgen1d.engine.snapshot import Outcome
from jgen1d.engine.task import Task, prepare
from jgen1d.evaluation import verdict
from jgen1d.methods import gan
from tests import toys
from tests.readme import toy_method
from tests.tolerances import tolerance

SMALL = gan.Config(widths_g=(6,), widths_d=(6,), latent_dim=2)
RUN = {"num_steps": 30, "eval_every": 10, "num_samples": 1_000, "lanes_per_device": 4}
BIMODAL = jgen1d.TARGETS["bimodal"]


def sweep(configs, seeds, targets=(BIMODAL,), **options):
    return jgen1d.sweep(gan.METHOD, targets, configs, seeds, **{**RUN, **options})


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


def test_losses_of_different_kinds_can_share_a_program():
    kinds = [("log", "non_saturating"), ("half_log", "saturating"), ("least_squares", "least_squares"), ("hinge",) * 2]
    configs = [SMALL.replace(discriminator_loss=d, generator_loss=g) for d, g in kinds]
    together = sweep(configs, range(2), num_steps=4, eval_every=2, padding=True)
    assert "4 variants of networks and losses in 1 program:" in together.explain()
    assert "discriminator_loss half_log|hinge|least_squares|log" in together.explain()
    for c in (1, 2):
        apart = sweep([configs[c]], range(2), num_steps=4, eval_every=2)
        for name, values in apart.history.items():
            np.testing.assert_allclose(together.history[name][:, c], values[:, 0], rtol=1e-5, atol=1e-6, err_msg=name)
        chex.assert_trees_all_close(together.states[0, c, 1], apart.states[0, 0, 1], rtol=1e-5, atol=1e-6)


def test_targets_of_one_family_share_a_program():
    def counts():
        return program._compiled.cache_info().misses

    two_normals = core.replace(BIMODAL, name="other")
    sweep([SMALL], range(4), [BIMODAL])
    before = counts()
    sweep([SMALL.replace(learning_rate_g=1e-4)], range(4), [two_normals])
    assert counts() == before
    assert before > 0


def test_a_method_with_a_density_gets_its_kl():
    toy = toy_method()
    config = toy.Config(learning_rate=0.02)
    done = jgen1d.sweep(toy, [jgen1d.TARGETS["normal"]], [config], range(2), num_steps=400)
    assert (done.metrics["kl"] < 0.02).all()
    assert verdict.learned(done.verdict).all()
    np.testing.assert_allclose(done.history["mean"][0, 0, :, -1], 4.0, atol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps=0"),
        ({"num_steps": 7, "eval_every": 2}, "eval_every=2: must divide num_steps=7"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"num_samples": -1}, "num_samples=-1"),
        ({"matmul_precision": "float32"}, "matmul_precision='float32': allowed are highest, high, default"),
        ({"matmul_precision": "HIGHEST"}, "matmul_precision='HIGHEST': allowed are highest, high, default"),
        ({"matmul_precision": None}, "matmul_precision=None: allowed are highest, high, default"),
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lanes_per_device": 0}, "lanes_per_device=0: must be an integer of at least 1, or None"),
        ({"lanes_per_device": 1.5}, "lanes_per_device=1.5: must be an integer of at least 1, or None"),
        ({"padding": "no"}, "padding='no': must be True, False or None"),
    ],
)
def test_how_lanes_are_laid_out_is_checked(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        sweep([SMALL], range(1), **options)


def test_seeds_and_empty_axes_are_checked():
    with pytest.raises(ValueError, match="seed -1: must be an integer from 0"):
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


def test_width_and_depth_set_the_hidden_layers_of_all_networks():
    configs = jgen1d.grid(gan.Config(), width=[8, 16, 32], depth=[1, 2, 3], learning_rate_d=[1e-4, 1e-3, 1e-2])
    assert len(configs) == 27
    assert [(c.widths_g, c.widths_d, c.learning_rate_d) for c in configs] == [
        ((width,) * depth, (width,) * depth, rate)
        for width in (8, 16, 32)
        for depth in (1, 2, 3)
        for rate in (1e-4, 1e-3, 1e-2)
    ]
    assert {c.latent_dim for c in configs} == {gan.Config().latent_dim}
    reordered = jgen1d.grid(gan.Config(), depth=[1, 2], width=[8])
    assert [c.widths_d for c in reordered] == [(8,), (8, 8)]


def test_width_and_depth_keep_what_the_other_has_set():
    textbook = gan.preset("textbook")  # (15, 15) and (25, 25)
    assert [(c.widths_g, c.widths_d) for c in jgen1d.grid(textbook, depth=[1, 3])] == [
        ((15,), (25,)),
        ((15, 15, 15), (25, 25, 25)),
    ]
    uneven = gan.Config(widths_g=(4, 8, 2), widths_d=(3,))
    assert [(c.widths_g, c.widths_d) for c in jgen1d.grid(uneven, width=[5])] == [((5, 5, 5), (5,))]
    assert jgen1d.grid(uneven, width=[5], depth=[2])[0].widths_g == (5, 5)


@pytest.mark.parametrize(
    ("config", "axes", "message"),
    [
        (SMALL, {"width": [0]}, r"width=0: must be an integer of at least 1"),
        (SMALL, {"width": [-3]}, r"width=-3: must be an integer of at least 1"),
        (SMALL, {"width": ["8"]}, r"width='8': must be an integer of at least 1"),
        (SMALL, {"width": "8"}, r"grid: width must be a list of at least one value, not '8'"),
        (SMALL, {"width": 8}, r"grid: width must be a list of at least one value, not 8"),
        (SMALL, {"r1": 0.1}, r"grid: r1 must be a list of at least one value, not 0.1"),
        (
            SMALL.replace(widths_g=(), widths_d=()),
            {"width": [8]},
            r"width=8: there are no hidden layers; set depth, too",
        ),
        (SMALL, {"width": [True]}, r"width=True: must be an integer of at least 1"),
        (SMALL, {"width": [8.0]}, r"width=8.0: must be an integer of at least 1"),
        (SMALL, {"depth": [0]}, r"depth=0: must be an integer of at least 1"),
        (SMALL, {"width": [8], "depth": [True]}, r"depth=True: must be an integer of at least 1"),
        (SMALL, {"depth": []}, r"grid: depth must be a list of at least one value, not \[\]"),
        (SMALL.replace(widths_d=(4, 8)), {"depth": [2]}, r"depth: widths_d=\(4, 8\) has no one width; set width, too"),
        (toy_method().Config(), {"width": [8]}, r"Config has no hidden layers for width and depth to set"),
        (toy_method().Config(), {"depth": [2]}, r"Config has no hidden layers for width and depth to set"),
    ],
)
def test_wrong_widths_and_depths_are_refused_in_one_line(config, axes, message):
    with pytest.raises(ValueError, match=f"^{message}$") as error:
        jgen1d.grid(config, **axes)
    assert "\n" not in str(error.value)


class Recorded(NamedTuple):
    """A block's outcome; how often its step was traced and how much was compiled by each point; the precisions."""

    outcome: Outcome
    seen: list[tuple[int, int]]
    precisions: list[str | None]


def recording(method):
    """The method, and the matmul precision in force each time that its step is traced."""
    precisions = []

    def step(*args):
        precisions.append(jax.config.jax_default_matmul_precision)
        return method.step(*args)

    return method._replace(step=step), precisions


def run_block(precision, caplog):
    method, precisions = recording(toys.METHOD)
    target = jgen1d.TARGETS["normal"]
    config = prepare(Task(method, target, toys.Config(widths=(3,))), 8, 32, 1_000).config
    lanes = [plan.Lane((0, 0, seed), target, config, seed) for seed in range(2)]
    group = plan.Group.single(lanes[0])._replace(lanes=[lanes], width=2)
    spec = block.Spec(method, 8, 32, 2, 1_000, None, precision)
    keys = jnp.stack([jax.random.key(lane.seed) for lane in lanes])
    seen = []

    def at_point(midway):
        del midway
        seen.append((len(precisions), sum("XLA compilation" in r.getMessage() for r in caplog.records)))

    jax.config.update("jax_log_compiles", True)  # in all threads
    try:
        with caplog.at_level(logging.WARNING):
            outcome = block.run_block(spec, group, lanes, keys, jax.local_devices()[:1], at_point=at_point)
    finally:
        jax.config.update("jax_log_compiles", False)
    return Recorded(outcome, seen, precisions)


def test_a_block_compiles_nothing_after_its_first_point_and_computes_as_precisely_as_told(caplog):
    """The first two calls of a program once differed in the weak type of an argument, so that all compiled twice."""
    high, low = (run_block(precision, caplog) for precision in ("highest", "default"))
    for one in (high, low):
        assert len(one.seen) == 4
        assert min(one.seen[0]) > 0
        assert set(one.seen) == {one.seen[0]}
    assert (set(high.precisions), set(low.precisions)) == ({"highest"}, {"default"})
    jax.tree.map(np.testing.assert_array_equal, high.outcome, low.outcome)  # on a CPU they are the same
    assert jax.config.jax_default_matmul_precision is None


class Seen(Exception):
    pass


def test_fit_and_sweep_pass_the_precision_on(monkeypatch):
    def stop(spec, *args):
        raise Seen(spec.matmul_precision)

    monkeypatch.setattr(fitting, "run_block", stop)
    monkeypatch.setattr(sweeps, "run_blocks", stop)
    for options, expected in [({}, "highest"), *(({"matmul_precision": p}, p) for p in block.MATMUL_PRECISIONS)]:
        with pytest.raises(Seen, match=rf"^{expected}$"):
            jgen1d.fit(jax.random.key(0), gan.METHOD, BIMODAL, SMALL, num_steps=2, **options)
        with pytest.raises(Seen, match=rf"^{expected}$"):
            sweep([SMALL], range(2), **options)


ON_DEVICES = """
import sys

import jax
import numpy as np

jax.config.update("jax_num_cpu_devices", 8)

import jgen1d
from tests import conftest, toys  # the settings of all tests

method, done = toys.METHOD._replace(log_prob=None), {}
for num_devices, num_seeds in [(1, 9), (2, 9), (2, 7), (8, 9), (1, 1), (8, 1)]:
    sweep = jgen1d.sweep(
        method, [jgen1d.TARGETS["normal"]], [toys.Config(widths=(4,))], range(num_seeds), num_steps=4, eval_every=2,
        batch_size=32, num_samples=1_000, lanes_per_device=2, devices=jax.devices()[:num_devices],
    )
    arrays = {**sweep.history, **sweep.metrics}
    states = [jax.tree.leaves(sweep.states[0, 0, seed]) for seed in range(num_seeds)]
    arrays |= {f"state {i}": np.stack(leaves)[None, None] for i, leaves in enumerate(zip(*states))}
    done |= {f"{num_devices} {num_seeds} {name}": values[0, 0] for name, values in arrays.items()}
np.savez(sys.argv[1], **done)
"""


def test_lanes_do_not_depend_on_the_number_of_devices(tmp_path):
    """Bit for bit where there are several and blocks of one width; XLA compiles for one device in another way."""
    path = tmp_path / "arrays.npz"
    subprocess.run([sys.executable, "-c", ON_DEVICES, path], check=True, cwd=pathlib.Path(__file__).parents[1])
    with np.load(path) as arrays:
        on = {}
        for name, values in arrays.items():
            num_devices, num_seeds, field = name.split(" ", 2)
            on.setdefault((int(num_devices), int(num_seeds)), {})[field] = values
    assert len(on) == 6
    assert {"loss", "w1", "state 0"} <= on[1, 9].keys()
    for field, values in on[8, 9].items():
        assert len(values) == 9
        np.testing.assert_array_equal(on[2, 9][field], values, err_msg=field)
        np.testing.assert_array_equal(on[2, 7][field], values[:7], err_msg=field)
        np.testing.assert_allclose(on[1, 9][field], values, err_msg=field, **tolerance(field, 1e-5, 1e-5))
    for field, values in on[8, 1].items():  # it is on one device, where a copy on the others would take their cores
        np.testing.assert_array_equal(on[1, 1][field], values, err_msg=field)
    for field in ("loss", "w1"):
        assert len(np.unique(on[8, 9][field].reshape(9, -1)[:, -1])) == 9  # lanes differ


def test_an_interval_is_trained_in_chunks():
    assert [run.chunks(n) for n in (1, 256, 600, 257)] == [[1], [256], [200] * 3, [256, 1]]
    length = {"num_steps": 258, "num_samples": 1_000}
    whole = jgen1d.fit(jax.random.key(0), gan.METHOD, BIMODAL, SMALL, eval_every=258, **length)
    parts = jgen1d.fit(jax.random.key(0), gan.METHOD, BIMODAL, SMALL, eval_every=129, **length)
    np.testing.assert_allclose(whole.history["loss_d"], np.mean(parts.history["loss_d"]), rtol=1e-5)
    chex.assert_trees_all_equal(parts.state, whole.state)


def test_importing_touches_no_device_and_no_configuration():
    code = (
        "import sys, jax, flax, optax; before = dict(jax.config.values); import jgen1d\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge._backends; assert dict(jax.config.values) == before;"
        "assert not {'torch', 'matplotlib', 'rich.progress'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- programs as users run them -----------------------------------------------------------------------------------


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
    alone = jgen1d.fit(jax.random.key(1), gan.METHOD, BIMODAL, SMALL, num_steps=30, eval_every=10, num_samples=1_000)
    lane = plain.result(0, 0, 1)
    for name, values in alone.history.items():
        np.testing.assert_allclose(values, lane.history[name], rtol=1e-2, atol=1e-3, err_msg=name)
    np.testing.assert_allclose(alone.sample(jax.random.key(0), 5), lane.sample(jax.random.key(0), 5), atol=1e-2)
