"""What a ruling says about a decision: which ruling counts, and what it means for each purpose.

This is decided here and nowhere else.

Which ruling counts: a current one under the decision's own policy version. One that names the decision's
moderator comes before one that names nobody; then a panel's comes before an SME's; then the newest counts. A
ruling under another policy version answers another question and says nothing about the decision.

What it says, its `verdict`:

| ruling | verdict | error class | flag | error rate | lesson for the models | confusion |
|---|---|---|---|---|---|---|
| same label | upheld | none | settled | no error | yes | no |
| another label | overturned | by the two labels (below) | settled | error | yes | yes |
| "technical", same or another label | overturned | technical | settled | error | yes | no |
| "policy unclear", same or another label | policy_unclear | policy_unclear | settled | no error | no | no |

The two labels decide between over_enforcement, under_enforcement and wrong_policy
(`evenhand.records.policy.Area.error_class`), whatever class the ruling names. "Policy unclear" is a finding
about the clause: nobody's error, and no lesson. "Technical" is about one decision, so a ruling that names no
moderator cannot say it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from evenhand.records.policy import PolicyVersion

#: What a ruling said about a decision; all null while the decision is open.
VERDICT = ("verdict", "ruled_label", "error_class", "sme_id", "ruled_at")
#: Error classes that follow from the two labels; the others are named by the SME.
LABEL_CLASSES = ("over_enforcement", "under_enforcement", "wrong_policy")
_NAMED_CLASSES = ("technical", "policy_unclear")
_BY_DECISION = ["decision_id", "policy_version"]
_BY_CASE = ["case_id", "area", "policy_version"]


def with_verdicts(
    decisions: pl.LazyFrame,
    rulings: pl.DataFrame,
    policies: Iterable[PolicyVersion],
    *,
    also: tuple[str, ...] = (),
) -> pl.LazyFrame:
    """`decisions` with VERDICT and the columns `also` of the ruling that counts; same rows, same order.

    `decisions` has decision_id, case_id, area, policy_version and label; `rulings` are current ones, as
    `Store.rulings()` gives them (only those of SMEs, or only a panel's, if the question needs that);
    `policies` are the versions under which they were made.
    """
    said = pl.struct(
        pl.col("label").alias("ruled_label"), pl.col("error_class").alias("named_class"), *VERDICT[3:], *also
    )
    found = decisions
    for column, part, key in (
        ("_of_decision", _named(rulings), _BY_DECISION),
        ("_of_case", _unnamed(rulings), _BY_CASE),
    ):
        counts = part.lazy().select(*key, said.alias(column))
        found = found.join(counts, on=key, how="left", validate="m:1", maintain_order="left")
    ruling = pl.coalesce("_of_decision", "_of_case").struct
    names = ("ruled_label", "named_class", *VERDICT[3:], *also)
    found = found.with_columns(ruling.field(name) for name in names).drop("_of_decision", "_of_case")
    found = found.join(
        _clean_labels(policies).lazy(), on=["policy_version", "area"], how="left", maintain_order="left"
    )
    found = found.with_columns(_error_class().alias("error_class"))
    return found.with_columns(_verdict().alias("verdict")).drop("named_class", "clean_label")


class Settled(NamedTuple):
    """Keys of the decisions that current rulings settle: single decisions, and all decisions on a case."""

    decisions: pl.DataFrame  # decision_id, policy_version
    cases: pl.DataFrame  # case_id, area, policy_version

    @property
    def columns(self) -> list[str]:
        """The columns of a decision that `without_settled` needs."""
        return list(dict.fromkeys([*_BY_DECISION, *(_BY_CASE if self.cases.height else ())]))


def settled(rulings: pl.DataFrame) -> Settled:
    """What current rulings settle, whatever they say; computed once for any number of tables."""
    named = pl.col("decision_id").is_not_null()
    return Settled(
        decisions=rulings.filter(named).select(_BY_DECISION).unique(),
        cases=rulings.filter(~named).select(_BY_CASE).unique(),
    )


def without_settled(decisions: pl.DataFrame, known: Settled) -> pl.DataFrame:
    """The rows of `decisions` that no ruling settles, in their order; they have the columns of `known`."""
    for keys in known:
        if keys.height:
            decisions = decisions.join(keys, on=keys.columns, how="anti", maintain_order="left")
    return decisions


def is_settled() -> pl.Expr:
    """Whether a row of `with_verdicts` has a ruling that counts."""
    return pl.col("ruled_label").is_not_null()


def is_overturned() -> pl.Expr:
    """Whether a row of `with_verdicts` is an error; false while it is open."""
    return (pl.col("verdict") == "overturned").fill_null(False)


def is_error_of(outcome: str) -> pl.Expr:
    """Whether a row of `with_verdicts` counts for an outcome of a rate.

    An outcome is "total" for all errors, or an error class.
    """
    if outcome == "total":
        return is_overturned()
    return (pl.col("error_class") == outcome).fill_null(False)


def is_lesson() -> pl.Expr:
    """Whether the label models and the flagger may learn from a row of `with_verdicts`."""
    return is_settled() & (pl.col("verdict") != "policy_unclear")


def is_confusion() -> pl.Expr:
    """Whether a row of `with_verdicts` took one label for another."""
    return pl.col("error_class").is_in(LABEL_CLASSES).fill_null(False)


def _newest(rulings: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """One ruling for each key: a panel's before an SME's, then the newest."""
    of_panel = (pl.col("source") == "panel").fill_null(False)
    return rulings.sort(of_panel, "ruled_at", "id").unique(key, keep="last", maintain_order=True)


def _named(rulings: pl.DataFrame) -> pl.DataFrame:
    return _newest(rulings.filter(pl.col("decision_id").is_not_null()), _BY_DECISION)


def _unnamed(rulings: pl.DataFrame) -> pl.DataFrame:
    loose = rulings.filter(pl.col("decision_id").is_null())
    about_one = pl.col("error_class") == "technical"
    loose = loose.with_columns(
        pl.when(~about_one.fill_null(False)).then(pl.col("error_class")).alias("error_class")
    )
    return _newest(loose, _BY_CASE)


def _clean_labels(policies: Iterable[PolicyVersion]) -> pl.DataFrame:
    rows = [(policy.version, area.name, area.labels[0].name) for policy in policies for area in policy.areas]
    names = ("policy_version", "area", "clean_label")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _error_class() -> pl.Expr:
    """The same rule as `Area.error_class`, unless the SME named a class that does not follow from labels."""
    decided, ruled, clean = pl.col("label"), pl.col("ruled_label"), pl.col("clean_label")
    by_labels = (
        pl.when(decided == ruled)
        .then(None)
        .when(ruled == clean)
        .then(pl.lit("over_enforcement"))
        .when(decided == clean)
        .then(pl.lit("under_enforcement"))
        .otherwise(pl.lit("wrong_policy"))
    )
    named = pl.col("named_class")
    said = pl.when(named.is_in(_NAMED_CLASSES)).then(named).otherwise(by_labels)
    return pl.when(is_settled()).then(said)


def _verdict() -> pl.Expr:
    said = (
        pl.when(pl.col("error_class").is_null())
        .then(pl.lit("upheld"))
        .when(pl.col("error_class") == "policy_unclear")
        .then(pl.lit("policy_unclear"))
        .otherwise(pl.lit("overturned"))
    )
    return pl.when(is_settled()).then(said)
