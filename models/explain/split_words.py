"""Pieces of a text that a person would point at: words, also in scripts that write no spaces between them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import budoux
import regex
import rjieba

Span = tuple[int, int]

LETTER, EMOJI, GAP = "letter", "emoji", "gap"
THAI, KANA, HAN, OTHER = "thai", "kana", "han", "other"
PIECE = 3  # grapheme clusters, in scripts that write no spaces and that no parser here knows

_CLUSTER = regex.compile(r"\X")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}ー]")
_KIND = (
    (THAI, regex.compile(r"\p{Thai}")),
    (HAN, regex.compile(r"\p{Han}")),
    (KANA, _KANA),
    (OTHER, regex.compile(r"[\p{Lao}\p{Khmer}\p{Myanmar}]")),
    (EMOJI, regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}|[0-9#*]\ufe0f?\u20e3")),
    (LETTER, regex.compile(r"[\p{L}\p{N}\p{M}_'’@#-]")),
)
_UNSPACED = (THAI, KANA, HAN, OTHER)
_LONGEST_RUN = 4_000  # characters without a space that are cut in one go


def words(text: str, within: int | None = None) -> list[Span]:
    """Character spans (start, end) of the words and emoji of `text`, in order.

    What lies between belongs to none. Chinese is cut by jieba, Thai and Japanese by BudouX, Japanese into
    phrases (a word with its particles), which end where words end. Lao, Khmer and Burmese are cut into PIECE
    grapheme clusters. A cluster is never cut. With `within`, only words that start before that character.

    >>> text = "Tea time 🇧🇷"
    >>> [text[a:b] for a, b in words(text)]
    ['Tea', 'time', '🇧🇷']
    """
    found: list[Span] = []
    for kind, ends in _runs(text, len(text) if within is None else within):
        if kind == LETTER:
            found.append((ends[0], ends[-1]))
        elif kind == EMOJI:
            found += list(zip(ends, ends[1:], strict=False))
        elif kind == OTHER:
            cuts = [*ends[:-1:PIECE], ends[-1]]
            found += list(zip(cuts, cuts[1:], strict=False))
        else:
            found += _parsed(text, ends, kind)
    return found if within is None else [span for span in found if span[0] < within]


def joined_runs(spans: list[Span], limit: int) -> list[Span]:
    """Neighbours of `spans` joined into at most `limit` runs of nearly equal count."""
    if len(spans) <= limit:
        return spans
    cuts = [round(i * len(spans) / limit) for i in range(limit + 1)]
    return [(spans[a][0], spans[b - 1][1]) for a, b in zip(cuts, cuts[1:], strict=False)]


def _runs(text: str, within: int) -> Iterator[tuple[str, list[int]]]:
    """Runs of clusters of one kind: (kind, boundaries of its clusters).

    A run that starts before `within` is whole. Unspaced runs end after _LONGEST_RUN characters, so that a
    text without any space costs no more than its beginning. Han characters are Japanese where the text has
    kana as well.
    """
    japanese = _KANA.search(text, 0, within + _LONGEST_RUN) is not None
    kind, ends = GAP, [0]
    for match in _CLUSTER.finditer(text):
        now = _kind(match.group())
        if now == HAN and japanese:
            now = KANA
        if now != kind or (now in _UNSPACED and match.start() - ends[0] >= _LONGEST_RUN):
            if kind != GAP and len(ends) > 1:
                yield kind, ends
            kind, ends = now, [match.start()]
            if match.start() >= within:
                return
        ends.append(match.end())
    if kind != GAP and len(ends) > 1:
        yield kind, ends


def _kind(cluster: str) -> str:
    for kind, pattern in _KIND:
        if pattern.match(cluster):
            return kind
    return GAP


def _parsed(text: str, ends: list[int], kind: str) -> list[Span]:
    """A run's words; boundaries inside a grapheme cluster are dropped."""
    run = text[ends[0] : ends[-1]]
    chunks = rjieba.cut(run) if kind == HAN else _parser(kind).parse(run)
    whole = set(ends)
    cuts, at = [ends[0]], ends[0]
    for chunk in chunks:
        at += len(chunk)
        if at in whole:
            cuts.append(at)
    return list(zip(cuts, cuts[1:], strict=False))


@cache
def _parser(kind: str) -> budoux.Parser:
    return budoux.load_default_thai_parser() if kind == THAI else budoux.load_default_japanese_parser()
