"""Polars schemas of the store's results, so that an empty result has its columns too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from evenhand.records.columns import UTC_TIME

RULINGS = pl.Schema(
    [
        ("id", pl.Int64),
        ("decision_id", pl.String),
        ("case_id", pl.String),
        ("area", pl.String),
        ("policy_version", pl.String),
        ("label", pl.String),
        ("sme_id", pl.String),
        ("ruled_at", UTC_TIME),
        ("decision_moderator_id", pl.String),
        ("error_class", pl.String),
        ("cause", pl.String),
        ("confidence", pl.Float64),
        ("rationale", pl.String),
        ("draw_id", pl.String),
        ("replaces", pl.Int64),
        ("seconds", pl.Float64),
        ("source", pl.String),
    ]
)

ITEMS = pl.Schema(
    [
        ("draw_id", pl.String),
        ("decision_id", pl.String),
        ("position", pl.Int64),
        ("pi", pl.Float64),
        ("p_overturn", pl.Float64),
        ("take_all", pl.Boolean),
        ("case_id", pl.String),
        ("text", pl.String),
        ("language", pl.String),
        ("market", pl.String),
        ("queue", pl.String),
        ("area", pl.String),
        ("policy_version", pl.String),
        ("label", pl.String),
        ("moderator_id", pl.String),
        ("decided_at", UTC_TIME),
        ("predicted_label", pl.String),
        ("team", pl.String),
        ("content_type", pl.String),
        ("reasons", pl.String),
        ("explanation", pl.Object),
        ("ruled", pl.Boolean),
        ("skipped", pl.Boolean),
    ]
)

AUDIT = pl.Schema(
    [
        ("id", pl.Int64),
        ("at", UTC_TIME),
        ("by", pl.String),
        ("action", pl.String),
        ("subject", pl.String),
        ("details", pl.String),
    ]
)


def _frame(rows: Sequence[Any], schema: pl.Schema) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    return pl.DataFrame(
        [
            pl.Series(name, list(column), dtype=dtype)
            for (name, dtype), column in zip(schema.items(), columns, strict=True)
        ]
    )


def rulings_frame(rows: Sequence[Any]) -> pl.DataFrame:
    """Rulings from rows in the order of RULINGS."""
    return _frame(rows, RULINGS)


def items_frame(rows: Sequence[Any]) -> pl.DataFrame:
    """Drawn items from rows in the order of ITEMS; `explanation` holds one dict a row."""
    return _frame([(*row[:-2], bool(row[-2]), bool(row[-1])) for row in rows], ITEMS)


def audit_frame(rows: Sequence[Any]) -> pl.DataFrame:
    """Audit lines from rows in the order of AUDIT; `details` becomes JSON text."""
    return _frame([(*row[:-1], json.dumps(row[-1], sort_keys=True)) for row in rows], AUDIT)
