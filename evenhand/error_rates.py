"""From draws and rulings to error rates: overall and by domain, error classes apart, with what was left out said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evenhand.draws import DOMAINS
from evenhand.errors import EstimateError
from evenhand.estimation import Estimate, Totals, domain_totals, estimates
from evenhand.sampling import partial_probabilities
from evenhand.store import DrawRecord, Store
from evenhand.workspace import Workspace

#: Outcome -> the frame column that says where it can occur. They are never netted against each other.
OUTCOMES: dict[str, str | None] = {
    "total": None,
    "over_enforcement": "may_over",
    "under_enforcement": "may_under",
    "wrong_policy": "may_wrong",
    "policy_unclear": None,
}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The error rates of one domain; `policy_unclear` is nobody's error and not in `total`."""

    domain: Mapping[str, str]  # empty for overall
    total: Estimate
    over_enforcement: Estimate
    under_enforcement: Estimate
    wrong_policy: Estimate
    policy_unclear: Estimate


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

    def rows(self) -> list[dict[str, Any]]:
        """Flat rows for a table: overall first, then the domains."""
        rows = []
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
                }
            )
        return rows


def _short(estimate: Estimate) -> str:
    return f"{estimate.rate:.1%}" if estimate.status == "measured" else "-"


def estimate_draws(
    ws: Workspace, store: Store, *, by: Sequence[str] = (), draw_ids: Sequence[str] | None = None
) -> EstimateTable:
    """Error rates from the rulings on drawn items, overall and by any crossing of the DOMAINS columns.

    Without `draw_ids`: all draws with a ruling whose frames do not overlap, newest first. Raises EstimateError if there is
    no draw with a ruling, or `by` names an unknown column.
    """
    by = tuple(by)
    if unknown := [name for name in by if name not in DOMAINS]:
        raise EstimateError(f"cannot split by {unknown[0]!r}; use {', '.join(DOMAINS)}")
    notes: list[str] = []
    draws = _chosen(store, draw_ids, notes)
    parts = []
    for draw in draws:
        if (part := _reviewed_frame(ws, store, draw, notes)) is not None:
            parts.append(part)
    if not parts:
        raise EstimateError(
            "no ruling on a drawn case yet; rule on some in the app (`evenhand app`), then ask again"
        )
    names = _domain_names([frame for frame, _ in parts], by)
    overall = _rates(parts, None, 1)
    domains = _rates(parts, names, names.height) if by else {}
    versions = sorted({v for frame, _ in parts for v in frame["policy_version"].unique()})
    if len(versions) > 1 and "policy_version" not in by:
        notes.append(
            f"the frame spans policy versions {', '.join(versions)}; split by policy_version to see them apart"
        )
    _say_not_drawn(store, notes)
    return EstimateTable(
        overall=Rates(domain={}, **{name: found[0] for name, found in overall.items()}),
        domains=tuple(
            Rates(
                domain={column: str(row[column]) for column in by},
                **{name: found[i] for name, found in domains.items()},
            )
            for i, row in enumerate(names.iter_rows(named=True))
        )
        if by
        else (),
        by=by,
        draws=tuple(draw.draw_id for draw in draws),
        model_versions=tuple(sorted({draw.model_version for draw in draws})),
        policy_versions=tuple(versions),
        notes=tuple(notes),
    )


def _chosen(store: Store, draw_ids: Sequence[str] | None, notes: list[str]) -> list[DrawRecord]:
    """The draws to use: those named, else the newest with rulings that do not overlap. Disjoint in any case."""
    everything = store.draws()
    if draw_ids:
        wanted = [store.draw(name) for name in draw_ids]
    else:
        ruled = set(store.rulings()["draw_id"].drop_nulls().unique())
        wanted = [draw for draw in everything if draw.draw_id in ruled]
        if everything and not wanted:
            raise EstimateError(
                "draws are there, but no ruling on a drawn case yet; rule on some in the app (`evenhand app`)"
            )
        if not wanted:
            raise EstimateError(
                "no draw yet, so no error rate: rulings on cases that were not drawn cannot tell one;"
                " run `evenhand draw --budget N`"
            )
    chosen: list[DrawRecord] = []
    for draw in sorted(wanted, key=lambda d: d.created_at, reverse=True):
        clash = [other for other in chosen if draw.covers(other)]
        if clash and draw_ids:
            raise EstimateError(
                f"draws {draw.draw_id} and {clash[0].draw_id} overlap: the same decision could count twice;"
                " name draws of different periods"
            )
        if clash:
            notes.append(f"draw {draw.draw_id} is left out: its frame overlaps the newer {clash[0].draw_id}")
        else:
            chosen.append(draw)
    return chosen


def _reviewed_frame(
    ws: Workspace, store: Store, draw: DrawRecord, notes: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """The frame with the probabilities of what was in fact reviewed, and the reviewed items with their outcome."""
    items = store.items(draw.draw_id)
    rulings = _last_word(store.rulings(draw_id=draw.draw_id), draw, notes)
    file = ws.root / draw.frame_file
    if not file.exists():
        raise EstimateError(f"{file}: the frame of draw {draw.draw_id} is missing; restore it from a backup")
    frame = pl.read_parquet(file).with_columns(
        pl.col("team", "content_type").fill_null("(none)") if {"team", "content_type"} <= set(DOMAINS) else []
    )
    if draw.excluded_ruled:
        notes.append(
            f"draw {draw.draw_id}: {draw.excluded_ruled:,} decisions had a ruling before the draw; they are outside"
            " the population"
        )
    items = items.drop("explanation", "text").join(rulings, on="decision_id", how="left", validate="1:1")
    done = items.filter(pl.col("ruled_label").is_not_null())
    if done.is_empty():
        return None
    if done.height < items.height:
        frame = _partly_reviewed(frame, items, draw, notes)
    return frame, done.filter(pl.col("decision_id").is_in(frame["decision_id"].implode()))


def _last_word(rulings: pl.DataFrame, draw: DrawRecord, notes: list[str]) -> pl.DataFrame:
    """One current ruling a decision: the newest. Says where two SMEs disagree."""
    several = rulings.group_by("decision_id").agg(pl.col("label").n_unique().alias("labels"), pl.len())
    twice = several.filter(pl.col("len") > 1)
    if twice.height:
        differ = twice.filter(pl.col("labels") > 1).height
        notes.append(
            f"draw {draw.draw_id}: {twice.height} cases were ruled more than once, the newest ruling counts"
            f" ({differ} with another label)"
        )
    newest = rulings.sort("ruled_at", "id").unique("decision_id", keep="last", maintain_order=True)
    return newest.select("decision_id", pl.col("label").alias("ruled_label"), "error_class")


def _partly_reviewed(
    frame: pl.DataFrame, items: pl.DataFrame, draw: DrawRecord, notes: list[str]
) -> pl.DataFrame:
    """Inclusion probabilities for a batch that is not finished, market by market: each SME works through one market.

    Within a market the reviewed part of the queue is a probability sample again; cases left out inside it count as
    missing at random, and are counted in the notes. A market without a single sampled ruling cannot be told and
    leaves the population.
    """
    done = pl.col("ruled_label").is_not_null()
    per_market = items.group_by("market").agg(
        done.sum().alias("done"),
        (done & ~pl.col("take_all")).sum().alias("sampled"),
        (done & pl.col("take_all")).sum().alias("certain"),
        pl.len().alias("drawn"),
        (pl.col("position").filter(done).max()).alias("last"),
    )
    gaps = (
        items.join(per_market.select("market", "last"), on="market")
        .filter(~done & (pl.col("position") < pl.col("last")))
        .height
    )
    left = items.height - items.filter(done).height
    notes.append(
        f"draw {draw.draw_id}: {left} of {items.height} cases are not ruled yet; the reviewed part is weighed up"
    )
    if gaps:
        notes.append(
            f"draw {draw.draw_id}: {gaps} cases were skipped or passed over in the queue; they count as missing at random"
        )
    kept, dropped = [], []
    counts = {row["market"]: row for row in per_market.iter_rows(named=True)}
    for (market,), part in frame.group_by("market", maintain_order=True):
        row = counts.get(str(market))
        pi = part["pi"].to_numpy()
        if row is None or row["done"] == row["drawn"]:
            kept.append(part)
        elif (row["sampled"] == 0 and (pi < 1).any()) or (row["certain"] == 0 and (pi >= 1).any()):
            dropped.append(str(market))
        else:
            fresh = partial_probabilities(pi, sampled=row["sampled"], certain=row["certain"])
            kept.append(part.with_columns(pl.Series("pi", fresh)))
    if dropped:
        notes.append(
            f"draw {draw.draw_id}: too few rulings yet in {', '.join(sorted(dropped))}; outside the population for now"
        )
    return pl.concat(kept) if kept else frame.clear()


def _domain_names(frames: Sequence[pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
    if not by:
        return pl.DataFrame()
    return pl.concat([frame.select(by).unique() for frame in frames]).unique().sort(by)


def _rates(
    parts: Sequence[tuple[pl.DataFrame, pl.DataFrame]], names: pl.DataFrame | None, domains: int
) -> dict[str, list[Estimate]]:
    """Outcome -> one Estimate a domain, pooled over disjoint frames."""
    sums: dict[str, Totals] = {}
    for frame, done in parts:
        if frame.is_empty():
            continue
        code = None
        if names is not None:
            coded = names.with_row_index("_domain")
            code = frame.join(coded, on=names.columns, how="left", maintain_order="left")["_domain"]
        places = frame.select("decision_id").with_row_index("_place")
        reviewed = done.join(places, on="decision_id", how="inner", validate="1:1")
        for outcome, possible in OUTCOMES.items():
            totals = domain_totals(
                frame["p_overturn"].to_numpy(),
                frame["pi"].to_numpy(),
                reviewed["_place"].to_numpy().astype(np.int64),
                _outcome(reviewed, outcome),
                domain=None if code is None else code.to_numpy().astype(np.int64),
                domains=domains,
                possible=None if possible is None else frame[possible].to_numpy(),
            )
            sums[outcome] = sums[outcome] + totals if outcome in sums else totals
    if not sums:
        raise EstimateError("too few rulings in every market to tell a rate yet; rule on more of the batch")
    return {outcome: estimates(totals) for outcome, totals in sums.items()}


def _outcome(reviewed: pl.DataFrame, outcome: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """1 where the ruling found this outcome, else 0; order of `reviewed`."""
    named = pl.col("error_class")
    differs = pl.col("ruled_label") != pl.col("label")
    if outcome == "total":
        wrong = pl.when(named.is_null()).then(differs).otherwise(named != "policy_unclear")
    else:
        wrong = (named == outcome).fill_null(False)
    return reviewed.select(wrong.cast(pl.Float64)).to_series().to_numpy()


def _say_not_drawn(store: Store, notes: list[str]) -> None:
    outside = store.rulings().filter(pl.col("draw_id").is_null()).height
    if outside:
        notes.append(
            f"{outside:,} rulings on cases never drawn are kept as gold for training, and out of these rates"
        )
