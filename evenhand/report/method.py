"""The method in plain words, from the records of the draws; and what the DSA indicators mean."""

from __future__ import annotations

from evenhand.rates.improvement_areas import FALSE_SHARE
from evenhand.report.model import Drawn, Report
from evenhand.report.narrative import SLICES
from evenhand.report.tables import modelled_words
from evenhand.statistics.estimator import ENOUGH, RULED
from evenhand.wording.notes import by_id, sentence
from evenhand.wording.words import (
    Names,
    day,
    evidence,
    listed,
    percent,
    said,
    shown,
    spoken,
    within,
)


def method(report: Report) -> tuple[str, ...]:
    """What was measured and how, in paragraphs."""
    return (
        *general(report),
        skipped_words(report),
        *(draw_words(drawn, report.names) for drawn in report.draws),
        *(shown(sentence(note, draws=by_id)) for note in report.notes),
    )


def general(report: Report) -> tuple[str, ...]:
    """What every figure of the report has in common."""
    where = f", only {report.names.place(report.filters)}" if report.filters else ""
    models = listed(within(name) for name in report.model_versions)
    policies = listed(within(name) for name in report.policy_versions)
    return (
        f"Measured: the share of {report.asked.overturned}, among moderators' decisions made from {report.period} (UTC){where}. Experts are"
        f" subject-matter experts (SMEs). Scored by {models}; decided under policy {policies}.",
        *report.asked.sentences(),
        "Each decision's chance of being drawn was fixed and stored before anyone looked at it, and each ruling counts by one"
        " over that chance. The model's scores make the intervals narrower; they cannot bias a rate. Rulings on cases that were"
        " not drawn (appeals, spot checks) enter no rate.",
        "Intervals are 95% intervals: Student's on the logit scale where enough errors carry it, else Wilson's with the effective"
        " number of reviews. “Reviewed” counts cases; “effective reviews” says how many of a plain random draw would be as good.",
        f"A rate with fewer than {ENOUGH:.0f} effective reviews, or fewer than {RULED} real ones, is called not known yet. That is no zero. A modelled rate, where one"
        " is given, is what neighbouring cells and the model suggest: it is no measurement, and it is not ranked."
        + modelled_words(report),
        f"Over-enforcement, under-enforcement and wrong labels are shares of all {report.asked.unit} and are never netted. Where the policy"
        " was unclear, it is nobody's error and not in the error rate. Across a change of policy version the trend is cut.",
        f"Slices that stand out are tested against all other decisions; of those named, about {FALSE_SHARE:.0%} may be noise."
        " Moderators are never compared." + ("" if report.question.plain else f" {SLICES}"),
    )


def skipped_words(report: Report) -> str:
    """How many drawn cases of the period were skipped, what that assumes, and what it could change.

    It gives the headline for both ends: none and all of them overturned.
    """
    skipped = report.skipped
    if skipped is None:
        return "No drawn case of the period was skipped."
    n, one = f"{skipped.cases:,}", skipped.cases == 1
    as_sme = " as one SME rules" if report.question.estimand == "panel" else ""
    return (
        f"{n} drawn {'case' if one else 'cases'} of the period {'was' if one else 'were'} skipped by the SMEs and not ruled on. Skipped"
        f" cases count as missing at random: taken to be wrong as often as cases like them that were ruled on. Without that assumption,"
        f" the rate of all errors{as_sme} would be {said(skipped.if_none)} ({evidence(skipped.if_none)}) if none of them had been overturned,"
        f" and {said(skipped.if_all)} ({evidence(skipped.if_all)}) if all had; “reviewed” counts the skipped cases here."
    )


def draw_words(drawn: Drawn, names: Names) -> str:
    """One draw: its frame, its design, and how far its review is."""
    draw, done = drawn.record, drawn.progress
    period = "of all days"
    if draw.since or draw.until:
        start = f"from {day(draw.since)} on" if draw.since else ""
        end = f"before {day(draw.until)}" if draw.until else ""
        period = " and ".join(part for part in (start, end) if part)
    where = names.place(draw.filters)
    cells = listed(spoken(name).lower() for name in draw.cells)
    policies = listed(within(name) for name in draw.policy_versions)
    return (
        f"Draw {draw.draw_id}, made {day(draw.created_at.date())} with seed {draw.seed}: {draw.budget:,} of"
        f" {draw.frame_size:,} decisions {period}{f', only {where}' if where else ''}, scored by {within(draw.model_version)}"
        f" under policy {policies}. {percent(draw.phi)} of the batch went to the highest scores for certain (phi); the rest by"
        f" the square root of p (1 - p), {percent(draw.floor)} of it flat so that no decision is out of reach (floor),"
        f" {percent(draw.cell_floor)} of that evenly to the cells of {cells} (cell floor). Half-width allowed, relative to a plain"
        f" random draw: {draw.kappa:g} (kappa). Smallest chance of being drawn: {draw.pi_min:.2g} (pi_min); no case counts more"
        f" than {draw.w_max:.2g} times what it would in a plain random draw (w_max). {draw.excluded_ruled:,} decisions had a"
        f" ruling before and are outside. Reviewed so far: {done.ruled:,} of {done.total:,}, {done.skipped:,} skipped."
    )
