"""Which cases hang together: one text in several dresses, or one conversation.

Who has met one of them has met them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from evenhand.similar.normal_form import normal_form

Ints = NDArray[np.int64]


def connected(n: int, left: Ints, right: Ints) -> Ints:
    """The first member of each item's connected part, shape (n,).

    `left[k]` and `right[k]`, in [0, n), belong together.

    >>> connected(4, np.array([2]), np.array([1])).tolist()
    [0, 1, 1, 3]
    """
    from scipy.sparse import coo_array  # imported here, so that importing this module does not load scipy
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(n, n))
    _, part = connected_components(links, directed=False)
    _, first = np.unique(part, return_index=True)
    return np.asarray(first[part], np.int64)


def groups(texts: Sequence[str], named: Sequence[str | None]) -> Ints:
    """Group code of each case, shape (n,): the index of the group's first case.

    Cases with the same normal form or the same given name are in one group.
    """
    first: dict[tuple[str, str], int] = {}
    links = [
        (i, first.setdefault(key, i))
        for i, (text, name) in enumerate(zip(texts, named, strict=True))
        for key in _keys(text, name)
    ]
    left, right = np.array(links, np.int64).reshape(-1, 2).T
    return connected(len(texts), left, right)


def marks(texts: Sequence[str], named: Sequence[str | None]) -> frozenset[str]:
    """Fingerprints of what connects these cases to others (16 hex digits each), for `unseen`."""
    return frozenset(mark for text, name in zip(texts, named, strict=True) for mark in _marks(text, name))


def unseen(
    texts: Sequence[str], named: Sequence[str | None], group: Ints, known: Collection[str]
) -> NDArray[np.bool_]:
    """Which cases a model has not seen, shape (n,), if it learned from the cases of `known` (from `marks`).

    `group` comes from `groups`, same order: if one case of a group was seen, its whole group was.
    """
    cases = zip(texts, named, strict=True)
    met = np.array([any(mark in known for mark in _marks(*case)) for case in cases], bool)
    return ~np.isin(group, group[met])


def _keys(text: str, name: str | None) -> list[tuple[str, str]]:
    """What connects a case to others: its text without decoration, and its conversation."""
    return [("text", normal_form(text) or text)] + ([("name", name)] if name else [])


def _marks(text: str, name: str | None) -> list[str]:
    joined = ("\x1f".join(key) for key in _keys(text, name))
    return [hashlib.blake2b(key.encode(), digest_size=8).hexdigest() for key in joined]
