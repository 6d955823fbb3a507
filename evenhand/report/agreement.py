"""How often SMEs and a panel agree: the accuracy of those who judge moderators, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from evenhand.rates.measure import Measure
from evenhand.rates.panel import panel_phase
from evenhand.store import Store


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Cases of the period that a panel checked, and how often it gave the SME's label.

    All numbers are at least 0.
    """

    overturns: int  # checked cases in which the SME had overturned the decision
    overturns_upheld: int
    confirmations: int  # checked cases in which the SME had confirmed it
    confirmations_upheld: int


def agreement(measure: Measure, store: Store) -> Agreement | None:
    """What the panel said about the SMEs' rulings inside the window; None if it has said nothing."""
    found = []
    for sample in measure.samples:
        rows = sample.label
        if "panel_label" not in rows.columns:
            rows, _ = panel_phase(store, sample.part)
        inside = sample.part.frame["inside"][sample.place]
        checked = rows.filter(inside & rows["panel_answered"])
        found.append(
            checked.select("overturned", (pl.col("panel_label") == pl.col("ruled_label")).alias("upheld"))
        )
    all_checked = pl.concat(found)
    if all_checked.is_empty():
        return None
    over, right = all_checked["overturned"], all_checked["upheld"]
    return Agreement(
        overturns=int(over.sum()),
        overturns_upheld=int((over & right).sum()),
        confirmations=int((~over).sum()),
        confirmations_upheld=int((~over & right).sum()),
    )
