"""The published flags: one Parquet file a model version, read a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import streamlit as st

from app import session
from evenhand.store import User

FACETS = ("market", "area", "language", "queue", "label")


def file_of(model: str) -> Path:
    """Where the flags of `model` ("evenhand-3") are published."""
    return session.workspace().flags_dir / f"{model}.parquet"


def models() -> list[str]:
    """Models with published flags, the newest file first."""
    files = session.workspace().flags_dir.glob("*.parquet")
    return [file.stem for file in sorted(files, key=lambda file: -file.stat().st_mtime)]


def _scan(model: str, user: User) -> pl.LazyFrame:
    """The flags that this person may see; UserError if their role has no flags page."""
    session.me("flags")
    rows = pl.scan_parquet(file_of(model))
    if "support" not in rows.collect_schema():  # published before flags had it
        rows = rows.with_columns(support=pl.lit(None, pl.String))
    return _for(user, rows)


def _for(user: User, rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of this person's markets and languages; in a blind review without the cases they may yet rule on."""
    if user.markets:
        rows = rows.filter(pl.col("market").is_in(user.markets))
    if user.languages:
        rows = rows.filter(pl.col("language").is_in(user.languages))
    if session.workspace().config.review.blind and "review" in session.PAGES[user.role]:
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


def rows(
    model: str, user: User, *, where: Mapping[str, str], reason: str, newest: bool, start: int, count: int
) -> tuple[pl.DataFrame, int]:
    """`count` flags from `start` on, and how many there are with these filters."""
    found = _scan(model, user)
    for name, value in where.items():
        found = found.filter(pl.col(name) == value)
    if reason:
        found = found.filter(pl.col("reasons").str.to_lowercase().str.contains(reason.lower(), literal=True))
    total = found.select(pl.len()).collect().item()
    ordered = found.sort("decided_at", descending=True) if newest else found
    return ordered.slice(start, count).collect(), int(total)


def conflicts(user: User, page: str) -> pl.LazyFrame | None:
    """Conflicts as found last, in the markets and languages of this person; None before the first `evenhand conflicts`."""
    session.me(page)
    file = session.workspace().conflicts_file
    if not file.exists():
        return None
    return _for(user, pl.scan_parquet(file))


def conflicts_of(user: User, page: str, decision_id: str) -> pl.DataFrame | None:
    """The group of near-identical content that this decision stands in, if it was decided differently; else None."""
    rows = conflicts(user, page)
    if rows is None:
        return None
    own = rows.filter(pl.col("decision_id") == decision_id).select("conflict_id", "area", "policy_version")
    found = rows.join(own, on=["conflict_id", "area", "policy_version"], how="semi").collect()
    return found if found.height else None
