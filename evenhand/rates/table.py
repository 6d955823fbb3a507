"""From draws and rulings to error rates: overall and by domain, error classes apart, with what was left out said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from evenhand.batches.population import DOMAINS, decisions_in, unscored
from evenhand.errors import EstimateError
from evenhand.rates.measure import OUTCOMES, Estimand, Measure, Rates, Weight
from evenhand.rates.reviewed_frame import PERIODS, Window, choose_draws, reviewed, with_periods
from evenhand.statistics.estimator import Estimate
from evenhand.statistics.repeated_looks import daily_confidence, weekly_confidence
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace

__all__ = [
    "OUTCOMES", "Estimand", "EstimateTable", "Measure", "Rates", "Weight", "estimate_draws", "measure_draws",
    "table_of",
]  # fmt: skip
ONE_LOOK = "one look"

_WIDENED = 1.1  # times wider for clusters, from which a note says so


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Decisions of a period and filters that are in no frame of the draws used, so that their rates say nothing of them."""

    decisions: int  # of the period and filters, in the lake
    outside: int
    unscored: Mapping[str, int]  # by policy version: without a score by the newest draw's model
    model: str

    def __str__(self) -> str:
        """What is outside, and why."""
        missing = sum(self.unscored.values())
        versions = ", ".join(f"{n:,} under {version}" for version, n in self.unscored.items())
        scored = f"{missing:,} have no score by {self.model} ({versions})" if missing else ""
        rest = self.outside - missing
        drawn = (
            f"{rest:,} were ruled on before their draw, came in after it, or wait for enough rulings"
            if rest > 0
            else ""
        )
        why = "; ".join(part for part in (scored, drawn) if part)
        return f"{self.outside:,} of {self.decisions:,} decisions of this period and filter are outside these rates: {why}"


@dataclass(frozen=True, kw_only=True)
class EstimateTable:
    """Error rates of the decisions in the frames of `draws`."""

    overall: Rates
    domains: tuple[Rates, ...]
    by: tuple[str, ...]
    draws: tuple[str, ...]
    model_versions: tuple[str, ...]
    policy_versions: tuple[str, ...]
    notes: tuple[str, ...]
    versions: tuple[Rates, ...] = ()  # overall by policy version, where there is more than one
    weight: Weight = "decisions"  # what a rate is a share of: decisions, or views
    estimand: Estimand = "sme"  # what one SME would overturn, or what a panel would
    since: date | None = None
    until: date | None = None  # exclusive
    looks: str = ONE_LOOK  # how often one may look at these intervals as rulings come in
    asked_confidence: float = 0.95  # what a single look was asked for, so that all those looks hold with 0.95
    outside: Outside | None = None  # decisions of the period and filters that the rates say nothing of

    def rows(self) -> list[dict[str, Any]]:
        """Flat rows for a table: overall first, then the domains; modelled rates, if any, in a column of their own."""
        rows, with_model = [], any(rates.modelled for rates in self.domains)
        for rates in (self.overall, *self.domains):
            total = rates.total
            name = {column: rates.domain.get(column, "all") for column in self.by} or {"domain": "all"}
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


def estimate_draws(
    ws: Workspace,
    store: Store,
    *,
    by: Sequence[str] = (),
    draw_ids: Sequence[str] | None = None,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
    weight: Weight = "decisions",
    estimand: Estimand = "sme",
    daily_looks: bool = False,
    weekly_looks: int | None = None,
) -> EstimateTable:
    """Error rates from the rulings on drawn items, overall and by any crossing of the DOMAINS and PERIODS.

    Without `draw_ids`: all draws with a ruling whose frames do not overlap, newest first. `since` up to, not including,
    `until` are days (UTC) on which decisions were made; `filters` like {"market": "TH"}. A split by day, week or month is cut
    at the boundaries of policy versions. `weight` "exposure": the share of views that went to wrongly decided content.
    `estimand` "panel": corrected for SME error by what a panel ruled. `daily_looks`: intervals that hold however often one
    looks while rulings come in, day after day; `weekly_looks`: at so many weekly looks (see `evenhand.statistics.repeated_looks`; not those of
    modelled rates). Raises EstimateError if there is no draw with a ruling,
    the window is empty, `by` names an unknown column, no exposure is known, no panel ruled, or both kinds of looks are asked for.
    """
    by, window = _asked(by, filters, since, until)
    notes: list[str] = []
    measure = _measured(ws, store, draw_ids, window, by, weight=weight, estimand=estimand, notes=notes)
    outside = outside_of(ws, measure, since=since, until=until, filters=filters)
    if outside is not None:
        notes.append(str(outside))
    table = table_of(measure, store, by=by, daily_looks=daily_looks, weekly_looks=weekly_looks, notes=notes)
    return replace(table, since=since, until=until, outside=outside)


def outside_of(
    ws: Workspace,
    measure: Measure,
    *,
    since: date | None,
    until: date | None,
    filters: Mapping[str, str] | None,
) -> Outside | None:
    """What the measure's frames leave out of a period and filters; None where nothing is left out."""
    inside = sum(int(part.frame["inside"].sum()) for part in measure.parts)
    decisions = decisions_in(ws, since=since, until=until, filters=filters)
    if decisions <= inside:
        return None
    newest = max(measure.parts, key=lambda part: part.draw.created_at).draw.model_version
    return Outside(
        decisions=decisions,
        outside=decisions - inside,
        unscored=unscored(ws, newest, since=since, until=until, filters=filters),
        model=newest,
    )


def table_of(
    measure: Measure,
    store: Store,
    *,
    by: Sequence[str] = (),
    daily_looks: bool = False,
    weekly_looks: int | None = None,
    notes: list[str],
) -> EstimateTable:
    """What `estimate_draws` gives, of a measure that is there already; from here on its intervals are for the looks asked for.

    `notes` are those of making the measure, and get more. Raises EstimateError if both kinds of looks are asked for.
    """
    parts = measure.parts
    looks = _said_looks(measure, store, notes, daily=daily_looks, weeks=weekly_looks)
    overall = measure.rates(())[0]
    versions = [row["policy_version"] for row, _ in measure.totals(("policy_version",))]
    _say_versions(versions, by, notes)
    _say_clusters(overall, notes)
    _say_not_drawn(store, notes)
    return EstimateTable(
        overall=overall,
        domains=tuple(measure.rates(by)) if by else (),
        by=tuple(by),
        draws=tuple(part.draw.draw_id for part in parts),
        model_versions=tuple(sorted({part.draw.model_version for part in parts})),
        policy_versions=tuple(versions),
        notes=tuple(notes),
        versions=tuple(measure.rates(("policy_version",))) if len(versions) > 1 else (),
        weight="decisions" if measure.samples[0].exposure is None else "exposure",
        estimand=measure.estimand,
        looks=looks,
        asked_confidence=measure.confidence,
    )


def _said_looks(measure: Measure, store: Store, notes: list[str], *, daily: bool, weeks: int | None) -> str:
    """Set the measure's confidence for the looks asked for; what they are, in words, for the reader and `notes`."""
    if daily and weeks is not None:
        raise EstimateError(
            "daily and weekly looks at once; daily looks hold at weekly ones too, so ask for one of them"
        )
    if daily:
        draws = [part.draw.draw_id for part in measure.parts]
        days = store.rulings().filter(pl.col("draw_id").is_in(draws))["ruled_at"].dt.date().n_unique()
        measure.confidence = daily_confidence(days)
        notes.append(f"intervals hold at every daily look together, {days} days of rulings so far")
        return "every daily look"
    if weeks is not None:
        measure.confidence = weekly_confidence(weeks)
        notes.append(f"intervals hold at {weeks} weekly looks together")
        return f"{weeks} weekly looks"
    if any(part.done.height < part.draw.budget for part in measure.parts):
        notes.append(
            "rulings still come in: each interval holds for one look; who looks again and again should ask for daily looks"
        )
    return ONE_LOOK


def measure_draws(
    ws: Workspace,
    store: Store,
    *,
    draw_ids: Sequence[str] | None = None,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
    weight: Weight = "decisions",
    estimand: Estimand = "sme",
    notes: list[str],
) -> Measure:
    """What `estimate_draws` measures with, for questions with many splits; arguments and errors as there."""
    by, window = _asked((), filters, since, until)
    return _measured(ws, store, draw_ids, window, by, weight=weight, estimand=estimand, notes=notes)


def _measured(
    ws: Workspace,
    store: Store,
    draw_ids: Sequence[str] | None,
    window: Window,
    by: Sequence[str],
    *,
    weight: Weight,
    estimand: Estimand,
    notes: list[str],
) -> Measure:
    parts = []
    for draw in choose_draws(store, draw_ids, notes):
        if (part := reviewed(ws, store, draw, window, notes)) is not None:
            parts.append(replace(part, frame=with_periods(part.frame, by)))
    if not parts:
        raise EstimateError(_nothing(window))
    return Measure(store, parts, weight=weight, estimand=estimand, notes=notes)


def _asked(
    by: Sequence[str], filters: Mapping[str, str] | None, since: date | None, until: date | None
) -> tuple[tuple[str, ...], Window]:
    """The split and the window, checked."""
    by = tuple(dict.fromkeys(by))
    if unknown := [name for name in by if name not in DOMAINS and name not in PERIODS]:
        raise EstimateError(f"cannot split by {unknown[0]!r}; use {', '.join((*DOMAINS, *PERIODS))}")
    if unknown := [name for name in filters or {} if name not in DOMAINS]:
        raise EstimateError(f"cannot filter by {unknown[0]!r}; use {', '.join(DOMAINS)}")
    if set(by) & set(PERIODS) and "policy_version" not in by:
        by = (*by, "policy_version")
    return by, Window(since=since, until=until, filters=filters)


def _nothing(window: Window) -> str:
    if window.since or window.until or window.filters:
        return (
            "no ruling on a drawn case of this period and filter; widen it, or rule on a batch that covers it"
        )
    return "no ruling on a drawn case yet; rule on some in the app (`evenhand app`), then ask again"


def _say_versions(versions: Sequence[str], by: Sequence[str], notes: list[str]) -> None:
    if len(versions) > 1 and "policy_version" not in by:
        notes.append(
            f"the frame spans policy versions {', '.join(versions)}; split by policy_version to see them apart"
        )


def _say_clusters(overall: Rates, notes: list[str]) -> None:
    wider = overall.total.clustering
    if wider > _WIDENED:
        notes.append(
            "errors come in clusters (one moderator, or one item that several decided): the overall standard error is"
            f" {wider:.2f} times what it would be without"
        )


def _say_not_drawn(store: Store, notes: list[str]) -> None:
    outside = store.rulings().filter(pl.col("draw_id").is_null()).height
    if outside:
        notes.append(
            f"{outside:,} rulings on cases never drawn are kept as gold for training, and out of these rates"
        )
