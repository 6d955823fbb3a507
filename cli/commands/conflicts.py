"""The command `evenhand conflicts`: lists near-identical content that was decided differently."""

from __future__ import annotations

from pathlib import Path

import click
import polars as pl

from cli.common import as_json, here, say_json, say_table
from evenhand.errors import UserError
from evenhand.similar.conflicts import ACROSS


@click.command("conflicts")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Groups to print.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all to a .csv or .parquet file."
)
@click.option(
    "--across",
    multiple=True,
    type=click.Choice(tuple(ACROSS)),
    help="Only where decisions of several of these differ; may be repeated.",
)
@click.option(
    "--within-one",
    multiple=True,
    type=click.Choice(tuple(ACROSS.values())),
    help="Only where a single one of these decided both ways; may be repeated.",
)
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    top: int,
    out: Path | None,
    across: tuple[str, ...],
    within_one: tuple[str, ...],
    to_json: bool,
) -> None:
    """List near-identical content that was decided differently, and who deviates from the majority."""
    from evenhand.similar.conflicts import lies, publish_conflicts
    from evenhand.workspace.files import atomic_path
    from evenhand.workspace.lake import decision_files

    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise UserError(f"{out}: conflicts are written as .csv or .parquet")
    workspace = here(ctx)
    if not decision_files(workspace):
        raise UserError(f"{workspace.root}: no decisions yet; run `evenhand ingest decisions FILE`")
    found = publish_conflicts(workspace).filter(*lies(across=across, within_one=within_one))
    if out is not None:
        with atomic_path(out) as part:
            found.write_csv(part) if out.suffix == ".csv" else found.write_parquet(part)
    groups = found["conflict_id"].unique(maintain_order=True)
    shown = found.join(groups.head(top).to_frame(), on="conflict_id", how="semi", maintain_order="left")
    if to_json:
        return say_json({"groups": len(groups), "decisions": found.height, "conflicts": shown.to_dicts()})
    if not found.height:
        click.echo(
            "no near-identical content was decided differently"
            + (" in that way" if across + within_one else "")
        )
        return None
    deviating = int(found["deviates"].sum())
    click.echo(
        f"{len(groups):,} groups with {found.height:,} decisions, {deviating:,} of them against the majority"
    )
    say_table([_line(group) for _, group in shown.group_by("conflict_id", maintain_order=True)])
    return None


def _line(group: pl.DataFrame) -> dict[str, object]:
    """One group in one line: what most people decided, and who decided otherwise."""
    others = group.filter(pl.col("deviates"))
    first = group.row(0, named=True)
    return {
        "area": first["area"],
        "policy version": first["policy_version"],
        "decisions": group.height,
        "majority": first["majority_label"] or "tie",
        "share": first["share_of_majority"],
        "deviating": others.height,
        "their labels": ", ".join(others["label"].unique().sort()) or "-",
        "their moderators": ", ".join(others["moderator_id"].unique().sort().head(5)) or "-",
        "across": first["across"] or "-",
        "within one": first["within_one"] or "-",
        "one case": first["case_id"],
    }
