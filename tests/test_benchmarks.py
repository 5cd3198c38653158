"""The measuring sticks: they run, and count what they say."""

import itertools
import re

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


def test_methods_take_turns_and_print_ratios():
    done = scripts.run(
        "--methods=gaussian", "--lanes=2", "--rounds=1", script=scripts.EXPERIMENTS.parent / "benchmarks/methods.py"
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"gaussian +2 .*\d x \[[\d.]+, [\d.]+\]", done.stdout), done.stdout
