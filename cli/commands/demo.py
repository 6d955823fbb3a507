"""The command `evenhand demo`: the whole loop on synthetic data, with the commands that a user types."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import click
import numpy as np
import polars as pl

from cli.common import now
from evenhand.errors import WorkspaceError
from evenhand.records.batches import DrawRecord
from evenhand.records.people import ROLES, User
from evenhand.records.policy import PolicyVersion
from evenhand.records.ruling import Ruling
from evenhand.statistics.draw import pareto_draw
from evenhand.statistics.estimator import domain_totals, estimates
from evenhand.store import Store
from evenhand.workspace.config import ModelConfig
from evenhand.workspace.files import write_text
from evenhand.workspace.workspace import CONFIG_NAME, open_workspace

#: The last week stays open for the visitor to rule on; simulated SMEs rule on the weeks before.
LAST_WEEK = "2026-03-23"
REDRAWS = 200


def _run(folder: Path, *words: str) -> None:
    from cli.main import evenhand

    click.secho(f"\n$ evenhand {' '.join(words)}", bold=True)
    evenhand.main(args=["--workspace", str(folder), *words], standalone_mode=False)


def _simulated_rulings(
    store: Store, draw: DrawRecord, truth: pl.DataFrame, policies: dict[str, PolicyVersion]
) -> list[Ruling]:
    """The rulings on every item of `draw` by SMEs who know the planted truth."""
    items = store.items(draw.draw_id).join(
        truth.select("decision_id", "true_label"), on="decision_id", how="left", validate="1:1"
    )
    start, rulings = now() - timedelta(minutes=len(items)), []
    for minute, item in enumerate(items.iter_rows(named=True)):
        area = policies[item["policy_version"]].area(item["area"])
        rulings.append(
            Ruling(
                case_id=item["case_id"],
                area=item["area"],
                policy_version=item["policy_version"],
                label=item["true_label"],
                sme_id=f"sme-{item['market'].lower()}",
                ruled_at=start + timedelta(minutes=minute),
                decision_moderator_id=item["moderator_id"],
                error_class=area.error_class(item["label"], item["true_label"]),
                draw_id=draw.draw_id,
                source="ingest",
                rationale="simulated SME",
            )
        )
    return rulings


def held_again(frame: pl.DataFrame, redraws: int, rng: np.random.Generator) -> int:
    """How many of `redraws` new draws have an interval that holds the frame's error rate.

    Each draw uses the frame's own inclusion probabilities. `frame` has `p_overturn`, `pi` and `wrong`
    (whether the planted label is another one). One draw in twenty misses the rate by chance.
    """
    p, pi, y = (frame[name].cast(pl.Float64).to_numpy() for name in ("p_overturn", "pi", "wrong"))
    held = 0
    for _ in range(redraws):
        drawn = pareto_draw(pi, rng.random(len(pi)))
        found = estimates(domain_totals(p, pi, drawn, y[drawn]))[0]
        held += bool(found.low <= y.mean() <= found.high)
    return held


@click.command("demo")
@click.argument("folder", default="demo-workspace", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--budget", type=click.IntRange(10), default=300, show_default=True, help="First review batch.")
@click.option("--decisions", type=click.IntRange(2_000), default=20_000, show_default=True)
@click.option(
    "--encoder", default=ModelConfig.encoder, show_default=True, help="Or a folder with another one."
)
def command(folder: Path, seed: int, budget: int, decisions: int, encoder: str) -> None:
    """Build a workspace in FOLDER from synthetic data and run the whole loop in it.

    Every text is invented and mild. The planted error rate is known, so the estimate can be compared.
    """
    from evenhand.rates.table import estimate_draws
    from evenhand.synthetic import generate

    start = time.monotonic()
    if (folder / CONFIG_NAME).exists():
        if not (folder / "demo" / "done.json").exists():
            raise WorkspaceError(
                f"{folder}: holds an unfinished or other workspace; remove it or name another folder"
            )
        click.echo(f"the demo is built already in {folder}; remove the folder to build it anew")
        return
    _run(folder, "init", str(folder))
    config = folder / CONFIG_NAME
    settings = config.read_text(encoding="utf-8")
    settings = settings.replace("[model]\n", "[model]\nepochs = 2   # the demo is in a hurry\n")
    write_text(config, settings.replace(f'"{ModelConfig.encoder}"', json.dumps(encoder, ensure_ascii=False)))
    data = folder / "demo"
    generate(seed=seed, decisions=decisions, rulings=min(1_200, decisions // 2), out_dir=data)
    _run(folder, "ingest", "decisions", str(data / "decisions.csv.gz"))
    _run(folder, "ingest", "rulings", str(data / "rulings.csv.gz"))
    _run(folder, "train")
    _run(folder, "models", "promote", "challenger", "--note", "demo")
    _run(folder, "score")
    _run(folder, "flags", "--top", "5")
    _run(folder, "conflicts", "--top", "5")
    _run(folder, "draw", "--budget", str(budget), "--until", LAST_WEEK, "--no-explain")
    workspace = open_workspace(folder)
    store = Store.open(workspace.store_url)
    for role in ROLES:
        store.add_user(User(user_id=f"demo-{role}", role=role), by="demo")
    truth = pl.read_parquet(data / "truth.parquet")
    policies = {policy.version: policy for policy in store.policies()}
    first = store.draws()[-1]
    rulings = _simulated_rulings(store, first, truth, policies)
    store.add_rulings(rulings, by="demo")
    wrong = sum(ruling.error_class is not None for ruling in rulings)
    click.echo(f"\nsimulated SMEs ruled on all {len(rulings)} drawn cases and overturned {wrong}")
    _run(folder, "estimate", "--by", "area")
    frame = pl.read_parquet(
        workspace.root / first.frame_file, columns=["decision_id", "label", "p_overturn", "pi"]
    )
    frame = frame.join(truth.select("decision_id", "true_label"), on="decision_id", validate="1:1")
    frame = frame.with_columns(wrong=pl.col("label") != pl.col("true_label"))
    rate = frame["wrong"].mean()
    assert isinstance(rate, float)  # the frame has decisions, so there is a rate
    found = estimate_draws(workspace, store).overall.total
    held = held_again(frame, REDRAWS, np.random.default_rng(seed))
    click.echo(f"\nplanted error rate in the frame  {rate:.1%}")
    click.echo(f"estimated from the draw          {found}")
    click.echo(f"the interval {'holds' if found.low <= rate <= found.high else 'misses'} the planted rate;")
    click.echo(f"of {REDRAWS} other draws by the same chances it holds it in {held} (95% are promised)")
    click.echo(f"a random draw of {len(rulings)} would have found about {rate * len(rulings):.0f} errors")
    _run(folder, "draw", "--budget", "120", "--since", LAST_WEEK)
    seconds = time.monotonic() - start
    done = {
        "seconds": round(seconds, 1),
        "planted_rate": rate,
        "seed": seed,
        "overturned": wrong,
        "held": held,
    }
    (data / "done.json").write_text(json.dumps(done) + "\n", encoding="utf-8")
    click.echo(f"\ndemo built in {seconds:.0f} s; open it with `evenhand --workspace {folder} app`")
