"""Finds where moderation is wrong more often than elsewhere, and which labels are confused there.

A slice is one value of one of SLICED_BY, or of two of them (market TH, queue live). Its rate is compared with
that of all other decisions. The share of false discoveries among the named slices is limited (Benjamini &
Hochberg 1995). A moderator is no slice: the findings are about guidance, tools and training, not about
people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from evenhand.errors import UserError
from evenhand.rates.measure import Measure
from evenhand.rates.notes import Note
from evenhand.rates.question import Question
from evenhand.rates.table import estimate_draws, measure_draws
from evenhand.records.verdict import is_confusion
from evenhand.statistics.change import change
from evenhand.statistics.estimator import ENOUGH, Estimate
from evenhand.statistics.intervals import wilson_rate
from evenhand.store import Store
from evenhand.workspace.workspace import Workspace

SLICED_BY = ("market", "area", "language", "queue", "team", "content_type", "label")
FALSE_SHARE = 0.1  # the share of the named slices that may be noise
MIN_REVIEWED = 10  # below this a slice is not even tested
MIN_ERRORS = 5  # with fewer errors found it is not named
SAME = 0.5  # two slices are one finding if they share more than this of the smaller one's decisions
_CONFUSIONS, _EXAMPLES = 3, 10


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """One way in which decisions of a slice are wrong."""

    area: str
    decided: str  # the moderator's label
    ruled: str  # the SME's
    decisions: float  # how many decisions of the slice, estimated
    found: int  # how many the SMEs saw


@dataclass(frozen=True, kw_only=True)
class ImprovementArea:
    """A slice whose error rate stands out."""

    where: Mapping[str, str]
    rate: Estimate
    elsewhere: Estimate  # error rate of all other decisions
    excess: float  # errors more than there would be at the rate elsewhere
    q_value: float  # smallest share of false discoveries at which it would be named, in (0, 1]
    confusions: tuple[Confusion, ...]
    examples: tuple[str, ...]  # decision ids; first those that stand for the most decisions

    def sentence(self) -> str:
        """The finding in words."""
        place = ", ".join(f"{column.replace('_', ' ')} {value}" for column, value in self.where.items())
        said = (
            f"{place}: {self.rate.rate:.1%} of {self.rate.population:,} decisions are wrong"
            f" ({self.rate.low:.1%} to {self.rate.high:.1%}), against {self.elsewhere.rate:.1%} elsewhere"
            f" ({self.elsewhere.low:.1%} to {self.elsewhere.high:.1%}); about {self.excess:,.0f} errors too many."
        )
        if self.confusions:
            top = self.confusions[0]
            said += f" Mostly {top.decided} that should be {top.ruled} ({top.area})."
        return said


def find_areas(
    ws: Workspace, store: Store, question: Question | None = None
) -> tuple[list[ImprovementArea], tuple[Note, ...]]:
    """The slices whose error rate stands out, those with the most excess errors first; and notes on rates.

    Arguments and errors are those of `evenhand.rates.table.estimate_draws`. A slice is named if it is
    measured, at least MIN_ERRORS of its reviewed decisions were overturned, and its q-value is at most
    FALSE_SHARE. Of slices that overlap (market TH, and its queue live) only the one that stands out most
    clearly is named.
    """
    measure = measure_draws(ws, store, question)
    return areas_in(measure), measure.notes


def areas_in(measure: Measure) -> list[ImprovementArea]:
    """The same as `find_areas`, from an existing measure.

    The measure must be of decisions, as SMEs ruled; its intervals are for one look.
    """
    overall = measure.totals((), confidence=0.95)[0][1]
    free = [name for name in SLICED_BY if name not in measure.question.filters]
    splits = [by for size in (1, 2) for by in combinations(free, size)]
    tested = [
        (where, rate)
        for by in splits
        for where, rate in measure.totals(by, confidence=0.95)
        if rate.n_reviewed >= MIN_REVIEWED and rate.population < overall.population
    ]
    if not tested:
        return []
    p = [p_higher(rate, elsewhere(overall, rate)) for _, rate in tested]
    q = stats.false_discovery_control(p)
    named = [
        (where, rate, float(q_value))
        for (where, rate), q_value in zip(tested, q, strict=True)
        if q_value <= FALSE_SHARE and rate.status == "measured" and rate.errors_found >= MIN_ERRORS
    ]
    named.sort(key=lambda found: (found[2], -_excess(found[1], overall)))
    errors = measure.errors()
    areas = [
        ImprovementArea(
            where=where,
            rate=rate,
            elsewhere=_outside(overall, rate),
            excess=_excess(rate, overall),
            q_value=q_value,
            confusions=_confusions(errors, where),
            examples=tuple(
                _rows(errors, where).sort("weight", descending=True)["decision_id"].head(_EXAMPLES)
            ),
        )
        for where, rate, q_value in _distinct(measure, named)
    ]
    return sorted(areas, key=lambda area: -area.excess)


def remeasure(
    ws: Workspace, store: Store, improvement_id: str, day: date | None, *, by: str, at: datetime
) -> dict[str, Any]:
    """Compare the slice's decisions before `day` with those from it on, and note the result in its log.

    With `day` None, the day its action was first noted. Keys at, before, after (fields of Estimate),
    difference, low, high (in [-1, 1]), verdict. Raises UserError without a day, EstimateError if one side has
    no ruling.
    """
    one = store.improvement(improvement_id)
    day = day or (one.acted_at.date() if one.acted_at else None)
    if day is None:
        raise UserError(f"{improvement_id}: no action is noted, so say from which day it should show")
    before = estimate_draws(ws, store, Question(filters=one.where, until=day)).overall.total
    after = estimate_draws(ws, store, Question(filters=one.where, since=day)).overall.total
    found = change(before, after)
    record = {
        "at": day.isoformat(),
        "before": asdict(before),
        "after": asdict(after),
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "verdict": found.verdict,
    }
    store.add_measurement(improvement_id, record, by=by, at=at)
    return record


def elsewhere(overall: Estimate, rate: Estimate) -> tuple[float, float]:
    """The error rate of the decisions outside a slice, in [0, 1], and its equivalent reviews (> 0).

    Equivalent reviews: the size of a random draw with the same variance. The two parts of a frame are drawn
    nearly independently, so their variances add up to the whole's.
    """
    whole, part = float(overall.population), float(rate.population)
    rest = whole - part
    mean = min(max((whole * overall.rate - part * rate.rate) / rest, 0.0), 1.0)
    variance = (whole**2 * _variance(overall) - part**2 * _variance(rate)) / rest**2
    spread = mean * (1 - mean)
    if variance <= 0 or spread <= 0:
        return mean, max(_reviews(overall) - _reviews(rate), 1.0)
    return mean, min(max(spread / variance, 1.0), rest)


def _outside(overall: Estimate, rate: Estimate) -> Estimate:
    """The rate `elsewhere` with its interval."""
    mean, reviews = elsewhere(overall, rate)
    low, high = wilson_rate(mean, reviews)
    return Estimate(
        rate=mean,
        low=float(low),
        high=float(high),
        n_reviewed=overall.n_reviewed - rate.n_reviewed,
        n_eff=reviews,
        errors_found=overall.errors_found - rate.errors_found,
        population=overall.population - rate.population,
        method="wilson n_eff",
        status="measured" if reviews >= ENOUGH else "unknown",
    )


def p_higher(rate: Estimate, other: tuple[float, float]) -> float:
    """One-sided p-value, in (0, 1], for a slice's error rate being no higher than `other`.

    `other` is a rate and its equivalent reviews. Reviews count as effective ones (Korn & Graubard 1998). Each
    rate has its Clopper-Pearson distribution, the slice's the lower and the other's the upper one; the
    p-value is the chance that the first is below the second. For whole counts this is Fisher's exact test
    (Altham 1969), so the p-value is rather too large.
    """
    n, (mean, m) = _reviews(rate), other
    wrong = rate.rate * n
    if wrong <= 0:
        return 1.0
    steps = (np.arange(400) + 0.5) / 400
    level = stats.beta.ppf(steps, mean * m + 1, max((1 - mean) * m, 1e-9))
    below = stats.beta.cdf(level, wrong, n - wrong + 1)
    return float(np.clip(below.mean(), 1e-300, 1.0))


def _reviews(rate: Estimate) -> float:
    """Effective reviews; for a census, its population."""
    return float(rate.population if rate.n_eff is None else max(rate.n_eff, 1.0))


def _variance(rate: Estimate) -> float:
    return 0.0 if rate.n_eff is None else rate.rate * (1 - rate.rate) / _reviews(rate)


def _excess(rate: Estimate, overall: Estimate) -> float:
    return rate.population * (rate.rate - elsewhere(overall, rate)[0])


def _rows(rows: pl.DataFrame, where: Mapping[str, str]) -> pl.DataFrame:
    return rows.filter(pl.all_horizontal(pl.col(name) == value for name, value in where.items()))


def _confusions(errors: pl.DataFrame, where: Mapping[str, str]) -> tuple[Confusion, ...]:
    found = (
        _rows(errors.filter(is_confusion()), where)
        .group_by("area", "label", "ruled_label")
        .agg(pl.col("weight").sum(), pl.len().alias("found"))
        .sort("weight", "label", "ruled_label", descending=[True, False, False])
        .head(_CONFUSIONS)
    )
    return tuple(
        Confusion(area=area, decided=label, ruled=ruled, decisions=weight, found=seen)
        for area, label, ruled, weight, seen in found.iter_rows()
    )


def _distinct(
    measure: Measure, named: Sequence[tuple[dict[str, str], Estimate, float]]
) -> list[tuple[dict[str, str], Estimate, float]]:
    """`named` in its order, without slices that overlap one before them."""
    frame = pl.concat([sample.part.frame.select(*SLICED_BY, "inside") for sample in measure.samples])
    frame = frame.filter("inside")
    kept: list[tuple[dict[str, str], Estimate, float]] = []
    masks: list[NDArray[np.bool_]] = []
    for where, rate, q_value in named:
        mask = (
            frame.select(pl.all_horizontal(pl.col(n) == v for n, v in where.items())).to_series().to_numpy()
        )
        if all((mask & other).sum() <= SAME * min(mask.sum(), other.sum()) for other in masks):
            kept.append((where, rate, q_value))
            masks.append(mask)
    return kept
