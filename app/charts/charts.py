"""The charts of the manager's pages. They draw rows that are given to them, and read in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

import altair as alt
import pandas as pd
import streamlit as st

from evenhand.batches.plan import Plan
from evenhand.rates.question import PERIODS
from evenhand.rates.table import EstimateTable
from evenhand.statistics.change import Change
from evenhand.statistics.estimator import Estimate
from evenhand.wording.rates import Titles, domain_names, evidence, interval, number
from evenhand.wording.words import day

BLUE, AMBER = "#3b7dd8", "#c98a06"
_FIGURES = 26  # how many small numbers fit side by side under a trend


def quiet() -> str:
    """The colour of small text in a chart; it depends on the theme."""
    return "#a9b4c2" if st.context.theme.type == "dark" else "#566070"


def _dressed(layers: list[alt.Chart], height: object) -> alt.LayerChart:
    """The layers as one chart, with axes in a readable colour."""
    small = quiet()
    return (
        alt.layer(*layers)
        .properties(height=height)
        .configure_axis(labelColor=small, titleColor=small, titleFontWeight="normal")
    )


def domain_rows(table: EstimateTable, outcome: str, titles: Titles) -> pd.DataFrame:
    """One row per domain: domain, rate, low, high, reviewed, status, says, beside.

    Rates are fractions; `rate` is missing where it is not known yet.

    The highest rate comes first; domains that are not known yet come last, by name. Periods keep their order.
    """
    rows = []
    for rates in table.domains:
        estimate: Estimate = getattr(rates, outcome)
        known = estimate.status == "measured"
        missing = f"not known yet · n {estimate.n_reviewed:,}, about {estimate.reviews_needed:,} more"
        rows.append(
            {
                "domain": " · ".join(domain_names(rates.domain, titles).values()),
                "rate": estimate.rate if known else None,
                "low": estimate.low,
                "high": estimate.high,
                "reviewed": estimate.n_reviewed,
                "status": "measured" if known else "not known yet",
                "says": f"{estimate.rate:.1%}  ·  n {estimate.n_reviewed:,}" if known else missing,
                "beside": f"{estimate.rate:.1%}  ·  n {estimate.n_reviewed:,}"
                if known
                else f"?  ·  n {estimate.n_reviewed:,}",
                "interval": interval(estimate),
            }
        )
    found = pd.DataFrame(rows)
    order = ["domain"] if set(table.question.by) & set(PERIODS) else ["rate", "domain"]
    return found.sort_values(order, ascending=[name == "domain" for name in order], na_position="last")


def domains(rows: pd.DataFrame, overall: Estimate, title: str, share: str) -> alt.LayerChart:
    """A point and its interval for each domain; a dotted line and words where the rate is not known yet."""
    order = rows["domain"].tolist()
    axis = alt.Axis(labelLimit=260, labelFontSize=13, labelPadding=8, labelFlush=False, labelBound=False)
    y = alt.Y("domain:N", sort=order, title=None, axis=axis)
    known, unknown = rows[rows["status"] == "measured"], rows[rows["status"] != "measured"]
    reach = float(known["high"].max()) if len(known) else float(rows["high"].max())
    scale = alt.Scale(domain=[0, max(reach, 0.01) * 1.04], clamp=True, nice=False)
    meant = f"{title}, {share}: point and 95% interval; dashed: overall"
    if len(unknown):
        meant += "; ?: not known yet"
    x = alt.X("low:Q", scale=scale, title=meant, axis=alt.Axis(format="~%", tickCount=8))
    hint = [
        alt.Tooltip("domain:N", title="Where"),
        alt.Tooltip("says:N", title="Rate"),
        alt.Tooltip("interval:N", title="95% interval"),
        alt.Tooltip("reviewed:Q", format=",", title="Reviewed"),
    ]
    words = alt.Chart(rows).mark_text(align="left", dx=9, fontSize=12, color=quiet())
    layers: list[alt.Chart] = [words.encode(x=alt.value("width"), y=y, text="beside:N", tooltip=hint)]
    if len(known):
        base = alt.Chart(known)
        layers += [
            base.mark_rule(strokeWidth=3, color=BLUE).encode(x=x, x2="high:Q", y=y, tooltip=hint),
            base.mark_point(filled=True, size=110, opacity=1, color=BLUE).encode(
                x="rate:Q", y=y, tooltip=hint
            ),
        ]
    if len(unknown):
        dotted = alt.Chart(unknown).mark_rule(strokeDash=[2, 4], color=quiet())
        layers.append(dotted.encode(x=x, x2="high:Q", y=y, tooltip=hint))
    if overall.status == "measured":
        line = pd.DataFrame({"rate": [overall.rate], "says": [f"overall {overall.rate:.1%}"]})
        layers.append(
            alt.Chart(line)
            .mark_rule(strokeDash=[6, 4], color=AMBER, strokeWidth=1.5)
            .encode(x="rate:Q", tooltip="says:N")
        )
    return _dressed(layers, alt.Step(32 if len(rows) < 15 else 26))


def trend_rows(table: EstimateTable, outcome: str, in_force: Mapping[str, date], period: str) -> pd.DataFrame:
    """One row per period and policy version, by time: start, version, rate, low, high, says, status, run.

    If a new version starts within a period, the period has two rows; the second starts on the day of the
    change. `run` numbers the stretches of measured rows under one version: a band never crosses a change of
    policy or a gap.
    """
    rows, run, before = [], 0, ""
    ordered = sorted(
        table.domains,
        key=lambda r: (r.domain[period], in_force.get(r.domain["policy_version"], date.min)),
    )
    for rates in ordered:
        estimate: Estimate = getattr(rates, outcome)
        version, known = rates.domain["policy_version"], estimate.status == "measured"
        start = max(date.fromisoformat(rates.domain[period]), in_force.get(version, date.min))
        here = version if known else ""
        run += here != before
        before = here
        rows.append(
            {
                "start": pd.Timestamp(start),
                "from": day(start),
                "version": version,
                "rate": estimate.rate if known else None,
                "low": estimate.low,
                "high": estimate.high,
                "n": f"{estimate.n_reviewed:,}",
                "says": number(estimate),
                "rests": evidence(estimate),
                "status": estimate.status,
                "run": run,
            }
        )
    return pd.DataFrame(rows)


def trend(rows: pd.DataFrame, changes: Mapping[str, date], *, title: str, height: int) -> alt.LayerChart:
    """Rates over time with their bands.

    A dashed line marks the day a policy version came into force; "?" marks a rate that is not known yet.
    """
    known, unknown = rows[rows["status"] == "measured"], rows[rows["status"] != "measured"]
    top = float(known["high"].max()) * 1.12 if len(known) else 1.0
    # the numbers of reviews stand below 0
    scale = alt.Scale(domain=[-0.1 * top, top], clamp=True, nice=False)
    y_of = alt.Y("rate:Q", title=title, scale=scale, axis=alt.Axis(format="~%", tickCount=5))
    starts = [{"year": at.year, "month": at.month, "date": at.day} for at in rows["start"]]
    axis = alt.Axis(values=starts, format="%-d %b", labelAngle=0, title=None, labelOverlap=True, grid=False)
    x = alt.X("start:T", axis=axis, scale=alt.Scale(padding=24))
    hint = [
        alt.Tooltip("start:T", format="%-d %b %Y", title="From"),
        alt.Tooltip("says:N", title="Rate"),
        alt.Tooltip("rests:N", title="Rests on"),
        alt.Tooltip("version:N", title="Policy version"),
    ]
    layers: list[alt.Chart] = []
    if len(known):
        base = alt.Chart(known).encode(x=x, detail="run:N")
        layers += [
            base.mark_area(opacity=0.16, color=BLUE).encode(
                y=alt.Y("low:Q", title=title), y2="high:Q", tooltip=hint
            ),
            base.mark_rule(color=BLUE, strokeWidth=1.5, opacity=0.75).encode(
                y="low:Q", y2="high:Q", tooltip=hint
            ),
            base.mark_line(color=BLUE, strokeWidth=2).encode(y=y_of),
            base.mark_point(filled=True, size=70, color=BLUE, opacity=1).encode(y=y_of, tooltip=hint),
        ]
    small = {"fontSize": 11, "color": quiet()}
    if len(unknown):
        layers.append(
            alt.Chart(unknown)
            .mark_text(text="?", fontSize=16, fontWeight=600, color=quiet())
            .encode(x=x, y=alt.datum(top / 2), tooltip=hint)
        )
    some = rows.iloc[:: math.ceil(len(rows) / _FIGURES)]
    layers.append(
        alt.Chart(some).mark_text(**small).encode(x=x, y=alt.datum(-0.05 * top), text="n:N", tooltip=hint)
    )
    layers += _version_marks(rows, changes, top)
    return _dressed(layers, height)


def _version_marks(rows: pd.DataFrame, changes: Mapping[str, date], top: float) -> list[alt.Chart]:
    first, last = rows["start"].min(), rows["start"].max()
    inside = {version: at for version, at in changes.items() if first < pd.Timestamp(at) <= last}
    if not inside:
        return []
    marks = pd.DataFrame(
        {"start": [pd.Timestamp(at) for at in inside.values()], "says": [f"policy {v}" for v in inside]}
    )
    late = marks["start"] > first + (last - first) * 0.6
    base = alt.Chart(marks)
    line = base.mark_rule(strokeDash=[6, 4], color=AMBER, strokeWidth=1.5)
    # the line starts above the numbers of reviews
    found = [line.encode(x="start:T", y=alt.datum(0.07 * top), y2=alt.datum(top))]
    for rows_here, align, dx in ((marks[~late], "left", 6), (marks[late], "right", -6)):
        if len(rows_here):
            text = alt.Chart(rows_here).mark_text(
                align=align, dx=dx, fontSize=12, color=quiet(), baseline="top"
            )
            found.append(text.encode(x="start:T", y=alt.value(2), text="says:N"))
    return found


def changes(found: Mapping[str, Change], names: Mapping[str, str]) -> alt.LayerChart:
    """The change of each kind of error in points, with its interval, beside a line at zero."""
    rows = pd.DataFrame(
        {
            "what": [names[key] for key in found],
            "points": [100 * c.difference for c in found.values()],
            "low": [100 * c.low for c in found.values()],
            "high": [100 * c.high for c in found.values()],
            "says": [c.verdict for c in found.values()],
            "known": [c.known for c in found.values()],
        }
    )
    known = rows[rows["known"]]
    shown = known if len(known) else rows
    reach = max(1.0, float(shown["low"].abs().max()), float(shown["high"].abs().max()))
    order = list(names.values())
    axis = alt.Axis(labelLimit=220, labelFontSize=13, labelPadding=8, labelFlush=False, labelBound=False)
    y = alt.Y("what:N", sort=order, title=None, axis=axis, scale=alt.Scale(domain=rows["what"].tolist()))
    x = alt.X(
        "low:Q",
        title="Change in points, with its 95% interval",
        axis=alt.Axis(labelExpr="datum.value == 0 ? '0' : format(datum.value, '+~f')"),
        scale=alt.Scale(domain=[-reach, reach], clamp=True),
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=quiet()).encode(x="zero:Q")
    layers: list[alt.Chart] = [zero]
    if len(known):
        base = alt.Chart(known)
        layers += [
            base.mark_rule(strokeWidth=3, color=BLUE).encode(x=x, x2="high:Q", y=y),
            base.mark_point(filled=True, size=110, opacity=1, color=BLUE).encode(x="points:Q", y=y),
        ]
    words = alt.Chart(rows).mark_text(align="left", dx=8, fontSize=12, color=quiet())
    layers.append(words.encode(x=alt.value("width"), y=y, text="says:N"))
    return _dressed(layers, alt.Step(34))


def frontier(plan: Plan) -> alt.LayerChart:
    """Errors found against the width of the interval, for each way to spend the budget."""
    rows = pd.DataFrame(
        {
            "errors": [round(option.errors, 1) for option in plan.frontier],
            "width": [100 * option.half_width for option in plan.frontier],
            "says": [option_name(option.kappa) for option in plan.frontier],
            "kind": ["chosen" if option == plan.chosen else "possible" for option in plan.frontier],
        }
    )
    chosen = plan.chosen
    random = pd.DataFrame(
        {
            "errors": [round(chosen.errors_random, 1)],
            "width": [100 * chosen.half_width_random],
            "says": ["random draw"],
            "kind": ["random"],
        }
    )
    every = pd.concat([rows, random])
    x = alt.X(
        "errors:Q",
        title="Errors found (expected)",
        scale=alt.Scale(zero=False, padding=40),
        axis=alt.Axis(tickCount=8),
    )
    y = alt.Y(
        "width:Q", title="Half-width of the overall interval, points", scale=alt.Scale(zero=False, padding=24)
    )
    hint = [
        alt.Tooltip("says:N", title="Way"),
        alt.Tooltip("errors:Q", format=",.0f", title="Errors found"),
        alt.Tooltip("width:Q", format=".2f", title="± points"),
    ]
    small = {"fontSize": 12, "color": quiet()}
    kinds = ["possible", "chosen", "random"]
    shape = alt.Shape(
        "kind:N", scale=alt.Scale(domain=kinds, range=["circle", "diamond", "cross"]), legend=None
    )
    size = alt.Size("kind:O", sort=kinds, scale=alt.Scale(domain=kinds, range=[90, 260, 130]), legend=None)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[BLUE, AMBER, quiet()]), legend=None)
    layers = [
        alt.Chart(rows)
        .mark_line(color=BLUE, strokeWidth=1.5, opacity=0.6)
        .encode(x=x, y=y, order="errors:Q"),
        alt.Chart(every)
        .mark_point(filled=True, opacity=1)
        .encode(x=x, y=y, shape=shape, size=size, color=colour, tooltip=hint),
        alt.Chart(rows).mark_text(dx=10, dy=12, align="left", **small).encode(x=x, y=y, text="says:N"),
        alt.Chart(random).mark_text(dy=-16, **small).encode(x=x, y=y, text="says:N"),
    ]
    return _dressed(layers, 330)


def option_name(kappa: float) -> str:
    """A value of kappa in words: how wide the interval may be, relative to a random draw's."""
    return f"{kappa:g} × as wide" if kappa else "measure only"


def spelled(rows: pd.DataFrame, *columns: str) -> str:
    """The rows of a chart in words, for people who cannot see it."""
    return "; ".join(", ".join(str(row[name]) for name in columns) for _, row in rows.iterrows())
