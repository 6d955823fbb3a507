"""The question that a rate answers.

It says which decisions, split by what, a share of what, by whose ruling, for how many looks, from which
draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Literal

import polars as pl

from evenhand.errors import EstimateError
from evenhand.records.columns import DOMAINS
from evenhand.statistics.repeated_looks import ONE_LOOK, Looks

#: Parts of the day a decision was made (UTC) that a rate can be split by, and how polars names them.
PERIODS = {"day": "1d", "week": "1w", "month": "1mo"}
Weight = Literal["decisions", "exposure"]
Estimand = Literal["sme", "panel"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """The question that a rate answers. Commands, pages and reports build it, and results name it.

    `since` up to, not including, `until` are days (UTC) on which decisions were made; `filters` is like
    {"market": "TH"}. `by`: columns of DOMAINS and PERIODS to split by; a period is always cut at the
    boundaries of policy versions. `weight` "exposure": the share of views that went to wrongly decided
    content. `estimand` "panel": what a panel would overturn, else what one SME would. `looks`: how often the
    interval may be looked at while rulings come in. `draws`: ids to use; if empty, those that do not overlap,
    the newest first. Raises EstimateError for a window without a day, or a column that cannot be split or
    filtered by.
    """

    since: date | None = None
    until: date | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    weight: Weight = "decisions"
    estimand: Estimand = "sme"
    looks: Looks = ONE_LOOK
    draws: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise EstimateError(
                f"the window from {self.since} up to, not including, {self.until} holds no day; give a later end"
            )
        if unknown := [name for name in self.by if name not in DOMAINS and name not in PERIODS]:
            raise EstimateError(f"cannot split by {unknown[0]!r}; use {', '.join((*DOMAINS, *PERIODS))}")
        if unknown := [name for name in self.filters if name not in DOMAINS]:
            raise EstimateError(f"cannot filter by {unknown[0]!r}; use {', '.join(DOMAINS)}")
        by = tuple(dict.fromkeys(self.by))
        if set(by) & set(PERIODS) and "policy_version" not in by:
            by = (*by, "policy_version")
        object.__setattr__(self, "by", by)

    def of(self, **also: str) -> Question:
        """The same question, only about decisions that also match `also`: values by column."""
        return replace(self, filters={**self.filters, **also})

    def within(self, since: date | None, until: date | None) -> Question:
        """The same question, cut to the days from `since` up to, not including, `until`."""
        first = max((day for day in (self.since, since) if day), default=None)
        last = min((day for day in (self.until, until) if day), default=None)
        return replace(self, since=first, until=last)

    def split(self, *by: str) -> Question:
        """The same question, split by these columns."""
        return replace(self, by=by)

    @property
    def plain(self) -> bool:
        """Whether it asks for nothing but a share of decisions, as one SME would rule, for one look."""
        return (self.weight, self.estimand, self.looks) == ("decisions", "sme", ONE_LOOK)

    def inside(self) -> pl.Expr:
        """Whether a row of a frame belongs to the window."""
        tests = [pl.lit(True)]
        if self.since:
            tests.append(pl.col("decided_at") >= datetime.combine(self.since, time(), UTC))
        if self.until:
            tests.append(pl.col("decided_at") < datetime.combine(self.until, time(), UTC))
        tests += [pl.col(name) == value for name, value in self.filters.items()]
        return pl.all_horizontal(tests)
