"""Metrics on the test part, overall and by language and area, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.compare.metrics import bootstrap, evaluate

Floats = NDArray[np.float64]
ENOUGH = 30  # decisions below which a slice gets no metrics


def report(
    rows: pl.DataFrame, wrong: Floats, p: Floats, group: NDArray[np.int64], *, seed: int
) -> dict[str, Any]:
    """Metrics of p_overturn on `rows`: `overall`, `language`, `area`.

    Each with n, error rate and 95% intervals. Slices under ENOUGH decisions say only their n.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {"overall": evaluate(wrong, p)}
    if len(p):
        found["overall"]["intervals"] = bootstrap(wrong, p, group, rng=rng)
    for column in ("language", "area"):
        names = rows[column].to_numpy()
        slices: dict[str, Any] = {}
        for name in sorted(set(names.tolist())):
            here = names == name
            slices[name] = {"n": float(here.sum())}
            if here.sum() >= ENOUGH:
                slices[name] = evaluate(wrong[here], p[here])
                slices[name]["intervals"] = bootstrap(wrong[here], p[here], group[here], rng=rng, repeats=100)
        found[column] = slices
    return found
