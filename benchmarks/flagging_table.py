"""Prints the JSON of the flagging benchmark as Markdown tables.

There are averages over sets, each set beside its best peer, and slices.

python benchmarks/flagging_table.py benchmarks/results/flagging.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHOWN = ("ap", "lift_at_1", "lift_at_5", "lift_at_10", "auroc", "ece", "brier")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    result = json.loads(parser.parse_args().file.read_text(encoding="utf-8"))
    print("| method, macro over sets | AP | lift at 1% | 5% | 10% | AUROC | ECE | Brier |")
    print("|---|---|---|---|---|---|---|---|")
    macro = result["macro"]
    for method in sorted(macro, key=lambda name: -(macro[name]["ap"] or 0)):
        name = f"**{method}**" if method == "evenhand" else method
        print(f"| {name} | {figures(macro[method])} |")
    print()
    print(
        "| set | unseen | error rate | rulings | AP | best peer | its AP | lead (95% interval) | lift at 5% | ECE (noise floor) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, found in result["sets"].items():
        ours, peer = found["methods"]["evenhand"], found["methods"][found["best_peer"]]
        lead = found["lead"]
        print(
            f"| {name} | {found['n']:,} | {found['error_rate']:.1%} | {found['rulings']:,} | {ours['ap']:.3f} |"
            f" {found['best_peer']} | {peer['ap']:.3f} | {lead['ap']:+.3f} ({lead['low']:+.3f} to {lead['high']:+.3f}) |"
            f" {ours['lift_at_5']:.1f} | {ours['ece']:.3f} ({found['ece_of_a_perfect_model']:.3f}) |"
        )
    print()
    print("| set | slice | AP | best peer's AP | lift at 5% | AUROC | ECE |")
    print("|---|---|---|---|---|---|---|")
    for name, found in result["sets"].items():
        for part, methods in found["slices"].items():
            if len(found["slices"]) > 2:  # a set with one area and one language has no slices
                ours, peer = methods["evenhand"], methods[found["best_peer"]]
                print(
                    f"| {name} | {part} | {number(ours['ap'])} | {number(peer['ap'])} | {number(ours['lift_at_5'], 1)} |"
                    f" {number(ours['auroc'])} | {number(ours['ece'])} |"
                )


def figures(of: Mapping[str, Any]) -> str:
    """The row of one method."""
    return " | ".join(number(of[metric], 1 if metric.startswith("lift") else 3) for metric in SHOWN)


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
