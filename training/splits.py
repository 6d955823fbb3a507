"""Parts of the gold: near-duplicates stay together, the test part is the newest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

PARTS = ("train", "validation", "calibration", "test")
#: Shares of the groups that are not in the test part.
SHARES = {"train": 0.66, "validation": 0.09, "calibration": 0.25}
TEST_SHARE = 0.12


def split(group: NDArray[np.int64], times: Sequence[datetime], *, seed: int) -> NDArray[np.str_]:
    """Part of each case, shape (n,).

    The newest groups are the test part, the others fall by a hash of seed and group.
    """
    newest: dict[int, datetime] = {}
    for code, time in zip(group.tolist(), times, strict=True):
        newest[code] = max(time, newest.get(code, time))
    order = sorted(newest, key=lambda code: (newest[code], code), reverse=True)
    test, count = set(), 0
    sizes = np.bincount(group)
    for code in order:
        if count >= TEST_SHARE * len(group):
            break
        test.add(code)
        count += int(sizes[code])
    edges = np.cumsum(list(SHARES.values()))
    parts = {}
    for code in newest:
        mark = hashlib.blake2b(f"{seed}|{code}".encode(), digest_size=8).digest()
        u = int.from_bytes(mark, "big") / 2**64
        parts[code] = (
            "test" if code in test else list(SHARES)[min(int(np.searchsorted(edges, u)), len(SHARES) - 1)]
        )
    return np.array([parts[code] for code in group.tolist()])
