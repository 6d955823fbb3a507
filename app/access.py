"""Who may see what: the pages of each role, and the rows of each person's markets and languages."""

from __future__ import annotations

import polars as pl

from evenhand.errors import UserError
from evenhand.records.people import Role, User

MANAGERS = ("overview", "error_rates", "improvement", "plan", "method")
#: Pages by role, in order; the first is where a person starts. Management sees numbers, not texts.
PAGES: dict[Role, tuple[str, ...]] = {
    "sme": ("review", "flags", "conflicts"),
    "ml": ("flags", "conflicts", *MANAGERS, "models"),
    "management": MANAGERS,
    "admin": ("review", "flags", "conflicts", *MANAGERS, "models"),
}


def may_open(user: User, page: str) -> bool:
    """Whether the role of a person includes a page."""
    return page in PAGES[user.role]


def allowed(user: User | None, page: str) -> User:
    """The person, if their role includes `page`; UserError otherwise, and where nobody is here."""
    if user is None or not may_open(user, page):
        raise UserError(f"your role does not include the page {page!r}; ask an admin")
    return user


def in_reach(user: User) -> pl.Expr:
    """Whether a row is of the markets and languages of a person, as `User.can_rule` has it."""
    market, language = pl.col("market"), pl.col("language")
    tests = [market.is_in(user.markets)] if user.markets else []
    if user.languages:
        tests.append(
            pl.any_horizontal(
                (language == one) | language.str.starts_with(f"{one}-") for one in user.languages
            )
        )
    return pl.all_horizontal(pl.lit(True), *tests)
