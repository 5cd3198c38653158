"""Many runs at once: the grid of configs, and what came of training all of them.

A **lane** is one (target, config, seed). `plan` says which lanes share programs and make up a block, `blocks`
sees to it that every block is trained, `engine` trains one.
A lane's numbers depend on nothing but the lane, the block's width and the sizes that its networks are padded to.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jgen1d.core import Config, Method, PyTree, replace, validate, with_shape
from jgen1d.engine import run as train
from jgen1d.engine.block import Outcome, Spec
from jgen1d.engine.blocks import run_blocks
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.engine.plan import Group, Lane, Place, Plan, plan
from jgen1d.evaluation import verdict as verdict_lib
from jgen1d.report import table as results
from jgen1d.targets import Target


def grid(config: Config, **axes: Sequence[Any]) -> list[Config]:
    """All combinations of the given values of fields, the last axis fastest.

    Args:
      config: what the fields are set in.
      **axes: field name -> values. `width` and `depth` are the units and the number of the hidden layers of all
        networks: they set every field of that kind, unless it has an axis of its own.

    Raises:
      ValueError: for an unknown field, an empty axis, or a value that its field does not allow.

    Example:
      >>> from jgen1d.methods import gan
      >>> [c.r1 for c in grid(gan.Config(), learning_rate_d=[1e-4, 1e-3], r1=[0.0, 0.02])]
      [0.0, 0.02, 0.0, 0.02]
      >>> [c.widths_g for c in grid(gan.Config(), width=[8, 16], depth=[1, 2])]
      [(8,), (8, 8), (16,), (16, 16)]
    """
    for name, values in axes.items():
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray | jax.Array) or not len(values):
            raise ValueError(f"grid: {name} must be a list of at least one value, not {values!r}")
    configs = []
    for values in itertools.product(*axes.values()):
        changes = dict(zip(axes, values, strict=True))
        shape = {name: changes.pop(name) for name in ("width", "depth") if name in changes}
        one = replace(with_shape(config, **shape), **changes)
        validate(one)
        configs.append(one)
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
      metrics: f[...] by name, NaN where a target lacks one; those of modes and classes are f[..., modes].
      verdict: strings[...].
      diverged_at: i[...], the step that was not finite, −1 where there was none.
      thresholds: the verdict's.
      seconds: wall-clock time of this process, compilation included.
      plan: which lanes shared programs, and why; see `explain`.
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
    plan: Plan = dataclasses.field(repr=False)
    states: Mapping[Place, PyTree] = dataclasses.field(repr=False)

    def table(self, presets: Sequence[str] | None = None) -> results.Table:
        """One row per (target, config): rates over seeds with Wilson intervals, distances as median [5 %, 95 %].

        Args:
          presets: a name for each config, to be shown beside the fields in which configs of one name differ.
        """
        return results.tabulate(self, presets)

    def explain(self) -> str:
        """Which lanes shared a program, how wide its blocks were, and what that was expected to cost."""
        return str(self.plan)

    def result(self, target: int, config: int, seed: int) -> train.Result:
        """One run of the sweep, by its indices."""
        lane = (target, config, seed)
        metrics: dict[str, Any] = {k: float(v[lane]) for k, v in self.metrics.items() if v.ndim == 3}
        if num_modes := len(self.targets[target].modes.scales):
            metrics |= {k: v[lane][:num_modes] for k, v in self.metrics.items() if v.ndim == 4}
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
    padding: bool | None = None,
    matmul_precision: str = "highest",
    devices: Sequence[jax.Device] | None = None,
    checkpoints: Checkpoints | None = None,
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
      lanes_per_device: the width of a block, at most; None for what suits device and networks. Equal widths give equal
        bits; fewer lanes than fill a block of all devices make it narrower.
      padding: whether networks of different sizes, and kinds of losses, share a program, the smaller ones padded; None
        for what is faster.
      matmul_precision: of float32 products; on GPUs and TPUs `highest`, `high` or `default` (TF32 or bfloat16).
      devices: None for all of this process. Where there are several processes (see `jax.distributed`), each trains its
        share of the blocks on its own devices, and all get all results.
      checkpoints: where progress is kept and found again, entered by the caller; None for nowhere.
      progress: show a bar on stderr.

    Raises:
      ValueError: for an argument out of range, in one line, before anything is compiled.
      Interrupted: where a signal has come and the progress is saved.

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
    if lanes_per_device is not None and (type(lanes_per_device) is not int or lanes_per_device < 1):
        raise ValueError(f"lanes_per_device={lanes_per_device!r}: must be an integer of at least 1, or None")
    if padding not in (None, True, False):
        raise ValueError(f"padding={padding!r}: must be True, False or None")
    eval_every = train.check_eval_every(num_steps, eval_every)
    train.check_matmul_precision(matmul_precision)
    spec = Spec(method, num_steps, batch_size, eval_every, num_samples, standardize, matmul_precision)
    lanes = [
        Lane((t, c, s), target, bound, seed)
        for t, target in enumerate(targets)
        for c, config in enumerate(configs)
        for bound in [train.prepare(method, target, config, num_steps, batch_size, num_samples)]
        for s, seed in enumerate(seeds)
    ]
    devices = tuple(devices or jax.local_devices())
    planned = plan(
        method, lanes, num_steps, lambda config: batch_size * method.num_minibatches(config),
        devices, len(devices) * jax.process_count(), lanes_per_device, padding,
    )  # fmt: skip
    blocks = [(group, members) for group in planned.groups for members in group.blocks(len(devices))]
    outcomes = run_blocks(spec, blocks, devices, checkpoints, progress)

    shape = (len(targets), len(configs), len(seeds))
    places = [np.array([lane.place for lane in members]).T for _, members in blocks]
    history = _gather([outcome.history for outcome in outcomes], places, shape)
    metrics = _gather([outcome.metrics for outcome in outcomes], places, shape)
    diverged_at = _gather([{"": outcome.diverged_at} for outcome in outcomes], places, shape)[""].astype(int)
    verdict = np.empty(shape, f"<U{max(map(len, verdict_lib.VERDICTS))}")
    for t, target in enumerate(targets):
        for c, config in enumerate(configs):
            optimum = method.loss_optimum(config) if method.loss_optimum else None
            verdict[t, c] = verdict_lib.classify(
                {k: v[t, c] for k, v in history.items()}, {k: v[t, c] for k, v in metrics.items()},
                optimum, len(target.modes.scales), diverged_at[t, c], thresholds,
            )  # fmt: skip
    steps = eval_every * np.arange(1, num_steps // eval_every + 1)
    return Sweep(
        method, targets, configs, seeds, num_steps, standardize, steps, history, metrics, verdict, diverged_at,
        thresholds, time.monotonic() - began, planned, _States(method, blocks, outcomes),
    )  # fmt: skip


class _States(Mapping):
    """The lanes' final states by place, cut out of their blocks, without padding, when they are asked for."""

    def __init__(self, method: Method, blocks: Sequence[tuple[Group, list[Lane]]], outcomes: Sequence[Outcome]):
        self._method, self._outcomes = method, outcomes
        self._at = {
            lane.place: (index, row, group, lane)
            for index, (group, lanes) in enumerate(blocks)
            for row, lane in enumerate(lanes)
        }

    def __getitem__(self, place: Place) -> PyTree:
        index, row, group, lane = self._at[place]
        leaves = [leaf[row] for leaf in self._outcomes[index].state]
        return group.unpad(lane, leaves, self._method.init)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)


def _gather(
    blocks: Sequence[Mapping[str, np.ndarray]], places: Sequence[np.ndarray], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Per-block values by name -> arrays [targets, configs, seeds, ...], NaN where a lane lacks one or is shorter."""
    gathered: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(itertools.chain(*blocks)):
        rows = [(place, block[name]) for place, block in zip(places, blocks, strict=True) if name in block]
        longest = max(values.shape[1:] for _, values in rows)
        array = np.full(shape + longest, np.nan)
        for place, values in rows:
            index: tuple[Any, ...] = (*place, *map(slice, values.shape[1:]))
            array[index] = values
        gathered[name] = array
    return gathered
