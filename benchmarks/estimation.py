"""Simulates draws with the code that users run: do they find errors, and are the intervals honest?

    python benchmarks/estimation.py [--quick] [--json OUT] [--cache FOLDER] [--pops 20] [--reps 60]
        [--procs 2]

A simulated week has 150,000 decisions in 40 cells (8 markets, 5 policies). `evenhand.statistics.design` draws
and `evenhand.statistics.estimator` estimates. The reference is a simple random sample of the same size with
Wilson's interval. The truth is the error rate of the simulated week. Ratios and coverages are means over
populations; each population is drawn `--reps` times. An interrupted run with the same --cache continues where
it stopped; --json is rewritten after every population.

The quality of the model differs by scenario: cal (p calibrated), over (overconfident), cellbias (wrong level
in each cell), shift (two of five policies have three times the errors, and the ranking is mostly lost), blind
(the same two policies have new errors where p is lowest).
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from estimation_summary import Task, against_targets, headline, of_extras, summary
from simulated_draws import KAPPAS, designed_draws, random_draws
from simulated_extras import EXTRAS
from simulated_week import SCENARIOS, population

from evenhand.errors import EstimateError
from evenhand.statistics import (
    belief,
    design,
    draw,
    estimator,
    intervals,
    repeated_looks,
    ridge_logistic,
    second_phase,
    small_area,
)
from evenhand.statistics.estimator import domain_totals

AUROCS = (0.75, 0.90)
EXTRA_BUDGET = 500  # budget of the extras; kappa = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run simulates."""

    decisions: int
    pops: int
    reps: int
    budgets: tuple[int, ...]
    scenarios: tuple[str, ...]
    aurocs: tuple[float, ...]
    extras: tuple[str, ...]
    seed: int


def simulate(task: tuple[str, float, int], settings: Settings) -> dict[str, Any]:
    """Run all budgets and designs on one population."""
    scenario, auroc, pop = task
    week = population(np.random.default_rng([settings.seed, pop]), scenario, auroc, settings.decisions)
    key = [settings.seed, pop, SCENARIOS.index(scenario), round(100 * auroc), 1]
    rng = np.random.default_rng(key)
    rows: dict[str, Any] = {}
    for n in settings.budgets:
        rows[f"n{n}/srs"] = random_draws(week, n, settings.reps, rng)
        for name, kappa in KAPPAS.items():
            rows[f"n{n}/{name}"] = designed_draws(week, n, settings.reps, kappa, rng)
    return {"auroc": week.auroc, "error_rate": float(week.y.mean()), "rows": rows}


def simulate_extra(task: Task, settings: Settings, name: str) -> dict[str, Any]:
    """Run one of the EXTRAS on one population."""
    scenario, auroc, pop = task
    week = population(np.random.default_rng([settings.seed, pop]), scenario, auroc, settings.decisions)
    rng = np.random.default_rng([settings.seed, pop, 2, list(EXTRAS).index(name)])
    n = EXTRA_BUDGET if EXTRA_BUDGET in settings.budgets else settings.budgets[0]
    return dict(EXTRAS[name][0](week, n, settings.reps, rng))


#: The code that a simulated draw and its estimate use. Other code of these modules may change without a new
#: run.
MEASURED_CODE = {
    belief: ("BELIEF", "believed"),
    design: ("capped", "Design", "_highest", "_EDGE", "PHI_MAX"),
    draw: ("pareto_draw", "_spread"),
    estimator: (
        "recalibrate",
        "calibrated",
        "frame_totals",
        "sample_totals",
        "_modelled",
        "_verdicts",
        "_spread",
        "estimates",
        "_effective",
        "_estimate",
        "ENOUGH",
        "RULED",
        "SMOOTH",
        "_EDGE",
    ),
    intervals: ("wilson_rate", "logit_t"),
    ridge_logistic: ("ridge_logistic", "_ROUNDS", "_SMALL"),
}
#: The code that an extra uses in addition.
EXTRA_CODE = MEASURED_CODE | {
    small_area: ("in_bins", "modelled_rates", "_design", "_fit", "_KINDS"),
    second_phase: ("panel_chance", "second_phase", "PANEL_SHARE"),
    repeated_looks: ("daily_critical_value", "daily_confidence", "DAY_THAT_COUNTS"),
}


def code_mark(code: dict[ModuleType, tuple[str, ...]] = MEASURED_CODE) -> str:
    """A hash of the measured product code, without comments: a cached result of other code is not used."""
    text = ""
    for module, names in code.items():
        source = {
            name: node
            for node in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body
            for name in _names(node)
        }
        text += "".join(ast.dump(_bare(source[name])) for name in names)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _bare(node: ast.stmt) -> ast.stmt:
    """The same without docstrings."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner):
            inner.body = inner.body[1:]
    return node


def results(settings: Settings, cache: Path | None, procs: int) -> Iterator[tuple[Task, str, Any]]:
    """Yield each result when it is ready: its task, "" or the name of an extra, and what was found.

    Results in `cache` come first; with `procs` 0 only those. All scenarios of a population come before the
    next population, and the extras come after all plain results.
    """
    numbers = f"{settings.decisions}-{settings.reps}-{'-'.join(map(str, settings.budgets))}-{settings.seed}"

    def place(task: Task, name: str) -> Path:
        mark = code_mark(EXTRA_CODE if name else MEASURED_CODE)
        what = f"-{name.replace(' ', '-')}" if name else ""
        return Path(cache or ".") / f"{task[0]}-{task[1]:.2f}-pop{task[2]:03}{what}-{mark}-{numbers}.json"

    tasks = [(s, a, pop) for pop in range(settings.pops) for a in settings.aurocs for s in settings.scenarios]
    jobs = [(task, "") for task in tasks] + [(task, name) for task in tasks for name in settings.extras]
    left = []
    for job in jobs:
        if cache and place(*job).exists():
            yield *job, json.loads(place(*job).read_text(encoding="utf-8"))
        else:
            left.append(job)
    if not procs:
        return
    with ProcessPoolExecutor(procs) as pool:
        running = {pool.submit(_run, settings, *job): job for job in left}
        for done in as_completed(running):
            job, result = running[done], done.result()
            if cache:
                cache.mkdir(parents=True, exist_ok=True)
                part = place(*job).with_suffix(".part")
                part.write_text(json.dumps(result), encoding="utf-8")
                part.replace(place(*job))
            yield *job, result


def _run(settings: Settings, task: Task, name: str) -> dict[str, Any]:
    return simulate_extra(task, settings, name) if name else simulate(task, settings)


def top_k_is_refused() -> bool:
    """Whether the product refuses an error rate from a list of the highest scores."""
    p = np.linspace(0.01, 0.9, 1_000)
    pi = (np.arange(1_000) >= 950).astype(float)
    try:
        domain_totals(p, pi, np.arange(950, 1_000), np.ones(50))
    except EstimateError:
        return True
    return False


def without_nan(value: Any) -> Any:
    """The same with null for NaN (a standard error from one population), because JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _print(out: dict[str, Any]) -> None:
    print(
        f"{'scenario':28s}{'pops':>5s}{'coverage':>10s}{'policy':>8s}{'market':>8s}{'cell':>8s}"
        f"{'width':>8s}{'yield':>8s}"
    )
    for key, row in out["lines"].items():
        print(
            f"{key:28s}{row['populations']:5.0f}{row['coverage']:10.3f}{row['coverage_policy']:8.3f}"
            f"{row['coverage_market']:8.3f}{row['coverage_cell']:8.3f}{row['width_ratio']:8.3f}{row['yield_ratio']:8.2f}"
        )
    print(
        f"\n{'target':26s}{'design':11s}{'AUROC':7s}{'reviews':9s}{'value':>8s}{'s.e.':>8s}  {'met':4s}decided by"
    )
    for row in out["targets"]:
        print(
            f"{row['target']:26s}{row['design']:11s}{row['auroc']:7s}{row['budget']:9s}{row['value']:8.3f}"
            f"{row['se']:8.3f}  {'yes' if row['met'] else 'NO':4s}{row['where']}"
        )
    print(f"{'top-k is refused':72s}{'yes' if out['checks']['top_k_refused'] else 'NO'}")
    for key, row in out["extras"].items():
        print(f"{key:40s}coverage {row['coverage']:.3f} width {row['width_ratio']:.2f} of {row['reference']}")


def main() -> None:
    """Simulate, compare with the targets and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 populations, 10 draws each: a smoke test")
    parser.add_argument("--pops", type=int, help="populations; 20, or 2 with --quick")
    parser.add_argument("--reps", type=int, help="draws from each population; 60, or 10 with --quick")
    parser.add_argument("--decisions", type=int, default=150_000)
    parser.add_argument("--budgets", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--aurocs", type=float, nargs="+", choices=AUROCS, default=list(AUROCS))
    parser.add_argument("--extras", nargs="*", choices=list(EXTRAS), default=list(EXTRAS))
    parser.add_argument("--seed", type=int, default=20_261_124)
    parser.add_argument("--procs", type=int, default=2, help="0: only sum up what --cache holds")
    parser.add_argument("--cache", type=Path, help="folder that keeps each population's result")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = Settings(
        decisions=args.decisions,
        pops=args.pops or (2 if args.quick else 20),
        reps=args.reps or (10 if args.quick else 60),
        budgets=tuple(args.budgets),
        scenarios=tuple(args.scenarios),
        aurocs=tuple(args.aurocs),
        extras=tuple(args.extras),
        seed=args.seed,
    )
    began = time.monotonic()
    plain: dict[Task, Any] = {}
    extras: dict[tuple[Task, str], Any] = {}
    tasks = settings.pops * len(settings.scenarios) * len(settings.aurocs)
    for task, name, result in results(settings, args.cache, args.procs):
        if name:
            extras[task, name] = result
        else:
            plain[task] = result
        lines = summary(plain)
        out = {
            "scenarios": headline(lines),
            "lines": lines,
            "extras": of_extras(extras),
            "targets": against_targets(lines),
            "checks": {"top_k_refused": top_k_is_refused()},
            "settings": asdict(settings),
            "done": {"plain": len(plain), "extras": len(extras), "of": tasks},
            "complete": len(plain) == tasks and len(extras) == tasks * len(settings.extras),
            "code": code_mark(),
            "seconds": round(time.monotonic() - began, 1),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        }
        if args.json:
            part = args.json.with_name(args.json.name + ".part")
            part.write_text(json.dumps(without_nan(out), indent=1) + "\n", encoding="utf-8")
            part.replace(args.json)
    if not plain:
        raise SystemExit(
            f"{args.cache}: nothing there of this code and these settings; give --procs 1 or more"
        )
    _print(out)
    print(f"{out['seconds']} s")


if __name__ == "__main__":
    main()
