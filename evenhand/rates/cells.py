"""Cuts frames into cells, so that one pass over a frame is enough: every split is a sum of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenhand.batches.population import crossed
from evenhand.statistics.arrays import Ints

Codes = NDArray[np.int32]
CELLS = 1 << 17  # the most cells to cut for splits that nobody has asked for yet


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The cells of some frames inside their windows: the combinations of `columns` that occur."""

    columns: tuple[str, ...]
    names: pl.DataFrame  # a row for each cell, with `columns`
    # of each frame's rows: its cell; the number of cells where it is outside the window
    code: tuple[Codes, ...]

    def domains(self, by: Sequence[str]) -> tuple[pl.DataFrame, Ints]:
        """The domains of a split by some of `columns`, sorted; and the domain of each cell.

        The last number is the domain of everything outside the window.
        """
        if not by:
            return self.names.select(()), np.r_[np.zeros(self.names.height, np.int64), 1]
        names = self.names.select(by).unique().sort(by)
        numbered = names.with_row_index("domain")
        place = self.names.select(by).join(
            numbered, on=list(by), how="left", nulls_equal=True, maintain_order="left"
        )
        return names, np.r_[place["domain"].to_numpy().astype(np.int64), names.height]


def cut_frames(frames: Sequence[pl.DataFrame], by: Sequence[str], also: Sequence[str] = ()) -> Cut:
    """Cut frames by the columns `by`, and by as many of `also` as leave few cells.

    A frame's rows say whether they are `inside`.
    """
    columns, codes = list(by), list[Codes]()
    for number, frame in enumerate(frames):
        code = crossed(np.zeros(frame.height, np.int64), frame["inside"])
        for name in columns:
            code = crossed(code, frame[name])
        for name in also if not number else ():  # the first frame decides for all
            finer = code if name in columns else crossed(code, frame[name])
            if name not in columns and finer.max(initial=0) < CELLS:
                columns.append(name)
                code = finer
        codes.append(code.astype(np.int32))
    kept = [_names(frame, code, columns) for frame, code in zip(frames, codes, strict=True)]
    names = pl.concat(part.filter("inside").drop("inside") for part in kept).unique(maintain_order=True)
    numbered = names.with_row_index("cell").with_columns(inside=pl.lit(True))
    final = []
    for part, local in zip(kept, codes, strict=True):
        placed = part.join(
            numbered, on=["inside", *columns], how="left", nulls_equal=True, maintain_order="left"
        )
        cell = placed["cell"].fill_null(names.height).to_numpy().astype(np.int32)
        final.append(cell[local])
    return Cut(columns=tuple(columns), names=names, code=tuple(final))


def _names(frame: pl.DataFrame, code: Codes, columns: Sequence[str]) -> pl.DataFrame:
    """`inside` and `columns` of each code of a frame."""
    first = np.empty(int(code.max(initial=-1)) + 1, np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    return frame.select("inside", *columns)[first]
