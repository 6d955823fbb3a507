"""Measures how long the flags page takes with 100,000 flags, from the address to the table.

    python benchmarks/flags_page.py [--flags 100000] [--servers 5] [--json OUT]

The page is opened in headless Chromium, which already runs, as a visitor's browser does. The first load of a
new server is reported separately, because the server still warms up; later loads are by other visitors
without a browser cache. Times on a busy machine say little: `chrt -r 1` before the command gives it priority,
and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from playwright.sync_api import Browser, sync_playwright

from evenhand.records.people import User
from evenhand.store import Store
from evenhand.synthetic import generate
from evenhand.synthetic.sample_policies import sample_policies
from evenhand.workspace.workspace import create_workspace


def make_workspace(root: Path, flags: int) -> Path:
    """A workspace with published flags and one person of the ML staff."""
    ws = create_workspace(root / "workspace")
    with Store.open(ws.store_url) as store:
        for policy, text in sample_policies():
            store.add_policy(policy, text, by="benchmark")
        store.add_user(User(user_id="ml", role="ml"))
    generate(seed=1, decisions=flags, rulings=1, out_dir=root / "data")
    rows = pl.read_csv(root / "data" / "decisions.csv.gz", try_parse_dates=True)
    p = np.sort(np.random.default_rng(1).beta(1, 12, rows.height))[::-1]
    full = rows.with_columns(
        pl.int_range(1, rows.height + 1).alias("rank"),
        pl.Series("p_overturn", p),
        decision_id=pl.int_range(rows.height).cast(pl.String),
        predicted_label=pl.lit("no_violation"),
        reasons=pl.lit("reads like no_violation (90%), decided otherwise"),
        support=pl.lit("good"),
        model_version=pl.lit("evenhand-1"),
    )
    ws.flags_dir.mkdir(parents=True)
    full.write_parquet(ws.flags_dir / "evenhand-1.parquet", row_group_size=2_000)
    return ws.root


def load(browser: Browser, url: str) -> float:
    """Seconds from the address to the table."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    began = time.monotonic()
    page.goto(url)
    page.wait_for_selector("[data-testid=stDataFrame]", timeout=60_000)
    took = time.monotonic() - began
    page.close()
    return round(took, 2)


def visits(browser: Browser, root: Path, loads: int) -> list[float]:
    """Seconds of each of `loads` first loads from one new server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = [sys.executable, "-m", "cli", "-w", str(root), "app", "--port", str(port), "--user", "ml"]
    server = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/"
        while True:
            if server.poll() is not None:
                raise SystemExit(f"the app ended with {server.returncode}; run it by hand: {' '.join(call)}")
            try:
                urllib.request.urlopen(url + "_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        return [load(browser, url) for _ in range(loads)]
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flags", type=int, default=100_000)
    parser.add_argument("--servers", type=int, default=5)
    parser.add_argument("--loads", type=int, default=5, help="First loads from each server.")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no Chromium here; install it and try again")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        root = make_workspace(Path(folder), args.flags)
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        browser.new_page().close()
        runs = [visits(browser, root, args.loads) for _ in range(args.servers)]
        browser.close()
    first, later = [run[0] for run in runs], [seconds for run in runs for seconds in run[1:]]
    quiet = os.sched_getscheduler(0) != os.SCHED_OTHER
    found = {
        "flags": args.flags,
        "first_load_of_a_new_server_seconds": {"median": statistics.median(first), "all": first},
        "later_first_loads_seconds": {
            "median": statistics.median(later),
            "worst": max(later),
            "n": len(later),
        },
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "other_work": "kept out by real-time priority" if quiet else "not kept out",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    text = json.dumps(found, indent=1)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
