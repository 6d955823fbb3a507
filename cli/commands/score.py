"""The command `evenhand score`: scores every decision."""

from __future__ import annotations

from datetime import date

import click

from cli.common import DAY, as_json, here, say_json
from evenhand.workspace.telemetry import quiet


@click.command("score")
@click.option("--model", "version", default="champion", show_default=True, help="A version number or alias.")
@click.option("--since", type=DAY, help="First day.")
@click.option("--until", type=DAY, help="DAY after the last.")
@as_json
@click.pass_context
def command(ctx: click.Context, version: str, since: date | None, until: date | None, to_json: bool) -> None:
    """Score every decision with p_overturn, shard by shard; a cut run goes on where it stopped."""
    workspace = here(ctx)
    quiet(allow_download=workspace.config.model.allow_download)
    from evenhand.flags import publish_flags
    from models.registry import Registry
    from models.scoring import score

    registry = Registry(workspace)
    bundle, name = registry.load(version), registry.name(version)
    report = score(workspace, bundle, name, since=since, until=until)
    publish_flags(workspace, name)
    if to_json:
        return say_json(
            {**{f: getattr(report, f) for f in report.__dataclass_fields__}, "model_version": name}
        )
    speed = report.texts_encoded / report.seconds if report.seconds else 0
    click.echo(
        f"{name}: {report.decisions:,} decisions scored, {report.texts_encoded:,} texts read at"
        f" {speed:,.0f}/s, {report.shards_done} shards done, {report.shards_skipped} were done before"
    )
    for reason, count in report.skipped.items():
        click.echo(f"not scored: {count:,} x {reason}")
    click.echo("next: evenhand flags, or evenhand draw --budget N")
