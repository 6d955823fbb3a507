"""Small drawings for the page: an interval on a scale, and the trend.

Their colours come from the page's style sheet.
"""

from __future__ import annotations

from datetime import date
from html import escape

from evenhand.report.charts import Chart, scale, step_name, trend_chart
from evenhand.report.model import Report
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import said, shown

_WIDE, _TALL = 150.0, 18.0  # of an interval
_PLOT = (54.0, 34.0, 850.0, 262.0)  # of the trend: left, top, right, bottom
_SHAPES = 4  # of the marks, in the order of the policy versions


def interval(estimate: Estimate, highest: float, *, modelled: bool = False) -> str:
    """A point and its interval on a scale from 0 to `highest`.

    It is hollow and dashed if modelled, empty if unknown.
    """
    if estimate.status == "unknown":
        return ""

    def x(share: float) -> float:
        return round(3 + (_WIDE - 6) * min(share / highest, 1.0), 1)

    kind = "modelled" if modelled else "measured"
    low, high, rate, mid = x(estimate.low), x(estimate.high), x(estimate.rate), _TALL / 2
    return (
        f'<svg class="interval {kind}" viewBox="0 0 {_WIDE:g} {_TALL:g}" width="{_WIDE:g}" height="{_TALL:g}" aria-hidden="true">'
        f'<line class="base" x1="3" x2="{_WIDE - 3:g}" y1="{mid:g}" y2="{mid:g}"/>'
        f'<line class="span" x1="{low}" x2="{high}" y1="{mid:g}" y2="{mid:g}"/>'
        f'<circle class="dot" cx="{rate}" cy="{mid:g}" r="4.2"/></svg>'
    )


def trend(report: Report) -> str:
    """The error rate over time with its intervals; empty if none is known.

    Each policy version has a mark and a colour.
    """
    data = trend_chart(report)
    if data.empty:
        return ""
    left, top, right, bottom = _PLOT
    highest, step = scale(data)
    parts = [_scale(highest, step)]
    starts = len(data.categories)
    wide = (right - left) / starts
    every = -(-starts // 14)
    for number, name in enumerate(data.categories):
        if number % every == 0:
            x = left + wide * (number + 0.5)
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{bottom + 20:g}" text-anchor="middle">{escape(name)}</text>'
            )
    parts += _policy_marks(report, data)
    for number, one in enumerate(data.series):
        points = [
            (left + wide * (i + 0.5), rate, low, high)
            for i, (rate, low, high) in enumerate(zip(one.rate, one.low, one.high, strict=True))
            if rate is not None and low is not None and high is not None
        ]
        parts.append(_series(points, number % _SHAPES, highest))
    says = "; ".join(f"{step_name(s.start, report.unit)}: {said(s.rates.total)}" for s in report.trend)
    return f'<svg class="trend" viewBox="0 0 880 292" role="img" aria-label="{escape(data.title)}. {escape(says)}">{"".join(parts)}</svg>'


def legend(report: Report) -> list[tuple[str, str]]:
    """The mark of each policy version in the trend, as a drawing, with its name."""
    versions = dict.fromkeys(step.policy_version for step in report.trend)
    return [
        (
            f'<svg class="key v{n % _SHAPES}" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">{_mark(7, 7, n % _SHAPES)}</svg>',
            shown(version),
        )
        for n, version in enumerate(versions)
    ]


def _y(share: float, highest: float) -> float:
    _, top, _, bottom = _PLOT
    return bottom - (bottom - top) * share / highest


def _scale(highest: float, step: float) -> str:
    left, _, right, _ = _PLOT
    lines = []
    for number in range(round(highest / step) + 1):
        share, y = number * step, _y(number * step, highest)
        digits = 1 if step < 0.01 else 0
        lines.append(
            f'<line class="grid" x1="{left:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{left - 8:g}" y="{y + 4:.1f}" text-anchor="end">{share:.{digits}%}</text>'
        )
    return "".join(lines)


def _policy_marks(report: Report, data: Chart) -> list[str]:
    left, top, right, bottom = _PLOT
    wide = (right - left) / len(data.categories)
    marks = []
    for step in report.trend:
        if step.new_policy:
            at = left + wide * data.categories.index(step_name(step.start, report.unit))
            end = ' text-anchor="end"' if at > (left + right) / 2 else ""
            near = at - 6 if end else at + 6
            marks.append(
                f'<line class="policy" x1="{at:.1f}" x2="{at:.1f}" y1="{top - 14:g}" y2="{bottom:g}"/>'
                f'<text class="tick" x="{near:.1f}" y="{top - 12:g}"{end}>new policy version from {_day(step.start)}</text>'
            )
    return marks


def _day(start: date) -> str:
    return f"{start.day} {start:%b %Y}"


def _series(points: list[tuple[float, float, float, float]], number: int, highest: float) -> str:
    path = " ".join(f"{x:.1f},{_y(rate, highest):.1f}" for x, rate, _, _ in points)
    drawn = [f'<polyline class="path" points="{path}"/>']
    for x, rate, low, high in points:
        drawn.append(
            f'<line class="span" x1="{x:.1f}" x2="{x:.1f}" y1="{_y(low, highest):.1f}" y2="{_y(high, highest):.1f}"/>'
        )
        drawn.append(_mark(x, _y(rate, highest), number))
    return f'<g class="v{number}">{"".join(drawn)}</g>'


def _mark(x: float, y: float, number: int) -> str:
    """A circle, square, diamond or triangle: the shape tells versions apart without colour."""
    if number == 0:
        return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.6"/>'
    corners = (
        ((-4.4, -4.4), (4.4, -4.4), (4.4, 4.4), (-4.4, 4.4)),
        ((0, -6), (6, 0), (0, 6), (-6, 0)),
        ((0, -6), (5.6, 4.6), (-5.6, 4.6)),
    )
    at = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[number - 1])
    return f'<polygon class="dot" points="{at}"/>'
