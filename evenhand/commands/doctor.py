"""`evenhand doctor`."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from typing import Any

import click

from evenhand import __version__
from evenhand.commands.common import as_json, say_json
from evenhand.errors import EvenhandError
from evenhand.store import Store
from evenhand.workspace import Workspace, find_workspace, open_workspace


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
    from models.encoder import check_encoder

    return check_encoder(workspace.config.model.encoder)


def _champion(workspace: Workspace) -> str:
    from models.registry import Registry

    registry = Registry(workspace)
    return registry.name("champion")


def _lake(workspace: Workspace) -> str:
    from evenhand.lake import decision_files, score_file, scored_models

    files = decision_files(workspace)
    lines = [f"{len(files)} decision files"]
    for model in scored_models(workspace):
        stale = sum(not score_file(workspace, model, file).exists() for file in files)
        lines.append(f"{model}: " + (f"{stale} files not scored yet" if stale else "all scored"))
    return "; ".join(lines)


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
        checks.append(_check("store", lambda: _store(workspace)))
        checks.append(_check("lake", lambda: _lake(workspace)))
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
