"""What of a draw was reviewed: its frame with the probabilities of what in fact got a ruling, and the rulings that count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl

from evenhand.errors import EstimateError
from evenhand.frames import ABOUT, coded
from evenhand.lake import scan_decisions
from evenhand.sampling import partial_probabilities
from evenhand.store import DrawRecord, Store
from evenhand.workspace import Workspace

#: Parts of the day a decision was made (UTC) that a rate can be split by, and how polars names them.
PERIODS = {"day": "1d", "week": "1w", "month": "1mo"}
NONE = "(none)"  # stands for a missing team or content type


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which decisions of the frames a rate is about: days (UTC) from `since` up to, not including, `until`, and filters."""

    since: date | None = None
    until: date | None = None
    filters: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise EstimateError(
                f"the window from {self.since} up to, not including, {self.until} holds no day; give a later end"
            )

    def inside(self) -> pl.Expr:
        """Whether a row of a frame belongs to the window."""
        tests = [pl.lit(True)]
        if self.since:
            tests.append(pl.col("decided_at") >= datetime.combine(self.since, time(), UTC))
        if self.until:
            tests.append(pl.col("decided_at") < datetime.combine(self.until, time(), UTC))
        tests += [pl.col(name) == value for name, value in (self.filters or {}).items()]
        return pl.all_horizontal(tests)


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """A draw's frame and what was ruled of it.

    `frame`: a row for each decision of the draw, with `pi` of what was reviewed and whether it is `inside` the window; its DOMAINS
    are categorical, its ids stay in the file. `done`: a row for each ruled decision, with its `place` in the frame,
    `ruled_label` and `error_class`.
    """

    draw: DrawRecord
    frame: pl.DataFrame
    done: pl.DataFrame


def choose_draws(store: Store, draw_ids: Sequence[str] | None, notes: list[str]) -> list[DrawRecord]:
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


def reviewed(
    ws: Workspace, store: Store, draw: DrawRecord, window: Window, notes: list[str]
) -> Reviewed | None:
    """What was reviewed of `draw`; None where nothing was, or the window holds nothing of it.

    The probabilities are those of the whole draw: a window only says which of its decisions a rate is about. `notes` gets what
    was left out or weighed up. Raises EstimateError if the frame is lost.
    """
    items = store.items(draw.draw_id)
    rulings = store.rulings(draw_id=draw.draw_id).filter(pl.col("source") != "panel")
    file = ws.root / draw.frame_file
    if not file.exists():
        raise EstimateError(f"{file}: the frame of draw {draw.draw_id} is missing; restore it from a backup")
    frame, places = _read(ws, draw, file, items["decision_id"])
    frame = frame.with_columns(window.inside().fill_null(False).alias("inside"))
    if not frame["inside"].any():
        return None
    if draw.excluded_ruled:
        notes.append(
            f"draw {draw.draw_id}: {draw.excluded_ruled:,} decisions had a ruling before the draw; they are outside"
            " the population"
        )
    ruled = last_word(rulings, draw.draw_id, notes)
    items = items.drop("explanation", "text").join(ruled, on="decision_id", how="left", validate="1:1")
    done = items.filter(pl.col("ruled_label").is_not_null())
    if done.is_empty():
        return None
    if done.height < items.height:
        frame, dropped = _partly_reviewed(frame, items, draw, notes)
        done = done.filter(~pl.col("market").is_in(dropped))
    done = done.join(places, on="decision_id", how="left", validate="1:1", maintain_order="left")
    return Reviewed(draw=draw, frame=frame, done=done)


def with_periods(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with a column for each of PERIODS that `names` holds: its first day; weeks begin on Monday."""
    return frame.with_columns(
        pl.col("decided_at").dt.truncate(PERIODS[name]).dt.date().alias(name)
        for name in names
        if name in PERIODS
    )


def _read(ws: Workspace, draw: DrawRecord, file: Path, drawn: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frame of a draw without its ids; and of the `drawn` their place in it, text_hash and conversation_id.

    What an early draw did not keep of ABOUT comes from the lake.
    """
    rows = pl.scan_parquet(file)
    missing = [name for name in ABOUT if name not in rows.collect_schema().names()]
    if missing:
        decisions = scan_decisions(ws, since=draw.since, until=draw.until).select("decision_id", *missing)
        rows = rows.join(decisions, on="decision_id", how="left", validate="1:1", maintain_order="left")
    ids = ["decision_id", "text_hash", "conversation_id"]
    frame = coded(rows.drop(ids).with_columns(pl.col("team", "content_type").fill_null(NONE)))
    places = rows.select(ids).with_row_index("place").filter(pl.col("decision_id").is_in(drawn.implode()))
    return frame.collect(engine="streaming"), places.collect()


def last_word(rulings: pl.DataFrame, draw_id: str, notes: list[str]) -> pl.DataFrame:
    """One current ruling a decision, the newest: decision_id, ruled_label, error_class. Says where a decision has several.

    `rulings` are all of SMEs, or all of a panel.
    """
    several = rulings.group_by("decision_id").agg(pl.col("label").n_unique().alias("labels"), pl.len())
    twice = several.filter(pl.col("len") > 1)
    if twice.height:
        differ = twice.filter(pl.col("labels") > 1).height
        notes.append(
            f"draw {draw_id}: {twice.height} cases were ruled more than once, the newest ruling counts"
            f" ({differ} with another label)"
        )
    newest = rulings.sort("ruled_at", "id").unique("decision_id", keep="last", maintain_order=True)
    return newest.select("decision_id", pl.col("label").alias("ruled_label"), "error_class")


def _partly_reviewed(
    frame: pl.DataFrame, items: pl.DataFrame, draw: DrawRecord, notes: list[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Inclusion probabilities for a batch that is not finished, market by market: each SME works through one market.

    Within a market the reviewed part of the queue is a probability sample again; cases left out inside it count as
    missing at random, and are counted in the notes. A market without a single sampled ruling cannot be told: it is no longer
    inside the window, and named.
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
    dropped: list[str] = []
    counts = {row["market"]: row for row in per_market.iter_rows(named=True)}
    every, inside = frame["pi"].to_numpy(writable=True), frame["inside"].to_numpy(writable=True)
    for market in frame["market"].unique().to_list():
        row, here = counts.get(market), np.flatnonzero((frame["market"] == market).to_numpy())
        if row is None or row["done"] == row["drawn"]:
            continue
        pi = every[here]
        if (row["sampled"] == 0 and (pi < 1).any()) or (row["certain"] == 0 and (pi >= 1).any()):
            dropped.append(market)
            inside[here] = False
        else:
            every[here] = partial_probabilities(pi, sampled=row["sampled"], certain=row["certain"])
    if dropped:
        notes.append(
            f"draw {draw.draw_id}: too few rulings yet in {', '.join(sorted(dropped))}; outside the population for now"
        )
    return frame.with_columns(pl.Series("pi", every), pl.Series("inside", inside)), dropped
