"""Near-identical content that was decided differently under the same area and policy version."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from evenhand.similar.near_duplicates import SIMILAR, group_texts
from evenhand.workspace.files import atomic_path
from evenhand.workspace.lake import scan_decisions
from evenhand.workspace.progress import Progress
from evenhand.workspace.workspace import Workspace

#: Columns of the conflicts table: one row a decision in a group with more than one label.
COLUMNS = (
    "conflict_id",
    "case_id",
    "area",
    "policy_version",
    "label",
    "majority_label",
    "deviates",
    "group_size",
    "share_of_majority",
    "moderator_id",
    "market",
    "language",
    "decided_at",
    "decision_id",
    "across",
    "within_one",
)
#: What the decisions of a conflict can differ in, and the name of one value of it.
ACROSS = {"moderators": "moderator", "days": "day", "markets": "market"}
_VALUE = {
    "moderators": pl.col("moderator_id"),
    "days": pl.col("decided_at").dt.date(),
    "markets": pl.col("market"),
}


def conflicts(decisions: pl.DataFrame, *, similar: float = SIMILAR) -> pl.DataFrame:
    """Decisions on near-identical content that differ, with COLUMNS.

    The groups with the most deviating decisions come first. `decisions` has decision_id, case_id, text, area,
    policy_version, label, moderator_id, market, language, decided_at. A group's majority label is the one
    given most often; on a tie no decision deviates and `majority_label` is null. `across` says in which of
    ACROSS the decisions with different labels differ, separated by "; " (days are UTC). `within_one` says
    which of them (one moderator, one day or one market) decided both ways.
    """
    parts = []
    with Progress("compare", decisions.height, unit="decisions") as progress:
        for _, part in decisions.group_by("area", "policy_version", maintain_order=True):
            group = group_texts(part["text"].to_list(), similar=similar)
            parts.append(part.with_columns(part["decision_id"].gather(group).alias("conflict_id")))
            progress.step(part.height)
    if not parts:
        return decisions.with_columns(conflict_id=pl.lit("")).head(0).pipe(_judged).select(COLUMNS)
    rows = pl.concat(parts)
    key = ["conflict_id", "area", "policy_version"]
    split = rows.group_by(key).agg(pl.col("label").n_unique().alias("labels")).filter(pl.col("labels") > 1)
    return _judged(rows.join(split.drop("labels"), on=key, how="semi")).select(COLUMNS)


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Majority, deviation and size of each group."""
    key = ["conflict_id", "area", "policy_version"]
    counts = rows.group_by([*key, "label"]).len("n").sort("n", "label", descending=[True, False])
    best = counts.group_by(key, maintain_order=True).agg(
        pl.col("label").first().alias("majority_label"),
        pl.col("n").sum().alias("group_size"),
        pl.col("n").first().alias("most"),
        (pl.col("n") == pl.col("n").max()).sum().alias("firsts"),
    )
    best = best.with_columns(
        pl.when(pl.col("firsts") == 1).then("majority_label").alias("majority_label"),
        (pl.col("most") / pl.col("group_size")).alias("share_of_majority"),
    )
    joined = rows.join(best, on=key).with_columns(
        (pl.col("label") != pl.col("majority_label")).fill_null(False).alias("deviates")
    )
    weight = pl.col("deviates").sum().over(key)
    order = [weight, pl.col("conflict_id"), pl.col("deviates"), pl.col("decision_id")]
    return joined.join(_between(rows), on=key).sort(order, descending=[True, False, True, False])


def _between(rows: pl.DataFrame) -> pl.DataFrame:
    """`across` and `within_one` of each group.

    If a group has two labels and two markets, some two of its decisions differ in both. So counting is
    enough.
    """
    key = ["conflict_id", "area", "policy_version"]
    parts = []
    for name, one in ACROSS.items():
        by_value = rows.group_by(*key, _VALUE[name].alias("value")).agg(pl.col("label").n_unique())
        parts.append(
            by_value.group_by(key).agg(
                pl.when(pl.len() > 1).then(pl.lit(name)).alias("across"),
                pl.when(pl.col("label").max() > 1).then(pl.lit(one)).alias("within_one"),
            )
        )
    said = [pl.col(name).drop_nulls().str.join("; ") for name in ("across", "within_one")]
    return pl.concat(parts).group_by(key, maintain_order=True).agg(said)


def lies(*, across: Sequence[str] = (), within_one: Sequence[str] = ()) -> list[pl.Expr]:
    """Filters for conflicts of certain kinds.

    They are across all of `across` (keys of ACROSS), and within one of each of `within_one` (its values).
    """
    wanted = [("across", name) for name in across] + [("within_one", name) for name in within_one]
    return [pl.col(column).str.split("; ").list.contains(name) for column, name in wanted]


def publish_conflicts(ws: Workspace) -> pl.DataFrame:
    """The conflicts among all decisions of the lake (see `conflicts`).

    They are also written to the workspace's conflicts_file, for the app.
    """
    columns = (
        "decision_id",
        "case_id",
        "text",
        "area",
        "policy_version",
        "label",
        "moderator_id",
        "market",
        "language",
        "decided_at",
    )
    decisions = scan_decisions(ws).select(columns).sort("decision_id").collect()
    found = conflicts(decisions)
    with atomic_path(ws.conflicts_file) as part:
        texts = decisions.select("decision_id", "text")
        found.join(texts, on="decision_id", how="left", maintain_order="left").write_parquet(part)
    return found
