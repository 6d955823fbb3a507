"""The commands `evenhand ingest decisions|rulings`: take files in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.common import as_json, here_with_store, say_json, who
from evenhand.errors import IngestError

if TYPE_CHECKING:
    from evenhand.ingest import IngestReport

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
_STRICT = click.option("--strict", is_flag=True, help="Exit 2 if any row was quarantined.")


@click.group("ingest")
def command() -> None:
    """Take in decisions or rulings from CSV, JSONL or Parquet (gzip is fine), checked row by row."""


def _finish(reports: list[tuple[Path, IngestReport]], *, to_json: bool, strict: bool, note: str = "") -> None:
    if to_json:
        say_json([{"file": file, **_fields(report)} for file, report in reports])
    else:
        for file, report in reports:
            click.echo(
                f"{file.name}: {report.rows:,} rows, {report.added:,} added, {report.unchanged:,} unchanged,"
                f" {report.quarantined:,} quarantined"
            )
            for reason, count in sorted(report.reasons.items(), key=lambda pair: -pair[1]):
                click.echo(f"  {count:,} x {reason}")
            if report.quarantine_file:
                click.echo(f"  the rows are in {report.quarantine_file}")
        if note:
            click.echo(note)
    for file, report in reports:
        if report.rows and report.quarantined == report.rows:
            raise IngestError(f"{file}: no row was good; see {report.quarantine_file}")
        if strict and report.quarantined:
            raise IngestError(f"{file}: {report.quarantined:,} rows quarantined, and --strict was given")


def _fields(report: IngestReport) -> dict[str, object]:
    return {name: getattr(report, name) for name in report.__dataclass_fields__}


@command.command("decisions")
@_FILES
@_STRICT
@as_json
@click.pass_context
def decisions(ctx: click.Context, files: tuple[Path, ...], strict: bool, to_json: bool) -> None:
    """Take in moderators' decisions. The same file twice changes nothing."""
    from evenhand.ingest import ingest_decisions

    workspace, store = here_with_store(ctx)
    policies = store.policies()
    reports = [(file, ingest_decisions(workspace, policies, file)) for file in files]
    _finish(reports, to_json=to_json, strict=strict)


@command.command("rulings")
@_FILES
@click.option("--draw", "draw_id", help="The rulings are of this draw's items; they enter its error rate.")
@click.option(
    "--panel", is_flag=True, help="They are a panel's word on what SMEs ruled; see `evenhand panel`."
)
@_STRICT
@as_json
@click.pass_context
def rulings(
    ctx: click.Context, files: tuple[Path, ...], draw_id: str | None, panel: bool, strict: bool, to_json: bool
) -> None:
    """Take in SME rulings. Without --draw they are gold for training and stay out of error rates."""
    from evenhand.ingest import ingest_rulings

    workspace, store = here_with_store(ctx)
    reports = [
        (file, ingest_rulings(workspace, store, file, by=who(), draw_id=draw_id, panel=panel))
        for file in files
    ]
    kept = sum(report.added for _, report in reports)
    note = "" if draw_id else f"{kept:,} rulings kept as gold for training; not drawn, so out of error rates"
    _finish(reports, to_json=to_json, strict=strict, note=note)
