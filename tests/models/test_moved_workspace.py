"""Tests that a copied or moved workspace works, and never touches the original."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from worlds.small_workspace import Small, small_workspace

from cli.main import evenhand
from evenhand.errors import OutsideError
from evenhand.store import Store
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.workspace import Workspace, open_workspace
from models.registry import Registry
from models.registry_paths import MOVED, artifacts_location, location_here
from training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A workspace with two versions: the second is champion, the first was champion before."""
    small = small_workspace(tmp_path_factory.mktemp("original"), decisions=800, rulings=300)
    train(small.ws, small.store, by="test")
    train(small.ws, small.store, by="test", seed=11)
    small.store.close()
    for version in ("1", "2"):
        Registry(small.ws).promote(version)
    return small


def digests(root: Path) -> dict[str, str]:
    """A hash of every file under `root`."""
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(root.rglob("*"))
        if file.is_file()
    }


def damaged(root: Path) -> None:
    """Make every model of the workspace unreadable, and the names of the models useless."""
    for file in root.rglob("*.safetensors"):
        file.write_bytes(b"altered")
    for file in root.rglob("manifest.json"):
        file.write_text("{}")


@pytest.fixture(params=["the original is gone", "the original is there but altered"])
def moved(request, original: Small, tmp_path) -> tuple[Workspace, Path]:
    """A copy of a copy, and the folder of the first copy, which is removed or changed."""
    between, here = tmp_path / "between", tmp_path / "a place with spaces" / "here"
    shutil.copytree(original.ws.root, between)
    assert Registry(open_workspace(between)).load("champion")
    shutil.copytree(between, here)
    shutil.rmtree(between) if request.param.endswith("gone") else damaged(between)
    return open_workspace(here), between


def run(ws: Workspace, *words: str) -> str:
    done = CliRunner().invoke(evenhand, ["-w", str(ws.root), *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_everything_works_in_a_copy_and_the_original_is_not_touched(moved, original):
    ws, between = moved
    before = digests(between)
    first = scan_decisions(original.ws).head(20).collect()
    assert "champion" in run(ws, "models", "list")
    assert json.loads(run(ws, "models", "show", "champion"))["manifest"]["n_rulings"] == 300
    assert "evenhand-2, its files are in this workspace" in run(ws, "doctor")
    assert "800 decisions scored" in run(ws, "score")
    run(ws, "models", "rollback", "--note", "to the first")
    assert Registry(ws).name("champion") == "evenhand-1"
    judged = Registry(ws).load("champion").judge(first)["p_overturn"].to_numpy()
    there = Registry(original.ws).load("1").judge(first)["p_overturn"].to_numpy()
    assert np.allclose(judged, there)
    store = Store.open(ws.store_url)
    third = train(ws, store, by="test", seed=12).version
    store.close()
    assert third == "3" and Registry(ws).folder(third).is_relative_to(ws.root)
    run(ws, "models", "promote", third, "--anyway", "--note", "to try it")
    assert Registry(ws).name("champion") == "evenhand-3"
    assert digests(between) == before


def test_no_row_points_elsewhere_and_the_registry_says_since_when(moved):
    ws, between = moved
    assert str(between) in "\n".join(sqlite3.connect(ws.registry_dir / "mlflow.db").iterdump())
    registry = Registry(ws)
    rows = list(sqlite3.connect(ws.registry_dir / "mlflow.db").iterdump())
    (note,) = [row for row in rows if MOVED in row]
    assert f"from {between.as_uri()}/registry/artifacts" in note
    assert not [row for row in rows if str(between) in row and row != note]
    Registry(ws)
    assert list(sqlite3.connect(ws.registry_dir / "mlflow.db").iterdump()) == rows
    assert {
        row.version: registry.folder(row.version).is_relative_to(ws.root) for row in registry.versions()
    } == {
        "1": True,
        "2": True,
    }


def test_mlflow_alone_loads_the_champion_of_a_copy_once_it_was_opened(moved, original, tmp_path):
    ws, _ = moved
    Registry(ws)
    columns = ["decision_id", "text", "area", "language", "policy_version", "label", "moderator_id"]
    rows: pl.DataFrame = scan_decisions(ws).select(columns).head(5).collect()
    rows.write_parquet(tmp_path / "rows.parquet")
    code = f"""
import json, mlflow, pandas as pd
mlflow.set_tracking_uri({ws.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/evenhand@champion")
print(json.dumps(model.predict(pd.read_parquet({str(tmp_path / "rows.parquet")!r}))["p_overturn"].tolist()))
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    expected = Registry(original.ws).load("2").judge(rows)["p_overturn"].to_numpy()
    assert np.allclose(json.loads(done.stdout.splitlines()[-1]), expected, atol=1e-3)


def test_two_places_in_turn_each_read_their_own(original, tmp_path):
    """One folder may be mounted under two names in turn: an open registry works after the other came."""
    here = tmp_path / "here"
    shutil.copytree(original.ws.root, here)
    registry = Registry(open_workspace(here))
    other = tmp_path / "other name"
    other.symlink_to(here, target_is_directory=True)
    elsewhere = Workspace(root=other, config=registry._ws.config)
    assert Registry(elsewhere).folder("1").is_relative_to(other)
    assert registry.folder("1").is_relative_to(here) and registry.load("champion")


def test_files_that_were_not_copied_are_missed_by_name(original, tmp_path):
    here = tmp_path / "here"
    shutil.copytree(original.ws.root, here)
    shutil.rmtree(here / "registry" / "artifacts")
    ws = open_workspace(here)
    with pytest.raises(
        OutsideError, match="the files of evenhand-2 are missing from this workspace; restore"
    ):
        Registry(ws).load("champion")
    done = CliRunner().invoke(evenhand, ["-w", str(here), "doctor"])
    assert done.exit_code == 2
    assert "FAIL champion: " in done.output and "missing from this workspace" in done.output


def test_only_locations_of_a_workspaces_artifacts_change(original):
    ws = original.ws
    home = artifacts_location(ws)
    for given, expected in {
        "file:///a/b/registry/artifacts": home,
        "file:///a/registry/artifacts/w/registry/artifacts/models/m-1/artifacts": f"{home}/models/m-1/artifacts",
        "file:///a/registry/artifacts-of-another/1": "file:///a/registry/artifacts-of-another/1",
        "s3://bucket/registry/artifacts/1": "s3://bucket/registry/artifacts/1",
        "models:/m-1": "models:/m-1",
    }.items():
        assert location_here(ws, given) == expected
