"""The lake: Parquet files by day, scanned lazily, never copied into the database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from evenhand.records.columns import DECISIONS, SCORES
from evenhand.workspace.workspace import Workspace


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
    """The file for the scores of `decision_file` by `model` ("evenhand-3"); it exists only when whole."""
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
