"""The page of error rates: how often moderation is wrong, and whether that changed.

Rates are shown overall, by one or two splits, and as a map, each with its interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd
import streamlit as st

from app import changes, session
from app import figures as measured
from app.charts import charts
from app.charts.heat_map import heat_map
from app.figures import SPLITS
from app.text import as_said, as_typed, bullets
from app.views.overview import headline
from evenhand.errors import EstimateError
from evenhand.rates.question import PERIODS, Estimand, Question, Weight
from evenhand.rates.table import EstimateTable
from evenhand.report.write_csv import neutral
from evenhand.statistics.estimator import Estimate
from evenhand.wording.notes import by_day
from evenhand.wording.notes import sentence as note_sentence
from evenhand.wording.rates import (
    OUTCOMES,
    UNCLEAR,
    Titles,
    domain_name,
    domain_names,
    interval,
    number,
    period,
    place_name,
    sentence,
)
from evenhand.wording.words import capital, listed, spoken

VIEWS = ("Rates", "Market × area", "Change")
PIVOTS = (*SPLITS, "week", "month")
_SHOWN = {**OUTCOMES, **UNCLEAR}
_WEIGHTS: dict[Weight, str] = {"decisions": "decisions", "exposure": "views"}
_BY_WHOM: dict[Estimand, str] = {"sme": "one SME", "panel": "a panel"}
_MOST = 40  # rows of a chart


def page() -> None:
    """Ask which decisions to show, then show the headline and one of the three views."""
    session.me("error_rates")
    st.title("Error rates")
    at = measured.stamp()
    try:
        choices = measured.choices(at)
    except EstimateError as problem:
        st.info(as_said(sentence(str(problem))))
        return
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    view = left.segmented_control("View", VIEWS, default=VIEWS[0], key="view") or VIEWS[0]
    try:
        with right.popover("Period and filters", width="stretch"):
            question = _question(choices)
        overall = measured.rates(at, question)
        st.caption(said_question(overall, question, choices, session.titles()))
        headline(overall)
        {"Rates": _rates, "Market × area": _map, "Change": changes.show}[view](at, question, choices)
    except EstimateError as problem:
        st.info(as_said(sentence(str(problem))))


def _question(choices: measured.Choices) -> Question:
    """The chosen question: which decisions, and what the rate is a share of."""
    left, right = st.columns(2)
    first, last = choices.first, choices.last
    since = left.date_input("From", None, first, last, key="since")
    to = right.date_input("To", None, first, last, key="to", help="The last day (UTC) that counts.")
    filters: dict[str, str] = {}
    titles = session.titles()
    for i, name in enumerate(SPLITS):
        spell = partial(domain_name, name, titles=titles, area=filters.get("area", ""))
        place = (left, right)[i % 2]
        value = place.selectbox(
            spoken(name),
            sorted(choices.values[name], key=spell),
            None,
            format_func=spell,
            key=f"where_{name}",
            placeholder="all",
        )
        filters |= {name: value} if value else {}
    weight = st.segmented_control(
        "Share of", _WEIGHTS, default="decisions", format_func=_WEIGHTS.__getitem__, key="weight"
    )
    estimand = st.segmented_control(
        "Overturned by", _BY_WHOM, default="sme", format_func=_BY_WHOM.__getitem__, key="estimand"
    )
    return Question(
        since=since,
        until=measured.day_after(to) if to else None,
        filters=filters,
        weight=weight or "decisions",
        estimand=estimand or "sme",
    )


def said_question(table: EstimateTable, question: Question, choices: measured.Choices, titles: Titles) -> str:
    """What the rates are about, in one line."""
    whole = period(question.since or choices.first, question.until or measured.day_after(choices.last))
    filters = f" · {as_typed(place_name(question.filters, titles))}" if question.filters else ""
    return (
        f"Decisions {whole}{filters} · policy {as_typed(listed(table.policy_versions))} · {share(question)}"
    )


def share(question: Question) -> str:
    """What a rate is a share of."""
    return "share of views" if question.weight == "exposure" else "share of decisions"


def _rates(at: measured.Stamp, question: Question, choices: measured.Choices) -> None:
    by = _pivot()
    table = measured.rates(at, question.split(*by))
    which = _outcome()
    overall: Estimate = getattr(table.overall, which)
    # each area has its own labels: area by label makes no grid
    crossed = len(by) == 2 and not set(by) & set(PERIODS) and set(by) != {"area", "label"}
    if crossed:
        # rows have more room than columns
        by = tuple(sorted(by, key=lambda name: -len(choices.values[name])))
        st.html(
            heat_map(
                table,
                which,
                row=by[0],
                column=by[1],
                title=f"{_SHOWN[which]}, {share(question)}",
                titles=session.titles(),
            )
        )
    rows = charts.domain_rows(table, which, session.titles())
    shown = rows[rows["status"] == "measured"] if crossed else rows
    if len(shown):
        top = shown.head(_MOST)
        chart = charts.domains(top, overall, _SHOWN[which], share(question))
        st.altair_chart(chart, alt=charts.spelled(top, "domain", "says", "interval"))
    if left := len(rows) - min(len(shown), _MOST):
        st.caption(
            f"{left:,} of {len(rows):,} rows are not in the chart, of which {_thin(rows):,} not known yet: see the table."
        )
    _details(table)


def _thin(rows: pd.DataFrame) -> int:
    return int((rows["status"] != "measured").sum())


def _pivot() -> tuple[str, ...]:
    """One or two splits."""
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    first = (
        left.segmented_control("By", PIVOTS, default="market", format_func=spoken, key="split", wrap=True)
        or "market"
    )
    others = [name for name in SPLITS if name != first]
    second = right.selectbox(
        "and", others, None, format_func=spoken, key="split2", placeholder="nothing else"
    )
    return (first, second) if second else (first,)


def _outcome() -> str:
    return (
        st.segmented_control(
            "Show",
            list(_SHOWN),
            default="total",
            format_func=lambda name: _SHOWN[name],
            key="outcome",
            help="Over- and under-enforcement are never netted. An unclear policy is nobody's error and in no sum.",
        )
        or "total"
    )


def _map(at: measured.Stamp, question: Question, choices: measured.Choices) -> None:
    which = _outcome()
    table = measured.rates(at, question.split("market", "area"))
    st.html(
        heat_map(
            table,
            which,
            row="market",
            column="area",
            title=f"{_SHOWN[which]}, {share(question)}",
            titles=session.titles(),
        )
    )
    st.caption(
        "A modelled cell says what similar cells and the score suggest. It is no measurement: it has no colour, no rank, and stands"
        " only under all errors."
    )
    _details(table)


def _details(table: EstimateTable) -> None:
    counts = {name: st.column_config.NumberColumn(format="localized") for name in ("Reviewed", "Decisions")}
    widths = {
        "Error rate": st.column_config.NumberColumn(format="%.1f%%", width=75),
        "95% interval": st.column_config.TextColumn(width=105),
        "Status": st.column_config.TextColumn(width=110),
        **{name: st.column_config.TextColumn(width=155) for name in list(OUTCOMES.values())[1:]},
    }
    rows = table_rows(table, session.titles())
    st.dataframe(rows, hide_index=True, column_config={**widths, **counts}, placeholder="?")
    name = "-".join(table.question.by)
    st.download_button(
        "Download as CSV", exact(table).to_csv(index=False), f"error-rates-by-{name}.csv", "text/csv"
    )
    with st.expander("What these rates rest on", expanded=True):
        draws = (session.store().draw(name) for name in table.draws)
        drawn = (
            f"{capital(listed(by_day(draw.draw_id, draw.created_at) for draw in draws))}, scored by {listed(table.model_versions)}; each decision's chance of being drawn was"
            " stored before anyone looked at it, and each ruling counts by it."
        )
        st.markdown(bullets((drawn, *map(note_sentence, table.notes))))


def table_rows(table: EstimateTable, titles: Titles) -> pd.DataFrame:
    """One row per domain: overall first, then by name.

    The error rate is in percent and missing where it is not known yet; the other columns are words.
    """
    rows = []
    named = [(list(domain_names(rates.domain, titles).values()), rates) for rates in table.domains]
    by_name = sorted(named, key=lambda pair: pair[0])
    for names, rates in ((["All"] * len(table.question.by), table.overall), *by_name):
        total = rates.total
        where = {spoken(column): name for column, name in zip(table.question.by, names, strict=True)}
        kinds = {OUTCOMES[name]: _short(getattr(rates, name)) for name in list(OUTCOMES)[1:]}
        rows.append(
            {
                **where,
                "Error rate": 100 * total.rate if total.status == "measured" else None,
                "95% interval": interval(total) if total.n_reviewed else "–",
                "Status": "measured"
                if total.status == "measured"
                else f"needs {total.reviews_needed:,} more",
                "Reviewed": total.n_reviewed,
                **(
                    {"Modelled": f"{number(rates.modelled)} ({interval(rates.modelled)})"}
                    if rates.modelled
                    else {}
                ),
                **kinds,
                "Decisions": total.population,
            }
        )
    found = pd.DataFrame(rows).astype({"Error rate": float})
    return found.fillna({"Modelled": ""}) if "Modelled" in found else found


def _short(estimate: Estimate) -> str:
    return f"{number(estimate)} ({interval(estimate)})" if estimate.status == "measured" else number(estimate)


def exact(table: EstimateTable) -> pd.DataFrame:
    """Every figure of the table, unrounded: one row per domain and kind of error.

    A spreadsheet reads no name as a formula.
    """
    names = (
        "rate",
        "low",
        "high",
        "n_reviewed",
        "n_eff",
        "errors_found",
        "population",
        "method",
        "status",
        "reviews_needed",
    )
    rows: list[Mapping[str, object]] = []
    for rates in (table.overall, *table.domains):
        where = {column: neutral(rates.domain.get(column, "all")) for column in table.question.by}
        found = {name: getattr(rates, name) for name in _SHOWN}
        found |= {"total_modelled": rates.modelled} if rates.modelled else {}
        rows += [
            {**where, "outcome": name, **{field: getattr(e, field) for field in names}}
            for name, e in found.items()
        ]
    return pd.DataFrame(rows)
