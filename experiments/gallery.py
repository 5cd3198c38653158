"""Runs the laboratory's experiments, and writes their gallery: question, command, answer, picture.

    python experiments/gallery.py                                # all of them, as `make gallery` does
    python experiments/gallery.py --scripts=mode_collapse        # one; the others keep their last answers

Results stay in runs/gallery. The page `experiments/README.md` and its pictures are made from what is there.
"""

import ast
import json
import subprocess
import sys
import time
from pathlib import Path

from absl import flags
from PIL import Image

from jgen1d import cli
from jgen1d.report import workdir as files

FOLDER = Path(__file__).parent
PICTURES: dict[str, str | None] = {
    "inverse_transform": "transform",
    "mode_collapse": "coverage",
    "depth": "depth",
    "imbalance": "layers",
    "small_data": "small_data",
    "latent_dimension": "latent_dimension",
    "saturating": "exact",
    "learning_rate": "learning_rate",
    "interpolation": "interpolation",
    "wasserstein": "critics",
    "actor_critic": None,
    "double_sigmoid": "discriminators",
    "mode_coverage_2d": "samples",
    "how_many_seeds": "how_many_seeds",
    "relativistic": "coverage",
    "world_model": "shares",
}
"""Script -> the picture that the page shows; None for a script without pictures."""
WIDTH = 900
"""The greatest width of a picture, in pixels."""

_SCRIPTS = flags.DEFINE_list(
    "scripts", list(PICTURES), "scripts to run, separated by commas; empty: only write the page"
)
_WORKDIR = flags.DEFINE_string("workdir", "runs/gallery", "where the results are")
_QUICK = flags.DEFINE_bool("quick", False, "run the scripts with --quick, and write the page into the workdir")


def main() -> None:
    """Runs the scripts and writes the page."""
    workdir = Path(_WORKDIR.value)
    for name in cli.names("scripts", PICTURES) if _SCRIPTS.value else ():
        began = time.monotonic()
        command = [sys.executable, str(FOLDER / f"{name}.py"), f"--workdir={workdir / name}", "--overwrite"]
        if code := subprocess.run(command + ["--quick"] * _QUICK.value).returncode:
            sys.exit(code)  # the script has printed why
        files.write(workdir / name, {"seconds.json": files.as_json(time.monotonic() - began)})
    page = workdir if _QUICK.value else FOLDER
    sections = [_section(workdir, page, name) for name in PICTURES if (workdir / name / "seconds.json").exists()]
    head = "# The GAN laboratory\n\nEach answer is computed from its run's numbers; `make gallery` makes this page.\n"
    (page / "README.md").write_text("\n".join([head, *sections]))
    print(f"written to {page / 'README.md'}", file=sys.stderr)


def _section(workdir: Path, page: Path, name: str) -> str:
    """One experiment's part of the page, with its picture reduced."""
    question = (ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or "").splitlines()[0]
    summary = json.loads((workdir / name / "summary.json").read_text())
    seconds = json.loads((workdir / name / "seconds.json").read_text())
    picture_line = ""
    if PICTURES[name]:
        with Image.open(workdir / name / f"{PICTURES[name]}.png") as picture:
            picture.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
            (page / "gallery").mkdir(parents=True, exist_ok=True)
            picture.convert("P", palette=Image.Palette.ADAPTIVE).save(page / "gallery" / f"{name}.png", optimize=True)
        picture_line = f"\n![{question}](gallery/{name}.png)\n"
    answers = "\n".join(f"- {sentence}" for sentence in summary["conclusions"])
    command = f"`.venv/bin/python experiments/{name}.py`, {seconds / 60:.1f} min"
    return f"## {question}\n\n{command}\n\n{answers}\n{picture_line}"


if __name__ == "__main__":
    cli.run(main)
