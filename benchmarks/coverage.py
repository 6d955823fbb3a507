"""Measures how often the interval of the loop holds the true rate, over many seeds.

    python benchmarks/coverage.py --data FILE --workspace DIR --json OUT [--seeds 20]

The model is not fine-tuned. Each seed draws other votes, rulings and review batches. Finished seeds are kept
in OUT and not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the seeds that are missing and say how many intervals hold the truth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--areas", nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=3_000)
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    runs: dict[str, Any] = json.loads(args.json.read_text())["runs"] if args.json.exists() else {}
    for seed in range(1, args.seeds + 1):
        if str(seed) in runs:
            continue
        one = args.json.with_suffix(f".{seed}.json")
        call = [sys.executable, str(Path(__file__).with_name("loop.py")), "--data", str(args.data)]
        call += [
            "--workspace",
            str(args.workspace),
            "--seed",
            str(seed),
            "--json",
            str(one),
            "--epochs",
            "0",
            "--here",
        ]
        call += ["--limit", str(args.limit), "--budget", str(args.budget)]
        call += ["--areas", *args.areas] if args.areas else []
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = json.loads(one.read_text())
        one.unlink()
        runs[str(seed)] = {"true_rate": found["error_rate"], **found["estimate"], "date": found["date"]}
        held = [run["low"] <= run["true_rate"] <= run["high"] for run in runs.values()]
        summary = {"set": found["set"], "seeds": len(held), "covered": sum(held), "runs": runs}
        args.json.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        print(f"seed {seed}: {sum(held)} of {len(held)} intervals hold the true rate", flush=True)


if __name__ == "__main__":
    main()
