"""Gold to examples for the label models."""

from __future__ import annotations

import hashlib
from typing import Any

import datasets
import numpy as np
import polars as pl

from evenhand.errors import TrainingError
from evenhand.records.policy import PolicyVersion
from models.labels.classifier import HeadSpec
from training.finetune import Examples

ENOUGH = 50  # rulings below which nothing is trained
CARRIED = 0.5  # weight of a ruling carried over to a reworded area, where its own clause did not change


def enough(rows: pl.DataFrame) -> None:
    """TrainingError, which says how many are missing, where the gold `rows` are too few to train on."""
    if rows.height < ENOUGH:
        raise TrainingError(
            f"{rows.height} rulings meet a decision in the lake, {ENOUGH} are needed; ingest"
            f" {ENOUGH - rows.height} more with `evenhand ingest rulings` or rule on a draw"
        )


def data_hash(rows: pl.DataFrame) -> str:
    """Fingerprint of the gold: decision, ruled label and weight of every row."""
    parts = rows.select("decision_id", "ruled_label", pl.col("weight").round(6).cast(pl.String))
    text = "\n".join("|".join(row) for row in parts.iter_rows())
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def label_examples(
    rows: pl.DataFrame, policies: list[PolicyVersion], heads: dict[str, HeadSpec], where: dict[str, str]
) -> datasets.Dataset:
    """Examples for the label models: text, head, label index, weight, place in `rows`. One a (case, area, policy version).

    A ruling also teaches the head of a later wording of its area, with weight CARRIED, where the ruled label's own clause
    did not change.
    """
    found: list[dict[str, object]] = []
    placed = rows.with_row_index("place")
    unique = placed.unique(["case_id", "area", "policy_version"], keep="first", maintain_order=True)
    versions = [policy.version for policy in policies]
    for row in unique.iter_rows(named=True):
        own = where[f"{row['policy_version']}/{row['area']}"]
        found.append(_example(row, heads[own], 1.0))
        clause = dict(zip(heads[own].labels, heads[own].clauses, strict=True))[row["ruled_label"]]
        for later in versions[versions.index(row["policy_version"]) + 1 :]:
            key = where.get(f"{later}/{row['area']}", own)
            clauses = dict(zip(heads[key].labels, heads[key].clauses, strict=True))
            if key != own and clauses.get(row["ruled_label"]) == clause:
                found.append(_example(row, heads[key], CARRIED))
    names = ("text", "head", "label", "weight", "place")
    return datasets.Dataset.from_dict({name: [row[name] for row in found] for name in names})


def _example(row: dict[str, Any], spec: HeadSpec, weight: float) -> dict[str, object]:
    label = spec.labels.index(row["ruled_label"])
    return {
        "text": row["text"], "head": spec.key, "label": label, "weight": weight, "place": row["place"],
    }  # fmt: skip


def as_examples(data: datasets.Dataset) -> Examples:
    """A dataset's columns as arrays."""
    return Examples(
        texts=list(data["text"]),
        heads=list(data["head"]),
        labels=np.array(data["label"], np.int64),
        weights=np.array(data["weight"], np.float64),
    )
