"""Summarises a simulation: means over populations with standard errors, and which targets are met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from simulated_draws import KAPPAS
from simulated_extras import EXTRAS
from simulated_week import DOMAINS, SCENARIOS, Floats

Task = tuple[str, float, int]  # scenario, AUROC, population


def headline(lines: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Coverage, width and yield of the default design by scenario.

    They are for AUROC .90 and 500 reviews if the run has those; else for what it has.
    """
    wanted = ("0.90", "n500")
    have = {(key.split("/")[1], key.split("/")[2]) for key in lines}
    auroc, budget = wanted if wanted in have else max(have)
    rows = {scenario: lines.get(f"{scenario}/{auroc}/{budget}/kappa1") for scenario in SCENARIOS}
    return {
        scenario: {name: row[name] for name in ("coverage", "width_ratio", "yield_ratio")}
        for scenario, row in rows.items()
        if row
    }


def of_extras(found: Mapping[tuple[Task, str], Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Per extra, scenario and AUROC: means over the populations, standard errors of coverage and width."""
    grouped: dict[str, list[Mapping[str, float]]] = {}
    for ((scenario, auroc, _), name), row in sorted(found.items()):
        grouped.setdefault(f"{name}/{scenario}/{auroc:.2f}", []).append(row)
    out: dict[str, dict[str, Any]] = {}
    for key, rows in grouped.items():
        ratio = np.array([row["half_width"] / row["reference"] for row in rows])
        more = {name for row in rows for name in row} - {"half_width", "reference"}
        out[key] = {
            "populations": len(rows),
            **{name: float(np.nanmean([row[name] for row in rows])) for name in sorted(more)},
            "coverage_se": _error(np.array([row["coverage"] for row in rows])),
            "width_ratio": float(ratio.mean()),
            "width_ratio_se": _error(ratio),
            "reference": EXTRAS[key.split("/")[0]][1],
        }
    return out


def _error(values: Floats) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def summary(found: dict[Task, Any]) -> dict[str, dict[str, float]]:
    """Means over populations by scenario, AUROC, budget and design; standard errors where they matter."""
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

    found, usual = np.array([r["found"] for r in rows]), np.array([r["found"] for r in random])
    out: dict[str, float] = {
        "populations": len(rows),
        "yield_ratio": float(found.mean() / usual.mean()),
        "yield_ratio_se": _error(found / np.maximum(usual, 1e-9)),
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
            f"coverage{end}_se": _error(coverage),
            f"half_width{end}": float(half.mean()),
            f"width_ratio{end}": float(ratio.mean()),
            f"width_ratio{end}_se": _error(ratio),
            f"rmse{end}": float(over(kind, "rmse", rows).mean()),
            f"rmse_ratio{end}": float(over(kind, "rmse", rows).mean() / over(kind, "rmse", random).mean()),
            f"bias{end}": float(over(kind, "bias", rows).mean()),
            f"bias{end}_se": _error(over(kind, "bias", rows)),
            f"truth_above{end}": float(over(kind, "truth_above", rows).mean()),
        }
    measured = float(over("cell", "measured", rows).mean())
    covered = float(over("cell", "measured_covered", rows).mean())
    return out | {
        "cells_reviewed": float(over("cell", "direct", rows).mean()),
        "cells_measured": measured,
        "coverage_cell_measured": covered / measured if measured else float("nan"),
    }


#: The targets: (design, measure, scenarios, ">=" or "<=", limit by AUROC). From the design's simulation.
TARGETS: tuple[tuple[str, str, str, str, dict[str, float]], ...] = (
    ("every", "coverage", "worst", ">=", {"0.75": 0.93, "0.90": 0.93}),
    ("kappa1", "coverage", "worst", ">=", {"0.75": 0.935, "0.90": 0.935}),
    ("kappa1", "coverage", "worst", "<=", {"0.75": 0.965, "0.90": 0.965}),
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
                        "target": f"{measure} {sign} {limit}",
                        "design": design,
                        "auroc": auroc,
                        "budget": budget,
                        "value": value,
                        "se": scenarios[key].get(f"{measure}_se"),
                        "where": key,
                        "met": bool(value >= limit if sign == ">=" else value <= limit),
                    }
                )
    return rows
