"""The app's entry: who is here, and which pages they get. The only place that navigates."""

from __future__ import annotations

from evenhand.workspace.telemetry import quiet

quiet()

import streamlit as st  # noqa: E402  telemetry is switched off first

from app import session, style  # noqa: E402
from app.views import conflicts, error_rates, flags, improvement, method, models, overview, plan, review  # noqa: E402
from evenhand.errors import EvenhandError  # noqa: E402

PAGES = {
    "review": st.Page(review.page, title="Review", url_path="review"),
    "flags": st.Page(flags.page, title="Flags", url_path="flags"),
    "conflicts": st.Page(conflicts.page, title="Conflicts", url_path="conflicts"),
    "overview": st.Page(overview.page, title="Overview", url_path="overview"),
    "error_rates": st.Page(error_rates.page, title="Error rates", url_path="error-rates"),
    "improvement": st.Page(improvement.page, title="Improvement areas", url_path="improvement"),
    "plan": st.Page(plan.page, title="Plan", url_path="plan"),
    "method": st.Page(method.page, title="Method", url_path="method"),
    "models": st.Page(models.page, title="Models", url_path="models"),
}


def main() -> None:
    """Open the workspace, find out who is here, show their pages."""
    st.set_page_config(page_title="Evenhand", layout="wide")
    style.apply()
    try:
        user = session.sign_in()
        if user is None:
            return
        pages = [PAGES[name] for name in session.PAGES[user.role]]
        # a default page has no address of its own: with a hidden one in front, each page keeps its address for everybody
        start = st.Page(
            lambda: st.switch_page(pages[0]),
            title="Start",
            url_path="start",
            default=True,
            visibility="hidden",
        )
        st.navigation([start, *pages]).run()
    except EvenhandError as problem:
        st.error(str(problem))


main()
