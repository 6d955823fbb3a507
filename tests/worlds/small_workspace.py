"""Builds a small workspace of synthetic data with the tiny encoder: only the weights are not real."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from worlds.tiny_encoder import tiny_encoder

from evenhand.ingest import ingest_decisions, ingest_rulings
from evenhand.store import Store
from evenhand.synthetic import generate
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.workspace import Workspace, create_workspace, open_workspace

if TYPE_CHECKING:
    from training.train import TrainReport


@dataclass
class Small:
    ws: Workspace
    store: Store
    data: Path


def small_workspace(root: Path, *, decisions: int = 2_000, rulings: int = 500, epochs: int = 1) -> Small:
    """A workspace with ingested decisions and rulings, but without a trained model."""
    ws = create_workspace(root / "workspace")
    encoder = tiny_encoder(root / "encoder")
    config = ws.root / "evenhand.toml"
    setting = f'[model]\nencoder = "{encoder}"\nepochs = {epochs}\nmax_tokens = 48\nbatch_size = 8\n'
    config.write_text(setting)
    ws = open_workspace(ws.root)
    store = Store.open(ws.store_url)
    for policy, text in sample_policies():
        store.add_policy(policy, text, by="test")
    generate(seed=3, decisions=decisions, rulings=rulings, out_dir=root / "data")
    ingest_decisions(ws, store.policies(), root / "data" / "decisions.csv.gz")
    ingest_rulings(ws, store, root / "data" / "rulings.csv.gz", by="test")
    return Small(ws, store, root / "data")


def trained_once(shared: Path) -> tuple[Path, TrainReport]:
    """The folder of a small workspace with a trained, promoted and scored version, made once a session.

    Tests copy it (`copied`). Several processes of a session share it: the first that needs it makes it.
    """
    from models.registry import Registry
    from models.scoring import score
    from training.train import TrainReport, train

    root, done = shared / "trained", shared / "trained.json"
    with FileLock(shared / "trained.lock"):
        if not done.exists():
            small = small_workspace(root)
            report = train(small.ws, small.store, by="test")
            registry = Registry(small.ws)
            registry.promote(report.version)
            score(small.ws, registry.load("champion"), "evenhand-1")
            small.store.close()
            done.write_text(json.dumps(asdict(report)))
    raw = json.loads(done.read_text())
    return root, TrainReport(**{**raw, "notes": tuple(raw["notes"])})


def copied(made: Path, target: Path) -> Small:
    """A workspace of its own, from what `trained_once` made."""
    shutil.copytree(made / "workspace", target / "workspace")
    ws = open_workspace(target / "workspace")
    return Small(ws, Store.open(ws.store_url), made / "data")
