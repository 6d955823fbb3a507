"""A decision is settled by a current ruling under its own policy version, and by no other."""

from datetime import timedelta

import polars as pl
import pytest
from test_store import NOON, a_draw, a_ruling, an_item

from evenhand.records import decision_id
from evenhand.settled import VERDICT, is_settled, with_verdicts
from evenhand.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.add_draw(a_draw(), [an_item(n) for n in range(3)])
        yield store


def a_decision(n: int = 0, moderator: str = "m1", **changes) -> dict:
    values = {
        "decision_id": decision_id(f"c{n}", "tone", moderator), "case_id": f"c{n}", "area": "tone",
        "policy_version": "v1", "label": "clean", "moderator_id": moderator,
    }  # fmt: skip
    return {**values, **changes}


def verdicts(store: Store, *decisions: dict) -> list[str | None]:
    found = with_verdicts(pl.LazyFrame(decisions), store.rulings()).collect()
    assert found["decision_id"].to_list() == [row["decision_id"] for row in decisions]
    return found["verdict"].to_list()


def test_a_ruling_upholds_or_overturns_its_decision_and_leaves_others_open(store):
    store.add_rulings([a_ruling(2), a_ruling(0, label="clean", error_class=None)], by="sam")
    assert verdicts(store, *(a_decision(n) for n in range(3))) == ["upheld", None, "overturned"]
    assert verdicts(store, a_decision(0, "m2")) == [None], "another moderator's decision on the case"


def test_what_was_ruled_by_whom_and_when_stands_beside_the_decision(store):
    store.add_rulings([a_ruling(0, error_class="policy_unclear", ruled_at=NOON)], by="sam")
    decisions = pl.LazyFrame([a_decision(0), a_decision(1)])
    first, second = with_verdicts(decisions, store.rulings()).collect().select(VERDICT).rows()
    assert first == ("overturned", "rude", "policy_unclear", "sam", NOON)
    assert second == (None,) * 5


def test_without_rulings_everything_is_open(store):
    assert verdicts(store, a_decision(0)) == [None]


def test_a_ruling_taken_back_settles_nothing_and_of_a_correction_the_newest_counts(store):
    store.add_rulings([a_ruling(0)], by="sam")
    first = store.last_ruling("d1", sme_id="sam")
    store.add_rulings([a_ruling(0, label="clean", error_class=None, replaces=first)], by="sam")
    assert verdicts(store, a_decision(0)) == ["upheld"]
    store.undo_ruling(store.last_ruling("d1", sme_id="sam"), by="sam")
    assert verdicts(store, a_decision(0)) == ["overturned"]
    store.undo_ruling(first, by="sam")
    assert verdicts(store, a_decision(0)) == [None]


def test_of_two_smes_the_later_ruling_counts_whatever_came_in_first(store):
    early = a_ruling(0, label="clean", error_class=None, sme_id="ann", ruled_at=NOON - timedelta(hours=1))
    store.add_rulings([a_ruling(0), early], by="sam")
    assert verdicts(store, a_decision(0)) == ["overturned"]


def test_a_ruling_under_another_policy_version_leaves_the_decision_open(store):
    old = a_ruling(0, policy_version="v0", draw_id=None)
    unnamed = a_ruling(1, policy_version="v0", draw_id=None, decision_moderator_id=None)
    store.add_rulings([old, unnamed], by="sam")
    assert verdicts(store, a_decision(0), a_decision(1)) == [None, None]
    later = a_ruling(0, policy_version="v0", draw_id=None, ruled_at=NOON + timedelta(days=1))
    store.add_rulings([a_ruling(0), later], by="sam")
    assert verdicts(store, a_decision(0)) == ["overturned"], (
        "and a later one under another version does not hide its own"
    )


def test_a_ruling_without_moderator_settles_all_decisions_on_its_case_but_yields_to_their_own(store):
    loose = {"draw_id": None, "decision_moderator_id": None, "ruled_at": NOON + timedelta(days=1)}
    store.add_rulings([a_ruling(0, **loose), a_ruling(0, label="clean", error_class=None)], by="sam")
    assert verdicts(store, a_decision(0), a_decision(0, "m2"), a_decision(0, "m3", label="rude")) == [
        "upheld",
        "overturned",
        "upheld",
    ]
    assert verdicts(store, a_decision(0, "m2", area="spam")) == [None]


def test_many_decisions_keep_their_rows_and_order(store):
    store.add_rulings([a_ruling(n) for n in range(3)], by="sam")
    store.add_rulings([a_ruling(n, draw_id=None, sme_id="ann") for n in range(3)], by="ann")
    rows = [a_decision(n % 400) for n in reversed(range(2_000))]
    found = with_verdicts(pl.LazyFrame(rows), store.rulings()).collect()
    assert found.select("case_id").rows() == [(row["case_id"],) for row in rows]
    assert found.filter(is_settled()).height == 15
