"""`evenhand estimate`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from cli.common import (
    Day,
    as_json,
    basis_of_rates,
    filters_from,
    here_with_store,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from evenhand.rates.table import Estimand, Weight


@click.command("estimate")
@click.option("--by", default="", help="Columns to split by, like market,area; also day, week or month.")
@click.option("--since", type=Day(), help="First day on which the decisions were made (UTC).")
@click.option("--until", type=Day(), help="Day after the last.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated.")
@basis_of_rates
@click.option("--draw", "draw_ids", multiple=True, help="Only these draws; else all with disjoint frames.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    by: str,
    since: date | None,
    until: date | None,
    where: tuple[str, ...],
    weight: Weight,
    estimand: Estimand,
    daily_looks: bool,
    weekly_looks: int | None,
    draw_ids: tuple[str, ...],
    to_json: bool,
) -> None:
    """Error rates with intervals, over- and under-enforcement apart."""
    from evenhand.rates.table import estimate_draws

    workspace, store = here_with_store(ctx)
    table = estimate_draws(
        workspace,
        store,
        by=tuple(name.strip() for name in by.split(",") if name.strip()),
        draw_ids=draw_ids or None,
        since=since,
        until=until,
        filters=filters_from(where),
        weight=weight,
        estimand=estimand,
        daily_looks=daily_looks,
        weekly_looks=weekly_looks,
    )
    if to_json:
        return say_json(table)
    say_table(table.rows())
    for note in table.notes:
        click.echo(f"note: {note}")
