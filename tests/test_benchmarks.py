"""The measuring sticks: they run, and count what they say."""

import itertools
import json
import re
import sys

import pytest

from benchmarks import yardstick
from jgen1d.methods import gan
from tests import scripts


def test_useful_flops_are_those_of_every_matrix_product_of_a_step():
    """Product by product, for rows of real and of generated points, where the library has a formula."""
    config, rows = gan.Config(latent_dim=2, widths_g=(3,), widths_d=(5, 7)), 4
    g, d = (2, 3, 1), (1, 5, 7, 1)

    def products(sizes, num_rows, wants_input_gradient):
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            yield num_rows * a * b  # forward
            yield a * num_rows * b  # the gradient of the weights
            if i or wants_input_gradient:
                yield num_rows * b * a  # the gradient of the layer's input

    multiplications = sum(products(d, 2 * rows, False)) + sum(products(g, rows, False))
    through_d = 2 * sum(rows * a * b for a, b in itertools.pairwise(d))  # forward, and back to the generated points
    assert yardstick.flops_per_step(config, rows) == 2 * (multiplications + through_d)


def test_a_rate_is_of_the_difference_or_none_if_noise_is_as_large():
    assert yardstick.marginal_rate(60, [(1.0, 3.0), (1.0, 4.0), (2.0, 4.0)]) == pytest.approx(30)
    # One H200 took 0.73 s for a short run and 0.69 s for a long one.
    assert yardstick.marginal_rate(60, [(1.0, 3.0), (0.73, 0.69)]) is None


def test_parts_of_an_accelerators_benchmark_run_one_by_one(tmp_path):
    script = scripts.EXPERIMENTS.parent / "benchmarks/gpu.py"
    done = scripts.run("--small", "--parts=environment,precision", f"--out={tmp_path}", script=script)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert {name: part["end"] for name, part in results.items()} == {"environment": "done", "precision": "done"}
    assert 0 < results["precision"]["result"]["highest"] < 1e-6
    wrong = scripts.run("--parts=precison", f"--out={tmp_path}", script=script)
    assert wrong.returncode == 1
    assert "--parts=precison: allowed are environment, precision" in wrong.stderr


def test_methods_take_turns_and_print_ratios():
    done = scripts.run(
        "--methods=gaussian", "--lanes=2", "--rounds=1", script=scripts.EXPERIMENTS.parent / "benchmarks/methods.py"
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"gaussian +2 .*\d x \[[\d.]+, [\d.]+\]", done.stdout), done.stdout


def test_a_profile_names_the_operations_of_a_step():
    # Of few lanes the loop's counter may take as long as their arithmetic.
    done = scripts.run(
        "--methods=gaussian", "--lanes=64", "--top=2", script=scripts.EXPERIMENTS.parent / "benchmarks/hotspots.py"
    )
    assert done.returncode == 0, done.stderr
    title, products, *others = done.stdout.split("\n")[1:-1]
    assert re.fullmatch(r"gaussian, default: \d+ us per lane-step, 64 lanes", title)
    assert re.fullmatch(r"matrix products +[\d.]+ us +\d+ %", products)
    assert len(others) == 2
    assert all(re.fullmatch(r"\S+ +[\d.]+ us +\d+ %  f32\[64,.*\].*", other) for other in others), others


def test_empty_blocks_are_handed_out_and_a_wrong_part_is_named():
    script = scripts.EXPERIMENTS.parent / "benchmarks/scaling.py"
    done = scripts.run("--parts=dispatch,model", "--num_blocks=20", script=script)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^20 empty blocks through Dask: [\d.]+ s, [\d,]+ blocks/s; ", done.stdout, re.MULTILINE), (
        done.stdout
    )
    assert len(re.findall(r"^ +(?:1|16|256) × .*: +[\d.]+ h, limited by ", done.stdout, re.MULTILINE)) == 6
    wrong = scripts.run("--parts=dispach", script=script)
    assert wrong.returncode == 2
    assert wrong.stderr == "scaling.py: --parts=dispach: allowed are dispatch, workers, model\n"


def test_agents_are_timed_with_and_without_pytorch():
    script = scripts.EXPERIMENTS.parent / "benchmarks/agents.py"
    flags = ("--lanes=2", "--num_steps=512", "--torch_updates=1", "--rounds=1")
    done = scripts.run(*flags, script=script)
    assert done.returncode == 0, done.stderr
    line = r"^[\d.]+ s train 2 seeds for 512 steps each, [\d.]+ us per step; compilation [\d.]+ s; 0% \[0–66\] of seeds"
    assert re.search(line, done.stdout, re.MULTILINE), done.stdout
    told = re.search(r"^[\d.]+ \[[\d.]+, [\d.]+\] times as fast per step as PyTorch, ", done.stdout, re.MULTILINE)
    assert bool(told) != ("PyTorch's half is missing: No module named" in done.stderr)
    wrong = scripts.run("--lanes=two", script=script)
    assert wrong.returncode == 2
    assert wrong.stderr == "agents.py: --lanes=two: must be integers of at least 1, separated by commas\n"


def test_the_dcgan_is_timed_with_and_without_pytorch():
    flags = ("--lanes=1", "--num_steps=2", "--torch_steps=2", "--rounds=1")
    done = scripts.run(*flags, script=scripts.EXPERIMENTS.parent / "benchmarks/dcgan.py")
    assert done.returncode == 0, done.stderr
    line = r"^1 lane: -?[\d.]+ ms per lane and step, and -?[\d.]+ s besides; -?\d+ s for 2,000 steps$"
    assert re.search(line, done.stdout, re.MULTILINE), done.stdout
    told = re.search(r" times as fast as PyTorch's loop, which takes [\d.]+ ms$", done.stdout, re.MULTILINE)
    assert bool(told) != ("PyTorch's half is missing: No module named" in done.stderr)


@pytest.mark.parametrize("folder", ["benchmarks", "experiments"])
def test_no_script_has_the_name_of_a_module_that_others_import(folder):
    """A script's folder comes first on the path: `profile.py` there is what PyTorch's cProfile would import."""
    names = {path.stem for path in (scripts.EXPERIMENTS.parent / folder).glob("*.py")}
    assert names
    assert not names & sys.stdlib_module_names
