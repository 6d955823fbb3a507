"""Adjudicated cases near a new one, by the fine-tuned encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from models.encoders.encoder import Floats32, unit

#: How much less similar than the nearest, in cosine, a case of the other side may be and still be shown.
FAR = 0.3
COLUMNS = ("case_id", "text", "language", "market", "area", "policy_version", "label", "ruled_at")


@dataclass(frozen=True)
class Near:
    """A gold case near a query: its row in `Precedents.cases`, the cosine."""

    row: int
    cosine: float
    other_side: bool = False  # shown because all nearer ones were ruled the other way


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
        self,
        vectors: Floats32,
        areas: Sequence[str],
        case_ids: Sequence[str],
        labels: Sequence[str],
        *,
        k: int = 3,
    ) -> list[list[Near]]:
        """The `k` nearest gold cases of each query's area, never the case itself, for and against its label.

        If all `k` were ruled alike (like `labels`, or all otherwise), the nearest case of the other side
        takes the last place, where its cosine is at most FAR below the nearest's; it is marked `other_side`.
        `vectors`: (m, dim), any length; fewer than `k` where the area has fewer.
        """
        queries = unit(vectors)
        area, own = self.cases["area"].to_numpy(), self.cases["case_id"].to_numpy()
        ruled = self.cases["label"].to_numpy()
        found: list[list[Near]] = []
        for query, where, case, label in zip(queries, areas, case_ids, labels, strict=True):
            rows = np.flatnonzero((area == where) & (own != case))
            cosine = self.vectors[rows] @ query
            order = np.argsort(-cosine, kind="stable")
            near = [Near(int(rows[i]), float(cosine[i])) for i in order[:k]]
            agrees = (ruled[rows] == label)[order]
            others = order[agrees != agrees[0]] if len(near) == k > 1 else order[:0]
            if len(others) and len(set(agrees[:k])) == 1 and cosine[others[0]] >= near[0].cosine - FAR:
                near[-1] = Near(int(rows[others[0]]), float(cosine[others[0]]), other_side=True)
            found.append(near)
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
