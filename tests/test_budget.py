"""How many points a history has by default, and the count of operations that decides it."""

import jax
import jax.numpy as jnp
import pytest

import jgen1d
from jgen1d import nets
from jgen1d.engine import budget
from jgen1d.engine.task import prepare
from jgen1d.methods import METHODS, diffusion, gan, gaussian

NORMAL = jgen1d.TARGETS["normal"]


def eval_every(method, config, num_steps, batch_size=256, asked=None):
    return budget.choose_eval_every(
        asked, num_steps, batch_size, [prepare((method, NORMAL, config), num_steps, batch_size, 100)]
    )


def test_a_fast_sampler_has_at_most_fifty_points():
    lengths = (1, 50, 100, 5_000, 250, 101)
    assert [eval_every(gan.METHOD, gan.Config(), length) for length in lengths] == [1, 1, 2, 100, 5, 101]


def test_a_slow_sampler_has_as_many_points_as_the_budget_allows():
    def points(num_sampling_steps, num_steps, batch_size=256):
        config = diffusion.Config(num_sampling_steps=num_sampling_steps)
        return num_steps // eval_every(diffusion.METHOD, config, num_steps, batch_size)

    # Powers of two, which have their halves for divisors.
    assert [points(40, steps) for steps in (2**15, 2**16, 2**18)] == [16, 32, 32]
    assert [points(steps, 2**15) for steps in (80, 20, 10)] == [16, 32, 32]  # 8 would be no curve
    assert points(40, 2**15, 512) == 32
    # The budget allows fewer than 10; of 5,002 = 2 × 41 × 61 and 202 = 2 × 101 the divisors leave no choice.
    assert [points(40, steps) for steps in (1_000, 5_002, 202)] == [10, 41, 2]


def test_the_points_asked_for_are_those_one_gets():
    assert eval_every(diffusion.METHOD, diffusion.Config(), 100, asked=2) == 2
    with pytest.raises(ValueError, match="eval_every=3: must divide num_steps=100"):
        eval_every(diffusion.METHOD, diffusion.Config(), 100, asked=3)


def test_a_sweep_of_a_slow_sampler_says_why_it_has_fewer_points():
    small = {"widths": (4,), "num_likelihood_steps": 2}
    run = {"num_steps": 100, "batch_size": 8, "num_samples": 100}
    slow = jgen1d.sweep(diffusion.METHOD, NORMAL, diffusion.Config(**small), [0], **run)
    assert len(slow.steps) == slow.history["w1"].shape[-1] == 10
    assert "the history has 10 points, not 50" in slow.explain()
    fast = jgen1d.sweep(gaussian.METHOD, NORMAL, gaussian.Config(), [0], **run)
    assert len(fast.steps) == 50
    assert "points" not in fast.explain()


def test_operations_are_those_that_the_compiler_counts():
    """XLA counts a loop's body once; without loops it is an independent route."""

    def check(function, *shapes):
        arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        counted = budget.count(jax.make_jaxpr(function)(*arrays).jaxpr)
        assert counted == pytest.approx(jax.jit(function).lower(*arrays).cost_analysis()["flops"], rel=0.02)

    def conv(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"))

    network = nets.mlp(5, 3, (64, 64), activation="relu")
    params = network.init(jax.random.key(0))
    check(lambda x: network.apply(params, x), (100, 5))
    check(conv, (7, 32, 6), (4, 6, 9))
    check(lambda a, b: jnp.einsum("bij,bkj->bik", a, b), (5, 8, 30), (5, 9, 30))


def test_operations_count_loops_as_often_as_they_repeat():
    def body(x):
        return jnp.tanh(x) + x

    def repeated(count):
        return budget.count(jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, count, lambda _, y: body(y), x))(1.0).jaxpr)

    assert repeated(20) == pytest.approx(20 * budget.count(jax.make_jaxpr(body)(1.0).jaxpr), rel=0.5)
    assert repeated(2_000) == pytest.approx(100 * repeated(20))


def test_every_family_has_a_history():
    for method in METHODS.values():
        assert 10 <= 1_000 // eval_every(method, method.Config(), 1_000) <= 50
