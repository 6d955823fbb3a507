"""The lake: Parquet files by day, scanned lazily, never copied into the database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from evenhand.workspace.workspace import Workspace

UTC_TIME = pl.Datetime("us", "UTC")

#: Columns of a decision file. `content_hash` tells a repeated row from a changed one.
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


def _day(file: Path) -> date:
    return date.fromisoformat(file.parent.name.removeprefix("day="))


def decision_files(ws: Workspace, since: date | None = None, until: date | None = None) -> list[Path]:
    """Decision files of the days from `since` up to, not including, `until`, oldest first."""
    files = sorted(ws.decisions_dir.glob("day=*/*.parquet"))
    return [f for f in files if (since is None or _day(f) >= since) and (until is None or _day(f) < until)]


def scan_decisions(ws: Workspace, *, since: date | None = None, until: date | None = None) -> pl.LazyFrame:
    """Decisions of the days from `since` up to, not including, `until`, lazily; columns of DECISIONS."""
    return _scan(decision_files(ws, since, until), DECISIONS)


def score_file(ws: Workspace, model: str, decision_file: Path) -> Path:
    """Where the scores of `decision_file` by `model` ("evenhand-3") lie; there only when whole."""
    return ws.scores_dir / f"model={model}" / decision_file.parent.name / decision_file.name


def scored_models(ws: Workspace) -> list[str]:
    """Models that have scores, by name."""
    return sorted(folder.name.removeprefix("model=") for folder in ws.scores_dir.glob("model=*"))


def scan_scores(
    ws: Workspace, model: str, *, since: date | None = None, until: date | None = None
) -> pl.LazyFrame:
    """Scores by `model` of the days from `since` up to, not including, `until`, lazily; columns of SCORES."""
    files = [score_file(ws, model, file) for file in decision_files(ws, since, until)]
    return _scan([file for file in files if file.exists()], SCORES)


def _scan(files: list[Path], schema: pl.Schema) -> pl.LazyFrame:
    if not files:
        return pl.LazyFrame(schema=schema)
    found = pl.scan_parquet(
        files, hive_partitioning=False, schema=schema, missing_columns="insert", extra_columns="ignore"
    )
    return found.select(schema.names())
