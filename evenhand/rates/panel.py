"""The panel: which SME rulings several experts check together, and what they said.

See `evenhand.statistics.second_phase`.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from evenhand.batches.id_numbers import id_numbers
from evenhand.errors import EstimateError
from evenhand.rates.notes import Note, PanelOutsideQueue, PanelQueueOpen, about
from evenhand.rates.reviewed_frame import Reviewed, sme_rulings, verdicts_of
from evenhand.records.verdict import is_overturned, is_settled
from evenhand.statistics.second_phase import panel_asked, panel_chance, panel_order
from evenhand.store import Store


def panel_queue(store: Store, draw_id: str) -> pl.DataFrame:
    """What a panel should rule on in a draw, in the order of work.

    Columns decision_id, case_id, area, policy_version, market, language, text, label (the moderator's),
    ruled_label (the SME's), panel_chance, done. The queue grows as SMEs rule. A case stays in it unless its
    SME takes the ruling back or confirms what they had overturned. Raises EstimateError while nothing is
    ruled.
    """
    items = store.items(draw_id)
    rows = verdicts_of(store, with_chance(items, draw_id), sme_rulings(store, draw_id)).filter(is_settled())
    if rows.is_empty():
        raise EstimateError(f"draw {draw_id}: no ruling of an SME yet, so nothing for a panel to check")
    rows = _asked(rows, draw_id).filter("panel_asked")
    answered = _panel(store, draw_id)["decision_id"]
    return (
        rows.with_columns(
            pl.col("decision_id").is_in(answered.implode()).alias("done"),
            pl.Series("_order", panel_order(draw_id, id_numbers(rows["decision_id"]))),
        )
        .sort("_order")
        .select(
            "decision_id",
            "case_id",
            "area",
            "policy_version",
            "market",
            "language",
            "text",
            "label",
            "ruled_label",
            "moderator_id",
            "panel_chance",
            "done",
        )
    )


def panel_phase(store: Store, part: Reviewed) -> tuple[pl.DataFrame, list[Note]]:
    """The reviewed decisions `part.done` with the panel's rulings, same rows and order; and notes.

    More columns: overturned, panel_chance, panel_asked, panel_answered, panel_label, panel_verdict,
    panel_class. A panel's ruling on a case that was not in its queue has no known probability, so it is left
    out.
    """
    draw_id, done, notes = part.draw.draw_id, part.done, list[Note]()
    chances = with_chance(store.items(draw_id), draw_id).select("decision_id", "panel_chance")
    asked = done.select("decision_id", "case_id", "area", "policy_version", "label")
    word = verdicts_of(store, asked, _panel(store, draw_id)).select(
        "decision_id",
        pl.col("ruled_label").alias("panel_label"),
        pl.col("verdict").alias("panel_verdict"),
        pl.col("error_class").alias("panel_class"),
    )
    rows = done.join(chances, on="decision_id", how="left", validate="1:1", maintain_order="left")
    rows = rows.join(word, on="decision_id", how="left", validate="1:1", maintain_order="left")
    rows = _asked(rows, draw_id)
    said = pl.col("panel_label").is_not_null()
    by_hand = rows.filter(said & ~pl.col("panel_asked")).height
    if by_hand:
        notes.append(PanelOutsideQueue(**about(part.draw), cases=by_hand))
    rows = rows.with_columns((said & pl.col("panel_asked")).alias("panel_answered"))
    queue, left = rows.filter("panel_asked").height, rows.filter(pl.col("panel_asked") & ~said).height
    if left:
        notes.append(PanelQueueOpen(**about(part.draw), left=left, cases=queue))
    return rows, notes


def with_chance(items: pl.DataFrame, draw_id: str) -> pl.DataFrame:
    """The items of a whole draw with `panel_chance`, the probability that a confirmation is checked."""
    chance = panel_chance(items["p_overturn"].to_numpy(), items["pi"].to_numpy())
    return items.with_columns(pl.Series("panel_chance", chance))


def _asked(rows: pl.DataFrame, draw_id: str) -> pl.DataFrame:
    overturned = rows.select(is_overturned()).to_series()
    asked = panel_asked(
        draw_id,
        id_numbers(rows["decision_id"]),
        overturned.to_numpy(),
        np.asarray(rows["panel_chance"].to_numpy()),
    )
    return rows.with_columns(overturned.alias("overturned"), pl.Series("panel_asked", asked))


def _panel(store: Store, draw_id: str) -> pl.DataFrame:
    return store.rulings(draw_id=draw_id).filter(pl.col("source") == "panel")
