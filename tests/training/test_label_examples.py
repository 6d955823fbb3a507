"""Tests how gold becomes examples: for which head, how often and with what weight."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from evenhand.errors import TrainingError
from evenhand.records.policy import Area, Label, PolicyVersion, diff_policies
from models.labels.classifier import build_heads
from training.examples import CARRIED, answers, covered, data_hash, enough, label_examples

CLAUSES = {
    "ok": "Sharing is allowed.",
    "spam": "Trading follows is not allowed.",
    "scam": "Posing is not allowed.",
}


def a_policy(version: str, **changes: str) -> PolicyVersion:
    """A policy version with one area; `changes` gives labels other clauses."""
    labels = tuple(
        Label(name=name, title=name.title(), clause_id="", clause=clause)
        for name, clause in {**CLAUSES, **changes}.items()
    )
    return PolicyVersion(
        version=version,
        title=version,
        effective_from=date(2026, 1, int(version[1:])),
        areas=(Area(name="spam", title="Spam", labels=labels),),
    )


def with_labels(policy: PolicyVersion, labels: tuple[Label, ...]) -> PolicyVersion:
    return replace(policy, areas=(replace(policy.areas[0], labels=labels),))


def ruled(*rows: tuple[str, str, str], text: str = "a text", label: str = "ok") -> pl.DataFrame:
    """Gold of (case, policy version, ruled label), one day apart."""
    began = datetime(2026, 3, 1, tzinfo=UTC)
    return pl.DataFrame(
        [
            {
                "decision_id": f"{case}-{version}",
                "case_id": case,
                "area": "spam",
                "policy_version": version,
                "text": text,
                "label": label,
                "ruled_label": ruling,
                "ruled_at": began + timedelta(days=day),
                "weight": 1.0,
            }
            for day, (case, version, ruling) in enumerate(rows)
        ]
    )


def taught(rows: pl.DataFrame, policies: list[PolicyVersion]) -> list[tuple[str, str, float]]:
    """(head, ruled label, weight) of each example."""
    heads, where = build_heads(policies)
    data = label_examples(rows, policies, heads, where)
    return [(row["head"], heads[row["head"]].labels[row["label"]], row["weight"]) for row in data.to_list()]


V1, V2 = a_policy("v1"), a_policy("v2", ok="Sharing with friends is allowed.")


def test_a_ruling_teaches_its_own_head_and_once_each_later_wording():
    v3 = a_policy("v3", ok="Sharing is fine.")
    assert taught(ruled(("c", "v1", "spam")), [V1, V2, v3]) == [
        ("spam", "spam", 1.0),
        ("spam@v2", "spam", CARRIED),
        ("spam@v3", "spam", CARRIED),
    ]
    assert taught(ruled(("c", "v2", "spam")), [V1, V2, v3]) == [
        ("spam@v2", "spam", 1.0),
        ("spam@v3", "spam", CARRIED),
    ]
    assert taught(ruled(("c", "v3", "spam")), [V1, V2, v3]) == [("spam@v3", "spam", 1.0)]


def test_a_ruling_whose_own_clause_changed_is_not_carried():
    assert taught(ruled(("c", "v1", "ok")), [V1, V2]) == [("spam", "ok", 1.0)]


def test_versions_that_share_a_wording_teach_it_once():
    v3 = replace(V2, version="v3")
    assert taught(ruled(("c", "v1", "spam")), [V1, V2, v3]) == [
        ("spam", "spam", 1.0),
        ("spam@v2", "spam", CARRIED),
    ]


def test_a_wording_that_comes_back_gets_nothing_carried_from_itself():
    v3 = replace(V1, version="v3")
    assert taught(ruled(("c", "v1", "spam")), [V1, V2, v3]) == [
        ("spam", "spam", 1.0),
        ("spam@v2", "spam", CARRIED),
    ]
    assert taught(ruled(("c", "v2", "spam")), [V1, V2, v3]) == [
        ("spam", "spam", CARRIED),
        ("spam@v2", "spam", 1.0),
    ]


def test_a_case_teaches_a_head_once_its_own_ruling_first_then_the_newest():
    rows = ruled(("c", "v2", "scam"), ("c", "v1", "spam"))
    assert taught(rows, [V1, V2]) == [("spam@v2", "scam", 1.0), ("spam", "spam", 1.0)]
    v3 = replace(V1, version="v3")
    assert taught(ruled(("c", "v1", "spam"), ("c", "v3", "scam")), [V1, v3]) == [("spam", "scam", 1.0)]


def severities(policy: PolicyVersion) -> tuple[Label, ...]:
    return tuple(replace(label, severity="high") for label in policy.areas[0].labels)


def titled(policy: PolicyVersion) -> tuple[Label, ...]:
    return tuple(replace(label, title=f"{label.title}, anew") for label in policy.areas[0].labels)


def turned(policy: PolicyVersion) -> tuple[Label, ...]:
    first, *others = policy.areas[0].labels
    return (first, *reversed(others))


@pytest.mark.parametrize("change", [severities, titled, turned])
def test_what_rewords_nothing_makes_no_head_and_no_example(change):
    v3 = with_labels(replace(V2, version="v3"), change(V2))
    assert {found.kind for found in diff_policies(V2, v3)} <= {"severity_changed"}
    rows = ruled(("a", "v1", "spam"), ("b", "v1", "ok"), ("c", "v2", "scam"), ("d", "v2", "ok"))
    assert set(build_heads([V1, V2, v3])[0]) == {"spam", "spam@v2"}
    assert taught(rows, [V1, V2, v3]) == taught(rows, [V1, V2])
    assert taught(ruled(("c", "v3", "scam")), [V1, V2, v3]) == [("spam@v2", "scam", 1.0)]


def test_a_new_title_does_not_hinder_carrying_over():
    v2 = with_labels(V2, titled(V2))
    assert taught(ruled(("c", "v1", "spam")), [V1, v2])[1:] == [("spam@v2", "spam", CARRIED)]


def test_another_label_that_means_not_violating_makes_a_new_head():
    v2 = with_labels(replace(V1, version="v2"), tuple(reversed(V1.areas[0].labels)))
    heads, where = build_heads([V1, v2])
    assert where == {"v1/spam": "spam", "v2/spam": "spam@v2"}
    assert heads["spam@v2"].labels[0] == "scam"


def test_rulings_that_do_not_fit_their_policy_version_are_left_out_and_counted():
    policies = [V1, V2]
    known = answers(policies, build_heads(policies)[1])
    rows = ruled(("a", "v1", "spam"), ("b", "v1", "engagement_bait"), ("c", "v9", "spam"), ("d", "v2", "ok"))
    kept, note = covered(rows, known)
    assert kept["case_id"].to_list() == ["a", "d"] and note.startswith("2 of 4 rulings were left out")
    assert covered(kept, known)[1] == ""
    assert len(taught(kept, policies)) == 3
    odd, note = covered(ruled(("a", "v1", "spam"), label="engagement_bait"), known)
    assert odd.height == 0 and note
    assert covered(rows, answers([], {}))[0].height == 0
    with pytest.raises(
        TrainingError, match=r"2 rulings meet .* 50 are needed.*\(2 of 4 rulings were left out"
    ):
        enough(*covered(rows, known))


def test_an_edited_text_or_another_version_is_new_data():
    first = data_hash(ruled(("a", "v1", "spam")))
    assert first == data_hash(ruled(("a", "v1", "spam")))
    assert first != data_hash(ruled(("a", "v1", "spam"), text="an edited text"))
    moved = ruled(("a", "v1", "spam")).with_columns(policy_version=pl.lit("v2"))
    assert first != data_hash(moved)
