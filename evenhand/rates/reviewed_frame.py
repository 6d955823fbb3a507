"""The reviewed part of a draw.

It has the draw's frame, with the probability that a decision was in fact reviewed, and the rulings that
count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from evenhand.batches.frame_file import frame_hash
from evenhand.batches.population import coded
from evenhand.errors import EstimateError
from evenhand.rates.notes import (
    DatedLater,
    ImpossibleDates,
    Note,
    NotRuledYet,
    OverlappingDraw,
    RuledBeforeDraw,
    RuledMoreThanOnce,
    RuledUnderAnotherVersion,
    SharedNumbers,
    SkippedCases,
    about,
)
from evenhand.rates.question import PERIODS, Question
from evenhand.rates.unfinished_batches import partly_reviewed
from evenhand.records.batches import DrawRecord
from evenhand.records.columns import ABOUT
from evenhand.records.verdict import is_settled, with_verdicts
from evenhand.store import Store
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.workspace import Workspace

NONE = "(none)"  # stands for a missing team or content type


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """A draw's frame and its rulings.

    `frame`: a row for each decision of the draw, with `pi`, the probability that it was reviewed, and whether
    it is `inside` the window. Its DOMAINS are categorical; its ids stay in the file. `done`: a row for each
    ruled decision, with its `place` in the frame and VERDICT (see `evenhand.records.verdict`).
    """

    draw: DrawRecord
    frame: pl.DataFrame
    done: pl.DataFrame
    notes: tuple[Note, ...] = ()  # what was left out or given more weight


def choose_draws(store: Store, draw_ids: Sequence[str]) -> tuple[list[DrawRecord], list[Note]]:
    """The draws to use, and what was left out.

    The named draws, else the newest ones that have rulings and do not overlap. In both cases no two of them
    overlap.
    """
    everything = store.draws()
    if draw_ids:
        wanted = [store.draw(name) for name in draw_ids]
    else:
        rulings = store.rulings()
        ruled = set(rulings["draw_id"].drop_nulls().unique())
        wanted = [draw for draw in everything if draw.draw_id in ruled]
        if everything and not wanted:
            outside = rulings.height
            beside = f" ({outside:,} rulings on cases that were not drawn cannot tell one)" if outside else ""
            raise EstimateError(
                f"draws are there, but no ruling on a drawn case yet{beside}; rule on some in the app (`evenhand app`)"
            )
        if not wanted:
            raise EstimateError(
                "no draw yet, so no error rate: rulings on cases that were not drawn cannot tell one;"
                " run `evenhand draw --budget N`"
            )
    chosen: list[DrawRecord] = []
    notes: list[Note] = []
    for draw in sorted(wanted, key=lambda d: d.created_at, reverse=True):
        clash = next((other for other in chosen if draw.covers(other)), None)
        if clash and draw_ids:
            raise EstimateError(
                f"draws {draw.draw_id} and {clash.draw_id} overlap: the same decision could count twice;"
                " name draws of different periods"
            )
        if clash:
            notes.append(OverlappingDraw(**about(draw), newer_id=clash.draw_id, newer_at=clash.created_at))
        else:
            chosen.append(draw)
            notes += _shared_numbers(draw, everything)
    return chosen, notes


def _shared_numbers(draw: DrawRecord, draws: Sequence[DrawRecord]) -> Iterator[Note]:
    """Draws of 0.1 took their random numbers from seed and period alone (docs/decisions/0011)."""
    if draw.number:
        return
    same = (draw.seed, draw.since, draw.until)
    for other in draws:
        earlier = other.created_at < draw.created_at and not other.number and other.covers(draw)
        if earlier and (other.seed, other.since, other.until) == same:
            yield SharedNumbers(**about(draw), earlier_id=other.draw_id, earlier_at=other.created_at)
            return


def reviewed(ws: Workspace, store: Store, draw: DrawRecord, question: Question) -> Reviewed | None:
    """The reviewed part of `draw`; None if nothing was reviewed, or the question's window holds none of it.

    The probabilities are those of the whole draw: a window only chooses which of its decisions a rate is
    about. Raises EstimateError if the frame is lost or was changed.
    """
    items = store.items(draw.draw_id)
    rulings = sme_rulings(store, draw.draw_id)
    file = ws.root / draw.frame_file
    if not file.exists():
        raise EstimateError(f"{file}: the frame of draw {draw.draw_id} is missing; restore it from a backup")
    if frame_hash(file) != draw.frame_hash:
        raise EstimateError(
            f"{file}: not the frame that was drawn as {draw.draw_id}, it was changed since; restore it from a backup"
        )
    frame, places = _read(ws, draw, file, items["decision_id"])
    frame = frame.with_columns(question.inside().fill_null(False).alias("inside"))
    if not frame["inside"].any():
        return None
    items = verdicts_of(store, items.drop("explanation", "text"), rulings)
    done = items.filter(is_settled())
    if done.is_empty():
        return None
    notes = [*_left_out(draw, items, rulings), *_dates(draw, done, rulings)]
    if done.height < items.height:
        notes += _unfinished(store, draw, items)
        part = partly_reviewed(frame, items, smes_by_market(items, rulings), draw)
        frame, notes = part.frame, [*notes, *part.notes]
        for lane in part.untold:
            done = done.remove(**lane)
    done = done.join(places, on="decision_id", how="left", validate="1:1", maintain_order="left")
    return Reviewed(draw=draw, frame=frame, done=done, notes=tuple(notes))


def with_periods(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with a column for each of PERIODS that `names` holds: the period's first day.

    Weeks begin on Monday.
    """
    return frame.with_columns(
        pl.col("decided_at").dt.truncate(PERIODS[name]).dt.date().alias(name)
        for name in names
        if name in PERIODS
    )


def _read(ws: Workspace, draw: DrawRecord, file: Path, drawn: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frame of a draw without its ids; and place, text_hash and conversation_id of the `drawn`.

    Columns of ABOUT that an early draw did not keep are read from the lake.
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


def verdicts_of(store: Store, items: pl.DataFrame, rulings: pl.DataFrame) -> pl.DataFrame:
    """The items of a draw with VERDICT, by rulings of SMEs or by a panel's; same rows and order."""
    return with_verdicts(items.lazy(), rulings, store.policies()).collect()


def _left_out(draw: DrawRecord, items: pl.DataFrame, rulings: pl.DataFrame) -> Iterator[Note]:
    """Notes on decisions and rulings of the draw that do not count."""
    if draw.excluded_ruled:
        yield RuledBeforeDraw(**about(draw), decisions=draw.excluded_ruled)
    several = rulings.group_by("decision_id").agg(pl.col("label").n_unique().alias("labels"), pl.len())
    twice = several.filter(pl.col("len") > 1)
    if twice.height:
        differ = twice.filter(pl.col("labels") > 1).height
        yield RuledMoreThanOnce(**about(draw), cases=twice.height, with_another_label=differ)
    own = items.select("decision_id", pl.col("policy_version").alias("of_decision"))
    other = rulings.join(own, on="decision_id").filter(pl.col("policy_version") != pl.col("of_decision"))
    if other.height:
        yield RuledUnderAnotherVersion(**about(draw), rulings=other.height)


def sme_rulings(store: Store, draw_id: str) -> pl.DataFrame:
    """The current rulings on a draw, without a panel's."""
    return store.rulings(draw_id=draw_id).filter(pl.col("source") != "panel")


def smes_by_market(items: pl.DataFrame, rulings: pl.DataFrame) -> dict[str, int]:
    """How many people ruled in each market."""
    places = items.select("decision_id", "market")
    found = rulings.join(places, on="decision_id").group_by("market").agg(pl.col("sme_id").n_unique())
    return dict(found.iter_rows())


def _unfinished(store: Store, draw: DrawRecord, items: pl.DataFrame) -> Iterator[Note]:
    yield NotRuledYet(**about(draw), left=items["ruled_label"].null_count(), cases=items.height)
    if reasons := store.skips(draw.draw_id):
        yield SkippedCases(**about(draw), reasons=reasons)


def _dates(draw: DrawRecord, done: pl.DataFrame, rulings: pl.DataFrame) -> Iterator[Note]:
    """Notes on impossible times.

    No number depends on them except a window's, so they are reported and not refused.
    """
    when = rulings.join(done.select("decision_id", "decided_at"), on="decision_id")
    early = when.filter(pl.col("ruled_at") < draw.created_at).height
    before = when.filter(pl.col("ruled_at") < pl.col("decided_at")).height
    if early or before:
        yield ImpossibleDates(**about(draw), before_draw=early, before_decision=before)
    if draw.dated_later:
        yield DatedLater(**about(draw), decisions=draw.dated_later)
