"""The review desk: it shows the next case and why it was flagged, and takes a verdict from the keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app import case_card, keys, session
from app import flag_pages as published
from app.text import as_typed, case_text
from evenhand.batches.balance import own_queue
from evenhand.errors import UserError
from evenhand.records.batches import Act, DrawnItem, DrawRecord
from evenhand.records.people import User
from evenhand.records.ruling import CAUSES, ERROR_CLASSES, Ruling
from evenhand.records.verdict import LABEL_CLASSES
from evenhand.wording.words import spoken

SKIP_REASONS = (
    "content no longer there",
    "not my language",
    "needs a second person",
    "too much for me today",
)

#: Seconds that a text, or the line about the last act, must be shown before a key acts on it. An earlier
#: key press was meant for the case before.
GUARD = 0.4
#: Keys of the session's state that belong to the case on the page.
_OF_A_CASE = (
    "shown_at",
    "seen_at",
    "revealed",
    "mode",
    "ruled_label",
    "error_class",
    "cause",
    "note",
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
    _page(session.me("review"))
    state, now = st.session_state, time.monotonic()  # the page is complete: from now on it counts as seen
    if state.get("act") is not None and state["act_at"] is None:
        state["act_at"] = now
    if state.get("revealed") and state["seen_at"] is None:
        state["seen_at"] = now


def _page(user: User) -> None:
    draw = _draw(user)
    if draw is None:
        st.title("Review")
        st.info("No review batch yet. Draw one with `evenhand draw --budget 300`.")
        return
    now, store = datetime.now(UTC), session.store()
    handout = store.take_item(draw.draw_id, user, at=now)  # all queries first, then the whole page at once
    progress = store.progress(draw.draw_id, markets=user.markets, languages=user.languages)
    balance = own_queue(store, draw.draw_id, user, at=now)
    done = progress.ruled + progress.skipped
    skipped = f", {progress.skipped} skipped" if progress.skipped else ""
    st.progress(
        done / progress.total if progress.total else 0.0,
        f"{progress.ruled} of {progress.total} ruled{skipped}",
    )
    st.caption(as_typed(str(balance)))
    _receipt(draw, user)
    if handout.item is None:
        (st.success if handout.reason == "finished" else st.info)(NOTHING[handout.reason])
        return
    _case(handout.item, user)


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
    """One line about the last act, a ruling or a skip, with a button to undo it."""
    state = st.session_state
    act = session.store().last_act(draw.draw_id, sme_id=user.user_id)
    said = state.get("receipt", "")
    if act is None:
        if said:
            st.caption(as_typed(said))
        return
    if state.get("act") != act:
        state.update(act=act, act_at=None)
    line, undo = st.columns([5, 1], vertical_alignment="center")
    line.caption(as_typed(f"{said} Before that: {_told(act)}" if said else _told(act)))
    undo.button(
        "Undo",
        key=f"{act.kind}-{act.act_id}:undo",
        shortcut=keys.UNDO,
        width="stretch",
        on_click=_undo,
        args=(act, user.user_id),
    )


def _told(act: Act) -> str:
    """What was done, in one line."""
    item = session.store().item(act.draw_id, act.decision_id)
    if act.kind == "skip":
        return f"{item.case_id}: skipped, {act.reason}."
    title = session.label(item.policy_version, item.area, act.label).title
    if act.error_class == "policy_unclear":
        verdict = f"policy unclear, {title}"
    else:
        verdict = f"overturned to {title}" if act.error_class is not None else f"agreed, {title}"
    return f"{item.case_id}: {verdict}. The model gave an overturn {item.p_overturn:.0%}."


def _undo(act: Act, drawn_for: str) -> None:
    """Take back the act that the line named, and no other."""
    with session.telling():
        user, store = session.acting("review", drawn_for), session.store()
        _wait_for("act_at", "your last act came on the screen")
        if store.last_act(act.draw_id, sme_id=user.user_id) != act:
            raise UserError(
                f"this {act.kind} is not your last act any more: it was taken back, or a newer one came; nothing was"
                " taken back now, look at the line again"
            )
        (store.undo_ruling if act.kind == "ruling" else store.undo_skip)(act.act_id, by=user.user_id)
        _next_case(f"{act.kind.capitalize()} taken back; the record of it stays.")


def _wait_for(since: str, what: str) -> None:
    """Raise UserError within GUARD seconds of the moment kept as `since`.

    The time then starts again, so a key that is held down never acts.
    """
    state, now = st.session_state, time.monotonic()
    if state[since] is None or now - state[since] < GUARD:
        state[since] = now
        raise UserError(
            f"that key came within {1000 * GUARD:.0f} ms after {what}, so nothing was stored; look at it, then press again"
        )


def _next_case(receipt: str = "") -> None:
    st.session_state["receipt"] = receipt
    for name in ("shown", *_OF_A_CASE):
        st.session_state.pop(name, None)


def _case(item: DrawnItem, user: User) -> None:
    state, settings = st.session_state, session.workspace().config.review
    if state.get("shown") != _key(item):
        for name in _OF_A_CASE:
            state.pop(name, None)
        state.update(
            shown=_key(item), shown_at=time.monotonic(), seen_at=None, revealed=not settings.blur, mode="look"
        )
        if not settings.blur:  # blurring is off: the text is seen at once
            _viewed(item, user)
    case = asdict(item)
    blind = settings.blind
    card: dict[str, Any] = {} if blind else dict(item.explanation)
    blurred = not state["revealed"]
    left, right = st.columns([11, 9], gap="large")
    with left:
        st.html(case_card.facts(case))
        st.html(case_text(item.text, item.language, spans=card.get("spans", ()), blurred=blurred))
        if blurred:
            _button(item, "Show the text", "reveal", keys.SHOW, _reveal, item, user.user_id)
        elif settings.blur:
            _button(item, "Blur again", "reveal", keys.SHOW, lambda: state.update(revealed=False))
        _verdict(item, user, blind=blind)
    with right:
        if blind:
            st.info("Blind review: the decision and the model's view come after your ruling.")
        else:
            case_card.decision(case)
            case_card.reading(case, card)
            case_card.conflict(case, published.conflicts_of(user, "review", item.decision_id))
            case_card.precedents(case, card, blurred=blurred)


def _key(item: DrawnItem) -> tuple[str, str]:
    return item.draw_id, item.decision_id


def _button(
    item: DrawnItem,
    title: str,
    name: str,
    shortcut: str | None,
    act: Callable[..., None],
    *args: object,
    **looks: Any,
) -> None:
    """A button for this case only: a late press does not act on the next case."""
    st.button(title, key=f"{item.decision_id}:{name}", shortcut=shortcut, on_click=act, args=args, **looks)


def _acting(item: DrawnItem, drawn_for: str) -> User:
    """The person who acts on the case, as `session.acting`; UserError if another case is on the screen."""
    user = session.acting("review", drawn_for, (item.market, item.language))
    if st.session_state.get("shown") != _key(item):
        raise UserError(
            f"case {item.case_id} is not on the screen any more: nothing was stored; go on with the one that is"
        )
    return user


def _judging(item: DrawnItem, drawn_for: str) -> User:
    """The same for a verdict: also UserError if the text was not shown yet."""
    user = _acting(item, drawn_for)
    if st.session_state["seen_at"] is None:
        raise UserError("a verdict comes after the text: nothing was stored; `V` shows the text")
    return user


def _reveal(item: DrawnItem, drawn_for: str) -> None:
    with session.telling():
        _viewed(item, _acting(item, drawn_for))
        st.session_state["revealed"] = True


def _viewed(item: DrawnItem, user: User) -> None:
    session.store().audit(
        "view_case", item.case_id, by=user.user_id, at=datetime.now(UTC), details={"draw_id": item.draw_id}
    )


def _verdict(item: DrawnItem, user: User, *, blind: bool) -> None:
    """The buttons agree and overturn (once the text was shown) and skip; a blind review asks a label."""
    state, me = st.session_state, user.user_id
    unread = state["seen_at"] is None and not state["revealed"]
    if blind:
        state["mode"] = "skip" if state["mode"] == "skip" else "overturn"
    else:
        agree, overturn, skip = st.columns(3)
        with agree:
            _button(
                item,
                "Agree",
                "agree",
                keys.AGREE,
                _rule,
                item,
                me,
                item.label,
                type="primary",
                width="stretch",
                disabled=unread,
            )
        with overturn:
            _button(
                item,
                "Overturn",
                "overturn",
                keys.OVERTURN,
                _start,
                item,
                me,
                "overturn",
                width="stretch",
                disabled=unread,
            )
        with skip:
            _button(item, "Skip", "skip", keys.SKIP, _start, item, me, "skip", width="stretch")
    if state["mode"] == "overturn":
        _overturn(item, user, blind=blind)
    if blind and state["mode"] != "skip":
        _button(item, "Skip", "skip", keys.SKIP, _start, item, me, "skip")
    if state["mode"] == "skip":
        _skip(item, user)


def _start(item: DrawnItem, drawn_for: str, mode: str) -> None:
    with session.telling():
        (_acting if mode == "skip" else _judging)(item, drawn_for)
        st.session_state["mode"] = mode


def _overturn(item: DrawnItem, user: User, *, blind: bool) -> None:
    """Choose the right label by its number; the error class is filled in; cause and note are optional."""
    state, me = st.session_state, user.user_id
    area = session.policy(item.policy_version).area(item.area)
    labels = [label for label in area.labels if blind or label.name != item.label]
    unread = state["seen_at"] is None and not state["revealed"]
    st.caption("Which label is right?" if not blind else "Your label")
    for number, label in enumerate(labels, start=1):
        _button(
            item,
            as_typed(f"{label.title} ({label.clause_id})"),
            f"label-{label.name}",
            keys.digit(number),
            _choose,
            item,
            me,
            label.name,
            area.error_class(item.label, label.name),
            type="primary" if state.get("ruled_label") == label.name else "secondary",
            width="stretch",
            help=as_typed(label.clause_for(item.market)),
            disabled=unread,
        )
    ruled = state.get("ruled_label")
    if not blind:
        first, second = st.columns(2)
        by_labels = ruled and area.error_class(item.label, ruled)
        fitting = [name for name in ERROR_CLASSES if name == by_labels or name not in LABEL_CLASSES]
        first.selectbox("Error class", fitting, key="error_class", format_func=spoken, index=None)
        second.selectbox("Cause (optional)", CAUSES, key="cause", format_func=spoken, index=None)
    st.text_input("Note (optional)", key="note")
    _button(
        item,
        "Save",
        "save",
        keys.SAVE,
        _rule,
        item,
        me,
        ruled,
        type="primary",
        disabled=ruled is None or unread,
    )


def _choose(item: DrawnItem, drawn_for: str, label: str, error_class: str | None) -> None:
    with session.telling():
        _judging(item, drawn_for)
        st.session_state.update(ruled_label=label, error_class=error_class)


def _skip(item: DrawnItem, user: User) -> None:
    st.caption("Why? Skipped cases are counted as missing.")
    for number, reason in enumerate(SKIP_REASONS, start=1):
        _button(
            item,
            reason.capitalize(),
            f"skip-{number}",
            keys.digit(number),
            _skip_now,
            item,
            user.user_id,
            reason,
        )


def _skip_now(item: DrawnItem, drawn_for: str, reason: str) -> None:
    with session.telling():
        user = _acting(item, drawn_for)
        with _too_late(item):
            session.store().skip_item(
                item.draw_id, item.decision_id, sme_id=user.user_id, reason=reason, at=datetime.now(UTC)
            )
        _next_case()


@contextmanager
def _too_late(item: DrawnItem) -> Iterator[None]:
    """If somebody else was faster, go to the next case and say why."""
    try:
        yield
    except UserError as problem:
        _next_case()
        raise UserError(f"{item.case_id}: {problem}") from problem


def _rule(item: DrawnItem, drawn_for: str, label: str) -> None:
    """Store the ruling at once, then show the next case."""
    with session.telling():
        user = _judging(item, drawn_for)
        _wait_for("seen_at", "the text came on the screen")
        ruling = _ruling(item, user, label)
        with _too_late(item):
            session.store().rule_item(ruling, by=user.user_id)
        _next_case()


def _ruling(item: DrawnItem, user: User, label: str) -> Ruling:
    """The ruling as it is filled in on the page."""
    state = st.session_state
    area = session.policy(item.policy_version).area(item.area)
    error_class = area.error_class(item.label, label)
    if error_class is not None and state.get("error_class"):
        error_class = state["error_class"]
    overturned = error_class is not None
    return Ruling(
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
        draw_id=item.draw_id,
        seconds=max(0.0, time.monotonic() - state["shown_at"]),
        source="app",
    )
