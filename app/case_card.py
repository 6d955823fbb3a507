"""What is shown of a case on the review desk and on the flags page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import polars as pl
import streamlit as st

from app import session
from app.text import box, case_text, chips
from evenhand.wording.words import language, spoken


def facts(case: Mapping[str, Any]) -> str:
    """Area, language, market, queue, kind and time of a case, as chips."""
    area = session.policy(case["policy_version"]).area(case["area"]).title
    kind = spoken(case["content_type"]) if case.get("content_type") else None
    when = f"decided {case['decided_at']:%d %b %Y}"
    return chips(
        area, language(case["language"]), f"market {case['market']}", f"queue {case['queue']}", kind, when
    )


def decision(case: Mapping[str, Any]) -> None:
    """The decision with the clause it rests on."""
    label = session.label(case["policy_version"], case["area"], case["label"])
    st.html(
        box(
            f"The moderator decided · policy {case['policy_version']}",
            f"{label.title} ({label.clause_id})",
            label.clause_for(case["market"]),
            "eh-decided",
        )
    )


def reading(case: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    """The label that the text reads like, if it is not the decided one, and the card's sentence."""
    likely = card.get("predicted_label") or case.get("predicted_label")
    if likely and likely != case["label"]:
        label = session.label(case["policy_version"], case["area"], likely)
        title = f"{label.title} ({label.clause_id})"
        st.html(box("The text reads like", title, label.clause_for(case["market"]), "eh-reads"))
    said = card.get("sentence") or case.get("reasons") or ""
    st.html(f'<p class="eh-say">{escape(titled(said, case))}</p>')


def titled(sentence: str, case: Mapping[str, Any]) -> str:
    """`sentence` with the titles of the area's labels instead of their names, in “ ”.

    A card's sentence already has its labels in “ ”: only those are replaced. In the reasons of a flag, a name
    that differs from its title is replaced where it is a whole word.
    """
    labels = session.policy(case["policy_version"]).area(case["area"]).labels
    quoted = "“" in sentence
    titles = {
        x.name: x.title for x in labels if quoted or not (x.title.lower() == x.name or x.name.isdigit())
    }
    if not titles:
        return sentence
    names = "|".join(re.escape(name) for name in sorted(titles, key=len, reverse=True))
    pattern = f"“({names})”" if quoted else rf"(?<!\w)({names})(?!\w)"
    return re.sub(pattern, lambda found: f"“{titles[found.group(1)]}”", sentence)


def precedents(case: Mapping[str, Any], card: Mapping[str, Any], *, blurred: bool) -> None:
    """The nearest adjudicated cases, for and against, with date and policy version."""
    found = card.get("precedents") or []
    if not found:
        return
    st.html('<div class="eh-kicker">Nearest precedents</div>')
    for near in found:
        verdict = "as the moderator" if near["agrees_with_decision"] else "unlike the moderator"
        if near.get("other_side"):
            verdict += ", the nearest of the other side"
        title = session.label(near["policy_version"], case["area"], near["label"]).title
        where = f"{language(near['language'])}, {near['market']}, {near['ruled_at'][:10]}"
        meta = f"<b>Ruled {escape(title)}</b>, {verdict} · {escape(where)} · {escape(near['policy_version'])}"
        text = case_text(near["text"], near["language"], blurred=blurred, small=True)
        st.html(f'<div class="eh-precedent"><div class="eh-meta">{meta}</div>{text}</div>')


def conflict(case: Mapping[str, Any], group: pl.DataFrame | None) -> None:
    """How often near-identical content was decided differently, with which labels, and if by one person."""
    if group is None:
        return
    area, first = session.policy(case["policy_version"]).area(case["area"]), group.row(0, named=True)
    counts = group["label"].value_counts(sort=True).iter_rows()
    said = ", ".join(f"{n} x {area.label(name).title}" for name, n in counts)
    if hidden := first["group_size"] - group.height:
        said += f", and {hidden} outside your markets and languages"
    if across := first.get("across"):
        said += f"; across {across.replace('; ', ', ')}"
    if one := first.get("within_one"):
        said += f"; one {one.replace('; ', ', one ')} decided both ways"
    st.html(f'<p class="eh-say"><b>Near-identical content was decided differently:</b> {escape(said)}.</p>')
