"""Builds records for tests: every other field is filled in, so a test names only what matters to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from evenhand.batches.id_numbers import id_numbers
from evenhand.records.batches import DrawnItem, DrawRecord
from evenhand.records.decision import decision_id
from evenhand.records.people import User
from evenhand.records.ruling import Ruling
from evenhand.statistics.arrays import Floats
from evenhand.statistics.draw import uniform
from evenhand.store import Store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


POLICY = """
version: v1
effective_from: 2026-01-01
areas:
  - name: tone
    labels:
      - {name: clean, clause: Nothing wrong.}
      - {name: rude, clause: Rude words.}
"""

TWO_AREAS = """
version: v1
effective_from: 2026-01-01
areas:
  - name: tone
    labels: [{name: clean, clause: Nothing wrong.}, {name: rude, clause: Rude words.}]
  - name: spam
    labels: [{name: clean, clause: Nothing wrong.}, {name: bait, clause: Click bait.}]
"""


def a_draw(draw_id="d1", **changes) -> DrawRecord:
    base = DrawRecord(
        draw_id=draw_id,
        created_at=NOON,
        created_by="ann",
        seed=1,
        budget=3,
        kappa=1.0,
        phi=0.0,
        floor=0.5,
        cell_floor=0.5,
        cells=("market",),
        since=date(2026, 3, 1),
        until=date(2026, 3, 8),
        filters={},
        policy_versions=("v1",),
        model_version="evenhand-1",
        frame_size=10,
        frame_file="draws/d1.parquet",
        frame_hash="x",
        excluded_ruled=0,
        pi_min=0.1,
        w_max=2.0,
    )
    return replace(base, **changes)


def an_item(n: int, draw_id="d1", **changes) -> DrawnItem:
    values = {
        "draw_id": draw_id,
        "decision_id": decision_id(f"c{n}", "tone", "m1"),
        "position": n,
        "pi": 0.3,
        "p_overturn": 0.2,
        "take_all": False,
        "case_id": f"c{n}",
        "text": "สวัสดี 🙂",
        "language": "th",
        "market": "TH",
        "queue": "live",
        "area": "tone",
        "policy_version": "v1",
        "label": "clean",
        "moderator_id": "m1",
        "decided_at": NOON,
        "predicted_label": "rude",
        "explanation": {"sentence": "why"},
    }
    return DrawnItem(**{**values, **changes})


def a_ruling(n: int = 0, **changes) -> Ruling:
    values = {
        "case_id": f"c{n}",
        "area": "tone",
        "policy_version": "v1",
        "label": "rude",
        "sme_id": "sam",
        "ruled_at": NOON,
        "decision_moderator_id": "m1",
        "error_class": "under_enforcement",
        "draw_id": "d1",
    }
    return Ruling(**{**values, **changes})


def taken(store: Store, name: str = "sam", **slices) -> DrawnItem | None:
    """The case of the batch that `name` gets, who rules on these markets and languages."""
    return store.take_item("d1", User(user_id=name, role="sme", **slices), at=NOON).item


def hashed_uniform(salt: str, ids: Sequence[str]) -> Floats:
    """A number in (0, 1) for each id, shape (n,), as a draw with this salt gives it."""
    return uniform(salt, id_numbers(ids))
