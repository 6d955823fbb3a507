"""The report as one long table: a row for each rate, with its interval, its evidence and its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evenhand.rates.measure import Rates
from evenhand.rates.question import Question
from evenhand.report.dsa import Scope, dsa_words, indicator_status, scopes
from evenhand.report.method import method
from evenhand.report.model import SPLITS, Period, Report
from evenhand.report.narrative import narrative
from evenhand.report.tables import state, verdict
from evenhand.statistics.change import Change
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import OUTCOME_NAMES
from evenhand.workspace.files import write_text

COLUMNS = (
    "table",
    "period_first",
    "period_last",
    *SPLITS,
    "step",
    "outcome",
    "measure",
    "rate",
    "low",
    "high",
    "n_reviewed",
    "n_eff",
    "errors_found",
    "population",
    "status",
    "method",
    "reviews_needed",
    "ruled_label",
    "verdict",
    "owner",
    "cause",
    "action",
    "due",
    "text",
    "weight",
    "estimand",
    "looks",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def neutral(text: str) -> str:
    """`text`, changed so that no spreadsheet takes it for a formula (OWASP: CSV injection).

    >>> neutral("=1+1"), neutral("plain")
    ("'=1+1", 'plain')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(report: Report, target: Path) -> None:
    """Write all rates and texts of the report to `target`, columns of COLUMNS; fractions, not percentages."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        writer.writerow({name: neutral(v) if isinstance(v, str) else v for name, v in row.items()})
    write_text(target, text.getvalue())


def rows(report: Report) -> Iterator[dict[str, Any]]:
    """The rows of the file. A missing value is left out.

    Each rate or change says what it is a share of, and by whose ruling.
    """
    for row in _rows(report):
        asked = report.question
        if row["table"] == "improvement areas" or row.get("status") == "modelled":
            asked = Question()
        if row["table"] == "skipped cases":
            asked = replace(asked, estimand="sme")
        on = {"weight": asked.weight, "estimand": asked.estimand, "looks": str(asked.looks)}
        yield {**row, **on} if "measure" in row else row


def _rows(report: Report) -> Iterator[dict[str, Any]]:
    place = _place(report.period, report.filters)
    for text in narrative(report):
        yield {"table": "narrative", **place, "text": text}
    yield from _rates("headline", place, report.overall)
    if report.comparison and report.comparison.before:
        yield from _rates(
            "compared with", _place(report.comparison.period, report.filters), report.comparison.before
        )
        for outcome, found in report.comparison.changes.items():
            yield {"table": "change", **place, "outcome": outcome, **_change(found)}
    for step in report.trend:
        yield from _rates(
            "trend", {**place, "step": step.start.isoformat(), **_domain(step.rates)}, step.rates
        )
    for turn in report.version_changes:
        yield {
            "table": "policy change",
            **place,
            **_domain(turn.after),
            "outcome": "total",
            **_change(turn.found),
        }
    for split in report.splits:
        for rates in split.rows:
            yield from _rates(f"by {'+'.join(split.by)}", {**place, **rates.domain}, rates)
    yield from _confusions_and_areas(report, place)
    for scope in scopes(report):
        yield from _dsa({**place, **scope.rates.domain}, scope)
    if report.skipped:
        for name, estimate in (("none", report.skipped.if_none), ("all", report.skipped.if_all)):
            text = f"if {name} of the {report.skipped.cases:,} skipped cases had been overturned"
            yield {"table": "skipped cases", **place, "outcome": "total", **_estimate(estimate), "text": text}
    for table, texts in (("dsa", dsa_words(report)), ("method", method(report))):
        for text in texts:
            yield {"table": table, **place, "text": text}


def _confusions_and_areas(report: Report, place: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for pair in report.confusions:
        named = {"area": pair.area, "label": pair.decided, "ruled_label": pair.ruled}
        yield {"table": "confusions", **place, **named, "outcome": "confusion", **_estimate(pair.share)}
    for rates in report.unclear:
        where = {name: rates.domain[name] for name in ("area", "label")}
        yield {
            "table": "unclear clauses",
            **place,
            **where,
            "outcome": "policy_unclear",
            **_estimate(rates.policy_unclear),
        }
    for area in report.areas:
        taken = area.taken
        done = {name: getattr(taken, name) for name in ("owner", "cause", "action", "due")} if taken else {}
        rate = {"outcome": "total", **_estimate(area.found.rate)} if area.found else {}
        text = {"verdict": verdict(area), "text": state(area)}
        yield {"table": "improvement areas", **place, **area.where, **rate, **done, **text}


def _place(period: Period, filters: Mapping[str, str]) -> dict[str, Any]:
    return {"period_first": period.first.isoformat(), "period_last": period.last.isoformat(), **filters}


def _domain(rates: Rates) -> dict[str, str]:
    return {name: value for name, value in rates.domain.items() if name in SPLITS}


def _rates(table: str, place: Mapping[str, Any], rates: Rates) -> Iterator[dict[str, Any]]:
    for outcome in OUTCOME_NAMES:
        yield {"table": table, **place, "outcome": outcome, **_estimate(getattr(rates, outcome))}
    if rates.modelled:
        yield {"table": table, **place, "outcome": "total", **_estimate(rates.modelled)}


def _estimate(estimate: Estimate) -> dict[str, Any]:
    """The rate only where it is known; the interval as soon as anything was reviewed."""
    known, seen = estimate.status != "unknown", estimate.n_reviewed > 0 or estimate.status == "modelled"
    return {
        "measure": "error rate",
        "rate": estimate.rate if known else None,
        "low": estimate.low if seen else None,
        "high": estimate.high if seen else None,
        "n_reviewed": estimate.n_reviewed,
        "n_eff": estimate.n_eff,
        "errors_found": estimate.errors_found,
        "population": estimate.population,
        "status": "not known yet" if estimate.status == "unknown" else estimate.status,
        "method": estimate.method,
        "reviews_needed": estimate.reviews_needed,
    }


def _change(found: Change) -> dict[str, Any]:
    return {
        "measure": "difference",
        "rate": found.difference,
        "low": found.low,
        "high": found.high,
        "verdict": found.verdict,
    }


def _dsa(place: Mapping[str, Any], scope: Scope) -> Iterator[dict[str, Any]]:
    total = scope.rates.total
    error = _estimate(total)
    turned = {
        name: None if error[other] is None else 1 - error[other]
        for name, other in (("rate", "rate"), ("low", "high"), ("high", "low"))
    }
    yield {"table": "dsa", **place, "outcome": "total", **error, **turned, "measure": "accuracy"}
    for measure, found in (("precision", scope.precision), ("recall", scope.recall)):
        seen = found.status == "measured" or total.n_reviewed > 0
        yield {
            "table": "dsa",
            **place,
            "measure": measure,
            "rate": found.rate if found.status == "measured" else None,
            "low": found.low if seen else None,
            "high": found.high if seen else None,
            "n_reviewed": total.n_reviewed,
            "population": total.population,
            "status": indicator_status(found),
        }
    yield {"table": "dsa", **place, "outcome": "total", **error, "measure": "possible rate of error"}
