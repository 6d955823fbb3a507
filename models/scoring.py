"""Scoring the lake: a loop over shards that can be stopped at any point."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.errors import PolicyMismatch
from evenhand.records.columns import SCORES
from evenhand.workspace.files import atomic_path
from evenhand.workspace.lake import decision_files, score_file
from evenhand.workspace.progress import Progress
from evenhand.workspace.workspace import Workspace
from models.bundle import ModelBundle
from models.encoders.encoder import Floats32

#: Vectors of texts kept between shards: 100,000 of 768 float16 numbers are 150 MB.
REMEMBERED = 100_000


@dataclass
class ScoreReport:
    """What a run did."""

    decisions: int = 0  # scored now
    texts_encoded: int = 0
    shards_done: int = 0
    shards_skipped: int = 0  # were done before
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> decisions left unscored
    seconds: float = 0.0


class _Memory:
    """Vectors of texts by hash, so that identical texts are encoded once; the oldest are forgotten."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._known: OrderedDict[str, NDArray[np.float16]] = OrderedDict()
        self._limit = limit

    def vectors(
        self, bundle: ModelBundle, shard: pl.DataFrame, report: ScoreReport, progress: Progress
    ) -> Floats32:
        """Vectors of the shard's texts, shape (rows, dim), in row order."""
        distinct = shard.unique("text_hash", maintain_order=True)
        fresh = distinct.filter(~pl.col("text_hash").is_in(list(self._known)))
        marks, texts = fresh["text_hash"].to_list(), fresh["text"].to_list()
        for start in range(0, len(texts), 512):
            found = bundle.encode(pl.Series(texts[start : start + 512]))
            for mark, vector in zip(marks[start : start + 512], found, strict=True):
                self._known[mark] = vector.astype(np.float16)
            progress.step(len(found))
        progress.step(distinct.height - fresh.height)  # known from an earlier shard
        report.texts_encoded += len(texts)
        out = np.stack([self._known[mark] for mark in shard["text_hash"]]).astype(np.float32)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return out


def score(
    ws: Workspace, bundle: ModelBundle, model: str, *, since: date | None = None, until: date | None = None
) -> ScoreReport:
    """Score every decision file that has no scores by `model` ("evenhand-3") yet.

    A shard is a decision file; its score file appears whole or not at all, so a killed run goes on where it
    stopped. Decisions under a policy version that the model does not cover are counted in `skipped` and left
    out; PolicyMismatch if that is all of them.
    """
    report, memory, began = ScoreReport(), _Memory(), time.monotonic()
    left: Counter[str] = Counter()
    files = decision_files(ws, since, until)
    todo = [file for file in files if not score_file(ws, model, file).exists()]
    report.shards_skipped = len(files) - len(todo)
    with Progress("score", sum(_distinct(file) for file in todo), unit="texts") as progress:
        for file in todo:
            shard = pl.read_parquet(file)
            left.update(_uncovered(bundle, model, shard))
            covered = shard.filter(_covered(bundle))
            scores = pl.DataFrame(schema=SCORES)
            if len(covered):
                vectors = memory.vectors(bundle, covered, report, progress)
                scores = _scores(bundle, model, covered, vectors)
            with atomic_path(score_file(ws, model, file)) as part:
                scores.write_parquet(part)
            report.decisions += scores.height
            report.shards_done += 1
    report.skipped, report.seconds = dict(left), time.monotonic() - began
    if left and not report.decisions and not report.shards_skipped:
        _forget(ws, model, todo)
        raise PolicyMismatch(f"{'; '.join(left)}; retrain with `evenhand train`, so that a model covers them")
    return report


def _forget(ws: Workspace, model: str, files: list[Path]) -> None:
    """Take back the empty score files of a run in which nothing could be judged."""
    for file in files:
        score_file(ws, model, file).unlink(missing_ok=True)


def _distinct(file: Path) -> int:
    return int(pl.scan_parquet(file).select(pl.col("text_hash").n_unique()).collect().item())


def _covered(bundle: ModelBundle) -> pl.Expr:
    key = pl.concat_str("policy_version", "area", separator="/")
    return key.is_in(list(bundle.manifest.heads))


def _uncovered(bundle: ModelBundle, model: str, shard: pl.DataFrame) -> dict[str, int]:
    """Why decisions of the shard are left out -> how many."""
    counts = shard.filter(~_covered(bundle)).group_by("policy_version", "area").len().iter_rows()
    return {f"{area} under {version} is not covered by {model}": n for version, area, n in counts}


def _scores(bundle: ModelBundle, model: str, shard: pl.DataFrame, vectors: Floats32) -> pl.DataFrame:
    judged = bundle.judge(shard, vectors)
    same = shard.select("decision_id", "case_id", "area", "moderator_id", "label", "policy_version")
    full = same.join(judged, on="decision_id", how="left", validate="1:1", maintain_order="left")
    return full.with_columns(pl.lit(model).alias("model_version")).select(SCORES.names())
