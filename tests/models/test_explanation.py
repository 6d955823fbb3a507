"""Tests the cards: every form of the sentence, precedents of both sides, and texts tried on the model."""

import time
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from worlds.small_workspace import copied

from evenhand.workspace.lake import scan_decisions
from models.explain.deletion import Flip, Found, without
from models.explain.explanation import explain, found_in, sentence, shown
from models.explain.precedents import FAR, Precedents
from models.explain.split_words import words
from models.registry import Registry


def near(agrees: bool, *, other_side: bool = False) -> dict:
    return {"agrees_with_decision": agrees, "other_side": other_side}


def said(predicted: str, precedents: list[dict], *, flip: str | None = None, n: int = 5) -> str:
    change = {"label": flip, "p": 0.7} if flip else None
    return sentence("spam", predicted, 0.8, precedents, change, words=n)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            said("scam", []),
            "Decided “spam”; the text reads like “scam” (80%); there is no precedent in this area yet.",
        ),
        (
            said("spam", []),
            "The text reads like “spam” (80%), as decided; there is no precedent in this area yet.",
        ),
        (said("scam", [near(True)] * 3), "; the 3 nearest precedents were ruled “spam” too."),
        (said("scam", [near(False)] * 3), "; the 3 nearest precedents were ruled otherwise."),
        (
            said("scam", [near(True), near(False), near(False)]),
            "; 2 of the 3 nearest precedents were ruled otherwise.",
        ),
        (said("scam", [near(True)]), "; the nearest precedent was ruled “spam” too."),
        (said("scam", [near(False)]), "; the nearest precedent was ruled otherwise."),
        (
            said("scam", [near(True), near(True), near(False, other_side=True)]),
            "; the 3 nearest precedents were ruled “spam” too, the last one shown is the nearest of the other side.",
        ),
        (
            said("scam", [near(False), near(False), near(True, other_side=True)]),
            "; the 3 nearest precedents were ruled otherwise, the last one shown is the nearest of the other side.",
        ),
        (said("scam", [], flip="spam"), " Without the outlined words it would read like “spam”."),
        (
            said("scam", [], n=0),
            "There are no words to read; “scam” is the likeliest label here (80%); there is no",
        ),
    ],
)
def test_the_sentence_says_it_all_in_one_line(line, expected):
    assert expected in line and "\n" not in line


def test_marks_are_whole_words_and_neighbours_of_one_kind_are_joined():
    text = "you are so very rude today"
    spans = words(text)
    found = Found(
        weights={2: 0.4, 3: 0.5, 4: 1.0, 0: -0.3},
        gain=2.0,
        flip=Flip(words=frozenset({4, 5}), label=0, p=0.9),
        passes=9,
    )
    marks = shown(text, spans, found)
    assert [(text[m["start"] : m["end"]], m["weight"], m["flip"]) for m in marks] == [
        ("you", -0.3, False),
        ("so very", 0.5, False),
        ("rude", 1.0, True),
        ("today", 0.0, True),
    ]


def some_precedents(rows: list[tuple[float, str]]) -> Precedents:
    """Gold cases at these cosines from the x axis, with these labels."""
    vectors = np.array([[c, np.sqrt(1 - c * c)] for c, _ in rows], np.float32)
    at = datetime(2026, 2, 1, tzinfo=UTC)
    cases = pl.DataFrame(
        [
            {
                "case_id": f"g{i}",
                "text": "t",
                "language": "en",
                "market": "US",
                "area": "spam",
                "policy_version": "v1",
                "label": label,
                "ruled_at": at,
            }
            for i, (_, label) in enumerate(rows)
        ]
    )
    return Precedents.build(vectors, cases)


def of(precedents: Precedents, label: str, case: str = "mine") -> list[tuple[int, bool]]:
    query = np.array([[2.0, 0.0]], np.float32)
    return [(n.row, n.other_side) for n in precedents.nearest(query, ["spam"], [case], [label])[0]]


def test_the_last_precedent_is_of_the_other_side_where_all_nearest_agree():
    rows = [(0.9, "a"), (0.95, "a"), (0.85, "a"), (0.84, "a"), (0.7, "b"), (0.75, "c")]
    assert of(some_precedents(rows), "a") == [(1, False), (0, False), (5, True)]
    # all of the nearest were against the decision
    assert of(some_precedents(rows), "b") == [(1, False), (0, False), (4, True)]


def test_the_nearest_three_stay_where_both_sides_are_there_or_the_other_is_far():
    both = [(0.9, "a"), (0.95, "b"), (0.85, "a"), (0.84, "a")]
    assert of(some_precedents(both), "a") == [(1, False), (0, False), (2, False)]
    far = [(0.9, "a"), (0.95, "a"), (0.85, "a"), (0.95 - FAR - 0.02, "b")]
    assert of(some_precedents(far), "a") == [(1, False), (0, False), (2, False)]


def test_few_precedents_are_shown_as_they_are_and_never_the_case_itself():
    assert of(some_precedents([(0.9, "a"), (0.8, "b")]), "a", case="g0") == [(1, False)]
    empty = some_precedents([(0.9, "a")])
    assert of(empty, "a", case="g0") == []


@pytest.fixture(scope="module")
def world(tmp_path_factory, trained_world):
    small = copied(trained_world[0], tmp_path_factory.mktemp("explained"))
    yield scan_decisions(small.ws).sort("decision_id").collect(), Registry(small.ws).load("champion")
    small.store.close()


@pytest.mark.slow
def test_a_flip_really_flips_when_its_words_are_deleted(world):
    decisions, bundle = world
    rows = decisions.head(60)
    flips = 0
    for row, card in zip(rows.iter_rows(named=True), explain(bundle, rows), strict=True):
        cut = [(s["start"], s["end"]) for s in card["spans"] if s["flip"]]
        assert bool(cut) == (card["flip"] is not None) == ("outlined" in card["sentence"])
        if card["flip"]:
            shorter = pl.DataFrame([{**row, "text": without(row["text"], cut)}], schema=decisions.schema)
            judged = bundle.judge(shorter)
            assert judged["predicted_label"][0] == card["flip"]["label"] != card["predicted_label"]
            assert judged["p_predicted"][0] == pytest.approx(card["flip"]["p"], abs=0.02)
            flips += 1
    assert flips >= 5


@pytest.mark.slow
def test_spans_cover_whole_words_and_their_deletion_moves_the_decided_label_up(world):
    decisions, bundle = world
    rows = decisions.head(60)
    marked = 0
    for row, card in zip(rows.iter_rows(named=True), explain(bundle, rows), strict=True):
        whole = words(row["text"])
        starts, ends = {a for a, _ in whole}, {b for _, b in whole}
        assert all(s["start"] in starts and s["end"] in ends for s in card["spans"])
        against = [(s["start"], s["end"]) for s in card["spans"] if s["weight"] > 0]
        if against:
            shorter = {**row, "text": without(row["text"], against)}
            both = bundle.judge(pl.DataFrame([row, shorter], schema=decisions.schema))["p_decided"]
            assert both[1] > both[0]
            marked += 1
    assert marked >= 15


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "😂😂😂", "👨‍👩‍👧", "x" * 100_000, "ก" * 100_000, "天" * 100_000, "مرحبا بكم " * 10_000],
)
def test_odd_texts_get_a_card_in_time(world, text):
    decisions, bundle = world
    row = decisions.head(1).with_columns(text=pl.lit(text))
    explain(bundle, row)
    began = time.perf_counter()
    card = explain(bundle, row)[0]
    assert time.perf_counter() - began < 5
    assert card["sentence"] and all(0 <= s["start"] < s["end"] <= len(text) for s in card["spans"])
    if not text.strip():
        assert card["spans"] == [] and card["flip"] is None and "no words to read" in card["sentence"]


@pytest.mark.slow
def test_a_long_text_costs_no_more_passes_than_its_length_allows(world):
    decisions, bundle = world
    row = {**decisions.row(0, named=True), "text": "come to the tea shop and bring a friend " * 100}
    spans = words(row["text"], 2_000)
    found = found_in(bundle, row, spans, bundle.judge(pl.DataFrame([row]))["predicted_label"][0])
    assert found.passes < 60
