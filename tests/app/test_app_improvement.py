"""Tests the page of improvement areas with Streamlit's own test driver, on a ruled draw with known errors."""

from datetime import date

import pytest
from streamlit.testing.v1 import AppTest
from worlds.scored_world import draw, rule

from evenhand.records.people import User


def _page() -> None:
    from app import session
    from app.views import improvement

    session.sign_in()
    improvement.page()


@pytest.fixture
def ruled(world, monkeypatch):
    ws, store, _ = world
    store.add_user(User(user_id="mia", role="management"))
    rule(world, draw(world, budget=900))
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(ws.root))
    monkeypatch.setenv("EVENHAND_USER", "mia")
    return world


def shown(at: AppTest) -> str:
    assert not at.exception, at.exception
    return "\n".join(part.value for part in (*at.markdown, *at.info, *at.caption, *at.error))


def press(at: AppTest, label: str) -> AppTest:
    return next(button for button in at.button if button.label == label).click().run()


def test_a_manager_takes_an_area_up_measures_it_and_closes_it(ruled):
    store = ruled[1]
    at = AppTest.from_function(_page, default_timeout=60).run()
    first = next(part.value for part in at.markdown if part.value.startswith("#### "))
    assert "Most often:" in shown(at) and "At work" not in [part.value for part in at.subheader]
    at.text_input(key="owner-take-0").set_value("Lina")
    at.text_area(key="action-take-0").set_value("briefing")
    press(at, "Take it up")
    (one,) = store.improvements()
    assert (one.owner, one.action, one.opened_by) == ("Lina", "briefing", "mia")
    assert [part.value for part in at.subheader] == ["At work", "Stands out"]
    assert "**Lina** sees to it, no due day" in shown(at)
    assert [part.value for part in at.markdown].count(first) == 1, "it is no longer a candidate"

    name = one.improvement_id
    at.date_input(key=f"day-{name}").set_value(date(2026, 2, 16))
    press(at, "Measure")
    assert store.improvement(name).measured[0]["at"] == "2026-02-16"
    assert "before 16 Feb 2026" in shown(at)
    press(at, "Close")
    assert "say why it is closed" in shown(at) and store.improvement(name).open
    at.text_input(key=f"reason-{name}").set_value("it worked")
    press(at, "Close")
    assert not store.improvement(name).open
    assert "At work" not in [part.value for part in at.subheader]


def test_no_case_text_and_no_moderator_reaches_the_page(ruled):
    ws, store, _ = ruled
    said = shown(AppTest.from_function(_page, default_timeout=60).run())
    items = store.items(store.draws()[0].draw_id)
    assert not any(text in said for text in items["text"].unique() if len(text) > 12)
    assert not any(moderator in said for moderator in items["moderator_id"].unique())


def test_before_the_first_ruling_the_page_says_what_is_missing(world, monkeypatch):
    ws, store, _ = world
    store.add_user(User(user_id="mia", role="management"))
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(ws.root))
    monkeypatch.setenv("EVENHAND_USER", "mia")
    assert "No draw yet" in shown(AppTest.from_function(_page, default_timeout=60).run())
