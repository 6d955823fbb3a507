"""The figures of the manager's pages; they are kept until there is a new ruling, skip or draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl
import streamlit as st

from app import session
from evenhand.rates.improvement_areas import ImprovementArea, find_areas
from evenhand.rates.notes import Note
from evenhand.rates.question import Question
from evenhand.rates.table import EstimateTable, estimate_draws, measure_draws
from evenhand.records.batches import DrawRecord, QueueProgress
from evenhand.records.columns import DOMAINS
from evenhand.workspace.lake import decision_files

SPLITS = tuple(name for name in DOMAINS if name != "moderator_id")  # moderators are not ranked
#: Workspace; number of rulings, of skips, of rulings taken back, of skips taken back, of draws.
Stamp = tuple[str, int, int, int, int, int, int]

EVERYTHING = Question()


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a person can choose: the values of each split in the frames, and the first and last day."""

    values: Mapping[str, list[str]]
    first: date
    last: date


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The progress of a review batch: as a whole, and in each market."""

    draw: DrawRecord
    whole: QueueProgress
    markets: Mapping[str, QueueProgress]
    certain: int  # cases that were drawn for certain


def stamp() -> Stamp:
    """A value that changes when the data behind the figures changes."""
    ws, store = session.workspace(), session.store()
    counts = (*store.ruling_count(), *store.skip_count(), len(store.draws()), len(decision_files(ws)))
    return str(ws.root), *counts


@st.cache_data(show_spinner="Estimating", max_entries=128)
def rates(at: Stamp, question: Question = EVERYTHING) -> EstimateTable:
    """The error rates that `question` asks for.

    Raises EstimateError as `evenhand.rates.table.estimate_draws` does.
    """
    return estimate_draws(session.workspace(), session.store(), question)


@st.cache_data(show_spinner="Comparing slices", max_entries=8)
def areas(at: Stamp) -> tuple[list[ImprovementArea], tuple[Note, ...]]:
    """The slices that stand out, and the notes about them."""
    return find_areas(session.workspace(), session.store())


@st.cache_data(show_spinner=False, max_entries=8)
def choices(at: Stamp) -> Choices:
    """What a person can choose; EstimateError while there is no ruling on a drawn case."""
    measure = measure_draws(session.workspace(), session.store())
    frames = [part.frame.select(*SPLITS, "decided_at") for part in measure.parts]
    every = pl.concat(frames)
    days = every.select(pl.col("decided_at").min().alias("first"), pl.col("decided_at").max().alias("last"))
    return Choices(
        values={name: every[name].cast(pl.String).unique().sort().to_list() for name in SPLITS},
        first=days["first"].item().date(),
        last=days["last"].item().date(),
    )


def batches(at: Stamp) -> list[Batch]:
    """Every review batch, the newest first."""
    store = session.store()
    newest_first = sorted(store.draws(), key=lambda draw: draw.created_at, reverse=True)
    return [_batch(at, draw.draw_id) for draw in newest_first]


@st.cache_data(show_spinner=False, max_entries=64)
def _batch(at: Stamp, draw_id: str) -> Batch:
    store = session.store()
    items = store.items(draw_id).select(
        "market", "ruled", "take_all", (pl.col("skipped") & ~pl.col("ruled")).alias("skipped")
    )
    counts = (
        items.group_by("market")
        .agg(pl.len().alias("total"), pl.col("ruled").sum(), pl.col("skipped").sum())
        .sort("market")
    )
    return Batch(
        draw=store.draw(draw_id),
        whole=QueueProgress(
            total=items.height, ruled=int(items["ruled"].sum()), skipped=int(items["skipped"].sum())
        ),
        markets={row.pop("market"): QueueProgress(**row) for row in counts.iter_rows(named=True)},
        certain=int(items["take_all"].sum()),
    )


def day_after(day: date) -> date:
    """The end of a period whose last day is `day`."""
    return day + timedelta(days=1)
