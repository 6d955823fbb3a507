"""The report as a deck that a manager can present: native charts, and the method in the speaker notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pptx.dml.color import RGBColor

from evenhand.rates.measure import Rates
from evenhand.report.charts import kinds_chart, split_chart, trend_chart
from evenhand.report.columns import Cell, Table, in_words
from evenhand.report.deck import FULL, MARGIN, TOP, Deck, fill
from evenhand.report.dsa import DSA_SOURCES, dsa_table, dsa_words, indicator_words, not_words, reviewers_words
from evenhand.report.method import general, method
from evenhand.report.model import Report, Split
from evenhand.report.narrative import SLICES, headline, narrative
from evenhand.report.palette import BLUE, GREY, INK, KIND_COLOURS, VERSION_COLOURS
from evenhand.report.tables import modelled_words, state, then_words, verdict
from evenhand.statistics.estimator import Estimate
from evenhand.wording.words import (
    KINDS,
    UNKNOWN,
    capital,
    evidence,
    listed,
    moved,
    percent,
    said,
    shown,
    spoken,
    within,
)
from evenhand.workspace.files import atomic_path

T = TypeVar("T")
_BARS, _GROUPS = 14, 9  # how many bars a slide holds, single or by kind of error
_COLUMNS = 6  # how many columns of a crossing a slide holds


def write_pptx(report: Report, target: Path) -> None:
    """Write the deck to `target`, whole or not at all."""
    line = report.asked.line()
    deck = Deck(
        f"Evenhand · {report.period} · rates with 95% intervals{f' ({line})' if line else ''}, n: cases reviewed"
    )
    notes = "\n\n".join(general(report))
    _title(deck, report, notes)
    deck.texts("In short", narrative(report), notes, smallest=13)
    _headline(deck, report, notes)
    for split in report.splits:
        if len(split.by) == 1:
            _bars(deck, report, split, notes)
        if split.by == ("market",):
            _kinds(deck, report, split, notes)
    if report.split("market") is None:
        _kinds(deck, report, None, notes)
    for split in report.splits:
        if len(split.by) == 2:
            _crossing(deck, report, split, notes)
    _confusions(deck, report, notes)
    _areas(deck, report, notes)
    _dsa(deck, report, notes)
    deck.texts("How it was measured", method(report), notes)
    with atomic_path(target) as part:
        deck.pages.core_properties.title = f"Error rates, {report.period}"
        deck.pages.core_properties.author = "Evenhand"
        deck.pages.core_properties.created = report.made_at.replace(tzinfo=None)
        deck.pages.save(str(part))


def _title(deck: Deck, report: Report, notes: str) -> None:
    slide = deck.slide("", notes)
    background = slide.background.fill
    background.solid()
    background.fore_color.rgb = RGBColor.from_string(INK[1:])
    white = "#ffffff"
    title = slide.shapes.title
    title.top = round(2.0 * 914400)
    fill(title.text_frame, ["How often is moderation wrong?"], 40, colour=white, bold=True)
    deck.text(
        slide,
        MARGIN,
        3.0,
        FULL,
        0.5,
        [f"{capital(report.asked.overturned)}, {report.period}"],
        size=20,
        colour=white,
    )
    if report.filters:
        place = f"Only {report.names.place(report.filters)}"
        deck.text(slide, MARGIN, 3.55, FULL, 0.5, [place], size=16, colour=white)
    deck.text(slide, MARGIN, 4.6, FULL * 0.8, 1.2, [headline(report)], size=18, colour=white)


def _headline(deck: Deck, report: Report, notes: str) -> None:
    total = report.overall.total
    known = (
        f"{percent(total.rate)} of {'views went to wrongly decided content' if report.asked.unit == 'views' else 'decisions are wrong'}"
        if total.status == "measured"
        else "The error rate is not known yet"
    )
    slide = deck.slide(known, notes)
    _figure(deck, slide, TOP + 0.1, "All errors", total, main=True)
    said_more = []
    compared = report.comparison
    if compared and compared.before:
        found = compared.changes["total"]
        change = moved(found.difference, found.low, found.high)
        said_more.append(f"Against {compared.period}: {change}. Verdict: {found.verdict}.")
    for step in report.trend:
        if step.new_policy:
            said_more.append(
                f"New policy version {within(step.policy_version)} in use from the {report.unit} of {step.start:%d %B}."
            )
    deck.text(slide, MARGIN, TOP + 2.0, 3.4, 3.3, said_more, size=14)
    data = trend_chart(report)
    if data.empty:
        words = [f"The error rate is not known yet for any {report.unit} alone."]
        deck.text(slide, MARGIN + 3.7, TOP + 0.1, FULL - 3.7, 0.5, words, size=16, colour=GREY)
    else:
        deck.chart(slide, MARGIN + 3.7, FULL - 3.7, data, VERSION_COLOURS, line=True)


def _figure(
    deck: Deck, slide: object, top: float, name: str, estimate: Estimate, *, main: bool = False
) -> None:
    size = 44 if main else 28
    deck.text(slide, MARGIN, top, 3.4, 0.3, [name], size=14, colour=GREY)
    number = said(estimate)
    deck.text(
        slide, MARGIN, top + 0.28, 3.4, 0.8, [number], size=size if number != UNKNOWN else 24, bold=True
    )
    below = [
        f"{evidence(estimate)} of {estimate.population:,}"
        if estimate.status == "measured"
        else evidence(estimate)
    ]
    deck.text(slide, MARGIN, top + (1.05 if main else 0.78), 3.4, 0.5, below, size=12)


def _bars(deck: Deck, report: Report, split: Split, notes: str) -> None:
    by = spoken(split.by[0]).lower()
    for rows, title in _pages(split.rows, _BARS, f"Error rate by {by}"):
        data = split_chart(report, split, rows, limit=28, figures=True)
        if data.empty:
            deck.texts(title, data.categories or ["No decision in the period."], notes)
            continue
        slide = deck.slide(title, notes)
        deck.chart(
            slide, MARGIN, FULL, data, (BLUE,), line=False, whole=split_chart(report, split, split.rows)
        )


def _kinds(deck: Deck, report: Report, split: Split | None, notes: str) -> None:
    title = "Over- and under-enforcement stand apart, never netted"
    for rows, name in _pages(split.rows if split else (), _GROUPS, title):
        slide = deck.slide(name, notes)
        for number, (kind, word) in enumerate(KINDS.items()):
            _figure(deck, slide, TOP + 0.1 + 1.65 * number, word, getattr(report.overall, kind))
        missing = ["Where a bar is missing, the rate is not known yet."]
        data = kinds_chart(report, split, rows, limit=28) if split else None
        if split and data and not data.empty:
            whole = kinds_chart(report, split, split.rows)
            deck.chart(slide, MARGIN + 3.7, FULL - 3.7, data, KIND_COLOURS, line=False, whole=whole)
            deck.text(slide, MARGIN, TOP + 5.2, 3.4, 0.3, missing, size=11, colour=GREY)


def _crossing(deck: Deck, report: Report, split: Split, notes: str) -> None:
    """A grid of two columns; each cell says whether it is measured, modelled or not known yet."""
    down, across = split.by
    cells = {(rates.domain[down], rates.domain[across]): rates for rates in split.rows}
    rows, columns = sorted({key[0] for key in cells}), sorted({key[1] for key in cells})
    title = f"By {listed(spoken(name).lower() for name in split.by)}"
    caption = (
        "Error rate (95% interval), n reviewed. “Modelled” is what neighbouring cells and the model suggest where the rate is not"
        f" known yet: no measurement, and no ranking.{modelled_words(report)}"
    )
    for some, name in _pages(columns, _COLUMNS, title):
        heads = [spoken(down), *(report.names.value(across, value) for value in some)]
        lines = [
            [report.names.value(down, row), *(_cell_words(cells.get((row, value))) for value in some)]
            for row in rows
        ]
        deck.table(name, heads, [1.0, *[1.4] * len(some)], lines, notes=notes, caption=caption)


def _cell_words(rates: Rates | None) -> str:
    if rates is None:
        return "no decisions"
    total = rates.total
    if total.status == "measured":
        return (
            f"{percent(total.rate)} ({percent(total.low)} to {percent(total.high)}), n {total.n_reviewed:,}"
        )
    if rates.modelled:
        model = rates.modelled
        return f"modelled {percent(model.rate)} ({percent(model.low)} to {percent(model.high)}), n {total.n_reviewed:,}"
    return f"{UNKNOWN}, n {total.n_reviewed:,}"


def _confusions(deck: Deck, report: Report, notes: str) -> None:
    names = report.names
    rows = [
        [
            names.value("area", pair.area),
            names.label(pair.area, pair.decided),
            names.label(pair.area, pair.ruled),
            f"{said(pair.share)} ({evidence(pair.share)})",
            f"{pair.share.errors_found:,}",
        ]
        for pair in report.confusions
    ]
    if not rows:
        deck.texts("What is confused with what", ["No confusion of labels was seen in this period."], notes)
        return
    deck.table(
        "What is confused with what",
        ["Area", "Moderators decided", "Experts rule", f"Share of all {report.asked.unit}", "Seen"],
        [2.6, 2.2, 2.2, 3.6, 0.8],
        rows,
        notes=notes,
        caption=f"The {len(rows)} pairs that weigh most, of {report.confusions_seen:,} seen in the sample.",
    )


def _areas(deck: Deck, report: Report, notes: str) -> None:
    rows = []
    for area in report.areas:
        found, taken = area.found, area.taken
        who = "; ".join(shown(text) for text in ((taken.owner, spoken(taken.cause)) if taken else ()) if text)
        what = "; ".join(
            text
            for text in ((shown(taken.action), f"due {taken.due}" if taken.due else "") if taken else ())
            if text
        )
        rows.append(
            [
                capital(report.names.place(area.where)),
                f"{said(found.rate)} ({evidence(found.rate)})" if found else then_words(area),
                f"{said(found.elsewhere)} ({evidence(found.elsewhere)})" if found else "",
                f"about {found.excess:,.0f}" if found else "",
                who or state(area),
                what,
                verdict(area),
            ]
        )
    if not rows:
        nothing = "No slice stands out, and none was taken up. That is no proof that none is there: more reviews would show smaller ones."
        deck.texts("Improvement areas", [nothing], notes)
        return
    deck.table(
        "Improvement areas",
        [
            "Where",
            "Error rate there",
            "Elsewhere",
            "Errors too many",
            "Owner, cause",
            "Action, due",
            "Verdict",
        ],
        [2.0, 2.1, 2.0, 1.1, 1.5, 2.0, 2.1],
        rows,
        notes=notes,
        caption="Slices whose error rate stands out from all other decisions, and what is done about them."
        + ("" if report.question.plain else f" {SLICES}"),
    )


def _dsa(deck: Deck, report: Report, notes: str) -> None:
    """The DSA table; the foot of each slide has the source and says what the figures are not."""
    table = dsa_table(report)
    place = {column.name: number for number, column in enumerate(table.columns)}
    rows = []
    for row in table.rows:
        scope, language, official = row[:3]
        total = [in_words(row[place[name]], table.columns[place[name]]) for name in ("Reviewed", "Decisions")]
        shares = ("Accuracy", "Precision", "Recall", "Rate")
        figures = [_with_ends(table, row, place[name]) for name in shares]
        rows.append([str(scope), f"{language} *" if official == "yes" else str(language), *figures, *total])
    deck.table(
        "Indicators of accuracy by language, for the DSA",
        [
            "Scope",
            "Language",
            "Accuracy (95% interval)",
            "Precision (95% interval)",
            "Recall (95% interval)",
            "Possible rate of error (95% interval)",
            "Reviewed",
            "Decisions",
        ],
        [0.8, 1.2, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0],
        rows,
        notes="\n\n".join((*dsa_words(report), notes)),
        caption=f"Accuracy is 1 minus the share of {report.asked.overturned}. * Official EU language.",
        small=(
            DSA_SOURCES,
            indicator_words(report),
            f"{not_words(report)} {reviewers_words(report)}",
        ),
    )


def _with_ends(table: Table, row: Sequence[Cell], at: int) -> str:
    """A figure of a table and its interval, or the words instead of one."""
    rate, low, high = (in_words(row[at + i], table.columns[at]) for i in range(3))
    return rate if isinstance(row[at], str) else f"{rate} ({low} to {high})"


def _pages(rows: Sequence[T], size: int, title: str) -> list[tuple[Sequence[T], str]]:
    """`rows` in parts of at most `size`, each with its title; one part if there are no rows."""
    parts = [rows[start : start + size] for start in range(0, len(rows), size)] or [rows]
    return [
        (part, title if len(parts) == 1 else f"{title} ({number} of {len(parts)})")
        for number, part in enumerate(parts, 1)
    ]
