"""Does experiments/dirac_gan.py reproduce the known radii and eigenvalues, and keep the rules for scripts?"""

import importlib.util
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

from tests import scripts

SCRIPT = scripts.EXPERIMENTS / "dirac_gan.py"
# Final radii of 500 updates of step size 0.2 from (1, 1): simultaneous, alternating, alternating with 5 D steps.
RADII = {
    "GAN": (3.097, 1.421, 1.845),
    "non-saturating": (0.640, 0.284, 0.139),
    "WGAN, clipped": (1.002, 1.024, 0.917),
    "WGAN-GP": (1.802, 1.221, 0.716),
    "R1": (2.6e-6, 2.3e-7, 9e-34),
}
ORDERS = ("simultaneous", "alternating", "alternating, 5 D steps")
STEP_SIZE = 0.2


@pytest.fixture(scope="module")
def script():
    known = set(flags.FLAGS)
    spec = importlib.util.spec_from_file_location("dirac_gan", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in set(flags.FLAGS) - known:  # other scripts have flags of the same names
        delattr(flags.FLAGS, name)
    return module


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def runs(script):
    with jax.enable_x64(True):
        return {(name, order): script.measure(name, order, STEP_SIZE, 500) for name in RADII for order in ORDERS}


def call(*arguments):
    return scripts.run(*arguments, script=SCRIPT.name)


def test_every_variant_and_order_has_a_known_radius(script):
    assert set(script.VARIANTS) == set(RADII)
    assert tuple(script.ORDERS) == ORDERS


@pytest.mark.parametrize("name", RADII)
def test_final_radii_are_the_published_ones(runs, name):
    found = [runs[name, order][0]["final_radius"] for order in ORDERS]
    relative, absolute = (0.05, 0) if name == "R1" else (0, 0.0005)  # half a unit of the last digit
    np.testing.assert_allclose(found, RADII[name], relative, absolute)


def test_update_is_the_paper_s_by_hand(script):
    theta, psi, h, gamma = 0.7, -1.3, 0.2, 0.3
    new_theta = theta - h * psi / (1 + math.exp(psi * theta))
    for order, opponent in (("simultaneous", theta), ("alternating", new_theta)):
        new_psi = psi + h * (opponent / (1 + math.exp(psi * opponent)) - gamma * psi)
        found = script.update(jnp.array([theta, psi]), script.VARIANTS["R1"], script.ORDERS[order], h)
        np.testing.assert_allclose(found, [new_theta, new_psi], rtol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", RADII)
def test_eigenvalues_agree_with_theory(runs, name, order):
    row = runs[name, order][0]
    if name == "WGAN-GP":
        assert row["lambda_theory"] is row["lambda_jacobian"] is row["lambda_measured"] is None
        return
    assert row["lambda_jacobian"] == pytest.approx(row["lambda_theory"], abs=1e-12)
    assert row["lambda_measured"] == pytest.approx(row["lambda_theory"], abs=1e-4)


def test_simultaneous_eigenvalue_of_the_gan(runs):
    found = [runs[name, "simultaneous"][0]["lambda_jacobian"] for name in ("GAN", "non-saturating")]
    np.testing.assert_allclose(found, math.sqrt(1 + STEP_SIZE**2 / 4), atol=1e-12)


@pytest.mark.parametrize("gamma", [0.3, 0.9, 1.1, 2.0])
def test_r1_s_eigenvalues_are_complex_below_the_critical_gamma_of_1(script, gamma):
    variant = script.VARIANTS["R1"]._replace(weight=gamma, damping=gamma)
    found = np.sort_complex((script.eigenvalues(variant, 0, STEP_SIZE) - 1) / STEP_SIZE)
    root = np.sqrt(complex(gamma**2 / 4 - 0.25))
    np.testing.assert_allclose(found, np.sort_complex([-gamma / 2 - root, -gamma / 2 + root]), atol=1e-10)
    assert (np.abs(found.imag).max() > 1e-6) == (gamma < 1)
    for num_d_steps in script.ORDERS.values():
        routes = (route(variant, num_d_steps, STEP_SIZE) for route in (script.eigenvalues, script.theory))
        np.testing.assert_allclose(*map(np.sort_complex, routes), atol=1e-10)


def test_behaviour_of_spirals_circles_and_failures(script):
    angle = np.linspace(0, 8 * math.pi, 400) + math.pi / 4
    circle = np.stack([np.cos(angle), 3 * np.sin(angle)], axis=1)
    assert script.behaviour(circle) == "circles"
    assert script.behaviour(circle * np.exp(-0.05 * angle)[:, None]) == "spirals in"
    assert script.behaviour(circle * np.exp(0.05 * angle)[:, None]) == "spirals out"
    assert script.behaviour(circle * np.exp(-angle)[:, None]) == "converges"
    assert script.behaviour(circle[:50]) == "undecided"
    assert script.behaviour(np.where(angle[:, None] > 9, np.nan, circle)) == "diverges"


def test_conclusions_follow_from_the_rows(script, runs):
    rows = [row for row, _ in runs.values()]
    assert script.conclusions(rows)[0].endswith(": R1.")
    assert any("non-saturating, simultaneous" in sentence for sentence in script.conclusions(rows))
    assert script.conclusions([row | {"behaviour": "circles"} for row in rows])[0].endswith(": none.")


def test_quick_run_prints_json_and_writes_its_files(tmp_path):
    done = call("--quick", "--format=json", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout, parse_constant=pytest.fail)  # called for NaN and infinities
    assert [(row["variant"], row["order"]) for row in found["rows"]] == [(n, o) for n in RADII for o in ORDERS]
    assert (found["num_steps"], found["step_size"]) == (100, STEP_SIZE)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "summary.json", "dirac_gan.png", "report.html", "report.json",
    }  # fmt: skip
    assert json.loads((tmp_path / "summary.json").read_text()) == found
    assert json.loads((tmp_path / "config.json").read_text())["flags"]["quick"] is True
    assert (tmp_path / "dirac_gan.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_overflows_is_reported_without_nan(script):
    row, points = script.measure("WGAN-GP", "simultaneous", 10.0, 500)
    assert not np.isfinite(points).all()
    assert (row["behaviour"], row["final_radius"]) == ("diverges", None)
    assert "–" in str(script.table([row]))


@pytest.mark.parametrize("argument", ["--step_sise=0.1", "--step_size=nan"])
def test_a_wrong_flag_is_one_line_and_exit_code_2(argument):
    done = call(argument, "--workdir=")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert argument.partition("=")[0].lstrip("-") in done.stderr
