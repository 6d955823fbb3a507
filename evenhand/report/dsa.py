"""Indicators of accuracy by language, for the transparency reports of the EU's Digital Services Act.

The DSA asks for indicators of automated means. These figures are about the decisions as ingested; `dsa_words`
says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from evenhand.rates.measure import Rates
from evenhand.report.columns import EVIDENCE, Cell, Column, Table, evidence_cells, rate_cells, rate_columns
from evenhand.report.model import Report
from evenhand.statistics.enforcement import Indicator, precision, recall
from evenhand.wording.words import OFFICIAL_EU, UNKNOWN, is_language, language, listed, percent, shown

DSA_TITLE = "DSA transparency: indicators of accuracy by language"
#: The indicators' names in the templates: the quantitative one in section 1.6, the qualitative one for the
#: rate of error.
ACCURACY = "Accuracy of the automated means - Accuracy"
PRECISION = "Accuracy of the automated means - Precision"
RECALL = "Accuracy of the automated means - Recall"
ERROR = "possible rate of error of automated means"
DSA_SOURCES = (
    "For the section “Use of automated means for content moderation and indicators of accuracy” (Annex I, Part II, 1.6) of the"
    f" templates in Implementing Regulation (EU) 2024/2835, indicators “{ACCURACY}”, “{PRECISION}” and “{RECALL}”, and for the qualitative template's “indicators"
    f" of accuracy and {ERROR}”. They serve Article 15(1)(e) and Article 42(2)(c) of Regulation (EU) 2022/2065."
)


def dsa_words(report: Report) -> tuple[str, ...]:
    """What the DSA table contains, and what it does not contain."""
    seen = {rates.domain["language"].split("-")[0].lower() for rates in report.languages.rows}
    without = [language(code) for code in OFFICIAL_EU if code not in seen]
    return (
        DSA_SOURCES,
        f"What is measured: {report.asked.overturned}, among moderators' decisions as ingested. Accuracy is 1 minus that error rate; its"
        f" interval is the same, turned round. The “possible rate of error” is the error rate with its 95% interval{report.asked.held}.",
        indicator_words(report),
        f"Their intervals are 95% intervals{report.asked.held} too: precision has that of over-enforcement, divided by the share that was"
        " enforced, which is counted and not estimated; recall has that of a ratio of two independent estimates (MOVER-R).",
        "Decisions by automated means are told apart from those of human moderators only where the decisions carry the difference in"
        " a column, like queue or team; then `evenhand report --where queue=...` gives the figures of automated means alone.",
        not_words(report),
        reviewers_words(report),
        "The scope of a row is a language code, as in that section, or the total. Language is that of the content, which the"
        " provider's export states."
        + (f" No decision of the period in: {listed(without)}." if without else ""),
    )


def indicator_words(report: Report) -> str:
    """Which decisions precision and recall are about."""
    expert = report.asked.expert
    if report.asked.unit == "views":
        acted = "views of content that moderators enforced on, in decisions as ingested"
        due, done = "views of content that should have been enforced on under the policy", "was"
    else:
        acted = "moderators' decisions to enforce, as ingested"
        due, done = "decisions that should have enforced under the policy", "did"
    return (
        f"Precision: of {acted}, the share where {expert} would enforce too. Recall: of {due}, as {expert} rules, the share that {done}."
        " Enforcing under a wrong label counts as rightly enforced; errors called technical, and unclear policy, count against neither."
    )


def not_words(report: Report) -> str:
    """What the figures are not."""
    if report.filters:
        return f"This report covers {report.names.place(report.filters)} only."
    return "This report covers all decisions together, so it is no indicator of automated means alone."


def reviewers_words(report: Report) -> str:
    """What is known about the accuracy of human reviewers: moderators, and the SMEs who judge them."""
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


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The languages of a row of the table: all if the domain is empty, else one."""

    rates: Rates
    precision: Indicator
    recall: Indicator


def scopes(report: Report) -> tuple[Scope, ...]:
    """All languages together, then each by its code."""
    found = []
    for rates in (report.overall, *sorted(report.languages.rows, key=lambda one: one.domain["language"])):
        enforced = report.enforced[rates.domain.get("language", "")]
        over, under = rates.over_enforcement, rates.under_enforcement
        found.append(
            Scope(rates=rates, precision=precision(enforced, over), recall=recall(enforced, over, under))
        )
    return tuple(found)


def dsa_table(report: Report) -> Table:
    """Accuracy, precision, recall and possible rate of error by language of the content."""
    whole, *languages = scopes(report)
    rows: list[tuple[Cell, ...]] = [("Total number", "All languages", "", *_figures(whole))]
    for scope in languages:
        code = scope.rates.domain["language"]
        base = code.split("-")[0].lower()
        official = "yes" if base in OFFICIAL_EU else "no" if is_language(code) else "unknown"
        rows.append((shown(code), report.names.value("language", code), official, *_figures(scope)))
    named = {"Accuracy": ACCURACY, "Precision": PRECISION, "Recall": RECALL}
    return Table(
        key="dsa",
        title=DSA_TITLE,
        caption=" ".join(dsa_words(report)),
        columns=(
            Column(name="Scope"),
            Column(name="Language"),
            Column(name="Official EU language"),
            Column(name="Status"),
            *(
                Column(name=name, kind="percent", group=f"For “{indicator}”")
                for first, indicator in named.items()
                for name in (first, "Low", "High")
            ),
            *rate_columns(f"For “{ERROR}”"),
            *EVIDENCE,
        ),
        rows=tuple(rows),
    )


def _figures(scope: Scope) -> tuple[Cell, ...]:
    total = scope.rates.total
    rate, low, high = rate_cells(total)
    turned = tuple(1 - value if isinstance(value, float) else value for value in (rate, high, low))
    return (
        total.status if total.status == "measured" else UNKNOWN,
        *turned,
        *_indicator_cells(scope.precision, total.n_reviewed),
        *_indicator_cells(scope.recall, total.n_reviewed),
        rate,
        low,
        high,
        *evidence_cells(total),
    )


def _indicator_cells(found: Indicator, reviewed: int) -> tuple[Cell, Cell, Cell]:
    """The same as `rate_cells`, for an indicator.

    Words stand in place of a missing indicator. No interval if nothing was reviewed.
    """
    if found.status == "measured":
        return found.rate, found.low, found.high
    words = indicator_status(found)
    return (words, found.low, found.high) if reviewed else (words, None, None)


def indicator_status(found: Indicator) -> str:
    """Whether an indicator is measured, not known yet, or cannot exist and why, in words."""
    return UNKNOWN if found.status == "unknown" else found.status
