"""The one model of a report: everything that the writers show, collected once. It holds no case text and no person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from evenhand.change import Change, change
from evenhand.error_rates import OUTCOMES, EstimateTable, Measure, Rates, estimate_draws, measure_draws
from evenhand.errors import EstimateError
from evenhand.frames import DOMAINS
from evenhand.improvement import ImprovementArea, find_areas
from evenhand.report.confusions import ConfusionRate, confusion_rates
from evenhand.report.words import Names, day
from evenhand.store import DrawRecord, Improvement, QueueProgress, Store
from evenhand.workspace import Workspace

Unit = Literal["week", "month"]
#: What a report can be split by. Moderators are left out: it is about guidance, tools and training, not about people.
SPLITS = tuple(name for name in DOMAINS if name != "moderator_id")
DEFAULT_BY = ("market", "area", "language", "queue", "market+area")
TOP_CONFUSIONS = 10
_WEEKS = 26  # of a period, up to which its trend is by week


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days (UTC) on which decisions were made, both ends included."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{day(self.first)} to {day(self.last)}" if self.first < self.last else day(self.first)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stretch of the trend: a week or month, or the part of it under one policy version."""

    start: date
    rates: Rates
    policy_version: str
    new_policy: bool  # the first stretch under a version that the period did not begin with


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rates by the columns `by`: those measured first, the highest on top; the others by name."""

    by: tuple[str, ...]
    rows: tuple[Rates, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the period differs from another; `changes` by outcome, empty where there is no ruling to compare with."""

    period: Period
    before: Rates | None
    changes: Mapping[str, Change]


@dataclass(frozen=True, kw_only=True)
class VersionChange:
    """What changed in all errors from one policy version of the period to the next."""

    before: Rates
    after: Rates
    effective_from: date
    found: Change


@dataclass(frozen=True, kw_only=True)
class Area:
    """An improvement area: what stands out now, what was taken up, or both."""

    where: Mapping[str, str]
    found: ImprovementArea | None
    taken: Improvement | None


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A draw behind the figures and how far its review is."""

    record: DrawRecord
    progress: QueueProgress


@dataclass(frozen=True, kw_only=True)
class Report:
    """Error rates of a period and what they rest on."""

    made_at: datetime
    period: Period
    filters: Mapping[str, str]
    overall: Rates
    comparison: Comparison | None
    unit: Unit
    trend: tuple[Step, ...]
    version_changes: tuple[VersionChange, ...]
    splits: tuple[Split, ...]
    languages: Split
    confusions: tuple[ConfusionRate, ...]
    confusions_seen: int
    areas: tuple[Area, ...]
    draws: tuple[Drawn, ...]
    model_versions: tuple[str, ...]
    policy_versions: tuple[str, ...]
    notes: tuple[str, ...]
    names: Names

    def split(self, *by: str) -> Split | None:
        """The split by these columns, if it was asked for."""
        return next((split for split in self.splits if split.by == by), None)


def collect(
    ws: Workspace,
    store: Store,
    *,
    made_at: datetime,
    since: date | None = None,
    until: date | None = None,
    compare: tuple[date | None, date | None] | None = None,
    by: Sequence[str] = DEFAULT_BY,
    filters: Mapping[str, str] | None = None,
    unit: Unit | None = None,
) -> Report:
    """Everything a report shows of the decisions made from `since` up to, not including, `until` (days, UTC).

    `compare` is the other period, in the same form; without it, the period of equal length before `since`, if `since` is given.
    `by`: columns of SPLITS, crossed with "+". Raises EstimateError where there is no draw, no ruling in the period or in the
    one named by `compare`, or a column that cannot be split by.
    """
    crossings = _crossings(by, filters)
    notes: list[str] = []
    measure = measure_draws(ws, store, since=since, until=until, filters=filters, notes=notes)
    period = _period(measure, since, until)
    unit = unit or ("week" if period.last - period.first <= timedelta(weeks=_WEEKS) else "month")
    table = estimate_draws(ws, store, by=(unit,), since=since, until=until, filters=filters)
    confusions, seen = confusion_rates(measure, top=TOP_CONFUSIONS)
    policies = store.policies()
    effective = {policy.version: policy.effective_from for policy in policies}
    return Report(
        made_at=made_at,
        period=period,
        filters=dict(filters or {}),
        overall=table.overall,
        comparison=_comparison(ws, store, table.overall, period, since, compare, filters),
        unit=unit,
        trend=_trend(table, unit, effective),
        version_changes=_version_changes(table, effective),
        splits=tuple(_split(measure, crossing) for crossing in crossings),
        languages=_split(measure, ("language",)),
        confusions=confusions,
        confusions_seen=seen,
        areas=_areas(
            store.improvements(),
            find_areas(ws, store, since=since, until=until, filters=filters, notes=notes),
        ),
        draws=tuple(
            Drawn(record=store.draw(draw_id), progress=store.progress(draw_id)) for draw_id in table.draws
        ),
        model_versions=table.model_versions,
        policy_versions=table.policy_versions,
        notes=tuple(dict.fromkeys((*table.notes, *notes))),
        names=Names(policies),
    )


def _crossings(by: Sequence[str], filters: Mapping[str, str] | None) -> list[tuple[str, ...]]:
    """`by` as tuples of columns, checked."""
    found = [tuple(dict.fromkeys(name.strip() for name in crossing.split("+"))) for crossing in by]
    for name in [*(name for crossing in found for name in crossing), *(filters or {})]:
        if name == "moderator_id":
            raise EstimateError(
                "a report tells nothing about single moderators: their error rates are no ranking of people;"
                f" use {', '.join(SPLITS)}"
            )
        if name not in SPLITS:
            raise EstimateError(f"a report has no column {name!r}; use {', '.join(SPLITS)}")
    return list(dict.fromkeys(found))


def _period(measure: Measure, since: date | None, until: date | None) -> Period:
    """The window asked for; where an end is open, the first or last day of the decisions in the frames."""
    days = [part.frame.filter("inside")["decided_at"] for part in measure.parts]
    first = min(times.min() for times in days)  # type: ignore[type-var]  # no frame inside the window is empty
    last = max(times.max() for times in days)  # type: ignore[type-var]
    assert isinstance(first, datetime) and isinstance(last, datetime)
    return Period(first=since or first.date(), last=until - timedelta(days=1) if until else last.date())


def _comparison(
    ws: Workspace,
    store: Store,
    overall: Rates,
    period: Period,
    since: date | None,
    compare: tuple[date | None, date | None] | None,
    filters: Mapping[str, str] | None,
) -> Comparison | None:
    """Against the period named, which must have rulings; else against the one before, which may have none."""
    if compare is None and since is None:
        return None
    notes: list[str] = []
    length = period.last - period.first + timedelta(days=1)
    start, end = compare or (period.first - length, period.first)
    if (start is None or start <= period.last) and (end is None or end > period.first):
        raise EstimateError(
            f"the period to compare with overlaps the report's own ({period}): the same decision would stand on both"
            " sides; name days before or after it"
        )
    try:
        measure = measure_draws(ws, store, since=start, until=end, filters=filters, notes=notes)
    except EstimateError:
        if compare is not None:
            raise
        before_first = Period(first=period.first - length, last=period.first - timedelta(days=1))
        return Comparison(period=before_first, before=None, changes={})
    before = measure.rates(())[0]
    changes = {name: change(getattr(before, name), getattr(overall, name)) for name in OUTCOMES}
    return Comparison(period=_period(measure, start, end), before=before, changes=changes)


def _trend(table: EstimateTable, unit: Unit, effective: Mapping[str, date]) -> tuple[Step, ...]:
    rows = sorted(
        table.domains,
        key=lambda rates: (rates.domain[unit], effective.get(rates.domain["policy_version"], date.max)),
    )
    steps: list[Step] = []
    seen: set[str] = set()
    for rates in rows:
        version = rates.domain["policy_version"]
        steps.append(
            Step(
                start=date.fromisoformat(rates.domain[unit]),
                rates=rates,
                policy_version=version,
                new_policy=bool(seen) and version not in seen,
            )
        )
        seen.add(version)
    return tuple(steps)


def _version_changes(table: EstimateTable, effective: Mapping[str, date]) -> tuple[VersionChange, ...]:
    known = [rates for rates in table.versions if rates.domain["policy_version"] in effective]
    known.sort(key=lambda rates: effective[rates.domain["policy_version"]])
    return tuple(
        VersionChange(
            before=before,
            after=after,
            effective_from=effective[after.domain["policy_version"]],
            found=change(before.total, after.total),
        )
        for before, after in zip(known, known[1:], strict=False)
    )


def _split(measure: Measure, by: tuple[str, ...]) -> Split:
    def place(rates: Rates) -> tuple[bool, float, tuple[str, ...]]:
        known = rates.total.status == "measured"
        return not known, -rates.total.rate if known else 0.0, tuple(rates.domain.values())

    return Split(by=by, rows=tuple(sorted(measure.rates(by), key=place)))


def _areas(taken: Sequence[Improvement], found: Sequence[ImprovementArea]) -> tuple[Area, ...]:
    """What is at work first, then what nobody has taken up, then what is closed."""
    now = {tuple(sorted(area.where.items())): area for area in found}
    at_work = [
        Area(where=one.where, found=now.pop(tuple(sorted(one.where.items())), None), taken=one)
        for one in taken
        if one.open
    ]
    free = [Area(where=area.where, found=area, taken=None) for area in now.values()]
    closed = [Area(where=one.where, found=None, taken=one) for one in taken if not one.open]
    return (*at_work, *free, *closed)
