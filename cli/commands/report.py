"""`evenhand report`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.common import (
    Day,
    as_json,
    basis_of_rates,
    filters_from,
    here_with_store,
    now,
    say_json,
)

if TYPE_CHECKING:
    from evenhand.rates.table import Estimand, Weight
    from evenhand.report.model import Unit


@click.command("report")
@click.option(
    "--out",
    "targets",
    multiple=True,
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="FILE.xlsx, .pptx, .html or .csv; may be repeated, all from the same figures.",
)
@click.option("--since", type=Day(), help="First day on which the decisions were made (UTC).")
@click.option("--until", type=Day(), help="Day after the last.")
@click.option("--compare-since", type=Day(), help="First day of the period to compare with ...")
@click.option(
    "--compare-until", type=Day(), help="... and the day after its last; else the same length before --since."
)
@click.option(
    "--by",
    default="market,area,language,queue,market+area",
    show_default=True,
    help="Columns to split by; + crosses them.",
)
@click.option(
    "--trend", "unit", type=click.Choice(["week", "month"]), help="Else weeks, from half a year on months."
)
@basis_of_rates
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    targets: tuple[Path, ...],
    since: date | None,
    until: date | None,
    compare_since: date | None,
    compare_until: date | None,
    by: str,
    unit: Unit | None,
    weight: Weight,
    estimand: Estimand,
    daily_looks: bool,
    weekly_looks: int | None,
    where: tuple[str, ...],
    to_json: bool,
) -> None:
    """Write what management and transparency reports need: a spreadsheet, a deck, a page or one long table.

    Rates with intervals, over- and under-enforcement apart, what changed, what stands out, what is not known yet, how it was
    measured, and the accuracy indicators by language that the EU's DSA asks for. Numbers only: no case text is in it.
    """
    from evenhand.report.model import collect
    from evenhand.report.narrative import headline
    from evenhand.report.write import writer_for

    writers = [(writer_for(target), target) for target in targets]
    workspace, store = here_with_store(ctx)
    report = collect(
        workspace,
        store,
        made_at=now(),
        since=since,
        until=until,
        compare=(compare_since, compare_until) if compare_since or compare_until else None,
        by=tuple(name.strip() for name in by.split(",") if name.strip()),
        filters=filters_from(where),
        unit=unit,
        weight=weight,
        estimand=estimand,
        daily_looks=daily_looks,
        weekly_looks=weekly_looks,
    )
    for write, target in writers:
        write(report, target)
    if to_json:
        return say_json(
            {
                "files": [{"file": target, "bytes": target.stat().st_size} for target in targets],
                "period": report.period,
                "compared_with": report.comparison.period if report.comparison else None,
                "basis": report.basis,
                "overall": report.overall,
                "draws": [drawn.record.draw_id for drawn in report.draws],
                "notes": report.notes,
            }
        )
    click.echo(headline(report))
    for target in targets:
        click.echo(f"wrote {target}")
    for note in report.notes:
        click.echo(f"note: {note}")
