"""Measures transfer between languages: rulings in all languages but one, and figures of that one.

    python benchmarks/transfer.py --data DIR --cache DIR --json OUT [--set multilingual_hatecheck]
        [--seeds 1 2]

One language after the other loses its rulings; its decisions stay, because moderators work in every language.
Its decisions in the final half of the groups are judged. They are compared with the same decisions when the
language has its rulings, with the best peers, and with chance. Flags of such a language say so (`support:
none`). Runs are kept as in `benchmarks/flagging.py`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from flagging_run import Asked, cached_run, int8_encoder
from public_sets import SETS

from evenhand.workspace.telemetry import quiet
from models.compare.metrics import evaluate

PEERS = ("cleanlab_filter_tfidf", "loss_out_of_sample", "tfidf_on_rulings", "random")
SHOWN = ("ap", "lift_at_5", "auroc", "ece")


def main() -> None:
    """Run every language, print a table, write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--set", default="multilingual_hatecheck", choices=sorted(SETS))
    parser.add_argument("--languages", nargs="*", help="all of the set, if left out")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2])
    args = parser.parse_args()
    quiet(allow_download=False)
    encoder = int8_encoder()
    args.cache.mkdir(parents=True, exist_ok=True)
    began, found = time.monotonic(), {}
    for language in args.languages or SETS[args.set].languages:
        away: list[pl.DataFrame] = []
        home: list[pl.DataFrame] = []
        for seed in args.seeds:
            for kept, given_up in ((away, (language,)), (home, ())):
                asked = Asked(name=args.set, seed=seed, unseen_languages=given_up)
                frame = cached_run(asked, args.data, args.cache, encoder)
                kept.append(frame.filter(pl.col("final") & (pl.col("language") == language)))
        found[language] = one_language(away, home)
        print(f"{language}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    result = {
        "languages": found,
        "macro": {
            name: {m: round(float(np.mean([one[name][m] for one in found.values()])), 4) for m in SHOWN}
            for name in next(iter(found.values()))
            if name not in ("n", "error_rate", "support")
        },
        "about": {
            "set": args.set,
            "seeds": args.seeds,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
        },
    }
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_table(result)


def one_language(away: list[pl.DataFrame], home: list[pl.DataFrame]) -> dict[str, Any]:
    """Figures of one language without its rulings (`away`) and with them (`home`), one frame per seed."""
    found: dict[str, Any] = {
        "n": away[0].height,
        "error_rate": round(float(np.mean([frame["wrong"].mean() for frame in away])), 4),
        "support": dict(pl.concat(away)["support"].value_counts().iter_rows()),
        "evenhand": mean_figures(away, "evenhand"),
        "evenhand_with_rulings": mean_figures(home, "evenhand"),
    }
    return found | {peer: mean_figures(away, peer) for peer in PEERS}


def mean_figures(frames: list[pl.DataFrame], method: str) -> dict[str, float]:
    """Mean over the frames of each figure of a method."""
    each = [evaluate(frame["wrong"].to_numpy(), frame[method].to_numpy()) for frame in frames]
    return {name: round(float(np.mean([one[name] for one in each])), 4) for name in SHOWN}


def print_table(result: Mapping[str, Any]) -> None:
    """Print a Markdown table with one row per language."""
    print(
        "| language | unseen | error rate | AP without its rulings | with them | best peer without | lift at 5% | AUROC | ECE |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    rows = [*result["languages"].items(), ("mean", result["macro"])]
    for language, one in rows:
        ours, peer = one["evenhand"], max(one[name]["ap"] for name in PEERS)
        size = f"{one['n']:,} | {one['error_rate']:.1%}" if "n" in one else " | "
        print(
            f"| {language} | {size} | {ours['ap']:.3f} | {one['evenhand_with_rulings']['ap']:.3f} | {peer:.3f} |"
            f" {ours['lift_at_5']:.1f} | {ours['auroc']:.3f} | {ours['ece']:.3f} |"
        )


if __name__ == "__main__":
    main()
