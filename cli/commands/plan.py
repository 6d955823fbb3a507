"""The command `evenhand plan`: says what a draw will find and what it costs."""

from __future__ import annotations

from datetime import date

import click

from cli.common import DAY, as_json, filters_from, here_with_store, plain, say_json, say_table


@click.command("plan")
@click.option("--budget", type=int, required=True, help="How many cases the SMEs will review.")
@click.option(
    "--kappa", type=float, help="Half-width to allow, relative to a random draw; else evenhand.toml."
)
@click.option("--by", default="market", show_default=True, help="Column whose values get a row each.")
@click.option(
    "--target", type=click.FloatRange(0.0001, 0.5), default=0.01, show_default=True, help="Half-width wanted."
)
@click.option("--since", type=DAY, help="First day of the period.")
@click.option("--until", type=DAY, help="DAY after the last.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Like market=TH; may be repeated.")
@click.option("--model", "version", default="champion", show_default=True, help="A version number or alias.")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    budget: int,
    kappa: float | None,
    by: str,
    target: float,
    since: date | None,
    until: date | None,
    where: tuple[str, ...],
    version: str,
    to_json: bool,
) -> None:
    """Say what a draw of that size will find, how wide its intervals will be, and what it costs."""
    from evenhand.batches.plan import make_plan
    from evenhand.batches.population import scored_frame
    from evenhand.errors import UserError
    from evenhand.records.columns import DOMAINS
    from models.registry import Registry

    if by not in DOMAINS:
        raise UserError(f"cannot split by {by!r}; use {', '.join(DOMAINS)}")
    workspace, store = here_with_store(ctx)
    settings = workspace.config.draw
    frame, left_out = scored_frame(
        workspace,
        store,
        Registry(workspace).name(version),
        since=since,
        until=until,
        filters=filters_from(where),
        columns=tuple(dict.fromkeys(("p_overturn", by, *settings.cells))),
    )
    plan = make_plan(
        frame,
        budget,
        kappa=settings.kappa if kappa is None else kappa,
        floor=settings.floor,
        cell_floor=settings.cell_floor,
        cells=settings.cells,
        by=by,
        minutes_per_case=workspace.config.review.minutes_per_case,
        target=target,
    )
    if to_json:
        return say_json({**plain(plan), **left_out._asdict()})
    click.echo(
        f"{plan.budget:,} of {plan.frame_size:,} decisions, about {plan.hours:.1f} SME hours: {plan.advice}"
    )
    if left_out.unscored:
        click.echo(
            f"warning: {left_out.unscored:,} more decisions have no score and cannot be drawn; run `evenhand score`, and"
            " `evenhand train` where a policy version is new"
        )
    say_table(
        [
            {
                "kappa": option.kappa or "measure only",
                "errors found": round(option.errors),
                "random": round(option.errors_random),
                "interval": f"±{option.half_width:.1%}",
                "random ": f"±{option.half_width_random:.1%}",
                "chosen": "<-" if option == plan.chosen else "",
            }
            for option in plan.frontier
        ]
    )
    click.echo("")
    say_table(
        [
            {
                by: row.name,
                "decisions": row.decisions,
                "reviews": round(row.reviews),
                "expected rate": f"{row.expected_rate:.1%}",
                "interval": f"±{row.half_width:.1%}" if row.measured else "stays unknown",
                f"budget for ±{target:.1%}": row.reviews_for_target,
            }
            for row in plan.domains
        ]
    )
    click.echo(f"\n{plan.unknown_cells:.0%} of the {' x '.join(settings.cells)} cells will stay unknown")
    return None
