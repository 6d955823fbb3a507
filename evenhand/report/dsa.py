"""Accuracy and possible rate of error by language, for the transparency reports of the EU's Digital Services Act.

The DSA asks for indicators of automated means. What is measured here are the decisions as ingested; `dsa_words` says so.
"""

from __future__ import annotations

from evenhand.estimation import Estimate
from evenhand.report.cells import EVIDENCE, Cell, Column, Table, evidence_cells, rate_cells, rate_columns
from evenhand.report.model import Report
from evenhand.report.words import LANGUAGES, OFFICIAL_EU, UNKNOWN, listed, shown

DSA_TITLE = "DSA transparency: accuracy and possible rate of error by language"
DSA_SOURCES = (
    "For the section “Use of automated means for content moderation and indicators of accuracy” (1.6) of the templates in"
    " Implementing Regulation (EU) 2024/2835, which serves Article 15(1)(e) and Article 42(2)(c) of Regulation (EU) 2022/2065."
)


def dsa_words(report: Report) -> tuple[str, ...]:
    """What the DSA table holds, and what it does not."""
    seen = {rates.domain["language"].split("-")[0].lower() for rates in report.languages.rows}
    without = [LANGUAGES[code] for code in OFFICIAL_EU if code not in seen]
    return (
        DSA_SOURCES,
        "What is measured: moderators' decisions, as ingested, that a subject-matter expert would overturn. Accuracy is 1 minus that"
        " error rate; its interval is the same, turned round. The “possible rate of error” is the error rate with its interval.",
        "Decisions by automated means are told apart from those of human moderators only where the decisions carry the difference in"
        " a column, like queue or team; then `evenhand report --where queue=...` gives the figures of automated means alone."
        + (
            f" This report covers {report.names.place(report.filters)} only."
            if report.filters
            else " This report covers all decisions together, so it is no indicator of automated means alone."
        ),
        "Language is that of the content, which the provider's export states."
        + (f" No decision of the period in: {listed(without)}." if without else ""),
    )


def dsa_table(report: Report) -> Table:
    """Accuracy and possible rate of error by language of the content."""
    rows: list[tuple[Cell, ...]] = [("", "All languages", "", *_accuracy(report.overall.total))]
    for rates in sorted(report.languages.rows, key=lambda rates: rates.domain["language"]):
        code = rates.domain["language"]
        base = code.split("-")[0].lower()
        official = (
            "yes" if base in OFFICIAL_EU else "no" if base in LANGUAGES and base != "und" else "unknown"
        )
        rows.append((shown(code), report.names.value("language", code), official, *_accuracy(rates.total)))
    return Table(
        key="dsa",
        title=DSA_TITLE,
        caption=" ".join(dsa_words(report)),
        columns=(
            Column(name="Language code"),
            Column(name="Language"),
            Column(name="Official EU language"),
            Column(name="Status"),
            Column(name="Accuracy", kind="percent", group="Indicator of accuracy"),
            Column(name="Low", kind="percent", group="Indicator of accuracy"),
            Column(name="High", kind="percent", group="Indicator of accuracy"),
            *rate_columns("Possible rate of error"),
            *EVIDENCE,
        ),
        rows=tuple(rows),
    )


def _accuracy(estimate: Estimate) -> tuple[Cell, ...]:
    rate, low, high = rate_cells(estimate)
    turned = tuple(1 - value if isinstance(value, float) else value for value in (rate, high, low))
    return (
        estimate.status if estimate.status == "measured" else UNKNOWN,
        *turned,
        rate,
        low,
        high,
        *evidence_cells(estimate),
    )
