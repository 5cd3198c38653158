"""What the scripts of the GAN laboratory share: their flags, their sweeps, and how they give their answers."""

import functools
import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

import jgen1d
from jgen1d.cli import app as cli
from jgen1d.core import unknown
from jgen1d.methods import gan
from jgen1d.plots import runs as plots
from jgen1d.report import table as results

QUICK_SEEDS, QUICK_STEPS = 3, 40


def define_flags(script: str, num_seeds: int | None = 64, num_steps: int | None = 5_000) -> None:
    """Makes the flags that every script of the laboratory has, with the defaults of this one."""
    own = {"module_name": sys.argv[0]}
    integer = functools.partial(flags.DEFINE_integer, lower_bound=1, **own)
    integer("num_seeds", num_seeds, "runs per (target, config)")
    integer("num_steps", num_steps, "training steps of each run")
    flags.DEFINE_integer("seed", 0, "the first seed", lower_bound=0, **own)
    flags.DEFINE_string("workdir", None, f"where to write; default: runs/{script}-TIME; empty: nowhere", **own)
    flags.DEFINE_bool("overwrite", False, "write into a workdir that is not empty", **own)
    flags.DEFINE_enum("format", "text", ["text", "json", "csv"], "of the results on stdout", **own)
    flags.DEFINE_bool("quick", False, f"{QUICK_SEEDS} seeds, {QUICK_STEPS} steps and few configs, if not given", **own)


def value(name: str, quick: Any) -> Any:
    """A flag's value, or `quick` where --quick is given and the flag is not."""
    return quick if flags.FLAGS.quick and not flags.FLAGS[name].present else flags.FLAGS[name].value


def targets_1d(names: Sequence[str], flag: str = "targets") -> list[jgen1d.Target]:
    """The targets of these names. Raises ValueError where there is none, or it is not 1-D."""
    found = cli.target_list(names, None, None, flag)
    for target in found:
        if target.dim != 1:
            raise ValueError(f"--{flag}={target.name}: must be 1-D")
    return found


def preset(name: str) -> gan.Config:
    """The GAN's preset of that name. Raises ValueError where there is none."""
    try:
        return gan.preset(name)
    except ValueError as error:
        raise ValueError(f"--preset: {error}") from None


def integers(name: str, quick: list[str], at_least: int = 1) -> list[int]:
    """A list flag's values, without doubles. Raises ValueError where one is none, or too small."""
    given = value(name, quick)
    if not given or not all(text.strip().isdecimal() and int(text) >= at_least for text in given):
        raise ValueError(f"--{name}={','.join(given)}: must be integers of at least {at_least}, separated by commas")
    return sorted({int(text) for text in given})


def names(name: str, known: Iterable[str], quick: list[str]) -> list[str]:
    """A list flag's values. Raises ValueError, with the nearest name, where one is not known, or there is none."""
    if not (chosen := value(name, quick)):
        raise ValueError(f"--{name}: must name some of {', '.join(known)}")
    for given in chosen:
        if given not in known:
            raise ValueError(f"--{name}: none is called {unknown(given, known)}")
    return chosen


def median(spread: Mapping[str, float] | None) -> float:
    """Of a `results.spread`; infinite where there is none."""
    return np.inf if spread is None else spread["median"]


def seeds(count: int = 0) -> range:
    """The runs' seeds, as the flags say; so many where the script's number has no default."""
    return range(flags.FLAGS.seed, flags.FLAGS.seed + (value("num_seeds", QUICK_SEEDS) or count))


def sweep(targets: Sequence[jgen1d.Target], configs: Sequence[gan.Config], **options: Any) -> jgen1d.Sweep:
    """Trains GANs as the flags say; `options` are those of `jgen1d.sweep`, and may have other seeds."""
    options = {"seeds": seeds(), "num_steps": value("num_steps", QUICK_STEPS), "progress": True} | options
    return jgen1d.sweep(gan.METHOD, targets, configs, **options)


def rows(sweep: jgen1d.Sweep, labels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row per (target, config) for `answer`: the config's labels, and what came of its seeds."""
    found = []
    for (t, target), (c, named) in itertools.product(enumerate(sweep.targets), enumerate(labels)):
        row = {"target": target.name, **named, "seeds": len(sweep.seeds)}
        row["converged"] = results.rate(sweep.verdict[t, c] == "converged")
        if num_modes := len(target.modes.scales):
            covered = sweep.metrics["modes_covered"][t, c]
            row |= {"all modes covered": results.rate(covered == num_modes), "modes covered": results.spread(covered)}
        found.append(row | {"W1/floor": results.spread(sweep.metrics["w1_over_floor"][t, c])})
    return found


def is_better(distances: ArrayLike, than: ArrayLike) -> bool:
    """Whether distances f[n] over seeds are smaller than others, beyond chance at 1 % (Mann & Whitney 1947)."""
    from scipy import stats

    a, b = (np.nan_to_num(x, nan=np.inf) for x in (distances, than))
    return bool(stats.mannwhitneyu(a, b, alternative="less").pvalue < 0.01)


def answer(
    script: str, workdir: Path | None, rows: Sequence[Mapping[str, Any]], num_labels: int,
    conclusions: Sequence[str], figures: Mapping[str, Figure],
) -> None:  # fmt: skip
    """Prints rows and conclusions, and writes them and the figures to the workdir.

    Args:
      script: its name.
      workdir: None for nowhere.
      rows: dicts with the same names; values are names, numbers, `results.rate`s and `results.spread`s.
      num_labels: how many of them, the first, say what was run.
      conclusions: sentences.
      figures: by the name of their file.
    """
    table = results.Table([dict(row) for row in rows])
    if flags.FLAGS.format == "json":
        print(table.to_json(conclusions=conclusions))
    elif flags.FLAGS.format == "csv":
        print(table.to_csv(), end="")
    else:
        lines = [list(rows[0]), *([results.cell(value) for value in row.values()] for row in rows)]
        print(results.align(lines, num_labels), "", *conclusions, sep="\n")
    if workdir:
        workdir.mkdir(parents=True, exist_ok=True)
        results.write_json(workdir / "config.json", {"flags": cli.given(), **results.environment()})
        results.write_json(workdir / "summary.json", {"rows": rows, "conclusions": conclusions})
        for name, figure in figures.items():
            plots.save(figure, workdir / f"{name}.png")
        print(f"{script}: written to {workdir}", file=sys.stderr)
