"""`evenhand models list|show|promote|rollback|live`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import click

from evenhand.commands.common import Day, as_json, here_with_store, now, say_json, say_table, who

if TYPE_CHECKING:
    from evenhand.store import Store
    from models.registry import Registry


@click.group("models")
def command() -> None:
    """List, show, promote and roll back model versions, and say which was live on a day."""


def _registry(ctx: click.Context) -> tuple[Registry, Store]:
    from models.registry import Registry

    workspace, store = here_with_store(ctx)
    return Registry(workspace), store


def _go_live(registry: Registry, store: Store, version: str, note: str) -> None:
    """Write the ledger: this version is live for each policy version that it covers, from now on."""
    for policy_version in registry.policy_versions(version):
        store.record_live(registry.name(version), policy_version, by=who(), at=now(), note=note)


@command.command("list")
@as_json
@click.pass_context
def list_versions(ctx: click.Context, to_json: bool) -> None:
    """List the versions, newest first."""
    registry, _ = _registry(ctx)
    rows = registry.versions()
    if to_json:
        return say_json(rows)
    if not rows:
        click.echo("no model yet; run `evenhand train`")
    say_table(
        [
            {
                "version": row.version,
                "alias": ", ".join(row.aliases) or "-",
                "policy versions": ", ".join(row.policy_versions),
                "created": row.created_at,
                "rulings": row.n_rulings,
                "AP": row.metrics.get("ap"),
                "lift at 5%": row.metrics.get("lift_at_5"),
                "ECE": row.metrics.get("ece"),
            }
            for row in rows
        ]
    )


@command.command("show")
@click.argument("version")
@click.pass_context
def show(ctx: click.Context, version: str) -> None:
    """Show all that is known of VERSION (a number, or champion or challenger), as JSON."""
    registry, _ = _registry(ctx)
    say_json(registry.details(version))


@command.command("promote")
@click.argument("version")
@click.option("--note", default="", help="Why; goes into the ledger.")
@click.pass_context
def promote(ctx: click.Context, version: str, note: str) -> None:
    """Make VERSION the champion: `score`, `flags` and `draw` use it from now on."""
    registry, store = _registry(ctx)
    number = registry.promote(version)
    _go_live(registry, store, number, note or "promoted")
    click.echo(f"{registry.name(number)} is champion")


@command.command("rollback")
@click.option("--note", default="", help="Why; goes into the ledger.")
@click.pass_context
def rollback(ctx: click.Context, note: str) -> None:
    """Make the champion before this one champion again."""
    registry, store = _registry(ctx)
    number = registry.rollback()
    _go_live(registry, store, number, note or "rolled back")
    click.echo(f"{registry.name(number)} is champion again")


@command.command("live")
@click.option("--on", "day", type=Day(), help="A day; at its end (UTC). Else now.")
@as_json
@click.pass_context
def live(ctx: click.Context, day: date | None, to_json: bool) -> None:
    """Say which model was live on a day."""
    _, store = here_with_store(ctx)
    at = datetime.combine(day + timedelta(days=1), time(), UTC) - timedelta(microseconds=1) if day else now()
    found = store.live_on(at)
    if to_json:
        return say_json(found)
    if found is None:
        click.echo(f"no model was live at {at:%Y-%m-%d %H:%M} UTC")
        return None
    click.echo(
        f"{found.model_version} (policy {found.policy_version}), since {found.since:%Y-%m-%d %H:%M} UTC"
    )
    return None
