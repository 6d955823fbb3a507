"""Which decisions are settled: an SME has ruled on them under their own policy version."""

from __future__ import annotations

import polars as pl

#: What a ruling said of a decision; all null where the decision is open.
VERDICT = ("verdict", "ruled_label", "error_class", "sme_id", "ruled_at")
_QUESTION = ["case_id", "area", "policy_version"]


def with_verdicts(decisions: pl.LazyFrame, rulings: pl.DataFrame) -> pl.LazyFrame:
    """`decisions` with the columns VERDICT of the ruling that settles each; same rows in the same order.

    `decisions` has decision_id, case_id, area, policy_version and label; `rulings` are current ones, as `Store.rulings()` gives
    them. Of several the newest counts. One that names no moderator settles every decision on its case that has none of its
    own, as in training; its error class is left out. A ruling under another policy version settles nothing: it answers another
    question. `verdict` is "overturned" where the ruled label is another one or an error class was named, else "upheld".
    """
    said = pl.struct(pl.col("label").alias("ruled_label"), *VERDICT[2:])
    newest = rulings.lazy().sort("ruled_at", "id")
    named = newest.filter(pl.col("decision_id").is_not_null()).select(
        "decision_id", "policy_version", said.alias("_own")
    )
    unnamed = (  # an error class that names no decision is about none
        newest.filter(pl.col("decision_id").is_null())
        .with_columns(error_class=pl.lit(None, pl.String))
        .select(*_QUESTION, said.alias("_of_case"))
    )
    found = decisions
    for part, key in ((named, ["decision_id", "policy_version"]), (unnamed, _QUESTION)):
        last = part.unique(key, keep="last")
        found = found.join(last, on=key, how="left", validate="m:1", maintain_order="left")
    ruling = pl.coalesce("_own", "_of_case").struct
    found = found.with_columns(ruling.field(name) for name in VERDICT[1:]).drop("_own", "_of_case")
    overturned = (pl.col("ruled_label") != pl.col("label")) | pl.col("error_class").is_not_null()
    verdict = pl.when(overturned).then(pl.lit("overturned")).otherwise(pl.lit("upheld"))
    return found.with_columns(pl.when(is_settled()).then(verdict).alias("verdict"))


def is_settled() -> pl.Expr:
    """Whether a row of `with_verdicts` has a ruling."""
    return pl.col("ruled_label").is_not_null()
