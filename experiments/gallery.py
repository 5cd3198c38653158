"""Runs the laboratory's experiments, and writes their gallery: question, command, answer, picture.

    python experiments/gallery.py                                # all of them, as `make gallery` does
    python experiments/gallery.py --scripts=mode_collapse        # one; the others keep their last answers

Results stay in runs/gallery. The page `experiments/README.md` and its pictures are made from what is there; a script
without results there keeps its section of the page.
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
PICTURES: dict[str, tuple[str, str] | None] = {
    "inverse_transform": (
        "transform",
        "Each row is a target: uniform numbers on the left, the map F⁻¹ that they go through, and what comes out. "
        "Look at the right: the bars lie on the dashed density.",
    ),
    "mode_collapse": (
        "coverage",
        "Each dot is the share of seeds that cover all modes. Compare each remedy with `strong D` at the top: "
        "intervals that do not overlap with its own are no accident.",
    ),
    "depth": (
        "depth",
        "Median distance, in multiples of a perfect sampler's: the darker, the nearer. Look at the bottom row, a "
        "single hidden layer: it stays bright at every width.",
    ),
    "imbalance": (
        "layers",
        "How often each verdict is reached; bright is often. D grows stronger to the right and upwards. Look at the "
        "corners of the second panel: modes are lost where one player is much stronger.",
    ),
    "small_data": (
        "small_data",
        "All three on one axis. Compare the left with the right: the generator is never nearer to the truth than "
        "its own training sample is.",
    ),
    "latent_dimension": (
        "latent_dimension",
        "Look at the distance from 1, that of a perfect sampler: it is least at a few dimensions, not at one "
        "and not at many.",
    ),
    "saturating": (
        "exact",
        "Look at the right end, where the two distributions are far apart: the saturating loss has no gradient "
        "left there, the non-saturating one has.",
    ),
    "learning_rate": (
        "learning_rate",
        "How often each verdict is reached; bright is often. D's rate grows to the right, G's to the top. Look at "
        "the first panel, the small region that learns, and at the third, the false equilibria around it.",
    ),
    "interpolation": (
        "interpolation",
        "Look at the middle of each path: the straight one leaves the shell on which the latents lie, the arc "
        "does not. In two dimensions there is hardly a shell.",
    ),
    "wasserstein": (
        "critics",
        "The dashed line is the exact potential. Look at the slopes: clipped critics have the wrong ones, a "
        "penalised one follows it where there are data.",
    ),
    "actor_critic": None,
    "double_sigmoid": (
        "discriminators",
        "Look at how much of each optimum is flat: with the double sigmoid the discriminator says nothing where "
        "the generator has too much mass.",
    ),
    "mode_coverage_2d": (
        "samples",
        "Samples (blue) over the target's (grey). Look for modes without blue points, and for bridges between modes.",
    ),
    "how_many_seeds": (
        "how_many_seeds",
        "Read it at one seed on the left: a third of such comparisons name the wrong recipe. How far right is an "
        "error of 5 %?",
    ),
    "relativistic": (
        "coverage",
        "Each dot is the share of seeds that cover all modes. Compare the rows of a panel: do pairs of samples or the "
        "second penalty change anything?",
    ),
    "signals": (
        "signals",
        "Real signals of the last target beside those of each model. Look for what no real one has: round corners, "
        "tops that slope or wave, steps outside of the pulse.",
    ),
    "digits": (
        "digits",
        "The first sheet is held out of the training data. Look for digits that nobody would have written.",
    ),
    "sine_benchmark": (
        "sine_benchmark",
        "Dots are means over seeds, bars 5–95 % of them; a perfect sampler is at the dashed line. Look at `broken` and "
        "`gaussian`: the recurrent classifier passes what the other one sees at once.",
    ),
    "progressive": (
        "progressive",
        "Medians and 5–95 % of seeds; a perfect sampler is at 1. Compare the curves where growing ends, half-way: what "
        "is left of the head start of the coarse network?",
    ),
    "latent_factors": (
        "latent_factors",
        "First row: the height and width of what a grid of latents is decoded to; if each latent were one factor, the "
        "lines would be straight, as the exact ones are. Below: signals while one latent varies.",
    ),
    "world_model": (
        "shares",
        "The share of agents that solve the real task after training in the dream, with its interval, over the number "
        "of real steps that the model has seen.",
    ),
    "linear_quadratic": (
        "gaps",
        "Each dot is a seed: how wrong its model is, and what its agent costs. More data move "
        "the cloud to the left and down. Look within one colour: the better models hardly have the better agents.",
    ),
}
"""Script -> the picture that the page shows, and what to look at in it; None for a script without pictures."""
WIDTH = 1_800
"""The greatest width of a picture, in pixels: twice that of the page's column."""

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
    written = _sections(page / "README.md")
    sections = []
    for name in PICTURES:
        if (workdir / name / "seconds.json").exists():
            sections.append(_section(workdir, page, name))
        elif _question(name) in written:
            sections.append(written[_question(name)])
    head = "# The GAN laboratory\n\nEach answer is computed from its run's numbers; `make gallery` makes this page.\n"
    (page / "README.md").write_text("\n".join([head, *sections]))
    print(f"written to {page / 'README.md'}", file=sys.stderr)


def _question(name: str) -> str:
    """The first line of a script's docstring."""
    return (ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or "").splitlines()[0]


def _sections(page: Path) -> dict[str, str]:
    """Question -> its section, as the page has it."""
    parts = page.read_text().split("\n## ")[1:] if page.exists() else []
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}


def _section(workdir: Path, page: Path, name: str) -> str:
    """One experiment's part of the page, with its picture reduced."""
    question = _question(name)
    summary = json.loads((workdir / name / "summary.json").read_text())
    seconds = json.loads((workdir / name / "seconds.json").read_text())
    picture_line = ""
    if shown := PICTURES[name]:
        with Image.open(workdir / name / f"{shown[0]}.png") as picture:
            small = picture.convert("RGB")  # all of its colours: a palette would be dithered
            small.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
            (page / "gallery").mkdir(parents=True, exist_ok=True)
            small.save(page / "gallery" / f"{name}.png", optimize=True)
        picture_line = f"\n![{question}](gallery/{name}.png)\n\n*{shown[1]}*\n"
    answers = "\n".join(f"- {sentence}" for sentence in summary["conclusions"])
    command = f"`.venv/bin/python experiments/{name}.py`, {seconds / 60:.1f} min"
    return f"## {question}\n\n{command}\n\n{answers}\n{picture_line}"


if __name__ == "__main__":
    cli.run(main)
