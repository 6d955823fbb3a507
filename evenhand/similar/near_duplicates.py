"""Finds the texts that are copies or near copies of one another, among any number of texts.

Texts are brought to their normal form; what is then equal belongs together. Near copies are found by MinHash
over character n-grams with banding (Broder 1997; Leskovec, Rajaraman and Ullman, ch. 3) and each candidate
pair is checked by its exact Jaccard similarity. Groups are the connected parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evenhand.similar.groups import Ints, connected
from evenhand.similar.normal_form import squashed

#: Jaccard similarity of n-grams from which two texts count as copies; chosen by benchmarks/conflicts.py.
SIMILAR = 0.6
_BANDS, _ROWS = 24, 3  # a pair at 0.6 becomes a candidate with probability 1 - (1 - 0.6^3)^24 = 0.997
_SEED = 1
_BATCH = 20_000
_PAIRS = 500_000  # pairs whose MinHashes are compared at once
_NEIGHBOURS = 4  # each member of a bucket is compared with this many earlier ones
_SHORT = 8  # shorter normal forms, in characters, belong together only if they are equal


def group_texts(texts: Sequence[str], *, similar: float = SIMILAR) -> Ints:
    """Group of each text, shape (n,): an index in [0, n), equal for copies and near copies."""
    forms = [squashed(text) or text for text in texts]
    first: dict[str, int] = {}
    same = np.array([first.setdefault(form, i) for i, form in enumerate(forms)], np.int64)
    distinct = [i for form, i in first.items() if len(form) >= _SHORT]
    if not distinct:
        return same
    near = _group_forms([forms[i] for i in distinct], similar)
    places = np.array(distinct)
    same[places] = places[near]
    return same[same]


def _group_forms(forms: Sequence[str], similar: float) -> Ints:
    """Group of each of the distinct forms, shape (n,): the index of its first member."""
    digests = _min_hashes(forms)
    group = np.arange(len(forms))
    for left, right in _likely_pairs(_bands(digests), digests.astype(np.uint8), similar):
        apart = np.flatnonzero(group[left] != group[right])
        pairs = zip(apart.tolist(), left[apart].tolist(), right[apart].tolist(), strict=True)
        alike = [k for k, i, j in pairs if _jaccard(forms[i], forms[j]) >= similar]
        if alike:
            group = connected(len(forms), group[left[alike]], group[right[alike]])[group]
    return group


def _min_hashes(forms: Sequence[str]) -> NDArray[np.uint64]:
    """The MinHashes of each form, shape (n, _BANDS * _ROWS)."""
    from rensa import RMinHash

    parts = []
    for start in range(0, len(forms), _BATCH):
        grams = [list(n_grams(form)) for form in forms[start : start + _BATCH]]
        found = RMinHash.digest_matrix_from_token_sets(grams, _BANDS * _ROWS, _SEED).to_rows()
        parts.append(np.array(found, np.uint64))
    return np.concatenate(parts)


def _bands(digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash for each band, shape (n, _BANDS)."""
    mixed = digests.reshape(len(digests), _BANDS, _ROWS) * np.array(
        [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64
    )
    return np.asarray(np.bitwise_xor.reduce(mixed ^ (mixed >> np.uint64(29)), axis=2))


def _likely_pairs(
    bands: NDArray[np.uint64], marks: NDArray[np.uint8], similar: float
) -> Iterator[tuple[Ints, Ints]]:
    """Pairs that share a band and look similar, many at once.

    A band's members are compared with the few before them. `marks`: the last 8 bits of each MinHash, shape
    (n, 72). A pair is given if more of them agree than all but 1 in 10,000 pairs would have that are just
    `similar`; this spares the exact comparison of pairs that share a band by chance.
    """
    n = marks.shape[1]
    least = n * similar - 3.7 * math.sqrt(n * similar * (1 - similar))
    for band in range(_BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        hashes = bands[order, band]
        for step in range(1, _NEIGHBOURS + 1):
            same = np.flatnonzero(hashes[step:] == hashes[:-step])
            for start in range(0, len(same), _PAIRS):
                some = same[start : start + _PAIRS]
                left, right = order[some], order[some + step]
                likely = (marks[left] == marks[right]).sum(1) >= least
                yield left[likely], right[likely]


def n_grams(form: str) -> set[str]:
    """Character n-grams of a squashed form: of 2 in Han and kana, of 3 elsewhere.

    A shorter form is its own.
    """
    n = 2 if any("\u3040" <= c <= "\u9fff" for c in form) else 3
    return {form[i : i + n] for i in range(len(form) - n + 1)} or {form}


def _jaccard(a: str, b: str) -> float:
    x, y = n_grams(a), n_grams(b)
    both = len(x & y)
    return both / (len(x) + len(y) - both)
