"""The keys of the review desk. Labels and reasons have the digits from 1."""

from __future__ import annotations

SHOW, AGREE, OVERTURN, SKIP, SAVE, UNDO = "V", "A", "O", "K", "S", "U"


def digit(place: int) -> str | None:
    """The key of the entry at `place`, from 1; None beyond nine.

    >>> digit(1), digit(9), digit(10)
    ('1', '9', None)
    """
    return str(place) if place < 10 else None
