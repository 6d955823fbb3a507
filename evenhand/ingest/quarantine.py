"""Rows that failed a check: each is kept whole, with row number, column, value and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evenhand.ingest.readers import BadRow
from evenhand.workspace.files import atomic_path

_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
        ("raw", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What happened to each row: rows = added + unchanged + quarantined."""

    rows: int
    added: int
    unchanged: int
    quarantined: int
    quarantine_file: Path | None
    reasons: dict[str, int]  # reason -> rows


@dataclass
class Quarantine:
    """Collects bad rows of one run and writes them as one Parquet file, `<time>-<file>.parquet`."""

    folder: Path
    file: Path
    reasons: Counter[str] = field(default_factory=Counter)
    _parts: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, rows: Sequence[BadRow]) -> None:
        """Take in some bad rows."""
        if rows:
            self.reasons.update(row.reason for row in rows)
            data = [{"file": str(self.file), **asdict(row)} for row in rows]
            self._parts.append(pa.RecordBatch.from_pylist(data, schema=_SCHEMA))

    @property
    def count(self) -> int:
        """Rows so far."""
        return self.reasons.total()

    def write(self) -> Path | None:
        """Write the file, whole or not at all; None if there is nothing to write."""
        if not self._parts:
            return None
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{self.file.name.split('.')[0]}.parquet"
        with atomic_path(self.folder / name) as part, pq.ParquetWriter(part, _SCHEMA) as writer:
            for batch in self._parts:
                writer.write_batch(batch)
        return self.folder / name
