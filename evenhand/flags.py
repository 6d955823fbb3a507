"""Flags: scored decisions, ordered by how likely an SME would overturn them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from evenhand.batches.population import unscored
from evenhand.errors import ModelError, UserError
from evenhand.records.columns import DOMAINS
from evenhand.records.verdict import VERDICT, is_settled, with_verdicts
from evenhand.store import Store
from evenhand.workspace.files import atomic_path
from evenhand.workspace.lake import scan_decisions, scan_scores, scored_models
from evenhand.workspace.workspace import Workspace

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
#: What the app shows beside these columns.
_CASE = ("text", "language", "market", "queue", "decided_at")


@dataclass(frozen=True, kw_only=True)
class TopFlags:
    """Flags in the order of their rank, and the population they come from."""

    table: pl.DataFrame  # COLUMNS, and VERDICT if ruled ones were asked for
    ruled: int  # how many of the matching scored decisions an SME has ruled on
    unscored: Mapping[str, int]  # matching decisions without a score, by policy version


def _scores(ws: Workspace, model: str, where: Mapping[str, str]) -> pl.LazyFrame:
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
    return scores


def _ranked(scores: pl.LazyFrame, top: int | None) -> pl.DataFrame:
    by, falling = ["p_overturn", "decision_id"], [True, False]
    ranked = (
        scores.sort(by, descending=falling)
        if top is None
        else scores.top_k(top, by=by, reverse=[False, True])
    )
    frame = ranked.collect().sort(by, descending=falling)
    return frame.with_row_index("rank", offset=1).with_columns(pl.col("rank").cast(pl.Int64))


def top_flags(
    ws: Workspace,
    store: Store,
    model: str,
    *,
    top: int | None = None,
    where: Mapping[str, str] | None = None,
    include_ruled: bool = False,
) -> TopFlags:
    """The `top` open decisions by p_overturn (all if None).

    With `include_ruled` the settled decisions are in the table too, with their verdict. `rank` is the place
    from 1 among all scored decisions that match, ruled or not. So a flag keeps its rank while others are
    settled and can be quoted; the gaps in the ranks are the settled ones. Ties are broken by decision id.
    `where` filters like {"market": "TH"}. ModelError if `model` has no scores, UserError for a column that is
    no filter.
    """
    scores = _scores(ws, model, where or {})
    known = store.rulings(), store.policies()
    ruled = with_verdicts(scores, *known).filter(is_settled()).select(pl.len()).collect().item()
    if include_ruled:
        table = with_verdicts(_ranked(scores, top).lazy(), *known).select(*COLUMNS, *VERDICT)
    else:  # among this many ranks there are at least `top` open ones, if there are that many at all
        far = None if top is None else top + ruled
        table = with_verdicts(_ranked(scores, far).lazy(), *known).filter(~is_settled()).select(COLUMNS)
        table = table if top is None else table.head(top)
    return TopFlags(table=table.collect(), ruled=int(ruled), unscored=unscored(ws, model, filters=where))


#: How many flags the app's page can show; the file also keeps how many there are in all.
PUBLISHED = 100_000
_SCORED = "scored"  # in the file's metadata


def publish_flags(ws: Workspace, model: str, *, limit: int = PUBLISHED) -> Path:
    """Write the first `limit` flags with their cases for the app; ruled ones too.

    They are sorted by rank, in row groups of 2,000. A page of the app reads only the row groups it shows.
    """
    scores = _scores(ws, model, {})
    ranked = _ranked(scores, limit)
    wanted = ranked.select("decision_id").lazy()
    cases = (
        scan_decisions(ws).select("decision_id", *_CASE).join(wanted, on="decision_id", how="semi").collect()
    )
    full = ranked.join(cases, on="decision_id", how="left", validate="1:1", maintain_order="left")
    target = ws.flags_dir / f"{model}.parquet"
    with atomic_path(target) as part:
        scored = scores.select(pl.len()).collect().item()
        full.write_parquet(part, row_group_size=2_000, metadata={_SCORED: str(scored)})
    return target


def unpublished(file: Path) -> int:
    """How many scored decisions rank behind those that `publish_flags` wrote to `file`.

    0 for an older file, which did not keep this number.
    """
    scored = pl.read_parquet_metadata(file).get(_SCORED, "0")
    return max(0, int(scored) - int(pl.scan_parquet(file).select(pl.len()).collect().item()))
