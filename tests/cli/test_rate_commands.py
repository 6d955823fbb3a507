"""Tests the commands `estimate`, `change` and `panel` on a drawn and ruled batch with known truth."""

import json

import polars as pl
import pytest
from worlds.scored_world import draw, rule, true_rate

from cli.main import main


@pytest.fixture
def ruled(world):
    drawn = draw(world, budget=300)
    rule(world, drawn)
    return world, drawn


def said(capsys, world, *args: str):
    """What the command printed as JSON."""
    code = main(["--workspace", str(world[0].root), *args, "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    return json.loads(out.out)


def refused(capsys, world, *args: str) -> str:
    assert main(["--workspace", str(world[0].root), *args]) == 2
    return capsys.readouterr().err


def test_one_market_alone_is_the_markets_row_of_the_split(ruled, capsys):
    world, drawn = ruled
    split = said(capsys, world, "estimate", "--by", "market")
    markets = {rates["domain"]["market"]: rates["total"] for rates in split["domains"]}
    market = max(markets, key=lambda name: markets[name]["n_reviewed"])
    alone = said(capsys, world, "estimate", "--where", f"market={market}")["overall"]["total"]
    assert alone["n_reviewed"] == markets[market]["n_reviewed"] >= 30
    assert alone["rate"] == pytest.approx(markets[market]["rate"], abs=0.01)
    total = split["overall"]["total"]
    assert total["low"] <= true_rate(world, drawn) <= total["high"]


def test_weeks_add_up_to_the_whole_and_a_window_is_shorter(ruled, capsys):
    world, _ = ruled
    weeks = said(capsys, world, "estimate", "--by", "week")
    whole = weeks["overall"]["total"]["n_reviewed"]
    assert sum(rates["total"]["n_reviewed"] for rates in weeks["domains"]) == whole
    window = said(capsys, world, "estimate", "--since", "2026-03-01", "--until", "2026-03-08")
    assert 0 < window["overall"]["total"]["n_reviewed"] < whole


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("estimate", "--where", "market"), "market"),
        (("estimate", "--where", "shoe_size=44"), "shoe_size"),
        (("estimate", "--by", "shoe_size"), "shoe_size"),
        (("estimate", "--since", "2026-02-01", "--until", "2026-01-01"), "holds no day"),
        (("estimate", "--estimand", "panel"), "panel"),
        (("change",), "--at DAY"),
        (("change", "--from-version", "2026-01"), "go together"),
        (("panel", "no-such-draw", "--out", "x.csv"), "no-such-draw"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(ruled, capsys, args, what):
    assert what in refused(capsys, ruled[0], *args)


def test_the_same_error_rate_before_and_after_is_called_noise(ruled, capsys):
    world, _ = ruled
    found = said(capsys, world, "change", "--at", "2026-03-01")
    total = found["changes"]["total"]
    assert total["low"] < 0 < total["high"]
    assert min(found[when]["total"]["n_reviewed"] for when in ("before", "after")) > 0


def test_the_panels_queue_is_a_file_with_every_overturn(ruled, capsys, tmp_path):
    world, drawn = ruled
    out = tmp_path / "panel.csv"
    assert said(capsys, world, "panel", drawn.draw_id, "--out", str(out))["done"] == 0
    queue = pl.read_csv(out)
    items = world[1].items(drawn.draw_id).join(world[2], on="decision_id")
    overturned = items.filter(pl.col("label") != pl.col("true_label"))["decision_id"]
    assert set(overturned) <= set(queue["decision_id"])
    assert queue.height < items.height
