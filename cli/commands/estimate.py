"""The command `evenhand estimate`: prints error rates with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.common import as_json, asks, here_with_store, plain, say_json, say_notes, say_table

if TYPE_CHECKING:
    from evenhand.rates.question import Question


@click.command("estimate")
@asks(split=True, share=True, draws=True)
@as_json
@click.pass_context
def command(ctx: click.Context, question: Question, to_json: bool) -> None:
    """Error rates with intervals, over- and under-enforcement apart."""
    from evenhand.rates.table import estimate_draws
    from evenhand.wording.notes import said_note

    workspace, store = here_with_store(ctx)
    table = estimate_draws(workspace, store, question)
    if to_json:
        asked = table.question
        return say_json(
            {
                **plain(table),
                "by": asked.by,
                "weight": asked.weight,
                "estimand": asked.estimand,
                "since": asked.since,
                "until": asked.until,
                "looks": str(asked.looks),
                "asked_confidence": table.confidence,
                "outside": table.outside,
                "notes": [said_note(note) for note in table.notes],
            }
        )
    say_table(table.rows())
    say_notes(table.notes)
