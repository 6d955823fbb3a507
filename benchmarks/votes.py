"""Turns public data sets with votes into Evenhand's input.

One vote is the moderator's decision; the other votes or the gold are the SME's ruling.

A file has the columns `case_id, text, language, category, votes, gold, gold_source, split, meta`; see
`data_cards/`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from public_sets import SETS

START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 84
CLEAN_FIRST = {data.clean_label for data in SETS.values()}  # the labels that mean "not violating"
MULTI_CLASS = "content"  # name of the area if a set has one multi-class question


@dataclass(frozen=True)
class Adapted:
    """A data set as Evenhand's input: decisions (with `truth` and `group`), and the policy as YAML text."""

    decisions: pl.DataFrame
    policy: str
    left_out: dict[str, int]  # reason -> rows


def adapt(
    file: Path, *, areas: tuple[str, ...], languages: tuple[str, ...], limit: int | None, seed: int
) -> Adapted:
    """Read `file`; `limit` keeps whole groups up to that many rows. ValueError if no row is left."""
    rng = np.random.default_rng(seed)
    rows = pl.read_csv(file, infer_schema=False)
    rows = rows.with_columns(pl.col("category").fill_null("").replace("", MULTI_CLASS))
    if areas:
        rows = rows.filter(pl.col("category").is_in(areas))
    if languages:
        rows = rows.filter(pl.col("language").is_in(languages))
    taken, left_out = [], Counter[str]()
    picks = rng.random(rows.height)
    for row, pick in zip(rows.iter_rows(named=True), picks, strict=True):
        votes = json.loads(row["votes"] or "[]")
        if not votes:
            left_out["no votes"] += 1
            continue
        place = int(pick * len(votes))
        annotator, label = votes[place]
        truth = row["gold"] if row["gold_source"] == "gold" else _majority(votes, place)
        if not truth:
            left_out["tie, or no other vote"] += 1
            continue
        meta = json.loads(row["meta"] or "{}")
        taken.append(
            {
                "case_id": row["case_id"],
                "text": row["text"] or "",
                "language": row["language"],
                "area": row["category"],
                "label": str(label),
                "moderator_id": str(annotator),
                "truth": str(truth),
                "group": str(meta.get("group") or row["text"]),
            }
        )
    if not taken:
        raise ValueError(f"{file.name}: no row with votes in these areas and languages: {dict(left_out)}")
    frame = _limited(pl.DataFrame(taken, infer_schema_length=None), limit, rng)
    name = file.name.split(".")[0]
    days = rng.integers(0, DAYS * 24 * 60, frame.height)
    frame = frame.with_columns(
        pl.col("language").alias("market"),
        pl.lit("all").alias("queue"),
        pl.lit(f"{name}/1").alias("policy_version"),
        pl.col("group").alias("conversation_id"),
        pl.Series("decided_at", [(START + timedelta(minutes=int(m))).isoformat() for m in days]),
    )
    return Adapted(frame, _policy(name, frame), dict(left_out))


def _majority(votes: list[list[str]], place: int) -> str | None:
    """The majority of the votes without the one at `place`; None on a tie or if there is no other vote."""
    counts = Counter(str(label) for i, (_, label) in enumerate(votes) if i != place).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def _limited(frame: pl.DataFrame, limit: int | None, rng: np.random.Generator) -> pl.DataFrame:
    if limit is None or frame.height <= limit:
        return frame
    groups = frame["group"].unique(maintain_order=True).to_list()
    rng.shuffle(groups)
    sizes = dict(frame["group"].value_counts().iter_rows())
    kept, n = set(), 0
    for group in groups:
        if n >= limit:
            break
        kept.add(group)
        n += sizes[group]
    return frame.filter(pl.col("group").is_in(list(kept)))


def _policy(name: str, frame: pl.DataFrame) -> str:
    """A policy version with one area per category and the labels of the data, "not violating" first."""
    areas = []
    known = SETS[name].labels if name in SETS else ()
    for area in frame["area"].unique().sort():
        here = frame.filter(pl.col("area") == area)
        labels = sorted({*known, *here["label"], *here["truth"]}, key=lambda x: (x not in CLEAN_FIRST, x))
        spoken = area.replace("_", " ")
        areas.append(
            {
                "name": area,
                "labels": [{"name": x, "clause": _clause(x, spoken, labels[0])} for x in labels],
            }
        )
    version = {"version": f"{name}/1", "effective_from": "2026-01-01", "areas": areas}
    return yaml.safe_dump(version, allow_unicode=True, sort_keys=False)


def _clause(label: str, area: str, clean: str) -> str:
    if label == clean:
        return f"The text is no {area} and may stay."
    kind = label.replace("_", " ")
    return f"The text is {area}." if label == "1" else f"The text is {kind} ({area})."
