"""How is a report written as one page of HTML, which asks no network for anything?"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from jgen1d.core.names import in_html, json_in_html
from jgen1d.evaluation.verdict import Thresholds
from jgen1d.report import drawn
from jgen1d.report.gathered import gather
from jgen1d.report.table import cell, labels
from jgen1d.report.titles import TITLES

MAX_BYTES = (250_000, 1_000_000)
"""Of a page with up to 10 rows, and with 100 or more: pictures are embedded as long as it stays below."""
_SMALL = 1_100
"""Pixels across a picture that is made smaller: as wide as the page."""
_OF_BARS = """<p class="note">The line under each bar is the 95 % interval of the share of seeds that learned the
distribution: those that converged, and those that a test cannot tell from their target.</p>"""
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; $policy">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$css</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
<script type="application/json" id="data">$data</script>
<script>$js</script>
</body>
</html>
""")


def of_workdir(folder: Path) -> bytes:
    """The report of a workdir, from what is saved there. Raises ValueError, in one line, if that is damaged."""
    data = gather(folder)
    try:
        return page(data, {name: folder / name for name in data["made"]["pictures"]})
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:  # of files that hold something else
        raise ValueError(f"the results in {str(folder)!r} are damaged: {type(error).__name__}: {error}") from error


def page(data: Mapping[str, Any], pictures: Mapping[str, Path]) -> bytes:
    """The page of what `gathered.gather` returns; of the script's pictures it embeds what it has room for."""
    summary, made, settings = data["summary"], data["made"], data["settings"]
    rows = summary["rows"]
    names = _names(rows)
    parts = [f'<p class="note">{in_html(_origin(data))}</p>']
    parts += ["<h2>What was found</h2>", listed(summary["conclusions"])]
    parts += ["<h2>Results</h2>", results(made["columns"], len(labels(rows[0]))), _reading(rows)]
    if all(row.get("verdicts") and row.get("learned") for row in rows):
        bars = "".join(drawn.shares(row, name) for row, name in zip(rows, names, strict=True))
        parts.append(f'<h2>How the runs ended</h2><div class="card shares">{bars}</div>{_OF_BARS}')
    if settings:
        parts += ["<h2>Each setting</h2>", *_cards(data, names)]
    elif made.get("panels"):
        parts += ["<h2>The median run of each</h2>", *_panels(made["panels"], names)]
    head, tail = "".join(parts), _settings(data)
    used = len(_filled(data, head + tail))
    few, many = MAX_BYTES
    room = min(many, few + max(0, len(rows) - 10) * (many - few) // 90) - used
    return _filled(data, head + _pictures(pictures, room, bool(settings)) + tail)


def _filled(data: Mapping[str, Any], body: str) -> bytes:
    kept = {**data, "made": {name: value for name, value in data["made"].items() if name != "columns"}}
    return document(data["made"].get("question") or "Results of a sweep", body, kept)


def document(title: str, body: str, data: Any) -> bytes:
    """A page of its own.

    Args:
      title: as text.
      body: HTML, below the title.
      data: kept in the page as JSON, so that all numbers can be read back.
    """
    css, js = (_static(name) for name in ("report.css", "report.js"))
    title = in_html(title, 300)
    policy = "; ".join(f"{kind}-src 'sha256-{_hash(text)}'" for kind, text in {"style": css, "script": js}.items())
    return _PAGE.substitute(title=title, policy=policy, css=css, js=js, body=body, data=json_in_html(data)).encode()


@functools.cache
def _static(name: str) -> str:
    return resources.files("jgen1d.report").joinpath("static", name).read_text("utf-8").strip()


def _hash(text: str) -> str:
    """As a content security policy names what may be in a page."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _origin(data: Mapping[str, Any]) -> str:
    """What made the results, when and where."""
    made, config = data["made"], data["config"]
    devices = {kind: config.get("devices", []).count(kind) for kind in config.get("devices", [])}
    facts = [made.get("script"), made.get("date"), *(f"{count} × {kind}" for kind, count in devices.items())]
    seconds = data["summary"].get("seconds")
    facts += [f"{seconds:,.0f} s of training" if seconds else None]
    version = config.get("versions", {}).get("jgen1d")
    return " · ".join(filter(None, [*facts, f"jgen1d {version}" if version else None]))


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each row is about, in a few words: its texts, if these tell the rows apart, or all of its labels."""
    named = [{name: row[name] for name in labels(row)} for row in rows]
    texts = [", ".join(value for value in one.values() if isinstance(value, str) and value) for one in named]
    if len(set(texts)) == len(texts):
        return texts
    return [
        ", ".join(v if isinstance(v, str) and v else f"{TITLES.get(k, k)} {cell(v)}" for k, v in one.items())
        for one in named
    ]


def listed(texts: Sequence[str]) -> str:
    """Sentences, one below the other."""
    items = "".join(f"<li>{in_html(text)}</li>" for text in texts)
    return f'<ul class="findings">{items}</ul>' if items else "<p>The script draws no conclusion.</p>"


def results(columns: Sequence[Sequence[Any]], num_labels: int) -> str:
    """A script's table, of which a heading sorts the rows."""
    titles, cells = [column[0] for column in columns], [column[1] for column in columns]
    return table(titles, list(zip(*cells, strict=True)), num_labels, "Results", "wide sortable")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], num_labels: int, label: str, look: str) -> str:
    """A table in a box of its own, in which it scrolls."""
    kinds = [' class="name"' if i < num_labels else "" for i in range(len(titles))]
    head = "".join(f'<th scope="col"{kind}>{in_html(text, 60)}</th>' for text, kind in zip(titles, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{in_html(text)}</td>" for text, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    found = f'<table class="{look}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{in_html(label)}">{found}</div>'


def _reading(rows: Sequence[Mapping[str, Any]]) -> str:
    """How the table's numbers are to be read."""
    values = [value for row in rows for value in row.values() if isinstance(value, Mapping)]
    texts = []
    if any("share" in value for value in values) or any("verdicts" in row for row in rows):
        texts.append("Shares are of all seeds, with their Wilson 95 % interval in brackets.")
    if any("median" in value for value in values):
        texts.append("Other numbers are medians over seeds, with the 5th and the 95th percentile in brackets.")
    if any("w1_over_floor" in row for row in rows):
        texts.append("W1/floor is the distance from the target over that of a perfect sampler, which has about 1.")
    return f'<p class="note">{" ".join(texts)}</p>' if texts else ""


def _cards(data: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """For each (target, config) its drawings, and its best, median and worst seed."""
    made, settings = data["made"], data["settings"]
    floors = made.get("floors") or [None] * len(settings)
    panels = made.get("panels") or [{"unit": "data units"}] * len(settings)
    distances = drawn.distances(settings, floors, data["summary"]["thresholds"]["w1_over_std"])
    found = [drawn.legend(bool(made.get("panels")), any(floors))]
    for name, one, panel, distance in zip(names, settings, panels, distances, strict=True):
        figures = "".join([distance, *drawn.median_run(panel)])
        found.append(
            f'<section class="card"><h3>{in_html(name, 200)}</h3><div class="panels">{figures}</div>'
            f"{_seeds(one['runs'])}</section>"
        )
    if not made.get("panels"):
        found.append('<p class="note">What the models generate is not drawn here, because no samples were saved.</p>')
    return found


def _panels(panels: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """For each row what its median run generates."""
    found = [drawn.legend(has_distances=False)]
    for name, panel in zip(names, panels, strict=True):
        figures = "".join(drawn.median_run(panel))
        found.append(
            f'<section class="card"><h3>{in_html(name, 200)}</h3><div class="panels">{figures}</div></section>'
        )
    return found


def _seeds(runs: Mapping[str, Sequence[Any]]) -> str:
    """The best, the median and the worst run of a setting."""
    columns = [("best", "median", "worst"), *([_figure(value) for value in values] for values in runs.values())]
    titles = ["by W1", *(TITLES.get(name, name) for name in runs)]
    return table(titles, list(zip(*columns, strict=True)), 1, "Best, median and worst seed", "wide")


def _figure(value: Any) -> str:
    """A verdict or a number of one run."""
    return f"{value:,.0f}" if isinstance(value, float) and value >= 1_000 else cell(value).replace("_", " ")


def _pictures(paths: Mapping[str, Path], room: int, only_links: bool) -> str:
    """The script's pictures: inside of the page as long as there is room, and otherwise links to the files."""
    shown: list[str] = []
    beside: list[str] = []
    for name, path in paths.items():
        if Path(name).name != name or not path.is_file():
            continue
        link = f'<a href="{in_html(quote(name))}">{in_html(name)}</a>'
        drawing = "" if only_links else _embedded(path, in_html(Path(name).stem.replace("_", " ")), link, room - 300)
        room -= len(drawing)
        (shown if drawing else beside).append(drawing or link)
    if not shown and not beside:
        return ""
    which = "The script's own pictures are" if only_links else "Left out to keep this page small, but"
    text = f'<p class="note">{which} in the same folder: {", ".join(beside)}.</p>' if beside else ""
    return f"<h2>Pictures</h2>{''.join(shown)}{text}"


def _embedded(path: Path, title: str, link: str, room: int) -> str:
    """A picture as part of the page: without loss, or else smaller; nothing if there is no room even so."""
    from PIL import Image  # imported here because many reports have no pictures

    if path.suffix != ".png":  # an animation would be a still
        return ""
    try:
        with Image.open(path) as picture:
            whole = picture.convert("RGB")
    except OSError:  # damaged
        return ""
    small = whole.resize((_SMALL, round(whole.height * _SMALL / whole.width)), Image.Resampling.LANCZOS)
    ways: list[tuple[Any, dict[str, Any], str]] = [(whole, {"lossless": True}, "")]
    ways += [(small, {"quality": 85}, f'<p class="note">In full size: {link}</p>')] if whole.width > _SMALL else []
    for image, options, note in ways:
        content = io.BytesIO()
        image.save(content, "WebP", method=4, **options)
        code = f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
        found = f'<div class="card"><h3>{title}</h3><img class="picture" alt="{title}" src="{code}">{note}</div>'
        if len(found) <= room:
            return found
    return ""


def _settings(data: Mapping[str, Any]) -> str:
    """The command, flags, configs, versions and limits."""
    made, config, summary = data["made"], data["config"], data["summary"]
    parts = []
    if command := made.get("command"):
        parts.append(f"<h3>To run it again</h3><pre>{in_html(command)}</pre>")
    if flags := {name: value for name, value in config.get("flags", {}).items() if value is not None}:
        parts.append(f"<h3>Flags</h3>{_facts({f'--{name}': value for name, value in flags.items()})}")
    if notes := config.get("data"):
        parts.append(f"<h3>About the data</h3>{listed(notes)}")
    if configs := config.get("configs"):
        parts.append(_configs(configs, config.get("presets")))
    if thresholds := summary.get("thresholds"):
        parts.append(f"<h3>What the verdicts mean</h3><p>{in_html(str(Thresholds(**thresholds)))}.</p>")
    versions = {name: value for name, value in config.get("versions", {}).items() if value}
    versions |= {"commit": config["commit"]} if config.get("commit") else {}
    parts.append(f"<h3>Versions</h3>{_facts(versions)}")
    return f'<h2>Settings</h2><div class="settings">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def _configs(configs: Sequence[Mapping[str, Any]], presets: Sequence[str] | None) -> str:
    """The fields in which configs differ, as a table, and the others."""
    different = [name for name in configs[0] if any(one[name] != configs[0][name] for one in configs)]
    text = ""
    if different:
        names = presets or [f"config {i}" for i in range(1, len(configs) + 1)]
        rows = [[names[i], *(_value(one[name]) for name in different)] for i, one in enumerate(configs)]
        text = "<h3>Configs, where they differ</h3>" + table(["config", *different], rows, 1, "Configs", "wide")
    same = {name: value for name, value in configs[0].items() if name not in different}
    return f"{text}<details><summary>Fields that all configs share</summary>{_facts(same)}</details>"


def _facts(values: Mapping[str, Any]) -> str:
    return "<dl>" + "".join(f"<dt>{in_html(k)}</dt><dd>{in_html(_value(v))}</dd>" for k, v in values.items()) + "</dl>"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "()"
    return f"{value:g}" if isinstance(value, float) else str(value)
