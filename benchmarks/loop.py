"""Runs the whole loop on a public data set with votes, through the commands that a user types.

    python benchmarks/loop.py --data FILE --workspace DIR --json OUT [--areas A B] [--languages L M]
        [--limit N]

In each row, one random vote is the moderator's decision. The gold, or the majority of the other votes, is the
SME's ruling. Rulings are revealed for a share of the groups; everything is measured on the rest, which no
model has seen.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from votes import Adapted, adapt

from models.compare.metrics import evaluate


class Commands:
    """Runs `evenhand` in a workspace and keeps the seconds of each stage.

    Each command runs in a new process, or in this one to save start-up time.
    """

    def __init__(self, workspace: Path, *, here: bool = False) -> None:
        self.workspace = workspace
        self.here = here
        self.seconds: dict[str, float] = {}

    def run(self, *words: str, stage: str) -> str:
        """Standard output of `evenhand WORDS`; stops the benchmark if it fails."""
        began = time.monotonic()
        out = self._here(words) if self.here else self._there(words)
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.monotonic() - began, 1)
        return out

    def _there(self, words: tuple[str, ...]) -> str:
        call = [sys.executable, "-m", "cli", "-w", str(self.workspace), *words]
        done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"evenhand {' '.join(words)} ended with {done.returncode}")
        return done.stdout

    def _here(self, words: tuple[str, ...]) -> str:
        from click.testing import CliRunner

        from cli.main import evenhand

        done = CliRunner().invoke(evenhand, ["-w", str(self.workspace), *words], catch_exceptions=False)
        if done.exit_code:
            raise SystemExit(f"evenhand {' '.join(words)} ended with {done.exit_code}: {done.output}")
        return done.stdout


def main() -> None:
    """Run the loop and write its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, required=True, help="made anew")
    parser.add_argument("--areas", nargs="*", default=[])
    parser.add_argument("--languages", nargs="*", default=[])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rulings-share", type=float, default=0.3)
    parser.add_argument("--budget", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="0: no fine-tuning, a cheap model")
    parser.add_argument("--fp32", action="store_true", help="judge with 32-bit weights")
    parser.add_argument(
        "--here", action="store_true", help="run the commands in this process; peak_mb says nothing then"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    data = adapt(
        args.data, areas=tuple(args.areas), languages=tuple(args.languages), limit=args.limit, seed=args.seed
    )
    found = loop(data, args)
    text = json.dumps(found, indent=1)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(text + "\n", encoding="utf-8")
    print(text)


def loop(data: Adapted, args: argparse.Namespace) -> dict[str, Any]:
    """Ingest, train, score, flag, draw, rule and estimate; figures on decisions without a revealed ruling."""
    decisions = _with_reveal(data.decisions, args.rulings_share, args.seed)
    shutil.rmtree(args.workspace, ignore_errors=True)
    commands = Commands(args.workspace, here=args.here)
    commands.run("init", str(args.workspace), "--no-sample-policy", stage="init")
    files = args.workspace / "input"
    _write_input(decisions, data.policy, files)
    _settings(args)
    commands.run("policy", "add", str(files / "policy.yaml"), stage="init")
    commands.run("ingest", "decisions", str(files / "decisions.csv"), stage="ingest")
    commands.run("ingest", "rulings", str(files / "rulings.csv"), stage="ingest")
    trained = json.loads(commands.run("train", "--json", stage="train"))
    commands.run("models", "promote", "challenger", stage="train")
    commands.run("score", stage="score")
    commands.run("flags", "--out", str(files / "flags.parquet"), stage="flags")
    hidden = decisions.filter(~pl.col("revealed"))
    budget = min(args.budget, hidden.height // 4)
    seed = str(args.seed)
    drawn = json.loads(
        commands.run("draw", "--budget", str(budget), "--seed", seed, "--no-explain", "--json", stage="draw")
    )
    overturned = _rule(commands, drawn["draw_id"], hidden, files)
    table = json.loads(commands.run("estimate", "--json", stage="estimate"))
    total = table["overall"]["total"]
    keys = ["case_id", "area", "moderator_id"]
    flags = pl.read_parquet(files / "flags.parquet").select(*keys, "p_overturn", "model_version")
    judged = hidden.join(flags, on=keys, how="left", validate="1:1")
    wrong = (judged["label"] != judged["truth"]).to_numpy().astype(float)
    metrics = evaluate(wrong, judged["p_overturn"].to_numpy())
    return {
        "set": args.data.name.split(".")[0],
        "areas": args.areas,
        "n_decisions": decisions.height,
        "n_rulings": decisions.height - hidden.height,
        "n_unseen": hidden.height,
        "left_out": data.left_out,
        **{
            k: metrics[k]
            for k in ("error_rate", "ap", "lift_at_1", "lift_at_5", "lift_at_10", "auroc", "ece", "brier")
        },
        "estimate": {k: total[k] for k in ("rate", "low", "high")},
        "budget": budget,
        "yield_per_100": 100 * overturned / budget,
        "yield_random_per_100": 100 * float(wrong.mean()),
        "seconds": commands.seconds,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "model_version": flags["model_version"][0],
        "examples_per_second": trained["examples_per_second"],
        "epochs": args.epochs,
        "precision": "fp32" if args.fp32 else "int8",
        "seed": args.seed,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def _with_reveal(decisions: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Mark the rows whose rulings are revealed: a share of the groups, drawn by `seed`."""
    groups = decisions["group"].unique().sort().to_list()
    chosen = np.random.default_rng([seed, 1]).permutation(len(groups))[: round(share * len(groups))]
    return decisions.with_columns(pl.col("group").is_in([groups[i] for i in chosen]).alias("revealed"))


def _settings(args: argparse.Namespace) -> None:
    config = args.workspace / "evenhand.toml"
    lines = "" if args.epochs is None else f"epochs = {args.epochs}\n"
    lines += "int8 = false\n" if args.fp32 else ""
    config.write_text(config.read_text().replace("[model]\n", "[model]\n" + lines), encoding="utf-8")


def _write_input(decisions: pl.DataFrame, policy: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "policy.yaml").write_text(policy, encoding="utf-8")
    decisions.drop("truth", "group", "revealed").write_csv(folder / "decisions.csv")
    _ruled(decisions.filter(pl.col("revealed"))).write_csv(folder / "rulings.csv")


def _ruled(rows: pl.DataFrame) -> pl.DataFrame:
    at = [(datetime.fromisoformat(moment) + timedelta(days=1)).isoformat() for moment in rows["decided_at"]]
    return rows.select(
        "case_id",
        "area",
        "policy_version",
        pl.col("truth").alias("label"),
        pl.lit("sme").alias("sme_id"),
        pl.Series("ruled_at", at, dtype=pl.String),
        pl.col("moderator_id").alias("decision_moderator_id"),
    )


def _rule(commands: Commands, draw_id: str, hidden: pl.DataFrame, files: Path) -> int:
    """Rule on every drawn case from the hidden truth; returns how many were overturned."""
    from evenhand.store import Store
    from evenhand.workspace.workspace import open_workspace

    workspace = open_workspace(commands.workspace)
    with Store.open(workspace.store_url) as store:
        items = store.items(draw_id).select("case_id", "area", "moderator_id")
    rows = items.join(hidden, on=["case_id", "area", "moderator_id"], how="left", validate="1:1")
    _ruled(rows).write_csv(files / "drawn.csv")
    commands.run("ingest", "rulings", str(files / "drawn.csv"), "--draw", draw_id, stage="rule")
    return int((rows["label"] != rows["truth"]).sum())


if __name__ == "__main__":
    main()
