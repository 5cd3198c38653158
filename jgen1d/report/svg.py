"""How is a drawing put into a page? Bars and charts as SVG: small, because points are few and are whole numbers.

Colours are classes of the page's style sheet, so that they follow its light and its dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jgen1d.core.names import in_html

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 440, 130, 36, 16, 92
_INNER = (_WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)


def bar(shares: Sequence[tuple[str, float]], whisker: tuple[float, float], label: str) -> str:
    """Shares side by side, and below them a whisker.

    Args:
      shares: the class and the length of each part; they add up to 1.
      whisker: its ends, in [0, 1].
      label: what it shows, in words.
    """
    parts, end = [], 0.0
    for name, share in shares:
        if share:
            parts.append(f'<rect class="v {name}" x="{1000 * end:.0f}" width="{1000 * share:.0f}" height="20"/>')
            end += share
    low, high = (1000 * value for value in whisker)
    parts.append(f'<path class="whisker" d="M{low:.0f} 22v8m0-4H{high:.0f}m0-4v8"/>')
    opening = f'<svg class="bar" role="img" aria-label="{in_html(label)}" viewBox="0 0 1000 32"'
    return f'{opening} preserveAspectRatio="none">{"".join(parts)}</svg>'


def interval(low: float, middle: float, high: float, label: str) -> str:
    """An interval and its middle between −100 and 100, above a line that has a mark at 0.

    Args:
      low: its lower end.
      middle: the estimate.
      high: its upper end.
      label: what it shows, in words.
    """
    left, at, right = (5 * (100 + value) for value in (low, middle, high))
    axis = '<path class="whisker zero" d="M0 16H1000M500 2v28"/>'
    found = f'<path class="whisker" d="M{left:.0f} 10v12m0-6H{right:.0f}m0-6v12"/>'
    dot = f'<rect class="v learnt" x="{at - 5:.0f}" y="9" width="10" height="14"/>'
    opening = f'<svg class="bar" role="img" aria-label="{in_html(label)}" viewBox="0 0 1000 32"'
    return f'{opening} preserveAspectRatio="none">{axis}{found}{dot}</svg>'


class Frame(NamedTuple):
    """The axes of a chart: the ends of each, and whether y is logarithmic."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False

    def line(self, look: str, x: ArrayLike, y: ArrayLike) -> str:
        """A curve; it has gaps where y is not finite."""
        points = self._at(x, y)
        known = np.isfinite(points).all(axis=1)
        parts = np.split(points, 1 + np.flatnonzero(known[1:] != known[:-1]))
        drawn = "".join(_path(part.round().astype(int)) for part in parts if len(part) and np.isfinite(part).all())
        return f'<path class="{look}" d="{drawn}"/>' if drawn else ""

    def steps(self, look: str, heights: ArrayLike) -> str:
        """Bars of equal width over the whole of x, as one outline from 0."""
        tops = np.asarray(heights, np.float64)
        ends = self._at(np.linspace(*self.x, len(tops) + 1)[1:], tops)
        bars = "".join(f"V{y:.0f}H{x:.0f}" for x, y in ends)
        return f'<path class="{look}" d="M0 {_INNER[1]}{bars}V{_INNER[1]}"/>'

    def band(self, look: str, x: ArrayLike, low: ArrayLike, high: ArrayLike) -> str:
        """The area between two curves."""
        x, low, high = (np.asarray(values, np.float64) for values in (x, low, high))
        known = np.isfinite(low) & np.isfinite(high)
        return self.line(look, np.r_[x[known], x[known][::-1]], np.r_[low[known], high[known][::-1]])

    def level(self, look: str, y: float) -> str:
        """A line from left to right."""
        return self.line(look, self.x, [y, y])

    def dots(self, look: str, x: ArrayLike, y: ArrayLike) -> str:
        """Points, as round ends of lines without a length."""
        points = "".join(f"M{a:.0f} {b:.0f}h0" for a, b in self._at(x, y))
        return f'<path class="{look}" d="{points}"/>'

    def chart(self, label: str, marks: Sequence[str], xlabel: str, ylabel: str) -> str:
        """The whole drawing.

        Args:
          label: what it shows, in words.
          marks: from the methods above, the last on top.
          xlabel: of the x-axis.
          ylabel: of the y-axis.
        """
        width, height = _INNER
        xs, ys = _ticks(*self.x), _ticks(*self.y, self.log)
        px = self._at(xs, np.full(len(xs), self.y[0]))[:, 0]
        py = self._at(np.full(len(ys), self.x[0]), ys)[:, 1]
        grid = "".join(f"M0 {y:.0f}H{width}" for y in py)
        on_y = [f"{y:g}" for y in ys] if self.log else _numbers(ys)
        below = "".join(f'<text x="{at:.0f}">{text}</text>' for at, text in zip(px, _numbers(xs), strict=True))
        beside = "".join(f'<text y="{at:.0f}">{text}</text>' for at, text in zip(py, on_y, strict=True))
        texts = [f'<g transform="translate({_LEFT} {_TOP + height + 30})">{below}</g>']
        texts += [f'<g class="y" transform="translate({_LEFT - 10} {_TOP + 8})">{beside}</g>']
        texts += [f'<text x="{_LEFT + width / 2:.0f}" y="{_HEIGHT - 14}">{in_html(xlabel)}</text>']
        turned = f"rotate(-90 30 {_TOP + height / 2:.0f})"
        texts += [f'<text transform="{turned}" x="30" y="{_TOP + height / 2:.0f}">{in_html(ylabel)}</text>']
        inner = f'<svg x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}">'
        opening = f'<svg class="chart" role="img" aria-label="{in_html(label)}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        axes = f'<path class="grid" d="{grid}"/>{"".join(marks)}<path class="axis" d="M0 0V{height}H{width}"/>'
        return f"{opening}{inner}{axes}</svg>{''.join(texts)}</svg>"

    def _at(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Where points are on the paper, f64[n, 2], NaN if not drawn; what is far outside is just outside."""
        ends, heights = np.asarray(self.y, np.float64), np.array(y, np.float64)
        if self.log:
            heights[~(heights > 0)] = np.nan
            ends, heights = np.log10(ends), np.log10(heights)
        px = (np.asarray(x, np.float64) - self.x[0]) / (self.x[1] - self.x[0]) * _INNER[0]
        py = (ends[1] - heights) / (ends[1] - ends[0]) * _INNER[1]
        return np.clip(np.stack([px, py], axis=1), -50, np.array(_INNER) + 50)


def _path(points: np.ndarray) -> str:
    """A line through points i[n, 2], as moves from one to the next, which have few digits."""
    moves = "".join(f" {dx}{'' if dy < 0 else ' '}{dy}" for dx, dy in np.diff(points, axis=0))
    return f"M{points[0, 0]} {points[0, 1]}l{moves[1:] or '0 0'}"


def _ticks(low: float, high: float, log: bool = False) -> list[float]:
    """A few round numbers between two."""
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        parts = (1, 2, 5) if last - first <= 3 else (1,)
        found = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        return [value for value in found if low <= value <= high]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(part for part in (1, 2, 5, 10) if part * power >= rough * 0.999)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _numbers(ticks: Sequence[float]) -> list[str]:
    """With as many decimals as tell them apart."""
    step = min(np.diff(ticks), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    plain = decimals <= 4 and max(map(abs, ticks), default=0.0) < 1e12
    texts = (f"{value + 0.0:,.{decimals}f}" if plain else f"{value:.6g}" for value in ticks)
    return [text.replace("-", "−") for text in texts]
