"""The part of the error-rates page that says whether a rate changed.

It compares two policy versions, or the time before and after a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pandas as pd
import streamlit as st

from app import figures as measured
from app.charts import charts
from evenhand.errors import EstimateError
from evenhand.rates.measure import Rates
from evenhand.rates.question import Question
from evenhand.statistics.change import Change, change
from evenhand.wording.rates import OUTCOMES, changed, number, short_evidence
from evenhand.wording.words import day as spelled

_WAYS = ("Two policy versions", "Before and after a day")
_SIGNS = {"within noise": "≈ within noise", "not known yet": "? not known yet"}


def show(at: measured.Stamp, question: Question, choices: measured.Choices) -> None:
    """Ask what to compare, then say for each kind of error what changed."""
    versions = choices.values["policy_version"]
    ways = _WAYS if len(versions) > 1 else _WAYS[1:]
    way = st.segmented_control("Compare", ways, default=ways[0], key="change_way") or ways[0]
    first, second = st.columns(2)
    if way == _WAYS[0]:
        old = first.selectbox("From", versions, len(versions) - 2, key="change_from")
        new = second.selectbox("To", versions, len(versions) - 1, key="change_to")
        if old == new:
            st.info("Choose two different policy versions.")
            return
        sides = {old: question.of(policy_version=old), new: question.of(policy_version=new)}
    else:
        middle = choices.first + (choices.last - choices.first) / 2
        day = first.date_input(
            "From which day on?",
            middle,
            min_value=choices.first + timedelta(days=1),
            max_value=choices.last,
            key="change_day",
        )
        sides = {
            f"Before {spelled(day)}": question.within(None, day),
            f"{spelled(day)} and after": question.within(day, None),
        }
    rates = {}
    for name, side in sides.items():
        try:
            rates[name] = measured.rates(at, side).overall
        except EstimateError as problem:
            raise EstimateError(f"{name}: {problem}") from problem
    _say(rates)


def _say(sides: Mapping[str, Rates]) -> None:
    (before, a), (after, b) = sides.items()
    found = {name: change(getattr(a, name), getattr(b, name)) for name in OUTCOMES}
    st.markdown(f"**{said(found['total'])}**")
    st.altair_chart(
        charts.changes(found, OUTCOMES), alt="The changes of the table below, each with its interval"
    )
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Kind": OUTCOMES[name],
                    "Verdict": verdict(c),
                    "Change (95% interval)": changed(c),
                    before: f"{number(getattr(a, name))} ({short_evidence(getattr(a, name))})",
                    after: f"{number(getattr(b, name))} ({short_evidence(getattr(b, name))})",
                }
                for name, c in found.items()
            ]
        ),
        hide_index=True,
    )
    st.caption(
        "“Real” and “within noise” speak of sampling noise alone. Whether the same experts ruled, by the same policy, is yours to judge:"
        " two policy versions judge by different rules."
    )


def verdict(found: Change) -> str:
    """Says if a change is real (and its direction), within noise, or not known yet."""
    if found.verdict == "real":
        return "▲ real rise" if found.difference > 0 else "▼ real fall"
    return _SIGNS[found.verdict]


def said(found: Change) -> str:
    """The change of all errors as a sentence."""
    if not found.known:
        return "Not known yet: one of the two rates rests on too few reviews."
    way = "rose" if found.difference > 0 else "fell"
    if found.real:
        return f"The error rate {way}: {changed(found)}. The change is real."
    return f"No change can be told from noise: {changed(found)}."
