"""Which labels are confused with which: each pair as a share of all decisions, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.rates.measure import Measure
from evenhand.records.verdict import is_confusion
from evenhand.statistics.estimator import Estimate, Totals, domain_totals, estimates
from evenhand.statistics.second_phase import second_phase


@dataclass(frozen=True, kw_only=True)
class ConfusionRate:
    """Decisions that said `decided` where the SME ruled `ruled`."""

    area: str
    decided: str
    ruled: str
    # share of all decisions or views of the period; its `errors_found` are those that SMEs, or the panel, saw
    share: Estimate


def confusion_rates(measure: Measure, *, top: int) -> tuple[tuple[ConfusionRate, ...], int]:
    """The `top` pairs that weigh most in the sample, and how many pairs were seen.

    The pair with the largest estimated share comes first.
    """
    pairs = (
        measure.errors()
        .with_columns(pl.col("area", "label", "ruled_label").cast(pl.String))
        .filter(is_confusion())
        .group_by("area", "label", "ruled_label")
        .agg(pl.col("weight").sum())
        .sort("weight", "area", "label", "ruled_label", descending=[True, False, False, False])
    )
    found = [
        ConfusionRate(area=area, decided=label, ruled=ruled, share=_share(measure, area, label, ruled))
        for area, label, ruled, _ in pairs.head(top).iter_rows()
    ]
    return tuple(sorted(found, key=lambda confusion: -confusion.share.rate)), pairs.height


def _share(measure: Measure, area: str, label: str, ruled: str) -> Estimate:
    """The pair's share of all decisions or views inside the window.

    The rulings are those of the measure's expert.
    """
    sums: Totals | None = None
    for sample in measure.samples:
        frame = sample.part.frame
        possible = ((frame["area"] == area) & (frame["label"] == label)).to_numpy()
        there = possible[sample.place]
        hit = _says(sample.label, "ruled_label", "error_class", ruled) & there
        second = None
        if measure.question.estimand == "panel":
            second = second_phase(
                sample.label["overturned"].to_numpy(),
                sample.label["panel_chance"].to_numpy(),
                sample.label["panel_asked"].to_numpy(),
                sample.label["panel_answered"].to_numpy(),
                (_says(sample.label, "panel_label", "panel_class", ruled) & there).astype(float),
            )
        totals = domain_totals(
            frame["p_overturn"].to_numpy(),
            frame["pi"].to_numpy(),
            sample.place,
            hit.astype(float),
            domain=np.where(frame["inside"].to_numpy(), 0, 1).astype(np.int64),
            domains=2,
            possible=possible,
            exposure=sample.exposure,
            clusters=sample.clusters,
            second=second,
        )
        sums = totals if sums is None else sums + totals
    assert sums is not None  # a Measure without a sample cannot be made
    return estimates(sums, confidence=measure.confidence)[0]


def _says(reviewed: pl.DataFrame, label: str, error_class: str, ruled: str) -> NDArray[np.bool_]:
    """Where the ruling says that the decision's label should be `ruled`.

    The ruling is in the columns `label` and `error_class`.
    """
    of_labels = reviewed.select(error_class=error_class).select(is_confusion()).to_series()
    return ((reviewed[label] == ruled).fill_null(False) & of_labels).to_numpy()
