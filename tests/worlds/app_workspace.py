"""Builds a workspace for the app's tests: only scores and cards are made up, all else is real."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from streamlit.testing.v1 import AppTest

from app.views.review import GUARD
from evenhand.batches.draw import make_draw
from evenhand.flags import publish_flags
from evenhand.ingest import ingest_decisions
from evenhand.records.batches import DrawnItem
from evenhand.records.columns import SCORES
from evenhand.records.people import ROLES, User
from evenhand.records.policy import PolicyVersion
from evenhand.records.ruling import Ruling
from evenhand.store import Store
from evenhand.synthetic import generate
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.lake import decision_files, score_file
from evenhand.workspace.workspace import Workspace, create_workspace
from models.explain.split_words import words

MODEL = "evenhand-1"
AT = datetime(2026, 4, 1, tzinfo=UTC)


def taken(store: Store, draw_id: str, name: str = "sme") -> DrawnItem:
    """The case of the batch that this person has now, as the review page asks for it."""
    item = store.take_item(draw_id, store.user(name), at=datetime.now(UTC)).item
    assert item is not None
    return item


def button(at: AppTest, name: str):
    """The button with this key; keys of the review desk begin with the case or the act."""
    return next(one for one in at.button if (one.key or "").rpartition(":")[2] == name)


def press(at: AppTest, name: str) -> AppTest:
    at = button(at, name).click().run()
    assert not at.exception, at.exception
    return at


def read(at: AppTest) -> AppTest:
    """Show the text of the case, for long enough that a verdict counts."""
    if any((one.key or "").endswith(":reveal") and one.label == "Show the text" for one in at.button):
        at = press(at, "reveal")
    wait()
    return at


def wait() -> None:
    time.sleep(GUARD + 0.05)


def _card(row: dict) -> dict:
    found = words(row["text"])
    spans = [{"start": a, "end": b, "weight": 1.0, "flip": False} for a, b in found[:1]]
    spans += [{"start": a, "end": b, "weight": 0.5, "flip": True} for a, b in found[2:3]]
    near = {
        "case_id": "c9",
        "text": "a precedent text",
        "language": "en",
        "market": "US",
        "label": row["label"],
        "policy_version": row["policy_version"],
        "ruled_at": "2026-02-01T00:00:00+00:00",
        "similarity": 0.9,
        "agrees_with_decision": True,
    }
    return {
        "sentence": f"Decided {row['label']}; the text reads like {row['predicted_label']} (80%)",
        "predicted_label": row["predicted_label"],
        "p_predicted": 0.8,
        "spans": spans,
        "flip": {"label": row["label"], "p": 0.6},
        "precedents": [near],
    }


def app_workspace(
    root: Path,
    *,
    draws: bool = True,
    policies: Sequence[tuple[PolicyVersion, str]] = (),
    change: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> tuple[Workspace, Store]:
    """A workspace with the sample policies (or `policies`) and 2,000 synthetic decisions.

    `change` may change the decisions. There are users of every role, and `sme-sa`, who sees only market SA.
    An early draw is fully ruled, a late one is open.
    """
    ws = create_workspace(root / "workspace")
    store = Store.open(ws.store_url)
    for policy, text in policies or sample_policies():
        store.add_policy(policy, text, by="test")
    for role in ROLES:
        store.add_user(User(user_id=role, role=role))
    store.add_user(User(user_id="sme-sa", role="sme", markets=("SA",)))
    if not draws:
        return ws, store
    generate(seed=4, decisions=2_000, rulings=10, out_dir=root / "data")
    decisions = root / "data" / "decisions.csv.gz"
    if change:
        changed = change(pl.read_csv(decisions, infer_schema=False))
        decisions = root / "data" / "decisions.csv"
        changed.write_csv(decisions)
    assert not ingest_decisions(ws, store.policies(), decisions).quarantined
    rng = np.random.default_rng(0)
    for file in decision_files(ws):
        rows = pl.read_parquet(file)
        scores = rows.with_columns(
            pl.Series("p_overturn", rng.beta(1, 9, rows.height)),
            predicted_label=pl.lit("no_violation"),
            p_predicted=pl.lit(0.5),
            p_decided=pl.lit(0.5),
            reasons=pl.lit("made up"),
            support=pl.lit("good"),
            model_version=pl.lit(MODEL),
        )
        target = score_file(ws, MODEL, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        scores.select(SCORES.names()).write_parquet(target)
    publish_flags(ws, MODEL)
    plain: dict[str, Any] = {"kappa": 1.0, "seed": 1, "model": MODEL, "by": "test"}
    early = make_draw(ws, store, budget=150, until=datetime(2026, 3, 23).date(), at=AT, **plain)
    _rule_all(store, early.draw_id)
    late = datetime(2026, 3, 23).date()
    make_draw(
        ws,
        store,
        budget=40,
        since=late,
        at=AT + timedelta(hours=1),
        explain=lambda frame: [_card(row) for row in frame.iter_rows(named=True)],
        **plain,
    )
    return ws, store


def _rule_all(store: Store, draw_id: str) -> None:
    rulings = []
    for i, item in enumerate(store.items(draw_id).iter_rows(named=True)):
        area = store.policy(item["policy_version"]).area(item["area"])
        label = (
            area.label_names[(i % 5 == 0) and item["label"] == area.label_names[0]]
            if i % 5 == 0
            else item["label"]
        )
        rulings.append(
            Ruling(
                case_id=item["case_id"],
                area=item["area"],
                policy_version=item["policy_version"],
                label=label,
                sme_id="sme",
                ruled_at=AT + timedelta(minutes=i),
                decision_moderator_id=item["moderator_id"],
                draw_id=draw_id,
                error_class=area.error_class(item["label"], label),
            )
        )
    store.add_rulings(rulings, by="test")
