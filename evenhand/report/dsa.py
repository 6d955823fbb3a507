"""Accuracy and possible rate of error by language, for the transparency reports of the EU's Digital Services Act.

The DSA asks for indicators of automated means. What is measured here are the decisions as ingested; `dsa_words` says so.
"""

from __future__ import annotations

from evenhand.estimation import Estimate
from evenhand.report.cells import EVIDENCE, Cell, Column, Table, evidence_cells, rate_cells, rate_columns
from evenhand.report.model import Report
from evenhand.report.words import LANGUAGES, OFFICIAL_EU, UNKNOWN, listed, percent, shown

DSA_TITLE = "DSA transparency: accuracy and possible rate of error by language"
#: The indicators' names in the templates: of the quantitative one in section 1.6, of the qualitative one for the rate of error.
ACCURACY = "Accuracy of the automated means - Accuracy"
ERROR = "possible rate of error of automated means"
DSA_SOURCES = (
    "For the section “Use of automated means for content moderation and indicators of accuracy” (Annex I, Part II, 1.6) of the"
    f" templates in Implementing Regulation (EU) 2024/2835, indicator “{ACCURACY}”, and for the qualitative template's “indicators"
    f" of accuracy and {ERROR}”. They serve Article 15(1)(e) and Article 42(2)(c) of Regulation (EU) 2022/2065."
)


def dsa_words(report: Report) -> tuple[str, ...]:
    """What the DSA table holds, and what it does not."""
    seen = {rates.domain["language"].split("-")[0].lower() for rates in report.languages.rows}
    without = [LANGUAGES[code] for code in OFFICIAL_EU if code not in seen]
    return (
        DSA_SOURCES,
        f"What is measured: {report.basis.overturned}, among moderators' decisions as ingested. Accuracy is 1 minus that error rate; its"
        f" interval is the same, turned round. The “possible rate of error” is the error rate with its 95% interval{report.basis.held}.",
        "Decisions by automated means are told apart from those of human moderators only where the decisions carry the difference in"
        " a column, like queue or team; then `evenhand report --where queue=...` gives the figures of automated means alone.",
        not_words(report),
        reviewers_words(report),
        "The scope of a row is a language code, as in that section, or the total. Language is that of the content, which the"
        " provider's export states."
        + (f" No decision of the period in: {listed(without)}." if without else ""),
    )


def not_words(report: Report) -> str:
    """What the figures are not."""
    covers = (
        f"This report covers {report.names.place(report.filters)} only."
        if report.filters
        else "This report covers all decisions together, so it is no indicator of automated means alone."
    )
    return f"{covers} The section's indicators “Precision” and “Recall” are not in it."


def reviewers_words(report: Report) -> str:
    """What is known of the accuracy of human reviewers: of moderators, and of the SMEs who judge them."""
    total, found = report.overall.total, report.agreement
    words = "Human reviewers. "
    if report.filters:
        words += (
            "Moderators' accuracy is what the table gives where the rows are decisions of human moderators"
        )
    else:
        words += (
            "Moderators' accuracy is what the table gives, decisions of automated means, if any, among them"
        )
    if total.status == "measured":
        span = f"{percent(1 - total.high)} to {percent(1 - total.low)}, {total.n_reviewed:,} reviewed"
        words += f": {percent(1 - total.rate)} ({span}). "
    else:
        words += f": {UNKNOWN}. "
    if found is None:
        return words + "SMEs' accuracy is not known: no panel has ruled on any of their cases."
    sides = [
        f"{upheld:,} of the {checked:,} {kind} it checked"
        for kind, checked, upheld in (
            ("overturns", found.overturns, found.overturns_upheld),
            ("confirmations", found.confirmations, found.confirmations_upheld),
        )
        if checked
    ]
    return (
        f"{words}SMEs' accuracy is known as far as a panel checked it: the panel gave the same label as the SME in {listed(sides)}."
        " These are counts of the cases checked, not shares of all."
    )


def dsa_table(report: Report) -> Table:
    """Accuracy and possible rate of error by language of the content."""
    rows: list[tuple[Cell, ...]] = [("Total number", "All languages", "", *_accuracy(report.overall.total))]
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
            Column(name="Scope"),
            Column(name="Language"),
            Column(name="Official EU language"),
            Column(name="Status"),
            Column(name="Accuracy", kind="percent", group=f"For “{ACCURACY}”"),
            Column(name="Low", kind="percent", group=f"For “{ACCURACY}”"),
            Column(name="High", kind="percent", group=f"For “{ACCURACY}”"),
            *rate_columns(f"For “{ERROR}”"),
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
