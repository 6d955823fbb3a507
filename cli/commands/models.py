"""The commands `evenhand models list|show|compare|promote|rollback|live`: the model versions."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from cli.common import DAY, as_json, here_with_store, now, say_json, say_table, who
from evenhand.errors import ModelError

if TYPE_CHECKING:
    from evenhand.store import Store
    from evenhand.workspace.workspace import Workspace
    from models.compare.paired_slices import Slice
    from models.compare.versions import Comparison
    from models.registry import Registry


@click.group("models")
def command() -> None:
    """List, show, compare, promote and roll back model versions, and say which was live on a day."""


def _registry(ctx: click.Context) -> tuple[Registry, Workspace, Store]:
    from models.registry import Registry

    workspace, store = here_with_store(ctx)
    return Registry(workspace), workspace, store


@command.command("list")
@as_json
@click.pass_context
def list_versions(ctx: click.Context, to_json: bool) -> None:
    """List the versions, newest first."""
    registry, _, _ = _registry(ctx)
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
    registry, _, _ = _registry(ctx)
    say_json(registry.details(version))


@command.command("compare")
@click.argument("challenger", default="challenger")
@click.option(
    "--with", "champion", default="champion", show_default=True, help="The version to compare with."
)
@as_json
@click.pass_context
def compare(ctx: click.Context, challenger: str, champion: str, to_json: bool) -> None:
    """Compare CHALLENGER with the champion, in every language.

    Both judge the same decisions: those with rulings that neither has learned from. Judging takes a while;
    what came out is kept until a ruling is new.
    """
    registry, workspace, store = _registry(ctx)
    from models.compare.versions import check

    checked = check(workspace, store, registry, challenger, champion)
    if checked.comparison is None:
        raise ModelError(checked.why)
    if to_json:
        found = checked.comparison
        return say_json({"verdict": found.verdict, "losses": found.losses, **_fields(found)})
    return _say(checked.comparison)


def _fields(comparison: Comparison) -> dict[str, Any]:
    return {name: getattr(comparison, name) for name in comparison.__dataclass_fields__}


def _say(comparison: Comparison) -> None:
    click.echo(comparison.verdict)
    click.echo(
        f"{comparison.challenger} less {comparison.champion} on {comparison.n} decisions with rulings new to both, 95% intervals"
    )
    say_table([_row(part) for part in comparison.slices])
    if comparison.unweighted:
        once = comparison.unweighted
        ap = f" (AP {once.metrics['ap'].told()})" if once.metrics else ""
        click.echo(f"every ruling counted once: {once.verdict}{ap}")
    for note in comparison.notes:
        click.echo(f"note: {note}")


def _row(part: Slice) -> dict[str, Any]:
    """A line of the table; a dash if the counts are too small."""
    digits = {"ap": ("AP", 2), "lift_at_5": ("lift at 5%", 1), "auroc": ("AUROC", 2), "brier": ("Brier", 3)}
    return {
        "by": part.by,
        "name": part.name,
        "n": part.n,
        "overturned": part.overturned,
        "verdict": part.verdict,
        **{
            title: part.metrics[name].told(places) if part.metrics else "-"
            for name, (title, places) in digits.items()
        },
    }


@command.command("promote")
@click.argument("version")
@click.option("--note", default="", help="Why; goes into the ledger.")
@click.option("--anyway", is_flag=True, help="Even if it is worse, or the champion is damaged; needs --note.")
@click.pass_context
def promote(ctx: click.Context, version: str, note: str, anyway: bool) -> None:
    """Make VERSION the champion: `score`, `flags` and `draw` use it from now on.

    It is compared with the champion first, and refused if it is worse overall or in a language.
    """
    if anyway and not note:
        raise click.UsageError('--anyway needs a reason: --note "why"')
    registry, workspace, store = _registry(ctx)
    from models import promotion

    checked = promotion.check_promotion(workspace, store, registry, version, anyway=anyway)
    number = promotion.promote(
        registry, store, version, checked, by=who(), at=now(), note=note, anyway=anyway
    )
    click.echo(f"{registry.name(number)} is champion")
    click.echo(f"note: {checked.said}")


@command.command("rollback")
@click.option("--note", default="", help="Why; goes into the ledger.")
@click.pass_context
def rollback(ctx: click.Context, note: str) -> None:
    """Make the champion before this one champion again."""
    registry, _, store = _registry(ctx)
    from models import promotion

    number = promotion.roll_back(registry, store, by=who(), at=now(), note=note)
    click.echo(f"{registry.name(number)} is champion again")


@command.command("live")
@click.option("--on", "day", type=DAY, help="A day; at its end (UTC). Else now.")
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
