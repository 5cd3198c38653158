"""One run as a file: it draws the same bits in another process, and nothing in the file is ever run."""

import dataclasses
import io
import os
import pickle
import subprocess
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgen1d
from jgen1d import targets
from jgen1d.core import replace
from jgen1d.engine import task
from jgen1d.methods import METHODS, gan, gaussian, gmm, normalizing_flow
from jgen1d.report import models
from tests import toys
from tests.damage import DAMAGES, within

ELSEWHERE = """
import sys
import jax, numpy as np
import jgen1d
for folder in sys.argv[1:]:
    result = jgen1d.load(folder)
    np.save(folder + "/drawn.npy", result.sample(jax.random.key(3), 50))
    np.save(folder + "/density.npy", result.log_prob([[0.5], [4.0]]) if result.method.log_prob else np.zeros(0))
    print(repr(result))
"""
TARGETS = {
    **jgen1d.TARGETS,
    "piecewise": targets.piecewise_linear([0, 1, 2], [0, 1, 0]),
    "empirical": targets.empirical([1.0, 2, 4], name="a\n$b$"),
    "a step": targets.empirical([1.0, 2, 4], step=1.0),
    "a step with ends": targets.empirical([1.0, 2, 4], step=1.0, support=(1, 9)),
    "a support and an atom": targets.empirical([0.0, 1, 2, 4], support=(0, np.inf), atom=0.0),
    "bent": targets.empirical([*range(50), 1e6]),
}


def fit(method=gaussian.METHOD, target="normal", config=None, **options):
    config = method.Config() if config is None else config
    return jgen1d.fit(0, method, target, config, 4, batch_size=8, num_samples=100, **options)


def fields_equal(a, b):
    for field in dataclasses.fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        assert jax.tree.structure(one) == jax.tree.structure(other), field.name
        for leaf, wanted in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(leaf, wanted, err_msg=field.name)
            assert np.asarray(leaf).dtype == np.asarray(wanted).dtype, field.name
    return True


@pytest.mark.usefixtures("fully_optimised")
def test_a_saved_model_draws_the_same_bits_in_another_process(tmp_path):
    small = gan.Config(widths_g=(6,), widths_d=(6,), r1=0.1)
    runs = {
        "gan": fit(gan.METHOD, "bimodal", small, standardize=False),
        "gmm": fit(gmm.METHOD, "mixture"),
        "column": fit(gaussian.METHOD, TARGETS["a support and an atom"]),
    }
    for name, result in runs.items():
        jgen1d.save(tmp_path / name, result)
    folders = [str(tmp_path / name) for name in runs]
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{result!r}\n" for result in runs.values())
    for name, result in runs.items():
        drawn = np.load(tmp_path / name / "drawn.npy")
        np.testing.assert_array_equal(drawn, result.sample(jax.random.key(3), 50), err_msg=name)
        if result.method.log_prob is not None:
            density = np.load(tmp_path / name / "density.npy")
            np.testing.assert_array_equal(density, result.log_prob([[0.5], [4.0]]), err_msg=name)


@pytest.mark.parametrize("name", TARGETS)
def test_a_result_comes_back_with_its_target(name, tmp_path, a_run):
    target = TARGETS[name]
    result = dataclasses.replace(a_run, target=target, config=replace(a_run.config, dim=target.dim))
    result = dataclasses.replace(result, state=jax.device_get(gaussian.init(jax.random.key(0), result.config)))
    jgen1d.save(tmp_path, result)
    assert fields_equal(jgen1d.load(tmp_path), result)


@pytest.fixture(scope="module")
def a_run():
    return fit(thresholds={"tv": 0.3})


@pytest.mark.parametrize("name", METHODS)
def test_the_state_and_config_of_every_method_come_back(name, tmp_path, a_run):
    method = METHODS[name]
    for preset, config in {"": method.Config(), **method.presets()}.items():
        target = jgen1d.TARGETS["pulse" if preset == "dcgan" else "normal"]
        config = task.bind(method, config, target, 4)
        shapes = jax.eval_shape(method.init, jax.random.key(0), config)
        leaves = [np.full(leaf.shape, number, leaf.dtype) for number, leaf in enumerate(jax.tree.leaves(shapes))]
        state = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
        result = dataclasses.replace(a_run, method=method, config=config, state=state)
        jgen1d.save(tmp_path / f"of {preset}", result)
        assert fields_equal(jgen1d.load(tmp_path / f"of {preset}"), result)


def test_what_is_no_data_has_to_be_passed_and_to_be_the_same(tmp_path):
    own = dataclasses.replace
    family = TARGETS["uniform"].family._replace(ends=lambda params: (params.low, params.high))
    target = own(jgen1d.TARGETS["uniform"], family=family, name="mine")
    config = toys.Config(widths=(4,))
    result = fit(toys.METHOD, target, config)
    jgen1d.save(tmp_path, result)
    with pytest.raises(ValueError, match=r"its method is your own, of tests\.toys: pass method="):
        jgen1d.load(tmp_path)
    with pytest.raises(ValueError, match=r"method= is not what was saved: method is 'tests\.toys' there and 'gmm'"):
        jgen1d.load(tmp_path, method="gmm", target=target)
    with pytest.raises(ValueError, match="its target 'mine' has a family of your own: pass target="):
        jgen1d.load(tmp_path, method=toys)
    with pytest.raises(ValueError, match="target= is not what was saved: form is None there and 'uniform' here"):
        jgen1d.load(tmp_path, method=toys, target="uniform")
    moved = own(target, mean=target.mean + 1)
    with pytest.raises(ValueError, match="target= is not what was saved: parameters is"):
        jgen1d.load(tmp_path, method=toys, target=moved)
    with pytest.raises(ValueError, match=r"config= is not what was saved: learning_rate is 0\.02 there and 0.5 here"):
        jgen1d.load(tmp_path, method=toys, target=target, config=own(config, learning_rate=0.5))
    for options in ({}, {"config": config}, {"config": result.config}):
        assert fields_equal(jgen1d.load(tmp_path, method=toys, target=target, **options), result)


def test_a_config_with_a_part_of_the_users_has_to_be_passed(tmp_path):
    config = normalizing_flow.Config(activation=jnp.tanh, widths=(4,))
    result = fit(normalizing_flow.METHOD, "normal", config)
    jgen1d.save(tmp_path, result)
    with pytest.raises(ValueError, match="parts of its config are your own: activation: pass config="):
        jgen1d.load(tmp_path)
    with pytest.raises(ValueError, match="config= is not what was saved: activation is"):
        jgen1d.load(tmp_path, config=replace(config, activation=jnp.sin))
    assert fields_equal(jgen1d.load(tmp_path, config=config), result)


def test_a_folder_holds_a_sweep_or_one_run(tmp_path, a_run):
    sweep = jgen1d.sweep(gaussian, "normal", gaussian.Config(), [0], 2, num_samples=100)
    jgen1d.save(tmp_path / "run", a_run)
    jgen1d.save(tmp_path / "run", a_run)  # again
    jgen1d.save(tmp_path / "sweep", sweep)
    with pytest.raises(ValueError, match=r"holds one run, in result\.npz: choose another"):
        jgen1d.save(tmp_path / "run", sweep)
    with pytest.raises(ValueError, match=r"holds a sweep, in summary\.json: choose another"):
        jgen1d.save(tmp_path / "sweep", a_run)
    assert jgen1d.load(tmp_path / "sweep").runs[0]["target"] == "normal"
    with pytest.raises(ValueError, match=r"load: config= is for one run, but '.*sweep' holds no result\.npz"):
        jgen1d.load(tmp_path / "sweep", config=gaussian.Config())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["result.npz"]


class Boom:
    def __reduce__(self):
        return os.mkdir, (os.environ["BOOM"],)


def test_nothing_in_a_file_is_run(tmp_path, a_run, monkeypatch):
    monkeypatch.setenv("BOOM", str(tmp_path / "boom"))
    jgen1d.save(tmp_path, a_run)
    path = tmp_path / "result.npz"
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    evil = io.BytesIO()
    np.save(evil, np.array([Boom()]), allow_pickle=True)
    for name in members:
        for content in (evil.getvalue(), pickle.dumps(Boom())):
            with zipfile.ZipFile(path, "w") as file:
                for member, intact in members.items():
                    file.writestr(member, content if member == name else intact)
            with pytest.raises(ValueError, match="is missing or damaged"):
                jgen1d.load(tmp_path)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("damage", [one for one in DAMAGES if one != "missing"])
def test_a_damaged_file_is_refused_in_one_line(damage, tmp_path, a_run):
    jgen1d.save(tmp_path, a_run)
    DAMAGES[damage](tmp_path / models.FILE)
    said = ""
    try:
        with within(20):
            assert fields_equal(jgen1d.load(tmp_path), a_run)
    except ValueError as error:
        said = str(error)
        assert said.startswith(f"{str(tmp_path / models.FILE)!r} is missing or damaged: ")
        assert said.isprintable()
    assert said or damage in ("unreadable", "flipped")  # root reads anything; a date may be what is flipped


def test_a_file_that_is_damaged_somewhere_inside_is_refused_or_read_as_it_was(tmp_path, a_run):
    jgen1d.save(tmp_path, a_run)
    path = tmp_path / models.FILE
    intact, refused = path.read_bytes(), 0
    for start in np.linspace(0, 0.95 * len(intact), 60).astype(int):
        path.write_bytes(intact[:start] + b"\xff" * 8 + intact[start + 8 :])
        loaded, said = None, ""
        try:
            loaded = jgen1d.load(tmp_path)
        except ValueError as error:
            said = str(error)
        assert bool(loaded) != ("is missing or damaged" in said)
        refused += loaded is None
        # Else these bytes say nothing of the numbers, such as a date.
        assert loaded is None or fields_equal(loaded, a_run)
    assert refused > 30
