"""Decision ids as numbers, the source of random numbers: the same on every machine and in every pass."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

from evenhand.statistics.arrays import Marks


def id_numbers(ids: Sequence[str] | pl.Series) -> Marks:
    """A 64-bit number for each id, shape (n,).

    The lake's ids are 16 hex digits and are read as a number; any other id is hashed with SHA-256.
    """
    text = ids if isinstance(ids, pl.Series) else pl.Series(ids, dtype=pl.String)
    numbers = text.str.to_integer(base=16, dtype=pl.UInt64, strict=False)
    odd = (numbers.is_null() | (text.str.len_bytes() != 16)).arg_true()
    out = numbers.fill_null(0).to_numpy(writable=True)
    for i in odd.to_list():
        out[i] = int.from_bytes(hashlib.sha256(text[i].encode()).digest()[:8], "big")
    return out
