"""The one model of a report: everything that the writers show, collected once.

It holds no case text and no person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from evenhand.errors import EstimateError
from evenhand.rates.improvement_areas import ImprovementArea, areas_in
from evenhand.rates.measure import OUTCOMES, Measure, Rates
from evenhand.rates.notes import Note
from evenhand.rates.question import Question
from evenhand.rates.reviewed_frame import with_periods
from evenhand.rates.table import EstimateTable, measure_draws, table_of
from evenhand.records.batches import DrawRecord, QueueProgress
from evenhand.records.columns import DOMAINS
from evenhand.records.improvement import Improvement
from evenhand.report.agreement import Agreement, agreement
from evenhand.report.confusions import ConfusionRate, confusion_rates
from evenhand.report.skipped import Skipped, skipped
from evenhand.statistics.change import Change, change
from evenhand.store import Store
from evenhand.wording.asked import Asked
from evenhand.wording.words import Names, day
from evenhand.workspace.workspace import Workspace

Unit = Literal["week", "month"]
#: What a report can be split by. Moderators are left out: a report is about guidance, tools and training, not
#: about people.
SPLITS = tuple(name for name in DOMAINS if name != "moderator_id")
DEFAULT_BY = ("market", "area", "language", "queue", "market+area")
TOP_CONFUSIONS = 10
_WEEKS = 26  # the longest period, in weeks, whose trend is by week


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days (UTC) on which decisions were made, both ends included."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{day(self.first)} to {day(self.last)}" if self.first < self.last else day(self.first)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One part of the trend: a week or month, or the part of it under one policy version."""

    start: date
    rates: Rates
    policy_version: str
    new_policy: bool  # the first part under a version that the period did not begin with


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rates by the columns `by`: first those measured, the highest on top; then the others by name."""

    by: tuple[str, ...]
    rows: tuple[Rates, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the period differs from another.

    `changes` are by outcome, and empty if there is no rate to compare with.
    """

    period: Period
    before: Rates | None
    changes: Mapping[str, Change]
    missing: str = ""  # why the other period has no rate


@dataclass(frozen=True, kw_only=True)
class VersionChange:
    """How the rate of all errors changed from one policy version of the period to the next."""

    before: Rates
    after: Rates
    effective_from: date
    found: Change


@dataclass(frozen=True, kw_only=True)
class Area:
    """An improvement area: it stands out now, somebody works on it, or both."""

    where: Mapping[str, str]
    found: ImprovementArea | None
    taken: Improvement | None


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A draw behind the figures, and how far its review is."""

    record: DrawRecord
    progress: QueueProgress


@dataclass(frozen=True, kw_only=True)
class Report:
    """Error rates of a period and what they rest on."""

    made_at: datetime
    question: Question
    period: Period
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
    # by area and decided label, where SMEs called the policy unclear; most cases first
    unclear: tuple[Rates, ...]
    # found by shares of decisions, as one SME would rule, for one look, whatever was asked
    areas: tuple[Area, ...]
    skipped: Skipped | None
    agreement: Agreement | None
    draws: tuple[Drawn, ...]
    model_versions: tuple[str, ...]
    policy_versions: tuple[str, ...]
    # the level asked for at a single look, so that the intervals hold with 0.95 at all the question's looks
    confidence: float
    notes: tuple[Note, ...]
    names: Names

    @property
    def asked(self) -> Asked:
        """The words for the report's question."""
        return Asked(question=self.question)

    @property
    def filters(self) -> Mapping[str, str]:
        """The filters that say which decisions the report is about."""
        return self.question.filters

    def split(self, *by: str) -> Split | None:
        """The split by these columns, if it was asked for."""
        return next((split for split in self.splits if split.by == by), None)


def collect(
    ws: Workspace,
    store: Store,
    question: Question | None = None,
    *,
    by: Sequence[str] = DEFAULT_BY,
    made_at: datetime,
    compare: tuple[date | None, date | None] | None = None,
    unit: Unit | None = None,
) -> Report:
    """Everything a report shows about the decisions of `question` (by default all decisions).

    The question's own `by` is not used. `by`: columns of SPLITS, crossed with "+". `compare` is another
    period, from its first day up to, not including, its last. Without it, the comparison is with the period
    of equal length before the question's, if that has a first day. Raises EstimateError if there is no draw,
    no ruling in the period or in the one named by `compare`, a column that cannot be split by, or if
    `estimate_draws` raises it.
    """
    question = question or Question()
    crossings = _crossings(by, question.filters)
    measure = measure_draws(ws, store, question)
    table = table_of(measure, store, by=("policy_version",))
    plain = Measure(store, measure.parts, Question(filters=question.filters))
    period = _period(measure)
    unit = unit or ("week" if period.last - period.first <= timedelta(weeks=_WEEKS) else "month")
    confusions, seen = confusion_rates(measure, top=TOP_CONFUSIONS)
    policies = store.policies()
    effective = {policy.version: policy.effective_from for policy in policies}
    return Report(
        made_at=made_at,
        question=question,
        period=period,
        overall=table.overall,
        comparison=_comparison(ws, store, table, period, compare),
        unit=unit,
        trend=_trend(store, measure, unit, effective),
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
        unclear=_unclear(measure),
        areas=_areas(store.improvements(), areas_in(plain)),
        skipped=skipped(ws, store, measure),
        agreement=agreement(measure, store),
        draws=tuple(
            Drawn(record=store.draw(draw_id), progress=store.progress(draw_id)) for draw_id in table.draws
        ),
        model_versions=table.model_versions,
        policy_versions=table.policy_versions,
        confidence=table.confidence,
        notes=table.notes,
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


def _period(measure: Measure) -> Period:
    """The window asked for; for an open end, the first or last day of the decisions in the frames."""
    asked = measure.question
    days = [part.frame.filter("inside")["decided_at"] for part in measure.parts]
    first = min(times.min() for times in days)  # type: ignore[type-var]  # no frame inside the window is empty
    last = max(times.max() for times in days)  # type: ignore[type-var]
    assert isinstance(first, datetime) and isinstance(last, datetime)
    end = asked.until - timedelta(days=1) if asked.until else last.date()
    return Period(first=asked.since or first.date(), last=end)


def _comparison(
    ws: Workspace,
    store: Store,
    table: EstimateTable,
    period: Period,
    compare: tuple[date | None, date | None] | None,
) -> Comparison | None:
    """Compare with the named period, which must have rulings, or with the one before, which may have none."""
    if compare is None and table.question.since is None:
        return None
    length = period.last - period.first + timedelta(days=1)
    start, end = compare or (period.first - length, period.first)
    if (start is None or start <= period.last) and (end is None or end > period.first):
        raise EstimateError(
            f"the period to compare with overlaps the report's own ({period}): the same decision would stand on both"
            " sides; name days before or after it"
        )
    try:
        other = measure_draws(ws, store, replace(table.question, since=start, until=end, by=()))
    except EstimateError as problem:
        if compare is not None:
            raise
        there = Period(first=period.first - length, last=period.first - timedelta(days=1))
        return Comparison(period=there, before=None, changes={}, missing=str(problem).split(";")[0])
    before = other.rates(())[0]
    changes = {name: change(getattr(before, name), getattr(table.overall, name)) for name in OUTCOMES}
    return Comparison(period=_period(other), before=before, changes=changes)


def _trend(store: Store, measure: Measure, unit: Unit, effective: Mapping[str, date]) -> tuple[Step, ...]:
    """The measure's rates by `unit` and policy version; its frames are not read again."""
    parts = [replace(part, frame=with_periods(part.frame, (unit,))) for part in measure.parts]
    by_time = Measure(store, parts, measure.question)
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


def _unclear(measure: Measure) -> tuple[Rates, ...]:
    """Findings about clauses: the labels where SMEs called the policy unclear."""
    found = [rates for rates in measure.rates(("area", "label")) if rates.policy_unclear.errors_found]
    return tuple(sorted(found, key=lambda rates: -rates.policy_unclear.errors_found))


def _areas(taken: Sequence[Improvement], found: Sequence[ImprovementArea]) -> tuple[Area, ...]:
    """First the areas in work, then those that nobody works on, then the closed ones."""
    now = {tuple(sorted(area.where.items())): area for area in found}
    at_work = [
        Area(where=one.where, found=now.pop(tuple(sorted(one.where.items())), None), taken=one)
        for one in taken
        if one.open
    ]
    free = [Area(where=area.where, found=area, taken=None) for area in now.values()]
    closed = [Area(where=one.where, found=None, taken=one) for one in taken if not one.open]
    return (*at_work, *free, *closed)
