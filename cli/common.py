"""What the commands share: options, the workspace, the person who asks, and output as table or JSON."""

from __future__ import annotations

import functools
import getpass
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from evenhand.errors import UserError
from evenhand.records.checks import FIRST_TIME, LAST_TIME
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace, find_workspace, open_workspace

if TYPE_CHECKING:
    from evenhand.rates.notes import Note

F = TypeVar("F", bound=Callable[..., Any])


def as_json(command: F) -> F:
    """Add `--json` to a command that prints a table."""
    return click.option("--json", "to_json", is_flag=True, help="Print JSON instead of a table.")(command)


class Day(click.ParamType[date]):
    """A calendar day like 2026-03-01."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """`value` as a date."""
        if isinstance(value, date):
            return value
        try:
            day = date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day; write it like 2026-03-01", param, ctx)
        if not FIRST_TIME.date() <= day < LAST_TIME.date():
            self.fail(f"{value!r} is not in the years {FIRST_TIME.year} to {LAST_TIME.year - 1}", param, ctx)
        return day


DAY = Day()

#: Options that say which decisions a question is about, in the order of `--help`.
_WINDOW = (
    click.option("--since", type=DAY, help="First day on which the decisions were made (UTC)."),
    click.option("--until", type=DAY, help="Day after the last."),
    click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated."),
)
#: Options that say what a rate is a share of, whose word counts, and how often people look.
_SHARE = (
    click.option(
        "--weight",
        type=click.Choice(["decisions", "exposure"]),
        default="decisions",
        show_default=True,
        help="Share of decisions that are wrong, or of views that went to wrongly decided content.",
    ),
    click.option(
        "--estimand",
        type=click.Choice(["sme", "panel"]),
        default="sme",
        show_default=True,
        help="What one SME would overturn, or what a panel would (see `evenhand panel`).",
    ),
    click.option(
        "--daily-looks", is_flag=True, help="Intervals that hold however often you look, day after day."
    ),
    click.option(
        "--weekly-looks", type=click.IntRange(min=1), metavar="K", help="The same for K weekly looks."
    ),
)
_SPLIT = click.option(
    "--by", default="", help="Columns to split by, like market,area; also day, week or month."
)
_DRAWS = click.option(
    "--draw", "draw_ids", multiple=True, help="Only these draws; else all with disjoint frames."
)


def asks(*, split: bool = False, share: bool = False, draws: bool = False) -> Callable[[F], F]:
    """Give a command the options of a question, and pass the question on as `question`.

    Always `--since`, `--until` and `--where`; `split`: `--by`; `share`: `--weight`, `--estimand`,
    `--daily-looks` and `--weekly-looks`; `draws`: `--draw`.
    """
    options = [
        *([_SPLIT] if split else []),
        *_WINDOW,
        *(_SHARE if share else ()),
        *([_DRAWS] if draws else []),
    ]

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def asking(*args: Any, **given: Any) -> Any:
            from evenhand.rates.question import Question
            from evenhand.statistics.repeated_looks import Looks

            asked: dict[str, Any] = {name: given.pop(name) for name in ("since", "until")}
            asked["filters"] = filters_from(given.pop("where"))
            if split:
                asked["by"] = tuple(columns_from(given.pop("by")))
            if share:
                asked |= {name: given.pop(name) for name in ("weight", "estimand")}
                asked["looks"] = Looks(daily=given.pop("daily_looks"), weeks=given.pop("weekly_looks"))
            if draws:
                asked["draws"] = tuple(given.pop("draw_ids"))
            return command(*args, question=Question(**asked), **given)

        for option in reversed(options):
            asking = option(asking)
        return cast(F, asking)

    return decorate


def columns_from(text: str) -> list[str]:
    """`"market, area"` as a list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def here(ctx: click.Context) -> Workspace:
    """The workspace that the user named."""
    return open_workspace(find_workspace(ctx.find_root().obj))


def here_with_store(ctx: click.Context) -> tuple[Workspace, Store]:
    """The workspace that the user named, and its store, migrated."""
    workspace = here(ctx)
    return workspace, Store.open(workspace.store_url)


def who() -> str:
    """Who runs the command, for the audit log: EVENHAND_USER, else the login name."""
    if name := os.environ.get("EVENHAND_USER"):
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)


def filters_from(pairs: Sequence[str]) -> dict[str, str]:
    """`("market=TH", "queue=live")` as a mapping."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name or not value:
            raise UserError(f"--where {pair!r}: write it like --where market=TH")
        if name in found:
            raise UserError(f"--where {name} stands there twice; give each column one value")
        found[name] = value
    return found


def plain(value: Any) -> Any:
    """`value` in a form that JSON can hold."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "item"):
        return value.item()
    return value


def say_json(data: Any) -> None:
    """Print `data` as JSON on standard output."""
    click.echo(json.dumps(plain(data), ensure_ascii=False, indent=2, allow_nan=False))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value)


def say_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Print `rows` as an aligned table, numbers right-aligned."""
    if not rows:
        return
    columns = list(columns or rows[0])
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(columns)]
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in columns]
    click.echo("  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    for line in cells:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        click.echo("  ".join(parts).rstrip())


def say_notes(notes: Sequence[Note]) -> None:
    """Print the notes on a rate, one per line."""
    from evenhand.wording.notes import said_note

    for note in notes:
        click.echo(f"note: {said_note(note)}")
