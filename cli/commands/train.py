"""The command `evenhand train`: trains a model version on the rulings."""

from __future__ import annotations

import click

from cli.common import as_json, here_with_store, say_json, say_table, who
from evenhand.workspace.telemetry import quiet


@click.command("train")
@click.option("--fresh", is_flag=True, help="Do not resume a run that was cut short.")
@click.option("--seed", type=int, help="Else the seed in evenhand.toml.")
@as_json
@click.pass_context
def command(ctx: click.Context, fresh: bool, seed: int | None, to_json: bool) -> None:
    """Fine-tune on the rulings, calibrate, evaluate and register the version as challenger."""
    workspace, store = here_with_store(ctx)
    quiet(allow_download=workspace.config.model.allow_download)
    from training.train import train

    report = train(workspace, store, by=who(), resume=not fresh, seed=seed)
    if to_json:
        return say_json(report)
    click.echo(f"version {report.version} registered as challenger, {report.seconds:.0f} s")
    overall = report.metrics.get("overall", {})
    rows = [
        {"metric": name, "value": value}
        for name, value in overall.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    say_table(rows)
    for note in report.notes:
        click.echo(f"note: {note}")
    click.echo(f"next: evenhand models promote {report.version}")
