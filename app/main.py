"""The entry point of the app: it finds out who is here and shows their pages. Only this module navigates."""

from __future__ import annotations

from evenhand.workspace.telemetry import quiet

quiet()

from typing import TYPE_CHECKING, Literal  # noqa: E402

import streamlit as st  # noqa: E402  telemetry is switched off first

from app import access, session, style  # noqa: E402
from app.text import as_said  # noqa: E402
from app.views import conflicts, error_rates, flags, improvement, method, models, overview, plan, review  # noqa: E402
from evenhand.errors import EvenhandError  # noqa: E402

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

    from evenhand.records.people import User

PAGES = {
    "review": (review.page, "Review"),
    "flags": (flags.page, "Flags"),
    "conflicts": (conflicts.page, "Conflicts"),
    "overview": (overview.page, "Overview"),
    "error_rates": (error_rates.page, "Error rates"),
    "improvement": (improvement.page, "Improvement areas"),
    "plan": (plan.page, "Plan"),
    "method": (method.page, "Method"),
    "models": (models.page, "Models"),
}


def main() -> None:
    """Open the workspace, find out who is here, show their pages."""
    st.set_page_config(page_title="Evenhand", layout="wide")
    style.apply()
    try:
        user = session.sign_in()
        if user is not None:
            _run(user)
    except EvenhandError as problem:
        st.error(as_said(str(problem)))


def _run(user: User) -> None:
    """Show the page at the address. Pages outside the role are not listed, and refuse the person."""
    mine = [_page(name, "visible") for name in access.PAGES[user.role]]
    barred = [_page(name, "hidden") for name in PAGES if not access.may_open(user, name)]
    # a default page has no address of its own: a hidden default page lets every real page keep its address
    start = st.Page(
        lambda: st.switch_page(mine[0]), title="Start", url_path="start", default=True, visibility="hidden"
    )
    here = st.navigation([start, *mine, *barred])
    if session.has_arrived() and here in barred:
        st.switch_page(mine[0])
    session.tell()
    here.run()


def _page(name: str, visibility: Literal["visible", "hidden"]) -> StreamlitPage:
    show, title = PAGES[name]
    return st.Page(show, title=title, url_path=name.replace("_", "-"), visibility=visibility)


main()
