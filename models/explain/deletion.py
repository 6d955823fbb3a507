"""The words that a label hangs on: those that move it most, and the fewest that turn it into another.

Nothing here knows a model: `Read` is any function from texts to label probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.explain.split_words import Span, joined_runs

Floats = NDArray[np.float64]
Words = frozenset[int]  # places in the list of a text's words
Read = Callable[[Sequence[str]], Floats]  # texts -> label probabilities, shape (n, labels)

MOST_RUNS = 24  # pieces that are left out one at a time
MOST_CHOSEN = 5  # pieces whose joint deletion is looked for
_SHORTLIST = 6  # pieces that are considered beyond the second
LEAST = 16  # texts that any search may read
_FINEST = 12  # pieces of a flip that are tried singly; of a longer one, runs of words
_FLIP_SHARE = 0.5  # of the words may go for a flip; without more than that, it is another text
_ENOUGH = 0.15  # share of the strongest effect below which a word, or a further step, is not worth showing
_NOTHING = 0.05  # log odds that count as no move at all
_LEAD = 0.02  # probability by which the other label must lead: no flip by a rounding error
_TOGETHER = 2 / 3  # of the texts to read: spent when joint deletions are done
_FLIP = 7 / 8  # the same, when the flip is found


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A deletion after which the text reads like another label.

    Of up to 12 `words` each one is needed, of more each run of them; of a long text as far as the texts to
    read went.
    """

    words: Words
    label: int
    p: float  # of that label, once the words are gone


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the search found; effects are in log odds of the decided label."""

    #: Words that speak against the decision, together: > 0, the strongest 1; for it: < 0.
    weights: dict[int, float]
    gain: float  # what the log odds gain when the words above 0 are deleted together
    flip: Flip | None
    passes: int  # texts read


def without(text: str, spans: Iterable[Span]) -> str:
    """`text` with the characters of `spans` (in order, apart) cut out.

    >>> without("a rude word", [(2, 7)])
    'a word'
    """
    parts, at = [], 0
    for start, end in spans:
        parts.append(text[at:start])
        at = end
    return "".join([*parts, text[at:]])


def search(
    text: str, words: Sequence[Span], read: Read, *, decided: int, predicted: int, passes: int
) -> Found:
    """Leave out one piece at a time, then the best piece with each other one, and so on.

    Then look for what flips `predicted`. Pieces are words, or runs of words where there are too many. At most
    `passes` texts are read, or LEAST if that is more. Forward selection: once the best piece is gone, the
    others are tried again, which finds words that stand in for each other; the best pieces taken singly are
    always among the candidates, so that the joint move is not below theirs.
    """
    if not words:
        return Found(weights={}, gain=0.0, flip=None, passes=0)
    probe = _Probe(text, words, read, decided, limit=max(LEAST, passes))
    runs = _runs(words, min(MOST_RUNS, 2 * probe.limit // 5))
    alone = probe.gains(runs)
    chosen, gain = _together(probe, runs, alone)
    flip = _flip(probe, runs, chosen, predicted)
    if gain <= _NOTHING and flip is not None:
        # words that stand in for each other: none counts alone, all do together
        chosen, gain = flip.words, float(probe.gains([flip.words])[0])
    order = [runs[i] for i in np.argsort(-alone, kind="stable")]
    weights = _shared_out(probe, chosen, gain, order) if gain > _NOTHING else {}
    gain = float(probe.gains([frozenset(weights)])[0]) if weights else 0.0
    weights |= _for_the_decision(runs, alone, weights, gain)
    return Found(weights=weights, gain=gain, flip=flip, passes=probe.passes)


class _Probe:
    """The text without some of its words, read at most once each."""

    def __init__(self, text: str, words: Sequence[Span], read: Read, decided: int, *, limit: int) -> None:
        self.text, self.words, self.read, self.decided, self.limit = text, words, read, decided, limit
        self.seen: dict[Words, Floats] = {}
        self.start = float(log_odds(self.proba([frozenset()])[:, decided])[0])

    @property
    def passes(self) -> int:
        """Texts read so far."""
        return len(self.seen)

    def room(self, share: float = 1.0) -> int:
        """Texts that may yet be read until `share` of the limit is spent."""
        return max(0, int(share * self.limit) - self.passes)

    def proba(self, cuts: Sequence[Words]) -> Floats:
        """Label probabilities after each deletion, shape (n, labels)."""
        new = [cut for cut in dict.fromkeys(cuts) if cut not in self.seen]
        if new:
            texts = [without(self.text, (self.words[i] for i in sorted(cut))) for cut in new]
            self.seen.update(zip(new, self.read(texts), strict=True))
        return np.array([self.seen[cut] for cut in cuts])

    def gains(self, cuts: Sequence[Words]) -> Floats:
        """What the decided label's log odds gain by each deletion, shape (n,)."""
        return log_odds(self.proba(cuts)[:, self.decided]) - self.start

    def best_of(self, size: int) -> tuple[Words, float]:
        """Of the deletions of `size` words read so far (at least one) the best, and its gain."""
        cuts = [cut for cut in self.seen if len(cut) == size]
        gains = self.gains(cuts)
        return cuts[int(gains.argmax())], float(gains.max())


def log_odds(p: Floats) -> Floats:
    """Log odds of probabilities, which are kept within 1e-4 of 0 and 1."""
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(p) - np.log1p(-p))


def _runs(words: Sequence[Span], limit: int) -> list[Words]:
    """The words in at most `limit` runs of neighbours, as places in `words`."""
    places = [(i, i + 1) for i in range(len(words))]
    return [frozenset(range(a, b)) for a, b in joined_runs(places, limit)]


def _together(probe: _Probe, runs: Sequence[Words], alone: Floats) -> tuple[Words, float]:
    """The pieces whose joint deletion gains most, and its gain; one more piece must be worth its place."""
    order = np.argsort(-alone, kind="stable").tolist()
    best, gain, rest = runs[order[0]], float(alone[order[0]]), order[1:]
    for size in range(2, 1 + min(MOST_CHOSEN, len(runs) // 3)):
        room = probe.room(_TOGETHER)
        if room < 2:
            break
        joined = [best | runs[i] for i in rest[: room - 1]]
        tried = [*joined, frozenset().union(*(runs[i] for i in order[:size]))]
        gains = probe.gains(tried)
        top = int(gains.argmax())
        if gains[top] < gain + _ENOUGH * max(gain, _NOTHING):
            break
        best, gain = tried[top], float(gains[top])
        again = [rest[i] for i in np.argsort(-gains[: len(joined)], kind="stable")]
        rest = [i for i in again if not runs[i] <= best][:_SHORTLIST]
    return best, gain


def _shared_out(probe: _Probe, chosen: Words, gain: float, order: Sequence[Words]) -> dict[int, float]:
    """Weights of the chosen words: what the joint gain loses when one stays.

    Words that it hardly needs are left out. Where more words are chosen than texts may yet be read, runs of
    them stay and go together. `order`: the pieces by what each gains alone; as many of the first of them, if
    they are words, are tried against what is kept.
    """
    pieces = _pieces(chosen, max(1, probe.room() - 2))
    if len(pieces) == 1:
        return dict.fromkeys(sorted(chosen), 1.0)
    needed = gain - probe.gains([chosen - piece for piece in pieces])
    strongest = float(needed.max())
    if strongest <= 0:
        return dict.fromkeys(sorted(chosen), 1.0)
    strong = [piece for piece, need in zip(pieces, needed, strict=True) if need >= _ENOUGH * strongest]
    kept = frozenset[int]().union(*strong)
    if float(probe.gains([kept])[0]) < (1 - _ENOUGH) * gain:  # they stand in for each other
        kept = chosen
    elif len(kept) < len(chosen):
        if len(order) == len(probe.words):
            probe.gains([frozenset().union(*order[: len(kept)])])
        best, most = probe.best_of(len(kept))
        if best != kept:
            return _shared_out(probe, best, most, order)
    share = {
        i: max(float(need) / strongest, _ENOUGH)
        for piece, need in zip(pieces, needed, strict=True)
        for i in piece
    }
    return {i: share[i] for i in sorted(kept)}


def _pieces(chosen: Words, limit: int) -> list[Words]:
    """The places in `chosen` as at most `limit` runs, in order."""
    places = [(i, i + 1) for i in sorted(chosen)]
    return [frozenset(i for i in chosen if a <= i < b) for a, b in joined_runs(places, limit)]


def _for_the_decision(
    runs: Sequence[Words], alone: Floats, against: dict[int, float], gain: float
) -> dict[int, float]:
    """At most two pieces whose loss takes most from the decided label, if it is much; weights below 0."""
    most = max(gain, float(-alone.min()))
    if most <= _NOTHING:
        return {}
    order = [i for i in np.argsort(alone, kind="stable")[:2] if -alone[i] >= 2 * _ENOUGH * most]
    return {word: float(alone[i] / most) for i in order for word in sorted(runs[i]) if word not in against}


def _flip(probe: _Probe, runs: Sequence[Words], chosen: Words, predicted: int) -> Flip | None:
    """The fewest words found whose deletion makes another label the likeliest.

    None if half of the text does not do. Every deletion read so far is a candidate; if none flips, pieces go
    one after the other, those first that the predicted label hangs on. Then words come back for as long as it
    stays flipped, so what is left is minimal, if not always the least.
    """
    most = int(_FLIP_SHARE * len(probe.words))
    flipped = _fewest(probe, [cut for cut in probe.seen if len(cut) <= most], predicted)
    if flipped is None:
        hold = log_odds(probe.proba(runs)[:, predicted])
        after = [runs[i] for i in np.argsort(hold, kind="stable") if not runs[i] <= chosen]
        starts = [chosen, frozenset[int]()] if chosen else [frozenset[int]()]
        growing = [cut for start in starts for cut in _growing(start, after, most)]
        flipped = _fewest(probe, growing[: probe.room(_FLIP)], predicted)
    if flipped is None:
        return None
    words = _pruned(probe, flipped, predicted)
    p = probe.proba([words])[0]
    return Flip(words=words, label=int(p.argmax()), p=float(p.max()))


def _pruned(probe: _Probe, cut: Words, predicted: int) -> Words:
    """`cut` without what need not go.

    Large pieces are tried first, in the end each word, or each of _FINEST runs.
    """
    finest = _SHORTLIST
    while len(cut) > 1:
        count = min(len(cut), finest, probe.room(_FLIP))
        if count < 2:
            break
        fewer = _fewest(probe, [cut - piece for piece in _pieces(cut, count)], predicted)
        if fewer is not None:
            cut = fewer
        elif count < finest or finest == _FINEST:
            break
        else:
            finest = _FINEST
    return cut


def _growing(start: Words, pieces: Sequence[Words], limit: int) -> list[Words]:
    """`start` with the first pieces, the first two, and so on while at most `limit` words are gone."""
    found, cut = [], start
    for piece in pieces[:_SHORTLIST]:
        cut = cut | piece
        if len(cut) <= limit:
            found.append(cut)
    return found


def _fewest(probe: _Probe, cuts: Sequence[Words], predicted: int) -> Words | None:
    """The shortest of `cuts` after which another label leads; the surest of equally short ones."""
    done = []
    for cut, p in zip(cuts, probe.proba(cuts) if cuts else (), strict=True):
        if cut and float(np.delete(p, predicted).max() - p[predicted]) > _LEAD:
            done.append((len(cut), float(p[predicted]), sorted(cut)))
    return frozenset(min(done)[2]) if done else None
