"""Tests the balance of a batch in the library, on the command line and on the review page."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from builders import NOON, a_draw, a_ruling, an_item
from streamlit.testing.v1 import AppTest
from worlds.app_workspace import app_workspace, press, read

from cli.main import main
from evenhand.batches.balance import own_queue, queue_balance
from evenhand.errors import SampleError
from evenhand.records.people import User
from evenhand.store import Store

APP = """
from app import session
from app.views import review
session.sign_in()
session.tell()
review.page()
"""


@pytest.fixture
def store(tmp_path):
    """A batch of 3 Thai cases, 2 Vietnamese cases and 1 case of unknown language.

    ann reads Thai, bob reads both, joe is away.
    """
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        languages = ("th", "vi", "th", "und", "vi", "th")
        store.add_draw(
            a_draw(), [an_item(n, language=one, market="TH", queue="live") for n, one in enumerate(languages)]
        )
        store.add_user(User(user_id="ann", role="sme", languages=("th",), capacity=2))
        store.add_user(User(user_id="bob", role="sme", languages=("th", "vi")))
        store.add_user(User(user_id="joe", role="sme", markets=("TH",), languages=("und",)))
        store.add_user(User(user_id="max", role="management"))
        store.set_away("joe", NOON.date(), None, by="lead")
        yield store


def balance(store, **options):
    return queue_balance(store, "d1", at=NOON, minutes_per_case=1.5, **options)


def test_every_case_is_in_one_place_and_what_nobody_can_rule_is_named(store):
    store.take_item("d1", store.user("ann"), at=NOON)
    store.rule_item(a_ruling(1, sme_id="bob", ruled_at=NOON), by="bob")
    found = balance(store)
    rows = {row.place["language"]: row for row in found.rows}
    assert (rows["th"].items, rows["th"].open, rows["th"].held) == (3, 3, 1)
    assert rows["th"].able == ("ann", "bob") and rows["th"].planned == {"ann": 2, "bob": 1}
    assert (rows["vi"].ruled, rows["vi"].planned) == (1, {"bob": 1})
    assert (rows["und"].nobody, rows["und"].able, rows["und"].planned) == (1, (), {})
    for row in found.rows:
        assert row.items == row.ruled + row.skipped + row.open
        assert row.open == sum(row.planned.values()) + row.later + row.nobody
        assert row.hours == pytest.approx(row.open * 1.5 / 60)
    assert found.warnings == (
        "1 open case in market TH, language und: nobody is here to rule on them (joe is away)",
    )
    people = {one.user_id: one for one in found.people}
    assert set(people) == {"ann", "bob", "joe"} and people["joe"].absent == "away"
    assert (people["ann"].held, people["ann"].planned, people["bob"].done) == (1, 2, 1)


def test_a_split_by_queue_or_nothing_has_the_same_sums(store):
    whole, lanes = balance(store, by=("queue",)), balance(store)
    for name in ("items", "open", "held", "later", "nobody", "hours"):
        assert whole.total(name) == lanes.total(name) == balance(store, by=()).total(name)
    assert [row.place for row in whole.rows] == [{"queue": "live"}]
    with pytest.raises(SampleError, match="cannot split the queue by 'colour'"):
        balance(store, by=("colour",))


def test_cases_beyond_this_weeks_capacity_wait(store):
    store.add_user(User(user_id="bob", role="sme", languages=("vi",), capacity=1))
    found = balance(store)
    rows = {row.place["language"]: row for row in found.rows}
    assert (rows["vi"].later, rows["th"].later, rows["und"].later) == (1, 1, 0)
    assert "2 open cases beyond this week's capacities; they wait for Monday" in found.warnings
    store.rule_item(a_ruling(1, sme_id="bob", ruled_at=NOON), by="bob")
    assert (
        "1 open case in market TH, language vi: nobody is here to rule on them (bob has done the 1 of this week)"
        in balance(store).warnings
    )


def test_a_language_that_no_sme_reads_asks_for_one(store):
    store.add_user(User(user_id="bob", role="sme", languages=("th",)))
    assert (
        "2 open cases in market TH, language vi: no SME may rule on them; add one with"
        " `evenhand user add NAME --role sme --market TH --language vi`"
    ) in balance(store).warnings


def test_skipped_cases_are_shown_with_their_reasons_unless_somebody_ruled_after_all(store):
    for n, reason in ((0, "video gone"), (1, "video gone"), (2, "not my language")):
        store.skip_item("d1", an_item(n).decision_id, sme_id="bob", reason=reason, at=NOON)
    store.add_rulings([a_ruling(1)], by="bob")
    found = balance(store)
    assert found.skip_reasons == {"not my language": 1, "video gone": 1}
    assert found.total("skipped") == 2 and found.total("ruled") == 1


def test_a_person_sees_their_own_queue(store):
    ann, bob = store.user("ann"), store.user("bob")
    store.take_item("d1", bob, at=NOON)  # Vietnamese first: nobody else reads it
    mine = own_queue(store, "d1", ann, at=NOON)
    assert (mine.done, mine.capacity, mine.waiting, mine.in_flight, mine.sharing) == (0, 2, 3, 0, 1)
    assert str(mine) == "You: 0 of 2 this week · 3 cases in your queue, shared with 1 other"
    store.take_item("d1", ann, at=NOON)
    assert own_queue(store, "d1", bob, at=NOON).in_flight == 1
    assert own_queue(store, "d1", bob, at=NOON + timedelta(hours=1)).in_flight == 0


@pytest.fixture
def world(tmp_path, monkeypatch):
    ws, store = app_workspace(tmp_path)
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(ws.root))
    yield ws, store, next(draw.draw_id for draw in store.draws() if draw.budget == 40)
    store.close()


def test_the_command_says_who_has_what_and_json_holds_the_same(world, capsys):
    ws, store, draw = world
    held = store.take_item(draw, store.user("sme-sa"), at=datetime.now(UTC)).item
    assert main(["-w", str(ws.root), "queue"]) == 0
    out = capsys.readouterr().out
    assert (
        out.startswith(f"draw {draw}: 40 of ") and "scored by evenhand-1, policy short-video/2026-02" in out
    )
    assert "40 cases open, 1.0 hours of review" in out and "sme-sa" in out
    assert main(["-w", str(ws.root), "queue", "--json", "--by", "market,queue"]) == 0
    told = json.loads(capsys.readouterr().out)
    sa = [row for row in told["rows"] if row["place"]["market"] == "SA"]
    assert sum(row["held"] for row in sa) == 1 and held.market == "SA"
    share = Counter[str]()
    for row in told["rows"]:
        share.update(row["planned"])
    assert share.total() == 40 and share["sme-sa"] == sum(row["open"] for row in sa)
    assert main(["-w", str(ws.root), "queue", "--draw", "draw-9"]) == 2
    assert "no draw 'draw-9'" in capsys.readouterr().err


def test_people_go_away_and_come_back_on_the_command_line(world, capsys):
    ws, store, _ = world
    at = ["-w", str(ws.root), "user"]
    assert main([*at, "add", "ann", "--role", "sme", "--language", "th", "--capacity", "40"]) == 0
    assert "languages th, 40 cases a week" in capsys.readouterr().out
    assert main([*at, "away", "ann", "--since", "2026-03-02", "--until", "2099-03-09"]) == 0
    assert "back on 2099-03-09" in capsys.readouterr().out
    assert store.user("ann").is_away(datetime.now(UTC).date())
    assert main([*at, "list"]) == 0
    assert "from 2026-03-02, back on 2099-03-09" in capsys.readouterr().out
    assert main([*at, "away", "ann", "--since", "2026-03-09", "--until", "2026-03-02"]) == 2
    assert "give a later first day back" in capsys.readouterr().err
    assert main([*at, "back", "ann"]) == 0 and store.user("ann").away_since is None
    assert main([*at, "away", "nobody"]) == 2 and "evenhand user add nobody" in capsys.readouterr().err


def page(monkeypatch, user: str) -> AppTest:
    monkeypatch.setenv("EVENHAND_USER", user)
    at = AppTest.from_string(APP, default_timeout=30).run()
    assert not at.exception, at.exception
    return at


def test_two_smes_at_the_desk_see_different_cases_and_their_own_queue(world, monkeypatch):
    _, store, draw = world
    store.add_user(User(user_id="two", role="sme"))
    first, second = page(monkeypatch, "sme"), page(monkeypatch, "two")
    holders = {item.holder: item.decision_id for item in store.open_items(draw) if item.holder}
    assert set(holders) == {"sme", "two"} and holders["sme"] != holders["two"]
    assert any("1 with others now" in caption.value for caption in second.caption)
    assert first.session_state["shown"] == (draw, holders["sme"])


def test_a_ruling_that_came_too_late_is_not_stored_and_says_so(world, monkeypatch):
    _, store, draw = world
    at = read(page(monkeypatch, "sme"))
    item = store.item(*at.session_state["shown"])
    quicker = {
        "case_id": item.case_id,
        "area": item.area,
        "policy_version": item.policy_version,
        "label": item.label,
        "decision_moderator_id": item.moderator_id,
        "draw_id": draw,
        "error_class": None,
        "sme_id": "eve",
    }
    store.add_rulings([a_ruling(**quicker)], by="eve")
    at = press(at, "agree")
    assert any("eve ruled on this case" in box.value for box in at.warning)
    assert store.rulings(draw_id=draw)["sme_id"].to_list() == ["eve"]
    assert at.session_state["shown"] != (draw, item.decision_id), "the next case is there"


def test_the_desk_says_why_there_is_no_case(world, monkeypatch):
    _, store, draw = world
    store.add_user(User(user_id="sme", role="sme", capacity=0))
    assert "done your cases of this week" in page(monkeypatch, "sme").info[0].value
    store.set_away("sme", datetime(2026, 1, 1).date(), None, by="lead")
    assert "entered as away" in page(monkeypatch, "sme").info[0].value
    assert not [item for item in store.open_items(draw) if item.holder]


def test_a_filter_given_twice_is_refused_instead_of_the_last_one_winning(world, capsys):
    ws, _, _ = world
    twice = ["--where", "market=SA", "--where", "market=BR"]
    assert main(["-w", str(ws.root), "estimate", *twice]) == 2
    assert "--where market stands there twice" in capsys.readouterr().err
