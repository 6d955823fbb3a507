"""The file that keeps a draw's whole frame with every inclusion probability.

The file never changes, so the record of the draw keeps a hash of it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from evenhand.records.columns import DOMAINS

_ROW_GROUP = 1 << 17


class FrameWriter:
    """Writes a frame to one Parquet file, part by part, so that the whole frame is never in memory."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> FrameWriter:
        return self

    def write(self, rows: pl.DataFrame) -> None:
        """Append `rows`; their columns are those of the first part."""
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.file, table.schema, compression="lz4", use_dictionary=list(DOMAINS)
            )
        self._writer.write_table(table, row_group_size=_ROW_GROUP)

    def __exit__(self, *problem: object) -> None:
        if self._writer is not None:
            self._writer.close()


def frame_hash(file: Path) -> str:
    """A hash of the frame file, 32 hex digits.

    The draw's record keeps it, to tell whether the file is still the one that was drawn.
    """
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
