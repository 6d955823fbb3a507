"""Builds a small workspace of synthetic data with the tiny encoder: only the weights are not real."""

from dataclasses import dataclass
from pathlib import Path

from worlds.tiny_encoder import tiny_encoder

from evenhand.ingest import ingest_decisions, ingest_rulings
from evenhand.store import Store
from evenhand.synthetic import generate
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.workspace import Workspace, create_workspace, open_workspace


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
