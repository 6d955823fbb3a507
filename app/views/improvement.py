"""The page of improvement areas: where moderation is wrong more often than elsewhere, and what is done.

It shows the owner and whether the action worked. It shows numbers only, no case texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import partial

import pandas as pd
import streamlit as st

from app import figures as measured
from app import session
from app.text import as_said, as_typed, bullets, figure
from evenhand.errors import EstimateError, UserError
from evenhand.rates.improvement_areas import FALSE_SHARE, Confusion, ImprovementArea, remeasure
from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws
from evenhand.records.improvement import Improvement
from evenhand.records.people import User
from evenhand.records.ruling import CAUSES
from evenhand.statistics.estimator import Estimate
from evenhand.wording.notes import sentence as note_sentence
from evenhand.wording.rates import Titles, domain_name, evidence, number, place_name, sentence
from evenhand.wording.words import day, spoken


def page() -> None:
    """Show the areas that somebody has taken up, then those that stand out and nobody has taken up."""
    user = session.me("improvement")
    st.title("Improvement areas")
    store = session.store()
    taken = store.improvements()
    try:
        areas, notes = measured.areas(measured.stamp())
    except EstimateError as problem:
        st.info(as_said(sentence(str(problem))))
        return
    titles = session.titles()
    at_work = [one for one in taken if one.open]
    free = [area for area in areas if all(dict(one.where) != dict(area.where) for one in at_work)]
    if at_work:
        st.subheader("At work")
    for one in at_work:
        _at_work(one, user, titles)
    st.subheader("Stands out")
    if not free:
        no = "No other slice" if at_work else "No slice"
        st.info(
            f"{no} stands out so far. That is no proof that none is there: more reviews would show smaller ones."
        )
    for place, area in enumerate(free):
        _candidate(place, area, user, titles)
    if done := [one for one in taken if not one.open]:
        with st.expander(f"Closed ({len(done)})"):
            st.dataframe(pd.DataFrame([_row(one, titles) for one in done]), hide_index=True)
    with st.expander("How these were found"):
        st.markdown(
            "Every market, area, language, queue, team, content type and label, and every pair of them, is compared with all other"
            f" decisions. Of those named, at most {FALSE_SHARE:.0%} are expected to be noise. Moderators are never compared."
        )
        st.markdown(bullets(map(note_sentence, notes)))


def confused(one: Confusion, titles: Titles) -> str:
    """One kind of wrong decision (from which label to which), in Markdown."""
    decided, ruled = (
        as_typed(domain_name("label", name, titles, one.area)) for name in (one.decided, one.ruled)
    )
    area = as_typed(domain_name("area", one.area, titles))
    about = f"{one.decisions:,.0f} decision{'' if round(one.decisions) == 1 else 's'}"
    return f"**{decided}** that should be **{ruled}** ({area}): about {about}, {one.found} seen"


def overdue(one: Improvement, today: date) -> bool:
    """Whether the action is late."""
    return bool(one.due) and date.fromisoformat(one.due) < today


def _candidate(place: int, area: ImprovementArea, user: User, titles: Titles) -> None:
    with st.container(border=True):
        st.markdown(f"#### {as_typed(place_name(area.where, titles))}")
        first, second, third = st.columns(3)
        rate = area.rate
        first.html(figure("Error rate here", number(rate), f"{evidence(rate)} of {rate.population:,}"))
        second.html(figure("Everywhere else", number(area.elsewhere), evidence(area.elsewhere)))
        third.html(figure("Errors too many", f"about {area.excess:,.0f}", "against the rate everywhere else"))
        said = "; ".join(confused(one, titles) for one in area.confusions)
        st.markdown(f"Most often: {said}.")
        with st.container(horizontal=True):
            with st.popover("Take it up"), st.form(f"take-{place}", border=False):
                _fields(f"take-{place}")
                _submit("Take it up", f"take-{place}", user, partial(_take_up, f"take-{place}", area.where))
            with st.popover("Cases for an SME to open"):
                st.code("\n".join(area.examples), language=None)


def _at_work(one: Improvement, user: User, titles: Titles) -> None:
    name = one.improvement_id
    with st.container(border=True):
        st.markdown(f"#### {as_typed(place_name(one.where, titles))}")
        late = " (overdue)" if overdue(one, datetime.now(UTC).date()) else ""
        due = f"due {day(date.fromisoformat(one.due))}{late}" if one.due else "no due day"
        st.markdown(
            f"**{as_typed(one.owner) or 'Nobody'}** sees to it, {due}. Cause: {as_typed(spoken(one.cause)) if one.cause else 'not known yet'}."
            f" Action: {as_typed(one.action) or 'none yet'}."
        )
        found = Estimate(**one.found)
        st.caption(
            f"Taken up {day(one.opened_at)} by {as_typed(one.opened_by)}, at an error rate of {number(found)} ({evidence(found)})"
        )
        if one.measured:
            last = one.measured[-1]
            before, after = Estimate(**last["before"]), Estimate(**last["after"])
            st.markdown(
                f"**{as_typed(last['verdict'].capitalize())}**: {number(before)} before {day(date.fromisoformat(last['at']))} ({evidence(before)}), {number(after)} since"
                f" ({evidence(after)})."
            )
        change, measure, close = st.columns(3)
        with change.popover("Change", width="stretch"), st.form(f"set-{name}", border=False):
            _fields(f"set-{name}", one)
            _submit("Save", f"set-{name}", user, partial(_change, name))
        with measure.popover("Did it work?", width="stretch"), st.form(f"measure-{name}", border=False):
            st.date_input("From which day should it show?", one.acted_at or one.opened_at, key=f"day-{name}")
            _submit("Measure", f"measure-{name}", user, partial(_measure, name))
        with close.popover("Close", width="stretch"), st.form(f"close-{name}", border=False):
            st.text_input("Why is it closed?", key=f"reason-{name}")
            _submit("Close", f"close-{name}", user, partial(_close, name))


def _fields(key: str, one: Improvement | None = None) -> None:
    """Ask for owner, cause, due day and action."""
    st.text_input("Owner", one.owner if one else "", key=f"owner-{key}")
    known = CAUSES.index(one.cause) if one and one.cause else None
    st.selectbox("Cause", CAUSES, known, format_func=spoken, key=f"cause-{key}")
    st.date_input("Due", date.fromisoformat(one.due) if one and one.due else None, key=f"due-{key}")
    st.text_area("Action", one.action if one else "", key=f"action-{key}")


def _given(key: str) -> dict[str, str]:
    """What was typed into `_fields`; empty fields are left out."""
    owner, cause, due, action = (
        st.session_state[f"{name}-{key}"] for name in ("owner", "cause", "due", "action")
    )
    given = {"owner": owner, "cause": cause or "", "due": due.isoformat() if due else "", "action": action}
    return {name: value for name, value in given.items() if value}


def _submit(title: str, key: str, user: User, write: Callable[[User], object]) -> None:
    """The button of a form; below it, what is wrong with the input."""
    st.form_submit_button(title, type="primary", on_click=_do, args=(key, user.user_id, write))
    if problem := st.session_state.pop(f"problem-{key}", None):
        st.error(as_said(problem))


def _do(key: str, drawn_for: str, write: Callable[[User], object]) -> None:
    """Write the change in the name of the person here, if the form was drawn for the same person."""
    with session.telling():
        user = session.acting("improvement", drawn_for)
        try:
            write(user)
        except (UserError, EstimateError) as problem:
            st.session_state[f"problem-{key}"] = str(problem)


def _take_up(key: str, where: Mapping[str, str], user: User) -> None:
    found = estimate_draws(session.workspace(), session.store(), Question(filters=where)).overall.total
    session.store().open_improvement(where, vars(found), by=user.user_id, at=datetime.now(UTC), **_given(key))


def _change(name: str, user: User) -> None:
    if given := _given(f"set-{name}"):
        session.store().set_improvement(name, by=user.user_id, at=datetime.now(UTC), **given)


def _measure(name: str, user: User) -> None:
    since, at = st.session_state[f"day-{name}"], datetime.now(UTC)
    remeasure(session.workspace(), session.store(), name, since, by=user.user_id, at=at)


def _close(name: str, user: User) -> None:
    reason = st.session_state[f"reason-{name}"]
    session.store().close_improvement(name, reason, by=user.user_id, at=datetime.now(UTC))


def _row(one: Improvement, titles: Titles) -> dict[str, str]:
    return {
        "Slice": place_name(one.where, titles),
        "Rate then": _then(one),
        "Owner": one.owner,
        "Action": one.action,
        "Worked": one.measured[-1]["verdict"] if one.measured else "not measured",
        "Closed because": one.closed,
    }


def _then(one: Improvement) -> str:
    found = Estimate(**one.found)
    return f"{number(found)} ({evidence(found)})"
