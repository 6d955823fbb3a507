"""Writes `docs/reference/commands.md`: the help of every command, as click prints it.

python docs/make/commands.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "commands.md"
HEAD = """\
# Commands

Every command and its options, as `--help` prints them. This page is generated: `make docs` writes it anew, and a test fails where it is old.
`--workspace` stands before the command: `evenhand --workspace FOLDER estimate`. Exit codes: 0 fine, 2 you can fix it, 3 the outside world failed.
"""


def commands(
    command: click.Command, words: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Every command under `command` with the words that call it and its help, 90 columns wide."""
    context = click.Context(
        command, info_name=words.split()[-1], parent=parent, terminal_width=90, **command.context_settings
    )
    yield words, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None  # it was just listed
            yield from commands(inner, f"{words} {name}", context)


def page() -> str:
    """The whole page."""
    from cli.main import evenhand

    parts = [HEAD]
    for words, text in commands(evenhand, "evenhand"):
        level = "##" if words.count(" ") < 2 else "###"
        parts.append(f"\n{level} {words}\n\n```text\n{text.rstrip()}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
