"""Who is using the app, and the workspace they see. Every read and write asks `app.access` again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.access import allowed
from app.text import as_said
from evenhand.errors import EvenhandError, UserError
from evenhand.records.people import User
from evenhand.records.policy import Label, PolicyVersion
from evenhand.records.policy import titles as titles_of
from evenhand.store import Store
from evenhand.wording.words import capital
from evenhand.workspace.workspace import Workspace, find_workspace, open_workspace

#: Keys of the session's state. The person has a key of our own: a widget's key may be lost when the page
#: is switched.
_PERSON, _PICKER, _ARRIVED, _REFUSED = "person", "who", "arrived", "refused"


@st.cache_resource(show_spinner=False)
def _open(root: str) -> tuple[Workspace, Store]:
    workspace = open_workspace(find_workspace(None))
    return workspace, Store.open(workspace.store_url)


def workspace() -> Workspace:
    """The workspace named by EVENHAND_WORKSPACE."""
    return _open(str(find_workspace(None).resolve()))[0]


def store() -> Store:
    """The store of the workspace; all sessions share it."""
    return _open(str(find_workspace(None).resolve()))[1]


def sign_in() -> User | None:
    """Who is here: EVENHAND_USER, else the chosen person. Before that None, and the page asks or advises."""
    user: User | None = None
    if name := os.environ.get("EVENHAND_USER"):
        user = store().user(name)
    elif people := {user.user_id: user for user in store().users()}:
        user = people.get(_pick(list(people)) or "")
    else:
        st.title("Welcome to Evenhand")
        st.info(
            "Nobody is set up yet. Add the first person, then reload: `evenhand user add NAME --role sme`"
        )
    st.session_state["user"] = user
    return user


def _pick(names: list[str]) -> str | None:
    """Show the picker, in the middle of the page until somebody is chosen; return the name."""
    state = st.session_state
    chosen = state.get(_PERSON) if state.get(_PERSON) in names else None
    if chosen is None:
        st.title("Welcome to Evenhand")
        st.markdown("Say who you are. Before that nothing is shown, and no case is taken.")
    state[_PICKER] = chosen
    place = st.container(width=360) if chosen is None else st.sidebar
    place.selectbox(
        "You are",
        names,
        None,
        key=_PICKER,
        on_change=_arrive,
        placeholder="Choose your name",
        help="On a shared machine set EVENHAND_USER.",
    )
    return chosen


def _arrive() -> None:
    """Clear the state of the person before, when another person arrives."""
    state = st.session_state
    chosen = state[_PICKER]
    for name in list(state):
        if name not in (_PICKER, _REFUSED):
            del state[name]
    state.update({_PERSON: chosen, _ARRIVED: True})


def has_arrived() -> bool:
    """Whether this person was chosen since the last page; true only once."""
    return bool(st.session_state.pop(_ARRIVED, False))


def _signed_in() -> str | None:
    """The id of the person here now. The picker's own value counts until its callback has run."""
    state = st.session_state
    return os.environ.get("EVENHAND_USER") or (state[_PICKER] if _PICKER in state else state.get(_PERSON))


def me(page: str) -> User:
    """The person here; UserError if their role does not include `page`."""
    user: User | None = st.session_state.get("user")
    return allowed(user, page)


def acting(page: str, drawn_for: str, place: tuple[str, str] | None = None) -> User:
    """The person here now, for a callback that writes what `drawn_for` did on their page.

    Raises UserError if somebody else is here by now, if their role does not include `page`, or if their
    markets and languages do not include `place`. Then nothing may be stored.
    """
    here = _signed_in()
    if here != drawn_for:
        raise UserError(
            f"this page was {drawn_for}'s, and {here or 'nobody'} is here now: nothing was stored; do it again on your own page"
        )
    user = allowed(store().user(here), page)
    if place is not None and not user.can_rule(*place):
        raise UserError(
            f"market {place[0]}, language {place[1]} is not yours any more: nothing was stored; ask an admin"
        )
    return user


@contextmanager
def telling() -> Iterator[None]:
    """For a callback: keep a refusal until the next page is drawn, where `tell` shows it."""
    try:
        yield
    except EvenhandError as problem:
        st.session_state[_REFUSED] = str(problem)


def tell() -> None:
    """Show what was refused, once."""
    if problem := st.session_state.pop(_REFUSED, None):
        st.warning(as_said(f"{capital(problem)}."))


def policy(version: str) -> PolicyVersion:
    """A policy version of the workspace."""
    return store().policy(version)


def titles() -> dict[tuple[str, str], str]:
    """The titles of areas and labels (`evenhand.records.policy.titles`) in all versions of the workspace."""
    return titles_of(store().policies())


def label(version: str, area: str, name: str) -> Label:
    """A label with its title and clause."""
    return policy(version).area(area).label(name)
