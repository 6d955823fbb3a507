"""Reads the published flags page by page, with the rulings as they are now.

Each model version has one Parquet file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import streamlit as st

from app import access, session
from evenhand.flags import unpublished
from evenhand.records.people import User
from evenhand.records.verdict import VERDICT, is_settled, with_verdicts

FACETS = ("market", "area", "language", "queue", "label")
Show = Literal["open", "ruled", "all"]


@dataclass(frozen=True, kw_only=True)
class FlagPage:
    """One page of the flags that fit, and how many there are."""

    rows: pl.DataFrame  # the columns of the file, and VERDICT
    number: int  # of this page, from 1
    open: int  # flags that fit and that nobody has ruled on
    ruled: int  # flags that fit and that an SME has ruled on
    shown: int  # of both, those that are listed
    unlisted: int  # scored decisions that rank behind all listed ones, whether they fit the filter or not


def file_of(model: str) -> Path:
    """Where the flags of `model` ("evenhand-3") are published."""
    return session.workspace().flags_dir / f"{model}.parquet"


def models() -> list[str]:
    """Models with published flags, the newest file first."""
    files = session.workspace().flags_dir.glob("*.parquet")
    return [file.stem for file in sorted(files, key=lambda file: -file.stat().st_mtime)]


def _flags(model: str) -> pl.LazyFrame:
    """All published flags by `model`, with their `place` in the file."""
    rows = pl.scan_parquet(file_of(model)).with_row_index("place")
    if "support" not in rows.collect_schema():  # published before flags had this column
        rows = rows.with_columns(support=pl.lit(None, pl.String))
    return rows


def _scan(model: str, user: User) -> pl.LazyFrame:
    """The flags that this person may see; UserError if their role has no flags page."""
    session.me("flags")
    return _for(user, _flags(model))


def _for(user: User, rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of this person's markets and languages.

    In a blind review, the cases that they may still rule on are left out.
    """
    rows = rows.filter(access.in_reach(user))
    if session.workspace().config.review.blind and access.may_open(user, "review"):
        rows = rows.filter(~pl.col("decision_id").is_in(_open_items().implode()))
    return rows


def _open_items() -> pl.Series:
    """Ids of the drawn decisions that nobody has ruled on or skipped."""
    store, none = session.store(), pl.Series("decision_id", [], pl.String)
    items = [
        store.items(draw.draw_id).filter(~pl.col("ruled") & ~pl.col("skipped")) for draw in store.draws()
    ]
    return pl.concat([none, *(rows["decision_id"] for rows in items)])


@st.cache_data(show_spinner=False, max_entries=32)
def facets(model: str, stamp: float, _user: User, who: str) -> dict[str, list[str]]:
    """The values of each facet, sorted; `stamp` is the file's time, `who` the person's id."""
    found = _scan(model, _user).select(pl.col(name).unique().sort().implode() for name in FACETS).collect()
    return {name: found[name][0].to_list() for name in FACETS}


def page(
    model: str,
    user: User,
    *,
    where: Mapping[str, str],
    reason: str,
    newest: bool,
    show: Show,
    number: int,
    size: int,
) -> FlagPage:
    """Page `number` of the flags that fit, `size` per page, by rank or the newest first.

    Pages count from 1; a number past the end gives the last page. Filtering reads a few columns of the whole
    file; all columns are read for the page only. Raises UserError if the person's role has no flags page.
    """
    found = _scan(model, user)
    for name, value in where.items():
        found = found.filter(pl.col(name) == value)
    if reason:
        found = found.filter(pl.col("reasons").str.to_lowercase().str.contains(reason.lower(), literal=True))
    store = session.store()
    rulings = _rulings(str(session.workspace().root), *store.ruling_count())
    known = with_verdicts(found, rulings, store.policies())
    fits = known.select("place", "decision_id", "decided_at", *VERDICT).collect()
    total, ruled = fits.height, fits.filter(is_settled()).height
    if show != "all":
        fits = fits.filter(is_settled() if show == "ruled" else ~is_settled())
    if newest:
        fits = fits.sort("decided_at", descending=True, maintain_order=True)
    number = max(1, min(number, -(-fits.height // size)))
    listed = fits.slice((number - 1) * size, size).drop("decided_at")
    rows = _read(model, listed)
    return FlagPage(
        rows=rows,
        number=number,
        open=total - ruled,
        ruled=ruled,
        shown=fits.height,
        unlisted=unpublished(file_of(model)),
    )


def _read(model: str, listed: pl.DataFrame) -> pl.DataFrame:
    """All columns of the listed flags, in their order: only the part of the file that holds them is read."""
    places = listed["place"].to_list()
    first, last = min(places, default=0), max(places, default=-1)
    stretch = _flags(model).slice(first, last - first + 1)
    key = ["place", "decision_id"]
    return listed.lazy().join(stretch, on=key, how="inner", maintain_order="left").collect()


@st.cache_resource(show_spinner=False, max_entries=2)
def _rulings(root: str, stored: int, undone: int) -> pl.DataFrame:
    """The current rulings. Both counts only grow, so a new ruling, or one taken back, is seen at once."""
    return session.store().rulings()


def conflicts(user: User, page: str) -> pl.LazyFrame | None:
    """The latest conflicts in this person's markets and languages; None if `evenhand conflicts` never ran."""
    session.me(page)
    file = session.workspace().conflicts_file
    if not file.exists():
        return None
    return _for(user, pl.scan_parquet(file))


def conflicts_of(user: User, page: str, decision_id: str) -> pl.DataFrame | None:
    """The group of near-identical content of this decision if it was decided differently; else None."""
    rows = conflicts(user, page)
    if rows is None:
        return None
    own = rows.filter(pl.col("decision_id") == decision_id).select("conflict_id", "area", "policy_version")
    found = rows.join(own, on=["conflict_id", "area", "policy_version"], how="semi").collect()
    return found if found.height else None
