"""The command `evenhand panel`: writes the rulings that a panel should check."""

from __future__ import annotations

from pathlib import Path

import click

from cli.common import as_json, here_with_store, say_json


@click.command(
    "panel",
    help="Write the rulings of a draw that several experts should check together, so that rates can be corrected for"
    " SME error.\n\nEvery overturn, and a part of the confirmations. Take the panel's word in with"
    " `evenhand ingest rulings FILE --draw DRAW --panel`, then ask for `evenhand estimate --estimand panel`.",
)
@click.argument("draw_id")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="A .csv or .parquet file to write the queue to.",
)
@as_json
@click.pass_context
def command(ctx: click.Context, draw_id: str, out: Path, to_json: bool) -> None:
    """Write the rulings of a draw that several experts should check together."""
    from evenhand.rates.panel import panel_queue
    from evenhand.workspace.files import write_table

    _, store = here_with_store(ctx)
    queue = panel_queue(store, draw_id)
    write_table(queue, out)
    done = int(queue["done"].sum())
    if to_json:
        return say_json({"draw_id": draw_id, "cases": queue.height, "done": done, "file": out})
    click.echo(f"{queue.height:,} cases for the panel, {done:,} of them ruled on; written to {out}")
