"""Tests how near-identical content is found, and how its conflicts are described."""

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cli.main import evenhand
from evenhand.ingest import ingest_decisions
from evenhand.similar.conflicts import COLUMNS, conflicts, lies
from evenhand.similar.near_duplicates import group_texts
from evenhand.similar.normal_form import normal_form, squashed
from evenhand.synthetic import generate
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.workspace import create_workspace


def decisions(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Decisions in one area, from (text, label, moderator)."""
    return pl.DataFrame(
        [
            {
                "decision_id": f"d{i}",
                "case_id": f"c{i}",
                "text": text,
                "area": "spam",
                "policy_version": "p/1",
                "label": label,
                "moderator_id": moderator,
                "market": "US",
                "language": "en",
                "decided_at": datetime(2026, 1, 1 + i, tzinfo=UTC),
            }
            for i, (text, label, moderator) in enumerate(rows)
        ]
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("follow me and I follow you", "FOLLOW me!!! and i f0llow you 😂😂"),
        ("follow me and I follow you", "f o l l o w me and I follow you"),
        ("follow me and I follow you", "fоllоw me and I fоllоw yоu"),  # Cyrillic o
        ("ตามฉัน ฉันตามกลับทุกคน", "ตามฉัน ฉันตามกลับทุกคนนนน!!"),
        ("تابعني أتابعك، الجميع", "تابعني   أتابعك الجميع ❤️"),
        ("我们明天去山上看花", "我们明天，去山上看花！！"),
    ],
)
def test_disguises_fall_away(a, b):
    assert squashed(a) == squashed(b)


@given(st.text(max_size=40))
def test_the_normal_form_is_final(text):
    once = normal_form(text)
    assert normal_form(once) == once


def test_marks_of_scripts_with_marks_stay():
    assert "ี้" in normal_form("นี้") and normal_form("किताब") == "किताब"


def test_near_copies_share_a_group_and_others_do_not():
    texts = [
        "everyone go to her page and laugh at the dance",
        "everyone go to her pgae and laugh at the dance",
        "go everyone to her page and laugh at the dance",
        "here is the cake recipe I learned in nine days",
    ]
    group = group_texts(texts)
    assert group[0] == group[1] == group[2] != group[3]


def test_short_texts_need_to_be_equal():
    assert len(set(group_texts(["ok no", "ok so", "OK!! no"]).tolist())) == 2


def test_empty_and_emoji_only_texts_are_no_reason_to_fall():
    group = group_texts(["", "😂", "😂", "!!!"])
    assert group[1] == group[2] and len(set(group.tolist())) == 3
    assert len(group_texts([])) == 0


def test_order_changes_no_group():
    texts = [f"{word} follow me and I follow you back number {word}" for word in "abcdefgh"] + [
        "other words"
    ] * 2
    order = np.random.default_rng(0).permutation(len(texts))
    a, b = group_texts(texts), group_texts([texts[i] for i in order])
    same = [[a[i] == a[j] for j in order] for i in order]
    assert same == [[b[i] == b[j] for j in range(len(b))] for i in range(len(b))]


def test_who_deviates_from_the_majority_is_named():
    found = conflicts(
        decisions(
            ("follow me and I follow you", "spam", "m1"),
            ("follow me and i follow you!!", "spam", "m2"),
            ("FOLLOW me and I follow you 😂", "no_violation", "m3"),
            ("a cake recipe for all of us", "spam", "m3"),
        )
    )
    assert found.columns == list(COLUMNS) and found.height == 3
    assert found.filter(pl.col("deviates"))["moderator_id"].to_list() == ["m3"]
    assert set(found["majority_label"]) == {"spam"} and set(found["group_size"]) == {3}
    assert found["share_of_majority"][0] == pytest.approx(2 / 3)


def test_on_a_tie_nobody_deviates():
    found = conflicts(decisions(("the same text twice", "spam", "m1"), ("the same text twice", "scam", "m2")))
    assert found.height == 2 and not found["deviates"].any() and found["majority_label"].null_count() == 2


def test_another_area_or_policy_version_is_no_conflict():
    rows = decisions(("the same text twice", "spam", "m1"), ("the same text twice", "scam", "m2"))
    apart = rows.with_columns(pl.Series("policy_version", ["p/1", "p/2"]))
    assert conflicts(apart).is_empty()
    assert conflicts(rows.head(0)).columns == list(COLUMNS)


def lie(*rows: tuple[str, str, str, int]) -> tuple[str, str]:
    """Where the conflict of one text lies: between or within values, from (label, moderator, market, day)."""
    group = decisions(*(("the same text over and over", label, moderator) for label, moderator, _, _ in rows))
    group = group.with_columns(
        pl.Series("market", [market for *_, market, _ in rows]),
        pl.Series("decided_at", [datetime(2026, 1, day, 23, 59, tzinfo=UTC) for *_, day in rows]),
    )
    found = conflicts(group)
    assert found.height == len(rows) and found.select("across", "within_one").n_unique() == 1
    return found["across"][0], found["within_one"][0]


def test_conflicts_across_moderators_days_and_markets_are_told_apart():
    assert lie(("a", "m1", "US", 1), ("b", "m2", "US", 1)) == ("moderators", "day; market")
    assert lie(("a", "m1", "US", 1), ("b", "m1", "US", 2)) == ("days", "moderator; market")
    assert lie(("a", "m1", "US", 1), ("b", "m1", "TH", 1)) == ("markets", "moderator; day")
    assert lie(("a", "m1", "US", 1), ("b", "m2", "TH", 2)) == ("moderators; days; markets", "")
    assert lie(("a", "m1", "US", 1), ("b", "m1", "US", 1)) == ("", "moderator; day; market")
    assert lie(("a", "m1", "US", 1), ("a", "m2", "US", 1), ("b", "m1", "US", 1)) == (
        "moderators",
        "moderator; day; market",
    )


def test_conflicts_are_chosen_by_what_they_lie_between():
    rows = decisions(
        ("the same text over and over", "a", "m1"),
        ("the same text over and over", "b", "m1"),
        ("another text over and over", "a", "m1"),
        ("another text over and over", "b", "m2"),
    )
    found = conflicts(rows)
    assert found.filter(*lies()).height == 4
    assert set(found.filter(*lies(across=["days"]))["case_id"]) == {"c0", "c1", "c2", "c3"}
    assert set(found.filter(*lies(across=["days", "moderators"]))["case_id"]) == {"c2", "c3"}
    assert set(found.filter(*lies(within_one=["moderator"]))["case_id"]) == {"c0", "c1"}
    assert found.filter(*lies(across=["markets"])).is_empty()


def test_the_command_lists_the_conflicts_asked_for(tmp_path):
    ws = create_workspace(tmp_path / "workspace")
    generate(seed=4, decisions=2_000, rulings=10, out_dir=tmp_path / "data")
    policies = [policy for policy, _ in sample_policies()]
    ingest_decisions(ws, policies, tmp_path / "data" / "decisions.csv.gz")

    def run(*words: str) -> dict:
        done = CliRunner().invoke(
            evenhand, ["-w", str(ws.root), "conflicts", "--json", "--top", "999", *words]
        )
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    everything, by_one = run(), run("--within-one", "moderator", "--across", "days")
    assert 0 < by_one["groups"] < everything["groups"]
    for group in {row["conflict_id"] for row in by_one["conflicts"]}:
        rows = [row for row in by_one["conflicts"] if row["conflict_id"] == group]
        decided = {(row["moderator_id"], row["label"]) for row in rows}
        assert len(decided) > len({moderator for moderator, _ in decided})
        assert len({row["decided_at"][:10] for row in rows}) > 1
    assert pl.read_parquet(ws.conflicts_file)["conflict_id"].n_unique() == everything["groups"]
