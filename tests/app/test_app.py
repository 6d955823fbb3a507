"""Tests every view with and without data, with Streamlit's own test driver, on a real store."""

from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest
from worlds.app_workspace import AT, MODEL, app_workspace, button, press, read, taken, wait

from evenhand.flags import publish_flags
from evenhand.records.people import User
from evenhand.records.ruling import Ruling
from evenhand.similar.conflicts import publish_conflicts
from evenhand.workspace.lake import scan_decisions

MAIN = str(Path(__file__).resolve().parents[2] / "app" / "main.py")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return app_workspace(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return app_workspace(tmp_path_factory.mktemp("empty"), draws=False)


def _view(name: str) -> None:
    """A page alone, as the navigation would run it."""
    import importlib

    import streamlit as st

    from app import session
    from evenhand.errors import UserError

    session.sign_in()
    try:
        importlib.import_module(f"app.views.{name}").page()
    except UserError as problem:
        st.error(str(problem))


@pytest.fixture
def open_app(monkeypatch):
    def run(world, user: str, view: str | None = None) -> AppTest:
        monkeypatch.setenv("EVENHAND_WORKSPACE", str(world[0].root))
        monkeypatch.setenv("EVENHAND_USER", user)
        if view:
            at = AppTest.from_function(_view, args=(view,), default_timeout=60).run()
        else:
            at = AppTest.from_file(MAIN, default_timeout=60).run()
        assert not at.exception, at.exception
        return at

    return run


def html(at: AppTest) -> str:
    """What the pages put there as HTML, without the style sheet."""
    return " ".join(e.proto.body for e in at.get("html") if "<style>" not in e.proto.body)


def open_draw(store) -> str:
    return next(draw.draw_id for draw in store.draws() if draw.budget == 40)


def test_a_case_is_blurred_until_asked_for_and_shows_why_it_is_here(full, open_app):
    at = open_app(full, "sme")
    assert "eh-blur" in html(at) and "<mark>" not in html(at)
    assert "The moderator decided" in html(at) and "Nearest precedents" in html(at)
    views = full[1].audit_log().filter(pl.col("action") == "view_case").height
    at = press(at, "reveal")
    assert "eh-blur" not in html(at) and "<mark>" in html(at)
    assert full[1].audit_log().filter(pl.col("action") == "view_case").height == views + 1


def test_neither_score_nor_probability_reaches_the_browser_before_the_ruling(full, open_app):
    at = open_app(full, "sme")
    item = taken(full[1], open_draw(full[1]))
    everything = html(at) + str([e.value for e in at.caption]) + str([b.label for b in at.button])
    assert item.case_id not in everything
    for secret in (f"{item.p_overturn:.2f}", f"{item.p_overturn:.0%}", f"{item.pi:.3f}"):
        assert secret not in everything


def test_agree_overturn_undo_and_skip_reach_the_store_at_once(full, open_app):
    _, store = full
    draw = open_draw(store)
    at = press(read(open_app(full, "sme")), "agree")
    first = store.rulings(draw_id=draw).row(-1, named=True)
    assert first["error_class"] is None and first["sme_id"] == "sme" and first["seconds"] >= 0
    item = taken(store, draw)
    other = next(
        x.name for x in store.policy(item.policy_version).area(item.area).labels if x.name != item.label
    )
    at = press(press(read(at), "overturn"), f"label-{other}")
    at.text_input(key="note").input("wrong clause").run()
    at.selectbox(key="cause").select("policy_misread").run()
    press(at, "save")
    second = store.rulings(draw_id=draw).row(-1, named=True)
    assert (second["case_id"], second["label"], second["rationale"]) == (item.case_id, other, "wrong clause")
    expected = store.policy(item.policy_version).area(item.area).error_class(item.label, other)
    assert second["error_class"] == expected and second["cause"] == "policy_misread"
    at = open_app(full, "sme")
    wait()
    at = press(at, "undo")
    assert store.rulings(draw_id=draw).height == 1
    assert taken(store, draw).decision_id == item.decision_id
    at = press(press(at, "skip"), "skip-1")
    assert store.progress(draw).skipped == 1
    assert taken(store, draw).decision_id != item.decision_id
    assert f"{item.case_id}\\: skipped, content no longer there." in receipt(at)
    wait()
    at = press(at, "undo")
    assert store.progress(draw).skipped == 0 and store.rulings(draw_id=draw).height == 1
    assert taken(store, draw).decision_id == item.decision_id and shown(at) == item.decision_id
    assert "Skip taken back; the record of it stays. Before that" in receipt(at)
    assert f"{first['case_id']}\\: agreed" in receipt(at)
    at = press(press(at, "skip"), "skip-2")  # the same case may be skipped again
    assert store.skips(draw) == {"not my language": 1}


def receipt(at: AppTest) -> str:
    return " ".join(caption.value for caption in at.caption)


def shown(at: AppTest) -> str:
    return at.session_state["shown"][1]


def warned(at: AppTest) -> str:
    return " ".join(box.value for box in at.warning)


def test_undo_takes_back_the_act_on_the_screen_or_nothing(tmp_path, open_app):
    world = app_workspace(tmp_path)
    store, draw = world[1], open_draw(world[1])
    one = press(press(open_app(world, "sme"), "skip"), "skip-1")
    other = open_app(world, "sme")  # the same person in another tab
    other = press(press(other, "skip"), "skip-2")
    wait()
    one = press(one, "undo")
    assert "not your last act any more" in warned(one) and store.progress(draw).skipped == 2
    wait()
    one = press(one, "undo")  # the line shows the newer act by now
    assert store.skips(draw) == {"content no longer there": 1}
    other = press(other, "undo")
    assert "not your last act any more" in warned(other) and store.progress(draw).skipped == 1


def test_a_held_undo_takes_one_act_back(tmp_path, open_app):
    world = app_workspace(tmp_path)
    at = open_app(world, "sme")
    for _ in range(3):
        at = press(press(at, "skip"), "skip-1")
    wait()
    for _ in range(4):
        at = press(at, "undo")
    assert world[1].progress(open_draw(world[1])).skipped == 2
    assert "press again" in warned(at)


def test_no_verdict_before_the_text_was_shown(full, open_app):
    at = open_app(full, "sme")
    assert [button(at, name).disabled for name in ("agree", "overturn", "skip")] == [True, True, False]
    at = press(read(at), "reveal")  # blurred again: it was read
    assert button(at, "reveal").label == "Show the text" and not button(at, "agree").disabled


def _press_for_another_case() -> None:
    """A late press: the case on the screen has changed since."""
    import streamlit as st

    from app import session
    from app.views import review

    st.set_page_config()
    user = session.sign_in()
    draw = next(draw for draw in session.store().draws() if draw.budget == 40)
    items = session.store().items(draw.draw_id).drop("ruled", "skipped").to_dicts()
    shown, other = (session.store().item(draw.draw_id, one["decision_id"]) for one in items[:2])
    st.session_state.setdefault("seen_at", None)
    st.session_state.update(shown=(shown.draw_id, shown.decision_id), shown_at=0.0, revealed=False)
    me = user.user_id
    for place, (item, seen_at) in enumerate(((other, 0.0), (shown, None))):
        st.session_state["seen_at"] = seen_at
        for act, more in (
            (review._rule, (item.label,)),
            (review._choose, (item.label, None)),
            (review._start, ("overturn",)),
        ):
            act(item, me, *more)
            st.warning(st.session_state.pop("refused"))
        if place == 0:
            review._skip_now(item, me, "not my language")
            st.warning(st.session_state.pop("refused"))
            review._reveal(item, me)
            st.warning(st.session_state.pop("refused"))
    st.session_state["seen_at"] = 0.0
    review._rule(shown, "sme-sa", shown.label)
    st.warning(st.session_state.pop("refused"))
    review._skip_now(shown, "sme-sa", "x")
    st.warning(st.session_state.pop("refused"))
    review._reveal(shown, "sme-sa")
    st.warning(st.session_state.pop("refused"))


def test_what_was_drawn_for_another_case_or_person_or_is_unread_is_refused(full, open_app):
    store = full[1]
    before = (store.rulings(current=False).height, store.skip_count(), store.audit_log().height)
    open_app(full, "sme")
    at = AppTest.from_function(_press_for_another_case, default_timeout=60).run()
    assert not at.exception, at.exception
    said = [box.value for box in at.warning]
    assert ["not on the screen any more" in text for text in said] == [True] * 5 + [False] * 6
    assert ["comes after the text" in text for text in said[5:8]] == [True] * 3
    assert ["this page was sme-sa's, and sme is here now" in text for text in said[8:]] == [True] * 3
    after = (store.rulings(current=False).height, store.skip_count(), store.audit_log().height)
    assert after == before


@pytest.mark.parametrize("blur", [True, False])
def test_a_key_that_repeats_rules_on_no_other_case(tmp_path, open_app, blur):
    world = app_workspace(tmp_path)
    (world[0].root / "evenhand.toml").write_text(f"[review]\nblur = {str(blur).lower()}\n")
    store, draw = world[1], open_draw(world[1])
    at = read(open_app(world, "sme"))
    for _ in range(6):
        at = press(at, "agree") if not button(at, "agree").disabled else at
    assert store.progress(draw).ruled == 1
    assert blur or "press again" in warned(at)
    wait()
    if not blur:
        press(at, "agree")
        assert store.progress(draw).ruled == 2, "a press of its own counts"


def test_save_waits_for_a_label(full, open_app):
    at = press(read(open_app(full, "sme")), "overturn")
    assert button(at, "save").disabled


@pytest.fixture
def unnamed(monkeypatch):
    """The app on a world, with nobody chosen."""

    def run(world) -> AppTest:
        monkeypatch.setenv("EVENHAND_WORKSPACE", str(world[0].root))
        monkeypatch.delenv("EVENHAND_USER", raising=False)
        at = AppTest.from_file(MAIN, default_timeout=60).run()
        assert not at.exception, at.exception
        return at

    return run


def choose_person(at: AppTest, name: str | None) -> AppTest:
    at = at.selectbox(key="who").set_value(name).run()
    assert not at.exception, at.exception
    return at


def test_nobody_is_here_and_no_case_is_taken_until_somebody_says_who_they_are(tmp_path, unnamed):
    world = app_workspace(tmp_path)
    store, draw = world[1], open_draw(world[1])
    at = unnamed(world)
    assert at.selectbox(key="who").value is None and at.title[0].value == "Welcome to Evenhand"
    assert not html(at) and not at.button
    assert not [item for item in store.open_items(draw) if item.holder]
    at = choose_person(at, "sme")
    assert [item.holder for item in store.open_items(draw) if item.holder] == ["sme"]
    at = press(press(at, "skip"), "skip-1")
    at = choose_person(at, "management")
    assert at.title[0].value == "Overview" and not at.button
    kept = ("shown", "seen_at", "mode", "receipt", "act", "revealed")
    assert not [name for name in kept if name in at.session_state]
    at = choose_person(at, "sme-sa")
    assert "market SA" in html(at) and "skipped, " not in receipt(at)
    assert {item.holder for item in store.open_items(draw) if item.holder} == {"sme", "sme-sa"}
    at = choose_person(at, None)
    assert at.title[0].value == "Welcome to Evenhand" and not html(at)


def test_a_press_on_the_page_of_the_person_before_stores_nothing(tmp_path, unnamed):
    world = app_workspace(tmp_path)
    store, draw = world[1], open_draw(world[1])
    at = read(choose_person(unnamed(world), "sme"))
    button(at, "agree").click()  # on its way together with the choice of another person
    at.selectbox(key="who").set_value("sme-sa")
    at = at.run()
    assert not at.exception and store.progress(draw).ruled == 0
    assert "This page was sme's, and sme-sa is here now" in warned(at)
    at = press(read(at), "agree")
    assert store.rulings(draw_id=draw)["sme_id"].to_list() == ["sme-sa"]


def test_a_right_that_was_taken_away_counts_at_the_next_press(tmp_path, open_app):
    world = app_workspace(tmp_path)
    store, draw = world[1], open_draw(world[1])
    at = read(open_app(world, "sme-sa"))
    store.add_user(User(user_id="sme-sa", role="sme", markets=("US",)))
    at = press(at, "agree")
    assert "is not yours any more" in warned(at) and store.progress(draw).ruled == 0
    at = read(at)
    store.add_user(User(user_id="sme-sa", role="management"))
    button(at, "agree").click().run()
    assert store.progress(draw).ruled == 0


def test_an_sme_gets_cases_of_their_own_market_only(full, open_app):
    at = open_app(full, "sme-sa")
    assert "market SA" in html(at)
    open_items = full[1].progress(open_draw(full[1]), markets=("SA",)).total
    assert f"of {open_items} ruled" in at.get("progress")[0].proto.text


def test_blind_review_hides_the_decision_and_the_models_view(tmp_path, open_app):
    world = app_workspace(tmp_path)
    config = world[0].root / "evenhand.toml"
    config.write_text("[review]\nblind = true\n")
    at = open_app(world, "sme")
    assert "The moderator decided" not in html(at) and "reads like" not in html(at)
    draw = open_draw(world[1])
    item = taken(world[1], draw)
    press(press(read(at), f"label-{item.label}"), "save")
    assert world[1].rulings(draw_id=draw)["error_class"].to_list() == [None]


def test_a_blind_reviewer_meets_no_open_case_among_flags_and_conflicts(tmp_path, open_app):
    world = app_workspace(tmp_path)
    publish_conflicts(world[0])
    (world[0].root / "evenhand.toml").write_text("[review]\nblind = true\n")
    items = world[1].items(open_draw(world[1]))
    assert items.height == 40
    open_app(world, "sme", "flags")
    frame = AppTest.from_function(_all_flags, default_timeout=60).run().dataframe[0].value
    assert len(frame) == 2_000 - 40 and not set(frame["decision_id"]) & set(items["decision_id"])
    open_app(world, "ml", "flags")  # who never reviews sees them all
    assert len(AppTest.from_function(_all_flags, default_timeout=60).run().dataframe[0].value) == 2_000


def _all_flags() -> None:
    import streamlit as st

    from app import flag_pages as published
    from app import session

    user = session.sign_in()
    assert user is not None
    found = published.page(
        "evenhand-1", user, where={}, reason="", newest=False, show="all", number=1, size=10_000
    )
    st.dataframe(found.rows.select("decision_id").to_pandas())


def test_without_blur_every_case_shown_is_in_the_audit_log(tmp_path, open_app):
    world = app_workspace(tmp_path)
    (world[0].root / "evenhand.toml").write_text("[review]\nblur = false\n")
    item = taken(world[1], open_draw(world[1]))

    def views() -> list[str]:
        log = world[1].audit_log().filter(pl.col("action") == "view_case")
        return log["subject"].to_list()

    at = open_app(world, "sme")
    assert "eh-blur" not in html(at) and views() == [item.case_id]
    at.run()
    assert views() == [item.case_id]  # once a case, not once a click
    at = open_app(world, "ml", "flags")
    at.session_state["flags_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at = at.run()
    assert "eh-blur" not in html(at) and len(views()) == 2


def test_an_address_gives_nobody_another_role(full, open_app, monkeypatch):
    open_app(full, "management")
    at = AppTest.from_function(_view, args=("flags",), default_timeout=60)
    for name in ("who", "user", "role"):
        at.query_params[name] = "admin"
    at.run()
    assert "does not include" in at.error[0].value
    assert not at.dataframe


@pytest.mark.parametrize(
    ("user", "barred"),
    [
        ("sme", {"overview", "error_rates", "improvement", "plan", "method", "models"}),
        ("ml", {"review"}),
        ("management", {"review", "flags", "conflicts", "models"}),
        ("admin", set()),
    ],
)
def test_a_page_outside_the_role_is_not_there_and_refuses_itself(full, monkeypatch, user, barred):
    from app import access

    assert set(access.PAGES[user]) == set(access.PAGES["admin"]) - barred
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(full[0].root))
    monkeypatch.setenv("EVENHAND_USER", user)
    for name in barred:
        at = AppTest.from_function(_view, args=(name,), default_timeout=60).run()
        assert "does not include" in at.error[0].value


def test_the_data_layer_refuses_what_the_role_does_not_include(full, open_app):
    def reach():
        import streamlit as st

        from app import flag_pages as published
        from app import session
        from evenhand.errors import UserError

        session.sign_in()
        try:
            published.page(
                "evenhand-1",
                session.store().user("management"),
                where={},
                reason="",
                newest=False,
                show="open",
                number=1,
                size=5,
            )
        except UserError as problem:
            st.error(str(problem))

    open_app(full, "management")
    at = AppTest.from_function(reach, default_timeout=60).run()
    assert "does not include" in at.error[0].value


def test_management_sees_numbers_and_no_text(full, open_app):
    at = open_app(full, "management")
    shown = html(at) + str([frame.value for frame in at.dataframe])
    assert "Decisions an expert would overturn" in shown and "95% interval" in shown
    texts = scan_decisions(full[0]).select("text").collect()["text"].to_list()
    assert not [text for text in texts if len(text) > 12 and text in shown]


def test_over_and_under_enforcement_stand_apart_and_every_split_works(full, open_app):
    at = open_app(full, "management", "error_rates")
    assert "Over-enforcement" in html(at) and "Under-enforcement" in html(at)
    for split in ("area", "language", "policy_version"):
        at = at.segmented_control(key="split").select(split).run()
        assert not at.exception
        assert len(at.dataframe[0].value) > 2
    said = " ".join(element.value for element in at.markdown)
    assert "stored before anyone looked at it" in said


def flags_of(world, model: str = MODEL) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The published flags that nobody has ruled on, and those that somebody has ruled on.

    In the app's tests all rulings name a decision.
    """
    rows = pl.read_parquet(world[0].flags_dir / f"{model}.parquet")
    is_ruled = pl.col("decision_id").is_in(world[1].rulings()["decision_id"].implode())
    return rows.filter(~is_ruled), rows.filter(is_ruled)


def choose(at: AppTest, row: int) -> AppTest:
    """The flags page with this row of its table chosen."""
    at.session_state["flags_table"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    at = at.run()
    assert not at.exception, at.exception
    return at


def rule_on(world, flags: pl.DataFrame, label: str | None = None) -> None:
    """Rule on these flags outside of any draw; without `label`, as they were decided."""
    rulings = [
        Ruling(
            case_id=row["case_id"],
            area=row["area"],
            policy_version=row["policy_version"],
            label=label or row["label"],
            sme_id="sme",
            ruled_at=AT,
            decision_moderator_id=row["moderator_id"],
            source="ingest",
        )
        for row in flags.iter_rows(named=True)
    ]
    assert world[1].add_rulings(rulings, by="test").added == flags.height


@pytest.fixture
def published(full):
    """Publish flags of a model as the newest of the `full` workspace; they are removed after the test."""
    targets = set()

    def publish(name: str, rows: pl.DataFrame) -> None:
        target = full[0].flags_dir / f"{name}.parquet"
        targets.add(target)
        rows.write_parquet(target, row_group_size=2_000)

    yield publish
    for target in targets:
        target.unlink()


def test_flags_are_the_open_ones_until_ruled_ones_are_asked_for(full, open_app):
    left, ruled = flags_of(full)
    assert left.height > 1_800 and ruled.height >= 150
    at = open_app(full, "ml")
    said = (
        f"{left.height:,} open flags by evenhand-1, the likeliest overturns first · {ruled.height} ruled on"
    )
    assert said in [c.value for c in at.caption]
    table = at.dataframe[0].value
    assert table["rank"].to_list() == left["rank"].head(50).to_list(), "ruled ones leave gaps"
    assert "verdict" not in table
    at = at.segmented_control(key="flags_show").select("ruled").run()
    assert f"{ruled.height} ruled flags by" in " ".join(c.value for c in at.caption)
    table = at.dataframe[0].value
    assert table["rank"].to_list() == ruled["rank"].head(50).to_list()
    newest = {row["decision_id"]: row for row in full[1].rulings().iter_rows(named=True)}
    for shown, flag in zip(table.to_dict("records"), ruled.head(50).iter_rows(named=True), strict=True):
        ruling = newest[flag["decision_id"]]
        area = full[1].policy(flag["policy_version"]).area(flag["area"])
        assert (shown["area"], shown["decided"]) == (area.title, area.label(flag["label"]).title)
        assert (shown["ruled"], shown["sme_id"]) == (area.label(ruling["label"]).title, ruling["sme_id"])
        assert shown["verdict"] == ("Upheld" if ruling["label"] == flag["label"] else "Overturned")
        assert shown["ruled_on"].date() == ruling["ruled_at"].date()
    assert set(table["verdict"]) == {"Upheld", "Overturned"}
    overturned = table["verdict"].to_list().index("Overturned")
    assert "Overturned by sme · 01 Apr 2026".lower() in html(choose(at, overturned)).lower()
    at = open_app(full, "ml").segmented_control(key="flags_show").select("all").run()
    table = at.dataframe[0].value
    assert table["rank"].to_list() == list(range(1, 51)) and table["verdict"].isna().any()
    assert f"2,000 flags by evenhand-1, the likeliest overturns first · {ruled.height} of them ruled on" in [
        c.value for c in at.caption
    ]


def test_a_ruling_settles_its_flag_at_once_and_taking_it_back_opens_it_again(tmp_path, open_app):
    world = app_workspace(tmp_path)
    item = taken(world[1], open_draw(world[1]))
    at = open_app(world, "sme", "flags")
    at = at.selectbox(key="flags_market").select(item.market).run()
    at = at.selectbox(key="flags_area").select(item.area).run()

    def listed(at: AppTest) -> bool:
        return item.case_id in at.run().dataframe[0].value["case_id"].to_list()

    assert listed(at)
    desk = press(read(open_app(world, "sme")), "agree")
    assert not listed(at)
    wait()
    press(desk, "undo")
    assert listed(at)


def test_the_chosen_flag_stays_chosen_while_others_are_ruled_on(tmp_path, open_app):
    world = app_workspace(tmp_path)
    left, _ = flags_of(world)
    cases = left["case_id"].to_list()

    def seen() -> str:
        return world[1].audit_log().filter(pl.col("action") == "view_case")["subject"].to_list()[-1]

    at = press(choose(open_app(world, "ml"), 2), "flag_reveal")
    assert seen() == cases[2]
    rule_on(world, left.head(1))
    at = at.run()
    assert at.dataframe[0].value["case_id"].to_list()[:2] == cases[1:3]
    assert "eh-blur" not in html(at), "still the case that was asked for"
    assert at.session_state["flags_table"]["selection"]["rows"] == [1]
    rule_on(world, left[2:3], label=None)
    at = at.run()
    assert "The moderator decided" not in html(at) and not at.exception
    at = choose(at, 0).segmented_control(key="flags_show").select("ruled").run()
    assert "The moderator decided" not in html(at), "a filter opens no other case"


def test_a_page_that_is_no_longer_there_gives_way_to_the_last_one(tmp_path, open_app):
    world = app_workspace(tmp_path)
    left, ruled = flags_of(world)
    assert (left.height, ruled.height) == (1_850, 150)
    at = open_app(world, "ml").number_input(key="flags_page").set_value(37).run()
    assert at.dataframe[0].value["rank"].to_list() == left["rank"].tail(50).to_list()
    rule_on(world, left.tail(50))
    at = at.run()
    assert not at.exception and at.number_input(key="flags_page").value == 36
    assert at.dataframe[0].value["rank"].to_list() == left["rank"][1_750:1_800].to_list()


def test_when_all_is_ruled_on_or_nothing_is_the_page_says_so(full, open_app, published):
    left, ruled = flags_of(full)
    published("evenhand-7", ruled.head(5))
    at = open_app(full, "ml", "flags")
    assert "No open flag: SMEs have ruled on all 5." in at.success[0].value and not at.dataframe
    at = at.segmented_control(key="flags_show").select("ruled").run()
    assert len(at.dataframe[0].value) == 5
    market = next(name for name in left["market"] if name not in ruled["market"].head(5).to_list())
    published("evenhand-7", pl.concat([ruled.head(5), left.filter(market=market).head(1)]))
    at = open_app(full, "ml", "flags").selectbox(key="flags_market").select(market).run()
    at = at.segmented_control(key="flags_show").select("ruled").run()
    assert "No flag that fits these filters is ruled on yet (1 open)." in at.info[0].value
    at = at.text_input(key="flags_reason").set_value("nowhere").run()
    assert "take one away" in at.info[0].value
    published("evenhand-7", left.filter(pl.col("market") != "SA"))
    assert "No flag in your markets" in open_app(full, "sme-sa", "flags").info[0].value


def test_flags_filter_page_and_open(full, open_app):
    at = open_app(full, "ml")
    at = at.selectbox(key="flags_market").select("TH").run()
    frame = at.dataframe[0].value
    assert set(frame["market"]) == {"TH"} and len(frame) <= 50 and "p_overturn" in frame
    at = choose(at, 0)
    assert "The moderator decided" in html(at) and "eh-blur" in html(at)
    at = press(at, "flag_reveal")
    assert "eh-blur" not in html(at)


def test_an_sme_sees_their_market_and_no_score_among_the_flags(full, open_app):
    frame = open_app(full, "sme-sa", "flags").dataframe[0].value
    assert set(frame["market"]) == {"SA"} and "p_overturn" not in frame


def test_conflicts_show_who_deviates_and_keep_texts_blurred(full, empty, open_app):
    assert "evenhand conflicts" in open_app(empty, "ml", "conflicts").info[0].value
    publish_conflicts(full[0])
    at = open_app(full, "ml", "conflicts")
    assert at.dataframe[0].value["Deviating"].max() >= 1
    at.session_state["conflicts_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at = at.run()
    assert "eh-blur" in html(at)
    assert "eh-blur" not in html(press(at, "conflict_reveal"))


def test_models_say_what_to_do_before_the_first_one(empty, open_app):
    at = open_app(empty, "ml", "models")
    assert "evenhand train" in at.info[0].value


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("sme", "evenhand draw --budget"),
        ("ml", "evenhand score"),
        ("management", "evenhand draw --budget"),
    ],
)
def test_an_empty_workspace_says_what_to_do(empty, open_app, user, words):
    at = open_app(empty, user)
    assert words in " ".join(info.value for info in at.info)


def test_no_user_and_no_workspace_are_told_apart(empty, tmp_path, monkeypatch):
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(empty[0].root))
    monkeypatch.setenv("EVENHAND_USER", "nobody")
    at = AppTest.from_file(MAIN, default_timeout=60).run()
    assert "evenhand user add nobody" in at.error[0].value
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(tmp_path))
    at = AppTest.from_file(MAIN, default_timeout=60).run()
    assert "evenhand init" in at.error[0].value


def test_a_hundred_thousand_flags_are_read_a_page_at_a_time(full, open_app, published):
    small = pl.read_parquet(full[0].flags_dir / f"{MODEL}.parquet")
    published("evenhand-9", pl.concat([small] * 50).with_columns(rank=pl.int_range(1, 100_001)))
    left, ruled = flags_of(full, "evenhand-9")
    at = open_app(full, "ml", "flags")
    assert any(f"{left.height:,} open flags by evenhand-9" in c.value for c in at.caption)
    at = at.number_input(key="flags_page").set_value(2).run()
    assert at.dataframe[0].value["rank"].to_list() == left["rank"][50:100].to_list()
    at = at.selectbox(key="flags_order").select("newest").run()
    days = left.sort("decided_at", descending=True, maintain_order=True)
    assert at.dataframe[0].value["rank"].to_list() == days["rank"].head(50).to_list()
    at = at.segmented_control(key="flags_show").select("all").run()
    assert any("100,000 flags by evenhand-9" in c.value for c in at.caption)


def test_flags_that_were_published_without_support_still_open(full, open_app, published):
    published("evenhand-8", pl.read_parquet(full[0].flags_dir / f"{MODEL}.parquet").drop("support"))
    at = open_app(full, "ml", "flags")
    assert any("open flags by evenhand-8" in c.value for c in at.caption)
    assert at.dataframe[0].value["support"].isna().all()


def test_what_the_flags_page_cannot_list_is_said(tmp_path, open_app):
    world = app_workspace(tmp_path)
    assert not [e for e in open_app(world, "ml", "flags").caption if "rank behind" in e.value]
    publish_flags(world[0], MODEL, limit=500)
    said = [e.value for e in open_app(world, "ml", "flags").caption if "rank behind" in e.value]
    assert len(said) == 1 and said[0].startswith("1,500 more scored decisions rank behind these")
    world[1].close()


@pytest.mark.parametrize(
    ("markets", "languages"), [((), ()), (("TH",), ()), ((), ("pt", "zh-Hant")), (("US",), ("en",))]
)
def test_a_person_sees_the_rows_that_they_may_rule_on(markets, languages):
    from app.access import in_reach

    user = User(user_id="u", role="sme", markets=markets, languages=languages)
    places = [
        (market, language)
        for market in ("TH", "US")
        for language in ("pt", "pt-BR", "zh", "zh-Hant", "zh-Hant-TW", "en", "und")
    ]
    rows = pl.DataFrame(places, schema=["market", "language"], orient="row")
    assert rows.filter(in_reach(user)).rows() == [place for place in places if user.can_rule(*place)]
