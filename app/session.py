"""Who is using the app, and the workspace they see. Roles are checked here, not only in the navigation."""

from __future__ import annotations

import os

import streamlit as st

from evenhand.errors import UserError
from evenhand.records.batches import Role
from evenhand.records.policy import Label, PolicyVersion
from evenhand.records.policy import titles as titles_of
from evenhand.store import Store, User
from evenhand.workspace.workspace import Workspace, find_workspace, open_workspace

MANAGERS = ("overview", "error_rates", "improvement", "plan", "method")
#: Pages by role, in order; the first is where a person starts. Management sees numbers, not texts.
PAGES: dict[Role, tuple[str, ...]] = {
    "sme": ("review", "flags", "conflicts"),
    "ml": ("flags", "conflicts", *MANAGERS, "models"),
    "management": MANAGERS,
    "admin": ("review", "flags", "conflicts", *MANAGERS, "models"),
}


@st.cache_resource(show_spinner=False)
def _open(root: str) -> tuple[Workspace, Store]:
    workspace = open_workspace(find_workspace(None))
    return workspace, Store.open(workspace.store_url)


def workspace() -> Workspace:
    """The workspace named by EVENHAND_WORKSPACE."""
    return _open(str(find_workspace(None).resolve()))[0]


def store() -> Store:
    """Its store; one for all sessions."""
    return _open(str(find_workspace(None).resolve()))[1]


def sign_in() -> User | None:
    """Who is here: EVENHAND_USER, else a choice in the sidebar. None, and advice, where nobody is set up."""
    if name := os.environ.get("EVENHAND_USER"):
        user = store().user(name)
        st.session_state["user"] = user
        return user
    users = store().users()
    if not users:
        st.title("Welcome to Evenhand")
        st.info(
            "Nobody is set up yet. Add the first person, then reload: `evenhand user add NAME --role sme`"
        )
        return None
    names = [user.user_id for user in users]
    chosen = st.sidebar.selectbox("You are", names, key="who", help="On a shared machine set EVENHAND_USER.")
    st.session_state["user"] = users[names.index(chosen)]
    return users[names.index(chosen)]


def me(page: str) -> User:
    """The person here; UserError if their role does not include `page`."""
    user: User | None = st.session_state.get("user")
    if user is None or page not in PAGES[user.role]:
        raise UserError(f"your role does not include the page {page!r}; ask an admin")
    return user


def policy(version: str) -> PolicyVersion:
    """A policy version of the workspace."""
    return store().policy(version)


def titles() -> dict[tuple[str, str], str]:
    """What people call areas and labels, as `evenhand.records.policy.titles` of all versions of the workspace."""
    return titles_of(store().policies())


def label(version: str, area: str, name: str) -> Label:
    """A label with its title and clause."""
    return policy(version).area(area).label(name)
