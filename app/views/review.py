"""The review desk: the next case, why it was flagged, a verdict from the keyboard."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app import case_card, session
from app import flag_pages as published
from app.text import case_text
from evenhand.batches.balance import own_queue
from evenhand.errors import UserError
from evenhand.records.decision import CAUSES, ERROR_CLASSES, Ruling
from evenhand.store import DrawnItem, DrawRecord, User
from evenhand.wording.words import spoken

SKIP_REASONS = (
    "content no longer there",
    "not my language",
    "needs a second person",
    "too much for me today",
)

#: Why the queue has no case for a person.
NOTHING = {
    "finished": "This batch is finished for your markets and languages. Thank you.",
    "held": "Others are on the last cases of this batch in your markets and languages. Look in again later.",
    "away": "You are entered as away, so your cases go to others. Back? `evenhand user back NAME` says so.",
    "capacity": "You have done your cases of this week. Thank you. The next ones come on Monday.",
}


def page() -> None:
    """Show the next case of the batch, or say why there is none."""
    user = session.me("review")
    draw = _draw(user)
    if draw is None:
        st.title("Review")
        st.info("No review batch yet. Draw one with `evenhand draw --budget 300`.")
        return
    now, store = datetime.now(UTC), session.store()
    handout = store.take_item(draw.draw_id, user, at=now)  # all answers first, then the page in one go
    progress = store.progress(draw.draw_id, markets=user.markets, languages=user.languages)
    balance = own_queue(store, draw.draw_id, user, at=now)
    done = progress.ruled + progress.skipped
    skipped = f", {progress.skipped} skipped" if progress.skipped else ""
    st.progress(
        done / progress.total if progress.total else 0.0,
        f"{progress.ruled} of {progress.total} ruled{skipped}",
    )
    st.caption(str(balance))
    _receipt(draw, user)
    if handout.item is None:
        (st.success if handout.reason == "finished" else st.info)(NOTHING[handout.reason])
        return
    _case(draw, handout.item, user)


def _draw(user: User) -> DrawRecord | None:
    """The batch to work on: the newest with open cases for this person, or their choice."""
    store = session.store()
    draws = list(reversed(store.draws()))
    scope = {"markets": user.markets, "languages": user.languages}
    left = {draw.draw_id: store.progress(draw.draw_id, **scope).open for draw in draws}
    if not draws:
        return None
    if len(draws) > 1:
        names = sorted(left, key=lambda name: left[name] == 0)
        chosen = st.sidebar.selectbox("Batch", names, format_func=lambda name: f"{name} · {left[name]} open")
        return next(draw for draw in draws if draw.draw_id == chosen)
    return draws[0]


def _receipt(draw: DrawRecord, user: User) -> None:
    """One line about the ruling before, and the way back."""
    last = session.store().last_ruling(draw.draw_id, sme_id=user.user_id)
    said = st.session_state.get("receipt")
    if last is None:
        if said:
            st.caption(said)
        return
    line, undo = st.columns([5, 1], vertical_alignment="center")
    line.caption(said or "Your last ruling is stored.")
    undo.button("Undo", key="undo", shortcut="U", width="stretch", on_click=_undo, args=(last, user))


def _undo(ruling_id: int, user: User) -> None:
    session.store().undo_ruling(ruling_id, by=user.user_id)
    _next_case("Ruling taken back; the record of it stays.")


def _next_case(receipt: str) -> None:
    st.session_state["receipt"] = receipt
    for name in ("shown", "revealed", "mode", "ruled_label", "error_class", "cause", "note"):
        st.session_state.pop(name, None)


def _case(draw: DrawRecord, item: DrawnItem, user: User) -> None:
    state, settings = st.session_state, session.workspace().config.review
    if state.get("shown") != item.decision_id:
        state.update(shown=item.decision_id, since=time.monotonic(), revealed=not settings.blur, mode="look")
        state.pop("ruled_label", None)
        if not settings.blur:  # nobody asks for it: it is seen at once
            _reveal(item, user)
    case = asdict(item)
    blind = settings.blind
    card: dict[str, Any] = {} if blind else dict(item.explanation)
    blurred = not state["revealed"]
    left, right = st.columns([11, 9], gap="large")
    with left:
        st.html(case_card.facts(case))
        st.html(case_text(item.text, item.language, spans=card.get("spans", ()), blurred=blurred))
        if blurred:
            st.button("Show the text", key="reveal", shortcut="V", on_click=_reveal, args=(item, user))
        elif settings.blur:
            st.button("Blur again", key="reveal", shortcut="V", on_click=lambda: state.update(revealed=False))
        _verdict(draw, item, user, blind=blind)
    with right:
        if blind:
            st.info("Blind review: the decision and the model's view come after your ruling.")
        else:
            case_card.decision(case)
            case_card.reading(case, card)
            case_card.conflict(case, published.conflicts_of(user, "review", item.decision_id))
            case_card.precedents(case, card, blurred=blurred)


def _reveal(item: DrawnItem, user: User) -> None:
    st.session_state["revealed"] = True
    session.store().audit(
        "view_case", item.case_id, by=user.user_id, at=datetime.now(UTC), details={"draw_id": item.draw_id}
    )


def _verdict(draw: DrawRecord, item: DrawnItem, user: User, *, blind: bool) -> None:
    """Agree or overturn, skip; in a blind review the label first."""
    state = st.session_state
    if blind:
        state["mode"] = "skip" if state["mode"] == "skip" else "overturn"
    else:
        agree, overturn, skip = st.columns(3)
        agree.button("Agree", key="agree", type="primary", shortcut="A", width="stretch", on_click=_rule, args=(draw, item, user, item.label))  # fmt: skip
        overturn.button("Overturn", key="overturn", shortcut="O", width="stretch", on_click=lambda: state.update(mode="overturn"))  # fmt: skip
        skip.button(
            "Skip", key="skip", shortcut="K", width="stretch", on_click=lambda: state.update(mode="skip")
        )
    if state["mode"] == "overturn":
        _overturn(draw, item, user, blind=blind)
    if blind and state["mode"] != "skip":
        st.button("Skip", key="skip", shortcut="K", on_click=lambda: state.update(mode="skip"))
    if state["mode"] == "skip":
        _skip(item, user)


def _overturn(draw: DrawRecord, item: DrawnItem, user: User, *, blind: bool) -> None:
    """The right label by its number, the error class filled in, cause and note if wanted."""
    state = st.session_state
    area = session.policy(item.policy_version).area(item.area)
    labels = [label for label in area.labels if blind or label.name != item.label]
    st.caption("Which label is right?" if not blind else "Your label")
    for number, label in enumerate(labels, start=1):
        chosen = state.get("ruled_label") == label.name
        st.button(
            f"{label.title} ({label.clause_id})",
            key=f"label-{label.name}",
            type="primary" if chosen else "secondary",
            shortcut=str(number) if number < 10 else None,
            width="stretch",
            help=label.clause_for(item.market),
            on_click=_choose,
            args=(label.name, area.error_class(item.label, label.name)),
        )
    ruled = state.get("ruled_label")
    if not blind:
        first, second = st.columns(2)
        first.selectbox("Error class", ERROR_CLASSES, key="error_class", format_func=spoken, index=None)
        second.selectbox("Cause (optional)", CAUSES, key="cause", format_func=spoken, index=None)
    st.text_input("Note (optional)", key="note")
    st.button(
        "Save", key="save", type="primary", shortcut="S", disabled=ruled is None,
        on_click=_rule, args=(draw, item, user, ruled),
    )  # fmt: skip


def _choose(label: str, error_class: str | None) -> None:
    st.session_state.update(ruled_label=label, error_class=error_class)


def _skip(item: DrawnItem, user: User) -> None:
    st.caption("Why? Skipped cases are counted as missing.")
    for number, reason in enumerate(SKIP_REASONS, start=1):
        st.button(
            reason.capitalize(), key=f"skip-{number}", shortcut=str(number), on_click=_skip_now, args=(item, user, reason)
        )  # fmt: skip


def _skip_now(item: DrawnItem, user: User, reason: str) -> None:
    session.store().skip_item(
        item.draw_id, item.decision_id, sme_id=user.user_id, reason=reason, at=datetime.now(UTC)
    )
    _next_case(f"{item.case_id}: skipped, {reason}.")


def _rule(draw: DrawRecord, item: DrawnItem, user: User, label: str) -> None:
    """Store the ruling at once, then the next case shows."""
    state = st.session_state
    area = session.policy(item.policy_version).area(item.area)
    error_class = area.error_class(item.label, label)
    if error_class is not None and state.get("error_class"):
        error_class = state["error_class"]
    overturned = error_class is not None
    ruling = Ruling(
        case_id=item.case_id,
        area=item.area,
        policy_version=item.policy_version,
        label=label,
        sme_id=user.user_id,
        ruled_at=datetime.now(UTC),
        decision_moderator_id=item.moderator_id,
        error_class=error_class,
        cause=state.get("cause") if overturned else None,
        rationale=(state.get("note") or None) if overturned else None,
        draw_id=draw.draw_id,
        seconds=max(0.0, time.monotonic() - state.get("since", time.monotonic())),
        source="app",
    )
    try:
        session.store().rule_item(ruling, by=user.user_id)
    except UserError as problem:  # somebody was quicker, or it is a second click
        return _next_case(f"{item.case_id}: {problem}.")
    title = area.label(label).title
    verdict = f"overturned to {title}" if overturned else f"agreed, {title}"
    _next_case(f"{item.case_id}: {verdict}. The model gave an overturn {item.p_overturn:.0%}.")
