"""How much the scores are believed before the rulings show their worth.

Used before a draw, in a plan, and beside what a sample says.
"""

from __future__ import annotations

from evenhand.statistics.arrays import Floats

BELIEF = 0.75  # the weight of a score; the rest is the mean of all scores


def believed(p: Floats, mean: float) -> Floats:
    """Scores shrunk toward their mean, shape as `p`.

    So a score near 0 still leaves doubt, and no variance becomes 0.
    """
    return BELIEF * p + (1 - BELIEF) * mean
