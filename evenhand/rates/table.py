"""Turns draws and rulings into error rates: overall and by domain, with notes on what was left out.

Each error class has its own rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from evenhand.batches.population import decisions_in, unscored
from evenhand.errors import EstimateError
from evenhand.rates.measure import Measure, Rates
from evenhand.rates.notes import (
    Clustered,
    DailyLooks,
    NeverDrawn,
    Note,
    OutsideRates,
    SeveralVersions,
    StillComingIn,
    WeeklyLooks,
)
from evenhand.rates.question import Question
from evenhand.rates.reviewed_frame import Reviewed, choose_draws, reviewed, with_periods
from evenhand.statistics.estimator import Estimate
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace

_WIDENED = 1.1  # a note says so if clusters make the interval this many times wider


@dataclass(frozen=True, kw_only=True)
class EstimateTable:
    """The answer to a question: error rates of the decisions in the frames of `draws`."""

    question: Question
    overall: Rates
    domains: tuple[Rates, ...]
    draws: tuple[str, ...]
    model_versions: tuple[str, ...]
    policy_versions: tuple[str, ...]
    notes: tuple[Note, ...]
    versions: tuple[Rates, ...] = ()  # overall by policy version, if there is more than one
    confidence: float = (
        # the level asked for at a single look, so that the intervals hold with 0.95 at all the question's
        # looks
        0.95
    )

    @property
    def outside(self) -> OutsideRates | None:
        """The decisions of the period and filters that are in no rate; None if the rates cover all."""
        return next((note for note in self.notes if isinstance(note, OutsideRates)), None)

    def rows(self) -> list[dict[str, Any]]:
        """Flat rows for a table: overall first, then the domains; modelled rates have their own column."""
        rows, with_model = [], any(rates.modelled for rates in self.domains)
        for rates in (self.overall, *self.domains):
            total = rates.total
            name = {column: rates.domain.get(column, "all") for column in self.question.by} or {
                "domain": "all"
            }
            known = total.status == "measured"
            rows.append(
                {
                    **name,
                    "error rate": f"{total.rate:.1%}" if known else "not known yet",
                    "interval": f"{total.low:.1%} to {total.high:.1%}" if total.n_reviewed else "-",
                    "over": _short(rates.over_enforcement),
                    "under": _short(rates.under_enforcement),
                    "wrong label": _short(rates.wrong_policy),
                    "reviewed": total.n_reviewed,
                    "errors": total.errors_found,
                    "decisions": total.population,
                    "needed": total.reviews_needed,
                    **({"modelled": str(rates.modelled) if rates.modelled else "-"} if with_model else {}),
                }
            )
        return rows


def _short(estimate: Estimate) -> str:
    return f"{estimate.rate:.1%}" if estimate.status == "measured" else "-"


def estimate_draws(ws: Workspace, store: Store, question: Question | None = None) -> EstimateTable:
    """The error rates that a question asks for, from the rulings on drawn items; by default of all decisions.

    Raises EstimateError if there is no draw with a ruling, the window holds no ruling, named draws overlap,
    no exposure is known, or no panel ruled.
    """
    measure = measure_draws(ws, store, question)
    return table_of(measure, store, by=measure.question.by)


def measure_draws(ws: Workspace, store: Store, question: Question | None = None) -> Measure:
    """The measure behind `estimate_draws`, for questions with many splits; errors as there."""
    question = question or Question()
    draws, left_out = choose_draws(store, question.draws)
    found = [part for draw in draws if (part := reviewed(ws, store, draw, question)) is not None]
    if not found:
        raise EstimateError(_nothing(question))
    parts = [replace(part, frame=with_periods(part.frame, question.by)) for part in found]
    outside = _outside(ws, parts, question)
    return Measure(store, parts, question, notes=[*left_out, *outside])


def table_of(measure: Measure, store: Store, *, by: Sequence[str] = ()) -> EstimateTable:
    """The same as `estimate_draws`, from an existing measure, split by `by`."""
    parts, overall = measure.parts, measure.rates(())[0]
    versions = [row["policy_version"] for row, _ in measure.totals(("policy_version",))]
    return EstimateTable(
        question=replace(measure.question, by=tuple(by)),
        overall=overall,
        domains=tuple(measure.rates(by)) if by else (),
        draws=tuple(part.draw.draw_id for part in parts),
        model_versions=tuple(sorted({part.draw.model_version for part in parts})),
        policy_versions=tuple(versions),
        notes=(*measure.notes, *_looks(measure), *_of_table(overall, versions, by), *_never_drawn(store)),
        versions=tuple(measure.rates(("policy_version",))) if len(versions) > 1 else (),
        confidence=measure.confidence,
    )


def _looks(measure: Measure) -> Iterator[Note]:
    """How often the intervals may be looked at."""
    looks = measure.question.looks
    if looks.daily:
        yield DailyLooks(days=measure.days_of_rulings)
    elif looks.weeks is not None:
        yield WeeklyLooks(weeks=looks.weeks)
    elif any(part.done.height < part.draw.budget for part in measure.parts):
        yield StillComingIn()


def _of_table(overall: Rates, versions: Sequence[str], by: Sequence[str]) -> Iterator[Note]:
    if len(versions) > 1 and "policy_version" not in by:
        yield SeveralVersions(versions=tuple(versions))
    if overall.total.clustering > _WIDENED:
        yield Clustered(wider=overall.total.clustering)


def _never_drawn(store: Store) -> Iterator[Note]:
    if rulings := store.rulings().filter(pl.col("draw_id").is_null()).height:
        yield NeverDrawn(rulings=rulings)


def _outside(ws: Workspace, parts: Sequence[Reviewed], question: Question) -> Iterator[Note]:
    """What the frames leave out of the question's period and filters."""
    inside = sum(int(part.frame["inside"].sum()) for part in parts)
    decisions = decisions_in(ws, since=question.since, until=question.until, filters=question.filters)
    if decisions > inside:
        newest = max(parts, key=lambda part: part.draw.created_at).draw.model_version
        missing = unscored(ws, newest, since=question.since, until=question.until, filters=question.filters)
        yield OutsideRates(decisions=decisions, outside=decisions - inside, unscored=missing, model=newest)


def _nothing(question: Question) -> str:
    if question.since or question.until or question.filters:
        return (
            "no ruling on a drawn case of this period and filter; widen it, or rule on a batch that covers it"
        )
    return "no ruling on a drawn case yet; rule on some in the app (`evenhand app`), then ask again"
