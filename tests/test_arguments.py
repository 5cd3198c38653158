"""What `fit`, `sweep` and `run` take for an argument: what has one plain meaning. The rest is refused in one line."""

import fractions
import re

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d import targets
from jgen1d.methods import gan, gaussian

CONFIG, KEY = gaussian.Config(), jax.random.key(5)
COLUMN = [1.0, 2.0, 4.0, 7.0]
PLAIN = {"key": 5, "method": gaussian.METHOD, "target": jgen1d.TARGETS["normal"], "config": CONFIG}
SEVERAL = {"method": gaussian.METHOD, "targets": [jgen1d.TARGETS["normal"]], "configs": [CONFIG], "seeds": [5]}
SMALL = {"num_steps": 4, "num_samples": 100}


def fit(**changes):
    return jgen1d.fit(**PLAIN | SMALL | changes)


def sweep(**changes):
    return jgen1d.sweep(**SEVERAL | SMALL | changes)


SAME_FIT = {
    "NumPy's seed": {"key": np.int64(5)},
    "a key": {"key": KEY},
    "an old key": {"key": jax.random.PRNGKey(5)},
    "a method's name": {"method": "gaussian"},
    "a method's module": {"method": gaussian},
    "a target's name": {"target": "normal"},
    "a dict of thresholds": {"thresholds": {"tv": 0.1}},
}
SAME_SWEEP = {
    "a method's name": {"method": "gaussian"},
    "a method's module": {"method": gaussian},
    "a target's name": {"targets": "normal"},
    "one target": {"targets": jgen1d.TARGETS["normal"]},
    "a tuple of names": {"targets": ("normal",)},
    "one config": {"configs": CONFIG},
    "an array of seeds": {"seeds": np.array([5])},
    "a range of seeds": {"seeds": range(5, 6)},
    "an empty dict of thresholds": {"thresholds": {}},
}


@pytest.mark.parametrize("name", SAME_FIT)
def test_fit_takes_what_is_plain(name):
    found, wanted = fit(**SAME_FIT[name]), fit()
    assert found.verdict == wanted.verdict
    assert found.metrics == wanted.metrics


@pytest.mark.parametrize("name", SAME_SWEEP)
def test_sweep_takes_what_is_plain(name):
    found, wanted = sweep(**SAME_SWEEP[name]), sweep()
    np.testing.assert_array_equal(found.metrics["w1"], wanted.metrics["w1"])
    assert found.verdict == wanted.verdict


def test_a_column_is_a_target():
    for column in (
        COLUMN,
        tuple(COLUMN),
        np.array(COLUMN),
        np.array(COLUMN, np.float32),
        np.array([[1], [2], [4], [7]]),
    ):
        assert fit(target=column).metrics == fit(target=targets.empirical(COLUMN)).metrics


def test_run_takes_names():
    """Traced only: the numbers are `fit`'s."""

    def traced(method, target):
        return str(jax.make_jaxpr(lambda: jgen1d.run(KEY, (method, target, CONFIG), 4, num_samples=100))())

    assert traced("gaussian", "normal") == traced(gaussian.METHOD, jgen1d.TARGETS["normal"])


REFUSED = {
    "a batch of keys": (
        fit,
        {"key": jax.random.split(jax.random.key(0), 3)},
        "key must be one key, not [3]: use sweep",
    ),
    "a float key": (fit, {"key": 0.5}, "key must be a jax.random.key or a seed, not 0.5"),
    "an array as key": (fit, {"key": jax.numpy.zeros(2)}, "not an array float32[2]"),
    "a negative seed as key": (fit, {"key": -1}, "seed -1: must be an integer from 0 to 2**32 - 1"),
    "a misspelt method": (fit, {"method": "gausian"}, "no method 'gausian'; did you mean 'gaussian'?"),
    "a module without a method": (fit, {"method": targets}, "method must be a jgen1d.core.Method"),
    "a class as method": (fit, {"method": gaussian.Config}, "method must be a jgen1d.core.Method"),
    "a misspelt target": (fit, {"target": "normel"}, "no target 'normel'; did you mean 'normal'?"),
    "a number as target": (fit, {"target": 3}, "target must be a jgen1d.Target, a name or a column of numbers, not 3"),
    "texts as target": (fit, {"target": ["1", "2"]}, "values must be integers or floats, not texts"),
    "another method's config": (fit, {"config": gan.Config()}, "config must be a jgen1d.methods.gaussian.Config, not"),
    "a class as config": (fit, {"config": gaussian.Config}, "config must be a jgen1d.methods.gaussian.Config, not"),
    "thresholds as numbers": (fit, {"thresholds": 0.1}, "thresholds must be a jgen1d.verdict.Thresholds or a dict"),
    "a misspelt threshold": (fit, {"thresholds": {"tw": 0.1}}, "thresholds: no limit 'tw'; did you mean 'tv'?"),
    "a number of seeds": (sweep, {"seeds": 8}, "seeds must be a list, not 8"),
    "a float seed": (sweep, {"seeds": [1.0]}, "seed 1.0: must be an integer from 0 to 2**32 - 1"),
    "a boolean seed": (sweep, {"seeds": [True]}, "seed True: must be an integer"),
    "a large seed": (sweep, {"seeds": [2**32]}, "seed 4294967296: must be an integer from 0 to 2**32 - 1"),
    "a seed twice": (sweep, {"seeds": [3, 4, 3]}, "seed 3 is given twice"),
    "no seeds": (sweep, {"seeds": []}, "seeds must not be empty"),
    "no targets": (sweep, {"targets": []}, "targets must not be empty"),
    "a config in a dict": (sweep, {"configs": {"a": CONFIG}}, "configs must be a list, not {'a': gaussian.Config()}"),
    "a config of texts": (sweep, {"configs": "robust"}, "configs must be a list, not 'robust'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_plain_meaning_is_refused_in_one_line(name):
    call, changes, message = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        call(**changes)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_static_fields_take_lists_and_numpy_integers():
    config = gan.Config(widths_g=[8, np.int64(4)], widths_d=np.array([6]), latent_dim=np.int32(3))
    assert config == gan.Config(widths_g=(8, 4), widths_d=(6,), latent_dim=3)
    assert hash(jax.tree.structure(config)) == hash(
        jax.tree.structure(gan.Config(widths_g=(8, 4), widths_d=(6,), latent_dim=3))
    )
    with pytest.raises(ValueError, match=r"widths_g=\(8\.5,\): must be a tuple of integers"):
        jgen1d.grid(gan.Config(), widths_g=[[8.5]])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.ma.array([1.0, -999.0, 3.0], mask=[0, 1, 0]), "some values are masked"),
        (np.array([1 + 2j, 3]), "not complex numbers"),
        (np.array(["2020-01-01", "2021-01-01"], "datetime64[D]"), "not dates"),
        (np.array([1, 2], "timedelta64[s]"), "not time spans"),
        (np.array([True, False]), "not booleans"),
        (["1", "2"], "not texts"),
        ([fractions.Fraction(1, 2), 3], "not objects"),
        ([[1.0, 2.0], [3.0]], "not rows of different lengths"),
    ],
    ids=["masked", "complex", "dates", "spans", "booleans", "texts", "objects", "ragged"],
)
def test_a_column_is_not_cast_in_silence(values, problem):
    with pytest.raises(ValueError, match=problem):
        targets.empirical(values)


def test_a_mask_that_masks_nothing_is_no_matter():
    np.testing.assert_array_equal(targets.empirical(np.ma.array([1.0, 3.0], mask=[0, 0])).params, [1, 3])
