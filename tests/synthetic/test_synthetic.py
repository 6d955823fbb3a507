"""Tests the synthetic data: languages, labels, error rate, weeks and rulings are as the card says."""

import filecmp

import polars as pl
import pytest

from evenhand.errors import UserError
from evenhand.synthetic import generate
from evenhand.synthetic.generate import KINDS, LABELS, phrases
from evenhand.synthetic.people import CLUSTERS, MARKETS
from evenhand.synthetic.sample_policies import sample_policies


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    generate(seed=7, decisions=20_000, rulings=1_200, out_dir=folder)
    return folder


def test_every_language_has_every_kind():
    kinds = {f"{area}.{kind}" for area, shares in KINDS.items() for kind in shares}
    assert set(phrases()) == set(MARKETS)
    for language, words in phrases().items():
        assert set(words["kinds"]) == kinds, language
    assert {cluster.kind for cluster in CLUSTERS} <= kinds


def test_every_label_is_in_its_policy_version():
    old, new = (policy for policy, _ in sample_policies())
    for kind, (before, after) in LABELS.items():
        old.check(kind.split(".")[0], before)
        new.check(kind.split(".")[0], after)


def test_the_planted_error_rate_is_what_the_card_says(data):
    truth = pl.read_parquet(data / "truth.parquet")
    assert truth.height == 20_000
    assert 0.06 <= (truth["label"] != truth["true_label"]).mean() <= 0.09
    planted = truth.filter(pl.col("cluster").is_not_null())
    assert planted["cluster"].n_unique() == 4
    assert (planted["label"] != planted["true_label"]).mean() > 0.9


def test_twelve_weeks_with_a_policy_change_in_week_eight(data):
    rows = pl.read_csv(data / "decisions.csv.gz")
    days = rows["decided_at"].str.slice(0, 10)
    assert (days.min(), days.max()) == ("2026-01-05", "2026-03-29")
    changed = rows.filter(pl.col("policy_version") == "short-video/2026-02")["decided_at"].min()
    assert changed >= "2026-02-23"
    assert rows["moderator_id"].n_unique() == 40 and rows["language"].n_unique() == 8


def test_rulings_come_before_the_last_week(data):
    rulings = pl.read_csv(data / "rulings.csv.gz")
    decided = pl.read_csv(data / "decisions.csv.gz").select(
        "case_id", "area", pl.col("moderator_id").alias("decision_moderator_id"), "decided_at"
    )
    joined = rulings.join(decided, on=["case_id", "area", "decision_moderator_id"], validate="1:1")
    assert joined.height == 1_200 and joined["decided_at"].max() < "2026-03-23"


def test_the_same_seed_gives_the_same_rows(data, tmp_path):
    generate(seed=7, decisions=20_000, rulings=1_200, out_dir=tmp_path)
    a, b = pl.read_csv(data / "decisions.csv.gz"), pl.read_csv(tmp_path / "decisions.csv.gz")
    assert a.equals(b) and filecmp.cmp(data / "truth.parquet", tmp_path / "truth.parquet", shallow=False)
    generate(seed=8, decisions=2_000, rulings=100, out_dir=tmp_path / "other")
    assert not pl.read_csv(tmp_path / "other" / "decisions.csv.gz")["text"].equals(a["text"][:2_000])


def test_more_rulings_than_sense_are_refused(tmp_path):
    with pytest.raises(UserError, match="at most half"):
        generate(seed=1, decisions=100, rulings=80, out_dir=tmp_path)
