"""`evenhand flags`."""

from __future__ import annotations

from pathlib import Path

import click

from evenhand.commands.common import as_json, filters_from, here, say_json, say_table


@click.command("flags")
@click.option("--top", type=click.IntRange(1), help="How many; all for a file, 20 on screen.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated.")
@click.option("--model", "version", default="champion", show_default=True, help="A version number or alias.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    top: int | None,
    out: Path | None,
    where: tuple[str, ...],
    version: str,
    to_json: bool,
) -> None:
    """Rank the decisions by p_overturn, with reasons."""
    from evenhand.files import write_table
    from models.flags import top_flags
    from models.registry import Registry

    workspace = here(ctx)
    name = Registry(workspace).name(version)
    flags = top_flags(workspace, name, top=top or (None if out else 20), where=filters_from(where))
    if out:
        write_table(flags, out)
        click.echo(f"{len(flags):,} flags written to {out}")
    elif to_json:
        say_json(flags.to_dicts())
    else:
        say_table(flags.drop("model_version", "policy_version").to_dicts())
