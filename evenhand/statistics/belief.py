"""How far scores are believed where their worth is anticipated: before a draw, in a plan, and beside what a sample says."""

from __future__ import annotations

from evenhand.statistics.arrays import Floats

BELIEF = 0.75  # in a score; the rest is the mean of all scores


def believed(p: Floats, mean: float) -> Floats:
    """Scores shrunk toward their mean, shape as `p`: a score near 0 leaves room for doubt, so no variance vanishes."""
    return BELIEF * p + (1 - BELIEF) * mean
