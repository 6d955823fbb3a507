"""The command `evenhand flags`: ranks the open decisions."""

from __future__ import annotations

from pathlib import Path

import click

from cli.common import as_json, filters_from, here_with_store, say_json, say_table


@click.command("flags")
@click.option("--top", type=click.IntRange(1), help="How many; all for a file, 20 on screen.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated.")
@click.option("--include-ruled", is_flag=True, help="Also those that an SME has ruled on, with the ruling.")
@click.option("--model", "version", default="champion", show_default=True, help="A version number or alias.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    top: int | None,
    out: Path | None,
    where: tuple[str, ...],
    include_ruled: bool,
    version: str,
    to_json: bool,
) -> None:
    """Rank the open decisions by p_overturn, with reasons.

    Decisions that an SME has ruled on under their policy version are left out; the others keep their rank.
    """
    from evenhand.flags import top_flags
    from evenhand.workspace.files import write_table
    from models.registry import Registry

    workspace, store = here_with_store(ctx)
    name = Registry(workspace).name(version)
    found = top_flags(
        workspace,
        store,
        name,
        top=top or (None if out else 20),
        where=filters_from(where),
        include_ruled=include_ruled,
    )
    flags = found.table
    if to_json and not out:
        say_json(flags.to_dicts())
        return
    if out:
        write_table(flags, out)
        click.echo(f"{flags.height:,} flags written to {out}")
    else:
        say_table(flags.drop("model_version", "policy_version").to_dicts())
    if found.unscored:
        said = ", ".join(f"{n:,} under {version}" for version, n in found.unscored.items())
        click.echo(
            f"no flag for decisions without a score: {said}; run `evenhand score`, or `evenhand train` for a new version"
        )
    if found.ruled and not include_ruled:
        none = "" if flags.height else "no open flag; "
        click.echo(
            f"{none}left out, because an SME has ruled on them: {found.ruled:,}; --include-ruled shows them"
        )
