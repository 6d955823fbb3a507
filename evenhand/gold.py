"""Gold: the ruled decisions that a model may learn from, and the weight of each."""

from __future__ import annotations

import numpy as np
import polars as pl

from evenhand.records.verdict import is_lesson, is_overturned, with_verdicts
from evenhand.store import Store
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.workspace import Workspace

MAX_WEIGHT = 10.0  # of a drawn case, relative to the mean


def gold(ws: Workspace, store: Store) -> pl.DataFrame:
    """Ruled decisions that teach, sorted by decision id.

    Columns: the lake's, VERDICT, `overturned`, `draw_id`, `weight`. Which ruling counts, and that "policy
    unclear" teaches nothing, is told by `evenhand.records.verdict`. `overturned` is 1.0 or 0.0. `weight` is 1
    / inclusion probability where drawn (their mean is 1 before MAX_WEIGHT cuts it), else 1. No row where no
    ruling meets a decision.
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
