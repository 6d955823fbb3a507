"""The page of methods: how the rates were made, in plain words, for people who must vouch for them.

It says what was drawn and how, and what was ruled.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app import figures as measured
from app import session
from app.figures import Batch
from app.text import as_said, as_typed, bullets
from evenhand.errors import EstimateError
from evenhand.rates.table import EstimateTable
from evenhand.statistics.estimator import ENOUGH, RULED
from evenhand.wording.notes import by_day
from evenhand.wording.notes import sentence as note_sentence
from evenhand.wording.rates import Titles, evidence, number, period, place_name, sentence
from evenhand.wording.words import capital, day, listed, spoken

_INTERVALS = {
    "logit-t": "from the spread of the weighted rulings, on the log-odds scale with Student's t, because enough errors outside the"
    " part drawn for certain carry it",
    "wilson n_eff": "as Wilson's interval with the effective number of reviews, because few errors outside the part drawn for"
    " certain carry it",
    "census": "not needed: every decision was reviewed, so there is no sampling error",
    "none": "not told: nothing was reviewed",
    "hierarchical": "from a model",
}


def page() -> None:
    """Show the estimate, then each batch, then all of it as a table."""
    session.me("method")
    st.title("Method")
    at = measured.stamp()
    batches = measured.batches(at)
    if not batches:
        st.info(
            "Nothing was drawn yet, so there is no method to show; make a batch with `evenhand draw --budget N`."
        )
        return
    try:
        table = measured.rates(at)
    except EstimateError as problem:
        table = None
        st.info(as_said(sentence(str(problem))))
    if table is not None:
        _estimate(table)
        st.subheader("What was left out or weighed up")
        counted = [batch for batch in batches if batch.draw.draw_id in table.draws]
        st.markdown(
            "\n".join(
                [f"- {skipped(counted, measured.choices(at))}", bullets(map(note_sentence, table.notes))]
            )
        )
    st.subheader("What was drawn, and how")
    used = table.draws if table else ()
    for place, batch in enumerate(batches):
        mark = "in the rates" if batch.draw.draw_id in used else "not in the rates"
        title = as_typed(
            f"{capital(by_day(batch.draw.draw_id, batch.draw.created_at))} · {batch.draw.budget:,} cases · {mark}"
        )
        with st.expander(title, expanded=place < 2):
            st.markdown("\n".join(f"- {line}" for line in drawn(batch, session.titles())))
    st.subheader("The same as a table")
    records = pd.DataFrame([facts(batch, session.titles()) for batch in batches])
    st.dataframe(records.set_index("Batch").T.rename_axis("Batch"), height="content")


def _estimate(table: EstimateTable) -> None:
    total = table.overall.total
    with st.container(key="stack-method"):
        left, right = st.columns(2, gap="large")
    with left:
        st.subheader("How a rate and its interval are made")
        st.markdown(
            f"- An expert would overturn **{number(total)}** of {total.population:,} decisions ({evidence(total)}).\n"
            "- Every decision of the frame had a chance of being drawn, fixed and stored before anyone looked at it. Each ruling"
            " counts by one over that chance, so cases that were sought out weigh less than cases that were drawn at random.\n"
            "- The model's score is used as a first guess, and the rulings correct it. A good score makes the interval narrower; a"
            " bad one cannot bias the rate.\n"
            f"- The 95% interval is made {_INTERVALS[total.method]}. Where errors come in clusters (one moderator, one item that"
            " several decided) it is widened.\n"
            f"- Fewer than {ENOUGH:.0f} effective reviews, or fewer than {RULED} real ones, count as not known yet, and the pages say how many are missing."
        )
    with right:
        st.subheader("What a rate is not")
        st.markdown(
            "- No ranking of people: moderators are never compared, and no page splits a rate by person.\n"
            "- No balance: over-enforcement and under-enforcement are never set off against each other.\n"
            "- Not the truth, but what one expert would decide, under the policy version of the decision. `evenhand panel` corrects"
            " for experts' own errors.\n"
            "- Nothing on decisions outside the frames: those of other days, not scored, or ruled on before the draw.\n"
            "- Modelled cells are no measurements, and rulings from appeals or spot checks train the model but enter no rate."
        )


def skipped(batches: Sequence[Batch], choices: measured.Choices) -> str:
    """How skips count in the rates, with their number and their share of the drawn cases."""
    when = period(choices.first, measured.day_after(choices.last))
    drawn, left = sum(batch.whole.total for batch in batches), sum(batch.whole.skipped for batch in batches)
    if not left:
        return f"**Skipped.** None of the {drawn:,} cases drawn among the decisions {when} was skipped."
    were = "case was" if left == 1 else "cases were"
    return (
        f"**Skipped.** {left:,} {were} skipped, {left / drawn:.1%} of the {drawn:,} drawn among the decisions {when}; they count as"
        " missing at random, so the rates take them to be wrong as often as the reviewed cases of their market."
    )


def drawn(batch: Batch, titles: Titles) -> list[str]:
    """What was drawn and how, in sentences of Markdown."""
    draw, whole = batch.draw, batch.whole
    only = as_typed(place_name(draw.filters, titles))
    before = (
        f" {draw.excluded_ruled:,} decisions had a ruling before the draw and are outside it."
        if draw.excluded_ruled
        else ""
    )
    return [
        f"**Frame.** {draw.frame_size:,} decisions {period(draw.since, draw.until)}"
        f"{', only ' + only if only else ''}, decided under policy {as_typed(listed(draw.policy_versions))} and scored by"
        f" {as_typed(draw.model_version)}.{before}",
        f"**Budget.** {draw.budget:,} cases. {design(batch)}",
        f"**Chance.** No decision was out of reach: the smallest chance of being drawn was {chance(draw.pi_min)}. The largest"
        f" weight of a ruling is {draw.w_max:.1f} times that in a random draw of the same size.",
        "**Repeatable.** "
        + as_said(
            f"Drawn {day(draw.created_at.date())} by {draw.created_by} as `{draw.draw_id}` with seed {draw.seed}: the same frame,"
            f" scores and seed give the same cases. The frame is kept unchanged, with the fingerprint `{draw.frame_hash}`."
        ),
        f"**Reviewed.** {whole.ruled:,} ruled, {whole.skipped:,} skipped, {whole.open:,} open.",
    ]


def design(batch: Batch) -> str:
    """Which cases were chosen on purpose, and how chance chose the others."""
    draw = batch.draw
    top = round(draw.phi * draw.budget)
    sure = f"{batch.certain:,} were drawn for certain"
    if top:
        sure += f", {'those' if top == batch.certain else f'among them the {top:,}'} with the highest scores ({draw.phi:.0%} of the budget)"
    width = "" if draw.kappa == 1 else f"{draw.kappa:g} times "
    width = (
        f"chosen so that the interval should be no wider than {width}a random draw's (kappa {draw.kappa:g})"
    )
    return (
        f"{sure}, {width}. The others were left to chance, the likelier to be drawn the less sure the score is; {draw.floor:.0%} of"
        f" that chance is the same for all, and {draw.cell_floor:.0%} of this floor goes evenly to the cells of {as_typed(listed(spoken(name).lower() for name in draw.cells))}."
    )


def chance(pi: float) -> str:
    """A probability in words.

    >>> chance(0.004)
    '0.40% (1 in 250)'
    """
    return f"{pi:.2%} (1 in {1 / pi:,.0f})"


def facts(batch: Batch, titles: Titles) -> dict[str, str]:
    """The record of a batch, as texts."""
    draw, whole = batch.draw, batch.whole
    return {
        "Batch": draw.draw_id,
        "Drawn": f"{draw.created_at:%Y-%m-%d %H:%M} UTC by {draw.created_by}",
        "Period": capital(period(draw.since, draw.until)),
        "Filters": place_name(draw.filters, titles) or "none",
        "Frame": f"{draw.frame_size:,} decisions",
        "Ruled before, outside": f"{draw.excluded_ruled:,}",
        "Policy versions": ", ".join(draw.policy_versions),
        "Model version": draw.model_version,
        "Budget": f"{draw.budget:,}",
        "Drawn for certain": f"{batch.certain:,}",
        "Highest scores (phi)": f"{draw.phi:.1%} of the budget",
        "Width allowed (kappa)": f"{draw.kappa:g}",
        "Floor": f"{draw.floor:g}",
        "Floor by cell": f"{draw.cell_floor:g} over {listed(spoken(name).lower() for name in draw.cells)}",
        "Seed": str(draw.seed),
        "Smallest chance": chance(draw.pi_min),
        "Largest weight": f"{draw.w_max:.2f} times a random draw's",
        "Ruled": f"{whole.ruled:,}",
        "Skipped": f"{whole.skipped:,}",
        "Open": f"{whole.open:,}",
        "Frame fingerprint": draw.frame_hash,
    }
