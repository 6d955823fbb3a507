"""The one model of a report: everything that the writers show, collected once. It holds no case text and no person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from evenhand.batches.population import DOMAINS
from evenhand.errors import EstimateError
from evenhand.rates.improvement_areas import ImprovementArea, areas_in
from evenhand.rates.reviewed_frame import with_periods
from evenhand.rates.table import (
    OUTCOMES,
    Estimand,
    EstimateTable,
    Measure,
    Rates,
    Weight,
    measure_draws,
    outside_of,
    table_of,
)
from evenhand.report.agreement import Agreement, agreement
from evenhand.report.confusions import ConfusionRate, confusion_rates
from evenhand.report.skipped import Skipped, skipped
from evenhand.statistics.change import Change, change
from evenhand.store import DrawRecord, Improvement, QueueProgress, Store
from evenhand.wording.basis import Basis
from evenhand.wording.words import Names, day
from evenhand.workspace.workspace import Workspace

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
    """How the period differs from another; `changes` by outcome, empty where there is nothing to compare with."""

    period: Period
    before: Rates | None
    changes: Mapping[str, Change]
    missing: str = ""  # why there is no rate of it


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
    basis: Basis
    overall: Rates
    comparison: Comparison | None
    unit: Unit
    trend: tuple[Step, ...]
    version_changes: tuple[VersionChange, ...]
    splits: tuple[Split, ...]
    languages: Split
    enforced: Mapping[str, float]  # share of the decisions or views that enforce, by language; "" for all
    confusions: tuple[ConfusionRate, ...]
    confusions_seen: int
    areas: tuple[
        Area, ...
    ]  # found by shares of decisions, as one SME would rule, for one look, whatever the basis
    skipped: Skipped | None
    agreement: Agreement | None
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
    weight: Weight = "decisions",
    estimand: Estimand = "sme",
    daily_looks: bool = False,
    weekly_looks: int | None = None,
) -> Report:
    """Everything a report shows of the decisions made from `since` up to, not including, `until` (days, UTC).

    `compare` is the other period, in the same form; without it, the period of equal length before `since`, if `since` is given.
    `by`: columns of SPLITS, crossed with "+". `weight`, `estimand`, `daily_looks` and `weekly_looks` as of
    `evenhand.rates.table.estimate_draws`. Raises EstimateError where there is no draw, no ruling in the period or in the
    one named by `compare`, a column that cannot be split by, or what `estimate_draws` refuses.
    """
    crossings = _crossings(by, filters)

    def measured(first: date | None, last: date | None, said: list[str]) -> Measure:
        return measure_draws(
            ws, store, since=first, until=last, filters=filters, weight=weight, estimand=estimand, notes=said
        )

    def tabled(found: Measure, said: list[str]) -> EstimateTable:
        by = ("policy_version",)
        return table_of(found, store, by=by, daily_looks=daily_looks, weekly_looks=weekly_looks, notes=said)

    def other(first: date | None, last: date | None) -> tuple[Period, Rates]:
        found = measured(first, last, [])
        return _period(found, first, last), tabled(found, []).overall

    notes: list[str] = []
    measure = measured(since, until, notes)
    if (outside := outside_of(ws, measure, since=since, until=until, filters=filters)) is not None:
        notes.append(str(outside))
    usual = weight == "decisions" and estimand == "sme"
    plain = measure if usual else Measure(store, measure.parts, weight="decisions", estimand="sme", notes=[])
    areas = areas_in(plain, filters)  # before the looks widen the measure's intervals
    table = tabled(measure, notes)
    period = _period(measure, since, until)
    unit = unit or ("week" if period.last - period.first <= timedelta(weeks=_WEEKS) else "month")
    basis = Basis(
        weight=weight, estimand=estimand, looks=table.looks, asked_confidence=table.asked_confidence
    )
    confusions, seen = confusion_rates(measure, top=TOP_CONFUSIONS)
    policies = store.policies()
    effective = {policy.version: policy.effective_from for policy in policies}
    return Report(
        made_at=made_at,
        period=period,
        filters=dict(filters or {}),
        basis=basis,
        overall=table.overall,
        comparison=_comparison(other, table.overall, period, since, compare),
        unit=unit,
        trend=_trend(store, measure, basis, unit, effective),
        version_changes=_version_changes(table, effective),
        splits=tuple(_split(measure, crossing) for crossing in crossings),
        languages=_split(measure, ("language",)),
        enforced={
            domain.get("language", ""): share
            for by in ((), ("language",))
            for domain, share in measure.enforced(by)
        },
        confusions=confusions,
        confusions_seen=seen,
        areas=_areas(store.improvements(), areas),
        skipped=skipped(ws, store, measure, weight),
        agreement=agreement(measure, store),
        draws=tuple(
            Drawn(record=store.draw(draw_id), progress=store.progress(draw_id)) for draw_id in table.draws
        ),
        model_versions=table.model_versions,
        policy_versions=table.policy_versions,
        notes=tuple(dict.fromkeys(table.notes)),
        names=Names(policies, table.policy_versions),
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
    other: Callable[[date | None, date | None], tuple[Period, Rates]],
    overall: Rates,
    period: Period,
    since: date | None,
    compare: tuple[date | None, date | None] | None,
) -> Comparison | None:
    """Against the period named, which must have rulings; else against the one before, which may have none."""
    if compare is None and since is None:
        return None
    length = period.last - period.first + timedelta(days=1)
    start, end = compare or (period.first - length, period.first)
    if (start is None or start <= period.last) and (end is None or end > period.first):
        raise EstimateError(
            f"the period to compare with overlaps the report's own ({period}): the same decision would stand on both"
            " sides; name days before or after it"
        )
    try:
        there, before = other(start, end)
    except EstimateError as problem:
        if compare is not None:
            raise
        there = Period(first=period.first - length, last=period.first - timedelta(days=1))
        return Comparison(period=there, before=None, changes={}, missing=str(problem).split(";")[0])
    changes = {name: change(getattr(before, name), getattr(overall, name)) for name in OUTCOMES}
    return Comparison(period=there, before=before, changes=changes)


def _trend(
    store: Store, measure: Measure, basis: Basis, unit: Unit, effective: Mapping[str, date]
) -> tuple[Step, ...]:
    """The measure's rates by `unit` and policy version; its frames are not read again."""
    parts = [replace(part, frame=with_periods(part.frame, (unit,))) for part in measure.parts]
    by_time = Measure(store, parts, weight=basis.weight, estimand=basis.estimand, notes=[])
    by_time.confidence = measure.confidence
    rows = sorted(
        by_time.rates((unit, "policy_version")),
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
