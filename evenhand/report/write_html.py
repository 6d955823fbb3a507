"""The report as one page.

It fetches nothing, prints well, and can be read in light and dark mode and without seeing colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evenhand.rates.measure import Rates
from evenhand.report import svg
from evenhand.report.charts import ceiling
from evenhand.report.columns import Cell, Column, Table, in_words, status
from evenhand.report.dsa import dsa_table, dsa_words
from evenhand.report.method import method
from evenhand.report.model import Report, Split
from evenhand.report.narrative import narrative
from evenhand.report.tables import (
    area_table,
    confusion_table,
    modelled_words,
    outcome_table,
    trend_table,
    unclear_table,
)
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import OUTCOME_NAMES, capital, day, evidence, percent, said, spoken
from evenhand.workspace.files import write_text


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a split on the page: its names, its drawing, its figures."""

    names: tuple[str, ...]
    status: str
    drawing: Markup
    total: Estimate
    modelled: Estimate | None
    rates: Rates


def write_html(report: Report, target: Path) -> None:
    """Write the page to `target`, whole or not at all."""
    env = Environment(
        loader=PackageLoader("evenhand", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(percent=percent, said=said, evidence=evidence, spoken=spoken, day=day, capital=capital)
    page = env.get_template("report.html.j2").render(
        report=report,
        sentences=narrative(report),
        outcomes=OUTCOME_NAMES,
        trend=Markup(svg.trend(report)),
        legend=[(Markup(mark), name) for mark, name in svg.legend(report)],
        splits=[(split, _lines(report, split), f"{100 * _highest(split):g}%") for split in report.splits],
        modelled_words=modelled_words(report),
        dsa_words=dsa_words(report),
        method=method(report),
        outcome_table=slim(outcome_table(report)),
        trend_table=slim(trend_table(report)),
        confusions=slim(confusion_table(report)),
        unclear=slim(unclear_table(report)),
        areas=slim(area_table(report)),
        dsa=slim(dsa_table(report)),
    )
    write_text(target, page)


def _highest(split: Split) -> float:
    """The end of the scale of a split's drawings: measured and modelled rates fit in."""
    drawn = [rates.modelled or rates.total for rates in split.rows]
    return ceiling([estimate.high for estimate in drawn if estimate.status != "unknown"])[0]


def _lines(report: Report, split: Split) -> list[Line]:
    highest = _highest(split)
    return [
        Line(
            names=tuple(report.names.value(column, rates.domain[column]) for column in split.by),
            status=status(rates),
            drawing=Markup(
                svg.interval(rates.modelled or rates.total, highest, modelled=rates.modelled is not None)
            ),
            total=rates.total,
            modelled=rates.modelled,
            rates=rates,
        )
        for rates in split.rows
    ]


@dataclass(frozen=True, kw_only=True)
class Slim:
    """A table for the page, which is narrower than a sheet: a rate and its interval share a cell."""

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]  # for each cell: what it says, and the line below it


def slim(table: Table) -> Slim:
    """`table` with one cell for each rate and its interval, without what the page says elsewhere."""
    columns, kept = [], []
    for number, column in enumerate(table.columns):
        with_ends = [other.name for other in table.columns[number + 1 : number + 3]] == ["Low", "High"]
        left_out = column.group == OUTCOME_NAMES["policy_unclear"] or column.name in (
            "Low",
            "High",
            "Effective reviews",
        )
        if left_out or _says_nothing(table, number):
            continue
        name = (
            column.group
            if with_ends
            else f"{column.name} then"
            if column.group == "Compared with"
            else column.name
        )
        columns.append(Column(name=name, kind=column.kind))
        kept.append((number, with_ends))
    rows = tuple(
        tuple(
            (in_words(row[number], table.columns[number]), _ends(row, number, table) if with_ends else "")
            for number, with_ends in kept
        )
        for row in table.rows
    )
    return Slim(title=table.title, caption=table.caption, columns=tuple(columns), rows=rows)


def _says_nothing(table: Table, number: int) -> bool:
    """Whether a column can be left out.

    It is empty, or matters only if something is unknown and nothing is.
    """
    usual = {"More reviews needed": 0, "Status": "measured"}.get(table.columns[number].name, "")
    return bool(table.rows) and all(row[number] in (usual, "", None) for row in table.rows)


def _ends(row: tuple[Cell, ...], number: int, table: Table) -> str:
    low, high = row[number + 1], row[number + 2]
    if low is None or high is None:
        return ""
    return f"{in_words(low, table.columns[number])} to {in_words(high, table.columns[number])}"
