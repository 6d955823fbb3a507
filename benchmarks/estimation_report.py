"""Writes the tables of `docs/estimation-report.md` from the JSON of `benchmarks/estimation.py`.

    python benchmarks/estimation_report.py JSON [docs/estimation-report.md]

It replaces everything between the two marks in the document; the prose does not change. Without a document
it prints the tables.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulated_draws import KAPPAS
from simulated_extras import EXTRAS
from simulated_week import SCENARIOS

BEGIN, END = "<!-- tables: benchmarks/estimation_report.py -->", "<!-- end of tables -->"
DESIGNS = {"kappa1": "kappa 1 (default)", "kappa1.25": "kappa 1.25 (hunt)", "measure": "measure only"}
MEASURES = {
    "coverage": "coverage, overall",
    "coverage_policy": "coverage, policy",
    "coverage_market": "coverage, market",
    "coverage_cell": "coverage, cell with any review",
    "yield_ratio": "errors found / SRS",
    "width_ratio": "half-width / SRS",
}
Lines = Mapping[str, Mapping[str, float]]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _se(row: Mapping[str, Any], name: str) -> str:
    error = row.get(f"{name}_se")
    return f"{row[name]:.3f}" + (f" ({error:.3f})" if error is not None else "")


def run_of(out: Mapping[str, Any]) -> str:
    """What was run, on which machine, and how much of it is done."""
    asked, done = out["settings"], out["done"]
    reps = min(row["populations"] for row in out["lines"].values()) * asked["reps"]
    extras = min((row["populations"] for row in out["extras"].values()), default=0) * asked["reps"]
    text = (
        f"{out['date']}, {out['machine']}, seed {asked['seed']}, product code `{out['code']}`. At least {reps:,.0f}"
        f" replications a line of the plain simulation and {extras:,.0f} of the extras."
    )
    if out["complete"]:
        return f"{text} The run is complete."
    wanted = asked["pops"] * asked["reps"]
    total = done["of"] * len(asked["extras"])
    return (
        f"{text} **The run is not complete**: {done['plain']} of {done['of']} plain results and {done['extras']} of {total}"
        f" extras; {wanted:,} replications were asked for. The same command with the same `--cache` goes on."
    )


def targets_of(out: Mapping[str, Any]) -> str:
    """Each target, its value, and the scenario that decides it."""
    rows, missed = [], []
    for row in out["targets"]:
        measure, sign, limit = row["target"].split(" ")
        scenario, _, _, design = row["where"].split("/")
        error = "" if row["se"] is None else f" ({row['se']:.3f})"
        rows.append(
            [
                MEASURES[measure],
                DESIGNS.get(row["design"], "worst of all"),
                row["auroc"][1:],
                row["budget"][1:],
                f"{sign.replace('>=', '≥').replace('<=', '≤')} {limit}",
                f"{row['value']:.3f}{error}",
                "yes" if row["met"] else "**no**",
                f"{scenario}, {DESIGNS[design]}",
            ]
        )
        if not row["met"]:
            off = abs(row["value"] - float(limit)) / row["se"] if row["se"] else 0.0
            verdict = "this run cannot tell" if off < 2 else f"{off:.1f} standard errors beyond it"
            missed.append(
                f"- {', '.join(rows[-1][:4])} reviews: {row['value']:.3f} where {limit} is the limit; {verdict}."
            )
    met = sum(row["met"] for row in out["targets"])
    head = ("target", "design", "AUROC", "reviews", "limit", "got (s.e.)", "met", "decided by")
    text = f"{met} of {len(rows)} are met.\n\n{table(head, rows)}\n"
    return text + (f"\nMissed:\n\n{chr(10).join(missed)}\n" if missed else "")


def coverage_of(lines: Lines, aurocs: Sequence[str], budgets: Sequence[str]) -> str:
    """Coverage by design and scenario, one table per budget."""
    parts = []
    for budget in budgets:
        rows = []
        for design, scenario in ((d, s) for d in KAPPAS for s in SCENARIOS):
            row = [DESIGNS[design], scenario]
            for auroc in aurocs:
                if (line := lines.get(f"{scenario}/{auroc}/{budget}/{design}")) is None:
                    row += ["-"] * 4
                    continue
                row.append(_se(line, "coverage"))
                row += [f"{line[f'coverage_{kind}']:.3f}" for kind in ("policy", "market", "cell")]
            rows.append(row)
        head = ["design", "scenario"]
        for auroc in aurocs:
            head += [f"{auroc[1:]}: overall", "policy", "market", "cell"]
        parts.append(f"{budget[1:]} reviews:\n\n{table(head, rows)}\n")
    return "\n".join(parts)


def width_of(lines: Lines, aurocs: Sequence[str], budgets: Sequence[str]) -> str:
    """Width and yield relative to a random draw, and errors found in 100 reviews."""
    rows = []
    for design, scenario in ((d, s) for d in KAPPAS for s in SCENARIOS):
        row = [DESIGNS[design], scenario]
        for auroc, budget in ((a, b) for a in aurocs for b in budgets):
            line = lines.get(f"{scenario}/{auroc}/{budget}/{design}")
            if line is None:
                row += ["-"] * 3
                continue
            per_hundred = 100 * line["found"] / int(budget[1:])
            row += [f"{line['width_ratio']:.2f}", f"{line['yield_ratio']:.1f}", f"{per_hundred:.1f}"]
        rows.append(row)
    head = ["design", "scenario"]
    for auroc, budget in ((a, b) for a in aurocs for b in budgets):
        head += [f"{auroc[1:]}, {budget[1:]}: width", "yield", "per 100"]
    return table(head, rows) + "\n"


def domains_of(lines: Lines, aurocs: Sequence[str], budgets: Sequence[str]) -> str:
    """Widths by domain in cal, and how many cells count as measured."""
    rows = []
    for auroc, budget, design in ((a, b, d) for a in aurocs for b in budgets for d in KAPPAS):
        if (line := lines.get(f"cal/{auroc}/{budget}/{design}")) is None:
            continue
        covered = line["coverage_cell_measured"]
        rows.append(
            [
                auroc[1:],
                budget[1:],
                DESIGNS[design],
                *(f"{line[f'width_ratio_{kind}']:.2f}" for kind in ("policy", "market", "cell")),
                f"{line['cells_reviewed']:.0%}",
                f"{line['cells_measured']:.0%}",
                "-" if covered is None else f"{covered:.3f}",
            ]
        )
    head = (
        "AUROC",
        "reviews",
        "design",
        "policy",
        "market",
        "cell",
        "cells reviewed",
        "cells measured",
        "their coverage",
    )
    return table(head, rows) + "\n"


def extras_of(out: Mapping[str, Any]) -> str:
    """A table for each extra."""
    parts = []
    for name, (_, reference) in EXTRAS.items():
        found = {key: row for key, row in out["extras"].items() if key.startswith(f"{name}/")}
        if not found:
            parts.append(f"**{name}**: not measured yet.\n")
            continue
        plain = {"populations", "coverage", "coverage_se", "width_ratio", "width_ratio_se", "reference"}
        more = sorted({key for row in found.values() for key in row} - plain)
        rows = [
            [key.split("/")[1], key.split("/")[2][1:], _se(row, "coverage"), _se(row, "width_ratio")]
            + [f"{row[what]:.3f}" if row.get(what) is not None else "-" for what in more]
            for key, row in found.items()
        ]
        head = [
            "scenario",
            "AUROC",
            "coverage (s.e.)",
            "width (s.e.)",
            *(what.replace("_", " ") for what in more),
        ]
        parts.append(f"**{name}**, width relative to {reference}:\n\n{table(head, rows)}\n")
    return "\n".join(parts)


def bias_of(lines: Lines) -> str:
    """The largest mean errors of the overall rate."""
    ours = {key: row for key, row in lines.items() if not key.endswith("/srs")}
    key = max(ours, key=lambda name: abs(ours[name]["bias"]))
    told = {k: r for k, r in ours.items() if r.get("bias_se")}
    beyond = [k for k, r in told.items() if abs(r["bias"]) > 3 * r["bias_se"]]
    text = f"Mean error of the overall rate: the largest of {len(ours)} lines is {100 * ours[key]['bias']:+.2f} points ({key})"
    return f"{text}; {len(beyond)} lines are more than 3 standard errors off zero{': ' if beyond else ''}{', '.join(beyond)}.\n"


def tables(out: Mapping[str, Any]) -> str:
    """The whole generated part."""
    lines = out["lines"]
    aurocs = sorted({key.split("/")[1] for key in lines})
    budgets = sorted({key.split("/")[2] for key in lines}, key=lambda name: int(name[1:]))
    parts = {
        "Run": run_of(out) + "\n",
        "Targets": targets_of(out) + f"\nA table of top scores without probabilities is refused: "
        f"{'yes' if out['checks']['top_k_refused'] else '**no**'}.\n",
        "Coverage of the 95% interval": coverage_of(lines, aurocs, budgets),
        "Width and yield": width_of(lines, aurocs, budgets),
        "By policy, market and cell": domains_of(lines, aurocs, budgets),
        "Modelled cells, erring SMEs, half-done batches, clusters, daily looks": extras_of(out),
        "Bias": bias_of(lines),
    }
    return "\n".join(f"## {title}\n\n{text}" for title, text in parts.items())


def main() -> None:
    """Put the tables into the document, or print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path)
    parser.add_argument("document", type=Path, nargs="?")
    args = parser.parse_args()
    made = tables(json.loads(args.json.read_text(encoding="utf-8")))
    if args.document is None:
        print(made)
        return
    text = args.document.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{args.document}: needs the marks {BEGIN!r} and {END!r} once each")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    args.document.write_text(f"{head}{BEGIN}\n\n{made}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
