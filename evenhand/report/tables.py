"""The report as tables: what the spreadsheet and the page show, row by row. No statistics here."""

from __future__ import annotations

from datetime import date

from evenhand.report.columns import (
    EVIDENCE,
    Cell,
    Column,
    Table,
    evidence_cells,
    rate_cells,
    rate_columns,
    rates_cells,
    rates_columns,
)
from evenhand.report.dsa import dsa_table
from evenhand.report.model import Area, Report, Split
from evenhand.report.narrative import SLICES
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import (
    OUTCOME_NAMES,
    UNKNOWN,
    capital,
    listed,
    moved,
    percent,
    shown,
    spoken,
)


def _rate_caption(report: Report) -> str:
    asked = report.asked
    return (
        f"Share of {asked.overturned}, with 95% interval (low, high{asked.held}) and the cases reviewed."
        f" The kinds of error are shares of all {asked.unit} and are not netted."
    )


def tables(report: Report) -> tuple[Table, ...]:
    """All tables of the report, in the order in which they are read."""
    return (
        outcome_table(report),
        trend_table(report),
        *(split_table(report, split) for split in report.splits),
        confusion_table(report),
        unclear_table(report),
        area_table(report),
        dsa_table(report),
    )


def modelled_words(report: Report) -> str:
    """What modelled rates are about, if they are about something else than the report's other rates."""
    return (
        ""
        if report.question.plain
        else " It is of decisions that one SME would overturn, with an interval for one look."
    )


def outcome_table(report: Report) -> Table:
    """The headline: each outcome, and its change against the other period."""
    compared = report.comparison
    rows: list[tuple[Cell, ...]] = []
    for outcome, name in OUTCOME_NAMES.items():
        estimate: Estimate = getattr(report.overall, outcome)
        row: tuple[Cell, ...] = (name, *rate_cells(estimate), *evidence_cells(estimate))
        if compared and compared.before:
            before, found = getattr(compared.before, outcome), compared.changes[outcome]
            row += (
                *rate_cells(before),
                before.n_reviewed,
                found.difference,
                found.low,
                found.high,
                found.verdict,
            )
        rows.append(row)
    columns = (Column(name="Outcome"), *rate_columns("This period"), *EVIDENCE)
    caption = f"Decisions made from {report.period}. {_rate_caption(report)}"
    if compared and compared.before:
        columns += (
            *rate_columns("Compared with"),
            Column(name="Reviewed", kind="count", group="Compared with"),
            Column(name="Difference", kind="points", group="Change, in points"),
            Column(name="Low", kind="points", group="Change, in points"),
            Column(name="High", kind="points", group="Change, in points"),
            Column(name="Verdict", group="Change, in points"),
        )
        caption += f" Compared with {compared.period}."
    return Table(key="headline", title="Headline", caption=caption, columns=columns, rows=tuple(rows))


def trend_table(report: Report) -> Table:
    """A row for each week or month, cut where a policy version begins."""
    rows = [
        (
            step.start,
            shown(step.policy_version),
            "new policy version" if step.new_policy else "",
            *rates_cells(step.rates),
        )
        for step in report.trend
    ]
    return Table(
        key="trend",
        title=f"Trend by {report.unit}",
        caption=f"{_rate_caption(report)} First day of each {report.unit} (UTC). Where a new policy version comes into use, the {report.unit} is cut in two.",
        columns=(
            Column(name=f"{report.unit.capitalize()} from", kind="day"),
            Column(name="Policy version"),
            Column(name="Change of policy"),
            *rates_columns(),
        ),
        rows=tuple(rows),
    )


def split_table(report: Report, split: Split) -> Table:
    """A row for each value of the columns of the split."""
    modelled = any(rates.modelled for rates in split.rows)
    rows = []
    for rates in split.rows:
        named = tuple(report.names.value(column, rates.domain[column]) for column in split.by)
        rows.append((*named, *rates_cells(rates), *(rate_cells(rates.modelled)[:3] if modelled else ())))
    by = listed(spoken(name).lower() for name in split.by)
    caption = f"{_rate_caption(report)} Measured rates first, the highest on top; the rest by name."
    if modelled:
        caption += f" A modelled rate is no measurement: it is not ranked and raises no alarm.{modelled_words(report)}"
    return Table(
        key="+".join(split.by),
        title=f"By {by}",
        caption=caption,
        columns=(
            *(Column(name=spoken(name)) for name in split.by),
            *rates_columns(),
            *(rate_columns("Modelled") if modelled else ()),
        ),
        rows=tuple(rows),
    )


def confusion_table(report: Report) -> Table:
    """The pairs of labels that are confused most."""
    names = report.names
    rows = [
        (
            names.value("area", pair.area),
            names.label(pair.area, pair.decided),
            names.label(pair.area, pair.ruled),
            *rate_cells(pair.share),
            *evidence_cells(pair.share),
        )
        for pair in report.confusions
    ]
    return Table(
        key="confusions",
        title="Top confusions",
        caption=(
            f"The {len(rows)} pairs that weigh most, of {report.confusions_seen:,} seen in the sample. Share of all"
            f" {report.asked.unit}, with 95% interval{report.asked.held}; “errors found” are the cases in which"
            f" {report.asked.expert} saw it."
        ),
        columns=(
            Column(name="Area"),
            Column(name="Decided"),
            Column(name="Expert rules"),
            *rate_columns(f"Share of {report.asked.unit}"),
            *EVIDENCE,
        ),
        rows=tuple(rows),
    )


def unclear_table(report: Report) -> Table:
    """Findings about the policy: where the clause did not tell SMEs which label is right."""
    rows = [
        (
            report.names.value("area", rates.domain["area"]),
            report.names.label(rates.domain["area"], rates.domain["label"]),
            *rate_cells(rates.policy_unclear),
            *evidence_cells(rates.policy_unclear),
        )
        for rates in report.unclear
    ]
    return Table(
        key="unclear",
        title="Unclear clauses",
        caption=(
            "Where experts called the policy unclear, by the label that moderators decided: a finding about the clause, nobody's"
            f" error, and in no error rate. Share of the {report.asked.unit} with that label, with 95% interval{report.asked.held};"
            " “errors found” are the cases in which an expert said so."
        ),
        columns=(
            Column(name="Area"),
            Column(name="Decided"),
            *rate_columns(f"Share of {report.asked.unit}"),
            *EVIDENCE,
        ),
        rows=tuple(rows),
    )


def area_table(report: Report) -> Table:
    """What stands out, what is being done about it, and whether it worked."""
    rows = []
    for area in report.areas:
        found, taken = area.found, area.taken
        top = found.confusions[0] if found and found.confusions else None
        rows.append(
            (
                capital(report.names.place(area.where)),
                state(area),
                *rate_cells(found.rate if found else None),
                found.rate.n_reviewed if found else None,
                *rate_cells(found.elsewhere if found else None),
                round(found.excess) if found else None,
                f"{report.names.label(top.area, top.decided)} → {report.names.label(top.area, top.ruled)}"
                if top
                else "",
                *(
                    shown(text)
                    for text in ((taken.owner, spoken(taken.cause), taken.action) if taken else ("",) * 3)
                ),
                *then(area),
                date.fromisoformat(taken.due) if taken and taken.due else None,
                verdict(area),
            )
        )
    return Table(
        key="areas",
        title="Improvement areas",
        caption=(
            "Slices whose error rate stands out from all other decisions, and what is done about them. The verdict compares decisions"
            " before the action with those after it." + ("" if report.question.plain else f" {SLICES}")
        ),
        columns=(
            Column(name="Where"),
            Column(name="State"),
            *rate_columns("Error rate there"),
            Column(name="Reviewed", kind="count"),
            *rate_columns("Elsewhere"),
            Column(name="Errors too many", kind="count"),
            Column(name="Mostly"),
            Column(name="Owner"),
            Column(name="Cause"),
            Column(name="Action"),
            *rate_columns("Rate when taken up"),
            Column(name="Reviewed", kind="count", group="Rate when taken up"),
            Column(name="Due", kind="day"),
            Column(name="Verdict"),
        ),
        rows=tuple(rows),
    )


def then(area: Area) -> tuple[Cell, Cell, Cell, Cell]:
    """Rate, low, high and cases reviewed at the time when work on the slice began."""
    if area.taken is None:
        return None, None, None, None
    noted = area.taken.found
    rate = noted["rate"] if noted["status"] == "measured" else UNKNOWN
    return rate, noted["low"], noted["high"], noted["n_reviewed"]


def then_words(area: Area) -> str:
    """That a slice does not stand out now, and its rate at the time when work on it began."""
    rate, low, high, reviewed = then(area)
    if not isinstance(rate, float) or not isinstance(low, float) or not isinstance(high, float):
        return "does not stand out now"
    return f"does not stand out now; when taken up {percent(rate)} ({percent(low)} to {percent(high)}, {reviewed:,} reviewed)"


def state(area: Area) -> str:
    """How far the work on an improvement area is."""
    if area.taken is None:
        return "not taken up"
    return "open" if area.taken.open else f"closed: {shown(area.taken.closed)}"


def verdict(area: Area) -> str:
    """Whether the action worked, by the latest measurement."""
    if area.taken is None:
        return ""
    if not area.taken.measured:
        return "not measured yet"
    last = area.taken.measured[-1]
    before, after = last["before"], last["after"]
    span = moved(last["difference"], last["low"], last["high"])
    return (
        f"{last['verdict']} ({span}): {percent(before['rate'])} of {before['n_reviewed']:,} reviewed before {last['at']},"
        f" {percent(after['rate'])} of {after['n_reviewed']:,} since"
    )
