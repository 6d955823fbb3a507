"""The population of a draw: scored decisions without an earlier ruling, read file by file.

Each score file belongs to one decision file, and each such pair is joined alone. So memory holds one file and
the requested columns, and a frame of ten million decisions is read in one pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import polars as pl

from evenhand.errors import SampleError
from evenhand.records.columns import DECISIONS, DOMAINS, FRAME, MAY, SCORES
from evenhand.records.policy import PolicyVersion
from evenhand.records.verdict import Settled, settled, without_settled
from evenhand.statistics.arrays import Ints
from evenhand.store import Store
from evenhand.workspace.lake import decision_files, scan_decisions, score_file
from evenhand.workspace.workspace import Workspace

_POLICY = ["policy_version", "area", "label"]


class LeftOut(NamedTuple):
    """Decisions of a period and filter that cannot be drawn, by reason."""

    ruled: int = 0  # scored, but settled by a ruling
    # no score by the model: not scored yet, or under a policy version that it does not cover
    unscored: int = 0


@dataclass(frozen=True, kw_only=True)
class Population:
    """The decisions that can be drawn.

    It holds pairs of decision and score file, what to leave out, and which errors each label allows. It is
    fixed once, so that every pass sees the same decisions even if more are ingested meanwhile.
    """

    # without a score file, nothing of the decision file is scored
    files: tuple[tuple[Path, Path | None], ...]
    filters: Mapping[str, str]
    settled: Settled  # by the current rulings
    flags: pl.DataFrame  # MAY by policy version, area and label

    def shards(self, columns: Sequence[str] = FRAME) -> Iterator[tuple[pl.DataFrame, LeftOut]]:
        """The frame's `columns`, file by file; and the decisions that were left out."""
        for decisions, scores in self.files:
            yield self._shard(decisions, scores, list(columns))

    def _shard(
        self, decisions: Path, scores: Path | None, columns: list[str]
    ) -> tuple[pl.DataFrame, LeftOut]:
        keys = self.settled.columns
        wanted = {
            "decision_id",
            *columns,
            *keys,
            *self.filters,
            *(_POLICY if set(columns) & set(MAY) else ()),
        }
        judged = {"decision_id", *columns} & set(SCORES.names()) - (
            wanted & set(DECISIONS.names()) - {"decision_id"}
        )
        rows = _read(decisions, DECISIONS, wanted)
        rows = rows.filter(_fits(self.filters))
        every = rows.height
        judgements = (
            pl.DataFrame(schema=SCORES).select(judged) if scores is None else _read(scores, SCORES, judged)
        )
        rows = rows.join(judgements, on="decision_id", how="inner", validate="1:1", maintain_order="left")
        scored = rows.height
        rows = without_settled(rows, self.settled)
        if set(columns) & set(MAY):
            rows = rows.join(self.flags, on=_POLICY, how="left", maintain_order="left")
        return rows.select(columns), LeftOut(ruled=scored - rows.height, unscored=every - scored)


def _read(file: Path, schema: pl.Schema, names: set[str]) -> pl.DataFrame:
    found = pl.scan_parquet(
        file, hive_partitioning=False, schema=schema, missing_columns="insert", extra_columns="ignore"
    )
    return found.select([name for name in schema.names() if name in names]).collect()


def population(
    ws: Workspace,
    store: Store,
    model: str,
    *,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
) -> Population:
    """The decisions that `model` ("evenhand-3") scored in a period.

    The period is the days from `since` up to, not including, `until`; `filters` is like {"market": "TH"}.
    Raises SampleError if a filter names a column that a frame does not have.
    """
    filters = dict(filters or {})
    if unknown := sorted(set(filters) - set(DOMAINS)):
        raise SampleError(f"cannot filter by {unknown[0]!r}; use one of {', '.join(DOMAINS)}")
    pairs = ((file, score_file(ws, model, file)) for file in decision_files(ws, since, until))
    return Population(
        files=tuple((file, scores if scores.exists() else None) for file, scores in pairs),
        filters=filters,
        settled=settled(store.rulings()),
        flags=_error_flags(store.policies()),
    )


def decisions_in(
    ws: Workspace,
    *,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
) -> int:
    """How many decisions the lake holds for a period and filters, scored or not."""
    rows = scan_decisions(ws, since=since, until=until)
    return int(rows.filter(_fits(filters or {})).select(pl.len()).collect().item())


def unscored(
    ws: Workspace,
    model: str,
    *,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """How many decisions of a period and filters have no score by `model`, by policy version.

    They are not scored yet, or their policy version is not covered by the model. A version without any such
    decision has no entry.
    """
    missing: Counter[str] = Counter()
    for file in decision_files(ws, since, until):
        scores = score_file(ws, model, file)
        known = pl.scan_parquet(scores) if scores.exists() else pl.LazyFrame(schema=SCORES)
        if known.select(pl.len()).collect().item() == pl.scan_parquet(file).select(pl.len()).collect().item():
            continue  # the two footers are enough to know
        rows = pl.scan_parquet(file, hive_partitioning=False).filter(_fits(filters or {}))
        left = rows.join(known.select("decision_id"), on="decision_id", how="anti")
        missing.update(dict(left.group_by("policy_version").len().collect().iter_rows()))
    return dict(sorted(missing.items()))


def _fits(filters: Mapping[str, str]) -> pl.Expr:
    return pl.all_horizontal(pl.lit(True), *(pl.col(name) == value for name, value in filters.items()))


def scored_frame(
    ws: Workspace,
    store: Store,
    model: str,
    *,
    since: date | None = None,
    until: date | None = None,
    filters: Mapping[str, str] | None = None,
    columns: Sequence[str] = FRAME,
) -> tuple[pl.DataFrame, LeftOut]:
    """The population of `population` as one table, in the lake's order; and what was left out of it.

    `columns` are of FRAME, or predicted_label and reasons. The DOMAINS are categorical. Raises SampleError if
    nothing is scored, or everything has a ruling.
    """
    found = population(ws, store, model, since=since, until=until, filters=filters)
    return collected(found.shards(columns), model)


def collected(shards: Iterator[tuple[pl.DataFrame, LeftOut]], model: str) -> tuple[pl.DataFrame, LeftOut]:
    """The shards as one table with categorical DOMAINS; and what they left out. Raises as `scored_frame`."""
    parts, ruled, unscored = [], 0, 0
    for part, left_out in shards:
        parts.append(coded(part))
        ruled, unscored = ruled + left_out.ruled, unscored + left_out.unscored
    frame = pl.concat(parts) if parts else pl.DataFrame()
    if frame.is_empty() and not ruled:
        without = f" ({unscored:,} decisions are there without a score)" if unscored else ""
        raise SampleError(
            f"no decision scored by {model} in this period and filter{without}; run `evenhand score` first"
        )
    if frame.is_empty():
        raise SampleError("every decision in this period and filter has a ruling already; widen the period")
    return frame, LeftOut(ruled, unscored)


@overload
def coded(frame: pl.DataFrame) -> pl.DataFrame: ...
@overload
def coded(frame: pl.LazyFrame) -> pl.LazyFrame: ...
def coded(frame: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame | pl.LazyFrame:
    """The frame with categorical DOMAINS: four bytes a value instead of a text."""
    known = frame.lazy().collect_schema().names()
    return frame.with_columns(pl.col(name).cast(pl.Categorical) for name in DOMAINS if name in known)


def codes(frame: pl.DataFrame, columns: Sequence[str]) -> Ints:
    """A code from 0 for each row's combination of `columns`, shape (rows,).

    Every code occurs. A missing value counts as a value.
    """
    code = np.zeros(frame.height, np.int64)
    for name in columns:
        code = crossed(code, frame[name])
    return code


def crossed(code: Ints, column: pl.Series) -> Ints:
    """Codes from 0 for the combinations of `code` and a column.

    The column holds texts, categories, days or truth values.
    """
    if column.dtype in (pl.String, pl.Categorical):
        column = column.cast(pl.Categorical).to_physical()
    own = column.cast(pl.Int64).fill_null(-1).to_numpy()
    own = _dense(own - own.min(initial=0))
    return _dense(code * (int(own.max(initial=0)) + 1) + own)


def _dense(code: Ints) -> Ints:
    """The same classes, numbered from 0 without a gap, in the order of their codes."""
    most = int(code.max(initial=0)) + 1
    if most > max(4 * len(code), 1 << 20):
        return np.unique(code, return_inverse=True)[1].astype(np.int64)
    used = np.zeros(most, bool)
    used[code] = True
    return (np.cumsum(used) - 1)[code]


def _error_flags(policies: Sequence[PolicyVersion]) -> pl.DataFrame:
    """Which error classes a decision with this label can fall into."""
    rows = [
        {
            "policy_version": policy.version,
            "area": area.name,
            "label": name,
            "may_over": i > 0,
            "may_under": i == 0,
            "may_wrong": i > 0 and len(area.labels) > 2,
        }
        for policy in policies
        for area in policy.areas
        for i, name in enumerate(area.label_names)
    ]
    return pl.DataFrame(rows)
