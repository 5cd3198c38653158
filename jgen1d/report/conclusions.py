"""What does a sweep show? One sentence per target, computed from its table."""

from __future__ import annotations

from typing import Any

from jgen1d.evaluation.verdict import LEARNED
from jgen1d.report.table import Table, labels


def of_sweep(table: Table) -> list[str]:
    """One sentence per target: how often the losses were at their optimum, and how often the model learned.

    Args:
      table: of a sweep.
    """
    sentences = []
    for target in dict.fromkeys(row["target"] for row in table):
        clauses = [_clause(row) for row in table if row["target"] == target]
        sentences.append(f"{target}: " + "; ".join(clauses) + ".")
    return sentences


def label(row: dict[str, Any]) -> str:
    """A row's preset and swept fields in a few words."""
    fields = [f"{name}={row[name]}" for name in labels(row) if name not in ("target", "preset")]
    return " ".join(filter(None, [row.get("preset", ""), *fields])) or "these settings"


def _clause(row: dict[str, Any]) -> str:
    num_seeds, verdicts = row["num_seeds"], row["verdicts"]
    num_learned = row["learned"]["count"]
    others = {v: r["count"] for v, r in verdicts.items() if v not in LEARNED and r["count"]}
    listed = ", ".join(f"{count} {verdict}" for verdict, count in sorted(others.items(), key=lambda item: -item[1]))
    rest = f" ({'the others' if num_learned else 'verdicts'}: {listed})" if listed else ""
    learned = f"{num_learned or 'none'}{f' of {num_seeds}' if num_learned else ''} learned the distribution"
    if row["at_equilibrium"] is not None:
        at_optimum = row["at_equilibrium"]["count"]
        link = "and" if at_optimum <= 2 * num_learned else "yet only" if num_learned else "yet"
        learned = f"the losses of {at_optimum} of {num_seeds} seeds are at their optimum, {link} {learned}"
    distance = row["w1_over_floor"]
    far = f": the median distance is {distance['median']:.1f} times a perfect sampler's" if distance else ""
    count = verdicts["indistinguishable"]["count"]
    same = f", and a statistical test cannot tell {count} of them from it" if count else ""
    return f"with {label(row)} {learned}{same}{far}{rest}"
