"""Tests that every data set has a card, and that the figures of the cards are right."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import polars as pl
import pytest

from evenhand.synthetic import generate

ROOT = Path(__file__).resolve().parents[2]
CARDS = {card.stem: card.read_text(encoding="utf-8") for card in (ROOT / "data_cards").glob("*.md")}
HEADINGS = [
    "Source",
    "Licence",
    "Languages",
    "Labelling",
    "Rows",
    "Gaps",
    "How to get it",
    "How Evenhand uses it",
]


def load_sets():
    """The module benchmarks/public_sets.py, loaded by its path, because scripts are not a package."""
    spec = importlib.util.spec_from_file_location("benchmark_sets", ROOT / "benchmarks" / "public_sets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    return module


SETS = load_sets().SETS
COLUMNS = load_sets().COLUMNS


def sections(card: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


def test_every_set_has_a_card_and_every_card_a_set():
    assert set(CARDS) == {*SETS, "synthetic"}


@pytest.mark.parametrize("name", sorted(CARDS))
def test_a_card_has_the_required_headings_and_none_is_empty(name):
    found = sections(CARDS[name])
    assert list(found) == HEADINGS
    assert all(len(text) > 3 for text in found.values())
    assert all(
        f"`{column}" in found["How to get it"] or column in found["How to get it"] for column in COLUMNS
    )


@pytest.mark.parametrize("name", sorted(SETS))
def test_a_card_names_the_languages_and_the_file(name):
    found = sections(CARDS[name])
    assert set(re.findall(r"\((\w\w)\)", found["Languages"])) == set(SETS[name].languages)
    assert SETS[name].file in found["How to get it"]
    assert "http" in found["How to get it"] and "Attribution" in found["Licence"]


def test_the_not_violating_label_comes_first():
    assert {data.clean_label for data in SETS.values()} == {"0", "non-hateful", "neither"}
    assert SETS["davidson"].multi_class and SETS["davidson"].labels[1:] == (
        "offensive_language",
        "hate_speech",
    )
    assert SETS["japanese_toxic"].labels == ("0", "unsure", "1")


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_registry_and_the_card_agree_with_the_file(name, data_dir):
    data = SETS[name]
    if not (data_dir / data.file).exists():
        pytest.skip(f"{data.file} is not on this machine")
    rows = pl.read_csv(data_dir / data.file, infer_schema=False)
    votes = [label for row in rows["votes"].drop_nulls() for _, label in json.loads(row or "[]")]
    gold = set(rows["gold"].drop_nulls()) - {""}
    assert tuple(rows.columns) == COLUMNS
    assert gold | set(votes) == set(data.labels)
    assert set(rows["language"]) == set(data.languages)
    assert set(rows["category"].drop_nulls()) - {""} == set(data.areas)
    assert bool(votes) == (data.votes != "none")
    assert f"{rows.height:,} rows" in sections(CARDS[name])["Rows"]
    if votes:
        assert f"{len(votes):,} votes" in sections(CARDS[name])["Rows"]


def test_the_synthetic_card_says_first_that_every_text_is_invented():
    lead = " ".join(CARDS["synthetic"].split("## ")[0].split())
    assert "Every text is invented" in lead and "synthetic" in lead and "must not be used" in lead


def test_the_synthetic_card_states_what_the_generator_makes(tmp_path):
    generate(seed=7, decisions=20_000, rulings=1_200, out_dir=tmp_path)
    rows = pl.read_csv(tmp_path / "decisions.csv.gz")
    rulings = pl.read_csv(tmp_path / "rulings.csv.gz")
    truth = pl.read_parquet(tmp_path / "truth.parquet")
    found = sections(CARDS["synthetic"])
    said = " ".join(found["Rows"].split())
    wrong = (truth["label"] != truth["true_label"]).sum() / truth.height
    for figure in (
        f"{rows.height:,} decisions on {rows['case_id'].n_unique():,} cases",
        f"{rows['text'].n_unique():,} different texts",
        f"{rulings.height:,} rulings",
        f"{rows['area'].n_unique()} areas, {rows['queue'].n_unique()} queues, {rows['market'].n_unique()} markets",
        f"{rows['moderator_id'].n_unique()} moderators",
        f"{wrong:.1%} of the decisions are wrong",
        f"{truth['cluster'].is_not_null().sum()} decisions are in the four clusters",
        f"{1 - rows['case_id'].n_unique() / rows.height:.0%} of the decisions are a second look",
    ):
        assert figure in said, figure
    named = re.findall(r"\((\w\w)\)", found["Languages"])
    assert named == rows["language"].value_counts(sort=True)["language"].to_list()
