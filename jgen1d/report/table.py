"""What did runs come to? Rows by machine names, their titles, and the table as text, JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jgen1d.core import format_value
from jgen1d.core.config import swept_fields
from jgen1d.core.names import printable
from jgen1d.evaluation.metrics import METRICS
from jgen1d.evaluation.verdict import LEARNED, VERDICTS, learned, loss_gap
from jgen1d.report.stats import rate, spread

if TYPE_CHECKING:
    from jgen1d.sweeps import Sweep

TITLES = {name: metric.title for name, metric in METRICS.items()} | {
    "all_modes_covered": "all modes covered",
    "at_equilibrium": "at optimum",
    "at_the_end": "at the end",
    "converged": "converged or better",
    "correlation": "correlation of gap and cost",
    "correlation_at_best": "the same along the best agent's",
    "cost_excess": "cost above optimum (%)",
    "depth": "hidden layers of the generator",
    "discriminator_error": "D − D*",
    "dream_return": "return in the dream",
    "done_error": "calibration error of done, points",
    "early_gradient": "G's gradient, first tenth",
    "estimate_over_w1": "estimate/W1",
    "exploits_the_model": "exploits the model",
    "final_radius": "final radius",
    "gain_error": "gain error (%)",
    "gan_converged": "GAN converged",
    "gan_w1_over_floor": "GAN's W1/floor",
    "gap": "likelihood gap, nats",
    "gap_at_best": "the same along the best agent's",
    "generator_error": "G − G*",
    "generator_monotone": "G monotone",
    "generator_w1_over_floor": "G's W1/floor",
    "gradient_of": "gradient of",
    "high_quality_percent": "high quality (%)",
    "high_quality_percent_std": "high quality (%), ± std",
    "horizon": "open-loop horizon, steps",
    "ks_below_95": "KS below 95 %",
    "ks_floor": "KS, perfect sampler",
    "ks_plain": "KS, plain",
    "ks_treated": "KS, treated",
    "lambda_jacobian": "Jacobian",
    "lambda_measured": "measured",
    "lambda_theory": "|λ|",
    "largest_difference_1e6": "largest difference, 1e-6",
    "layers_d": "layers of D",
    "layers_g": "layers of G",
    "learned_a": "A learned",
    "learned_b": "B learned",
    "learned_difference": "B − A, points",
    "learned_plain": "learned, plain",
    "learned_treated": "learned, treated",
    "memory_gb": "memory, GB",
    "mode_tv_std": "TV over modes, ± std",
    "next_seed_other_numbers": "next seed, other numbers",
    "norm_arc": "norm half-way, arc",
    "norm_straight": "norm half-way, straight",
    "model_cost_excess": "the same by Riccati in the model",
    "model_gain_error": "gain error by Riccati in the model",
    "num_modes": "modes",
    "num_runs": "runs",
    "num_seeds": "seeds",
    "num_seeds_b": "seeds of B",
    "num_steps": "steps",
    "on_the_way": "on the way",
    "one_step_error": "one-step error",
    "outside_plain": "out of range, plain",
    "outside_treated": "out of range, treated",
    "p_mcnemar": "p of McNemar",
    "rate_d_over_g": "D's rate / G's",
    "rate_g_over_d": "G's rate / D's",
    "real_return": "return in reality",
    "real_steps": "real steps",
    "right_sign": "right sign",
    "same_seed_same_bits": "same seed, same bits",
    "sample_ms": "sampling, ms",
    "sample_to_truth": "sample to truth",
    "seconds_plain": "seconds, plain",
    "seconds_treated": "seconds, treated",
    "steps_to_threshold": "steps until W1/σ ≤ 0.05",
    "to_sample": "to sample",
    "to_truth": "to truth",
    "told_apart": "told apart",
    "train_s": "training, s",
    "units_d": "units of D",
    "units_g": "units of G",
    "updates_d": "D's updates",
    "w1_over_floor_a": "A's W1/floor",
    "w1_over_floor_b": "B's W1/floor",
    "w1_over_floor_difference": "W1/floor, B − A",
    "w1_over_std_arc": "W1/σ half-way, arc",
    "w1_over_std_latents": "W1/σ of latents",
    "w1_over_std_straight": "W1/σ half-way, straight",
    "width": "units of each layer",
    "within_5_percent": "cost within 5 % of optimum",
    "wrong_by_best": "wrong by best seed",
}
_SCORES = ("recurrent", "feedforward", "predictive", "correlational")
TITLES |= {f"{score}_over_floor": f"{score}/floor" for score in _SCORES}
TITLES |= {f"wrong_by_{rule}": f"wrong by {rule}" for rule in ("best", "mean", "median", "rate")}
"""What tables and plots call the columns of rows. Fields of configs, verdicts and plain words keep their names."""
COUNTS = ("num_seeds", "num_runs")
"""Columns that say how many runs a row summarises. What was run stands to the left of them."""

_SPREADS = (
    "loss_g", "loss_d", "kl", "ks", "tv", "w1_over_std", "w1_over_floor", "tv_over_floor", "samples_to_tell",
    "out_of_range", "modes_covered",
)  # fmt: skip
_OF_CLASSES = ("class_w1_over_floor", "class_accuracy")
_SHOWN = ("w1_over_std", "w1_over_floor", "tv", "samples_to_tell", "out_of_range", "modes_covered", "kl", *_OF_CLASSES)
OUTCOME = ("num_seeds", "at_equilibrium", "verdicts")
"""The columns of a sweep's table that the text always shows."""


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of a report.

    A sweep's table has a row per (target, config) with `target`, `preset` if configs have names, the swept fields,
    `num_seeds`, `verdicts`, `learned` (converged or better) and `at_equilibrium` (each `{"count", "share", "low",
    "high"}`, the last two a Wilson 95 % interval), and `loss_g`, `loss_d`, `kl`, `ks`, `tv`, `w1_over_std`,
    `w1_over_floor`, `tv_over_floor`, `samples_to_tell`, `out_of_range`, `modes_covered` (each
    `{"median", "p05", "p95"}` over the seeds whose value is finite, None if there are none). For models with classes it
    also has `class_w1_over_floor` and `class_accuracy`, over seeds and classes.

    Attributes:
      rows: dicts with the same names, in the order of the columns. Values are texts, numbers, `stats.rate`s,
        `stats.spread`s, `stats.mean`s, `stats.correlation`s or None.
      shown: the columns that the text shows beside the labels; None for all. Metrics that no row has are left out.
      formats: column -> how the text shows its values; None for the general rules.
    """

    rows: list[dict[str, Any]]
    shown: tuple[str, ...] | None = None
    formats: Mapping[str, Callable[[Any], str]] = dataclasses.field(default_factory=dict)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Over the rows."""
        return iter(self.rows)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One row."""
        return self.rows[index]

    def __str__(self) -> str:
        """The table as aligned text, shares in percent with their interval."""
        titles, columns = zip(*self.columns(), strict=True)
        return align([titles], list(zip(*columns, strict=True)), len(labels(self.rows[0])))

    def columns(self) -> Iterator[tuple[str, list[str]]]:
        """The title and the cells of each column of the text."""
        named = labels(self.rows[0])
        shown = self.rows[0] if self.shown is None else self.shown
        for name in dict.fromkeys([*named, *shown]):
            values = [row.get(name) for row in self.rows]
            if name == "verdicts":
                for verdict in VERDICTS:
                    rates = [verdicts[verdict] for verdicts in values if verdicts]
                    if verdict in LEARNED or any(rate["count"] for rate in rates):
                        yield verdict, [cell(rate) for rate in rates]
            elif name not in METRICS or any(value is not None for value in values):
                text = self.formats.get(name, _label if name in named else cell)
                yield TITLES.get(name, printable(name, 60)), [text(value) for value in values]

    def to_json(self, **more: Any) -> str:
        """One JSON object, `{"rows": [...], **more}`, without NaN."""
        return json.dumps(finite({"rows": self.rows, **more}), indent=2, allow_nan=False)

    def to_csv(self) -> str:
        """The rows as CSV, with nested names joined by dots; None is an empty cell."""
        return as_csv([dict(_flatten(row, labels(row))) for row in self.rows])


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Flat rows as CSV, each on one line: of texts, what cannot be printed is escaped."""
    shown = [{printable(name): printable(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in shown for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(shown)
    return out.getvalue()


def tabulate(sweep: Sweep, presets: Sequence[str] | None = None) -> Table:
    """A sweep's table, with one row per (target, config).

    Args:
      sweep: the runs.
      presets: a name for each config, shown beside the fields in which configs of one name differ.

    Raises:
      ValueError: if there are more or fewer presets than configs.
    """
    names = list(presets) if presets is not None else [""] * len(sweep.configs)
    if len(names) != len(sweep.configs):
        raise ValueError(f"table: {len(names)} presets for {len(sweep.configs)} configs")
    fields = swept_fields(sweep.configs, names)
    rows = []
    for t, target in enumerate(sweep.targets):
        for c, config in enumerate(sweep.configs):
            row: dict[str, Any] = {"target": target.name}
            if presets is not None:
                row["preset"] = names[c]
            row |= {field: format_value(getattr(config, field)) for field in fields}
            row["num_seeds"] = len(sweep.seeds)
            row["verdicts"] = {v: rate(sweep.verdict[t, c] == v) for v in VERDICTS}
            row["learned"] = rate(learned(sweep.verdict[t, c]))
            curves = {name: curve[t, c] for name, curve in sweep.history.items()}
            optimum = sweep.method.loss_optimum(config) if sweep.method.loss_optimum else None
            gap = loss_gap(curves, optimum) if optimum else None
            row["at_equilibrium"] = None if gap is None else rate(gap <= sweep.thresholds.loss_gap)
            values = {name: metric[t, c] for name, metric in sweep.metrics.items()}
            for name in curves.keys() & {"loss_g", "loss_d"}:
                values[name] = curves[name][:, -max(1, curves[name].shape[1] // 10) :].mean(1)
            row |= {name: spread(values[name]) if name in values else None for name in _SPREADS}
            row |= {name: spread(values[name]) for name in _OF_CLASSES if name in values}
            rows.append(row)
    return Table(rows, (*OUTCOME, *_SHOWN))


def labels(row: Mapping[str, Any]) -> list[str]:
    """The columns that say what was run: those before the number of runs; without such a number, the leading texts."""
    counts = [name in COUNTS for name in row]
    ends = counts if any(counts) else [not isinstance(value, str) for value in row.values()]
    return list(row)[: [*ends, True].index(True)]


def align(titles: Sequence[Sequence[str]], lines: Sequence[Sequence[str]], num_labels: int) -> str:
    """Lines of titles and rows of cells as text: the first `num_labels` columns flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*titles, *lines, strict=True)]
    sides = ["<" if i < num_labels else ">" for i in range(len(widths))]
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([*(form.format(*one) for one in titles), rule, *(form.format(*one) for one in lines)])


def cell(value: Any) -> str:
    """How texts show a rate, a spread, a mean, a number, a name, or None."""
    if value is None:
        return "–"
    if not isinstance(value, Mapping):
        return f"{value:.3g}" if isinstance(value, float) else _label(value)
    if "standard_deviation" in value:
        return "{mean:.3g} ± {standard_deviation:.2g}".format(**value)
    if "mean" in value:
        return "{mean:.3g} ± {standard_error:.2g}".format(**value)
    if "correlation" in value:
        return "{correlation:.2f} [{low:.2f}, {high:.2f}]".format(**value)
    if "share" in value:
        return f"{100 * value['share']:.0f}% [{100 * value['low']:.0f}–{100 * value['high']:.0f}]"
    if max(map(abs, value.values())) >= 1e7:
        return "{median:.1e} [{p05:.1e}, {p95:.1e}]".format(**value)
    digits = 0 if value["median"] >= 1_000 else 1 if value["median"] >= 1 else 3
    return "{median:,.{d}f} [{p05:,.{d}f}, {p95:,.{d}f}]".format(**value, d=digits)


def finite(value: Any) -> Any:
    """A copy of nested dicts, lists and numbers with None in place of NaN and infinities, and lists for arrays."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _label(value: Any) -> str:
    return cell(value) if value is None else printable(str(value), 60)


def _flatten(row: Mapping[str, Any], always: Sequence[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The row's entries with nested names joined by dots; None is left out, except in the columns of `always`."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, (), f"{prefix}{name}.")
        elif value is not None or name in always:
            yield prefix + name, value
