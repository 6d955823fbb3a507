"""The report in sentences: what is known, what changed, what stands out, and what is not known yet."""

from __future__ import annotations

from evenhand.rates.improvement_areas import FALSE_SHARE
from evenhand.report.model import Area, Report, Split
from evenhand.statistics.change import Change
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import (
    KINDS,
    Names,
    capital,
    day,
    evidence,
    listed,
    more_reviews,
    moved,
    percent,
    said,
    spoken,
    within,
)

_MEANING = {
    "over_enforcement": "acted on what the policy allows",
    "under_enforcement": "let a violation stand",
    "wrong_policy": "acted under another label than the right one",
}
#: For reports whose rates have another basis than those of the slices.
SLICES = (
    "Slices are found by the share of decisions that one SME would overturn, with intervals for one look."
)
_NAMED = 5  # how many slices or places a sentence names before it counts the rest


def narrative(report: Report) -> tuple[str, ...]:
    """The sentences of a report, the most important first."""
    found = [headline(report), *kinds(report)]
    found += _changes(report)
    found += _trend(report)
    found += [_stands_out(report), *_confused(report), *_unknown(report), *_at_work(report)]
    return tuple(found)


def headline(report: Report) -> str:
    """How often an expert would overturn a decision, or which share of views went to such decisions."""
    total, words = report.overall.total, report.asked
    if total.status != "measured":
        asked = (
            f"Which share of views went to content that {words.expert} would decide otherwise"
            if words.unit == "views"
            else f"How often {words.expert} would overturn a decision"
        )
        return f"{asked} is not known yet ({evidence(total)}; {total.population:,} decisions in the period)."
    span = f"({evidence(total)}; 95% interval{words.held})"
    if words.unit == "views":
        return f"{percent(total.rate)} of the views of {total.population:,} decisions went to content that {words.expert} would decide otherwise {span}."
    return f"{capital(words.expert)} would overturn {percent(total.rate)} of {total.population:,} decisions {span}."


def kinds(report: Report) -> tuple[str, str]:
    """Over- and under-enforcement and wrong labels, apart; and what is nobody's error."""
    parts = [
        f"{name} ({_MEANING[kind]}): {said(estimate)} ({evidence(estimate)})"
        for kind, name in KINDS.items()
        for estimate in [getattr(report.overall, kind)]
    ]
    unclear = report.overall.policy_unclear
    return (
        f"{'. '.join(parts)}. They are shares of all {report.asked.unit} and are not netted: one kind never makes up for another.",
        f"Where the policy itself was unclear is nobody's error and counted apart: {said(unclear)} ({evidence(unclear)})."
        f"{_clauses(report)}",
    )


def _clauses(report: Report) -> str:
    """The clause that experts called unclear most often; empty if they called none unclear."""
    if not report.unclear:
        return ""
    first, cases = report.unclear[0], report.overall.policy_unclear.errors_found
    label = within(report.names.label(first.domain["area"], first.domain["label"]))
    area = within(report.names.value("area", first.domain["area"]))
    return (
        f" Experts said so of {cases:,} {'case' if cases == 1 else 'cases'}, most often where moderators decided {label} ({area},"
        f" {first.policy_unclear.errors_found:,}): look at that clause."
    )


def change_words(found: Change, than: str) -> str:
    """A change in words, with its interval."""
    span = moved(found.difference, found.low, found.high)
    if not found.known:
        return f"Whether that differs from {than} is not known yet ({span})."
    if not found.real:
        return f"Compared with {than} the difference is within noise ({span})."
    way = "higher" if found.difference > 0 else "lower"
    return f"That is {way} than in {than}, and more than noise ({span})."


def _changes(report: Report) -> list[str]:
    compared = report.comparison
    if compared is None:
        return []
    if compared.before is None:
        return [f"Nothing to compare with in {compared.period}: {compared.missing}."]
    before = compared.before.total
    text = change_words(compared.changes["total"], str(compared.period))
    sentences = [f"{text} The rate there: {said(before)} ({evidence(before)})."]
    real = [
        f"{name.lower()} ({moved(found.difference, found.low, found.high)})"
        for kind, name in KINDS.items()
        for found in [compared.changes[kind]]
        if found.real
    ]
    if real:
        sentences.append(f"Of the kinds of error, more than noise: {listed(real)}.")
    return sentences


def _trend(report: Report) -> list[str]:
    sentences = []
    for step in report.version_changes:
        old, new = (within(rates.domain["policy_version"]) for rates in (step.before, step.after))
        sentences.append(
            f"Policy {new} is in force from {day(step.effective_from)}: under {old} the rate is"
            f" {said(step.before.total)} ({evidence(step.before.total)}), under {new} {said(step.after.total)}"
            f" ({evidence(step.after.total)}); the change is {step.found.verdict}"
            f" ({moved(step.found.difference, step.found.low, step.found.high)})."
        )
    unknown = sum(step.rates.total.status != "measured" for step in report.trend)
    if unknown:
        sentences.append(
            f"{unknown} of {len(report.trend)} stretches of the trend by {report.unit} are not known yet."
        )
    return sentences


def area_sentence(area: Area, names: Names) -> str:
    """What stands out in one slice, with its figures."""
    found = area.found
    if found is None:
        return f"{capital(names.place(area.where))}: does not stand out now."
    text = (
        f"{capital(names.place(area.where))}: {percent(found.rate.rate)} ({evidence(found.rate)}) against"
        f" {percent(found.elsewhere.rate)} elsewhere ({evidence(found.elsewhere)}), about {found.excess:,.0f} errors too many"
    )
    if found.confusions:
        top = found.confusions[0]
        text += (
            f", mostly {within(names.label(top.area, top.decided))} that should be"
            f" {within(names.label(top.area, top.ruled))} ({within(names.value('area', top.area))})"
        )
    return text + "."


def _stands_out(report: Report) -> str:
    found = [area for area in report.areas if area.found]
    if not found:
        return "No slice stands out from the others. That is no proof that none is there: more reviews would show smaller ones."
    found.sort(key=lambda area: -(area.found.excess if area.found else 0.0))
    first = " ".join(area_sentence(area, report.names) for area in found[:3])
    rest = f" {len(found) - 3} more are among the improvement areas." if len(found) > 3 else ""
    if not report.question.plain:
        rest += f" {SLICES}"
    plural = "slice stands" if len(found) == 1 else "slices stand"
    return f"{len(found)} {plural} out (about {FALSE_SHARE:.0%} of such findings may be noise). {first}{rest}"


def _confused(report: Report) -> list[str]:
    if not report.confusions:
        return []
    top = report.confusions[0]
    names = report.names
    return [
        f"The most frequent confusion is {within(names.label(top.area, top.decided))} where {report.asked.expert} rules"
        f" {within(names.label(top.area, top.ruled))} ({within(names.value('area', top.area))}):"
        f" {_share(top.share)} of all {report.asked.unit}, seen {top.share.errors_found:,} times."
    ]


def _share(estimate: Estimate) -> str:
    return f"{said(estimate)} ({evidence(estimate)})"


def _unknown(report: Report) -> list[str]:
    return [text for split in report.splits if (text := _unknown_in(split, report.names))]


def _unknown_in(split: Split, names: Names) -> str:
    thin = [rates for rates in split.rows if rates.total.status != "measured"]
    if not thin:
        return ""
    by = listed(spoken(name).lower() for name in split.by)
    named = [
        f"{' / '.join(within(names.value(*pair)) for pair in rates.domain.items())}"
        f" ({more_reviews(rates.total.reviews_needed)})"
        for rates in sorted(thin, key=lambda rates: -rates.total.population)[:_NAMED]
    ]
    if len(thin) > _NAMED:
        named.append(f"{len(thin) - _NAMED:,} more")
    return f"Not known yet by {by}: {listed(named)}."


def _at_work(report: Report) -> list[str]:
    taken = [area.taken for area in report.areas if area.taken]
    if not taken:
        return []
    still, measured = [one for one in taken if one.open], [one for one in taken if one.measured]
    worked = sum(
        one.measured[-1]["verdict"] == "real" and one.measured[-1]["difference"] < 0 for one in measured
    )
    return [
        f"Improvement areas taken up: {len(taken)}, {len(still)} of them open, {len(measured)} measured again,"
        f" {worked} with an error rate that fell by more than noise."
    ]
