"""Measures the rates of the chosen frames, for any split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
import polars as pl

from evenhand.errors import EstimateError
from evenhand.rates.cells import Cut, cut_frames
from evenhand.rates.notes import Note, WithoutViews, about
from evenhand.rates.panel import panel_phase
from evenhand.rates.question import PERIODS, Question
from evenhand.rates.reviewed_frame import Reviewed
from evenhand.records.checks import EXPOSURE
from evenhand.records.columns import DOMAINS
from evenhand.records.verdict import is_error_of
from evenhand.statistics.arrays import Bools, Floats, Ints
from evenhand.statistics.estimator import (
    Estimate,
    SecondPhase,
    Totals,
    calibrated,
    estimates,
    frame_totals,
    sample_totals,
)
from evenhand.statistics.second_phase import second_phase
from evenhand.statistics.small_area import in_bins, modelled_rates
from evenhand.store import Store

#: Outcome -> the frame column that says where it can occur. They are never netted against each other.
OUTCOMES: dict[str, str | None] = {
    "total": None,
    "over_enforcement": "may_over",
    "under_enforcement": "may_under",
    "wrong_policy": "may_wrong",
    "policy_unclear": None,
}
#: What errors may be clustered by. The first is one person, the others are one item that many saw.
CLUSTERED_BY = ("moderator_id", "text_hash", "conversation_id")
# cells are cut by these too if they stay few
_ALSO = tuple(name for name in DOMAINS if name != "moderator_id")
_MODELLED = ("market", "area")  # the combination that the hierarchical model knows


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The error rates of one domain; `policy_unclear` is nobody's error and not in `total`."""

    domain: Mapping[str, str]  # empty for overall
    total: Estimate
    over_enforcement: Estimate
    under_enforcement: Estimate
    wrong_policy: Estimate
    policy_unclear: Estimate
    # of `total`, where it is not known yet: from a model, never for a ranking
    modelled: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """One draw as the estimator takes it.

    Some arrays are over the frame, the others over the reviewed decisions in the order of `done`.
    """

    part: Reviewed
    place: Ints
    exposure: Floats | None
    clusters: tuple[Ints, ...]
    label: pl.DataFrame  # labels of the reviewed: the SME's and, with a panel, the panel's


class Measure:
    """The rates of the chosen frames for one question's weight, estimand and looks, by any split.

    `confidence` is the level of its intervals, so that they hold with 95% at all the question's looks.
    `notes` says what was left out or given more weight.
    """

    def __init__(
        self, store: Store, parts: Sequence[Reviewed], question: Question, *, notes: Sequence[Note] = ()
    ) -> None:
        self.question = question
        self.days_of_rulings = _days_of_rulings(store, parts) if question.looks.daily else 0
        self.confidence = question.looks.confidence(self.days_of_rulings)
        self._periods = [name for name in PERIODS if parts and name in parts[0].frame.columns]
        self.parts = tuple(parts)
        self.samples: list[_Sample] = []
        self._cuts: list[Cut] = []
        self._fits: dict[tuple[int, str], tuple[float, float]] = {}
        self._sums: dict[tuple[tuple[str, ...], str], Totals] = {}
        said = [*notes, *(note for part in parts for note in part.notes)]
        for part in parts:
            if part.frame.is_empty() or part.done.is_empty():
                continue
            done, of_panel = panel_phase(store, part) if question.estimand == "panel" else (part.done, [])
            exposure, unseen = _exposure(part) if question.weight == "exposure" else (None, [])
            said += [*of_panel, *unseen]
            self.samples.append(
                _Sample(
                    part=part,
                    place=done["place"].to_numpy().astype(np.int64),
                    exposure=exposure,
                    clusters=tuple(_cluster_codes(done[name]) for name in CLUSTERED_BY),
                    label=done,
                )
            )
        self.notes = tuple(said)
        if not self.samples:
            raise EstimateError(
                "too few rulings in every market to tell a rate yet; rule on more of the batch"
            )
        if question.estimand == "panel" and not any(s.label["panel_answered"].any() for s in self.samples):
            raise EstimateError(
                "no panel has ruled on these draws; list its queue with `evenhand panel`, take its rulings in with"
                " `evenhand ingest rulings FILE --draw DRAW --panel`, or ask for what one SME would overturn"
            )

    def rates(self, by: Sequence[str]) -> list[Rates]:
        """One Rates for each domain of the split `by` inside the window; one in all if the split is empty."""
        names, found = self._estimates(by, OUTCOMES, self.confidence)
        rows = names.iter_rows(named=True) if names is not None else iter([{}])
        rates = [
            Rates(
                domain={column: str(row[column]) for column in by},
                **{outcome: every[i] for outcome, every in found.items()},
            )
            for i, row in enumerate(rows)
        ]
        return self._with_model(rates, by, names) if set(by) == set(_MODELLED) else rates

    def totals(
        self, by: Sequence[str], *, confidence: float | None = None
    ) -> list[tuple[dict[str, str], Estimate]]:
        """The rate of all errors in each domain of the split `by`; faster than `rates`.

        `confidence` is that of the intervals, by default the measure's own.
        """
        names, found = self._estimates(by, ("total",), self.confidence if confidence is None else confidence)
        rows = names.iter_rows(named=True) if names is not None else iter([{}])
        return [
            ({column: str(row[column]) for column in by}, e)
            for row, e in zip(rows, found["total"], strict=True)
        ]

    def enforced(self, by: Sequence[str]) -> list[tuple[dict[str, str], float]]:
        """The share of decisions (or views) that enforce, in [0, 1], in each domain of the split `by`.

        It is counted, not estimated. 0 if a domain has no views.
        """
        cut = self._cut(by)
        names, group = cut.domains(by)
        all_of, enforcing = np.zeros(cut.names.height + 1), np.zeros(cut.names.height + 1)
        for sample, code in zip(self.samples, cut.code, strict=True):
            acts = sample.part.frame["may_over"].fill_null(False).to_numpy()
            views = sample.exposure
            all_of += np.bincount(code, views, len(all_of))
            enforcing += np.bincount(code[acts], None if views is None else views[acts], len(all_of))
        size = np.bincount(group, all_of)[:-1]
        share = np.bincount(group, enforcing)[:-1] / np.where(size > 0, size, 1.0)
        rows = names.iter_rows(named=True) if by else iter([{}])
        return [
            ({column: str(row[column]) for column in by}, float(one))
            for row, one in zip(rows, share, strict=True)
        ]

    def errors(self) -> pl.DataFrame:
        """The overturned decisions among the reviewed ones inside the window, and their weights.

        Columns decision_id, draw_id, DOMAINS, ruled_label, error_class, weight (1 / inclusion probability:
        how many decisions each stands for).
        """
        found = []
        for sample in self.samples:
            rows = sample.part.frame.select(*DOMAINS, "inside", "pi")[sample.place]
            wrong = _outcome(sample.label, "total") > 0
            rows = rows.select(
                sample.label["decision_id"],
                pl.all(),
                sample.label["ruled_label"],
                sample.label["error_class"],
                pl.lit(sample.part.draw.draw_id).alias("draw_id"),
                (1 / pl.col("pi")).alias("weight"),
            )
            found.append(rows.filter(pl.Series(wrong) & rows["inside"]).drop("inside", "pi"))
        return pl.concat(found)

    def _estimates(
        self, by: Sequence[str], outcomes: Iterable[str], confidence: float
    ) -> tuple[pl.DataFrame | None, dict[str, list[Estimate]]]:
        """The domains of the split inside the window, and for each outcome one Estimate per domain."""
        cut = self._cut(by)
        names, group = cut.domains(by)
        domains = names.height if by else 1
        found = {}
        for outcome in outcomes:
            totals = self._frame_totals(cut, outcome).grouped(group, domains + 1)
            for i in range(len(self.samples)):
                totals = totals + self._sample_totals(
                    i, outcome, group[cut.code[i][self.samples[i].place]], domains + 1
                )
            found[outcome] = estimates(totals, confidence=confidence)[:domains]
        return (names if by else None), found

    def _cut(self, by: Sequence[str]) -> Cut:
        """The frames cut into cells fine enough for the split; the first cut is as fine as memory allows."""
        for cut in self._cuts:
            if set(by) <= set(cut.columns):
                return cut
        frames = [sample.part.frame for sample in self.samples]
        self._cuts.append(cut_frames(frames, by, also=[*self._periods, *_ALSO]))
        return self._cuts[-1]

    def _frame_totals(self, cut: Cut, outcome: str) -> Totals:
        """The sums over the frames by cell of the cut. One pass; every split is a sum of these cells."""
        key = (cut.columns, outcome)
        if key not in self._sums:
            parts = [
                frame_totals(
                    sample.part.frame["p_overturn"].to_numpy(),
                    sample.part.frame["pi"].to_numpy(),
                    self._fit(i, outcome),
                    domain=cut.code[i],
                    domains=cut.names.height + 1,
                    possible=self._possible(sample, outcome),
                    exposure=sample.exposure,
                )
                for i, sample in enumerate(self.samples)
            ]
            self._sums[key] = reduce(add, parts)
        return self._sums[key]

    def _sample_totals(self, i: int, outcome: str, domain: Ints, domains: int) -> Totals:
        sample = self.samples[i]
        rows = sample.part.frame.select("p_overturn", "pi")[sample.place]
        return sample_totals(
            rows["p_overturn"].to_numpy(),
            rows["pi"].to_numpy(),
            _outcome(sample.label, outcome),
            self._fit(i, outcome),
            domain=domain,
            domains=domains,
            possible=self._possible(sample, outcome, sample.place),
            exposure=None if sample.exposure is None else sample.exposure[sample.place],
            clusters=sample.clusters,
            second=self._second(sample, outcome),
        )

    def _fit(self, i: int, outcome: str) -> tuple[float, float]:
        if (i, outcome) not in self._fits:
            sample = self.samples[i]
            rows = sample.part.frame.select("p_overturn", "pi")[sample.place]
            self._fits[i, outcome] = calibrated(
                rows["p_overturn"].to_numpy(),
                rows["pi"].to_numpy(),
                _outcome(sample.label, outcome),
                self._possible(sample, outcome, sample.place),
            )
        return self._fits[i, outcome]

    def _possible(self, sample: _Sample, outcome: str, place: Ints | None = None) -> Bools | None:
        """Where the outcome can occur at all, in the frame or at the places given; None for everywhere."""
        name = OUTCOMES[outcome]
        if name is None:
            return None
        column = sample.part.frame[name] if place is None else sample.part.frame[name][place]
        return column.fill_null(False).to_numpy()

    def _second(self, sample: _Sample, outcome: str) -> SecondPhase | None:
        if self.question.estimand != "panel":
            return None
        return second_phase(
            sample.label["overturned"].to_numpy(),
            sample.label["panel_chance"].to_numpy(),
            sample.label["panel_asked"].to_numpy(),
            sample.label["panel_answered"].to_numpy(),
            _outcome(_of_panel(sample.label), outcome),
        )

    def _with_model(self, rates: list[Rates], by: Sequence[str], names: pl.DataFrame | None) -> list[Rates]:
        """The rates; cells of market and area that are not known yet get a modelled rate."""
        if names is None or all(cell.total.status == "measured" for cell in rates):
            return rates
        cut = self._cut(by)
        group = cut.domains(by)[1]
        p, code, reviewed_p, reviewed_code, y = [], [], [], [], []
        for i, sample in enumerate(self.samples):
            scores, cell = sample.part.frame["p_overturn"].to_numpy(), group[cut.code[i]]
            inside = cell < names.height
            p.append(scores[inside])
            code.append(cell[inside])
            there = inside[sample.place]
            reviewed_p.append(scores[sample.place][there])
            reviewed_code.append(cell[sample.place][there])
            y.append(_outcome(sample.label, "total")[there])
        market, area = (
            (names[name].rank("dense").to_numpy() - 1).astype(np.int64) for name in ("market", "area")
        )
        cells = in_bins(np.concatenate(p), np.concatenate(code), market=market, area=area)
        found = modelled_rates(
            cells, np.concatenate(reviewed_p), np.concatenate(reviewed_code), np.concatenate(y)
        )
        return [
            replace(cell, modelled=_modelled(cell.total, *(float(value[i]) for value in found)))
            if cell.total.status == "unknown"
            else cell
            for i, cell in enumerate(rates)
        ]


def _modelled(direct: Estimate, rate: float, low: float, high: float) -> Estimate:
    return replace(
        direct, rate=rate, low=low, high=high, n_eff=None, method="hierarchical", status="modelled"
    )


def _days_of_rulings(store: Store, parts: Sequence[Reviewed]) -> int:
    """On how many days somebody ruled on these draws; at least 1."""
    draws = [part.draw.draw_id for part in parts]
    return max(1, store.rulings().filter(pl.col("draw_id").is_in(draws))["ruled_at"].dt.date().n_unique())


def _exposure(part: Reviewed) -> tuple[Floats, list[Note]]:
    """Views of each decision of the frame. Those without a number count as unseen, and a note says how many.

    A lake from an early version may hold numbers that ingest refuses today, like infinity. They count as
    missing, and the note counts them apart.
    """
    given = part.frame["exposure"]
    views = given.set(~given.is_between(EXPOSURE.low, EXPOSURE.high), None)
    missing, draw = given.null_count(), f"draw {part.draw.draw_id}"
    unfit = views.null_count() - missing
    why = f"; {unfit:,} carry a figure that is no {EXPOSURE}" if unfit else ""
    if not (views.sum() or 0) > 0:
        raise EstimateError(
            f"{draw}: no decision carries its views (column exposure){why}; ingest them, or weigh by decisions"
        )
    said: list[Note] = []
    if missing or unfit:
        said.append(WithoutViews(**about(part.draw), without=missing, unfit=unfit, decisions=len(views)))
    return views.fill_null(0.0).to_numpy(), said


def _cluster_codes(values: pl.Series) -> Ints:
    """A code for each value; each missing value is a cluster of its own."""
    frame = pl.DataFrame({"value": values.cast(pl.String)}).with_row_index("row")
    own = pl.lit("\x00") + pl.col("row").cast(pl.String)
    named = frame.select(pl.coalesce(pl.col("value"), own).rank("dense"))
    return named.to_series().to_numpy().astype(np.int64)


def _outcome(reviewed: pl.DataFrame, outcome: str) -> Floats:
    """1 where the verdict is an error of this outcome, else 0; order of `reviewed`."""
    return reviewed.select(is_error_of(outcome).cast(pl.Float64)).to_series().to_numpy()


def _of_panel(reviewed: pl.DataFrame) -> pl.DataFrame:
    """The reviewed decisions with the panel's verdicts in place of the SMEs'."""
    return reviewed.select(verdict="panel_verdict", error_class="panel_class", ruled_label="panel_label")
