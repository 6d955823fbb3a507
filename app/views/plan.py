"""The planning page: what a review batch will find, how wide its intervals will be and what it costs."""

from __future__ import annotations

from datetime import date

import pandas as pd
import polars as pl
import streamlit as st

from app import figures as measured
from app import session
from app.charts import charts
from app.text import as_said, as_typed, figure
from evenhand.batches.plan import KAPPAS, Plan, make_plan
from evenhand.batches.population import LeftOut, scored_frame
from evenhand.errors import SampleError
from evenhand.wording.rates import Titles, domain_name, sentence
from evenhand.wording.words import spoken
from evenhand.workspace.lake import decision_files, score_file, scored_models

_BY = ("market", "area", "language", "queue", "policy_version")


def page() -> None:
    """Ask for budget and kappa, then show what to expect from them."""
    session.me("plan")
    st.title("Plan")
    models = scored_models(session.workspace())
    if not models:
        st.info(
            "No decision is scored yet, so there is nothing to draw from; run `evenhand score`, then plan."
        )
        return
    at = measured.stamp()
    try:
        chosen = _ask(at, models)
        plan = _plan(at, *chosen)
    except SampleError as problem:
        st.info(as_said(sentence(str(problem))))
        return
    _figures(plan)
    with st.container(key="stack-plan"):
        left, right = st.columns([1, 1], gap="large")
    with left:
        st.subheader("Finding against measuring")
        ways = [
            f"{charts.option_name(way.kappa)}: {way.errors:,.0f} errors, ± {_points(way.half_width)}"
            for way in plan.frontier
        ]
        st.altair_chart(charts.frontier(plan), alt="; ".join(ways))
        st.caption(
            "Each point is a way to spend the same budget: the further right, the more errors it finds; the lower, the narrower the"
            " interval. Kappa is how wide the interval may become, relative to a random draw's."
        )
    with right:
        st.subheader(f"Width by {spoken(plan.by).lower()}")
        st.dataframe(domain_rows(plan, session.titles()), hide_index=True)
        for line in costs(plan, session.titles()):
            st.markdown(f"- {line}")
    st.caption("Make this draw:")
    st.code(command(plan, *chosen[:3], live=_live(models)), language=None)
    st.caption(
        "All figures are anticipated from the scores, which are doubted a little. The interval that counts comes from the rulings."
    )


Asked = tuple[str, date | None, date | None, int, float, str, float]


def _ask(at: measured.Stamp, models: list[str]) -> Asked:
    """Model, period, budget, kappa, split and target."""
    settings = session.workspace().config
    with st.container(key="pairs-asked"):
        first, second, third, fourth, fifth = st.columns([1.2, 2, 1.2, 1.2, 1.4], vertical_alignment="bottom")
    with fifth.popover("Period and model", width="stretch"):
        model = st.selectbox("Scores of", models, models.index(_live(models) or models[-1]), key="plan_model")
        since = st.date_input("From", None, key="plan_since")
        to = st.date_input("To", None, key="plan_to", help="The last day (UTC) that counts.")
    until = measured.day_after(to) if to else None
    frame, left_out = _frame(at, model, since, until, _files(model))
    if left_out.unscored:
        st.warning(
            f"{left_out.unscored:,} more decisions have no score by {as_typed(model)} and cannot be drawn:"
            " `evenhand score` scores them, and a new policy version needs `evenhand train` first."
        )
    size = frame.height
    budget = first.number_input("Budget, cases", 1, size, min(300, size), 50, key="plan_budget")
    options = sorted({*KAPPAS, settings.draw.kappa})
    kappa = second.select_slider(
        "Kappa: from measuring only to hunting for errors",
        options,
        settings.draw.kappa,
        key="plan_kappa",
        format_func=charts.option_name,
    )
    by = third.selectbox("Width by", _BY, format_func=spoken, key="plan_by")
    target = fourth.number_input(
        "Width wanted, ± points", 0.1, 20.0, 1.0, 0.5, key="plan_target", format="%.1f"
    )
    return model, since, until, int(budget), kappa, by, target / 100


def _live(models: list[str]) -> str | None:
    """The live model, if it has scores."""
    live = [line.model_version for line in session.store().live_models()]
    return live[-1] if live and live[-1] in models else None


def command(plan: Plan, model: str, since: date | None, until: date | None, *, live: str | None) -> str:
    """The command that makes the planned draw; it uses the live model unless it names another."""
    said = f"evenhand draw --budget {plan.budget} --kappa {plan.chosen.kappa:g}"
    said += "".join(
        f" --{name} {day}" for name, day in (("since", since), ("until", until)) if day is not None
    )
    return said if model == live else f"{said} --model {model.rpartition('-')[2]}"


def _files(model: str) -> tuple[int, int]:
    """How many files of decisions there are, and how many of them have scores by `model`."""
    ws = session.workspace()
    files = decision_files(ws)
    return len(files), sum(score_file(ws, model, file).exists() for file in files)


@st.cache_resource(show_spinner="Reading the scores", max_entries=2)
def _frame(
    at: measured.Stamp, model: str, since: date | None, until: date | None, files: tuple[int, int]
) -> tuple[pl.DataFrame, LeftOut]:
    """The decisions that can be drawn, and what is left out.

    It is read again when there is a new ruling, or a new file of decisions or scores.
    """
    return scored_frame(session.workspace(), session.store(), model, since=since, until=until)


@st.cache_data(show_spinner="Planning", max_entries=64)
def _plan(
    at: measured.Stamp,
    model: str,
    since: date | None,
    until: date | None,
    budget: int,
    kappa: float,
    by: str,
    target: float,
) -> Plan:
    settings = session.workspace().config
    return make_plan(
        _frame(at, model, since, until, _files(model))[0],
        budget,
        kappa=kappa,
        floor=settings.draw.floor,
        cell_floor=settings.draw.cell_floor,
        cells=settings.draw.cells,
        by=by,
        minutes_per_case=settings.review.minutes_per_case,
        target=target,
    )


def _figures(plan: Plan) -> None:
    chosen, cells = plan.chosen, session.workspace().config.draw.cells
    with st.container(key="pairs-figures"):
        first, second, third, fourth = st.columns([1.2, 1, 1, 1])
    first.html(
        figure(
            "Errors found, expected",
            f"about {chosen.errors:,.0f}",
            f"a random draw: about {chosen.errors_random:,.0f}",
            main=True,
        )
    )
    second.html(
        figure(
            "Overall interval",
            f"± {_points(chosen.half_width)}",
            f"a random draw: ± {_points(chosen.half_width_random)}",
        )
    )
    third.html(
        figure(
            "Experts' time", f"{plan.hours:,.1f} hours", f"{plan.budget:,} of {plan.frame_size:,} decisions"
        )
    )
    fourth.html(
        figure("Stays unknown", f"{plan.unknown_cells:.0%}", f"of the cells of {' and '.join(cells)}")
    )
    st.markdown(f"**{as_typed(sentence(plan.advice))}**")


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f} points"


def domain_rows(plan: Plan, titles: Titles) -> pd.DataFrame:
    """One row per domain: what the chosen draw will say, and the budget for the wanted width."""
    return pd.DataFrame(
        [
            {
                spoken(plan.by): domain_name(plan.by, row.name, titles),
                "Decisions": f"{row.decisions:,}",
                "Reviews": f"{row.reviews:,.0f}",
                "Expected rate": f"{row.expected_rate:.1%}",
                "± points": f"{100 * row.half_width:.1f}" if row.measured else "unknown",
                f"Budget for ± {100 * plan.target:g}": _budget(plan, row.reviews_for_target),
            }
            for row in plan.domains
        ]
    )


def _budget(plan: Plan, reviews: int) -> str:
    return f"{reviews:,}" if reviews < plan.frame_size else "all of them"


def costs(plan: Plan, titles: Titles) -> list[str]:
    """What the wanted width costs, for the domain that needs least and the one that needs most."""
    ordered = sorted(plan.domains, key=lambda row: row.reviews_for_target)
    width = f"± {100 * plan.target:g} point{'' if plan.target == 0.01 else 's'}"
    column = spoken(plan.by).lower()
    if ordered[0].reviews_for_target >= plan.frame_size:
        return [f"No draw short of all {plan.frame_size:,} decisions brings any {column} to {width}."]
    ends = ordered if len(ordered) == 1 else (ordered[0], ordered[-1])
    return [
        f"{width} in {column} {as_typed(domain_name(plan.by, row.name, titles))} costs"
        + (
            f" a draw of {row.reviews_for_target:,} reviews."
            if row.reviews_for_target < plan.frame_size
            else f" a review of all {plan.frame_size:,} decisions."
        )
        for row in ends
    ]
