"""Where the embedded registry's files lie: in the workspace, wherever that was copied or moved to.

MLflow writes whole file locations into its database. The part up to the workspace is put right when the
registry is opened.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from evenhand.workspace.workspace import Workspace

_MARK = "/registry/artifacts"  # ends the location of the artifacts in every workspace
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
MOVED = "evenhand.moved"  # tag of the experiment: when its rows were put right, where they had pointed to


def artifacts_location(ws: Workspace) -> str:
    """The folder of the embedded registry's artifacts, as MLflow writes it."""
    return (ws.registry_dir / "artifacts").as_uri()


def location_here(ws: Workspace, location: str) -> str:
    """The `location` of an artifact, with this workspace for the one it was written in.

    Other locations as they are.
    """
    _, mark, rest = location.rpartition(_MARK)
    ours = location.startswith("file:") and mark and rest[:1] in ("", "/")
    return artifacts_location(ws) + rest if ours else location


def path_here(ws: Workspace, location: str) -> Path:
    """As `location_here`, as a path."""
    return Path(url2pathname(urlparse(location_here(ws, location)).path))


def settle_in(ws: Workspace, experiment_id: str, pointed_to: str) -> None:
    """Let every row of the embedded registry point into this workspace, and note where they had pointed to.

    All rows change or none; a second call changes nothing. Raises sqlite3.Error if the file cannot be
    written.
    """
    with closing(sqlite3.connect(ws.registry_dir / "mlflow.db", timeout=30)) as db, db:
        db.create_function(
            "here", 1, lambda location: location and location_here(ws, location), deterministic=True
        )
        db.execute("BEGIN IMMEDIATE")
        for table, column in _COLUMNS:
            db.execute(f"UPDATE {table} SET {column} = here({column}) WHERE {column} <> here({column})")
        note = f"{datetime.now(UTC).isoformat(timespec='seconds')} from {pointed_to}"
        db.execute(
            "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)",
            (MOVED, note, int(experiment_id)),
        )
