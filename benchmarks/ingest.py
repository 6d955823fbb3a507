"""Measures seconds and memory of `evenhand ingest decisions` on a large export; checks that nothing is lost.

    python benchmarks/ingest.py [--rows 1000000] [--formats csv.gz parquet] [--json OUT] [--folder FOLDER]

The texts are the invented sentences of `evenhand.synthetic`; one row in 1,000 is bad in a known way. A new
process takes each format into a new workspace, so that its peak memory is its own. Then the same file is
taken in again, which must change nothing. The benchmark stops with an error unless rows = added + quarantined
and each kind of bad row was quarantined as often as it was planted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PEAK_MB = 1024  # the limit for ingest, for a file of any size
BAD_EVERY = 1_000
CHUNK = 50_000
START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 84

#: Column, bad value, and words of the reason in quarantine; planted one after the other.
BAD: tuple[tuple[str, str, str], ...] = (
    ("decided_at", "2026-03-01T09:30:00", "no time zone"),
    ("decided_at", "2026-02-30T09:30:00Z", "is no time"),
    ("label", "no_such_label", "label is not in area"),
    ("text", "before\x00after", "NUL character"),
    ("case_id", "", "case_id is empty"),
    ("language", "English, mostly", "no BCP 47 tag"),
    ("policy_version", "short-video/1999", "policy_version is unknown"),
    ("exposure", "-3", "no number of views"),
)
COLUMNS = (
    "case_id",
    "text",
    "language",
    "market",
    "queue",
    "area",
    "policy_version",
    "label",
    "moderator_id",
    "decided_at",
    "team",
    "exposure",
)


def chunks(rows: int, seed: int) -> Iterator[list[tuple[str, ...]]]:
    """Decision rows in the order of COLUMNS, all as text, at most CHUNK at a time."""
    import numpy as np

    from evenhand.synthetic.generate import KINDS, QUEUES, phrases
    from evenhand.synthetic.people import MARKETS, TEAMS
    from evenhand.synthetic.sample_policies import sample_policies

    rng = np.random.default_rng(seed)
    policies = [policy for policy, _ in sample_policies()]
    languages, areas, queues = list(MARKETS), list(KINDS), list(QUEUES)
    words = phrases()
    for begin in range(0, rows, CHUNK):
        picks = rng.integers(0, 2**31, (min(CHUNK, rows - begin), 10)).tolist()
        part = []
        for i, pick in enumerate(picks, start=begin):
            language, area = languages[pick[0] % len(languages)], areas[pick[1] % len(areas)]
            kinds, own = list(KINDS[area]), words[language]
            sentences = own["kinds"][f"{area}.{kinds[pick[2] % len(kinds)]}"]
            text = (
                own["openers"][pick[3] % len(own["openers"])]
                + sentences[pick[4] % len(sentences)]
                .replace("{t}", own["topics"][pick[5] % len(own["topics"])])
                .replace("{n}", str(2 + pick[6] % 58))
                + own["closers"][pick[7] % len(own["closers"])]
            )
            at = START + timedelta(seconds=int(i * DAYS * 86_400 / rows))
            policy = policies[-1] if at.date() >= policies[-1].effective_from else policies[0]
            labels = policy.area(area).label_names
            row = [
                f"c{i + 1:09}",
                text,
                language,
                MARKETS[language],
                queues[pick[8] % len(queues)],
                area,
                policy.version,
                labels[pick[9] % len(labels)],
                f"m{pick[9] % 997:03}",
                f"{at:%Y-%m-%dT%H:%M:%SZ}",
                TEAMS[pick[8] % len(TEAMS)],
                str(pick[6] % 100_000),
            ]
            if i % BAD_EVERY == BAD_EVERY // 2:
                column, value, _ = BAD[i // BAD_EVERY % len(BAD)]
                row[COLUMNS.index(column)] = value
            part.append(tuple(row))
        yield part


def planted(rows: int) -> dict[str, int]:
    """How many rows are bad, by the words of the reason."""
    counts = {words: 0 for _, _, words in BAD}
    for i in range(BAD_EVERY // 2, rows, BAD_EVERY):
        counts[BAD[i // BAD_EVERY % len(BAD)][2]] += 1
    return counts


def write_file(file: Path, rows: int, seed: int) -> None:
    """Write the decisions to `file`, .csv.gz or .parquet."""
    if file.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([(name, pa.string()) for name in COLUMNS])
        with pq.ParquetWriter(file, schema) as writer:
            for part in chunks(rows, seed):
                writer.write_table(pa.table(list(map(list, zip(*part, strict=True))), schema=schema))
        return
    import csv
    import gzip

    with gzip.open(file, "wt", encoding="utf-8", newline="", compresslevel=4) as stream:
        lines = csv.writer(stream)
        lines.writerow(COLUMNS)
        for part in chunks(rows, seed):
            lines.writerows(part)


def evenhand(workspace: Path, *words: str) -> tuple[str, float, float]:
    """Standard output, wall seconds and peak megabytes of `evenhand WORDS` in a new process.

    The peak is the child's own (wait4). A child starts with the peak of its parent: so this process stays
    small, and another process writes the file.
    """
    call = [sys.executable, "-m", "cli", "-w", str(workspace), *words]
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(call, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        if child.returncode:
            raise SystemExit(f"evenhand {' '.join(words)} ended with {child.returncode}")
        out.seek(0)
        per_mb = 2**20 if sys.platform == "darwin" else 2**10
        return out.read().decode(), took, usage.ru_maxrss / per_mb


def _lake(workspace: Path) -> dict[str, tuple[int, int]]:
    files = sorted((workspace / "decisions").rglob("*.parquet"))
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"ingest is wrong: {what}")


def measure(kind: str, rows: int, folder: Path, seed: int) -> dict[str, Any]:
    """Write a file of this format, take it in twice, check the counts."""
    file, workspace = folder / f"decisions.{kind}", folder / f"workspace-{kind}"
    writer = multiprocessing.get_context("spawn").Process(target=write_file, args=(file, rows, seed))
    writer.start()
    writer.join()
    _must(writer.exitcode == 0, f"the input file could not be written to {folder}")
    evenhand(workspace, "init", str(workspace))
    _, empty_seconds, empty_mb = evenhand(workspace, "ingest", "--help")
    text, seconds, peak = evenhand(workspace, "ingest", "decisions", str(file), "--json")
    first = json.loads(text)[0]
    before = _lake(workspace)
    text, again_seconds, again_peak = evenhand(workspace, "ingest", "decisions", str(file), "--json")
    again = json.loads(text)[0]
    expected = planted(rows)
    found = {words: sum(n for reason, n in first["reasons"].items() if words in reason) for words in expected}
    _must(first["rows"] == rows, f"{first['rows']:,} rows read of {rows:,}")
    _must(first["added"] + first["quarantined"] == rows, f"added and quarantined are not all: {first}")
    _must(found == expected, f"planted {expected}, quarantined {found}")
    _must(first["quarantined"] == sum(expected.values()), "good rows were quarantined")
    _must(
        again["added"] == 0 and again["unchanged"] == first["added"], f"the second run changed rows: {again}"
    )
    _must(again["quarantined"] == first["quarantined"], f"the second run quarantined others: {again}")
    _must(_lake(workspace) == before, "the second run changed the lake's files")
    return {
        "rows": rows,
        "file_mb": round(file.stat().st_size / 2**20, 1),
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "peak_mb": round(peak),
        "peak_ok": max(peak, again_peak) < PEAK_MB,
        "added": first["added"],
        "quarantined": first["quarantined"],
        "again_seconds": round(again_seconds, 1),
        "again_peak_mb": round(again_peak),
        "help_seconds": round(empty_seconds, 2),
        "help_peak_mb": round(empty_mb),
        "lake_mb": round(sum(size for size, _ in before.values()) / 2**20, 1),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def main() -> None:
    """Measure each format and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", choices=("csv.gz", "parquet"), default=["csv.gz", "parquet"])
    parser.add_argument("--seed", type=int, default=20_261_124)
    parser.add_argument("--folder", type=Path, help="where the files go for a while; a temporary folder")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = {}
    for kind in args.formats:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            result[kind] = measure(kind, args.rows, Path(folder), args.seed)
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
