"""Takes decisions into the lake: checked and deduplicated; a run adds all its good rows or nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.errors import IngestError, OutsideError
from evenhand.ingest import checks
from evenhand.ingest.quarantine import IngestReport, Quarantine
from evenhand.ingest.readers import BadRow, printable, read_rows
from evenhand.records.checks import EXPOSURE
from evenhand.records.columns import DECISIONS
from evenhand.records.policy import PolicyVersion
from evenhand.workspace.files import refused_by_disk
from evenhand.workspace.lake import decision_files
from evenhand.workspace.workspace import Workspace

REQUIRED = (
    "case_id",
    "text",
    "language",
    "market",
    "queue",
    "area",
    "policy_version",
    "label",
    "moderator_id",
    "decided_at",
)
OPTIONAL = ("team", "content_type", "author_id", "exposure", "action", "severity", "conversation_id")
_IDS = ("case_id", "market", "queue", "area", "policy_version", "label", "moderator_id")
_READY = "ready"


def ingest_decisions(
    ws: Workspace, policies: Sequence[PolicyVersion], file: Path, *, chunk_rows: int = 50_000
) -> IngestReport:
    """Take the decisions in `file` into the lake. The same file twice changes nothing.

    A row whose (case, area, moderator) is in the lake with the same content counts as unchanged. With other
    content it is quarantined, like every row that fails a check. Memory holds one chunk and 16 bytes for each
    decision in the lake. IngestError if the file as a whole is unfit; OutsideError if the disk refuses a
    write. In both cases the lake stays as it was.
    """
    ws.decisions_dir.mkdir(parents=True, exist_ok=True)
    with _alone(ws.decisions_dir):
        finish_cut_runs(ws.decisions_dir)
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        staging = ws.decisions_dir / f".staging-{run}"
        quarantine = Quarantine(ws.quarantine_dir, file)
        try:
            counts = _stage(ws, policies, file, chunk_rows, staging, quarantine)
            quarantine_file = quarantine.write()  # before the run becomes final: no bad row is lost
            _merge_days(staging, run)
            _publish(ws.decisions_dir, staging)
        except Exception as problem:
            if not refused_by_disk(problem):
                raise
            raise OutsideError(
                f"{ws.decisions_dir}: cannot be written ({getattr(problem, 'strerror', None) or problem}); the lake is"
                " as it was; free space or fix the permissions, then run again"
            ) from problem
        finally:
            if not (staging / _READY).exists():
                shutil.rmtree(staging, ignore_errors=True)
    return IngestReport(
        rows=counts.rows,
        added=counts.added,
        unchanged=counts.unchanged,
        quarantined=quarantine.count,
        quarantine_file=quarantine_file,
        reasons=dict(quarantine.reasons),
    )


@dataclass
class _Counts:
    rows: int = 0
    added: int = 0
    unchanged: int = 0


@dataclass
class _Known:
    """What the lake and this run hold: key -> content, as sorted arrays of 8-byte hashes."""

    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    contents: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def add(self, keys: NDArray[np.uint64], contents: NDArray[np.uint64]) -> None:
        keys, contents = np.concatenate([self.keys, keys]), np.concatenate([self.contents, contents])
        order = np.argsort(keys, kind="stable")
        self.keys, self.contents = keys[order], contents[order]

    def find(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Which keys are known, and the content of each (0 where it is not)."""
        if not len(self.keys):
            return np.zeros(len(keys), bool), np.zeros(len(keys), np.uint64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[at] == keys
        return known, np.where(known, self.contents[at], 0).astype(np.uint64)


def _stage(
    ws: Workspace,
    policies: Sequence[PolicyVersion],
    file: Path,
    chunk_rows: int,
    staging: Path,
    quarantine: Quarantine,
) -> _Counts:
    """Check `file` chunk by chunk and write the good new rows by day under `staging`."""
    known, counts = _known(ws), _Counts()
    rules, renamed = _rules(policies), ws.config.ingest.decisions
    for n, chunk in enumerate(read_rows(file, (*REQUIRED, *OPTIONAL), renamed, chunk_rows, prose="text")):
        counts.rows += chunk.frame.height + len(chunk.bad)
        quarantine.add(chunk.bad)
        frame = checks.complete(
            chunk, policies, file, kind="decisions", renamed=renamed, required=REQUIRED, optional=OPTIONAL
        )
        good, bad = checks.split(frame, rules)
        quarantine.add(bad)
        fresh, bad, unchanged = _deduplicate(_finished(good), known)
        quarantine.add(bad)
        counts.added += fresh.height
        counts.unchanged += unchanged
        for (day,), part in fresh.group_by(pl.col("decided_at").dt.date(), maintain_order=True):
            folder = staging / f"day={day}"
            folder.mkdir(parents=True, exist_ok=True)
            part.write_parquet(folder / f"{n:06}.chunk")
    return counts


def _rules(policies: Sequence[PolicyVersion]) -> list[checks.Check]:
    return [
        *checks.id_checks(_IDS),
        *checks.text_checks(),
        *checks.language_checks(),
        *checks.time_checks("decided_at"),
        *checks.number_checks("exposure", EXPOSURE),
        *checks.policy_checks(policies),
    ]


def _hashes(parts: list[list[str]], size: int) -> list[str]:
    return [
        hashlib.blake2b("\x1f".join(row).encode(), digest_size=size).hexdigest()
        for row in zip(*parts, strict=True)
    ]


def _finished(good: pl.DataFrame) -> pl.DataFrame:
    """Checked text columns as lake columns; `row` stays."""
    empty_to_null = [pl.when(pl.col(c) != "").then(pl.col(c)).alias(c) for c in OPTIONAL]
    frame = good.with_columns(
        pl.col("text").fill_null(""), checks.parse_time("decided_at").alias("decided_at"), *empty_to_null
    ).with_columns(checks.parse_number("exposure").alias("exposure"))
    lists = {name: frame[name].to_list() for name in ("case_id", "area", "moderator_id", "text")}
    rest = [name for name in (*REQUIRED, *OPTIONAL) if name not in lists]
    row_text = frame.select(
        pl.concat_str([pl.col(c).cast(pl.String).fill_null("\x00") for c in rest], separator="\x1f")
    )
    content = _hashes([*lists.values(), row_text.to_series().to_list()], 8)
    return frame.with_columns(
        pl.Series(
            "decision_id", _hashes([lists["case_id"], lists["area"], lists["moderator_id"]], 8), pl.String
        ),
        pl.Series("text_hash", _hashes([lists["text"]], 8), pl.String),
        pl.Series("content_hash", [int(mark, 16) for mark in content], pl.UInt64),
    )


def _deduplicate(frame: pl.DataFrame, known: _Known) -> tuple[pl.DataFrame, list[BadRow], int]:
    """The new rows, the rows that contradict a known one, and how many are known with the same content.

    Adds the new rows to `known`.
    """
    keys = np.array([int(mark, 16) for mark in frame["decision_id"]], np.uint64)
    contents = frame["content_hash"].to_numpy()
    there, before = known.find(keys)
    _, first = np.unique(keys, return_index=True)
    own = np.zeros(len(keys), bool)
    own[first] = True
    fresh = own & ~there
    reference = _Known()
    reference.add(keys[fresh], contents[fresh])
    here, content_here = reference.find(keys)
    same = ~fresh & (np.where(there, before, np.where(here, content_here, 0)) == contents)
    clash = ~fresh & ~same
    known.add(keys[fresh], contents[fresh])
    bad = []
    for row in (
        frame.filter(pl.Series(clash)).drop("decision_id", "text_hash", "content_hash").iter_rows(named=True)
    ):
        number = row.pop("row")
        reason = "case_id, area and moderator_id are there already with other content"
        bad.append(BadRow(number, "case_id", printable(row["case_id"]), reason, printable(row, 2_000_000)))
    return frame.filter(pl.Series(fresh)).select(DECISIONS.names()), bad, int(same.sum())


def _known(ws: Workspace) -> _Known:
    known = _Known()
    parts = [pl.read_parquet(file, columns=["decision_id", "content_hash"]) for file in decision_files(ws)]
    if parts:
        frame = pl.concat(parts)
        keys = np.array([int(mark, 16) for mark in frame["decision_id"]], np.uint64)
        known.add(keys, frame["content_hash"].to_numpy())
    return known


def _merge_days(staging: Path, run: str) -> None:
    """Make one file a day from its chunks, then write the mark that makes the run final."""
    for folder in sorted(staging.glob("day=*")):
        chunks = sorted(folder.glob("*.chunk"))
        merged = pl.concat([pl.read_parquet(chunk) for chunk in chunks]).sort("decided_at", "decision_id")
        merged.write_parquet(folder / f"{run}.parquet", row_group_size=50_000)
        for chunk in chunks:
            chunk.unlink()
    if staging.exists():
        (staging / _READY).touch()


def _publish(lake: Path, staging: Path) -> None:
    """Move the day files of a finished run into the lake; safe to repeat."""
    for part in sorted(staging.glob("day=*/*.parquet")):
        target = lake / part.parent.name / part.name
        target.parent.mkdir(exist_ok=True)
        part.replace(target)
    shutil.rmtree(staging, ignore_errors=True)


def finish_cut_runs(lake: Path) -> None:
    """Publish a run that was cut after its mark, and clear one that was cut before."""
    for staging in sorted(lake.glob(".staging-*")):
        if (staging / _READY).exists():
            _publish(lake, staging)
        else:
            shutil.rmtree(staging)


@contextmanager
def _alone(lake: Path) -> Iterator[None]:
    """Hold the lake's lock; IngestError if another ingest holds it."""
    handle = os.open(lake / ".lock", os.O_CREAT | os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IngestError(f"{lake}: another ingest is running; wait for it, then run again") from None
        yield
    finally:
        os.close(handle)
