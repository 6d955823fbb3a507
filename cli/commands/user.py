"""The commands `evenhand user add|list|away|back`: the people who use the app."""

from __future__ import annotations

from datetime import date

import click

from cli.common import DAY, as_json, here_with_store, now, say_json, say_table, who
from evenhand.records.people import ROLES, Role, User


@click.group("user")
def command() -> None:
    """Add and list the people who use the app."""


@command.command(
    "add",
    help="Add the person USER_ID with a role, and the markets, languages and capacity given to them;"
    " or change them.",
)
@click.argument("user_id")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--market", "markets", multiple=True, help="A market the person sees; none given means all.")
@click.option("--language", "languages", multiple=True, help="A language the person reads; none means all.")
@click.option("--capacity", type=int, help="Cases of review batches a week; none given means no limit.")
@click.pass_context
def add(
    ctx: click.Context,
    user_id: str,
    role: Role,
    markets: tuple[str, ...],
    languages: tuple[str, ...],
    capacity: int | None,
) -> None:
    """Add or change a person."""
    _, store = here_with_store(ctx)
    user = User(user_id=user_id, role=role, markets=markets, languages=languages, capacity=capacity)
    store.add_user(user, by=who())
    limit = "" if capacity is None else f", {capacity} cases a week"
    click.echo(
        f"{user_id}: {role}, markets {', '.join(markets) or 'all'}, languages {', '.join(languages) or 'all'}{limit}"
    )


@command.command("away")
@click.argument("user_id")
@click.option("--since", type=DAY, help="First day away (UTC); else today.")
@click.option("--until", type=DAY, help="First day back; else until `evenhand user back`.")
@click.pass_context
def away(ctx: click.Context, user_id: str, since: date | None, until: date | None) -> None:
    """Say that USER_ID is away; their cases go to others who can rule on them."""
    _, store = here_with_store(ctx)
    user = store.set_away(user_id, since or now().date(), until, by=who())
    end = f"back on {user.away_until}" if user.away_until else f"until `evenhand user back {user_id}`"
    click.echo(f"{user_id}: away from {user.away_since}, {end}")


@command.command("back")
@click.argument("user_id")
@click.pass_context
def back(ctx: click.Context, user_id: str) -> None:
    """Say that USER_ID is here again."""
    _, store = here_with_store(ctx)
    store.set_away(user_id, None, None, by=who())
    click.echo(f"{user_id}: here")


@command.command("list")
@as_json
@click.pass_context
def list_users(ctx: click.Context, to_json: bool) -> None:
    """List the people who use the app."""
    _, store = here_with_store(ctx)
    users = store.users()
    if to_json:
        return say_json(users)
    if not users:
        return click.echo("nobody yet; add one with `evenhand user add NAME --role sme`")
    say_table(
        [
            {
                "user": u.user_id,
                "role": u.role,
                "markets": ", ".join(u.markets) or "all",
                "languages": ", ".join(u.languages) or "all",
                "capacity": "no limit" if u.capacity is None else u.capacity,
                "away": _away(u, now().date()),
            }
            for u in users
        ]
    )


def _away(user: User, today: date) -> str:
    """The absence of a person, unless it is over."""
    if user.away_since is None or (user.away_until and user.away_until <= today):
        return "-"
    end = f"back on {user.away_until}" if user.away_until else "open end"
    return f"from {user.away_since}, {end}"
