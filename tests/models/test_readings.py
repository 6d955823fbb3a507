"""Tests the readings of a decision: what models that have not seen it say of its label."""

import numpy as np
import polars as pl
import pytest

from models.labels.classifier import HeadSpec
from models.labels.readings import GOLD_FOLDS, READINGS, Lessons, Readings, fold_by_id, pick
from training.second_stage import decided_lessons, group_folds

HEADS = {
    "spam": HeadSpec(key="spam", area="spam", labels=("fine", "promo"), clauses=("It is fine.", "It sells."))
}
SELLS = ["buy my shoes now", "best shop, link in bio", "cheap phones, order today", "sale sale sale"]
FINE = ["my cat sleeps", "we baked a cake", "running in the park", "a song for my mother"]


def some(n: int, seed: int, *, noise: float = 0.0):
    """Texts of two kinds; their label is wrong with probability `noise`."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    texts = [
        f"{(SELLS if k else FINE)[i]} {i}{j}"
        for j, (k, i) in enumerate(zip(kind, rng.integers(0, 4, n), strict=True))
    ]
    given = np.where(rng.random(n) < noise, 1 - kind, kind)
    vectors = np.stack([kind + rng.normal(0, 0.3, n), 1 - kind + rng.normal(0, 0.3, n), np.ones(n)], 1)
    return texts, kind, given, vectors.astype(np.float32)


@pytest.fixture(scope="module")
def learned():
    texts, _, given, vectors = some(400, 1, noise=0.1)
    decisions = pl.DataFrame(
        {
            "decision_id": [f"d{i}" for i in range(400)],
            "text": texts,
            "head": "spam",
            "label": [HEADS["spam"].labels[g] for g in given],
        }
    )
    place = {text: i for i, text in enumerate(texts)}
    lessons = decided_lessons(
        decisions, {"spam": HEADS["spam"].labels}, lambda asked: vectors[[place[text] for text in asked]]
    )
    gold_texts, kind, _, gold_vectors = some(100, 2)
    fold = np.arange(100) % GOLD_FOLDS
    gold = Lessons(gold_texts, gold_vectors, ["spam"] * 100, kind, np.ones(100), fold)
    readings, left_out = Readings.fit(HEADS, gold, *lessons)
    return readings, left_out, decisions, vectors, given


def odds(readings, texts, vectors, decided, ids, **others):
    return readings.odds(
        readings.char_by_rulings.features(texts), vectors, ["spam"] * len(texts), decided, ids, **others
    )


def test_every_reading_sees_a_wrong_label(learned):
    readings = learned[0]
    texts, kind, _, vectors = some(60, 3)
    ids = [f"x{i}" for i in range(60)]
    right = odds(readings, texts, vectors, kind, ids)
    wrong = odds(readings, texts, vectors, 1 - kind, ids)
    assert right.shape == (60, len(READINGS))
    assert (wrong.mean(0) > right.mean(0) + 1).all()


def test_a_decision_never_speaks_for_itself(learned):
    """A wrongly decided text that is like no other: a model that has seen it would support its label."""
    _, _, decisions, vectors, given = learned
    odd = "qqqq wwww zzzz"
    with_odd = pl.concat(
        [
            decisions,
            pl.DataFrame({"decision_id": ["odd"], "text": [odd], "head": ["spam"], "label": ["promo"]}),
        ]
    )
    place = {text: i for i, text in enumerate(with_odd["text"])}
    rows = np.concatenate([vectors, vectors[:1]])
    lessons = decided_lessons(
        with_odd, {"spam": HEADS["spam"].labels}, lambda asked: rows[[place[t] for t in asked]]
    )
    gold = Lessons(
        [], np.empty((0, 3), np.float32), [], np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    )
    readings, _ = Readings.fit(HEADS, gold, *lessons)
    column = READINGS.index("decisions_char")
    out = [odds(readings, [odd], rows[:1], np.array([1]), [name])[0, column] for name in ("odd", *"abcdefgh")]
    seen = [
        value
        for name, value in zip(("odd", *"abcdefgh"), out, strict=True)
        if fold_by_id([name]) != fold_by_id(["odd"])
    ]
    assert seen and out[0] > max(seen)  # the label looks better to the models that have seen it


def test_a_rulings_fold_is_left_out(learned):
    readings, left_out, *_ = learned
    texts, kind, _, vectors = some(100, 2)
    ids = [f"g{i}" for i in range(100)]
    kept = odds(readings, texts, vectors, kind, ids)[:, 0]
    apart = np.empty(100)
    for k in range(GOLD_FOLDS):
        here = np.arange(100) % GOLD_FOLDS == k
        part = odds(
            readings,
            [t for t, h in zip(texts, here, strict=True) if h],
            vectors[here],
            kind[here],
            [i for i, h in zip(ids, here, strict=True) if h],
            by_rulings=left_out[k],
        )
        apart[here] = part[:, 0]
    assert kept.mean() < apart.mean()  # a model that has seen the ruling is surer


def test_readings_come_back_as_saved(learned, tmp_path):
    readings = learned[0]
    readings.save(tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {
        "baseline.json",
        "baseline.safetensors",
        "evidence.safetensors",
    }  # as versions from before have them
    texts, kind, _, vectors = some(20, 5)
    ids = [f"y{i}" for i in range(20)]
    again = odds(Readings.load(tmp_path), texts, vectors, kind, ids)
    assert np.allclose(again, odds(readings, texts, vectors, kind, ids), atol=0.02)


def test_picking_is_a_random_draw_that_does_not_follow_the_ids():
    ids = [f"{language}-{i:03}" for language in ("ar", "pl", "zh") for i in range(100)]
    rows = pl.DataFrame({"decision_id": ids, "head": ["x"] * 299 + ["y"]})
    taken = pick(rows, 90)
    assert taken["head"].value_counts().sort("head")["count"].to_list() == [90, 1]
    per_language = taken["decision_id"].str.head(2).value_counts()["count"]
    assert per_language.min() > 15
    assert pick(rows.reverse(), 90).equals(taken)


def test_a_group_is_in_one_fold():
    group = np.array([7, 7, 3, 3, 3, 9])
    fold = group_folds(group, seed=1)
    assert fold[0] == fold[1] and len(set(fold[2:5].tolist())) == 1 and fold.max() < GOLD_FOLDS
