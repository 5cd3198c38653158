"""`run` as a pure function, `fit` as a sweep of one lane, programs that serve all lengths, and a user's own parts."""

import subprocess
import sys
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgen1d
from jgen1d import nets
from jgen1d.core import format_value, pytree_dataclass, traced, validate
from jgen1d.engine import block, compiled, program, snapshot
from jgen1d.maths.losses import LOG_2, GeneratorLoss, non_saturating_loss_g
from jgen1d.methods import diffusion, gan
from tests import toys

NORMAL, BIMODAL = jgen1d.TARGETS["normal"], jgen1d.TARGETS["bimodal"]
SMALL = gan.Config(widths_g=(3,), widths_d=(3,))
SHORT: dict[str, Any] = {"batch_size": 16, "eval_every": 2, "num_samples": 1_000}
TASK = jgen1d.Task(toys.METHOD, NORMAL, toys.Config(widths=(3,)))


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_maps_over_keys_and_traced_fields_under_the_callers_own_jit():
    def train(key, learning_rate):
        task = TASK._replace(config=TASK.config.replace(learning_rate=learning_rate))
        return jgen1d.run(key, task, 6, **SHORT)

    rates = jnp.array([0.01, 0.02, 0.04])
    state, history, metrics = jax.jit(jax.vmap(train))(jax.vmap(jax.random.key)(jnp.arange(3)), rates)
    assert history["loss"].shape == history["w1"].shape == (3, 3)
    assert metrics["w1"].shape == metrics["diverged_at"].shape == (3,)
    assert metrics["mode_mass"].shape == (3, 1)
    for lane in range(3):
        alone = jgen1d.fit(
            jax.random.key(lane), toys.METHOD, NORMAL, TASK.config.replace(learning_rate=float(rates[lane])), 6, **SHORT
        )
        chex.assert_trees_all_close(
            jax.tree.map(lambda leaf, n=lane: leaf[n], state), alone.state, rtol=1e-4, atol=1e-5
        )
        for name, curve in alone.history.items():
            np.testing.assert_allclose(history[name][lane], curve, rtol=1e-3, atol=1e-4, err_msg=name)
        for name, value in alone.metrics.items():
            np.testing.assert_allclose(metrics[name][lane], value, rtol=1e-2, atol=1e-3, err_msg=name)
    assert set(metrics) == {*alone.metrics, "diverged_at"}
    assert jgen1d.verdict.classify(history, metrics, None, 1, metrics["diverged_at"]).shape == (3,)


def test_run_is_traced_once_under_a_mesh():
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()), ("lane",))
    spec = jax.sharding.PartitionSpec("lane")
    count = 2 * len(jax.local_devices())

    @jax.jit
    @chex.assert_max_traces(n=1)
    def train(keys):
        def runs(keys):
            return jax.vmap(lambda key: jgen1d.run(key, TASK, 4, **SHORT)[2]["w1"])(keys)

        return jax.shard_map(runs, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)(keys)

    first, second = (train(jax.random.split(jax.random.key(seed), count)) for seed in (0, 1))
    assert first.shape == (count,)
    assert not np.array_equal(first, second)


def test_a_gradient_of_run_flows_to_a_traced_field():
    def final_loss(rate):
        config = TASK.config.replace(learning_rate=rate)
        return jgen1d.run(jax.random.key(0), TASK._replace(config=config), 2, **SHORT)[1]["loss"][-1]

    got = jax.jit(jax.jacfwd(final_loss))(0.02)
    near = [float(jax.jit(final_loss)(0.02 + step)) for step in (2e-3, -2e-3)]
    assert got == pytest.approx((near[0] - near[1]) / 4e-3, rel=0.05)


@pytest.mark.parametrize("task", [TASK, TASK[:3], tuple(TASK[:3])])
def test_run_takes_a_task_or_a_tuple(task):
    shapes = jax.eval_shape(lambda key: jgen1d.run(key, task, 4, **SHORT), jax.random.key(0))
    assert shapes[2]["w1"].shape == ()


def test_fit_within_a_transformation_names_run():
    def train(key):
        return jgen1d.fit(key, *TASK[:3], 4, **SHORT).metrics["w1"]

    with pytest.raises(ValueError, match=r"^fit: the key is traced: .* use jgen1d.run"):
        jax.vmap(train)(jax.random.split(jax.random.key(0), 2))


# --- one way to run ---------------------------------------------------------------------------------------------------


def test_fit_is_a_lane_of_a_sweep_of_width_one_to_the_bit():
    configs, seeds = [SMALL, SMALL.replace(learning_rate_g=1e-4)], [5, 2]
    wide = jgen1d.sweep(
        gan.METHOD, [BIMODAL], configs, seeds, 4, lanes_per_device=1, devices=jax.local_devices()[:1], **SHORT
    )
    for c, s in np.ndindex(2, 2):
        alone = jgen1d.fit(jax.random.key(seeds[s]), gan.METHOD, BIMODAL, configs[c], 4, **SHORT)
        lane = wide.result(0, c, s)
        assert set(lane.metrics) == set(alone.metrics)
        assert (lane.verdict, lane.diverged_at, lane.standardize) == (alone.verdict, -1, alone.standardize)
        chex.assert_trees_all_equal(
            (lane.state, lane.history, lane.metrics, lane.steps),
            (alone.state, alone.history, alone.metrics, alone.steps),
        )


def test_a_result_of_a_sweep_has_the_metrics_of_its_target_alone():
    sweep = jgen1d.sweep(toys.METHOD, [NORMAL, jgen1d.TARGETS["ring"]], [TASK.config], [0], 2, **SHORT)
    for t, target in enumerate(sweep.targets):
        alone = jgen1d.fit(jax.random.key(0), toys.METHOD, target, TASK.config, 2, **SHORT)
        assert set(sweep.result(t, 0, 0).metrics) == set(alone.metrics)


@pytest.mark.parametrize(("method", "config"), [(gan.METHOD, SMALL), (diffusion.METHOD, diffusion.Config(widths=(3,)))])
def test_runs_of_other_lengths_compile_nothing(method, config):
    traced = []

    def step(*args):
        traced.append(args)
        return method.step(*args)

    counting = method._replace(step=step)

    def train(num_steps, eval_every):
        return jgen1d.fit(
            jax.random.key(0), counting, NORMAL, config, num_steps, batch_size=16, eval_every=eval_every,
            num_samples=1_000,
        )  # fmt: skip

    train(4, 2)
    before = program._compiled.cache_info().misses, len(traced)
    lengths = [train(6, 2), train(6, 3), train(280, 280)]
    assert (program._compiled.cache_info().misses, len(traced)) == before
    assert [result.config.num_steps for result in lengths] == [6, 6, 280]
    chex.assert_trees_all_equal(lengths[0].state, lengths[1].state)


def test_the_horizon_is_that_of_the_run():
    """Cosine decay ends at 0: the last step of any run moves nothing."""
    config = SMALL.replace(schedule="cosine")
    for num_steps in (2, 4):
        state = gan.init(jax.random.key(0), config)._replace(step=jnp.array(num_steps))
        after, _ = jax.jit(gan.step)(jax.random.key(1), state, jnp.ones((8, 1)), config.replace(num_steps=num_steps))
        chex.assert_trees_all_close(after.params_g, state.params_g, atol=1e-9)


# --- programs -------------------------------------------------------------------------------------------------------

MANY = """
import jax, numpy as np
from jgen1d.engine import program
from tests import test_run

def maps():
    return sum(1 for _ in open("/proc/self/maps"))

call = program.Programs(jax.sharding.Mesh(np.array(jax.local_devices()[:1]), ("lane",)), "highest").call
counts = []
for number in range(500):
    assert call(test_run.add, np.ones((1, 2)), number=number)[0, 0] == 1 + number
    counts.append(maps())
print(*[counts[n] for n in (49, 99, 299, 499)], program._compiled.cache_info().currsize)
program.clear()
print(maps())
"""


def add(x, *, number):
    return x + number


def test_what_was_prepared_is_compiled_once():
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()[:1]), ("lane",))
    programs = program.Programs(mesh, "highest")

    def both(call):
        return call(add, call(add, np.ones((1, 2)), number=7), number=8)

    before = compiled.counts()["programs"]
    with programs.ahead() as prepare:
        shape = both(prepare)
    assert compiled.counts()["programs"] == before + 2
    result = both(programs.call)
    assert compiled.counts()["programs"] == before + 2
    assert result[0, 0] == 1 + 7 + 8
    assert (shape.shape, shape.dtype, shape.sharding) == (result.shape, result.dtype, result.sharding)


def test_a_run_knows_its_programs_before_the_first_step(monkeypatch):
    misses = []

    def mean(*args):
        misses.append(program._compiled.cache_info().misses)
        return block_mean(*args)

    block_mean = block._mean
    monkeypatch.setattr(block, "_mean", mean)
    program.clear()
    jgen1d.fit(0, *TASK[:3], 2, **SHORT)
    assert set(misses) == {program._compiled.cache_info().misses}


def test_programs_of_hundreds_of_static_configs_take_bounded_memory_maps():
    """Each program takes some of the 65,530 memory maps of a process; here fewer are kept than there."""
    lower = MANY.replace("from tests import test_run\n", "from tests import test_run\n" + LOWER)
    done = subprocess.run([sys.executable, "-c", lower], capture_output=True, text=True, check=True)
    (at_50, at_100, at_300, at_500, kept), (cleared,) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert kept == 60
    assert at_100 - at_50 > 10  # each program takes maps
    assert at_500 < at_100 + (at_100 - at_50)  # and gives them back
    assert at_300 < at_100 + (at_100 - at_50)
    assert cleared < at_50


LOWER = "import functools\nprogram._compiled = functools.lru_cache(60)(program._compiled.__wrapped__)\n"


def test_programs_are_dropped_when_memory_maps_run_short():
    few = "most = int(open('/proc/sys/vm/max_map_count').read())\nprogram.MAX_SHARE_OF_MAPS = (maps() + 300) / most\n"
    done = subprocess.run(
        [sys.executable, "-c", MANY.replace("counts = []\n", f"{few}counts = []\n")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    kept = int(done.stdout.splitlines()[0].split()[-1])
    assert (
        0 < kept < program.MAX_PROGRAMS
    )  # of 500, so that the bound on programs alone would keep as many as it allows


def test_clear_drops_all_programs():
    jgen1d.fit(jax.random.key(0), *TASK[:3], 2, **SHORT)
    assert program._compiled.cache_info().currsize
    program.clear()
    assert not program._compiled.cache_info().currsize


# --- a user's own parts ---------------------------------------------------------------------------------------------


def own_sgd(learning_rate):
    """SGD with momentum."""
    return optax.sgd(learning_rate, momentum=0.5)


def own_activation(x):
    """The softsign."""
    return x / (1 + jnp.abs(x))


def line_init(key):
    return {"slope": jnp.ones(()), "shift": 0.1 * jax.random.normal(key)}


def line_apply(params, x):
    return params["slope"] * x[:, :1] + params["shift"]


def scaled_loss_g(logits):
    return 2 * non_saturating_loss_g(logits)


LINE = nets.Net(line_init, line_apply)
OWN_LOSS = GeneratorLoss(scaled_loss_g, 2 * LOG_2)
OWN = {"network_g": LINE, "activation": own_activation, "optimizer": own_sgd, "generator_loss": OWN_LOSS}


@pytest.mark.parametrize("field", OWN)
def test_a_users_own_part_takes_the_place_of_a_name(field):
    config = SMALL.replace(**{field: OWN[field]})
    validate(config)
    alone = jgen1d.fit(jax.random.key(0), gan.METHOD, BIMODAL, config, 2, **SHORT)
    assert np.isfinite(alone.metrics["w1"])
    if field == "network_g":
        assert set(alone.state.params_g) == {"slope", "shift"}
    wide = jgen1d.sweep(gan.METHOD, [BIMODAL], [config, SMALL], [0, 1], 2, padding=True, **SHORT)
    assert np.isfinite(wide.metrics["w1"]).all()
    np.testing.assert_allclose(wide.history["loss_g"][0, 0, 0], alone.history["loss_g"], rtol=1e-4)
    assert format_value(getattr(wide.configs[0], field)) != format_value(getattr(wide.configs[1], field))


def test_an_own_loss_pads_with_named_ones_and_networks_of_other_sizes():
    configs = [
        SMALL.replace(generator_loss=OWN_LOSS, optimizer=own_sgd, widths_g=(5,)),
        SMALL.replace(optimizer=own_sgd),
    ]
    together = jgen1d.sweep(gan.METHOD, [BIMODAL], configs, [0, 1], 2, padding=True, **SHORT)
    assert "in 1 program" in together.explain()
    assert "tests.test_run.scaled_loss_g" in together.explain()
    for c, config in enumerate(configs):
        apart = jgen1d.sweep(gan.METHOD, [BIMODAL], [config], [0, 1], 2, **SHORT)
        np.testing.assert_allclose(together.history["loss_g"][:, c], apart.history["loss_g"][:, 0], rtol=1e-5)
        chex.assert_trees_all_close(together.states[0, c, 1], apart.states[0, 0, 1], rtol=1e-5, atol=1e-6)


def test_own_optimizer_is_what_optax_computes():
    config = SMALL.replace(optimizer=own_sgd, schedule="constant", learning_rate_g=0.1)
    state = gan.init(jax.random.key(0), config)
    after, info = jax.jit(gan.step)(jax.random.key(1), state, jnp.ones((8, 1)), config)
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, after.params_g, state.params_g))
    np.testing.assert_allclose(moved, 0.1 * info["grad_norm_g"], rtol=1e-4)  # the first step has no momentum yet


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "optimizer",
            "adm",
            r"optimizer='adm': allowed are adam, optimistic_adam, or your own .*did you mean 'adam'\?",
        ),
        ("optimizer", 3, r"optimizer=3: allowed are adam"),
        ("network_g", own_sgd, r"network_g=.*: allowed are mlp, conv, growing, or your own Net"),
        ("generator_loss", own_sgd, r"generator_loss=.*or your own GeneratorLoss"),
        ("network_g", nets.Net([1], line_apply), r"network_g=.*must be hashable"),
    ],
)
def test_a_wrong_part_is_refused_in_one_line(field, value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        jgen1d.fit(jax.random.key(0), gan.METHOD, BIMODAL, SMALL.replace(**{field: value}), 2, **SHORT)


# --- names ------------------------------------------------------------------------------------------------------------


def test_an_info_may_have_a_slash_in_its_name():
    outcome = snapshot.Outcome([np.ones(2)], {"loss/real": np.ones((2, 3))}, {"a/b/c": np.zeros(2)}, np.array([-1, 4]))
    midway = snapshot.Midway([np.ones(2)], {"loss/real": np.ones((2, 1)), "w1": np.zeros((2, 1))})
    done, under_way = snapshot.from_arrays(snapshot.to_arrays({3: outcome}, {1: midway}))
    chex.assert_trees_all_equal(done, {3: outcome})
    chex.assert_trees_all_equal(under_way, {1: midway})
    assert under_way[1].num_points == 1


def test_a_method_may_say_how_it_is_bound_and_standardized():
    @pytree_dataclass
    class Config:
        width: float = traced(default=0.0, help="of the run")

    class State(NamedTuple):
        mean: jax.Array

    def step(key, state, batch, config):
        del key
        return State(jnp.mean(batch)), {"length": config.width + 0 * state.mean}

    method = jgen1d.Method(
        Config, lambda key, config: State(jnp.zeros(())), step,
        lambda key, state, num_samples, config: state.mean + jax.random.normal(key, (num_samples, 1)),
        bind=lambda config, dim, num_steps: config.replace(width=float(10 * dim + num_steps)),
        standardize=lambda config: False,
    )  # fmt: skip
    result = jgen1d.fit(jax.random.key(0), method, NORMAL, Config(), 4, **SHORT)
    assert result.history["length"].tolist() == [14.0, 14.0]
    assert (result.shift, result.scale) == (0.0, 1.0)
    assert float(result.state.mean) == pytest.approx(4, abs=0.5)
