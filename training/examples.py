"""Which examples the rulings give to the label models, and which rulings give none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import polars as pl

from evenhand.errors import TrainingError
from evenhand.records.policy import PolicyVersion
from models.labels.classifier import HeadSpec

ENOUGH = 50  # rulings below which nothing is trained
CARRIED = 0.5  # weight of a ruling carried over to a reworded area, where its own clause did not change


#: Columns: a text with its head, the index of the right label in that head, its weight, the row it is from.
FEATURES = datasets.Features(
    text=datasets.Value("string"),
    head=datasets.Value("string"),
    label=datasets.Value("int64"),
    weight=datasets.Value("float64"),
    place=datasets.Value("int64"),
)


def answers(policies: Sequence[PolicyVersion], where: Mapping[str, str]) -> pl.DataFrame:
    """Every label that can be given: policy_version, area, label, head."""
    columns = ("policy_version", "area", "label", "head")
    rows = [
        (policy.version, area.name, label, where[f"{policy.version}/{area.name}"])
        for policy in policies
        for area in policy.areas
        for label in area.label_names
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def covered(rows: pl.DataFrame, known: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """The gold `rows` whose decided and ruled label both stand in the decision's policy version.

    `known` of `answers`; same row order. Also a note on how many were left out; empty for none.
    """
    kept = rows
    for column in ("label", "ruled_label"):
        there = known.select("policy_version", "area", pl.col("label").alias(column))
        kept = kept.join(there, on=["policy_version", "area", column], how="semi", maintain_order="left")
    left_out = rows.height - kept.height
    if not left_out:
        return kept, ""
    return kept, (
        f"{left_out} of {rows.height} rulings were left out: the policy version of the decision is not stored or lacks the"
        " label; `evenhand policy list` shows the versions, `evenhand policy add` adds one"
    )


def enough(rows: pl.DataFrame, left_out: str = "") -> None:
    """TrainingError, which says how many are missing, where the gold `rows` are too few to train on.

    `left_out`: the note of `covered`.
    """
    if rows.height < ENOUGH:
        raise TrainingError(
            f"{rows.height} rulings meet a decision in the lake, {ENOUGH} are needed; ingest"
            f" {ENOUGH - rows.height} more with `evenhand ingest rulings` or rule on a draw"
            + (f" ({left_out})" if left_out else "")
        )


def data_hash(rows: pl.DataFrame) -> str:
    """Fingerprint of the gold: decision, policy version, text, both labels and weight of every row.

    It has 16 hex digits.
    """
    columns = ("decision_id", "policy_version", "text", "label", "ruled_label", "weight")
    parts = rows.select(columns).with_columns(pl.col("weight").round(6))
    text = "\n".join(json.dumps(row) for row in parts.iter_rows())
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def label_examples(
    rows: pl.DataFrame, policies: list[PolicyVersion], heads: dict[str, HeadSpec], where: dict[str, str]
) -> datasets.Dataset:
    """Examples for the label models, FEATURES, by place in `rows`. One a case and head.

    A ruling teaches the head of its own policy version with weight 1, and with weight CARRIED each other head
    that later versions give its area, where the ruled label's clause reads the same there. Of several rulings
    that would teach a head the same case, its own go before carried ones, then the newest counts. `rows` as
    `covered` leaves them.
    """
    newest = rows.with_row_index("place").sort("ruled_at", "place", descending=[True, False])
    ruled = [(row, where[f"{row['policy_version']}/{row['area']}"]) for row in newest.iter_rows(named=True)]
    carried = _carried_to(policies, where)
    found: dict[tuple[str, str], dict[str, object]] = {}
    for row, own in ruled:
        found.setdefault((row["case_id"], own), _example(row, heads[own], 1.0))
    for row, _ in ruled:
        for key in carried[row["policy_version"], row["area"], row["ruled_label"]]:
            found.setdefault((row["case_id"], key), _example(row, heads[key], CARRIED))
    ordered = sorted(found.values(), key=lambda example: (example["place"], example["head"]))
    columns = {name: [row[name] for row in ordered] for name in FEATURES}
    return datasets.Dataset.from_dict(columns, features=FEATURES)


def _carried_to(
    policies: Sequence[PolicyVersion], where: Mapping[str, str]
) -> dict[tuple[str, str, str], list[str]]:
    """(policy version, area, label) -> other heads, of later versions with the same clause for the label."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for i, policy in enumerate(policies):
        for area in policy.areas:
            later = {
                where[f"{version.version}/{area.name}"]: {label.name: label.clause for label in other.labels}
                for version in policies[i + 1 :]
                for other in version.areas
                if other.name == area.name
            }
            later.pop(where[f"{policy.version}/{area.name}"], None)
            for label in area.labels:
                same = [key for key, clauses in later.items() if clauses.get(label.name) == label.clause]
                found[policy.version, area.name, label.name] = same
    return found


def _example(row: dict[str, Any], spec: HeadSpec, weight: float) -> dict[str, object]:
    label = spec.labels.index(row["ruled_label"])
    return dict(zip(FEATURES, (row["text"], spec.key, label, weight, row["place"]), strict=True))
