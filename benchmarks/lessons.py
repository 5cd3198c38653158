"""In how many of 32 seeds do the playground's lessons come true? Measures it anew, and keeps it for the page to tell.

    python benchmarks/lessons.py                          # 15 minutes on 2 cores
    python benchmarks/lessons.py --lessons=depth,latent   # these alone; the others stay as they are
    python benchmarks/lessons.py --lessons=               # only the words, from the kept numbers

Trains both sides of each lesson as the page does: a phenomenon and its cure, the models A and B of an experiment.
Prints what the page will say, and writes jgen1d/playground/rates.json, with the settings and each seed's verdict.
"""

import json
import pathlib
from typing import Any

from absl import flags

from jgen1d import cli
from jgen1d.core import unknown
from jgen1d.playground import rates

_LESSONS = flags.DEFINE_list("lessons", list(rates.recipes()), "to measure, separated by commas")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", rates.NUM_SEEDS, "of each side", lower_bound=2)
_OUTPUT = flags.DEFINE_string("output", str(rates.PATH), "the file to write")


def main() -> None:
    """Measures, prints and writes."""
    recipes, path = rates.recipes(), pathlib.Path(_OUTPUT.value)
    for name in _LESSONS.value:
        if name not in recipes:
            raise ValueError(f"--lessons: none is called {unknown(name, recipes)}")
    found = json.loads(path.read_text()) if path.exists() else {}
    for name in _LESSONS.value:
        found[name] = {side: rates.measure(asked, _NUM_SEEDS.value) for side, asked in recipes[name].items()}
        print(f"{name}: {' '.join(rates.said(name, found[name]))}", flush=True)
        _write(path, found)
    _write(path, found)


def _write(path: pathlib.Path, found: dict[str, Any]) -> None:
    """A line for each lesson, in the page's order, with what the page says of it."""
    told = {name: found[name] | {"says": rates.said(name, found[name])} for name in rates.recipes() if name in found}
    lines = [f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in told.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    cli.run(main)
