"""Tests that the benchmark scripts run, and that their figures have the right names and ranges."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evenhand.statistics.design import Design
from evenhand.statistics.draw import pareto_draw
from evenhand.statistics.estimator import domain_totals

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from estimation_report import BEGIN, END  # noqa: E402
from simulated_week import DOMAINS, population  # noqa: E402

DESIGNS = ("srs", "kappa1", "kappa1.25", "measure")


def run(script: str, *words: str) -> str:
    call = [sys.executable, str(ROOT / "benchmarks" / script), *words]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def simulation(tmp_path_factory):
    """The folder, words, output and JSON of a run on two small populations of two scenarios."""
    folder = tmp_path_factory.mktemp("estimation")
    out = folder / "out.json"
    words = ["--decisions", "6000", "--budgets", "150", "--pops", "2", "--reps", "4", "--procs", "1"]
    words += ["--scenarios", "cal", "blind", "--cache", str(folder / "cache")]
    printed = run("estimation.py", *words, "--json", str(out))
    return folder, words, printed, json.loads(out.read_text(), parse_constant=pytest.fail)


def test_every_scenario_and_design_has_its_figures(simulation):
    lines = simulation[3]["lines"]
    assert set(lines) == {
        f"{s}/{a}/n150/{d}" for s in ("cal", "blind") for a in ("0.75", "0.90") for d in DESIGNS
    }
    for row in lines.values():
        for kind in ("", "_policy", "_market", "_cell"):
            assert 0 <= row[f"coverage{kind}"] <= 1
            assert 0.2 < row[f"width_ratio{kind}"] < 3
        assert 0.2 < row["yield_ratio"] < 20 and row["populations"] == 2
        assert 0 <= row["cells_measured"] <= row["cells_reviewed"] <= 1
    for scenario, row in simulation[3]["scenarios"].items():
        assert row == {name: lines[f"{scenario}/0.90/n150/kappa1"][name] for name in row}
        assert set(row) == {"coverage", "width_ratio", "yield_ratio"}
    assert set(simulation[3]["scenarios"]) == {"cal", "blind"}


def test_the_reference_is_compared_with_itself(simulation):
    for name, row in simulation[3]["lines"].items():
        if name.endswith("/srs"):
            assert row["width_ratio"] == row["yield_ratio"] == 1


def test_hunting_finds_more_errors_than_measuring(simulation):
    lines = simulation[3]["lines"]
    for scenario in ("cal", "blind"):
        hunt, measure = (lines[f"{scenario}/0.90/n150/{d}"] for d in ("kappa1.25", "measure"))
        assert hunt["yield_ratio"] > measure["yield_ratio"] and hunt["phi"] > measure["phi"] == 0


def test_every_target_is_judged_and_printed(simulation):
    _, _, printed, out = simulation
    assert len(out["targets"]) == 24 and out["complete"]  # twelve targets, two AUROCs, one budget
    for row in out["targets"]:
        assert isinstance(row["met"], bool) and math.isfinite(row["value"]) and row["target"] in printed
    assert out["checks"] == {"top_k_refused": True}


def test_the_report_is_made_of_the_json_and_keeps_the_prose(simulation):
    folder = simulation[0]
    document = folder / "report.md"
    document.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    run("estimation_report.py", str(folder / "out.json"), str(document))
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before") and text.endswith("after\n") and "\nold\n" not in text
    lines = simulation[3]["lines"]
    assert f"| cal | {lines['cal/0.75/n150/kappa1']['coverage']:.3f}" in text
    assert "The run is complete." in text and text.count("**daily looks**") == 1


def test_every_extra_has_a_coverage_and_a_width_with_its_reference(simulation):
    extras = simulation[3]["extras"]
    names = ("clustered errors", "daily looks", "erring SMEs", "half-done batch", "modelled cells")
    assert set(extras) == {f"{n}/{s}/{a}" for n in names for s in ("cal", "blind") for a in ("0.75", "0.90")}
    for row in extras.values():
        assert 0 <= row["coverage"] <= 1 and 0.05 < row["width_ratio"] < 3 and row["reference"]
    daily = [row for key, row in extras.items() if key.startswith("daily looks")]
    assert all(row["coverage"] >= row["coverage_naive"] and row["width_ratio"] > 1.4 for row in daily)


def test_a_second_run_takes_its_figures_from_the_cache(simulation):
    folder, words, _, before = simulation
    cached = {file: file.stat().st_mtime_ns for file in (folder / "cache").iterdir()}
    run("estimation.py", *words, "--json", str(folder / "again.json"))
    after = json.loads((folder / "again.json").read_text())
    assert after["lines"] == before["lines"] and after["extras"] == before["extras"]
    assert {file: file.stat().st_mtime_ns for file in (folder / "cache").iterdir()} == cached


@pytest.mark.slow
def test_ingest_of_many_rows_loses_nothing_and_stays_small(tmp_path):
    run("ingest.py", "--rows", "4000", "--formats", "csv.gz", "--json", str(tmp_path / "out.json"))
    found = json.loads((tmp_path / "out.json").read_text())["csv.gz"]
    assert found["rows"] == 4_000 == found["added"] + found["quarantined"] and found["quarantined"] == 4
    assert found["seconds"] > 0 and found["rows_per_second"] > 0 and found["again_seconds"] > 0
    assert 0 < found["peak_mb"] < 1_024 and found["peak_ok"]


@pytest.mark.slow
def test_plan_draw_and_estimate_of_a_lake_agree_with_pandas(tmp_path):
    words = (
        "--rows",
        "20000",
        "--budget",
        "400",
        "--cache",
        str(tmp_path),
        "--json",
        str(tmp_path / "out.json"),
    )
    run("scale.py", *words)
    found = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert {"seconds", "peak_mb", "pandas_seconds", "ratio", "rows", "cells", "machine", "date"} <= set(found)
    assert found["rows"] == 20_000 and found["cells"] == 200
    assert found["evenhand"]["errors_found"] > 0 and (tmp_path / "lake-20000").is_dir()


def test_the_domains_of_the_simulation_are_sums_of_its_cells():
    rng = np.random.default_rng(4)
    week = population(rng, "over", 0.9, 6_000)
    assert week.auroc == pytest.approx(0.9, abs=0.02) and len(week.p) == 6_000
    pi = Design(week.p, 200, cell=week.cell).probabilities(0.2)
    s = pareto_draw(pi, rng.random(6_000))
    cells = domain_totals(week.p, pi, s, week.y[s], domain=week.cell, domains=40)
    for domain in DOMAINS.values():
        code, count = domain[week.cell], int(domain.max()) + 1
        direct = domain_totals(week.p, pi, s, week.y[s], domain=code, domains=count)
        pooled = cells.grouped(domain, count)
        for name in ("population", "model", "residual", "v", "v2", "anticipated", "reviewed", "found"):
            assert getattr(pooled, name) == pytest.approx(getattr(direct, name), rel=1e-9, abs=1e-6)
