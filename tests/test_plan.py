"""Plans: every lane once, only lanes that can share programs do, and no cheaper partition by the model of costs."""

import functools
import itertools
import re

import jax
import numpy as np
import pytest

import jgen1d
from jgen1d.core import replace, sizes
from jgen1d.engine import costs as costs_lib
from jgen1d.engine import plan as plan_lib
from jgen1d.engine.padding import Cover
from jgen1d.engine.task import Task, prepare
from jgen1d.methods import METHODS, gan
from jgen1d.nets import CannotPad
from tests import toys
from tests.readme import toy_method

CPU = costs_lib.COSTS["cpu"]
SMALL = toys.Config(widths=(4, 4))
NUM_STEPS = 1_000


def lanes_of(configs, targets=("normal",), num_seeds=2, method=toys.METHOD):
    return [
        plan_lib.Lane((t, c, s), target, bound, seed=s)
        for t, target in enumerate(jgen1d.TARGETS[name] if isinstance(name, str) else name for name in targets)
        for c, config in enumerate(configs)
        for bound in [prepare(Task(method, target, config), NUM_STEPS, 64, 10).config]
        for s in range(num_seeds)
    ]


def planned(configs, targets=("normal",), num_seeds=2, method=toys.METHOD, num_devices=1, **options):
    lanes = lanes_of(configs, targets, num_seeds, method)
    return plan_lib.plan(method, lanes, NUM_STEPS, lambda config: 64, jax.local_devices()[0], num_devices, **options)


def members(group):
    """The configs' indices of a group's lanes."""
    return sorted({lane.place[1] for lanes in group.lanes for lane in lanes})


def partition_of(plan):
    return sorted(members(group) for group in plan.groups)


# --- which lanes share programs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [True, False, None])
@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"learning_rate": 0.01}, {"learning_rate": 0.5}, True),
        ({"decay": 0.1}, {"decay": 0.0}, True),
        ({"decay": 0.1}, {"decay": None}, False),
        ({"activation": "relu"}, {"activation": "tanh"}, False),
        ({"activation": "relu", "widths": (4, 4)}, {"activation": "tanh", "widths": (2, 4)}, False),
    ],
)
def test_lanes_that_differ_in_numbers_alone_share_programs(one, other, shared, padding):
    plan = planned([SMALL.replace(**one), SMALL.replace(**other)], padding=padding)
    assert partition_of(plan) == ([[0, 1]] if shared else [[0], [1]])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"widths": (4, 4)}, {"widths": (8, 8)}),
        ({"widths": (4, 4)}, {"widths": (8, 2)}),
        ({"widths": (4,)}, {"widths": (4, 4, 4)}),
        ({"latent_dim": 2}, {"latent_dim": 4}),
        ({"latent_dim": 2, "widths": ()}, {"latent_dim": 4, "widths": ()}),
    ],
)
def test_lanes_that_differ_in_sizes_share_programs_as_padding_says(one, other):
    configs = [SMALL.replace(**one), SMALL.replace(**other, learning_rate=0.5)]
    assert partition_of(planned(configs, padding=True)) == [[0, 1]]
    assert partition_of(planned(configs, padding=False)) == [[0], [1]]


def test_networks_without_hidden_layers_are_not_padded_to_ones_with():
    plan = planned([SMALL.replace(widths=widths) for widths in [(), (4,), (), (4, 4)]], padding=True)
    assert partition_of(plan) == [[0, 2], [1, 3]]


def test_targets_share_lists_where_only_their_numbers_differ():
    targets = ["normal", "bimodal", "uniform", replace(jgen1d.TARGETS["bimodal"], name="other"), "ring"]
    plan = planned([SMALL], targets)
    forms = [sorted({lane.place[0] for lane in lanes}) for group in plan.groups for lanes in group.lanes]
    assert forms == [[0], [1, 3], [2], [4]]
    assert [len(group.lanes) for group in plan.groups] == [3, 1]  # the ring's networks have two outputs


@pytest.mark.parametrize(
    ("padding", "width", "num_devices"),
    [(True, 3, 1), (True, None, 2), (False, None, 5), (False, 1, 2), (None, 3, 2), (None, 100, 5)],
)
def test_blocks_hold_each_lane_once(padding, width, num_devices):
    configs = [SMALL.replace(widths=(w, w), activation=a) for w in (2, 4, 40) for a in ("relu", "tanh")]
    configs.append(configs[0])
    targets = ["normal", "bimodal", "uniform", replace(jgen1d.TARGETS["bimodal"], name="other")]
    plan = planned(configs, targets, num_seeds=5, num_devices=num_devices, width=width, padding=padding)
    places = []
    for group in plan.groups:
        longest = group.most_devices
        assert longest == max(map(len, group.lanes))
        if width is not None:
            assert group.width == min(width, -(-longest // num_devices))
        blocks = list(group.blocks(num_devices))
        for lanes in blocks:
            assert 0 < len(lanes) <= group.width * num_devices
            structure, *others = ({str(jax.tree.structure(replace(lane.target, name="")))} for lane in lanes)
            assert structure.union(*others) == structure
            assert len({tuple(map(np.shape, jax.tree.leaves(lane.target))) for lane in lanes}) == 1
            places += [lane.place for lane in lanes]
        # As few as will do: only the last block of a form may have room.
        assert len(blocks) == sum(-(-len(lanes) // (group.width * num_devices)) for lanes in group.lanes)
        for field in ["activation"] if padding is not False else ["activation", "widths"]:
            assert len({getattr(configs[c], field) for c in members(group)}) == 1
    assert sorted(places) == list(np.ndindex(4, 7, 5))


@pytest.mark.parametrize(("num_workers", "num_devices", "num_seeds"), [(2, 2, 40), (8, 1, 100), (3, 2, 5)])
def test_each_of_several_workers_gets_four_blocks_unless_the_width_is_given(num_workers, num_devices, num_seeds):
    def planned_here(**options):
        plan = planned([SMALL], num_seeds=num_seeds, num_devices=num_devices, num_workers=num_workers, **options)
        return plan.groups[0], len(list(plan.groups[0].blocks(num_devices)))

    group, num_blocks = planned_here()
    assert num_blocks >= plan_lib.BLOCKS_PER_WORKER * num_workers or group.width == 1
    assert planned([SMALL], num_seeds=num_seeds, num_devices=num_devices).groups[0].width >= group.width
    assert planned_here(width=2)[0].width == 2


def test_the_width_is_chosen_within_bounds_and_by_the_size_of_the_networks():
    def width(size, num_seeds=100, num_devices=1):
        (group,) = planned([SMALL.replace(widths=(size, size))], num_seeds=num_seeds, num_devices=num_devices).groups
        return group.width

    widths = [width(size) for size in (1, 16, 256, 4_096)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == CPU.most_lanes
    assert widths[-1] == CPU.fewest_lanes
    assert width(1, num_seeds=3) == 3
    assert width(1, num_seeds=9, num_devices=4) == 3


# --- the cheapest partition ---------------------------------------------------------------------------------------


def partitions(n):
    """All ways to cut n things in a row into runs of neighbours."""
    for cuts in itertools.product([False, True], repeat=n - 1):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut]
        yield list(itertools.pairwise([0, *ends, n]))


def random_problem(seed):
    rng = np.random.default_rng(seed)
    costs = costs_lib.Costs(rng.uniform(0.1, 10), rng.uniform(0, 0.1), *10.0 ** rng.uniform(-6, -4, 4), 2, 8)
    model = costs_lib.Model(costs, rng.integers(10, 3_000), rng.integers(1, 3), rng.integers(1, 4))
    shapes = [
        {"latent_dim": int(rng.integers(1, 9)), "widths": tuple(map(int, rng.integers(1, 9, rng.integers(1, 4))))}
        for _ in range(rng.integers(1, 7))
    ]
    shapes.sort(key=model.step_seconds)
    return model, shapes, list(map(int, rng.integers(1, 30, len(shapes))))


def seconds(model, shapes, counts, partition):
    return sum(
        sum(model.seconds(Cover.of(shapes[start:end]).sizes, sum(counts[start:end]), end - start))
        for start, end in partition
    )


def test_no_partition_into_neighbours_is_cheaper():
    num_mixed = 0
    for seed in [*range(200), 1363, 3843]:  # the last two: covers of covers are not always covers
        model, shapes, counts = random_problem(seed)
        chosen = [(part.start, part.stop) for part in plan_lib._cheapest(shapes, counts, model)]
        assert [start for start, _ in chosen] == [0, *(end for _, end in chosen[:-1])]
        assert chosen[-1][1] == len(shapes)
        all_seconds = [seconds(model, shapes, counts, partition) for partition in partitions(len(shapes))]
        assert seconds(model, shapes, counts, chosen) == pytest.approx(min(all_seconds), rel=1e-12)
        num_mixed += 1 < len(chosen) < len(shapes)
    assert num_mixed > 20  # or neither pure strategy was ever worse


def test_the_model_of_costs_is_its_formula():
    costs = costs_lib.Costs(
        compile_seconds=5.0, lane=0.1, lane_step=1e-4, layer=1e-3, weight_row=1e-7, unit_row=1e-5,
        fewest_lanes=2, most_lanes=8,
    )  # fmt: skip
    model = costs_lib.Model(costs, num_steps=100, num_devices=2, num_rows=64)
    shape = {"latent_dim": 3, "g": (2, 4), "d": (5, 6, 7), "none": ()}
    step = 1e-4 + 5 * 1e-3 + 64 * ((2 + 4 + 5 + 6 + 7) * 1e-5 + (2 * 4 + 5 * 6 + 6 * 7) * 1e-7)
    assert model.step_seconds(shape) == pytest.approx(step, rel=1e-12)
    assert model.seconds(shape, 9, 1) == pytest.approx((5.0, 9 * (0.1 + 100 * step) / 2), rel=1e-12)
    more = costs_lib.PADDING_OVERHEAD
    assert model.seconds(shape, 9, 2) == pytest.approx((5 * more, 9 * (0.1 + 100 * step * more) / 2), rel=1e-12)


@pytest.mark.parametrize("num_seeds", [1, 20, 400])
def test_a_plan_is_never_worse_than_all_apart_or_all_together(num_seeds):
    configs = jgen1d.grid(SMALL, width=[4, 8, 64, 72], depth=[1, 3])

    def total(padding):
        plan = planned(configs, num_seeds=num_seeds, padding=padding)
        return sum(group.compile_seconds + group.train_seconds for group in plan.groups), len(plan.groups)

    (best, count), (together, one), (apart, eight) = map(total, (None, True, False))
    assert (one, eight) == (1, 8)
    assert best <= min(together, apart) * (1 + 1e-12)
    assert 1 <= count <= 8
    if num_seeds == 1:
        assert count == 1  # compilation is all that counts


@pytest.mark.parametrize(
    ("shapes", "cover"),
    [
        ([{"widths": (4, 8)}], {"widths": (4, 8)}),
        ([{"widths": (4, 8)}, {"widths": (6, 2)}], {"widths": (6, 8)}),
        ([{"widths": (4, 8)}, {"widths": (6,)}], {"widths": (8, 8)}),
        ([{"widths": (9,)}, {"widths": (1, 2, 3)}, {"widths": (4, 4)}], {"widths": (9, 9, 9)}),
        ([{"widths": (), "latent_dim": 3}, {"widths": (), "latent_dim": 5}], {"widths": (), "latent_dim": 5}),
        (
            [{"latent_dim": 1, "g": (2, 2), "d": (3,)}, {"latent_dim": 5, "g": (1, 4), "d": (2, 2)}],
            {"latent_dim": 5, "g": (2, 4), "d": (3, 3)},
        ),
        ([{}], {}),
    ],
)
def test_cover_is_the_smallest_shape_that_fits_all(shapes, cover):
    assert Cover.of(shapes).sizes == cover
    assert Cover.of(shapes[::-1]).sizes == cover


# --- what a group's programs are given ----------------------------------------------------------------------------


def test_padding_tells_each_lane_its_own_sizes():
    own = [(5, (4, 4, 2)), (3, (6,))]
    (group,) = planned([SMALL.replace(latent_dim=n, widths=widths) for n, widths in own], padding=True).groups
    assert group.cover.sizes == {"latent_dim": 5, "widths": (6, 6, 6)}
    for (lane, *_), active in zip(
        [[lane for lane in group.lanes[0] if lane.place[1] == c] for c in (0, 1)], [(4, 4, 2), (6, 0, 0)], strict=True
    ):
        config = group.cover.config(lane.config).resolve()
        assert [(p.size, p.active.item(), p.optional) for p in config.widths] == [
            (6, count, i > 0) for i, count in enumerate(active)
        ]
        assert (config.latent_dim.size, config.latent_dim.active) == (5, own[lane.place[1]][0])
        assert config.activation == lane.config.activation


def test_only_sizes_that_differ_are_padded():
    configs = [SMALL.replace(widths=(4, 4)), SMALL.replace(widths=(2, 4))]
    (group,) = planned(configs, padding=True).groups
    config = group.cover.config(group.lanes[0][-1].config).resolve()
    assert type(config.latent_dim) is int
    assert [(p.size, p.active.item(), p.optional) for p in config.widths] == [(4, 2, False), (4, 4, False)]
    (alike,) = planned([SMALL, SMALL.replace(learning_rate=0.5)], padding=True).groups
    assert alike.cover.config(alike.lanes[0][0].config) is alike.lanes[0][0].config


# --- methods whose networks cannot be padded ----------------------------------------------------------------------


def calculating(function):
    """A function of a method that calculates with a size before it does what it does."""

    @functools.wraps(function)
    def wrapped(*args):
        assert 2 * args[-1].latent_dim > 0
        return function(*args)

    return wrapped


@pytest.mark.parametrize(
    ("name", "padding"), [("init", True), ("step", None), ("step", True), ("sample", True), ("log_prob", True)]
)
def test_a_method_that_calculates_with_its_sizes_gets_a_program_for_each(name, padding):
    method = toys.METHOD._replace(**{name: calculating(getattr(toys.METHOD, name))})
    configs = [SMALL.replace(latent_dim=n) for n in (2, 3, 4)]
    plan = planned(configs, method=method, padding=padding)
    assert partition_of(plan) == [[0], [1], [2]]
    assert "3 variants of networks and losses in 3 programs" in str(plan)
    assert "the method calculates with its sizes, so they cannot be padded: a padded size is not a number" in str(plan)
    assert "variants)" not in str(plan)
    assert partition_of(planned(configs, padding=padding)) == [[0, 1, 2]]
    others = [SMALL.replace(widths=widths) for widths in [(4, 4), (2, 4)]]
    assert partition_of(planned(others, method=method, padding=padding)) == [[0, 1]]  # of other sizes than padded ones


def test_what_else_a_method_raises_is_not_taken_for_padding():
    def step(key, state, batch, config):
        raise TypeError("a bug")

    configs = [SMALL.replace(latent_dim=n) for n in (2, 3)]
    with pytest.raises(TypeError, match=r"^a bug") as error:
        planned(configs, method=toys.METHOD._replace(step=step), padding=True)
    assert not isinstance(error.value, CannotPad)


PRESETS = [
    pytest.param(method, config, id=f"{name}-{preset}")
    for name, method in METHODS.items()
    for preset, config in (method.presets() or {"default": method.Config()}).items()
]


@pytest.mark.parametrize(("method", "config"), PRESETS)
def test_no_registered_method_calculates_with_its_sizes(method, config):
    def smaller(value):
        return tuple(-(-v // 2) for v in value[: len(value) // 2 + 1]) if isinstance(value, tuple) else -(-value // 2)

    if getattr(config, "binary_latents", 0):
        config = config.replace(binary_latents=3)  # no more than the smaller one has latents
    small = config.replace(**{name: smaller(value) for name, value in sizes(config).items()})
    if getattr(config, "network_g", "") == "conv":  # its lanes get programs of their own
        assert "programs of their own" in str(planned([config, small], ("pulse",), method=method, padding=True))
        return
    assert "cannot be padded" not in str(planned([config, small], method=method, padding=True))
    assert partition_of(planned([config, small], method=method, padding=True)) == [[0, 1]]


# --- what is told -------------------------------------------------------------------------------------------------


def test_explanation_names_shapes_programs_and_seconds():
    configs = [SMALL.replace(widths=w) for w in [(4,), (6, 6), (4,)]] + [SMALL.replace(activation="relu")]
    plan = planned(configs, num_seeds=3, padding=True, width=5)
    lines = str(plan).splitlines()
    number = r"\d+ s"
    assert re.fullmatch(
        f"2 variants of networks and losses in 1 program: about {number}; "
        f"{number} with a program for each, {number} with one for all",
        lines[0],
    )
    expected = [
        r"program 1: 9 lanes, 5 side by side per device; latent_dim 4, widths 6-6 \(for 2 variants\); "
        f"estimated {number} to compile, {number} to train",
        "program 2: 3 lanes, 3 side by side per device; latent_dim 4, widths 4-4; "
        f"estimated {number} to compile, {number} to train",
    ]
    assert len(lines) == 3
    for line, pattern in zip(lines[1:], expected, strict=True):
        assert re.fullmatch(pattern, line), line
    told = [int(seconds) for seconds in re.findall(r"(\d+) s\b", lines[0])]
    assert told[0] == told[2] == round(plan.groups[0].compile_seconds + plan.groups[0].train_seconds)


def test_explanation_where_there_is_nothing_to_pad():
    toy = toy_method()
    plan = planned([toy.Config(), toy.Config(learning_rate=0.1)], method=toy, padding=True)
    first, second = str(plan).splitlines()
    assert first == "1 program: no two lanes differ in their networks and losses alone"
    assert second.startswith("program 1: 4 lanes, 4 side by side per device; no networks; estimated ")


@pytest.mark.parametrize("padding", [True, None])
def test_the_same_sweep_is_planned_the_same_way_again(padding):
    def told():
        configs = jgen1d.grid(
            SMALL, width=[4, 64], depth=[2, 1], activation=["tanh", "relu"], learning_rate=[0.1, 0.01]
        )
        plan = planned(configs, ["uniform", "normal"], num_seeds=7, padding=padding)
        return str(plan), [
            (group.cover.sizes, group.width, [[lane.place for lane in lanes] for lanes in group.blocks(1)])
            for group in plan.groups
        ]

    assert told() == told()


def test_devices_share_the_steps():
    one, four = (planned([SMALL], num_seeds=40, num_devices=n).groups[0] for n in (1, 4))
    assert one.train_seconds == pytest.approx(4 * four.train_seconds, rel=1e-12)
    assert one.compile_seconds == four.compile_seconds


def test_sizes_are_the_fields_that_set_networks():
    assert sizes(gan.Config()) == {"latent_dim": 5, "widths_g": (32, 32), "widths_d": (32, 32)}
    assert sizes(toy_method().Config()) == {}
