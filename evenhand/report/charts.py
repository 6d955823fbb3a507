"""The data of a report's charts: categories, values and intervals. Unknown rates are gaps, with words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from evenhand.rates.measure import Rates
from evenhand.report.model import Report, Split, Unit
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import KINDS, UNKNOWN, percent, shown

_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, kw_only=True)
class Series:
    """Rates in the order of the chart's categories, as fractions; None if a rate is not known."""

    name: str
    rate: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    reviewed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart, ready to be drawn in any format."""

    title: str
    axis: str
    categories: tuple[str, ...]
    series: tuple[Series, ...]

    @property
    def empty(self) -> bool:
        """Whether none of its rates is known, so that there is nothing to draw."""
        return all(rate is None for one in self.series for rate in one.rate)


def ceiling(ends: Sequence[float]) -> tuple[float, float]:
    """The end of an axis of rates, and the step between its marks, as fractions.

    The highest of `ends` fits on the axis.

    >>> ceiling([0.02, 0.09])
    (0.1, 0.02)
    """
    highest = max(ends, default=0.05)
    step = next((step for step in _STEPS if highest <= 6 * step), _STEPS[-1])
    return round(step * max(math.ceil(round(highest / step, 9)), 1), 4), step


def scale(chart: Chart) -> tuple[float, float]:
    """The same as `ceiling`, for the intervals of a chart."""
    return ceiling([high for one in chart.series for high in one.high if high is not None])


def trend_chart(report: Report) -> Chart:
    """The error rate over time. Each policy version is a series: a change of policy is no slope."""
    starts = _steps(sorted({step.start for step in report.trend}), report.unit)
    versions = list(dict.fromkeys(step.policy_version for step in report.trend))
    found = {(step.start, step.policy_version): step.rates.total for step in report.trend}
    return Chart(
        title=f"Error rate by {report.unit}, {_interval(report)}",
        axis=_axis(report),
        categories=tuple(step_name(start, report.unit) for start in starts),
        series=tuple(
            _series(f"policy {shown(version)}", [found.get((start, version)) for start in starts])
            for version in versions
        ),
    )


def step_name(start: date, unit: Unit) -> str:
    """The label of one part of the trend, in a few letters.

    >>> step_name(date(2026, 3, 2), "week"), step_name(date(2026, 3, 1), "month")
    ('2 Mar', 'Mar 2026')
    """
    return f"{start.day} {start:%b}" if unit == "week" else f"{start:%b %Y}"


def split_chart(
    report: Report, split: Split, rows: Sequence[Rates], *, limit: int = 40, figures: bool = False
) -> Chart:
    """All errors of these rows of a split, as bars with intervals; names longer than `limit` are shortened.

    With `figures` each name includes its rate and interval, for a place without a table beside the chart.
    """
    return Chart(
        title=f"Error rate {_interval(report)}",
        axis=_axis(report),
        categories=tuple(_category(report, split, rates, limit, figures=figures) for rates in rows),
        series=(_series("error rate", [rates.total for rates in rows]),),
    )


def kinds_chart(report: Report, split: Split, rows: Sequence[Rates], *, limit: int = 40) -> Chart:
    """Over-enforcement, under-enforcement and wrong labels side by side, never on top of each other."""
    return Chart(
        title=f"Kinds of error {_interval(report)}, shares of all {report.asked.unit} (no bar: not known yet)",
        axis=_axis(report),
        categories=tuple(
            f"{_name(report, split, rates, limit)} (n {rates.total.n_reviewed:,})" for rates in rows
        ),
        series=tuple(_series(name, [getattr(rates, kind) for rates in rows]) for kind, name in KINDS.items()),
    )


def _interval(report: Report) -> str:
    """The words for a chart's intervals, and for its rates if they are not the usual ones."""
    line = report.asked.line()
    return "with 95% interval" + (f" ({line})" if line else "")


def _axis(report: Report) -> str:
    return f"share of {report.asked.unit}"


def shortened(text: str, limit: int) -> str:
    """`text`; if it is longer than `limit` characters, cut to that length with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _category(report: Report, split: Split, rates: Rates, limit: int, *, figures: bool = False) -> str:
    total = rates.total
    name = shortened(
        " · ".join(report.names.value(column, rates.domain[column]) for column in split.by), limit
    )
    if total.status != "measured":
        return f"{name}: {UNKNOWN} (n {total.n_reviewed:,})"
    if figures:
        span = f"{percent(total.low)} to {percent(total.high)}"
        return f"{name}: {percent(total.rate)} ({span}, n {total.n_reviewed:,})"
    return f"{name} (n {total.n_reviewed:,})"


def _name(report: Report, split: Split, rates: Rates, limit: int) -> str:
    return shortened(
        " · ".join(report.names.value(column, rates.domain[column]) for column in split.by), limit
    )


def _series(name: str, estimates: Sequence[Estimate | None]) -> Series:
    known = [e if e is not None and e.status == "measured" else None for e in estimates]
    return Series(
        name=name,
        rate=tuple(e.rate if e else None for e in known),
        low=tuple(e.low if e else None for e in known),
        high=tuple(e.high if e else None for e in known),
        reviewed=tuple(e.n_reviewed if e else 0 for e in estimates),
    )


def _steps(starts: Sequence[date], unit: Unit) -> list[date]:
    """All weeks or months from the first to the last of `starts`.

    So a gap in the data is a gap in the chart.
    """
    found = [starts[0]]
    while found[-1] < starts[-1]:
        last = found[-1]
        found.append(
            last + timedelta(weeks=1) if unit == "week" else (last + timedelta(days=32)).replace(day=1)
        )
    return found
