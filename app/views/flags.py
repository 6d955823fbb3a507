"""The page of flags: ranked decisions with reasons, to filter, sort and open.

Decisions that an SME has ruled on are shown only on request.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from app import case_card, explained, session
from app import flag_pages as published
from app.text import as_said, as_typed, box, case_text
from evenhand.errors import EvenhandError
from evenhand.records.people import User
from evenhand.wording.rates import domain_name
from evenhand.wording.words import spoken

PAGE = 50
_SHOW: dict[published.Show, str] = {
    "open": "{n:,} open flags",
    "ruled": "{n:,} ruled flags",
    "all": "{n:,} flags",
}


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
    line = st.container(horizontal=True, vertical_alignment="bottom")
    show = line.segmented_control(
        "Show",
        list(_SHOW),
        default="open",
        required=True,
        format_func=str.capitalize,
        key="flags_show",
        on_change=_first_page,
        help="Ruled: an SME has ruled on the decision under its policy version.",
    )
    found = published.page(
        model,
        user,
        where=where,
        reason=reason,
        newest=newest,
        show=show,
        number=st.session_state.get("flags_page", 1),
        size=PAGE,
    )
    if not found.shown:
        _nothing(found, show, filtered=bool(where or reason))
        return
    first = "the newest" if newest else "the likeliest overturns"
    line.caption(
        f"{_SHOW[show].format(n=found.shown)} by {as_typed(model)}, {first} first{_rest(found, show)}"
    )
    if found.unlisted:
        st.caption(
            f"{found.unlisted:,} more scored decisions rank behind these and are not on this page; `evenhand flags --out FILE`"
            " writes them all."
        )
    pages = -(-found.shown // PAGE)
    # there are fewer pages than before: other people have ruled
    if st.session_state.get("flags_page", 1) != found.number:
        st.session_state["flags_page"] = found.number
    line.number_input("Page", 1, pages, key="flags_page", help=f"{pages:,} pages of {PAGE}", width=140)
    _keep_choice(found.rows["decision_id"].to_list())
    chosen = _table(found.rows, user, ruled=show != "open")
    if chosen is None:
        st.caption("Choose a row to open its case.")
    else:
        _open(model, chosen, user)


def _rest(found: published.FlagPage, show: published.Show) -> str:
    """How many flags are settled; if the settled ones are shown, how many are open."""
    if show == "ruled":
        return f" · {found.open:,} open"
    return f" · {found.ruled:,} ruled on" if show == "open" else f" · {found.ruled:,} of them ruled on"


def _nothing(found: published.FlagPage, show: published.Show, *, filtered: bool) -> None:
    """Why the list is empty, and what to do."""
    here = " that fits these filters" if filtered else ""
    if show == "open" and found.ruled:
        st.success(
            f"No open flag{here}: SMEs have ruled on all {found.ruled:,}. *Ruled* shows them with their rulings."
        )
    elif show == "ruled" and found.open:
        st.info(f"No flag{here} is ruled on yet ({found.open:,} open). Rulings come from the Review page.")
    elif filtered:
        st.info("No flag fits these filters; take one away.")
    else:
        st.info("No flag in your markets and languages.")


def _filters(model: str, user: User) -> tuple[dict[str, str], str, bool]:
    stamp = published.file_of(model).stat().st_mtime
    known = published.facets(model, stamp, user, user.user_id)
    titles = session.titles()
    where: dict[str, str] = {}
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
            format_func=partial(domain_name, name, titles=titles, area=where.get("area", "")),
        )
        if chosen:
            where[name] = chosen
    reason = columns[5].text_input("Reason contains", key="flags_reason", on_change=_first_page)
    order = columns[6].selectbox("Order", ["rank", "newest"], key="flags_order", on_change=_first_page)
    return where, reason, order == "newest"


def _first_page() -> None:
    st.session_state["flags_page"] = 1


def _keep_choice(listed: list[str]) -> None:
    """Keep the chosen case chosen when a filter or a ruling changes the list.

    If the case is no longer in the list, no case is chosen.
    """
    state, before = st.session_state, st.session_state.get("flags_listed", listed)
    state["flags_listed"] = listed
    if before == listed or "flags_table" not in state:
        return
    chosen = [before[place] for place in state["flags_table"]["selection"]["rows"]]
    places = [listed.index(case) for case in chosen if case in listed]
    state["flags_table"] = {"selection": {"rows": places, "columns": [], "cells": []}}


def _table(rows: pl.DataFrame, user: User, *, ruled: bool) -> dict[str, Any] | None:
    """Show the page as a table, with the rulings if `ruled`; return the chosen row, if any.

    SMEs do not see the score: they may still rule on the case.
    """
    titles = session.titles()

    def title(column: str) -> pl.Expr:
        return pl.struct("area", column).map_elements(
            lambda row: row[column] and domain_name("label", row[column], titles, row["area"]), pl.String
        )

    rulings = (
        title("ruled_label").alias("ruled"),
        pl.col("verdict").str.replace("_", " ").str.to_titlecase(),
        "sme_id",
        pl.col("ruled_at").dt.date().alias("ruled_on"),
    )
    shown = rows.select(
        "rank",
        (100 * pl.col("p_overturn")).alias("p_overturn"),
        pl.col("area").map_elements(lambda name: domain_name("area", name, titles), pl.String),
        title("label").alias("decided"),
        *(rulings if ruled else ()),
        title("predicted_label").alias("reads like"),
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
            "rank": column.NumberColumn("Rank", width=55, help="Place among all flags, ruled ones included"),
            "p_overturn": column.ProgressColumn(
                "p overturn", min_value=0, max_value=100, format="%.1f%%", width=105
            ),
            "ruled": "Ruled",
            "verdict": column.TextColumn("Verdict", width=85),
            "sme_id": "By",
            "ruled_on": column.DateColumn("Ruled on"),
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
    if blurred and not session.workspace().config.review.blur:  # blurring is off: the text is seen at once
        _viewed(case, user)
        blurred = False
    with left:
        st.html(case_card.facts(case))
        st.html(case_text(case["text"], case["language"], spans=card.get("spans", ()), blurred=blurred))
        if blurred:
            st.button("Show the text", key="flag_reveal", on_click=_reveal, args=(case, user.user_id))
    with right:
        case_card.decision(case)
        _ruling(case)
        case_card.reading(case, card)
        case_card.conflict(case, published.conflicts_of(user, "flags", case["decision_id"]))
        case_card.precedents(case, card, blurred=blurred)


def _ruling(case: dict[str, Any]) -> None:
    """How an SME ruled on the case, by whom and when; nothing while it is open."""
    if case["verdict"] is None:
        return
    label = session.label(case["policy_version"], case["area"], case["ruled_label"])
    named = case["error_class"] not in (None, case["verdict"])
    why = f" · {spoken(case['error_class']).lower()}" if named else ""
    kicker = f"{spoken(case['verdict']).lower()} by {case['sme_id']} · {case['ruled_at']:%d %b %Y}{why}"
    st.html(box(kicker, f"{label.title} ({label.clause_id})", label.clause_for(case["market"])))


def _card(model: str, case: dict[str, Any]) -> dict[str, Any]:
    """The card of a case; if the model cannot be loaded, show the reason and return an empty card."""
    try:
        return explained.card(model, case)
    except EvenhandError as problem:
        st.warning(as_said(f"No marked words and no precedents here: {problem}"))
        return {}


def _reveal(case: dict[str, Any], drawn_for: str) -> None:
    with session.telling():
        _viewed(case, session.acting("flags", drawn_for, (case["market"], case["language"])))


def _viewed(case: dict[str, Any], user: User) -> None:
    st.session_state["flag_seen"] = case["decision_id"]
    session.store().audit("view_case", case["case_id"], by=user.user_id, at=datetime.now(UTC))
