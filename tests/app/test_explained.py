"""Tests the flags page with the model that made the flags: an opened flag has its whole card."""

import subprocess
import sys
from html import escape
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest
from worlds.small_workspace import copied

from evenhand.flags import publish_flags
from evenhand.records.people import User
from evenhand.similar.conflicts import publish_conflicts
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.lake import scan_decisions
from models.explain.explanation import explain
from models.registry import Registry

pytestmark = pytest.mark.slow
MAIN = str(Path(__file__).resolve().parents[2] / "app" / "main.py")


@pytest.fixture(scope="module")
def world(tmp_path_factory, trained_world):
    small = copied(trained_world[0], tmp_path_factory.mktemp("explained"))
    bundle = Registry(small.ws).load("champion")
    publish_flags(small.ws, "evenhand-1")
    publish_conflicts(small.ws)
    small.store.add_user(User(user_id="ml", role="ml"), by="test")
    yield small.ws, bundle
    small.store.close()


def html(at: AppTest) -> str:
    return " ".join(e.proto.body for e in at.get("html") if "<style>" not in e.proto.body)


def opened(ws, monkeypatch, rank: int) -> AppTest:
    """The flags page with the flag of this rank chosen."""
    monkeypatch.setenv("EVENHAND_WORKSPACE", str(ws.root))
    monkeypatch.setenv("EVENHAND_USER", "ml")
    at = AppTest.from_file(MAIN, default_timeout=120)
    at.session_state["flags_show"] = "all"  # with ruled flags, the place of a row is its rank
    at.session_state["flags_table"] = {"selection": {"rows": [rank - 1], "columns": [], "cells": []}}
    at = at.run()
    assert not at.exception, at.exception
    return at


def test_an_opened_flag_shows_its_words_its_precedents_and_what_would_change_it(world, monkeypatch):
    ws, bundle = world
    flags = pl.read_parquet(ws.flags_dir / "evenhand-1.parquet").head(30)
    rows = flags.select("decision_id").join(
        scan_decisions(ws).collect(), on="decision_id", how="left", maintain_order="left"
    )
    cards = explain(bundle, rows)
    place = next(
        i
        for i, c in enumerate(cards)
        if c["flip"] and c["predicted_label"] != rows["label"][i] and any(s["weight"] > 0 for s in c["spans"])
    )
    case, card = rows.row(place, named=True), cards[place]
    at = opened(ws, monkeypatch, place + 1)
    page = html(at)
    area = next(p for p, _ in sample_policies() if p.version == case["policy_version"]).area(case["area"])
    assert case["label"] != card["predicted_label"]
    for name in (case["label"], card["predicted_label"]):
        assert escape(area.label(name).clause_for(case["market"])) in page
    assert "The moderator decided" in page and "The text reads like" in page
    assert "Without the outlined words it would read like" in page
    assert page.count("eh-precedent") == len(card["precedents"]) == 3
    for near in card["precedents"]:
        assert f"{near['ruled_at'][:10]} · {near['policy_version']}" in page
    assert "<mark" not in page and "eh-blur" in page
    page = html(at.button(key="flag_reveal").click().run())
    for span in card["spans"]:
        assert case["text"][span["start"] : span["end"]] in page
    assert page.count("<mark") == len(card["spans"])
    assert "eh-flip" in page and "highlighted: speaks for an overturn" in page


def test_the_page_brings_no_model_before_a_flag_is_opened():
    code = (
        "import sys, app.views.flags; print(sorted({'torch', 'mlflow', 'transformers'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_conflict_stands_on_the_card_of_its_flag(world, monkeypatch):
    ws, _ = world
    first = pl.read_parquet(ws.flags_dir / "evenhand-1.parquet").head(50)
    conflict = pl.read_parquet(ws.conflicts_file)
    found = first.join(conflict, on="decision_id", how="semi")
    page = html(opened(ws, monkeypatch, found["rank"][0]))
    assert "Near-identical content was decided differently" in page and "across" in page


def test_a_flag_whose_model_is_gone_says_so_and_still_shows_its_case(world, monkeypatch):
    ws, _ = world
    target = ws.flags_dir / "evenhand-9.parquet"
    target.write_bytes((ws.flags_dir / "evenhand-1.parquet").read_bytes())
    try:
        at = opened(ws, monkeypatch, 1)
        assert "no model version 'evenhand-9'" in at.warning[0].value
        assert "The moderator decided" in html(at)
    finally:
        target.unlink()
