"""Flags: scored decisions in the order in which an SME would want them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from evenhand.errors import ModelError, UserError
from evenhand.files import atomic_path
from evenhand.frames import DOMAINS
from evenhand.lake import scan_decisions, scan_scores, scored_models
from evenhand.workspace import Workspace

#: Columns of a flag file, the same for .csv and .parquet.
COLUMNS = (
    "case_id",
    "area",
    "moderator_id",
    "label",
    "p_overturn",
    "rank",
    "predicted_label",
    "reasons",
    "model_version",
    "policy_version",
    "support",
)
#: What the app shows beside them.
_CASE = ("text", "language", "market", "queue", "decided_at")


def _ranked(ws: Workspace, model: str, top: int | None, where: Mapping[str, str]) -> pl.DataFrame:
    if model not in scored_models(ws):
        raise ModelError(f"{model} has no scores in this workspace; run `evenhand score`")
    scores = scan_scores(ws, model)
    if unknown := sorted(set(where) - set(DOMAINS)):
        raise UserError(f"cannot filter by {unknown[0]!r}; use one of {', '.join(DOMAINS)}")
    for name, value in where.items():
        if name in scores.collect_schema():
            scores = scores.filter(pl.col(name) == value)
        else:
            keep = scan_decisions(ws).filter(pl.col(name) == value).select("decision_id")
            scores = scores.join(keep, on="decision_id", how="semi")
    by, falling = ["p_overturn", "decision_id"], [True, False]
    ranked = (
        scores.sort(by, descending=falling)
        if top is None
        else scores.top_k(top, by=by, reverse=[False, True])
    )
    frame = ranked.collect().sort(by, descending=falling)
    return frame.with_row_index("rank", offset=1).with_columns(pl.col("rank").cast(pl.Int64))


def top_flags(
    ws: Workspace, model: str, *, top: int | None = None, where: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """The `top` decisions by p_overturn (all if None), ranked from 1; COLUMNS. Ties are broken by decision id.

    `where` filters like {"market": "TH"}. ModelError if `model` has no scores.
    """
    return _ranked(ws, model, top, where or {}).select(COLUMNS)


def publish_flags(ws: Workspace, model: str, *, limit: int = 100_000) -> Path:
    """Write the first `limit` flags with their cases for the app, sorted by rank, in row groups of 2,000.

    A page of the app reads the row groups it shows and nothing else.
    """
    ranked = _ranked(ws, model, limit, {})
    wanted = ranked.select("decision_id").lazy()
    cases = (
        scan_decisions(ws).select("decision_id", *_CASE).join(wanted, on="decision_id", how="semi").collect()
    )
    full = ranked.join(cases, on="decision_id", how="left", validate="1:1", maintain_order="left")
    target = ws.flags_dir / f"{model}.parquet"
    with atomic_path(target) as part:
        full.write_parquet(part, row_group_size=2_000)
    return target
