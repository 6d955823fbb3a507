"""Pieces of a text that a person would point at: words, or a few characters where a script has no spaces."""

from __future__ import annotations

import regex

_WORD = regex.compile(r"[\p{L}\p{N}\p{M}_'’@#-]+|\p{Extended_Pictographic}\X?", flags=regex.VERSION1)
_NO_SPACES = regex.compile(r"[\p{Thai}\p{Han}\p{Hiragana}\p{Katakana}\p{Lao}\p{Khmer}\p{Myanmar}]")
_CLUSTER = regex.compile(r"\X")
PIECE = 3  # grapheme clusters, in scripts without spaces


def pieces(text: str, limit: int = 48) -> list[tuple[int, int]]:
    """Character spans (start, end) of the words of `text`, in order, at most `limit`.

    Runs of Thai, Lao, Khmer, Burmese, Chinese or Japanese are cut into PIECE grapheme clusters; a cluster is never cut.
    A longer text is cut into `limit` runs of words.
    """
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        if _NO_SPACES.search(match.group()):
            clusters = [m.end() for m in _CLUSTER.finditer(match.group())]
            start = 0
            for i in range(PIECE - 1, len(clusters) + PIECE - 1, PIECE):
                end = clusters[min(i, len(clusters) - 1)]
                if end > start:
                    spans.append((match.start() + start, match.start() + end))
                start = end
        else:
            spans.append(match.span())
    if len(spans) <= limit:
        return spans
    step = -(-len(spans) // limit)
    return [
        (group[0][0], group[-1][1]) for group in (spans[i : i + step] for i in range(0, len(spans), step))
    ]
