"""Is one ranking of the same decisions better than another? Differences with intervals, also by slice.

Both versions judged the same rows, so what makes a row hard cancels out of the difference. Its standard error
comes from a bootstrap over near-duplicate groups (each repeat weighs whole groups by how often they were
drawn, the same for both versions), its interval from Student's t with as many degrees of freedom as the rarer
kind of decision gives. Percentiles of the bootstrap covered less with few overturned decisions
(`docs/decisions/0009-champion-and-challenger.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import t as student

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Verdict = Literal["better", "level", "worse", "too few"]

SLICES = ("language", "area", "policy_version")
ENOUGH = 30  # decisions below which a slice is "too few"
ENOUGH_EACH = 10  # effective groups that were overturned, and that were upheld, below which it is "too few"
MARGIN = 0.10  # average precision: a difference whose interval reaches further down is not "level"
HIGHER_IS_BETTER = {"ap": True, "auroc": True, "lift_at_5": True, "brier": False}
_REPEATS = 1_000
_CELLS = 4_000_000  # numbers held at once: repeats are worked off in parts


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of both versions on the same decisions; challenger minus champion with its 95% interval."""

    champion: float
    challenger: float
    difference: float
    low: float
    high: float

    def told(self, digits: int = 2) -> str:
        """The difference and its interval in words.

        >>> Difference(champion=0.5, challenger=0.42, difference=-0.08, low=-0.14, high=-0.02).told()
        '-0.08, -0.14 to -0.02'
        """
        return ", ".join(
            [f"{self.difference:+.{digits}f}", f"{self.low:+.{digits}f} to {self.high:+.{digits}f}"]
        )


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One slice of the decisions that both versions judged.

    `verdict` is about average precision. `metrics` (keys of HIGHER_IS_BETTER) is empty where the counts are
    too few; "too few" with metrics: an interval too wide to call the difference level.
    """

    by: str  # "overall", or a column of SLICES
    name: str
    n: int
    overturned: int
    verdict: Verdict
    metrics: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def probabilities(self) -> Verdict:
        """The verdict by the Brier score: whether the probabilities are better."""
        return _verdict(self.metrics["brier"], higher=False) if self.metrics else "too few"


def compare_rows(
    rows: pl.DataFrame,
    *,
    by: Sequence[str] = SLICES,
    rng: np.random.Generator,
    repeats: int = _REPEATS,
) -> tuple[Slice, ...]:
    """The slices: overall first, then each value of the columns `by`, by name.

    `rows`: decision_id (unique), group, the columns `by`, `wrong` (0/1), `weight` (> 0), `p_champion` and
    `p_challenger` in [0, 1]. Their order does not matter. No rows, no slices.
    """
    if rows.is_empty():
        return ()
    rows = rows.sort("decision_id")
    found = [_slice(rows, "overall", "all", rng, repeats)]
    for column in by:
        for name in rows[column].unique().sort().to_list():
            found.append(_slice(rows.filter(pl.col(column) == name), column, name, rng, repeats))
    return tuple(found)


def _slice(rows: pl.DataFrame, by: str, name: str, rng: np.random.Generator, repeats: int) -> Slice:
    wrong, weight = (rows[column].to_numpy().astype(float) for column in ("wrong", "weight"))
    place = rows["group"].rank("dense").to_numpy().astype(np.int64) - 1
    each = [effective(weight[wrong == kind], place[wrong == kind]) for kind in (0, 1)]
    if rows.height < ENOUGH or min(each) < ENOUGH_EACH:
        return Slice(by=by, name=name, n=rows.height, overturned=int(wrong.sum()), verdict="too few")
    p = rows["p_champion"].to_numpy(), rows["p_challenger"].to_numpy()
    found = _differences(wrong, weight, place, p, min(each) - 1, rng, repeats)
    verdict = _verdict(found["ap"], margin=MARGIN)
    return Slice(by=by, name=name, n=rows.height, overturned=int(wrong.sum()), verdict=verdict, metrics=found)


def effective(weight: Floats, group: Ints) -> float:
    """How many groups of equal weight say as much as these rows (Kish's effective sample size of group sums).

    It is 0 without rows.
    """
    total = np.bincount(group, weight)
    return float(total.sum() ** 2 / (total**2).sum()) if total.any() else 0.0


def _verdict(found: Difference, *, higher: bool = True, margin: float = np.inf) -> Verdict:
    low, high = (found.low, found.high) if higher else (-found.high, -found.low)
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "level" if low >= -margin else "too few"


def _differences(
    wrong: Floats,
    weight: Floats,
    place: Ints,
    p: tuple[Floats, Floats],
    freedom: float,
    rng: np.random.Generator,
    repeats: int,
) -> dict[str, Difference]:
    """Every metric of both, with the interval of its difference; `place`: group of each row, from 0."""
    n_groups = int(place.max()) + 1
    part = max(1, _CELLS // len(wrong))
    drawn: dict[str, list[Floats]] = {name: [] for name in HIGHER_IS_BETTER}
    for start in range(0, repeats, part):
        size = min(part, repeats - start)
        times = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=size)
        w = times[:, place] * weight
        w = w[((w * wrong).sum(1) > 0) & ((w * (1 - wrong)).sum(1) > 0)]  # else no metric says anything
        champion, challenger = (metrics(wrong, one, w) for one in p)
        for name in HIGHER_IS_BETTER:
            drawn[name].append(challenger[name] - champion[name])
    champion, challenger = (metrics(wrong, one, weight[None]) for one in p)
    reach = float(student.ppf(0.975, freedom))
    found = {}
    for name in HIGHER_IS_BETTER:
        before, after = float(champion[name][0]), float(challenger[name][0])
        half = reach * float(np.concatenate(drawn[name]).std())
        found[name] = Difference(
            champion=before,
            challenger=after,
            difference=after - before,
            low=after - before - half,
            high=after - before + half,
        )
    return found


def metrics(wrong: Floats, p: Floats, weight: Floats) -> dict[str, Floats]:
    """Weighted metrics of one ranking under many weightings.

    Shapes (n,), (n,), (repeats, n) -> (repeats,) each. Unweighted they are those of `models.compare.metrics`,
    but that the first 5% may end within a decision. Rows of equal `p` share their errors, so row order does
    not matter. Each weighting must hold both kinds of decisions.
    """
    order = np.argsort(-p, kind="stable")
    p, wrong, weight = p[order], wrong[order], weight[:, order]
    ends = np.append(np.flatnonzero(np.diff(p)), len(p) - 1)
    zero = np.zeros((len(weight), 1))
    # weight down to each threshold, and what of it was overturned
    above = np.concatenate([zero, np.cumsum(weight, axis=1)[:, ends]], axis=1)
    caught = np.concatenate([zero, np.cumsum(weight * wrong, axis=1)[:, ends]], axis=1)
    total, errors = above[:, -1], caught[:, -1]
    missed = np.diff(above - caught, axis=1)
    precision = caught[:, 1:] / np.maximum(above[:, 1:], 1e-300)
    top = 0.05 * total
    return {
        "ap": (np.diff(caught, axis=1) * precision).sum(1) / errors,
        "auroc": (missed * (caught[:, :-1] + caught[:, 1:]) / 2).sum(1) / (errors * (total - errors)),
        "lift_at_5": _at(above, caught, top) / top / (errors / total),
        "brier": weight @ (p - wrong) ** 2 / total,
    }


def _at(x: Floats, y: Floats, where: Floats) -> Floats:
    """`y` at `where` on the line through the points (x, y), row by row.

    Shapes (repeats, k), (repeats, k), (repeats,) -> (repeats,).
    """
    right = np.clip((x < where[:, None]).sum(1), 1, x.shape[1] - 1)
    row = np.arange(len(x))
    width = np.maximum(x[row, right] - x[row, right - 1], 1e-300)
    share = np.clip((where - x[row, right - 1]) / width, 0, 1)
    return np.asarray(y[row, right - 1] + share * (y[row, right] - y[row, right - 1]))
