"""Builds a workspace with made-up scores and known truth, to check every promise about draws and rates."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from evenhand.batches.draw import make_draw
from evenhand.ingest import ingest_decisions
from evenhand.records.columns import SCORES
from evenhand.records.ruling import Ruling
from evenhand.store import Store
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.wording.notes import said_note
from evenhand.workspace.lake import decision_files, score_file
from evenhand.workspace.workspace import create_workspace

MODEL = "evenhand-1"
AT = datetime(2026, 4, 1, tzinfo=UTC)


def build(root, truth):
    """A workspace whose scores have some skill: (workspace, store, truth frame)."""
    ws = create_workspace(root)
    store = Store.open(ws.store_url)
    for policy, text in sample_policies():
        store.add_policy(policy, text, by="test")
    ingest_decisions(ws, store.policies(), truth / "decisions.csv.gz")
    known = pl.read_parquet(truth / "truth.parquet").select("decision_id", "true_label")
    rng = np.random.default_rng(1)
    for file in decision_files(ws):
        rows = pl.read_parquet(file).join(known, on="decision_id", how="left", maintain_order="left")
        wrong = (rows["label"] != rows["true_label"]).to_numpy()
        p = 1 / (1 + np.exp(-(-3.2 + 2.2 * wrong + rng.normal(0, 1, rows.height))))
        scores = rows.with_columns(
            pl.Series("p_overturn", p),
            predicted_label="label",
            p_predicted=0.5,
            p_decided=0.5,
            reasons=pl.lit("made up"),
            support=pl.lit("good"),
            model_version=pl.lit(MODEL),
        )
        target = score_file(ws, MODEL, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        scores.select(
            [pl.col(n).cast(t) if t != pl.String else pl.col(n) for n, t in SCORES.items()]
        ).write_parquet(target)
    return ws, store, known


def draw(world, budget=200, **options):
    ws, store, _ = world
    plain = {"kappa": 1.0, "seed": 1, "model": MODEL, "by": "test", "at": AT}
    return make_draw(ws, store, budget=budget, **{**plain, **options})


def rule(world, drawn, take=None, **changes):
    """Rule on the first `take` items from the truth."""
    _, store, known = world
    items = store.items(drawn.draw_id).join(known, on="decision_id", how="left", maintain_order="left")
    rulings = []
    for i, item in enumerate(items.head(take or items.height).iter_rows(named=True)):
        area = store.policy(item["policy_version"]).area(item["area"])
        fields = {
            "case_id": item["case_id"],
            "area": item["area"],
            "policy_version": item["policy_version"],
            "label": item["true_label"],
            "sme_id": "s",
            "ruled_at": AT + timedelta(minutes=i),
            "decision_moderator_id": item["moderator_id"],
            "draw_id": drawn.draw_id,
            "error_class": area.error_class(item["label"], item["true_label"]),
        }
        rulings.append(Ruling(**{**fields, **changes}))
    store.add_rulings(rulings, by="test")


def true_rate(world, drawn) -> float:
    ws, _, known = world
    frame = pl.read_parquet(ws.root / drawn.frame_file).join(known, on="decision_id", validate="1:1")
    return float((frame["label"] != frame["true_label"]).to_numpy().mean())


def said(answer) -> list[str]:
    """The notes of a table or report, in words."""
    return [said_note(note) for note in answer.notes]
