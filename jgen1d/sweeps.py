"""Many runs at once: `grid`, `sweep`, and the `Sweep` that results.

A **lane** is one (target, config, seed). `engine.plan` decides which lanes share programs and make up a block,
`engine.blocks` trains every block. A lane's numbers depend on nothing but the lane, the width of its block and the
sizes that its networks are padded to.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jgen1d import fitting
from jgen1d.core import Config, Method, PyTree, replace, validate, with_shape
from jgen1d.engine import arguments, budget, executors
from jgen1d.engine.block import Spec, check_matmul_precision
from jgen1d.engine.blocks import run_blocks
from jgen1d.engine.checkpoint import Checkpoints
from jgen1d.engine.origin import Origin, Work, add_up
from jgen1d.engine.parts import Part
from jgen1d.engine.plan import Lane, Place, Plan, plan
from jgen1d.engine.snapshot import gather
from jgen1d.engine.states import States
from jgen1d.engine.task import Task, bind, prepare
from jgen1d.evaluation import verdict as verdict_lib
from jgen1d.targets import Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jgen1d.report.table import Table


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
      method: the method that was trained.
      targets: the distributions to learn.
      configs: the hyper-parameters, not bound to a target.
      seeds: seed s trained with `jax.random.key(s)`.
      num_steps: steps of each run.
      standardize: whether the runs trained on (x − mean)/std; None for what each config says.
      steps: i[num_evals], the steps taken at each point of the history.
      history: f[..., num_evals] by name (see `Result.history`), NaN after a divergence.
      metrics: f[...] by name, NaN if a target lacks one; those of modes and of classes are f[..., modes].
      verdict: strings[...].
      diverged_at: i[...], the first step that was not finite, −1 if there is none.
      thresholds: the limits that the verdicts were made with.
      seconds: wall-clock time, compilation included.
      plan: which lanes shared programs, and why; see `explain`.
      states: the final states, by (target, config, seed) indices.
      origins: where each block was computed, and how; a block is of neighbouring lanes.
      applicable: the names of the metrics that each (target, config) has.
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
    origins: tuple[Origin, ...] = dataclasses.field(repr=False)
    applicable: Mapping[tuple[int, int], frozenset[str]] = dataclasses.field(repr=False)

    def table(self, presets: Sequence[str] | None = None) -> Table:
        """One row per (target, config): rates over seeds with Wilson intervals, distances as median [5 %, 95 %].

        Args:
          presets: a name for each config, shown beside the fields in which configs of one name differ.
        """
        from jgen1d.report.table import tabulate  # reports are made of sweeps

        return tabulate(self, presets)

    def rows(self, presets: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """One flat dict per run, all with the same names: target, `preset`, swept fields, seed, verdict, metrics.

        `pandas.DataFrame(sweep.rows())` is a table of all runs. Values are texts, numbers and None; what could not be
        computed is NaN, and values of modes are numbered.
        """
        from jgen1d.report.workdir import flat_rows

        return list(flat_rows(self, presets))

    def plot(self, presets: Sequence[str] | None = None) -> dict[str, Figure]:
        """The pictures by name: verdicts, distance, losses, modes, and the median run of up to 12 rows of the table."""
        from jgen1d.report import figures

        return {name: draw() for name, draw in figures.of_sweep(self, presets).items()}

    def __repr__(self) -> str:
        """The runs in a few lines."""
        from jgen1d.report import notebook

        return notebook.text_of_sweep(self)

    def _repr_html_(self) -> str:
        from jgen1d.report import notebook

        return notebook.html_of_sweep(self)

    def explain(self) -> str:
        """Which lanes shared a program, how wide its blocks were, what that should cost, and who computed them."""
        return "\n".join([str(self.plan), *map(str, self.workers())])

    def workers(self) -> list[Work]:
        """What each process did, on its devices: blocks, seconds, and programs found in the compilation cache."""
        return add_up(self.origins)

    def result(self, target: int, config: int, seed: int) -> fitting.Result:
        """One run of the sweep, by its indices."""
        lane, num_classes = (target, config, seed), self.targets[target].num_classes
        names = [name for name in self.metrics if name in self.applicable[target, config]]
        metrics = {name: self.metrics[name][lane] for name in names}
        bound = bind(self.method, self.configs[config], self.targets[target], self.num_steps)
        return fitting.as_result(
            Task(self.method, self.targets[target], bound, self.standardize), self.states[lane], self.steps,
            {name: curve[lane] for name, curve in self.history.items()},
            {name: value[:num_classes] if value.ndim else value for name, value in metrics.items()},
            self.diverged_at[lane], str(self.verdict[lane]), self.thresholds,
        )  # fmt: skip


def sweep(
    method: Method | ModuleType | str,
    targets: Sequence[Target | ArrayLike | str] | Target | str,
    configs: Sequence[Config] | Config,
    seeds: Iterable[int],
    num_steps: int,
    *,
    batch_size: int = 256,
    eval_every: int | None = None,
    num_samples: int = 10_000,
    standardize: bool | None = None,
    thresholds: verdict_lib.Thresholds | Mapping[str, float] = verdict_lib.DEFAULT_THRESHOLDS,
    lanes_per_device: int | None = None,
    padding: bool | None = None,
    matmul_precision: str = "highest",
    devices: Sequence[jax.Device] | None = None,
    executor: Executor | str | None = None,
    checkpoints: Checkpoints | Part | None = None,
    progress: bool = False,
) -> Sweep:
    """Trains every (target, config, seed), as many at once as the devices take.

    Args:
      method: the method to train, its module or its name.
      targets: the distributions to learn, at least one: targets, names or columns of numbers, f64[n].
      configs: the hyper-parameters, for instance from `grid`; `dim` and `num_steps` are set from the other arguments.
      seeds: different integers from 0 to 2**32 − 1; seed s trains with `jax.random.key(s)`.
      num_steps: how many steps each run takes, at least 1.
      batch_size: rows of each minibatch, at least 1.
      eval_every: steps between points of the history, a divisor of `num_steps`; None for up to 50 points, or as
        few as 10 where drawing their samples would take more than a tenth of the training.
      num_samples: samples for the final metrics, at least 1.
      standardize: whether to train on (x − mean)/std; results are in data units all the same. None for what each
        config says.
      thresholds: the verdict's limits, or a dict of those that differ from the defaults.
      lanes_per_device: the greatest width of a block, at least 1; None for what suits the device and the networks.
        Equal widths give equal bits. If there are too few lanes to fill a block of all devices, it is narrower.
      padding: whether networks of different sizes, and different losses, share a program, the smaller networks padded;
        None for what is faster.
      matmul_precision: of float32 products, `highest`, `high` or `default`; they differ on GPUs and TPUs only.
      devices: None for all devices of this process.
      executor: what takes blocks to other processes, which then compute all: any `concurrent.futures.Executor`, or a
        text such as `processes:4` or `dask`, for one that lasts as long as the sweep (BUILD.md lists them).
      checkpoints: where progress is saved and resumed from, entered by the caller; None for nowhere.
      progress: whether to show a bar on stderr.

    Raises:
      ValueError: for an argument out of range, in one line, before anything is compiled; or for a worker that must not
        compute, because it has other versions or no GPU.
      Interrupted: if a signal has come and the progress is saved.
      OSError: if the executor fails; what is done is in the checkpoints.
      BlockFailed: a RuntimeError that names the runs, if a worker fails with a block.

    Example:
      >>> from jgen1d import TARGETS, grid, sweep
      >>> from jgen1d.methods import gan
      >>> configs = grid(gan.Config(widths_g=(8,), widths_d=(8,)), learning_rate_d=[1e-3, 3e-3])
      >>> done = sweep(gan.METHOD, [TARGETS["normal"]], configs, seeds=range(2), num_steps=20)
      >>> done.verdict.shape, done.history["loss_g"].shape
      ((1, 2, 2), (1, 2, 2, 20))
    """
    began = time.monotonic()
    method, targets, seeds = arguments.as_method(method), arguments.as_targets(targets), arguments.as_seeds(seeds)
    configs, thresholds = arguments.as_configs(configs, method), arguments.as_thresholds(thresholds)
    if lanes_per_device is not None and (type(lanes_per_device) is not int or lanes_per_device < 1):
        raise ValueError(f"lanes_per_device={lanes_per_device!r}: must be an integer of at least 1, or None")
    if padding not in (None, True, False):
        raise ValueError(f"padding={padding!r}: must be True, False or None")
    check_matmul_precision(matmul_precision)
    tasks = {
        (t, c): prepare(Task(method, target, config, standardize), num_steps, batch_size, num_samples)
        for t, target in enumerate(targets)
        for c, config in enumerate(configs)
    }
    lanes = [
        Lane((*place, s), task.target, task.config, seed)
        for place, task in tasks.items()
        for s, seed in enumerate(seeds)
    ]
    length = num_steps, batch_size, tasks.values()
    reasons = budget.reasons(*length) if eval_every is None else []
    eval_every = budget.choose_eval_every(eval_every, *length)
    spec = Spec(method, num_steps, batch_size, eval_every, num_samples, standardize, matmul_precision)
    if devices and executor:
        raise ValueError("devices: are of this process, and executor= leaves all blocks to others: give one of them")
    with executors.opened(executor) as opened:
        is_single = len(jax.local_devices()) == 1
        workers = executors.examine(opened, is_single) if opened else None
        devices = tuple(devices or jax.local_devices())
        planned = plan(
            method, lanes, num_steps, lambda config: batch_size * method.num_minibatches(config),
            workers.device if workers else devices[0], workers.num_devices if workers else len(devices),
            lanes_per_device, padding, workers.number if workers else 1,
        )  # fmt: skip
        planned = planned._replace(reasons=[*planned.reasons, *reasons])
        blocks, outcomes = run_blocks(spec, planned.groups, workers or devices, checkpoints, progress)

    shape = (len(targets), len(configs), len(seeds))
    places = [np.array([lane.place for lane in members]).T for _, members in blocks]
    history = gather([outcome.history for outcome in outcomes], places, shape)
    metrics = gather([outcome.metrics for outcome in outcomes], places, shape)
    diverged_at = gather([{"": outcome.diverged_at} for outcome in outcomes], places, shape)[""].astype(int)
    applicable = {
        lane.place[:2]: frozenset(outcome.metrics)
        for (_, members), outcome in zip(blocks, outcomes, strict=True)
        for lane in members
    }
    verdict = np.empty(shape, f"<U{max(map(len, verdict_lib.VERDICTS))}")
    for t, target in enumerate(targets):
        for c, config in enumerate(configs):
            verdict[t, c] = fitting.judge(
                Task(method, target, config), {k: v[t, c] for k, v in history.items()},
                {k: metrics[k][t, c] for k in applicable[t, c]}, diverged_at[t, c], thresholds,
            )  # fmt: skip
    steps = eval_every * np.arange(1, num_steps // eval_every + 1)
    return Sweep(
        method, targets, configs, seeds, num_steps, standardize, steps, history, metrics, verdict, diverged_at,
        thresholds, time.monotonic() - began, planned, States(method, blocks, outcomes),
        tuple(Origin.from_arrays(outcome.origin) for outcome in outcomes), applicable,
    )  # fmt: skip
