"""The page of conflicts: groups of near-identical content that was decided differently."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl
import streamlit as st

from app import flag_pages as published
from app import session
from app.text import as_typed, case_text
from evenhand.records.people import User
from evenhand.similar.conflicts import ACROSS, lies
from evenhand.wording.rates import Titles, domain_name
from evenhand.wording.words import day

SHOWN = 200  # groups in the table; the command writes all of them


def page() -> None:
    """Show the groups with most deviating decisions, and the chosen one."""
    user = session.me("conflicts")
    st.title("Conflicts")
    rows = published.conflicts(user, "conflicts")
    if rows is None:
        st.info("Not looked for yet. Run `evenhand conflicts`.")
        return
    if "across" not in rows.collect_schema():
        st.info("These were found by an earlier version of Evenhand. Run `evenhand conflicts` again.")
        return
    rows = _chosen(rows)
    groups = group_rows(rows)
    if groups.is_empty():
        st.success("No near-identical content was decided differently in the way chosen.")
        return
    st.caption(
        "The same content under the same area and policy version, decided in more than one way; copies with typos, emoji,"
        " spacing or look-alike letters count as the same."
    )
    titles = session.titles()
    chosen = _table(groups, titles)
    if chosen is None:
        st.caption("Choose a row to see its decisions side by side.")
    else:
        _group(rows, chosen, user, titles)


def _chosen(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The conflicts that the filters choose: between the values of a column, or within one of them."""
    first, second = st.columns(2)
    across = first.pills("Across several", list(ACROSS), selection_mode="multi", key="conflicts_across")
    within = second.pills(
        "One alone decided both ways", list(ACROSS.values()), selection_mode="multi", key="conflicts_within"
    )
    return rows.filter(*lies(across=across, within_one=within))


def group_rows(rows: pl.LazyFrame) -> pl.DataFrame:
    """One row per group; groups with the most deviating decisions come first; at most SHOWN."""
    key = ["conflict_id", "area", "policy_version"]
    return (
        rows.group_by(key)
        .agg(
            pl.len().alias("decisions"),
            pl.col("deviates").sum(),
            pl.col("majority_label").first(),
            pl.col("share_of_majority").first(),
            pl.col("label").filter(pl.col("deviates")).unique().sort().alias("others"),
            pl.col("moderator_id").filter(pl.col("deviates")).n_unique().alias("moderators"),
            pl.col("market").unique().sort(),
            pl.col("across", "within_one").first(),
        )
        .sort(["deviates", "decisions", "conflict_id"], descending=[True, True, False])
        .head(SHOWN)
        .collect()
    )


def _table(groups: pl.DataFrame, titles: Titles) -> dict[str, Any] | None:
    column = st.column_config
    picked = st.dataframe(
        pd.DataFrame([_row(group, titles) for group in groups.iter_rows(named=True)]),
        hide_index=True,
        height=360,
        on_select="rerun",
        selection_mode="single-row",
        key="conflicts_table",
        column_config={
            "Area": column.TextColumn(width=165),
            "Most decided": column.TextColumn(width=160),
            "Share": column.NumberColumn(format="%.0f%%", width=52),
            "Deviating to": column.TextColumn(width=165),
            "Deviating": column.NumberColumn(width=74),
            "Decisions": column.NumberColumn(width=74),
            "Moderators": column.NumberColumn(width=84, help="How many moderators deviated"),
            "Markets": column.TextColumn(width=66),
            "Across": column.TextColumn(width=125),
            "Both ways by one": column.TextColumn(width=155),
        },
    )
    places = picked["selection"]["rows"]
    return groups.row(places[0], named=True) if places and places[0] < groups.height else None


def _row(group: Mapping[str, Any], titles: Titles) -> dict[str, Any]:
    """A group as the table shows it."""

    def label(name: str) -> str:
        return domain_name("label", name, titles, group["area"])

    return {
        "Area": domain_name("area", group["area"], titles),
        "Most decided": label(group["majority_label"]) if group["majority_label"] else "Tie",
        "Share": 100 * group["share_of_majority"],
        "Deviating to": ", ".join(label(name) for name in group["others"]),
        "Deviating": group["deviates"],
        "Decisions": group["decisions"],
        "Moderators": group["moderators"],
        "Markets": ", ".join(group["market"]),
        "Across": (group["across"] or "").replace("; ", ", "),
        "Both ways by one": (group["within_one"] or "").replace("; ", ", "),
        "Policy version": group["policy_version"],
    }


def _group(rows: pl.LazyFrame, chosen: dict[str, Any], user: User, titles: Titles) -> None:
    """The decisions of a group, deviating ones first; texts blurred until asked for."""
    key = ["conflict_id", "area", "policy_version"]
    same = [pl.col(name) == chosen[name] for name in key]
    group = rows.filter(*same).sort(["deviates", "decided_at"], descending=[True, False]).collect()
    blurred = st.session_state.get("conflict_seen") != chosen["conflict_id"]
    if blurred and not session.workspace().config.review.blur:  # blurring is off: the texts are seen at once
        _viewed(chosen["conflict_id"], user)
        blurred = False
    if blurred:
        st.button(
            "Show the texts",
            key="conflict_reveal",
            on_click=_reveal,
            args=(chosen["conflict_id"], user.user_id),
        )
    deviating = group.filter(pl.col("deviates")).head(6)
    others = group.filter(~pl.col("deviates")).head(6)
    left, right = st.columns(2, gap="large")
    for place, title, part in (
        (left, "Deviating", deviating),
        (right, "With the majority, or in a tie", others),
    ):
        place.subheader(title)
        for row in part.iter_rows(named=True):
            label = domain_name("label", row["label"], titles, row["area"])
            language = domain_name("language", row["language"], titles)
            said = f"by {row['moderator_id']}, {row['market']}, {day(row['decided_at'])} · {language}"
            place.caption(f"**{as_typed(label)}** {as_typed(said)}")
            place.html(case_text(row["text"], row["language"], blurred=blurred, small=True))
    if group.height > deviating.height + others.height:
        st.caption(
            f"{group.height} decisions in this group; `evenhand conflicts --out FILE` writes them all."
        )


def _reveal(conflict_id: str, drawn_for: str) -> None:
    with session.telling():
        _viewed(conflict_id, session.acting("conflicts", drawn_for))


def _viewed(conflict_id: str, user: User) -> None:
    st.session_state["conflict_seen"] = conflict_id
    session.store().audit("view_conflict", conflict_id, by=user.user_id, at=datetime.now(UTC))
