"""The command `evenhand queue`: shows the progress of a review batch."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from cli.common import as_json, here_with_store, now, say_json, say_table

if TYPE_CHECKING:
    from evenhand.batches.balance import QueueBalance
    from evenhand.store import Store


@click.command("queue")
@click.option("--draw", "draw_id", help="The batch; else the newest with open cases.")
@click.option(
    "--by",
    default="market,language",
    show_default=True,
    help="Columns to split by: market, language, queue, area.",
)
@as_json
@click.pass_context
def command(ctx: click.Context, draw_id: str | None, by: str, to_json: bool) -> None:
    """How a review batch stands: open cases, who has them, who can rule on them, hours left."""
    from evenhand.batches.balance import queue_balance

    workspace, store = here_with_store(ctx)
    balance = queue_balance(
        store,
        draw_id or _newest(store),
        at=now(),
        minutes_per_case=workspace.config.review.minutes_per_case,
        by=tuple(name.strip() for name in by.split(",") if name.strip()),
    )
    if to_json:
        return say_json(balance)
    _say(balance)


def _newest(store: Store) -> str:
    """The newest batch with open cases, else the newest."""
    from evenhand.errors import SampleError

    draws = store.draws()
    if not draws:
        raise SampleError("no review batch yet; make one with `evenhand draw --budget N`")
    still_open = [draw for draw in draws if store.progress(draw.draw_id).open]
    return (still_open or draws)[-1].draw_id


def _say(balance: QueueBalance) -> None:
    draw = balance.draw
    days = [f"from {draw.since}" if draw.since else "", f"before {draw.until}" if draw.until else ""]
    period = " ".join(day for day in days if day) or "of all days"
    click.echo(
        f"draw {draw.draw_id}: {draw.budget:,} of {draw.frame_size:,} decisions {period}, scored by"
        f" {draw.model_version}, policy {', '.join(draw.policy_versions)}"
    )
    say_table(
        [
            {
                **row.place,
                "items": row.items,
                "ruled": row.ruled,
                "skipped": row.skipped,
                "open": row.open,
                "in flight": row.held,
                "nobody": row.nobody,
                "later": row.later,
                "hours": f"{row.hours:.1f}",
                "would go to": ", ".join(f"{name} {n}" for name, n in row.planned.items()) or "-",
            }
            for row in balance.rows
        ]
    )
    click.echo(f"{balance.total('open'):,.0f} cases open, {balance.total('hours'):.1f} hours of review")
    say_table(
        [
            {
                "sme": one.user_id,
                "done this week": one.done,
                "capacity": "no limit" if one.capacity is None else one.capacity,
                "in flight": one.held,
                "would get": one.planned,
                "hours": f"{one.hours:.1f}",
                "here": _here(one.absent, one.away_until),
            }
            for one in balance.people
        ]
    )
    for reason, n in balance.skip_reasons.items():
        click.echo(f"skipped, {reason}: {n} (missing in the estimate)")
    for warning in balance.warnings:
        click.echo(f"warning: {warning}")


def _here(absent: str | None, until: date | None) -> str:
    if absent == "away":
        return f"away until {until}" if until else "away"
    return "week is full" if absent else "yes"
