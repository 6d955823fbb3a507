"""From draws and rulings to error rates: overall and by domain, error classes apart, with what was left out said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from operator import add
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.cells import Cut, cut_frames
from evenhand.errors import EstimateError
from evenhand.estimation import (
    Estimate,
    SecondPhase,
    Totals,
    calibrated,
    estimates,
    frame_totals,
    sample_totals,
)
from evenhand.frames import DOMAINS
from evenhand.hierarchical import in_bins, modelled_rates
from evenhand.panel import panel_phase
from evenhand.reviewed import PERIODS, Reviewed, Window, choose_draws, reviewed, with_periods
from evenhand.sequential import daily_confidence, weekly_confidence
from evenhand.store import Store
from evenhand.two_phase import second_phase
from evenhand.workspace import Workspace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Weight = Literal["decisions", "exposure"]
Estimand = Literal["sme", "panel"]
ONE_LOOK = "one look"

#: Outcome -> the frame column that says where it can occur. They are never netted against each other.
OUTCOMES: dict[str, str | None] = {
    "total": None,
    "over_enforcement": "may_over",
    "under_enforcement": "may_under",
    "wrong_policy": "may_wrong",
    "policy_unclear": None,
}
#: What errors may come in clusters by. The first is one person, the others one item that many saw.
CLUSTERED_BY = ("moderator_id", "text_hash", "conversation_id")
_WIDENED = 1.1  # times wider for clusters, from which a note says so
_ALSO = tuple(name for name in DOMAINS if name != "moderator_id")  # what cells are cut by if they stay few
_MODELLED = ("market", "area")  # the crossing that the hierarchical model knows


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The error rates of one domain; `policy_unclear` is nobody's error and not in `total`."""

    domain: Mapping[str, str]  # empty for overall
    total: Estimate
    over_enforcement: Estimate
    under_enforcement: Estimate
    wrong_policy: Estimate
    policy_unclear: Estimate
    modelled: Estimate | None = (
        None  # of `total`, where it is not known yet: from a model, never for a ranking
    )


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
    looks while rulings come in, day after day; `weekly_looks`: at so many weekly looks (see `evenhand.sequential`; not those of
    modelled rates). Raises EstimateError if there is no draw with a ruling,
    the window is empty, `by` names an unknown column, no exposure is known, no panel ruled, or both kinds of looks are asked for.
    """
    by, window = _asked(by, filters, since, until)
    notes: list[str] = []
    if daily_looks and weekly_looks is not None:
        raise EstimateError(
            "daily and weekly looks at once; daily looks hold at weekly ones too, so ask for one of them"
        )
    measure = _measured(ws, store, draw_ids, window, by, weight=weight, estimand=estimand, notes=notes)
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
        by=by,
        draws=tuple(part.draw.draw_id for part in parts),
        model_versions=tuple(sorted({part.draw.model_version for part in parts})),
        policy_versions=tuple(versions),
        notes=tuple(notes),
        versions=tuple(measure.rates(("policy_version",))) if len(versions) > 1 else (),
        weight=weight,
        estimand=estimand,
        since=since,
        until=until,
        looks=looks,
        asked_confidence=measure.confidence,
    )


def _said_looks(measure: Measure, store: Store, notes: list[str], *, daily: bool, weeks: int | None) -> str:
    """Set the measure's confidence for the looks asked for; what they are, in words, for the reader and `notes`."""
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
    notes: list[str],
) -> Measure:
    """What `estimate_draws` measures with, for questions with many splits; same arguments and errors."""
    by, window = _asked((), filters, since, until)
    return _measured(ws, store, draw_ids, window, by, weight="decisions", estimand="sme", notes=notes)


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


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """One draw as the estimator takes it: arrays over the frame, and over the reviewed in the order of `done`."""

    part: Reviewed
    place: Ints
    exposure: Floats | None
    clusters: tuple[Ints, ...]
    label: pl.DataFrame  # of the reviewed, the SME's and, with a panel, its own


class Measure:
    """The rates of the chosen frames for one weight and estimand, by any split."""

    def __init__(
        self,
        store: Store,
        parts: Sequence[Reviewed],
        *,
        weight: Weight,
        estimand: Estimand,
        notes: list[str],
    ) -> None:
        self.estimand = estimand
        self.confidence = 0.95
        self._periods = [name for name in PERIODS if parts and name in parts[0].frame.columns]
        self.parts = tuple(parts)
        self.samples: list[_Sample] = []
        self._cuts: list[Cut] = []
        self._fits: dict[tuple[int, str], tuple[float, float]] = {}
        self._sums: dict[tuple[tuple[str, ...], str], Totals] = {}
        for part in parts:
            if part.frame.is_empty() or part.done.is_empty():
                continue
            done = part.done
            if estimand == "panel":
                done = panel_phase(store, part, done, notes)
            self.samples.append(
                _Sample(
                    part=part,
                    place=done["place"].to_numpy().astype(np.int64),
                    exposure=_exposure(part, notes) if weight == "exposure" else None,
                    clusters=tuple(_cluster_codes(done[name]) for name in CLUSTERED_BY),
                    label=done,
                )
            )
        if not self.samples:
            raise EstimateError(
                "too few rulings in every market to tell a rate yet; rule on more of the batch"
            )
        if estimand == "panel" and not any(s.label["panel_answered"].any() for s in self.samples):
            raise EstimateError(
                "no panel has ruled on these draws; list its queue with `evenhand panel`, take its rulings in with"
                " `evenhand ingest rulings FILE --draw DRAW --panel`, or ask for what one SME would overturn"
            )

    def rates(self, by: Sequence[str]) -> list[Rates]:
        """One Rates a domain of the split `by` inside the window; one of everything for an empty split."""
        names, found = self._estimates(by, OUTCOMES)
        rows = names.iter_rows(named=True) if names is not None else iter([{}])
        rates = [
            Rates(
                domain={column: str(row[column]) for column in by},
                **{outcome: every[i] for outcome, every in found.items()},
            )
            for i, row in enumerate(rows)
        ]
        return self._with_model(rates, by, names) if set(by) == set(_MODELLED) else rates

    def totals(self, by: Sequence[str]) -> list[tuple[dict[str, str], Estimate]]:
        """The rate of all errors in each domain of the split `by`, without the kinds of error: faster than `rates`."""
        names, found = self._estimates(by, ("total",))
        rows = names.iter_rows(named=True) if names is not None else iter([{}])
        return [
            ({column: str(row[column]) for column in by}, e)
            for row, e in zip(rows, found["total"], strict=True)
        ]

    def errors(self) -> pl.DataFrame:
        """The reviewed decisions inside the window that were overturned, and how many decisions each stands for.

        Columns decision_id, draw_id, DOMAINS, ruled_label, weight (1 / inclusion probability).
        """
        found = []
        for sample in self.samples:
            rows = sample.part.frame.select(*DOMAINS, "inside", "pi")[sample.place]
            wrong = _outcome(sample.label, "total", "ruled_label", "error_class") > 0
            rows = rows.select(
                sample.label["decision_id"],
                pl.all(),
                sample.label["ruled_label"],
                pl.lit(sample.part.draw.draw_id).alias("draw_id"),
                (1 / pl.col("pi")).alias("weight"),
            )
            found.append(rows.filter(pl.Series(wrong) & rows["inside"]).drop("inside", "pi"))
        return pl.concat(found)

    def _estimates(
        self, by: Sequence[str], outcomes: Iterable[str]
    ) -> tuple[pl.DataFrame | None, dict[str, list[Estimate]]]:
        """The domains of the split inside the window, and for each outcome an Estimate a domain."""
        cut = self._cut(by)
        names, group = cut.domains(by)
        domains = names.height if by else 1
        found = {}
        for outcome in outcomes:
            totals = self._frame_totals(cut, outcome).grouped(group, domains + 1)
            for i in range(len(self.samples)):
                totals = totals + self._sample_totals(
                    i, outcome, group[cut.code[i][self.samples[i].place]], domains + 1
                )
            found[outcome] = estimates(totals, confidence=self.confidence)[:domains]
        return (names if by else None), found

    def _cut(self, by: Sequence[str]) -> Cut:
        """The frames cut into cells fine enough for the split; the first cut is as fine as memory allows."""
        for cut in self._cuts:
            if set(by) <= set(cut.columns):
                return cut
        frames = [sample.part.frame for sample in self.samples]
        self._cuts.append(cut_frames(frames, by, also=[*self._periods, *_ALSO]))
        return self._cuts[-1]

    def _frame_totals(self, cut: Cut, outcome: str) -> Totals:
        """The sums over the frames by cell of the cut: one pass, and every split is a sum of them."""
        key = (cut.columns, outcome)
        if key not in self._sums:
            parts = [
                frame_totals(
                    sample.part.frame["p_overturn"].to_numpy(),
                    sample.part.frame["pi"].to_numpy(),
                    self._fit(i, outcome),
                    domain=cut.code[i],
                    domains=cut.names.height + 1,
                    possible=self._possible(sample, outcome),
                    exposure=sample.exposure,
                )
                for i, sample in enumerate(self.samples)
            ]
            self._sums[key] = reduce(add, parts)
        return self._sums[key]

    def _sample_totals(self, i: int, outcome: str, domain: Ints, domains: int) -> Totals:
        sample = self.samples[i]
        rows = sample.part.frame.select("p_overturn", "pi")[sample.place]
        return sample_totals(
            rows["p_overturn"].to_numpy(),
            rows["pi"].to_numpy(),
            _outcome(sample.label, outcome, "ruled_label", "error_class"),
            self._fit(i, outcome),
            domain=domain,
            domains=domains,
            possible=self._possible(sample, outcome, sample.place),
            exposure=None if sample.exposure is None else sample.exposure[sample.place],
            clusters=sample.clusters,
            second=self._second(sample, outcome),
        )

    def _fit(self, i: int, outcome: str) -> tuple[float, float]:
        if (i, outcome) not in self._fits:
            sample = self.samples[i]
            rows = sample.part.frame.select("p_overturn", "pi")[sample.place]
            self._fits[i, outcome] = calibrated(
                rows["p_overturn"].to_numpy(),
                rows["pi"].to_numpy(),
                _outcome(sample.label, outcome, "ruled_label", "error_class"),
                self._possible(sample, outcome, sample.place),
            )
        return self._fits[i, outcome]

    def _possible(self, sample: _Sample, outcome: str, place: Ints | None = None) -> Bools | None:
        """Where the outcome can occur at all, in the frame or at the places given; None for everywhere."""
        name = OUTCOMES[outcome]
        if name is None:
            return None
        column = sample.part.frame[name] if place is None else sample.part.frame[name][place]
        return column.fill_null(False).to_numpy()

    def _second(self, sample: _Sample, outcome: str) -> SecondPhase | None:
        if self.estimand != "panel":
            return None
        return second_phase(
            sample.label["overturned"].to_numpy(),
            sample.label["panel_chance"].to_numpy(),
            sample.label["panel_asked"].to_numpy(),
            sample.label["panel_answered"].to_numpy(),
            _outcome(sample.label, outcome, "panel_label", "panel_class"),
        )

    def _with_model(self, rates: list[Rates], by: Sequence[str], names: pl.DataFrame | None) -> list[Rates]:
        """Cells of market and area that are not known yet, with what the hierarchical model says of them."""
        if names is None or all(cell.total.status == "measured" for cell in rates):
            return rates
        cut = self._cut(by)
        group = cut.domains(by)[1]
        p, code, reviewed_p, reviewed_code, y = [], [], [], [], []
        for i, sample in enumerate(self.samples):
            scores, cell = sample.part.frame["p_overturn"].to_numpy(), group[cut.code[i]]
            inside = cell < names.height
            p.append(scores[inside])
            code.append(cell[inside])
            there = inside[sample.place]
            reviewed_p.append(scores[sample.place][there])
            reviewed_code.append(cell[sample.place][there])
            y.append(_outcome(sample.label, "total", "ruled_label", "error_class")[there])
        market, area = (
            (names[name].rank("dense").to_numpy() - 1).astype(np.int64) for name in ("market", "area")
        )
        cells = in_bins(np.concatenate(p), np.concatenate(code), market=market, area=area)
        found = modelled_rates(
            cells, np.concatenate(reviewed_p), np.concatenate(reviewed_code), np.concatenate(y)
        )
        return [
            replace(cell, modelled=_modelled(cell.total, *(float(value[i]) for value in found)))
            if cell.total.status == "unknown"
            else cell
            for i, cell in enumerate(rates)
        ]


def _modelled(direct: Estimate, rate: float, low: float, high: float) -> Estimate:
    return replace(
        direct, rate=rate, low=low, high=high, n_eff=None, method="hierarchical", status="modelled"
    )


def _exposure(part: Reviewed, notes: list[str]) -> Floats:
    """Views of each decision of the frame; those without a figure count as unseen, and `notes` says how many."""
    views = part.frame["exposure"]
    missing = views.null_count()
    if missing == len(views) or not (views.sum() or 0) > 0:
        raise EstimateError(
            f"draw {part.draw.draw_id}: no decision carries its views (column exposure); ingest them, or weigh by decisions"
        )
    if missing:
        notes.append(
            f"draw {part.draw.draw_id}: {missing:,} of {len(views):,} decisions carry no views and count as unseen"
        )
    return views.fill_null(0.0).to_numpy()


def _cluster_codes(values: pl.Series) -> Ints:
    """A code for each value; a missing one is a cluster of its own."""
    frame = pl.DataFrame({"value": values.cast(pl.String)}).with_row_index("row")
    own = pl.lit("\x00") + pl.col("row").cast(pl.String)
    named = frame.select(pl.coalesce(pl.col("value"), own).rank("dense"))
    return named.to_series().to_numpy().astype(np.int64)


def _outcome(reviewed: pl.DataFrame, outcome: str, label: str, error_class: str) -> Floats:
    """1 where the ruling in columns `label` and `error_class` found this outcome, else 0; order of `reviewed`."""
    named, differs = pl.col(error_class), pl.col(label) != pl.col("label")
    if outcome == "total":
        wrong = pl.when(named.is_null()).then(differs).otherwise(named != "policy_unclear")
    else:
        wrong = named == outcome
    return reviewed.select(wrong.fill_null(False).cast(pl.Float64)).to_series().to_numpy()


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
