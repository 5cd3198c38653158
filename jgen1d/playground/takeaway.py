"""What trains the runs on the page without the page: a command, and Python code."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from jgen1d.playground import signals
from jgen1d.playground.look import NUM_FINAL_SAMPLES
from jgen1d.playground.settings import DRAWING, STEPS_PER_EPOCH, Experiment, Upload


def as_command(experiment: Experiment, uploads: Mapping[str, Upload]) -> str | None:
    """The command that trains the same runs, one a line where two models are compared; None if there is none."""
    if experiment.rival is not None:
        both = [_as_command(one, uploads) for one in (experiment, experiment.rival)]
        return None if None in both else "\n".join(map(str, both))
    return _as_command(experiment, uploads)


def _as_command(experiment: Experiment, uploads: Mapping[str, Upload]) -> str | None:
    asked = experiment.settings
    if asked["dataset_size"] or asked["target"] == "drawn":
        return None
    column = uploads[asked["data"]].column if asked["target"] == "data" else None
    if column is not None and not column.isprintable():  # a terminal would obey it
        return None
    flags = {"method": asked["method"], "preset": asked["preset"], **asked["fields"]}
    if asked["target"] == "data":
        upload = uploads[asked["data"]]
        flags |= {"data": upload.file} | ({} if column is None else {"column": column}) | upload.options
    else:
        flags["targets"] = asked["target"]
    flags |= {"num_seeds": asked["lanes"], "seed": asked["seed"], "num_steps": asked["num_steps"]}
    flags["batch_size"] = asked["batch_size"]
    return " ".join(
        ["python experiments/convergence.py", *(f"--{name}={shlex.quote(str(v))}" for name, v in flags.items())]
    )


def as_python(experiment: Experiment, uploads: Mapping[str, Upload]) -> str:
    """The same runs in Python."""
    code = _as_python(experiment, uploads)
    if experiment.rival is None:
        return code
    return f"{code}\n# What it is compared with:\n{_as_python(experiment.rival, uploads)}"


def _as_python(experiment: Experiment, uploads: Mapping[str, Upload]) -> str:
    asked, method = experiment.settings, experiment.settings["method"]
    changes = ", ".join(f"{name}={getattr(experiment.config, name)!r}" for name in asked["fields"])
    base = f"{method}.preset({asked['preset']!r})" if experiment.method.presets() else f"{method}.Config()"
    library = "jgen1d.data" if asked["target"] == "data" else "jgen1d"
    lines = ["import jax", f"import {library}", f"from jgen1d.methods import {method}", ""]
    lines.append(f"config = {base}{f'.replace({changes})' if changes else ''}")
    name = "truth" if asked["dataset_size"] else "target"
    if asked["target"] == "data":
        upload = uploads[asked["data"]]
        options = "".join(f", {option}={value!r}" for option, value in upload.options.items())
        lines.append(f"{name} = jgen1d.data.read({upload.file!r}, column={upload.column!r}{options})")
    elif asked["target"] == "drawn":
        step = (DRAWING["high"] - DRAWING["low"]) / (DRAWING["count"] - 1)
        lines.append(f"knots = [{DRAWING['low']} + {step} * i for i in range({DRAWING['count']})]")
        lines.append(f"{name} = jgen1d.targets.piecewise_linear(knots, {asked['drawn']})")
    else:
        lines.append(f"{name} = jgen1d.TARGETS[{asked['target']!r}]")
    if asked["dataset_size"]:
        make = "signals" if signals.are(experiment.truth) else "empirical"
        lines.append(f"target = jgen1d.targets.{make}(truth.sample(jax.random.key(0), {asked['dataset_size']}))")
    run = f"num_steps={asked['num_steps']}, batch_size={asked['batch_size']}, eval_every={STEPS_PER_EPOCH}"
    if asked["lanes"] == 1:
        lines.append(f"result = jgen1d.fit(jax.random.key({asked['seed']}), {method}.METHOD, target, config, {run})")
        lines.append('print(result.verdict, result.metrics["w1_over_std"])')
        results = "[result]"
    else:
        seeds = f"range({asked['seed']}, {asked['seed'] + asked['lanes']})"
        lines.append(f"sweep = jgen1d.sweep({method}.METHOD, [target], [config], {seeds}, {run})")
        lines.append("print(sweep.table())")
        results = f"[sweep.result(0, 0, number) for number in range({asked['lanes']})]"
    if asked["dataset_size"]:
        lines += [
            "", "# These distances are to the dataset; the page's are to what it was drawn from:",
            f"points = jgen1d.metrics.reference(truth, {NUM_FINAL_SAMPLES}).points",
            f"for result in {results}:",
            f"    samples = result.sample(jax.random.key(1), {NUM_FINAL_SAMPLES})",
            "    print(jgen1d.metrics.w1(samples, points) / truth.std.mean())",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"
