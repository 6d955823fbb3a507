"""Do the draws find errors and are the intervals honest? A simulation on the code that users run.

    python benchmarks/estimation.py [--quick] [--json OUT] [--cache FOLDER] [--pops 20] [--reps 60] [--procs 2]

Simulated weeks of 150,000 decisions in 40 cells (8 markets, 5 policies), drawn by `evenhand.sampling` and estimated by
`evenhand.estimation`, against a simple random sample of the same size with Wilson's interval. The truth is the error rate of
the simulated week itself. Ratios and coverages are means over populations; each population is drawn `--reps` times. A run that
was cut goes on where it stopped if it is given the same --cache; --json is rewritten after every population.

What the model is worth differs by scenario: cal (p calibrated), over (overconfident), cellbias (wrong level in each cell),
shift (two of five policies: three times the errors, and the ranking mostly lost), blind (the same two policies: new errors
just where p is lowest).
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
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from evenhand import estimation, intervals, sampling
from evenhand.errors import EstimateError
from evenhand.estimation import Totals, domain_totals, estimates
from evenhand.intervals import wilson_rate
from evenhand.sampling import choose_phi, inclusion_probabilities, pareto_draw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

POLICIES, MARKETS = 5, 8
CELLS = POLICIES * MARKETS
CHANGED = 2  # policies that shift and blind change
RATES = np.exp(np.linspace(np.log(0.005), np.log(0.15), CELLS))  # true error rates of the cells
DOMAINS: dict[str, Ints] = {  # domain of each cell
    "overall": np.zeros(CELLS, np.int64),
    "policy": np.arange(CELLS) % POLICIES,
    "market": np.arange(CELLS) // POLICIES,
    "cell": np.arange(CELLS),
}
SCENARIOS = ("cal", "over", "cellbias", "shift", "blind")
AUROCS = (0.75, 0.90)
KAPPAS: dict[str, float | None] = {"kappa1": 1.0, "kappa1.25": 1.25, "measure": None}  # None: phi = 0
MEASURES = (
    "coverage", "half_width", "bias", "rmse", "direct", "truth_above", "measured", "measured_covered",
)  # fmt: skip
NOT_MEASURED = {
    "hierarchical cell table": "modelled rates of unknown cells are tested on one world (tests/test_error_rates.py), not simulated here",
    "daily looks": "no sequential interval in the product; estimates are meant for one look at a finished draw",
    "two-phase SME correction": "tested on one world (tests/test_error_rates.py), not simulated here",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run simulates."""

    decisions: int
    pops: int
    reps: int
    budgets: tuple[int, ...]
    scenarios: tuple[str, ...]
    aurocs: tuple[float, ...]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Population:
    """One simulated week: scores `p`, errors `y` (0 or 1) and `cell` codes, each of shape (decisions,)."""

    p: Floats
    y: Floats
    cell: Ints
    auroc: float  # of p for the errors, in expectation

    def truth(self, domain: Ints) -> Floats:
        """Error rate of each domain."""
        code = domain[self.cell]
        return np.asarray(np.bincount(code, self.y) / np.bincount(code))


def expected_auroc(score: Floats, q: Floats) -> float:
    """AUROC of `score` for errors that happen with probability `q`."""
    q = q[np.argsort(score)]
    below = np.cumsum(1 - q) - (1 - q)
    return float((q * below).sum() / (q.sum() * (1 - q).sum() - (q * (1 - q)).sum()))


def intercepts(z: Floats, cell: Ints, rate: Floats, spread: float) -> Floats:
    """Log-odds a of each cell so that the mean of expit(a + spread z) in it is `rate`; Newton, shape (CELLS,)."""
    size, a = np.bincount(cell, minlength=CELLS), logit(rate)
    for _ in range(12):
        q = expit(a[cell] + spread * z)
        slope = np.bincount(cell, q * (1 - q), CELLS) / size
        a = a - np.clip((np.bincount(cell, q, CELLS) / size - rate) / slope, -1.5, 1.5)
    return a


def population(rng: np.random.Generator, scenario: str, auroc: float, n: int) -> Population:
    """A week of `n` decisions, whose calibrated score would have this AUROC; cells of very different sizes."""
    share = np.exp(rng.normal(0, 0.9, CELLS))
    size = np.maximum(n // 500, share / share.sum() * n).astype(int)
    size[size.argmax()] += n - size.sum()
    cell = np.repeat(np.arange(CELLS), size)
    rate, z = rng.permutation(RATES), rng.normal(size=n)
    low, high = 0.2, 3.5
    for _ in range(12):  # the spread of the log-odds that gives this AUROC
        spread = (low + high) / 2
        log_odds = intercepts(z, cell, rate, spread)[cell] + spread * z
        enough = expected_auroc(log_odds, expit(log_odds)) >= auroc
        low, high = (low, spread) if enough else (spread, high)
    q = expit(log_odds)
    p, changed = q.copy(), DOMAINS["policy"] < CHANGED
    if scenario == "over":
        centre = logit(q.mean())
        p = expit(centre + 1.8 * (log_odds - centre))
    elif scenario == "cellbias":
        p = expit(log_odds + rng.normal(0, 0.6, CELLS)[cell])
    elif scenario == "shift":
        other = np.where(changed[cell], 0.4 * z + np.sqrt(0.84) * rng.normal(size=n), z)
        more = np.where(changed, np.minimum(0.25, 3 * rate), rate)
        q = expit(intercepts(other, cell, more, spread)[cell] + spread * other)
    elif scenario == "blind":
        q = np.where(changed[cell] & (z < 0), q + 0.05, q)
    p = np.clip(p, 1e-5, 0.999)
    y = (rng.random(n) < q).astype(float)
    return Population(p=p, y=y, cell=cell.astype(np.int64), auroc=expected_auroc(p, q))


def pooled(totals: Totals, domain: Ints) -> Totals:
    """Totals of domains made of whole cells: sums of the cells' totals."""
    return Totals(
        **{f.name: np.bincount(domain, getattr(totals, f.name)).astype(float) for f in fields(Totals)}
    )


class Tally:
    """Adds up how the intervals of one design did, by kind of domain."""

    def __init__(self, truths: dict[str, Floats]) -> None:
        self.truths = truths
        self.rows: dict[str, list[list[float]]] = {name: [] for name in truths}
        self.found: list[float] = []

    def add(
        self, kind: str, rate: Floats, low: Floats, high: Floats, reviewed: Floats, measured: Bools
    ) -> None:
        """One draw: coverage over the domains with any review, width and errors over all of them."""
        truth, direct = self.truths[kind], reviewed > 0
        covered = (low <= truth + 1e-12) & (truth <= high + 1e-12)
        off = rate - truth
        self.rows[kind].append(
            [
                float(covered[direct].mean()), float((high - low).mean() / 2), float(off.mean()),
                float((off**2).mean()), float(direct.mean()), float((truth > high)[direct].mean()),
                float(measured.mean()), float((covered & measured).mean()),
            ]
        )  # fmt: skip

    def result(self) -> dict[str, Any]:
        """Means over the draws."""
        out: dict[str, Any] = {"found": float(np.mean(self.found))}
        for kind, rows in self.rows.items():
            means = dict(zip(MEASURES, np.mean(rows, axis=0).tolist(), strict=True))
            out[kind] = means | {"rmse": means["rmse"] ** 0.5}
        return out


def random_draws(week: Population, n: int, reps: int, rng: np.random.Generator) -> dict[str, Any]:
    """The reference: simple random samples with Wilson's interval."""
    tally = Tally({kind: week.truth(domain) for kind, domain in DOMAINS.items()})
    for _ in range(reps):
        s = rng.choice(len(week.p), n, replace=False, shuffle=False)
        tally.found.append(float(week.y[s].sum()))
        for kind, domain in DOMAINS.items():
            code, domains = domain[week.cell[s]], int(domain.max()) + 1
            reviewed = np.bincount(code, minlength=domains).astype(float)
            rate = np.bincount(code, week.y[s], domains) / np.maximum(reviewed, 1)
            low, high = wilson_rate(rate, reviewed)
            tally.add(kind, rate, low, high, reviewed, reviewed >= estimation.ENOUGH)
    return tally.result()


def designed_draws(
    week: Population, n: int, reps: int, kappa: float | None, rng: np.random.Generator
) -> dict[str, Any]:
    """Evenhand's own draws and estimates; `kappa` None: measure only, nothing taken for its score alone."""
    phi = 0.0 if kappa is None else choose_phi(week.p, n, kappa=kappa, cell=week.cell)
    pi = inclusion_probabilities(week.p, n, phi=phi, cell=week.cell)
    tally = Tally({kind: week.truth(domain) for kind, domain in DOMAINS.items()})
    for _ in range(reps):
        s = pareto_draw(pi, rng.random(len(pi)))
        y = week.y[s]
        tally.found.append(float(y.sum()))
        cells = domain_totals(week.p, pi, s, y, domain=week.cell, domains=CELLS)
        for kind, domain in DOMAINS.items():
            found = estimates(pooled(cells, domain))
            rate, low, high = np.array([(e.rate, e.low, e.high) for e in found]).T
            reviewed = np.array([e.n_reviewed for e in found])
            measured = np.array([e.status == "measured" for e in found])
            tally.add(kind, rate, low, high, reviewed, measured)
    return tally.result() | {"phi": phi, "pi_min": float(pi.min())}


def simulate(task: tuple[str, float, int], settings: Settings) -> dict[str, Any]:
    """All budgets and designs on one population."""
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


#: What a simulated draw and its estimate rest on. Other code of these modules may change without a new run.
MEASURED_CODE = {
    sampling: ("capped", "inclusion_probabilities", "choose_phi", "pareto_draw", "_spread", "_EDGE", "PHI_MAX", "_HALVINGS"),
    estimation: (
        "recalibrate", "domain_totals", "_verdicts", "_spread", "estimates", "_effective", "_estimate", "ENOUGH", "SMOOTH",
        "_EDGE",
    ),
    intervals: ("wilson_rate", "logit_t"),
}  # fmt: skip


def code_mark(code: dict[ModuleType, tuple[str, ...]] = MEASURED_CODE) -> str:
    """Names the product code that is measured, without its comments: a result of other code is not taken from the cache."""
    text = ""
    for module, names in code.items():
        source = {
            name: node
            for node in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body
            for name in _names(node)
        }
        text += "".join(ast.dump(_without_docstring(source[name])) for name in names)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _without_docstring(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
        node.body = node.body[1:]
    return node


def results(
    settings: Settings, cache: Path | None, procs: int
) -> Iterator[tuple[tuple[str, float, int], Any]]:
    """Each population's result as it is ready; those in `cache` first. All scenarios of a population before the next."""
    mark = f"{code_mark()}-{settings.decisions}-{settings.reps}-{'-'.join(map(str, settings.budgets))}-{settings.seed}"

    def place(task: tuple[str, float, int]) -> Path:
        return Path(cache or ".") / f"{task[0]}-{task[1]:.2f}-pop{task[2]:03}-{mark}.json"

    tasks = [(s, a, pop) for pop in range(settings.pops) for a in settings.aurocs for s in settings.scenarios]
    left = []
    for task in tasks:
        if cache and place(task).exists():
            yield task, json.loads(place(task).read_text(encoding="utf-8"))
        else:
            left.append(task)
    with ProcessPoolExecutor(procs) as pool:
        running = {pool.submit(partial(simulate, settings=settings), task): task for task in left}
        for done in as_completed(running):
            task, result = running[done], done.result()
            if cache:
                cache.mkdir(parents=True, exist_ok=True)
                part = place(task).with_suffix(".part")
                part.write_text(json.dumps(result), encoding="utf-8")
                part.replace(place(task))
            yield task, result


def summary(found: dict[tuple[str, float, int], Any]) -> dict[str, dict[str, float]]:
    """Per scenario, AUROC, budget and design: means over the populations, and standard errors where they matter."""
    grouped: dict[str, list[tuple[Any, Any]]] = {}
    models: dict[str, list[float]] = {}
    for (scenario, auroc, _), result in sorted(found.items()):
        for name, row in result["rows"].items():
            key = f"{scenario}/{auroc:.2f}/{name}"
            grouped.setdefault(key, []).append((row, result["rows"][f"{name.split('/')[0]}/srs"]))
            models.setdefault(key, []).append(result["auroc"])
    return {key: _entry(pairs) | {"auroc": float(np.mean(models[key]))} for key, pairs in grouped.items()}


def _entry(pairs: list[tuple[Any, Any]]) -> dict[str, float]:
    rows, random = [row for row, _ in pairs], [row for _, row in pairs]

    def over(kind: str, what: str, of: list[Any]) -> Floats:
        return np.array([row[kind][what] for row in of])

    def error(values: Floats) -> float:
        return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")

    found, usual = np.array([r["found"] for r in rows]), np.array([r["found"] for r in random])
    out: dict[str, float] = {
        "populations": len(rows),
        "yield_ratio": float(found.mean() / usual.mean()),
        "yield_ratio_se": error(found / np.maximum(usual, 1e-9)),
        "found": float(found.mean()),
    }
    if "phi" in rows[0]:
        out["phi"] = float(np.mean([row["phi"] for row in rows]))
    for kind in DOMAINS:
        end = "" if kind == "overall" else f"_{kind}"
        coverage, half = over(kind, "coverage", rows), over(kind, "half_width", rows)
        ratio = half / over(kind, "half_width", random)
        out |= {
            f"coverage{end}": float(coverage.mean()),
            f"coverage{end}_se": error(coverage),
            f"half_width{end}": float(half.mean()),
            f"width_ratio{end}": float(ratio.mean()),
            f"width_ratio{end}_se": error(ratio),
            f"rmse{end}": float(over(kind, "rmse", rows).mean()),
            f"rmse_ratio{end}": float(over(kind, "rmse", rows).mean() / over(kind, "rmse", random).mean()),
            f"bias{end}": float(over(kind, "bias", rows).mean()),
            f"bias{end}_se": error(over(kind, "bias", rows)),
            f"truth_above{end}": float(over(kind, "truth_above", rows).mean()),
        }
    measured = float(over("cell", "measured", rows).mean())
    covered = float(over("cell", "measured_covered", rows).mean())
    return out | {
        "cells_reviewed": float(over("cell", "direct", rows).mean()),
        "cells_measured": measured,
        "coverage_cell_measured": covered / measured if measured else float("nan"),
    }


#: What is promised: (design, measure, scenarios, ">=" or "<=", limit by AUROC). From the design's simulation.
TARGETS: tuple[tuple[str, str, str, str, dict[str, float]], ...] = (
    ("every", "coverage", "worst", ">=", {"0.75": 0.93, "0.90": 0.93}),
    ("every", "coverage_policy", "worst", ">=", {"0.75": 0.94, "0.90": 0.94}),
    ("every", "coverage_market", "worst", ">=", {"0.75": 0.94, "0.90": 0.94}),
    ("every", "coverage_cell", "worst", ">=", {"0.75": 0.94, "0.90": 0.94}),
    ("kappa1", "yield_ratio", "cal", ">=", {"0.75": 1.4, "0.90": 5.0}),
    ("kappa1", "width_ratio", "cal", "<=", {"0.75": 1.00, "0.90": 0.90}),
    ("kappa1", "width_ratio", "worst", "<=", {"0.75": 1.05, "0.90": 1.05}),
    ("kappa1.25", "yield_ratio", "cal", ">=", {"0.75": 2.6, "0.90": 9.5}),
    ("kappa1.25", "width_ratio", "cal", "<=", {"0.75": 1.26, "0.90": 1.20}),
    ("measure", "width_ratio", "cal", "<=", {"0.75": 0.97, "0.90": 0.78}),
)


def against_targets(scenarios: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Each target at each AUROC and budget that was simulated; `where` names the scenario that decides it."""
    budgets = sorted({key.split("/")[2] for key in scenarios}, key=lambda name: int(name[1:]))
    rows = []
    for design, measure, where, sign, limits in TARGETS:
        designs = list(KAPPAS) if design == "every" else [design]
        for auroc, limit in limits.items():
            for budget in budgets:
                keys = [
                    f"{s}/{auroc}/{budget}/{d}"
                    for s in (SCENARIOS if where == "worst" else (where,))
                    for d in designs
                ]
                values = {key: scenarios[key][measure] for key in keys if key in scenarios}
                if not values:
                    continue
                key = (min if sign == ">=" else max)(values, key=lambda k: values[k])
                value = values[key]
                rows.append(
                    {
                        "target": f"{measure} {sign} {limit}", "design": design, "auroc": auroc, "budget": budget,
                        "value": value, "se": scenarios[key].get(f"{measure}_se"), "where": key,
                        "met": bool(value >= limit if sign == ">=" else value <= limit),
                    }
                )  # fmt: skip
    return rows


def top_k_is_refused() -> bool:
    """Whether an error rate from a list of the highest scores is refused."""
    p = np.linspace(0.01, 0.9, 1_000)
    pi = (np.arange(1_000) >= 950).astype(float)
    try:
        domain_totals(p, pi, np.arange(950, 1_000), np.ones(50))
    except EstimateError:
        return True
    return False


def without_nan(value: Any) -> Any:
    """The same with null for NaN: JSON knows no NaN (a standard error from one population)."""
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
    for key, row in out["scenarios"].items():
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
    for name, why in NOT_MEASURED.items():
        print(f"not measured: {name}: {why}")


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
    parser.add_argument("--seed", type=int, default=20_261_124)
    parser.add_argument("--procs", type=int, default=2)
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
        seed=args.seed,
    )
    began, found = time.monotonic(), {}
    tasks = settings.pops * len(settings.scenarios) * len(settings.aurocs)
    for task, result in results(settings, args.cache, args.procs):
        found[task] = result
        scenarios = summary(found)
        out = {
            "scenarios": scenarios,
            "targets": against_targets(scenarios),
            "checks": {"top_k_refused": top_k_is_refused()},
            "not_measured": NOT_MEASURED,
            "settings": asdict(settings),
            "complete": len(found) == tasks,
            "code": code_mark(),
            "seconds": round(time.monotonic() - began, 1),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        }
        if args.json:
            part = args.json.with_name(args.json.name + ".part")
            part.write_text(json.dumps(without_nan(out), indent=1) + "\n", encoding="utf-8")
            part.replace(args.json)
    _print(out)
    print(f"{out['seconds']} s")


if __name__ == "__main__":
    main()
