"""Measures how long `import evenhand` and `evenhand --help` take, as the median of several new processes.

python benchmarks/startup.py --json OUT
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(call: list[str], repeats: int) -> float:
    """Median wall seconds of `call` over `repeats` new processes, after one that warms the disk cache."""
    took = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run(call, check=True, capture_output=True)
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    python = seconds([sys.executable, "-c", "pass"], args.repeats)
    result = {
        "python_seconds": python,
        "import_evenhand_seconds": seconds([sys.executable, "-c", "import evenhand"], args.repeats) - python,
        "import_store_seconds": seconds([sys.executable, "-c", "import evenhand.store"], args.repeats)
        - python,
        "help_seconds": seconds([sys.executable, "-m", "cli", "--help"], args.repeats),
    }
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
