"""Builds a workspace for the manager's pages.

An early batch is ruled, a late one in part; some cases are skipped, and one action is overdue.
"""

from datetime import date, timedelta
from pathlib import Path

from worlds import scored_world

from evenhand.rates.improvement_areas import find_areas
from evenhand.records.people import ROLES, User
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace

CUT = date(2026, 3, 23)
ACTION = "a briefing, and ![a picture](https://example.org/x.png)"  # this text must not load a picture


def managed_world(root: Path, truth: Path) -> tuple[Workspace, Store]:
    """A workspace with users of every role; rulings follow the truth, so some slices stand out."""
    world = scored_world.build(root, truth)
    ws, store, _ = world
    for role in ROLES:
        store.add_user(User(user_id=role, role=role))
    scored_world.rule(world, scored_world.draw(world, budget=900, until=CUT))
    late = scored_world.draw(world, budget=60, since=CUT, seed=2, at=scored_world.AT + timedelta(days=1))
    scored_world.rule(world, late, take=30)
    for row in store.items(late.draw_id).slice(30, 4).iter_rows(named=True):
        store.skip_item(
            late.draw_id, row["decision_id"], sme_id="sme", reason="cannot read", at=scored_world.AT
        )
    area = find_areas(ws, store)[0][-1]
    store.open_improvement(
        area.where,
        vars(area.rate),
        by="management",
        at=scored_world.AT,
        owner="Lina",
        due="2026-05-01",
        action=ACTION,
    )
    return ws, store
