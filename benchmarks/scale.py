"""Measures seconds and memory of plan, draw and estimate on ten million decisions, beside plain pandas.

    python benchmarks/scale.py [--rows 10000000] [--budget 2000] [--cache FOLDER] [--json OUT]

A lake of 84 days and 200 cells (40 markets, 5 areas) with invented scores is made once in --cache. Then two
new processes run, each with its own peak memory. One does what `evenhand plan`, `evenhand draw` and `evenhand
estimate --by market,area` do. The other computes the same with pandas as in a notebook: read both tables,
merge, draw, keep the frame, group. Between draw and estimate the batch is ruled by a rule that both share;
this time does not count. So the two overall rates must agree within their error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand.rates.question import Question
from evenhand.records.columns import DECISIONS, SCORES
from evenhand.records.decision import decision_id
from evenhand.records.policy import PolicyVersion
from evenhand.statistics.belief import BELIEF
from evenhand.synthetic.sample_policies import sample_policies

if TYPE_CHECKING:
    import pandas as pd

SECONDS, PEAK_MB = 60.0, 2048  # the limits for plan, draw and estimate at ten million decisions on 2 cores
DAYS, MARKETS, AREAS = 84, 40, 5
MODEL = "evenhand-1"
START = date(2026, 1, 5)
SEED = 20_261_125
LANGUAGES = ("en", "th", "id", "ar", "es", "pt", "ja", "de")


def _policy() -> PolicyVersion:
    return sample_policies()[0][0]


def _codes(rng: np.random.Generator, values: list[str], n: int) -> pl.Series:
    return pl.Series(values).gather(rng.integers(0, len(values), n))


def _marks(rng: np.random.Generator, n: int) -> pl.Series:
    """Hashes as the lake has them: 16 hex digits."""
    raw = rng.bytes(8 * n)
    return pl.Series([raw[i : i + 8] for i in range(0, 8 * n, 8)], dtype=pl.Binary).bin.encode("hex")


def day_tables(day: int, n: int, rates: np.ndarray[Any, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`n` decisions of one day and their scores.

    `rates` is the mean score of each cell, shape (MARKETS * AREAS,).
    """
    rng, policy = np.random.default_rng([SEED, day]), _policy()
    cell = rng.choice(len(rates), n, p=np.arange(1, len(rates) + 1) / np.arange(1, len(rates) + 1).sum())
    market, area = cell // AREAS, cell % AREAS
    labels = [policy.areas[i].label_names for i in range(AREAS)]
    pick = rng.integers(0, 1_000, n)
    label = [labels[a][k % len(labels[a])] for a, k in zip(area.tolist(), pick.tolist(), strict=True)]
    second = np.sort(rng.integers(0, 86_400, n))
    at = np.datetime64(START + timedelta(days=day), "us") + second.astype("timedelta64[s]")
    areas, cases = [policy.areas[i].name for i in range(AREAS)], [f"c{day:02}-{i:07}" for i in range(n)]
    moderators = _codes(rng, [f"m{i:03}" for i in range(800)], n)
    keys = zip(cases, (areas[i] for i in area.tolist()), moderators.to_list(), strict=True)
    decisions = pl.DataFrame(
        {
            "decision_id": [decision_id(*key) for key in keys],
            "case_id": cases,
            "text": _codes(rng, [f"An invented caption, number {i}" for i in range(1_000)], n),
            "language": _codes(rng, list(LANGUAGES), n),
            "market": pl.Series([f"M{i:02}" for i in range(MARKETS)]).gather(market),
            "queue": _codes(rng, ["live", "video", "comments"], n),
            "area": pl.Series(areas).gather(area),
            "policy_version": pl.repeat(policy.version, n, eager=True),
            "label": label,
            "moderator_id": moderators,
            "decided_at": pl.Series(at).dt.replace_time_zone("UTC"),
            "team": _codes(rng, ["north", "south", "east"], n),
            "content_type": _codes(rng, ["video", "comment"], n),
            "exposure": np.floor(rng.lognormal(5, 2, n)),
            "text_hash": _marks(rng, n),
            "content_hash": pl.Series(rng.integers(0, 2**63, n, dtype=np.uint64)),
        }
    )
    p = 1 / (1 + np.exp(-(np.log(rates / (1 - rates))[cell] + 1.8 * rng.normal(size=n) - 0.8)))
    scores = decisions.select(
        "decision_id",
        "case_id",
        "area",
        "moderator_id",
        "label",
        "policy_version",
        pl.Series("p_overturn", p),
        pl.col("label").alias("predicted_label"),
        pl.lit(0.5).alias("p_predicted"),
        pl.lit(0.5).alias("p_decided"),
        pl.lit("the label is far from its clause").alias("reasons"),
        pl.lit("good").alias("support"),
        pl.lit(MODEL).alias("model_version"),
    )
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in DECISIONS.items() if name not in decisions]
    return decisions.with_columns(missing).select(DECISIONS.names()), scores.select(SCORES.names())


def build(root: Path, rows: int) -> None:
    """A workspace with a lake of `rows` scored decisions."""
    from evenhand.store import Store
    from evenhand.workspace.workspace import create_workspace

    ws = create_workspace(root)
    with Store.open(ws.store_url) as store:
        for policy, text in sample_policies():
            store.add_policy(policy, text, by="benchmark")
    rates = np.random.default_rng(SEED).permutation(np.geomspace(0.005, 0.15, MARKETS * AREAS))
    for day in range(DAYS):
        n = rows * (day + 1) // DAYS - rows * day // DAYS
        name = f"day={START + timedelta(days=day)}"
        for table, folder in zip(
            day_tables(day, n, rates),
            (ws.decisions_dir / name, ws.scores_dir / f"model={MODEL}" / name),
            strict=True,
        ):
            folder.mkdir(parents=True)
            table.write_parquet(folder / "made.parquet", row_group_size=50_000)


def wrong(ids: list[str], p: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The made-up truth about each decision: whether it was wrong; shape (n,)."""
    from evenhand.batches.id_numbers import id_numbers
    from evenhand.statistics.draw import uniform

    return np.asarray(uniform("truth", id_numbers(ids)) < p)


def peak_mb() -> float:
    """The most memory this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_evenhand(root: Path, budget: int) -> dict[str, Any]:
    """Plan, draw and estimate with the product's own code."""
    from evenhand.batches.draw import make_draw
    from evenhand.batches.plan import make_plan
    from evenhand.batches.population import scored_frame
    from evenhand.rates.table import estimate_draws, measure_draws
    from evenhand.records.ruling import Ruling
    from evenhand.store import Store
    from evenhand.workspace.workspace import open_workspace

    ws, at = open_workspace(root), datetime.now(UTC)
    store, settings, begun = Store.open(ws.store_url), ws.config.draw, time.perf_counter()
    columns = tuple(dict.fromkeys(("p_overturn", "market", *settings.cells)))
    frame, _ = scored_frame(ws, store, MODEL, columns=columns)
    plan = make_plan(
        frame,
        budget,
        kappa=settings.kappa,
        floor=settings.floor,
        cell_floor=settings.cell_floor,
        cells=settings.cells,
        by="market",
        minutes_per_case=1.5,
    )
    del frame
    planned, begun = time.perf_counter() - begun, time.perf_counter()
    draw = make_draw(
        ws, store, budget=budget, kappa=settings.kappa, seed=1, model=MODEL, by="benchmark", at=at
    )
    drawn = time.perf_counter() - begun
    items = store.items(draw.draw_id)
    errors = wrong(items["decision_id"].to_list(), items["p_overturn"].to_numpy())
    policy, rulings = _policy(), []
    for item, error in zip(items.iter_rows(named=True), errors, strict=True):
        area = policy.area(item["area"])
        label = next(name for name in area.label_names if (name != item["label"]) == error)
        rulings.append(
            Ruling(
                case_id=item["case_id"],
                area=item["area"],
                policy_version=policy.version,
                label=label,
                sme_id="s",
                ruled_at=at,
                decision_moderator_id=item["moderator_id"],
                draw_id=draw.draw_id,
                error_class=area.error_class(item["label"], label),
            )
        )
    store.add_rulings(rulings, by="benchmark")
    begun = time.perf_counter()
    table = estimate_draws(ws, store, Question(by=("market", "area")))
    estimated = time.perf_counter() - begun
    peak = peak_mb()
    measure = measure_draws(ws, store)
    measure.rates(())
    begun = time.perf_counter()
    for by in ("queue", "language"), ("team",), ("market", "content_type"), ("area", "label"):
        measure.rates(by)
    pivot = (time.perf_counter() - begun) / 4
    total = table.overall.total
    return {
        "seconds": planned + drawn + estimated,
        "plan_seconds": planned,
        "draw_seconds": drawn,
        "estimate_seconds": estimated,
        "later_pivot_seconds": pivot,
        "peak_mb": peak,
        "rows": draw.frame_size,
        "cells": len(table.domains),
        "phi": draw.phi,
        "errors_planned": plan.chosen.errors,
        "errors_found": total.errors_found,
        "rate": total.rate,
        "low": total.low,
        "high": total.high,
    }


def run_pandas(root: Path, budget: int) -> dict[str, Any]:
    """The same with pandas, table by table.

    The formulas are those of `evenhand.statistics.design` and `evenhand.statistics.estimator`.
    """
    import pandas as pd

    from evenhand.records.columns import ABOUT, DOMAINS
    from evenhand.statistics.estimator import Totals, estimates, recalibrate

    begun, policy = time.perf_counter(), _policy()
    frame = pd.read_parquet(root / "decisions", columns=["decision_id", *DOMAINS, *ABOUT])
    scores = pd.read_parquet(root / "scores" / f"model={MODEL}", columns=["decision_id", "p_overturn"])
    frame = frame.merge(scores, on="decision_id", validate="1:1")
    flags = pd.DataFrame(
        [
            {
                "area": a.name,
                "label": n,
                "may_over": i > 0,
                "may_under": i == 0,
                "may_wrong": i > 0 and len(a.labels) > 2,
            }
            for a in policy.areas
            for i, n in enumerate(a.label_names)
        ]
    )
    frame = frame.merge(flags, on=["area", "label"], how="left")
    frame["cell"] = frame.groupby(["market", "area"]).ngroup()
    frame = frame.sort_values("p_overturn", ascending=False, ignore_index=True)
    for kappa in (1.1, 1.25, 1.5):  # the plan's frontier
        _pandas_phi(frame, budget, kappa)
    phi = _pandas_phi(frame, budget, 1.0)
    frame["pi"] = _pandas_pi(frame, budget, phi)
    for column in "market", "cell":  # the plan's widths
        y = BELIEF * frame["p_overturn"] + (1 - BELIEF) * frame["p_overturn"].mean()
        ((1 - frame["pi"]) / frame["pi"] * y * (1 - y)).groupby(frame[column]).sum()
    u = frame["decision_id"].map(
        lambda name: int.from_bytes(hashlib.sha256(f"1|{name}".encode()).digest()[:8], "big") / 2**64
    )
    key = u / (1 - u) * (1 - frame["pi"]) / frame["pi"]
    chosen = key.nsmallest(budget).index
    with tempfile.TemporaryDirectory() as folder:
        frame.to_parquet(Path(folder) / "frame.parquet")
        drawn, seconds = frame.loc[chosen, ["decision_id", "p_overturn"]], time.perf_counter() - begun
        del frame, key, u
        drawn["wrong"] = wrong(drawn["decision_id"].tolist(), drawn["p_overturn"].to_numpy())
        begun = time.perf_counter()
        frame = pd.read_parquet(Path(folder) / "frame.parquet")
    frame = frame.merge(drawn[["decision_id", "wrong"]], on="decision_id", how="left")
    log_odds = pd.Series(np.log(frame["p_overturn"] / (1 - frame["p_overturn"])))
    for outcome in None, "may_over", "may_under", "may_wrong", None:
        able = frame[outcome].fillna(False) if outcome else pd.Series(True, frame.index)
        seen = frame["wrong"].notna()
        error = frame["wrong"].where(able, False).fillna(0.0).astype(float)
        w = 1 / frame["pi"]
        fit = (seen & able).to_numpy()
        a, b = recalibrate(*(np.asarray(column[fit], np.float64) for column in (log_odds, error, w)))
        yhat = able / (1 + np.exp(-(a + b * log_odds)))
        doubted = BELIEF * yhat + (1 - BELIEF) * (yhat.sum() / able.sum()) * able
        e = (error - yhat).where(seen, 0.0)
        v = (1 - frame["pi"]) * (w * e) ** 2 * budget / (budget - 1)
        sums = pd.DataFrame(
            {
                "population": 1.0,
                "size": 1.0,
                "model": yhat,
                "residual": w * e,
                "v": v,
                "v2": v**2,
                "v_plain": v,
                "anticipated": (w - 1) * doubted * (1 - doubted),
                "reviewed": seen.astype(float),
                "found": error,
                "found_at_random": error * (frame["pi"] < 1),
                "shown_wrong": error,
                "shown_right": seen - error,
            }
        )
        cells = sums.groupby([frame["market"], frame["area"]]).sum()
        estimates(Totals(**{str(name): cells[name].to_numpy(float) for name in cells}))
        overall = estimates(Totals(**{str(name): np.array([cells[name].sum()]) for name in cells}))[0]
        if outcome is None:
            total = overall
    seconds += time.perf_counter() - begun
    return {
        "seconds": seconds,
        "peak_mb": peak_mb(),
        "rate": total.rate,
        "low": total.low,
        "high": total.high,
    }


def _pandas_pi(frame: pd.DataFrame, budget: int, phi: float) -> pd.Series[float]:
    """Inclusion probabilities of a frame sorted by falling score."""
    top = min(round(phi * budget), budget - 1)
    rest = frame.iloc[top:]
    spread = np.sqrt(rest["p_overturn"] * (1 - rest["p_overturn"]))
    count = rest.groupby("cell")["cell"].transform("size")
    g = 0.65 * spread / spread.sum() + 0.35 * (0.5 / len(rest) + 0.5 / (rest["cell"].nunique() * count))
    pi, left = g * (budget - top), g > 0
    while (pi > 1).any():
        left &= pi < 1
        pi = (g * (budget - top - (~left).sum()) / g[left].sum()).where(left, 1.0)
    return pi.reindex(frame.index, fill_value=1.0)


def _pandas_phi(frame: pd.DataFrame, budget: int, kappa: float) -> float:
    p, mean, low, high = frame["p_overturn"], frame["p_overturn"].mean(), 0.0, 0.7
    doubted = BELIEF * p + (1 - BELIEF) * mean
    for _ in range(10):
        middle = (low + high) / 2
        pi = _pandas_pi(frame, budget, middle)
        fits = (doubted * (1 - doubted) * (1 - pi) / pi).sum() <= (
            kappa**2 * mean * (1 - mean) * len(p) ** 2 / budget
        )
        low, high = (middle, high) if fits else (low, middle)
    return low


RUNS = {"evenhand": run_evenhand, "pandas": run_pandas}


def in_own_process(which: str, root: Path, budget: int) -> dict[str, Any]:
    """The result of one of RUNS in a new process, which has its own peak memory."""
    call = [sys.executable, __file__, "--run", which, "--lake", str(root), "--budget", str(budget)]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Make the lake if it is not there, run both, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--budget", type=int, default=2_000)
    parser.add_argument("--cache", type=Path, help="folder that keeps the lake; else a temporary one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(json.dumps(RUNS[args.run](args.lake, args.budget)))
        return
    with tempfile.TemporaryDirectory() as folder:
        lake = (args.cache or Path(folder)) / f"lake-{args.rows}"
        if not lake.exists():
            part = lake.with_name(f"{lake.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            build(part, args.rows)
            part.rename(lake)
        work = Path(folder) / "workspace"  # a link to the lake; draws and rulings of this run only
        work.mkdir()
        for source in lake.iterdir():
            if source.is_dir():
                (work / source.name).symlink_to(source)
            else:
                shutil.copy2(source, work / source.name)
        ours = in_own_process("evenhand", work, args.budget)
        theirs = in_own_process("pandas", lake, args.budget)
    if not (ours["low"] <= theirs["high"] and theirs["low"] <= ours["high"]):
        raise SystemExit(f"the two estimates contradict each other: {ours} {theirs}")
    out = {
        "seconds": round(ours["seconds"], 1),
        "peak_mb": round(ours["peak_mb"]),
        "pandas_seconds": round(theirs["seconds"], 1),
        "pandas_peak_mb": round(theirs["peak_mb"]),
        "ratio": round(ours["seconds"] / theirs["seconds"], 3),
        "rows": ours["rows"],
        "cells": ours["cells"],
        "met": bool(ours["seconds"] <= SECONDS and ours["peak_mb"] <= PEAK_MB),
        "evenhand": ours,
        "pandas": theirs,
        "load": [round(value, 1) for value in os.getloadavg()],  # other work on the machine slows both
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    print(json.dumps(out, indent=1))
    if args.json:
        args.json.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
