"""Tests what a ruling says about a decision, and that all parts of the product agree."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from builders import NOON, POLICY, a_draw, a_ruling, an_item
from worlds import scored_world
from worlds.scored_world import AT, draw

from evenhand.batches.population import scored_frame
from evenhand.errors import RecordError
from evenhand.flags import top_flags
from evenhand.gold import gold
from evenhand.rates.measure import OUTCOMES
from evenhand.rates.panel import panel_phase
from evenhand.rates.question import Question
from evenhand.rates.reviewed_frame import reviewed
from evenhand.rates.table import estimate_draws, measure_draws
from evenhand.records.decision import decision_id
from evenhand.records.policy import parse_policy
from evenhand.records.ruling import Ruling
from evenhand.records.verdict import VERDICT, is_settled, with_verdicts
from evenhand.report.confusions import confusion_rates
from evenhand.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.add_policy(parse_policy(POLICY), POLICY, by="test")
        store.add_draw(a_draw(), [an_item(n) for n in range(3)])
        yield store


def a_decision(n: int = 0, moderator: str = "m1", **changes) -> dict:
    values = {
        "decision_id": decision_id(f"c{n}", "tone", moderator),
        "case_id": f"c{n}",
        "area": "tone",
        "policy_version": "v1",
        "label": "clean",
        "moderator_id": moderator,
    }
    return {**values, **changes}


def verdicts(store: Store, *decisions: dict) -> list[str | None]:
    found = with_verdicts(pl.LazyFrame(decisions), store.rulings(), store.policies()).collect()
    assert found["decision_id"].to_list() == [row["decision_id"] for row in decisions]
    return found["verdict"].to_list()


def test_a_ruling_upholds_or_overturns_its_decision_and_leaves_others_open(store):
    store.add_rulings([a_ruling(2), a_ruling(0, label="clean", error_class=None)], by="sam")
    assert verdicts(store, *(a_decision(n) for n in range(3))) == ["upheld", None, "overturned"]
    assert verdicts(store, a_decision(0, "m2")) == [None], "another moderator's decision on the case"


def test_what_was_ruled_by_whom_and_when_stands_beside_the_decision(store):
    store.add_rulings([a_ruling(0, error_class="policy_unclear", ruled_at=NOON)], by="sam")
    decisions = pl.LazyFrame([a_decision(0), a_decision(1)])
    first, second = (
        with_verdicts(decisions, store.rulings(), store.policies()).collect().select(VERDICT).rows()
    )
    assert first == ("policy_unclear", "rude", "policy_unclear", "sam", NOON)
    assert second == (None,) * 5


def test_without_rulings_everything_is_open(store):
    assert verdicts(store, a_decision(0)) == [None]


def test_a_ruling_taken_back_settles_nothing_and_of_a_correction_the_newest_counts(store):
    store.add_rulings([a_ruling(0)], by="sam")
    first = store.last_act("d1", sme_id="sam").act_id
    store.add_rulings([a_ruling(0, label="clean", error_class=None, replaces=first)], by="sam")
    assert verdicts(store, a_decision(0)) == ["upheld"]
    store.undo_ruling(store.last_act("d1", sme_id="sam").act_id, by="sam")
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
    found = with_verdicts(pl.LazyFrame(rows), store.rulings(), store.policies()).collect()
    assert found.select("case_id").rows() == [(row["case_id"],) for row in rows]
    assert found.filter(is_settled()).height == 15


# --- the table: every kind of ruling through every consumer
# -------------------------------------------------------------------

AGREE, OVERTURN, CLEAN = "the decision's label", "another violating label", "the clean label"


@dataclass(frozen=True, kw_only=True)
class Says:
    """What each part of the product must say about a ruling on one drawn decision."""

    verdict: str | None  # None means open
    error_class: str | None = None
    lesson: bool = True
    confusion: bool = False
    reviewed: bool = True  # whether the rate counts the decision as reviewed

    @property
    def error(self) -> bool:
        return self.verdict == "overturned"


UPHELD = Says(verdict="upheld")
UNCLEAR = Says(verdict="policy_unclear", error_class="policy_unclear", lesson=False)
TECHNICAL = Says(verdict="overturned", error_class="technical")
OVER = Says(verdict="overturned", error_class="over_enforcement", confusion=True)
UNDER = Says(verdict="overturned", error_class="under_enforcement", confusion=True)
WRONG = Says(verdict="overturned", error_class="wrong_policy", confusion=True)
OPEN = Says(verdict=None, lesson=False, reviewed=False)

#: name -> (whether the decision enforces, the rulings in their order as (label, changes), what they say)
TABLE: dict[str, tuple[bool, list[tuple[str, dict[str, Any]]], Says]] = {
    "agree": (True, [(AGREE, {})], UPHELD),
    "over_enforcement": (True, [(CLEAN, {})], OVER),
    "under_enforcement": (False, [(OVERTURN, {})], UNDER),
    "wrong_policy": (True, [(OVERTURN, {})], WRONG),
    "a class left out is told by the labels": (True, [(CLEAN, {"error_class": None})], OVER),
    "a class that the labels contradict": (True, [(CLEAN, {"error_class": "under_enforcement"})], OVER),
    "a class with the decision's label": (True, [(AGREE, {"error_class": "over_enforcement"})], UPHELD),
    "technical, same label": (True, [(AGREE, {"error_class": "technical"})], TECHNICAL),
    "technical, another label": (True, [(CLEAN, {"error_class": "technical"})], TECHNICAL),
    "policy unclear, same label": (True, [(AGREE, {"error_class": "policy_unclear"})], UNCLEAR),
    "policy unclear, another label": (True, [(CLEAN, {"error_class": "policy_unclear"})], UNCLEAR),
    "replaced": (True, [(CLEAN, {}), (AGREE, {"replaces": True})], UPHELD),
    "ruled twice": (True, [(AGREE, {}), (CLEAN, {"sme_id": "second"})], OVER),
    "undone": (True, [(CLEAN, {"undone": True})], OPEN),
    "other version": (True, [(CLEAN, {"policy_version": "other", "draw_id": None})], OPEN),
    "unnamed moderator": (
        True,
        [(CLEAN, {"decision_moderator_id": None, "draw_id": None})],
        replace(OVER, reviewed=False),
    ),
    "unnamed moderator, technical": (
        True,
        [(AGREE, {"decision_moderator_id": None, "draw_id": None, "error_class": "technical"})],
        replace(UPHELD, reviewed=False),
    ),
    "unnamed moderator, policy unclear": (
        True,
        [(AGREE, {"decision_moderator_id": None, "draw_id": None, "error_class": "policy_unclear"})],
        replace(UNCLEAR, reviewed=False),
    ),
    "its own ruling goes before one that names nobody": (
        True,
        [(AGREE, {}), (CLEAN, {"decision_moderator_id": None, "draw_id": None})],
        UPHELD,
    ),
    "not drawn": (True, [(CLEAN, {"draw_id": None})], replace(OVER, reviewed=False)),
}


@pytest.mark.parametrize("kind", TABLE)
def test_every_consumer_says_the_same_of_a_ruling(world, kind):
    enforces, rulings, says = TABLE[kind]
    ws, store, _ = world
    drawn = draw(world, budget=120)
    items = store.items(drawn.draw_id)
    other = "short-video/2026-02"
    clean = {(p.version, a.name): a.labels[0].name for p in store.policies() for a in p.areas}
    target = next(
        row
        for row in items.iter_rows(named=True)
        if (row["label"] != clean[row["policy_version"], row["area"]]) == enforces
        and row["policy_version"] != other
    )
    rest = [row for row in items.iter_rows(named=True) if row["decision_id"] != target["decision_id"]]
    store.add_rulings([rules(store, row, drawn, row["label"]) for row in rest], by="s")
    before = estimate_draws(ws, store).overall
    area = store.policy(target["policy_version"]).area(target["area"])
    labels = {
        AGREE: target["label"],
        CLEAN: area.labels[0].name,
        OVERTURN: next(name for name in area.label_names[1:] if name != target["label"]),
    }
    for minute, (label, changes) in enumerate(rulings, start=1):
        changes = dict(changes)
        undone, replaces = changes.pop("undone", False), changes.pop("replaces", False)
        if changes.get("policy_version"):
            changes["policy_version"] = other
        if replaces:
            changes["replaces"] = int(store.rulings()["id"].max())
        one = rules(store, target, drawn, labels[label], ruled_at=AT + timedelta(days=minute), **changes)
        store.add_rulings([one], by="s")
        if undone:
            store.undo_ruling(int(store.rulings()["id"].max()), by="s")
    current, policies = store.rulings(), store.policies()

    found = with_verdicts(items.lazy(), current, policies).collect()
    row = found.row(by_predicate=pl.col("decision_id") == target["decision_id"], named=True)
    assert (row["verdict"], row["error_class"]) == (says.verdict, says.error_class)

    flags = top_flags(ws, store, scored_world.MODEL).table
    key = ("case_id", "area", "moderator_id")
    is_open = (flags.select(pl.all_horizontal(pl.col(n) == target[n] for n in key))).to_series().any()
    assert is_open == (says.verdict is None), "flags"
    frame, _ = scored_frame(ws, store, scored_world.MODEL, columns=("decision_id",))
    assert (target["decision_id"] in frame["decision_id"]) == (says.verdict is None), "the next draw's frame"

    after = estimate_draws(ws, store).overall
    assert after.total.n_reviewed - before.total.n_reviewed == says.reviewed
    for outcome in OUTCOMES:
        counts = getattr(after, outcome).errors_found - getattr(before, outcome).errors_found
        expected = says.error if outcome == "total" else says.error_class == outcome
        assert counts == (expected and says.reviewed), outcome

    taught = gold(ws, store).filter(pl.col("decision_id") == target["decision_id"])
    assert taught.height == says.lesson, "lesson"
    if says.lesson:
        assert taught["overturned"][0] == says.error

    confusions = confusion_rates(measure_draws(ws, store), top=5)[0]
    assert bool(confusions) == (says.confusion and says.reviewed), "confusions"

    seen = reviewed(ws, store, drawn, Question())
    assert seen is not None
    asked, _ = panel_phase(store, seen)
    mine = asked.filter(pl.col("decision_id") == target["decision_id"])
    assert mine.height == says.reviewed, "panel"
    if says.reviewed:
        assert mine["overturned"][0] == says.error and (not says.error or mine["panel_asked"][0])


def rules(store, row, drawn, label, **changes):
    """A ruling on a drawn decision, with the error class that follows from its labels."""
    area = store.policy(row["policy_version"]).area(row["area"])
    values = {
        "case_id": row["case_id"],
        "area": row["area"],
        "policy_version": row["policy_version"],
        "label": label,
        "sme_id": "s",
        "ruled_at": AT,
        "decision_moderator_id": row["moderator_id"],
        "draw_id": drawn.draw_id,
        "error_class": area.error_class(row["label"], label),
    }
    return Ruling(**{**values, **changes})


def test_a_panel_goes_before_an_sme_whatever_came_later(world):
    _, store, _ = world
    drawn = draw(world, budget=30)
    items = store.items(drawn.draw_id)
    row = items.row(0, named=True)
    ruled = store.policy(row["policy_version"]).area(row["area"])
    other = next(name for name in ruled.label_names if name != row["label"])
    store.add_rulings([rules(store, row, drawn, other, source="panel")], by="p")
    store.add_rulings([rules(store, row, drawn, row["label"], ruled_at=AT + timedelta(days=9))], by="s")
    found = with_verdicts(items.lazy(), store.rulings(), store.policies()).collect()
    assert found["verdict"][0] == "overturned"
    smes = store.rulings().filter(pl.col("source") != "panel")
    assert with_verdicts(items.lazy(), smes, store.policies()).collect()["verdict"][0] == "upheld"


def test_the_labels_tell_the_same_class_here_as_in_the_policy(store):
    area = parse_policy(
        POLICY.replace("- {name: rude", "- {name: spam, clause: Spam.}\n      - {name: rude")
    ).area("tone")
    text = POLICY.replace("version: v1", "version: v3").replace(
        "- {name: rude", "- {name: spam, clause: Spam.}\n      - {name: rude"
    )
    store.add_policy(parse_policy(text), text, by="test")
    names = area.label_names
    pairs = [(decided, ruled) for decided in names for ruled in names]
    decisions = [a_decision(n, policy_version="v3", label=decided) for n, (decided, _) in enumerate(pairs)]
    given = [
        a_ruling(n, policy_version="v3", label=ruled, error_class=None, draw_id=None)
        for n, (_, ruled) in enumerate(pairs)
    ]
    store.add_rulings(given, by="sam")
    found = with_verdicts(pl.LazyFrame(decisions), store.rulings(), store.policies()).collect()
    assert found["error_class"].to_list() == [area.error_class(*pair) for pair in pairs]


def test_a_drawn_case_is_ruled_on_under_the_version_of_its_decision(store):
    with pytest.raises(RecordError, match="decided under 'v1', ruled under 'v2'"):
        store.add_rulings([a_ruling(0, policy_version="v2")], by="sam")
    assert store.rulings().is_empty()
