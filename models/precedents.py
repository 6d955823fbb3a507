"""Adjudicated cases near a new one, by the fine-tuned encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from models.encoder import Floats32, unit

COLUMNS = ("case_id", "text", "language", "market", "area", "policy_version", "label", "ruled_at")


@dataclass(frozen=True)
class Precedents:
    """Gold cases with their vectors: `vectors` (n, dim) of length 1, in the order of `cases` (COLUMNS)."""

    vectors: Floats32
    cases: pl.DataFrame

    @classmethod
    def build(cls, vectors: Floats32, cases: pl.DataFrame) -> Precedents:
        """From pooled vectors (n, dim) and their cases, same order."""
        return cls(unit(vectors), cases.select(COLUMNS))

    def nearest(
        self, vectors: Floats32, areas: Sequence[str], case_ids: Sequence[str], *, k: int = 3
    ) -> list[list[tuple[int, float]]]:
        """For each query the `k` nearest gold cases of its area, never the case itself: (row of `cases`, cosine).

        `vectors`: (m, dim), any length; fewer than `k` where the area has fewer.
        """
        queries = unit(vectors)
        area, own = self.cases["area"].to_numpy(), self.cases["case_id"].to_numpy()
        found: list[list[tuple[int, float]]] = []
        for query, where, case in zip(queries, areas, case_ids, strict=True):
            rows = np.flatnonzero((area == where) & (own != case))
            near = self.vectors[rows] @ query
            top = rows[np.argsort(-near, kind="stable")[:k]]
            found.append([(int(row), float(self.vectors[row] @ query)) for row in top])
        return found

    def save(self, folder: Path) -> None:
        """Write `precedents.safetensors` (float16) and `precedents.parquet`."""
        save_file({"vectors": self.vectors.astype(np.float16)}, folder / "precedents.safetensors")
        self.cases.write_parquet(folder / "precedents.parquet")

    @classmethod
    def load(cls, folder: Path) -> Precedents:
        """Read what `save` wrote."""
        vectors = load_file(folder / "precedents.safetensors")["vectors"].astype(np.float32)
        return cls(unit(vectors), pl.read_parquet(folder / "precedents.parquet"))
