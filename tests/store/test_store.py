"""Tests the store on SQLite and PostgreSQL."""

import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from builders import NOON, POLICY, a_draw, a_ruling, an_item, taken
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from evenhand.errors import (
    ConfigError,
    OutsideError,
    PolicyError,
    RecordError,
    SampleError,
    UserError,
    WorkspaceError,
)
from evenhand.records.people import User
from evenhand.records.policy import parse_policy
from evenhand.store import Store
from evenhand.store.schema import VERSION_TABLE, alembic_config, make_engine
from evenhand.store.tables import APPEND_ONLY, Base


@pytest.fixture
def store(store_url):
    store = Store.open(store_url)
    yield store
    store.close()


@pytest.fixture
def drawn(store) -> Store:
    store.add_draw(a_draw(), [an_item(n) for n in range(3)])
    return store


def test_models_and_migrations_agree(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"render_as_batch": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_migration_goes_back_and_forth(store):
    config = alembic_config()
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    assert store.users() == []


def test_opening_twice_changes_nothing(store_url):
    first = Store.open(store_url)
    first.add_user(User(user_id="ann", role="sme", markets=("TH",), languages=("th",)))
    second = Store.open(store_url)
    assert second.user("ann").markets == ("TH",)
    first.close()
    second.close()


def test_a_newer_schema_asks_for_an_upgrade(store_url):
    store = Store.open(store_url)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE evenhand_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(WorkspaceError, match="upgrade Evenhand"):
        Store.open(store_url)


def test_an_unreachable_server_is_named_without_its_password():
    with pytest.raises(OutsideError, match="cannot be opened") as problem:
        Store.open("postgresql+psycopg://ann:secret@127.0.0.1:1/none?connect_timeout=2")
    assert "secret" not in str(problem.value)


def test_another_database_is_refused():
    with pytest.raises(ConfigError, match="use sqlite"):
        make_engine("mysql://x/y")


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE {} SET {}", "DELETE FROM {}"])
def test_history_cannot_be_changed(drawn, table, verb):
    drawn.add_rulings([a_ruling()], by="sam")
    drawn.undo_ruling(drawn.last_act("d1", sme_id="sam").act_id, by="sam")
    drawn.skip_item("d1", an_item(1).decision_id, sme_id="sam", reason="video gone", at=NOON)
    drawn.undo_skip(drawn.last_act("d1", sme_id="sam").act_id, by="sam")
    drawn.record_live("evenhand-1", "v1", by="ann", at=NOON)
    drawn.open_improvement({"market": "TH"}, {"rate": 0.2}, by="ann", at=NOON)
    drawn.take_item("d1", User(user_id="sam", role="sme"), at=NOON)
    column = {
        "improvement_events": "kind='x'",
        "assignments": "sme_id='x'",
        "skip_undos": "by='x'",
        "ruling_undos": "by='x'",
        "live_models": "note='x'",
        "audit": "subject='x'",
        "drawn_items": "pi=1",
        "draws": "created_at=created_at",
        "rulings": "label='x'",
    }[table]
    column = column.replace("by=", '"by"=')
    with pytest.raises(DBAPIError, match="append-only"), drawn.engine.begin() as connection:
        connection.execute(text(verb.format(table, column)))


def test_a_policy_never_changes_under_its_version(store):
    policy = parse_policy(POLICY)
    assert store.add_policy(policy, POLICY, by="ann")
    assert not store.add_policy(policy, POLICY, by="ann")
    other = POLICY.replace("Rude words", "Very rude words")
    with pytest.raises(PolicyError, match="give the changed text a new version"):
        store.add_policy(parse_policy(other), other, by="ann")
    assert store.policy("v1").areas[0].label("rude").clause == "Rude words."
    with pytest.raises(PolicyError, match="known: v1"):
        store.policy("v2")


def test_a_draw_comes_back_as_it_was(drawn):
    assert drawn.draw("d1") == a_draw()
    items = drawn.items("d1")
    assert items["decision_id"].to_list() == [an_item(n).decision_id for n in range(3)]
    assert items["text"][0] == "สวัสดี 🙂" and items["explanation"][0] == {"sentence": "why"}
    assert items["decided_at"][0] == NOON
    assert drawn.item("d1", an_item(1).decision_id) == an_item(1)
    with pytest.raises(SampleError, match="known: d1"):
        drawn.draw("d2")
    with pytest.raises(SampleError, match="draws never change"):
        drawn.add_draw(a_draw(), [])


def test_the_queue_moves_on_past_rulings_and_skips(drawn):
    assert taken(drawn).position == 0
    drawn.add_rulings([a_ruling(0)], by="sam")
    assert taken(drawn).position == 1
    drawn.skip_item("d1", an_item(1).decision_id, sme_id="sam", reason="video gone", at=NOON)
    assert taken(drawn, markets=("VN",)) is None
    assert taken(drawn, languages=("vi",)) is None
    assert taken(drawn, markets=("TH",), languages=("th",)).position == 2
    progress = drawn.progress("d1")
    assert (progress.total, progress.ruled, progress.skipped, progress.open) == (3, 1, 1, 1)


def test_undo_brings_the_case_back_and_keeps_the_record(drawn):
    drawn.add_rulings([a_ruling(0)], by="sam")
    ruling = drawn.last_act("d1", sme_id="sam").act_id
    assert drawn.ruling_count() == (1, 0)
    drawn.undo_ruling(ruling, by="sam")
    assert drawn.ruling_count() == (1, 1)
    assert taken(drawn).position == 0
    assert drawn.rulings().height == 0 and drawn.rulings(current=False).height == 1
    with pytest.raises(UserError, match="taken back already"):
        drawn.undo_ruling(ruling, by="sam")


def test_a_skip_taken_back_is_no_skip_anywhere_and_its_case_comes_back_at_once(drawn):
    decision, later = an_item(0).decision_id, NOON + timedelta(minutes=1)
    assert taken(drawn).position == 0
    drawn.skip_item("d1", decision, sme_id="sam", reason="video gone", at=later)
    assert taken(drawn).position == 1 and drawn.done_since(NOON) == {"sam": 1}
    drawn.undo_skip(drawn.last_act("d1", sme_id="sam").act_id, by="sam")
    assert drawn.skip_count() == (1, 1) and drawn.last_act("d1", sme_id="sam") is None
    assert drawn.progress("d1").skipped == 0 and drawn.skips("d1") == {} and drawn.done_since(NOON) == {}
    assert not drawn.items("d1")["skipped"].any() and len(drawn.open_items("d1")) == 3
    assert taken(drawn, "eve").position == 2, "the cases handed to sam are held"
    assert taken(drawn).position == 0
    drawn.skip_item("d1", decision, sme_id="sam", reason="not my language", at=later)
    assert drawn.progress("d1").skipped == 1 and drawn.skips("d1") == {"not my language": 1}
    assert drawn.audit_log()["action"].to_list() == ["draw", "skip", "undo_skip", "skip"]


def test_the_case_of_an_undo_comes_before_one_that_was_handed_out_meanwhile(drawn):
    drawn.skip_item("d1", an_item(2).decision_id, sme_id="sam", reason="video gone", at=NOON)
    assert taken(drawn).position == 0
    drawn.undo_skip(drawn.last_act("d1", sme_id="sam").act_id, by="sam")
    assert taken(drawn).position == 2


def test_the_last_act_is_the_newest_of_rulings_and_skips(drawn):
    drawn.rule_item(a_ruling(0), by="sam")
    drawn.skip_item(
        "d1", an_item(1).decision_id, sme_id="sam", reason="video gone", at=NOON + timedelta(minutes=1)
    )
    assert (act := drawn.last_act("d1", sme_id="sam")).kind == "skip" and act.reason == "video gone"
    drawn.undo_skip(act.act_id, by="sam")
    assert drawn.rulings().height == 1, "the ruling before the skip stands"
    assert (act := drawn.last_act("d1", sme_id="sam")).kind == "ruling" and act.label == "rude"
    with pytest.raises(UserError, match="skip 1 was taken back already"):
        drawn.undo_skip(1, by="sam")


def test_nobody_takes_back_what_another_did(drawn):
    drawn.rule_item(a_ruling(0), by="sam")
    drawn.skip_item("d1", an_item(1).decision_id, sme_id="sam", reason="video gone", at=NOON)
    with pytest.raises(UserError, match="ruling 1 is sam's, not eve's"):
        drawn.undo_ruling(1, by="eve")
    with pytest.raises(UserError, match="skip 1 is sam's, not eve's"):
        drawn.undo_skip(1, by="eve")
    progress = drawn.progress("d1")
    assert (progress.ruled, progress.skipped) == (1, 1)
    assert drawn.last_act("d1", sme_id="eve") is None


def test_a_case_that_is_ruled_on_cannot_be_skipped(drawn):
    drawn.rule_item(a_ruling(0), by="sam")
    with pytest.raises(UserError, match="sam ruled on this case at .* yours is not stored"):
        drawn.skip_item("d1", an_item(0).decision_id, sme_id="eve", reason="video gone", at=NOON)
    assert drawn.skip_count() == (0, 0)


def test_a_correction_replaces_and_its_undo_restores(drawn):
    drawn.add_rulings([a_ruling(0)], by="sam")
    first = drawn.last_act("d1", sme_id="sam").act_id
    drawn.add_rulings([a_ruling(0, label="clean", error_class=None, replaces=first)], by="sam")
    assert drawn.rulings()["label"].to_list() == ["clean"]
    drawn.undo_ruling(drawn.last_act("d1", sme_id="sam").act_id, by="sam")
    assert drawn.rulings()["label"].to_list() == ["rude"]


def test_the_same_rulings_twice_are_counted_once(drawn):
    rulings = [a_ruling(n) for n in range(3)]
    assert drawn.add_rulings(rulings, by="sam").added == 3
    again = drawn.add_rulings([*rulings, a_ruling(0)], by="sam")
    assert (again.added, again.duplicates) == (0, 4)


def test_a_ruling_on_a_case_outside_its_draw_is_refused_whole(drawn):
    with pytest.raises(RecordError, match="gold for training only"):
        drawn.add_rulings([a_ruling(0), a_ruling(77)], by="sam")
    assert drawn.rulings().height == 0
    assert drawn.add_rulings([a_ruling(77, draw_id=None)], by="sam").added == 1


def test_every_write_of_a_person_is_in_the_audit_log(drawn):
    drawn.add_rulings([a_ruling(0)], by="sam")
    drawn.undo_ruling(drawn.last_act("d1", sme_id="sam").act_id, by="sam")
    drawn.audit("view", "c1", by="sam", at=NOON, details={"draw_id": "d1"})
    assert drawn.audit_log()["action"].to_list() == ["draw", "rule", "undo_ruling", "view"]


def test_the_ledger_knows_every_moment(store):
    assert store.live_on(NOON) is None
    store.record_live("evenhand-1", "v1", by="ann", at=NOON)
    store.record_live("evenhand-2", "v1", by="ann", at=NOON + timedelta(days=2))
    assert store.live_on(NOON - timedelta(seconds=1)) is None
    assert store.live_on(NOON + timedelta(days=1)).model_version == "evenhand-1"
    assert store.live_on(NOON + timedelta(days=3)).model_version == "evenhand-2"


def test_a_person_keeps_their_absence_when_their_languages_change(store):
    store.add_user(User(user_id="ann", role="sme", capacity=40))
    store.set_away("ann", date(2026, 3, 2), date(2026, 3, 9), by="lead")
    store.add_user(User(user_id="ann", role="sme", languages=("th",), capacity=30))
    ann = store.user("ann")
    assert (ann.capacity, ann.languages, ann.away_until) == (30, ("th",), date(2026, 3, 9))
    assert ann.is_away(date(2026, 3, 2)) and not ann.is_away(date(2026, 3, 9))
    store.set_away("ann", None, None, by="lead")
    assert not store.user("ann").is_away(date(2026, 3, 2))
    assert store.audit_log()["action"].to_list() == ["add_user", "away", "add_user", "away"]
    with pytest.raises(RecordError, match="give a later first day back"):
        store.set_away("ann", date(2026, 3, 9), date(2026, 3, 9), by="lead")
    with pytest.raises(RecordError, match="a capacity of -1"):
        User(user_id="ann", role="sme", capacity=-1)


def test_an_unknown_user_is_told_how_to_be_added(store):
    with pytest.raises(UserError, match="evenhand user add eve"):
        store.user("eve")
    with pytest.raises(RecordError, match="role 'boss' is unknown"):
        User(user_id="eve", role="boss")  # type: ignore[arg-type]  # what the record refuses


def test_empty_frames_have_their_columns(store):
    assert "ruled_at" in store.rulings().columns and store.rulings().is_empty()
    store.add_draw(a_draw(), [])
    assert "pi" in store.items("d1").columns and store.items("d1").is_empty()


def test_four_smes_write_at_once(store):
    store.add_draw(a_draw(), [an_item(n) for n in range(80)])
    problems = []

    def work(k: int) -> None:
        try:
            for n in range(k, 80, 4):
                store.add_rulings([a_ruling(n, sme_id=f"sme{k}")], by=f"sme{k}")
        except Exception as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and store.rulings().height == 80


def test_the_next_case_comes_fast_in_a_long_queue(store):
    store.add_draw(a_draw(), [an_item(n) for n in range(5_000)])
    store.add_rulings([a_ruling(n) for n in range(4_000)], by="sam")
    taken(store)
    start = time.perf_counter()
    for n in range(1, 6):
        assert taken(store, f"sme{n}").position == 4_000 + n
    assert (time.perf_counter() - start) / 5 < 0.5


def test_a_ruling_survives_a_kill(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = Store.open(url)
    store.add_draw(a_draw(), [an_item(0)])
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2]); import builders as t;"
        "s = t.Store.open(sys.argv[1]); s.add_rulings([t.a_ruling(0)], by='sam'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, url, str(Path(__file__).parents[1])], check=False)
    assert done.returncode == -9
    assert store.rulings().height == 1
    store.close()


def test_what_is_done_about_a_slice_is_a_log_that_nobody_rewrites(store):
    place = {"market": "TH", "queue": "live"}
    name = store.open_improvement(place, {"rate": 0.2}, by="ann", at=NOON, owner="Lina")
    store.set_improvement(name, by="ann", at=NOON + timedelta(days=1), action="briefing")
    store.set_improvement(name, by="ann", at=NOON + timedelta(days=9), action="second briefing")
    store.add_measurement(name, {"verdict": "real"}, by="ann", at=NOON + timedelta(days=20))
    kept = store.improvement(name)
    assert (kept.owner, kept.action, kept.acted_at) == ("Lina", "second briefing", NOON + timedelta(days=1))
    assert kept.measured == ({"verdict": "real"},) and kept.open and dict(kept.where) == place
    store.close_improvement(name, "it worked", by="ann", at=NOON + timedelta(days=21))
    again = store.open_improvement(place, {"rate": 0.1}, by="ann", at=NOON + timedelta(days=30))
    assert [one.open for one in store.improvements()] == [False, True] and again != name
    with pytest.raises(Exception, match="append-only"), store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM improvement_events")


def test_two_draws_made_at_once_get_no_common_number(store):
    store.add_draw(a_draw("d1", number=1), [])
    with pytest.raises(SampleError, match="another draw was stored meanwhile"):
        store.add_draw(a_draw("d2", number=1), [])
    store.add_draw(a_draw("d2", number=2), [])
    assert [draw.number for draw in store.draws()] == [1, 2]
