"""The command `evenhand draw`: draws a review batch."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from cli.common import DAY, as_json, filters_from, here_with_store, now, say_json, who
from evenhand.workspace.telemetry import quiet

if TYPE_CHECKING:
    import polars as pl


@click.command("draw")
@click.option("--budget", type=int, required=True, help="How many cases the SMEs will review.")
@click.option(
    "--kappa", type=float, help="Half-width to allow, relative to a random draw; else evenhand.toml."
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="With the number of the draw it makes the random numbers; no two draws share them.",
)
@click.option("--since", type=DAY, help="First day of the period.")
@click.option("--until", type=DAY, help="DAY after the last.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated.")
@click.option("--model", "version", default="champion", show_default=True, help="A version number or alias.")
@click.option("--explain/--no-explain", default=True, help="Prepare the explanation cards.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    budget: int,
    kappa: float | None,
    seed: int,
    since: date | None,
    until: date | None,
    where: tuple[str, ...],
    version: str,
    explain: bool,
    to_json: bool,
) -> None:
    """Draw a review batch; every case carries its inclusion probability from now on."""
    from evenhand.batches.draw import make_draw
    from models.registry import Registry

    workspace, store = here_with_store(ctx)
    quiet(allow_download=workspace.config.model.allow_download)
    registry = Registry(workspace)

    def cards(decisions: pl.DataFrame) -> list[dict[str, Any]]:
        from models.explain.explanation import explain as explain_decisions

        return explain_decisions(registry.load(version), decisions)

    draw = make_draw(
        workspace,
        store,
        budget=budget,
        kappa=workspace.config.draw.kappa if kappa is None else kappa,
        seed=seed,
        model=registry.name(version),
        since=since,
        until=until,
        filters=filters_from(where),
        by=who(),
        at=now(),
        explain=cards if explain else None,
    )
    if to_json:
        return say_json(draw)
    click.echo(
        f"draw {draw.draw_id}: {draw.budget:,} of {draw.frame_size:,} decisions, {draw.phi:.0%} of the budget"
        f" on the highest scores, the rest spread (smallest inclusion probability {draw.pi_min:.2g})"
    )
    if draw.excluded_ruled:
        click.echo(f"{draw.excluded_ruled:,} decisions had a ruling already and are outside the frame")
    if draw.unscored:
        click.echo(
            f"warning: {draw.unscored:,} decisions have no score by {draw.model_version} and are outside the frame; run"
            " `evenhand score`, and `evenhand train` where a policy version is new"
        )
    if draw.dated_later:
        click.echo(
            f"warning: {draw.dated_later:,} decisions are dated later than now; check the clock of their export"
        )
    click.echo("next: evenhand app; evenhand queue shows who has what")
