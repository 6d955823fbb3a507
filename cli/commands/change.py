"""`evenhand change`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from cli.common import Day, as_json, filters_from, here_with_store, say_json, say_table

if TYPE_CHECKING:
    from evenhand.rates.table import Rates


@click.command("change")
@click.option("--at", type=Day(), help="Compare before this day with this day and after.")
@click.option("--from-version", help="Or compare decisions under this policy version ...")
@click.option("--to-version", help="... with those under this one.")
@click.option("--since", type=Day(), help="First day to look at.")
@click.option("--until", type=Day(), help="Day after the last.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    at: date | None,
    from_version: str | None,
    to_version: str | None,
    since: date | None,
    until: date | None,
    where: tuple[str, ...],
    to_json: bool,
) -> None:
    """Say whether error rates changed between two periods or policy versions, or whether it is noise."""
    from evenhand.errors import UserError
    from evenhand.rates.table import OUTCOMES, estimate_draws
    from evenhand.statistics.change import change

    if (at is None) == (from_version is None and to_version is None):
        raise UserError("say what to compare: --at DAY, or --from-version and --to-version")
    if at is None and not (from_version and to_version):
        raise UserError("--from-version and --to-version go together")
    workspace, store = here_with_store(ctx)
    filters = filters_from(where)

    def rates(first: date | None, last: date | None, version: str | None) -> Rates:
        chosen = {**filters, "policy_version": version} if version else filters
        return estimate_draws(workspace, store, since=first, until=last, filters=chosen).overall

    before = rates(since, at or until, from_version)
    after = rates(at or since, until, to_version)
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
