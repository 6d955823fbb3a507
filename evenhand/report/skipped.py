"""What skipped cases could change: the headline if none, or all, of them had been overturned.

Nothing else is assumed about them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from evenhand.rates.measure import Measure
from evenhand.rates.reviewed_frame import Reviewed, sme_rulings, smes_by_market
from evenhand.rates.unfinished_batches import partly_reviewed
from evenhand.records.columns import UTC_TIME
from evenhand.statistics.estimator import Estimate
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace

_LEFT = pl.col("skipped") & ~pl.col("ruled")


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """The drawn cases of the period that were skipped and not ruled on, and the two ends of their effect."""

    cases: int  # at least 1
    if_none: Estimate  # of all errors, as one SME would rule, if none of them had been overturned
    if_all: Estimate


def skipped(ws: Workspace, store: Store, measure: Measure) -> Skipped | None:
    """The skipped cases inside the measure's window; None if there are none.

    Both ends are what one SME would overturn: a panel cannot correct the ruling on a skipped case.
    """
    parts = [(sample.part, *_with_skipped(ws, store, sample.part)) for sample in measure.samples]
    cases = sum(left.height for _, _, left in parts)
    if not cases:
        return None

    def ruled(error_class: str | None) -> Estimate:
        says = {
            "ruled_label": pl.col("label"),
            "error_class": pl.lit(error_class, pl.String),
            "verdict": pl.lit("overturned" if error_class else "upheld"),
            "sme_id": pl.lit(None, pl.String),
            "ruled_at": pl.lit(None, UTC_TIME),
        }
        full = [
            part
            if left.is_empty()
            else replace(
                part,
                frame=frame,
                done=pl.concat([part.done, left.with_columns(**says).select(part.done.columns)]),
            )
            for part, frame, left in parts
        ]
        other = Measure(store, full, replace(measure.question, estimand="sme"))
        return other.totals((), confidence=measure.confidence)[0][1]

    return Skipped(cases=cases, if_none=ruled(None), if_all=ruled("technical"))


def _with_skipped(ws: Workspace, store: Store, part: Reviewed) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frame with the probabilities of what was ruled or skipped; and the skipped cases with their place.

    The skipped cases are those inside the window.
    """
    draw_id = part.draw.draw_id
    items = store.items(draw_id).drop("explanation", "text")
    left = items.filter(_LEFT)
    if left.is_empty():
        return part.frame, left
    file = pl.scan_parquet(ws.root / part.draw.frame_file).with_row_index("place")
    frame = part.frame.with_columns(file.select("pi").collect()["pi"])  # as drawn
    smes = smes_by_market(items, sme_rulings(store, draw_id))
    seen = pl.when(pl.col("ruled") | pl.col("skipped")).then(pl.col("label"))
    told = partly_reviewed(frame, items.with_columns(ruled_label=seen), smes, part.draw)
    frame = told.frame
    about = file.filter(pl.col("decision_id").is_in(left["decision_id"].implode())).select(
        "place", "decision_id", "text_hash", "conversation_id"
    )
    left = left.join(about.collect(), on="decision_id", how="left", validate="1:1", maintain_order="left")
    return frame, left.filter(frame["inside"][left["place"]])
