"""`evenhand user add|list`."""

from __future__ import annotations

import click

from evenhand.commands.common import as_json, here_with_store, say_json, say_table, who
from evenhand.store import User


@click.group("user")
def command() -> None:
    """Add and list the people who use the app."""


@command.command("add")
@click.argument("user_id")
@click.option("--role", type=click.Choice(["sme", "ml", "management", "admin"]), required=True)
@click.option("--market", "markets", multiple=True, help="A market the person sees; none given means all.")
@click.option("--language", "languages", multiple=True, help="A language the person reads; none means all.")
@click.pass_context
def add(
    ctx: click.Context, user_id: str, role: str, markets: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    """Add the person USER_ID with a role, and the markets and languages given to them."""
    _, store = here_with_store(ctx)
    store.add_user(User(user_id=user_id, role=role, markets=markets, languages=languages), by=who())  # type: ignore[arg-type]
    click.echo(
        f"{user_id}: {role}, markets {', '.join(markets) or 'all'}, languages {', '.join(languages) or 'all'}"
    )


@command.command("list")
@as_json
@click.pass_context
def list_users(ctx: click.Context, to_json: bool) -> None:
    """List the people who use the app."""
    _, store = here_with_store(ctx)
    users = store.users()
    if to_json:
        return say_json(users)
    say_table(
        [
            {
                "user": u.user_id,
                "role": u.role,
                "markets": ", ".join(u.markets) or "all",
                "languages": ", ".join(u.languages) or "all",
            }
            for u in users
        ]
    )
