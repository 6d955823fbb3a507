"""The command `evenhand report`: writes a report file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.common import (
    DAY,
    as_json,
    asks,
    columns_from,
    here_with_store,
    now,
    say_json,
    say_notes,
)

if TYPE_CHECKING:
    from evenhand.rates.question import Question
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
@asks(share=True)
@click.option("--compare-since", type=DAY, help="First day of the period to compare with ...")
@click.option(
    "--compare-until", type=DAY, help="... and the day after its last; else the same length before --since."
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
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    targets: tuple[Path, ...],
    compare_since: date | None,
    compare_until: date | None,
    by: str,
    unit: Unit | None,
    question: Question,
    to_json: bool,
) -> None:
    """Write what management and transparency reports need: a spreadsheet, a deck, a page or one long table.

    Rates with intervals, over- and under-enforcement apart, what changed, what stands out, what is not known
    yet, how it was measured, and the accuracy indicators by language that the EU's DSA asks for. Numbers
    only: no case text is in it.
    """
    from evenhand.report.model import collect
    from evenhand.report.narrative import headline
    from evenhand.report.write import writer_for
    from evenhand.wording.notes import said_note

    writers = [(writer_for(target), target) for target in targets]
    workspace, store = here_with_store(ctx)
    report = collect(
        workspace,
        store,
        question,
        by=columns_from(by),
        made_at=now(),
        compare=(compare_since, compare_until) if compare_since or compare_until else None,
        unit=unit,
    )
    for write, target in writers:
        write(report, target)
    if to_json:
        return say_json(
            {
                "files": [{"file": target, "bytes": target.stat().st_size} for target in targets],
                "period": report.period,
                "compared_with": report.comparison.period if report.comparison else None,
                "basis": {
                    "weight": report.question.weight,
                    "estimand": report.question.estimand,
                    "looks": str(report.question.looks),
                    "asked_confidence": report.confidence,
                },
                "overall": report.overall,
                "draws": [drawn.record.draw_id for drawn in report.draws],
                "notes": [said_note(note) for note in report.notes],
            }
        )
    click.echo(headline(report))
    for target in targets:
        click.echo(f"wrote {target}")
    say_notes(report.notes)
