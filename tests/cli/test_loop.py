"""Tests the whole loop with the commands that a user types, the real encoder, and no network."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evenhand.records.ruling import Ruling
from evenhand.store import Store
from evenhand.synthetic import generate

pytestmark = pytest.mark.slow
FLAG_COLUMNS = [
    "case_id",
    "area",
    "moderator_id",
    "label",
    "p_overturn",
    "rank",
    "predicted_label",
    "reasons",
    "model_version",
    "policy_version",
    "support",
]


class Loop:
    """A workspace and the commands in it; each runs in a new process without network."""

    def __init__(self, root: Path) -> None:
        self.root = root / "workspace"
        self.data = root / "data"
        self.log = root / "sockets.log"
        #: What the commands `train`, `score` and `draw` said.
        self.trained: dict[str, Any] = {}
        self.scored: dict[str, Any] = {}
        self.drawn: dict[str, Any] = {}

    def run(self, *words: str, code: int = 0) -> str:
        guard = str(Path(__file__).parents[1] / "guard")
        environment = {
            **os.environ,
            "PYTHONPATH": guard,
            "EVENHAND_SOCKET_LOG": str(self.log),
            "EVENHAND_WORKSPACE": str(self.root),
            "EVENHAND_USER": "test",
            "OMP_NUM_THREADS": "2",
        }
        call = [sys.executable, "-m", "cli", *words]
        done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def json(self, *words: str):
        return json.loads(self.run(*words, "--json"))


@pytest.fixture(scope="module")
def loop(tmp_path_factory) -> Loop:
    """The loop after ingest, one epoch of training, promote, score, flags, draw, rule and estimate."""
    loop = Loop(tmp_path_factory.mktemp("loop"))
    generate(seed=3, decisions=2_000, rulings=300, out_dir=loop.data)
    loop.run("init", str(loop.root))
    config = loop.root / "evenhand.toml"
    text = config.read_text().replace("[model]\n", "[model]\nepochs = 1\n")
    config.write_text(text)
    loop.run("ingest", "decisions", str(loop.data / "decisions.csv.gz"))
    loop.run("ingest", "rulings", str(loop.data / "rulings.csv.gz"))
    loop.run("score", code=2)  # no champion yet
    loop.trained = loop.json("train")
    loop.run("models", "promote", "challenger")
    loop.scored = loop.json("score")
    loop.drawn = loop.json("draw", "--budget", "80", "--seed", "5")
    return loop


def rule_all(loop: Loop) -> None:
    store = Store.open(f"sqlite:///{loop.root / 'store.db'}")
    truth = pl.read_parquet(loop.data / "truth.parquet").select("decision_id", "true_label")
    items = store.items(loop.drawn["draw_id"]).join(truth, on="decision_id", validate="1:1")
    store.add_rulings(
        [
            Ruling(
                case_id=item["case_id"],
                area=item["area"],
                policy_version=item["policy_version"],
                label=item["true_label"],
                sme_id="sme",
                ruled_at=datetime(2026, 4, 1, tzinfo=UTC) + timedelta(minutes=i),
                decision_moderator_id=item["moderator_id"],
                draw_id=loop.drawn["draw_id"],
                error_class=store.policy(item["policy_version"])
                .area(item["area"])
                .error_class(item["label"], item["true_label"]),
            )
            for i, item in enumerate(items.iter_rows(named=True))
        ],
        by="test",
    )


def test_the_loop_ends_in_an_error_rate_with_an_interval(loop):
    rule_all(loop)
    table = loop.json("estimate", "--by", "area")
    total = table["overall"]["total"]
    assert 0 <= total["low"] <= total["rate"] <= total["high"] <= 1
    assert total["n_reviewed"] == 80
    assert any("kept as gold" in note or "never drawn" in note for note in table["notes"]), table["notes"]


def test_scoring_again_does_nothing(loop):
    again = loop.json("score")
    assert again["shards_done"] == 0 and again["shards_skipped"] == loop.scored["shards_done"]


def test_flags_have_the_same_shape_as_csv_and_parquet(loop):
    loop.run("flags", "--out", str(loop.data / "flags.csv"))
    loop.run("flags", "--out", str(loop.data / "flags.parquet"))
    csv, parquet = pl.read_csv(loop.data / "flags.csv"), pl.read_parquet(loop.data / "flags.parquet")
    assert csv.columns == parquet.columns == FLAG_COLUMNS
    assert csv.height == parquet.height
    assert parquet["p_overturn"].is_between(0, 1).all()
    assert parquet["p_overturn"].to_list() == sorted(parquet["p_overturn"], reverse=True)
    assert csv["p_overturn"].to_list() == pytest.approx(parquet["p_overturn"].to_list())


def test_flags_leave_out_what_was_ruled_on_and_say_so(loop):
    left = pl.read_parquet(loop.data / "flags.parquet").height
    ruled = loop.scored["decisions"] - left
    rulings = pl.read_csv(loop.data / "rulings.csv.gz")
    assert 0 < ruled <= rulings.height + 80
    said = loop.run("flags", "--top", "3")
    assert f"left out, because an SME has ruled on them: {ruled}; --include-ruled shows them" in said
    found = loop.json("flags", "--include-ruled", "--top", "1000000")
    assert len(found) == loop.scored["decisions"] and list(found[0])[:-5] == FLAG_COLUMNS
    told = [row for row in found if row["verdict"] is not None]
    assert len(told) == ruled and {row["verdict"] for row in told} == {"upheld", "overturned"}
    assert all((row["verdict"] == "upheld") == (row["label"] == row["ruled_label"]) for row in told)


def test_flags_find_the_planted_errors_better_than_chance(loop):
    truth = pl.read_parquet(loop.data / "truth.parquet")
    wrong = truth.select("decision_id", (pl.col("label") != pl.col("true_label")).alias("wrong"))
    scores = pl.concat([pl.read_parquet(f) for f in (loop.root / "scores").rglob("*.parquet")])
    ranked = scores.join(wrong, on="decision_id", validate="1:1").sort("p_overturn", descending=True)
    top = ranked.head(ranked.height // 20)["wrong"].mean()
    assert top > 2 * wrong["wrong"].mean()


def test_the_explanation_card_is_drawn_with_the_case(loop):
    store = Store.open(f"sqlite:///{loop.root / 'store.db'}")
    for item in store.items(loop.drawn["draw_id"]).iter_rows(named=True):
        assert item["explanation"]["sentence"]
        for span in item["explanation"]["spans"]:
            assert 0 <= span["start"] < span["end"] <= len(item["text"])


def test_conflicts_and_plan_speak_json(loop):
    found = loop.json("conflicts", "--top", "3")
    assert found["groups"] >= 3 and found["conflicts"][0]["deviates"] in (True, False)
    plan = loop.json("plan", "--budget", "60", "--by", "language")
    assert plan["chosen"]["errors"] > plan["chosen"]["errors_random"] > 0
    assert {row["name"] for row in plan["domains"]} == {"id", "ms", "tl", "th", "vi", "en", "es", "ar"}
    assert "cannot split" in loop.run("plan", "--budget", "60", "--by", "colour", code=2)


def test_the_ledger_says_which_model_was_live(loop):
    live = loop.json("models", "live")
    assert live["model_version"] == loop.scored["model_version"]
    assert "no model was live" in loop.run("models", "live", "--on", "2020-01-01")


def test_doctor_finds_nothing_wrong(loop):
    assert all(check["ok"] for check in loop.json("doctor"))


def test_a_draw_larger_than_its_frame_is_refused(loop):
    assert "frame" in loop.run("draw", "--budget", "999999", code=2)


def test_nothing_touched_the_network(loop):
    assert not loop.log.exists(), loop.log.read_text()


def test_the_guard_refuses_a_socket_beyond_loopback(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1] / "guard"),
        "EVENHAND_SOCKET_LOG": str(tmp_path / "log"),
    }
    code = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode and "192.0.2.1" in (tmp_path / "log").read_text()
