"""How good a ranking and its probabilities are.

All take `wrong` (0/1) and `p` (higher means more suspect), shape (n,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def average_precision(wrong: Floats, p: Floats) -> float:
    """Area under the precision-recall steps; the error rate for a random ranking, 1 for a perfect one.

    NaN without errors.
    """
    return float(average_precision_score(wrong, p)) if wrong.any() else float("nan")


def auroc(wrong: Floats, p: Floats) -> float:
    """Chance that a wrong decision ranks above a right one. NaN if there is only one kind."""
    return float(roc_auc_score(wrong, p)) if 0 < wrong.sum() < len(wrong) else float("nan")


def lift_at(wrong: Floats, p: Floats, share: float) -> float:
    """Errors among the top `share` of the ranking, over the error rate; ties share their errors.

    NaN without errors.
    """
    if not wrong.any():
        return float("nan")
    k = max(1, int(round(share * len(p))))
    order = np.argsort(-p, kind="stable")
    edge = p[order[k - 1]]
    above, level = p > edge, p == edge
    found = wrong[above].sum() + (k - above.sum()) * wrong[level].mean()
    return float(found / k / wrong.mean())


def ece(wrong: Floats, p: Floats, bins: int = 15) -> float:
    """Expected calibration error over bins of equal count: mean |error rate - mean p|, in [0, 1].

    Rows with the same p share their errors, so that a tie across a bin's edge does not depend on row order.
    """
    _, place = np.unique(p, return_inverse=True)
    wrong = (np.bincount(place, wrong) / np.bincount(place))[place]
    parts = np.array_split(np.argsort(p, kind="stable"), min(bins, len(p)))
    return float(sum(len(part) * abs(wrong[part].mean() - p[part].mean()) for part in parts) / len(p))


def brier(wrong: Floats, p: Floats) -> float:
    """Mean squared error of the probability, in [0, 1]."""
    return float(((p - wrong) ** 2).mean())


METRICS: dict[str, Callable[[Floats, Floats], float]] = {
    "ap": average_precision,
    "auroc": auroc,
    "lift_at_1": lambda wrong, p: lift_at(wrong, p, 0.01),
    "lift_at_5": lambda wrong, p: lift_at(wrong, p, 0.05),
    "lift_at_10": lambda wrong, p: lift_at(wrong, p, 0.10),
    "ece": ece,
    "brier": brier,
}


def evaluate(wrong: Floats, p: Floats) -> dict[str, float | None]:
    """Every metric, the error rate and n; None where a metric says nothing (no errors)."""
    found: dict[str, float | None] = {
        "n": float(len(p)),
        "error_rate": float(wrong.mean()) if len(p) else None,
    }
    for name, metric in METRICS.items():
        value = metric(wrong, p) if len(p) else float("nan")
        found[name] = value if np.isfinite(value) else None
    return found


def bootstrap(
    wrong: Floats, p: Floats, group: Ints, *, rng: np.random.Generator, repeats: int = 200
) -> dict[str, tuple[float, float]]:
    """95% percentile intervals of every metric, drawing whole groups, whose rows are alike."""
    codes, place = np.unique(group, return_inverse=True)
    rows = [np.flatnonzero(place == code) for code in range(len(codes))]
    found: dict[str, list[float]] = {name: [] for name in METRICS}
    for _ in range(repeats):
        picked = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        for name, metric in METRICS.items():
            value = metric(wrong[picked], p[picked])
            if np.isfinite(value):
                found[name].append(value)
    return {
        name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        for name, values in found.items()
        if len(values) >= repeats // 2
    }
