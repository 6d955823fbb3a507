"""The command `evenhand doctor`: says what is configured, reachable and stale."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq

from cli.common import as_json, say_json
from evenhand import __version__
from evenhand.errors import EvenhandError, WorkspaceError
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace, find_workspace, open_workspace


def _check(name: str, look: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"check": name, "ok": True, "found": look()}
    except EvenhandError as problem:
        return {"check": name, "ok": False, "found": str(problem)}


def _extra(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _encoder(workspace: Workspace) -> str:
    from models.encoders.encoder import check_encoder

    model = workspace.config.model
    return check_encoder(model.encoder, allow_download=model.allow_download)


def _champion(workspace: Workspace) -> str:
    from models.registry import Registry

    registry = Registry(workspace)
    name = registry.name("champion")
    if workspace.config.registry.tracking_uri:
        return name
    registry.folder("champion")  # raises an error if its files are not in the workspace
    return f"{name}, its files are in this workspace"


def _lake(workspace: Workspace) -> str:
    from evenhand.batches.population import unscored
    from evenhand.workspace.lake import decision_files, scored_models

    files = decision_files(workspace)
    lines = [f"{sum(_rows(file) for file in files):,} decisions in {len(files)} files"]
    for model in scored_models(workspace):
        missing = unscored(workspace, model)
        said = ", ".join(f"{n:,} under {version}" for version, n in missing.items())
        lines.append(f"{model}: " + (f"no score for {said}" if missing else "all scored"))
    return "; ".join(lines)


def _rows(file: Path) -> int:
    try:
        return int(pq.ParquetFile(file).metadata.num_rows)
    except (OSError, pa.ArrowException) as problem:
        raise WorkspaceError(
            f"{file}: is damaged ({problem}); restore it from a backup, or remove it and ingest that day again"
        ) from problem


def _quarantine(workspace: Workspace) -> str:
    files = sorted(workspace.quarantine_dir.glob("*.parquet"))
    return f"{sum(_rows(file) for file in files):,} rows in {len(files)} files, waiting to be mended"


def _draws(workspace: Workspace) -> str:
    from evenhand.batches.frame_file import frame_hash

    store = Store.open(workspace.store_url)
    for draw in store.draws():
        file = workspace.root / draw.frame_file
        if not file.exists() or frame_hash(file) != draw.frame_hash:
            raise WorkspaceError(
                f"{file}: the frame of draw {draw.draw_id} is missing or was changed; restore it from a backup"
            )
    return f"the frames of all {len(store.draws())} draws are as they were drawn"


def _store(workspace: Workspace) -> str:
    store = Store.open(workspace.store_url)
    draws, policies = store.draws(), store.policies()
    return f"{len(policies)} policy versions, {len(store.rulings()):,} rulings, {len(draws)} draws"


@click.command("doctor")
@as_json
@click.pass_context
def command(ctx: click.Context, to_json: bool) -> None:
    """Say what is configured, reachable and stale. Exits 2 if a check fails."""
    versions = {name: _extra(name) for name in ("torch", "transformers", "mlflow", "streamlit", "psycopg")}
    checks = [
        {"check": "evenhand", "ok": True, "found": f"{__version__} on Python {sys.version.split()[0]}"},
        {"check": "packages", "ok": True, "found": ", ".join(f"{k} {v}" for k, v in versions.items())},
    ]
    folder = find_workspace(ctx.find_root().obj)
    checks.append(_check("workspace", lambda: str(open_workspace(folder).root)))
    if checks[-1]["ok"]:
        workspace = open_workspace(folder)
        store = _check("store", lambda: _store(workspace))
        checks.append(store)
        checks.append(_check("lake", lambda: _lake(workspace)))
        checks.append(_check("quarantine", lambda: _quarantine(workspace)))
        if store["ok"]:
            checks.append(_check("draws", lambda: _draws(workspace)))
        if versions["torch"] != "not installed":
            checks.append(_check("encoder", lambda: _encoder(workspace)))
            checks.append(_check("champion", lambda: _champion(workspace)))
    if to_json:
        say_json(checks)
    else:
        for check in checks:
            click.echo(f"{'ok  ' if check['ok'] else 'FAIL'} {check['check']}: {check['found']}")
    if not all(check["ok"] for check in checks):
        ctx.exit(2)
