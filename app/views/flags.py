"""Ranked decisions with reasons: filter, sort, open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import streamlit as st

from app import case_card, explained, published, session
from app.text import case_text, spoken
from evenhand.errors import EvenhandError
from evenhand.store import User

PAGE = 50


def page() -> None:
    """Show a page of flags, and the chosen one below."""
    user = session.me("flags")
    st.title("Flags")
    models = published.models()
    if not models:
        st.info("No flags yet. Train and promote a model, then run `evenhand score`.")
        return
    model = models[0] if len(models) == 1 else st.sidebar.selectbox("Model", models)
    where, reason, newest = _filters(model, user)
    number = st.session_state.get("flags_page", 1)
    rows, total = published.rows(
        model, user, where=where, reason=reason, newest=newest, start=(number - 1) * PAGE, count=PAGE
    )
    if not total:
        st.info("No flag fits these filters; take one away.")
        return
    pages = -(-total // PAGE)
    line, at = st.columns([5, 1], vertical_alignment="bottom")
    first = "the newest" if newest else "the likeliest overturns"
    line.caption(f"{total:,} flags by {model}, {first} first")
    at.number_input("Page", 1, max(pages, 1), key="flags_page", help=f"{pages:,} pages of {PAGE}")
    chosen = _table(rows, user)
    if chosen is None:
        st.caption("Choose a row to open its case.")
    else:
        _open(model, chosen, user)


def _filters(model: str, user: User) -> tuple[dict[str, str], str, bool]:
    stamp = published.file_of(model).stat().st_mtime
    known = published.facets(model, stamp, user, user.user_id)
    where = {}
    columns = st.columns([1, 1, 1, 1, 1, 1.4, 1])
    for place, (name, values) in zip(columns, known.items(), strict=False):
        title = "Decided label" if name == "label" else name.capitalize()
        chosen = place.selectbox(
            title,
            values,
            index=None,
            placeholder="all",
            key=f"flags_{name}",
            on_change=_first_page,
            format_func=_spoken,
        )
        if chosen:
            where[name] = str(chosen)
    reason = columns[5].text_input("Reason contains", key="flags_reason", on_change=_first_page)
    order = columns[6].selectbox("Order", ["rank", "newest"], key="flags_order", on_change=_first_page)
    return where, reason, order == "newest"


def _spoken(value: Any) -> str:
    """Languages by name, machine names spoken, codes like TH left alone."""
    text = str(value)
    return case_card.LANGUAGES.get(text) or (spoken(text) if text.islower() else text)


def _first_page() -> None:
    st.session_state["flags_page"] = 1


def _table(rows: pl.DataFrame, user: User) -> dict[str, Any] | None:
    """The page as a table; the row that was chosen, if any. SMEs do not see the score: they may yet rule on the case."""
    shown = rows.select(
        "rank",
        (100 * pl.col("p_overturn")).alias("p_overturn"),
        pl.col("area").map_elements(spoken, pl.String),
        pl.col("label").map_elements(spoken, pl.String).alias("decided"),
        pl.col("predicted_label").map_elements(spoken, pl.String).alias("reads like"),
        pl.col("reasons").str.replace_all("_", " "),
        "support",
        "market",
        "language",
        "queue",
        "moderator_id",
        pl.col("decided_at").dt.date().alias("day"),
        "case_id",
    )
    if user.role == "sme":
        shown = shown.drop("p_overturn")
    column = st.column_config
    picked = st.dataframe(
        shown.to_pandas(),
        hide_index=True,
        height=420,
        on_select="rerun",
        selection_mode="single-row",
        key="flags_table",
        column_config={
            "rank": column.NumberColumn("Rank", width=55),
            "p_overturn": column.ProgressColumn(
                "p overturn", min_value=0, max_value=100, format="%.1f%%", width=105
            ),
            "area": "Area",
            "decided": "Decided",
            "reads like": "Reads like",
            "reasons": column.TextColumn("Reasons", width=330),
            "support": column.TextColumn(
                "Gold", width=60, help="Rulings behind the flag in this area and language: none, thin or good"
            ),
            "market": column.TextColumn("Market", width=60),
            "language": column.TextColumn("Lang.", width=55),
            "queue": "Queue",
            "moderator_id": "Moderator",
            "day": column.DateColumn("Decided on"),
            "case_id": "Case",
        },
    )
    places = picked["selection"]["rows"]
    return rows.row(places[0], named=True) if places and places[0] < rows.height else None


def _open(model: str, case: dict[str, Any], user: User) -> None:
    """The chosen case: text blurred until asked for, decision, reading, conflict and precedents beside it."""
    card = _card(model, case)
    left, right = st.columns([11, 9], gap="large")
    blurred = st.session_state.get("flag_seen") != case["decision_id"]
    if blurred and not session.workspace().config.review.blur:  # nobody asks for it: it is seen at once
        _reveal(case, user)
        blurred = False
    with left:
        st.html(case_card.facts(case))
        st.html(case_text(case["text"], case["language"], spans=card.get("spans", ()), blurred=blurred))
        if blurred:
            st.button("Show the text", key="flag_reveal", on_click=_reveal, args=(case, user))
    with right:
        case_card.decision(case)
        case_card.reading(case, card)
        case_card.conflict(case, published.conflicts_of(user, "flags", case["decision_id"]))
        case_card.precedents(case, card, blurred=blurred)


def _card(model: str, case: dict[str, Any]) -> dict[str, Any]:
    """The case's card; empty, and the reason said, where the model that flagged it cannot be had."""
    try:
        return explained.card(model, case)
    except EvenhandError as problem:
        st.warning(f"No marked words and no precedents here: {problem}")
        return {}


def _reveal(case: dict[str, Any], user: User) -> None:
    st.session_state["flag_seen"] = case["decision_id"]
    session.store().audit("view_case", case["case_id"], by=user.user_id, at=datetime.now(UTC))
