"""Prints the figures of loop runs as a Markdown table.

python benchmarks/loop_table.py benchmarks/results/loop-*.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    """Print one row per file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    print(
        "| set | decisions (unseen) | true error rate | estimate (95% interval) | AP | lift at 1 / 5 / 10% | AUROC | ECE |"
        " errors per 100 drawn (random) |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for file in parser.parse_args().files:
        run = json.loads(file.read_text(encoding="utf-8"))
        name = f"{run['set']} ({', '.join(run['areas'])})" if run["areas"] else run["set"]
        estimate = run["estimate"]
        print(
            f"| {name} | {run['n_decisions']:,} ({run['n_unseen']:,}) | {run['error_rate']:.1%} | {estimate['rate']:.1%}"
            f" ({estimate['low']:.1%} to {estimate['high']:.1%}) | {run['ap']:.3f} | {run['lift_at_1']:.1f} /"
            f" {run['lift_at_5']:.1f} / {run['lift_at_10']:.1f} | {run['auroc']:.3f} | {run['ece']:.3f} |"
            f" {run['yield_per_100']:.1f} ({run['yield_random_per_100']:.1f}) |"
        )


if __name__ == "__main__":
    main()
