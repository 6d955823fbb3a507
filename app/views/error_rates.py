"""How often moderation is wrong: overall and by domain, with intervals, over- and under-enforcement apart."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from app import case_card, session
from app.text import figure, spoken
from evenhand.draws import DOMAINS
from evenhand.error_rates import EstimateTable, estimate_draws
from evenhand.errors import EstimateError
from evenhand.estimation import Estimate

SPLITS = tuple(name for name in DOMAINS if name != "moderator_id")  # no league table of people
OUTCOMES = {
    "total": "All errors",
    "over_enforcement": "Over-enforcement",
    "under_enforcement": "Under-enforcement",
    "wrong_policy": "Wrong label",
}


def page() -> None:
    """Show the headline, the three kinds of error, and a split."""
    session.me("error_rates")
    st.title("Error rates")
    by = st.segmented_control("By", SPLITS, default="market", format_func=spoken, key="split") or "market"
    rulings = session.store().rulings()
    newest = rulings["id"].max() if rulings.height else 0
    try:
        table = _table(by, rulings.height, int(newest or 0), len(session.store().draws()))  # type: ignore[arg-type]
    except EstimateError as problem:
        st.info(str(problem))
        return
    _headline(table)
    which = st.segmented_control(
        "Show", list(OUTCOMES), default="total", format_func=lambda name: OUTCOMES[name], key="outcome"
    )
    rows = domain_rows(table, which or "total")
    st.altair_chart(chart(rows, getattr(table.overall, which or "total"), OUTCOMES[which or "total"]))
    _details(table, by)


@st.cache_data(show_spinner="Estimating", max_entries=64)
def _table(by: str, rulings: int, newest: int, draws: int) -> EstimateTable:
    """Error rates split by one column; computed again when a ruling or a draw is new."""
    return estimate_draws(session.workspace(), session.store(), by=(by,))


def _say(estimate: Estimate) -> tuple[str, str]:
    if estimate.status == "unknown":
        return "not known yet", f"about {estimate.reviews_needed:,} more reviews needed"
    interval = f"95% interval {estimate.low:.1%} to {estimate.high:.1%}"
    return f"{estimate.rate:.1%}", interval


def _headline(table: EstimateTable) -> None:
    overall = table.overall
    first, *rest = st.columns([1.35, 1, 1, 1])
    number, interval = _say(overall.total)
    seen = f"{overall.total.n_reviewed:,} of {overall.total.population:,} decisions reviewed"
    first.html(figure("Decisions an expert would overturn", number, f"{interval} · {seen}", main=True))
    for place, name in zip(rest, list(OUTCOMES)[1:], strict=True):
        number, interval = _say(getattr(overall, name))
        place.html(figure(OUTCOMES[name], number, interval))


def domain_rows(table: EstimateTable, outcome: str) -> pd.DataFrame:
    """One row a domain for chart and table: name, rate, low, high (fractions), reviewed, needed, status."""
    rows = []
    for rates in table.domains:
        estimate: Estimate = getattr(rates, outcome)
        name = " · ".join(domain_name(column, value) for column, value in rates.domain.items())
        known = estimate.status == "measured"
        rows.append(
            {
                "domain": name,
                "rate": estimate.rate if known else None,
                "low": estimate.low,
                "high": estimate.high,
                "reviewed": estimate.n_reviewed,
                "status": "measured" if known else "not known yet",
                "says": f"{estimate.rate:.1%}" if known else f"not known yet · about {estimate.reviews_needed:,} more reviews",
            }
        )  # fmt: skip
    return pd.DataFrame(rows).sort_values("rate", ascending=False, na_position="last")


def domain_name(column: str, value: str) -> str:
    """A value of a column as a person reads it."""
    if column == "language":
        return case_card.LANGUAGES.get(value, value)
    return spoken(value) if value.islower() and column != "policy_version" else value


def chart(rows: pd.DataFrame, overall: Estimate, title: str) -> alt.LayerChart:
    """A point and its interval for each domain; a thin dashed line and words where the rate is not known yet."""
    order = rows["domain"].tolist()
    y = alt.Y("domain:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=13))
    x = alt.X(
        "low:Q", title=f"{title}, share of decisions (95% interval)", axis=alt.Axis(format=".0%", tickCount=8)
    )
    known, unknown = rows[rows["status"] == "measured"], rows[rows["status"] != "measured"]
    hint = [alt.Tooltip("domain:N", title="Domain"), alt.Tooltip("says:N", title="Rate"),
            alt.Tooltip("low:Q", format=".1%"), alt.Tooltip("high:Q", format=".1%"), alt.Tooltip("reviewed:Q")]  # fmt: skip
    layers: list[alt.Chart] = [
        alt.Chart(known).mark_rule(strokeWidth=3, color="#3b7dd8").encode(x=x, x2="high:Q", y=y, tooltip=hint),
        alt.Chart(known).mark_point(filled=True, size=110, opacity=1, color="#3b7dd8").encode(x="rate:Q", y=y, tooltip=hint),
        alt.Chart(known).mark_text(align="left", dx=8, fontSize=12, color="gray").encode(x="high:Q", y=y, text="says:N"),
        alt.Chart(unknown).mark_rule(strokeDash=[2, 4], color="gray").encode(x="low:Q", x2="high:Q", y=y, tooltip=hint),
        alt.Chart(unknown).mark_text(align="left", dx=8, fontSize=12, color="gray", fontStyle="italic")
        .encode(x="high:Q", y=y, text="says:N"),
    ]  # fmt: skip
    if overall.status == "measured":
        line = pd.DataFrame({"rate": [overall.rate], "says": [f"overall {overall.rate:.1%}"]})
        layers.append(
            alt.Chart(line).mark_rule(strokeDash=[6, 4], color="#c98a06").encode(x="rate:Q", tooltip="says:N")
        )
    return alt.layer(*layers).properties(height=alt.Step(34))


def _details(table: EstimateTable, by: str) -> None:
    rows = pd.DataFrame(table.rows())
    rows[by] = [domain_name(by, value) for value in rows[by]]
    st.dataframe(rows.rename(columns=lambda name: spoken(name)), hide_index=True)
    exact = pd.DataFrame(
        [
            {by: rates.domain.get(by, "all"), "outcome": name, **_fields(getattr(rates, name))}
            for rates in (table.overall, *table.domains)
            for name in OUTCOMES
        ]
    )
    st.download_button("Download as CSV", exact.to_csv(index=False), f"error-rates-by-{by}.csv", "text/csv")
    with st.expander("What these rates rest on", expanded=True):
        drawn = ", ".join(table.draws)
        st.markdown(
            f"- Batches {drawn}, scored by {', '.join(table.model_versions)}. Each decision's chance of being drawn was"
            " stored before anyone looked at it, and each ruling counts by it."
        )
        for note in table.notes:
            st.markdown(f"- {note[0].upper()}{note[1:]}.")


def _fields(estimate: Estimate) -> dict[str, object]:
    names = (
        "rate",
        "low",
        "high",
        "n_reviewed",
        "n_eff",
        "errors_found",
        "population",
        "status",
        "reviews_needed",
    )
    return {name: getattr(estimate, name) for name in names}
