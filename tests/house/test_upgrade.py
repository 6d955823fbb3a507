"""Tests that a workspace of 0.1.0 opens with this version, keeps its data, and can be used further."""

import json
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from worlds import scored_world

from cli.main import main
from evenhand.store import Store
from evenhand.workspace.workspace import open_workspace

PACKED = Path(__file__).parents[1] / "fixtures" / "workspace-0.1.0.tar.gz"


@pytest.fixture
def old(tmp_path):
    """The folder of a workspace that 0.1.0 made."""
    with tarfile.open(PACKED) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / "workspace"


@pytest.fixture
def said(old, capsys):
    """What a command prints about it, as JSON."""

    def said(*words):
        assert main(["-w", str(old), *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return said


def test_the_store_holds_what_it_held(old):
    with Store.open(open_workspace(old).store_url) as store:
        assert [policy.version for policy in store.policies()] == [
            "short-video/2026-01",
            "short-video/2026-02",
        ]
        assert [(draw.draw_id, draw.budget, draw.frame_size) for draw in store.draws()] == [
            ("draw-20260401-0000-c6f684", 80, 153)
        ]
        assert store.rulings().height == 59 and store.rulings(current=False).height == 60
        assert [(user.user_id, user.role, user.capacity) for user in store.users()] == [
            ("lead-1", "management", 5),
            ("sme-1", "sme", None),
        ]
        assert [live.model_version for live in store.live_models()] == [scored_world.MODEL]
        assert [dict(area.where) for area in store.improvements()] == [{"market": "TH"}]


def test_the_queue_and_the_rates_are_as_0_1_0_said_them(said):
    queue = said("queue")
    assert (
        sum(row["open"] for row in queue["rows"]) == 20 and sum(row["ruled"] for row in queue["rows"]) == 59
    )
    total = said("estimate")["overall"]["total"]
    assert (total["n_reviewed"], total["errors_found"], total["population"]) == (57, 7, 132)
    assert total["rate"] == pytest.approx(0.0579, abs=0.0001)


def test_the_frames_are_known_again(old, capsys):
    main(["-w", str(old), "doctor"])  # the demo's encoder and champion are missing
    assert "the frames of all 1 draws are as they were drawn" in capsys.readouterr().out


def test_a_new_draw_takes_none_of_what_was_ruled_on(old):
    ws = open_workspace(old)
    with Store.open(ws.store_url) as store:
        first = store.draws()[0]
        second = scored_world.draw(
            (ws, store, None), budget=40, at=first.created_at + timedelta(days=1), seed=first.seed
        )
        ruled = store.items(first.draw_id).join(
            store.rulings(draw_id=first.draw_id).select("case_id", "area", "decision_moderator_id"),
            left_on=["case_id", "area", "moderator_id"],
            right_on=["case_id", "area", "decision_moderator_id"],
            how="semi",
        )
        drawn = store.items(second.draw_id)
        assert ruled.height == 59 and second.excluded_ruled == 59 and drawn.height == 40
        assert not set(drawn["decision_id"]) & set(ruled["decision_id"])
        assert len(store.draws()) == 2
