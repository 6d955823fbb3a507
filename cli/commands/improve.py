"""The commands `evenhand improve find|open|set|measure|close|list`: improvement areas and their actions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import click

from cli.common import (
    DAY,
    as_json,
    asks,
    filters_from,
    here_with_store,
    now,
    plain,
    say_json,
    say_notes,
    say_table,
    who,
)
from evenhand.records.ruling import CAUSES

if TYPE_CHECKING:
    from evenhand.rates.question import Question


@click.group("improve")
def command() -> None:
    """Find slices that are wrong more often than elsewhere, act on them, and measure whether it worked."""


@command.command(
    "find",
    help="Name the slices whose error rate stands out, those with most excess errors first;"
    " a tenth may be noise.",
)
@asks(draws=True)
@as_json
@click.pass_context
def find(ctx: click.Context, question: Question, to_json: bool) -> None:
    """Name the slices whose error rate stands out, those with most excess errors first."""
    from evenhand.rates.improvement_areas import find_areas
    from evenhand.wording.notes import said_note

    workspace, store = here_with_store(ctx)
    areas, notes = find_areas(workspace, store, question)
    if to_json:
        return say_json({"areas": areas, "notes": [said_note(note) for note in notes]})
    if not areas:
        click.echo("no slice stands out so far; that is no proof that none is there")
    for area in areas:
        click.echo(area.sentence())
        click.echo(f"  take it up: evenhand improve open {_options(area.where)}")
    say_notes(notes)
    return None


@command.command("open")
@click.option("--where", multiple=True, required=True, metavar="COLUMN=VALUE", help="The slice.")
@click.option("--owner", default="", help="Who sees to it.")
@click.option("--cause", type=click.Choice(CAUSES), default=None, help="Why it went wrong.")
@click.option("--due", default="", help="By which day, like 2026-03-01.")
@click.option("--action", default="", help="What is done about it.")
@as_json
@click.pass_context
def open_one(
    ctx: click.Context,
    where: tuple[str, ...],
    owner: str,
    cause: str | None,
    due: str,
    action: str,
    to_json: bool,
) -> None:
    """Take up a slice: its rate of today is noted, so that a re-measure has something to compare with."""
    from evenhand.rates.question import Question
    from evenhand.rates.table import estimate_draws

    workspace, store = here_with_store(ctx)
    place = filters_from(where)
    found = plain(estimate_draws(workspace, store, Question(filters=place)).overall.total)
    given = _given(owner=owner, cause=cause, due=due, action=action)
    improvement_id = store.open_improvement(place, found, by=who(), at=now(), **given)
    if to_json:
        return say_json(store.improvement(improvement_id))
    click.echo(f"{improvement_id}: opened for {_words(place)}")


@command.command("set")
@click.argument("improvement_id")
@click.option("--owner", default="", help="Who sees to it.")
@click.option("--cause", type=click.Choice(CAUSES), default=None, help="Why it went wrong.")
@click.option("--due", default="", help="By which day, like 2026-03-01.")
@click.option("--action", default="", help="What is done about it.")
@click.pass_context
def set_one(
    ctx: click.Context, improvement_id: str, owner: str, cause: str | None, due: str, action: str
) -> None:
    """Say who sees to it, why it went wrong, by when, and what is done."""
    _, store = here_with_store(ctx)
    given = _given(owner=owner, cause=cause, due=due, action=action)
    if not given:
        raise click.UsageError("say what to set: --owner, --cause, --due or --action")
    store.set_improvement(improvement_id, by=who(), at=now(), **given)
    click.echo(f"{improvement_id}: noted")


@command.command("measure")
@click.argument("improvement_id")
@click.option(
    "--at", "day", type=DAY, help="The day from which the action should show; else the day it was noted."
)
@as_json
@click.pass_context
def measure(ctx: click.Context, improvement_id: str, day: date | None, to_json: bool) -> None:
    """Compare the slice's decisions before the action with those after it."""
    from evenhand.rates.improvement_areas import remeasure

    workspace, store = here_with_store(ctx)
    found = remeasure(workspace, store, improvement_id, day, by=who(), at=now())
    if to_json:
        return say_json(found)
    click.echo(
        f"{_words(store.improvement(improvement_id).where)}: {found['before']['rate']:.1%} before {found['at']},"
        f" {found['after']['rate']:.1%} since; {found['verdict']}:"
        f" {100 * found['difference']:+.1f} points ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    )


@command.command("close")
@click.argument("improvement_id")
@click.option("--reason", required=True, help="Why.")
@click.pass_context
def close(ctx: click.Context, improvement_id: str, reason: str) -> None:
    """Close it, with a reason."""
    _, store = here_with_store(ctx)
    store.close_improvement(improvement_id, reason, by=who(), at=now())
    click.echo(f"{improvement_id}: closed")


@command.command("list")
@as_json
@click.pass_context
def list_all(ctx: click.Context, to_json: bool) -> None:
    """List what was taken up, oldest first."""
    _, store = here_with_store(ctx)
    everything = store.improvements()
    if to_json:
        return say_json(everything)
    say_table(
        [
            {
                "id": one.improvement_id,
                "slice": _words(one.where),
                "state": "open" if one.open else "closed",
                "rate then": f"{one.found['rate']:.1%}",
                "owner": one.owner or "-",
                "due": one.due or "-",
                "action": one.action or "-",
                "worked": one.measured[-1]["verdict"] if one.measured else "not measured",
            }
            for one in everything
        ]
    )
    if not everything:
        click.echo("nothing taken up yet; `evenhand improve find` names candidates")


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}


def _words(where: Mapping[str, str]) -> str:
    return ", ".join(f"{column} {value}" for column, value in where.items())


def _options(where: Mapping[str, str]) -> str:
    return " ".join(f"--where {column}={value}" for column, value in where.items())
