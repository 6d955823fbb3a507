"""The columns of tables: decisions and scores in the lake, and the frame of a draw."""

from __future__ import annotations

import polars as pl

#: Columns of a decision by which a frame can be filtered, an error rate split, and a draw spread.
DOMAINS = (
    "market",
    "area",
    "language",
    "queue",
    "team",
    "content_type",
    "policy_version",
    "moderator_id",
    "label",
)

UTC_TIME = pl.Datetime("us", "UTC")

#: Columns of a decision file. `content_hash` distinguishes a repeated row from a changed one.
DECISIONS = pl.Schema(
    [
        ("decision_id", pl.String),
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
        ("team", pl.String),
        ("content_type", pl.String),
        ("author_id", pl.String),
        ("exposure", pl.Float64),
        ("action", pl.String),
        ("severity", pl.String),
        ("conversation_id", pl.String),
        ("text_hash", pl.String),
        ("content_hash", pl.UInt64),
    ]
)

#: Columns of a score file.
SCORES = pl.Schema(
    [
        ("decision_id", pl.String),
        ("case_id", pl.String),
        ("area", pl.String),
        ("moderator_id", pl.String),
        ("label", pl.String),
        ("policy_version", pl.String),
        ("p_overturn", pl.Float64),
        ("predicted_label", pl.String),
        ("p_predicted", pl.Float64),
        ("p_decided", pl.Float64),
        ("reasons", pl.String),
        ("support", pl.String),
        ("model_version", pl.String),
    ]
)

#: More columns that a frame keeps of a decision: when it was made, how often it was seen, and what it has in
#: common with others.
ABOUT = ("decided_at", "exposure", "text_hash", "conversation_id")
#: Where each error class can occur at all.
MAY = ("may_over", "may_under", "may_wrong")
FRAME = ("decision_id", *DOMAINS, *ABOUT, "p_overturn", *MAY)
