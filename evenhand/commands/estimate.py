"""`evenhand estimate`."""

from __future__ import annotations

import click

from evenhand.commands.common import as_json, here_with_store, say_json, say_table


@click.command("estimate")
@click.option("--by", default="", help="Columns to split by, like market,area.")
@click.option("--draw", "draw_ids", multiple=True, help="Only these draws; else all with disjoint frames.")
@as_json
@click.pass_context
def command(ctx: click.Context, by: str, draw_ids: tuple[str, ...], to_json: bool) -> None:
    """Error rates with intervals, over- and under-enforcement apart."""
    from evenhand.error_rates import estimate_draws

    workspace, store = here_with_store(ctx)
    columns = tuple(name.strip() for name in by.split(",") if name.strip())
    table = estimate_draws(workspace, store, by=columns, draw_ids=draw_ids or None)
    if to_json:
        return say_json(table)
    say_table(table.rows())
    for note in table.notes:
        click.echo(f"note: {note}")
