"""Public objects travel: `pickle` and `copy.deepcopy`, also into another process, where they give the same bits."""

import copy
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d import targets
from jgen1d.methods import METHODS, gaussian

TARGETS = {
    **jgen1d.TARGETS,
    "piecewise": targets.piecewise_linear([0, 1, 2], [0, 1, 0]),
    "empirical": targets.empirical([1.0, 2, 4]),
    "a step": targets.empirical([1.0, 2, 4], step=1.0),
    "a support and an atom": targets.empirical([0.0, 1, 2, 4], support=(0, np.inf), atom=0.0),
}
ELSEWHERE = """
import pickle, sys
import jax, numpy as np
objects = pickle.load(sys.stdin.buffer)
drawn = {name: np.asarray(thing.sample(jax.random.key(3), 50)) for name, thing in objects.items()}
sys.stdout.buffer.write(pickle.dumps(drawn))
"""


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_survives_with_its_form(name):
    for found in (pickle.loads(pickle.dumps(TARGETS[name])), copy.deepcopy(TARGETS[name])):
        # Equal structures share compiled programs.
        assert jax.tree.structure(found) == jax.tree.structure(TARGETS[name])
        for leaf, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(TARGETS[name]), strict=True):
            np.testing.assert_array_equal(leaf, wanted)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_and_its_configs_survive(name):
    method = METHODS[name]
    assert pickle.loads(pickle.dumps(method)) == copy.deepcopy(method) == method
    for config in [method.Config(), *method.presets().values()]:
        assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


@pytest.mark.usefixtures("fully_optimised")
def test_objects_draw_the_same_bits_in_another_process():
    sweep = jgen1d.sweep(
        gaussian.METHOD, [TARGETS["uniform"]], [gaussian.Config()], range(2), num_steps=4, num_samples=100
    )
    few = {name: TARGETS[name] for name in ("uniform", "piecewise", "a step", "disk")}
    objects = {**few, "a run": copy.deepcopy(sweep).result(0, 0, 1)}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=pickle.dumps(objects), capture_output=True, check=True
    )
    drawn = pickle.loads(done.stdout)
    for name, thing in objects.items():
        np.testing.assert_array_equal(drawn[name], thing.sample(jax.random.key(3), 50), err_msg=name)
    assert pickle.loads(pickle.dumps(sweep)).table()[0] == sweep.table()[0]
