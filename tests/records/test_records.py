"""Tests that decisions and rulings are checked where they are made."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenhand.errors import RecordError
from evenhand.records.decision import Decision, decision_id
from evenhand.records.ruling import Ruling


def a_decision(**changes) -> Decision:
    plain = {
        "case_id": "c1",
        "text": "hello",
        "language": "en",
        "market": "US",
        "queue": "live",
        "area": "spam",
        "policy_version": "p/1",
        "label": "spam",
        "moderator_id": "m1",
        "decided_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Decision(**{**plain, **changes})


def a_ruling(**changes) -> Ruling:
    plain = {
        "case_id": "c1",
        "area": "spam",
        "policy_version": "p/1",
        "label": "spam",
        "sme_id": "s1",
        "ruled_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Ruling(**{**plain, **changes})


def test_a_time_without_zone_is_refused():
    with pytest.raises(RecordError, match="case c1: decided_at has no time zone"):
        a_decision(decided_at=datetime(2026, 1, 1))


def test_times_are_kept_as_utc():
    jakarta = timezone(timedelta(hours=7))
    assert a_decision(decided_at=datetime(2026, 1, 2, 3, tzinfo=jakarta)).decided_at.isoformat() == (
        "2026-01-01T20:00:00+00:00"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": "a\x00b"}, "NUL"),
        ({"text": "\ud800"}, "lone surrogate"),
        ({"text": "x" * 100_001}, "at most 100,000"),
        ({"language": "english please"}, "no BCP 47 tag"),
        ({"case_id": " c1"}, "outer spaces"),
        ({"exposure": -1.0}, "no number of views from 0 to"),
        ({"exposure": float("nan")}, "no number of views from 0 to"),
    ],
)
def test_a_bad_decision_is_refused(change, words):
    with pytest.raises(RecordError, match=words):
        a_decision(**change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"error_class": "oops"}, "use one of over_enforcement"),
        ({"confidence": 1.5}, "from 0 to 1"),
        ({"seconds": -3.0}, "no number of seconds from 0 to"),
        ({"draw_id": ""}, "draw_id is empty"),
    ],
)
def test_a_bad_ruling_is_refused(change, words):
    with pytest.raises(RecordError, match=words):
        a_ruling(**change)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50))
def test_every_clean_text_passes_unchanged(text):
    assert a_decision(text=text).text == text


def test_the_decision_id_tells_case_area_and_moderator_apart():
    ids = {
        decision_id(*key) for key in [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"), ("ab", "cd", "")]
    }
    assert len(ids) == 4
    assert replace(a_decision(), label="fine").decision_id == a_decision().decision_id
