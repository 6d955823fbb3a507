"""Inclusion probabilities of an unfinished batch: its reviewed part is a smaller sample of the same kind.

Cases are handed out in queue order within a market and language (`evenhand.store.handing_out`). So the
reviewed cases there are the first part of the queue, apart from skipped cases and the few in flight. See
docs/decisions/0008-assignment.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.rates.notes import LanguagesApart, Note, PassedOver, TooFewYet, about
from evenhand.records.batches import DrawRecord
from evenhand.statistics.draw import partial_probabilities

_DONE = pl.col("ruled_label").is_not_null()
#: A part of the queue that was reviewed in its order: {"market": "TH"}, or one language of it.
Lane = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PartlyReviewed:
    """What an unfinished batch tells so far.

    `frame` has the probabilities of what was reviewed, `untold` the lanes that have no rate yet, `notes` what
    was left open or given more weight.
    """

    frame: pl.DataFrame
    untold: tuple[Lane, ...]
    notes: tuple[Note, ...]


def partly_reviewed(
    frame: pl.DataFrame, items: pl.DataFrame, smes: Mapping[str, int], draw: DrawRecord
) -> PartlyReviewed:
    """Correct the inclusion probabilities of a batch that is not finished.

    `items` are the drawn cases with `ruled_label` (null: none yet) and `skipped`; `smes` says how many people
    ruled in each market. Cases left open inside a lane count as missing at random, and a note counts them. A
    lane without a sampled ruling is no longer `inside`, and a note names it.
    """
    named = about(draw)
    parts, passed, apart = _lanes(items, smes)
    notes: list[Note] = []
    if apart:
        notes.append(LanguagesApart(**named, markets=tuple(sorted(apart))))
    if passed:
        notes.append(PassedOver(**named, cases=passed))
    untold: list[Lane] = []
    every, inside = frame["pi"].to_numpy(writable=True), frame["inside"].to_numpy(writable=True)
    for lane, drawn in parts:
        done = drawn.filter(_DONE)
        if done.height == drawn.height:
            continue
        rows = frame.select(pl.all_horizontal(pl.col(name) == value for name, value in lane.items()))
        here = np.flatnonzero(rows.to_series().to_numpy())
        pi, certain = every[here], done.filter("take_all").height
        sampled = done.height - certain
        if (sampled == 0 and (pi < 1).any()) or (certain == 0 and (pi >= 1).any()):
            untold.append(lane)
            inside[here] = False
        else:
            every[here] = partial_probabilities(pi, sampled=sampled, certain=certain)
    if untold:
        notes.append(TooFewYet(**named, parts=tuple(sorted(" ".join(lane.values()) for lane in untold))))
    frame = frame.with_columns(pl.Series("pi", every), pl.Series("inside", inside))
    return PartlyReviewed(frame=frame, untold=tuple(untold), notes=tuple(notes))


def _lanes(
    items: pl.DataFrame, smes: Mapping[str, int]
) -> tuple[list[tuple[Lane, pl.DataFrame]], int, list[str]]:
    """The lanes with their drawn cases; how many cases they left open; and the markets cut by language.

    A market is one lane if it was reviewed as one queue: then each SME has at most one case in flight. If
    more cases were left open, its languages went to different people, and each language is a lane of its own.
    This depends only on where people are in the queue, never on what they found.
    """
    lanes: list[tuple[Lane, pl.DataFrame]] = []
    passed, apart = 0, list[str]()
    for (market,), part in items.group_by("market", maintain_order=True):
        one, split = _passed_over(part), part.partition_by("language", maintain_order=True)
        several = [({"market": market, "language": own["language"][0]}, own) for own in split]
        if one > smes.get(market, 0) and len(split) > 1:
            lanes += several
            passed += sum(_passed_over(own) for own in split)
            apart.append(market)
        else:
            lanes.append(({"market": market}, part))
            passed += one
    return lanes, passed, apart


def _passed_over(drawn: pl.DataFrame) -> int:
    """Cases left open before the last that was ruled on, skipped ones not counted."""
    last = pl.col("position").filter(_DONE).max()
    return drawn.filter(~_DONE & ~pl.col("skipped") & (pl.col("position") < last)).height
