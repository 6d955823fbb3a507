"""Which cases a model version has learned from, kept beside its weights: later rulings may be new to it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

_FILE = "learned.parquet"


def save_known_cases(marks: frozenset[str], folder: Path) -> None:
    """Write `marks` (of `evenhand.similar.groups`) of the rulings that the bundle in `folder` learned."""
    pl.DataFrame({"mark": sorted(marks)}, schema={"mark": pl.String}).write_parquet(folder / _FILE)


def load_known_cases(folder: Path) -> frozenset[str] | None:
    """What `save_known_cases` wrote; None for a version that was trained before versions kept it."""
    file = folder / _FILE
    return frozenset(pl.read_parquet(file)["mark"].to_list()) if file.exists() else None
