"""Which drawings does a report have? How runs ended, how the distance fell, and what the median run generates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jgen1d.core.names import in_html
from jgen1d.evaluation.verdict import VERDICTS
from jgen1d.report.svg import Frame, bar, interval
from jgen1d.report.table import cell


def shares(row: Mapping[str, Any], name: str) -> str:
    """How the runs of a row ended: a bar, and all shares with their intervals."""
    rates = row["verdicts"]
    found = [verdict for verdict in VERDICTS if rates[verdict]["count"]]
    texts = {verdict: f"{verdict.replace('_', ' ')} {cell(rates[verdict])}" for verdict in found}
    ends = (row["learned"]["low"], row["learned"]["high"])
    drawn = bar([(v, rates[v]["share"]) for v in found], ends, f"How the runs of {name} ended")
    parts = "".join(f'<li><i class="key {v}"></i>{text}</li>' for v, text in texts.items())
    return (
        f"<div><p><strong>{in_html(name, 200)}</strong>, {row['num_seeds']:,} seeds: "
        f'{cell(row["learned"])} learned the distribution</p>{drawn}<ul class="parts">{parts}</ul></div>'
    )


def distances(settings: Sequence[Mapping[str, Any]], floors: Sequence[float | None], threshold: float) -> list[str]:
    """For each setting its distance over steps, all on the same axes, with what it is to be compared with."""
    ends = [value for one in settings for band in one["curve"].values() for value in band if value]
    ends += [threshold, *filter(None, floors)]
    axes = (0.0, float(settings[0]["steps"][-1])), (0.8 * min(ends), 1.25 * max(ends))
    return [_distance(Frame(*axes, log=True), one, floors[one["target"]], threshold) for one in settings]


def _distance(frame: Frame, one: Mapping[str, Any], floor: float | None, threshold: float) -> str:
    steps, curve = one["steps"], {name: np.array(band, np.float64) for name, band in one["curve"].items()}
    known = np.flatnonzero(np.isfinite(curve["median"]))
    last = f"after {steps[known[-1]]:,} steps the median is {curve['median'][known[-1]]:.3g}" if known.size else "none"
    marks = [frame.level("threshold", threshold)]
    marks += [frame.level("floor", floor)] if floor else []
    marks += [frame.band("area", steps, curve["p05"], curve["p95"]), frame.line("learnt", steps, curve["median"])]
    said = f"Distance over training steps: {last}; a converged run has at most {threshold:g}"
    said += f", and a perfect sampler about {floor:.2g}." if floor else "."
    return _figure(frame.chart(said, marks, "training step", "W1/σ"), "Distance")


def median_run(panel: Mapping[str, Any]) -> list[str]:
    """What a run generates beside its target; in 1-D also the difference of the distribution functions."""
    axis = "x" if panel["unit"] == "data units" else f"x ({panel['unit']})"
    if "bands" in panel:
        return [_bands(panel["bands"], axis)]
    if "window" not in panel:
        return []
    if isinstance(panel["window"][0], list):
        return [_points(panel)]
    low, high = panel["window"]
    window = (float(low), float(high))
    generated = np.array(panel["generated"], np.float64)
    exact = np.array(panel.get("exact") or panel["real"], np.float64)
    frame = Frame(window, (0.0, 1.05 * max(generated.max(), exact[np.isfinite(exact)].max(), 1e-300)))
    marks = [frame.steps("filled", generated)]
    if "exact" in panel:
        marks.append(frame.line("exact", np.linspace(*window, len(exact)), exact))
    else:
        marks.append(frame.steps("real", exact))
    said = "What the median seed generates, as a histogram, beside its target."
    note = f"{panel['lost']:,} samples are not finite" if panel["lost"] else ""
    figures = [_figure(frame.chart(said, marks, axis, "density"), "Density, median seed", note)]
    if "gap" in panel:
        figures.append(_gap(panel["gap"], axis, window))
    return figures


def _gap(gap: Mapping[str, Any], axis: str, window: tuple[float, float]) -> str:
    difference, allowed = np.array(gap["difference"], np.float64), gap["allowed"]
    reach = 1.15 * max(float(np.abs(difference).max(initial=0.0)), allowed)
    frame = Frame(window, (-reach, reach))
    x = window[0] + np.array(gap["at"], np.float64) * (window[1] - window[0])
    marks = [frame.band("allowed", window, [-allowed] * 2, [allowed] * 2), frame.level("exact", 0.0)]
    marks.append(frame.line("learnt", x, difference))
    said = f"Distribution function of the median seed minus that of the target: at most {np.abs(difference).max():.3g} "
    said += f"away from 0, where a Kolmogorov–Smirnov test at {100 * gap['level']:g} % accepts {allowed:.3g}."
    chart = frame.chart(said, marks, axis, "difference of CDFs")
    return _figure(chart, "Distribution function, median seed")


def _points(panel: Mapping[str, Any]) -> str:
    (left, right), (low, high) = panel["window"]
    frame = Frame((left, right), (low, high))
    marks = []
    for look, name in (("real", "real"), ("learnt", "generated")):
        at = np.array(panel[name], np.float64).reshape(-1, 2)
        marks.append(frame.dots(f"dots {look}", left + at[:, 0] * (right - left), low + at[:, 1] * (high - low)))
    said = f"{len(panel['generated']):,} points of the median seed's model over as many of its target."
    return _figure(frame.chart(said, marks, "x₁", "x₂"), "Samples, median seed")


def _bands(bands: Mapping[str, Any], axis: str) -> str:
    generated, real = (np.array(bands[name], np.float64) for name in ("generated", "real"))
    known = np.concatenate([generated[np.isfinite(generated)], real.ravel()])
    margin = 0.05 * (float(np.ptp(known)) or 1.0)
    places = np.arange(real.shape[1])
    frame = Frame((0.0, float(places[-1])), (float(known.min()) - margin, float(known.max()) + margin))
    marks = [frame.band("area", places, generated[0], generated[-1]), frame.line("learnt", places, generated[1])]
    marks += [frame.line("exact", places, quantile) for quantile in real]
    said = "The 5 %, 50 % and 95 % quantiles of the values at each place, of the median seed's model and of its target."
    note = "line and area: median and 5–95 % of what is generated; dashed: of the target"
    return _figure(frame.chart(said, marks, "place", axis), "Values at each place, median seed", note)


def difference(row: Mapping[str, Any], name: str) -> str:
    """By how much a share differs, in percentage points, between −100 and 100: its interval and the estimate."""
    found = row["learned_difference"]
    low, middle, high = (100 * found[end] for end in ("low", "difference", "high"))
    said = f"{middle:+.0f} percentage points, 95 % interval from {low:+.0f} to {high:+.0f}"
    drawing = interval(low, middle, high, f"{name}: {said}")
    return f"<div><p><strong>{in_html(name, 200)}</strong>: {said}</p>{drawing}</div>"


def legend(has_panels: bool = True, has_floors: bool = False, has_distances: bool = True) -> str:
    """What lines and areas mean in all drawings."""
    keys = [("learnt", "rule", "median of the seeds"), ("learnt faint", "", "5–95 % of the seeds")]
    keys += [("threshold", "rule dashed", "limit for a converged run")]
    keys += [("real", "rule dotted", "perfect sampler")] if has_floors else []
    parts = [("Distance", keys)] if has_distances else []
    if has_panels:
        parts += [("Density", [("learnt", "", "generated"), ("real", "rule dashed", "target")])]
        accepted = ("real faint", "", "accepted by a Kolmogorov–Smirnov test")
        parts += [("Distribution function", [("learnt", "rule", "generated minus target"), accepted])]
    items = [
        f"<li><strong>{title}</strong>"
        + "".join(f'<span><i class="key {look} k-{color}"></i>{text}</span>' for color, look, text in keys)
        + "</li>"
        for title, keys in parts
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _figure(drawn: str, title: str, note: str = "") -> str:
    rest = f" {in_html(note)}" if note else ""
    return f"<figure>{drawn}<figcaption><strong>{in_html(title)}</strong>{rest}</figcaption></figure>"
