"""The cells of a report's tables: how an estimate is shown in a row. No statistics here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from evenhand.rates.measure import Rates
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import OUTCOME_NAMES, UNKNOWN, day, percent, points

Cell = str | float | int | date | None
Kind = Literal["text", "percent", "points", "count", "decimal", "day"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table; columns of one `group` belong together."""

    name: str
    kind: Kind = "text"
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table; `rows` in the order of `columns`."""

    key: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


EVIDENCE = (
    Column(name="Reviewed", kind="count"),
    Column(name="Effective reviews", kind="decimal"),
    Column(name="Errors found", kind="count"),
    Column(name="Decisions", kind="count"),
    Column(name="More reviews needed", kind="count"),
)


def rate_columns(group: str) -> tuple[Column, ...]:
    """Columns for a rate and its interval."""
    return tuple(Column(name=name, kind="percent", group=group) for name in ("Rate", "Low", "High"))


def rates_columns() -> tuple[Column, ...]:
    """Columns for `rates_cells`."""
    kinds = [column for kind in OUTCOME_NAMES.values() for column in rate_columns(kind)]
    return (Column(name="Status"), *kinds[:3], *EVIDENCE, *kinds[3:])


def rates_cells(rates: Rates) -> tuple[Cell, ...]:
    """Status, all errors, the evidence for them, and each other outcome."""
    total = rates.total
    rest = [cell for outcome in list(OUTCOME_NAMES)[1:] for cell in rate_cells(getattr(rates, outcome))]
    return (status(rates), *rate_cells(total), *evidence_cells(total), *rest)


def status(rates: Rates) -> str:
    """Whether a cell is measured, modelled or not known yet, in words."""
    if rates.total.status == "measured":
        return "measured"
    return "modelled only" if rates.modelled else UNKNOWN


def rate_cells(estimate: Estimate | None) -> tuple[Cell, Cell, Cell]:
    """Rate, low, high.

    Words stand in place of a rate that is not known. No interval if nothing was reviewed.
    """
    if estimate is None:
        return None, None, None
    rate = UNKNOWN if estimate.status == "unknown" else estimate.rate
    if estimate.status == "unknown" and not estimate.n_reviewed:
        return rate, None, None
    return rate, estimate.low, estimate.high


def evidence_cells(estimate: Estimate) -> tuple[Cell, ...]:
    """The evidence for a rate, in the columns EVIDENCE."""
    return (
        estimate.n_reviewed,
        estimate.n_eff,
        estimate.errors_found,
        estimate.population,
        estimate.reviews_needed,
    )


def in_words(value: Cell, column: Column) -> str:
    """A cell of a table in words."""
    if value is None:
        return ""
    if isinstance(value, date):
        return day(value)
    if isinstance(value, str):
        return value
    if column.kind == "percent":
        return percent(value)
    if column.kind == "points":
        return points(value)
    return f"{value:,.0f}"
