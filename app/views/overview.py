"""The overview page: the headline rate, its trend, and what needs attention.

It shows numbers only, no case texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from html import escape

import streamlit as st

from app import figures as measured
from app import session
from app.charts import charts
from app.text import as_said, as_typed, bullets, figure
from app.views.improvement import overdue
from evenhand.errors import EstimateError
from evenhand.rates.improvement_areas import ImprovementArea
from evenhand.rates.question import PERIODS, Question
from evenhand.rates.table import EstimateTable
from evenhand.records.batches import QueueProgress
from evenhand.records.improvement import Improvement
from evenhand.statistics.estimator import ENOUGH, RULED
from evenhand.wording.notes import by_day
from evenhand.wording.notes import sentence as note_sentence
from evenhand.wording.rates import (
    OUTCOMES,
    Titles,
    domain_names,
    evidence,
    number,
    period,
    place_name,
    sentence,
    short_evidence,
)
from evenhand.wording.words import capital, day, listed, spoken

_NEAREST = 5  # how many cells that are not known yet are named
_LARGEST = 4  # how many slices that stand out are named


def page() -> None:
    """Show rates, trend, what to do and the batches; if there is no rate yet, show what is missing."""
    session.me("overview")
    st.title("Overview")
    at = measured.stamp()
    try:
        table = measured.rates(at)
        choices = measured.choices(at)
    except EstimateError as problem:
        st.info(as_said(sentence(str(problem))))
        _batches(at)
        return
    st.caption(
        f"Decisions {period(choices.first, measured.day_after(choices.last))} · policy"
        f" {as_typed(listed(table.policy_versions))} · scored by {as_typed(listed(table.model_versions))}"
    )
    headline(table)
    with st.container(key="stack-overview"):
        left, right = st.columns([7, 4], gap="large")
    with left:
        _trend(at)
    with right:
        _attention(at)
    _batches(at)
    with st.expander("What these rates rest on"):
        st.markdown(bullets(map(note_sentence, table.notes) if table.notes else ("Nothing was left out.",)))


def headline(table: EstimateTable) -> None:
    """The rate of all errors, and of each of the three kinds, with interval and reviews."""
    overall = table.overall
    share = "Decisions an expert would overturn"
    if table.question.weight == "exposure":
        share = "Views of content decided wrongly"
    if table.question.estimand == "panel":
        share += ", by a panel"
    with st.container(key="headline"):
        first, *rest = st.columns([1.8, 1, 1, 1])
    seen = f"{evidence(overall.total)} of {overall.total.population:,} decisions"
    first.html(figure(share, number(overall.total), seen, main=True))
    for place, name in zip(rest, list(OUTCOMES)[1:], strict=True):
        estimate = getattr(overall, name)
        place.html(figure(OUTCOMES[name], number(estimate), short_evidence(estimate)))


def _trend(at: measured.Stamp) -> None:
    st.subheader("Trend")
    with st.container(horizontal=True):
        kinds = [name for name in PERIODS if name != "day"]
        step = (
            st.segmented_control(
                "By", kinds, default="week", format_func=spoken, key="trend_by", width="content"
            )
            or "week"
        )
        which = (
            st.segmented_control(
                "Show",
                list(OUTCOMES),
                default="total",
                format_func=OUTCOMES.__getitem__,
                key="trend_outcome",
                width="content",
            )
            or "total"
        )
    table = measured.rates(at, Question(by=(step, "policy_version")))
    in_force = {policy.version: policy.effective_from for policy in session.store().policies()}
    rows = charts.trend_rows(table, which, in_force, step)
    chart = charts.trend(rows, in_force, title=f"{OUTCOMES[which]}, share of decisions", height=430)
    st.altair_chart(chart, alt=charts.spelled(rows, "from", "version", "says", "rests"))
    thin = int((rows["status"] != "measured").sum())
    said = f"Bands are 95% intervals; the small figures are reviews. A {step} is cut where a new policy version came into force."
    if thin:
        each = f"{step}s are" if thin > 1 else f"{step} is"
        said += f" “?”: {thin} of {len(rows)} {each} not known yet, with fewer than {ENOUGH:.0f} effective reviews or {RULED} real ones."
    st.caption(said)


def _attention(at: measured.Stamp) -> None:
    st.subheader("What needs attention")
    found, _ = measured.areas(at)
    taken = session.store().improvements()
    open_ones = [one for one in taken if one.open]
    at_work = [dict(one.where) for one in open_ones]
    titles = session.titles()
    items = [_late(one, titles) for one in open_ones if overdue(one, datetime.now(UTC).date())]
    free = [area for area in found if dict(area.where) not in at_work]
    items += [_stands_out(area, titles) for area in free[:_LARGEST]]
    if more := free[_LARGEST:]:
        said = f"{len(more)} more {'stands' if len(more) == 1 else 'stand'} out, with fewer errors too many"
        items.append(_item("▲", "Stands out, not taken up", said, "All of them are under Improvement areas."))
    items += _unknown_cells(measured.rates(at, Question(by=("market", "area"))), titles)
    if not items:
        st.info("Nothing stands out, no action is overdue, and every cell of market and area is known.")
        return
    st.html("".join(items))


def _item(mark: str, kicker: str, title: str, said: str) -> str:
    return (
        f'<div class="eh-attend"><div class="eh-mark" aria-hidden="true">{mark}</div><div><div class="eh-kicker">{escape(kicker)}'
        f'</div><div class="eh-what" dir="auto">{escape(title)}</div><div class="eh-why">{escape(said)}</div></div></div>'
    )


def _stands_out(area: ImprovementArea, titles: Titles) -> str:
    said = (
        f"{number(area.rate)} wrong ({short_evidence(area.rate)}), {number(area.elsewhere)} elsewhere"
        f" ({short_evidence(area.elsewhere)}): about {area.excess:,.0f} errors too many."
    )
    return _item("▲", "Stands out, not taken up", place_name(area.where, titles), said)


def _late(one: Improvement, titles: Titles) -> str:
    return _item(
        "!",
        f"Overdue since {day(date.fromisoformat(one.due))}",
        place_name(one.where, titles),
        f"{one.owner or 'Nobody'}: {one.action or 'no action yet'}",
    )


def _unknown_cells(table: EstimateTable, titles: Titles) -> list[str]:
    """One item about the cells of market and area that are not known yet, if there are any.

    Cells that need the fewest reviews come first.
    """
    unknown = [rates for rates in table.domains if rates.total.status == "unknown"]
    if not unknown:
        return []
    unknown.sort(key=lambda rates: (rates.total.reviews_needed, tuple(rates.domain.values())))
    nearest = [
        f"{_cell_name(rates.domain, titles)} ({rates.total.reviews_needed:,} more)"
        for rates in unknown[:_NEAREST]
    ]
    needed = sum(rates.total.reviews_needed for rates in unknown)
    title = f"{len(unknown)} of {len(table.domains)} cells of market and area"
    return [
        _item(
            "?",
            "Not known yet",
            title,
            f"About {needed:,} more reviews would tell them. Nearest: {', '.join(nearest)}.",
        )
    ]


def _cell_name(domain: Mapping[str, str], titles: Titles) -> str:
    return "\u00a0· ".join(domain_names(domain, titles).values())


def _batches(at: measured.Stamp) -> None:
    found = measured.batches(at)
    if not found:
        return
    st.subheader("Review batches")
    for batch in (one for one in found if one.whole.open):
        draw = batch.draw
        st.html(
            f'<div class="eh-what">{escape(capital(by_day(draw.draw_id, draw.created_at)))} · decisions {period(draw.since, draw.until)}'
            f"</div>{_bar('All markets', batch.whole)}"
            + "".join(_bar(market, progress) for market, progress in batch.markets.items())
        )
    done = [one for one in found if not one.whole.open]
    if done:
        said = ", ".join(
            f"{by_day(one.draw.draw_id, one.draw.created_at)} ({one.whole.ruled:,} ruled, {one.whole.skipped:,} skipped)"
            for one in done
        )
        st.caption(as_typed(f"Finished: {said}."))


def _bar(name: str, progress: QueueProgress) -> str:
    """A batch, or one market of it, as a bar and in words: ruled is filled, skipped hatched, open empty."""
    words = f"{progress.ruled:,} ruled · {progress.skipped:,} skipped · {progress.open:,} open of {progress.total:,}"
    parts = "".join(
        f'<i class="eh-{kind}" style="flex-grow:{count}"></i>'
        for kind, count in (("ruled", progress.ruled), ("skipped", progress.skipped), ("open", progress.open))
        if count
    )
    return (
        f'<div class="eh-progress"><span dir="auto">{escape(name)}</span><div class="eh-bar" role="img"'
        f' aria-label="{escape(words)}">{parts}</div><span>{escape(words)}</span></div>'
    )
