"""The commands `evenhand policy add|list|show|diff`: the policy versions."""

from __future__ import annotations

from pathlib import Path

import click

from cli.common import as_json, here_with_store, say_json, say_table, who
from evenhand.records.policy import diff_policies, read_policy


@click.group("policy")
def command() -> None:
    """Add, list, show and compare policy versions."""


@command.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def add(ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Add policy versions from YAML FILES. The same file twice changes nothing."""
    _, store = here_with_store(ctx)
    for file in files:
        policy, text = read_policy(file)
        added = store.add_policy(policy, text, by=who())
        click.echo(f"{policy.version}: {'added' if added else 'is there already'}")


@command.command("list")
@as_json
@click.pass_context
def list_versions(ctx: click.Context, to_json: bool) -> None:
    """List the policy versions, oldest first."""
    _, store = here_with_store(ctx)
    rows = [
        {
            "version": policy.version,
            "effective_from": policy.effective_from,
            "areas": len(policy.areas),
            "labels": sum(len(area.labels) for area in policy.areas),
            "title": policy.title,
        }
        for policy in store.policies()
    ]
    if to_json:
        return say_json(rows)
    if not rows:
        click.echo("no policy yet; add one with `evenhand policy add FILE.yaml`")
    say_table(rows)


@command.command("show")
@click.argument("version")
@as_json
@click.pass_context
def show(ctx: click.Context, version: str, to_json: bool) -> None:
    """Show VERSION with its areas, labels and clauses."""
    _, store = here_with_store(ctx)
    policy = store.policy(version)
    if to_json:
        return say_json(policy)
    click.echo(f"{policy.title} ({policy.version}), in force from {policy.effective_from}")
    for area in policy.areas:
        click.echo(f"\n{area.title} [{area.name}]")
        for label in area.labels:
            click.echo(f"  {label.clause_id:5} {label.name} ({label.severity}): {label.clause}")
            for market, clause in label.market_clauses.items():
                click.echo(f"        in {market}: {clause}")


@command.command("diff")
@click.argument("old")
@click.argument("new")
@as_json
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, to_json: bool) -> None:
    """Show what changed from version OLD to version NEW."""
    _, store = here_with_store(ctx)
    changes = diff_policies(store.policy(old), store.policy(new))
    if to_json:
        return say_json(changes)
    if not changes:
        click.echo("no difference")
    for change in changes:
        click.echo(f"{change.kind:17} {change.area} / {change.label or '(whole area)'}")
        if change.before:
            click.echo(f"  - {change.before}")
        if change.after:
            click.echo(f"  + {change.after}")
