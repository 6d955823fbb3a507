"""Gold: ruled decisions with their weight, in groups that hang together, and the marks by which a model knows what it learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.records.verdict import is_lesson, is_overturned, with_verdicts
from evenhand.similar.normal_form import normal_form
from evenhand.store import Store
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.workspace import Workspace

MAX_WEIGHT = 10.0  # of a drawn case, relative to the mean


def gold(ws: Workspace, store: Store) -> pl.DataFrame:
    """Ruled decisions that teach, by decision id: the lake's columns, VERDICT, `overturned`, `draw_id`, `weight`.

    Which ruling counts, and that "policy unclear" teaches nothing, is told by `evenhand.records.verdict`. `overturned` is 1.0 or 0.0.
    `weight` is 1 / inclusion probability where drawn (their mean is 1 before MAX_WEIGHT cuts it), else 1. No row where no ruling
    meets a decision.
    """
    rulings = store.rulings()
    cases = rulings.lazy().select("case_id").unique()
    decisions = scan_decisions(ws).join(cases, on="case_id", how="semi")
    found = with_verdicts(decisions, rulings, store.policies(), also=("draw_id",)).filter(is_lesson())
    rows = found.with_columns(overturned=is_overturned().cast(pl.Float64)).collect().sort("decision_id")
    return _weighted(rows, store)


def _weighted(rows: pl.DataFrame, store: Store) -> pl.DataFrame:
    drawn = [
        store.items(name).select("decision_id", pl.col("draw_id"), "pi")
        for name in rows["draw_id"].drop_nulls().unique().to_list()
    ]
    if not drawn:
        return rows.with_columns(pl.lit(1.0).alias("weight"))
    joined = rows.join(pl.concat(drawn), on=["decision_id", "draw_id"], how="left", maintain_order="left")
    inverse = 1 / joined["pi"].to_numpy()
    known = np.isfinite(inverse)
    inverse[known] /= inverse[known].mean()
    weight = np.where(known, np.minimum(inverse, MAX_WEIGHT), 1.0)
    return joined.drop("pi").with_columns(pl.Series("weight", weight))


def _keys(text: str, name: str | None) -> list[tuple[str, str]]:
    """What ties a case to others: its text without decoration, and the conversation it was given."""
    return [("text", normal_form(text) or text)] + ([("name", name)] if name else [])


def groups(texts: Sequence[str], named: Sequence[str | None]) -> NDArray[np.int64]:
    """Group code of each case, shape (n,): the same normal form or the same given name means the same group."""
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str], int] = {}
    for i, (text, name) in enumerate(zip(texts, named, strict=True)):
        for key in _keys(text, name):
            parent[root(i)] = root(first.setdefault(key, i))
    return np.array([root(i) for i in range(len(texts))], np.int64)


def marks(texts: Sequence[str], named: Sequence[str | None]) -> frozenset[str]:
    """Fingerprints of what ties these cases to others (16 hex digits each), for `unseen`."""
    return frozenset(mark for text, name in zip(texts, named, strict=True) for mark in _marks(text, name))


def _marks(text: str, name: str | None) -> list[str]:
    joined = ("\x1f".join(key) for key in _keys(text, name))
    return [hashlib.blake2b(key.encode(), digest_size=8).hexdigest() for key in joined]


def unseen(
    texts: Sequence[str],
    named: Sequence[str | None],
    group: NDArray[np.int64],
    learned: Collection[str],
) -> NDArray[np.bool_]:
    """Which cases a model that learned from `learned` (of `marks`) has met neither themselves nor in a near-duplicate, shape (n,).

    `group` of `groups`, same order: one case that was met makes its whole group known.
    """
    met = np.array(
        [any(mark in learned for mark in _marks(*case)) for case in zip(texts, named, strict=True)], bool
    )
    return ~np.isin(group, group[met])
