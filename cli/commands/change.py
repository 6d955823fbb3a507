"""The command `evenhand change`: did error rates change?"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from cli.common import DAY, as_json, asks, here_with_store, say_json, say_table

if TYPE_CHECKING:
    from evenhand.rates.measure import Rates
    from evenhand.rates.question import Question


@click.command("change")
@click.option("--at", type=DAY, help="Compare before this day with this day and after.")
@click.option("--from-version", help="Or compare decisions under this policy version ...")
@click.option("--to-version", help="... with those under this one.")
@asks()
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    at: date | None,
    from_version: str | None,
    to_version: str | None,
    question: Question,
    to_json: bool,
) -> None:
    """Say whether error rates changed between two periods or policy versions, or whether it is noise."""
    from evenhand.errors import UserError
    from evenhand.rates.measure import OUTCOMES
    from evenhand.rates.table import estimate_draws
    from evenhand.statistics.change import change

    if (at is None) == (from_version is None and to_version is None):
        raise UserError("say what to compare: --at DAY, or --from-version and --to-version")
    if at is None and not (from_version and to_version):
        raise UserError("--from-version and --to-version go together")
    workspace, store = here_with_store(ctx)

    def rates(asked: Question, version: str | None) -> Rates:
        return estimate_draws(
            workspace, store, asked.of(policy_version=version) if version else asked
        ).overall

    before = rates(question.within(None, at), from_version)
    after = rates(question.within(at, None), to_version)
    changes = {name: change(getattr(before, name), getattr(after, name)) for name in OUTCOMES}
    if to_json:
        return say_json({"before": before, "after": after, "changes": changes})
    say_table(
        [
            {
                "outcome": name.replace("_", " "),
                "before": str(getattr(before, name)),
                "after": str(getattr(after, name)),
                "change": str(found),
            }
            for name, found in changes.items()
        ]
    )
