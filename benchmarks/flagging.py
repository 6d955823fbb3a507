"""Measures on public sets whether Evenhand ranks decisions better than its peers and is calibrated.

    python benchmarks/flagging.py --data DIR --cache DIR --json OUT

In each row, one random vote is the moderator's decision. The gold (or the majority of the other votes) is the
SME's ruling. Half of the groups are for the final table only (`--part final`). The other half gives rulings
on 30% of all groups; the rest of it was used to choose settings (`--part dev`). No method sees the truth of
any other decision. Evenhand's second stage is the product's own code on the base encoder;
`benchmarks/loop.py` measures the fine-tuned encoder. Each run of a set and seed is kept in the cache folder,
and computed again when its code changes.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from flagging_run import Asked, cached_run, int8_encoder
from public_sets import SETS

from evenhand.workspace.telemetry import quiet
from models.compare.metrics import average_precision, ece, evaluate
from models.flagger import FEATURES

SHOWN = ("ap", "lift_at_1", "lift_at_5", "lift_at_10", "auroc", "ece", "brier")
ENOUGH = 800  # an area in a language has its own figures from this many unseen decisions


def main() -> None:
    """Compute what the cache lacks, then write tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sets", nargs="*", default=[n for n, s in SETS.items() if s.votes != "none"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--rulings-share", type=float, default=0.3, help="of all groups; at most 0.5")
    parser.add_argument("--part", choices=("dev", "final"), default="final")
    parser.add_argument(
        "--unseen-languages", nargs="*", default=[], help="no ruling in these; only they are judged"
    )
    parser.add_argument("--no-history", action="store_true", help="as with [model] moderator_history = false")
    parser.add_argument(
        "--prior", action="store_true", help="print the medians that models.flagger.PRIOR rounds"
    )
    parser.add_argument("--quick", action="store_true", help="one seed, 3,000 rows a set")
    args = parser.parse_args()
    quiet(allow_download=False)
    began = time.monotonic()
    if args.quick:
        args.seeds = args.seeds[:1]
    args.cache.mkdir(parents=True, exist_ok=True)
    encoder = int8_encoder()
    runs = []
    for name in args.sets:
        for seed in args.seeds:
            start = time.monotonic()
            asked = Asked(
                name=name,
                seed=seed,
                rulings_share=args.rulings_share,
                limit=3_000 if args.quick else None,
                unseen_languages=tuple(sorted(args.unseen_languages)),
                history=not args.no_history,
            )
            runs.append((name, seed, cached_run(asked, args.data, args.cache, encoder)))
            print(f"{name} seed {seed}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    if args.prior:
        return print_prior(runs)
    result = summary(args, runs)
    result["about"] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "seeds": args.seeds,
        "part": args.part,
        "rulings_share": args.rulings_share,
        "quick": args.quick,
        "unseen_languages": args.unseen_languages,
        "moderator_history": not args.no_history,
        "seconds_this_call": round(time.monotonic() - began),
    }
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_table(result)


def judged(args: argparse.Namespace, frame: pl.DataFrame) -> pl.DataFrame:
    """The decisions that count: the unseen ones of the chosen part."""
    return frame.filter(pl.col("unseen") & (pl.col("final") == (args.part == "final")))


def methods_of(frame: pl.DataFrame) -> list[str]:
    """The methods that scored this run."""
    known = ("wrong", "ruled", "unseen", "final", "group", "language", "area", "support", "coef")
    return [name for name in frame.columns if name not in known]


def summary(args: argparse.Namespace, runs: list[tuple[str, int, pl.DataFrame]]) -> dict[str, Any]:
    """Metrics by set (mean over seeds) and over all sets, leads over the best peer, slices, calibration."""
    sets: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _, _ in runs):
        mine = [(seed, judged(args, frame)) for set_name, seed, frame in runs if set_name == name]
        methods = sorted(set.intersection(*(set(methods_of(frame)) for _, frame in mine)))
        each = {
            method: [evaluate(frame["wrong"].to_numpy(), frame[method].to_numpy()) for _, frame in mine]
            for method in methods
        }
        table = {method: {metric: _mean(each[method], metric) for metric in SHOWN} for method in methods}
        best = max(
            (m for m in methods if m not in ("evenhand", "random")), key=lambda m: table[m]["ap"] or 0.0
        )
        sets[name] = {
            "n": int(np.mean([frame.height for _, frame in mine])),
            "error_rate": float(np.mean([frame["wrong"].mean() for _, frame in mine])),
            "rulings": int(np.mean([frame["ruled"].sum() for s, _, frame in runs if s == name])),
            "methods": table,
            "best_peer": best,
            "lead": lead(mine, best),
            "ece_of_a_perfect_model": perfect_ece(mine),
            "slices": slices(mine, best),
            "support": dict(pl.concat([frame for _, frame in mine])["support"].value_counts().iter_rows()),
        }
    common = sorted(set.intersection(*(set(found["methods"]) for found in sets.values())))
    macro = {
        method: {
            metric: _mean([found["methods"][method] for found in sets.values()], metric) for metric in SHOWN
        }
        for method in common
    }
    return {"macro": macro, "sets": sets}


def _mean(found: list[dict[str, Any]], metric: str) -> float | None:
    values = [one[metric] for one in found if one[metric] is not None]
    return round(float(np.mean(values)), 4) if values else None


def lead(mine: list[tuple[int, pl.DataFrame]], best: str, repeats: int = 200) -> dict[str, float]:
    """Evenhand's average precision minus the best peer's, with a 95% interval.

    The interval is a bootstrap over groups; seeds are averaged.
    """
    differences = []
    for seed, frame in mine:
        rng = np.random.default_rng(seed)
        wrong, ours_, peer = (frame[name].to_numpy() for name in ("wrong", "evenhand", best))
        _, place = np.unique(frame["group"].to_numpy(), return_inverse=True)
        order = np.argsort(place, kind="stable")
        edges = np.searchsorted(place[order], np.arange(place.max() + 2))
        drawn = []
        for _ in range(repeats):
            picked = rng.integers(0, len(edges) - 1, len(edges) - 1)
            at = np.concatenate([order[edges[i] : edges[i + 1]] for i in picked])
            drawn.append(average_precision(wrong[at], ours_[at]) - average_precision(wrong[at], peer[at]))
        differences.append(drawn)
    mean = np.nanmean(np.array(differences), axis=0)
    low, high = np.nanquantile(mean, [0.025, 0.975])
    return {
        "ap": round(float(np.nanmean(mean)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def perfect_ece(mine: list[tuple[int, pl.DataFrame]], repeats: int = 50) -> float:
    """The ECE of a perfectly calibrated model with these p at this size: noise alone gives this much."""
    found = []
    for seed, frame in mine:
        rng, p = np.random.default_rng(seed), frame["evenhand"].to_numpy()
        found += [ece((rng.random(len(p)) < p).astype(float), p) for _ in range(repeats)]
    return round(float(np.mean(found)), 4)


def slices(mine: list[tuple[int, pl.DataFrame]], best: str) -> dict[str, Any]:
    """Evenhand and the best peer by area and language with ENOUGH unseen decisions; mean over seeds."""
    found: dict[str, Any] = {}
    for column in ("area", "language"):
        for value in mine[0][1][column].unique().sort():
            parts = [frame.filter(pl.col(column) == value) for _, frame in mine]
            if min(part.height for part in parts) < (ENOUGH if column == "area" else 500):
                continue
            for method in ("evenhand", best):
                each = [evaluate(part["wrong"].to_numpy(), part[method].to_numpy()) for part in parts]
                found.setdefault(f"{column} {value}", {})[method] = {m: _mean(each, m) for m in SHOWN}
    return found


def print_prior(runs: list[tuple[str, int, pl.DataFrame]]) -> None:
    """Print medians over sets of the coefficients that the rulings of the choosing half give."""
    by_set: dict[str, list[list[float]]] = {}
    for name, _, frame in runs:
        by_set.setdefault(name, []).append(json.loads(frame["coef"][0]))
    means = np.array([np.mean(found, axis=0) for found in by_set.values()])
    for term, value in zip(("intercept", *FEATURES), np.median(means, axis=0), strict=False):
        print(f"{term:18} {value:6.2f}")


def print_table(result: dict[str, Any]) -> None:
    """Print averages over sets, then the best method of each set."""
    macro = result["macro"]
    print(f"{'method':44}" + "".join(f"{metric:>12}" for metric in SHOWN))
    for method in sorted(macro, key=lambda m: -(macro[m]["ap"] or 0)):
        print(f"{method:44}" + "".join(f"{macro[method][metric]:12.3f}" for metric in SHOWN))
    for name, found in result["sets"].items():
        mine, peer = found["methods"]["evenhand"], found["methods"][found["best_peer"]]
        print(
            f"{name:24} errors {found['error_rate']:.3f} AP {mine['ap']:.3f}, best peer {found['best_peer']}"
            f" {peer['ap']:.3f}, lead {found['lead']}; lift@5 {mine['lift_at_5']}, ECE {mine['ece']}"
            f" (noise floor {found['ece_of_a_perfect_model']})"
        )


if __name__ == "__main__":
    main()
