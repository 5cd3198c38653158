"""Every method's functions inside of other people's code: donated, sharded, in float64, differentiated, misfed.

A new method is covered by its line in the registry, and its options by their declaration.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgen1d
from jgen1d import core
from jgen1d.core import door
from jgen1d.maths.roots import flat_sqrt
from jgen1d.methods import METHODS, _optimizer
from tests import readme
from tests.conftest import CACHE
from tests.scripts import ROOT
from tests.test_contract import ROWS, SMALL, batch_of

LANES = 4
SCRIPTS = readme.scripts()
AXIS = jax.sharding.PartitionSpec("lane")
WITH_DENSITY = [name for name, method in METHODS.items() if method.log_prob]
EVEN = {"activation", "initializer", "schedule", "standardize", "dim"}
"""Fields whose choices differ by a formula only."""
NEEDED = {"fourier_features": 2}
"""What an optional term needs besides itself, in configs that have the field."""
OF_SIGNALS = {"progressive"}
"""Optional terms of networks that columns have no use for; see test_growing."""


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


def small(name, dim=1, **fields):
    return core.bind(core.replace(METHODS[name].Config(), **SMALL.get(name, {}), **fields), dim, 10)


def variants(name):
    """The small config, that in 2-D, and with each other choice, flag and optional term that goes with the rest."""
    config = small(name)
    changes = [{"dim": 2}]
    for field in dataclasses.fields(config):
        value, declared = getattr(config, field.name), field.metadata
        if field.name in EVEN:
            continue
        if declared.get("choices"):
            others = [choice for choice in declared["choices"] if choice != value]
        elif isinstance(field.default, bool):
            others = [not value]
        elif declared.get("static") and type(field.default) is int and field.default < 2:
            others = [2]
        else:
            others = [0.5 if value is None else None] if declared.get("optional") else []
        changes += [{field.name: other} for other in others]
    for change in changes:
        changed = config.replace(**change)
        try:
            jax.eval_shape(METHODS[name].init, jax.random.key(0), changed)
        except ValueError:
            continue
        yield change, changed
    yield {}, config


def filled(name):
    """The small config with every optional term in it."""
    config = small(name)
    fields = {field.name for field in dataclasses.fields(config)}
    config = config.replace(**{n: value for n, value in NEEDED.items() if n in fields})
    optional = {f.name: 0.5 for f in dataclasses.fields(config) if f.metadata.get("optional")}
    return config.replace(**{n: v for n, v in optional.items() if getattr(config, n) is None and n not in OF_SIGNALS})


def labelled(method, config, num_rows):
    """The keyword of labels, or of a real-valued condition, for so many rows, if the model has one."""
    if dim := getattr(config, "condition_dim", 0):
        return core.condition_keyword(jnp.ones((num_rows, dim)))
    return core.condition_keyword(jnp.arange(num_rows) % 2 if method.num_classes(config) else None)


def train(method, key, batch, config, num_steps=2):
    """The caller's own loop."""

    key_init, key_steps = jax.random.split(key)
    labels = labelled(method, config, len(batch))

    def body(state, number):
        return method.step(jax.random.fold_in(key_steps, number), state, batch, config, **labels)

    return jax.lax.scan(body, method.init(key_init, config), jnp.arange(num_steps))


def sharded(function, specs, mesh=None):
    """With JAX's default checks; of types alone, which needs no devices, if there is no mesh."""
    mesh = mesh or jax.sharding.AbstractMesh((2,), ("lane",), (jax.sharding.AxisType.Auto,))
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=AXIS)


def first(tree):
    return jax.tree.map(lambda leaf: leaf[0], tree)


def line(text):
    """Matches this text as a line of its own; JAX adds notes to errors that pass through it."""
    return rf"^{re.escape(text)}(\n|$)"


def float_dtypes(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


# --- donation ---------------------------------------------------------------------------------------------------------


def test_a_state_can_be_donated(name):
    method, config = METHODS[name], small(name)
    step = jax.jit(method.step, donate_argnums=1)
    for init in (method.init, jax.jit(method.init)):
        state = init(jax.random.key(0), config)
        for number in range(3):
            state, info = step(jax.random.key(number), state, batch_of(method, config), config)
        assert all(np.isfinite(value) for value in info.values())


# --- shard_map --------------------------------------------------------------------------------------------------------


def farthest(name):
    """The greatest difference of lanes on two devices from those on one, relative to what the numbers are."""
    method, config = METHODS[name], small(name)
    keys = jax.random.split(jax.random.key(0), LANES)
    batches = jnp.arange(1.0, LANES + 1)[:, None, None] * batch_of(method, config)[None]

    def lanes(keys, batches):
        return jax.vmap(lambda key, batch: train(method, key, batch, config))(keys, batches)

    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("lane",))
    apart = jax.jit(sharded(lanes, (AXIS, AXIS), mesh))(jax.random.clone(keys), batches)
    both = zip(*map(jax.tree.leaves, (apart, jax.jit(lanes)(keys, batches))), strict=True)
    return max(float(np.max(np.abs(a - b) / (1 + np.abs(b)), initial=0)) for a, b in both)


ON_TWO_DEVICES = """
import json

import jax

jax.config.update("jax_num_cpu_devices", 2)

from tests import conftest, test_steps  # the settings of all tests

assert len(jax.devices()) == 2
print(json.dumps({name: test_steps.farthest(name) for name in test_steps.METHODS}))
"""


@pytest.fixture(scope="module")
def differences():
    done = subprocess.run([sys.executable, "-c", ON_TWO_DEVICES], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_lanes_on_two_devices_are_those_on_one(name, differences):
    """Also in value: JAX sums a gradient over the devices where the parameters are the same on all of them."""
    assert differences[name] < 1e-4


def test_every_option_can_be_sharded(name):
    method = METHODS[name]
    for change, config in variants(name):

        def lane(key, batch, config=config):
            key_train, key_sample = jax.random.split(key)
            state, _ = train(method, key_train, batch, config)
            found = method.sample(key_sample, state, 5, config, **labelled(method, config, 5))
            return found, method.log_prob and method.log_prob(
                state, batch, config, **labelled(method, config, len(batch))
            )

        rows = jnp.zeros((LANES, *batch_of(method, config, config.dim).shape))
        try:
            jax.eval_shape(sharded(jax.vmap(lane), (AXIS, AXIS)), jax.random.split(jax.random.key(0), LANES), rows)
        except Exception as error:
            raise AssertionError(f"{name} with {change}") from error


@pytest.mark.parametrize("varying", ["key", "state", "rows", "config"])
def test_any_argument_may_be_the_one_that_differs_between_devices(name, varying):
    method, config = METHODS[name], small(name)
    if varying == "config" and not jax.tree.leaves(config):
        pytest.skip("the config has no traced fields")
    arguments = {
        "key": jax.random.key(0),
        "state": jax.eval_shape(method.init, jax.random.key(0), config),
        "rows": batch_of(method, config),
        "config": jax.tree.map(jnp.asarray, config),
    }
    specs = {n: AXIS if n == varying else jax.sharding.PartitionSpec() for n in arguments}

    def every(arguments):
        key, state, rows, config = (first(arguments[n]) if n == varying else arguments[n] for n in specs)
        keys = jax.random.split(key, 3)
        after, _ = method.step(keys[0], state, rows, config)
        found = [method.sample(keys[1], after, 5, config)]
        if varying != "rows":  # what does not depend on them is the same everywhere
            found.append(method.sample(keys[2], state, 5, config))
        if method.log_prob:
            found.append(method.log_prob(after, rows, config))
            if varying != "key":
                found.append(method.log_prob(state, rows, config))
        return found

    def stacked(leaf):
        return jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype)

    shapes = {n: jax.tree.map(stacked, a) if n == varying else a for n, a in arguments.items()}
    jax.eval_shape(sharded(every, (specs,)), shapes)


@pytest.mark.parametrize(
    ("name", "target"), [*((name, "normal") for name in METHODS), *(("gaussian", target) for target in jgen1d.TARGETS)]
)
def test_whole_runs_can_be_sharded(name, target):
    task = jgen1d.Task(METHODS[name], jgen1d.TARGETS[target], small(name))

    def train(key):
        return jgen1d.run(key, task, 4, batch_size=16, eval_every=2, num_samples=100)

    jax.eval_shape(sharded(jax.vmap(train), (AXIS,)), jax.random.split(jax.random.key(0), LANES))


# --- float64 ----------------------------------------------------------------------------------------------------------


def widths_in(jaxpr):
    """The float types of all that a program computes."""
    found = set()
    for equation in jaxpr.eqns:
        found |= {str(v.aval.dtype) for v in equation.outvars if hasattr(v.aval, "dtype")}
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            found |= widths_in(inner) if hasattr(inner, "eqns") else set()
    return {dtype for dtype in found if dtype.startswith("float") or dtype == "bfloat16"}


def test_every_option_computes_in_float64(name):
    method = METHODS[name]
    with jax.enable_x64(True):
        for change, config in variants(name):
            rows = np.zeros((ROWS * method.num_minibatches(config), config.dim))

            def every(key, state, rows, config=config):
                key_step, key_sample = jax.random.split(key)
                labels = labelled(method, config, len(rows))
                state, info = method.step(key_step, state, rows, config, **labels)
                found = method.sample(key_sample, state, 5, config, **labelled(method, config, 5))
                return state, info, found, method.log_prob and method.log_prob(state, rows, config, **labels)

            state = jax.eval_shape(method.init, jax.random.key(0), config)
            program, shapes = jax.make_jaxpr(every, return_shape=True)(jax.random.key(0), state, rows)
            assert widths_in(program.jaxpr) <= {"float64"}, change
            assert float_dtypes(shapes) == {np.dtype("float64")}, change


@pytest.mark.parametrize(("state_dtype", "batch_dtype"), [("float32", "float64"), ("float64", "float32")])
def test_a_state_keeps_its_dtypes_beside_a_batch_of_another(name, state_dtype, batch_dtype):
    method, config = METHODS[name], small(name)
    with jax.enable_x64(True):
        state = jax.eval_shape(method.init, jax.random.key(0), config)
        state = jax.tree.map(
            lambda leaf: leaf.update(dtype=state_dtype if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf.dtype),
            state,
        )
        rows = jax.ShapeDtypeStruct((ROWS * method.num_minibatches(config), 1), batch_dtype)
        # A sweep's fields are arrays, which are not weakly typed as Python's numbers are.
        for fields in (config, jax.tree.map(jnp.asarray, config)):
            after, _ = jax.eval_shape(method.step, jax.random.key(0), state, rows, fields)
            chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
            jax.eval_shape(lambda state, c=fields: method.sample(jax.random.key(0), state, 5, c), state)
            if method.log_prob:
                jax.eval_shape(method.log_prob, state, rows, fields)


# --- hyper-gradients --------------------------------------------------------------------------------------------------


def test_hyper_gradients_are_finite(name):
    method, config = METHODS[name], filled(name)
    if not jax.tree.leaves(config):
        pytest.skip("the config has no traced fields")
    batch = batch_of(method, config)

    def loss(config):
        state, _ = train(method, jax.random.key(0), batch, config, num_steps=5)
        leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        density = jnp.mean(method.log_prob(state, batch, config)) if method.log_prob else 0.0
        return sum(jnp.sum(leaf**2) for leaf in leaves) + density

    gradients = jax.jit(jax.grad(loss))(config)
    for field in dataclasses.fields(config):
        value = getattr(gradients, field.name)
        assert field.metadata.get("static") or value is None or np.isfinite(value), field.name
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize(("ours", "optaxs"), [("adam", optax.adam), ("optimistic_adam", optax.optimistic_adam_v2)])
def test_adam_is_optaxs_to_the_bit(ours, optaxs):
    params = {"a": jnp.array([1.0, -2.0, 0.3]), "b": jnp.array(0.5)}
    ours, theirs = _optimizer.OPTIMIZERS[ours](1e-2, b1=0.5, b2=0.99), optaxs(1e-2, b1=0.5, b2=0.99)
    states = ours.init(params), theirs.init(params)
    chex.assert_trees_all_equal(*states)
    for step in range(4):
        gradients = jax.tree.map(lambda p, n=step: jnp.sin(p * n) * (n != 2), params)
        (update, state), (wanted, wanted_state) = (
            o.update(gradients, s) for o, s in zip((ours, theirs), states, strict=True)
        )
        chex.assert_trees_all_equal(update, wanted)
        chex.assert_trees_all_equal(state, wanted_state)
        states = state, wanted_state


def test_the_flat_root_has_the_roots_slope_but_at_0():
    x = jnp.array([0.0, 1e-30, 0.25, 4.0])
    np.testing.assert_array_equal(flat_sqrt(x), jnp.sqrt(x))
    np.testing.assert_allclose(jax.vmap(jax.grad(flat_sqrt))(x), [0, 0.5e15, 1, 0.25], rtol=1e-5)


def test_flows_have_gradients_at_times_that_round_to_0():
    method, config = METHODS["flow_matching"], small("flow_matching")
    state = jax.jit(method.init)(jax.random.key(0), config)
    from jgen1d.methods import flow_matching

    def loss(t):
        return jnp.sum(flow_matching.velocity(state, jnp.ones((1, 1)), t, config))

    assert np.isfinite(jax.grad(loss)(1.0))


# --- what is fed ------------------------------------------------------------------------------------------------------

MISFED = {
    "one axis": (np.zeros(4), "must have shape [n, 1], not [4]"),
    "no axis": (0.5, "must have shape [n, 1], not []"),
    "too wide": (np.zeros((4, 2)), "must have shape [n, 1], not [4, 2]"),
    "three axes": (np.zeros((4, 1, 1)), "must have shape [n, 1], not [4, 1, 1]"),
    "no rows": (np.zeros((0, 1)), "must have at least one row: its shape is [0, 1]"),
    "an empty list": ([], "must have shape [n, 1], not [0]"),
    "booleans": (np.zeros((4, 1), bool), "must be real numbers, not bool"),
    "complex": (np.zeros((4, 1), complex), "must be real numbers, not complex128"),
    "text": (np.array([["a"]]), "must be real numbers, not <U1"),
    "dates": (np.zeros((4, 1), "datetime64[s]"), "must be real numbers, not datetime64[s]"),
    "None": (None, "must be real numbers [n, 1], not NoneType"),
    "words": (["a", "b"], "must be real numbers [n, 1], not list"),
    "ragged": ([[1.0], [1.0, 2.0]], "must be real numbers [n, 1], not list"),
}


@pytest.mark.parametrize("kind", MISFED)
def test_rows_of_another_kind_are_one_line(name, kind):
    method, config, (rows, message) = METHODS[name], small(name), MISFED[kind]
    state = jax.eval_shape(method.init, jax.random.key(0), config)
    with pytest.raises(ValueError, match=line(f"{name}.step: batch {message}")):
        jax.eval_shape(lambda state: method.step(jax.random.key(0), state, rows, config), state)
    if method.log_prob:
        with pytest.raises(ValueError, match=line(f"{name}.log_prob: x {message}")):
            jax.eval_shape(lambda state: method.log_prob(state, rows, config), state)


@pytest.mark.parametrize("num_samples", [0, -1, 2.0, True, None, "5", np.zeros(2, int)])
def test_a_number_of_samples_is_an_integer_of_at_least_1(name, num_samples):
    method, config = METHODS[name], small(name)
    state = jax.eval_shape(method.init, jax.random.key(0), config)
    message = f"{name}.sample: num_samples must be an integer of at least 1, not {num_samples!r}"
    with pytest.raises(ValueError, match=line(message)):
        jax.eval_shape(lambda state: method.sample(jax.random.key(0), state, num_samples, config), state)


def test_a_traced_number_of_samples_is_named(name):
    method, config = METHODS[name], small(name)
    state = jax.eval_shape(method.init, jax.random.key(0), config)
    with pytest.raises(ValueError, match=rf"^{name}.sample: num_samples must be .*, not traced: .*static_argnames"):
        jax.eval_shape(method.sample, jax.random.key(0), state, 5, config)


@pytest.mark.parametrize("dtype", [list, "int8", "int32", "uint64", "float16", "bfloat16", "float32", "float64"])
def test_numbers_of_other_kinds_are_converted(name, dtype):
    method, config = METHODS[name], small(name)
    rows = np.arange(ROWS * method.num_minibatches(config))[:, None] % 4
    fed = rows.tolist() if dtype is list else rows.astype(jnp.dtype(dtype))
    np.testing.assert_array_equal(door.as_rows(fed, 1, "x"), rows.astype("float32"))
    state = jax.eval_shape(method.init, jax.random.key(0), config)
    after, info = jax.eval_shape(lambda state: method.step(jax.random.key(0), state, fed, config), state)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert {value.dtype for value in info.values()} == {np.dtype("float32")}


# --- log_prob ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_log_prob_at_infinity_is_minus_infinity_and_at_nan_nan(name):
    method = METHODS[name]
    for dim in (1, 2):
        config = small(name, dim)
        state = jax.jit(method.init)(jax.random.key(0), config)
        state, _ = jax.jit(method.step)(jax.random.key(1), state, batch_of(method, config, dim), config)
        ends = np.array([np.inf, -np.inf, np.nan, 0.1, 5.0], "float32")
        rows = np.stack([ends, *[np.full_like(ends, 0.1)] * (dim - 1)], axis=1)
        rows = np.concatenate([rows, rows[:, ::-1], np.full((1, dim), -np.inf), np.full((1, dim), np.nan)])
        found = jax.jit(method.log_prob)(state, rows, config)
        is_nan, is_infinite = np.isnan(rows).any(axis=1), np.isinf(rows).any(axis=1)
        np.testing.assert_array_equal(np.isnan(found), is_nan)
        np.testing.assert_array_equal(found[is_infinite], -np.inf)
        if name != "box":  # nothing is outside of the support
            assert np.isfinite(found[~is_nan & ~is_infinite]).all()


def result_of(name, target="normal", **fields):
    """A run that was not trained."""
    method, target = METHODS[name], jgen1d.TARGETS[target] if isinstance(target, str) else target
    config = small(name, target.dim, **fields)
    state = jax.jit(method.init)(jax.random.key(0), config)
    return jgen1d.Result(method, target, config, state, np.arange(1), {}, {}, "", -1)


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_a_results_log_prob_has_one_rule_for_shapes(name):
    result = result_of(name)

    def shape(x):
        return jax.eval_shape(lambda: result.log_prob(x)).shape

    assert shape(0.5) == shape(1) == shape(np.float64(1)) == shape(jnp.array(0.5)) == ()
    assert shape([0.5]) == shape(np.zeros(1)) == shape([[0.5]]) == (1,)
    assert shape([0, 1, 2]) == shape(np.zeros((3, 1))) == shape(jnp.zeros(3)) == (3,)
    for x, said in [
        (np.zeros((3, 2)), "must have shape [n, 1], [n] or [], not [3, 2]"),
        (np.zeros((3, 1, 1)), "must have shape [n, 1], [n] or [], not [3, 1, 1]"),
        ([], "must have at least one row: its shape is [0, 1]"),
        ([True], "must be real numbers, not bool"),
        ("a", "must be real numbers, not <U1"),
        ([[1.0], [1.0, 2.0]], "must be real numbers, not list"),
    ]:
        with pytest.raises(ValueError, match=line(f"Result.log_prob: x {said}")):
            result.log_prob(x)
    plane = result_of(name, "ring")
    assert jax.eval_shape(lambda: plane.log_prob(np.zeros((3, 2)))).shape == (3,)
    for x in (np.zeros(2), 0.5, np.zeros((3, 1))):
        said = f"Result.log_prob: x must have shape [n, 2], not {list(np.shape(x))}"
        with pytest.raises(ValueError, match=line(said)):
            plane.log_prob(x)


@pytest.mark.parametrize("support", [None, (0.0, np.inf), (0.0, 10.0)])
def test_a_results_log_prob_at_infinity_and_nan(support):
    column = np.array([1.0, 2.0, 3.0, 4.0, 8.0])
    result = result_of("gaussian", jgen1d.targets.empirical(column, **({"support": support} if support else {})))
    x = np.array([-np.inf, np.inf, np.nan, 2.0])
    found = np.asarray(result.log_prob(x))
    np.testing.assert_array_equal(found[:3], [-np.inf, -np.inf, np.nan])
    assert np.isfinite(found[3])
    np.testing.assert_array_equal([result.log_prob(one) for one in x], found)
    np.testing.assert_array_equal(result.log_prob(x[:, None]), found)


@pytest.mark.parametrize("num_samples", [0, 2.5])
def test_a_results_sample_needs_a_number(num_samples):
    with pytest.raises(ValueError, match=r"^Result\.sample: num_samples must be an integer of at least 1, not "):
        result_of("gaussian").sample(jax.random.key(0), num_samples)


# --- users' scripts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", SCRIPTS)
def test_the_scripts_in_build_md_run(title, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPTS[title])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(CACHE / "tests")}
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "nan" not in done.stdout
