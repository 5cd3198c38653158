"""The GAN laboratory as a user runs it: every script's quick answers, its pictures, and how it refuses."""

import ast
import csv
import io
import json
import math
import os
import re
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

from jgen1d.evaluation import verdict
from jgen1d.report.table import cell
from jgen1d.report.titles import TITLES
from tests.scripts import EXPERIMENTS, run

FIGURES = {
    "inverse_transform": ["generators", "transform"],
    "mode_collapse": ["coverage", "lanes"],
    "depth": ["depth"],
    "imbalance": ["layers"],
    "small_data": ["memorised", "small_data"],
    "latent_dimension": ["latent_dimension"],
    "saturating": ["distance", "exact"],
    "learning_rate": ["learning_rate"],
    "interpolation": ["interpolation"],
    "wasserstein": ["critics"],
    "actor_critic": [],
    "double_sigmoid": ["discriminators"],
    "mode_coverage_2d": ["samples"],
    "how_many_seeds": ["how_many_seeds"],
    "relativistic": ["coverage"],
    "signals": ["signals", "signals_pulse_gaussian"],
    "digits": ["digits"],
    "sine_benchmark": ["sine_benchmark"],
    "progressive": ["progressive"],
    "latent_factors": ["latent_factors"],
    "world_model": ["curves", "returns", "rollouts", "shares"],
    "linear_quadratic": ["gains", "gaps"],
}
FORMATS = {"inverse_transform": "text", "mode_collapse": "text", "imbalance": "csv"}
"""Of what they print, where it is not JSON."""
FLAGS = {"mode_coverage_2d": ("--quick", "--num_seeds=2")}
"""In place of --quick alone."""


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A function that runs a script once, and returns its rows, sentences and workdir."""
    known = {}

    def answer(name):
        if name not in known:
            workdir = tmp_path_factory.mktemp(name)
            form = FORMATS.get(name, "json")
            done = run(*FLAGS.get(name, ["--quick"]), f"--workdir={workdir}", f"--format={form}", script=f"{name}.py")
            assert done.returncode == 0, done.stderr
            summary = json.loads((workdir / "summary.json").read_text())
            if form == "json":
                assert json.loads(done.stdout) == summary
            elif form == "text":
                assert all(sentence in done.stdout for sentence in summary["conclusions"])
                header = done.stdout.splitlines()[0]
                assert all(TITLES.get(column, column) in header for column in summary["rows"][0])
            else:
                first = next(csv.DictReader(io.StringIO(done.stdout)))
                assert int(first["converged.count"]) == summary["rows"][0]["converged"]["count"]
            known[name] = summary["rows"], summary["conclusions"], workdir
        return known[name]

    return answer


def test_the_gallery_has_every_script_and_a_picture_that_it_draws():
    pictures = next(
        ast.literal_eval(node.value)
        for node in ast.parse((EXPERIMENTS / "gallery.py").read_text()).body
        if isinstance(node, ast.AnnAssign) and node.target.id == "PICTURES"
    )
    scripts = {path.stem for path in EXPERIMENTS.glob("*.py") if "import lab\n" in path.read_text()}
    assert scripts == pictures.keys() == FIGURES.keys()
    assert all(shown is None or shown[0] in FIGURES[name] for name, shown in pictures.items())
    captions = [shown[1] for shown in pictures.values() if shown]
    assert all(40 < len(caption) < 250 and caption.endswith((".", "?")) for caption in captions)


@pytest.mark.parametrize("name", FIGURES)
def test_script_answers_with_rates_sentences_and_pictures(name, answered):
    rows, conclusions, workdir = answered(name)
    assert rows
    assert conclusions
    assert all(re.fullmatch("[a-z][a-z0-9_]*", column) for row in rows for column in row)
    assert all({"num_seeds", "num_runs"} & set(row) for row in rows)
    assert all(sentence.endswith(".") and "nan" not in sentence.split() for sentence in conclusions)
    rates = [entry for row in rows for entry in row.values() if isinstance(entry, dict) and "share" in entry]
    assert rates or name in ("interpolation", "small_data", "learning_rate")
    for rate in rates:
        assert 0 <= rate["low"] <= rate["share"] <= rate["high"] <= 1
    assert json.loads((workdir / "config.json").read_text())["flags"]
    assert sorted(path.stem for path in workdir.glob("*.png")) == FIGURES[name]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in workdir.glob("*.png"))


def test_mode_collapse_compares_remedies(answered):
    rows, (sentence,), _ = answered("mode_collapse")
    assert [(row["target"], row["method"]) for row in rows] == [
        ("bimodal", name) for name in ("strong D", "unrolled", "minibatch")
    ]
    covered = cell(rows[0]["all_modes_covered"])
    assert sentence.startswith(f"bimodal: {covered} of seeds cover all modes with strong D; ")


def test_inverse_transform_sampling_passes_its_own_test(answered):
    rows, _, _ = answered("inverse_transform")
    assert [row["target"] for row in rows] == ["normal", "bimodal"]
    for row in rows:
        assert row["same_seed_same_bits"]["share"] == row["next_seed_other_numbers"]["share"] == 1
        assert 0.5 < row["w1_over_floor"]["median"] < 2


def test_exact_gradients_add_up_to_that_of_the_divergence(answered):
    """At the best D they are those of 2·JS and of KL − 2·JS; KL of N(μ, 1) from N(0, 1) has the gradient μ, here 6."""
    _, (exact, *_), _ = answered("saturating")
    saturating, other = map(
        float, re.search(r"saturating gradient is (\S+) .*, the non-saturating one (.+)\.", exact).groups()
    )
    assert 0 < saturating < 0.02
    assert saturating + other == pytest.approx(6, abs=0.01)


def test_norms_half_way_are_those_of_chords_and_arcs(answered):
    rows, _, _ = answered("interpolation")
    assert [row["latent_dim"] for row in rows] == [2, 8]
    wide = rows[-1]
    # E‖(a + b)/2‖ = E‖z‖/√2, and E‖z‖/√d = √(2/d)·Γ((d + 1)/2)/Γ(d/2).
    norm = math.sqrt(2 / 8) * math.exp(math.lgamma(4.5) - math.lgamma(4))
    assert wide["norm_straight"] == pytest.approx(norm / math.sqrt(2), rel=0.02)
    assert wide["norm_arc"] == pytest.approx(norm, rel=0.02)


def test_actor_and_critic_have_the_gradients_of_the_players(answered):
    rows, _, _ = answered("actor_critic")
    assert [row["equal"]["share"] for row in rows] == [1, 1]


def test_learning_rates_fill_the_plane(answered):
    rows, conclusions, _ = answered("learning_rate")
    np.testing.assert_allclose([row["rate_g_over_d"] for row in rows], [1e-4, 1e-2, 1, 1e2, 1e4], rtol=1e-6)
    assert {sentence.partition(":")[0] for sentence in conclusions} <= set(verdict.VERDICTS)


def test_a_protocol_has_its_own_targets_and_methods(answered):
    rows, _, _ = answered("mode_coverage_2d")
    assert [(row["target"], row["method"], row["num_seeds"], row["num_modes"]) for row in rows] == [
        ("ring", "GAN", 2, 8), ("ring", "PacGAN2", 2, 8),
    ]  # fmt: skip


def test_a_broken_sampler_of_sines_is_told_apart_and_a_perfect_one_is_not(answered):
    rows, conclusions, _ = answered("sine_benchmark")
    perfect, broken, _ = rows
    assert [row["model"] for row in rows] == ["perfect", "broken", "gaussian"]
    assert broken["told_apart"]["share"] == 1
    assert broken["feedforward_over_floor"]["mean"] > 10
    assert perfect["feedforward_over_floor"]["mean"] < 4
    assert "TimeGAN 1.7" in conclusions[-1]


def test_grown_and_whole_networks_are_compared_in_pairs(answered):
    (row,), (sentence,), _ = answered("progressive")
    gap = row["grown_frechet"]["median"] - row["whole_frechet"]["median"]
    assert row["frechet_difference"]["difference"] == pytest.approx(gap)
    assert row["p_mcnemar"] == 1  # nothing is close after ten steps
    # Both whole runs have all ten steps: 80 % of two points of the history are rounded up to two.
    assert row["shorter_frechet"] == pytest.approx(row["whole_frechet"], rel=1e-3)
    assert 50 < row["growing_flops"] < 100
    assert cell(row["frechet_difference"]) in sentence


def test_codes_that_are_known_calibrate_those_of_models(answered):
    rows, conclusions, _ = answered("latent_factors")
    assert [row["model"] for row in rows[:3]] == ["autoencoder", "VAE, β = 1", "VAE, β = 4"]
    exact, _, turned, independent = (row["mig"] for row in rows[3:])
    assert exact > 0.6 > 0.1 > max(turned, independent)
    assert len(conclusions) == 4


UNTRAINED = f"""
import runpy, sys

sys.path[0] = {str(EXPERIMENTS)!r}
import lab

def sweep(targets, configs, seeds, **options):
    raise ValueError(f"{{len(targets)}} targets, packings {{[c.packing for c in configs]}}, {{len(seeds)}} seeds")

lab.sweep = sweep
runpy.run_path(sys.path[0] + "/mode_coverage_2d.py", run_name="__main__")
"""
"""The experiment up to its training, whose arguments it refuses with."""


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [("small", "1 targets, packings [1, 2], 32 seeds"), ("pacgan", "2 targets, packings [1, 2], 10 seeds")],
)
def test_a_protocol_has_its_own_number_of_seeds(protocol, expected, tmp_path):
    script = tmp_path / "mode_coverage_2d.py"
    script.write_text(UNTRAINED)
    done = run(f"--protocol={protocol}", "--workdir=", script=script)
    assert done.stderr == f"mode_coverage_2d.py: {expected}\n"


def test_gallery_is_made_of_what_the_scripts_answer(tmp_path):
    done = run("--quick", "--scripts=actor_critic,saturating", f"--workdir={tmp_path}", script="gallery.py")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "README.md").read_text()
    for name, question in {"actor_critic": "Is a GAN an actor", "saturating": "Saturating or non"}.items():
        assert f"## {question}" in page
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert all(sentence in page for sentence in summary["conclusions"])
    assert (tmp_path / "gallery" / "saturating.png").read_bytes().startswith(b"\x89PNG")
    assert "mode_collapse" not in page
    (tmp_path / "saturating" / "seconds.json").unlink()
    again = run("--quick", "--scripts=", f"--workdir={tmp_path}", script="gallery.py")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "README.md").read_text() == page  # what has no results keeps its section


def test_scripts_run_from_a_plain_checkout_with_the_package_installed_elsewhere(tmp_path):
    (tmp_path / "jgen1d").symlink_to(EXPERIMENTS.parent / "jgen1d")
    path = os.pathsep.join([str(tmp_path), sysconfig.get_path("purelib")])
    for script in ("actor_critic.py", "convergence.py"):
        # -S: without the .pth file of an editable install, which puts the checkout on the path
        command = [sys.executable, "-S", EXPERIMENTS / script, "--help"]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "--num_seeds" in done.stdout


@pytest.mark.parametrize(
    ("script", "flag", "message"),
    [
        ("mode_collapse.py", "--methods=unroled", "--methods: none is called 'unroled'; did you mean 'unrolled'?"),
        ("mode_collapse.py", "--methods=", "--methods: must name some of strong D, "),
        ("mode_collapse.py", "--targets=uniform", "--targets=uniform: must have several modes"),
        ("imbalance.py", "--planes=unit", "--planes: none is called 'unit'; did you mean 'units'?"),
        ("inverse_transform.py", "--targets=ring", "--targets=ring: must be 1-D"),
        ("depth.py", "--depths=1,x", "--depths=1,x: must be integers of at least 1"),
        ("small_data.py", "--preset=robst", "--preset: gan has no preset 'robst'; did you mean 'robust'?"),
        ("mode_coverage_2d.py", "--targets=grid", "--targets: small has none called 'grid'"),
        ("how_many_seeds.py", "--counts=1,99", "--counts=99: must be at most --num_seeds=3"),
        ("relativistic.py", "--targets=normal", "--targets=normal: must have several modes"),
        ("recipe.py", "--targets=smal", "--targets: no target 'smal'; did you mean 'small'?"),
        ("recipe.py", "--recipes=robst", "--recipes: none is called 'robst'; did you mean 'robust'?"),
        ("world_model.py", "--families=gausian", "--families: none is called 'gausian'; did you mean 'gaussian'?"),
        ("world_model.py", "--agents=PO", "--agents: none is called 'PO'; did you mean 'PPO'?"),
        ("world_model.py", "--temperatures=-1", "--temperatures=-1: must be numbers of at least 0"),
        ("world_model.py", "--rounds=99", "--real_steps=64: must be at least --rounds=99"),
        ("sine_benchmark.py", "--models=gausian", "--models: none is called 'gausian'; did you mean 'gaussian'?"),
        ("sine_benchmark.py", "--lengths=2", "--lengths=2: must be integers of at least 3"),
        ("sine_benchmark.py", "--num_seeds=1", "--num_seeds=1: must be at least 2"),
        ("progressive.py", "--num_evals=3", "--num_evals=3: must divide --num_steps=10"),
        ("progressive.py", "--targets=ring", "--targets=ring: must be a signal, not 2-D"),
        ("progressive.py", "--resolutions=5 --targets=digits", "shape=(8, 8): convolutions halve it 4 times"),
        ("latent_factors.py", "--betas=-1", "--betas=-1: must be numbers of at least 0"),
        ("linear_quadratic.py", "--real_steps=0", "--real_steps=0: must be integers of at least 1"),
        ("gallery.py", "--scripts=mode", "--scripts: none is called 'mode'"),
    ],
)
def test_laboratory_refuses_in_one_line(script, flag, message, tmp_path):
    done = run("--quick", *flag.split(" "), f"--workdir={tmp_path / 'new'}", script=script)
    assert done.returncode == 2
    assert message in done.stderr
    assert "JAX" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()
