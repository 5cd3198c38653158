"""Many runs at once: the grid of configs, and lanes that are grouped, blocked and laid over devices.

A **lane** is one (target, config, seed). Lanes that differ only in numbers form a **group**, which shares compiled
programs. A group is walked in **blocks** of fixed width, each a vmapped program over the lanes of the block, sharded
over the devices; the host drives it from one point of the history to the next, so that progress and interruption need
no callback inside compiled code. A lane's numbers depend on nothing but the lane and the block's width.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jgen1d import metrics as metrics_lib
from jgen1d import results, train
from jgen1d import verdict as verdict_lib
from jgen1d.core import Config, Method, PyTree, replace, validate
from jgen1d.targets import Target

LANES_PER_DEVICE = {"cpu": 16, "gpu": 4096, "tpu": 4096}
"""A block's width: on a CPU what stays in its caches, elsewhere what fills the chip."""
Place = tuple[int, int, int]
"""A lane's indices: target, config, seed."""
MAX_PIECE = 256
"""Steps whose data is drawn at once: bounds the memory that a block's minibatches take."""


def grid(config: Config, **axes: Sequence[Any]) -> list[Config]:
    """All combinations of the given values of fields, the last axis fastest.

    Args:
      config: what the fields are set in.
      **axes: field name -> values.

    Raises:
      ValueError: for an unknown field, an empty axis, or a value that its field does not allow.

    Example:
      >>> from jgen1d.methods import gan
      >>> [c.r1 for c in grid(gan.Config(), learning_rate_d=[1e-4, 1e-3], r1=[0.0, 0.02])]
      [0.0, 0.02, 0.0, 0.02]
    """
    for name, values in axes.items():
        if isinstance(values, str) or not len(values):
            raise ValueError(f"grid: {name} must be a list of at least one value, not {values!r}")
    configs = [replace(config, **dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]
    for one in configs:
        validate(one)
    return configs


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The outcome of many runs. Arrays have the leading axes [targets, configs, seeds].

    Attributes:
      method: what was trained.
      targets: on what.
      configs: with which hyper-parameters, `dim` not set.
      seeds: the integers whose `jax.random.key` each run is a function of.
      num_steps: the runs' length.
      steps: i[num_evals], the steps taken at each point of the history.
      history: f[..., num_evals] by name (see `Result.history`), NaN after a divergence.
      metrics: f[...] by name, NaN where a target lacks one; `mode_mass` is f[..., modes].
      verdict: strings[...].
      diverged_at: i[...], the step that was not finite, −1 where there was none.
      thresholds: the verdict's.
      seconds: wall-clock time, compilation included.
      states: the final states, by (target, config, seed) indices.
    """

    method: Method
    targets: tuple[Target, ...]
    configs: tuple[Config, ...]
    seeds: tuple[int, ...]
    num_steps: int
    standardize: bool | None
    steps: np.ndarray
    history: dict[str, np.ndarray]
    metrics: dict[str, np.ndarray]
    verdict: np.ndarray
    diverged_at: np.ndarray
    thresholds: verdict_lib.Thresholds
    seconds: float
    states: dict[Place, PyTree] = dataclasses.field(repr=False)

    def table(self, presets: Sequence[str] | None = None) -> results.Table:
        """One row per (target, config): rates over seeds with Wilson intervals, distances as median [5 %, 95 %].

        Args:
          presets: a name for each config, to be shown beside the fields in which configs of one name differ.
        """
        return results.tabulate(self, presets)

    def result(self, target: int, config: int, seed: int) -> train.Result:
        """One run of the sweep, by its indices."""
        lane = (target, config, seed)
        metrics: dict[str, Any] = {k: float(v[lane]) for k, v in self.metrics.items() if v.ndim == 3}
        if num_modes := len(self.targets[target].modes.scales):
            metrics["mode_mass"] = self.metrics["mode_mass"][lane][:num_modes]
        standardize = train.is_standardized(self.configs[config], self.standardize)
        shift, scale = jax.device_get(train.units(self.targets[target], standardize))
        bound = train.bind(self.configs[config], dim=self.targets[target].dim, num_steps=self.num_steps)
        return train.Result(
            self.method, self.targets[target], bound, self.states[lane], self.steps,
            {k: v[lane] for k, v in self.history.items()}, metrics, str(self.verdict[lane]),
            int(self.diverged_at[lane]), shift, scale,
        )  # fmt: skip


def sweep(
    method: Method,
    targets: Sequence[Target],
    configs: Sequence[Config],
    seeds: Iterable[int],
    num_steps: int,
    *,
    batch_size: int = 256,
    eval_every: int | None = None,
    num_samples: int = 10_000,
    standardize: bool | None = None,
    thresholds: verdict_lib.Thresholds = verdict_lib.DEFAULT_THRESHOLDS,
    lanes_per_device: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: bool = False,
) -> Sweep:
    """Trains every (target, config, seed), as many at once as the devices take.

    Args:
      method: what to train.
      targets: what to learn.
      configs: hyper-parameters, from `grid` for instance; `dim` and `num_steps` are set from the other arguments.
      seeds: seed s trains with `jax.random.key(s)`.
      num_steps: how many steps each run takes.
      batch_size: rows of each minibatch.
      eval_every: steps between points of the history, a divisor of `num_steps`; None for up to 50 points.
      num_samples: samples for the final metrics.
      standardize: train on (x − mean)/std; results are in data units all the same. None for what each config says.
      thresholds: the verdict's.
      lanes_per_device: the width of a block; None for the device's own. Equal widths give equal bits.
      devices: None for all of the process.
      progress: show a bar on stderr.

    Raises:
      ValueError: for an argument out of range, in one line, before anything is compiled.

    Example:
      >>> from jgen1d import TARGETS, grid, sweep
      >>> from jgen1d.methods import gan
      >>> configs = grid(gan.Config(widths_g=(8,), widths_d=(8,)), learning_rate_d=[1e-3, 3e-3])
      >>> done = sweep(gan.METHOD, [TARGETS["normal"]], configs, seeds=range(2), num_steps=20)
      >>> done.verdict.shape, done.history["loss_g"].shape
      ((1, 2, 2), (1, 2, 2, 20))
    """
    began = time.monotonic()
    targets, configs, seeds = tuple(targets), tuple(configs), tuple(seeds)
    for name, values in {"targets": targets, "configs": configs, "seeds": seeds}.items():
        if not values:
            raise ValueError(f"sweep: {name} must not be empty")
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise ValueError(f"sweep: seed {seed} must be from 0 to 2**32 - 1")
    eval_every = train.check_eval_every(num_steps, eval_every)
    plan = Plan(method, num_steps, batch_size, eval_every, num_samples, standardize)
    lanes = [
        Lane((t, c, s), target, train.prepare(method, target, config, num_steps, batch_size, num_samples), seed)
        for t, target in enumerate(targets)
        for c, config in enumerate(configs)
        for s, seed in enumerate(seeds)
    ]
    devices = tuple(devices or jax.local_devices())
    mesh = Mesh(np.array(devices), ("lane",))
    width = lanes_per_device or LANES_PER_DEVICE.get(devices[0].platform, 16)
    finished: dict[Place, tuple[Any, dict, dict, int]] = {}
    with _progress_bar(progress, len(lanes), num_steps) as report:
        for group in _groups(lanes):
            block = len(devices) * min(width, -(-len(group) // len(devices)))
            for start in range(0, len(group), block):
                members = group[start : start + block]
                # The last block is filled up with copies: every block of a group runs the same programs.
                outcome = _run_block(plan, members + members[-1:] * (block - len(members)), mesh, len(members), report)
                finished |= {lane.place: _take(outcome, i) for i, lane in enumerate(members)}

    shape = (len(targets), len(configs), len(seeds))
    num_evals = num_steps // eval_every
    history = _gather({place: outcome[1] for place, outcome in finished.items()}, shape)
    metrics = _gather({place: outcome[2] for place, outcome in finished.items()}, shape)
    diverged_at = np.array([finished[place][3] for place in np.ndindex(shape)]).reshape(shape)
    verdict = np.empty(shape, f"<U{max(map(len, verdict_lib.VERDICTS))}")
    for t, target in enumerate(targets):
        for c, config in enumerate(configs):
            optimum = method.loss_optimum(config) if method.loss_optimum else None
            verdict[t, c] = verdict_lib.classify(
                {k: v[t, c] for k, v in history.items()}, {k: v[t, c] for k, v in metrics.items()},
                optimum, len(target.modes.scales), diverged_at[t, c], thresholds,
            )  # fmt: skip
    return Sweep(
        method, targets, configs, seeds, num_steps, standardize, eval_every * np.arange(1, num_evals + 1), history,
        metrics, verdict, diverged_at, thresholds, time.monotonic() - began,
        {place: outcome[0] for place, outcome in finished.items()},
    )  # fmt: skip


class Plan(NamedTuple):
    """What all lanes of a sweep share; see `sweep`."""

    method: Method
    num_steps: int
    batch_size: int
    eval_every: int
    num_samples: int
    standardize: bool | None


class Lane(NamedTuple):
    """One run of a sweep: its indices (target, config, seed), and what they stand for."""

    place: Place
    target: Target
    config: Config
    seed: int


def _groups(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """Lanes whose targets and configs agree in all that is not a number, in the order of their first members."""
    groups: dict[Any, list[Lane]] = {}
    for lane in lanes:
        target_leaves, target_form = jax.tree.flatten(replace(lane.target, name=""))
        form = (target_form, tuple(np.shape(leaf) for leaf in target_leaves), jax.tree.structure(lane.config))
        groups.setdefault(form, []).append(lane)
    return list(groups.values())


def _run_block(plan: Plan, lanes: Sequence[Lane], mesh: Mesh, num_real: int, report: Callable) -> tuple:
    """Trains one block. Returns states, history, metrics and divergence steps, each with the lanes' axis first."""
    method = plan.method
    keys = jnp.stack([jax.random.key(lane.seed) for lane in lanes])
    targets = _stack([replace(lane.target, name="") for lane in lanes])
    configs = _stack([lane.config for lane in lanes])
    keys, targets, configs = jax.device_put(
        (keys, targets, configs), jax.sharding.NamedSharding(mesh, PartitionSpec("lane"))
    )
    program = functools.partial(_program, mesh=mesh)
    standardize = train.is_standardized(lanes[0].config, plan.standardize)
    num_rows = plan.batch_size * method.num_minibatches(lanes[0].config)
    shift, scale = program(train.units, standardize=standardize)(targets)
    reference = program(metrics_lib.reference, num_samples=train.NUM_CURVE_SAMPLES)(targets)
    runs = program(train.start, method)(keys, configs)
    history: list[dict[str, jax.Array]] = []
    for _ in range(plan.num_steps // plan.eval_every):
        info: dict[str, Any] = {}
        for piece in _pieces(plan.eval_every):
            draw = program(train.draw, num_steps=piece, num_rows=num_rows, standardize=standardize)
            runs, mean = program(train.advance, method)(runs, draw(runs, targets), configs)
            info = {name: info.get(name, 0) + value * (piece / plan.eval_every) for name, value in mean.items()}
            if history:  # keep one point in flight, so that the devices never wait for the host
                jax.block_until_ready(history[-1])
            report(num_real * piece)
        samples = program(train.sample, method, num_samples=train.NUM_CURVE_SAMPLES)(runs, configs, shift, scale)
        history.append(info | program(metrics_lib.curves)(samples, targets, reference))
    samples = program(train.sample, method, num_samples=plan.num_samples)(runs, configs, shift, scale)
    metrics = program(train.score)(samples, targets)
    if method.log_prob is not None and lanes[0].target.has_density:
        divergence = program(train.divergence, method, num_points=plan.num_samples, standardize=standardize)
        metrics |= divergence(runs, targets, configs)
    state, history, metrics, diverged_at = jax.device_get((runs.state, history, metrics, runs.diverged_at))
    curves = {name: np.stack([point[name] for point in history], axis=1) for name in history[0]}
    report(0, num_real)
    return state, curves, metrics, diverged_at


@functools.cache
def _program(function: Callable, *first: Any, mesh: Mesh, **static: Any) -> Callable:
    """`function(*first, lane's arguments, **static)` vmapped over lanes that lie over the mesh, and compiled."""
    mapped = jax.vmap(lambda *args: function(*first, *args, **static))
    lane = PartitionSpec("lane")
    return jax.jit(jax.shard_map(mapped, mesh=mesh, in_specs=lane, out_specs=lane, check_vma=False))


def _pieces(num_steps: int) -> list[int]:
    """Splits an interval into as few pieces of at most `MAX_PIECE` steps as will do, equal ones where they divide."""
    count = -(-num_steps // MAX_PIECE)
    if num_steps % count == 0:
        return [num_steps // count] * count
    return [MAX_PIECE] * (count - 1) + [num_steps - MAX_PIECE * (count - 1)]


def _take(tree: PyTree, index: int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _stack(trees: Sequence[PyTree]) -> PyTree:
    """Leaves of equal trees, one behind the other: numbers become f32[lanes]."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf, jnp.result_type(float)) for leaf in leaves]), *trees)


def _gather(by_place: dict[Place, dict[str, np.ndarray]], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Per-lane values by name -> arrays [targets, configs, seeds, ...], NaN where a lane lacks one or is shorter."""
    gathered: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(name for values in by_place.values() for name in values):
        rows = {place: np.asarray(values[name]) for place, values in by_place.items() if name in values}
        longest = max((row.shape for row in rows.values()), default=())
        array = np.full(shape + longest, np.nan)
        for place, row in rows.items():
            index: tuple[Any, ...] = (*place, *map(slice, row.shape))
            array[index] = row
        gathered[name] = array
    return gathered


@contextlib.contextmanager
def _progress_bar(show: bool, num_lanes: int, num_steps: int) -> Iterator[Callable[..., None]]:
    """Yields a function to call with the lane-steps, and the runs, that were done since the last call."""
    if not show:
        yield lambda steps, runs=0: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[runs]}/{task.fields[lanes]} runs"),
        BarColumn(),
        TextColumn("{task.fields[rate]} steps/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=num_lanes * num_steps, runs=0, lanes=num_lanes, rate="–")
        done = 0

        def report(steps: int, runs: int = 0) -> None:
            nonlocal done
            done += runs
            bar.advance(task, steps)
            speed = bar.tasks[0].speed
            bar.update(task, runs=done, rate=f"{speed:,.0f}" if speed else "–")

        yield report
